//! Profiles: the primary email by its id, and all three kinds of metadata.

use anyhow::{Context, Result};
use serde_json::json;

use super::Site;

#[tokio::test]
async fn the_email_is_the_primary_one_wherever_it_stands() -> Result<()> {
    let site = Site::new().await?;
    let id = site.ada().await?;
    let email = async || anyhow::Ok(site.stage.the_row(&id).await?.email);
    let change =
        site.later(|clerk| clerk.change_email_via_contact_channel(&id, "new@example.com"))?;
    site.deliver(&change).await?;
    assert_eq!(email().await?.as_deref(), Some("new@example.com"));
    let profile: serde_json::Value =
        serde_json::from_str(&site.stage.simulator.user(&id).context("the user")?.profile)?;
    let first = &profile["email_addresses"][0];
    assert_eq!(
        first["email_address"], "ada@example.com",
        "behind the old one"
    );
    let back = json!({ "primary_email_address_id": first["id"] });
    let change = site.later(|clerk| clerk.update(&id, &back))?;
    site.deliver(&change).await?;
    assert_eq!(email().await?.as_deref(), Some("ada@example.com"));

    // A telephone number alone, with a name or without.
    let phone = site.world().create_anonymous()?;
    let told = site.world().take_messages();
    site.deliver(&told[0]).await?;
    let row = site.stage.the_row(&phone).await?;
    assert_eq!((row.name, row.email), (None, None));
    let named = json!({ "username": "ada99" });
    let change = site.later(|clerk| clerk.update(&phone, &named))?;
    site.deliver(&change).await?;
    assert_eq!(site.name(&phone).await?.as_deref(), Some("ada99"));
    site.stage.assert_in_sync().await
}

#[tokio::test]
async fn users_without_an_email_or_with_another_in_front_are_listed_as_they_are() -> Result<()> {
    let site = Site::new().await?;
    site.world().seed(200);
    let reconcile = site.stage.reconcile().await?;
    let report = reconcile.invoke(json!({})).await?;
    assert_eq!(report["created"], 200, "{report}");
    site.stage.assert_in_sync().await?;
    let table = site.stage.table().await?;
    let count =
        |shows: &dyn Fn(&tests::stage::Row) -> bool| table.iter().filter(|row| shows(row)).count();
    let second = |row: &tests::stage::Row| row.raw_json.contains("@example.org");
    assert!(count(&|row| second(row) && row.email.is_some()) > 10);
    assert!(count(&|row| second(row) && row.email.is_none()) > 2);
    assert!(count(&|row| !second(row) && row.email.is_none()) > 2);
    assert_eq!(
        count(&|row| {
            row.email
                .as_deref()
                .is_some_and(|email| email.ends_with("@example.org"))
        }),
        0
    );
    Ok(())
}

#[tokio::test]
async fn the_profile_is_kept_whole_with_all_three_kinds_of_metadata() -> Result<()> {
    let site = Site::new().await?;
    let id = site.ada().await?;
    let metadata = json!({
        "public_metadata": { "plan": "pro" },
        "private_metadata": { "stripe_customer": "cus_1" },
        "unsafe_metadata": { "theme": 1.10 },
    });
    let change = site.later(|clerk| clerk.update(&id, &metadata))?;
    site.deliver(&change).await?;
    site.stage.assert_in_sync().await?;
    let raw = site.stage.the_row(&id).await?.raw_json;
    assert!(
        raw.contains(r#""private_metadata": {"stripe_customer": "cus_1"}"#),
        "{raw}"
    );
    Ok(())
}
