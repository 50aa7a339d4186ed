//! An application that holds a lock on somebody's row: nobody else waits for it, and what was given
//! up leaves nothing behind on the server.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::pgbouncer::PgBouncer;
use tests::postgres::{Options, Postgres, connect};
use tests::simulator::Message;
use tests::stage::{Setup, Stage};

/// Longer than a lease.
const LONG: Duration = Duration::from_secs(35);

/// Longer than a new connection takes on a busy machine, and shorter than any wait for a lock, which
/// ends after 8 seconds.
const SOON: Duration = Duration::from_secs(5);

/// The simulator's messages about one user.
fn about_user(stage: &Stage, kind: &str) -> Result<Message> {
    let mut messages = stage.simulator.take_messages().into_iter();
    let found = messages.find(|message| message.kind == kind);
    found.with_context(|| format!("no {kind}"))
}

/// How many statements wait for a lock.
async fn waiting(stage: &Stage) -> Result<i64> {
    let sql = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    Ok(stage.query(sql, &[]).await?[0].get(0))
}

/// A's delivery is given up, `slow` after the provider was asked; B's is served at once.
async fn the_next_is_served(server: &Postgres, stage: Stage, slow: Duration) -> Result<()> {
    let stage = stage.receives().await?;
    let simulator = &stage.simulator;
    let locked = simulator.create("Ada", "ada@example.com")?;
    stage.deliver_all().await?;
    let mut application = connect(stage.database.admin_url()).await?;
    let holding = application.transaction().await?;
    holding
        .execute(
            "SELECT FROM neon_identity.users_sync WHERE id = $1 FOR UPDATE",
            &[&locked],
        )
        .await?;
    simulator.rename(&locked, "Countess")?;
    let message = about_user(&stage, "user.updated")?;
    let latency = u64::try_from(slow.as_millis())?;
    simulator.switch(|switches| switches.latency_ms = latency);
    let status = stage.deliver(&message).await?;
    ensure!(status == 503, "{status}");
    simulator.switch(|switches| switches.latency_ms = 0);
    // The server was told, too, before the answer was given.
    let given_up = Instant::now();
    while waiting(&stage).await? > 0 {
        ensure!(given_up.elapsed() < SOON, "it still waits");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    simulator.create("Bob", "bob@example.com")?;
    let message = about_user(&stage, "user.created")?;
    let begun = Instant::now();
    let status = stage.deliver(&message).await?;
    let logs = stage.webhook().await?.logs()?;
    ensure!(status == 200, "{status}\n{logs}");
    ensure!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    holding.rollback().await?;
    let still = server.port();
    simulator.rename(&locked, "Lady")?;
    stage
        .deliver_all()
        .await
        .with_context(|| format!("port {still}"))?;
    stage.assert_in_sync().await
}

#[tokio::test]
async fn a_delivery_that_is_given_up_is_in_nobodys_way() -> Result<()> {
    let server = Postgres::shared().await?;
    let encrypted = Postgres::start(Options::default().tls()).await?;
    let bouncer = PgBouncer::start(server, 2).await?;
    let plain = |slow: u64| async move {
        let stage = Stage::on(server, Setup::default()).await?;
        the_next_is_served(server, stage, Duration::from_secs(slow)).await
    };
    let over_tls = async {
        let stage = Stage::on(&encrypted, Setup::default()).await?;
        let url = format!("{}?sslmode=require", stage.database.url());
        stage.change_secret(|secret| secret["database_url"] = json!(url))?;
        the_next_is_served(&encrypted, stage, Duration::from_secs(3)).await
    };
    let pooled = async {
        let stage = Stage::on(server, Setup::default()).await?;
        let url = bouncer.url(stage.database.url());
        stage.change_secret(|secret| secret["database_url"] = json!(url))?;
        let served = the_next_is_served(server, stage, Duration::from_secs(3)).await;
        served.with_context(|| bouncer.log().unwrap_or_default())
    };
    // The statement's own patience ends; the delivery's time does.
    tokio::try_join!(
        async { plain(0).await.context("at once") },
        async { plain(3).await.context("after a slow read") },
        async { over_tls.await.context("over TLS") },
        async { pooled.await.context("behind a pooler") },
    )?;
    Ok(())
}

#[tokio::test]
async fn a_lease_is_kept_while_a_statement_waits_for_longer_than_it() -> Result<()> {
    let stage = Stage::new().await?;
    stage.simulator.seed(20);
    let reconcile = stage.reconcile().await?;
    reconcile.invoke(json!({})).await?;
    let locked = stage.simulator.truth().next().context("a user")?.id;
    let mut application = connect(stage.database.admin_url()).await?;
    let holding = application.transaction().await?;
    holding
        .execute(
            "SELECT FROM neon_identity.users_sync WHERE id = $1 FOR UPDATE",
            &[&locked],
        )
        .await?;
    stage.simulator.rename(&locked, "Countess")?;
    let limit = Duration::from_secs(120);
    let run = reconcile.invoke_with_deadline(json!({}), limit);
    let meanwhile = async {
        while waiting(&stage).await? == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(LONG).await;
        ensure!(waiting(&stage).await? == 1, "it waits no more");
        let other = stage.start("reconcile").await?;
        let report = other.invoke(json!({})).await?;
        ensure!(report["outcome"] == "busy", "{report}");
        holding.rollback().await?;
        Ok(())
    };
    let (report, ()) = tokio::try_join!(async { Ok(run.await?) }, meanwhile)?;
    ensure!(report["outcome"] == "complete", "{report}");
    stage.assert_in_sync().await
}
