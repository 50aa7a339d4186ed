//! Runs, of every provider: they repair what deliveries did not tell, and tombstone only users that
//! the provider itself says are gone.

use std::time::Duration;
use tests::for_each_provider;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::simulator::{Call, Fault, Trouble};
use tests::stage::{Setup, Stage};

use super::assert_all_live;

for_each_provider! {
    while_the_provider_is_in_trouble_a_run_fails_and_a_later_one_does_not
    users_who_are_there_are_taken_in_and_a_second_run_writes_nothing
    a_run_after_deliveries_writes_nothing
    a_run_repairs_what_deliveries_did_not_tell
    missing_users_are_read_by_id_and_live_if_the_provider_says_so
    more_missing_users_than_permitted_are_held
    a_404_that_is_not_the_providers_own_tombstones_nobody
    a_wrong_key_fails_with_advice_and_a_corrected_one_is_taken_in
    a_user_that_cannot_be_stored_stops_nobody
}

async fn while_the_provider_is_in_trouble_a_run_fails_and_a_later_one_does_not(
    setup: Setup,
) -> Result<()> {
    let stage = Stage::in_sync(setup, 20).await?;
    let simulator = &stage.simulator;
    let gone = simulator.truth().next().context("nobody")?.id;
    simulator.delete(&gone)?;
    for fault in [Fault::Truncated, Fault::Html(200), Fault::Status(403)] {
        simulator.add_trouble(Trouble::every(fault).on(Call::List));
        let limit = Duration::from_secs(20);
        let report = stage
            .reconcile()
            .await?
            .invoke_with_deadline(json!({}), limit)
            .await;
        let failed = matches!(&report, Err(error) if error.error_type == "Failed");
        let partial = matches!(&report, Ok(report) if report["outcome"] == "partial");
        assert!(failed || partial, "{report:?}");
        assert_all_live(&stage, 20).await?;
        simulator.clear_troubles();
    }
    stage.complete(json!({})).await?;
    stage.assert_in_sync().await
}

async fn users_who_are_there_are_taken_in_and_a_second_run_writes_nothing(
    setup: Setup,
) -> Result<()> {
    let stage = Stage::at_work(setup).await?;
    stage.simulator.seed(1_250);
    stage.simulator.create("Ada", "ada@example.com")?;
    let report = stage.complete(json!({})).await?;
    assert_eq!(
        (&report["listed"], &report["created"]),
        (&json!(1_251), &json!(1_251))
    );
    stage.assert_in_sync().await?;
    let before = stage.versions().await?;
    let report = stage.complete(json!({})).await?;
    assert_eq!(report["unchanged"], 1_251, "{report}");
    assert!(stage.versions().await? == before, "a tuple was written");
    Ok(())
}

/// A listing shows what a read showed, as far as the table goes.
async fn a_run_after_deliveries_writes_nothing(setup: Setup) -> Result<()> {
    let stage = Stage::in_sync(setup, 5).await?;
    let simulator = &stage.simulator;
    let id = simulator.create("Ada", "ada@example.com")?;
    simulator.link_oauth(&id, "google")?;
    simulator.create_anonymous()?;
    stage.deliver_all().await?;
    let before = stage.the_row(&id).await?;
    let report = stage.complete(json!({})).await?;
    // A user that was deleted or listed lately may be in doubt, and is then read, which changes nothing.
    assert_eq!(
        (&report["updated"], &report["created"]),
        (&json!(0), &json!(0)),
        "{report}"
    );
    assert_eq!(stage.the_row(&id).await?.raw_json, before.raw_json);
    stage.assert_in_sync().await
}

async fn a_run_repairs_what_deliveries_did_not_tell(setup: Setup) -> Result<()> {
    let stage = Stage::in_sync(setup, 30).await?;
    let simulator = &stage.simulator;
    let ids: Vec<String> = simulator.truth().map(|user| user.id).collect();
    simulator.create("Ada", "ada@example.com")?;
    simulator.rename(&ids[3], "Somebody Else")?;
    simulator.delete(&ids[4])?;
    simulator.delete(&ids[29])?;
    simulator.take_messages();
    let report = stage.complete(json!({})).await?;
    let figures = ["created", "updated", "deleted", "held", "rejected"];
    let figures = figures.map(|figure| report[figure].clone());
    assert_eq!(figures, [1, 1, 2, 0, 0].map(Value::from), "{report}");
    stage.assert_in_sync().await
}

async fn missing_users_are_read_by_id_and_live_if_the_provider_says_so(setup: Setup) -> Result<()> {
    let stage = Stage::in_sync(setup, 12).await?;
    let simulator = &stage.simulator;
    simulator.add_trouble(Trouble::every(Fault::EmptyListing).on(Call::List));
    // By the run's own judgement nobody is to be deleted; nor when a person permits it, because
    // each user that is read is there.
    let held = stage
        .run(json!({}))
        .await
        .err()
        .context("it was not held")?;
    assert!(
        ["Held", "Failed"].contains(&held.error_type.as_str()),
        "{held}"
    );
    assert_all_live(&stage, 12).await?;
    simulator.clear_requests();
    let permitted = stage.run(json!({"max_deletes": 100})).await;
    assert_all_live(&stage, 12).await?;
    let requests = simulator.requests();
    let reads = requests.iter().filter(|request| request.call == Call::Read);
    match permitted {
        Ok(report) => assert_eq!((&report["deleted"], reads.count()), (&json!(0), 12)),
        // Some count their users, and what was listed is too few.
        Err(error) => assert!(error.error_message.contains("counts 12 users"), "{error}"),
    }
    simulator.clear_troubles();
    let gone = simulator.truth().next().context("nobody")?.id;
    simulator.delete(&gone)?;
    assert_eq!(stage.complete(json!({})).await?["deleted"], 1);
    stage.assert_in_sync().await
}

async fn more_missing_users_than_permitted_are_held(setup: Setup) -> Result<()> {
    let stage = Stage::in_sync(setup, 60).await?;
    let simulator = &stage.simulator;
    let ids: Vec<String> = simulator.truth().map(|user| user.id).collect();
    for id in &ids[..11] {
        simulator.delete(id)?;
    }
    simulator.rename(&ids[20], "Somebody Else")?;
    let held = stage
        .run(json!({}))
        .await
        .err()
        .context("it was not held")?;
    assert_eq!(held.error_type, "Held");
    let report: Value = serde_json::from_str(&held.error_message)?;
    assert_eq!(
        (&report["held"], &report["updated"]),
        (&json!(11), &json!(1)),
        "{report}"
    );
    assert_all_live(&stage, 60).await?;
    let report = stage.complete(json!({"max_deletes": 11})).await?;
    assert_eq!(report["deleted"], 11, "{report}");
    stage.assert_in_sync().await
}

async fn a_404_that_is_not_the_providers_own_tombstones_nobody(setup: Setup) -> Result<()> {
    let stage = Stage::in_sync(setup, 5).await?;
    let simulator = &stage.simulator;
    let gone = simulator.truth().next().context("nobody")?.id;
    simulator.delete(&gone)?;
    for fault in [Fault::Html(404), Fault::Status(404)] {
        simulator.add_trouble(Trouble::every(fault).on(Call::Read));
        let limit = Duration::from_secs(20);
        let report = stage
            .reconcile()
            .await?
            .invoke_with_deadline(json!({}), limit)
            .await;
        let complete = matches!(&report, Ok(report) if report["outcome"] == "complete");
        assert!(!complete, "{report:?}");
        assert_all_live(&stage, 5).await?;
        simulator.clear_troubles();
    }
    stage.complete(json!({})).await?;
    stage.assert_in_sync().await
}

async fn a_wrong_key_fails_with_advice_and_a_corrected_one_is_taken_in(setup: Setup) -> Result<()> {
    let stage = Stage::at_work(setup).await?;
    stage.simulator.seed(3);
    let secret = stage.secret();
    let key = stage.provider()?.key;
    let right = secret["provider"][key].clone();
    let wrong = right
        .as_str()
        .unwrap_or_default()
        .replace("simulated", "emulated");
    assert_ne!(right, wrong.as_str());
    stage.change_secret(|secret| secret["provider"][key] = json!(wrong))?;
    let advice = {
        // An instance that has known no other key.
        let reconcile = stage.start("reconcile").await?;
        let error = reconcile
            .invoke(json!({}))
            .await
            .err()
            .context("it did not fail")?;
        ensure!(error.error_type == "Failed", "{error}");
        error.error_message
    };
    assert!(advice.contains(&format!("provider.{key}")), "{advice}");
    assert!(
        !advice.contains(&wrong) && !advice.contains("emulated"),
        "{advice}"
    );
    let run = stage.runs().await?.pop().context("no run")?;
    assert_eq!(run["outcome"], "failed");
    stage.change_secret(|secret| secret["provider"][key] = right)?;
    stage.complete(json!({})).await?;
    stage.assert_in_sync().await
}

async fn a_user_that_cannot_be_stored_stops_nobody(setup: Setup) -> Result<()> {
    let stage = Stage::at_work(setup).await?;
    let simulator = &stage.simulator;
    simulator.seed(40);
    let users: Vec<_> = simulator.truth().collect();
    // One whose id is no text, and one with a number that Postgres can't hold.
    let (odd, huge) = (&users[7], &users[8]);
    simulator.show_profile(
        &odd.id,
        &odd.profile.replace(&format!("\"{}\"", odd.id), "7"),
    )?;
    let profile = huge.profile.replacen('{', r#"{"huge":1e200000,"#, 1);
    simulator.show_profile(&huge.id, &profile)?;
    let report = stage.complete(json!({})).await?;
    assert_eq!(
        (&report["created"], &report["rejected"]),
        (&json!(38), &json!(2)),
        "{report}"
    );
    let rejections = stage.rejections().await?;
    assert_eq!(rejections.len(), 2, "{rejections:?}");

    // Once they can be stored, they are.
    simulator.rename(&odd.id, "Odd")?;
    simulator.rename(&huge.id, "Huge")?;
    let report = stage.complete(json!({})).await?;
    assert_eq!(
        (&report["created"], &report["rejected"]),
        (&json!(2), &json!(0)),
        "{report}"
    );
    stage.assert_in_sync().await?;
    let of_huge = rejections
        .iter()
        .position(|rejection| rejection["reason"].to_string().contains("number"));
    let of_huge = of_huge.with_context(|| format!("{rejections:?}"))?;
    assert!(stage.rejections().await?[of_huge]["resolved_at"].is_string());
    Ok(())
}
