//! Statements whose plans the server keeps.
//!
//! To plan the join takes Postgres three times as long as to run it for one user.
//! A prepared statement would keep the plan, but not behind a pooler that lends out
//! its connections. So `provision` stores each of these statements as a function.
//!
//! Invariant: a function's name holds the digest of its statement, so a release
//! calls its own statement or none. Where the function is missing, because another
//! release made the schema, the statement itself is sent. Only statements about one
//! user are kept: a plan for many depends on how many, and on what the table holds.

use std::fmt::Write;
use std::sync::LazyLock;

use sha2::{Digest, Sha256};
use tokio_postgres::types::Type;

/// A statement whose plan is kept.
pub(crate) struct Planned {
    name: &'static str,
    /// The statement.
    pub(super) sql: LazyLock<String>,
    /// The types of its parameters.
    pub(super) takes: &'static [Type],
    gives: &'static str,
}

/// `join.sql` of one profile
pub(super) static JOIN: Planned = Planned {
    name: "join",
    sql: LazyLock::new(|| sql!("join").replace("profiles_to_join", sql!("join_one"))),
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
    gives: "id text, outcome text",
};

/// `join.sql` of many profiles, whose plan is not kept.
pub(super) static JOIN_MANY: LazyLock<String> =
    LazyLock::new(|| sql!("join").replace("profiles_to_join", sql!("join_many")));

/// `create.sql`, whose plan is not kept.
pub(super) static CREATE: LazyLock<String> =
    LazyLock::new(|| sql!("create").replace("profiles_to_join", sql!("join_many")));

/// `gone.sql`
pub(super) static GONE: Planned = Planned {
    name: "gone",
    sql: LazyLock::new(|| sql!("gone").to_owned()),
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
    gives: "outcome text",
};

/// All of them.
pub(crate) static PLANNED: [&Planned; 2] = [&JOIN, &GONE];

static FUNCTIONS: LazyLock<[String; 2]> = LazyLock::new(|| PLANNED.map(Planned::name_by_digest));

impl Planned {
    /// The name of its function.
    fn function(&self) -> &'static str {
        let ours = PLANNED.iter().position(|other| other.name == self.name);
        &FUNCTIONS[ours.unwrap_or_default()]
    }

    fn name_by_digest(&self) -> String {
        let mut name = format!("{}_", self.name);
        for byte in &Sha256::digest(self.sql.as_bytes())[..4] {
            let _ = write!(name, "{byte:02x}");
        }
        name
    }

    /// The call of its function, which takes what the statement takes.
    pub(super) fn call(&self) -> String {
        let lines = sql!("call_planned").lines();
        let code: String = lines.filter(|line| !line.starts_with("--")).collect();
        self.fill(&code)
    }

    /// Fills in a statement that calls or makes the function.
    pub(crate) fn fill(&self, sql: &str) -> String {
        let types: Vec<_> = self.takes.iter().map(Type::name).collect();
        let parameters: Vec<_> = (1..=self.takes.len()).map(|n| format!("${n}")).collect();
        sql.replace("statement_name", self.function())
            .replace("statement_takes", &types.join(", "))
            .replace("statement_parameters", &parameters.join(", "))
            .replace("statement_gives", self.gives)
            .replace(
                "statement_itself",
                self.sql.trim_end().trim_end_matches(';'),
            )
    }
}

/// Whether a line of an error's context names one of these functions.
pub(super) fn is_named_in(line: &str) -> bool {
    FUNCTIONS
        .iter()
        .any(|name| line.contains(&format!("{name}(")))
}
