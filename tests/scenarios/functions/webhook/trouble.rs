//! Postgres or the provider is in trouble: nothing is kept, and the retry applies.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;
use tests::postgres::{Mode, Options, Postgres};
use tests::simulator::{Fault, Trouble};
use tests::stage::{Setup, Stage};

use super::{about_a_user, assert_nothing_kept, at_once};
use tests::letter::{Letter, send};

#[tokio::test]
async fn while_postgres_is_down_nothing_is_kept_and_a_retry_applies() -> Result<()> {
    let server = Postgres::start(Options::default()).await?;
    for mode in [Mode::Fast, Mode::Immediate] {
        let stage = Stage::on(&server, Setup::default())
            .await?
            .receives()
            .await?;
        stage.simulator.create("Ada", "ada@example.com")?;
        let messages = stage.simulator.take_messages();
        let created = about_a_user(&messages)?;
        let unreadable = stage.letter("no JSON");
        server.stop(mode).await?;
        let began = Instant::now();
        let other = stage.start("webhook").await;
        let (status, rejected) = tokio::try_join!(stage.deliver(created), async {
            send(&stage.letters()?, other?.url(), &unreadable).await
        })?;
        assert_eq!((status, rejected), (503, 503));
        // Svix gives up after 15 seconds.
        assert!(
            began.elapsed() < Duration::from_secs(25),
            "{:?}",
            began.elapsed()
        );
        server.start_again().await?;
        assert_nothing_kept(&stage).await?;
        assert_eq!(stage.deliver(created).await?, 200);
        stage.assert_in_sync().await?;
        assert_eq!(stage.send(&unreadable).await?, 400);
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
        let stage = Stage::receiving().await?;
        stage.simulator.create("Ada", "ada@example.com")?;
        let messages = stage.simulator.take_messages();
        let created = about_a_user(&messages)?;
        stage.simulator.add_trouble(Trouble::every(fault));
        let began = Instant::now();
        assert_eq!(stage.deliver(created).await?, 503);
        assert!(
            began.elapsed() < Duration::from_secs(15),
            "{:?}",
            began.elapsed()
        );
        assert_nothing_kept(&stage).await?;
        stage.simulator.clear_troubles();
        assert_eq!(stage.deliver(created).await?, 200);
        stage.assert_in_sync().await
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
        let stage = Stage::receiving().await?;
        stage.simulator.create("Ada", "ada@example.com")?;
        stage.simulator.add_trouble(Trouble::next(1, fault));
        stage.deliver_all().await?;
        stage.assert_in_sync().await
    };
    at_once(faults, check).await
}

#[tokio::test]
async fn a_wrong_key_or_project_keeps_nothing() -> Result<()> {
    for field in ["secret_server_key", "project_id"] {
        let stage = Stage::receiving().await?;
        stage.simulator.create("Ada", "ada@example.com")?;
        let messages = stage.simulator.take_messages();
        let created = about_a_user(&messages)?;
        let right = stage.secret();
        stage.change_secret(|secret| secret["provider"][field] = json!("wrong"))?;
        let webhook = stage.start("webhook").await?;
        let letter = Letter::new(&stage.signing_secret(), &created.id, &created.body);
        assert_eq!(send(&stage.letters()?, webhook.url(), &letter).await?, 503);
        assert_nothing_kept(&stage).await?;
        // The same instance takes it once the secret is right (it looks every few seconds).
        stage.change_secret(|secret| *secret = right)?;
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(send(&stage.letters()?, webhook.url(), &letter).await?, 200);
        stage.assert_in_sync().await?;
    }
    Ok(())
}

#[tokio::test]
async fn another_project_is_refused_and_keeps_nothing() -> Result<()> {
    let stage = Stage::receiving().await?;
    stage.simulator.create("Ada", "ada@example.com")?;
    let messages = stage.simulator.take_messages();
    stage
        .execute("UPDATE neon_identity.connection SET project = 'another'")
        .await?;
    let created = about_a_user(&messages)?;
    assert_eq!(stage.deliver(created).await?, 503);
    assert_eq!(stage.send(&stage.letter("no JSON")).await?, 503);
    let gone = json!({"id": "00000000-0000-4000-8000-000000000000"});
    assert_eq!(stage.tell("user.deleted", &gone).await?, 503);
    assert_nothing_kept(&stage).await?;
    stage
        .execute("DELETE FROM neon_identity.connection")
        .await?;
    assert_eq!(stage.deliver(created).await?, 503);
    assert_nothing_kept(&stage).await?;
    stage.provision().await?;
    assert_eq!(stage.deliver(created).await?, 200);
    stage.assert_in_sync().await
}
