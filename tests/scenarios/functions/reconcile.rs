//! `reconcile`: whatever the table says before, afterwards it says what the provider does.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::function::Function;
use tests::meter::Meter;
use tests::postgres::{Mode, Options, Postgres};
use tests::runtime_api::FunctionError;
use tests::simulator::{Call, Fault, Moment, RateLimit, Trouble};
use tests::stage::{Setup, Stage};

use crate::delivery::Endpoint;

/// Users of a page, as the adapter asks for them.
const PAGE: usize = 1_000;

/// A little longer than a read of Stack Auth's may be behind.
const STALENESS: Duration = Duration::from_millis(1_300);

/// All figures but the time.
const FIGURES: [&str; 9] = [
    "listed",
    "created",
    "updated",
    "unchanged",
    "deleted",
    "revived",
    "rejected",
    "held",
    "pages",
];

/// A stage with some users, and one instance of `reconcile`.
struct Run {
    stage: Stage,
    reconcile: Function,
}

impl Run {
    async fn new(users: u64) -> Result<Self> {
        Self::of(Stage::new().await?, users).await
    }

    async fn of(stage: Stage, users: u64) -> Result<Self> {
        stage.simulator.seed(users);
        let reconcile = stage.reconcile().await?;
        Ok(Self { stage, reconcile })
    }

    /// With these users in the table.
    async fn backfilled(users: u64) -> Result<Self> {
        let run = Self::new(users).await?;
        run.complete(json!({})).await?;
        Ok(run)
    }

    /// Runs until the end, and expects it to be reached.
    async fn complete(&self, event: Value) -> Result<Value> {
        // Lambda's own limit: on a busy machine less makes a large run rightly partial.
        let limit = Duration::from_secs(900);
        let report = self.reconcile.invoke_with_deadline(event, limit).await;
        let report = report.with_context(|| self.reconcile.logs().unwrap_or_default())?;
        ensure!(report["outcome"] == "complete", "{report}");
        let run = self.stage.runs().await?.pop().context("a run")?;
        for figure in FIGURES.iter().chain(&["outcome", "duration_ms"]) {
            ensure!(run[figure] == report[figure], "{figure}: {run} {report}");
        }
        ensure!(run["finished_at"].is_string() && run["error"].is_null());
        Ok(report)
    }

    /// Runs, and expects the invocation to fail as `kind`.
    async fn fails(&self, event: Value, kind: &str) -> Result<FunctionError> {
        let limit = Duration::from_secs(120);
        let report = self.reconcile.invoke_with_deadline(event, limit).await;
        let error = report.err().context("it did not fail")?;
        ensure!(error.error_type == kind, "{error}");
        Ok(error)
    }

    /// Runs, and expects it to be held; the report.
    async fn held(&self, event: Value) -> Result<Value> {
        let error = self.fails(event, "Held").await?;
        let report: Value = serde_json::from_str(&error.error_message)?;
        ensure!(report["outcome"] == "held" && report["deleted"] == 0);
        let run = self.stage.runs().await?.pop().context("a run")?;
        for figure in FIGURES.iter().chain(&["outcome", "duration_ms"]) {
            ensure!(run[figure] == report[figure], "{figure}: {run} {report}");
        }
        Ok(report)
    }

    /// The ids of all users, in the order of their sign-up.
    fn ids(&self) -> Vec<String> {
        self.stage.simulator.truth().map(|user| user.id).collect()
    }

    async fn living(&self) -> Result<usize> {
        let table = self.stage.table().await?;
        Ok(table.iter().filter(|row| row.lives()).count())
    }
}

fn assert_figures(report: &Value, expected: &[(&str, usize)]) {
    for figure in FIGURES.iter().filter(|figure| **figure != "pages") {
        let wanted = expected.iter().find(|(name, _)| name == figure);
        let wanted = wanted.map_or(0, |(_, number)| *number);
        assert_eq!(report[figure], wanted, "{figure}: {report}");
    }
}

// The first run, and the next.

#[tokio::test]
async fn ten_thousand_users_are_in_the_table_in_seconds_and_again_for_few_bytes() -> Result<()> {
    let stage = Stage::new().await?;
    let meter = Meter::start(Postgres::shared().await?.port()).await?;
    let url = stage.database.url().to_owned();
    stage.change_secret(|secret| secret["database_url"] = json!(meter.url(&url)))?;
    let run = Run::of(stage, 10_000).await?;
    let began = Instant::now();
    let report = run.complete(json!({})).await?;
    let took = began.elapsed();
    let first = meter.sent();
    assert_figures(&report, &[("listed", 10_000), ("created", 10_000)]);
    // Each page begins with the last user of the one before.
    assert_eq!(report["pages"], 11);
    assert!(took < Duration::from_secs(30), "10 000 users took {took:?}");
    run.stage.assert_in_sync().await?;

    let before = run.stage.versions().await?;
    let report = run.complete(json!({})).await?;
    let second = meter.sent();
    say(&format!(
        "10 000 users: {took:?}, {first} bytes to Postgres; again: {second}"
    ));
    assert_figures(&report, &[("listed", 10_000), ("unchanged", 10_000)]);
    assert!(run.stage.versions().await? == before, "a tuple was written");
    assert!(
        second * 8 < first && second < 10_000 * 150,
        "{first} bytes to Postgres, then {second}"
    );
    Ok(())
}

#[tokio::test]
async fn nobody_at_the_provider_and_nobody_in_the_table_is_complete() -> Result<()> {
    let run = Run::new(0).await?;
    let report = run.complete(json!({})).await?;
    assert_figures(&report, &[]);
    run.stage.assert_in_sync().await
}

#[tokio::test]
async fn events_of_the_scheduler_are_taken_and_unknown_fields_are_refused() -> Result<()> {
    let run = Run::new(3).await?;
    let scheduled = include_str!("../../../events/lambda/reconcile.scheduled.json");
    run.complete(serde_json::from_str(scheduled)?).await?;
    run.stage.assert_in_sync().await?;
    for event in [
        json!({"max_delete": 1}),
        json!({"dryrun": true}),
        json!({"dry_run": "true"}),
        json!({"dry_run": 1}),
        json!({"max_deletes": -1}),
        json!({"max_deletes": 1.5}),
        json!({"max_deletes": "1"}),
        json!({"max_deletes": 1, "force": true}),
        json!([]),
        json!("dry_run"),
    ] {
        let error = run.fails(event.clone(), "Failed").await?;
        assert!(error.error_message.len() > 10, "{event}");
    }
    assert_eq!(run.stage.runs().await?.len(), 1, "nothing was begun");
    Ok(())
}

// What is put right.

#[tokio::test]
async fn each_column_edited_by_hand_is_put_right() -> Result<()> {
    let edits = [
        "raw_json = '{}'",
        "raw_json = 'null'",
        "raw_json = raw_json || '{\"more\": 1}'",
        "raw_json = raw_json - 'display_name'",
        "name = 'x'",
        "name = NULL",
        "name = ''",
        "email = 'x'",
        "email = NULL",
        "created_at = created_at + interval '1 microsecond'",
        "created_at = NULL",
        "created_at = 'infinity'",
        "created_at = '-infinity'",
        "updated_at = NULL",
        "updated_at = now() + interval '1 year'",
        "updated_at = now() + interval '1 year', name = 'x'",
        "updated_at = 'infinity'",
        "updated_at = 'infinity', email = 'x'",
        "updated_at = '2000-01-01', name = 'x'",
        "updated_at = '-infinity', name = 'x'",
        "updated_at = NULL, raw_json = '{}', name = NULL, email = NULL, created_at = NULL",
        "deleted_at = now()",
        "deleted_at = now() + interval '1 year'",
        "deleted_at = 'infinity'",
        "deleted_at = '2000-01-01'",
        "deleted_at = now(), name = 'x', updated_at = 'infinity'",
        "id = 'put in by hand'",
        "id = '00000000-0000-4000-8000-000000000000'",
        "id = upper(id)",
    ];
    let users = u64::try_from(edits.len())? + 10;
    let run = Run::backfilled(users).await?;
    // Whoever never gave a name can't lose it.
    let named = run.stage.simulator.truth().filter(|user| {
        let reading = &user.reading;
        reading.name.is_some() && reading.email.is_some()
    });
    let ids: Vec<String> = named.map(|user| user.id).take(edits.len()).collect();
    assert_eq!(ids.len(), edits.len());
    for (id, edit) in ids.iter().zip(edits) {
        let statement = format!("UPDATE neon_identity.users_sync SET {edit} WHERE id = '{id}'");
        run.stage.execute(&statement).await?;
    }
    let report = run.complete(json!({})).await?;
    run.stage.assert_in_sync().await?;
    assert_eq!(report["deleted"], 3, "three ids that are nobody's");
    assert_eq!(report["created"], 3, "and three that were missing");
    assert_eq!(report["revived"], 5);
    assert_eq!(report["listed"], users);

    let before = run.stage.versions().await?;
    let report = run.complete(json!({})).await?;
    assert_eq!(report["unchanged"], users, "{report}");
    assert!(run.stage.versions().await? == before);
    Ok(())
}

#[tokio::test]
async fn changes_that_no_webhook_told_are_repaired() -> Result<()> {
    let run = Run::backfilled(60).await?;
    tokio::time::sleep(STALENESS).await;
    let (ids, simulator) = (run.ids(), &run.stage.simulator);
    simulator.change_email_via_contact_channel(&ids[0], "new@example.com")?;
    simulator.link_oauth(&ids[1], "github")?;
    simulator.touch_activity(&ids[2])?;
    simulator.rename(&ids[3], "Lost on the way")?;
    let deleted = run.stage.the_row(&ids[4]).await?;
    simulator.delete(&ids[4])?;
    simulator.create("New", "newest@example.com")?;
    simulator.create_anonymous()?;
    let report = run.complete(json!({})).await?;
    assert_figures(
        &report,
        &[
            ("listed", 61),
            ("created", 2),
            ("updated", 4),
            ("unchanged", 55),
            ("deleted", 1),
        ],
    );
    run.stage.assert_in_sync().await?;
    let mut row = run.stage.the_row(&ids[4]).await?;
    assert!(row.deleted_at.take() >= row.updated_at);
    assert_eq!(row, deleted, "the profile is kept");
    Ok(())
}

#[tokio::test]
async fn anonymous_and_restricted_users_are_listed() -> Result<()> {
    let run = Run::backfilled(100).await?;
    let table = run.stage.table().await?;
    let count = |word: &str| {
        let shows = |row: &&tests::stage::Row| row.raw_json.contains(word);
        table.iter().filter(shows).count()
    };
    assert_eq!(count(r#""is_anonymous": true"#), 2);
    assert_eq!(count(r#""restricted_by_admin": true"#), 2);
    run.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_false_tombstone_is_cleared_by_a_run_and_not_by_a_delivery() -> Result<()> {
    let end = Endpoint::new().await?;
    let id = end.stage.simulator.create("Ada", "ada@example.com")?;
    end.deliver_all().await?;
    end.stage
        .execute("UPDATE neon_identity.users_sync SET deleted_at = clock_timestamp()")
        .await?;
    tokio::time::sleep(STALENESS).await;
    end.stage.simulator.rename(&id, "Countess")?;
    end.deliver_all().await?;
    assert!(!end.stage.the_row(&id).await?.lives());
    let reconcile = end.stage.reconcile().await?;
    let report = reconcile.invoke(json!({})).await?;
    assert_figures(&report, &[("listed", 1), ("revived", 1)]);
    end.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_placeholder_is_filled_or_found_to_belong_to_nobody() -> Result<()> {
    let run = Run::backfilled(5).await?;
    let id = run.stage.simulator.create("Ada", "ada@example.com")?;
    let nobody = "00000000-0000-4000-8000-000000000000";
    let ensure =
        format!("SELECT neon_identity.ensure_user('{id}'), neon_identity.ensure_user('{nobody}')");
    run.stage.execute(&ensure).await?;
    let report = run.complete(json!({})).await?;
    assert_eq!(
        (&report["updated"], &report["deleted"]),
        (&json!(1), &json!(1))
    );
    assert!(!run.stage.the_row(nobody).await?.lives());
    run.stage.assert_in_sync().await
}

#[tokio::test]
async fn an_id_that_the_provider_takes_for_none_belongs_to_nobody() -> Result<()> {
    let run = Run::backfilled(5).await?;
    // The application's own key, which is a UUID, if not one that Stack Auth takes.
    let ids = ["0190f3c2-7b1a-7c3d-8e4f-0123456789ab", "user 7"];
    for id in ids {
        let ensure = format!("SELECT neon_identity.ensure_user('{id}')");
        run.stage.execute(&ensure).await?;
    }
    let report = run.complete(json!({})).await?;
    assert_eq!(report["deleted"], ids.len());
    run.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_user_whom_the_provider_fails_to_show_stops_nobody_else() -> Result<()> {
    let run = Run::backfilled(20).await?;
    let simulator = &run.stage.simulator;
    let ids = run.ids();
    // One who is listed can be settled by a read alone; three are gone, one is not shown.
    let edit = format!(
        "UPDATE neon_identity.users_sync SET deleted_at = clock_timestamp() WHERE id = '{}'",
        ids[1]
    );
    run.stage.execute(&edit).await?;
    for id in &ids[2..6] {
        simulator.delete(id)?;
    }
    let trouble = Trouble::every(Fault::Status(500)).on(Call::Read);
    simulator.add_trouble(trouble.of(&ids[2]));
    let report = run.complete(json!({})).await?;
    for (figure, expected) in [("revived", 1), ("deleted", 3), ("rejected", 1)] {
        assert_eq!(report[figure], expected, "{figure}: {report}");
    }
    assert!(run.stage.the_row(&ids[2]).await?.lives());
    let rejections = run.stage.rejections().await?;
    assert_eq!(rejections.len(), 1, "{rejections:?}");
    assert_eq!(rejections[0]["user_id"], ids[2]);
    simulator.clear_troubles();
    let report = run.complete(json!({})).await?;
    assert_eq!(
        (&report["deleted"], &report["rejected"]),
        (&json!(1), &json!(0))
    );
    assert!(run.stage.rejections().await?[0]["resolved_at"].is_string());
    run.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_run_that_a_read_fails_tombstones_nobody() -> Result<()> {
    let run = Run::backfilled(1_300).await?;
    let simulator = &run.stage.simulator;
    for id in &run.ids()[..1_200] {
        simulator.delete(id)?;
    }
    // So late that one lot has been confirmed.
    let trouble = Trouble::every(Fault::Html(404)).on(Call::Read);
    simulator.add_trouble(trouble.after(600));
    run.fails(json!({"max_deletes": 2_000}), "Failed").await?;
    assert_eq!(run.living().await?, 1_300);
    simulator.clear_troubles();
    let report = run.complete(json!({"max_deletes": 2_000})).await?;
    assert_eq!(report["deleted"], 1_200, "{report}");
    run.stage.assert_in_sync().await
}

#[tokio::test]
async fn an_id_that_no_url_can_name_stops_no_run() -> Result<()> {
    let run = Run::backfilled(5).await?;
    let ensure = "SELECT neon_identity.ensure_user('.'), neon_identity.ensure_user('..')";
    run.stage.execute(ensure).await?;
    let report = run.complete(json!({})).await?;
    assert_eq!(report["deleted"], 0);
    // The provider was not asked, so nobody says that they are gone.
    assert!(run.stage.the_row("..").await?.lives());
    Ok(())
}

// The brake.

#[tokio::test]
async fn more_missing_users_than_permitted_are_held_and_all_the_rest_is_applied() -> Result<()> {
    // (users, missing, max_deletes, whether that is held)
    for (users, missing, most, held) in [
        (60, 10, None, false),
        (60, 11, None, true),
        (400, 20, None, false),
        (400, 21, None, true),
        (20, 1, Some(0), true),
        (20, 0, Some(0), false),
        (20, 15, Some(15), false),
        (20, 15, Some(14), true),
        (20, 20, Some(20), false),
    ] {
        let run = Run::backfilled(users).await?;
        tokio::time::sleep(STALENESS).await;
        let (ids, simulator) = (run.ids(), &run.stage.simulator);
        for id in &ids[..missing] {
            simulator.delete(id)?;
        }
        let others = ids.len() - missing;
        if others > 0 {
            simulator.change_email_via_contact_channel(&ids[missing], "new@example.com")?;
        }
        let event = most.map_or(json!({}), |most| json!({"max_deletes": most}));
        if held {
            let report = run.held(event).await?;
            let expected = [
                ("listed", others),
                ("updated", 1),
                ("unchanged", others - 1),
                ("held", missing),
            ];
            assert_figures(&report, &expected);
            assert_eq!(run.living().await?, ids.len(), "nobody is tombstoned");
            let row = run.stage.the_row(&ids[missing]).await?;
            assert_eq!(row.email.as_deref(), Some("new@example.com"));
            run.complete(json!({"max_deletes": missing})).await?;
        } else {
            let report = run.complete(event).await?;
            assert_eq!(report["deleted"], missing, "{report}");
        }
        run.stage.assert_in_sync().await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_empty_listing_is_held_until_a_person_names_a_number() -> Result<()> {
    let run = Run::backfilled(5).await?;
    let simulator = &run.stage.simulator;
    simulator.add_trouble(Trouble::every(Fault::EmptyListing).on(Call::List));
    let before = run.stage.versions().await?;
    let report = run.held(json!({})).await?;
    assert_figures(&report, &[("held", 5)]);
    run.held(json!({"dry_run": true})).await?;
    assert_eq!(run.stage.versions().await?, before);
    // They are there all the same, and the reads by id say so.
    let report = run.complete(json!({"max_deletes": 5})).await?;
    assert_eq!(report["deleted"], 0, "{report}");
    run.stage.assert_in_sync().await?;

    simulator.clear_troubles();
    for id in run.ids() {
        simulator.delete(&id)?;
    }
    run.held(json!({})).await?;
    run.held(json!({"max_deletes": 4})).await?;
    assert_eq!(run.living().await?, 5);
    let report = run.complete(json!({"max_deletes": 5})).await?;
    assert_figures(&report, &[("deleted", 5)]);
    run.stage.assert_in_sync().await?;
    run.complete(json!({})).await?;
    Ok(())
}

#[tokio::test]
async fn a_missing_user_is_gone_only_if_the_provider_says_so_itself() -> Result<()> {
    for fault in [
        Fault::Html(404),
        Fault::Status(404),
        Fault::Html(200),
        Fault::Status(500),
        Fault::Truncated,
    ] {
        let run = Run::backfilled(5).await?;
        let simulator = &run.stage.simulator;
        let ids = run.ids();
        simulator.delete(&ids[0])?;
        simulator.add_trouble(Trouble::every(fault.clone()).on(Call::Read));
        let limit = Duration::from_secs(6);
        let ended = run.reconcile.invoke_with_deadline(json!({}), limit).await;
        // Whether time or patience ran out first is all the same.
        match ended {
            Ok(report) => assert_eq!(report["outcome"], "partial", "{fault:?}"),
            Err(error) => assert_eq!(error.error_type, "Failed", "{fault:?}"),
        }
        assert_eq!(run.living().await?, 5, "{fault:?}");
        simulator.clear_troubles();
        run.complete(json!({})).await?;
        run.stage.assert_in_sync().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_dry_run_says_what_the_run_after_it_does_and_writes_nothing() -> Result<()> {
    let run = Run::backfilled(1_100).await?;
    tokio::time::sleep(STALENESS).await;
    let (ids, simulator) = (run.ids(), &run.stage.simulator);
    simulator.create("New", "newest@example.com")?;
    simulator.change_email_via_contact_channel(&ids[0], "new@example.com")?;
    simulator.rename(&ids[1], "Lost on the way")?;
    for id in &ids[2..5] {
        simulator.delete(id)?;
    }
    simulator.show_profile(&ids[5], &format!(r#"{{"id":"{}","n":1e5000}}"#, ids[5]))?;
    let edit = format!(
        "UPDATE neon_identity.users_sync SET deleted_at = now() WHERE id IN ('{}', '{}')",
        ids[6], ids[7]
    );
    run.stage.execute(&edit).await?;
    let before = run.stage.versions().await?;
    let dry = run.complete(json!({"dry_run": true})).await?;
    assert_eq!(run.stage.versions().await?, before);
    assert!(run.stage.rejections().await?.is_empty());
    let run_row = run.stage.runs().await?.pop().context("a run")?;
    assert_eq!(run_row["dry_run"], true);
    let real = run.complete(json!({})).await?;
    for figure in FIGURES {
        assert_eq!(dry[figure], real[figure], "{figure}: {dry} {real}");
    }
    let expected = [
        ("listed", 1_098),
        ("created", 1),
        ("updated", 2),
        ("unchanged", 1_092),
        ("deleted", 3),
        ("revived", 2),
        ("rejected", 1),
    ];
    assert_figures(&real, &expected);
    assert_eq!(run.stage.rejections().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_dry_run_is_held_as_the_run_after_it_is() -> Result<()> {
    let run = Run::backfilled(30).await?;
    for id in &run.ids()[..12] {
        run.stage.simulator.delete(id)?;
    }
    let dry = run.held(json!({"dry_run": true})).await?;
    let real = run.held(json!({})).await?;
    for figure in FIGURES {
        assert_eq!(dry[figure], real[figure], "{figure}: {dry} {real}");
    }
    assert_eq!(real["held"], 12);
    Ok(())
}

// Leases, time and death.

#[tokio::test]
async fn a_second_run_at_the_same_time_is_busy_and_does_nothing() -> Result<()> {
    let run = Run::new(3_000).await?;
    let simulator = &run.stage.simulator;
    let other = run.stage.reconcile().await?;
    simulator.switch(|switches| switches.latency_ms = 400);
    let first = run.reconcile.invoke(json!({}));
    let second = async {
        while simulator.count(Call::List) < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let dry = other.invoke(json!({"dry_run": true})).await?;
        anyhow::Ok((other.invoke(json!({})).await?, dry))
    };
    let (first, second) = tokio::join!(first, second);
    let (first, (second, dry)) = (first?, second?);
    assert_eq!(first["outcome"], "complete");
    for busy in [second, dry] {
        assert_eq!(busy["outcome"], "busy");
        assert_figures(&busy, &[]);
    }
    run.stage.assert_in_sync().await?;
    let outcomes: Vec<Value> = run.stage.runs().await?;
    let outcomes: Vec<&Value> = outcomes.iter().map(|run| &run["outcome"]).collect();
    assert_eq!(outcomes, ["complete", "busy", "busy"]);
    assert_eq!(
        simulator.count(Call::List),
        4,
        "the busy runs listed nothing"
    );
    Ok(())
}

#[tokio::test]
async fn of_many_runs_at_once_one_works() -> Result<()> {
    let run = Run::new(2_500).await?;
    for _ in 0..4 {
        run.reconcile.spawn_instance().await?;
    }
    run.stage
        .simulator
        .switch(|switches| switches.latency_ms = 300);
    let runs = (0..5).map(|_| run.reconcile.invoke(json!({})));
    let reports = futures_util::future::try_join_all(runs).await?;
    let working = reports
        .iter()
        .filter(|report| report["outcome"] == "complete");
    assert_eq!(working.count(), 1, "{reports:?}");
    run.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_run_that_was_killed_gives_up_its_lease_by_time() -> Result<()> {
    let run = Run::new(5_000).await?;
    let simulator = &run.stage.simulator;
    simulator.switch(|switches| switches.latency_ms = 300);
    let killed = async {
        while simulator.count(Call::List) < 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        run.reconcile.kill();
        Ok(Instant::now())
    };
    let (error, killed) = tokio::join!(run.reconcile.invoke(json!({})), killed);
    let killed = killed.map_err(|error: anyhow::Error| error)?;
    assert_eq!(error.expect_err("killed").error_type, "Runtime.ExitError");
    assert!((1..5_000).contains(&run.living().await?));
    simulator.switch(|switches| switches.latency_ms = 0);
    run.reconcile.spawn_instance().await?;
    let report = run.reconcile.invoke(json!({})).await?;
    assert_eq!(report["outcome"], "busy");
    assert!(run.stage.runs().await?[0]["outcome"].is_null());
    loop {
        let report = run.reconcile.invoke(json!({})).await?;
        if report["outcome"] == "complete" {
            assert_eq!(report["listed"], 5_000);
            break;
        }
        assert_eq!(report["outcome"], "busy");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let held = killed.elapsed().as_secs();
    assert!(
        (20..36).contains(&held),
        "the lease was held {held} s longer"
    );
    run.stage.assert_in_sync().await?;
    let dead = run.stage.runs().await?.swap_remove(0);
    assert_eq!(dead["outcome"], "failed");
    assert!(dead["finished_at"].is_string());
    assert!(
        dead["error"]
            .as_str()
            .is_some_and(|error| !error.is_empty())
    );
    Ok(())
}

#[tokio::test]
async fn a_run_that_is_slow_keeps_its_lease() -> Result<()> {
    let run = Run::new(2_500).await?;
    let simulator = &run.stage.simulator;
    // Longer than a lease is.
    simulator.switch(|switches| switches.latency_ms = 12_000);
    let other = run.stage.reconcile().await?;
    let limit = Duration::from_secs(120);
    let first = run.reconcile.invoke_with_deadline(json!({}), limit);
    let second = async {
        tokio::time::sleep(Duration::from_secs(33)).await;
        other.invoke(json!({})).await
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first?["outcome"], "complete");
    assert_eq!(second?["outcome"], "busy");
    run.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_run_that_runs_out_of_time_goes_on_in_the_next() -> Result<()> {
    let run = Run::new(12_000).await?;
    let simulator = &run.stage.simulator;
    let ids = run.ids();
    // Met in the first page, and there is no later time to forget it.
    let revived = &ids[10];
    run.stage
        .execute(&format!(
            "INSERT INTO neon_identity.users_sync (id, raw_json, updated_at, deleted_at)
            VALUES ('{revived}', '{{}}', '2020-01-01', '2020-01-01')"
        ))
        .await?;
    simulator.switch(|switches| switches.latency_ms = 1_200);
    let mut reports = Vec::new();
    for round in 0..20 {
        let limit = Duration::from_secs(16);
        let report = run.reconcile.invoke_with_deadline(json!({}), limit).await?;
        reports.push(report.clone());
        match report["outcome"].as_str() {
            Some("partial") => {}
            Some("complete") => break,
            _ => panic!("{report}"),
        }
        if round == 0 {
            // Where the walk left off there is nobody any more.
            let pages = usize::try_from(report["pages"].as_u64().context("pages")?)?;
            let place = pages * (PAGE - 1);
            for id in &ids[place - 5..place + 5] {
                simulator.delete(id)?;
            }
            simulator.create("New", "newest@example.com")?;
        }
    }
    assert!(reports.len() > 1, "{reports:?}");
    let last = reports.last().context("a report")?;
    assert_eq!(last["outcome"], "complete", "{reports:#?}");
    let sum = |figure: &str| -> i64 {
        let figures = reports.iter().map(|report| report[figure].as_i64());
        figures.map(|figure| figure.expect("a figure")).sum()
    };
    let revived_once = sum("revived");
    assert_eq!(revived_once, 1, "{reports:#?}");
    let listed = sum("created") + sum("updated") + sum("unchanged") + sum("revived");
    assert_eq!(sum("listed"), listed);
    assert!((11_990..=12_001).contains(&sum("listed")), "{reports:#?}");
    // Who was deleted when the walk was past is the next one's.
    run.complete(json!({})).await?;
    run.stage.assert_in_sync().await?;
    let outcomes = run.stage.runs().await?;
    assert!(outcomes.iter().all(|run| run["finished_at"].is_string()));
    Ok(())
}

#[tokio::test]
async fn a_dry_run_leaves_a_partial_walk_where_it_is() -> Result<()> {
    let run = Run::new(5_000).await?;
    let simulator = &run.stage.simulator;
    simulator.switch(|switches| switches.latency_ms = 700);
    let limit = Duration::from_millis(3_000);
    let first = run.reconcile.invoke_with_deadline(json!({}), limit).await?;
    assert_eq!(first["outcome"], "partial");
    simulator.switch(|switches| switches.latency_ms = 0);
    let dry = run.complete(json!({"dry_run": true})).await?;
    assert_eq!(dry["listed"], 5_000);
    let second = run.complete(json!({})).await?;
    let sum = first["listed"].as_i64().zip(second["listed"].as_i64());
    let sum = sum.map(|(first, second)| first + second);
    assert!(
        (5_000..=6_000).contains(&sum.context("figures")?),
        "{first} {second}"
    );
    assert_ne!(second["listed"], 5_000, "it went on");
    run.stage.assert_in_sync().await
}

// Listings.

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
        let run = Run::backfilled(2_500).await?;
        let simulator = &run.stage.simulator;
        let ids = run.ids();
        // One more or less, within the brake and in the first page.
        simulator.delete(&ids[0])?;
        let renamed = &ids[1];
        tokio::time::sleep(STALENESS).await;
        simulator.rename(renamed, "Before it broke")?;
        let trouble = Trouble::every(fault.clone()).on(Call::List).after(2);
        simulator.add_trouble(trouble);
        let error = run.fails(json!({}), "Failed").await?;
        // A refused key is not mended by another run.
        let advice = match fault {
            Fault::Status(403) => "provider.secret_server_key",
            _ => "next run",
        };
        ensure!(error.error_message.contains(advice), "{error}");
        ensure!(
            run.living().await? == 2_500,
            "{fault:?}: somebody is tombstoned"
        );
        let row = run.stage.the_row(renamed).await?;
        ensure!(
            row.name.as_deref() == Some("Before it broke"),
            "what was applied stays"
        );
        let last = run.stage.runs().await?.pop().context("a run")?;
        ensure!(last["outcome"] == "failed" && last["finished_at"].is_string());
        ensure!(last["error"] == error.error_message && last["deleted"] == 0);
        simulator.clear_troubles();
        run.complete(json!({})).await?;
        run.stage.assert_in_sync().await
    };
    futures_util::future::try_join_all(faults.map(check)).await?;
    Ok(())
}

#[tokio::test]
async fn a_listing_that_stumbles_goes_on() -> Result<()> {
    let run = Run::new(4_000).await?;
    let simulator = &run.stage.simulator;
    for (fault, after) in [
        (Fault::Status(502), 0),
        (Fault::Truncated, 1),
        (Fault::Html(200), 2),
        (Fault::Dropped, 3),
        (Fault::TooManyRequests { retry_after: None }, 4),
    ] {
        simulator.add_trouble(Trouble::next(1, fault).on(Call::List).after(after));
    }
    let report = run.complete(json!({})).await?;
    assert_figures(&report, &[("listed", 4_000), ("created", 4_000)]);
    run.stage.assert_in_sync().await
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
        let run = Run::new(2_500).await?;
        let ids = run.ids();
        let deleted = ids[gone.clone()].to_vec();
        let hook = deleted.clone();
        run.stage
            .simulator
            .once(Moment::After, Call::List, 0, move |world| {
                for id in &hook {
                    world.delete(id).expect("a user to delete");
                }
            });
        let most = deleted.len();
        run.complete(json!({"max_deletes": most})).await?;
        // Who was gone when the walk was past is the next one's.
        for id in &ids[PAGE + 201..] {
            let row = run.stage.row(id).await?;
            assert!(row.is_some_and(|row| row.lives()), "{gone:?}");
        }
        run.complete(json!({"max_deletes": most})).await?;
        run.stage.assert_in_sync().await?;
    }
    Ok(())
}

#[tokio::test]
async fn users_may_come_go_and_move_at_every_page() -> Result<()> {
    let run = Run::new(4_500).await?;
    let (ids, simulator) = (run.ids(), &run.stage.simulator);
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
    run.complete(json!({"max_deletes": 100})).await?;
    let living: Vec<String> = run.ids();
    for id in &living {
        let row = run.stage.row(id).await?;
        assert!(
            row.is_none_or(|row| row.lives()),
            "a living user is tombstoned"
        );
    }
    // What changed behind the walk is the next one's.
    tokio::time::sleep(STALENESS).await;
    run.complete(json!({"max_deletes": 100})).await?;
    run.stage.assert_in_sync().await
}

#[tokio::test]
async fn an_older_server_that_refuses_parameters_is_walked_without_them() -> Result<()> {
    let refusals: [&[&str]; 2] = [
        &["include_restricted"],
        &["include_restricted", "include_anonymous"],
    ];
    for refused in refusals {
        let run = Run::backfilled(1_500).await?;
        run.stage.simulator.switch(|switches| {
            switches.refused_parameters = refused.iter().map(|name| (*name).to_owned()).collect();
        });
        let deleted = run.ids().swap_remove(3);
        run.stage.simulator.delete(&deleted)?;
        // Those who are not listed any more are there all the same.
        let report = run.complete(json!({})).await?;
        assert_eq!(report["deleted"], 1, "{report}");
        run.stage.assert_in_sync().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_rate_limit_is_waited_out() -> Result<()> {
    for retry_after in [false, true] {
        let run = Run::new(5_000).await?;
        run.stage.simulator.switch(|switches| {
            switches.rate_limit = Some(RateLimit {
                per_second: 2,
                retry_after,
            });
        });
        let report = run.complete(json!({})).await?;
        assert_figures(&report, &[("listed", 5_000), ("created", 5_000)]);
        run.stage.assert_in_sync().await?;
        // Also where each missing user is read.
        for id in &run.ids()[..9] {
            run.stage.simulator.delete(id)?;
        }
        let report = run.complete(json!({})).await?;
        assert_eq!(report["deleted"], 9, "{report}");
        run.stage.assert_in_sync().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_lagging_listing_undoes_nothing_that_deliveries_told() -> Result<()> {
    let end = Endpoint::new().await?;
    let simulator = &end.stage.simulator;
    simulator.seed(20);
    let reconcile = end.stage.reconcile().await?;
    reconcile.invoke(json!({})).await?;
    tokio::time::sleep(STALENESS).await;
    let ids: Vec<String> = simulator.truth().map(|user| user.id).collect();
    // The listing shows none of it yet.
    let new = simulator.create("New", "new@example.com")?;
    simulator.rename(&ids[0], "Countess")?;
    simulator.delete(&ids[1])?;
    end.deliver_all().await?;
    end.stage.assert_in_sync().await?;
    simulator.switch(|switches| switches.lag_ms = 1_000);
    simulator.rename(&ids[2], "Told at once")?;
    simulator.delete(&ids[3])?;
    let newest = simulator.create("Newest", "newest@example.com")?;
    // The webhook waits for the replica; meanwhile the run looks at it.
    let (delivered, report) = tokio::join!(end.deliver_all(), reconcile.invoke(json!({})));
    delivered?;
    assert_eq!(report?["outcome"], "complete");
    for id in [&new, &newest, &ids[0], &ids[2]] {
        let row = end.stage.row(id).await?;
        assert!(row.is_some_and(|row| row.lives()));
    }
    assert!(!end.stage.the_row(&ids[1]).await?.lives());
    tokio::time::sleep(STALENESS).await;
    reconcile.invoke(json!({})).await?;
    end.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_listing_from_before_a_delivery_loses_to_it() -> Result<()> {
    for change in ["rename", "delete", "create"] {
        let end = Endpoint::new().await?;
        let simulator = &end.stage.simulator;
        simulator.seed(20);
        let reconcile = end.stage.reconcile().await?;
        reconcile.invoke(json!({})).await?;
        tokio::time::sleep(STALENESS).await;
        let id = simulator.truth().next().context("a user")?.id;
        // The page is of now, and arrives when the delivery is long applied.
        simulator.add_trouble(Trouble::next(1, Fault::Late(3_000)).on(Call::List));
        let run = reconcile.invoke(json!({}));
        let delivery = async {
            while simulator.count(Call::List) < 2 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            match change {
                "rename" => simulator.rename(&id, "Countess")?,
                "delete" => simulator.delete(&id)?,
                _ => drop(simulator.create("New", "new@example.com")?),
            }
            end.deliver_all().await
        };
        let (report, delivered) = tokio::join!(run, delivery);
        delivered?;
        assert_eq!(report?["outcome"], "complete", "{change}");
        end.stage.assert_in_sync().await.context(change)?;
    }
    Ok(())
}

// Profiles.

#[tokio::test]
async fn a_user_that_cannot_be_read_is_kept_apart_until_it_can() -> Result<()> {
    let run = Run::new(1_500).await?;
    let (ids, simulator) = (run.ids(), &run.stage.simulator);
    let bad = [
        format!(r#"{{"id":"{}","n":1e5000}}"#, ids[0]),
        format!(r#"{{"id":"{}","n":1e-99999999999}}"#, ids[1]),
        r#"{"id":17}"#.to_owned(),
        r#"{"id":""}"#.to_owned(),
        format!(r#"{{"id":"{}"}}"#, "x".repeat(10_000)),
        r#"{"no":"id"}"#.to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        "17".to_owned(),
        format!(r#"{{"id":"{}\u0001"}}"#, "x"),
    ];
    for (id, profile) in ids.iter().zip(&bad) {
        simulator.show_profile(id, profile)?;
    }
    for round in 0..2 {
        let report = run.complete(json!({})).await?;
        assert_eq!(report["rejected"], bad.len(), "{report}");
        assert_eq!(report["listed"], 1_500);
        let apart = run.stage.rejections().await?;
        assert_eq!(apart.len(), bad.len(), "once each, in round {round}");
        for row in &apart {
            assert_eq!(row["source"], "listing");
            assert!(row["resolved_at"].is_null());
            assert!(
                row["reason"]
                    .as_str()
                    .is_some_and(|reason| reason.len() > 5)
            );
        }
        assert_eq!(run.living().await?, 1_500 - bad.len());
    }
    for id in &ids[..bad.len()] {
        simulator.rename(id, "Readable")?;
    }
    let report = run.complete(json!({})).await?;
    assert_eq!(
        (&report["rejected"], &report["created"]),
        (&json!(0), &json!(bad.len()))
    );
    run.stage.assert_in_sync().await?;
    // Whose profile had no id, nobody can tell; but nobody is listed like that any more.
    for row in run.stage.rejections().await? {
        assert!(row["resolved_at"].is_string(), "{row}");
    }
    Ok(())
}

#[tokio::test]
async fn a_user_that_cannot_be_read_any_more_keeps_their_row() -> Result<()> {
    for bad in [r#"{"id":"{id}","n":1e5000}"#, r#"{"id":17}"#] {
        let run = Run::backfilled(20).await?;
        let (ids, simulator) = (run.ids(), &run.stage.simulator);
        let before = run.stage.the_row(&ids[0]).await?;
        simulator.show_profile(&ids[0], &bad.replace("{id}", &ids[0]))?;
        simulator.delete(&ids[1])?;
        let report = run.complete(json!({})).await.context(bad)?;
        assert_eq!(report["deleted"], 1, "{bad}: {report}");
        assert_eq!(run.stage.the_row(&ids[0]).await?, before, "{bad}");
        assert!(!run.stage.rejections().await?.is_empty());
        simulator.rename(&ids[0], "Readable")?;
        run.complete(json!({})).await?;
        run.stage.assert_in_sync().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_user_that_postgres_cannot_hold_is_taken_out_of_its_batch() -> Result<()> {
    let run = Run::new(1_500).await?;
    let (ids, simulator) = (run.ids(), &run.stage.simulator);
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let bad = [&ids[0], &ids[499], &ids[500], &ids[750], &ids[1_499]];
    for id in bad {
        simulator.show_profile(id, &format!(r#"{{"id":"{id}","n":{deep}}}"#))?;
    }
    let report = run.complete(json!({})).await?;
    let expected = [
        ("listed", 1_500),
        ("created", 1_500 - bad.len()),
        ("rejected", bad.len()),
    ];
    assert_figures(&report, &expected);
    let apart = run.stage.rejections().await?;
    let named: Vec<&Value> = apart.iter().map(|row| &row["user_id"]).collect();
    for id in bad {
        assert!(named.contains(&&json!(id)));
        simulator.rename(id, "Shallow")?;
    }
    let report = run.complete(json!({})).await?;
    assert_eq!(report["created"], bad.len());
    run.stage.assert_in_sync().await?;
    let apart = run.stage.rejections().await?;
    assert!(apart.iter().all(|row| row["resolved_at"].is_string()));
    Ok(())
}

#[tokio::test]
async fn strange_profiles_are_taken_once_and_then_unchanged() -> Result<()> {
    let run = Run::new(30).await?;
    let (ids, simulator) = (run.ids(), &run.stage.simulator);
    let fields = [
        r#""n":"a\u0000b""#,
        r#""n":"\ud800""#,
        r#""display_name":"\u0000""#,
        r#""n":123456789012345678901234567890.10"#,
        r#""n":1e400"#,
        r#""n":-0.0e0"#,
        r#""n":1E+2"#,
        r#""n":1.50e-3"#,
        r#""n":1,"n":2"#,
        r#""":"","a":1,"B":2,"aa":3"#,
        r#""n":"\u2028\u007f\b\f\/\u00e9""#,
        r#""signed_up_at_millis":-1.5"#,
        r#""signed_up_at_millis":1700000000123.4567"#,
        r#""signed_up_at_millis":1e30"#,
        r#""signed_up_at_millis":"1700000000123""#,
        r#""display_name":17"#,
    ];
    for (id, field) in ids.iter().zip(fields) {
        simulator.show_profile(id, &format!(r#"{{"id":"{id}",{field}}}"#))?;
    }
    let report = run.complete(json!({})).await?;
    assert_figures(&report, &[("listed", 30), ("created", 30)]);
    let before = run.stage.versions().await?;
    let report = run.complete(json!({})).await?;
    assert_figures(&report, &[("listed", 30), ("unchanged", 30)]);
    assert_eq!(run.stage.versions().await?, before);
    // Deeper than digests are made: Postgres compares them itself, and writes nothing either.
    let deep = format!("{}{}", "[".repeat(3_000), "]".repeat(3_000));
    let id = &ids[fields.len()];
    simulator.show_profile(id, &format!(r#"{{"id":"{id}","n":{deep}}}"#))?;
    tokio::time::sleep(STALENESS).await;
    let report = run.complete(json!({})).await?;
    assert_figures(
        &report,
        &[("listed", 30), ("updated", 1), ("unchanged", 29)],
    );
    let before = run.stage.table().await?;
    for pause in [Duration::ZERO, STALENESS] {
        tokio::time::sleep(pause).await;
        let report = run.complete(json!({})).await?;
        assert_figures(&report, &[("listed", 30), ("unchanged", 30)]);
        assert!(run.stage.table().await? == before);
    }
    Ok(())
}

#[tokio::test]
async fn a_page_that_is_too_large_is_asked_for_in_parts() -> Result<()> {
    let run = Run::new(200).await?;
    let (ids, simulator) = (run.ids(), &run.stage.simulator);
    let filling = "x".repeat(340_000);
    for id in &ids[50..170] {
        simulator.set_metadata(id, json!({"text": filling}))?;
    }
    let report = run.complete(json!({})).await?;
    assert_figures(&report, &[("listed", 200), ("created", 200)]);
    run.stage.assert_in_sync().await
}

// Failures.

#[tokio::test]
async fn another_project_is_refused_by_name() -> Result<()> {
    let run = Run::backfilled(20).await?;
    let before = run.stage.versions().await?;
    run.stage
        .execute("UPDATE neon_identity.connection SET project = 'the-other-project'")
        .await?;
    let error = run.fails(json!({}), "Failed").await?;
    let asked = run.stage.secret()["provider"]["project_id"].clone();
    let asked = asked.as_str().context("a project")?;
    for word in ["the-other-project", asked, "provision"] {
        assert!(error.error_message.contains(word), "{error}");
    }
    assert_eq!(run.stage.versions().await?, before);
    let last = run.stage.runs().await?.pop().context("a run")?;
    assert_eq!(last["outcome"], "failed");
    Ok(())
}

#[tokio::test]
async fn a_wrong_key_fails_with_advice_and_a_corrected_one_is_taken_in() -> Result<()> {
    let run = Run::backfilled(20).await?;
    let (before, right) = (run.stage.versions().await?, run.stage.secret());
    for (field, advice) in [("secret_server_key", "key"), ("project_id", "project")] {
        run.stage.change_secret(|secret| {
            *secret = right.clone();
            secret["provider"][field] = json!("wrong-and-not-to-be-told");
        })?;
        // The schema is bound to what the secret names.
        let project = run.stage.secret()["provider"]["project_id"].clone();
        let bind = format!(
            "UPDATE neon_identity.connection SET project = '{}'",
            project.as_str().unwrap_or_default()
        );
        run.stage.execute(&bind).await?;
        let reconcile = run.stage.reconcile().await?;
        let error = reconcile.invoke(json!({})).await.expect_err("refused");
        assert_eq!(error.error_type, "Failed");
        assert!(error.error_message.contains(advice), "{error}");
        if field == "secret_server_key" {
            assert!(!error.error_message.contains("wrong"), "{error}");
        }
        assert_eq!(run.stage.versions().await?, before);
    }
    run.stage.change_secret(|secret| {
        *secret = right.clone();
        secret["provider"]["secret_server_key"] = json!("ssk_old");
    })?;
    let bind = format!(
        "UPDATE neon_identity.connection SET project = '{}'",
        right["provider"]["project_id"].as_str().unwrap_or_default()
    );
    run.stage.execute(&bind).await?;
    let reconcile = run.stage.reconcile().await?;
    run.stage.change_secret(|secret| *secret = right)?;
    assert_eq!(reconcile.invoke(json!({})).await?["outcome"], "complete");
    Ok(())
}

#[tokio::test]
async fn a_rotated_database_password_is_taken_in() -> Result<()> {
    let run = Run::backfilled(5).await?;
    let url = run.stage.database.url().to_owned();
    let user = url.split(['/', ':']).nth(3).context("a user")?.to_owned();
    run.stage
        .execute(&format!("ALTER ROLE {user} PASSWORD 'rotated'"))
        .await?;
    let error = run.fails(json!({}), "Failed").await?;
    assert!(error.error_message.contains("password"), "{error}");
    let reconcile = run.stage.reconcile().await?;
    run.stage.change_secret(|secret| {
        secret["database_url"] = json!(url.replace(&format!(":{user}@"), ":rotated@"));
    })?;
    assert_eq!(reconcile.invoke(json!({})).await?["outcome"], "complete");
    Ok(())
}

#[tokio::test]
async fn a_password_rotated_under_a_run_is_taken_in_by_that_run() -> Result<()> {
    let server = Postgres::shared().await?;
    let run = Run::of(Stage::on(server, Setup::default()).await?, 2_500).await?;
    let url = run.stage.database.url().to_owned();
    let user = url.split(['/', ':']).nth(3).context("a user")?.to_owned();
    let (asked, reached) = tokio::sync::oneshot::channel();
    let simulator = &run.stage.simulator;
    simulator.once(Moment::After, Call::List, 1, move |_| {
        let _ = asked.send(());
    });
    // The third page is long in coming: all that is rotated is so before.
    simulator.switch(|switches| switches.latency_ms = 5_000);
    let event = json!({});
    let limit = Duration::from_secs(120);
    let invoked = run.reconcile.invoke_with_deadline(event, limit);
    let rotate = async {
        reached.await.context("a second page")?;
        let change = format!("ALTER ROLE {user} PASSWORD 'rotated'");
        run.stage.execute(&change).await?;
        run.stage.change_secret(|secret| {
            secret["database_url"] = json!(url.replace(&format!(":{user}@"), ":rotated@"));
        })?;
        server.terminate_backends(run.stage.database.name()).await
    };
    let (report, rotated) = tokio::join!(invoked, rotate);
    rotated?;
    let report = report.with_context(|| run.reconcile.logs().unwrap_or_default())?;
    assert_eq!(report["outcome"], "complete", "{report}");
    assert!(run.reconcile.logs()?.contains("took in a rotated secret"));
    // One invocation, one row.
    assert_eq!(run.stage.runs().await?.len(), 1);
    run.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_postgres_that_is_lost_fails_the_run_and_one_that_comes_back_does_not() -> Result<()> {
    let server = Postgres::start(Options::default()).await?;
    for mode in [Mode::Fast, Mode::Immediate] {
        let stage = Stage::on(&server, Setup::default()).await?;
        let run = Run::of(stage, 4_000).await?;
        let simulator = &run.stage.simulator;
        simulator.switch(|switches| switches.latency_ms = 300);
        let restart = async {
            while simulator.count(Call::List) < 3 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            server.stop(mode).await?;
            tokio::time::sleep(Duration::from_secs(2)).await;
            server.start_again().await
        };
        let (report, restarted) = tokio::join!(run.reconcile.invoke(json!({})), restart);
        restarted?;
        assert_eq!(report?["outcome"], "complete");
        run.stage.assert_in_sync().await?;
    }
    let stage = Stage::on(&server, Setup::default()).await?;
    let run = Run::of(stage, 5).await?;
    server.stop(Mode::Fast).await?;
    let began = Instant::now();
    let limit = Duration::from_secs(10);
    let ended = run.reconcile.invoke_with_deadline(json!({}), limit).await;
    let error = ended.expect_err("no Postgres");
    assert_eq!(error.error_type, "Failed", "{error}");
    for word in ["Postgres", "database_url", "the next run"] {
        assert!(error.error_message.contains(word), "{error}");
    }
    assert!(began.elapsed() < limit);
    server.start_again().await?;
    run.complete(json!({})).await?;
    run.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_provider_that_is_silent_fails_the_run_within_its_time() -> Result<()> {
    let run = Run::backfilled(5).await?;
    run.stage
        .simulator
        .add_trouble(Trouble::every(Fault::Hang).on(Call::List));
    let limit = Duration::from_secs(5);
    let ended = run.reconcile.invoke_with_deadline(json!({}), limit).await;
    let error = ended.expect_err("no listing");
    assert_eq!(error.error_type, "Failed", "{error}");
    assert_eq!(run.living().await?, 5);
    let last = run.stage.runs().await?.pop().context("a run")?;
    assert_eq!(last["outcome"], "failed");
    run.stage.simulator.clear_troubles();
    run.complete(json!({})).await?;
    Ok(())
}

// Size.

#[tokio::test]
async fn memory_does_not_grow_with_profiles() -> Result<()> {
    let mut peaks = Vec::new();
    for users in [20_000, 200_000] {
        let run = Run::new(users).await?;
        let began = Instant::now();
        let report = run.complete(json!({})).await?;
        assert_figures(
            &report,
            &[
                ("listed", usize::try_from(users)?),
                ("created", usize::try_from(users)?),
            ],
        );
        let first = run.reconcile.peak_memory()?;
        run.complete(json!({})).await?;
        let peak = run.reconcile.peak_memory()?;
        let took = began.elapsed();
        say(&format!(
            "{users} users, twice: {took:?}, {first} KiB, then {peak} KiB at most"
        ));
        peaks.push(peak);
    }
    // 180 000 more users are 180 MB of profiles, 6.5 MB of ids, 1.5 MB of their hashes.
    assert!(peaks[1] < 80 * 1024, "{peaks:?} KiB");
    assert!(peaks[1] - peaks[0] < 16 * 1024, "{peaks:?} KiB");
    Ok(())
}

#[expect(clippy::print_stderr, reason = "for `cargo test -- --nocapture`")]
pub(crate) fn say(figures: &str) {
    eprintln!("{figures}");
}
