//! Reads from a replica that lags: a delivery that contradicts the read is settled by a later read.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};
use tests::simulator::SignUp;
use tests::stage::Stage;

use super::{STALENESS, about_a_user};

#[tokio::test]
async fn a_replica_that_still_shows_a_deleted_user_is_asked_again() -> Result<()> {
    let stage = Stage::receiving().await?;
    let id = stage.simulator.create("Ada", "ada@example.com")?;
    stage.deliver_all().await?;
    stage.simulator.delete(&id)?;
    stage.simulator.switch(|switches| switches.lag_ms = 1_000);
    stage.deliver_all().await?;
    assert!(!stage.the_row(&id).await?.lives());
    stage.assert_in_sync().await
}

#[tokio::test]
async fn a_replica_that_does_not_show_a_new_user_is_asked_again() -> Result<()> {
    let stage = Stage::receiving().await?;
    stage.simulator.switch(|switches| switches.lag_ms = 1_000);
    stage.simulator.create("Ada", "ada@example.com")?;
    stage.deliver_all().await?;
    stage.assert_in_sync().await
}

#[tokio::test]
async fn a_replica_that_does_not_show_an_update_is_asked_again() -> Result<()> {
    let stage = Stage::receiving().await?;
    let id = stage.simulator.create("Ada", "ada@example.com")?;
    stage.deliver_all().await?;
    tokio::time::sleep(STALENESS).await;
    stage.simulator.rename(&id, "Countess")?;
    stage.simulator.switch(|switches| switches.lag_ms = 1_000);
    stage.deliver_all().await?;
    stage.assert_in_sync().await
}

#[tokio::test]
async fn a_replica_that_lags_beyond_its_bound_deletes_nobody_and_is_asked_later() -> Result<()> {
    let stage = Stage::receiving().await?;
    let id = stage.simulator.create("Ada", "ada@example.com")?;
    stage.deliver_all().await?;
    stage.simulator.delete(&id)?;
    stage.simulator.switch(|switches| switches.lag_ms = 60_000);
    // Before that minute there was no such user.
    let messages = stage.simulator.take_messages();
    let gone = about_a_user(&messages)?;
    assert_eq!(stage.deliver(gone).await?, 200);

    let id = stage.simulator.create("Bob", "bob@example.com")?;
    stage.simulator.switch(|switches| switches.lag_ms = 0);
    stage.deliver_all().await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    stage.simulator.delete(&id)?;
    stage.simulator.switch(|switches| switches.lag_ms = 3_000);
    let messages = stage.simulator.take_messages();
    let gone = about_a_user(&messages)?;
    assert_eq!(stage.deliver(gone).await?, 503);
    assert!(stage.the_row(&id).await?.lives());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(stage.deliver(gone).await?, 200);
    stage.assert_in_sync().await
}

#[tokio::test]
async fn a_stale_user_created_is_not_believed() -> Result<()> {
    let stage = Stage::receiving().await?;
    let id = stage.simulator.sign_up(SignUp {
        name: Some("Ada".to_owned()),
        email: Some("ada@example.com".to_owned()),
        oauth: Some("google".to_owned()),
        ..SignUp::default()
    })?;
    let messages = stage.simulator.take_messages();
    let payload: Value = serde_json::from_slice(&about_a_user(&messages)?.body)?;
    assert_eq!(payload["data"]["selected_team"], Value::Null);
    assert_eq!(payload["data"]["oauth_providers"], json!([]));
    let began = Instant::now();
    assert_eq!(stage.deliver(about_a_user(&messages)?).await?, 200);
    // Its staleness is expected: no second read is needed.
    assert!(
        began.elapsed() < Duration::from_millis(900),
        "{:?}",
        began.elapsed()
    );
    let row: Value = serde_json::from_str(&stage.the_row(&id).await?.raw_json)?;
    assert_ne!(row["selected_team"], Value::Null);
    assert_eq!(row["oauth_providers"][0]["id"], "google");
    stage.assert_in_sync().await
}
