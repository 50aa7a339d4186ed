//! Profiles that are stored whole: long numbers, odd times, large bodies, anonymous users.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::postgres::Postgres;
use tests::simulator::Stack;
use tests::stage::{Setup, Stage};

use super::{at_once, created_and_deleted, show};

#[tokio::test]
async fn a_row_that_the_application_put_in_is_overwritten() -> Result<()> {
    let stage = Stage::receiving().await?;
    let simulator = &stage.simulator;
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
        stage.execute(&statement.replace("{id}", &id)).await?;
        let row = stage.the_row(&id).await?;
        assert_eq!(row.updated_at, None);
        stage.deliver_all().await?;
    }
    stage.assert_in_sync().await?;
    // Also by a deletion.
    let (_, deleted) = created_and_deleted(&stage)?;
    let id = simulator.deleted_ids().pop().context("a deleted user")?;
    let ensure = format!("SELECT neon_identity.ensure_user('{id}')");
    stage.execute(&ensure).await?;
    assert_eq!(stage.deliver(&deleted).await?, 200);
    assert!(!stage.the_row(&id).await?.lives());
    Ok(())
}

#[tokio::test]
async fn numbers_that_postgres_can_hold_are_kept_to_the_last_digit() -> Result<()> {
    let deep = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let digits = "123456789012345678901234567890";
    let long = format!("1{}", "0".repeat(400));
    // A field of the profile, and what the row is to show of it.
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
    let stage = Stage::receiving().await?;
    for _ in 0..3 {
        stage.webhook().await?.spawn_instance().await?;
    }
    let check = async |(field, name, expected): (String, &'static str, String)| -> Result<()> {
        let id = stage.simulator.create("Ada", "ada@example.com")?;
        let profile = format!(r#"{{"id":"{id}",{field}}}"#);
        show(&stage, &id, &profile).await?;
        let row = stage.the_row(&id).await?;
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
    let stage = Stage::receiving().await?;
    for _ in 0..3 {
        stage.webhook().await?.spawn_instance().await?;
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
        let id = stage.simulator.create("Ada", "ada@example.com")?;
        let profile = format!(r#"{{"id":"{id}","signed_up_at_millis":{millis}}}"#);
        show(&stage, &id, &profile).await?;
        let sql = format!(
            "SELECT extract(epoch FROM created_at)::text AS at FROM neon_identity.users_sync
            WHERE id = '{id}'"
        );
        let found = stage.json(&sql).await?;
        ensure!(found[0]["at"].as_str() == expected, "{millis}: {found:?}");
        Ok(())
    };
    at_once(cases, check).await
}

#[tokio::test]
async fn a_large_profile_is_taken() -> Result<()> {
    let stage = Stage::receiving().await?;
    let id = stage.simulator.create("Ada", "ada@example.com")?;
    let filling = json!({"text": "ü€😀\"\\\n".repeat(350_000 / 12)});
    stage.simulator.set_metadata(&id, filling)?;
    let messages = stage.simulator.take_messages();
    let largest = messages.iter().map(|message| message.body.len()).max();
    assert!(largest >= Some(350_000), "{largest:?}");
    for message in &messages {
        assert_eq!(stage.deliver(message).await?, 200);
    }
    stage.assert_in_sync().await
}

#[tokio::test]
async fn anonymous_and_restricted_users_are_users() -> Result<()> {
    let setup = Setup::of(Stack {
        require_email_verification: true,
        ..Stack::default()
    });
    let stage = Stage::on(Postgres::shared().await?, setup)
        .await?
        .receives()
        .await?;
    let simulator = &stage.simulator;
    let id = simulator.create_anonymous()?;
    simulator.create("Ada", "ada@example.com")?;
    stage.deliver_all().await?;
    stage.assert_in_sync().await?;
    simulator.anonymous_signs_up(&id, "Bob", "bob@example.com")?;
    stage.deliver_all().await?;
    stage.assert_in_sync().await?;
    assert_eq!(stage.table().await?.len(), 2);
    Ok(())
}
