//! Several at once: they neither lose a write nor wait for each other for ever.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use shared::profile::{Profile, UserId};
use shared::store::Outcome::{Created, Stale, Tied, Unchanged, Updated};
use shared::store::{Authority, Origin, ProjectStore};
use shared::time::At;
use tests::postgres::connect;

use super::{Bench, SECOND, THEN, hints, join, named, user, versions};

const CLIENTS: usize = 6;
const USERS: usize = 60;

/// Every client's rounds, each of a batch drawn at random, in random order.
async fn storm(bench: &Bench, rounds: usize, sweeps: bool) -> Result<BTreeMap<String, i64>> {
    let mut clients = Vec::new();
    for client in 0..CLIENTS {
        let store = bench.another(&versions())?;
        let mut random = fastrand::Rng::with_seed(client as u64);
        clients.push(tokio::spawn(async move {
            let mut newest = BTreeMap::new();
            for round in 0..rounds {
                let mut numbers: Vec<_> = (0..USERS).collect();
                random.shuffle(&mut numbers);
                numbers.truncate(30);
                if sweeps && round % 3 == 2 {
                    let ids: Vec<_> = numbers.iter().map(|n| user(&format!("u{n}"))).collect();
                    let looks = store.look(&ids).await?;
                    store.settle_gone(&looks, Authority::Delivery).await?;
                    continue;
                }
                let made: Vec<(Profile, At)> = numbers
                    .iter()
                    .map(|n| {
                        // No two clients give the same version.
                        let version = random.i64(0..100_000) * CLIENTS as i64 + client as i64;
                        let profile = named(&format!("u{n}"), &format!("v{version}"));
                        (profile, At::from_micros(THEN + version))
                    })
                    .collect();
                for (profile, at) in &made {
                    let newest = newest.entry(profile.id.as_str().to_owned()).or_insert(0);
                    *newest = at.as_micros().max(*newest);
                }
                let profiles: Vec<_> = made.iter().map(|(profile, at)| (profile, *at)).collect();
                store.join(&profiles, Origin::Delivery).await?;
            }
            anyhow::Ok(newest)
        }));
    }
    let mut newest = BTreeMap::new();
    for client in clients {
        for (id, at) in client.await?? {
            let newest = newest.entry(id).or_insert(0);
            *newest = at.max(*newest);
        }
    }
    Ok(newest)
}

/// How many deadlocks the server has seen in this database: a backend reports when it ends.
async fn deadlocks(bench: &Bench) -> Result<String> {
    tests::postgres::Postgres::shared()
        .await?
        .terminate_backends(bench.database.name())
        .await?;
    let outside = connect(bench.database.admin_url()).await?;
    let sql = "SELECT deadlocks::text FROM pg_stat_database WHERE datname = current_database()";
    Ok(outside.query_one(sql, &[]).await?.get(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn overlapping_batches_end_with_the_newest_of_each_user() -> Result<()> {
    let bench = Bench::new(versions()).await?;
    let newest = storm(&bench, 60, false).await?;
    assert_eq!(newest.len(), USERS);
    for (id, at) in newest {
        let row = bench.existing(&id).await?;
        assert_eq!(row.updated_at, Some(at), "{id}");
        assert_eq!(row.name, Some(format!("v{}", at - THEN)));
    }
    assert_eq!(deadlocks(&bench).await?, "0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sweeps_and_batches_deadlock_nobody() -> Result<()> {
    let bench = Bench::new(versions()).await?;
    storm(&bench, 90, true).await?;
    assert_eq!(deadlocks(&bench).await?, "0");
    Ok(())
}

#[tokio::test]
async fn a_row_that_appears_meanwhile_is_not_taken_for_our_own() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    // A row that another transaction inserts, and the outcome of a join at THEN that waits for it.
    for (id, name, at, expected) in [
        ("newer", "Ada", THEN + 9 * SECOND, Tied),
        ("close", "Ada", THEN + 1, Tied),
        ("older", "Ada", THEN - 9 * SECOND, Updated),
        ("rolled back", "", 0, Created),
    ] {
        let mut other = connect(bench.database.admin_url()).await?;
        let writing = other.transaction().await?;
        writing
            .batch_execute(&format!(
                "INSERT INTO neon_identity.users_sync (raw_json, id, name, updated_at) VALUES
                ('{{}}', '{id}', '{name}', 'epoch'::timestamptz + {at} * interval '1 microsecond')"
            ))
            .await?;
        let profile = named(id, "Bob");
        let end = async {
            bench.wait_for_a_lock().await?;
            match at {
                0 => writing.rollback().await.context("roll back"),
                _ => writing.commit().await.context("commit"),
            }
        };
        let (outcome, ()) = tokio::try_join!(bench.join(&profile, THEN, true), end)?;
        assert_eq!(outcome, expected, "{id}");
        let kept = bench.existing(id).await?.name;
        let written = matches!(expected, Created | Updated);
        assert_eq!(kept.as_deref() == Some("Bob"), written, "{id}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_equal_deliveries_creates_and_the_others_find_it_done() -> Result<()> {
    let bench = Bench::new(versions()).await?;
    let profile = named("u", "Ada");
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let store = bench.another(&versions())?;
        store.connect().await?;
        let profile = profile.clone();
        tasks.push(tokio::spawn(async move {
            join(&store, &profile, THEN, true).await
        }));
    }
    let mut created = 0;
    for task in tasks {
        match task.await?? {
            Created => created += 1,
            // Tied: it did not see the row yet; a read settles that.
            outcome => assert!(matches!(outcome, Unchanged | Tied), "{outcome:?}"),
        }
    }
    assert_eq!(created, 1);
    assert_eq!(bench.join(&profile, THEN, true).await?, Unchanged);
    assert_eq!(bench.join(&profile, THEN - 1, true).await?, Stale);
    Ok(())
}

#[tokio::test]
async fn a_deadlock_with_somebody_else_is_tried_again() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    for id in ["a", "b"] {
        bench.join(&named(id, "old"), THEN, true).await?;
    }
    let mut other = connect(bench.database.admin_url()).await?;
    // The store finds the deadlock first, and gives way.
    other.batch_execute("SET deadlock_timeout = '60s'").await?;
    let writing = other.transaction().await?;
    let lock = |id| format!("SELECT FROM neon_identity.users_sync WHERE id = '{id}' FOR UPDATE");
    writing.batch_execute(&lock("b")).await?;
    let profiles = [named("a", "new"), named("b", "new")];
    let later = At::from_micros(THEN + 9 * SECOND);
    let batch: Vec<_> = profiles.iter().map(|profile| (profile, later)).collect();
    let end = async {
        bench.wait_for_a_lock().await.expect("the store waits");
        writing.batch_execute(&lock("a")).await.expect("lock a");
        writing.commit().await.expect("commit");
    };
    let (joined, ()) = tokio::join!(bench.store.join(&batch, Origin::Delivery), end);
    let outcomes: Vec<_> = joined?.into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(outcomes, [Updated, Updated]);
    assert_ne!(deadlocks(&bench).await?, "0");
    Ok(())
}

#[tokio::test]
async fn a_sweep_holds_no_row_that_it_made_while_it_waits_for_another() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    bench.join(&named("a", "Ada"), THEN, true).await?;
    let ids = ["z", "a"].map(user);
    let looks = bench.store.look(&ids).await?;
    let mut other = connect(bench.database.admin_url()).await?;
    let writing = other.transaction().await?;
    // As a join does that has come to "a", and goes on to "z".
    writing
        .batch_execute("SELECT FROM neon_identity.users_sync WHERE id = 'a' FOR UPDATE")
        .await?;
    let end = async {
        bench.wait_for_a_lock().await.expect("the sweep waits");
        writing
            .batch_execute(
                "INSERT INTO neon_identity.users_sync (raw_json, id) VALUES ('{}', 'z')
                ON CONFLICT DO NOTHING",
            )
            .await
            .expect("nothing is in the way");
        writing.commit().await.expect("commit");
    };
    let (gone, ()) = tokio::join!(bench.store.settle_gone(&looks, Authority::Delivery), end);
    assert!(gone?.contains(&user("a")));
    assert_eq!(deadlocks(&bench).await?, "0");
    Ok(())
}

#[tokio::test]
async fn a_batch_in_any_order_answers_each_by_name() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    bench.join(&named("b", "old"), THEN, true).await?;
    bench.join(&named("d", "kept"), THEN, true).await?;
    let at = At::from_micros(THEN + 9 * SECOND);
    let early = At::from_micros(THEN - 9 * SECOND);
    let profiles = [
        (named("d", "late"), early),
        (named("c", "new"), at),
        (named("a", "new"), at),
        (named("b", "new"), at),
    ];
    let batch: Vec<_> = profiles
        .iter()
        .map(|(profile, at)| (profile, *at))
        .collect();
    let mut outcomes = bench.store.join(&batch, Origin::Listing).await?;
    outcomes.sort_by(|(a, _), (b, _)| a.cmp(b));
    let expected: Vec<(UserId, _)> = [("a", Created), ("b", Updated), ("c", Created), ("d", Stale)]
        .map(|(id, outcome)| (user(id), outcome))
        .to_vec();
    assert_eq!(outcomes, expected);
    assert!(bench.store.join(&[], Origin::Delivery).await?.is_empty());
    Ok(())
}

/// Keeps the compiler honest: a store is shared between tasks.
#[tokio::test(flavor = "multi_thread")]
async fn one_store_serves_many_tasks() -> Result<()> {
    let bench = Bench::new(versions()).await?;
    let store: Arc<ProjectStore> = Arc::new(bench.another(&versions())?);
    let mut tasks = Vec::new();
    for n in 0..40 {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            join(&store, &named(&format!("u{n}"), "Ada"), THEN, true).await
        }));
    }
    for task in tasks {
        assert_eq!(
            tokio::time::timeout(Duration::from_secs(20), task).await???,
            Created
        );
    }
    assert_eq!(store.live_count().await?, 40);
    Ok(())
}
