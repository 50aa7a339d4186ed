//! What of a person goes by itself: users who were deleted longer ago than `ERASE_AFTER_DAYS`.
//! What the secret redacts is in `providers/each/privacy.rs`, because it holds for each provider.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::function::Function;
use tests::stage::Stage;

/// A `reconcile` that erases after so many days.
async fn erasing(stage: &Stage, days: &str) -> Result<Function> {
    let days = ("ERASE_AFTER_DAYS".to_owned(), days.to_owned());
    let environment = stage.environment().into_iter().chain([days]);
    let function = Function::spawn("reconcile", environment).await?;
    function.ready().await?;
    Ok(function)
}

/// So many users, of whom the first so many were deleted, each a day longer ago than the one
/// before, from today on.
async fn deleted(users: u64, deleted: usize) -> Result<Stage> {
    let stage = Stage::backfilled(users).await?;
    for (age, id) in stage.ids()[..deleted].iter().enumerate() {
        stage.simulator.delete(id)?;
        let sql = format!(
            "UPDATE neon_identity.users_sync SET deleted_at = now() - interval '{age} days 1 hour',
                updated_at = now() - interval '{age} days 2 hours' WHERE id = '{id}'"
        );
        stage.execute(&sql).await?;
    }
    Ok(stage)
}

/// Ages in days of the tombstones that still have a profile.
async fn ages(stage: &Stage) -> Result<Vec<Value>> {
    let sql =
        "SELECT extract(day FROM now() - deleted_at)::int AS age FROM neon_identity.users_sync
        WHERE deleted_at IS NOT NULL AND raw_json <> '{}' ORDER BY age";
    let rows = stage.json(sql).await?;
    Ok(rows.into_iter().map(|row| row["age"].clone()).collect())
}

#[tokio::test]
async fn users_deleted_longer_ago_than_that_are_erased_and_no_others() -> Result<()> {
    let stage = deleted(20, 5).await?;
    stage.complete(json!({})).await?;
    assert_eq!(ages(&stage).await?, [0, 1, 2, 3, 4]);
    let reconcile = erasing(&stage, "3").await?;
    let dry = reconcile.invoke(json!({"dry_run": true})).await?;
    assert_eq!(dry["outcome"], "complete", "{dry}");
    assert_eq!(ages(&stage).await?, [0, 1, 2, 3, 4]);
    let report = reconcile.invoke(json!({})).await?;
    assert_eq!(
        (&report["outcome"], &report["unchanged"]),
        (&json!("complete"), &json!(15))
    );
    assert_eq!(ages(&stage).await?, [0, 1, 2]);
    let table = stage.table().await?;
    let erased: Vec<_> = table.iter().filter(|row| row.raw_json == "{}").collect();
    assert_eq!((table.len(), erased.len()), (20, 2));
    for row in erased {
        assert_eq!(
            (&row.name, &row.email, row.created_at),
            (&None, &None, None)
        );
        assert!(row.deleted_at.is_some());
    }
    let logs = reconcile.logs()?;
    let told = "\"message\":\"erased users who were deleted long ago\",\"count\":2,\"days\":3";
    assert!(logs.contains(told), "{logs}");
    // Once is enough.
    let versions = stage.versions().await?;
    reconcile.invoke(json!({})).await?;
    assert_eq!(stage.versions().await?, versions);
    Ok(())
}

#[tokio::test]
async fn many_are_erased_in_one_run_and_a_held_run_erases_too() -> Result<()> {
    let stage = Stage::backfilled(400).await?;
    for id in &stage.ids()[..350] {
        stage.simulator.delete(id)?;
    }
    let sql = "UPDATE neon_identity.users_sync SET deleted_at = now() - interval '8 days',
        updated_at = now() - interval '9 days' WHERE id = ANY ($1)";
    let old = stage.simulator.deleted_ids();
    let (old, new) = old.split_at(320);
    stage
        .query(sql, &[(&old, tokio_postgres::types::Type::TEXT_ARRAY)])
        .await?;
    let reconcile = erasing(&stage, "7").await?;
    let held = reconcile
        .invoke(json!({}))
        .await
        .err()
        .context("it is held")?;
    assert_eq!(held.error_type, "Held", "{held}");
    let table = stage.table().await?;
    let erased = table.iter().filter(|row| row.raw_json == "{}").count();
    ensure!(erased == old.len(), "{erased}");
    ensure!(new.len() == 30 && stage.living().await? == 80);
    Ok(())
}

#[tokio::test]
async fn what_the_table_keeps_is_told_and_fails_no_run() -> Result<()> {
    let stage = deleted(20, 3).await?;
    stage
        .execute(
            "CREATE FUNCTION public.keep() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'no'; END $$;
            CREATE TRIGGER keep BEFORE UPDATE ON neon_identity.users_sync
            FOR EACH ROW WHEN (NEW.raw_json = '{}') EXECUTE FUNCTION public.keep()",
        )
        .await?;
    let reconcile = erasing(&stage, "1").await?;
    let report = reconcile.invoke(json!({})).await?;
    assert_eq!(report["outcome"], "complete", "{report}");
    let logs = reconcile.logs()?;
    assert!(
        logs.contains("the table refuses it") && logs.contains("\"count\":2"),
        "{logs}"
    );
    Ok(())
}
