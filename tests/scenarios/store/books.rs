//! The sync's own books: runs and their lease, the walk's place, rejections.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use shared::store::{Closing, Figures, Lease, LeftToNext, Retention, Saved};
use tokio::time::Instant;

use super::{Bench, THEN, hints, named, user};

const LEASE: Duration = Duration::from_secs(30);

impl Bench {
    async fn open(&self, dry_run: bool) -> Result<i64> {
        let (run, permitted) = self
            .store
            .open_run(dry_run, None, Some(self.store.project()))
            .await?;
        permitted?;
        Ok(run)
    }

    /// Takes the lease; gives the walk's place, unless another run holds the lease.
    async fn take(
        &self,
        run: i64,
        anew: bool,
    ) -> Result<Option<(Option<String>, Option<Vec<u8>>)>> {
        let taken = self.store.take_lease(run, LEASE, anew).await?;
        Ok(taken.map(|lease| (lease.saved.position, lease.saved.met)))
    }

    /// Takes a lease that is free.
    async fn lease(&self, run: i64) -> Result<Lease> {
        let taken = self.store.take_lease(run, LEASE, false).await?;
        Ok(taken.context("it is free")?.lease)
    }

    /// Ends a run that never had the lease.
    async fn close(&self, run: i64, outcome: &str) -> Result<bool> {
        let closed = self.store.close_run(run, closing(outcome), soon()).await?;
        Ok(closed.was_its_own)
    }

    /// Ends a run; gives whether the lease was still its own.
    async fn give_back(&self, lease: Lease, outcome: &str, walk: Option<Saved>) -> Result<bool> {
        let left = LeftToNext {
            walk,
            unlisted: None,
        };
        let (closing, by) = (closing(outcome), soon());
        let closed = self.store.give_lease_back(lease, closing, left, by).await?;
        Ok(closed.was_its_own)
    }

    /// A run's outcome, and whether it is over.
    async fn run_row(&self, run: i64) -> Result<(Option<String>, bool, Option<String>)> {
        let sql = "SELECT outcome, finished_at IS NOT NULL, error
            FROM neon_identity.runs WHERE id = $1";
        let row = self.outside.query_one(sql, &[&run]).await?;
        Ok((row.get(0), row.get(1), row.get(2)))
    }

    /// Lets the time of the lease pass.
    async fn expire(&self) -> Result<()> {
        self.run("UPDATE neon_identity.walk SET lease_until = now() - interval '1 second'")
            .await
    }
}

fn place(position: &str, met: &[u8]) -> Saved {
    Saved {
        position: Some(position.to_owned()),
        met: Some(met.to_vec()),
        ..Saved::default()
    }
}

fn closing(outcome: &str) -> Closing<'_> {
    Closing {
        outcome,
        error: None,
        figures: Figures::default(),
        retention: Retention::default(),
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

#[tokio::test]
async fn one_run_at_a_time_holds_the_lease() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    let (first, second) = (bench.open(false).await?, bench.open(true).await?);
    assert!(second > first);
    assert_eq!(bench.take(first, false).await?, Some((None, None)));
    for anew in [false, true] {
        assert_eq!(bench.take(second, anew).await?, None);
    }
    let (lease, given_back) = (bench.lease(first).await?, bench.lease(first).await?);
    assert!(bench.store.renew_lease(&lease, LEASE).await?.is_some());
    // A run that was busy gives nothing back.
    bench.close(second, "busy").await?;
    assert_eq!(
        bench.run_row(second).await?,
        (Some("busy".to_owned()), true, None)
    );
    assert_eq!(bench.take(second, false).await?, None);
    bench
        .give_back(given_back, "complete", Some(Saved::default()))
        .await?;
    assert_eq!(bench.store.renew_lease(&lease, LEASE).await?, None);
    let third = bench.open(false).await?;
    assert_eq!(bench.take(third, false).await?, Some((None, None)));
    let dry: String = bench
        .ask("SELECT string_agg(dry_run::text, ' ' ORDER BY id) FROM neon_identity.runs")
        .await?;
    assert_eq!(dry, "false true false");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_one_takes_the_lease() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    let mut stores = Vec::new();
    for _ in 0..8 {
        let store = bench.another(&hints())?;
        store.connect().await?;
        stores.push(Arc::new(store));
    }
    for _ in 0..5 {
        let mut tasks = Vec::new();
        for store in &stores {
            let store = store.clone();
            tasks.push(tokio::spawn(async move {
                let (run, _) = store.open_run(false, None, Some(store.project())).await?;
                let taken = store.take_lease(run, LEASE, false).await?;
                anyhow::Ok(taken.map(|taken| taken.lease))
            }));
        }
        let mut holders = Vec::new();
        for task in tasks {
            holders.extend(task.await??);
        }
        assert_eq!(holders.len(), 1);
        let lease = holders.remove(0);
        bench
            .give_back(lease, "complete", Some(Saved::default()))
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_run_that_died_before_it_had_the_lease_is_marked_failed_in_the_end() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    let (died, waits) = (bench.open(false).await?, bench.open(false).await?);
    bench
        .run(&format!(
            "UPDATE neon_identity.runs SET started_at = now() - interval '61 minutes'
            WHERE id = {died}"
        ))
        .await?;
    let run = bench.open(false).await?;
    bench.take(run, false).await?;
    let (outcome, over, error) = bench.run_row(died).await?;
    assert_eq!((outcome.as_deref(), over), (Some("failed"), true));
    assert!(error.is_some());
    for under_way in [run, waits] {
        assert_eq!(bench.run_row(under_way).await?, (None, false, None));
    }
    Ok(())
}

#[tokio::test]
async fn a_run_that_died_is_marked_failed_when_its_lease_is_taken() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    let died = bench.open(false).await?;
    let leases = [bench.lease(died).await?, bench.lease(died).await?];
    assert_eq!(bench.run_row(died).await?, (None, false, None));
    bench.expire().await?;
    let next = bench.open(false).await?;
    let held = bench.lease(next).await?;
    let (outcome, over, error) = bench.run_row(died).await?;
    assert_eq!((outcome.as_deref(), over), (Some("failed"), true));
    assert!(
        error
            .as_ref()
            .context("it says why")?
            .contains("stopped before it could finish")
    );
    assert_eq!(bench.run_row(next).await?, (None, false, None));
    // If it lives after all, it has lost the lease.
    assert_eq!(bench.store.renew_lease(&leases[0], LEASE).await?, None);
    for (outcome, lease) in ["complete", "partial"].into_iter().zip(leases) {
        let closed = bench.give_back(lease, outcome, Some(place("stolen", b"")));
        assert!(!closed.await?, "it is told");
        let (kept, _, kept_error) = bench.run_row(died).await?;
        assert_eq!((kept.as_deref(), &kept_error), (Some("failed"), &error));
    }
    assert!(bench.store.renew_lease(&held, LEASE).await?.is_some());
    bench
        .give_back(held, "partial", Some(place("own", b"")))
        .await?;
    let last = bench.open(false).await?;
    let saved = bench.take(last, false).await?.context("it is free")?;
    assert_eq!(saved.0.as_deref(), Some("own"));
    // One that ended in good order stays as it was.
    assert_eq!(bench.run_row(next).await?.0.as_deref(), Some("partial"));
    Ok(())
}

#[tokio::test]
async fn a_lease_whose_answer_was_lost_is_taken_again_by_the_same_run() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    let (run, other) = (bench.open(false).await?, bench.open(false).await?);
    assert!(bench.take(run, false).await?.is_some());
    assert!(bench.take(run, false).await?.is_some());
    assert_eq!(bench.run_row(run).await?, (None, false, None));
    assert_eq!(bench.take(other, false).await?, None);
    Ok(())
}

#[tokio::test]
async fn a_lease_ends_when_it_says() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    let (first, second) = (bench.open(false).await?, bench.open(false).await?);
    let short = Duration::from_millis(400);
    let taken = bench.store.take_lease(first, short, false).await?;
    let lease = taken.context("it is free")?.lease;
    assert_eq!(bench.take(second, false).await?, None);
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert!(bench.store.renew_lease(&lease, short).await?.is_some());
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(bench.take(second, false).await?, None);
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert!(bench.take(second, false).await?.is_some());
    Ok(())
}

#[tokio::test]
async fn a_partial_walk_goes_on_where_it_was() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    let met: Vec<u8> = (0..=255).cycle().take(800_000).collect();
    let first = bench.open(false).await?;
    let lease = bench.lease(first).await?;
    let begun = "SELECT begun_at::text FROM neon_identity.walk";
    let begun_at = bench.ask(begun).await?;
    assert!(!begun_at.is_empty());
    bench
        .give_back(lease, "partial", Some(place("page 7", &met)))
        .await?;

    // A busy one, a dry one and one that dies leave the place alone.
    let busy = bench.open(false).await?;
    bench.close(busy, "busy").await?;
    let dry = bench.open(true).await?;
    assert_eq!(
        bench.take(dry, true).await?,
        Some((None, None)),
        "it begins anew"
    );
    let lease = bench.lease(dry).await?;
    bench.give_back(lease, "complete", None).await?;
    let died = bench.open(false).await?;
    bench.take(died, false).await?;
    bench.expire().await?;

    let second = bench.open(false).await?;
    let saved = bench.take(second, false).await?.context("it is free")?;
    assert_eq!(saved, (Some("page 7".to_owned()), Some(met)));
    assert_eq!(
        bench.ask(begun).await?,
        begun_at,
        "it is still the same walk"
    );
    let lease = bench.lease(second).await?;
    bench
        .give_back(lease, "complete", Some(Saved::default()))
        .await?;

    let third = bench.open(false).await?;
    assert_eq!(bench.take(third, false).await?, Some((None, None)));
    assert_ne!(bench.ask(begun).await?, begun_at);
    Ok(())
}

#[tokio::test]
async fn a_runs_row_holds_its_figures() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    let run = bench.open(false).await?;
    let lease = bench.lease(run).await?;
    let figures = Figures {
        listed: 1,
        created: 2,
        updated: 3,
        unchanged: 4,
        deleted: 5,
        revived: 6,
        rejected: 7,
        held: 8,
        // The statement itself counts them.
        missed: 70,
        pages: 9,
        duration_ms: 10,
    };
    let closing = Closing {
        outcome: "failed",
        error: Some("what to do"),
        figures,
        retention: Retention::default(),
    };
    let left = LeftToNext {
        walk: Some(Saved::default()),
        unlisted: None,
    };
    bench
        .store
        .give_lease_back(lease, closing, left, soon())
        .await?;
    let row = bench
        .ask(
            "SELECT concat_ws(' ', listed, created, updated, unchanged, deleted, revived, rejected,
                held, missed, pages, duration_ms, outcome, error, finished_at >= started_at)
            FROM neon_identity.runs",
        )
        .await?;
    assert_eq!(row, "1 2 3 4 5 6 7 8 0 9 10 failed what to do t");
    Ok(())
}

const REJECTIONS: &str = "SELECT string_agg(concat_ws(' ', source, event_id, reason,
        convert_from(body, 'UTF8'), user_id, CASE WHEN resolved_at IS NOT NULL THEN 'resolved' END),
        E'\\n' ORDER BY id) FROM neon_identity.rejections";

#[tokio::test]
async fn a_rejected_delivery_is_kept_once_per_event() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    let id = user("u");
    for reason in ["first", "second"] {
        bench
            .store
            .reject_delivery("msg_1", reason, b"body", Some(&id))
            .await?;
        bench
            .store
            .reject_listed("user u", reason, b"body", Some(&id))
            .await?;
        let body = format!("{reason} nobody");
        let body = body.as_bytes();
        bench
            .store
            .reject_listed("nobody 1", reason, body, None)
            .await?;
    }
    bench
        .store
        .reject_delivery("msg_2", "other", b"", None)
        .await?;
    let rejections = bench.ask(REJECTIONS).await?;
    let lines: Vec<_> = rejections.lines().collect();
    assert_eq!(lines.len(), 4, "{rejections}");
    // Of a user the newest alone is open.
    assert_eq!(lines[0], "delivery msg_1 second body u resolved");
    assert_eq!(lines[1], "listing user u second body u");
    // Of who has no id, the bytes may be others each time.
    assert_eq!(lines[2], "listing nobody 1 second second nobody");
    assert_eq!(lines[3], "delivery msg_2 other ");
    // Bytes that are no text are kept too.
    bench
        .store
        .reject_delivery("msg_3", "bytes", b"\xff\x00", None)
        .await?;
    let body = "SELECT encode(body, 'hex') FROM neon_identity.rejections WHERE event_id = 'msg_3'";
    assert_eq!(bench.ask(body).await?, "ff00");
    Ok(())
}

#[tokio::test]
async fn a_whole_walk_resolves_rejections_of_users_it_took_in() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    let reject = async |id: &str| {
        let user = user(id);
        bench
            .store
            .reject_delivery(id, "why", b"", Some(&user))
            .await
    };
    for id in ["stored", "placeholder", "unknown"] {
        reject(id).await?;
    }
    bench
        .store
        .reject_delivery("of nobody", "why", b"", None)
        .await?;
    bench.join(&named("stored", "Ada"), THEN, true).await?;
    bench.join(&named("again", "Ada"), THEN, true).await?;
    bench
        .run("SELECT neon_identity.ensure_user('placeholder')")
        .await?;

    let (run, other) = (bench.open(false).await?, bench.open(false).await?);
    let lost = bench.lease(other).await?;
    bench.expire().await?;
    let lease = bench.lease(run).await?;
    // Rejected in this very walk.
    reject("again").await?;
    let resolved = "SELECT coalesce(string_agg(event_id, ' ' ORDER BY id), '')
        FROM neon_identity.rejections WHERE resolved_at IS NOT NULL";
    bench.store.resolve_rejections(&lost).await?;
    assert_eq!(bench.ask(resolved).await?, "");
    bench.store.resolve_rejections(&lease).await?;
    // The listing has told of everybody since: who is not in it is gone.
    let over = "stored placeholder unknown of nobody";
    assert_eq!(bench.ask(resolved).await?, over);
    // The same event again: it is open again.
    reject("stored").await?;
    assert_eq!(bench.ask(resolved).await?, "placeholder unknown of nobody");
    Ok(())
}

#[tokio::test]
async fn living_users_and_placeholders_are_listed_by_parts_of_the_table() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    let empty = bench.store.ids(0..1).await?;
    assert_eq!((empty.blocks(), empty.living().len()), (0, 0));
    bench
        .run(
            "INSERT INTO neon_identity.users_sync (raw_json, id)
            SELECT '{}', id FROM unnest('{b,a,é,Z,gone,\"\"}'::text[]) AS id;
            INSERT INTO neon_identity.users_sync (raw_json, id)
            SELECT '{}', 'p' || n FROM generate_series(1, 1000) AS n",
        )
        .await?;
    let now = bench.store.now().await?;
    bench.store.gone(&user("gone"), now).await?;
    assert_eq!(bench.store.live_count().await?, 0);
    for id in ["a", "Z"] {
        bench.join(&named(id, "Ada"), THEN, true).await?;
    }
    assert_eq!(bench.store.live_count().await?, 2);
    // Parts that were emptied are gone through, too.
    bench
        .run("DELETE FROM neon_identity.users_sync WHERE id LIKE 'p%' AND id <> 'p1000'")
        .await?;
    let (mut living, mut placeholders) = (BTreeSet::new(), BTreeSet::new());
    let mut block = 0;
    loop {
        let part = bench.store.ids(block..block + 2).await?;
        living.extend(part.living().into_iter().map(str::to_owned));
        placeholders.extend(part.placeholders().into_iter().map(str::to_owned));
        block += 2;
        if block >= part.blocks() {
            break;
        }
    }
    assert!(block > 4, "all of {block} blocks fit into two parts");
    assert_eq!(living, BTreeSet::from(["Z", "a"].map(str::to_owned)));
    let expected = ["", "b", "p1000", "é"].map(str::to_owned);
    assert_eq!(placeholders, BTreeSet::from(expected));
    Ok(())
}

#[tokio::test]
async fn a_place_is_kept_for_a_week_from_when_the_walk_came_to_it() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    let kept = Some((Some("here".to_owned()), Some(vec![7; 8])));
    let age = |days: &str| {
        format!("UPDATE neon_identity.walk SET saved_at = saved_at - interval '{days}'")
    };
    for (days, expected) in [("6 days", kept), ("8 days", Some((None, None)))] {
        let lease = bench.lease(bench.open(false).await?).await?;
        let left = Some(place("here", &[7; 8]));
        assert!(bench.give_back(lease, "failed", left).await?);
        bench.run(&age(days)).await?;
        // A run that leaves the walk where it was does not make the place younger.
        let run = bench.open(false).await?;
        assert_eq!(bench.take(run, false).await?, expected, "{days}");
        let same = Some(place("here", &[7; 8]));
        let lease = bench.lease(run).await?;
        assert!(bench.give_back(lease, "failed", same).await?);
    }
    let lease = bench.lease(bench.open(false).await?).await?;
    bench
        .give_back(lease, "failed", Some(place("here", &[7; 8])))
        .await?;
    bench.run(&age("4 days")).await?;
    let lease = bench.lease(bench.open(false).await?).await?;
    bench
        .give_back(lease, "failed", Some(place("here", &[7; 8])))
        .await?;
    bench.run(&age("4 days")).await?;
    let run = bench.open(false).await?;
    assert_eq!(bench.take(run, false).await?, Some((None, None)));
    Ok(())
}
