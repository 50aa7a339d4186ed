//! `webhook`: each row of the contract's table of statuses, and the rules behind them.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tests::function::Function;
use tests::pgbouncer::PgBouncer;
use tests::postgres::{Mode, Options, Postgres};
use tests::secrets_manager::SecretsManager;
use tests::seeds::random;
use tests::simulator::{Call, Fault, Message, Moment, SignUp, Stack, Trouble};
use tests::stage::{Setup, Stage, signing_secret};
use tests::tools::random_name;

use crate::delivery::{Endpoint, Letter, client, event_id, send};

/// A little longer than a read of Stack Auth's may be behind.
const STALENESS: Duration = Duration::from_millis(1_300);

// Statuses.

#[tokio::test]
async fn a_new_user_is_in_the_table_column_by_column() -> Result<()> {
    let end = Endpoint::new().await?;
    let id = end.stage.simulator.create("Ada", "ada@example.com")?;
    end.deliver_all().await?;
    end.stage.assert_in_sync().await?;
    let row = end.stage.the_row(&id).await?;
    assert_eq!(row.name.as_deref(), Some("Ada"));
    assert_eq!(row.email.as_deref(), Some("ada@example.com"));
    assert!(row.created_at.is_some() && row.updated_at.is_some() && row.lives());
    Ok(())
}

#[tokio::test]
async fn a_delivery_that_is_known_is_taken_again() -> Result<()> {
    let end = Endpoint::new().await?;
    end.stage.simulator.create("Ada", "ada@example.com")?;
    let messages = end.stage.simulator.take_messages();
    for message in messages.iter().chain(&messages) {
        assert_eq!(end.deliver(message).await?, 200);
    }
    end.stage.assert_in_sync().await?;
    assert_eq!(end.stage.table().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn an_event_about_something_else_is_taken_and_changes_nothing() -> Result<()> {
    let end = Endpoint::new().await?;
    for kind in [
        "team.created",
        "team.deleted",
        "team_membership.deleted",
        "team_permission.created",
        "project_permission.created",
        "stack.test",
        "user.invented",
    ] {
        assert_eq!(end.tell(kind, &json!({"id": "x"})).await?, 200, "{kind}");
        assert_eq!(end.tell(kind, &Value::Null).await?, 200, "{kind}");
    }
    assert!(end.stage.simulator.requests().is_empty());
    end.assert_nothing_kept().await
}

#[tokio::test]
async fn only_post_delivers() -> Result<()> {
    let end = Endpoint::new().await?;
    for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"] {
        let mut letter = end.letter(r#"{"type":"stack.test","data":{}}"#);
        letter.method = Method::from_bytes(method.as_bytes())?;
        assert_eq!(end.send(&letter).await?, 405, "{method}");
        let mut bare = letter;
        bare.body.clear();
        assert_eq!(end.send(&bare).await?, 405, "{method} without a body");
    }
    Ok(())
}

#[tokio::test]
async fn a_body_of_a_mebibyte_is_taken_and_a_byte_more_is_not() -> Result<()> {
    let end = Endpoint::new().await?;
    // Bytes count, not characters; and neither does base64.
    for filler in [" ", "ü"] {
        for kind in [Some("application/json"), None] {
            let check = async |length: usize| {
                let (start, stop) = (r#"{"type":"stack.test","data":""#, r#""}"#);
                let room = length - start.len() - stop.len();
                let filling = filler.repeat(room / filler.len()) + &" ".repeat(room % filler.len());
                let mut letter = end.letter(format!("{start}{filling}{stop}"));
                assert_eq!(letter.body.len(), length);
                letter.content_type = kind;
                end.send(&letter).await
            };
            assert_eq!(check(1 << 20).await?, 200);
            assert_eq!(check((1 << 20) + 1).await?, 413);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_wrongly_signed_delivery_is_refused() -> Result<()> {
    let end = Endpoint::new().await?;
    let id = end.stage.simulator.create("Ada", "ada@example.com")?;
    let body = json!({"type": "user.deleted", "data": {"id": id}}).to_string();
    let good = end.letter(&body);
    let check = async |what: &str, change: &dyn Fn(&mut Letter)| -> Result<()> {
        let mut letter = good.clone();
        change(&mut letter);
        let status = end.send(&letter).await?;
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
    assert_eq!(end.send(&forged).await?, 401);

    assert!(end.stage.simulator.requests().is_empty());
    end.assert_nothing_kept().await?;
    end.stage.simulator.delete(&id)?;
    assert_eq!(end.send(&good).await?, 200);
    Ok(())
}

#[tokio::test]
async fn a_timestamp_may_be_five_minutes_off_either_way() -> Result<()> {
    let end = Endpoint::new().await?;
    let secret = end.stage.signing_secret();
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
        assert_eq!(end.send(&letter).await?, status, "{seconds} s");
    }
    Ok(())
}

#[tokio::test]
async fn any_signature_of_any_secret_counts_under_either_name() -> Result<()> {
    let end = Endpoint::new().await?;
    let (current, previous, foreign) = (
        end.stage.signing_secret(),
        signing_secret(),
        signing_secret(),
    );
    end.stage.change_secret(|secret| {
        secret["signing_secrets"] = json!([current, previous]);
    })?;
    let webhook = end.stage.webhook().await?;
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
            let answered = send(&end.client, webhook.url(), &signed).await?;
            // The clock may have ticked between two signatures.
            if answered != status {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert_eq!(answered, status, "{prefix}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_body_is_read_as_text_and_as_base64() -> Result<()> {
    let end = Endpoint::new().await?;
    for kind in [
        Some("application/json"),
        Some("application/json; charset=utf-8"),
        Some("text/plain"),
        Some("application/octet-stream"),
        Some("application/x-www-form-urlencoded"),
        None,
    ] {
        end.stage
            .simulator
            .create("Zoë 梅 \u{1f600}", "zoe@example.com")?;
        for message in end.stage.simulator.take_messages() {
            let mut letter = end.letter(&message.body);
            letter.content_type = kind;
            assert_eq!(end.send(&letter).await?, 200, "{kind:?}");
        }
    }
    end.stage.assert_in_sync().await?;
    assert_eq!(end.stage.table().await?.len(), 6);
    Ok(())
}

#[tokio::test]
async fn a_signed_body_that_is_no_user_is_kept_once() -> Result<()> {
    let end = Endpoint::new().await?;
    let user = "00000000-0000-4000-8000-000000000000";
    let long = "x".repeat(10_000);
    let updated = |data: Value| json!({"type": "user.updated", "data": data}).to_string();
    let cases: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"no JSON".to_vec(),
        b"{".to_vec(),
        b"[]".to_vec(),
        b"null".to_vec(),
        b"\"user.created\"".to_vec(),
        b"{} {}".to_vec(),
        b"{\"type\":\"user.created\",\"data\":{\"id\":\"\xff\"}}".to_vec(),
        b"\xef\xbb\xbf{}".to_vec(),
        br#"{"data":{"id":"x"}}"#.to_vec(),
        br#"{"type":1,"data":{"id":"x"}}"#.to_vec(),
        br#"{"type":"user.created"}"#.to_vec(),
        br#"{"type":"user.deleted"}"#.to_vec(),
        updated(Value::Null).into_bytes(),
        updated(json!("x")).into_bytes(),
        updated(json!([])).into_bytes(),
        updated(json!({})).into_bytes(),
        updated(json!({"id": null})).into_bytes(),
        updated(json!({"id": 17})).into_bytes(),
        updated(json!({"id": ["x"]})).into_bytes(),
        updated(json!({"id": ""})).into_bytes(),
        updated(json!({"id": long})).into_bytes(),
        updated(json!({"id": "a\nb"})).into_bytes(),
        // As an id it would do, but Stack Auth takes it for nobody's.
        updated(json!({"id": "nobody"})).into_bytes(),
        updated(json!({"id": "../projects/current"})).into_bytes(),
        // `jsonb` would print it with as many digits.
        format!(r#"{{"type":"user.updated","data":{{"id":"{user}","n":1e5000}}}}"#).into_bytes(),
    ];
    let secret = end.stage.signing_secret();
    for (number, body) in cases.iter().enumerate() {
        let id = format!("msg_{number}");
        for attempt in 0..3 {
            let letter = Letter::at(&secret, &id, body, attempt);
            let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
            assert_eq!(end.send(&letter).await?, 400, "{shown}");
        }
    }
    let kept = end.stage.rejections().await?;
    assert_eq!(kept.len(), cases.len());
    for (number, (row, body)) in kept.iter().zip(&cases).enumerate() {
        assert_eq!(row["event_id"], format!("msg_{number}"));
        assert_eq!(row["source"], "delivery");
        assert!(
            row["reason"]
                .as_str()
                .is_some_and(|reason| reason.len() > 5)
        );
        let hex: String = body.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(row["body"], format!("\\x{hex}"), "{number}");
    }
    assert!(end.stage.table().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn while_postgres_is_down_nothing_is_kept_and_a_retry_applies() -> Result<()> {
    let server = Postgres::start(Options::default()).await?;
    for mode in [Mode::Fast, Mode::Immediate] {
        let end = Endpoint::on(&server).await?;
        end.stage.simulator.create("Ada", "ada@example.com")?;
        let messages = end.stage.simulator.take_messages();
        let created = about_a_user(&messages)?;
        let unreadable = end.letter("no JSON");
        server.stop(mode).await?;
        let began = Instant::now();
        let other = end.stage.webhook().await;
        let (status, rejected) = tokio::try_join!(end.deliver(created), async {
            send(&end.client, other?.url(), &unreadable).await
        })?;
        assert_eq!((status, rejected), (503, 503));
        // Svix gives up after 15 seconds.
        assert!(
            began.elapsed() < Duration::from_secs(25),
            "{:?}",
            began.elapsed()
        );
        server.start_again().await?;
        end.assert_nothing_kept().await?;
        assert_eq!(end.deliver(created).await?, 200);
        end.stage.assert_in_sync().await?;
        assert_eq!(end.send(&unreadable).await?, 400);
    }
    Ok(())
}

#[tokio::test]
async fn while_the_provider_is_in_trouble_nothing_is_kept_and_a_retry_applies() -> Result<()> {
    let faults = [
        Fault::Status(500),
        Fault::Status(502),
        Fault::Status(503),
        Fault::Status(404),
        Fault::Status(403),
        Fault::Status(200),
        Fault::TooManyRequests { retry_after: None },
        Fault::TooManyRequests {
            retry_after: Some(1),
        },
        Fault::TooManyRequests {
            retry_after: Some(3600),
        },
        Fault::Html(200),
        Fault::Html(404),
        Fault::Html(502),
        Fault::Truncated,
        Fault::CutOff,
        Fault::Dropped,
        Fault::Hang,
    ];
    let check = async |fault: Fault| -> Result<()> {
        let end = Endpoint::new().await?;
        end.stage.simulator.create("Ada", "ada@example.com")?;
        let messages = end.stage.simulator.take_messages();
        let created = about_a_user(&messages)?;
        end.stage.simulator.add_trouble(Trouble::every(fault));
        let began = Instant::now();
        assert_eq!(end.deliver(created).await?, 503);
        assert!(
            began.elapsed() < Duration::from_secs(15),
            "{:?}",
            began.elapsed()
        );
        end.assert_nothing_kept().await?;
        end.stage.simulator.clear_troubles();
        assert_eq!(end.deliver(created).await?, 200);
        end.stage.assert_in_sync().await
    };
    at_once(faults, check).await
}

#[tokio::test]
async fn a_moment_of_trouble_at_the_provider_passes_unnoticed() -> Result<()> {
    let faults = [
        Fault::Status(500),
        Fault::TooManyRequests {
            retry_after: Some(1),
        },
        Fault::Html(200),
        Fault::Truncated,
        Fault::Dropped,
        Fault::Slow {
            bytes: 100,
            every_ms: 50,
        },
    ];
    let check = async |fault: Fault| -> Result<()> {
        let end = Endpoint::new().await?;
        end.stage.simulator.create("Ada", "ada@example.com")?;
        end.stage.simulator.add_trouble(Trouble::next(1, fault));
        end.deliver_all().await?;
        end.stage.assert_in_sync().await
    };
    at_once(faults, check).await
}

#[tokio::test]
async fn a_wrong_key_or_project_keeps_nothing() -> Result<()> {
    for field in ["secret_server_key", "project_id"] {
        let end = Endpoint::new().await?;
        end.stage.simulator.create("Ada", "ada@example.com")?;
        let messages = end.stage.simulator.take_messages();
        let created = about_a_user(&messages)?;
        let right = end.stage.secret();
        end.stage
            .change_secret(|secret| secret["provider"][field] = json!("wrong"))?;
        let webhook = end.stage.webhook().await?;
        let letter = Letter::new(&end.stage.signing_secret(), &created.id, &created.body);
        assert_eq!(send(&end.client, webhook.url(), &letter).await?, 503);
        end.assert_nothing_kept().await?;
        // The same instance takes it once the secret is right (it looks every few seconds).
        end.stage.change_secret(|secret| *secret = right)?;
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(send(&end.client, webhook.url(), &letter).await?, 200);
        end.stage.assert_in_sync().await?;
    }
    Ok(())
}

#[tokio::test]
async fn another_project_is_refused_and_keeps_nothing() -> Result<()> {
    let end = Endpoint::new().await?;
    end.stage.simulator.create("Ada", "ada@example.com")?;
    let messages = end.stage.simulator.take_messages();
    end.stage
        .execute("UPDATE neon_identity.connection SET project = 'another'")
        .await?;
    let created = about_a_user(&messages)?;
    assert_eq!(end.deliver(created).await?, 503);
    assert_eq!(end.send(&end.letter("no JSON")).await?, 503);
    let gone = json!({"id": "00000000-0000-4000-8000-000000000000"});
    assert_eq!(end.tell("user.deleted", &gone).await?, 503);
    end.assert_nothing_kept().await?;
    end.stage
        .execute("DELETE FROM neon_identity.connection")
        .await?;
    assert_eq!(end.deliver(created).await?, 503);
    end.assert_nothing_kept().await?;
    end.stage.provision().await?;
    assert_eq!(end.deliver(created).await?, 200);
    end.stage.assert_in_sync().await
}

// Rules.

#[tokio::test]
async fn a_late_creation_does_not_resurrect() -> Result<()> {
    let end = Endpoint::new().await?;
    let (created, deleted) = created_and_deleted(&end)?;
    // So young that the user may not be readable yet.
    assert_eq!(end.deliver(&created).await?, 503);
    assert!(end.stage.table().await?.is_empty());
    let late = created.older(Duration::from_secs(61));
    for message in [&late, &deleted, &late, &created] {
        assert_eq!(end.deliver(message).await?, 200);
    }
    let table = end.stage.table().await?;
    assert_eq!(table.len(), 1);
    assert!(!table[0].lives());
    end.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_late_update_does_not_resurrect() -> Result<()> {
    let end = Endpoint::new().await?;
    let simulator = &end.stage.simulator;
    let id = simulator.create("Ada", "ada@example.com")?;
    end.deliver_all().await?;
    simulator.rename(&id, "Countess")?;
    let late = simulator.take_messages();
    simulator.delete(&id)?;
    end.deliver_all().await?;
    assert_eq!(end.deliver(about_a_user(&late)?).await?, 200);
    let row = end.stage.the_row(&id).await?;
    assert!(!row.lives());
    assert_eq!(row.name.as_deref(), Some("Ada"), "the profile is kept");
    end.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_deletion_may_arrive_before_the_creation() -> Result<()> {
    let end = Endpoint::new().await?;
    let (created, deleted) = created_and_deleted(&end)?;
    assert_eq!(end.deliver(&deleted).await?, 200);
    assert!(!end.stage.table().await?[0].lives());
    assert_eq!(end.deliver(&created).await?, 200);
    assert!(!end.stage.table().await?[0].lives());
    end.stage.assert_in_sync().await
}

#[tokio::test]
async fn the_deletion_of_somebody_unknown_is_taken() -> Result<()> {
    let end = Endpoint::new().await?;
    let id = "00000000-0000-4000-8000-000000000000";
    let data = json!({"id": id, "teams": []});
    assert_eq!(end.tell("user.deleted", &data).await?, 200);
    let row = end.stage.the_row(id).await?;
    assert!(!row.lives());
    assert_eq!(row.raw_json, "{}");
    end.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_deletion_keeps_the_profile() -> Result<()> {
    let end = Endpoint::new().await?;
    let id = end.stage.simulator.create("Ada", "ada@example.com")?;
    end.deliver_all().await?;
    let before = end.stage.the_row(&id).await?;
    end.stage.simulator.delete(&id)?;
    end.deliver_all().await?;
    let after = end.stage.the_row(&id).await?;
    assert!(after.deleted_at >= after.updated_at);
    let mut revived = after;
    revived.deleted_at = None;
    assert_eq!(revived, before);
    Ok(())
}

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

#[tokio::test]
async fn swapped_updates_end_with_the_last_one() -> Result<()> {
    let end = Endpoint::new().await?;
    let simulator = &end.stage.simulator;
    let id = simulator.create("Ada", "ada@example.com")?;
    end.deliver_all().await?;
    tokio::time::sleep(STALENESS).await;
    simulator.rename(&id, "First")?;
    simulator.rename(&id, "Second")?;
    let messages = simulator.take_messages();
    for message in messages.iter().rev() {
        assert_eq!(end.deliver(message).await?, 200);
    }
    end.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_read_that_took_long_loses_to_a_newer_one() -> Result<()> {
    for there_and_back in [false, true] {
        let end = Endpoint::new().await?;
        let simulator = &end.stage.simulator;
        let id = simulator.create("Ada", "ada@example.com")?;
        end.deliver_all().await?;
        tokio::time::sleep(STALENESS).await;
        simulator.rename(&id, "Countess")?;
        let first = simulator.take_messages();
        // Its read sees the Countess, and arrives when she has another name again.
        simulator.add_trouble(Trouble::next(1, Fault::Late(3_000)).on(Call::Read));
        end.webhook.spawn_instance().await?;
        let late = async {
            let began = Instant::now();
            let status = end.deliver(about_a_user(&first)?).await?;
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
            end.deliver(about_a_user(&messages)?).await
        };
        assert_eq!(tokio::try_join!(late, newer)?, (200, 200));
        end.stage.assert_in_sync().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_delivery_twice_at_once_is_one() -> Result<()> {
    let end = Endpoint::new().await?;
    for _ in 0..3 {
        end.webhook.spawn_instance().await?;
    }
    end.stage.simulator.create("Ada", "ada@example.com")?;
    let messages = end.stage.simulator.take_messages();
    let created = about_a_user(&messages)?;
    let deliveries = std::iter::repeat_n(created, 4);
    let check = async |message: &Message| {
        let status = end.deliver(message).await?;
        ensure!(status == 200, "{status}");
        Ok(())
    };
    at_once(deliveries, check).await?;
    assert_eq!(end.stage.table().await?.len(), 1);
    end.stage.assert_in_sync().await
}

#[tokio::test]
async fn many_deliveries_about_one_user_at_once_end_with_the_truth() -> Result<()> {
    let end = Endpoint::new().await?;
    for _ in 0..3 {
        end.webhook.spawn_instance().await?;
    }
    let simulator = &end.stage.simulator;
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
            statuses.push(end.deliver(&message).await?);
            if statuses.last() == Some(&200) {
                return Ok(());
            }
        }
        anyhow::bail!("{statuses:?}")
    };
    at_once(messages, check).await?;
    end.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_row_that_the_application_put_in_is_overwritten() -> Result<()> {
    let end = Endpoint::new().await?;
    let simulator = &end.stage.simulator;
    for (number, statement) in [
        "SELECT neon_identity.ensure_user('{id}')",
        "INSERT INTO neon_identity.users_sync (id, raw_json, name, email, created_at)
        VALUES ('{id}', '{\"mine\": true}', 'mine', 'mine', now())",
        "INSERT INTO neon_identity.users_sync (id, raw_json, deleted_at)
        VALUES ('{id}', '{}', NULL)",
    ]
    .iter()
    .enumerate()
    {
        let id = simulator.create("Ada", &format!("ada{number}@example.com"))?;
        end.stage.execute(&statement.replace("{id}", &id)).await?;
        let row = end.stage.the_row(&id).await?;
        assert_eq!(row.updated_at, None);
        end.deliver_all().await?;
    }
    end.stage.assert_in_sync().await?;
    // Also by a deletion.
    let (_, deleted) = created_and_deleted(&end)?;
    let id = simulator.deleted_ids().pop().context("a deleted user")?;
    let ensure = format!("SELECT neon_identity.ensure_user('{id}')");
    end.stage.execute(&ensure).await?;
    assert_eq!(end.deliver(&deleted).await?, 200);
    assert!(!end.stage.the_row(&id).await?.lives());
    Ok(())
}

// Secrets and connections.

#[tokio::test]
async fn a_signing_secret_rotated_in_the_file_is_taken_in() -> Result<()> {
    let end = Endpoint::new().await?;
    let old = end.stage.signing_secret();
    end.stage.simulator.create("Ada", "ada@example.com")?;
    end.stage.change_secret(|secret| {
        secret["signing_secrets"] = json!([signing_secret()]);
    })?;
    end.deliver_all().await?;
    end.stage.assert_in_sync().await?;
    let body = br#"{"type":"stack.test","data":{}}"#;
    let letter = Letter::new(&old, &event_id(), body);
    assert_eq!(end.send(&letter).await?, 401);
    Ok(())
}

#[tokio::test]
async fn a_stray_forgery_keeps_no_rotation_from_being_noticed() -> Result<()> {
    let end = Endpoint::new().await?;
    let body = br#"{"type":"stack.test","data":{}}"#;
    let forged = Letter::new(&signing_secret(), &event_id(), body);
    for _ in 0..2 {
        assert_eq!(end.send(&forged).await?, 401);
        let rotated = signing_secret();
        end.stage
            .change_secret(|secret| secret["signing_secrets"] = json!([rotated]))?;
        let letter = Letter::new(&rotated, "msg_1", body);
        assert_eq!(end.send(&letter).await?, 200);
    }
    Ok(())
}

#[tokio::test]
async fn a_flood_of_forgeries_does_not_ask_for_the_secret_each_time() -> Result<()> {
    let end = Endpoint::new().await?;
    let body = br#"{"type":"stack.test","data":{}}"#;
    let forged = Letter::new(&signing_secret(), &event_id(), body);
    for _ in 0..20 {
        assert_eq!(end.send(&forged).await?, 401);
    }
    let rotated = signing_secret();
    end.stage
        .change_secret(|secret| secret["signing_secrets"] = json!([rotated]))?;
    let letter = || Letter::new(&rotated, "msg_1", body);
    // The provider sends again what is answered 401.
    assert_eq!(end.send(&letter()).await?, 401, "it was read too often");
    tokio::time::sleep(Duration::from_millis(10_100)).await;
    assert_eq!(end.send(&letter()).await?, 200);
    Ok(())
}

#[tokio::test]
async fn while_the_secret_cannot_be_read_again_a_signature_may_be_by_a_new_secret() -> Result<()> {
    let end = Endpoint::new().await?;
    let [(_, file)] = end.stage.environment();
    let kept = std::fs::read(&file)?;
    let rotated = signing_secret();
    let body = br#"{"type":"stack.test","data":{}}"#;
    let letter = || Letter::new(&rotated, "msg_1", body);
    std::fs::remove_file(&file)?;
    // The second time it is not tried again so soon.
    for _ in 0..2 {
        assert_eq!(end.send(&letter()).await?, 503);
    }
    std::fs::write(&file, kept)?;
    end.stage
        .change_secret(|secret| secret["signing_secrets"] = json!([rotated]))?;
    tokio::time::sleep(Duration::from_millis(5_100)).await;
    assert_eq!(end.send(&letter()).await?, 200);
    Ok(())
}

#[tokio::test]
async fn a_signing_secret_rotated_in_secrets_manager_is_taken_in() -> Result<()> {
    let stage = Stage::new().await?;
    let manager = SecretsManager::shared().await?;
    let secret_id = random_name("users-sync");
    manager.put(&secret_id, &stage.secret()).await?;
    let webhook = Function::spawn("webhook", manager.env(&secret_id)).await?;
    webhook.ready().await?;
    let client = client()?;
    for _ in 0..2 {
        stage.simulator.create("Ada", "ada@example.com")?;
        for message in stage.simulator.take_messages() {
            let letter = Letter::new(&stage.signing_secret(), &message.id, &message.body);
            assert_eq!(send(&client, webhook.url(), &letter).await?, 200);
        }
        stage.assert_in_sync().await?;
        stage.change_secret(|secret| {
            secret["signing_secrets"] = json!([signing_secret()]);
        })?;
        manager.put(&secret_id, &stage.secret()).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_rotated_database_password_is_taken_in() -> Result<()> {
    let server = Postgres::shared().await?;
    let end = Endpoint::on(server).await?;
    let url = end.stage.database.url().to_owned();
    let user = url
        .split(['/', ':'])
        .nth(3)
        .context("a user in the URL")?
        .to_owned();
    let statement = format!("ALTER ROLE {user} PASSWORD 'rotated'");
    end.stage.execute(&statement).await?;
    end.stage.change_secret(|secret| {
        secret["database_url"] = json!(url.replace(&format!(":{user}@"), ":rotated@"));
    })?;
    // The connection that is open stays good until it is lost.
    end.stage.simulator.create("Ada", "ada@example.com")?;
    end.deliver_all().await?;
    server.terminate_backends(end.stage.database.name()).await?;
    end.stage.simulator.create("Bob", "bob@example.com")?;
    end.deliver_all().await?;
    end.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_rotated_key_of_the_provider_is_taken_in() -> Result<()> {
    let end = Endpoint::new().await?;
    let right = end.stage.secret();
    end.stage
        .change_secret(|secret| secret["provider"]["secret_server_key"] = json!("ssk_old"))?;
    let webhook = end.stage.webhook().await?;
    end.stage.change_secret(|secret| *secret = right)?;
    end.stage.simulator.create("Ada", "ada@example.com")?;
    for message in end.stage.simulator.take_messages() {
        let letter = Letter::new(&end.stage.signing_secret(), &message.id, &message.body);
        assert_eq!(send(&end.client, webhook.url(), &letter).await?, 200);
    }
    end.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_lost_connection_is_made_again() -> Result<()> {
    let server = Postgres::shared().await?;
    let end = Endpoint::on(server).await?;
    end.stage.simulator.create("Bob", "bob@example.com")?;
    end.deliver_all().await?;
    for number in 0..3 {
        let terminated = server.terminate_backends(end.stage.database.name());
        assert!(terminated.await? >= 1);
        let email = format!("ada{number}@example.com");
        end.stage.simulator.create("Ada", &email)?;
        end.deliver_all().await?;
    }
    end.stage.assert_in_sync().await
}

#[tokio::test]
async fn strangers_hold_no_connection_and_the_provider_keeps_one() -> Result<()> {
    let end = Endpoint::new().await?;
    for _ in 1..5 {
        end.webhook.spawn_instance().await?;
    }
    let connections = async || {
        let sql = "SELECT pid FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'users-sync'";
        end.stage.json(sql).await
    };
    let body = br#"{"type":"user.deleted","data":{"id":"x"}}"#;
    let forged = Letter::new(&signing_secret(), &event_id(), body);
    let mut unsigned = forged.clone();
    unsigned.without = Some("signature");
    let mut large = forged.clone();
    large.body = vec![b'x'; (1 << 20) + 1];
    let mut get = forged.clone();
    get.method = Method::GET;
    let bad = [(&forged, 401), (&unsigned, 401), (&large, 413), (&get, 405)];
    at_once(
        (0..100).map(|number| bad[number % 4]),
        async |(letter, status)| {
            let answered = end.send(letter).await?;
            ensure!(answered == status, "{answered}");
            Ok(())
        },
    )
    .await?;
    assert_eq!(connections().await?, Vec::<Value>::new());

    end.stage.simulator.create("Ada", "ada@example.com")?;
    let messages = end.stage.simulator.take_messages();
    let end = Endpoint::of(end.stage).await?;
    let mut kept = Vec::new();
    for _ in 0..3 {
        assert_eq!(end.deliver(about_a_user(&messages)?).await?, 200);
        assert_eq!(end.send(&forged).await?, 401);
        let sql = "SELECT pid FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'users-sync'";
        kept.push(end.stage.json(sql).await?);
    }
    assert_eq!(kept[0].len(), 1);
    assert!(
        kept.iter().all(|connections| *connections == kept[0]),
        "{kept:?}"
    );
    Ok(())
}

#[tokio::test]
async fn ten_instances_share_two_connections_of_a_pooler() -> Result<()> {
    let server = Postgres::shared().await?;
    let bouncer = PgBouncer::start(server, 2).await?;
    let stage = Stage::on(server, Setup::default()).await?;
    let direct = stage.database.url().to_owned();
    stage.change_secret(|secret| secret["database_url"] = json!(bouncer.url(&direct)))?;
    let end = Endpoint::of(stage).await?;
    for _ in 1..10 {
        end.webhook.spawn_instance().await?;
    }
    let simulator = &end.stage.simulator;
    let ids: Vec<String> = (0..20)
        .map(|number| simulator.create("Ada", &format!("ada{number}@example.com")))
        .collect::<Result<_>>()?;
    let check = async |message: Message| {
        let status = end.deliver(&message).await?;
        ensure!(status == 200, "{}: {status}", message.kind);
        Ok(())
    };
    at_once(simulator.take_messages(), check).await?;
    end.stage.assert_in_sync().await?;
    for id in &ids[..10] {
        simulator.rename(id, "Countess")?;
    }
    for id in &ids[10..] {
        simulator.delete(id)?;
    }
    at_once(simulator.take_messages(), check).await?;
    at_once(0..5, async |_| {
        let status = end.send(&end.letter("no JSON")).await?;
        ensure!(status == 400, "{status}");
        Ok(())
    })
    .await?;
    end.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_delivery_costs_one_look_at_the_clock_and_one_write() -> Result<()> {
    let server = Postgres::start(Options::default().set("log_statement", "all")).await?;
    let end = Endpoint::on(&server).await?;
    let simulator = &end.stage.simulator;
    let id = simulator.create("Ada", "ada@example.com")?;
    let messages = simulator.take_messages();
    let statements = async |message: &Message| -> Result<Vec<String>> {
        let before = server.log()?.len();
        assert_eq!(end.deliver(message).await?, 200);
        let log = server.log()?.split_off(before);
        let lines = log.lines().filter(|line| line.contains(" LOG: "));
        Ok(lines.map(str::to_owned).collect())
    };
    let check = |lines: &[String], write: &str| {
        assert_eq!(lines.len(), 2, "{lines:#?}");
        assert!(lines[0].contains("-- The database's clock"), "{lines:#?}");
        assert!(lines[1].contains(write), "{lines:#?}");
    };
    check(
        &statements(about_a_user(&messages)?).await?,
        "-- The join: ",
    );
    tokio::time::sleep(STALENESS).await;
    simulator.rename(&id, "Countess")?;
    let messages = simulator.take_messages();
    check(
        &statements(about_a_user(&messages)?).await?,
        "-- The join: ",
    );
    simulator.delete(&id)?;
    let messages = simulator.take_messages();
    check(
        &statements(about_a_user(&messages)?).await?,
        "-- The join of a deletion",
    );
    Ok(())
}

// Profiles.

#[tokio::test]
async fn numbers_that_postgres_can_hold_are_kept_to_the_last_digit() -> Result<()> {
    let deep = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let digits = "123456789012345678901234567890";
    let long = format!("1{}", "0".repeat(400));
    // What the profile holds beside the rest, and what the row is to show of it.
    let cases: Vec<(String, &str, String)> = vec![
        (r#""n":"a\u0000b""#.into(), "n", "\"a\u{fffd}b\"".into()),
        (r#""n":"a\\u0000b""#.into(), "n", r#""a\\u0000b""#.into()),
        (
            r#""n":{"a\u0000":["\u0000"]}"#.into(),
            "n",
            "{\"a\u{fffd}\": [\"\u{fffd}\"]}".into(),
        ),
        (r#""n":"\ud800""#.into(), "n", "\"\u{fffd}\"".into()),
        (
            r#""n":"\udc00\ud800x""#.into(),
            "n",
            "\"\u{fffd}\u{fffd}x\"".into(),
        ),
        (r#""n":"\ud83d\ude00""#.into(), "n", "\"\u{1f600}\"".into()),
        (format!(r#""n":{digits}"#), "n", digits.into()),
        (
            format!(r#""n":-{digits}.{digits}"#),
            "n",
            format!("-{digits}.{digits}"),
        ),
        (r#""n":1.10"#.into(), "n", "1.10".into()),
        (r#""n":1e400"#.into(), "n", long),
        (r#""n":-0"#.into(), "n", "0".into()),
        (r#""n":1,"n":2"#.into(), "n", "2".into()),
        (
            r#""n":{"a":1,"a":{"b":1,"b":2}}"#.into(),
            "n",
            r#"{"a": {"b": 2}}"#.into(),
        ),
        (format!(r#""n":{}"#, deep(3_000)), "n", deep(3_000)),
        (
            r#""display_name":"a\u0000b""#.into(),
            "display_name",
            "\"a\u{fffd}b\"".into(),
        ),
        (
            r#""display_name":null"#.into(),
            "display_name",
            "null".into(),
        ),
    ];
    let end = Endpoint::new().await?;
    for _ in 0..3 {
        end.webhook.spawn_instance().await?;
    }
    let check = async |(field, name, expected): (String, &'static str, String)| -> Result<()> {
        let id = end.stage.simulator.create("Ada", "ada@example.com")?;
        let profile = format!(r#"{{"id":"{id}",{field}}}"#);
        end.show(&id, &profile).await?;
        let row = end.stage.the_row(&id).await?;
        let shown = format!("{{\"id\": \"{id}\", \"{name}\": {expected}}}");
        let sorted = format!("{{\"{name}\": {expected}, \"id\": \"{id}\"}}");
        ensure!(
            row.raw_json == shown || row.raw_json == sorted,
            "{profile}: {}",
            row.raw_json
        );
        let is_name = name == "display_name" && expected != "null";
        let name = is_name.then(|| expected.trim_matches('"'));
        ensure!(row.name.as_deref() == name, "{profile}: {:?}", row.name);
        Ok(())
    };
    at_once(cases, check).await
}

#[tokio::test]
async fn a_sign_up_that_is_no_time_is_none() -> Result<()> {
    let end = Endpoint::new().await?;
    for _ in 0..3 {
        end.webhook.spawn_instance().await?;
    }
    let cases = [
        ("1700000000123", Some("1700000000.123000")),
        ("1700000000123.4", Some("1700000000.123400")),
        ("1.7e12", Some("1700000000.000000")),
        ("0", Some("0.000000")),
        ("-1000", Some("-1.000000")),
        ("-1.5", Some("-0.001500")),
        ("1e30", None),
        ("-1e30", None),
        ("99999999999999999999", None),
        ("\"1700000000123\"", None),
        ("null", None),
        ("true", None),
        ("[]", None),
    ];
    let check = async |(millis, expected): (&str, Option<&str>)| -> Result<()> {
        let id = end.stage.simulator.create("Ada", "ada@example.com")?;
        let profile = format!(r#"{{"id":"{id}","signed_up_at_millis":{millis}}}"#);
        end.show(&id, &profile).await?;
        let sql = format!(
            "SELECT extract(epoch FROM created_at)::text AS at FROM neon_identity.users_sync
            WHERE id = '{id}'"
        );
        let found = end.stage.json(&sql).await?;
        ensure!(found[0]["at"].as_str() == expected, "{millis}: {found:?}");
        Ok(())
    };
    at_once(cases, check).await
}

#[tokio::test]
async fn a_user_that_postgres_cannot_hold_is_kept_as_rejected() -> Result<()> {
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    for field in [format!(r#""n":{deep}"#), r#""n":1e5000"#.to_owned()] {
        let end = Endpoint::new().await?;
        let id = end.stage.simulator.create("Ada", "ada@example.com")?;
        end.stage.simulator.take_messages();
        let profile = format!(r#"{{"id":"{id}",{field}}}"#);
        end.stage.simulator.show_profile(&id, &profile)?;
        // Not even what is told need show it.
        for body in [
            format!(r#"{{"type":"user.updated","data":{profile}}}"#),
            format!(r#"{{"type":"user.updated","data":{{"id":"{id}"}}}}"#),
        ] {
            assert_eq!(end.send(&end.letter(body)).await?, 400);
        }
        let kept = end.stage.rejections().await?;
        assert_eq!(kept.len(), 2);
        assert!(end.stage.table().await?.is_empty());
    }
    Ok(())
}

#[tokio::test]
async fn a_large_profile_is_taken() -> Result<()> {
    let end = Endpoint::new().await?;
    let id = end.stage.simulator.create("Ada", "ada@example.com")?;
    let filling = json!({"text": "ü€😀\"\\\n".repeat(350_000 / 12)});
    end.stage.simulator.set_metadata(&id, filling)?;
    let messages = end.stage.simulator.take_messages();
    let largest = messages.iter().map(|message| message.body.len()).max();
    assert!(largest >= Some(350_000), "{largest:?}");
    for message in &messages {
        assert_eq!(end.deliver(message).await?, 200);
    }
    end.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_change_while_the_user_is_read_is_told_by_its_own_delivery() -> Result<()> {
    let end = Endpoint::new().await?;
    let simulator = &end.stage.simulator;
    let id = simulator.create("Ada", "ada@example.com")?;
    let renamed = id.clone();
    simulator.once(Moment::After, Call::Read, 0, move |world| {
        world
            .rename(&renamed, "Countess")
            .expect("a user to rename");
    });
    end.deliver_all().await?;
    end.deliver_all().await?;
    end.stage.assert_in_sync().await
}

#[tokio::test]
async fn anonymous_and_restricted_users_are_users() -> Result<()> {
    let setup = Setup::of(Stack {
        require_email_verification: true,
        ..Stack::default()
    });
    let end = Endpoint::of(Stage::on(Postgres::shared().await?, setup).await?).await?;
    let simulator = &end.stage.simulator;
    let id = simulator.create_anonymous()?;
    simulator.create("Ada", "ada@example.com")?;
    end.deliver_all().await?;
    end.stage.assert_in_sync().await?;
    simulator.anonymous_signs_up(&id, "Bob", "bob@example.com")?;
    end.deliver_all().await?;
    end.stage.assert_in_sync().await?;
    assert_eq!(end.stage.table().await?.len(), 2);
    Ok(())
}

// Help.

impl Endpoint {
    async fn assert_nothing_kept(&self) -> Result<()> {
        let (rows, rejections) = (self.stage.table().await?, self.stage.rejections().await?);
        ensure!(rows.is_empty() && rejections.is_empty());
        Ok(())
    }

    /// Lets the provider show this profile, and tell it.
    async fn show(&self, id: &str, profile: &str) -> Result<()> {
        self.stage.simulator.show_profile(id, profile)?;
        let body = format!(r#"{{"type":"user.updated","data":{profile}}}"#);
        let status = self.send(&self.letter(body)).await?;
        ensure!(status == 200, "{profile}: {status}");
        Ok(())
    }
}

/// The last of the messages that is about a user.
fn about_a_user(messages: &[Message]) -> Result<&Message> {
    let mut about = messages.iter().rev();
    about
        .find(|message| message.kind.starts_with("user."))
        .context("a message about a user")
}

/// What is told of somebody who came and went.
fn created_and_deleted(end: &Endpoint) -> Result<(Message, Message)> {
    let simulator = &end.stage.simulator;
    let id = simulator.create("Ada", "ada@example.com")?;
    let created = simulator.take_messages();
    simulator.delete(&id)?;
    let deleted = simulator.take_messages();
    Ok((
        about_a_user(&created)?.clone(),
        about_a_user(&deleted)?.clone(),
    ))
}

/// Checks all cases at once; the first that fails fails them all.
async fn at_once<T, C, F>(cases: impl IntoIterator<Item = T>, check: C) -> Result<()>
where
    C: Fn(T) -> F,
    F: Future<Output = Result<()>>,
{
    futures_util::future::try_join_all(cases.into_iter().map(check)).await?;
    Ok(())
}
