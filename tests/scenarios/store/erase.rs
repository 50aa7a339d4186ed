//! `erase_user`: what is kept of a deleted user's person goes, the tombstone stays, and nothing
//! that arrives late fills it again.

use anyhow::{Context, Result};
use shared::provider::Facts;
use shared::store::Authority;
use shared::store::Outcome::{Created, Revived, Stale, Unchanged, Updated};
use shared::time::At;

use super::{Bench, SECOND, STALE, THEN, facts, hints, named, options, user, versions};

/// A bench with the user `u`, deleted and erased.
async fn erased(facts: Facts) -> Result<Bench> {
    let bench = Bench::new(facts).await?;
    bench.join(&named("u", "Ada"), THEN, true).await?;
    let at = At::from_micros(THEN + 10 * SECOND);
    bench.store.gone(&user("u"), at).await?;
    erase(&bench, "u").await?;
    Ok(bench)
}

async fn erase(bench: &Bench, id: &str) -> Result<()> {
    let sql = format!("SELECT neon_identity.erase_user('{id}')");
    crate::site::run(bench.database.owner_url(), &sql).await
}

async fn refused(bench: &Bench, url: &str, id: &str) -> Result<String> {
    let sql = format!("SELECT neon_identity.erase_user('{id}')");
    let refused = crate::site::refusal(url, &sql).await?;
    let _ = bench;
    Ok(refused)
}

async fn assert_erased(bench: &Bench) -> Result<()> {
    let row = bench.existing("u").await?;
    assert_eq!(
        (&*row.raw_json, row.name, row.email, row.created_at),
        ("{}", None, None, None)
    );
    assert!(row.deleted_at.is_some() && row.updated_at <= row.deleted_at);
    assert_finite(bench).await
}

async fn assert_finite(bench: &Bench) -> Result<()> {
    let endless = "SELECT count(*)::text FROM neon_identity.users_sync
        WHERE NOT isfinite(created_at) OR NOT isfinite(updated_at) OR NOT isfinite(deleted_at)";
    assert_eq!(bench.ask(endless).await?, "0");
    Ok(())
}

#[tokio::test]
async fn nothing_that_arrives_late_fills_an_erased_user_again() -> Result<()> {
    for facts in [hints(), versions()] {
        let bench = erased(facts).await?;
        assert_erased(&bench).await?;
        let row = bench.existing("u").await?;
        assert_eq!(row.deleted_at, Some(THEN + 10 * SECOND));
        // Of before the deletion, of its very moment, and of long after.
        for late in [-5, 0, 5, 10, 11, 12, 3600, 1_000_000] {
            for delivered in [true, false] {
                for name in ["Ada", "Eve"] {
                    let at = THEN + late * SECOND;
                    let outcome = bench.join(&named("u", name), at, delivered).await?;
                    assert_eq!(outcome, Stale, "{late} {delivered}");
                    assert_eq!(bench.existing("u").await?, row);
                }
            }
        }
        // In doubt, a delivery looks and reads: it revives nobody.
        let looks = bench.store.look(&[user("u")]).await?;
        let settled = bench
            .store
            .settle_present(&looks[0], &named("u", "Ada"), options(false, true))
            .await?;
        assert_eq!(settled, Some(Unchanged));
        assert_eq!(bench.existing("u").await?, row);
        // Another word of the deletion.
        for late in [5, 20] {
            let at = At::from_micros(THEN + late * SECOND);
            assert_eq!(bench.store.gone(&user("u"), at).await?, Unchanged);
            assert_erased(&bench).await?;
        }
        let looks = bench.store.look(&[user("u")]).await?;
        let gone = bench.store.settle_gone(&looks, Authority::Delivery).await?;
        assert_eq!(gone.len(), 1);
        assert_erased(&bench).await?;
        assert_eq!(
            bench
                .join(&named("u", "Ada"), THEN + 30 * SECOND, true)
                .await?,
            Stale
        );
        // The provider shows the user alive, in a read of a run: they are back.
        let looks = bench.store.look(&[user("u")]).await?;
        let settled = bench
            .store
            .settle_present(&looks[0], &named("u", "Ada"), options(true, false))
            .await?;
        assert_eq!(settled, Some(Revived));
        assert_eq!(bench.existing("u").await?.name.as_deref(), Some("Ada"));
    }
    Ok(())
}

#[tokio::test]
async fn an_id_that_is_given_out_anew_is_filled_again() -> Result<()> {
    for versioned in [false, true] {
        let bench = erased(facts(versioned, true)).await?;
        let deleted = THEN + 10 * SECOND;
        for late in [-5 * SECOND, 0] {
            let outcome = bench.join(&named("u", "Ada"), deleted + late, true).await?;
            assert_ne!(outcome, Updated, "{late}");
            assert_erased(&bench).await?;
        }
        let later = deleted + STALE + 1;
        assert_eq!(bench.join(&named("u", "New"), later, true).await?, Updated);
        let row = bench.existing("u").await?;
        assert_eq!((row.name.as_deref(), row.deleted_at), (Some("New"), None));
    }
    Ok(())
}

#[tokio::test]
async fn rejections_of_the_user_go_too_and_do_not_come_back() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    for id in ["u", "v"] {
        bench.join(&named(id, "Ada"), THEN, true).await?;
    }
    let id = user("u");
    let store = &bench.store;
    store.reject_delivery("1", "why", b"ada", Some(&id)).await?;
    store
        .reject_listed("name", "why", b"ada", Some(&id))
        .await?;
    let body = br#"{"data":{"id":"u","email":7}}"#;
    store.reject_delivery("2", "why", body, None).await?;
    store
        .reject_delivery("3", "why", b"{\"id\":\"uu\"}", None)
        .await?;
    store
        .reject_delivery("4", "why", b"\"u\"", Some(&user("v")))
        .await?;
    let at = At::from_micros(THEN + 10 * SECOND);
    store.gone(&id, at).await?;
    erase(&bench, "u").await?;
    let left = "SELECT string_agg(event_id, ' ' ORDER BY event_id) FROM neon_identity.rejections";
    assert_eq!(bench.ask(left).await?, "3 4");
    // Sent again by the provider: that it was is kept, and nothing of the person.
    store.reject_delivery("1", "why", b"ada", Some(&id)).await?;
    let kept = "SELECT octet_length(body)::text FROM neon_identity.rejections WHERE event_id = '1'";
    assert_eq!(bench.ask(kept).await?, "0");
    store
        .reject_delivery("5", "why", b"bob", Some(&user("v")))
        .await?;
    let other =
        "SELECT octet_length(body)::text FROM neon_identity.rejections WHERE event_id = '5'";
    assert_eq!(bench.ask(other).await?, "3");
    Ok(())
}

#[tokio::test]
async fn only_a_deleted_user_is_erased_and_only_by_the_owner() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    assert_eq!(bench.join(&named("u", "Ada"), THEN, true).await?, Created);
    bench
        .run("INSERT INTO neon_identity.users_sync (raw_json, id) VALUES ('{}', 'early')")
        .await?;
    let owner = bench.database.owner_url();
    let row = bench.existing("u").await?;
    for (id, code) in [
        ("u", "55000"),
        ("early", "55000"),
        ("nobody", "P0002"),
        ("", "P0002"),
    ] {
        assert_eq!(refused(&bench, owner, id).await?, code, "{id}");
    }
    assert_eq!(bench.existing("u").await?, row);
    bench
        .store
        .gone(&user("u"), At::from_micros(THEN + SECOND))
        .await?;
    let stranger = bench.database.login("stranger").await?;
    for role in ["neon_identity_reader", "neon_identity_writer"] {
        let login = crate::site::login(&stranger);
        bench.run(&format!("GRANT {role} TO {login}")).await?;
        assert_eq!(refused(&bench, &stranger, "u").await?, "42501", "{role}");
    }
    // Twice is once.
    for _ in 0..2 {
        erase(&bench, "u").await?;
        assert_erased(&bench).await?;
    }
    // A user with nothing but rejections.
    bench
        .store
        .reject_listed("name", "why", b"ada", Some(&user("nobody")))
        .await?;
    erase(&bench, "nobody").await?;
    assert!(bench.row("nobody").await?.is_none());
    Ok(())
}

/// As the documentation of an earlier release had it.
const BEFORE: &str = "UPDATE neon_identity.users_sync
    SET raw_json = '{}', name = NULL, email = NULL, created_at = NULL,
        updated_at = 'infinity', deleted_at = coalesce(deleted_at, now())
    WHERE id = 'u'";

/// The migration, as in a database that has these rows already.
async fn migrate_again(bench: &Bench) -> Result<()> {
    let sql = format!(
        "BEGIN; {}; {}; COMMIT",
        include_str!("../../../shared/src/migrate/set_search_path.sql"),
        include_str!("../../../shared/src/migrations/0003_erase_user.sql"),
    );
    crate::site::run(bench.database.owner_url(), &sql).await
}

#[tokio::test]
async fn rows_erased_by_the_former_update_are_healed() -> Result<()> {
    let bench = Bench::new(versions()).await?;
    for id in ["u", "endless", "past", "living", "v"] {
        bench.join(&named(id, "Ada"), THEN, true).await?;
    }
    bench
        .store
        .gone(&user("u"), At::from_micros(THEN + SECOND))
        .await?;
    bench
        .run(&format!(
            "{BEFORE};
            UPDATE neon_identity.users_sync SET updated_at = 'infinity', deleted_at = 'infinity',
                raw_json = '{{}}', name = NULL, email = NULL WHERE id = 'endless';
            UPDATE neon_identity.users_sync SET deleted_at = '-infinity' WHERE id = 'past';
            UPDATE neon_identity.users_sync SET updated_at = 'infinity', created_at = 'infinity'
            WHERE id = 'living';
            DROP FUNCTION neon_identity.erase_user(text)"
        ))
        .await?;
    let untouched = bench.existing("v").await?;
    migrate_again(&bench).await?;
    assert_erased(&bench).await?;
    assert_eq!(bench.existing("u").await?.deleted_at, Some(THEN + SECOND));
    assert_eq!(bench.existing("v").await?, untouched);
    assert!(bench.existing("living").await?.deleted_at.is_none());
    for id in ["u", "endless"] {
        let later = THEN + 1_000_000 * SECOND;
        assert_eq!(
            bench.join(&named(id, "Ada"), later, true).await?,
            Stale,
            "{id}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_trigger_that_refuses_does_not_stop_the_healing_of_others() -> Result<()> {
    let bench = Bench::new(versions()).await?;
    for id in ["t", "u"] {
        bench.join(&named(id, "Ada"), THEN, true).await?;
    }
    bench
        .run(
            "UPDATE neon_identity.users_sync SET updated_at = 'infinity';
            CREATE FUNCTION public.check_user() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN IF NEW.id = 't' THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$;
            CREATE TRIGGER check_user BEFORE UPDATE ON neon_identity.users_sync
            FOR EACH ROW EXECUTE FUNCTION public.check_user();
            DROP FUNCTION neon_identity.erase_user(text)",
        )
        .await?;
    migrate_again(&bench).await?;
    let healed =
        "SELECT string_agg(id, ' ') FROM neon_identity.users_sync WHERE isfinite(updated_at)";
    assert_eq!(bench.ask(healed).await?, "u");
    Ok(())
}

#[tokio::test]
async fn a_deletion_leaves_no_endless_time() -> Result<()> {
    for (versioned, ids_return) in [(false, false), (true, false), (false, true)] {
        let bench = Bench::new(facts(versioned, ids_return)).await?;
        bench.join(&named("u", "Ada"), THEN, true).await?;
        bench.run(BEFORE).await?;
        let at = At::from_micros(THEN + 10 * SECOND);
        let outcome = bench.store.gone(&user("u"), at).await?;
        if ids_return {
            let looks = bench.store.look(&[user("u")]).await?;
            bench.store.settle_gone(&looks, Authority::Delivery).await?;
        } else {
            assert_eq!(outcome, Unchanged);
        }
        assert_erased(&bench).await?;
        // A living user whose time was set by hand.
        bench.join(&named("v", "Bob"), THEN, true).await?;
        bench
            .run("UPDATE neon_identity.users_sync SET updated_at = 'infinity' WHERE id = 'v'")
            .await?;
        let looks = bench.store.look(&[user("v")]).await?;
        bench.store.settle_gone(&looks, Authority::Delivery).await?;
        assert_finite(&bench).await?;
        let row = bench.existing("v").await?;
        assert_eq!(row.name.as_deref().context("a name")?, "Bob");
    }
    Ok(())
}
