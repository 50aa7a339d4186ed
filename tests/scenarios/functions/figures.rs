//! Figures for the alarms, and lines of the log that say which request they are of.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::function::Function;
use tests::stage::Stage;

pub(super) fn lines(function: &Function) -> Result<Vec<Value>> {
    let logs = function.logs()?;
    let lines = logs.lines().map(serde_json::from_str);
    lines
        .collect::<Result<_, _>>()
        .with_context(|| format!("not JSON: {logs}"))
}

/// The lines that hold this figure: what CloudWatch is told of it, and the figure.
pub(super) fn figures(lines: &[Value], name: &str) -> Vec<i64> {
    let told = lines.iter().filter(|line| {
        let metrics = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array();
        metrics.is_some_and(|metrics| metrics.iter().any(|metric| metric["Name"] == name))
    });
    told.filter_map(|line| line[name].as_i64()).collect()
}

#[tokio::test]
async fn runs_and_deliveries_write_the_figures_that_alarms_watch() -> Result<()> {
    let stage = Stage::receiving().await?;
    let simulator = &stage.simulator;
    stage.complete(json!({})).await?;
    simulator.create("Ada", "ada@example.com")?;
    stage.deliver_all().await?;
    simulator.create("Bob", "bob@example.com")?;
    simulator.take_messages();
    let unreadable = stage.letter(r#"{"type":"user.created"}"#);
    assert_eq!(stage.send(&unreadable).await?, 400);
    stage.complete(json!({})).await?;
    stage
        .execute("UPDATE neon_identity.repairs SET at = at - interval '11 minutes'")
        .await?;
    stage.complete(json!({})).await?;

    let (webhook, reconcile) = (stage.webhook().await?, stage.reconcile().await?);
    let runs = lines(&reconcile)?;
    assert_eq!(figures(&runs, "MissedWebhooks"), [0, 0, 1]);
    assert_eq!(figures(&runs, "OpenRejections").len(), 3);
    assert_eq!(figures(&runs, "OpenRejections")[0], 0);
    let deliveries = lines(&webhook)?;
    let lags = figures(&deliveries, "DeliveryLag");
    assert!(lags.iter().all(|lag| (0..60_000).contains(lag)), "{lags:?}");
    // One line for each that was applied, and none for what was rejected.
    let applied = deliveries.iter();
    let applied = applied.filter(|line| line["message"] == "applied a delivery");
    assert_eq!(lags.len(), applied.count());
    // All of them are of one namespace, by the function's name.
    for (line, name) in runs
        .iter()
        .map(|line| (line, "reconcile"))
        .chain(deliveries.iter().map(|line| (line, "webhook")))
    {
        if line["_aws"] != Value::Null {
            let told = &line["_aws"]["CloudWatchMetrics"][0];
            assert_eq!(told["Namespace"], "users-sync");
            assert_eq!(told["Dimensions"], json!([["FunctionName"]]));
            assert!(
                line["FunctionName"]
                    .as_str()
                    .is_some_and(|known| known.contains(name))
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_line_of_the_log_names_the_request_the_event_and_the_time_that_it_took() -> Result<()> {
    let stage = Stage::receiving().await?;
    stage.simulator.create("Ada", "ada@example.com")?;
    let messages = stage.simulator.take_messages();
    for message in &messages {
        stage.taken(message).await?;
    }
    stage.complete(json!({})).await?;
    let (webhook, reconcile) = (stage.webhook().await?, stage.reconcile().await?);
    let of = |lines: &[Value], message: &str| {
        let mut found = lines.iter().filter(|line| line["message"] == message);
        found.next().cloned().context("no such line")
    };
    let applied = of(&lines(&webhook)?, "applied a delivery")?;
    assert!(
        messages
            .iter()
            .any(|message| applied["event_id"] == message.id)
    );
    let reconciled = of(&lines(&reconcile)?, "reconciled")?;
    for line in [&applied, &reconciled] {
        assert!(line["duration_ms"].is_u64(), "{line}");
        let request = line["span"]["request_id"].as_str().unwrap_or_default();
        assert!(!request.is_empty(), "{line}");
    }
    for logs in [webhook.logs()?, reconcile.logs()?] {
        assert!(
            !logs.contains("Ada") && !logs.contains("example.com"),
            "{logs}"
        );
    }
    Ok(())
}
