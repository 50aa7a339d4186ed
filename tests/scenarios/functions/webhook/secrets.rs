//! Rotated secrets: they are taken in by a running instance, and a flood of forgeries does not cost a
//! read of the secret each.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use tests::function::Function;
use tests::postgres::Postgres;
use tests::secrets_manager::SecretsManager;
use tests::stage::{Setup, Stage, signing_secret};
use tests::tools::random_name;

use tests::letter::{Letter, client, event_id, send};

#[tokio::test]
async fn a_signing_secret_rotated_in_the_file_is_taken_in() -> Result<()> {
    let stage = Stage::receiving().await?;
    let old = stage.signing_secret();
    stage.simulator.create("Ada", "ada@example.com")?;
    stage.change_secret(|secret| {
        secret["signing_secrets"] = json!([signing_secret()]);
    })?;
    stage.deliver_all().await?;
    stage.assert_in_sync().await?;
    let body = br#"{"type":"stack.test","data":{}}"#;
    let letter = Letter::new(&old, &event_id(), body);
    assert_eq!(stage.send(&letter).await?, 401);
    Ok(())
}

#[tokio::test]
async fn a_stray_forgery_keeps_no_rotation_from_being_noticed() -> Result<()> {
    let stage = Stage::receiving().await?;
    let body = br#"{"type":"stack.test","data":{}}"#;
    let forged = Letter::new(&signing_secret(), &event_id(), body);
    for _ in 0..2 {
        assert_eq!(stage.send(&forged).await?, 401);
        let rotated = signing_secret();
        stage.change_secret(|secret| secret["signing_secrets"] = json!([rotated]))?;
        let letter = Letter::new(&rotated, "msg_1", body);
        assert_eq!(stage.send(&letter).await?, 200);
    }
    Ok(())
}

#[tokio::test]
async fn a_flood_of_forgeries_does_not_ask_for_the_secret_each_time() -> Result<()> {
    let stage = Stage::receiving().await?;
    let body = br#"{"type":"stack.test","data":{}}"#;
    let forged = Letter::new(&signing_secret(), &event_id(), body);
    for _ in 0..20 {
        assert_eq!(stage.send(&forged).await?, 401);
    }
    let rotated = signing_secret();
    stage.change_secret(|secret| secret["signing_secrets"] = json!([rotated]))?;
    let letter = || Letter::new(&rotated, "msg_1", body);
    // The provider sends again what is answered 401.
    assert_eq!(stage.send(&letter()).await?, 401, "it was read too often");
    tokio::time::sleep(Duration::from_millis(10_100)).await;
    assert_eq!(stage.send(&letter()).await?, 200);
    Ok(())
}

#[tokio::test]
async fn while_the_secret_cannot_be_read_again_a_signature_may_be_by_a_new_secret() -> Result<()> {
    let stage = Stage::receiving().await?;
    let [(_, file)] = stage.environment();
    let kept = std::fs::read(&file)?;
    let rotated = signing_secret();
    let body = br#"{"type":"stack.test","data":{}}"#;
    let letter = || Letter::new(&rotated, "msg_1", body);
    std::fs::remove_file(&file)?;
    // The second time it is not tried again so soon.
    for _ in 0..2 {
        assert_eq!(stage.send(&letter()).await?, 503);
    }
    std::fs::write(&file, kept)?;
    stage.change_secret(|secret| secret["signing_secrets"] = json!([rotated]))?;
    tokio::time::sleep(Duration::from_millis(5_100)).await;
    assert_eq!(stage.send(&letter()).await?, 200);
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
    let stage = Stage::on(server, Setup::default())
        .await?
        .receives()
        .await?;
    let url = stage.database.url().to_owned();
    let user = url
        .split(['/', ':'])
        .nth(3)
        .context("a user in the URL")?
        .to_owned();
    let statement = format!("ALTER ROLE {user} PASSWORD 'rotated'");
    stage.execute(&statement).await?;
    stage.change_secret(|secret| {
        secret["database_url"] = json!(url.replace(&format!(":{user}@"), ":rotated@"));
    })?;
    // The connection that is open stays good until it is lost.
    stage.simulator.create("Ada", "ada@example.com")?;
    stage.deliver_all().await?;
    server.terminate_backends(stage.database.name()).await?;
    stage.simulator.create("Bob", "bob@example.com")?;
    stage.deliver_all().await?;
    stage.assert_in_sync().await
}

#[tokio::test]
async fn a_rotated_key_of_the_provider_is_taken_in() -> Result<()> {
    let stage = Stage::receiving().await?;
    let right = stage.secret();
    stage.change_secret(|secret| secret["provider"]["secret_server_key"] = json!("ssk_old"))?;
    let webhook = stage.start("webhook").await?;
    stage.change_secret(|secret| *secret = right)?;
    stage.simulator.create("Ada", "ada@example.com")?;
    for message in stage.simulator.take_messages() {
        let letter = Letter::new(&stage.signing_secret(), &message.id, &message.body);
        assert_eq!(send(&stage.letters()?, webhook.url(), &letter).await?, 200);
    }
    stage.assert_in_sync().await
}
