//! The listing: it moves under the walk, by cursor or by offset, and shows a field otherwise than a read.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::simulator::clerk::Cursors;
use tests::simulator::{Call, Clerk, Fault, Moment, Trouble, World};

use super::Site;

/// Users of a page, as the adapter asks for them.
const PAGE: usize = 500;

/// Lets users come, go and change at every page for as long as the run is under way, and gives
/// the users that it touches.
fn disturb(world: &World, round: usize, under_way: &Arc<AtomicBool>) -> BTreeSet<String> {
    let ids: Vec<String> = world.truth().map(|user| user.id).collect();
    let mut touched = BTreeSet::new();
    for page in 0..12_usize {
        // The last of a page, at which a cursor may stand; some before it, which move all offsets;
        // and some after it.
        let end = PAGE * (page + 1);
        let before = (0..13).map(|i| i * 7 + page * 91 + round * 3);
        let gone: Vec<String> = (end - 3..end)
            .chain(before)
            .chain(end + 200..end + 203)
            .filter_map(|place| ids.get(place).cloned())
            .filter(|id| touched.insert(id.clone()))
            .collect();
        let renamed: Vec<String> = [end - 10, end + 1]
            .iter()
            .filter_map(|place| ids.get(*place).cloned())
            .filter(|id| !touched.contains(id))
            .collect();
        let skip = u32::try_from(page).unwrap_or(0);
        let under_way = Arc::clone(under_way);
        world.once(Moment::After, Call::List, skip, move |clerk| {
            if !under_way.load(Ordering::SeqCst) {
                return;
            }
            clerk.clock().advance(Duration::from_millis(5));
            for id in &gone {
                clerk.delete(id).expect("a user who is there");
            }
            for id in &renamed {
                let _ = clerk.rename(id, "Renamed meanwhile");
            }
            clerk
                .create("New meanwhile", &format!("new{round}-{page}@example.com"))
                .expect("a sign-up");
        });
    }
    touched
}

async fn listing_under_change(cursors: Cursors) -> Result<()> {
    let instance = Clerk {
        cursors,
        ..Clerk::default()
    };
    let site = Site::of(instance).await?;
    let world = site.world();
    world.seed(2_600);
    let reconcile = site.stage.reconcile().await?;
    let run = async || {
        let event = json!({ "max_deletes": 2_000 });
        let limit = Duration::from_secs(300);
        let report = reconcile.invoke_with_deadline(event, limit).await;
        let report = report.with_context(|| reconcile.logs().unwrap_or_default())?;
        ensure!(report["outcome"] == "complete", "{report}");
        anyhow::Ok(report)
    };
    for round in 0..2 {
        let all: BTreeSet<String> = world.truth().map(|user| user.id).collect();
        let (under_way, deleted) = (Arc::new(AtomicBool::new(true)), world.deleted().len());
        let touched = disturb(world, round, &under_way);
        run().await?;
        under_way.store(false, Ordering::SeqCst);
        let deleted = world.deleted().len() - deleted;
        ensure!(deleted > 90, "only {deleted} users went");
        // Each user that lived all the time is there, and no living user is marked as deleted.
        let table = site.stage.table().await?;
        let shown: BTreeSet<&str> = table
            .iter()
            .filter(|row| row.lives())
            .map(|row| row.id.as_str())
            .collect();
        let skipped: Vec<_> = all
            .difference(&touched)
            .filter(|id| !shown.contains(id.as_str()))
            .collect();
        ensure!(skipped.is_empty(), "round {round}: {skipped:?}");
        for row in table.iter().filter(|row| !row.lives()) {
            ensure!(
                world.user(&row.id).is_none(),
                "round {round}: {row:?} lives"
            );
        }
    }
    run().await?;
    site.stage.assert_in_sync().await?;
    let before = site.stage.versions().await?;
    let report = run().await?;
    assert_eq!(report["listed"], report["unchanged"], "{report}");
    assert!(
        site.stage.versions().await? == before,
        "a tuple was written"
    );
    let offsets = world
        .requests()
        .iter()
        .any(|one| one.query.contains("offset="));
    let by_offset = matches!(cursors, Cursors::Refused | Cursors::Ignored);
    assert_eq!(offsets, by_offset);
    Ok(())
}

#[tokio::test]
async fn nobody_is_skipped_while_users_come_and_go_under_a_walk_by_cursor() -> Result<()> {
    listing_under_change(Cursors::Taken).await
}

#[tokio::test]
async fn nobody_is_skipped_where_a_lost_cursor_looks_like_the_end() -> Result<()> {
    listing_under_change(Cursors::TakenQuietly).await
}

#[tokio::test]
async fn nobody_is_skipped_by_offset_where_cursors_are_refused() -> Result<()> {
    listing_under_change(Cursors::Refused).await
}

#[tokio::test]
async fn nobody_is_skipped_by_offset_where_cursors_are_ignored() -> Result<()> {
    listing_under_change(Cursors::Ignored).await
}

#[tokio::test]
async fn a_listing_that_shows_nobody_is_held_against_the_count() -> Result<()> {
    let site = Site::new().await?;
    site.world().seed(60);
    let reconcile = site.stage.reconcile().await?;
    reconcile.invoke(json!({})).await?;
    site.world()
        .add_trouble(Trouble::every(Fault::EmptyListing).on(Call::List));
    let event = json!({ "max_deletes": 100 });
    let error = reconcile.invoke(event).await.err().context("it ran")?;
    assert_eq!(error.error_type, "Failed");
    assert!(
        error.error_message.contains("counts 60 users and listed 0"),
        "{error}"
    );
    site.world().clear_troubles();
    site.stage.assert_in_sync().await
}

/// How many users were read one by one since the log was cleared.
fn reads(site: &Site) -> usize {
    let requests = site.stage.simulator.requests();
    let reads = requests.iter().filter(|request| request.call == Call::Read);
    reads.count()
}

#[tokio::test]
async fn a_field_that_is_listed_otherwise_is_noticed_and_nobody_is_read_for_it_again() -> Result<()>
{
    let site = Site::new().await?;
    site.world().seed(300);
    let reconcile = site.stage.reconcile().await?;
    let report = reconcile.invoke(json!({})).await?;
    ensure!(report["outcome"] == "complete", "{report}");
    let otherwise = ("\"banned\":false".to_owned(), "\"banned\":null".to_owned());
    site.world()
        .switch(|switches| switches.listed_as = Some(otherwise));

    let mut asked = Vec::new();
    for _ in 0..4 {
        site.stage.simulator.clear_requests();
        let report = reconcile.invoke(json!({})).await?;
        ensure!(report["outcome"] == "complete", "{report}");
        ensure!(report["unchanged"] == 300, "{report}");
        asked.push(reads(&site));
    }
    ensure!(asked[0] == 300, "{asked:?}");
    ensure!(asked[1..].iter().all(|reads| *reads == 10), "{asked:?}");
    let logs = reconcile.logs()?;
    let said = logs
        .lines()
        .filter(|line| line.contains("\"field\":\"banned\""));
    ensure!(said.count() == 1, "{logs}");

    // Other changes are seen all the same, and changes of that very field by their version.
    let ids: Vec<_> = site.stage.simulator.truth().map(|user| user.id).collect();
    site.world().clock().advance(Duration::from_secs(5));
    site.world().rename(&ids[250], "Renamed")?;
    let report = reconcile.invoke(json!({})).await?;
    ensure!(report["updated"] == 1, "{report}");
    site.stage.assert_in_sync().await?;

    // Once the listing shows what reads do, it is compared again.
    site.world().switch(|switches| switches.listed_as = None);
    let report = reconcile.invoke(json!({})).await?;
    ensure!(report["unchanged"] == 300, "{report}");
    let kept = "SELECT unlisted FROM neon_identity.walk";
    let kept = site.stage.json(kept).await?.pop().context("a walk")?;
    ensure!(kept["unlisted"] == json!([]), "{kept}");
    let edit = format!(
        "UPDATE neon_identity.users_sync SET raw_json = jsonb_set(raw_json, '{{banned}}', 'true')
        WHERE id = '{}'",
        ids[7]
    );
    site.stage.execute(&edit).await?;
    let report = reconcile.invoke(json!({})).await?;
    ensure!(report["updated"] == 1, "{report}");
    site.stage.assert_in_sync().await
}
