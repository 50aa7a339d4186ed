//! Signed bodies that are no user: answered with 400, and kept once.

use anyhow::Result;
use serde_json::{Value, json};
use tests::stage::Stage;

use tests::letter::Letter;

#[tokio::test]
async fn a_signed_body_that_is_no_user_is_kept_once() -> Result<()> {
    let stage = Stage::receiving().await?;
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
    let secret = stage.signing_secret();
    for (number, body) in cases.iter().enumerate() {
        let id = format!("msg_{number}");
        for attempt in 0..3 {
            let letter = Letter::at(&secret, &id, body, attempt);
            let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
            assert_eq!(stage.send(&letter).await?, 400, "{shown}");
        }
    }
    let kept = stage.rejections().await?;
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
    assert!(stage.table().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_user_that_postgres_cannot_hold_is_kept_as_rejected() -> Result<()> {
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    for field in [format!(r#""n":{deep}"#), r#""n":1e5000"#.to_owned()] {
        let stage = Stage::receiving().await?;
        let id = stage.simulator.create("Ada", "ada@example.com")?;
        stage.simulator.take_messages();
        let profile = format!(r#"{{"id":"{id}",{field}}}"#);
        stage.simulator.show_profile(&id, &profile)?;
        // Not even what is told need show it.
        for body in [
            format!(r#"{{"type":"user.updated","data":{profile}}}"#),
            format!(r#"{{"type":"user.updated","data":{{"id":"{id}"}}}}"#),
        ] {
            assert_eq!(stage.send(&stage.letter(body)).await?, 400);
        }
        let kept = stage.rejections().await?;
        assert_eq!(kept.len(), 2);
        assert!(stage.table().await?.is_empty());
    }
    Ok(())
}
