//! A run puts right what deliveries did not tell, and what somebody changed by hand.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use tests::simulator::{Call, Fault, Trouble};
use tests::stage::Stage;

use super::{STALENESS, assert_figures};

#[tokio::test]
async fn nobody_at_the_provider_and_nobody_in_the_table_is_complete() -> Result<()> {
    let stage = Stage::seeded(0).await?;
    let report = stage.complete(json!({})).await?;
    assert_figures(&report, &[]);
    stage.assert_in_sync().await
}

#[tokio::test]
async fn events_of_the_scheduler_are_taken_and_unknown_fields_are_refused() -> Result<()> {
    let stage = Stage::seeded(3).await?;
    let scheduled = include_str!("../../../../events/lambda/reconcile.scheduled.json");
    stage.complete(serde_json::from_str(scheduled)?).await?;
    stage.assert_in_sync().await?;
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
        let error = stage.fails(event.clone(), "Failed").await?;
        assert!(error.error_message.len() > 10, "{event}");
    }
    assert_eq!(stage.runs().await?.len(), 1, "nothing was begun");
    Ok(())
}

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
    let stage = Stage::backfilled(users).await?;
    // A user that never gave a name can't lose it.
    let named = stage.simulator.truth().filter(|user| {
        let reading = &user.reading;
        reading.name.is_some() && reading.email.is_some()
    });
    let ids: Vec<String> = named.map(|user| user.id).take(edits.len()).collect();
    assert_eq!(ids.len(), edits.len());
    for (id, edit) in ids.iter().zip(edits) {
        let statement = format!("UPDATE neon_identity.users_sync SET {edit} WHERE id = '{id}'");
        stage.execute(&statement).await?;
    }
    let report = stage.complete(json!({})).await?;
    stage.assert_in_sync().await?;
    assert_eq!(report["deleted"], 3, "three ids that are nobody's");
    assert_eq!(report["created"], 3, "and three that were missing");
    assert_eq!(report["revived"], 5);
    assert_eq!(report["listed"], users);

    let before = stage.versions().await?;
    let report = stage.complete(json!({})).await?;
    assert_eq!(report["unchanged"], users, "{report}");
    assert!(stage.versions().await? == before);
    Ok(())
}

#[tokio::test]
async fn changes_that_no_webhook_told_are_repaired() -> Result<()> {
    let stage = Stage::backfilled(60).await?;
    tokio::time::sleep(STALENESS).await;
    let (ids, simulator) = (stage.ids(), &stage.simulator);
    simulator.change_email_via_contact_channel(&ids[0], "new@example.com")?;
    simulator.link_oauth(&ids[1], "github")?;
    simulator.touch_activity(&ids[2])?;
    simulator.rename(&ids[3], "Lost on the way")?;
    let deleted = stage.the_row(&ids[4]).await?;
    simulator.delete(&ids[4])?;
    simulator.create("New", "newest@example.com")?;
    simulator.create_anonymous()?;
    let report = stage.complete(json!({})).await?;
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
    stage.assert_in_sync().await?;
    let mut row = stage.the_row(&ids[4]).await?;
    assert!(row.deleted_at.take() >= row.updated_at);
    assert_eq!(row, deleted, "the profile is kept");
    Ok(())
}

#[tokio::test]
async fn anonymous_and_restricted_users_are_listed() -> Result<()> {
    let stage = Stage::backfilled(100).await?;
    let table = stage.table().await?;
    let count = |word: &str| {
        let shows = |row: &&tests::stage::Row| row.raw_json.contains(word);
        table.iter().filter(shows).count()
    };
    assert_eq!(count(r#""is_anonymous": true"#), 2);
    assert_eq!(count(r#""restricted_by_admin": true"#), 2);
    stage.assert_in_sync().await
}

#[tokio::test]
async fn a_false_tombstone_is_cleared_by_a_run_and_not_by_a_delivery() -> Result<()> {
    let stage = Stage::receiving().await?;
    let id = stage.simulator.create("Ada", "ada@example.com")?;
    stage.deliver_all().await?;
    stage
        .execute("UPDATE neon_identity.users_sync SET deleted_at = clock_timestamp()")
        .await?;
    tokio::time::sleep(STALENESS).await;
    stage.simulator.rename(&id, "Countess")?;
    stage.deliver_all().await?;
    assert!(!stage.the_row(&id).await?.lives());
    let reconcile = stage.reconcile().await?;
    let report = reconcile.invoke(json!({})).await?;
    assert_figures(&report, &[("listed", 1), ("revived", 1)]);
    stage.assert_in_sync().await
}

#[tokio::test]
async fn a_placeholder_is_filled_or_found_to_belong_to_nobody() -> Result<()> {
    let stage = Stage::backfilled(5).await?;
    let id = stage.simulator.create("Ada", "ada@example.com")?;
    let nobody = "00000000-0000-4000-8000-000000000000";
    let ensure =
        format!("SELECT neon_identity.ensure_user('{id}'), neon_identity.ensure_user('{nobody}')");
    stage.execute(&ensure).await?;
    let report = stage.complete(json!({})).await?;
    assert_eq!(
        (&report["updated"], &report["deleted"]),
        (&json!(1), &json!(1))
    );
    assert!(!stage.the_row(nobody).await?.lives());
    stage.assert_in_sync().await
}

#[tokio::test]
async fn an_id_that_the_provider_takes_for_none_belongs_to_nobody() -> Result<()> {
    let stage = Stage::backfilled(5).await?;
    // The application's own key, which is a UUID, if not one that Stack Auth takes.
    let ids = ["0190f3c2-7b1a-7c3d-8e4f-0123456789ab", "user 7"];
    for id in ids {
        let ensure = format!("SELECT neon_identity.ensure_user('{id}')");
        stage.execute(&ensure).await?;
    }
    let report = stage.complete(json!({})).await?;
    assert_eq!(report["deleted"], ids.len());
    stage.assert_in_sync().await
}

#[tokio::test]
async fn a_lagging_listing_undoes_nothing_that_deliveries_told() -> Result<()> {
    let stage = Stage::receiving().await?;
    let simulator = &stage.simulator;
    simulator.seed(20);
    let reconcile = stage.reconcile().await?;
    reconcile.invoke(json!({})).await?;
    tokio::time::sleep(STALENESS).await;
    let ids: Vec<String> = simulator.truth().map(|user| user.id).collect();
    // The listing shows none of it yet.
    let new = simulator.create("New", "new@example.com")?;
    simulator.rename(&ids[0], "Countess")?;
    simulator.delete(&ids[1])?;
    stage.deliver_all().await?;
    stage.assert_in_sync().await?;
    simulator.switch(|switches| switches.lag_ms = 1_000);
    simulator.rename(&ids[2], "Told at once")?;
    simulator.delete(&ids[3])?;
    let newest = simulator.create("Newest", "newest@example.com")?;
    // The webhook waits for the replica; meanwhile the run looks at it.
    let (delivered, report) = tokio::join!(stage.deliver_all(), reconcile.invoke(json!({})));
    delivered?;
    assert_eq!(report?["outcome"], "complete");
    for id in [&new, &newest, &ids[0], &ids[2]] {
        let row = stage.row(id).await?;
        assert!(row.is_some_and(|row| row.lives()));
    }
    assert!(!stage.the_row(&ids[1]).await?.lives());
    tokio::time::sleep(STALENESS).await;
    reconcile.invoke(json!({})).await?;
    stage.assert_in_sync().await
}

#[tokio::test]
async fn a_listing_from_before_a_delivery_loses_to_it() -> Result<()> {
    for change in ["rename", "delete", "create"] {
        let stage = Stage::receiving().await?;
        let simulator = &stage.simulator;
        simulator.seed(20);
        let reconcile = stage.start("reconcile").await?;
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
            stage.deliver_all().await
        };
        let (report, delivered) = tokio::join!(run, delivery);
        delivered?;
        assert_eq!(report?["outcome"], "complete", "{change}");
        stage.assert_in_sync().await.context(change)?;
    }
    Ok(())
}
