//! Facts that hold for every provider, with the real binaries: one set, run against each
//! simulated provider. Facts of one provider are in a file of its own beside this one.

mod answers;
mod deliveries;
mod manage;
mod paging;
mod privacy;
mod runs;

use anyhow::{Result, ensure};
use tests::stage::Stage;

pub(super) use paging::users_may_come_and_go_at_every_page;

/// Nobody is shown as deleted, and so many as living.
async fn assert_all_live(stage: &Stage, users: usize) -> Result<()> {
    let table = stage.table().await?;
    ensure!(table.iter().all(|row| row.lives()), "somebody is deleted");
    ensure!(table.len() == users, "{} rows", table.len());
    Ok(())
}
