//! Facts that hold for every provider, with the real binaries: one set, run against each
//! simulated provider. Facts of one provider are in a file of its own beside this one.

mod answers;
mod deliveries;
mod manage;
mod paging;
mod privacy;
mod records;
mod runs;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::stage::Stage;

pub(super) use paging::users_may_come_and_go_at_every_page;

/// What the log says of the webhooks' endpoints, once a run has missed a user of whom none told.
pub(super) async fn said_of_endpoints(stage: &Stage) -> Result<serde_json::Value> {
    stage.complete(json!({})).await?;
    stage.simulator.create("Ada", "ada@example.com")?;
    stage.complete(json!({})).await?;
    stage
        .execute("UPDATE neon_identity.repairs SET at = at - interval '11 minutes'")
        .await?;
    let report = stage.complete(json!({})).await?;
    ensure!(report["missed"] == 1, "{report}");
    let logs = stage.reconcile().await?.logs()?;
    let line = logs
        .lines()
        .find(|line| line.contains("\"webhooks do not arrive\""));
    let line: serde_json::Value = serde_json::from_str(line.context(logs.clone())?)?;
    Ok(line["found"].clone())
}

/// Nobody is shown as deleted, and so many as living.
async fn assert_all_live(stage: &Stage, users: usize) -> Result<()> {
    let table = stage.table().await?;
    ensure!(table.iter().all(|row| row.lives()), "somebody is deleted");
    ensure!(table.len() == users, "{} rows", table.len());
    Ok(())
}
