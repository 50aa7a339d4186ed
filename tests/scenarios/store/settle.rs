//! Reads after a look: whatever the row says, unless it has changed since.

use anyhow::{Context, Result};
use shared::profile::Profile;
use shared::store::Outcome::{Created, Revived, Stale, Unchanged, Updated};
use shared::store::{Authority, Look};
use shared::time::At;
use tests::postgres::connect;

use super::{Bench, SECOND, STALE, THEN, facts, hints, named, options, user, versioned, versions};

async fn look(bench: &Bench, id: &str) -> Result<(i64, Look)> {
    let mut looks = bench.store.look(&[user(id)]).await?;
    let look = looks.pop().context("no look")?;
    assert_eq!((looks.len(), look.id.as_str()), (0, id));
    Ok((look.at().as_micros(), look))
}

#[tokio::test]
async fn a_look_tells_every_write_apart() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    let (before, none) = look(&bench, "u").await?;
    assert_eq!(none.row_version, None);
    let mut seen = vec![none.row_version];
    for write in [
        "SELECT neon_identity.ensure_user('u')",
        "UPDATE neon_identity.users_sync SET name = 'a'",
        "UPDATE neon_identity.users_sync SET name = 'a'",
    ] {
        bench.run(write).await?;
        let (_, look) = look(&bench, "u").await?;
        assert!(!seen.contains(&look.row_version), "{write}");
        seen.push(look.row_version);
    }
    // Reading a row, or referring to it, changes nothing.
    bench
        .run(
            "SELECT neon_identity.ensure_user('u');
            CREATE TABLE todos (owner text REFERENCES neon_identity.users_sync);
            INSERT INTO todos VALUES ('u')",
        )
        .await?;
    let (after, same) = look(&bench, "u").await?;
    assert_eq!(Some(&same.row_version), seen.last());
    assert!(before < after && after <= bench.store.now().await?.as_micros());

    assert!(bench.store.look(&[]).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_user_whom_nobody_knew_is_created_unless_somebody_was_quicker() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    let (at, nobody) = look(&bench, "u").await?;
    let settle = async |name, at| {
        let profile = named("u", name);
        let nobody = nobody.clone().as_if_at(At::from_micros(at));
        bench
            .store
            .settle_present(&nobody, &profile, options(false, true))
            .await
    };
    assert_eq!(settle("Ada", at).await?, Some(Created));
    let row = bench.existing("u").await?;
    assert_eq!(row.times(), (Some(at), None));
    assert_eq!(settle("Bob", at + SECOND).await?, None);
    assert_eq!(bench.existing("u").await?, row);
    Ok(())
}

#[tokio::test]
async fn a_read_after_a_look_beats_whatever_the_row_says() -> Result<()> {
    for facts in [hints(), versions()] {
        let bench = Bench::new(facts).await?;
        bench.join(&named("u", "old"), THEN, true).await?;
        // Edited by hand: a time that only the future can beat.
        for by_hand in [
            "now() + interval '9 years'",
            "'infinity'",
            "NULL",
            "'-infinity'",
        ] {
            bench
                .run(&format!(
                    "UPDATE neon_identity.users_sync SET name = 'x', updated_at = {by_hand}"
                ))
                .await?;
            let (now, look) = look(&bench, "u").await?;
            let settled = bench
                .store
                .settle_present(&look, &named("u", "new"), options(false, false))
                .await?;
            assert_eq!(settled, Some(Updated), "{by_hand}");
            let row = bench.existing("u").await?;
            assert_eq!(
                (row.name.as_deref(), row.times()),
                (Some("new"), (Some(now), None))
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_row_that_changed_since_the_look_stays() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    bench.join(&named("u", "old"), THEN, true).await?;
    let (now, looked) = look(&bench, "u").await?;
    bench
        .join(&named("u", "newer"), now + 9 * SECOND, true)
        .await?;
    let row = bench.existing("u").await?;
    let settled = bench
        .store
        .settle_present(&looked, &named("u", "new"), options(true, true))
        .await?;
    assert_eq!(settled, None);
    let gone = bench
        .store
        .settle_gone(std::slice::from_ref(&looked), Authority::Delivery)
        .await?;
    assert!(gone.is_empty());
    assert_eq!(bench.existing("u").await?, row);
    Ok(())
}

/// A user changes there and back within one version. Who has looked, and read what lay between,
/// must not write it after the second change was answered for.
#[tokio::test]
async fn a_delivery_that_changes_nothing_is_noticed_by_an_earlier_look() -> Result<()> {
    for facts in [versions(), hints()] {
        let bench = Bench::new(facts).await?;
        let kept = named("u", "there");
        bench.join(&kept, THEN, true).await?;
        let (_, looked) = look(&bench, "u").await?;
        assert_eq!(bench.join(&kept, THEN, true).await?, Unchanged);
        let between = versioned(&named("u", "between"), THEN);
        let settled = bench
            .store
            .settle_present(&looked, &between, options(false, true))
            .await?;
        assert_eq!(settled, None);
        assert_eq!(bench.existing("u").await?.name.as_deref(), Some("there"));
    }
    Ok(())
}

#[tokio::test]
async fn a_settled_listing_writes_only_what_differs() -> Result<()> {
    for (facts, version) in [(hints(), false), (versions(), true)] {
        let bench = Bench::new(facts).await?;
        let profile = versioned(&named("u", "Ada"), THEN);
        bench.join(&profile, THEN, true).await?;
        let kept = bench.existing("u").await?;
        let (now, looked) = look(&bench, "u").await?;
        let at = At::from_micros(if version { THEN } else { now });
        let read = Profile {
            version: version.then_some(at),
            ..profile
        };
        let settle = async |delivered| {
            bench
                .store
                .settle_present(&looked, &read, options(true, delivered))
                .await
        };
        assert_eq!(settle(false).await?, Some(Unchanged));
        assert_eq!(bench.existing("u").await?, kept);
        // A delivery's time counts: what lay between must not win later.
        assert_eq!(settle(true).await?, Some(Updated));
        assert_eq!(
            bench.existing("u").await?.times(),
            (Some(at.as_micros()), None)
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_version_that_was_edited_by_hand_is_put_right() -> Result<()> {
    let bench = Bench::new(versions()).await?;
    let profile = versioned(&named("u", "Ada"), THEN);
    for edited in [THEN + 9, THEN - 9] {
        bench.run("TRUNCATE neon_identity.users_sync").await?;
        bench.join(&profile, edited, true).await?;
        let (_, looked) = look(&bench, "u").await?;
        if edited > THEN {
            // Who doesn't know that a person has set it takes the read for a stale one.
            let settled = bench
                .store
                .settle_present(&looked, &profile, options(true, false));
            assert_eq!(settled.await?, Some(Stale));
            assert_eq!(bench.existing("u").await?.times(), (Some(edited), None));
        }
        let settled = bench
            .store
            .settle_edited(&looked, &profile, options(true, false))
            .await?;
        assert_eq!(settled, Some(Updated));
        assert_eq!(bench.existing("u").await?.times(), (Some(THEN), None));
    }
    Ok(())
}

#[tokio::test]
async fn only_where_ids_return_is_a_tombstone_cleared() -> Result<()> {
    for (may, delivered) in [(true, false), (false, false), (true, true), (false, true)] {
        let bench = Bench::new(facts(false, may)).await?;
        let profile = named("u", "Ada");
        bench.join(&profile, THEN, true).await?;
        let deleted = THEN + 10 * STALE;
        bench
            .store
            .gone(&user("u"), At::from_micros(deleted))
            .await?;
        for at in [deleted - SECOND, deleted + SECOND] {
            let (_, looked) = look(&bench, "u").await?;
            let settled = bench
                .store
                .settle_present(
                    &looked.as_if_at(At::from_micros(at)),
                    &profile,
                    options(may, delivered),
                )
                .await?;
            let row = bench.existing("u").await?;
            assert_eq!(row.updated_at, Some(at));
            if may {
                assert_eq!((settled, row.deleted_at), (Some(Revived), None));
                bench
                    .store
                    .gone(&user("u"), At::from_micros(at + 2 * STALE))
                    .await?;
            } else {
                assert_eq!(
                    (settled, row.deleted_at),
                    (Some(Updated), Some(deleted.max(at)))
                );
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_settled_deletion_is_not_older_than_anything_it_ends() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    let ids = ["fresh", "future", "gone", "new", "placeholder"].map(user);
    bench.join(&named("fresh", "Ada"), THEN, true).await?;
    bench
        .run("SELECT neon_identity.ensure_user('placeholder')")
        .await?;
    let future = bench.store.now().await?.as_micros() + 3600 * SECOND;
    bench.join(&named("future", "Bob"), future, true).await?;
    bench
        .store
        .gone(&user("gone"), At::from_micros(future))
        .await?;
    let looks = bench.store.look(&ids).await?;
    let authority = Authority::Delivery;
    let mut gone = bench.store.settle_gone(&looks, authority).await?;
    gone.sort();
    assert_eq!(gone, ids);
    let now = looks[0].at().as_micros();
    for (id, times) in [
        ("fresh", (Some(THEN), Some(now))),
        ("future", (Some(future), Some(future))),
        ("gone", (None, Some(future))),
        ("new", (None, Some(now))),
        ("placeholder", (None, Some(now))),
    ] {
        assert_eq!(bench.existing(id).await?.times(), times, "{id}");
    }
    let kept = bench.existing("fresh").await?;
    assert_eq!(kept.name.as_deref(), Some("Ada"));
    assert_eq!(bench.existing("new").await?.raw_json, "{}");
    Ok(())
}

#[tokio::test]
async fn of_several_deletions_those_that_moved_are_left_out() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    for id in ["moved", "stays"] {
        bench.join(&named(id, "Ada"), THEN, true).await?;
    }
    let ids = ["appeared", "moved", "stays"].map(user);
    let looks = bench.store.look(&ids).await?;
    for id in ["appeared", "moved"] {
        bench
            .join(&named(id, "Bob"), THEN + 9 * SECOND, true)
            .await?;
    }
    let authority = Authority::Delivery;
    let gone = bench.store.settle_gone(&looks, authority).await?;
    assert_eq!(gone, [user("stays")]);
    for (id, alive) in [("appeared", true), ("moved", true), ("stays", false)] {
        assert_eq!(
            bench.existing(id).await?.deleted_at.is_none(),
            alive,
            "{id}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_sweep_that_lost_its_lease_tombstones_nobody() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    bench.join(&named("u", "Ada"), THEN, true).await?;
    let length = super::PATIENCE.connect;
    let (run, _) = bench
        .store
        .open_run(false, None, Some(bench.store.project()))
        .await?;
    let (other, _) = bench
        .store
        .open_run(false, None, Some(bench.store.project()))
        .await?;
    let taken = bench.store.take_lease(run, length, false).await?;
    let lease = taken.context("it is free")?.lease;
    let looks = bench.store.look(&[user("u"), user("nobody")]).await?;
    let sweep = async || {
        let authority = Authority::Run(&lease);
        bench.store.settle_gone(&looks, authority).await
    };
    // Nobody holds it.
    bench
        .run("UPDATE neon_identity.walk SET run_id = NULL, lease_until = NULL")
        .await?;
    assert!(sweep().await?.is_empty());
    // Another run does.
    bench.store.take_lease(other, length, false).await?;
    assert!(sweep().await?.is_empty());
    // It was this run's, and is over.
    bench
        .run(&format!(
            "UPDATE neon_identity.walk SET run_id = {run}, lease_until = now() - interval '1 second'"
        ))
        .await?;
    assert!(sweep().await?.is_empty());
    assert_eq!(bench.existing("u").await?.deleted_at, None);
    assert_eq!(bench.row("nobody").await?, None);
    bench.store.renew_lease(&lease, length).await?;
    assert_eq!(sweep().await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_row_that_changes_while_a_deletion_waits_for_it_stays() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    bench.join(&named("u", "old"), THEN, true).await?;
    for present in [true, false] {
        let (_, looked) = look(&bench, "u").await?;
        let mut other = connect(bench.database.admin_url()).await?;
        let writing = other.transaction().await?;
        writing
            .batch_execute("UPDATE neon_identity.users_sync SET name = name || '!'")
            .await?;
        let settle = async {
            if present {
                let profile = named("u", "new");
                let settled = bench
                    .store
                    .settle_present(&looked, &profile, options(true, true))
                    .await?;
                assert_eq!(settled, None);
            } else {
                let looks = std::slice::from_ref(&looked);
                let authority = Authority::Delivery;
                assert!(bench.store.settle_gone(looks, authority).await?.is_empty());
            }
            anyhow::Ok(())
        };
        let commit = async {
            bench.wait_for_a_lock().await?;
            writing.commit().await.context("commit")
        };
        tokio::try_join!(settle, commit)?;
        assert_eq!(bench.existing("u").await?.times(), (Some(THEN), None));
    }
    assert_eq!(bench.existing("u").await?.name.as_deref(), Some("old!!"));
    Ok(())
}

#[tokio::test]
async fn an_applications_open_transaction_holds_nothing_up() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    bench.join(&named("u", "Ada"), THEN, true).await?;
    bench
        .run("CREATE TABLE todos (owner text REFERENCES neon_identity.users_sync)")
        .await?;
    let mut application = connect(bench.database.admin_url()).await?;
    let open = application.transaction().await?;
    open.batch_execute("INSERT INTO todos VALUES ('u')").await?;

    let soon = std::time::Duration::from_secs(5);
    let work = async {
        bench
            .join(&named("u", "Bob"), THEN + 9 * SECOND, true)
            .await?;
        let (now, looked) = look(&bench, "u").await?;
        bench
            .store
            .settle_present(&looked, &named("u", "Cyd"), options(true, true))
            .await?;
        bench.store.gone(&user("u"), At::from_micros(now)).await?;
        let (_, looked) = look(&bench, "u").await?;
        let gone = bench
            .store
            .settle_gone(&[looked], Authority::Delivery)
            .await?;
        assert_eq!(gone.len(), 1);
        anyhow::Ok(())
    };
    tokio::time::timeout(soon, work)
        .await
        .context("it waits for the application")??;
    open.commit().await.context("commit")
}
