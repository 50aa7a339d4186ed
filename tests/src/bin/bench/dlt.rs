//! A first run and one over a table in sync, beside a `dlt` pipeline that merges what it lists.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::scratch::Scratch;

use crate::backfill::USERS;
use crate::ground::Listed;
use crate::peers::{folder, python};
use crate::report::{Report, note};
use crate::rounds::Rounds;

const ROUNDS: usize = 2;

pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    let listed = Listed::of(USERS).await?;
    // The provider's pages are not known yet, as dlt asks for them.
    pipeline(&listed, "json", &Scratch::new("dlt")?)?;
    let (mut ours, mut json) = <(Side, Side)>::default();
    for _ in 0..ROUNDS {
        listed.ground.begin_anew().await?;
        ours.first.add(listed.timed("created").await?.rate);
        ours.unchanged.add(listed.timed("unchanged").await?.rate);
        json.round(&listed, "json")?;
    }
    let mut nested = Side::default();
    nested.round(&listed, "nested")?;
    report.figure("backfill_vs_dlt", &ours.first.over(&json.first))?;
    report.figure("unchanged_vs_dlt", &ours.unchanged.over(&json.unchanged))?;
    for (name, side) in [("ours", ours), ("dlt", json), ("dlt, nested", nested)] {
        note(&format!("{name}: first, users a second"), &side.first);
        note(&format!("{name}: in sync"), &side.unchanged);
    }
    Ok(())
}

#[derive(Default)]
struct Side {
    first: Rounds,
    unchanged: Rounds,
}

impl Side {
    /// Two runs of the pipeline, the first one into an empty database.
    fn round(&mut self, listed: &Listed, shape: &str) -> Result<()> {
        let state = Scratch::new("dlt")?;
        let rate = || -> Result<f64> { Ok(f64::from(USERS) / pipeline(listed, shape, &state)?) };
        self.first.add(rate()?);
        self.unchanged.add(rate()?);
        Ok(())
    }
}

/// The seconds that a run takes, without the start of Python and the loading of `dlt`.
fn pipeline(listed: &Listed, shape: &str, state: &Scratch) -> Result<f64> {
    let secret = listed.ground.stage.secret();
    let provider = &secret["provider"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = state.path().file_name().context("name a dataset")?;
    let output = Command::new(python()?)
        .arg(folder("dlt").join("pipeline.py"))
        .arg(shape)
        .env("HOME", state.path())
        .env("DATASET", name)
        .env(
            "DATABASE_URL",
            format!(
                "{}?sslmode=require",
                listed.ground.stage.database.owner_url()
            ),
        )
        .env("API_URL", text(&provider["api_url"]))
        .env("PROJECT_ID", text(&provider["project_id"]))
        .env("SECRET_SERVER_KEY", text(&provider["secret_server_key"]))
        .env("USERS", USERS.to_string())
        .env("RUNTIME__DLTHUB_TELEMETRY", "false")
        .output()
        .context("run the pipeline")?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the pipeline fails:\n{error}");
    let printed = String::from_utf8(output.stdout)?;
    let seconds = printed
        .lines()
        .last()
        .context("read the pipeline's answer")?;
    seconds.parse().context("read the pipeline's seconds")
}
