//! The console's statements read about as many rows as a page shows, however many users there are:
//! each is explained, and run, beside a crowd.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::pages::crowd;
use tests::stage::Stage;
use tests::tools::workspace;
use tokio_postgres::SimpleQueryMessage;

const USERS: u64 = 20_000;

/// How many rows a statement may read: all of the crowd's smallest kinds, which have 200 each, and a
/// few pages of anything else.
const MOST: f64 = 800.0;

const NULL: &str = "NULL::text";
const NONE: &str = "NULL::bigint";
const MIDDLE: &str = "'80000000'";

/// Each statement, with the parameters that it is tried with.
fn statements() -> Vec<(&'static str, Vec<Vec<&'static str>>)> {
    let mut listed = Vec::new();
    let mut by_key = Vec::new();
    let mut by_id = Vec::new();
    for among in ["'all'", "'living'", "'deleted'", "'placeholders'"] {
        for after in [NULL, MIDDLE] {
            listed.push(vec![among, after, "51"]);
        }
        for sought in [
            "'a'",
            "'ada'",
            "'ada allen 20'",
            "'ada1'",
            "'8f'",
            "'zebra'",
            "'%'",
        ] {
            by_key.push(vec![sought, among, NULL, NULL, "51"]);
            by_id.push(vec![sought, among, NULL, "51"]);
        }
        by_key.push(vec!["'ada'", among, "'ada floyd 5'", MIDDLE, "51"]);
        by_id.push(vec!["'8'", among, MIDDLE, "51"]);
    }
    // A user whom the name finds is not found by the e-mail, which is asked once names have run out.
    let by_email = by_key
        .iter()
        .filter(|with| with[0] != "'a'" && with[0] != "'ada'");
    let ids = "ARRAY(SELECT id FROM neon_identity.users_sync LIMIT 100)";
    let this_hour = "date_bin('1 hour', now(), timestamptz '2000-01-03 00:00:00+00')";
    let id = "(SELECT max(user_id) FROM neon_identity.repairs)";
    vec![
        ("begin_look", vec![vec![]]),
        ("count_activity", vec![vec!["1", this_hour]]),
        ("count_attempt", vec![vec!["'192.0.2.1'", "900"]]),
        ("dismiss", vec![vec!["1"]]),
        ("erase", vec![]),
        ("find_by_email", by_email.cloned().collect()),
        ("find_by_id", by_id),
        ("find_by_name", by_key),
        (
            "find_differing",
            vec![vec!["''", NULL, "51"], vec!["'ada'", MIDDLE, "51"]],
        ),
        ("forget_attempts", vec![vec!["'192.0.2.1'"]]),
        ("history", vec![vec![id, "50"]]),
        (
            "keep_look",
            vec![vec![
                "true",
                "1",
                "''",
                "''::bytea",
                "0",
                "0",
                "ARRAY['x']",
                "ARRAY['create']",
                "2500",
            ]],
        ),
        ("kept_activity", vec![vec!["1", "24"], vec!["6", "28"]]),
        ("last_delivery", vec![vec![]]),
        ("last_look", vec![vec![]]),
        ("list_differences", vec![vec!["'delete'", NULL, "500"]]),
        (
            "list_rejections",
            ["true", "false"]
                .iter()
                .flat_map(|open| {
                    [
                        vec![open, NONE, "51", "0", NONE],
                        vec![open, "200", "51", "0", NONE],
                        vec!["false", NONE, "1", "100000", "7"],
                    ]
                })
                .collect(),
        ),
        (
            "list_repairs",
            vec![vec!["200", NONE, "101"], vec!["200", "300", "101"]],
        ),
        ("list_runs", vec![vec![NONE, "26"], vec!["200", "26"]]),
        ("list_users", listed),
        ("named", vec![vec![ids]]),
        ("overview", vec![vec![]]),
        ("person", vec![vec![id, "1000"]]),
        ("raw_profile", vec![vec![id]]),
        ("saved_look", vec![vec![]]),
        ("settle_differences", vec![vec![ids]]),
    ]
}

/// The rows that a plan has read of tables, and of each the name.
fn read(plan: &Value, found: &mut Vec<(String, f64)>) {
    if let Some(table) = plan["Relation Name"].as_str() {
        let figure = |name: &str| plan[name].as_f64().unwrap_or_default();
        let rows = figure("Actual Rows")
            + figure("Rows Removed by Filter")
            + figure("Rows Removed by Index Recheck");
        found.push((table.to_owned(), rows * figure("Actual Loops")));
    }
    for part in plan["Plans"].as_array().into_iter().flatten() {
        read(part, found);
    }
}

#[tokio::test]
async fn no_statement_of_the_console_reads_more_rows_than_a_few_pages_show() -> Result<()> {
    let stage = Stage::new().await?;
    stage.change_secret(|secret| secret["console_token"] = "a token of 24 characters".into())?;
    stage.provision().await?;
    let client = stage.database.connect().await?;
    crowd(&client, USERS).await?;
    // Of a table that is known to be large the rows are estimated.
    let large = "UPDATE pg_class SET reltuples = 1000000
        WHERE oid = 'neon_identity.users_sync'::regclass";
    let folder = workspace().join("shared/src/store/desk");
    let statements = statements();
    let known: BTreeSet<String> = statements
        .iter()
        .map(|(name, _)| format!("{name}.sql"))
        .collect();
    let files =
        fs::read_dir(&folder)?.map(|file| Ok(file?.file_name().to_string_lossy().into_owned()));
    let files: std::io::Result<BTreeSet<String>> = files.collect();
    let files: BTreeSet<_> = files?
        .into_iter()
        .filter(|file| file.ends_with(".sql"))
        .collect();
    assert_eq!(
        files, known,
        "name each statement here, with its parameters"
    );
    for (name, calls) in statements {
        if name == "overview" {
            client.batch_execute(large).await?;
        }
        let text = fs::read_to_string(folder.join(format!("{name}.sql")))?;
        for parameters in calls {
            let mut sql = text.clone();
            for (number, value) in parameters.iter().enumerate().rev() {
                sql = sql.replace(&format!("${}", number + 1), value);
            }
            let explained = format!("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}");
            let rows = client.simple_query(&explained).await;
            let rows = rows.with_context(|| format!("{name} {parameters:?}"))?;
            let plan = rows.iter().find_map(|row| match row {
                SimpleQueryMessage::Row(row) => row.get(0),
                _ => None,
            });
            let plan: Value = serde_json::from_str(plan.context("no plan")?)?;
            let mut found = Vec::new();
            read(&plan[0]["Plan"], &mut found);
            let all: f64 = found.iter().map(|(_, rows)| rows).sum();
            ensure!(
                all <= MOST,
                "{name} {parameters:?} reads {found:?}\n{plan:#}"
            );
        }
    }
    Ok(())
}
