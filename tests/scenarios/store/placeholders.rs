//! Rows that an application made with `ensure_user`: they are nobody until a profile arrives, so
//! they hold no run, and those that the provider doesn't have are tombstoned.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::providers::PROVIDERS;
use tests::stage::{Setup, Stage};

const USERS: u64 = 40;

/// A stage whose users are in the table.
async fn synced(setup: Setup, users: u64) -> Result<Stage> {
    let stage = Stage::of(setup).await?;
    stage.simulator.seed(users);
    stage.complete(json!({})).await?;
    Ok(stage)
}

async fn ensure_users(stage: &Stage, ids: impl Iterator<Item = String>) -> Result<()> {
    for id in ids {
        let ensured = format!("SELECT neon_identity.ensure_user('{id}')");
        stage.execute(&ensured).await?;
    }
    Ok(())
}

async fn count(stage: &Stage, condition: &str) -> Result<usize> {
    let sql = format!("SELECT id FROM neon_identity.users_sync WHERE {condition}");
    Ok(stage.json(&sql).await?.len())
}

#[tokio::test]
async fn placeholders_of_nobody_are_tombstoned_and_hold_no_deletion() -> Result<()> {
    for provider in PROVIDERS {
        let work = placeholders_of_nobody(Setup::named(provider.name)?);
        work.await.with_context(|| provider.name.to_owned())?;
    }
    Ok(())
}

async fn placeholders_of_nobody(setup: Setup) -> Result<()> {
    let stage = synced(setup, USERS).await?;
    // Ids of nobody's, and texts that the provider would not even take for an id.
    let uuid = |n: u32| format!("00000000-0000-4000-8000-{n:012}");
    let nobody = (0..8).map(uuid).chain((0..3).map(|n| format!("no id {n}")));
    ensure_users(&stage, nobody).await?;
    let gone = stage.simulator.truth().next().context("a user")?.id;
    stage.simulator.delete(&gone)?;
    let dry = stage.run(json!({"dry_run": true})).await?;
    ensure!(
        dry["outcome"] == "complete" && dry["deleted"] == 12,
        "{dry}"
    );
    let report = stage.run(json!({})).await?;
    ensure!(report["outcome"] == "complete", "{report}");
    ensure!(report["deleted"] == 12 && report["held"] == 0, "{report}");
    ensure!(!stage.the_row(&gone).await?.lives());
    ensure!(count(&stage, "updated_at IS NULL AND deleted_at IS NULL").await? == 0);
    stage.assert_in_sync().await
}

#[tokio::test]
async fn placeholders_count_neither_for_the_brake_nor_against_it() -> Result<()> {
    let stage = synced(Setup::default(), USERS).await?;
    // Five in a hundred of 440 rows would be 22.
    ensure_users(&stage, (0..400).map(|n| format!("nobody-{n}"))).await?;
    let ids: Vec<_> = stage.simulator.truth().map(|user| user.id).collect();
    for id in &ids[..11] {
        stage.simulator.delete(id)?;
    }
    let held = stage.run(json!({})).await.err().context("held")?;
    ensure!(held.error_type == "Held", "{held}");
    let report: Value = serde_json::from_str(&held.error_message)?;
    ensure!(report["held"] == 11 && report["deleted"] == 0, "{report}");
    // A run that is held tombstones nobody at all.
    ensure!(count(&stage, "deleted_at IS NOT NULL").await? == 0);
    let report = stage.run(json!({"max_deletes": 11})).await?;
    ensure!(report["deleted"] == 411, "{report}");
    stage.assert_in_sync().await
}

#[tokio::test]
async fn an_empty_listing_is_not_held_for_placeholders_alone() -> Result<()> {
    let stage = synced(Setup::default(), 0).await?;
    ensure_users(&stage, (0..20).map(|n| format!("nobody-{n}"))).await?;
    let report = stage.run(json!({"max_deletes": 0})).await?;
    ensure!(report["outcome"] == "complete", "{report}");
    ensure!(report["deleted"] == 20 && report["held"] == 0, "{report}");
    ensure_users(&stage, ["another-nobody".to_owned()].into_iter()).await?;
    let report = stage.run(json!({})).await?;
    ensure!(report["outcome"] == "complete", "{report}");
    ensure!(report["deleted"] == 1, "{report}");
    Ok(())
}

#[tokio::test]
async fn a_placeholder_whose_user_is_there_is_filled() -> Result<()> {
    let stage = synced(Setup::default(), USERS).await?;
    let id = stage.simulator.create("Ada", "ada@example.com")?;
    ensure_users(&stage, [id.clone()].into_iter()).await?;
    let report = stage.run(json!({})).await?;
    ensure!(report["updated"] == 1 && report["deleted"] == 0, "{report}");
    ensure!(stage.the_row(&id).await?.name.as_deref() == Some("Ada"));
    stage.assert_in_sync().await
}
