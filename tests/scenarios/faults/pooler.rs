//! All three functions at a real PgBouncer in transaction mode, whose few connections are
//! anybody's at any time: nothing may be left in a session, and nothing expected there.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::{try_join_all, try_join3};
use serde_json::json;
use tests::function::Function;
use tests::pgbouncer::PgBouncer;
use tests::postgres::{Mode, Options, Postgres};
use tests::simulator::{Call, Message};
use tests::stage::{Setup, Stage};

const INSTANCES: usize = 20;

const LONG: Duration = Duration::from_secs(300);

/// A stage whose functions, `provision` among them, know the database by the pooler alone.
async fn pooled(server: &Postgres, pool_size: u32) -> Result<(Stage, PgBouncer)> {
    let stage = Stage::on(server, Setup::default()).await?;
    let bouncer = PgBouncer::start(server, pool_size).await?;
    let (app, owner) = (stage.database.url(), stage.database.owner_url());
    stage.change_secret(|secret| {
        secret["database_url"] = json!(bouncer.url(app));
        secret["admin_database_url"] = json!(bouncer.url(owner));
    })?;
    Ok((stage, bouncer))
}

/// Delivers all messages at once; a sender's retries are in it.
async fn deliver(stage: &Stage, messages: Vec<Message>, attempts: usize) -> Result<()> {
    try_join_all(messages.iter().map(async |message| {
        for _ in 1..attempts {
            if stage.deliver(message).await? == 200 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let status = stage.deliver(message).await?;
        let logs = stage.webhook().await?.logs()?;
        ensure!(status == 200, "{}: {status}\n{logs}", message.kind);
        Ok(())
    }))
    .await?;
    Ok(())
}

async fn complete(reconcile: &Function) -> Result<()> {
    let report = reconcile.invoke_with_deadline(json!({}), LONG).await?;
    ensure!(report["outcome"] == "complete", "{report}");
    Ok(())
}

#[tokio::test]
async fn twenty_instances_and_a_run_and_provision_share_one_or_two_connections() -> Result<()> {
    // Each statement, and the backend that ran it.
    let options = Options::default()
        .set("log_statement", "all")
        .set("log_line_prefix", "<%u> ");
    let server = Postgres::start(options).await?;
    for pool_size in [1, 2] {
        let (stage, _bouncer) = pooled(&server, pool_size).await?;
        // From nothing, through the pooler.
        let roles = "DROP SCHEMA neon_identity CASCADE";
        stage.execute(roles).await?;
        let before = server.log()?.len();
        let provisioned = stage.provision().await?;
        ensure!(provisioned["warnings"].is_null(), "{provisioned}");
        stage.simulator.seed(2_500);
        let stage = stage.receives().await?;
        for _ in 1..INSTANCES {
            stage.webhook().await?.spawn_instance().await?;
        }
        let reconcile = stage.reconcile().await?;
        let simulator = &stage.simulator;
        for number in 0..40 {
            simulator.create("Ada", &format!("ada{number}@example.com"))?;
        }
        let messages = simulator.take_messages();
        let again = stage.provision();
        try_join3(deliver(&stage, messages, 1), complete(&reconcile), async {
            again.await.map(|_| ())
        })
        .await?;
        let ids: Vec<String> = simulator.truth().map(|user| user.id).take(40).collect();
        for (number, id) in ids.iter().enumerate() {
            if number % 2 == 0 {
                simulator.rename(id, "Countess")?;
            } else {
                simulator.delete(id)?;
            }
        }
        let messages = simulator.take_messages();
        tokio::try_join!(deliver(&stage, messages, 1), complete(&reconcile))?;
        complete(&reconcile).await?;
        stage.assert_in_sync().await?;
        let log = server.log()?.split_off(before);
        assert_nothing_is_left_in_sessions(&log)?;
    }
    Ok(())
}

/// Nothing that outlives a transaction: another client has the session next.
fn assert_nothing_is_left_in_sessions(log: &str) -> Result<()> {
    let ours = |line: &&str| line.starts_with("<app_") || line.starts_with("<owner_");
    let lines: Vec<&str> = log.lines().filter(ours).collect();
    let executed = lines.iter().filter(|line| line.contains(" execute "));
    let unnamed = lines
        .iter()
        .filter(|line| line.contains(" execute <unnamed>: "));
    ensure!(unnamed.count() > 100, "the log has not what it should");
    for line in executed {
        ensure!(line.contains(" execute <unnamed>: "), "{line}");
    }
    // As a statement begins, or a line of it.
    let left = [
        "prepare",
        "deallocate",
        "listen",
        "set session",
        "declare",
        "create temp",
        "discard",
        "pg_advisory_lock",
        "pg_try_advisory_lock(",
    ];
    let mut text = log.lines().map(str::to_lowercase);
    let found = text.find(|line| {
        let statement = line.rsplit(": ").next().unwrap_or_default().trim();
        // Functions declare their variables, which is something else.
        let statement = if statement == "declare" {
            ""
        } else {
            statement
        };
        left.iter().any(|word| statement.starts_with(word))
            || left[7..].iter().any(|word| line.contains(word))
    });
    ensure!(found.is_none(), "{found:?}");
    Ok(())
}

#[tokio::test]
async fn a_pooler_that_restarts_is_waited_out() -> Result<()> {
    let server = Postgres::shared().await?;
    let (stage, bouncer) = pooled(server, 2).await?;
    stage.simulator.seed(4_000);
    let stage = stage.receives().await?;
    for _ in 1..4 {
        stage.webhook().await?.spawn_instance().await?;
    }
    let reconcile = stage.reconcile().await?;
    let simulator = &stage.simulator;
    simulator.switch(|switches| switches.latency_ms = 300);
    for number in 0..12 {
        simulator.create("Ada", &format!("ada{number}@example.com"))?;
    }
    let messages = simulator.take_messages();
    let restarts = async {
        for page in [2, 4] {
            while simulator.count(Call::List) < page {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            bouncer.stop();
            tokio::time::sleep(Duration::from_secs(2)).await;
            bouncer.start_again().await?;
        }
        anyhow::Ok(())
    };
    try_join3(restarts, complete(&reconcile), deliver(&stage, messages, 5)).await?;
    // Between two deliveries, too.
    bouncer.stop();
    bouncer.start_again().await?;
    simulator.create("Grace", "grace@example.com")?;
    deliver(&stage, simulator.take_messages(), 1).await?;
    complete(&reconcile).await?;
    stage.assert_in_sync().await
}

#[tokio::test]
async fn a_server_behind_a_pooler_that_restarts_is_waited_out() -> Result<()> {
    let server = Postgres::start(Options::default()).await?;
    let (stage, _bouncer) = pooled(&server, 2).await?;
    stage.simulator.seed(3_000);
    let stage = stage.receives().await?;
    let reconcile = stage.reconcile().await?;
    let simulator = &stage.simulator;
    simulator.switch(|switches| switches.latency_ms = 300);
    simulator.create("Ada", "ada@example.com")?;
    let messages = simulator.take_messages();
    // In the middle of a run.
    let restart = async {
        while simulator.count(Call::List) < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server.stop(Mode::Immediate).await?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        server.start_again().await
    };
    try_join3(restart, complete(&reconcile), deliver(&stage, messages, 20)).await?;
    // Nobody has a connection yet.
    server.stop(Mode::Fast).await?;
    let started = stage.start("reconcile").await?;
    let wake = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        server.start_again().await.context("start again")
    };
    tokio::try_join!(complete(&started), wake)?;
    simulator.create("Grace", "grace@example.com")?;
    deliver(&stage, simulator.take_messages(), 20).await?;
    complete(&reconcile).await?;
    stage.assert_in_sync().await
}
