//! A role that may create in `public` puts functions and operators there that fit our statements
//! better than the server's own; none is ever called, by the owner or by the writer.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::postgres::{Options, Postgres};
use tests::tools::workspace;

use crate::site::{Site, login};

/// Types that an argument of ours has, or that one would be turned into.
const TYPES: [&str; 20] = [
    "text",
    "text[]",
    "varchar",
    "name",
    "\"char\"",
    "bytea",
    "bytea[]",
    "jsonb",
    "timestamptz",
    "timestamptz[]",
    "interval",
    "float8",
    "numeric",
    "bigint",
    "bigint[]",
    "integer",
    "boolean",
    "oid",
    "regclass",
    "xid",
];

/// Words before a `(` that call nothing by a name that is looked up.
const GRAMMAR: [&str; 40] = [
    "all",
    "and",
    "any",
    "array",
    "as",
    "between",
    "by",
    "case",
    "check",
    "coalesce",
    "exists",
    "extract",
    "filter",
    "from",
    "greatest",
    "if",
    "in",
    "is",
    "key",
    "lateral",
    "least",
    "new",
    "not",
    "nullif",
    "on",
    "or",
    "over",
    "position",
    "returning",
    "row",
    "select",
    "set",
    "then",
    "unique",
    "using",
    "values",
    "when",
    "where",
    "with",
    "else",
];

/// A file of ours and what it says, without comments and quoted text.
struct Sql {
    path: String,
    text: String,
    code: String,
}

fn files(folders: &[&str]) -> Result<Vec<Sql>> {
    let mut files = Vec::new();
    for folder in folders {
        for entry in fs::read_dir(workspace().join("shared/src").join(folder))? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "sql") {
                continue;
            }
            for text in whole(&path)? {
                files.push(Sql {
                    path: path.display().to_string(),
                    code: bare(&text),
                    text,
                });
            }
        }
    }
    ensure!(files.len() > 3, "the statements were not found");
    Ok(files)
}

/// The statements that a file is sent as.
fn whole(path: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(path)?;
    Ok(match path.file_stem().and_then(OsStr::to_str) {
        // Put into `join.sql`.
        Some("join_one" | "join_many") => Vec::new(),
        // It has no name before it is filled in.
        Some("call_planned") => Vec::new(),
        Some(name @ ("join" | "create")) => {
            let mut statements = Vec::new();
            let of_one = (name == "join").then_some("join_one.sql");
            for profiles in of_one.into_iter().chain(["join_many.sql"]) {
                let profiles = fs::read_to_string(path.with_file_name(profiles))?;
                let mut statement = String::new();
                for line in profiles.lines().filter(|line| line.starts_with("-- $")) {
                    statement.extend([line, "\n"]);
                }
                statement
                    .push_str(&text.replace("profiles_to_join", &profiles.replace("-- $", "-- ")));
                statements.push(statement);
            }
            statements
        }
        _ => vec![text],
    })
}

fn bare(text: &str) -> String {
    let mut code = String::new();
    for line in text.lines() {
        let line = line.split("--").next().unwrap_or_default();
        for (place, part) in line.split('\'').enumerate() {
            code.push_str(if place % 2 == 0 { part } else { "''" });
        }
        code.push('\n');
    }
    code
}

/// Each name that a `(` follows, with the schema before it.
fn calls(code: &str) -> Vec<String> {
    let of_a_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let mut calls = Vec::new();
    for (place, _) in code.match_indices('(') {
        let before = &code[..place];
        let begins = before.rfind(|c| !of_a_name(c)).map_or(0, |at| at + 1);
        let name = before[begins..].to_ascii_lowercase();
        if !name.is_empty() && !GRAMMAR.contains(&&*name) {
            calls.push(name);
        }
    }
    calls
}

/// Each operator that is used.
fn operators(code: &str) -> BTreeSet<String> {
    let of_an_operator = |c: char| "+-*/<>=~!@#%^&|`?".contains(c);
    code.split(|c| !of_an_operator(c))
        .filter(|part| !part.is_empty() && *part != "=>")
        .map(str::to_owned)
        .collect()
}

const EVERYWHERE: [&str; 4] = ["store", "migrate", "migrations", "checks"];

/// Functions and operators in `public`, of whatever types; each says in the server's log that it
/// was called.
fn hostile() -> Result<String> {
    let mut names = BTreeSet::new();
    let mut symbols = BTreeSet::new();
    for file in files(&EVERYWHERE)? {
        names.extend(
            calls(&file.code)
                .iter()
                .map(|name| name.rsplit('.').next().unwrap_or(name).to_owned()),
        );
        symbols.extend(operators(&file.code));
    }
    // Functions that the grammar calls by the server's own names, and those that our plans may call.
    names.extend(["extract", "date_part", "timezone", "textcat"].map(str::to_owned));
    ensure!(
        names.contains("convert_to") && names.contains("unnest"),
        "{names:?}"
    );
    ensure!(
        symbols.contains("||") && symbols.contains("="),
        "{symbols:?}"
    );
    let mut sql = String::new();
    let mut function = |name: &str, arguments: &str, returns: &str| {
        let _ = writeln!(
            sql,
            "CREATE FUNCTION public.\"{name}\"({arguments}) RETURNS {returns} LANGUAGE plpgsql AS
            $$ BEGIN RAISE LOG 'HOSTILE {name}'; RAISE EXCEPTION 'HOSTILE {name}'; END $$;"
        );
    };
    for name in &names {
        // The server's own aggregates are functions, too.
        function(name, "", "text");
        for one in TYPES {
            function(name, one, "text");
            for other in TYPES {
                if [
                    "text", "text[]", "bytea", "jsonb", "integer", "bigint", "oid", "regclass",
                ]
                .contains(&other)
                {
                    function(name, &format!("{one}, {other}"), "text");
                }
            }
        }
        function(name, "text, text[], bytea[]", "text");
    }
    // Called by its argument's name.
    sql = sql.replace(
        "CREATE FUNCTION public.\"make_interval\"(float8)",
        "CREATE FUNCTION public.\"make_interval\"(secs float8)",
    );
    for (number, (one, other)) in TYPES
        .iter()
        .flat_map(|one| TYPES.map(|other| (*one, other)))
        .enumerate()
    {
        let _ = writeln!(
            sql,
            "CREATE FUNCTION public.hostile{number}({one}, {other}) RETURNS boolean
            LANGUAGE plpgsql AS $$ BEGIN RAISE LOG 'HOSTILE {number}';
            RAISE EXCEPTION 'HOSTILE operator on {one}, {other}'; END $$;"
        );
        for symbol in &symbols {
            let _ = writeln!(
                sql,
                "CREATE OPERATOR public.{symbol} (LEFTARG = {one}, RIGHTARG = {other},
                FUNCTION = public.hostile{number});"
            );
        }
    }
    Ok(sql)
}

/// A server, and a site on it whose `public` is hostile ground.
async fn hostile_site() -> Result<(Postgres, Site)> {
    let server = Postgres::start(Options::default()).await?;
    let site = Site::on(&server).await?;
    // The tests' own questions, the superuser's, are not the matter.
    site.run("ALTER ROLE postgres SET search_path = pg_catalog")
        .await?;
    let attacker = site.database.login("attacker").await?;
    site.run(&format!(
        "GRANT CREATE ON SCHEMA public TO {}; SET ROLE {0}; {}",
        login(&attacker),
        hostile()?
    ))
    .await?;
    Ok((server, site))
}

fn assert_nobody_called(server: &Postgres) -> Result<()> {
    let log = server.log()?;
    let called: BTreeSet<_> = log
        .lines()
        .filter(|line| line.contains("HOSTILE") && line.contains("LOG:"))
        .filter_map(|line| line.split("HOSTILE").nth(1))
        .collect();
    ensure!(called.is_empty(), "these were called: {called:?}");
    Ok(())
}

#[tokio::test]
async fn a_whole_sync_calls_nothing_of_public() -> Result<()> {
    for one_for_all in [false, true] {
        let (server, site) = hostile_site().await?;
        if one_for_all {
            let owner = site.database.owner_url().to_owned();
            site.change(|secret| secret["database_url"] = owner.into())?;
        }
        site.provision().await?;
        site.provision().await?;
        let webhook = site.start("webhook", "neon_identity").await?;
        let reconcile = site.start("reconcile", "neon_identity").await?;
        let ada = site.simulator.create("Ada", "ada@example.com")?;
        let bob = site.simulator.create("Bob", "bob@example.com")?;
        assert_eq!(site.deliver(&webhook).await?, [200, 200]);
        site.simulator.rename(&ada, "Ada L.")?;
        site.simulator.delete(&bob)?;
        assert_eq!(site.deliver(&webhook).await?, [200, 200]);
        let bad = b"{\"type\":\"user.created\"}";
        assert_eq!(site.deliver_body(&webhook, bad).await?, 400);
        site.simulator.seed(20);
        let cyd = site.simulator.create("Cyd", "cyd@example.com")?;
        let report = reconcile.invoke(json!({})).await?;
        assert_eq!(report["created"], 21, "{report}");
        // All kinds of repair, and a sweep.
        site.run(&format!(
            "UPDATE neon_identity.users_sync SET name = 'x' WHERE id = '{ada}'"
        ))
        .await?;
        site.simulator.delete(&cyd)?;
        site.simulator.take_messages();
        let report = reconcile.invoke(json!({})).await?;
        assert_eq!(
            (&report["outcome"], &report["updated"], &report["deleted"]),
            (&json!("complete"), &json!(1), &json!(1)),
            "{report}"
        );
        crate::site::run(
            site.database.owner_url(),
            &format!(
                "SELECT neon_identity.erase_user('{bob}'), neon_identity.ensure_user('early')"
            ),
        )
        .await?;
        assert_nobody_called(&server)?;
    }
    Ok(())
}

#[tokio::test]
async fn no_statement_depends_on_anything_of_public() -> Result<()> {
    let (_server, site) = hostile_site().await?;
    site.provision().await?;
    // A function whose body is parsed when it is made keeps what it refers to: all but the
    // server's own.
    let owner = tests::postgres::connect(site.database.owner_url()).await?;
    let mut parsed = 0;
    for file in files(&["store"])? {
        let mut types = Vec::new();
        for line in file.text.lines().filter(|line| line.starts_with("-- $")) {
            types.push(line.split_whitespace().nth(2).context("a type")?);
        }
        let name = format!("neon_identity.parsed{parsed}");
        let make = format!(
            "CREATE PROCEDURE {name}({}) BEGIN ATOMIC {} END",
            types.join(", "),
            file.text
        );
        owner
            .batch_execute(&make)
            .await
            .with_context(|| file.path.clone())?;
        parsed += 1;
        let sql = format!(
            "SELECT pg_describe_object(refclassid, refobjid, refobjsubid) FROM pg_depend
            WHERE objid = '{name}'::regproc AND classid = 'pg_proc'::regclass
                AND pg_describe_object(refclassid, refobjid, refobjsubid) ~ 'public'"
        );
        assert_eq!(site.ask(&sql).await?, "", "{}", file.path);
    }
    assert!(parsed > 15, "{parsed}");
    Ok(())
}

#[tokio::test]
async fn the_hostile_ground_is_one() -> Result<()> {
    let (server, site) = hostile_site().await?;
    for statement in [
        "SELECT convert_to('x', 'UTF8')",
        "SELECT cardinality('{}'::text[])",
        "SELECT * FROM unnest('{a}'::text[])",
        "SELECT hashtextextended('x' || 'y', 0)",
        "SELECT FROM pg_class WHERE oid = 'pg_class'::regclass",
    ] {
        let refused = crate::site::refusal(site.database.owner_url(), statement).await;
        assert_eq!(refused?, "P0001", "{statement}");
    }
    assert!(assert_nobody_called(&server).is_err());
    Ok(())
}

#[test]
fn each_name_in_a_statement_says_its_schema() -> Result<()> {
    for file in files(&["store"])? {
        for name in calls(&file.code) {
            // `new (id, …)`, `written (…)`: names of rows, and lists of columns.
            let a_list = [
                "neon_identity.users_sync",
                "kept",
                "asked",
                "neon_identity.runs",
                "neon_identity.rejections",
                "neon_identity.connection",
                "neon_identity.deliveries",
                "neon_identity.repairs",
                // Our own functions.
                "neon_identity.erase_older_than",
                "neon_identity.prune",
            ];
            assert!(
                name.starts_with("pg_catalog.") || a_list.contains(&&*name),
                "{}: {name}",
                file.path
            );
        }
    }
    for file in files(&EVERYWHERE)? {
        let mut own: BTreeSet<String> = BTreeSet::new();
        for part in file.code.split_whitespace().collect::<Vec<_>>().windows(2) {
            if part[1].eq_ignore_ascii_case("AS") {
                own.insert(part[0].trim_matches(|c| c == ',' || c == '(').to_owned());
            }
        }
        let words: Vec<_> = file.code.split_whitespace().collect();
        for (place, pair) in words.windows(2).enumerate() {
            let compares = place > 0 && words[place - 1] == "DISTINCT";
            if compares || !["FROM", "JOIN", "INTO", "UPDATE", "TABLE"].contains(&pair[0]) {
                continue;
            }
            let name = pair[1].trim_end_matches([';', ',', ')']);
            let qualified = name.starts_with("neon_identity.") || name.starts_with("pg_");
            // FOR UPDATE ends there.
            let grammar = name.is_empty()
                || name.starts_with('(')
                // EXTRACT(epoch FROM $1).
                || name.starts_with('$')
                || [
                    "LATERAL",
                    "ROWS",
                    "SET",
                    "ON",
                    "PUBLIC",
                    // FOR UPDATE SKIP LOCKED.
                    "SKIP",
                    "unnest(ARRAY[",
                    "OF",
                ]
                .contains(&name)
                || name.starts_with("unnest(")
                || name.starts_with("kept.");
            assert!(
                qualified
                    || grammar
                    || own.contains(name)
                    || ["owner", "deleted", "erased", "answer"].contains(&name),
                "{}: {name}",
                file.path
            );
        }
    }
    Ok(())
}
