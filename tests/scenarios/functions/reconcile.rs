//! `reconcile`: whatever the table says before, afterwards it says what the provider does.

mod cost;
mod dry_runs;
mod failures;
mod lease;
mod listing;
mod missing;
mod rejected;
mod repairs;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::function::Function;
use tests::runtime_api::FunctionError;
use tests::stage::Stage;

/// Users of a page, as the adapter asks for them.
const PAGE: usize = 1_000;

/// A little longer than a read of Stack Auth's may be behind.
const STALENESS: Duration = Duration::from_millis(1_300);

/// All figures but the time.
const FIGURES: [&str; 9] = [
    "listed",
    "created",
    "updated",
    "unchanged",
    "deleted",
    "revived",
    "rejected",
    "held",
    "pages",
];

/// A stage with some users, and one instance of `reconcile`.
struct Run {
    stage: Stage,
    reconcile: Function,
}

impl Run {
    async fn new(users: u64) -> Result<Self> {
        Self::of(Stage::new().await?, users).await
    }

    async fn of(stage: Stage, users: u64) -> Result<Self> {
        stage.simulator.seed(users);
        let reconcile = stage.reconcile().await?;
        Ok(Self { stage, reconcile })
    }

    /// With these users in the table.
    async fn backfilled(users: u64) -> Result<Self> {
        let run = Self::new(users).await?;
        run.complete(json!({})).await?;
        Ok(run)
    }

    /// Runs until the end, and expects it to be reached.
    async fn complete(&self, event: Value) -> Result<Value> {
        // Lambda's own limit: on a busy machine less makes a large run rightly partial.
        let limit = Duration::from_secs(900);
        let report = self.reconcile.invoke_with_deadline(event, limit).await;
        let report = report.with_context(|| self.reconcile.logs().unwrap_or_default())?;
        ensure!(report["outcome"] == "complete", "{report}");
        let run = self.stage.runs().await?.pop().context("a run")?;
        for figure in FIGURES.iter().chain(&["outcome", "duration_ms"]) {
            ensure!(run[figure] == report[figure], "{figure}: {run} {report}");
        }
        ensure!(run["finished_at"].is_string() && run["error"].is_null());
        Ok(report)
    }

    /// Runs, and expects the invocation to fail as `kind`.
    async fn fails(&self, event: Value, kind: &str) -> Result<FunctionError> {
        let limit = Duration::from_secs(120);
        let report = self.reconcile.invoke_with_deadline(event, limit).await;
        let error = report.err().context("it did not fail")?;
        ensure!(error.error_type == kind, "{error}");
        Ok(error)
    }

    /// Runs, and expects it to be held; the report.
    async fn held(&self, event: Value) -> Result<Value> {
        let error = self.fails(event, "Held").await?;
        let report: Value = serde_json::from_str(&error.error_message)?;
        ensure!(report["outcome"] == "held" && report["deleted"] == 0);
        let run = self.stage.runs().await?.pop().context("a run")?;
        for figure in FIGURES.iter().chain(&["outcome", "duration_ms"]) {
            ensure!(run[figure] == report[figure], "{figure}: {run} {report}");
        }
        Ok(report)
    }

    /// The ids of all users, in the order of their sign-up.
    fn ids(&self) -> Vec<String> {
        self.stage.simulator.truth().map(|user| user.id).collect()
    }

    async fn living(&self) -> Result<usize> {
        let table = self.stage.table().await?;
        Ok(table.iter().filter(|row| row.lives()).count())
    }
}

fn assert_figures(report: &Value, expected: &[(&str, usize)]) {
    for figure in FIGURES.iter().filter(|figure| **figure != "pages") {
        let wanted = expected.iter().find(|(name, _)| name == figure);
        let wanted = wanted.map_or(0, |(_, number)| *number);
        assert_eq!(report[figure], wanted, "{figure}: {report}");
    }
}

#[expect(clippy::print_stderr, reason = "for `cargo test -- --nocapture`")]
pub(crate) fn say(figures: &str) {
    eprintln!("{figures}");
}
