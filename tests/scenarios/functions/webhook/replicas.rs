//! Reads from a replica that lags: a delivery that contradicts the read is settled by a later read.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};
use tests::simulator::SignUp;

use super::{STALENESS, about_a_user};
use crate::delivery::Endpoint;

#[tokio::test]
async fn a_replica_that_still_shows_a_deleted_user_is_asked_again() -> Result<()> {
    let end = Endpoint::new().await?;
    let id = end.stage.simulator.create("Ada", "ada@example.com")?;
    end.deliver_all().await?;
    end.stage.simulator.delete(&id)?;
    end.stage
        .simulator
        .switch(|switches| switches.lag_ms = 1_000);
    end.deliver_all().await?;
    assert!(!end.stage.the_row(&id).await?.lives());
    end.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_replica_that_does_not_show_a_new_user_is_asked_again() -> Result<()> {
    let end = Endpoint::new().await?;
    end.stage
        .simulator
        .switch(|switches| switches.lag_ms = 1_000);
    end.stage.simulator.create("Ada", "ada@example.com")?;
    end.deliver_all().await?;
    end.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_replica_that_does_not_show_an_update_is_asked_again() -> Result<()> {
    let end = Endpoint::new().await?;
    let id = end.stage.simulator.create("Ada", "ada@example.com")?;
    end.deliver_all().await?;
    tokio::time::sleep(STALENESS).await;
    end.stage.simulator.rename(&id, "Countess")?;
    end.stage
        .simulator
        .switch(|switches| switches.lag_ms = 1_000);
    end.deliver_all().await?;
    end.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_replica_that_lags_beyond_its_bound_deletes_nobody_and_is_asked_later() -> Result<()> {
    let end = Endpoint::new().await?;
    let id = end.stage.simulator.create("Ada", "ada@example.com")?;
    end.deliver_all().await?;
    end.stage.simulator.delete(&id)?;
    end.stage
        .simulator
        .switch(|switches| switches.lag_ms = 60_000);
    // Before that minute there was no such user.
    let messages = end.stage.simulator.take_messages();
    let gone = about_a_user(&messages)?;
    assert_eq!(end.deliver(gone).await?, 200);

    let id = end.stage.simulator.create("Bob", "bob@example.com")?;
    end.stage.simulator.switch(|switches| switches.lag_ms = 0);
    end.deliver_all().await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    end.stage.simulator.delete(&id)?;
    end.stage
        .simulator
        .switch(|switches| switches.lag_ms = 3_000);
    let messages = end.stage.simulator.take_messages();
    let gone = about_a_user(&messages)?;
    assert_eq!(end.deliver(gone).await?, 503);
    assert!(end.stage.the_row(&id).await?.lives());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(end.deliver(gone).await?, 200);
    end.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_stale_user_created_is_not_believed() -> Result<()> {
    let end = Endpoint::new().await?;
    let id = end.stage.simulator.sign_up(SignUp {
        name: Some("Ada".to_owned()),
        email: Some("ada@example.com".to_owned()),
        oauth: Some("google".to_owned()),
        ..SignUp::default()
    })?;
    let messages = end.stage.simulator.take_messages();
    let payload: Value = serde_json::from_slice(&about_a_user(&messages)?.body)?;
    assert_eq!(payload["data"]["selected_team"], Value::Null);
    assert_eq!(payload["data"]["oauth_providers"], json!([]));
    let began = Instant::now();
    assert_eq!(end.deliver(about_a_user(&messages)?).await?, 200);
    // Its staleness is expected: no second read is needed.
    assert!(
        began.elapsed() < Duration::from_millis(900),
        "{:?}",
        began.elapsed()
    );
    let row: Value = serde_json::from_str(&end.stage.the_row(&id).await?.raw_json)?;
    assert_ne!(row["selected_team"], Value::Null);
    assert_eq!(row["oauth_providers"][0]["id"], "google");
    end.stage.assert_in_sync().await
}
