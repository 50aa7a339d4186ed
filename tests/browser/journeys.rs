//! The journeys, each a test: which script, at which provider, and how it is looked at.

use anyhow::Result;
use serde_json::json;

use crate::ground::{Ground, Look};

/// From no provider to a synced table, without leaving the page.
async fn connects(provider: &str, look: Look) -> Result<()> {
    let ground = Ground::new(provider, 12).await?;
    ground.journey("connect", look, json!({})).await?;
    let client = ground.database.connect().await?;
    let sql = "SELECT count(*) FROM neon_identity.users_sync WHERE deleted_at IS NULL";
    let living: i64 = client.query_one(sql, &[]).await?.get(0);
    assert_eq!(living, 13, "all who were there, and one who signed up");
    Ok(())
}

#[tokio::test]
async fn stack_is_connected() -> Result<()> {
    connects("stack", Look::Desktop).await
}

#[tokio::test]
async fn hexclave_is_connected_on_a_phone_in_the_dark() -> Result<()> {
    connects("hexclave", Look::PhoneDark).await
}

#[tokio::test]
async fn clerk_is_connected_on_a_phone() -> Result<()> {
    connects("clerk", Look::Phone).await
}

#[tokio::test]
async fn workos_is_connected_through_its_api() -> Result<()> {
    connects("workos", Look::DesktopDark).await
}

#[tokio::test]
async fn auth0_is_connected_without_scripts() -> Result<()> {
    connects("auth0", Look::Plain).await
}

#[tokio::test]
async fn supabase_is_connected_without_scripts() -> Result<()> {
    connects("supabase", Look::Plain).await
}

/// The person pastes an access token, and no key.
#[tokio::test]
async fn a_project_is_made_and_chosen_on_a_phone() -> Result<()> {
    let ground = Ground::new("supabase", 0).await?;
    ground.journey("projects", Look::Phone, json!({})).await?;
    let client = ground.database.connect().await?;
    let sql = "SELECT count(*) FROM neon_identity.users_sync WHERE deleted_at IS NULL";
    let living: i64 = client.query_one(sql, &[]).await?.get(0);
    assert_eq!(living, 1, "the one who signed up");
    Ok(())
}

#[tokio::test]
async fn a_first_run_is_watched() -> Result<()> {
    let ground = Ground::connected("stack", 120).await?;
    ground.journey("run", Look::Desktop, json!({})).await?;
    let client = ground.database.connect().await?;
    let sql = "SELECT count(*) FROM neon_identity.users_sync WHERE deleted_at IS NULL";
    let living: i64 = client.query_one(sql, &[]).await?.get(0);
    assert_eq!(living, 120);
    Ok(())
}

/// From a search to a tombstone.
async fn users_are_managed(provider: &str, look: Look) -> Result<()> {
    let ground = Ground::connected(provider, 0).await?;
    ground.journey("manage", look, json!({})).await
}

#[tokio::test]
async fn users_are_managed_on_a_phone() -> Result<()> {
    users_are_managed("stack", Look::Phone).await
}

#[tokio::test]
async fn users_are_managed_without_scripts() -> Result<()> {
    users_are_managed("clerk", Look::Plain).await
}

#[tokio::test]
async fn a_rejection_is_tried_again() -> Result<()> {
    let ground = Ground::connected("workos", 0).await?;
    let client = ground.database.connect().await?;
    client
        .batch_execute(
            "ALTER TABLE neon_identity.users_sync
             ADD CONSTRAINT a_name CHECK (name <> 'Refused Person')",
        )
        .await?;
    ground
        .simulator
        .create("Refused Person", "refused@example.com")?;
    let begun = std::time::Instant::now();
    let sql = "SELECT count(*) FROM neon_identity.rejections";
    while client.query_one(sql, &[]).await?.get::<_, i64>(0) == 0 {
        assert!(begun.elapsed().as_secs() < 30, "nothing was rejected");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let refused = json!({ "storable": false });
    ground
        .journey("rejection", Look::DesktopDark, refused)
        .await?;
    client
        .batch_execute("ALTER TABLE neon_identity.users_sync DROP CONSTRAINT a_name")
        .await?;
    let storable = json!({ "storable": true });
    ground.journey("rejection", Look::Desktop, storable).await
}

#[tokio::test]
async fn attempts_to_sign_in_are_limited() -> Result<()> {
    let ground = Ground::connected("stack", 0).await?;
    ground.journey("limited", Look::Phone, json!({})).await
}

#[tokio::test]
async fn a_held_run_is_released_for_exactly_those_who_were_shown() -> Result<()> {
    let ground = Ground::connected("clerk", 40).await?;
    ground.journey("held", Look::Desktop, json!({})).await?;
    let client = ground.database.connect().await?;
    let sql = "SELECT count(*) FROM neon_identity.users_sync WHERE deleted_at IS NOT NULL";
    let deleted: i64 = client.query_one(sql, &[]).await?.get(0);
    assert_eq!(deleted, 12);
    Ok(())
}
