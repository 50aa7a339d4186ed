//! Signatures: which are good, and how far a delivery's time may be off.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;
use tests::stage::{Stage, signing_secret};

use tests::letter::{Letter, event_id, send};

use super::assert_nothing_kept;

#[tokio::test]
async fn a_wrongly_signed_delivery_is_refused() -> Result<()> {
    let stage = Stage::receiving().await?;
    let id = stage.simulator.create("Ada", "ada@example.com")?;
    let body = json!({"type": "user.deleted", "data": {"id": id}}).to_string();
    let good = stage.letter(&body);
    let check = async |what: &str, change: &dyn Fn(&mut Letter)| -> Result<()> {
        let mut letter = good.clone();
        change(&mut letter);
        let status = stage.send(&letter).await?;
        ensure!(status == 401, "{what}: {status}");
        Ok(())
    };
    for header in ["id", "timestamp", "signature"] {
        check(header, &|letter| letter.without = Some(header)).await?;
        // Present, but under the other name.
        check(header, &|letter| letter.prefix = "x").await?;
    }
    check("no id", &|letter| letter.id.clear()).await?;
    check("another id", &|letter| letter.id.push('x')).await?;
    check("an endless id", &|letter| letter.id = "x".repeat(300)).await?;
    for timestamp in ["", "now", "1.5", "-1", "0", "99999999999999999999", " "] {
        check(timestamp, &|letter| letter.timestamp = timestamp.to_owned()).await?;
    }
    check("a later timestamp", &|letter| {
        let seconds: i64 = letter.timestamp.parse().expect("seconds");
        letter.timestamp = (seconds + 1).to_string();
    })
    .await?;
    for signature in ["", "v1", "v1,", "v1,%%%", ",", " ", "v1,AAAA", "v2,AAAA"] {
        check(signature, &|letter| letter.signature = signature.to_owned()).await?;
    }
    let bare = good.signature.trim_start_matches("v1,").to_owned();
    for version in ["", "v1a,", "v2,", "V1,", "v1 "] {
        check(version, &|letter| {
            letter.signature = format!("{version}{bare}")
        })
        .await?;
    }
    check("half a signature", &|letter| {
        letter.signature = format!("v1,{}", &bare[..bare.len() / 2])
    })
    .await?;
    check("another body", &|letter| letter.body.push(b' ')).await?;
    check("no body", &|letter| letter.body.clear()).await?;
    let forged = Letter::new(&signing_secret(), &good.id, body.as_bytes());
    assert_eq!(stage.send(&forged).await?, 401);

    assert!(stage.simulator.requests().is_empty());
    assert_nothing_kept(&stage).await?;
    stage.simulator.delete(&id)?;
    assert_eq!(stage.send(&good).await?, 200);
    Ok(())
}

#[tokio::test]
async fn a_timestamp_may_be_five_minutes_off_either_way() -> Result<()> {
    let stage = Stage::receiving().await?;
    let secret = stage.signing_secret();
    // The clock moves on between signing and verifying, by a second or two.
    for (seconds, status) in [
        (-297, 200),
        (-301, 401),
        (-3600, 401),
        (300, 200),
        (304, 401),
        (3600, 401),
    ] {
        let body = br#"{"type":"stack.test","data":{}}"#;
        let letter = Letter::at(&secret, &event_id(), body, seconds);
        assert_eq!(stage.send(&letter).await?, status, "{seconds} s");
    }
    Ok(())
}

#[tokio::test]
async fn any_signature_of_any_secret_counts_under_either_name() -> Result<()> {
    let stage = Stage::receiving().await?;
    let (current, previous, foreign) = (stage.signing_secret(), signing_secret(), signing_secret());
    stage.change_secret(|secret| {
        secret["signing_secrets"] = json!([current, previous]);
    })?;
    let webhook = stage.start("webhook").await?;
    let body = br#"{"type":"stack.test","data":{}}"#;
    let letter = |secret: &str| Letter::new(secret, "msg_1", body);
    for prefix in ["svix", "webhook"] {
        for (secrets, status) in [
            (&[&current][..], 200),
            (&[&previous], 200),
            (&[&foreign], 401),
            (&[&foreign, &previous], 200),
            (&[&current, &foreign], 200),
            (&[&foreign, &foreign, &foreign], 401),
        ] {
            let mut signed = letter(secrets[0]);
            let mut signatures: Vec<_> = secrets.iter().map(|s| letter(s).signature).collect();
            signatures.insert(0, "v1a,WlpaWlpaWlo=".to_owned());
            signed.signature = signatures.join(" ");
            signed.prefix = prefix;
            let answered = send(&stage.letters()?, webhook.url(), &signed).await?;
            // The clock may have ticked between two signatures.
            if answered != status {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert_eq!(answered, status, "{prefix}");
        }
    }
    Ok(())
}
