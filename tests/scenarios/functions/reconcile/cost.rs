//! The cost of a run: seconds, bytes from the database, memory.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;
use tests::meter::Meter;
use tests::postgres::Postgres;
use tests::stage::Stage;

use super::{assert_figures, say};

#[tokio::test]
async fn ten_thousand_users_are_in_the_table_in_seconds_and_again_for_few_bytes() -> Result<()> {
    let stage = Stage::new().await?;
    let meter = Meter::start(Postgres::shared().await?.port()).await?;
    let url = stage.database.url().to_owned();
    stage.change_secret(|secret| secret["database_url"] = json!(meter.url(&url)))?;
    stage.simulator.seed(10_000);
    stage.reconcile().await?;
    let began = Instant::now();
    let report = stage.complete(json!({})).await?;
    let took = began.elapsed();
    let first = meter.sent();
    assert_figures(&report, &[("listed", 10_000), ("created", 10_000)]);
    // Each page begins with the last user of the one before.
    assert_eq!(report["pages"], 11);
    assert!(took < Duration::from_secs(30), "10 000 users took {took:?}");
    stage.assert_in_sync().await?;

    let before = stage.versions().await?;
    let report = stage.complete(json!({})).await?;
    let second = meter.sent();
    say(&format!(
        "10 000 users: {took:?}, {first} bytes to Postgres; again: {second}"
    ));
    assert_figures(&report, &[("listed", 10_000), ("unchanged", 10_000)]);
    assert!(stage.versions().await? == before, "a tuple was written");
    assert!(
        second * 8 < first && second < 10_000 * 150,
        "{first} bytes to Postgres, then {second}"
    );
    Ok(())
}

#[tokio::test]
async fn memory_does_not_grow_with_profiles() -> Result<()> {
    let mut peaks = Vec::new();
    for users in [20_000, 200_000] {
        let stage = Stage::seeded(users).await?;
        let began = Instant::now();
        let report = stage.complete(json!({})).await?;
        assert_figures(
            &report,
            &[
                ("listed", usize::try_from(users)?),
                ("created", usize::try_from(users)?),
            ],
        );
        let first = stage.reconcile().await?.peak_memory()?;
        stage.complete(json!({})).await?;
        let peak = stage.reconcile().await?.peak_memory()?;
        let took = began.elapsed();
        say(&format!(
            "{users} users, twice: {took:?}, {first} KiB, then {peak} KiB at most"
        ));
        peaks.push(peak);
    }
    // 180 000 more users are 180 MB of profiles, 6.5 MB of ids, 1.5 MB of their hashes.
    assert!(peaks[1] < 80 * 1024, "{peaks:?} KiB");
    assert!(peaks[1] - peaks[0] < 16 * 1024, "{peaks:?} KiB");
    Ok(())
}
