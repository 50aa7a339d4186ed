//! Holds what the table shows, and ever showed, against what really happened.

use std::collections::HashSet;

use anyhow::Result;
use serde_json::Value;
use tests::simulator::Truth;
use tests::stage::Parameters;
use tokio_postgres::types::Type;

use crate::book::Book;
use crate::fleet::Ended;
use crate::ground::Ground;
use crate::provider::Provider;

/// The problems once all deliveries have come to an end: every user whose last change was acknowledged
/// has to be right, whatever else was lost.
pub(crate) async fn before_reconcile(ground: &Ground, book: &Book) -> Result<Vec<String>> {
    let owed = book.owed();
    let world = &ground.stage.simulator;
    let living: Vec<Truth> = owed.iter().filter_map(|id| world.user(id)).collect();
    let mut problems = ground.stage.differences(&living).await?;
    let gone: Vec<&str> = owed
        .iter()
        .map(String::as_str)
        .filter(|id| world.user(id).is_none())
        .collect();
    let sql = "SELECT format('%s: %s', gone.id, CASE
            WHEN kept.id IS NULL THEN 'deleted, and there is no tombstone'
            ELSE 'deleted, and shown as living'
        END)
        FROM unnest($1::text[]) AS gone (id)
        LEFT JOIN neon_identity.users_sync AS kept USING (id)
        WHERE kept.deleted_at IS NULL";
    let rows = ground
        .stage
        .query(sql, &[(&gone, Type::TEXT_ARRAY)])
        .await?;
    problems.extend(rows.iter().map(|row| row.get::<_, String>(0)));
    Ok(problems
        .iter()
        .map(|problem| format!("acknowledged, and lost: {problem}"))
        .collect())
}

/// The problems once a reconcile was complete.
pub(crate) async fn after_reconcile(
    ground: &Ground,
    book: &Book,
    provider: &Provider,
    as_assumed: bool,
) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    if provider.versioned {
        problems.extend(versions(ground).await?);
        problems.extend(falls(ground).await?);
    }
    if let Err(problem) = ground.stage.assert_in_sync().await {
        problems.push(format!("{problem:#}"));
    }
    if as_assumed {
        problems.extend(history(ground, book).await?);
    }
    problems.extend(runs(ground, book).await?);
    let refused = refused(ground).await?;
    for rejection in ground.stage.rejections().await? {
        let user = rejection["user_id"].as_str();
        let living = user.is_some_and(|id| ground.stage.simulator.user(id).is_some());
        // The run in calm has taken in the users that the provider failed to show to a run, or that
        // the application refused for a while.
        let had_reason =
            rejection["source"] == "listing" || user.is_some_and(|id| refused.contains(id));
        let passed = had_reason && (!living || !rejection["resolved_at"].is_null());
        if !passed {
            problems.push(format!("rejected without reason: {rejection}"));
        }
    }
    Ok(problems)
}

/// Rows whose `updated_at` is not the profile's own version.
async fn versions(ground: &Ground) -> Result<Vec<String>> {
    let truth: Vec<Truth> = ground.stage.simulator.truth().collect();
    let ids: Vec<&str> = truth.iter().map(|user| &*user.id).collect();
    let versions: Vec<_> = truth.iter().map(|user| user.reading.updated_at).collect();
    let sql =
        "SELECT format('%s: updated_at is %s, and not %s', new.id, kept.updated_at, new.version)
        FROM unnest($1::text[], $2::bigint[]) AS new (id, version)
        JOIN neon_identity.users_sync AS kept USING (id)
        WHERE floor(extract(epoch FROM kept.updated_at) * 1000) IS DISTINCT FROM new.version";
    let parameters: Parameters<'_> = &[(&ids, Type::TEXT_ARRAY), (&versions, Type::INT8_ARRAY)];
    let rows = ground.stage.query(sql, parameters).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Users that the application's trigger refused for a while.
async fn refused(ground: &Ground) -> Result<HashSet<String>> {
    let rows = ground
        .stage
        .query("SELECT id FROM torture.refusals", &[])
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Rows whose version fell, however long reads lagged.
async fn falls(ground: &Ground) -> Result<Vec<String>> {
    let sql = "SELECT format('%s: updated_at fell from %s to %s', id, before, updated_at)
        FROM (
          SELECT id, number, updated_at,
            max(updated_at) OVER (PARTITION BY id ORDER BY number
              ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
          FROM torture.history
        ) AS kept
        WHERE updated_at < before ORDER BY number";
    let rows = ground.stage.query(sql, &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// No state that a row ever had may be one that nobody could come to believe.
async fn history(ground: &Ground, book: &Book) -> Result<Vec<String>> {
    let sql = "SELECT id, deleted_at IS NOT NULL, (extract(epoch FROM at) * 1000)::float8
        FROM torture.history ORDER BY number";
    let users = book.users();
    let mut tombstoned = HashSet::new();
    let mut problems = Vec::new();
    for row in ground.stage.query(sql, &[]).await? {
        let (id, tombstone, at): (String, bool, f64) = (row.get(0), row.get(1), row.get(2));
        let facts = users.get(&id).cloned().unwrap_or_default();
        // The provider's clock and the database's are this machine's, and count alike.
        let deleted = facts
            .deletions
            .iter()
            .any(|deletion| *deletion as f64 <= at + 1.0);
        if tombstone && !deleted {
            problems.push(format!("{id}: a living user was tombstoned"));
        }
        if !tombstone && tombstoned.contains(&id) && facts.returns.is_empty() {
            problems.push(format!("{id}: a deleted user came back"));
        }
        if tombstone {
            tombstoned.insert(id);
        }
    }
    problems.dedup();
    Ok(problems)
}

/// Every run that got as far as Postgres has its row, and the row says what became of it.
async fn runs(ground: &Ground, book: &Book) -> Result<Vec<String>> {
    let mut rows = ground.stage.runs().await?;
    let mut problems = Vec::new();
    let ended = book.runs();
    for report in ended.iter().filter_map(|ended| match ended {
        Ended::Reported(report) => Some(report),
        _ => None,
    }) {
        match rows.iter().position(|row| tells(row, report)) {
            Some(at) => drop(rows.swap_remove(at)),
            None => problems.push(format!("no row in runs says what a run answered: {report}")),
        }
    }
    // The rest is from runs that failed or died, perhaps after their end.
    let died = ended
        .iter()
        .filter(|ended| **ended == Ended::Killed)
        .count();
    let failed = ended
        .iter()
        .filter(|ended| matches!(ended, Ended::Failed(_)))
        .count();
    let succeeded = rows
        .iter()
        .filter(|row| !row["outcome"].is_null() && row["outcome"] != "failed")
        .count();
    if succeeded > died + failed {
        problems.push(format!(
            "{succeeded} rows in runs tell of a success that nobody was told of: {rows:?}"
        ));
    }
    for row in rows {
        if row["outcome"] == "failed" && row["error"].is_null() {
            problems.push(format!("a run failed without a word: {row}"));
        }
        if row["outcome"].is_null() != row["finished_at"].is_null() {
            problems.push(format!("a run that is half over: {row}"));
        }
    }
    Ok(problems)
}

fn tells(row: &Value, report: &Value) -> bool {
    let report = report.as_object();
    report.is_some_and(|report| report.iter().all(|(name, value)| row[name] == *value))
}
