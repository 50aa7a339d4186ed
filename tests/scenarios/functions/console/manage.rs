//! What a person does from the console: runs, readings, erasures, rejections.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::simulator::{Call, Fault, Trouble};
use tests::stage::Stage;

use super::super::figures::{figures, lines};
use super::{Answer, Console, escaped};

#[tokio::test]
async fn the_first_run_is_driven_from_the_browser() -> Result<()> {
    let stage = Stage::seeded(30).await?;
    let console = Console::open(&stage).await?;
    let page = console.page("").await?;
    page.shows("Nobody has been taken in yet")?;
    let ended = console.press(&page, "runs/go", &[]).await?;
    ended.shows("Run complete")?;
    ended
        .shows("30</li>")
        .or_else(|_| ended.shows("30 created"))?;
    ensure!(stage.living().await? == 30);
    console.page("").await?.hides("Needs you")?;
    console.page("runs").await?.shows("30 created")?;
    Ok(())
}

#[tokio::test]
async fn a_run_that_takes_longer_than_a_slice_goes_on_from_its_place() -> Result<()> {
    let stage = Stage::seeded(2_500).await?;
    let console = Console::open(&stage).await?;
    let late = Trouble::every(Fault::Late(3_000)).on(Call::List);
    stage.simulator.add_trouble(late);
    let page = console.page("runs").await?;
    let mut shown = console.press(&page, "runs/go", &[]).await?;
    ensure!(shown.body.contains("Run under way"), "{}", shown.body);
    shown.shows("<progress")?;
    let seen = stage.living().await?;
    ensure!(seen > 0 && seen < 2_500, "{seen}");
    console.page("").await?.shows("A run is not over")?;
    stage.simulator.clear_troubles();
    shown = console.press(&shown, "runs/go", &[]).await?;
    shown.shows("Run complete")?;
    ensure!(stage.living().await? == 2_500);
    // The second began where the first had ended.
    let runs = stage.runs().await?;
    ensure!(
        runs.len() == 2 && runs[0]["outcome"] == "partial",
        "{runs:?}"
    );
    ensure!(runs[1]["listed"].as_i64() < Some(2_500), "{runs:?}");
    Ok(())
}

#[tokio::test]
async fn what_a_run_comes_to_is_said() -> Result<()> {
    let stage = Stage::backfilled(40).await?;
    let console = Console::open(&stage).await?;
    let page = console.page("runs").await?;
    for id in stage.ids().iter().take(20) {
        stage.simulator.delete(id)?;
    }
    let held = console.press(&page, "runs/go", &[]).await?;
    held.shows("Run held")?;
    held.shows("20 users are missing")?;
    console.page("").await?.shows("A run is held")?;
    ensure!(stage.living().await? == 40);
    stage
        .simulator
        .add_trouble(Trouble::every(Fault::Html(404)));
    let failed = console.press(&page, "runs/go", &[]).await?;
    failed.shows("Run failed")?;
    console.page("").await?.shows("The last run failed")?;
    Ok(())
}

#[tokio::test]
async fn runs_from_the_console_write_the_figures_that_alarms_watch() -> Result<()> {
    let stage = Stage::receiving().await?;
    stage.complete(json!({})).await?;
    stage.simulator.create("Bob", "bob@example.com")?;
    stage.simulator.take_messages();
    ensure!(
        stage
            .send(&stage.letter(r#"{"type":"user.created"}"#))
            .await?
            == 400
    );
    for (variables, name) in [
        (&[][..], "console"),
        (&[("RECONCILE_FUNCTION", "one-reconcile")], "one-reconcile"),
    ] {
        let console = Console::with(&stage, variables).await?.signed_in().await?;
        let page = console.page("runs").await?;
        console
            .press(&page, "runs/go", &[])
            .await?
            .shows("complete")?;
        let told = lines(&console.function)?;
        ensure!(figures(&told, "OpenRejections").len() == 1, "{told:?}");
        let missed = if name == "console" { 0 } else { 1 };
        ensure!(figures(&told, "MissedWebhooks") == [missed], "{told:?}");
        let mut told = told.iter().filter(|line| !line["_aws"].is_null());
        ensure!(told.all(|line| line["FunctionName"] == name), "{name}");
        stage
            .execute("UPDATE neon_identity.repairs SET at = at - interval '11 minutes'")
            .await?;
    }
    Ok(())
}

fn user(id: &str) -> String {
    format!(
        "user?id={}",
        escaped(id).replace('-', "%2D").replace('_', "%5F")
    )
}

fn compare(id: &str) -> String {
    format!("compare?id={id}")
}

#[tokio::test]
async fn a_user_is_compared_with_the_provider_and_read_again() -> Result<()> {
    let stage = Stage::backfilled(3).await?;
    let console = Console::open(&stage).await?;
    let id = stage.ids().remove(0);
    console
        .page(&compare(&id))
        .await?
        .shows("Every field is the same.")?;
    stage.simulator.rename(&id, "Augusta King")?;
    let page = console.page(&compare(&id)).await?;
    page.hides("Every field is the same.")?;
    page.shows("Augusta King")?;
    page.shows("column name")?;
    ensure!(stage.the_row(&id).await?.name.as_deref() != Some("Augusta King"));
    let read = console.press(&page, "user/read", &[]).await?;
    ensure!(read.status == 303, "{}", read.body);
    ensure!(stage.the_row(&id).await?.name.as_deref() == Some("Augusta King"));
    console
        .page(&compare(&id))
        .await?
        .shows("Every field is the same.")?;

    stage.simulator.delete(&id)?;
    let page = console.page(&compare(&id)).await?;
    page.shows("The provider has no such user, and the row shows one.")?;
    let read = console.press(&page, "user/read", &[]).await?;
    ensure!(read.header("location").contains("done=gone"));
    ensure!(!stage.the_row(&id).await?.lives());
    console.page(&user(&id)).await?.shows("deleted")?;
    // A provider that can't be asked changes nothing.
    let other = stage.ids().pop().context("a user")?;
    let page = console.page(&user(&other)).await?;
    stage
        .simulator
        .add_trouble(Trouble::every(Fault::Html(404)));
    let read = console.press(&page, "user/read", &[]).await?;
    ensure!(read.status == 503, "{}", read.status);
    ensure!(stage.the_row(&other).await?.lives());
    Ok(())
}

async fn erasable(stage: &Stage, console: &Console) -> Result<(String, Answer)> {
    let id = stage.ids().remove(0);
    stage.simulator.delete(&id)?;
    stage.complete(json!({})).await?;
    let page = console.page(&user(&id)).await?;
    Ok((id, page))
}

#[tokio::test]
async fn a_deleted_user_is_erased_when_their_id_was_typed() -> Result<()> {
    let stage = Stage::backfilled(3).await?;
    let console = Console::open(&stage).await?;
    // Who lives can't be erased.
    let living = stage.ids().remove(1);
    console.page(&user(&living)).await?.hides("user/erase")?;
    let (id, page) = erasable(&stage, &console).await?;
    for wrong in ["", "x", &living] {
        let refused = console
            .press(&page, "user/erase", &[("confirmed", wrong)])
            .await?;
        ensure!(refused.status == 422, "{wrong}");
    }
    ensure!(stage.the_row(&id).await?.raw_json != "{}");
    let erased = console
        .press(&page, "user/erase", &[("confirmed", &id)])
        .await?;
    ensure!(erased.status == 303, "{}", erased.body);
    let row = stage.the_row(&id).await?;
    ensure!(row.raw_json == "{}" && row.email.is_none() && !row.lives());
    let fields = [("id", &*living), ("confirmed", &*living)];
    let refused = console.press(&page, "user/erase", &fields).await?;
    ensure!(refused.status == 422 && stage.the_row(&living).await?.lives());
    let logs = console.function.logs()?;
    ensure!(
        logs.contains("erased a user") && !logs.contains(&id),
        "{logs}"
    );
    Ok(())
}

#[tokio::test]
async fn without_the_owners_address_nobody_is_erased() -> Result<()> {
    let stage = Stage::backfilled(2).await?;
    let console = Console::open(&stage).await?;
    let (id, page) = erasable(&stage, &console).await?;
    stage.change_secret(|secret| {
        secret
            .as_object_mut()
            .expect("an object")
            .remove("admin_database_url");
    })?;
    let refused = console
        .press(&page, "user/erase", &[("confirmed", &id)])
        .await?;
    ensure!(refused.status == 403, "{}", refused.status);
    refused.shows("admin_database_url")?;
    console.page(&user(&id)).await?.hides("user/erase")?;
    Ok(())
}

#[tokio::test]
async fn a_rejection_is_tried_again_or_dismissed() -> Result<()> {
    let stage = Stage::receiving().await?;
    let console = Console::open(&stage).await?;
    console
        .page("rejections")
        .await?
        .shows("Nothing is open.")?;
    stage
        .execute("ALTER TABLE neon_identity.users_sync ADD CHECK (name <> 'Ada')")
        .await?;
    let id = stage.simulator.create("Ada", "ada@example.com")?;
    for message in stage.simulator.take_messages() {
        stage.deliver(&message).await?;
    }
    let bad = stage.letter("<b>no JSON</b>");
    ensure!(stage.send(&bad).await? == 400);
    console.page("").await?.shows("rejections are open")?;
    let list = console.page("rejections").await?;
    let links = list.links("rejection?id=");
    ensure!(links.len() >= 2, "{}", list.body);
    let unreadable = console.page(&links[0]).await?;
    unreadable.shows("&lt;b&gt;no JSON&lt;/b&gt;")?;
    unreadable.hides("rejection/retry")?;
    let dismissed = console.press(&unreadable, "rejection/dismiss", &[]).await?;
    ensure!(dismissed.status == 303, "{}", dismissed.body);

    let refused = console.page(&links[1]).await?;
    refused.shows(&id)?;
    // The table still refuses her.
    let tried = console.press(&refused, "rejection/retry", &[]).await?;
    ensure!(tried.status == 503, "{}", tried.status);
    ensure!(stage.row(&id).await?.is_none());
    stage.simulator.rename(&id, "Augusta")?;
    let tried = console.press(&refused, "rejection/retry", &[]).await?;
    ensure!(
        tried.header("location").contains("done=resolved"),
        "{}",
        tried.body
    );
    ensure!(stage.the_row(&id).await?.name.as_deref() == Some("Augusta"));
    console.page(&links[1]).await?.shows("resolved")?;
    Ok(())
}

#[tokio::test]
async fn a_dry_run_lists_who_differs_and_changes_nothing() -> Result<()> {
    let stage = Stage::backfilled(60).await?;
    let console = Console::open(&stage).await?;
    let page = console.page("users").await?;
    let same = console.press(&page, "runs/look", &[]).await?;
    same.shows("Nothing differs")?;
    let ids = stage.ids();
    stage.simulator.rename(&ids[0], "Another Name")?;
    let new = stage.simulator.create("Grace", "grace@example.com")?;
    for id in &ids[10..40] {
        stage.simulator.delete(id)?;
    }
    let before = stage.versions().await?;
    let found = console.press(&page, "runs/look", &[]).await?;
    found.shows("32 users differ")?;
    found.shows("30 users are missing at the provider")?;
    for id in ids[10..40].iter().chain([&ids[0], &new]) {
        found.shows(&format!("{id}</bdi>"))?;
    }
    found.hides(&ids[50])?;
    ensure!(stage.versions().await? == before, "it has written");
    Ok(())
}

#[tokio::test]
async fn the_filter_differs_shows_whom_the_last_dry_run_found() -> Result<()> {
    let stage = Stage::backfilled(60).await?;
    let console = Console::open(&stage).await?;
    let page = console.page("users?among=differs").await?;
    page.shows("No dry run has been made yet")?;
    let same = console.press(&page, "runs/look", &[]).await?;
    same.shows("Nothing differs")?;
    console
        .page("users?among=differs")
        .await?
        .shows("No user is like that")?;
    let ids = stage.ids();
    stage.simulator.rename(&ids[0], "Another Name")?;
    let new = stage.simulator.create("Grace", "grace@example.com")?;
    for id in &ids[1..56] {
        stage.simulator.delete(id)?;
    }
    console.press(&page, "runs/look", &[]).await?;
    // 57 of them, 50 a page.
    let first = console.page("users?among=differs").await?;
    let mut next = first.links("users?among=differs");
    next.retain(|link| link.contains("&after="));
    let second = console.page(&next.pop().context("no next page")?).await?;
    let both = format!("{}{}", first.body, second.body);
    for id in ids[..56].iter().chain([&new]) {
        ensure!(
            both.matches(&format!("{id}</bdi></code>")).count() == 1,
            "{id}"
        );
    }
    for id in &ids[56..] {
        ensure!(!both.contains(id.as_str()), "{id}");
    }
    ensure!(both.matches("missing at the provider").count() == 55);
    ensure!(both.matches("different in the table").count() == 1);
    ensure!(both.matches("not in the table").count() == 1);
    let name = stage.the_row(&ids[0]).await?.name.context("no name")?;
    let found = console
        .page(&format!("users?among=differs&q={}", escaped(&name)))
        .await?;
    found.shows(&format!("{}</bdi></code>", ids[0]))?;
    found.hides(&new)?;
    // The next dry run finds what is left then.
    stage.complete(json!({"max_deletes": 60})).await?;
    console.press(&page, "runs/look", &[]).await?;
    console
        .page("users?among=differs")
        .await?
        .shows("No user is like that")?;
    Ok(())
}

#[tokio::test]
async fn a_dry_run_that_takes_longer_than_a_slice_goes_on_from_its_place() -> Result<()> {
    let stage = Stage::backfilled(2_500).await?;
    let console = Console::open(&stage).await?;
    let ids = stage.ids();
    stage.simulator.rename(&ids[0], "Another Name")?;
    stage.simulator.rename(&ids[2_499], "Another Name")?;
    for id in &ids[1_000..1_030] {
        stage.simulator.delete(id)?;
    }
    let before = stage.versions().await?;
    let late = Trouble::every(Fault::Late(3_000)).on(Call::List);
    stage.simulator.add_trouble(late);
    let page = console.page("runs").await?;
    let first = console.press(&page, "runs/look", &[]).await?;
    first.shows("Dry run under way")?;
    first.shows("<progress")?;
    // Whoever comes to the page finds it there, and has it go on.
    let users = console.page("users?among=differs").await?;
    users.shows("It has not ended")?;
    stage.simulator.clear_troubles();
    let ended = console
        .press(&first, "runs/look", &[("go_on", "1")])
        .await?;
    ended.shows("32 users differ")?;
    ended.shows("30 users are missing at the provider")?;
    let runs = stage.runs().await?;
    let listed = |run: &serde_json::Value| run["listed"].as_i64().unwrap_or_default();
    let [.., one, two] = &runs[..] else {
        anyhow::bail!("{runs:?}");
    };
    ensure!(
        one["outcome"] == "partial" && two["outcome"] == "complete",
        "{runs:?}"
    );
    ensure!(one["dry_run"] == true && two["dry_run"] == true, "{runs:?}");
    ensure!(
        listed(one) > 0 && listed(one) + listed(two) <= 2_470,
        "{runs:?}"
    );
    ensure!(stage.versions().await? == before, "it has written");
    // A dry run's place is not the walk's.
    console.page("").await?.hides("A run is not over")?;
    Ok(())
}

#[tokio::test]
async fn more_users_than_a_page_names_are_released_in_steps() -> Result<()> {
    let stage = Stage::backfilled(1_300).await?;
    let console = Console::open(&stage).await?;
    let ids = stage.ids();
    for id in &ids[..1_100] {
        stage.simulator.delete(id)?;
    }
    let page = console.page("runs").await?;
    let mut shown = console.press(&page, "runs/look", &[]).await?;
    while shown.body.contains("Dry run under way") {
        shown = console.press(&shown, "runs/look", &[]).await?;
    }
    shown.shows("1\u{202f}100 users are missing at the provider")?;
    for (step, left) in [(500, 600), (500, 100), (100, 0)] {
        shown.shows(&format!("Mark exactly these {step} users as deleted"))?;
        shown = console.press(&shown, "runs/release", &[]).await?;
        shown.shows(&format!("{step} of the {step} users"))?;
        ensure!(stage.living().await? == 200 + left, "{step}");
    }
    shown.hides("runs/release")?;
    console
        .page("users?among=differs")
        .await?
        .shows("No user is like that")?;
    Ok(())
}

#[tokio::test]
async fn exactly_those_whom_the_page_named_are_tombstoned() -> Result<()> {
    let stage = Stage::backfilled(60).await?;
    let console = Console::open(&stage).await?;
    let ids = stage.ids();
    for id in &ids[10..40] {
        stage.simulator.delete(id)?;
    }
    stage.held(json!({})).await?;
    let page = console.page("").await?;
    let found = console.press(&page, "runs/look", &[]).await?;
    // Meanwhile one more goes, whom nobody has seen on the page.
    stage.simulator.delete(&ids[5])?;
    let done = console.press(&found, "runs/release", &[]).await?;
    done.shows("30 of the 30 users")?;
    let table = stage.table().await?;
    let gone: Vec<_> = table
        .iter()
        .filter(|row| !row.lives())
        .map(|row| &row.id)
        .collect();
    ensure!(gone.len() == 30 && !gone.contains(&&ids[5]), "{gone:?}");
    // What a page names is not believed: who is there at the provider stays.
    let fields = [("ids", &*format!("{}\n{}", ids[50], ids[5]))];
    let done = console.press(&found, "runs/release", &fields).await?;
    done.shows("1 of the 2 users")?;
    ensure!(stage.the_row(&ids[50]).await?.lives() && !stage.the_row(&ids[5]).await?.lives());
    let complete = console.press(&done, "runs/go", &[]).await?;
    complete.shows("Run complete")?;
    console.page("").await?.hides("Needs you")?;
    let logs = console.function.logs()?;
    ensure!(
        logs.contains("released tombstones") && !logs.contains(&ids[10]),
        "{logs}"
    );
    Ok(())
}

#[tokio::test]
async fn a_release_while_another_run_works_does_nothing() -> Result<()> {
    let stage = Stage::backfilled(20).await?;
    let console = Console::open(&stage).await?;
    let page = console.page("users").await?;
    let form = page.form("runs/look")?;
    stage.simulator.delete(&stage.ids()[0].clone())?;
    stage
        .execute(
            "UPDATE neon_identity.walk SET run_id = 0, lease_until = now() + interval '1 minute'",
        )
        .await?;
    let ids = stage
        .table()
        .await?
        .into_iter()
        .map(|row| row.id)
        .collect::<Vec<_>>();
    let fields = [
        ("form_token", &*form["form_token"]),
        ("ids", &*ids.join("\n")),
    ];
    for path in ["runs/release", "runs/look"] {
        let answer = console.post(path, &fields).await?;
        ensure!(answer.status == 503, "{path}: {}", answer.status);
        answer
            .shows("another run holds the lease")
            .or_else(|_| answer.shows("Another run holds"))?;
    }
    ensure!(stage.living().await? == 20);
    Ok(())
}
