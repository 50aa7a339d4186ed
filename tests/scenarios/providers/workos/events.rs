//! `{"mode":"events"}`: the record of events, drained from a place of its own.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::simulator::{Call, Fault, LostCursor, Moment, Trouble, WorkOs};
use tests::stage::Stage;

use super::{Site, event};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn figures(report: &Value) -> Vec<(&str, i64)> {
    let figures = [
        "listed",
        "created",
        "updated",
        "unchanged",
        "deleted",
        "rejected",
        "pages",
    ];
    let figure = |name| Some((name, report[name].as_i64().filter(|count| *count > 0)?));
    figures.into_iter().filter_map(figure).collect()
}

/// A site that began so long ago, with one user that a run has taken in, and its id; the record is to
/// be drained from its first event on.
async fn at_the_first_event(ago: Duration) -> Result<(Site, String)> {
    let site = Site::begun(WorkOs::default(), ago).await?;
    let ada = site.stage.simulator.create("Ada", "ada@example.com")?;
    site.complete(json!({})).await?;
    let cursor = &site.stage.simulator.record()[0];
    let set = format!("UPDATE neon_identity.walk SET event_cursor = '{cursor}'");
    site.stage.execute(&set).await?;
    Ok((site, ada))
}

#[tokio::test]
async fn the_record_tells_what_webhooks_lost() -> Result<()> {
    let site = Site::new().await?;
    let simulator = &site.stage.simulator;
    let ada = simulator.create("Ada", "ada@example.com")?;
    let grace = simulator.create("Grace", "grace@example.com")?;
    let expected = [("listed", 2), ("created", 2), ("pages", 1)];
    assert_eq!(figures(&site.drain().await?), expected);
    site.stage.assert_in_sync().await?;

    site.wait();
    simulator.rename(&ada, "Ada King")?;
    simulator.rename(&ada, "Ada Lovelace")?;
    simulator.delete(&grace)?;
    let (_, deleted_at) = event(site.told().last().context("nothing told")?)?;
    let expected = [("listed", 1), ("updated", 1), ("deleted", 1), ("pages", 1)];
    assert_eq!(figures(&site.drain().await?), expected);
    site.stage.assert_in_sync().await?;
    let row = site.stage.the_row(&grace).await?;
    assert_eq!(row.deleted_at, Some(deleted_at));

    // Nothing new costs one page, and writes nothing.
    simulator.clear_requests();
    let versions = site.stage.versions().await?;
    assert_eq!(figures(&site.drain().await?), [("pages", 1)]);
    assert_eq!(site.stage.versions().await?, versions);
    let asked = simulator.requests();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0].path, "/events");
    assert!(!asked[0].query.contains("order"), "{asked:?}");
    // Nor does it for an instance that has just been started.
    simulator.clear_requests();
    let other = site.stage.start("reconcile").await?;
    let report = other.invoke(json!({"mode": "events"})).await?;
    assert_eq!(report["outcome"], "complete");
    assert_eq!(simulator.requests().len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_cursor_that_is_older_than_a_request_may_reach_back_is_not_asked_for() -> Result<()> {
    let (site, ada) = at_the_first_event(DAY * 40).await?;
    let simulator = &site.stage.simulator;
    simulator.clock().advance(DAY * 35);
    simulator.rename(&ada, "Ada King")?;
    simulator.clear_requests();
    let report = site.drain().await?;
    assert_eq!(report["updated"], 1, "{report}");
    let asked = simulator.requests();
    let first = asked
        .iter()
        .find(|asked| asked.path == "/events")
        .context("not asked")?;
    assert!(first.query.contains("&range_start="), "{first:?}");
    assert!(!first.query.contains("after="), "{first:?}");
    assert_eq!(site.cursor().await?, simulator.record().pop());
    site.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_refusal_that_names_no_cursor_keeps_it() -> Result<()> {
    let site = Site::new().await?;
    let simulator = &site.stage.simulator;
    simulator.create("Ada", "ada@example.com")?;
    site.drain().await?;
    let cursor = site.cursor().await?.context("no cursor")?;
    for status in [400, 404, 422] {
        for body in [
            r#"{"message":"Validation failed.","errors":[{"field":"limit","code":"invalid"}]}"#,
            r#"{"message":"Bad Request","code":"bad_request"}"#,
        ] {
            let refused = Trouble::every(Fault::answer(status, body)).on(Call::Events);
            simulator.add_trouble(refused);
            let failed = site.reconcile.invoke(json!({"mode": "events"})).await;
            let failed = failed.err().context("it did not fail")?;
            assert!(failed.error_message.contains("WorkOS answers"), "{failed}");
            assert_eq!(site.cursor().await?.as_ref(), Some(&cursor));
            simulator.clear_troubles();
        }
    }
    simulator.create("Grace", "grace@example.com")?;
    assert_eq!(site.drain().await?["created"], 1);
    Ok(())
}

#[tokio::test]
async fn events_that_were_delivered_already_change_nothing() -> Result<()> {
    let site = Site::new().await?;
    let simulator = &site.stage.simulator;
    simulator.create("Ada", "ada@example.com")?;
    let grace = simulator.create("Grace", "grace@example.com")?;
    site.wait();
    simulator.delete(&grace)?;
    for message in site.told() {
        site.deliver(&message).await?;
    }
    let report = site.drain().await?;
    assert_eq!(
        (&report["created"], &report["deleted"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(report["updated"], 0, "{report}");
    site.stage.assert_in_sync().await
}

#[tokio::test]
async fn no_webhook_moves_the_cursor_and_a_late_event_is_not_skipped() -> Result<()> {
    let site = Site::new().await?;
    let simulator = &site.stage.simulator;
    simulator.create("First", "first@example.com")?;
    let first = event(&site.told()[0])?.0;
    site.drain().await?;
    assert_eq!(site.cursor().await?, Some(first.clone()));

    // Its webhook is lost, and the record shows it late; the next one's webhook arrives.
    simulator.switch(|switches| switches.record_lag_ms = 60_000);
    let late = simulator.create("Late", "late@example.com")?;
    site.wait();
    simulator.create("Next", "next@example.com")?;
    let told = site.told();
    site.deliver(&told[1]).await?;
    assert_eq!(site.cursor().await?, Some(first.clone()));
    site.drain().await?;
    assert_eq!(site.cursor().await?, Some(first.clone()));
    assert_eq!(site.stage.row(&late).await?, None);

    // One that overtakes them in the record moves the cursor, and hides neither.
    simulator.switch(|switches| switches.record_lag_ms = 0);
    simulator.create("Quick", "quick@example.com")?;
    let quick = event(&site.told()[0])?.0;
    site.drain().await?;
    assert_eq!(site.cursor().await?, Some(quick));
    assert_eq!(site.stage.row(&late).await?, None);

    simulator.clock().advance(Duration::from_secs(60));
    site.drain().await?;
    assert_eq!(site.cursor().await?, Some(event(&told[1])?.0));
    assert!(site.stage.the_row(&late).await?.lives());
    site.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_run_that_breaks_off_keeps_the_pages_that_it_applied() -> Result<()> {
    let site = Site::new().await?;
    let simulator = &site.stage.simulator;
    for number in 0..250 {
        simulator.create("Ada", &format!("user{number}@example.com"))?;
        site.wait();
    }
    let record = simulator.record();
    simulator.add_trouble(Trouble::every(Fault::Html(502)).on(Call::Events).after(2));
    let limit = Duration::from_secs(12);
    let events = json!({"mode": "events"});
    let report = site.reconcile.invoke_with_deadline(events, limit).await;
    let (two_pages, rest) = (200, 50);
    match report {
        Ok(report) => assert_eq!(report["outcome"], "partial", "{report}"),
        Err(error) => assert_eq!(error.error_type, "Failed", "{error}"),
    }
    assert_eq!(site.cursor().await?, Some(record[two_pages - 1].clone()));
    assert_eq!(site.stage.table().await?.len(), two_pages);

    simulator.clear_troubles();
    let report = site.drain().await?;
    assert_eq!(report["created"], rest, "{report}");
    site.stage.assert_in_sync().await
}

// The provider stands still for a while, on a thread of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_killed_between_a_page_and_its_cursor_loses_nothing() -> Result<()> {
    let site = Site::new().await?;
    let simulator = &site.stage.simulator;
    simulator.create("Ada", "ada@example.com")?;
    let gone = simulator.create("Grace", "grace@example.com")?;
    site.wait();
    simulator.delete(&gone)?;
    site.told();

    // Somebody holds the row that the cursor is in, from when the page is asked for.
    let blocker = site.stage.database.connect().await?;
    let (asked, page) = tokio::sync::oneshot::channel();
    let (held, go_on) = std::sync::mpsc::channel();
    simulator.once(Moment::Before, Call::Events, 0, move |_| {
        // The receiver is gone if sending fails.
        let _ = asked.send(());
        let _ = go_on.recv_timeout(Duration::from_secs(20));
    });
    let run = site.reconcile.invoke(json!({"mode": "events"}));
    let killed = async {
        page.await?;
        blocker
            .batch_execute("BEGIN; SELECT FROM neon_identity.walk FOR UPDATE")
            .await?;
        held.send(())?;
        while site.stage.table().await?.len() < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        site.reconcile.kill();
        anyhow::Ok(())
    };
    let killed = tokio::time::timeout(Duration::from_secs(25), killed);
    let (run, killed) = tokio::join!(run, killed);
    killed.context("nothing was applied")??;
    assert!(run.is_err());
    // Postgres would do what it was asked to, though nobody waits for it any more.
    blocker
        .batch_execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock';
            ROLLBACK",
        )
        .await?;
    assert_eq!(site.cursor().await?, None);

    // The next one waits for the lease, and does it all again, to the same effect.
    site.stage
        .execute("UPDATE neon_identity.walk SET lease_until = clock_timestamp()")
        .await?;
    site.reconcile.spawn_instance().await?;
    site.reconcile.ready().await?;
    site.drain().await?;
    assert_eq!(site.cursor().await?, simulator.record().pop());
    site.stage.assert_in_sync().await?;
    let outcomes = site
        .stage
        .json("SELECT outcome FROM neon_identity.runs ORDER BY id")
        .await?;
    assert_eq!(
        outcomes,
        [json!({"outcome": "failed"}), json!({"outcome": "complete"})]
    );
    Ok(())
}

#[tokio::test]
async fn of_two_runs_at_once_one_is_busy() -> Result<()> {
    let site = Site::new().await?;
    let simulator = &site.stage.simulator;
    simulator.create("Ada", "ada@example.com")?;
    simulator.add_trouble(Trouble::next(1, Fault::Late(4_000)).on(Call::Events));
    let other = site.stage.start("reconcile").await?;
    let second = async {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        other.invoke(json!({"mode": "events"})).await
    };
    let (first, second) = tokio::join!(site.drain(), second);
    assert_eq!(first?["created"], 1);
    assert_eq!(second?["outcome"], "busy");
    assert_eq!(simulator.count(Call::Events), 1);
    site.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_record_that_forgot_the_cursor_is_said_once_and_a_listing_repairs() -> Result<()> {
    let (site, ada) = at_the_first_event(DAY * 100).await?;
    let simulator = &site.stage.simulator;
    site.wait();
    // Told while nobody drains, and forgotten by the time somebody does.
    simulator.delete(&ada)?;
    simulator.create("Grace", "grace@example.com")?;
    site.told();
    simulator.clock().advance(DAY * 91);
    let failed = site.reconcile.invoke(json!({"mode": "events"})).await;
    let failed = failed.err().context("it did not fail")?;
    assert_eq!(failed.error_type, "Failed");
    assert!(
        failed.error_message.contains("run reconcile without mode"),
        "{failed}"
    );
    assert!(site.stage.the_row(&ada).await?.lives());

    site.complete(json!({})).await?;
    site.stage.assert_in_sync().await?;
    // And the record goes on.
    assert_eq!(site.cursor().await?, None);
    simulator.clock().advance(DAY * 8);
    simulator.create("Hedy", "hedy@example.com")?;
    let report = site.drain().await?;
    assert_eq!(report["created"], 1, "{report}");
    assert_eq!(site.cursor().await?, simulator.record().pop());
    site.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_record_that_begins_anew_at_an_unknown_cursor_does_no_harm() -> Result<()> {
    let site = Site::of(WorkOs {
        lost_cursor: LostCursor::FromStart,
        ..WorkOs::default()
    })
    .await?;
    let simulator = &site.stage.simulator;
    let ada = simulator.create("Ada", "ada@example.com")?;
    site.wait();
    simulator.rename(&ada, "Ada King")?;
    site.drain().await?;
    site.stage
        .execute("UPDATE neon_identity.walk SET event_cursor = 'event_unknown'")
        .await?;
    let report = site.drain().await?;
    assert_eq!(
        figures(&report),
        [("listed", 1), ("unchanged", 1), ("pages", 1)]
    );
    site.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_bad_event_of_the_record_is_kept_and_stops_nothing() -> Result<()> {
    let site = Site::new().await?;
    let simulator = &site.stage.simulator;
    simulator.create("Before", "before@example.com")?;
    let no_user = json!({"id": "event_bad", "event": "user.updated", "data": {"id": 7}});
    let bad = simulator.tell("user.updated", no_user.to_string());
    simulator.create("After", "after@example.com")?;
    let report = site.drain().await?;
    assert_eq!(
        (&report["created"], &report["rejected"]),
        (&json!(2), &json!(1))
    );
    site.stage.assert_in_sync().await?;
    // Its webhook, and a second drain, keep it no second time.
    assert_eq!(site.stage.deliver(&bad).await?, 400);
    site.stage
        .execute("UPDATE neon_identity.walk SET event_cursor = NULL")
        .await?;
    site.drain().await?;
    let rejections = site.stage.rejections().await?;
    assert_eq!(rejections.len(), 1, "{rejections:?}");
    assert_eq!(rejections[0]["event_id"], "event_bad");
    assert_eq!(site.cursor().await?, simulator.record().pop());
    Ok(())
}

#[tokio::test]
async fn a_deletion_without_its_time_is_confirmed_by_a_read() -> Result<()> {
    let site = Site::new().await?;
    let simulator = &site.stage.simulator;
    let bob = simulator.create("Bob", "bob@example.com")?;
    site.drain().await?;
    let nobody = "user_01E4ZCR3C56J083X43JQXF3JK5".to_owned();
    let ensure = format!("SELECT neon_identity.ensure_user('{nobody}')");
    site.stage.execute(&ensure).await?;
    for id in [&nobody, &bob] {
        let data = json!({"object": "user", "id": id});
        let event = json!({"id": format!("event_of_{id}"), "event": "user.deleted", "data": data});
        simulator.tell("user.deleted", event.to_string());
    }
    let report = site.drain().await?;
    assert_eq!(report["deleted"], 1, "{report}");
    assert!(!site.stage.the_row(&nobody).await?.lives());
    assert!(site.stage.the_row(&bob).await?.lives());
    Ok(())
}

#[tokio::test]
async fn a_record_that_does_not_answer_is_a_failure_and_not_a_lack_of_time() -> Result<()> {
    let site = Site::new().await?;
    site.stage.simulator.create("Ada", "ada@example.com")?;
    let hang = Trouble::every(Fault::Hang).on(Call::Events);
    site.stage.simulator.add_trouble(hang);
    let limit = Duration::from_secs(8);
    let events = json!({"mode": "events"});
    let failed = site.reconcile.invoke_with_deadline(events, limit).await;
    let failed = failed.err().context("it did not fail")?;
    assert_eq!(failed.error_type, "Failed", "{failed}");
    let run = site.stage.runs().await?.pop().context("a run")?;
    assert_eq!(run["outcome"], "failed", "{run}");
    Ok(())
}

#[tokio::test]
async fn another_provider_keeps_no_record_and_the_run_says_so() -> Result<()> {
    let stage = Stage::new().await?;
    let reconcile = stage.reconcile().await?;
    let failed = reconcile.invoke(json!({"mode": "events"})).await;
    let failed = failed.err().context("it did not fail")?;
    assert_eq!(failed.error_type, "Failed");
    assert!(
        failed
            .error_message
            .contains("stack keeps no record of events"),
        "{failed}"
    );
    let dry = json!({"mode": "events", "dry_run": true});
    let failed = reconcile
        .invoke(dry)
        .await
        .err()
        .context("it did not fail")?;
    assert!(failed.error_message.contains("leave out mode"), "{failed}");
    Ok(())
}
