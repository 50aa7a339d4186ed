//! What applications talk to Postgres with sees the table as it is documented, joins it and refers to
//! it: each has a program in tests/clients.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::function::Function;
use tests::scratch::Scratch;
use tests::stage::Stage;
use tests::tools::{node, workspace};
use tests::watchdog::Watched;

/// Where Neon had its table, and where Drizzle's own helper looks for it.
const SCHEMA: &str = "neon_auth";

/// Runs a program of tests/clients beside a table that `reconcile` has filled.
async fn sees_the_table(interpreter: &Path, program: &str, said: &str) -> Result<()> {
    let stage = Stage::new().await?;
    let id = stage.simulator.create("Ada Lovelace", "ada@example.com")?;
    for function in ["provision", "reconcile"] {
        let schema = ("SCHEMA".to_owned(), SCHEMA.to_owned());
        let environment = stage.environment().into_iter().chain([schema]);
        let function = Function::spawn(function, environment).await?;
        function.invoke(json!({})).await?;
    }
    let folder = workspace().join("tests/clients");
    let scratch = Scratch::new("clients")?;
    let log = scratch.path().join("log");
    let mut script = Watched::command(interpreter, "KILL");
    script
        .arg(program)
        .current_dir(&folder)
        .env("DATABASE_URL", stage.database.admin_url())
        .env("SCHEMA", SCHEMA)
        .env("USER_ID", &id);
    let script = Watched::spawn(&mut script, &log)?;
    let code = script.wait(Duration::from_secs(60)).await;
    let code = code.with_context(|| format!("{program} did not end"))?;
    let lines = String::from_utf8_lossy(&std::fs::read(&log)?).into_owned();
    let expected = format!("{said}: sees, joins, refers");
    ensure!(
        code == 0 && lines.lines().any(|line| line == expected),
        "{program}: {code} (where a package is missing, run `make setup`)\n{lines}"
    );
    Ok(())
}

fn python() -> std::path::PathBuf {
    workspace().join(".tools/venv/bin/python")
}

#[tokio::test]
async fn drizzles_own_helper_finds_it_in_neons_schema() -> Result<()> {
    sees_the_table(&node()?, "drizzle.mjs", "drizzle").await
}

#[tokio::test]
async fn prismas_introspection_makes_a_model_of_it() -> Result<()> {
    sees_the_table(&node()?, "prisma.mjs", "prisma").await
}

#[tokio::test]
async fn sqlalchemy_reflects_it() -> Result<()> {
    sees_the_table(&python(), "reflect.py", "sqlalchemy").await
}

#[tokio::test]
async fn djangos_inspectdb_makes_a_model_of_it() -> Result<()> {
    sees_the_table(&python(), "inspectdb.py", "django").await
}
