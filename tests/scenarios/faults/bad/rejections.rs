//! How a rejection ends: when the user can be read again, and not before.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tests::stage::Stage;

async fn unresolved(stage: &Stage) -> Result<Vec<Value>> {
    let mut rows = stage.rejections().await?;
    rows.retain(|row| row["resolved_at"].is_null());
    Ok(rows)
}

#[tokio::test]
async fn a_delivery_that_could_not_be_read_is_resolved_once_its_user_can() -> Result<()> {
    let stage = Stage::receiving().await?;
    let simulator = &stage.simulator;
    let id = simulator.create("Ada", "ada@example.com")?;
    let known = simulator.create("Bob", "bob@example.com")?;
    // If they were most of the listed users, the run would fail.
    for name in ["Cy", "Di"] {
        simulator.create(name, &format!("{name}@example.com"))?;
    }
    stage.deliver_all().await?;
    stage
        .execute("DELETE FROM neon_identity.users_sync WHERE name = 'Ada'")
        .await?;
    for user in [&id, &known] {
        let profile = format!(r#"{{"id":"{user}","n":1e5000}}"#);
        simulator.show_profile(user, &profile)?;
        let body = format!(r#"{{"type":"user.updated","data":{profile}}}"#);
        assert_eq!(stage.send(&stage.letter(body)).await?, 400);
    }
    let kept = unresolved(&stage).await?;
    let named: Vec<_> = kept.iter().map(|row| row["user_id"].as_str()).collect();
    assert_eq!(named, [Some(id.as_str()), Some(known.as_str())]);

    // As long as the listing shows them like that, nothing is resolved, not even for a user that
    // has a row from before.
    let reconcile = stage.reconcile().await?;
    for _ in 0..2 {
        let report = reconcile.invoke(json!({})).await?;
        assert_eq!(report["rejected"], 2, "{report}");
        // A user has one that is open: the newest.
        let open = unresolved(&stage).await?;
        let open: Vec<_> = open.iter().map(|row| row["user_id"].as_str()).collect();
        assert_eq!(open.len(), 2);
        assert!(open.contains(&Some(&id)) && open.contains(&Some(&known)));
    }
    simulator.rename(&id, "Ada L.")?;
    reconcile.invoke(json!({})).await?;
    let left = unresolved(&stage).await?;
    assert_eq!(left.len(), 1);
    assert!(left.iter().all(|row| row["user_id"] == known.as_str()));

    // A delivery that can be read takes the user in; the next run says so.
    simulator.take_messages();
    simulator.rename(&known, "Bob B.")?;
    stage.deliver_all().await?;
    assert_eq!(stage.the_row(&known).await?.name.as_deref(), Some("Bob B."));
    reconcile.invoke(json!({})).await?;
    assert!(unresolved(&stage).await?.is_empty());
    stage.assert_in_sync().await
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
    let stage = Stage::receiving().await?;
    let simulator = &stage.simulator;
    let id = simulator.create("Ada", "ada@example.com")?;
    simulator.create("Bob", "bob@example.com")?;
    stage.deliver_all().await?;
    let before = stage.the_row(&id).await?;
    let reconcile = stage.reconcile().await?;
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
        assert_eq!(stage.send(&stage.letter(body)).await?, 400, "{begins}");
        if shown.len() < 1 << 20 {
            let report = reconcile.invoke(json!({})).await?;
            assert_eq!(report["outcome"], "complete", "{begins}: {report}");
            assert_eq!(report["deleted"], 0, "{begins}: {report}");
        }
        assert_eq!(stage.the_row(&id).await?, before, "{begins}");
    }
    let kept = unresolved(&stage).await?;
    assert!(
        kept.iter().any(|row| row["user_id"] == id.as_str()),
        "{kept:?}"
    );
    simulator.rename(&id, "Readable")?;
    stage.deliver_all().await?;
    reconcile.invoke(json!({})).await?;
    assert!(unresolved(&stage).await?.is_empty());
    stage.assert_in_sync().await
}

#[tokio::test]
async fn headers_that_are_no_text_are_refused_as_any_other_forgery() -> Result<()> {
    let stage = Stage::receiving().await?;
    for value in [
        &b"\xff\xfe"[..],
        "é".as_bytes(),
        "\u{1F600}".as_bytes(),
        b"\t",
    ] {
        for name in ["x-name", "svix-id", "svix-signature", "authorization"] {
            let value = reqwest::header::HeaderValue::from_bytes(value)?;
            let request = stage
                .letters()?
                .post(stage.webhook().await?.url())
                .header(name, value);
            let status = request.body("{}").send().await?.status();
            assert_eq!(status, 401, "{name}");
        }
    }
    Ok(())
}

/// Shows so many users without an id, with other bytes each time.
fn show_nameless(stage: &Stage, ids: &[String], round: u32) -> Result<()> {
    for id in ids {
        let profile = format!(r#"{{"no":"id","of":"{id}","round":{round}}}"#);
        stage.simulator.show_profile(id, &profile)?;
    }
    Ok(())
}

#[tokio::test]
async fn users_without_an_id_are_kept_once_each_whatever_their_bytes() -> Result<()> {
    let stage = Stage::new().await?;
    stage.simulator.seed(110);
    let ids: Vec<_> = stage.simulator.truth().map(|user| user.id).collect();
    let reconcile = stage.reconcile().await?;
    for round in 0..4 {
        show_nameless(&stage, &ids[..50], round)?;
        let report = reconcile.invoke(json!({})).await?;
        assert_eq!(report["outcome"], "complete", "{report}");
        assert_eq!(report["rejected"], 50, "{report}");
        let open = unresolved(&stage).await?;
        assert_eq!((stage.rejections().await?.len(), open.len()), (50, 50));
        let shown = format!(r#""round":{round}"#);
        for row in open {
            let body = row["body"].as_str().unwrap_or_default().to_owned();
            assert!(text(&body).contains(&shown), "{row}");
        }
    }
    // Fewer of them: the others' rejections stage.
    for id in &ids[..20] {
        stage.simulator.rename(id, "Readable")?;
    }
    show_nameless(&stage, &ids[20..50], 9)?;
    let report = reconcile.invoke(json!({})).await?;
    assert_eq!(report["rejected"], 30, "{report}");
    assert_eq!(unresolved(&stage).await?.len(), 30);
    Ok(())
}

/// The text of a body, as `rejections` shows it.
fn text(hexadecimal: &str) -> String {
    let digits = hexadecimal.trim_start_matches("\\x").as_bytes();
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).unwrap_or_default();
        char::from(u8::from_str_radix(pair, 16).unwrap_or_default())
    };
    digits.chunks(2).map(byte).collect()
}

#[tokio::test]
async fn a_run_that_rejects_most_of_the_listed_fails_and_tombstones_nobody() -> Result<()> {
    let stage = Stage::new().await?;
    stage.simulator.seed(50);
    let reconcile = stage.reconcile().await?;
    reconcile.invoke(json!({})).await?;
    let ids: Vec<_> = stage.simulator.truth().map(|user| user.id).collect();
    let gone = stage.simulator.create("Gone", "gone@example.com")?;
    reconcile.invoke(json!({})).await?;
    stage.simulator.delete(&gone)?;
    for round in 0..3 {
        show_nameless(&stage, &ids, round)?;
        let error = reconcile.invoke(json!({})).await.err();
        let error = error.expect("most of the listed were rejected");
        assert_eq!(error.error_type, "Failed", "{error}");
        let told = &error.error_message;
        assert!(
            told.contains("50 of 50") && told.contains("rejections"),
            "{told}"
        );
        let run = stage.runs().await?.pop().expect("a run");
        assert_eq!(run["outcome"], "failed", "{run}");
        assert_eq!(run["rejected"], 50, "{run}");
        assert_eq!(stage.rejections().await?.len(), 50);
        assert!(stage.table().await?.iter().all(|row| row.lives()));
    }
    // One in two is not most of them.
    for id in &ids[..25] {
        stage.simulator.rename(id, "Readable")?;
    }
    show_nameless(&stage, &ids[25..], 9)?;
    // Those without an id are not met, and read by theirs.
    let report = reconcile.invoke(json!({})).await?;
    assert_eq!(report["outcome"], "complete", "{report}");
    assert_eq!(report["deleted"], 1, "{report}");
    Ok(())
}
