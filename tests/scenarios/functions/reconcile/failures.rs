//! Runs that fail, and say why: another project, a wrong key, a lost Postgres, a silent provider; and
//! rotated secrets, which do not fail a run.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;
use tests::postgres::{Mode, Options, Postgres};
use tests::simulator::{Call, Fault, Moment, Trouble};
use tests::stage::{Setup, Stage};

#[tokio::test]
async fn another_project_is_refused_by_name() -> Result<()> {
    let stage = Stage::backfilled(20).await?;
    let before = stage.versions().await?;
    stage
        .execute("UPDATE neon_identity.connection SET project = 'the-other-project'")
        .await?;
    let error = stage.fails(json!({}), "Failed").await?;
    let asked = stage.secret()["provider"]["project_id"].clone();
    let asked = asked.as_str().context("a project")?;
    for word in ["the-other-project", asked, "provision"] {
        assert!(error.error_message.contains(word), "{error}");
    }
    assert_eq!(stage.versions().await?, before);
    let last = stage.runs().await?.pop().context("a run")?;
    assert_eq!(last["outcome"], "failed");
    Ok(())
}

#[tokio::test]
async fn a_wrong_key_fails_with_advice_and_a_corrected_one_is_taken_in() -> Result<()> {
    let stage = Stage::backfilled(20).await?;
    let (before, right) = (stage.versions().await?, stage.secret());
    for (field, advice) in [("secret_server_key", "key"), ("project_id", "project")] {
        stage.change_secret(|secret| {
            *secret = right.clone();
            secret["provider"][field] = json!("wrong-and-not-to-be-told");
        })?;
        // The schema is bound to what the secret names.
        let project = stage.secret()["provider"]["project_id"].clone();
        let bind = format!(
            "UPDATE neon_identity.connection SET project = '{}'",
            project.as_str().unwrap_or_default()
        );
        stage.execute(&bind).await?;
        let reconcile = stage.start("reconcile").await?;
        let error = reconcile.invoke(json!({})).await.expect_err("refused");
        assert_eq!(error.error_type, "Failed");
        assert!(error.error_message.contains(advice), "{error}");
        if field == "secret_server_key" {
            assert!(!error.error_message.contains("wrong"), "{error}");
        }
        assert_eq!(stage.versions().await?, before);
    }
    stage.change_secret(|secret| {
        *secret = right.clone();
        secret["provider"]["secret_server_key"] = json!("ssk_old");
    })?;
    let bind = format!(
        "UPDATE neon_identity.connection SET project = '{}'",
        right["provider"]["project_id"].as_str().unwrap_or_default()
    );
    stage.execute(&bind).await?;
    let reconcile = stage.start("reconcile").await?;
    stage.change_secret(|secret| *secret = right)?;
    assert_eq!(reconcile.invoke(json!({})).await?["outcome"], "complete");
    Ok(())
}

#[tokio::test]
async fn a_rotated_database_password_is_taken_in() -> Result<()> {
    let stage = Stage::backfilled(5).await?;
    let url = stage.database.url().to_owned();
    let user = url.split(['/', ':']).nth(3).context("a user")?.to_owned();
    stage
        .execute(&format!("ALTER ROLE {user} PASSWORD 'rotated'"))
        .await?;
    let error = stage.fails(json!({}), "Failed").await?;
    assert!(error.error_message.contains("password"), "{error}");
    let reconcile = stage.start("reconcile").await?;
    stage.change_secret(|secret| {
        secret["database_url"] = json!(url.replace(&format!(":{user}@"), ":rotated@"));
    })?;
    assert_eq!(reconcile.invoke(json!({})).await?["outcome"], "complete");
    Ok(())
}

#[tokio::test]
async fn a_password_rotated_under_a_run_is_taken_in_by_that_run() -> Result<()> {
    let server = Postgres::shared().await?;
    let stage = Stage::on(server, Setup::default()).await?;
    stage.simulator.seed(2_500);
    stage.reconcile().await?;
    let url = stage.database.url().to_owned();
    let user = url.split(['/', ':']).nth(3).context("a user")?.to_owned();
    let (asked, reached) = tokio::sync::oneshot::channel();
    let simulator = &stage.simulator;
    simulator.once(Moment::After, Call::List, 1, move |_| {
        let _ = asked.send(());
    });
    // The third page is long in coming: all that is rotated is so before.
    simulator.switch(|switches| switches.latency_ms = 5_000);
    let event = json!({});
    let limit = Duration::from_secs(120);
    let own = stage.reconcile().await?;
    let invoked = own.invoke_with_deadline(event, limit);
    let rotate = async {
        reached.await.context("a second page")?;
        let change = format!("ALTER ROLE {user} PASSWORD 'rotated'");
        stage.execute(&change).await?;
        stage.change_secret(|secret| {
            secret["database_url"] = json!(url.replace(&format!(":{user}@"), ":rotated@"));
        })?;
        server.terminate_backends(stage.database.name()).await
    };
    let (report, rotated) = tokio::join!(invoked, rotate);
    rotated?;
    let report = report.context(stage.reconcile().await?.logs()?)?;
    assert_eq!(report["outcome"], "complete", "{report}");
    assert!(
        stage
            .reconcile()
            .await?
            .logs()?
            .contains("took in a rotated secret")
    );
    // One invocation, one row.
    assert_eq!(stage.runs().await?.len(), 1);
    stage.assert_in_sync().await
}

#[tokio::test]
async fn a_postgres_that_is_lost_fails_the_run_and_one_that_comes_back_does_not() -> Result<()> {
    let server = Postgres::start(Options::default()).await?;
    for mode in [Mode::Fast, Mode::Immediate] {
        let stage = Stage::on(&server, Setup::default()).await?;
        stage.simulator.seed(4_000);
        stage.reconcile().await?;
        let simulator = &stage.simulator;
        simulator.switch(|switches| switches.latency_ms = 300);
        let restart = async {
            while simulator.count(Call::List) < 3 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            server.stop(mode).await?;
            tokio::time::sleep(Duration::from_secs(2)).await;
            server.start_again().await
        };
        let own = stage.reconcile().await?;
        let (report, restarted) = tokio::join!(own.invoke(json!({})), restart);
        restarted?;
        assert_eq!(report?["outcome"], "complete");
        stage.assert_in_sync().await?;
    }
    let stage = Stage::on(&server, Setup::default()).await?;
    stage.simulator.seed(5);
    stage.reconcile().await?;
    server.stop(Mode::Fast).await?;
    let began = Instant::now();
    let limit = Duration::from_secs(10);
    let ended = stage
        .reconcile()
        .await?
        .invoke_with_deadline(json!({}), limit)
        .await;
    let error = ended.expect_err("no Postgres");
    assert_eq!(error.error_type, "Failed", "{error}");
    for word in ["Postgres", "database_url", "The next run"] {
        assert!(error.error_message.contains(word), "{error}");
    }
    assert!(began.elapsed() < limit);
    server.start_again().await?;
    stage.complete(json!({})).await?;
    stage.assert_in_sync().await
}

#[tokio::test]
async fn a_provider_that_is_silent_fails_the_run_within_its_time() -> Result<()> {
    let stage = Stage::backfilled(5).await?;
    stage
        .simulator
        .add_trouble(Trouble::every(Fault::Hang).on(Call::List));
    let limit = Duration::from_secs(5);
    let ended = stage
        .reconcile()
        .await?
        .invoke_with_deadline(json!({}), limit)
        .await;
    let error = ended.expect_err("no listing");
    assert_eq!(error.error_type, "Failed", "{error}");
    assert_eq!(stage.living().await?, 5);
    let last = stage.runs().await?.pop().context("a run")?;
    assert_eq!(last["outcome"], "failed");
    stage.simulator.clear_troubles();
    stage.complete(json!({})).await?;
    Ok(())
}
