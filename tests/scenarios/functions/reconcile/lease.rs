//! The lease: one run works at a time, gives up its lease by time, and leaves its place to the next.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::simulator::Call;
use tests::stage::Stage;

use super::{PAGE, assert_figures};

#[tokio::test]
async fn a_second_run_at_the_same_time_is_busy_and_does_nothing() -> Result<()> {
    let stage = Stage::seeded(3_000).await?;
    let simulator = &stage.simulator;
    let other = stage.start("reconcile").await?;
    simulator.switch(|switches| switches.latency_ms = 400);
    let own = stage.reconcile().await?;
    let first = own.invoke(json!({}));
    let second = async {
        while simulator.count(Call::List) < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let dry = other.invoke(json!({"dry_run": true})).await?;
        anyhow::Ok((other.invoke(json!({})).await?, dry))
    };
    let (first, second) = tokio::join!(first, second);
    let (first, (second, dry)) = (first?, second?);
    assert_eq!(first["outcome"], "complete");
    for busy in [second, dry] {
        assert_eq!(busy["outcome"], "busy");
        assert_figures(&busy, &[]);
    }
    stage.assert_in_sync().await?;
    let outcomes: Vec<Value> = stage.runs().await?;
    let outcomes: Vec<&Value> = outcomes.iter().map(|run| &run["outcome"]).collect();
    assert_eq!(outcomes, ["complete", "busy", "busy"]);
    assert_eq!(
        simulator.count(Call::List),
        4,
        "the busy runs listed nothing"
    );
    Ok(())
}

#[tokio::test]
async fn of_many_runs_at_once_one_works() -> Result<()> {
    let stage = Stage::seeded(2_500).await?;
    for _ in 0..4 {
        stage.reconcile().await?.spawn_instance().await?;
    }
    stage.simulator.switch(|switches| switches.latency_ms = 300);
    let own = stage.reconcile().await?;
    let runs = (0..5).map(|_| own.invoke(json!({})));
    let reports = futures_util::future::try_join_all(runs).await?;
    let working = reports
        .iter()
        .filter(|report| report["outcome"] == "complete");
    assert_eq!(working.count(), 1, "{reports:?}");
    stage.assert_in_sync().await
}

#[tokio::test]
async fn a_run_that_was_killed_gives_up_its_lease_by_time() -> Result<()> {
    let stage = Stage::seeded(5_000).await?;
    let simulator = &stage.simulator;
    simulator.switch(|switches| switches.latency_ms = 300);
    let own = stage.reconcile().await?;
    let killed = async {
        while simulator.count(Call::List) < 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        own.kill();
        Ok(Instant::now())
    };
    let (error, killed) = tokio::join!(own.invoke(json!({})), killed);
    let killed = killed.map_err(|error: anyhow::Error| error)?;
    assert_eq!(error.expect_err("killed").error_type, "Runtime.ExitError");
    assert!((1..5_000).contains(&stage.living().await?));
    simulator.switch(|switches| switches.latency_ms = 0);
    stage.reconcile().await?.spawn_instance().await?;
    let report = stage.reconcile().await?.invoke(json!({})).await?;
    assert_eq!(report["outcome"], "busy");
    assert!(stage.runs().await?[0]["outcome"].is_null());
    loop {
        let report = stage.reconcile().await?.invoke(json!({})).await?;
        if report["outcome"] == "complete" {
            assert_eq!(report["listed"], 5_000);
            break;
        }
        assert_eq!(report["outcome"], "busy");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let held = killed.elapsed().as_secs();
    assert!(
        (20..36).contains(&held),
        "the lease was held {held} s longer"
    );
    stage.assert_in_sync().await?;
    let dead = stage.runs().await?.swap_remove(0);
    assert_eq!(dead["outcome"], "failed");
    assert!(dead["finished_at"].is_string());
    assert!(
        dead["error"]
            .as_str()
            .is_some_and(|error| !error.is_empty())
    );
    Ok(())
}

#[tokio::test]
async fn a_run_that_is_slow_keeps_its_lease() -> Result<()> {
    let stage = Stage::seeded(2_500).await?;
    let simulator = &stage.simulator;
    // Longer than a lease is.
    simulator.switch(|switches| switches.latency_ms = 12_000);
    let other = stage.start("reconcile").await?;
    let limit = Duration::from_secs(120);
    let own = stage.reconcile().await?;
    let first = own.invoke_with_deadline(json!({}), limit);
    let second = async {
        tokio::time::sleep(Duration::from_secs(33)).await;
        other.invoke(json!({})).await
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first?["outcome"], "complete");
    assert_eq!(second?["outcome"], "busy");
    stage.assert_in_sync().await
}

#[tokio::test]
async fn a_run_that_runs_out_of_time_goes_on_in_the_next() -> Result<()> {
    let stage = Stage::seeded(12_000).await?;
    let simulator = &stage.simulator;
    let ids = stage.ids();
    // Met in the first page, and there is no later time to forget it.
    let revived = &ids[10];
    stage
        .execute(&format!(
            "INSERT INTO neon_identity.users_sync (id, raw_json, updated_at, deleted_at)
            VALUES ('{revived}', '{{}}', '2020-01-01', '2020-01-01')"
        ))
        .await?;
    simulator.switch(|switches| switches.latency_ms = 1_200);
    let mut reports = Vec::new();
    for round in 0..20 {
        let limit = Duration::from_secs(16);
        let report = stage
            .reconcile()
            .await?
            .invoke_with_deadline(json!({}), limit)
            .await?;
        reports.push(report.clone());
        match report["outcome"].as_str() {
            Some("partial") => {}
            Some("complete") => break,
            _ => panic!("{report}"),
        }
        if round == 0 {
            // Where the walk left off there is nobody any more.
            let pages = usize::try_from(report["pages"].as_u64().context("pages")?)?;
            let place = pages * (PAGE - 1);
            for id in &ids[place - 5..place + 5] {
                simulator.delete(id)?;
            }
            simulator.create("New", "newest@example.com")?;
        }
    }
    assert!(reports.len() > 1, "{reports:?}");
    let last = reports.last().context("a report")?;
    assert_eq!(last["outcome"], "complete", "{reports:#?}");
    let sum = |figure: &str| -> i64 {
        let figures = reports.iter().map(|report| report[figure].as_i64());
        figures.map(|figure| figure.expect("a figure")).sum()
    };
    let revived_once = sum("revived");
    assert_eq!(revived_once, 1, "{reports:#?}");
    let listed = sum("created") + sum("updated") + sum("unchanged") + sum("revived");
    assert_eq!(sum("listed"), listed);
    assert!((11_990..=12_001).contains(&sum("listed")), "{reports:#?}");
    // Users deleted after the walk had passed them are left to the next one.
    stage.complete(json!({})).await?;
    stage.assert_in_sync().await?;
    let outcomes = stage.runs().await?;
    assert!(outcomes.iter().all(|run| run["finished_at"].is_string()));
    Ok(())
}
