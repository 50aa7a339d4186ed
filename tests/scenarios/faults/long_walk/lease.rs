//! The lease of a long walk: a second run is busy, and a run that outlived its lease does no harm.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::simulator::{Call, Moment};

use super::*;

/// Each stage of a run over two pages and three missing users.
const STOPS: [Stop; 6] = [
    (Moment::Before, Call::List, 0),
    (Moment::After, Call::List, 0),
    (Moment::After, Call::List, 1),
    (Moment::Before, Call::Read, 0),
    (Moment::After, Call::Read, 0),
    (Moment::After, Call::Read, 2),
];

#[tokio::test]
async fn whatever_a_run_is_at_a_second_one_is_busy() -> Result<()> {
    futures_util::future::try_join_all(STOPS.map(async |stop| {
        let walk = with_missing().await?;
        let other = walk.stage.start("reconcile").await?;
        walk.freeze_at(stop);
        let first = walk.reconcile.invoke_with_deadline(json!({}), LONG);
        let second = async {
            walk.until_frozen(stop).await?;
            let second = other.invoke(json!({})).await?;
            walk.reconcile.thaw();
            anyhow::Ok(second)
        };
        let (first, second) = tokio::join!(first, second);
        let second = second.with_context(|| format!("{stop:?}"))?;
        ensure!(second["outcome"] == "busy", "{stop:?}: {second}");
        let first = first?;
        ensure!(first["outcome"] == "complete", "{stop:?}: {first}");
        ensure!(first["deleted"] == 3, "{stop:?}: {first}");
        walk.stage.assert_in_sync().await
    }))
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_run_that_outlived_its_lease_sweeps_nobody_and_leaves_the_walk_alone() -> Result<()> {
    futures_util::future::try_join_all(
        STOPS.map(async |stop| overtaken(stop).await.with_context(|| format!("{stop:?}"))),
    )
    .await?;
    Ok(())
}

async fn overtaken(stop: Stop) -> Result<()> {
    let walk = with_missing().await?;
    let quick = Arc::new(walk.stage.start("reconcile").await?);
    let slow = Arc::clone(&walk.reconcile);
    walk.freeze_at(stop);
    let first = slow.invoke_with_deadline(json!({}), LONG);
    let second = async {
        walk.until_frozen(stop).await?;
        // One of them is really waited for; see below.
        if stop == STOPS[4] {
            tokio::time::sleep(Duration::from_secs(31)).await;
        } else {
            walk.stage
                .execute("UPDATE neon_identity.walk SET lease_until = now() - interval '1 s'")
                .await?;
        }
        // The run that takes over stands still with the lease, and has written nothing.
        let over = Arc::clone(&quick);
        let (sender, frozen) = tokio::sync::oneshot::channel();
        walk.stage
            .simulator
            .once(Moment::Before, Call::List, 0, move |_| {
                over.freeze().expect("it runs");
                let _ = sender.send(());
            });
        let third = quick.invoke_with_deadline(json!({}), LONG);
        let watch = async {
            frozen.await.context("it took over")?;
            let held = walk.walk().await?["run_id"].clone();
            slow.thaw();
            anyhow::Ok(held)
        };
        let thawed = async {
            let held = watch.await?;
            // The first one ends before the other goes on.
            for _ in 0..600 {
                tokio::time::sleep(Duration::from_millis(50)).await;
                if slow.logs()?.contains("could not reconcile") {
                    break;
                }
            }
            ensure!(walk.tombstones().await? == 0, "it swept without the lease");
            ensure!(
                walk.walk().await?["run_id"] == held,
                "it gave the lease back"
            );
            quick.thaw();
            anyhow::Ok(())
        };
        let (third, thawed) = tokio::join!(third, thawed);
        thawed?;
        anyhow::Ok(third?)
    };
    let (first, third) = tokio::join!(first, second);
    let third = third?;
    let error = first.err().context("the first one ended well")?;
    ensure!(error.error_type == "Failed", "{error}");
    ensure!(error.error_message.contains("took over"), "{error}");
    ensure!(
        third["outcome"] == "complete" && third["deleted"] == 3,
        "{third}"
    );
    let outcomes = walk.outcomes().await?;
    let outcomes: Vec<_> = outcomes.iter().flatten().collect();
    ensure!(
        outcomes == ["complete", "failed", "complete"],
        "{outcomes:?}"
    );
    walk.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_run_that_outlived_its_lease_does_not_move_the_next_ones_place() -> Result<()> {
    let walk = Walk::new(6_000).await?;
    let stop = (Moment::After, Call::List, 0);
    let other = walk.stage.start("reconcile").await?;
    walk.freeze_at(stop);
    // It would be out of time itself, with a place of its own.
    let first = walk
        .reconcile
        .invoke_with_deadline(json!({}), Duration::from_secs(60));
    let second = async {
        walk.until_frozen(stop).await?;
        walk.stage
            .execute("UPDATE neon_identity.walk SET lease_until = now() - interval '1 s'")
            .await?;
        walk.stage.simulator.switch(|s| s.latency_ms = 4_000);
        let limit = SHORT;
        let second = other.invoke_with_deadline(json!({}), limit).await?;
        let kept = walk.walk().await?;
        walk.stage.simulator.switch(|s| s.latency_ms = 0);
        walk.reconcile.thaw();
        anyhow::Ok((second, kept))
    };
    let (first, second) = tokio::join!(first, second);
    let (second, kept) = second?;
    ensure!(second["outcome"] == "partial", "{second}");
    ensure!(first.err().context("it lost its lease")?.error_type == "Failed");
    ensure!(walk.walk().await?["met"] == kept["met"] && kept["met"].is_i64());
    let last = other.invoke_with_deadline(json!({}), LONG).await?;
    ensure!(last["outcome"] == "complete");
    ensure!(sum(&[second, last], "listed") == 6_000, "it did not go on");
    walk.stage.assert_in_sync().await
}

/// Two pages of users in the table, of which three are gone at the provider.
async fn with_missing() -> Result<Walk> {
    let walk = Walk::backfilled(1_500).await?;
    let ids = walk.ids();
    for id in [&ids[3], &ids[700], &ids[1_400]] {
        walk.stage.simulator.delete(id)?;
    }
    Ok(walk)
}
