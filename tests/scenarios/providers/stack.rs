//! Facts of Stack Auth alone: a listing whose cursor's user is in the page on some servers and not
//! on others, and a name that has changed.

use anyhow::{Result, ensure};
use serde_json::json;
use tests::simulator::{Call, Moment, Stack};
use tests::stage::{Setup, Stage};

fn both() -> [Stack; 2] {
    [Stack::earlier(), Stack::hexclave()]
}

/// How many users are listed, and in how many pages: one more where the last page is full.
#[tokio::test]
async fn everybody_is_listed_in_as_few_pages_whatever_a_cursor_means() -> Result<()> {
    for (users, most) in [
        (0, 1),
        (1, 1),
        (999, 1),
        (1_000, 2),
        (1_001, 2),
        (2_755, 3),
        (3_000, 5),
    ] {
        for project in both() {
            let cursors = project.cursors;
            let stage = Stage::at_work(Setup::of(project)).await?;
            stage.simulator.seed(users);
            let report = stage.complete(json!({})).await?;
            ensure!(report["created"] == users, "{cursors:?} {report}");
            let asked = stage.simulator.count(Call::List);
            ensure!(asked <= most, "{users} {cursors:?}: {asked} pages");
            stage.assert_in_sync().await?;
        }
    }
    Ok(())
}

/// A deleted cursor's user makes an empty page that looks like the end.
#[tokio::test]
async fn an_empty_page_because_the_cursor_was_deleted_is_not_the_end() -> Result<()> {
    for project in both() {
        let cursors = project.cursors;
        let stage = Stage::at_work(Setup::of(project)).await?;
        let simulator = &stage.simulator;
        simulator.seed(2_500);
        stage.complete(json!({})).await?;
        // The last two of the first page, right before the second one is asked for.
        let ids: Vec<String> = simulator.truth().map(|user| user.id).collect();
        let gone = [ids[998].clone(), ids[999].clone()];
        let world = simulator.world();
        simulator.once(Moment::Before, Call::List, 1, move |_| {
            for id in &gone {
                world.delete(id).expect("somebody to delete");
            }
        });
        simulator.clear_requests();
        let report = stage.complete(json!({})).await?;
        ensure!(report["listed"] == 2_500, "{cursors:?} {report}");
        let asked = simulator.count(Call::List);
        ensure!(asked <= 7, "{cursors:?}: {asked} pages");
        stage.complete(json!({})).await?;
        stage.assert_in_sync().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_schema_stays_bound_whichever_of_the_two_names_is_used() -> Result<()> {
    let stage = Stage::at_work(Setup::of(Stack::earlier())).await?;
    stage.simulator.seed(5);
    stage.complete(json!({})).await?;
    let bound = "SELECT * FROM neon_identity.connection";
    let before = stage.json(bound).await?;
    ensure!(before[0]["provider"] == "stack", "{before:?}");
    stage.change_secret(|secret| secret["provider"]["name"] = json!("hexclave"))?;
    stage.provision().await?;
    let renamed = stage.start("reconcile").await?;
    let report = renamed.invoke(json!({})).await?;
    ensure!(report["unchanged"] == 5, "{report}");
    ensure!(stage.json(bound).await? == before);
    Ok(())
}
