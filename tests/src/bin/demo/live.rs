//! A user's life, each change shown as it lands in the table.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use serde_json::json;
use tests::simulator::Simulator;
use tokio_postgres::Client;

use crate::Stage;
use crate::show::{Step, row, seconds};

/// How long a change may take to land.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn show(stage: &Stage, simulator: &Simulator) -> Result<()> {
    let step = Step::begin("Live: a user signs up, changes and goes, and webhook is told");
    let client = stage.database.connect().await?;
    // The first delivery finds the function started: as on Lambda after a while.
    simulator.create("Somebody Else", "somebody.else@example.com")?;
    simulator.all_sent().await;
    let mut slowest = Duration::ZERO;
    let id = simulator.create("Ada Lovelace", "ada@example.com")?;
    slowest = slowest.max(lands(&client, &id, "signs up", "Ada Lovelace | ada@example.com").await?);
    simulator.rename(&id, "Ada King")?;
    slowest = slowest.max(
        lands(
            &client,
            &id,
            "changes the name",
            "Ada King | ada@example.com",
        )
        .await?,
    );

    // Stack Auth tells nobody of this; of the others a delivery is lost, as happens everywhere.
    let why = stage.provider.why_no_email_arrives();
    stage.provider.lose_deliveries(true);
    simulator.change_email_via_contact_channel(&id, "ada@lovelace.example")?;
    simulator.all_sent().await;
    stage.provider.lose_deliveries(false);
    let before = row(&client, &id).await?.unwrap_or_default();
    println!(
        "   {:<28} {why}; the row says {before}",
        "changes the email"
    );
    ensure!(
        before.ends_with("ada@example.com"),
        "the row changed without a webhook"
    );
    let report = stage.lambda.invoke("reconcile", json!({})).await?;
    println!(
        "   {:<28} {} listed, {} updated",
        "reconcile repairs", report["listed"], report["updated"]
    );
    lands(&client, &id, "", "Ada King | ada@lovelace.example").await?;

    simulator.delete(&id)?;
    slowest = slowest.max(
        lands(
            &client,
            &id,
            "is deleted",
            "Ada King | ada@lovelace.example | deleted",
        )
        .await?,
    );
    step.done(&format!("from change to row: {} at most", seconds(slowest)));
    Ok(())
}

/// Waits until the row begins with `expected`; gives how long that took.
async fn lands(client: &Client, id: &str, what: &str, expected: &str) -> Result<Duration> {
    let begun = Instant::now();
    loop {
        let found = row(client, id).await?.unwrap_or_default();
        if found.starts_with(expected) {
            println!("   {what:<28} {found}  ({})", seconds(begun.elapsed()));
            return Ok(begun.elapsed());
        }
        if begun.elapsed() > PATIENCE {
            bail!("{what} did not land in the table, which says {found}");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
