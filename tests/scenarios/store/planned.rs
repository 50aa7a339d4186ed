//! The statements that every delivery sends: the server keeps their plans.

use std::time::Duration;

use anyhow::Result;
use tests::postgres::{Options, Postgres};
use tests::simulator::Clerk;
use tests::stage::{Setup, Stage};
use tokio::time::sleep;

/// Their functions, by name and the version of their rows in the catalog.
const KEPT: &str = "SELECT proname::text AS name, xmin::text AS version FROM pg_proc
    WHERE pronamespace = 'neon_identity'::regnamespace AND proname ~ '^(join|gone)_[0-9a-f]{8}$'
    ORDER BY 1";
const DROP: &str = "DO $$ DECLARE kept regprocedure; BEGIN
      FOR kept IN SELECT oid FROM pg_proc
        WHERE pronamespace = 'neon_identity'::regnamespace AND proname ~ '^(join|gone)_[0-9a-f]{8}$'
      LOOP EXECUTE 'DROP FUNCTION ' || kept; END LOOP;
    END $$";

/// A stage of a provider whose deliveries are statements, on a server that says what it plans.
async fn stage(server: &Postgres) -> Result<Stage> {
    let setup = Setup::of(Clerk::default());
    Stage::on(server, setup).await?.receives().await
}

async fn planning_server() -> Result<Postgres> {
    let options = Options::default()
        .set("log_planner_stats", "on")
        .set("log_statement", "all");
    Postgres::start(options).await
}

/// How often the server plans, and which statements it is sent, while the provider's events are
/// delivered.
async fn planned(server: &Postgres, stage: &Stage) -> Result<(usize, Vec<String>)> {
    let before = server.log()?.len();
    for message in stage.simulator.take_messages() {
        assert_eq!(stage.deliver(&message).await?, 200);
    }
    let log = server.log()?.split_off(before);
    let sent = log.lines().filter(|line| line.contains("LOG:  execute"));
    let sent = sent.map(str::to_owned).collect();
    Ok((log.matches("PLANNER STATISTICS").count(), sent))
}

#[tokio::test]
async fn a_warm_delivery_makes_postgres_plan_nothing_but_a_call() -> Result<()> {
    let server = planning_server().await?;
    let stage = stage(&server).await?;
    let id = stage.simulator.create("Ada", "ada@example.com")?;
    let rename = async |times: usize| -> Result<()> {
        for n in 0..times {
            // Versions count milliseconds.
            sleep(Duration::from_millis(3)).await;
            stage.simulator.rename(&id, &format!("Ada {n}"))?;
        }
        Ok(())
    };
    // PL/pgSQL plans five times before it judges.
    rename(6).await?;
    planned(&server, &stage).await?;
    rename(3).await?;
    let (plans, sent) = planned(&server, &stage).await?;
    assert_eq!(sent.len(), 3, "{sent:#?}");
    assert_eq!(plans, 3, "{sent:#?}");
    for statement in sent {
        assert!(
            statement.contains("SELECT neon_identity.join_"),
            "{statement}"
        );
    }
    stage.simulator.delete(&id)?;
    let (_, sent) = planned(&server, &stage).await?;
    assert!(sent[0].contains("SELECT neon_identity.gone_"), "{sent:#?}");
    Ok(())
}

/// Delivers what the provider tells meanwhile of a user who comes, is renamed and goes, so often.
async fn live(stage: &Stage, lives: usize) -> Result<()> {
    for n in 0..lives {
        let id = stage.simulator.create("Ada", &format!("{n}@example.com"))?;
        sleep(Duration::from_millis(3)).await;
        stage.simulator.rename(&id, "Countess")?;
        stage.simulator.delete(&id)?;
        for message in stage.simulator.take_messages() {
            assert_eq!(stage.deliver(&message).await?, 200);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_plan_of_a_small_table_stays_quick_when_the_table_has_grown() -> Result<()> {
    // The statistics stay those of the small table, and with them the plans.
    let server = Postgres::start(Options::default().set("autovacuum", "off")).await?;
    let stage = stage(&server).await?;
    live(&stage, 1).await?;
    stage.execute("ANALYZE neon_identity.users_sync").await?;
    // PL/pgSQL plans five times before it keeps a plan.
    live(&stage, 7).await?;
    let grow = "INSERT INTO neon_identity.users_sync (id, raw_json, created_at, updated_at)
        SELECT 'user_' || n, '{}', now(), now() FROM generate_series(1, 20000) AS n";
    stage.execute(grow).await?;
    live(&stage, 3).await?;
    // A server's process tells what it has read when it ends, at the latest.
    server.terminate_backends(stage.database.name()).await?;
    let read = stage
        .json(
            "SELECT seq_tup_read AS in_order, idx_tup_fetch AS by_index FROM pg_stat_user_tables
            WHERE relid = 'neon_identity.users_sync'::regclass",
        )
        .await?;
    let rows = |how: &str| read[0][how].as_i64().unwrap_or(i64::MAX);
    // 9 deliveries; a single reading of the whole table would be of 20 000 rows.
    assert!(rows("in_order") < 1000, "{read:?}");
    assert!((9..1000).contains(&rows("by_index")), "{read:?}");
    Ok(())
}

/// Of a statement without parameters, the long way is the larger part of what it costs.
#[tokio::test]
async fn the_time_is_asked_by_a_simple_query() -> Result<()> {
    let server = planning_server().await?;
    let stage = Stage::on(&server, Setup::default())
        .await?
        .receives()
        .await?;
    stage.simulator.create("Ada", "ada@example.com")?;
    let before = server.log()?.len();
    stage.deliver_all().await?;
    let log = server.log()?.split_off(before);
    assert!(
        log.contains("LOG:  statement: -- The database's clock"),
        "{log}"
    );
    Ok(())
}

#[tokio::test]
async fn without_its_function_a_statement_is_sent_itself() -> Result<()> {
    let server = planning_server().await?;
    for (without, how) in [
        (DROP, "the functions are missing"),
        (
            "REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA neon_identity FROM neon_identity_writer",
            "the writer may not call them",
        ),
    ] {
        let stage = stage(&server).await?;
        stage.execute(without).await?;
        let id = stage.simulator.create("Ada", "ada@example.com")?;
        planned(&server, &stage).await?;
        stage.simulator.rename(&id, "Countess")?;
        let (_, sent) = planned(&server, &stage).await?;
        // A function that is missing is not called a second time.
        assert_eq!(sent.len(), 1, "{how}: {sent:#?}");
        assert!(sent[0].contains("-- The join: "), "{how}: {sent:#?}");
        stage.simulator.delete(&id)?;
        planned(&server, &stage).await?;
        let row = stage.the_row(&id).await?;
        assert_eq!(row.name.as_deref(), Some("Countess"), "{how}");
        assert!(row.deleted_at.is_some(), "{how}");
        assert_eq!(stage.rejections().await?.len(), 0, "{how}");
    }
    Ok(())
}

#[tokio::test]
async fn provision_makes_the_functions_once_and_again_where_they_are_missing() -> Result<()> {
    let stage = Stage::of(Setup::of(Clerk::default())).await?;
    let first = stage.json(KEPT).await?;
    assert_eq!(first.len(), 2, "{first:?}");
    stage.provision().await?;
    assert_eq!(stage.json(KEPT).await?, first);
    stage.execute(DROP).await?;
    stage.provision().await?;
    let again = stage.json(KEPT).await?;
    assert_eq!(again.len(), 2);
    for (first, again) in first.iter().zip(&again) {
        assert_eq!(first["name"], again["name"]);
    }
    Ok(())
}
