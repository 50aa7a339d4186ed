//! Postgres or the provider is in trouble: nothing is kept, and the retry applies.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;
use tests::postgres::{Mode, Options, Postgres};
use tests::simulator::{Fault, Trouble};

use super::{about_a_user, at_once};
use crate::delivery::{Endpoint, Letter, send};

#[tokio::test]
async fn while_postgres_is_down_nothing_is_kept_and_a_retry_applies() -> Result<()> {
    let server = Postgres::start(Options::default()).await?;
    for mode in [Mode::Fast, Mode::Immediate] {
        let end = Endpoint::on(&server).await?;
        end.stage.simulator.create("Ada", "ada@example.com")?;
        let messages = end.stage.simulator.take_messages();
        let created = about_a_user(&messages)?;
        let unreadable = end.letter("no JSON");
        server.stop(mode).await?;
        let began = Instant::now();
        let other = end.stage.webhook().await;
        let (status, rejected) = tokio::try_join!(end.deliver(created), async {
            send(&end.client, other?.url(), &unreadable).await
        })?;
        assert_eq!((status, rejected), (503, 503));
        // Svix gives up after 15 seconds.
        assert!(
            began.elapsed() < Duration::from_secs(25),
            "{:?}",
            began.elapsed()
        );
        server.start_again().await?;
        end.assert_nothing_kept().await?;
        assert_eq!(end.deliver(created).await?, 200);
        end.stage.assert_in_sync().await?;
        assert_eq!(end.send(&unreadable).await?, 400);
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
        let end = Endpoint::new().await?;
        end.stage.simulator.create("Ada", "ada@example.com")?;
        let messages = end.stage.simulator.take_messages();
        let created = about_a_user(&messages)?;
        end.stage.simulator.add_trouble(Trouble::every(fault));
        let began = Instant::now();
        assert_eq!(end.deliver(created).await?, 503);
        assert!(
            began.elapsed() < Duration::from_secs(15),
            "{:?}",
            began.elapsed()
        );
        end.assert_nothing_kept().await?;
        end.stage.simulator.clear_troubles();
        assert_eq!(end.deliver(created).await?, 200);
        end.stage.assert_in_sync().await
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
        let end = Endpoint::new().await?;
        end.stage.simulator.create("Ada", "ada@example.com")?;
        end.stage.simulator.add_trouble(Trouble::next(1, fault));
        end.deliver_all().await?;
        end.stage.assert_in_sync().await
    };
    at_once(faults, check).await
}

#[tokio::test]
async fn a_wrong_key_or_project_keeps_nothing() -> Result<()> {
    for field in ["secret_server_key", "project_id"] {
        let end = Endpoint::new().await?;
        end.stage.simulator.create("Ada", "ada@example.com")?;
        let messages = end.stage.simulator.take_messages();
        let created = about_a_user(&messages)?;
        let right = end.stage.secret();
        end.stage
            .change_secret(|secret| secret["provider"][field] = json!("wrong"))?;
        let webhook = end.stage.webhook().await?;
        let letter = Letter::new(&end.stage.signing_secret(), &created.id, &created.body);
        assert_eq!(send(&end.client, webhook.url(), &letter).await?, 503);
        end.assert_nothing_kept().await?;
        // The same instance takes it once the secret is right (it looks every few seconds).
        end.stage.change_secret(|secret| *secret = right)?;
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(send(&end.client, webhook.url(), &letter).await?, 200);
        end.stage.assert_in_sync().await?;
    }
    Ok(())
}

#[tokio::test]
async fn another_project_is_refused_and_keeps_nothing() -> Result<()> {
    let end = Endpoint::new().await?;
    end.stage.simulator.create("Ada", "ada@example.com")?;
    let messages = end.stage.simulator.take_messages();
    end.stage
        .execute("UPDATE neon_identity.connection SET project = 'another'")
        .await?;
    let created = about_a_user(&messages)?;
    assert_eq!(end.deliver(created).await?, 503);
    assert_eq!(end.send(&end.letter("no JSON")).await?, 503);
    let gone = json!({"id": "00000000-0000-4000-8000-000000000000"});
    assert_eq!(end.tell("user.deleted", &gone).await?, 503);
    end.assert_nothing_kept().await?;
    end.stage
        .execute("DELETE FROM neon_identity.connection")
        .await?;
    assert_eq!(end.deliver(created).await?, 503);
    end.assert_nothing_kept().await?;
    end.stage.provision().await?;
    assert_eq!(end.deliver(created).await?, 200);
    end.stage.assert_in_sync().await
}
