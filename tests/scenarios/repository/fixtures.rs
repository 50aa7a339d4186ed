//! The provider's own bytes under `events/`: each of them is loaded by some test, so that none is
//! kept that nothing understands; and what `cargo lambda invoke --data-file` is to be tried with
//! is answered as it says.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::stage::Stage;
use tests::tools::workspace;

/// All files of a kind below a folder, as text by their paths in it.
fn files(folder: &Path, ending: &str) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().context("a name")?.to_string_lossy();
        if path.is_dir() {
            let below = files(&path, ending)?;
            found.extend(
                below
                    .into_iter()
                    .map(|(path, text)| (format!("{name}/{path}"), text)),
            );
        } else if name.ends_with(ending) {
            found.push((name.into_owned(), fs::read_to_string(&path)?));
        }
    }
    Ok(found)
}

#[test]
fn each_fixture_is_loaded_by_a_test() -> Result<()> {
    let root = workspace();
    let mut code = String::new();
    for folder in ["shared/src", "functions", "tests"] {
        for (_, text) in files(&root.join(folder), ".rs")? {
            code.push_str(&text);
        }
    }
    let fixtures = files(&root.join("events"), ".json")?;
    assert!(fixtures.len() > 50, "the fixtures were not found");
    for (path, _) in fixtures {
        // Those for the functions are tried below, all of them.
        if path.starts_with("lambda/") {
            continue;
        }
        // By its path, or as a vector by its name: `include_bytes!` makes the path of that.
        let vector = format!("vector!(\"{}\")", path.trim_end_matches(".json"));
        let loaded = code.contains(&format!("events/{path}\"")) || code.contains(&vector);
        assert!(loaded, "no test loads events/{path}");
    }
    Ok(())
}

#[tokio::test]
async fn each_event_to_try_is_answered() -> Result<()> {
    let stage = Stage::new().await?;
    stage.simulator.seed(3);
    let (reconcile, webhook) = (stage.reconcile().await?, stage.webhook().await?);
    let (provision, console) = (
        stage.start("provision").await?,
        stage.start("console").await?,
    );
    let events = files(&workspace().join("events/lambda"), ".json")?;
    assert!(events.len() > 10, "the events were not found");
    for (name, text) in events {
        let event: Value = serde_json::from_str(&text)?;
        match name.split_once('.').context("a function's name")?.0 {
            "reconcile" => {
                let report = reconcile.invoke(event).await?;
                assert_eq!(report["outcome"], "complete", "{name}: {report}");
            }
            // Those of CloudFormation want an answer elsewhere.
            "provision" if event["ResponseURL"].is_string() => {}
            "provision" => {
                let answer = provision.invoke(event).await?;
                assert_eq!(answer["applied"], json!([]), "{name}: {answer}");
            }
            // The secret holds no token for it.
            "console" => {
                let answer = console.invoke(event).await?;
                assert_eq!(answer["statusCode"], 503, "{name}: {answer}");
            }
            // Signed long ago, or not at all.
            _ => {
                let answer = webhook.invoke(event).await?;
                let expected = if name == "webhook.get.json" { 405 } else { 401 };
                assert_eq!(answer["statusCode"], expected, "{name}: {answer}");
            }
        }
    }
    Ok(())
}
