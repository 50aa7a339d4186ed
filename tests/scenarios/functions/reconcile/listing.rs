//! The listing that a run reads: it breaks off, stumbles, moves while it is read, or is too large.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::simulator::{Call, Clerk, Fault, Moment, RateLimit, Trouble};
use tests::stage::{Setup, Stage};

use super::{PAGE, STALENESS, assert_figures};

#[tokio::test]
async fn a_listing_that_breaks_off_tombstones_nobody() -> Result<()> {
    let faults = [
        Fault::Status(500),
        Fault::Html(200),
        Fault::Html(404),
        Fault::Status(403),
        Fault::Truncated,
        Fault::CutOff,
    ];
    let check = async |fault: Fault| -> Result<()> {
        let stage = Stage::backfilled(2_500).await?;
        let simulator = &stage.simulator;
        let ids = stage.ids();
        // One more or less, within the brake and in the first page.
        simulator.delete(&ids[0])?;
        let renamed = &ids[1];
        tokio::time::sleep(STALENESS).await;
        simulator.rename(renamed, "Before it broke")?;
        let trouble = Trouble::every(fault.clone()).on(Call::List).after(2);
        simulator.add_trouble(trouble);
        let error = stage.fails(json!({}), "Failed").await?;
        // A refused key is not mended by another run.
        let advice = match fault {
            Fault::Status(403) => "provider.secret_server_key",
            _ => "next run",
        };
        ensure!(error.error_message.contains(advice), "{error}");
        ensure!(
            stage.living().await? == 2_500,
            "{fault:?}: somebody is tombstoned"
        );
        let row = stage.the_row(renamed).await?;
        ensure!(
            row.name.as_deref() == Some("Before it broke"),
            "what was applied stays"
        );
        let last = stage.runs().await?.pop().context("a run")?;
        ensure!(last["outcome"] == "failed" && last["finished_at"].is_string());
        ensure!(last["error"] == error.error_message && last["deleted"] == 0);
        simulator.clear_troubles();
        stage.complete(json!({})).await?;
        stage.assert_in_sync().await
    };
    futures_util::future::try_join_all(faults.map(check)).await?;
    Ok(())
}

#[tokio::test]
async fn a_listing_that_stumbles_goes_on() -> Result<()> {
    let stage = Stage::seeded(4_000).await?;
    let simulator = &stage.simulator;
    for (fault, after) in [
        (Fault::Status(502), 0),
        (Fault::Truncated, 1),
        (Fault::Html(200), 2),
        (Fault::Dropped, 3),
        (Fault::TooManyRequests { retry_after: None }, 4),
    ] {
        simulator.add_trouble(Trouble::next(1, fault).on(Call::List).after(after));
    }
    let report = stage.complete(json!({})).await?;
    assert_figures(&report, &[("listed", 4_000), ("created", 4_000)]);
    stage.assert_in_sync().await
}

#[tokio::test]
async fn a_user_whom_the_cursor_names_may_be_deleted_meanwhile() -> Result<()> {
    // Places in the listing who are deleted after the first page: 1000 is the first of the next.
    for gone in [
        PAGE..=PAGE,
        PAGE - 1..=PAGE,
        PAGE - 5..=PAGE + 5,
        0..=PAGE,
        0..=PAGE + 200,
    ] {
        let stage = Stage::seeded(2_500).await?;
        let ids = stage.ids();
        let deleted = ids[gone.clone()].to_vec();
        let hook = deleted.clone();
        stage
            .simulator
            .once(Moment::After, Call::List, 0, move |world| {
                for id in &hook {
                    world.delete(id).expect("a user to delete");
                }
            });
        let most = deleted.len();
        stage.complete(json!({"max_deletes": most})).await?;
        // Users deleted after the walk had passed them are left to the next one.
        for id in &ids[PAGE + 201..] {
            let row = stage.row(id).await?;
            assert!(row.is_some_and(|row| row.lives()), "{gone:?}");
        }
        stage.complete(json!({"max_deletes": most})).await?;
        stage.assert_in_sync().await?;
    }
    Ok(())
}

#[tokio::test]
async fn users_may_come_go_and_move_at_every_page() -> Result<()> {
    let stage = Stage::seeded(4_500).await?;
    let (ids, simulator) = (stage.ids(), &stage.simulator);
    let anonymous: Vec<String> = simulator
        .truth()
        .filter(|user| user.reading.email.is_none())
        .map(|user| user.id)
        .collect();
    assert!(
        anonymous.contains(&ids[PAGE - 1]),
        "the last of a page moves"
    );
    for page in 0..4_u32 {
        let at = usize::try_from(page + 1)? * PAGE;
        // Of the pages that were walked past, and of those to come.
        let moved: Vec<String> = anonymous
            .iter()
            .filter(|id| {
                let place = ids.iter().position(|other| other == *id);
                place.is_some_and(|place| place == at - 1 || place == at + 249)
            })
            .cloned()
            .collect();
        let deleted = [ids[at - 2].clone(), ids[at].clone(), ids[at - 700].clone()];
        simulator.once(Moment::After, Call::List, page, move |world| {
            for id in &deleted {
                world.delete(id).expect("a user to delete");
            }
            for (number, id) in moved.iter().enumerate() {
                let email = format!("moved{page}-{number}@example.com");
                world
                    .anonymous_signs_up(id, "Moved", &email)
                    .expect("a user to move");
            }
            world
                .create("New", &format!("new{page}@example.com"))
                .expect("a new user");
        });
    }
    stage.complete(json!({"max_deletes": 100})).await?;
    let living: Vec<String> = stage.ids();
    for id in &living {
        let row = stage.row(id).await?;
        assert!(
            row.is_none_or(|row| row.lives()),
            "a living user is tombstoned"
        );
    }
    // Changes to users that the walk has passed are left to the next one.
    tokio::time::sleep(STALENESS).await;
    stage.complete(json!({"max_deletes": 100})).await?;
    stage.assert_in_sync().await
}

#[tokio::test]
async fn an_older_server_that_refuses_parameters_is_walked_without_them() -> Result<()> {
    let refusals: [&[&str]; 2] = [
        &["include_restricted"],
        &["include_restricted", "include_anonymous"],
    ];
    for refused in refusals {
        let stage = Stage::backfilled(1_500).await?;
        stage.simulator.switch(|switches| {
            switches.refused_parameters = refused.iter().map(|name| (*name).to_owned()).collect();
        });
        let deleted = stage.ids().swap_remove(3);
        stage.simulator.delete(&deleted)?;
        // Those who are not listed any more are there all the same.
        let report = stage.complete(json!({})).await?;
        assert_eq!(report["deleted"], 1, "{report}");
        stage.assert_in_sync().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_rate_limit_is_waited_out() -> Result<()> {
    for retry_after in [false, true] {
        let stage = Stage::seeded(5_000).await?;
        stage.simulator.switch(|switches| {
            switches.rate_limit = Some(RateLimit {
                per_second: 2,
                retry_after,
            });
        });
        let report = stage.complete(json!({})).await?;
        assert_figures(&report, &[("listed", 5_000), ("created", 5_000)]);
        stage.assert_in_sync().await?;
        // Also where each missing user is read.
        for id in &stage.ids()[..9] {
            stage.simulator.delete(id)?;
        }
        let report = stage.complete(json!({})).await?;
        assert_eq!(report["deleted"], 9, "{report}");
        stage.assert_in_sync().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_page_that_is_too_large_is_asked_for_in_parts() -> Result<()> {
    let stage = Stage::seeded(200).await?;
    let (ids, simulator) = (stage.ids(), &stage.simulator);
    let filling = "x".repeat(340_000);
    for id in &ids[50..170] {
        simulator.set_metadata(id, json!({"text": filling}))?;
    }
    let report = stage.complete(json!({})).await?;
    assert_figures(&report, &[("listed", 200), ("created", 200)]);
    stage.assert_in_sync().await
}

#[tokio::test]
async fn a_user_who_appears_while_the_others_are_made_is_joined() -> Result<()> {
    let stage = Stage::of(Setup::of(Clerk::default())).await?;
    stage.simulator.seed(20);
    let id = stage.simulator.create("Ada", "ada@example.com")?;
    let mut delivery = tests::postgres::connect(stage.database.admin_url()).await?;
    let delivery = delivery.transaction().await?;
    delivery
        .batch_execute(&format!(
            "INSERT INTO neon_identity.users_sync (raw_json, id, name, updated_at)
            VALUES ('{{\"id\": \"{id}\"}}', '{id}', 'another', now() + interval '1 second')"
        ))
        .await?;
    let appears = async {
        let waits = "SELECT pid FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while stage.query(waits, &[]).await?.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        delivery.commit().await.context("commit")
    };
    let (report, ()) = tokio::try_join!(stage.complete(json!({})), appears)?;
    // The row that was put in has no version of the provider's, so it is put right.
    assert_figures(&report, &[("listed", 21), ("created", 20), ("updated", 1)]);
    stage.assert_in_sync().await
}

/// Neither Postgres nor the provider waits for a page to be read; and no more pages are held in
/// memory than that takes.
#[tokio::test]
async fn while_postgres_has_a_page_the_next_two_are_fetched() -> Result<()> {
    let stage = Stage::seeded(4_500).await?;
    let mut busy = tests::postgres::connect(stage.database.admin_url()).await?;
    let busy = busy.transaction().await?;
    busy.batch_execute("LOCK TABLE neon_identity.users_sync")
        .await?;
    let asked = || stage.simulator.count(Call::List);
    let look = async {
        for _ in 0..4_000 {
            if asked() >= 3 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Time enough for one too many.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let pages = asked();
        busy.commit().await?;
        anyhow::Ok(pages)
    };
    let (report, pages) = tokio::try_join!(stage.complete(json!({})), look)?;
    ensure!(pages == 3, "{pages} pages were asked for");
    assert_figures(&report, &[("listed", 4_500), ("created", 4_500)]);
    stage.assert_in_sync().await
}

/// Without a whole run before, users are taken for new ones: those who have rows are found all the
/// same, whatever their rows say.
#[tokio::test]
async fn users_who_have_rows_before_the_first_run_are_found_among_new_ones() -> Result<()> {
    let stage = Stage::seeded(2_200).await?;
    stage.complete(json!({})).await?;
    let ids = stage.ids();
    let [same, other, gone, named] = [&ids[100], &ids[1_150], &ids[1_160], &ids[2_100]];
    stage
        .execute(&format!(
            "UPDATE neon_identity.walk SET completed_at = NULL;
            DELETE FROM neon_identity.users_sync
                WHERE id NOT IN ('{same}', '{other}', '{gone}');
            UPDATE neon_identity.users_sync
                SET name = 'Other', updated_at = now() - interval '1 hour' WHERE id = '{other}';
            UPDATE neon_identity.users_sync SET deleted_at = now() WHERE id = '{gone}';
            SELECT neon_identity.ensure_user('{named}')"
        ))
        .await?;
    let report = stage.complete(json!({})).await?;
    let figures = [
        ("listed", 2_200),
        ("created", 2_196),
        ("unchanged", 1),
        ("updated", 2),
        ("revived", 1),
    ];
    assert_figures(&report, &figures);
    stage.assert_in_sync().await
}

/// Pages of new users are written side by side; where Postgres gives no second connection, one after
/// the other.
#[tokio::test]
async fn pages_of_new_users_are_written_on_two_connections_if_there_are_two() -> Result<()> {
    for (limit, expected) in [(-1, 2), (1, 1)] {
        let stage = Stage::seeded(2_500).await?;
        let url = stage.database.url();
        let (_, user) = url.split_once("://").context("a URL")?;
        let (user, _) = user.split_once(':').context("a URL")?;
        stage
            .execute(&format!("ALTER ROLE {user} CONNECTION LIMIT {limit}"))
            .await?;
        let mut busy = tests::postgres::connect(stage.database.admin_url()).await?;
        let busy = busy.transaction().await?;
        // A user of each of the first two pages, of whom nobody knows yet whether they have rows.
        let ids = [&stage.ids()[0], &stage.ids()[PAGE + 500]];
        busy.batch_execute(&format!(
            "INSERT INTO neon_identity.users_sync (raw_json, id)
            VALUES ('{{}}', '{}'), ('{{}}', '{}')",
            ids[0], ids[1]
        ))
        .await?;
        let look = async {
            let waiting = async || {
                let sql = "SELECT pid FROM pg_stat_activity
                    WHERE datname = current_database() AND wait_event_type = 'Lock'";
                anyhow::Ok(stage.query(sql, &[]).await?.len())
            };
            for _ in 0..4_000 {
                if waiting().await? >= expected {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            // Time enough for one too many.
            tokio::time::sleep(Duration::from_millis(300)).await;
            let waiting = waiting().await?;
            busy.rollback().await?;
            anyhow::Ok(waiting)
        };
        let (report, waiting) = tokio::try_join!(stage.complete(json!({})), look)?;
        ensure!(
            waiting == expected,
            "{waiting} statements waited, of {limit}"
        );
        assert_figures(&report, &[("listed", 2_500), ("created", 2_500)]);
        stage.assert_in_sync().await?;
    }
    Ok(())
}

/// A run that has to stop withdraws what it has asked about pages: Postgres would go on with it.
#[tokio::test]
async fn what_was_asked_about_pages_is_withdrawn_when_the_lease_is_lost() -> Result<()> {
    let stage = Stage::seeded(1_500).await?;
    stage
        .execute(
            "CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN PERFORM pg_sleep(120); RETURN NEW; END $$;
            CREATE TRIGGER slow BEFORE INSERT ON neon_identity.users_sync
                FOR EACH ROW EXECUTE FUNCTION public.slow()",
        )
        .await?;
    let sleeping = async || {
        let sql = "SELECT pid FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event = 'PgSleep'";
        anyhow::Ok(stage.query(sql, &[]).await?.len())
    };
    let take_over = async {
        while sleeping().await? < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stage
            .execute("UPDATE neon_identity.walk SET run_id = NULL")
            .await
    };
    let limit = Duration::from_secs(100);
    let reconcile = stage.reconcile().await?;
    let run = async { anyhow::Ok(reconcile.invoke_with_deadline(json!({}), limit).await) };
    let begun = Instant::now();
    let (ended, ()) = tokio::try_join!(run, take_over)?;
    let error = ended.err().context("the run ended well")?;
    ensure!(error.error_message.contains("took over"), "{error}");
    // The lease is looked at every 7 seconds.
    let waited = begun.elapsed();
    ensure!(waited < Duration::from_secs(40), "it took {waited:?}");
    for _ in 0..200 {
        if sleeping().await? == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    anyhow::bail!("a statement goes on after {error}")
}

/// The application's trigger keeps a user out without an error.
#[tokio::test]
async fn a_user_whom_a_trigger_leaves_out_is_a_rejection_and_the_others_are_made() -> Result<()> {
    let stage = Stage::seeded(20).await?;
    stage
        .execute(&format!(
            "CREATE FUNCTION public.leave_out() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RETURN CASE WHEN NEW.id = '{}' THEN NULL ELSE NEW END; END $$;
            CREATE TRIGGER leave_out BEFORE INSERT ON neon_identity.users_sync
                FOR EACH ROW EXECUTE FUNCTION public.leave_out()",
            stage.ids()[7]
        ))
        .await?;
    let report = stage.complete(json!({})).await?;
    assert_figures(&report, &[("listed", 20), ("created", 19), ("rejected", 1)]);
    Ok(())
}
