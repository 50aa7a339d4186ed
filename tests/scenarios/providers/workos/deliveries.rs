//! Deliveries: WorkOS' own signature, and statements that are ordered by `updated_at`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde_json::json;
use tests::sender::WorkOs as Signing;
use tests::simulator::{Call, Message};

use super::{Site, event};

fn millis() -> Result<u128> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())
}

/// Posts a body under this signature; the status it is answered with.
async fn post(site: &Site, body: &[u8], signature: Option<&str>) -> Result<u16> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let mut request = client
        .post(site.webhook.url())
        .header("content-type", "application/json")
        .body(body.to_vec());
    if let Some(signature) = signature {
        request = request.header("workos-signature", signature);
    }
    Ok(request.send().await?.status().as_u16())
}

#[tokio::test]
async fn a_signature_is_of_the_whole_secret_and_in_hexadecimal() -> Result<()> {
    let site = Site::new().await?;
    let id = site.stage.simulator.create("Ada", "ada@example.com")?;
    let message = site.told().pop().context("nothing told")?;
    let body = &message.body[..];
    let secret = site.stage.signing_secret();
    let now = millis()?;
    let right = Signing::new([&secret]).signature(body, now);
    let forged = Signing::new(["whsec_another_one"]).signature(body, now);
    let stripped = Signing::new([&secret["whsec_".len()..]]).signature(body, now);
    let both = Signing::new(["whsec_another_one", &secret]).signature(body, now);
    let digits = right.split("v1=").nth(1).context("no signature")?;
    for refused in [
        None,
        Some(""),
        Some(&*forged),
        Some(&*stripped),
        Some(digits),
        Some(&*format!("t={now}")),
        Some(&*format!("v1={digits}")),
        Some(&*format!("t={now}, v0={digits}")),
        Some(&*format!("t={now}, v1={}", &digits[2..])),
        Some(&*format!("t={now}, v1={}", &digits[1..])),
        Some(&*format!("t={}, v1={digits}", now + 1)),
        Some(&*right.replace("v1=", "v1=zz")),
    ] {
        assert_eq!(post(&site, body, refused).await?, 401, "{refused:?}");
    }
    let other_body = [body, b" "].concat();
    assert_eq!(post(&site, &other_body, Some(&right)).await?, 401);
    assert_eq!(site.stage.row(&id).await?, None);

    for taken in [
        &*right,
        // Without the blank, in capitals, beside others.
        &*right.replace(", ", ","),
        &*Signing::new([&secret]).upper_case().signature(body, now),
        &*both,
        &*format!("{right}, v1=00, v2=x"),
    ] {
        assert_eq!(post(&site, body, Some(taken)).await?, 200, "{taken}");
    }
    site.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_delivery_may_be_five_minutes_off_either_way() -> Result<()> {
    let site = Site::new().await?;
    site.stage.simulator.create("Ada", "ada@example.com")?;
    let message = site.told().pop().context("nothing told")?;
    let signing = Signing::new([site.stage.signing_secret()]);
    // On a busy machine some seconds pass before it is looked at.
    for (off, status) in [
        (-310_000, 401),
        (-270_000, 200),
        (290_000, 200),
        (340_000, 401),
    ] {
        let at = millis()?.checked_add_signed(off).context("a time")?;
        let signature = signing.signature(&message.body, at);
        let answered = post(&site, &message.body, Some(&signature)).await?;
        assert_eq!(answered, status, "{off}");
    }
    // In seconds, as the vendor's emulator once sent it.
    for (off, status) in [(0, 200), (-310, 401), (340, 401)] {
        let at = (millis()? / 1000)
            .checked_add_signed(off)
            .context("a time")?;
        let signature = signing.signature(&message.body, at);
        let answered = post(&site, &message.body, Some(&signature)).await?;
        assert_eq!(answered, status, "{off} s");
    }
    Ok(())
}

#[tokio::test]
async fn either_secret_signs_while_one_is_rotated() -> Result<()> {
    let site = Site::new().await?;
    site.stage.simulator.create("Ada", "ada@example.com")?;
    let message = site.told().pop().context("nothing told")?;
    let old = site.stage.signing_secret();
    site.stage
        .change_secret(|secret| secret["signing_secrets"] = json!(["whsec_a_new_one_", old]))?;
    for secret in ["whsec_a_new_one_", &old] {
        let signature = Signing::new([secret]).signature(&message.body, millis()?);
        assert_eq!(post(&site, &message.body, Some(&signature)).await?, 200);
    }
    Ok(())
}

#[tokio::test]
async fn there_and_back_again_arrives_in_whatever_order() -> Result<()> {
    let site = Site::new().await?;
    let simulator = &site.stage.simulator;
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let email = format!("user{order:?}@example.com");
        let id = simulator.create("Ada", &email)?;
        for name in ["Grace", "Ada"] {
            site.wait();
            simulator.rename(&id, name)?;
        }
        let told = site.told();
        assert_eq!(told.len(), 3);
        for place in order {
            site.deliver(&told[place]).await?;
        }
        // Once more, all of them: a delivery may be repeated.
        for message in &told {
            site.deliver(message).await?;
        }
        let row = site.stage.the_row(&id).await?;
        assert_eq!(row.name.as_deref(), Some("Ada"), "{order:?}");
    }
    // No delivery is read back: each says itself how the user is.
    assert_eq!(simulator.count(Call::Read), 0);
    site.stage.assert_in_sync().await
}

#[tokio::test]
async fn one_version_with_two_contents_is_settled_by_a_read() -> Result<()> {
    let site = Site::new().await?;
    let simulator = &site.stage.simulator;
    for order in [[0, 1], [1, 0]] {
        let id = simulator.create("Ada", &format!("user{order:?}@example.com"))?;
        site.wait();
        // Within one millisecond.
        simulator.rename(&id, "Grace")?;
        simulator.rename(&id, "Hedy")?;
        let told = site.told();
        simulator.clear_requests();
        for place in order {
            site.deliver(&told[place + 1]).await?;
        }
        assert!(simulator.count(Call::Read) > 0, "{order:?}");
        let row = site.stage.the_row(&id).await?;
        assert_eq!(row.name.as_deref(), Some("Hedy"), "{order:?}");
    }
    site.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_deletion_is_of_its_events_time_and_final() -> Result<()> {
    let site = Site::new().await?;
    let simulator = &site.stage.simulator;
    // Created, changed, deleted; the last to arrive is the update, or the creation.
    for order in [[0, 2, 1], [2, 1, 0], [0, 1, 2], [2, 0, 1]] {
        let id = simulator.create("Ada", &format!("user{order:?}@example.com"))?;
        site.wait();
        simulator.rename(&id, "Grace")?;
        site.wait();
        simulator.delete(&id)?;
        let told = site.told();
        for place in order {
            site.deliver(&told[place]).await?;
        }
        let row = site.stage.the_row(&id).await?;
        let (_, deleted_at) = event(&told[2])?;
        assert_eq!(row.deleted_at, Some(deleted_at), "{order:?}");
        // The user's own version is from before, and stays.
        assert_eq!(row.name.as_deref(), Some("Grace"), "{order:?}");
        let a_second = Duration::from_millis(1_001);
        assert_eq!(row.updated_at, Some(deleted_at - a_second), "{order:?}");
    }
    site.stage.assert_in_sync().await
}

#[tokio::test]
async fn other_events_are_taken_and_a_bad_user_is_kept_once() -> Result<()> {
    let site = Site::new().await?;
    let simulator = &site.stage.simulator;
    let session = json!({"id": "event_1", "event": "session.created", "data": {}});
    let no_user = json!({"id": "event_2", "event": "user.created", "data": {"id": 7}});
    let tell = |body: &serde_json::Value| -> Message {
        simulator.tell(body["event"].as_str().unwrap_or_default(), body.to_string())
    };
    site.deliver(&tell(&session)).await?;
    let bad = tell(&no_user);
    for _ in 0..3 {
        assert_eq!(site.stage.deliver(&bad).await?, 400);
    }
    let rejections = site.stage.rejections().await?;
    assert_eq!(rejections.len(), 1);
    assert_eq!(rejections[0]["event_id"], "event_2");
    assert_eq!(site.stage.table().await?, []);
    Ok(())
}
