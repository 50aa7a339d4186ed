//! Connections: how many an instance holds, when it makes them anew, and what a delivery costs.

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tests::pgbouncer::PgBouncer;
use tests::postgres::{Options, Postgres};
use tests::simulator::Message;
use tests::stage::{Setup, Stage, signing_secret};

use super::{STALENESS, about_a_user, at_once};
use tests::letter::{Letter, event_id};

#[tokio::test]
async fn a_lost_connection_is_made_again() -> Result<()> {
    let server = Postgres::shared().await?;
    let stage = Stage::on(server, Setup::default())
        .await?
        .receives()
        .await?;
    stage.simulator.create("Bob", "bob@example.com")?;
    stage.deliver_all().await?;
    for number in 0..3 {
        let terminated = server.terminate_backends(stage.database.name());
        assert!(terminated.await? >= 1);
        let email = format!("ada{number}@example.com");
        stage.simulator.create("Ada", &email)?;
        stage.deliver_all().await?;
    }
    stage.assert_in_sync().await
}

#[tokio::test]
async fn strangers_hold_no_connection_and_the_provider_keeps_one() -> Result<()> {
    let stage = Stage::receiving().await?;
    for _ in 1..5 {
        stage.webhook().await?.spawn_instance().await?;
    }
    let connections = async || {
        let sql = "SELECT pid FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'users-sync'";
        stage.json(sql).await
    };
    let body = br#"{"type":"user.deleted","data":{"id":"x"}}"#;
    let forged = Letter::new(&signing_secret(), &event_id(), body);
    let mut unsigned = forged.clone();
    unsigned.without = Some("signature");
    let mut large = forged.clone();
    large.body = vec![b'x'; (1 << 20) + 1];
    let mut get = forged.clone();
    get.method = Method::GET;
    let bad = [(&forged, 401), (&unsigned, 401), (&large, 413), (&get, 405)];
    at_once(
        (0..100).map(|number| bad[number % 4]),
        async |(letter, status)| {
            let answered = stage.send(letter).await?;
            ensure!(answered == status, "{answered}");
            Ok(())
        },
    )
    .await?;
    assert_eq!(connections().await?, Vec::<Value>::new());

    stage.simulator.create("Ada", "ada@example.com")?;
    let messages = stage.simulator.take_messages();
    let stage = stage.restarted().await?;
    let mut kept = Vec::new();
    for _ in 0..3 {
        assert_eq!(stage.deliver(about_a_user(&messages)?).await?, 200);
        assert_eq!(stage.send(&forged).await?, 401);
        let sql = "SELECT pid FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'users-sync'";
        kept.push(stage.json(sql).await?);
    }
    assert_eq!(kept[0].len(), 1);
    assert!(
        kept.iter().all(|connections| *connections == kept[0]),
        "{kept:?}"
    );
    Ok(())
}

#[tokio::test]
async fn ten_instances_share_two_connections_of_a_pooler() -> Result<()> {
    let server = Postgres::shared().await?;
    let bouncer = PgBouncer::start(server, 2).await?;
    let stage = Stage::on(server, Setup::default()).await?;
    let direct = stage.database.url().to_owned();
    stage.change_secret(|secret| secret["database_url"] = json!(bouncer.url(&direct)))?;
    let stage = stage.receives().await?;
    for _ in 1..10 {
        stage.webhook().await?.spawn_instance().await?;
    }
    let simulator = &stage.simulator;
    let ids: Vec<String> = (0..20)
        .map(|number| simulator.create("Ada", &format!("ada{number}@example.com")))
        .collect::<Result<_>>()?;
    let check = async |message: Message| {
        let status = stage.deliver(&message).await?;
        ensure!(status == 200, "{}: {status}", message.kind);
        Ok(())
    };
    at_once(simulator.take_messages(), check).await?;
    stage.assert_in_sync().await?;
    for id in &ids[..10] {
        simulator.rename(id, "Countess")?;
    }
    for id in &ids[10..] {
        simulator.delete(id)?;
    }
    at_once(simulator.take_messages(), check).await?;
    at_once(0..5, async |_| {
        let status = stage.send(&stage.letter("no JSON")).await?;
        ensure!(status == 400, "{status}");
        Ok(())
    })
    .await?;
    stage.assert_in_sync().await
}

#[tokio::test]
async fn a_delivery_costs_one_look_at_the_clock_and_one_write() -> Result<()> {
    let server = Postgres::start(Options::default().set("log_statement", "all")).await?;
    let stage = Stage::on(&server, Setup::default())
        .await?
        .receives()
        .await?;
    let simulator = &stage.simulator;
    let id = simulator.create("Ada", "ada@example.com")?;
    let messages = simulator.take_messages();
    let statements = async |message: &Message| -> Result<Vec<String>> {
        let before = server.log()?.len();
        assert_eq!(stage.deliver(message).await?, 200);
        let log = server.log()?.split_off(before);
        let lines = log.lines().filter(|line| line.contains(" LOG: "));
        Ok(lines.map(str::to_owned).collect())
    };
    let check = |lines: &[String], write: &str| {
        assert_eq!(lines.len(), 2, "{lines:#?}");
        assert!(lines[0].contains("-- The database's clock"), "{lines:#?}");
        assert!(lines[1].contains(write), "{lines:#?}");
    };
    check(&statements(about_a_user(&messages)?).await?, ".join_");
    tokio::time::sleep(STALENESS).await;
    simulator.rename(&id, "Countess")?;
    let messages = simulator.take_messages();
    check(&statements(about_a_user(&messages)?).await?, ".join_");
    simulator.delete(&id)?;
    let messages = simulator.take_messages();
    check(&statements(about_a_user(&messages)?).await?, ".gone_");
    // Each is recorded by the statement that applies it.
    let recorded = "SELECT outcome FROM neon_identity.deliveries ORDER BY id";
    let recorded = stage.json(recorded).await?;
    let outcomes: Vec<_> = recorded.iter().map(|row| row["outcome"].clone()).collect();
    assert_eq!(outcomes, ["created", "updated", "deleted"]);
    Ok(())
}
