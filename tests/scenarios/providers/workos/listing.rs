//! The listing, by a cursor that may be deleted under it.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::simulator::{Call, LostCursor, Moment, WorkOs, World};

use super::Site;

/// Users a page, as the adapter asks for them.
const PAGE: usize = 100;

/// An environment in each of the ways that it may treat its cursors.
fn environments() -> impl Iterator<Item = WorkOs> {
    let ways = [
        (LostCursor::Refused, false),
        (LostCursor::Refused, true),
        (LostCursor::FromStart, false),
        (LostCursor::Empty, true),
        (LostCursor::Empty, false),
    ];
    ways.into_iter()
        .map(|(lost_cursor, last_page_goes_on)| WorkOs {
            lost_cursor,
            last_page_goes_on,
            ..WorkOs::default()
        })
}

/// Deletes who stands at these places of the listing, and lets somebody sign up.
fn stir(world: &World, places: &[usize], number: u32) {
    let ids: Vec<String> = world.truth().map(|user| user.id).collect();
    for place in places {
        if let Some(id) = ids.get(*place) {
            world.delete(id).expect("they are there");
        }
    }
    let email = format!("new{number}@example.com");
    world.create("New", &email).expect("they may sign up");
}

#[tokio::test]
async fn a_listing_shows_everybody_and_once() -> Result<()> {
    for environment in environments() {
        let way = format!("{environment:?}");
        let site = Site::of(environment).await?;
        let mut before = 0;
        for users in [0, 1, 2, 99, 100, 101, 350] {
            site.stage.simulator.seed(users - before);
            let report = site.complete(json!({})).await?;
            assert_eq!(report["created"], users - before, "{way}, {users} users");
            assert_eq!(report["listed"], users, "{way}");
            site.stage.assert_in_sync().await?;
            before = users;
        }
    }
    Ok(())
}

#[tokio::test]
async fn users_come_and_go_under_a_listing_that_skips_nobody() -> Result<()> {
    for environment in environments() {
        let way = format!("{environment:?}");
        let site = Site::of(environment).await?;
        let simulator = &site.stage.simulator;
        simulator.seed(450);
        site.complete(json!({})).await?;

        // Before each page: the cursor is deleted, or the one who has to follow it, or both, or
        // somebody before them, or one who is yet to be listed.
        let under_it: [&[usize]; 6] = [
            &[PAGE - 2],
            &[2 * PAGE - 4, 2 * PAGE - 3],
            &[0, PAGE],
            &[3 * PAGE + 20],
            &[4 * PAGE - 9, 4 * PAGE - 8, 4 * PAGE - 7],
            &[],
        ];
        for (page, places) in (1..).zip(under_it) {
            let deed = move |world: &World| stir(world, places, page);
            simulator.once(Moment::Before, Call::List, page, deed);
        }
        site.complete(json!({})).await.context(way.clone())?;
        // Each living user was listed or read: nobody is missing, nobody shown as deleted.
        for user in simulator.truth() {
            let row = site.stage.row(&user.id).await?;
            let lives = row.as_ref().is_some_and(|row| row.lives());
            ensure!(lives, "{way}: {} is {row:?}", user.id);
        }
        site.complete(json!({})).await?;
        site.stage.assert_in_sync().await.context(way)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_listing_repairs_what_no_event_told() -> Result<()> {
    let site = Site::new().await?;
    let simulator = &site.stage.simulator;
    simulator.seed(30);
    site.complete(json!({})).await?;
    let ids: Vec<String> = simulator.truth().map(|user| user.id).collect();
    site.wait();
    simulator.rename(&ids[3], "Renamed")?;
    // A sign-in is told to nobody.
    simulator.touch_activity(&ids[4])?;
    simulator.delete(&ids[5])?;
    simulator.create("Ada", "ada@example.com")?;
    site.told();
    let report = site.complete(json!({})).await?;
    for (figure, expected) in [("created", 1), ("updated", 2), ("deleted", 1)] {
        assert_eq!(report[figure], expected, "{report}");
    }
    site.stage.assert_in_sync().await
}
