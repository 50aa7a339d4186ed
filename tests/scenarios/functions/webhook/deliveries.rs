//! The record of deliveries: a row for each verified delivery of an event about a user.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::function::Function;
use tests::letter::{Letter, send};
use tests::simulator::{Call, Fault, Trouble};
use tests::stage::Stage;

use super::{STALENESS, about_a_user, created_and_deleted};

async fn record(stage: &Stage) -> Result<Vec<Value>> {
    let sql = "SELECT event_id, event, user_id, outcome, lag_ms FROM neon_identity.deliveries
        ORDER BY id";
    stage.json(sql).await
}

/// What became of each delivery, and of which user, by the event's type.
async fn outcomes(stage: &Stage) -> Result<Vec<String>> {
    let rows = record(stage).await?;
    let text = |row: &Value| {
        let word = |name: &str| row[name].as_str().unwrap_or("-").to_owned();
        format!("{} {} {}", word("event"), word("user_id"), word("outcome"))
    };
    Ok(rows.iter().map(text).collect())
}

#[tokio::test]
async fn a_delivery_leaves_a_row_that_says_what_became_of_it() -> Result<()> {
    let stage = Stage::receiving().await?;
    let simulator = &stage.simulator;
    let id = simulator.create("Ada", "ada@example.com")?;
    let created = about_a_user(&simulator.take_messages())?.clone();
    stage.taken(&created).await?;
    tokio::time::sleep(STALENESS).await;
    simulator.rename(&id, "Countess")?;
    stage
        .taken(about_a_user(&simulator.take_messages())?)
        .await?;
    simulator.delete(&id)?;
    let deleted = about_a_user(&simulator.take_messages())?.clone();
    stage.taken(&deleted).await?;
    stage.taken(&deleted).await?;
    // It can't be stored: no id, and an id whose profile is no profile.
    let nobody = stage.letter(r#"{"type":"user.created"}"#);
    assert_eq!(stage.send(&nobody).await?, 400);
    let told = json!({"id": "u", "signed_up_at_millis": "never"});
    assert_eq!(stage.tell("user.updated", &told).await?, 400);
    assert_eq!(
        outcomes(&stage).await?,
        [
            format!("user.created {id} created"),
            format!("user.updated {id} updated"),
            format!("user.deleted {id} deleted"),
            format!("user.deleted {id} unchanged"),
            "user.created - rejected".to_owned(),
            "user.updated u rejected".to_owned(),
        ]
    );
    let rows = record(&stage).await?;
    let ids = [&created.id, &deleted.id, &nobody.id];
    assert_eq!(
        [0, 2, 4].map(|row| &rows[row]["event_id"]),
        ids.map(|id| json!(id)).each_ref()
    );
    // Svix's own time of the message, to the second, and the commit.
    for row in &rows[..4] {
        let lag = row["lag_ms"].as_i64().context("a lag")?;
        assert!((0..60_000).contains(&lag), "{row}");
    }
    // This id tells no time.
    assert_eq!(rows[4]["lag_ms"], Value::Null);
    Ok(())
}

#[tokio::test]
async fn the_lag_is_from_the_providers_own_time_of_the_change() -> Result<()> {
    let stage = Stage::receiving().await?;
    stage.simulator.create("Ada", "ada@example.com")?;
    let created = about_a_user(&stage.simulator.take_messages())?.clone();
    stage
        .taken(&created.older(std::time::Duration::from_secs(3_000)))
        .await?;
    // A clock of the provider's that is fast makes no lag.
    let early = created.made_at + 120_000;
    let mut random = fastrand::Rng::new();
    let early = tests::simulator::Message::new("user.created", created.body, early, &mut random);
    stage.taken(&early).await?;
    let rows = record(&stage).await?;
    let lag = rows[0]["lag_ms"].as_i64().context("a lag")?;
    assert!((2_999_000..3_060_000).contains(&lag), "{lag}");
    assert_eq!(rows[1]["lag_ms"], 0);
    Ok(())
}

#[tokio::test]
async fn what_is_not_about_a_user_or_not_verified_leaves_no_row() -> Result<()> {
    let stage = Stage::receiving().await?;
    assert_eq!(stage.tell("team.created", &json!({"id": "t"})).await?, 200);
    assert_eq!(
        stage.tell("user.\u{0}created", &json!({"id": "t"})).await?,
        200
    );
    let forged = Letter {
        timestamp: "1".to_owned(),
        ..stage.letter(r#"{"type":"user.created"}"#)
    };
    assert_eq!(stage.send(&forged).await?, 401);
    // Not even its type can be read.
    assert_eq!(stage.send(&stage.letter("no JSON")).await?, 400);
    assert_eq!(record(&stage).await?, Vec::<Value>::new());
    Ok(())
}

#[tokio::test]
async fn a_delivery_that_is_to_be_sent_again_leaves_a_row_that_says_so() -> Result<()> {
    let stage = Stage::receiving().await?;
    let id = stage.simulator.create("Ada", "ada@example.com")?;
    let created = about_a_user(&stage.simulator.take_messages())?.clone();
    stage
        .simulator
        .add_trouble(Trouble::every(Fault::Status(500)).on(Call::Read));
    assert_eq!(stage.deliver(&created).await?, 503);
    stage.simulator.clear_troubles();
    stage.taken(&created).await?;
    assert_eq!(
        outcomes(&stage).await?,
        [
            format!("user.created {id} failed"),
            format!("user.created {id} created"),
        ]
    );
    Ok(())
}

#[tokio::test]
async fn without_retention_no_record_of_deliveries_is_made() -> Result<()> {
    let stage = Stage::new().await?;
    let environment = stage.environment().into_iter();
    let environment = environment.chain([("RETENTION_DAYS".to_owned(), "0".to_owned())]);
    let webhook = Function::spawn("webhook", environment).await?;
    webhook.ready().await?;
    let (created, deleted) = created_and_deleted(&stage)?;
    for (body, status) in [
        (created.body.as_ref(), 200),
        (deleted.body.as_ref(), 200),
        (br#"{"type":"user.created"}"#.as_slice(), 400),
    ] {
        let sent = send(&stage.letters()?, webhook.url(), &stage.letter(body)).await?;
        ensure!(sent == status, "{sent}\n{}", webhook.logs()?);
    }
    assert_eq!(stage.rejections().await?.len(), 1);
    assert_eq!(record(&stage).await?, Vec::<Value>::new());
    Ok(())
}
