//! What each function does with its environment and its secret before it takes an event.

mod addresses;
mod fields;
mod secrets_manager;
mod variables;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tests::function::Function;

use crate::site::does_not_start;

const FUNCTIONS: [&str; 3] = ["webhook", "reconcile", "provision"];

/// In every value that an error must not repeat.
const HIDDEN: &str = "hiddenvalue";

/// A secret of a database that is not there, in which each value is recognisable.
fn secret() -> Value {
    json!({
        "database_url": format!("postgres://{HIDDEN}:{HIDDEN}@127.0.0.1:9/{HIDDEN}"),
        "admin_database_url": format!("postgres://{HIDDEN}:{HIDDEN}@127.0.0.1:9/{HIDDEN}"),
        "signing_secrets": ["whsec_aGlkZGVudmFsdWVoaWRkZW52YWx1ZQ=="],
        "provider": {
            "name": "stack",
            "project_id": HIDDEN,
            "secret_server_key": HIDDEN,
            "api_url": format!("http://127.0.0.1:9/{HIDDEN}"),
        },
    })
}

/// Starts every function in this environment; each has to say these words, and no value, and end.
async fn check(environment: &[(String, String)], words: &[&str]) -> Result<()> {
    check_of(&FUNCTIONS, environment, words).await
}

async fn check_of(
    functions: &[&str],
    environment: &[(String, String)],
    words: &[&str],
) -> Result<()> {
    for name in functions {
        let function = Function::spawn(name, environment.iter().cloned()).await?;
        let logs = does_not_start(&function).await?;
        for word in words {
            ensure!(logs.contains(word), "{name} does not say {word}:\n{logs}");
        }
        ensure!(!logs.contains(HIDDEN), "{name} repeats a value:\n{logs}");
        // One line says it all, as JSON.
        let [line] = *logs.lines().collect::<Vec<_>>() else {
            anyhow::bail!("{name}: not one line:\n{logs}");
        };
        let line: Value = serde_json::from_str(line)?;
        ensure!(line["level"] == "ERROR", "{line}");
        ensure!(line["message"] == "can't start", "{line}");
    }
    Ok(())
}

fn pairs(environment: &[(&str, &str)]) -> Vec<(String, String)> {
    let pairs = environment.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}
