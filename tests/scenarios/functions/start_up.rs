//! Each function's start: its environment and its secret, before it takes an event.

mod addresses;
mod fields;
mod secrets_manager;
mod variables;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::function::Function;
use tests::secret_file::SecretFile;

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

/// The secret with another value in the place of this one, or without it.
fn with(pointer: &str, value: Option<Value>) -> Value {
    let mut secret = secret();
    match (value, pointer.rsplit_once('/')) {
        (Some(value), Some((within, name))) => {
            secret.pointer_mut(within).expect("an object")[name] = value;
        }
        (Some(value), None) => secret = value,
        (None, place) => {
            let (within, name) = place.expect("a field");
            let within = secret.pointer_mut(within).expect("an object");
            within.as_object_mut().expect("an object").remove(name);
        }
    }
    secret
}

/// Checks what is said of each of these secrets, all at once: `provision` takes its time to see
/// whether an event waits.
async fn check_secrets<const N: usize>(
    functions: &'static [&'static str],
    cases: [(&'static str, Option<Value>, &'static str); N],
) -> Result<()> {
    let mut checks = tokio::task::JoinSet::new();
    for (pointer, value, words) in cases {
        checks.spawn(async move {
            let file = SecretFile::new(&with(pointer, value))?;
            check_of(functions, &file.env(), &[words])
                .await
                .with_context(|| format!("{pointer}: {words}"))
        });
    }
    while let Some(checked) = checks.join_next().await {
        checked??;
    }
    Ok(())
}
