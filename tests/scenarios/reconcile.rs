//! `reconcile`: whatever the table says before, afterwards it says what the provider does.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::simulator::{Call, Fault, Trouble};
use tests::stage::Stage;

async fn staged(users: u64) -> Result<(Stage, tests::function::Function)> {
    let stage = Stage::new().await?;
    stage.simulator.seed(users);
    let reconcile = stage.reconcile().await?;
    Ok((stage, reconcile))
}

#[tokio::test]
async fn a_first_run_takes_everybody_in_and_a_second_writes_nothing() -> Result<()> {
    let (stage, reconcile) = staged(2_500).await?;
    let first = reconcile.invoke(json!({})).await?;
    assert_eq!(first["outcome"], "complete");
    assert_eq!(
        (&first["listed"], &first["created"]),
        (&json!(2_500), &json!(2_500))
    );
    stage.assert_in_sync().await?;
    let before = stage.versions().await?;
    let second = reconcile.invoke(json!({})).await?;
    assert_eq!(second["unchanged"], 2_500);
    assert_eq!(stage.versions().await?, before);
    Ok(())
}

#[tokio::test]
async fn a_row_edited_by_hand_is_put_right() -> Result<()> {
    for edit in [
        "raw_json = '{}'",
        "name = 'x'",
        "email = NULL",
        "created_at = 'infinity'",
        "updated_at = NULL",
        "updated_at = now() + interval '1 year', name = 'x'",
        "deleted_at = now() + interval '1 year'",
        "id = 'put in by hand'",
    ] {
        let (stage, reconcile) = staged(20).await?;
        reconcile.invoke(json!({})).await?;
        let one = "(SELECT min(id) FROM neon_identity.users_sync)";
        let sql = format!("UPDATE neon_identity.users_sync SET {edit} WHERE id = {one}");
        stage.execute(&sql).await?;
        let report = reconcile.invoke(json!({})).await?;
        assert_eq!(report["outcome"], "complete", "{edit}");
        stage
            .assert_in_sync()
            .await
            .with_context(|| edit.to_owned())?;
    }
    Ok(())
}

#[tokio::test]
async fn what_no_webhook_told_is_repaired_and_a_dry_run_says_so_before() -> Result<()> {
    let (stage, reconcile) = staged(50).await?;
    reconcile.invoke(json!({})).await?;
    let ids: Vec<_> = stage
        .simulator
        .truth()
        .take(2)
        .map(|truth| truth.id)
        .collect();
    stage.simulator.rename(&ids[0], "Renamed")?;
    stage.simulator.delete(&ids[1])?;
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    let before = stage.versions().await?;
    let dry = reconcile.invoke(json!({"dry_run": true})).await?;
    assert_eq!(stage.versions().await?, before);
    let real = reconcile.invoke(json!({})).await?;
    for figure in [
        "listed",
        "created",
        "updated",
        "deleted",
        "revived",
        "unchanged",
    ] {
        assert_eq!(dry[figure], real[figure], "{figure}");
    }
    assert_eq!((&real["updated"], &real["deleted"]), (&json!(1), &json!(1)));
    let row = stage.the_row(&ids[1]).await?;
    assert!(!row.lives() && row.raw_json != "{}");
    Ok(())
}

#[tokio::test]
async fn more_missing_users_than_permitted_are_held_until_a_person_says_how_many() -> Result<()> {
    let (stage, reconcile) = staged(60).await?;
    reconcile.invoke(json!({})).await?;
    let ids: Vec<_> = stage
        .simulator
        .truth()
        .take(11)
        .map(|truth| truth.id)
        .collect();
    for id in &ids {
        stage.simulator.delete(id)?;
    }
    let held = reconcile.invoke(json!({})).await.expect_err("held");
    assert_eq!(held.error_type, "Held");
    let report: Value = serde_json::from_str(&held.error_message)?;
    assert_eq!(
        (&report["held"], &report["deleted"]),
        (&json!(11), &json!(0))
    );
    assert!(stage.table().await?.iter().all(|row| row.lives()));
    let runs = stage.runs().await?;
    assert_eq!(runs.last().context("a run")?["outcome"], "held");
    let report = reconcile.invoke(json!({"max_deletes": 11})).await?;
    assert_eq!(report["deleted"], 11);
    stage.assert_in_sync().await
}

#[tokio::test]
async fn an_empty_listing_tombstones_nobody() -> Result<()> {
    let (stage, reconcile) = staged(5).await?;
    reconcile.invoke(json!({})).await?;
    let ids: Vec<_> = stage.simulator.truth().map(|truth| truth.id).collect();
    stage
        .simulator
        .add_trouble(Trouble::every(Fault::EmptyListing).on(Call::List));
    let held = reconcile.invoke(json!({})).await.expect_err("held");
    assert_eq!(held.error_type, "Held");
    stage.simulator.clear_troubles();
    for id in &ids {
        assert!(stage.the_row(id).await?.lives());
    }
    stage.assert_in_sync().await
}

#[tokio::test]
async fn a_field_that_is_misspelt_is_refused() -> Result<()> {
    let (_stage, reconcile) = staged(1).await?;
    let error = reconcile
        .invoke(json!({"max_delete": 1}))
        .await
        .expect_err("refused");
    assert_eq!(error.error_type, "Failed");
    Ok(())
}
