//! Walks that take many invocations, and runs that meet: a walk goes on where the last run left it,
//! ends whatever changes under it, and is one run's at a time.

mod kept;
mod lease;

use crate::functions::reconcile::say;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tests::function::Function;
use tests::runtime_api::FunctionError;
use tests::simulator::{Call, Fault, Moment, RateLimit, Switches, Trouble};
use tests::stage::Stage;

/// `make bench` walks a million.
const MANY: u64 = 60_000;

const FEW: u64 = 10_000;

/// Several runs a walk, however fast the machine: with this a page, and a fifth of the time kept
/// for the answer and 3 seconds for those who are in doubt, a run has at most 52 pages.
const LATENCY: u64 = 400;

const SHORT: Duration = Duration::from_secs(30);

const LONG: Duration = Duration::from_secs(900);

/// A moment of a run, by a request to the provider.
type Stop = (Moment, Call, u32);

/// A stage, and one instance of `reconcile` that hooks may hold.
struct Walk {
    stage: Stage,
    reconcile: Arc<Function>,
}

impl Walk {
    async fn new(users: u64) -> Result<Self> {
        let stage = Stage::new().await?;
        stage.simulator.seed(users);
        let reconcile = stage.reconcile().await?;
        Ok(Self { stage, reconcile })
    }

    async fn backfilled(users: u64) -> Result<Self> {
        let walk = Self::new(users).await?;
        let report = walk.reconcile.invoke_with_deadline(json!({}), LONG).await?;
        ensure!(report["outcome"] == "complete", "{report}");
        Ok(walk)
    }

    fn ids(&self) -> Vec<String> {
        self.stage.simulator.truth().map(|user| user.id).collect()
    }

    /// Runs until an outcome that is not partial, with a look at the books after each that is.
    async fn to_the_end(
        &self,
        event: Value,
        limit: Duration,
        most: usize,
        mut between: impl FnMut(usize, &Value) -> Result<()>,
    ) -> Result<(Vec<Value>, Result<Value, FunctionError>)> {
        let mut partial = Vec::new();
        loop {
            let ended = self
                .reconcile
                .invoke_with_deadline(event.clone(), limit)
                .await;
            let Ok(report) = ended else {
                return Ok((partial, ended));
            };
            if report["outcome"] != "partial" {
                return Ok((partial, Ok(report)));
            }
            self.assert_little_is_kept(&partial, &report).await?;
            partial.push(report.clone());
            ensure!(partial.len() <= most, "no end: {partial:#?}");
            between(partial.len(), &report)?;
        }
    }

    /// Between runs there are a place and a hash for each user met, and no profile but the table's.
    async fn assert_little_is_kept(&self, before: &[Value], report: &Value) -> Result<()> {
        let listed: i64 = before
            .iter()
            .chain([report])
            .filter_map(|report| report["listed"].as_i64())
            .sum();
        let walk = self.walk().await?;
        ensure!(walk["met"].as_i64() <= Some(8 * listed), "{walk} {listed}");
        ensure!(walk["position"].as_i64() < Some(4_000), "{walk}");
        ensure!(walk["run_id"].is_null() && walk["lease_until"].is_null());
        // Earlier places are in it, until vacuum comes; a profile has a thousand bytes and more.
        let most = 200 * listed + 1_000_000;
        ensure!(walk["beside"].as_i64() < Some(most), "{walk} {listed}");
        Ok(())
    }

    async fn walk(&self) -> Result<Value> {
        let sql = "SELECT run_id, lease_until, octet_length(met) AS met,
              octet_length(position) AS position,
              (SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class
                WHERE relnamespace = 'neon_identity'::regnamespace AND relkind = 'r'
                  AND relname <> 'users_sync') AS beside
            FROM neon_identity.walk";
        self.stage.json(sql).await?.pop().context("a walk")
    }

    async fn outcomes(&self) -> Result<Vec<Option<String>>> {
        let runs = self.stage.runs().await?;
        let outcome = |run: &Value| run["outcome"].as_str().map(str::to_owned);
        Ok(runs.iter().map(outcome).collect())
    }

    async fn tombstones(&self) -> Result<usize> {
        let sql = "SELECT id FROM neon_identity.users_sync WHERE deleted_at IS NOT NULL";
        Ok(self.stage.json(sql).await?.len())
    }

    /// Freezes `reconcile` at a request to the provider.
    fn freeze_at(&self, stop: Stop) {
        let (moment, call, skip) = stop;
        let function = Arc::clone(&self.reconcile);
        self.stage.simulator.once(moment, call, skip, move |_| {
            function.freeze().expect("it runs")
        });
    }

    async fn until_frozen(&self, stop: Stop) -> Result<()> {
        // A hook of its own, which runs after the one that freezes.
        let (moment, call, skip) = stop;
        let (sender, frozen) = tokio::sync::oneshot::channel();
        self.stage.simulator.once(moment, call, skip, move |_| {
            let _ = sender.send(());
        });
        let frozen = tokio::time::timeout(Duration::from_secs(60), frozen).await;
        frozen.context("it never came there")?.context("a hook")
    }
}

fn sum(reports: &[Value], figure: &str) -> i64 {
    let figures = reports.iter().filter_map(|report| report[figure].as_i64());
    figures.sum()
}

#[tokio::test]
async fn many_users_are_walked_in_short_runs_and_little_memory() -> Result<()> {
    let baseline = Walk::new(FEW).await?;
    baseline.stage.simulator.switch(|s| s.latency_ms = LATENCY);
    let (_, ended) = baseline
        .to_the_end(json!({}), SHORT, 50, |_, _| Ok(()))
        .await?;
    ensure!(ended?["outcome"] == "complete");
    let few = baseline.reconcile.peak_memory()?;

    let walk = Walk::new(MANY).await?;
    let simulator = &walk.stage.simulator;
    simulator.switch(|switches| switches.latency_ms = LATENCY);
    let (mut first, ended) = walk
        .to_the_end(json!({}), SHORT, 100, |_, _| Ok(()))
        .await?;
    first.push(ended?);
    ensure!(first.last().context("a run")?["outcome"] == "complete");
    ensure!(first.len() > 1, "{} runs", first.len());
    ensure!(sum(&first, "created") == i64::try_from(MANY)?);
    walk.stage.assert_in_sync_by_digest(197).await?;

    // Again, and users come and go where the walk has not been yet.
    let ids = walk.ids();
    let mut gone = 0;
    let (mut second, ended) = walk
        .to_the_end(json!({}), SHORT, 100, |round, _| {
            for id in ids.iter().rev().skip(round * 40).take(20) {
                simulator.delete(id)?;
                gone += 1;
            }
            simulator.create("New", &format!("new{round}@example.com"))?;
            Ok(())
        })
        .await?;
    let rounds = second.len();
    second.push(ended?);
    let last = second.last().context("a run")?;
    ensure!(last["outcome"] == "complete", "{last}");
    ensure!(sum(&second, "deleted") == gone && gone > 0, "{second:#?}");
    ensure!(sum(&second, "created") == i64::try_from(rounds)?);
    // Who is one page's last is the next one's first, and met once.
    let listed = i64::try_from(MANY)? - gone + i64::try_from(rounds)?;
    ensure!(sum(&second, "listed") == listed, "{second:#?}");
    walk.stage.assert_in_sync_by_digest(197).await?;
    let kept = walk.walk().await?;
    ensure!(kept["met"].is_null() && kept["position"].is_null());

    // The next run begins anew.
    simulator.switch(|switches| switches.latency_ms = 0);
    let next = walk
        .reconcile
        .invoke_with_deadline(json!({}), SHORT)
        .await?;
    ensure!(next["unchanged"] == next["listed"] && next["listed"].as_i64() > Some(0));
    let begun = "SELECT id FROM neon_identity.walk, neon_identity.runs
        WHERE walk.begun_at >= runs.started_at ORDER BY id DESC LIMIT 1";
    let newest = walk.stage.runs().await?.pop().context("a run")?;
    ensure!(walk.stage.json(begun).await?[0]["id"] == newest["id"]);

    let most = walk.reconcile.peak_memory()?;
    let a_user = most.saturating_sub(few) as f64 * 1024.0 / (MANY - FEW) as f64;
    say(&format!(
        "{MANY} users in {} runs, then {}: {few} KiB, {most} KiB, {a_user:.0} bytes a user more",
        first.len(),
        second.len()
    ));
    // A hash has 8 bytes, twice in a set that grows; a page's worth of noise.
    let allowed = 64 * (MANY - FEW) / 1024 + 4 * 1024;
    ensure!(
        most < few + allowed,
        "{few} KiB for {FEW}, {most} KiB for {MANY}"
    );
    Ok(())
}

// Time that is too short.

#[tokio::test]
async fn however_short_the_time_a_walk_ends_or_says_that_it_is_too_short() -> Result<()> {
    let walks = [1, 2, 3, 5].map(|seconds| async move {
        let walk = Walk::new(4_000).await?;
        walk.stage.simulator.switch(|s| s.latency_ms = 250);
        let limit = Duration::from_secs(seconds);
        let (partial, ended) = walk.to_the_end(json!({}), limit, 12, |_, _| Ok(())).await?;
        match ended {
            Ok(report) => {
                ensure!(report["outcome"] == "complete", "{report}");
                walk.stage.assert_in_sync().await?;
            }
            Err(error) => {
                // Where even that was too much to ask for, Lambda says it.
                let told = error.error_message.contains("time");
                let kinds = ["Failed", "Sandbox.Timedout"];
                ensure!(
                    kinds.contains(&&*error.error_type) && told,
                    "{seconds} s: {error}"
                );
            }
        }
        say(&format!("{seconds} s a run: {} partial", partial.len()));
        anyhow::Ok(())
    });
    futures_util::future::try_join_all(walks).await?;
    Ok(())
}

#[tokio::test]
async fn a_sweep_that_needs_many_runs_ends() -> Result<()> {
    let walk = Walk::backfilled(300).await?;
    for id in &walk.ids()[..60] {
        walk.stage.simulator.delete(id)?;
    }
    walk.stage.simulator.switch(slowly);
    let event = json!({"max_deletes": 60});
    let (mut reports, ended) = walk.to_the_end(event, SHORT, 40, |_, _| Ok(())).await?;
    ensure!(!reports.is_empty(), "it was no long sweep");
    reports.push(ended?);
    ensure!(reports.last().context("a run")?["outcome"] == "complete");
    ensure!(sum(&reports, "deleted") == 60, "{reports:#?}");
    walk.stage.assert_in_sync().await
}

#[tokio::test]
async fn more_missing_users_than_permitted_are_held_though_no_run_can_read_them_all() -> Result<()>
{
    let walk = Walk::backfilled(1_200).await?;
    for id in &walk.ids()[..150] {
        walk.stage.simulator.delete(id)?;
    }
    walk.stage.simulator.switch(slowly);
    let (_, ended) = walk.to_the_end(json!({}), SHORT, 5, |_, _| Ok(())).await?;
    let error = ended.err().context("it was not held")?;
    ensure!(error.error_type == "Held", "{error}");
    let report: Value = serde_json::from_str(&error.error_message)?;
    ensure!(report["held"] == 150, "{report}");
    ensure!(walk.tombstones().await? == 0);
    Ok(())
}

#[tokio::test]
async fn missing_users_who_are_there_are_taken_in_run_by_run() -> Result<()> {
    let walk = Walk::backfilled(500).await?;
    let simulator = &walk.stage.simulator;
    // Nobody is listed, and all are there.
    let fault = Fault::EmptyListing;
    simulator.add_trouble(Trouble::every(fault).on(Call::List));
    let rate = RateLimit {
        per_second: 10,
        retry_after: true,
    };
    simulator.switch(|switches| switches.rate_limit = Some(rate));
    let event = json!({"max_deletes": 10});
    let (mut reports, ended) = walk.to_the_end(event, SHORT, 40, |_, _| Ok(())).await?;
    reports.push(ended?);
    ensure!(reports.last().context("a run")?["outcome"] == "complete");
    ensure!(sum(&reports, "deleted") == 0, "{reports:#?}");
    ensure!(sum(&reports, "listed") == 500, "{reports:#?}");
    walk.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_walk_does_not_pass_users_that_could_not_be_settled_in_time() -> Result<()> {
    let walk = Walk::backfilled(3_500).await?;
    let id = &walk.ids()[7];
    let simulator = &walk.stage.simulator;
    for healed in [true, false] {
        // A tombstone that is wrong can be cleared only by a read.
        let edit = format!(
            "UPDATE neon_identity.users_sync SET deleted_at = clock_timestamp() WHERE id = '{id}'"
        );
        walk.stage.execute(&edit).await?;
        simulator.add_trouble(Trouble::every(Fault::Hang).on(Call::Read));
        let report = walk
            .reconcile
            .invoke_with_deadline(json!({}), SHORT)
            .await?;
        ensure!(report["outcome"] == "partial", "{report}");
        if !healed {
            let ended = walk.reconcile.invoke_with_deadline(json!({}), SHORT).await;
            let error = ended.err().context("it goes in circles")?;
            ensure!(error.error_type == "Failed", "{error}");
            ensure!(error.error_message.contains("time"), "{error}");
        }
        simulator.clear_troubles();
        let report = walk.reconcile.invoke_with_deadline(json!({}), LONG).await?;
        ensure!(report["outcome"] == "complete", "{report}");
        ensure!(report["revived"] == 1, "{report}");
        walk.stage.assert_in_sync().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_walk_goes_back_to_a_whole_lot_that_could_not_be_settled_in_time() -> Result<()> {
    let walk = Walk::backfilled(3_500).await?;
    // More than are settled together, so that the listing stops for them.
    let ids = walk.ids()[..600].join("','");
    let edit = format!(
        "UPDATE neon_identity.users_sync SET deleted_at = clock_timestamp() WHERE id IN ('{ids}')"
    );
    walk.stage.execute(&edit).await?;
    let simulator = &walk.stage.simulator;
    simulator.add_trouble(Trouble::every(Fault::Hang).on(Call::Read));
    let report = walk
        .reconcile
        .invoke_with_deadline(json!({}), SHORT)
        .await?;
    ensure!(report["outcome"] == "partial", "{report}");
    simulator.clear_troubles();
    let report = walk.reconcile.invoke_with_deadline(json!({}), LONG).await?;
    ensure!(report["outcome"] == "complete", "{report}");
    ensure!(report["revived"] == 600, "{report}");
    walk.stage.assert_in_sync().await
}

fn slowly(switches: &mut Switches) {
    switches.rate_limit = Some(RateLimit {
        per_second: 2,
        retry_after: true,
    });
}
