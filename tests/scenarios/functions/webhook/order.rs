//! Deliveries that are late, swapped, doubled or at once: the newest state stays.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;
use tests::seeds::random;
use tests::simulator::{Call, Fault, Message, Moment, Trouble};
use tests::stage::Stage;

use super::{STALENESS, about_a_user, at_once, created_and_deleted};

#[tokio::test]
async fn a_late_creation_does_not_resurrect() -> Result<()> {
    let stage = Stage::receiving().await?;
    let (created, deleted) = created_and_deleted(&stage)?;
    // So young that the user might not be readable yet.
    assert_eq!(stage.deliver(&created).await?, 503);
    assert!(stage.table().await?.is_empty());
    let late = created.older(Duration::from_secs(61));
    for message in [&late, &deleted, &late, &created] {
        assert_eq!(stage.deliver(message).await?, 200);
    }
    let table = stage.table().await?;
    assert_eq!(table.len(), 1);
    assert!(!table[0].lives());
    stage.assert_in_sync().await
}

#[tokio::test]
async fn a_late_update_does_not_resurrect() -> Result<()> {
    let stage = Stage::receiving().await?;
    let simulator = &stage.simulator;
    let id = simulator.create("Ada", "ada@example.com")?;
    stage.deliver_all().await?;
    simulator.rename(&id, "Countess")?;
    let late = simulator.take_messages();
    simulator.delete(&id)?;
    stage.deliver_all().await?;
    assert_eq!(stage.deliver(about_a_user(&late)?).await?, 200);
    let row = stage.the_row(&id).await?;
    assert!(!row.lives());
    assert_eq!(row.name.as_deref(), Some("Ada"), "the profile is kept");
    stage.assert_in_sync().await
}

#[tokio::test]
async fn the_deletion_of_somebody_unknown_is_taken() -> Result<()> {
    let stage = Stage::receiving().await?;
    let id = "00000000-0000-4000-8000-000000000000";
    let data = json!({"id": id, "teams": []});
    assert_eq!(stage.tell("user.deleted", &data).await?, 200);
    let row = stage.the_row(id).await?;
    assert!(!row.lives());
    assert_eq!(row.raw_json, "{}");
    stage.assert_in_sync().await
}

#[tokio::test]
async fn a_deletion_keeps_the_profile() -> Result<()> {
    let stage = Stage::receiving().await?;
    let id = stage.simulator.create("Ada", "ada@example.com")?;
    stage.deliver_all().await?;
    let before = stage.the_row(&id).await?;
    stage.simulator.delete(&id)?;
    stage.deliver_all().await?;
    let after = stage.the_row(&id).await?;
    assert!(after.deleted_at >= after.updated_at);
    let mut revived = after;
    revived.deleted_at = None;
    assert_eq!(revived, before);
    Ok(())
}

#[tokio::test]
async fn swapped_updates_end_with_the_last_one() -> Result<()> {
    let stage = Stage::receiving().await?;
    let simulator = &stage.simulator;
    let id = simulator.create("Ada", "ada@example.com")?;
    stage.deliver_all().await?;
    tokio::time::sleep(STALENESS).await;
    simulator.rename(&id, "First")?;
    simulator.rename(&id, "Second")?;
    let messages = simulator.take_messages();
    for message in messages.iter().rev() {
        assert_eq!(stage.deliver(message).await?, 200);
    }
    stage.assert_in_sync().await
}

#[tokio::test]
async fn a_read_that_took_long_loses_to_a_newer_one() -> Result<()> {
    for there_and_back in [false, true] {
        let stage = Stage::receiving().await?;
        let simulator = &stage.simulator;
        let id = simulator.create("Ada", "ada@example.com")?;
        stage.deliver_all().await?;
        tokio::time::sleep(STALENESS).await;
        simulator.rename(&id, "Countess")?;
        let first = simulator.take_messages();
        // Its read sees the Countess, and arrives when she has another name again.
        simulator.add_trouble(Trouble::next(1, Fault::Late(3_000)).on(Call::Read));
        stage.webhook().await?.spawn_instance().await?;
        let late = async {
            let began = Instant::now();
            let status = stage.deliver(about_a_user(&first)?).await?;
            ensure!(began.elapsed() >= Duration::from_secs(3));
            Ok(status)
        };
        let newer = async {
            while simulator.count(Call::Read) < 2 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            simulator.rename(&id, if there_and_back { "Ada" } else { "Lovelace" })?;
            let messages = simulator.take_messages();
            stage.deliver(about_a_user(&messages)?).await
        };
        assert_eq!(tokio::try_join!(late, newer)?, (200, 200));
        stage.assert_in_sync().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_delivery_twice_at_once_is_one() -> Result<()> {
    let stage = Stage::receiving().await?;
    for _ in 0..3 {
        stage.webhook().await?.spawn_instance().await?;
    }
    stage.simulator.create("Ada", "ada@example.com")?;
    let messages = stage.simulator.take_messages();
    let created = about_a_user(&messages)?;
    let deliveries = std::iter::repeat_n(created, 4);
    let check = async |message: &Message| {
        let status = stage.deliver(message).await?;
        ensure!(status == 200, "{status}");
        Ok(())
    };
    at_once(deliveries, check).await?;
    assert_eq!(stage.table().await?.len(), 1);
    stage.assert_in_sync().await
}

#[tokio::test]
async fn many_deliveries_about_one_user_at_once_end_with_the_truth() -> Result<()> {
    let stage = Stage::receiving().await?;
    for _ in 0..3 {
        stage.webhook().await?.spawn_instance().await?;
    }
    let simulator = &stage.simulator;
    let id = simulator.create("Ada", "ada@example.com")?;
    for number in 0..8 {
        simulator.rename(&id, &format!("Ada {number}"))?;
    }
    let mut messages = simulator.take_messages();
    random("order of deliveries").shuffle(&mut messages);
    // As the provider does: what is answered 503 is sent again.
    let check = async |message: Message| {
        let mut statuses = Vec::new();
        for _ in 0..10 {
            statuses.push(stage.deliver(&message).await?);
            if statuses.last() == Some(&200) {
                return Ok(());
            }
        }
        anyhow::bail!("{statuses:?}")
    };
    at_once(messages, check).await?;
    stage.assert_in_sync().await
}

#[tokio::test]
async fn a_change_while_the_user_is_read_is_told_by_its_own_delivery() -> Result<()> {
    let stage = Stage::receiving().await?;
    let simulator = &stage.simulator;
    let id = simulator.create("Ada", "ada@example.com")?;
    let renamed = id.clone();
    simulator.once(Moment::After, Call::Read, 0, move |world| {
        world
            .rename(&renamed, "Countess")
            .expect("a user to rename");
    });
    stage.deliver_all().await?;
    stage.deliver_all().await?;
    stage.assert_in_sync().await
}
