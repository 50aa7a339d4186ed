//! Statements whose plans the server keeps.
//!
//! To plan the join takes Postgres three times as long as to run it for one user.
//! A prepared statement would keep the plan, but not behind a pooler that lends out
//! its connections. So `provision` stores each of these statements as a function.
//!
//! Invariant: a function's name holds the digest of its statement and of how it is
//! made, so a release calls its own function or none. Where the function is
//! missing, because another release made the schema, the statement itself is sent.
//! Only statements about one user are kept: a plan for many depends on how many
//! there are, and on how large the table is.

use std::fmt::Write;
use std::sync::LazyLock;

use sha2::{Digest, Sha256};
use tokio_postgres::types::Type;

/// A statement whose plan is kept.
pub(crate) struct Planned {
    /// The name of its function.
    function: LazyLock<String>,
    /// The statement.
    pub(super) sql: LazyLock<String>,
    /// The call of its function, which takes what the statement takes.
    pub(super) call: LazyLock<String>,
    /// The types of its parameters.
    pub(super) takes: &'static [Type],
}

/// `join.sql` of one profile.
pub(super) static JOIN: Planned = Planned {
    function: LazyLock::new(|| function("join", &JOIN.sql)),
    sql: LazyLock::new(|| sql!("join").replace("profiles_to_join", sql!("join_one"))),
    call: LazyLock::new(|| JOIN.call()),
    takes: &[
        Type::TEXT,
        Type::TEXT,
        Type::TEXT,
        Type::TEXT,
        Type::TIMESTAMPTZ,
        Type::TIMESTAMPTZ,
        Type::FLOAT8,
        Type::BOOL,
        Type::BOOL,
        Type::TEXT,
        Type::TEXT_ARRAY,
        Type::TEXT,
        Type::TEXT,
        Type::TIMESTAMPTZ,
        Type::INT8,
        Type::INT8,
    ],
};

/// `gone.sql`.
pub(super) static GONE: Planned = Planned {
    function: LazyLock::new(|| function("gone", &GONE.sql)),
    sql: LazyLock::new(|| sql!("gone").to_owned()),
    call: LazyLock::new(|| GONE.call()),
    takes: &[
        Type::TEXT,
        Type::TIMESTAMPTZ,
        Type::FLOAT8,
        Type::BOOL,
        Type::TEXT,
        Type::TEXT_ARRAY,
        Type::TEXT,
        Type::TEXT,
        Type::TIMESTAMPTZ,
        Type::INT8,
        Type::INT8,
    ],
};

/// All of them.
pub(crate) static PLANNED: [&Planned; 2] = [&JOIN, &GONE];

/// The statement that makes a function.
const KEEP: &str = include_str!("../migrate/keep_plan.sql");

/// The name of a statement's function.
fn function(name: &str, sql: &str) -> String {
    let mut function = format!("{name}_");
    let digest = Sha256::new()
        .chain_update(sql)
        .chain_update(KEEP)
        .finalize();
    for byte in &digest[..4] {
        let _ = write!(function, "{byte:02x}");
    }
    function
}

impl Planned {
    fn call(&self) -> String {
        let lines = sql!("call_planned").lines();
        let code: String = lines.filter(|line| !line.starts_with("--")).collect();
        self.fill(&code)
    }

    /// The statement that makes its function, where that is missing.
    pub(crate) fn keep(&self) -> String {
        self.fill(KEEP)
    }

    fn fill(&self, sql: &str) -> String {
        let types: Vec<_> = self.takes.iter().map(Type::name).collect();
        let parameters: Vec<_> = (1..=self.takes.len()).map(|n| format!("${n}")).collect();
        sql.replace("statement_name", &self.function)
            .replace("statement_takes", &types.join(", "))
            .replace("statement_parameters", &parameters.join(", "))
            .replace(
                "statement_itself",
                self.sql.trim_end().trim_end_matches(';'),
            )
    }
}

/// Whether a line of an error's context names one of these functions.
pub(super) fn is_named_in(line: &str) -> bool {
    PLANNED
        .iter()
        .any(|planned| line.contains(&format!("{}(", *planned.function)))
}
