//! `{"dry_run": true}`: the report of the run that would follow, and nothing written.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use tests::stage::{FIGURES, Stage};

use super::{STALENESS, assert_figures};

#[tokio::test]
async fn a_dry_run_says_what_the_run_after_it_does_and_writes_nothing() -> Result<()> {
    let stage = Stage::backfilled(1_100).await?;
    tokio::time::sleep(STALENESS).await;
    let (ids, simulator) = (stage.ids(), &stage.simulator);
    simulator.create("New", "newest@example.com")?;
    simulator.change_email_via_contact_channel(&ids[0], "new@example.com")?;
    simulator.rename(&ids[1], "Lost on the way")?;
    for id in &ids[2..5] {
        simulator.delete(id)?;
    }
    simulator.show_profile(&ids[5], &format!(r#"{{"id":"{}","n":1e5000}}"#, ids[5]))?;
    let edit = format!(
        "UPDATE neon_identity.users_sync SET deleted_at = now() WHERE id IN ('{}', '{}')",
        ids[6], ids[7]
    );
    stage.execute(&edit).await?;
    let before = stage.versions().await?;
    let dry = stage.complete(json!({"dry_run": true})).await?;
    assert_eq!(stage.versions().await?, before);
    assert!(stage.rejections().await?.is_empty());
    let run_row = stage.runs().await?.pop().context("a run")?;
    assert_eq!(run_row["dry_run"], true);
    let real = stage.complete(json!({})).await?;
    for figure in FIGURES {
        assert_eq!(dry[figure], real[figure], "{figure}: {dry} {real}");
    }
    let expected = [
        ("listed", 1_098),
        ("created", 1),
        ("updated", 2),
        ("unchanged", 1_092),
        ("deleted", 3),
        ("revived", 2),
        ("rejected", 1),
    ];
    assert_figures(&real, &expected);
    assert_eq!(stage.rejections().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_dry_run_is_held_as_the_run_after_it_is() -> Result<()> {
    let stage = Stage::backfilled(30).await?;
    for id in &stage.ids()[..12] {
        stage.simulator.delete(id)?;
    }
    let dry = stage.held(json!({"dry_run": true})).await?;
    let real = stage.held(json!({})).await?;
    for figure in FIGURES {
        assert_eq!(dry[figure], real[figure], "{figure}: {dry} {real}");
    }
    assert_eq!(real["held"], 12);
    Ok(())
}

#[tokio::test]
async fn a_dry_run_leaves_a_partial_walk_where_it_is() -> Result<()> {
    let stage = Stage::seeded(5_000).await?;
    let simulator = &stage.simulator;
    simulator.switch(|switches| switches.latency_ms = 700);
    let limit = Duration::from_millis(3_000);
    let first = stage
        .reconcile()
        .await?
        .invoke_with_deadline(json!({}), limit)
        .await?;
    assert_eq!(first["outcome"], "partial");
    simulator.switch(|switches| switches.latency_ms = 0);
    let dry = stage.complete(json!({"dry_run": true})).await?;
    assert_eq!(dry["listed"], 5_000);
    let second = stage.complete(json!({})).await?;
    let sum = first["listed"].as_i64().zip(second["listed"].as_i64());
    let sum = sum.map(|(first, second)| first + second);
    assert!(
        (5_000..=6_000).contains(&sum.context("figures")?),
        "{first} {second}"
    );
    assert_ne!(second["listed"], 5_000, "it went on");
    stage.assert_in_sync().await
}
