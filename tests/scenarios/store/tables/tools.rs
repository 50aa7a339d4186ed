//! Rules for living users, columns of any name, publications, and triggers that take long or put
//! back what is erased: what applications and their tools do, and the sync has to bear.

use anyhow::{Context, Result};
use serde_json::json;
use shared::migrate::{Wanted, migrate};
use shared::store::Outcome::{Created, Updated};
use shared::store::{Schema, Target};
use shared::time::At;
use tests::postgres::Postgres;
use tests::stage::Stage;

use crate::site;
use crate::store::{Bench, SECOND, THEN, facts, hints, named, user, versions};

#[tokio::test]
async fn a_rule_for_living_users_stops_no_deletion_and_no_reference() -> Result<()> {
    let table = "ALTER TABLE neon_identity.users_sync";
    let trigger = "CREATE FUNCTION public.only_reachable() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF NEW.email IS NULL THEN RAISE EXCEPTION 'no address'; END IF;
          RETURN NEW;
        END $$;
        CREATE TRIGGER only_reachable BEFORE INSERT OR UPDATE ON neon_identity.users_sync
        FOR EACH ROW EXECUTE FUNCTION public.only_reachable()";
    for rule in [
        &format!("{table} ADD CHECK (email IS NOT NULL)"),
        &format!("{table} ALTER name SET NOT NULL"),
        trigger,
    ] {
        for facts in [hints(), versions(), facts(false, true)] {
            let bench = Bench::new(facts).await?;
            assert_eq!(bench.join(&named("u", "Ada"), THEN, true).await?, Created);
            bench.run(rule).await?;
            let ensured = bench.ask("SELECT neon_identity.ensure_user('u')").await?;
            assert_eq!(ensured, "u", "{rule}");
            let at = At::from_micros(THEN + 10 * SECOND);
            assert_eq!(bench.store.gone(&user("u"), at).await?, Updated, "{rule}");
            let row = bench.existing("u").await?;
            assert_eq!(row.deleted_at, Some(at.as_micros()), "{rule}");
            assert_eq!(row.name.as_deref(), Some("Ada"));
        }
    }
    Ok(())
}

#[tokio::test]
async fn erasing_bears_columns_of_any_name() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    bench.join(&named("u", "Ada"), THEN, true).await?;
    let at = At::from_micros(THEN + 10 * SECOND);
    bench.store.gone(&user("u"), at).await?;
    for column in [
        "deleted", "known", "forced", "erased", "kept", "found", "gone",
    ] {
        let add = format!("ALTER TABLE neon_identity.users_sync ADD {column} boolean DEFAULT true");
        bench.run(&add).await?;
    }
    let erase = "SELECT neon_identity.erase_user('u')";
    site::run(bench.database.owner_url(), erase).await?;
    assert_eq!(bench.existing("u").await?.name, None);
    Ok(())
}

#[tokio::test]
async fn a_trigger_that_puts_a_person_back_fails_the_erasure() -> Result<()> {
    for column in ["email", "name", "created_at"] {
        let bench = Bench::new(hints()).await?;
        let profile = named("u", "Ada");
        bench.join(&profile, THEN, true).await?;
        bench
            .run("UPDATE neon_identity.users_sync SET created_at = '2025-01-01'")
            .await?;
        let at = At::from_micros(THEN + 10 * SECOND);
        bench.store.gone(&user("u"), at).await?;
        let trigger = format!(
            "CREATE FUNCTION public.keep() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN NEW.{column} := coalesce(NEW.{column}, OLD.{column}); RETURN NEW; END $$;
            CREATE TRIGGER keep BEFORE UPDATE ON neon_identity.users_sync
            FOR EACH ROW EXECUTE FUNCTION public.keep()"
        );
        bench.run(&trigger).await?;
        let erase = "SELECT neon_identity.erase_user('u')";
        let refused = site::refusal(bench.database.owner_url(), erase).await?;
        assert_eq!(refused, "55000", "{column}");
        assert_eq!(bench.existing("u").await?.name.as_deref(), Some("Ada"));
    }
    Ok(())
}

#[tokio::test]
async fn a_publication_of_all_tables_stops_nothing() -> Result<()> {
    let publish = "CREATE PUBLICATION everything FOR ALL TABLES";
    let stage = Stage::new().await?;
    stage.simulator.seed(5);
    site::run(stage.database.admin_url(), publish).await?;
    assert_eq!(stage.complete(json!({})).await?["created"], 5);
    stage.provision().await?;
    // As docs/operating.md has the owner do.
    let unbind = "DELETE FROM neon_identity.connection";
    site::run(stage.database.admin_url(), unbind).await?;
    stage.provision().await?;

    // From nothing.
    let database = Postgres::shared().await?.database().await?;
    site::run(database.admin_url(), publish).await?;
    let owner = Target::parse(database.owner_url(), "database_url")?;
    migrate(&owner, None, &Schema::default(), Wanted::default()).await?;
    Ok(())
}

#[tokio::test]
async fn a_user_whose_row_takes_too_long_stops_nobody_else() -> Result<()> {
    let stage = Stage::new().await?;
    stage.simulator.seed(20);
    stage.simulator.create("Eve", "eve@example.com")?;
    let url = stage.database.url().to_owned();
    let writer = url.split(['/', ':']).nth(3).context("a user")?.to_owned();
    stage
        .execute(&format!(
            "ALTER ROLE {writer} SET statement_timeout = '2s';
            CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
              IF NEW.name = 'Eve' THEN PERFORM pg_sleep(60); END IF;
              RETURN NEW;
            END $$;
            CREATE TRIGGER slow BEFORE INSERT OR UPDATE ON neon_identity.users_sync
            FOR EACH ROW EXECUTE FUNCTION public.slow()"
        ))
        .await?;
    let report = stage.complete(json!({})).await?;
    assert_eq!(
        (&report["created"], &report["rejected"]),
        (&json!(20), &json!(1))
    );
    let kept = stage.rejections().await?;
    let reason = kept[0]["reason"].as_str().context("a reason")?;
    assert!(reason.contains("57014"), "{reason}");
    Ok(())
}

#[tokio::test]
async fn a_rejection_ends_when_its_user_is_gone() -> Result<()> {
    let stage = Stage::new().await?;
    stage.simulator.seed(5);
    let eve = stage.simulator.create("Eve", "eve@example.com")?;
    let refuse = "ALTER TABLE neon_identity.users_sync ADD CHECK (name <> 'Eve')";
    stage.execute(refuse).await?;
    let open = "SELECT id FROM neon_identity.rejections WHERE resolved_at IS NULL";
    for _ in 0..2 {
        assert_eq!(stage.complete(json!({})).await?["rejected"], 1);
        assert_eq!(stage.json(open).await?.len(), 1);
    }
    stage.simulator.delete(&eve)?;
    assert_eq!(stage.complete(json!({})).await?["rejected"], 0);
    assert!(stage.json(open).await?.is_empty());
    Ok(())
}
