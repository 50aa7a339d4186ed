//! Shows the main job from nothing: users of a provider arrive in a Postgres, as one watches.
//!
//! `demo` ends by itself and leaves nothing running; `demo --stay` stays up and says what to try.
//! `--release` has the functions built as they are deployed, which takes longer.
//! `PROVIDER` names the provider, which is simulated; with the keys of a project of one's own in
//! the environment it is that project's users that are shown.

#![expect(clippy::print_stdout, reason = "showing is what it is for")]

mod lambda;
mod live;
mod provider;
mod show;
mod stay;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::postgres::{Options, Postgres};
use tests::secret_file::SecretFile;
use tests::simulator::Simulator;

use lambda::{Built, Lambda};
use provider::Provider;
use show::{Step, seconds, thousands};

#[tokio::main]
async fn main() -> ExitCode {
    let asked = |option: &str| std::env::args().any(|argument| argument == option);
    let built = match asked("--release") {
        true => Built::AsDeployed,
        false => Built::Quickly,
    };
    match demo(asked("--stay"), built).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\ndemo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// All that runs; dropped, it is gone.
struct Stage {
    lambda: Lambda,
    provider: Provider,
    server: Postgres,
    database: tests::database::Database,
    secret: Value,
    _secret: SecretFile,
}

async fn demo(stay: bool, built: Built) -> Result<()> {
    let begun = Instant::now();
    let mut stage = set_up(built).await?;
    provision(&stage).await?;
    backfill(&stage).await?;
    let webhook = stage.lambda.url("webhook");
    stage.provider.deliver_to(&stage.secret, &webhook)?;
    if stay {
        return stay::stay(&stage).await;
    }
    if let Some(simulator) = stage.provider.simulator() {
        live::show(&stage, simulator).await?;
    }
    let rows = stage.database.connect().await?;
    show::table(&rows).await?;
    let (live, deleted) = in_sync(&stage).await?;
    drop(stage);
    println!(
        "\nEverything is stopped again, {} after the start.",
        seconds(begun.elapsed())
    );
    println!("in sync: {live} users, {deleted} deleted");
    println!("`make dev` leaves it up, with the console: all of this in a browser.");
    Ok(())
}

async fn set_up(built: Built) -> Result<Stage> {
    let step =
        Step::begin("Starting PostgreSQL, the provider and the functions under cargo lambda");
    let server = Postgres::start(Options::default()).await?;
    let database = server.database().await?;
    let provider = Provider::of_environment().await?;
    let secret = provider.secret(database.url(), database.owner_url());
    let file = SecretFile::new(&secret)?;
    let account = provider.simulator().and_then(Simulator::account);
    let lambda = Lambda::start(&file.path(), account, built).await?;
    step.done(&provider.described());
    Ok(Stage {
        lambda,
        provider,
        server,
        database,
        secret,
        _secret: file,
    })
}

async fn provision(stage: &Stage) -> Result<()> {
    let step = Step::begin("provision makes the schema");
    let answer = stage.lambda.invoke("provision", json!({})).await?;
    step.done(&format!(
        "{} at version {}, with the roles {0}_writer and {0}_reader",
        text(&answer, "schema"),
        answer["version"],
    ));
    Ok(())
}

/// The first reconcile takes all users in; the table itself says how far it is.
async fn backfill(stage: &Stage) -> Result<()> {
    let step = Step::begin("reconcile takes in who is there already");
    let expected = stage.provider.count();
    let client = stage.database.connect().await?;
    let begun = Instant::now();
    let report = {
        let run = stage.lambda.invoke("reconcile", json!({}));
        tokio::pin!(run);
        loop {
            tokio::select! {
                report = &mut run => break report?,
                () = tokio::time::sleep(std::time::Duration::from_millis(100)) => {
                    show::progress(show::count(&client).await?, expected);
                }
            }
        }
    };
    show::progress_done();
    let listed = report["listed"].as_i64().context("a figure")?;
    ensure!(
        text(&report, "outcome") == "complete",
        "reconcile answers {report}"
    );
    step.done(&format!(
        "{} users in {}",
        thousands(listed),
        seconds(begun.elapsed())
    ));
    Ok(())
}

/// Nothing differs from the provider: by its own words where it is simulated, else by a dry run.
async fn in_sync(stage: &Stage) -> Result<(i64, i64)> {
    let client = stage.database.connect().await?;
    let report = stage
        .lambda
        .invoke("reconcile", json!({"dry_run": true}))
        .await?;
    for figure in [
        "created", "updated", "deleted", "revived", "rejected", "held",
    ] {
        ensure!(report[figure] == 0, "out of sync: {report}");
    }
    if let Some(simulator) = stage.provider.simulator() {
        show::compare(&client, simulator).await?;
    }
    show::counts(&client).await
}

fn text<'a>(answer: &'a Value, field: &str) -> &'a str {
    answer[field].as_str().unwrap_or_default()
}
