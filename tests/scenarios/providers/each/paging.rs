//! Paging, of every provider: users come and go under a walk, pages are smaller than asked for, and
//! paging that has changed fails a run.

use std::time::Duration;
use tests::for_each_provider;

use anyhow::{Result, ensure};
use serde_json::json;
use tests::seeds::random;
use tests::simulator::{Call, Fault, Moment, Trouble};
use tests::stage::{Setup, Stage};

for_each_provider! {
    users_may_come_and_go_at_every_page
    paging_that_has_changed_fails_a_run_by_name_in_seconds
    a_smaller_page_than_was_asked_for_ends_no_walk_early
    a_listing_of_another_form_fails_a_run_by_name_in_seconds
}

/// Nobody who lives all the while is missed or taken for deleted, and the next run is in sync.
pub(crate) async fn users_may_come_and_go_at_every_page(setup: Setup) -> Result<()> {
    let stage = Stage::at_work(setup).await?;
    let simulator = &stage.simulator;
    simulator.seed(2_600);
    let ids: Vec<String> = simulator.truth().map(|user| user.id).collect();
    // At each page some go, of those listed already as well as of those yet to be listed.
    for page in 0..4_usize {
        let going: Vec<String> = ids.iter().skip(page * 97).step_by(211).cloned().collect();
        simulator.once(
            Moment::After,
            Call::List,
            u32::try_from(page)?,
            move |world| {
                let mut random = random(&format!("new users of page {page}"));
                for id in going.iter().filter(|id| world.user(id).is_some()) {
                    world.delete(id).expect("a user to delete");
                }
                for _ in 0..20 {
                    world
                        .create("New", &format!("new{}@example.com", random.u64(..)))
                        .expect("a user");
                }
            },
        );
    }
    stage.complete(json!({})).await?;
    let table = stage.table().await?;
    let rows: std::collections::HashMap<_, _> = table
        .iter()
        .map(|row| (row.id.as_str(), row.lives()))
        .collect();
    let missed: Vec<_> = ids
        .iter()
        .filter(|id| simulator.user(id).is_some() && rows.get(id.as_str()) != Some(&true))
        .collect();
    assert!(
        missed.is_empty(),
        "{} of {} users are missed",
        missed.len(),
        ids.len()
    );
    // The next run may still meet some who go; the one after it does not.
    stage.complete(json!({"max_deletes": 1_000})).await?;
    stage.complete(json!({"max_deletes": 1_000})).await?;
    stage.assert_in_sync().await
}

async fn paging_that_has_changed_fails_a_run_by_name_in_seconds(setup: Setup) -> Result<()> {
    let stage = Stage::at_work(setup).await?;
    let simulator = &stage.simulator;
    simulator.seed(1_250);
    for (forced, words) in stage.provider()?.paging.changes {
        let forced = forced
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned)));
        simulator.switch(|switches| switches.forced_parameters = forced.collect());
        simulator.clear_requests();
        let begun = std::time::Instant::now();
        let said = stage.failed(json!({})).await?;
        let (took, asked) = (begun.elapsed(), simulator.count(Call::List));
        ensure!(said.contains(words), "{said}");
        ensure!(said.contains("paging has changed"), "{said}");
        ensure!(
            asked <= 20 && took < Duration::from_secs(10),
            "{asked} {took:?}"
        );
        let table = stage.table().await?;
        ensure!(table.iter().all(|row| row.lives()), "somebody is deleted");
    }
    simulator.clear_troubles();
    stage.complete(json!({})).await?;
    stage.assert_in_sync().await
}

async fn a_smaller_page_than_was_asked_for_ends_no_walk_early(setup: Setup) -> Result<()> {
    let stage = Stage::at_work(setup).await?;
    stage.simulator.seed(345);
    let paging = stage.provider()?.paging;
    let forced = [(paging.parameter.to_owned(), Some("30".to_owned()))];
    stage
        .simulator
        .switch(|switches| switches.forced_parameters = forced.into());
    if paging.numbered {
        // Of another size they are other pages.
        let said = stage.failed(json!({})).await?;
        ensure!(said.contains("fewer users a page"), "{said}");
        return Ok(());
    }
    let report = stage.complete(json!({})).await?;
    ensure!(report["created"] == 345, "{report}");
    stage.assert_in_sync().await
}

async fn a_listing_of_another_form_fails_a_run_by_name_in_seconds(setup: Setup) -> Result<()> {
    let stage = Stage::at_work(setup).await?;
    stage.simulator.seed(20);
    for body in [
        r#"{"profiles":[]}"#,
        r#"{"users":7,"items":7,"data":7}"#,
        "7",
    ] {
        stage.simulator.clear_requests();
        let fault = Fault::Json(body.to_owned());
        let trouble = Trouble::every(fault).on(Call::List);
        stage.simulator.add_trouble(trouble);
        let begun = std::time::Instant::now();
        let said = stage.failed(json!({})).await?;
        let (took, asked) = (begun.elapsed(), stage.simulator.count(Call::List));
        ensure!(said.contains("is of a form that is not known"), "{said}");
        ensure!(
            asked <= 4 && took < Duration::from_secs(10),
            "{asked} {took:?}"
        );
        stage.simulator.clear_troubles();
    }
    stage.complete(json!({})).await?;
    stage.assert_in_sync().await
}
