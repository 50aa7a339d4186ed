//! The connection: lost, pooled, slow or asleep.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use shared::migrate::{Wanted, migrate};
use shared::store::Outcome::{Created, Updated};
use shared::store::{Patience, ProjectStore, Schema, StoreError, Target};
use shared::time::At;
use tests::pgbouncer::PgBouncer;
use tests::postgres::{Mode, Options, Postgres, connect};

use super::{Bench, SECOND, THEN, hints, join, named, store, store_with, user};

#[tokio::test]
async fn a_lost_backend_is_replaced() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    let server = Postgres::shared().await?;
    for n in 0..5 {
        server.terminate_backends(bench.database.name()).await?;
        let profile = named(&format!("u{n}"), "Ada");
        assert_eq!(join(&bench.store, &profile, THEN, true).await?, Created);
    }
    assert_eq!(bench.store.live_count().await?, 5);
    Ok(())
}

#[tokio::test]
async fn a_statement_whose_backend_is_lost_is_sent_again() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    bench.join(&named("u", "old"), THEN, true).await?;
    let mut other = connect(bench.database.admin_url()).await?;
    let writing = other.transaction().await?;
    writing
        .batch_execute("SELECT FROM neon_identity.users_sync FOR UPDATE")
        .await?;
    let profile = named("u", "new");
    let end = async {
        for _ in 0..3 {
            bench.wait_for_a_lock().await?;
            let lost = bench
                .ask(
                    "SELECT count(pg_terminate_backend(pid, 5000))::text FROM pg_stat_activity
                    WHERE datname = current_database() AND wait_event_type = 'Lock'",
                )
                .await?;
            assert_eq!(lost, "1");
        }
        bench.wait_for_a_lock().await?;
        writing.rollback().await.context("roll back")
    };
    let later = THEN + 9 * SECOND;
    let (outcome, ()) = tokio::try_join!(bench.join(&profile, later, true), end)?;
    assert_eq!(outcome, Updated);
    Ok(())
}

#[tokio::test]
async fn a_server_that_restarts_is_waited_out() -> Result<()> {
    let server = Postgres::start(Options::default()).await?;
    let database = server.database().await?;
    let owner = Target::parse(database.owner_url(), "database_url")?;
    migrate(&owner, None, &Schema::default(), Wanted::default()).await?;
    let store = store(database.owner_url(), &hints())?;
    store.bind().await?;
    for (mode, id) in [(Mode::Fast, "fast"), (Mode::Immediate, "immediate")] {
        server.stop(mode).await?;
        let restart = async {
            tokio::time::sleep(Duration::from_millis(1500)).await;
            server.start_again().await
        };
        let profile = named(id, "Ada");
        let (outcome, ()) = tokio::try_join!(join(&store, &profile, THEN, true), restart)?;
        assert_eq!(outcome, Created);
    }
    Ok(())
}

#[tokio::test]
async fn patience_ends() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    let patience = Patience {
        connect: Duration::from_secs(2),
        statement: Duration::from_secs(1),
    };
    let hasty = |url: &str| store_with(url, &hints(), patience);
    let nobody = format!("postgres://u:p@127.0.0.1:{}/d", tests::tools::free_port()?);
    let begun = Instant::now();
    let error = hasty(&nobody)?.connect().await.err();
    assert_eq!(
        error,
        Some(StoreError::Unreachable("connection refused".to_owned()))
    );
    assert!(
        begun.elapsed() < Duration::from_secs(6),
        "{:?}",
        begun.elapsed()
    );

    let store = hasty(bench.database.owner_url())?;
    store
        .gone(&user("u"), shared::time::At::from_micros(THEN))
        .await?;
    let mut other = connect(bench.database.admin_url()).await?;
    let writing = other.transaction().await?;
    writing
        .batch_execute("SELECT FROM neon_identity.users_sync FOR UPDATE")
        .await?;
    let begun = Instant::now();
    let late = join(&store, &named("u", "Ada"), THEN, true).await;
    let late = late.err().context("it was locked")?.to_string();
    // After a statement that took too long, its line is made anew, and a busy machine might not
    // manage that in the rest of the patience.
    assert!(
        late.contains("took too long") || late.contains("no connection in time"),
        "{late}"
    );
    assert!(
        begun.elapsed() < Duration::from_secs(9),
        "{:?}",
        begun.elapsed()
    );
    // It was given up on the server too, and writes nothing when the lock is gone.
    for _ in 0..200 {
        let waiting = bench
            .ask(
                "SELECT count(*)::text FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event_type = 'Lock'",
            )
            .await?;
        if waiting == "0" {
            writing.rollback().await?;
            assert_eq!(bench.existing("u").await?.name, None);
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    anyhow::bail!("the statement still waits on the server")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_pooler_with_few_connections_serves_many_stores() -> Result<()> {
    let server = Postgres::shared().await?;
    for pool_size in [1, 2] {
        let bouncer = PgBouncer::start(server, pool_size).await?;
        let bench = Bench::new(hints()).await?;
        let url = bouncer.url(bench.database.owner_url());
        let mut tasks = Vec::new();
        for client in 0..16 {
            let store = store(&url, &hints())?;
            tasks.push(tokio::spawn(every_statement(store, client)));
        }
        for task in tasks {
            task.await??;
        }
        let log = bouncer.log()?;
        assert!(!log.contains("prepared statement"), "{log}");
    }
    Ok(())
}

/// A pooler takes a connection for free between two statements: the second one must not be under way
/// by then, or its end waits for a connection that is busy with its beginning.
#[tokio::test]
async fn statements_that_are_sent_at_once_go_through_a_pooler_one_by_one() -> Result<()> {
    let server = Postgres::shared().await?;
    let bouncer = PgBouncer::start(server, 1).await?;
    let bench = Bench::new(hints()).await?;
    let patience = Patience {
        connect: Duration::from_secs(5),
        statement: Duration::from_secs(5),
    };
    let url = bouncer.url(bench.database.owner_url());
    let store = store_with(&url, &hints(), patience)?;
    let other = store_with(&url, &hints(), patience)?;
    let long = "x".repeat(2_000);
    for round in 0..20 {
        let users = 0..300;
        let users: Vec<_> = users
            .map(|n| named(&format!("u{round}-{n}"), &long))
            .collect();
        let users: Vec<_> = users
            .iter()
            .map(|user| (user, At::from_micros(THEN)))
            .collect();
        let (_, made, _) = tokio::try_join!(store.now(), store.create(&users), other.now())?;
        assert_eq!(made.len(), 300);
    }
    Ok(())
}

/// All the store's statements, several times over.
async fn every_statement(store: ProjectStore, client: usize) -> Result<()> {
    use shared::store::{Authority, Closing, Figures, LeftToNext, Origin, Retention, Saved};
    for round in 0..4 {
        let id = user(&format!("u{client}-{round}"));
        let mut profile = named(id.as_str(), "Ada");
        let now = store.now().await?;
        store.bind().await?;
        store.join(&[(&profile, now)], Origin::Delivery).await?;
        profile.name = Some("Bob".to_owned());
        store
            .compare(std::slice::from_ref(&profile), now, &[])
            .await?;
        let looks = store.look(std::slice::from_ref(&id)).await?;
        let settled = store
            .settle_present(&looks[0], &profile, super::options(true, true))
            .await?;
        assert_eq!(settled, Some(Updated));
        store.gone(&id, now).await?;
        let looks = store.look(std::slice::from_ref(&id)).await?;
        assert_eq!(
            store.settle_gone(&looks, Authority::Delivery).await?.len(),
            1
        );
        store
            .reject_delivery(id.as_str(), "reason", b"body", Some(&id))
            .await?;
        store
            .reject_listed("user u", "reason", b"body", Some(&id))
            .await?;
        store.live_count().await?;
        store.ids(0..1).await?;
        let (run, permitted) = store.open_run(false, None, Some(store.project())).await?;
        assert_eq!(permitted, Ok(()));
        let length = Duration::from_secs(30);
        let closing = Closing {
            outcome: "complete",
            error: None,
            figures: Figures::default(),
            retention: Retention::default(),
        };
        let by = tokio::time::Instant::now() + length;
        let Some(taken) = store.take_lease(run, length, false).await? else {
            store.close_run(run, closing, by).await?;
            continue;
        };
        store.renew_lease(&taken.lease, length).await?;
        store.resolve_rejections(&taken.lease).await?;
        let left = LeftToNext {
            walk: Some(Saved::default()),
            unlisted: None,
        };
        store
            .give_lease_back(taken.lease, closing, left, by)
            .await?;
    }
    Ok(())
}
