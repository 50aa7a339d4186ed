//! A database that sleeps, wakes slowly, breaks off or falls silent: deliveries are answered within
//! the sender's 15 seconds, nothing has to be restarted, and runs wait.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::gate::{Gate, Way};
use tests::postgres::{Mode, Options, Postgres};
use tests::simulator::Call;
use tests::stage::{Setup, Stage};

/// How long Svix and its like wait for an answer; then the delivery has failed.
const SENDER: Duration = Duration::from_secs(15);

/// The time that Lambda gives a start.
const INIT: Duration = Duration::from_secs(10);

/// As long as a sleeping database takes at its slowest.
const WAKING: Duration = Duration::from_secs(4);

/// A stage whose database is reached through a gate.
async fn gated() -> Result<(Stage, Gate)> {
    let server = Postgres::shared().await?;
    let stage = Stage::on(server, Setup::default()).await?;
    let gate = Gate::start(server.port()).await?;
    stage.change_secret(|secret| {
        for field in ["database_url", "admin_database_url"] {
            let direct = secret[field].as_str().unwrap_or_default();
            secret[field] = json!(gate.url(direct));
        }
    })?;
    Ok((stage, gate))
}

/// Opens the gate after a while.
async fn wakes(gate: &Gate, after: Duration) {
    tokio::time::sleep(after).await;
    gate.set(Way::Open);
}

/// Delivers news of a new user; the status, and how long it took, which is never too long.
async fn news(stage: &Stage) -> Result<(u16, Duration)> {
    stage.simulator.create("Ada", "ada@example.com")?;
    let messages = stage.simulator.take_messages();
    let about_user = messages
        .iter()
        .find(|message| message.kind == "user.created");
    let began = Instant::now();
    let status = stage
        .deliver(about_user.context("no user.created")?)
        .await?;
    let took = began.elapsed();
    ensure!(took < SENDER, "{status} after {took:?}");
    Ok((status, took))
}

/// Delivers news that has to be taken.
async fn arrives(stage: &Stage) -> Result<Duration> {
    let (status, took) = news(stage).await?;
    let logs = stage.webhook().await?.logs()?;
    ensure!(status == 200, "{status} after {took:?}\n{logs}");
    Ok(took)
}

#[tokio::test]
async fn a_webhook_waits_for_a_database_that_wakes() -> Result<()> {
    for way in [Way::Held, Way::Reset] {
        let (stage, gate) = gated().await?;
        // Started while it sleeps.
        gate.set(way);
        let began = Instant::now();
        let stage = stage.receives().await?;
        ensure!(began.elapsed() < INIT, "it took {:?}", began.elapsed());
        let (taken, ()) = tokio::join!(arrives(&stage), wakes(&gate, WAKING));
        taken.with_context(|| format!("{way:?}"))?;
        // It fell asleep between two deliveries, and closed its connections.
        gate.set(way);
        gate.break_off();
        let (taken, ()) = tokio::join!(arrives(&stage), wakes(&gate, WAKING));
        taken.with_context(|| format!("{way:?}"))?;
        stage.assert_in_sync().await?;
    }
    Ok(())
}

#[tokio::test]
async fn while_a_database_is_away_a_webhook_says_so_in_time_and_needs_no_restart() -> Result<()> {
    for way in [Way::Held, Way::Reset] {
        let (stage, gate) = gated().await?;
        let stage = stage.receives().await?;
        arrives(&stage).await?;
        gate.set(way);
        gate.silence();
        for _ in 0..2 {
            let (status, _) = news(&stage).await?;
            ensure!(status == 503, "{way:?}: {status}");
        }
        gate.set(Way::Open);
        arrives(&stage).await?;
    }
    let server = Postgres::start(Options::default()).await?;
    let stage = Stage::on(&server, Setup::default())
        .await?
        .receives()
        .await?;
    server.stop(Mode::Fast).await?;
    let (status, _) = news(&stage).await?;
    ensure!(status == 503, "{status}");
    server.start_again().await?;
    arrives(&stage).await?;
    Ok(())
}

/// The fate of the connection while the function is frozen.
#[derive(Debug, Clone, Copy)]
enum Meanwhile {
    Nothing,
    /// The server ended it, and said so.
    Terminated,
    /// It was reset.
    Reset,
    /// Something between has forgotten it, and told nobody.
    Forgotten,
}

#[tokio::test]
async fn the_first_delivery_after_a_freeze_is_taken() -> Result<()> {
    let meanwhiles = [
        Meanwhile::Nothing,
        Meanwhile::Terminated,
        Meanwhile::Reset,
        Meanwhile::Forgotten,
    ];
    futures_util::future::try_join_all(meanwhiles.map(async |meanwhile| {
        let (stage, gate) = gated().await?;
        let stage = stage.receives().await?;
        arrives(&stage).await?;
        for _ in 0..2 {
            stage.webhook().await?.freeze()?;
            match meanwhile {
                Meanwhile::Nothing => {}
                Meanwhile::Terminated => {
                    let server = Postgres::shared().await?;
                    let database = stage.database.name();
                    ensure!(server.terminate_backends(database).await? > 0);
                }
                Meanwhile::Reset => gate.break_off(),
                Meanwhile::Forgotten => gate.silence(),
            }
            tokio::time::sleep(Duration::from_secs(6)).await;
            stage.webhook().await?.thaw();
            let took = arrives(&stage).await;
            let took = took.with_context(|| format!("{meanwhile:?}"))?;
            crate::functions::reconcile::say(&format!("{meanwhile:?}: {took:?}"));
        }
        stage.assert_in_sync().await
    }))
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_connection_that_falls_silent_in_use_costs_at_most_one_delivery() -> Result<()> {
    let (stage, gate) = gated().await?;
    let stage = stage.receives().await?;
    for _ in 0..2 {
        arrives(&stage).await?;
        gate.silence();
        let (status, _) = news(&stage).await?;
        ensure!([200, 503].contains(&status), "{status}");
        arrives(&stage).await?;
    }
    Ok(())
}

#[tokio::test]
async fn reconcile_and_provision_wait_for_a_database_that_wakes() -> Result<()> {
    futures_util::future::try_join_all([Way::Held, Way::Reset].map(async |way| {
        let (stage, gate) = gated().await?;
        stage.simulator.seed(30);
        gate.set(way);
        let provisioned = tokio::join!(stage.provision(), wakes(&gate, WAKING)).0?;
        ensure!(provisioned["applied"] == json!([]), "{provisioned}");
        gate.set(way);
        let reconcile = stage.start("reconcile").await?;
        let limit = Duration::from_secs(60);
        let run = reconcile.invoke_with_deadline(json!({}), limit);
        let report = tokio::join!(run, wakes(&gate, WAKING)).0?;
        ensure!(report["outcome"] == "complete", "{way:?}: {report}");
        stage.assert_in_sync().await
    }))
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_run_whose_lines_break_off_goes_on() -> Result<()> {
    let (stage, gate) = gated().await?;
    stage.simulator.seed(5_000);
    stage.simulator.switch(|switches| switches.latency_ms = 400);
    let reconcile = stage.start("reconcile").await?;
    let limit = Duration::from_secs(120);
    let run = reconcile.invoke_with_deadline(json!({}), limit);
    let trouble = async {
        for page in 1..6 {
            while stage.simulator.count(Call::List) < page {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            gate.break_off();
            if page == 3 {
                gate.set(Way::Held);
                wakes(&gate, WAKING).await;
            }
        }
    };
    let report = tokio::join!(run, trouble).0?;
    ensure!(report["outcome"] == "complete", "{report}");
    ensure!(gate.calls() > 4, "the lines did not break");
    stage.assert_in_sync().await
}
