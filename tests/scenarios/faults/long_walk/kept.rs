//! The walk's place outlives what passes: a run may fail, the next one goes on all the same.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::simulator::{Call, Fault, Trouble};

use super::{LONG, Walk};

const USERS: u64 = 12_000;

/// A few pages of a thousand, and no more.
const SHORT: Duration = Duration::from_secs(10);

impl Walk {
    /// A walk that was begun, and has pages left.
    async fn begun() -> Result<Self> {
        let walk = Self::new(USERS).await?;
        walk.stage.simulator.switch(|s| s.latency_ms = 1_000);
        let report = walk
            .reconcile
            .invoke_with_deadline(json!({}), SHORT)
            .await?;
        ensure!(report["outcome"] == "partial", "{report}");
        walk.stage.simulator.switch(|s| s.latency_ms = 0);
        Ok(walk)
    }

    async fn position(&self) -> Result<String> {
        let sql = "SELECT position FROM neon_identity.walk";
        let row = self.stage.json(sql).await?.pop().context("a walk")?;
        let position = row["position"].as_str();
        Ok(position.context("a place")?.to_owned())
    }

    /// A run fails, and the walk is at least where it was.
    async fn fails(&self) -> Result<()> {
        let ended = self.reconcile.invoke_with_deadline(json!({}), SHORT).await;
        let error = ended.err().context("it did not fail")?;
        ensure!(error.error_type == "Failed", "{error}");
        self.position().await?;
        Ok(())
    }

    /// The walk ends, and its start was asked for once.
    async fn ends_without_beginning_anew(&self) -> Result<()> {
        let report = self.reconcile.invoke_with_deadline(json!({}), LONG).await?;
        ensure!(report["outcome"] == "complete", "{report}");
        let listed = report["listed"].as_u64();
        ensure!(listed < Some(USERS), "it began anew: {report}");
        let requests = self.stage.simulator.requests();
        let starts = requests.iter().filter(|request| {
            request.call == Call::List
                && request.status == Some(200)
                && request.fault.is_none()
                && !request.query.contains("cursor=")
        });
        ensure!(starts.count() == 1, "it began anew");
        self.stage.assert_in_sync_by_digest(97).await
    }
}

#[tokio::test]
async fn a_walk_goes_on_when_the_provider_was_down_in_its_middle() -> Result<()> {
    for fault in [
        Fault::Status(503),
        Fault::Html(502),
        Fault::Html(200),
        Fault::Dropped,
        Fault::TooManyRequests {
            retry_after: Some(60),
        },
    ] {
        let walk = Walk::begun().await?;
        let simulator = &walk.stage.simulator;
        // Once for whole runs, once in the middle of one.
        simulator.add_trouble(Trouble::every(fault.clone()).on(Call::List));
        for _ in 0..2 {
            walk.fails().await.with_context(|| format!("{fault:?}"))?;
        }
        simulator.clear_troubles();
        let later = Trouble::every(fault.clone()).on(Call::List).after(3);
        simulator.add_trouble(later);
        let before = walk.position().await?;
        let ended = walk.reconcile.invoke_with_deadline(json!({}), SHORT).await;
        // A rate limit is no failure, if the run got anywhere.
        ensure!(
            ended.is_err() || ended?["outcome"] == "partial",
            "{fault:?}"
        );
        ensure!(walk.position().await? != before, "{fault:?}");
        simulator.clear_troubles();
        let ended = walk.ends_without_beginning_anew().await;
        ended.with_context(|| format!("{fault:?}"))?;
    }
    Ok(())
}

#[tokio::test]
async fn a_walk_goes_on_when_postgres_let_nobody_in() -> Result<()> {
    let walk = Walk::begun().await?;
    let url = walk.stage.database.url();
    let (_, user) = url.split_once("://").context("a URL")?;
    let (user, _) = user.split_once(':').context("a URL")?;
    walk.stage
        .execute(&format!("ALTER ROLE {user} NOLOGIN"))
        .await?;
    walk.stage
        .execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'users-sync'",
        )
        .await?;
    walk.fails().await?;
    walk.stage
        .execute(&format!("ALTER ROLE {user} LOGIN"))
        .await?;
    walk.ends_without_beginning_anew().await
}

#[tokio::test]
async fn users_of_a_page_that_broke_off_are_met_again() -> Result<()> {
    let walk = Walk::begun().await?;
    // The page is fetched and compared, and can't be written.
    let writer = "neon_identity_writer";
    let rights = "INSERT, UPDATE ON neon_identity.users_sync";
    walk.stage
        .execute(&format!("REVOKE {rights} FROM {writer}"))
        .await?;
    walk.fails().await?;
    walk.fails().await?;
    walk.stage
        .execute(&format!("GRANT {rights} TO {writer}"))
        .await?;
    walk.ends_without_beginning_anew().await
}

#[tokio::test]
async fn a_run_that_found_nobody_anew_leaves_no_place() -> Result<()> {
    let walk = Walk::new(30).await?;
    let simulator = &walk.stage.simulator;
    simulator.add_trouble(Trouble::every(Fault::Status(503)).on(Call::List));
    let ended = walk.reconcile.invoke_with_deadline(json!({}), SHORT).await;
    ensure!(ended.is_err());
    let place = walk.walk().await?;
    ensure!(
        place["position"].is_null() && place["met"].is_null(),
        "{place}"
    );
    Ok(())
}
