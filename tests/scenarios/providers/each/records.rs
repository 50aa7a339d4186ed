//! Records, of every provider: each delivery by its own type, and where to look when none arrives.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::for_each_provider;
use tests::stage::{Setup, Stage};

for_each_provider! {
    each_delivery_about_a_user_is_recorded_by_its_type
    webhooks_that_do_not_arrive_are_noticed_and_the_place_to_look_is_named
}

async fn each_delivery_about_a_user_is_recorded_by_its_type(setup: Setup) -> Result<()> {
    let stage = Stage::at_work(setup).await?;
    let id = stage.simulator.create("Ada", "ada@example.com")?;
    stage.deliver_all().await?;
    stage.simulator.delete(&id)?;
    stage.deliver_all().await?;
    let sql = "SELECT event, user_id, outcome, lag_ms FROM neon_identity.deliveries ORDER BY id";
    let rows = stage.json(sql).await?;
    let (first, last) = (rows.first(), rows.last());
    let (first, last) = (first.context("a creation")?, last.context("a deletion")?);
    let provider = stage.provider()?.name;
    let types = match provider {
        "supabase" => ["INSERT", "DELETE"],
        _ => ["user.created", "user.deleted"],
    };
    assert_eq!(
        [&first["event"], &last["event"]],
        types.map(|name| json!(name)).each_ref()
    );
    assert_eq!(
        [&first["outcome"], &last["outcome"]],
        ["created", "deleted"]
    );
    for row in &rows {
        assert_eq!(row["user_id"], json!(id), "{row}");
        let lag = &row["lag_ms"];
        match provider {
            // Its webhooks tell no time of a deletion.
            "supabase" if *lag == Value::Null => assert_eq!(row["event"], "DELETE", "{row}"),
            _ => assert!(
                lag.as_i64().is_some_and(|lag| (0..60_000).contains(&lag)),
                "{row}"
            ),
        }
    }
    Ok(())
}

async fn webhooks_that_do_not_arrive_are_noticed_and_the_place_to_look_is_named(
    setup: Setup,
) -> Result<()> {
    let stage = Stage::at_work(setup).await?;
    stage.simulator.seed(3);
    stage.complete(json!({})).await?;
    stage.simulator.create("Ada", "ada@example.com")?;
    stage.simulator.take_messages();
    assert_eq!(stage.complete(json!({})).await?["created"], 1);
    let before = stage.reconcile().await?.logs()?;
    assert!(!before.contains("webhooks do not arrive"), "{before}");
    stage
        .execute("UPDATE neon_identity.repairs SET at = at - interval '11 minutes'")
        .await?;
    assert_eq!(stage.complete(json!({})).await?["missed"], 1);
    let logs = stage.reconcile().await?.logs()?;
    let line = logs
        .lines()
        .find(|line| line.contains("\"webhooks do not arrive\""));
    let line: Value = serde_json::from_str(line.context(logs.clone())?)?;
    assert_eq!(line["missed"], 1);
    let place = match stage.provider()?.name {
        "supabase" => "Supabase's SQL editor",
        "auth0" => "Auth0's dashboard under Event Streams",
        "workos" => "WorkOS' dashboard under Webhooks",
        "clerk" => "Clerk's dashboard under Webhooks",
        _ => "Stack Auth's dashboard under Webhooks",
    };
    let look = line["look"].as_str().unwrap_or_default();
    assert!(look.contains(place), "{line}");
    assert!(!logs.contains("ada@example.com"), "{logs}");
    Ok(())
}
