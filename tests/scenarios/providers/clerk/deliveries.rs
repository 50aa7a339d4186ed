//! Deliveries: versions order them, and a deletion's time is in the event alone.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::simulator::Clerk;

use super::{Site, time};

#[tokio::test]
async fn a_late_older_update_is_stale_and_nobody_is_read() -> Result<()> {
    let site = Site::new().await?;
    let id = site.ada().await?;
    let older = site.later(|clerk| clerk.rename(&id, "Ada Older"))?;
    let newer = site.later(|clerk| clerk.rename(&id, "Ada Newer"))?;
    site.deliver(&newer).await?;
    site.deliver(&older).await?;
    site.deliver(&newer).await?;
    assert_eq!(site.name(&id).await?.as_deref(), Some("Ada Newer"));
    site.stage.assert_in_sync().await?;
    assert_eq!(site.reads(), 0, "a statement needs no read");
    Ok(())
}

#[tokio::test]
async fn two_updates_of_one_millisecond_are_settled_by_a_read() -> Result<()> {
    for late_first in [false, true] {
        let site = Site::new().await?;
        let id = site.ada().await?;
        let first = site.later(|clerk| clerk.rename(&id, "Ada First"))?;
        let second = site.now(|clerk| clerk.rename(&id, "Ada Second"))?;
        let order = match late_first {
            true => [&second, &first],
            false => [&first, &second],
        };
        for message in order {
            site.deliver(message).await?;
        }
        assert_eq!(site.name(&id).await?.as_deref(), Some("Ada Second"));
        site.stage.assert_in_sync().await?;
        assert!(site.reads() > 0);
    }
    Ok(())
}

#[tokio::test]
async fn a_late_update_of_what_lay_between_there_and_back_is_stale() -> Result<()> {
    let site = Site::new().await?;
    let id = site.ada().await?;
    let there = site.later(|clerk| clerk.rename(&id, "Countess"))?;
    let back = site.later(|clerk| clerk.rename(&id, "Ada Lovelace"))?;
    site.deliver(&back).await?;
    site.deliver(&there).await?;
    assert_eq!(site.name(&id).await?.as_deref(), Some("Ada Lovelace"));
    site.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_deletion_is_of_the_events_time_in_either_unit_and_final() -> Result<()> {
    for events_in_seconds in [false, true] {
        let instance = Clerk {
            events_in_seconds,
            ..Clerk::default()
        };
        let site = Site::of(instance).await?;
        let id = site.ada().await?;
        let renamed = site.later(|clerk| clerk.rename(&id, "Countess"))?;
        let renamed_at = site.world().clock().now();
        let late = site.later(|clerk| clerk.rename(&id, "Late"))?;
        let deleted = site.later(|clerk| clerk.delete(&id))?;
        let deleted_at = site.world().clock().now();
        site.deliver(&renamed).await?;
        let before = site.stage.the_row(&id).await?;
        site.deliver(&deleted).await?;
        let after = site.stage.the_row(&id).await?;
        let unit = if events_in_seconds { 1_000 } else { 1 };
        assert_eq!(after.deleted_at, time(deleted_at / unit * unit));
        assert_eq!(
            after.updated_at,
            time(renamed_at),
            "a deletion is no update"
        );
        assert_eq!((after.raw_json, after.name), (before.raw_json, before.name));

        // A late event makes nobody alive.
        for message in [&late, &renamed, &deleted] {
            site.deliver(message).await?;
            let row = site.stage.the_row(&id).await?;
            ensure!(!row.lives() && row.deleted_at >= row.updated_at, "{row:?}");
        }
        let reconcile = site.stage.start("reconcile").await?;
        let report = reconcile.invoke(json!({})).await?;
        assert_eq!(
            (&report["outcome"], &report["revived"]),
            (&json!("complete"), &json!(0))
        );
        ensure!(!site.stage.the_row(&id).await?.lives());
    }
    Ok(())
}

#[tokio::test]
async fn a_deletion_within_the_second_of_the_last_update_is_not_before_it() -> Result<()> {
    let instance = Clerk {
        events_in_seconds: true,
        ..Clerk::default()
    };
    let site = Site::of(instance).await?;
    let id = site.ada().await?;
    let deleted = site.now(|clerk| clerk.delete(&id))?;
    site.deliver(&deleted).await?;
    let row = site.stage.the_row(&id).await?;
    assert!(!row.lives() && row.deleted_at >= row.updated_at, "{row:?}");
    site.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_deletion_that_comes_before_the_sign_up_stays() -> Result<()> {
    let site = Site::new().await?;
    let id = site.world().create("Ada", "ada@example.com")?;
    let created = site.world().take_messages().pop().context("a message")?;
    let deleted = site.later(|clerk| clerk.delete(&id))?;
    site.deliver(&deleted).await?;
    assert!(!site.stage.the_row(&id).await?.lives());
    site.deliver(&created).await?;
    let row = site.stage.the_row(&id).await?;
    assert!(!row.lives(), "{row:?}");
    assert_eq!(row.name.as_deref(), Some("Ada"));
    site.stage.assert_in_sync().await
}

#[tokio::test]
async fn an_erased_user_stays_erased_whatever_comes_late() -> Result<()> {
    let site = Site::new().await?;
    let id = site.ada().await?;
    let late = site.later(|clerk| clerk.rename(&id, "Ada King"))?;
    let deleted = site.later(|clerk| clerk.delete(&id))?;
    site.deliver(&deleted).await?;
    // The documentation's words.
    let page = include_str!("../../../../docs/operating.md");
    let (_, erase) = page
        .split_once("## Erasing a user")
        .context("the section")?;
    let (_, erase) = erase.split_once("```sql\n").context("the statement")?;
    let (erase, _) = erase.split_once("```").context("an end")?;
    site.stage
        .execute(&erase.replace("'…'", &format!("'{id}'")))
        .await?;
    site.deliver(&late).await?;
    let reconcile = site.stage.reconcile().await?;
    reconcile.invoke(json!({})).await?;
    let kept = site
        .stage
        .json("SELECT raw_json, name, email FROM neon_identity.users_sync");
    let erased = json!({"raw_json": {}, "name": null, "email": null});
    assert_eq!(kept.await?, [erased]);
    assert!(!site.stage.the_row(&id).await?.lives());
    Ok(())
}
