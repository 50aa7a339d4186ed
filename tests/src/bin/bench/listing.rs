//! A run that finds a few changes beside only fetching the same pages.

use std::time::Instant;

use anyhow::{Result, ensure};
use tests::stage::Stage;

use crate::backfill::USERS;
use crate::ground::{Listed, run};
use crate::report::{Report, note};
use crate::rounds::Rounds;

const ROUNDS: usize = 3;
const LATENCY_MS: u64 = 100;

pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    let listed = Listed::of(USERS).await?;
    let (mut ours, mut bare) = <(Rounds, Rounds)>::default();
    for _ in 0..ROUNDS {
        change_one_in_a_hundred(&listed.ground.stage).await?;
        listed.ground.age().await?;
        let reconcile = listed.reconcile().await?;
        listed.cache.set_latency(LATENCY_MS);
        let begun = Instant::now();
        let found = run(&reconcile).await?;
        ours.add(begun.elapsed().as_secs_f64());
        ensure!(found["updated"] == USERS / 100, "a run reports {found}");
        bare.add(fetch_all(&listed).await?);
        listed.cache.set_latency(0);
    }
    report.figure("reconcile_vs_listing", &ours.over(&bare))?;
    note("ours: seconds", &ours);
    note("only fetching: seconds", &bare);
    Ok(())
}

/// The rows of one user in a hundred say something else than the provider.
async fn change_one_in_a_hundred(stage: &Stage) -> Result<()> {
    let sql = "UPDATE neon_identity.users_sync SET name = 'Earlier',
          raw_json = jsonb_set(raw_json, '{display_name}', '\"Earlier\"')
        WHERE id IN (
          SELECT id FROM (
            SELECT id, row_number() OVER (ORDER BY created_at, id) AS place FROM neon_identity.users_sync
          ) AS all_users
          WHERE place % 100 = 0
        )";
    stage.execute(sql).await
}

/// Fetches each page once the one before has come, as a walk by a cursor must; in seconds.
async fn fetch_all(listed: &Listed) -> Result<f64> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let begun = Instant::now();
    for page in listed.cache.pages() {
        let answer = client.get(page).send().await?.error_for_status()?;
        answer.bytes().await?;
    }
    Ok(begun.elapsed().as_secs_f64())
}
