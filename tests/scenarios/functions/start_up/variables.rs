//! Variables: where the secret is, the schema, and what is printed at a start.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::function::Function;
use tests::scratch::Scratch;
use tests::secret_file::SecretFile;
use tests::stage::Stage;

use super::{FUNCTIONS, HIDDEN, check, check_of, pairs, secret, with};
use crate::site::{SOON, does_not_start};

#[tokio::test]
async fn exactly_one_place_of_the_secret_is_named() -> Result<()> {
    let file = SecretFile::new(&secret())?;
    let path = file.path().display().to_string();
    let both = ["SECRET_ID", "SECRET_FILE", "exactly one"];
    check(&[], &both).await?;
    check(&pairs(&[("SECRET_ID", ""), ("SECRET_FILE", "")]), &both).await?;
    check(
        &pairs(&[("SECRET_ID", HIDDEN), ("SECRET_FILE", &path)]),
        &both,
    )
    .await
}

#[tokio::test]
async fn a_file_that_is_not_readable_is_named_by_its_variable() -> Result<()> {
    let scratch = Scratch::new(HIDDEN)?;
    let path = |name: &str| scratch.path().join(name).display().to_string();
    fs::create_dir(path("folder"))?;
    fs::write(path("bytes"), b"\xff\xfe")?;
    for name in ["nothing", "folder", "bytes"] {
        let environment = [("SECRET_FILE".to_owned(), path(name))];
        check(&environment, &["SECRET_FILE"]).await.context(name)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_schema_that_cannot_be_one_is_named() -> Result<()> {
    let file = SecretFile::new(&secret())?;
    let long = "x".repeat(55);
    for schema in [
        "Hiddenvalue",
        "hidden-value",
        "a\"b",
        "a b",
        "1a",
        "pg_hiddenvalue",
        "é",
        &long,
    ] {
        let mut environment = file.env().to_vec();
        environment.push(("SCHEMA".to_owned(), schema.to_owned()));
        check(&environment, &["\"error\":\"SCHEMA is not a name"]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_age_that_is_no_whole_number_of_days_is_named() -> Result<()> {
    let file = SecretFile::new(&secret())?;
    let hidden = format!("{HIDDEN}7");
    for age in [
        "0", "00", "-1", "+1", "1.5", "1e2", "7d", " 7", "7 ", "0x7", "٧", &hidden,
    ] {
        let mut environment = file.env().to_vec();
        environment.push(("ERASE_AFTER_DAYS".to_owned(), age.to_owned()));
        let words = "ERASE_AFTER_DAYS is not a whole number of days from 1 on";
        check_of(&["reconcile"], &environment, &[words]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_empty_variable_is_as_good_as_none() -> Result<()> {
    let stage = Stage::new().await?;
    let file = SecretFile::new(&stage.secret())?;
    for name in ["webhook", "reconcile", "provision"] {
        let mut environment = file.env().to_vec();
        environment.extend(pairs(&[
            ("SECRET_ID", ""),
            ("SCHEMA", ""),
            ("RUST_LOG", ""),
            ("ERASE_AFTER_DAYS", ""),
        ]));
        let function = Function::spawn(name, environment).await?;
        function.ready().await?;
        if name != "webhook" {
            function.invoke(json!({})).await?;
            // Its own default: info.
            assert!(
                function.logs()?.contains("\"INFO\""),
                "{}",
                function.logs()?
            );
        }
    }
    assert_eq!(stage.runs().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn reconcile_logs_its_answer() -> Result<()> {
    let stage = Stage::new().await?;
    stage.simulator.seed(3);
    let reconcile = stage.reconcile().await?;
    let answer = reconcile.invoke(json!({})).await?;
    let logs = reconcile.logs()?;
    let lines = logs.lines().map(serde_json::from_str::<Value>);
    let logged = lines
        .filter_map(Result::ok)
        .find(|line| line["message"] == "reconciled");
    let logged = logged.with_context(|| logs.clone())?;
    for (figure, value) in answer.as_object().context("an object")? {
        assert_eq!(logged[figure], *value, "{figure}: {logs}");
    }
    Ok(())
}

#[tokio::test]
async fn a_start_is_quick_whatever_is_wrong() -> Result<()> {
    let file = SecretFile::new(&with("/provider", None))?;
    for name in FUNCTIONS {
        let begun = Instant::now();
        let function = Function::spawn(name, file.env()).await?;
        does_not_start(&function).await?;
        assert!(begun.elapsed() < SOON / 2, "{name}: {:?}", begun.elapsed());
    }
    Ok(())
}

#[tokio::test]
async fn a_retention_that_is_no_whole_number_is_named() -> Result<()> {
    let stage = Stage::new().await?;
    let with = |days: &str| {
        let environment = stage.environment().into_iter();
        environment.chain([("RETENTION_DAYS".to_owned(), days.to_owned())])
    };
    for name in ["webhook", "reconcile"] {
        for days in ["hiddenvalue", "-1", "7.5", " 7", "1e1"] {
            let function = Function::spawn(name, with(days)).await?;
            does_not_start(&function).await?;
            let logs = function.logs()?;
            assert!(
                logs.contains("RETENTION_DAYS is not a whole number"),
                "{name} {days}: {logs}"
            );
            assert!(
                !logs.contains(HIDDEN) && !logs.contains("hiddenvalue"),
                "{logs}"
            );
        }
        for days in ["", "0", "30", "99999999999999999999"] {
            Function::spawn(name, with(days)).await?.ready().await?;
        }
    }
    // It is not asked.
    let provision = Function::spawn("provision", with("hiddenvalue")).await?;
    provision.ready().await?;
    provision.invoke(json!({})).await?;
    Ok(())
}
