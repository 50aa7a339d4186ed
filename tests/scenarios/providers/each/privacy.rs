//! What the secret redacts, of every provider: it is stored nowhere, however it arrives.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tests::for_each_provider;
use tests::simulator::Message;
use tests::stage::{Setup, Stage};

for_each_provider! {
    what_is_redacted_is_never_stored
    the_next_run_cleans_rows_and_rejections_that_hold_it
    a_body_that_cant_be_parsed_is_kept_as_its_size_and_digest
    a_listed_user_who_cant_be_stored_keeps_nothing_of_it
}

/// What is to be found nowhere.
const MARK: &str = "ada-lovelace";

const EMAIL: &str = "ada-lovelace@example.com";

/// A pointer to each text of a profile that holds the mark.
fn pointers(profile: &str) -> Result<Vec<String>> {
    fn search(value: &Value, at: &str, found: &mut Vec<String>) {
        match value {
            Value::String(text) if text.contains(MARK) => found.push(at.to_owned()),
            Value::Array(items) => {
                for (place, item) in items.iter().enumerate() {
                    search(item, &format!("{at}/{place}"), found);
                }
            }
            Value::Object(members) => {
                for (key, value) in members {
                    let key = key.replace('~', "~0").replace('/', "~1");
                    search(value, &format!("{at}/{key}"), found);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    search(&serde_json::from_str(profile)?, "", &mut found);
    ensure!(!found.is_empty(), "nothing to redact: {profile}");
    Ok(found)
}

/// Redacts the mark in the profile of this user, and of all who look like them.
fn redact(stage: &Stage, id: &str) -> Result<()> {
    let user = stage.simulator.user(id).context("the user")?;
    let pointers = pointers(&user.profile)?;
    stage.change_secret(|secret| secret["redact"] = json!(pointers))
}

/// The number of rows that hold the mark.
async fn marked(stage: &Stage) -> Result<String> {
    let sql = format!(
        "SELECT concat_ws(' ',
            (SELECT count(*) FROM neon_identity.users_sync AS kept WHERE kept::text ~ '{MARK}'),
            (SELECT count(*) FROM neon_identity.rejections
             WHERE position('{MARK}'::bytea IN body) > 0),
            (SELECT count(*) FROM neon_identity.runs AS kept WHERE kept::text ~ '{MARK}'))"
    );
    let rows = stage.query(&sql, &[]).await?;
    Ok(rows[0].get(0))
}

async fn assert_unmarked(stage: &Stage) -> Result<()> {
    ensure!(marked(stage).await? == "0 0 0", "{}", marked(stage).await?);
    Ok(())
}

/// The next run sees that all is well, and writes nothing.
async fn assert_settled(stage: &Stage, living: usize) -> Result<()> {
    let versions = stage.versions().await?;
    let report = stage.complete(json!({})).await?;
    ensure!(report["unchanged"] == living, "{report}");
    ensure!(report["listed"] == living, "{report}");
    ensure!(stage.versions().await? == versions, "it wrote");
    Ok(())
}

async fn what_is_redacted_is_never_stored(setup: Setup) -> Result<()> {
    let stage = Stage::of(setup).await?;
    let simulator = &stage.simulator;
    let id = simulator.create("Ada Lovelace", EMAIL)?;
    redact(&stage, &id)?;
    let stage = stage.receives().await?;
    stage.deliver_all().await?;
    for name in ["Ada Lovelace", "Ada King"] {
        stage.simulator.rename(&id, name)?;
        stage.deliver_all().await?;
        let row = stage.the_row(&id).await?;
        assert_eq!((row.name.as_deref(), &row.email), (Some(name), &None));
        assert!(row.created_at.is_some() && row.updated_at.is_some() && row.lives());
        assert_unmarked(&stage).await?;
        assert_settled(&stage, 1).await?;
    }
    // As a listing shows them.
    let row = stage.the_row(&id).await?;
    stage
        .execute("DELETE FROM neon_identity.users_sync")
        .await?;
    let report = stage.complete(json!({})).await?;
    assert_eq!(report["created"], 1, "{report}");
    let listed = stage.the_row(&id).await?;
    assert_eq!((listed.name, listed.email), (row.name, None));
    assert_unmarked(&stage).await?;
    assert_settled(&stage, 1).await?;
    stage.simulator.delete(&id)?;
    stage.deliver_all().await?;
    assert!(!stage.the_row(&id).await?.lives());
    assert_unmarked(&stage).await
}

/// The message with a user whose id is none.
fn without_id(message: &Message, id: &str) -> Result<String> {
    let body = std::str::from_utf8(&message.body)?;
    Ok(body.replace(&format!("\"{id}\""), "17"))
}

async fn the_next_run_cleans_rows_and_rejections_that_hold_it(setup: Setup) -> Result<()> {
    let stage = Stage::of(setup).await?.receives().await?;
    let simulator = &stage.simulator;
    let id = simulator.create("Ada Lovelace", EMAIL)?;
    let gone = simulator.create("Ada the Elder", "ada-lovelace.1@example.com")?;
    let messages = simulator.take_messages();
    for message in &messages {
        stage.taken(message).await?;
        for user in [&id, &gone] {
            let body = without_id(message, user)?;
            if body.as_bytes() != message.body {
                let rejected = stage.deliver(&simulator.tell(&message.kind, body)).await?;
                assert!([202, 400].contains(&rejected), "{rejected}");
            }
        }
    }
    simulator.take_messages();
    redact(&stage, &id)?;
    // An instance that knows the secret of before.
    simulator.delete(&gone)?;
    stage.deliver_all().await?;
    let (kept, tombstone) = (stage.the_row(&id).await?, stage.the_row(&gone).await?);
    let before = marked(&stage).await?;
    assert!(before.starts_with("2 "), "{before}");
    assert!(stage.rejections().await?.len() >= 2);

    let dry = stage.run(json!({"dry_run": true})).await?;
    assert_eq!(dry["outcome"], "complete", "{dry}");
    assert_eq!(marked(&stage).await?, before);

    let report = stage.complete(json!({})).await?;
    assert_eq!(report["updated"], 1, "{report}");
    assert_unmarked(&stage).await?;
    let (now, still) = (stage.the_row(&id).await?, stage.the_row(&gone).await?);
    assert_eq!(
        (now.name, now.email, now.created_at),
        (kept.name, None, kept.created_at)
    );
    assert_eq!(now.updated_at, kept.updated_at);
    assert_eq!((still.name, still.email), (tombstone.name, None));
    assert_eq!(
        (still.updated_at, still.deleted_at),
        (tombstone.updated_at, tombstone.deleted_at)
    );
    assert_settled(&stage, 1).await?;
    assert!(stage.rejections().await?.len() >= 2);
    Ok(())
}

async fn a_body_that_cant_be_parsed_is_kept_as_its_size_and_digest(setup: Setup) -> Result<()> {
    let stage = Stage::of(setup).await?;
    let simulator = &stage.simulator;
    let id = simulator.create("Ada Lovelace", EMAIL)?;
    redact(&stage, &id)?;
    let whole = simulator.take_messages().pop().context("a message")?.body;
    let stage = stage.receives().await?;
    let text = format!("{MARK} is not JSON").into_bytes();
    let half = whole[..whole.len() - 1].to_vec();
    let latin = [
        &b"{\"type\":\"user.created\",\"\xe4\":\""[..],
        MARK.as_bytes(),
        b"\"}",
    ]
    .concat();
    let mut expected = Vec::new();
    for body in [text, half, latin] {
        let sha256 = Sha256::digest(&body);
        let sha256: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
        expected.push(json!({"size": body.len(), "sha256": sha256}).to_string());
        let message = stage.simulator.tell("user.created", body);
        let status = stage.deliver(&message).await?;
        assert!([202, 400].contains(&status), "{status}");
    }
    let parsed = [
        format!(r#"["{MARK}"]"#),
        format!(r#"{{"type":["user.created"],"data":"{MARK}"}}"#),
        format!(r#"{{"type":["user.created"],"event":7,"data":["{MARK}"],"record":"{MARK}"}}"#),
    ];
    for body in parsed {
        let message = stage.simulator.tell("user.created", body);
        let status = stage.deliver(&message).await?;
        assert!([202, 400].contains(&status), "{status}");
    }
    assert_unmarked(&stage).await?;
    let sql = "SELECT convert_from(body, 'UTF8') AS body FROM neon_identity.rejections ORDER BY id";
    let kept = stage.json(sql).await?;
    assert_eq!(kept.len(), 6);
    for (kept, expected) in kept.iter().zip(&expected) {
        let kept: Value = serde_json::from_str(kept["body"].as_str().context("a body")?)?;
        assert_eq!(kept.to_string(), *expected);
    }
    // Nothing is left to be cleaned, and a digest is not taken of a digest.
    stage.complete(json!({})).await?;
    assert_eq!(stage.json(sql).await?, kept);
    Ok(())
}

async fn a_listed_user_who_cant_be_stored_keeps_nothing_of_it(setup: Setup) -> Result<()> {
    let stage = Stage::of(setup).await?;
    let simulator = &stage.simulator;
    let id = simulator.create("Ada Lovelace", EMAIL)?;
    for name in ["Bob", "Cy", "Di"] {
        simulator.create(name, &format!("{name}@example.com"))?;
    }
    redact(&stage, &id)?;
    let profile = simulator.user(&id).context("the user")?.profile;
    let profile = profile.replacen('{', r#"{"n":1e5000,"#, 1);
    simulator.show_profile(&id, &profile)?;
    let report = stage.complete(json!({})).await?;
    assert_eq!(report["rejected"], 1, "{report}");
    let rejections = stage.rejections().await?;
    assert_eq!(rejections.len(), 1);
    let sql = "SELECT convert_from(body, 'UTF8') AS body FROM neon_identity.rejections";
    let body = stage.json(sql).await?[0]["body"].to_string();
    // All else of them is there, to see why.
    assert!(body.contains("1e5000"), "{body}");
    assert_unmarked(&stage).await
}
