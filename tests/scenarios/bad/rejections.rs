//! How a rejection ends: when the user can be read again, and not before.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tests::stage::Stage;

use crate::delivery::Endpoint;

async fn unresolved(stage: &Stage) -> Result<Vec<Value>> {
    let mut rows = stage.rejections().await?;
    rows.retain(|row| row["resolved_at"].is_null());
    Ok(rows)
}

#[tokio::test]
async fn a_delivery_that_could_not_be_read_is_resolved_once_its_user_can() -> Result<()> {
    let end = Endpoint::new().await?;
    let simulator = &end.stage.simulator;
    let id = simulator.create("Ada", "ada@example.com")?;
    let known = simulator.create("Bob", "bob@example.com")?;
    end.deliver_all().await?;
    end.stage
        .execute("DELETE FROM neon_identity.users_sync WHERE name = 'Ada'")
        .await?;
    for user in [&id, &known] {
        let profile = format!(r#"{{"id":"{user}","n":1e5000}}"#);
        simulator.show_profile(user, &profile)?;
        let body = format!(r#"{{"type":"user.updated","data":{profile}}}"#);
        assert_eq!(end.send(&end.letter(body)).await?, 400);
    }
    let kept = unresolved(&end.stage).await?;
    let named: Vec<_> = kept.iter().map(|row| row["user_id"].as_str()).collect();
    assert_eq!(named, [Some(id.as_str()), Some(known.as_str())]);

    // As long as the listing shows them like that, nothing is resolved: not even for whom the
    // table has a row of before.
    let reconcile = end.stage.reconcile().await?;
    for _ in 0..2 {
        let report = reconcile.invoke(json!({})).await?;
        assert_eq!(report["rejected"], 2, "{report}");
        assert_eq!(unresolved(&end.stage).await?.len(), 4);
    }
    simulator.rename(&id, "Ada L.")?;
    reconcile.invoke(json!({})).await?;
    let left = unresolved(&end.stage).await?;
    assert_eq!(left.len(), 2);
    assert!(left.iter().all(|row| row["user_id"] == known.as_str()));

    // A delivery that can be read takes the user in; the next run says so.
    simulator.take_messages();
    simulator.rename(&known, "Bob B.")?;
    end.deliver_all().await?;
    assert_eq!(
        end.stage.the_row(&known).await?.name.as_deref(),
        Some("Bob B.")
    );
    reconcile.invoke(json!({})).await?;
    assert!(unresolved(&end.stage).await?.is_empty());
    end.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_user_without_an_id_is_resolved_once_nobody_is_listed_like_that() -> Result<()> {
    let stage = Stage::new().await?;
    let id = stage.simulator.create("Ada", "ada@example.com")?;
    // Nobody but him would be nobody at all, which holds a run.
    stage.simulator.create("Bob", "bob@example.com")?;
    let reconcile = stage.reconcile().await?;
    for profile in [r#"{"no":"id"}"#, "null", r#"{"id":["x"]}"#] {
        stage.simulator.show_profile(&id, profile)?;
        let report = reconcile.invoke(json!({})).await?;
        assert_eq!(
            report["rejected"].as_u64().map(|count| count > 0),
            Some(true),
            "{report}"
        );
        let left = unresolved(&stage).await?;
        ensure!(left.iter().any(|row| row["user_id"].is_null()), "{left:?}");
        stage.simulator.rename(&id, "Ada")?;
        let report = reconcile.invoke(json!({})).await?;
        assert_eq!(report["rejected"], 0, "{report}");
        assert!(unresolved(&stage).await?.is_empty());
    }
    stage.assert_in_sync().await
}

#[tokio::test]
async fn a_known_user_who_is_shown_as_anything_is_neither_a_5xx_nor_the_end_of_a_run() -> Result<()>
{
    let end = Endpoint::new().await?;
    let simulator = &end.stage.simulator;
    let id = simulator.create("Ada", "ada@example.com")?;
    simulator.create("Bob", "bob@example.com")?;
    end.deliver_all().await?;
    let before = end.stage.the_row(&id).await?;
    let reconcile = end.stage.reconcile().await?;
    let large = format!(r#"{{"id":"{id}","n":"{}"}}"#, "x".repeat(9 << 20));
    let bodies = [
        "null",
        "[]",
        "{}",
        r#"{"id":17}"#,
        r#"{"id":""}"#,
        r#"{"id":"a\u0000"}"#,
        &format!(r#"{{"id":"{}"}}"#, "x".repeat(10_000)),
        &large,
    ];
    for shown in bodies {
        simulator.show_profile(&id, shown)?;
        let body = json!({"type": "user.updated", "data": {"id": id}}).to_string();
        let begins = &shown[..shown.len().min(40)];
        assert_eq!(end.send(&end.letter(body)).await?, 400, "{begins}");
        if shown.len() < 1 << 20 {
            let report = reconcile.invoke(json!({})).await?;
            assert_eq!(report["outcome"], "complete", "{begins}: {report}");
            assert_eq!(report["deleted"], 0, "{begins}: {report}");
        }
        assert_eq!(end.stage.the_row(&id).await?, before, "{begins}");
    }
    let kept = unresolved(&end.stage).await?;
    assert!(
        kept.iter().any(|row| row["user_id"] == id.as_str()),
        "{kept:?}"
    );
    simulator.rename(&id, "Readable")?;
    end.deliver_all().await?;
    reconcile.invoke(json!({})).await?;
    assert!(unresolved(&end.stage).await?.is_empty());
    end.stage.assert_in_sync().await
}

#[tokio::test]
async fn headers_that_are_no_text_are_refused_as_any_other_forgery() -> Result<()> {
    let end = Endpoint::new().await?;
    for value in [
        &b"\xff\xfe"[..],
        "é".as_bytes(),
        "\u{1F600}".as_bytes(),
        b"\t",
    ] {
        for name in ["x-name", "svix-id", "svix-signature", "authorization"] {
            let value = reqwest::header::HeaderValue::from_bytes(value)?;
            let request = end.client.post(end.webhook.url()).header(name, value);
            let status = request.body("{}").send().await?.status();
            assert_eq!(status, 401, "{name}");
        }
    }
    Ok(())
}
