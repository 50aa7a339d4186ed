//! Rotated secrets: they are taken in by a running instance, and a flood of forgeries does not cost a
//! read of the secret each.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use tests::function::Function;
use tests::postgres::Postgres;
use tests::secrets_manager::SecretsManager;
use tests::stage::{Stage, signing_secret};
use tests::tools::random_name;

use crate::delivery::{Endpoint, Letter, client, event_id, send};

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
