//! What runs remember: whom they had to repair, of whom no webhook told, and for how long.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::function::Function;
use tests::stage::Stage;

use super::{STALENESS, assert_figures};

/// Of each repair: the number of its run among all, what it was, and of whom.
async fn repairs(stage: &Stage) -> Result<Vec<String>> {
    let sql = "SELECT concat_ws(' ', (SELECT count(*) FROM neon_identity.runs WHERE id <= run_id),
            change, user_id) AS line
        FROM neon_identity.repairs ORDER BY run_id, change, user_id";
    let rows = stage.json(sql).await?;
    Ok(rows
        .iter()
        .filter_map(|row| row["line"].as_str())
        .map(str::to_owned)
        .collect())
}

/// Lets so many minutes pass since all that was recorded.
async fn pass(stage: &Stage, minutes: u32) -> Result<()> {
    stage
        .execute(&format!(
            "UPDATE neon_identity.repairs SET at = at - interval '{minutes} minutes';
            UPDATE neon_identity.deliveries SET received_at = received_at - interval '{minutes} minutes'"
        ))
        .await
}

async fn with_retention(stage: &Stage, days: &str) -> Result<Function> {
    let environment = stage.environment().into_iter();
    let environment = environment.chain([("RETENTION_DAYS".to_owned(), days.to_owned())]);
    let reconcile = Function::spawn("reconcile", environment).await?;
    reconcile.ready().await?;
    Ok(reconcile)
}

#[tokio::test]
async fn what_runs_change_is_kept_user_by_user_but_not_of_the_first_complete_run() -> Result<()> {
    let stage = Stage::seeded(5).await?;
    let simulator = &stage.simulator;
    stage.complete(json!({})).await?;
    assert_eq!(repairs(&stage).await?, [""; 0]);
    let ids = stage.ids();
    let ada = simulator.create("Ada", "ada@example.com")?;
    simulator.rename(&ids[1], "Somebody Else")?;
    simulator.delete(&ids[2])?;
    stage
        .execute(&format!(
            "UPDATE neon_identity.users_sync SET deleted_at = now() - interval '1 day'
            WHERE id = '{}'",
            ids[3]
        ))
        .await?;
    tokio::time::sleep(STALENESS).await;
    let report = stage.complete(json!({"dry_run": true})).await?;
    assert_eq!(report["created"], 1);
    assert_eq!(repairs(&stage).await?, [""; 0]);
    let report = stage.complete(json!({})).await?;
    let figures = ["created", "deleted", "revived", "updated"].map(|name| report[name].clone());
    assert_eq!(figures, [1, 1, 1, 1].map(Value::from), "{report}");
    let expected = [
        format!("3 created {ada}"),
        format!("3 revived {}", ids[3]),
        format!("3 tombstoned {}", ids[2]),
        format!("3 updated {}", ids[1]),
    ];
    assert_eq!(repairs(&stage).await?, expected);
    // A run that has nothing to repair writes none.
    let report = stage.complete(json!({})).await?;
    assert_figures(&report, &[("listed", 5), ("unchanged", 5)]);
    assert_eq!(repairs(&stage).await?, expected);
    Ok(())
}

#[tokio::test]
async fn no_more_than_ten_thousand_repairs_of_a_run_are_kept() -> Result<()> {
    let stage = Stage::backfilled(1).await?;
    stage.simulator.seed(10_400);
    let report = stage.complete(json!({})).await?;
    assert_eq!(report["created"], 10_400, "{report}");
    assert_eq!(repairs(&stage).await?.len(), 10_000);
    Ok(())
}

#[tokio::test]
async fn a_user_of_whom_no_webhook_told_is_missed_once() -> Result<()> {
    let stage = Stage::receiving().await?;
    let simulator = &stage.simulator;
    simulator.seed(5);
    stage.complete(json!({})).await?;
    let ids = stage.ids();
    // The first run's users are missed by nobody.
    pass(&stage, 11).await?;
    assert_eq!(stage.complete(json!({})).await?["missed"], 0);

    let missed = simulator.create("Ada", "ada@example.com")?;
    let told = simulator.create("Bob", "bob@example.com")?;
    simulator.rename(&ids[1], "Somebody Else")?;
    simulator.delete(&ids[2])?;
    let messages = simulator.take_messages();
    tokio::time::sleep(STALENESS).await;
    let report = stage.complete(json!({})).await?;
    let changed = ["created", "deleted", "updated", "missed"].map(|name| report[name].clone());
    assert_eq!(changed, [2, 1, 1, 0].map(Value::from), "{report}");
    // They may be on their way.
    pass(&stage, 9).await?;
    assert_eq!(stage.complete(json!({})).await?["missed"], 0);
    // One has come; what it was about is of no matter.
    for message in messages
        .iter()
        .filter(|message| String::from_utf8_lossy(&message.body).contains(&told))
    {
        stage.taken(message).await?;
    }
    pass(&stage, 2).await?;
    assert_eq!(stage.complete(json!({"dry_run": true})).await?["missed"], 0);
    let report = stage.complete(json!({})).await?;
    assert_eq!(report["missed"], 2, "{report}");
    let row = stage.runs().await?;
    assert_eq!(row.last().context("a run")?["missed"], 2);
    let status = stage
        .json("SELECT missed_24h FROM neon_identity.status")
        .await?;
    assert_eq!(status[0]["missed_24h"], 2);
    let who = stage
        .json("SELECT user_id FROM neon_identity.repairs WHERE missed ORDER BY change")
        .await?;
    assert_eq!(
        who,
        [json!({"user_id": missed}), json!({"user_id": ids[2]})]
    );
    pass(&stage, 60).await?;
    assert_eq!(stage.complete(json!({})).await?["missed"], 0);
    Ok(())
}

#[tokio::test]
async fn a_placeholder_of_nobody_is_not_missed() -> Result<()> {
    let stage = Stage::backfilled(2).await?;
    stage
        .execute("SELECT neon_identity.ensure_user('nobody')")
        .await?;
    assert_eq!(stage.complete(json!({})).await?["outcome"], "complete");
    assert_eq!(repairs(&stage).await?, ["2 tombstoned nobody"]);
    pass(&stage, 11).await?;
    assert_eq!(stage.complete(json!({})).await?["missed"], 0);
    Ok(())
}

#[tokio::test]
async fn without_retention_nothing_is_kept_and_nobody_missed() -> Result<()> {
    let stage = Stage::backfilled(2).await?;
    let reconcile = with_retention(&stage, "0").await?;
    stage.simulator.create("Ada", "ada@example.com")?;
    assert_eq!(reconcile.invoke(json!({})).await?["created"], 1);
    assert_eq!(repairs(&stage).await?, [""; 0]);
    pass(&stage, 11).await?;
    assert_eq!(reconcile.invoke(json!({})).await?["missed"], 0);
    // The last complete run, which this one deletes but for its own row.
    assert_eq!(stage.runs().await?.len(), 2);
    Ok(())
}

const OLD: &str = "
    INSERT INTO neon_identity.deliveries (received_at, event_id, event, outcome)
    SELECT now() - days * interval '1 day', 'e' || days, 'user.created', 'created'
    FROM generate_series(0, 9) AS days;
    INSERT INTO neon_identity.repairs (at, run_id, user_id, change)
    SELECT now() - days * interval '1 day', 1, 'u' || days, 'updated'
    FROM generate_series(0, 9) AS days;
    INSERT INTO neon_identity.rejections (source, event_id, reason, body, resolved_at)
    SELECT 'delivery', 'e' || days, 'why', '', now() - days * interval '1 day'
    FROM generate_series(0, 9) AS days;
    INSERT INTO neon_identity.rejections (rejected_at, source, event_id, reason, body)
    VALUES (now() - interval '1 year', 'delivery', 'open', 'why', '');
    INSERT INTO neon_identity.runs (started_at, finished_at, dry_run, outcome)
    SELECT now() - days * interval '1 day', now() - days * interval '1 day', false, 'busy'
    FROM generate_series(0, 9) AS days;";

/// How many rows each table has.
async fn counts(stage: &Stage) -> Result<Value> {
    let sql = "SELECT (SELECT count(*) FROM neon_identity.deliveries) AS deliveries,
        (SELECT count(*) FROM neon_identity.repairs) AS repairs,
        (SELECT count(*) FROM neon_identity.rejections) AS rejections,
        (SELECT count(*) FROM neon_identity.runs) AS runs";
    stage.json(sql).await?.pop().context("a row")
}

#[tokio::test]
async fn a_run_forgets_what_is_older_than_it_is_kept() -> Result<()> {
    let stage = Stage::backfilled(2).await?;
    stage.execute(OLD).await?;
    // The last complete run stays, however old it is.
    stage
        .execute(
            "UPDATE neon_identity.runs SET started_at = now() - interval '30 days',
                finished_at = now() - interval '30 days' WHERE outcome = 'complete'",
        )
        .await?;
    stage.run(json!({"dry_run": true})).await?;
    let all = json!({"deliveries": 10, "repairs": 10, "rejections": 11, "runs": 12});
    assert_eq!(counts(&stage).await?, all);
    // A week: those of 0 to 6 days; an open rejection, a complete run, the dry run and itself.
    stage.complete(json!({})).await?;
    let week = json!({"deliveries": 7, "repairs": 7, "rejections": 8, "runs": 10});
    assert_eq!(counts(&stage).await?, week);
    let reconcile = with_retention(&stage, "3").await?;
    reconcile.invoke(json!({})).await?;
    let three = json!({"deliveries": 3, "repairs": 3, "rejections": 4, "runs": 6});
    assert_eq!(counts(&stage).await?, three);
    Ok(())
}

#[tokio::test]
async fn a_backlog_of_several_batches_is_gone_after_a_run() -> Result<()> {
    let stage = Stage::backfilled(2).await?;
    stage
        .execute(
            "INSERT INTO neon_identity.deliveries (received_at, event_id, event, outcome)
            SELECT now() - interval '8 days', 'e', 'user.created', 'created'
            FROM generate_series(1, 3500)",
        )
        .await?;
    stage.complete(json!({})).await?;
    assert_eq!(counts(&stage).await?["deliveries"], 0);
    Ok(())
}
