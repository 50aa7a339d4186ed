//! What is Clerk's own: versions that order deliveries, a deletion's time that is in the event
//! alone, the primary email by its id, and listings that move under the walk.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::function::Function;
use tests::postgres::Postgres;
use tests::sender::Sender;
use tests::simulator::clerk::Cursors;
use tests::simulator::{Call, Clerk, Clock, Fault, Message, Moment, Options, Trouble, World};
use tests::stage::{Setup, Stage};

/// April 2026, and not on a second.
const NOON: i64 = 1_776_902_400_250;

/// Users of a page, as the adapter asks for them.
const PAGE: usize = 500;

/// A stage whose provider's clock stands still, and an instance of `webhook`.
struct Site {
    stage: Stage,
    webhook: Function,
    sender: Sender,
}

impl Site {
    async fn new() -> Result<Self> {
        Self::of(Clerk::default()).await
    }

    async fn of(instance: Clerk) -> Result<Self> {
        let setup = Setup {
            simulator: Options {
                clock: Clock::by_hand(NOON),
                ..Options::default()
            },
            ..Setup::of(instance)
        };
        let stage = Stage::on(Postgres::shared().await?, setup).await?;
        let webhook = stage.webhook().await?;
        let sender = Sender::new(stage.sending(webhook.url())?)?;
        Ok(Self {
            stage,
            webhook,
            sender,
        })
    }

    fn world(&self) -> &World {
        &self.stage.simulator
    }

    /// Does something a while later, and gives what is told of it.
    fn later(&self, deed: impl FnOnce(&World) -> Result<()>) -> Result<Message> {
        self.world().clock().advance(Duration::from_millis(1_700));
        self.now(deed)
    }

    /// The same at this very millisecond.
    fn now(&self, deed: impl FnOnce(&World) -> Result<()>) -> Result<Message> {
        deed(self.world())?;
        let mut told = self.world().take_messages();
        ensure!(told.len() == 1, "{told:?}");
        told.pop().context("a message")
    }

    async fn deliver(&self, message: &Message) -> Result<()> {
        let status = self.sender.deliver_once(message).await?;
        ensure!(status == 200, "{status}: {}", self.webhook.logs()?);
        Ok(())
    }

    async fn name(&self, id: &str) -> Result<Option<String>> {
        Ok(self.stage.the_row(id).await?.name)
    }

    /// A user whose sign-up is in the table.
    async fn ada(&self) -> Result<String> {
        let id = self.world().create("Ada Lovelace", "ada@example.com")?;
        for message in self.world().take_messages() {
            self.deliver(&message).await?;
        }
        Ok(id)
    }

    /// How often a user was read by id.
    fn reads(&self) -> usize {
        let requests = self.world().requests();
        requests.iter().filter(|one| one.call == Call::Read).count()
    }
}

fn time(millis: i64) -> Option<SystemTime> {
    let since_1970 = Duration::from_millis(u64::try_from(millis).ok()?);
    Some(SystemTime::UNIX_EPOCH + since_1970)
}

// Deliveries.

#[tokio::test]
async fn a_late_older_update_is_stale_and_nobody_is_read() -> Result<()> {
    let site = Site::new().await?;
    let id = site.ada().await?;
    let older = site.later(|clerk| clerk.rename(&id, "Ada Older"))?;
    let newer = site.later(|clerk| clerk.rename(&id, "Ada Newer"))?;
    site.deliver(&newer).await?;
    site.deliver(&older).await?;
    site.deliver(&newer).await?;
    assert_eq!(site.name(&id).await?.as_deref(), Some("Ada Newer"));
    site.stage.assert_in_sync().await?;
    assert_eq!(site.reads(), 0, "a statement needs no read");
    Ok(())
}

#[tokio::test]
async fn two_updates_of_one_millisecond_are_settled_by_a_read() -> Result<()> {
    for late_first in [false, true] {
        let site = Site::new().await?;
        let id = site.ada().await?;
        let first = site.later(|clerk| clerk.rename(&id, "Ada First"))?;
        let second = site.now(|clerk| clerk.rename(&id, "Ada Second"))?;
        let order = match late_first {
            true => [&second, &first],
            false => [&first, &second],
        };
        for message in order {
            site.deliver(message).await?;
        }
        assert_eq!(site.name(&id).await?.as_deref(), Some("Ada Second"));
        site.stage.assert_in_sync().await?;
        assert!(site.reads() > 0);
    }
    Ok(())
}

#[tokio::test]
async fn a_late_update_of_what_lay_between_there_and_back_is_stale() -> Result<()> {
    let site = Site::new().await?;
    let id = site.ada().await?;
    let there = site.later(|clerk| clerk.rename(&id, "Countess"))?;
    let back = site.later(|clerk| clerk.rename(&id, "Ada Lovelace"))?;
    site.deliver(&back).await?;
    site.deliver(&there).await?;
    assert_eq!(site.name(&id).await?.as_deref(), Some("Ada Lovelace"));
    site.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_deletion_is_of_the_events_time_in_either_unit_and_final() -> Result<()> {
    for events_in_seconds in [false, true] {
        let instance = Clerk {
            events_in_seconds,
            ..Clerk::default()
        };
        let site = Site::of(instance).await?;
        let id = site.ada().await?;
        let renamed = site.later(|clerk| clerk.rename(&id, "Countess"))?;
        let renamed_at = site.world().clock().now();
        let late = site.later(|clerk| clerk.rename(&id, "Late"))?;
        let deleted = site.later(|clerk| clerk.delete(&id))?;
        let deleted_at = site.world().clock().now();
        site.deliver(&renamed).await?;
        let before = site.stage.the_row(&id).await?;
        site.deliver(&deleted).await?;
        let after = site.stage.the_row(&id).await?;
        let unit = if events_in_seconds { 1_000 } else { 1 };
        assert_eq!(after.deleted_at, time(deleted_at / unit * unit));
        assert_eq!(
            after.updated_at,
            time(renamed_at),
            "a deletion is no update"
        );
        assert_eq!((after.raw_json, after.name), (before.raw_json, before.name));

        // What comes late makes nobody alive.
        for message in [&late, &renamed, &deleted] {
            site.deliver(message).await?;
            let row = site.stage.the_row(&id).await?;
            ensure!(!row.lives() && row.deleted_at >= row.updated_at, "{row:?}");
        }
        let reconcile = site.stage.reconcile().await?;
        let report = reconcile.invoke(json!({})).await?;
        assert_eq!(
            (&report["outcome"], &report["revived"]),
            (&json!("complete"), &json!(0))
        );
        ensure!(!site.stage.the_row(&id).await?.lives());
    }
    Ok(())
}

#[tokio::test]
async fn a_deletion_within_the_second_of_the_last_update_is_not_before_it() -> Result<()> {
    let instance = Clerk {
        events_in_seconds: true,
        ..Clerk::default()
    };
    let site = Site::of(instance).await?;
    let id = site.ada().await?;
    let deleted = site.now(|clerk| clerk.delete(&id))?;
    site.deliver(&deleted).await?;
    let row = site.stage.the_row(&id).await?;
    assert!(!row.lives() && row.deleted_at >= row.updated_at, "{row:?}");
    site.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_deletion_that_comes_before_the_sign_up_stays() -> Result<()> {
    let site = Site::new().await?;
    let id = site.world().create("Ada", "ada@example.com")?;
    let created = site.world().take_messages().pop().context("a message")?;
    let deleted = site.later(|clerk| clerk.delete(&id))?;
    site.deliver(&deleted).await?;
    assert!(!site.stage.the_row(&id).await?.lives());
    site.deliver(&created).await?;
    let row = site.stage.the_row(&id).await?;
    assert!(!row.lives(), "{row:?}");
    assert_eq!(row.name.as_deref(), Some("Ada"));
    site.stage.assert_in_sync().await
}

#[tokio::test]
async fn an_erased_user_stays_erased_whatever_comes_late() -> Result<()> {
    let site = Site::new().await?;
    let id = site.ada().await?;
    let late = site.later(|clerk| clerk.rename(&id, "Ada King"))?;
    let deleted = site.later(|clerk| clerk.delete(&id))?;
    site.deliver(&deleted).await?;
    // The documentation's words.
    let page = include_str!("../../../docs/operating.md");
    let (_, erase) = page
        .split_once("## Erasing a user")
        .context("the section")?;
    let (_, erase) = erase.split_once("```sql\n").context("the statement")?;
    let (erase, _) = erase.split_once("```").context("an end")?;
    site.stage
        .execute(&erase.replace("'…'", &format!("'{id}'")))
        .await?;
    site.deliver(&late).await?;
    let reconcile = site.stage.reconcile().await?;
    reconcile.invoke(json!({})).await?;
    let kept = site
        .stage
        .json("SELECT raw_json, name, email FROM neon_identity.users_sync");
    let erased = json!({"raw_json": {}, "name": null, "email": null});
    assert_eq!(kept.await?, [erased]);
    assert!(!site.stage.the_row(&id).await?.lives());
    Ok(())
}

// What a profile says.

#[tokio::test]
async fn the_email_is_the_primary_one_wherever_it_stands() -> Result<()> {
    let site = Site::new().await?;
    let id = site.ada().await?;
    let email = async || anyhow::Ok(site.stage.the_row(&id).await?.email);
    let change =
        site.later(|clerk| clerk.change_email_via_contact_channel(&id, "new@example.com"))?;
    site.deliver(&change).await?;
    assert_eq!(email().await?.as_deref(), Some("new@example.com"));
    let profile: serde_json::Value =
        serde_json::from_str(&site.stage.simulator.user(&id).context("the user")?.profile)?;
    let first = &profile["email_addresses"][0];
    assert_eq!(
        first["email_address"], "ada@example.com",
        "behind the old one"
    );
    let back = json!({ "primary_email_address_id": first["id"] });
    let change = site.later(|clerk| clerk.update(&id, &back))?;
    site.deliver(&change).await?;
    assert_eq!(email().await?.as_deref(), Some("ada@example.com"));

    // A telephone number alone, with a name or without.
    let phone = site.world().create_anonymous()?;
    let told = site.world().take_messages();
    site.deliver(&told[0]).await?;
    let row = site.stage.the_row(&phone).await?;
    assert_eq!((row.name, row.email), (None, None));
    let named = json!({ "username": "ada99" });
    let change = site.later(|clerk| clerk.update(&phone, &named))?;
    site.deliver(&change).await?;
    assert_eq!(site.name(&phone).await?.as_deref(), Some("ada99"));
    site.stage.assert_in_sync().await
}

#[tokio::test]
async fn users_without_an_email_or_with_another_in_front_are_listed_as_they_are() -> Result<()> {
    let site = Site::new().await?;
    site.world().seed(200);
    let reconcile = site.stage.reconcile().await?;
    let report = reconcile.invoke(json!({})).await?;
    assert_eq!(report["created"], 200, "{report}");
    site.stage.assert_in_sync().await?;
    let table = site.stage.table().await?;
    let count =
        |shows: &dyn Fn(&tests::stage::Row) -> bool| table.iter().filter(|row| shows(row)).count();
    let second = |row: &tests::stage::Row| row.raw_json.contains("@example.org");
    assert!(count(&|row| second(row) && row.email.is_some()) > 10);
    assert!(count(&|row| second(row) && row.email.is_none()) > 2);
    assert!(count(&|row| !second(row) && row.email.is_none()) > 2);
    assert_eq!(
        count(&|row| {
            row.email
                .as_deref()
                .is_some_and(|email| email.ends_with("@example.org"))
        }),
        0
    );
    Ok(())
}

#[tokio::test]
async fn the_profile_is_kept_whole_with_all_three_kinds_of_metadata() -> Result<()> {
    let site = Site::new().await?;
    let id = site.ada().await?;
    let metadata = json!({
        "public_metadata": { "plan": "pro" },
        "private_metadata": { "stripe_customer": "cus_1" },
        "unsafe_metadata": { "theme": 1.10 },
    });
    let change = site.later(|clerk| clerk.update(&id, &metadata))?;
    site.deliver(&change).await?;
    site.stage.assert_in_sync().await?;
    let raw = site.stage.the_row(&id).await?.raw_json;
    assert!(
        raw.contains(r#""private_metadata": {"stripe_customer": "cus_1"}"#),
        "{raw}"
    );
    Ok(())
}

// Listings.

/// Lets users come, go and change at every page for as long as the run is under way, and gives
/// whom it touches.
fn disturb(world: &World, round: usize, under_way: &Arc<AtomicBool>) -> BTreeSet<String> {
    let ids: Vec<String> = world.truth().map(|user| user.id).collect();
    let mut touched = BTreeSet::new();
    for page in 0..12_usize {
        // The last of a page, on whom a cursor may stand; some of before, who move all offsets;
        // some of after.
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
        // Whoever lived all the time is there, and nobody who lives is marked as deleted.
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

#[tokio::test]
async fn no_version_falls_however_long_reads_lag() -> Result<()> {
    let site = Site::new().await?;
    let reconcile = site.stage.reconcile().await?;
    let id = site.world().create("Ada", "ada@example.com")?;
    site.world().create("Bob", "bob@example.com")?;
    site.world().take_messages();
    let report = reconcile.invoke(json!({})).await?;
    ensure!(report["outcome"] == "complete", "{report}");
    site.world().clock().advance(Duration::from_secs(300));
    let renamed = site.later(|world| world.rename(&id, "Ada Lovelace"))?;
    site.deliver(&renamed).await?;
    let newest = site.stage.the_row(&id).await?;

    // Minutes longer than is assumed: listings and reads show what was before.
    site.world().switch(|switches| switches.lag_ms = 200_000);
    for _ in 0..2 {
        let report = reconcile.invoke(json!({})).await?;
        ensure!(report["outcome"] == "complete", "{report}");
        ensure!(report["updated"] == 0, "{report}");
        ensure!(site.stage.the_row(&id).await? == newest);
    }
    // Nor is a user revived by what was before.
    let tombstone = format!(
        "UPDATE neon_identity.users_sync SET deleted_at = clock_timestamp() WHERE id = '{id}'"
    );
    site.stage.execute(&tombstone).await?;
    let report = reconcile.invoke(json!({})).await?;
    ensure!(report["revived"] == 0, "{report}");
    ensure!(site.stage.the_row(&id).await?.updated_at == newest.updated_at);

    site.world().switch(|switches| switches.lag_ms = 0);
    let report = reconcile.invoke(json!({})).await?;
    ensure!(report["revived"] == 1, "{report}");
    site.stage.assert_in_sync().await
}

#[tokio::test]
async fn a_version_that_a_person_has_set_falls_to_the_providers_own() -> Result<()> {
    let site = Site::new().await?;
    let reconcile = site.stage.reconcile().await?;
    let id = site.world().create("Ada", "ada@example.com")?;
    let report = reconcile.invoke(json!({})).await?;
    ensure!(report["outcome"] == "complete", "{report}");
    let right = site.stage.the_row(&id).await?;
    for edit in [
        "updated_at = updated_at + interval '1 day'",
        "updated_at = updated_at + interval '1 day', name = 'Eve'",
        "updated_at = updated_at + interval '1 day', raw_json = '{}'",
        "updated_at = updated_at + interval '1 ms', raw_json = '[]'",
        "updated_at = clock_timestamp() + interval '1 year'",
        "updated_at = 'infinity'",
        "updated_at = NULL",
        "raw_json = jsonb_set(raw_json, '{first_name}', '\"Eve\"')",
        "raw_json = jsonb_set(raw_json, '{updated_at}', '1')",
    ] {
        let edit = format!("UPDATE neon_identity.users_sync SET {edit} WHERE id = '{id}'");
        site.stage.execute(&edit).await?;
        let report = reconcile.invoke(json!({})).await?;
        ensure!(report["updated"] == 1, "{edit}: {report}");
        ensure!(site.stage.the_row(&id).await? == right, "{edit}");
    }
    Ok(())
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

    // What else changes is seen all the same, and changes of that very field by their version.
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
