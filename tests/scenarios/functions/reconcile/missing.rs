//! Users that are in the table and not in the listing: each is read by id, then tombstoned, kept or
//! held.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;
use tests::simulator::{Call, Fault, Trouble};
use tests::stage::Stage;

use super::{STALENESS, assert_figures};

#[tokio::test]
async fn a_user_whom_the_provider_fails_to_show_stops_nobody_else() -> Result<()> {
    let stage = Stage::backfilled(20).await?;
    let simulator = &stage.simulator;
    let ids = stage.ids();
    // One who is listed can be settled by a read alone; three are gone, one is not shown.
    let edit = format!(
        "UPDATE neon_identity.users_sync SET deleted_at = clock_timestamp() WHERE id = '{}'",
        ids[1]
    );
    stage.execute(&edit).await?;
    for id in &ids[2..6] {
        simulator.delete(id)?;
    }
    let trouble = Trouble::every(Fault::Status(500)).on(Call::Read);
    simulator.add_trouble(trouble.of(&ids[2]));
    let report = stage.complete(json!({})).await?;
    for (figure, expected) in [("revived", 1), ("deleted", 3), ("rejected", 1)] {
        assert_eq!(report[figure], expected, "{figure}: {report}");
    }
    assert!(stage.the_row(&ids[2]).await?.lives());
    let rejections = stage.rejections().await?;
    assert_eq!(rejections.len(), 1, "{rejections:?}");
    assert_eq!(rejections[0]["user_id"], ids[2]);
    simulator.clear_troubles();
    let report = stage.complete(json!({})).await?;
    assert_eq!(
        (&report["deleted"], &report["rejected"]),
        (&json!(1), &json!(0))
    );
    assert!(stage.rejections().await?[0]["resolved_at"].is_string());
    stage.assert_in_sync().await
}

#[tokio::test]
async fn a_run_that_a_read_fails_tombstones_nobody() -> Result<()> {
    let stage = Stage::backfilled(1_300).await?;
    let simulator = &stage.simulator;
    for id in &stage.ids()[..1_200] {
        simulator.delete(id)?;
    }
    // So late that one lot has been confirmed.
    let trouble = Trouble::every(Fault::Html(404)).on(Call::Read);
    simulator.add_trouble(trouble.after(600));
    stage.fails(json!({"max_deletes": 2_000}), "Failed").await?;
    assert_eq!(stage.living().await?, 1_300);
    simulator.clear_troubles();
    let report = stage.complete(json!({"max_deletes": 2_000})).await?;
    assert_eq!(report["deleted"], 1_200, "{report}");
    stage.assert_in_sync().await
}

/// A table is gone through in parts of some thousand blocks: here each row has a block to itself.
#[tokio::test]
async fn a_table_of_several_parts_is_swept_to_its_end() -> Result<()> {
    let stage = Stage::seeded(4_100).await?;
    let spread = "ALTER TABLE neon_identity.users_sync SET (fillfactor = 10)";
    stage.execute(spread).await?;
    stage.complete(json!({})).await?;
    let place = "SELECT id, (ctid::text::point)[0]::int AS block FROM neon_identity.users_sync
        ORDER BY ctid";
    let rows = stage.query(place, &[]).await?;
    let last: i32 = rows[rows.len() - 1].get("block");
    ensure!(last > 4_000, "the last row is in block {last}");
    for place in [0, 1_998, 1_999, 2_000, 2_001, 3_999, 4_000, rows.len() - 1] {
        stage.simulator.delete(rows[place].get("id"))?;
    }
    let report = stage.complete(json!({})).await?;
    assert_eq!(report["deleted"], 8, "{report}");
    stage.assert_in_sync().await
}

#[tokio::test]
async fn an_id_that_no_url_can_name_stops_no_run() -> Result<()> {
    let stage = Stage::backfilled(5).await?;
    let ensure = "SELECT neon_identity.ensure_user('.'), neon_identity.ensure_user('..')";
    stage.execute(ensure).await?;
    let report = stage.complete(json!({})).await?;
    assert_eq!(report["deleted"], 0);
    // The provider was not asked, so nobody says that they are gone.
    assert!(stage.the_row("..").await?.lives());
    Ok(())
}

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
        let stage = Stage::backfilled(users).await?;
        tokio::time::sleep(STALENESS).await;
        let (ids, simulator) = (stage.ids(), &stage.simulator);
        for id in &ids[..missing] {
            simulator.delete(id)?;
        }
        let others = ids.len() - missing;
        if others > 0 {
            simulator.change_email_via_contact_channel(&ids[missing], "new@example.com")?;
        }
        let event = most.map_or(json!({}), |most| json!({"max_deletes": most}));
        if held {
            let report = stage.held(event).await?;
            let expected = [
                ("listed", others),
                ("updated", 1),
                ("unchanged", others - 1),
                ("held", missing),
            ];
            assert_figures(&report, &expected);
            assert_eq!(stage.living().await?, ids.len(), "nobody is tombstoned");
            let row = stage.the_row(&ids[missing]).await?;
            assert_eq!(row.email.as_deref(), Some("new@example.com"));
            stage.complete(json!({"max_deletes": missing})).await?;
        } else {
            let report = stage.complete(event).await?;
            assert_eq!(report["deleted"], missing, "{report}");
        }
        stage.assert_in_sync().await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_empty_listing_is_held_until_a_person_names_a_number() -> Result<()> {
    let stage = Stage::backfilled(5).await?;
    let simulator = &stage.simulator;
    simulator.add_trouble(Trouble::every(Fault::EmptyListing).on(Call::List));
    let before = stage.versions().await?;
    let report = stage.held(json!({})).await?;
    assert_figures(&report, &[("held", 5)]);
    stage.held(json!({"dry_run": true})).await?;
    assert_eq!(stage.versions().await?, before);
    // They are there all the same, and the reads by id say so.
    let report = stage.complete(json!({"max_deletes": 5})).await?;
    assert_eq!(report["deleted"], 0, "{report}");
    stage.assert_in_sync().await?;

    simulator.clear_troubles();
    for id in stage.ids() {
        simulator.delete(&id)?;
    }
    stage.held(json!({})).await?;
    stage.held(json!({"max_deletes": 4})).await?;
    assert_eq!(stage.living().await?, 5);
    let report = stage.complete(json!({"max_deletes": 5})).await?;
    assert_figures(&report, &[("deleted", 5)]);
    stage.assert_in_sync().await?;
    stage.complete(json!({})).await?;
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
        let stage = Stage::backfilled(5).await?;
        let simulator = &stage.simulator;
        let ids = stage.ids();
        simulator.delete(&ids[0])?;
        simulator.add_trouble(Trouble::every(fault.clone()).on(Call::Read));
        let limit = Duration::from_secs(6);
        let ended = stage
            .reconcile()
            .await?
            .invoke_with_deadline(json!({}), limit)
            .await;
        // Whether time or patience ran out first is all the same.
        match ended {
            Ok(report) => assert_eq!(report["outcome"], "partial", "{fault:?}"),
            Err(error) => assert_eq!(error.error_type, "Failed", "{fault:?}"),
        }
        assert_eq!(stage.living().await?, 5, "{fault:?}");
        simulator.clear_troubles();
        stage.complete(json!({})).await?;
        stage.assert_in_sync().await?;
    }
    Ok(())
}
