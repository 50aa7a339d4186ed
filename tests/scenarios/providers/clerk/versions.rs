//! Versions: none falls, except where a person has set it.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use super::Site;

#[tokio::test]
async fn no_version_falls_however_long_reads_lag() -> Result<()> {
    let site = Site::new().await?;
    let reconcile = site.stage.reconcile().await?;
    let id = site.world().create("Ada", "ada@example.com")?;
    site.world().create("Bob", "bob@example.com")?;
    site.world().take_messages();
    let report = reconcile.invoke(json!({})).await?;
    ensure!(report["outcome"] == "complete", "{report}");
    site.world().clock().advance(Duration::from_secs(300));
    let renamed = site.later(|world| world.rename(&id, "Ada Lovelace"))?;
    site.deliver(&renamed).await?;
    let newest = site.stage.the_row(&id).await?;

    // Minutes longer than is assumed: listings and reads show what was before.
    site.world().switch(|switches| switches.lag_ms = 200_000);
    for _ in 0..2 {
        let report = reconcile.invoke(json!({})).await?;
        ensure!(report["outcome"] == "complete", "{report}");
        ensure!(report["updated"] == 0, "{report}");
        ensure!(site.stage.the_row(&id).await? == newest);
    }
    // Nor is a user revived by what was before.
    let tombstone = format!(
        "UPDATE neon_identity.users_sync SET deleted_at = clock_timestamp() WHERE id = '{id}'"
    );
    site.stage.execute(&tombstone).await?;
    let report = reconcile.invoke(json!({})).await?;
    ensure!(report["revived"] == 0, "{report}");
    ensure!(site.stage.the_row(&id).await?.updated_at == newest.updated_at);

    site.world().switch(|switches| switches.lag_ms = 0);
    let report = reconcile.invoke(json!({})).await?;
    ensure!(report["revived"] == 1, "{report}");
    site.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_version_that_a_person_has_set_falls_to_the_providers_own() -> Result<()> {
    let site = Site::new().await?;
    let reconcile = site.stage.reconcile().await?;
    let id = site.world().create("Ada", "ada@example.com")?;
    let report = reconcile.invoke(json!({})).await?;
    ensure!(report["outcome"] == "complete", "{report}");
    let right = site.stage.the_row(&id).await?;
    for edit in [
        "updated_at = updated_at + interval '1 day'",
        "updated_at = updated_at + interval '1 day', name = 'Eve'",
        "updated_at = updated_at + interval '1 day', raw_json = '{}'",
        "updated_at = updated_at + interval '1 ms', raw_json = '[]'",
        "updated_at = clock_timestamp() + interval '1 year'",
        "updated_at = 'infinity'",
        "updated_at = NULL",
        "raw_json = jsonb_set(raw_json, '{first_name}', '\"Eve\"')",
        "raw_json = jsonb_set(raw_json, '{updated_at}', '1')",
    ] {
        let edit = format!("UPDATE neon_identity.users_sync SET {edit} WHERE id = '{id}'");
        site.stage.execute(&edit).await?;
        let report = reconcile.invoke(json!({})).await?;
        ensure!(report["updated"] == 1, "{edit}: {report}");
        ensure!(site.stage.the_row(&id).await? == right, "{edit}");
    }
    Ok(())
}
