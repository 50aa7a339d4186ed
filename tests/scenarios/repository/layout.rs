//! Which module imports which: the arrows of ARCHITECTURE.md, read off the sources.

mod modules;

use std::fs;
use std::path::{Path, PathBuf};

use tests::tools::workspace;

/// A word, and the files (or folders) of the project that may hold it.
const ONLY: &[(&str, &[&str])] = &[
    (
        "tokio_postgres",
        &["shared/src/store", "shared/src/migrate.rs"],
    ),
    (
        "native_tls",
        &["shared/src/store/connect.rs", "shared/src/tls.rs"],
    ),
    ("reqwest", &["shared/src/client"]),
    ("aws_config", &["shared/src/credentials.rs"]),
    ("aws_sdk_secretsmanager", &["shared/src/credentials"]),
    ("std::env", &["shared/src/start.rs"]),
    ("SystemTime::now", &["shared/src/time.rs"]),
    (
        "WallClock::read",
        &[
            "functions/webhook/src/lambda.rs",
            "functions/console/src/lambda.rs",
            "shared/src/start.rs",
            // A figure is of its time.
            "shared/src/metrics.rs",
            // A server's `Retry-After` is compared with it.
            "shared/src/client.rs",
        ],
    ),
    // It gives a look another time, which only tests need.
    ("as_if_at", &["shared/src/store/users.rs"]),
    ("lambda_http", &["functions/webhook/src/lambda.rs"]),
    (
        "lambda_runtime",
        &[
            "functions/webhook/src/lambda.rs",
            "functions/reconcile/src/lambda.rs",
            "functions/provision/src/lambda.rs",
            "functions/console/src/lambda.rs",
        ],
    ),
];

/// Modules of the shared crate that do input or output.
const IMPURE: &[&str] = &[
    "client",
    "credentials",
    "metrics",
    "migrate",
    "settle",
    "start",
    "store",
    "tls",
];

/// Modules that must not know those.
const PURE: &[&str] = &[
    "exchange.rs",
    "console_token.rs",
    "json.rs",
    "listing.rs",
    "manage",
    "manage.rs",
    "pointer.rs",
    "profile.rs",
    "projects",
    "projects.rs",
    "provider",
    "secret.rs",
    "settings.rs",
    "signature.rs",
    "subscribe",
    "subscribe.rs",
    "time.rs",
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.ends_with("tests.rs") {
            // The unit tests of the file that has the folder's name.
        } else if path.extension().is_some_and(|e| e == "rs" || e == "sql") {
            found.push(path);
        }
    }
    found
}

/// Each source of what is deployed: its path in the project, and its code.
fn code() -> Vec<(String, String)> {
    let root = workspace();
    let mut files = sources(&root.join("shared/src"));
    files.extend(sources(&root.join("functions")));
    assert!(files.len() > 30, "the sources were not found");
    let relative = |path: &Path| {
        path.strip_prefix(&root)
            .expect("inside")
            .display()
            .to_string()
    };
    files
        .iter()
        .map(|path| {
            let text = fs::read_to_string(path).expect("UTF-8");
            let lines = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            let code: Vec<_> = lines
                .take_while(|line| !line.ends_with("mod tests {"))
                .collect();
            (relative(path), code.join("\n"))
        })
        .collect()
}

#[test]
fn each_library_is_named_where_it_belongs() {
    for (path, code) in code() {
        for (word, allowed) in ONLY {
            let named = code.contains(word) && path.ends_with(".rs");
            let may = allowed
                .iter()
                .any(|place| path.starts_with(place.trim_end_matches(".rs")));
            assert!(!named || may, "{path} names {word}");
        }
    }
}

#[test]
fn pure_modules_import_only_pure_ones() {
    let mut checked = 0;
    for (path, code) in code() {
        let Some(module) = path.strip_prefix("shared/src/") else {
            continue;
        };
        let pure = PURE.iter().any(|p| {
            module == *p || module.starts_with(&format!("{}/", p.trim_end_matches(".rs")))
        }) || module == "provider.rs";
        if !pure {
            continue;
        }
        checked += 1;
        for impure in IMPURE {
            assert!(
                !code.contains(&format!("crate::{impure}")),
                "{path} imports {impure}"
            );
        }
        for word in ["tokio::", "std::net", "std::fs", "Instant::now", "async fn"] {
            assert!(!code.contains(word), "{path} names {word}");
        }
    }
    assert!(checked > 6, "{checked}");
}

#[test]
fn sql_stands_in_sql_files() {
    for (path, code) in code() {
        if !path.ends_with(".rs") {
            continue;
        }
        for word in [
            "SELECT ",
            "INSERT INTO",
            "UPDATE neon",
            "DELETE FROM",
            "CREATE TABLE",
        ] {
            assert!(!code.contains(word), "{path} holds SQL: {word}");
        }
    }
}

#[test]
fn each_statement_is_used_and_says_what_it_does() {
    let all = code();
    for (path, text) in &all {
        let Some(name) = path.strip_suffix(".sql") else {
            continue;
        };
        let name = name.rsplit('/').next().expect("a name");
        let used = all.iter().any(|(other, code)| {
            other.ends_with(".rs")
                && (code.contains(&format!("\"{name}\""))
                    || code.contains(&format!("/{name}.sql\"")))
        });
        assert!(used, "nothing uses {path}");
        assert!(!text.trim().is_empty(), "{path}");
        let whole = fs::read_to_string(workspace().join(path)).expect("UTF-8");
        assert!(whole.starts_with("-- "), "{path} does not say what it does");
    }
}

/// The names of the functions in this block of a source.
fn functions(path: &str, block: &str) -> Vec<String> {
    let text = fs::read_to_string(workspace().join(path)).expect("UTF-8");
    let (_, rest) = text.split_once(block).expect("the block");
    let (block, _) = rest.split_once("\n}\n").expect("its end");
    let names = block.split("\n    fn ").skip(1);
    let mut names: Vec<_> = names
        .filter_map(|rest| rest.split(['(', '<']).next())
        .map(str::to_owned)
        .collect();
    names.sort();
    names
}

/// What it does not pass on, it would answer as no adapter does.
#[test]
fn what_redacts_passes_on_every_question() {
    let redacting = "shared/src/provider/redacting.rs";
    for (path, question, answer) in [
        (
            "shared/src/provider.rs",
            "trait Provider:",
            "impl Provider for Redacting",
        ),
        (
            "shared/src/provider.rs",
            "trait EventSource:",
            "impl EventSource for Redacting",
        ),
    ] {
        let asked = functions(path, question);
        assert!(asked.len() > 2, "{question}");
        assert_eq!(asked, functions(redacting, answer), "{question}");
    }
}
