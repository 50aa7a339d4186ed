//! Requests: which are deliveries, how large they may be, and how Lambda hands them in.

use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};
use tests::stage::Stage;

use super::assert_nothing_kept;

#[tokio::test]
async fn a_new_user_is_in_the_table_column_by_column() -> Result<()> {
    let stage = Stage::receiving().await?;
    let id = stage.simulator.create("Ada", "ada@example.com")?;
    stage.deliver_all().await?;
    stage.assert_in_sync().await?;
    let row = stage.the_row(&id).await?;
    assert_eq!(row.name.as_deref(), Some("Ada"));
    assert_eq!(row.email.as_deref(), Some("ada@example.com"));
    assert!(row.created_at.is_some() && row.updated_at.is_some() && row.lives());
    Ok(())
}

#[tokio::test]
async fn a_delivery_that_is_known_is_taken_again() -> Result<()> {
    let stage = Stage::receiving().await?;
    stage.simulator.create("Ada", "ada@example.com")?;
    let messages = stage.simulator.take_messages();
    for message in messages.iter().chain(&messages) {
        assert_eq!(stage.deliver(message).await?, 200);
    }
    stage.assert_in_sync().await?;
    assert_eq!(stage.table().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn an_event_about_something_else_is_taken_and_changes_nothing() -> Result<()> {
    let stage = Stage::receiving().await?;
    for kind in [
        "team.created",
        "team.deleted",
        "team_membership.deleted",
        "team_permission.created",
        "project_permission.created",
        "stack.test",
        "user.invented",
    ] {
        assert_eq!(stage.tell(kind, &json!({"id": "x"})).await?, 200, "{kind}");
        assert_eq!(stage.tell(kind, &Value::Null).await?, 200, "{kind}");
    }
    assert!(stage.simulator.requests().is_empty());
    assert_nothing_kept(&stage).await
}

#[tokio::test]
async fn only_post_delivers() -> Result<()> {
    let stage = Stage::receiving().await?;
    for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"] {
        let mut letter = stage.letter(r#"{"type":"stack.test","data":{}}"#);
        letter.method = Method::from_bytes(method.as_bytes())?;
        assert_eq!(stage.send(&letter).await?, 405, "{method}");
        let mut bare = letter;
        bare.body.clear();
        assert_eq!(stage.send(&bare).await?, 405, "{method} without a body");
    }
    Ok(())
}

#[tokio::test]
async fn a_body_of_a_mebibyte_is_taken_and_a_byte_more_is_not() -> Result<()> {
    let stage = Stage::receiving().await?;
    // Bytes count, not characters; and neither does base64.
    for filler in [" ", "ü"] {
        for kind in [Some("application/json"), None] {
            let check = async |length: usize| {
                let (start, stop) = (r#"{"type":"stack.test","data":""#, r#""}"#);
                let room = length - start.len() - stop.len();
                let filling = filler.repeat(room / filler.len()) + &" ".repeat(room % filler.len());
                let mut letter = stage.letter(format!("{start}{filling}{stop}"));
                assert_eq!(letter.body.len(), length);
                letter.content_type = kind;
                stage.send(&letter).await
            };
            assert_eq!(check(1 << 20).await?, 200);
            assert_eq!(check((1 << 20) + 1).await?, 413);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_body_is_read_as_text_and_as_base64() -> Result<()> {
    let stage = Stage::receiving().await?;
    for kind in [
        Some("application/json"),
        Some("application/json; charset=utf-8"),
        Some("text/plain"),
        Some("application/octet-stream"),
        Some("application/x-www-form-urlencoded"),
        None,
    ] {
        stage
            .simulator
            .create("Zoë 梅 \u{1f600}", "zoe@example.com")?;
        for message in stage.simulator.take_messages() {
            let mut letter = stage.letter(&message.body);
            letter.content_type = kind;
            assert_eq!(stage.send(&letter).await?, 200, "{kind:?}");
        }
    }
    stage.assert_in_sync().await?;
    assert_eq!(stage.table().await?.len(), 6);
    Ok(())
}
