//! `erase_older_than`: the writer erases by age and by nothing else.

use anyhow::Result;
use shared::store::Erased;

use super::{Bench, SECOND, THEN, named, user, versions};
use crate::site::{ask, login, refusal, run};

/// A bench with so many users, who were deleted so many days ago; `u00000` first.
async fn deleted(users: usize, days: i32) -> Result<Bench> {
    let bench = Bench::new(versions()).await?;
    bench
        .run(&format!(
            "INSERT INTO neon_identity.users_sync (raw_json, id, name, email, updated_at, deleted_at)
            SELECT '{{\"a\": 1}}', 'u' || lpad(i::text, 5, '0'), 'Ada', 'ada@example.com',
                at - interval '1 day', at + i * interval '1 second'
            FROM generate_series(0, {users} - 1) AS i,
                (SELECT now() - interval '{days} days' AS at) AS deleted"
        ))
        .await?;
    Ok(bench)
}

const LEFT: &str = "SELECT count(*)::text FROM neon_identity.users_sync
    WHERE raw_json <> '{}' OR name IS NOT NULL OR email IS NOT NULL OR created_at IS NOT NULL";

#[tokio::test]
async fn tombstones_of_that_age_are_erased_a_batch_at_a_time_and_no_others() -> Result<()> {
    let bench = deleted(250, 30).await?;
    bench.join(&named("living", "Ada"), THEN, true).await?;
    bench
        .run(
            "INSERT INTO neon_identity.users_sync (raw_json, id) VALUES ('{}', 'placeholder');
            INSERT INTO neon_identity.users_sync (raw_json, id, deleted_at)
            VALUES ('{}', 'unknown', now() - interval '40 days');
            UPDATE neon_identity.users_sync SET deleted_at = now() - interval '20 days'
            WHERE id LIKE 'u0024_'",
        )
        .await?;
    let store = &bench.store;
    for kept in [31 * 2, 365_000, i32::MAX] {
        let none = Erased {
            erased: 0,
            refused: 0,
        };
        assert_eq!(store.erase_older_than(kept).await?, none, "{kept}");
    }
    let mut batches = Vec::new();
    loop {
        let batch = store.erase_older_than(25).await?;
        assert_eq!(batch.refused, 0);
        batches.push(batch.erased);
        if batch.erased == 0 {
            break;
        }
    }
    // Those of 30 days ago, and the one of whom nothing but the deletion ever came.
    assert_eq!(batches, [100, 100, 41, 0]);
    assert_eq!(bench.ask(LEFT).await?, "11");
    let deleted =
        "SELECT count(*)::text FROM neon_identity.users_sync WHERE deleted_at IS NOT NULL";
    assert_eq!(bench.ask(deleted).await?, "251");
    // As erase_user leaves them: nothing that arrives late fills them again.
    for id in ["u00000", "unknown"] {
        let late = THEN + 400 * 24 * 3600 * SECOND;
        bench.join(&named(id, "Ada"), late, true).await?;
        assert_eq!(bench.existing(id).await?.raw_json, "{}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_kept_beside_the_table_goes_too() -> Result<()> {
    let bench = deleted(2, 30).await?;
    let store = &bench.store;
    for id in ["u00000", "living"] {
        store
            .reject_delivery(id, "why", b"ada@example.com", Some(&user(id)))
            .await?;
    }
    bench
        .run(
            "INSERT INTO neon_identity.deliveries (event_id, event, user_id, outcome)
            VALUES ('1', 'user.updated', 'u00000', 'updated'),
                ('2', 'user.updated', 'living', 'updated');
            INSERT INTO neon_identity.repairs (run_id, user_id, change)
            VALUES (1, 'u00000', 'updated'), (1, 'living', 'updated')",
        )
        .await?;
    store.erase_older_than(29).await?;
    let left = "SELECT string_agg(user_id, ' ') FROM (
            SELECT user_id FROM neon_identity.rejections
            UNION ALL SELECT user_id FROM neon_identity.deliveries
            UNION ALL SELECT user_id FROM neon_identity.repairs
        ) AS kept";
    assert_eq!(bench.ask(left).await?, "living living living");
    Ok(())
}

#[tokio::test]
async fn one_row_that_the_table_keeps_stops_no_other() -> Result<()> {
    let bench = deleted(120, 30).await?;
    bench
        .run(
            "CREATE FUNCTION public.keep() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF OLD.id = 'u00000' THEN RAISE EXCEPTION 'no'; END IF;
                IF OLD.id = 'u00001' THEN RETURN NULL; END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER keep BEFORE UPDATE ON neon_identity.users_sync
            FOR EACH ROW EXECUTE FUNCTION public.keep()",
        )
        .await?;
    let mut batches = Vec::new();
    for _ in 0..3 {
        let batch = bench.store.erase_older_than(29).await?;
        batches.push((batch.erased, batch.refused));
    }
    assert_eq!(batches, [(100, 2), (18, 2), (0, 2)]);
    assert_eq!(bench.ask(LEFT).await?, "2");
    Ok(())
}

#[tokio::test]
async fn a_row_that_somebody_holds_is_left_to_the_next_time() -> Result<()> {
    let bench = deleted(3, 30).await?;
    let mut holder = bench.database.connect().await?;
    let held = holder.transaction().await?;
    held.batch_execute("SELECT FROM neon_identity.users_sync WHERE id = 'u00001' FOR UPDATE")
        .await?;
    assert_eq!(bench.store.erase_older_than(29).await?.erased, 2);
    drop(held);
    drop(holder);
    assert_eq!(bench.ask(LEFT).await?, "1");
    let mut erased = 0;
    for _ in 0..200 {
        erased += bench.store.erase_older_than(29).await?.erased;
        if erased > 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!((erased, bench.ask(LEFT).await?.as_str()), (1, "0"));
    Ok(())
}

#[tokio::test]
async fn the_writer_gives_an_age_of_a_day_at_least_and_no_name() -> Result<()> {
    let bench = deleted(2, 30).await?;
    let writer = bench.database.login("writer").await?;
    bench
        .run(&format!("GRANT neon_identity_writer TO {}", login(&writer)))
        .await?;
    let writer = writer.as_str();
    run(writer, "SELECT neon_identity.erase_older_than(40)").await?;
    for age in ["0", "-1", "NULL", "-2147483648"] {
        let sql = format!("SELECT neon_identity.erase_older_than({age})");
        assert_eq!(refusal(writer, &sql).await?, "22023", "{age}");
    }
    let by_name = "SELECT neon_identity.erase_user('u00000')";
    assert_eq!(refusal(writer, by_name).await?, "42501");
    let stranger = bench.database.login("stranger").await?;
    let name = login(&stranger);
    bench
        .run(&format!("GRANT neon_identity_reader TO {name}"))
        .await?;
    let by_age = "SELECT neon_identity.erase_older_than(29)";
    assert_eq!(refusal(&stranger, by_age).await?, "42501");
    assert_eq!(bench.ask(LEFT).await?, "2");
    let erased = "SELECT erased::text FROM neon_identity.erase_older_than(29)";
    assert_eq!(ask(writer, erased).await?, "2");
    Ok(())
}

#[tokio::test]
async fn it_sees_the_rows_where_row_security_is_forced_upon_the_owner() -> Result<()> {
    let bench = deleted(2, 30).await?;
    bench
        .run(
            "ALTER TABLE neon_identity.users_sync ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
            ALTER TABLE neon_identity.rejections ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
        )
        .await?;
    let erased = "SELECT erased::text FROM neon_identity.erase_older_than(29)";
    assert_eq!(ask(bench.database.owner_url(), erased).await?, "2");
    assert_eq!(bench.ask(LEFT).await?, "0");
    let forced = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class
        WHERE relforcerowsecurity AND relnamespace = 'neon_identity'::regnamespace";
    assert_eq!(bench.ask(forced).await?, "rejections users_sync");
    Ok(())
}
