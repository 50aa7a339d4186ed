//! The pages, in each state of the schema.

use anyhow::{Result, ensure};
use serde_json::json;
use tests::function::Function;
use tests::secret_file::SecretFile;
use tests::stage::Stage;

use super::{Console, TOKEN};
use crate::site::does_not_start;

#[tokio::test]
async fn without_a_provider_console_starts_and_the_others_say_so() -> Result<()> {
    let stage = Stage::new().await?;
    let secret = json!({
        "database_url": stage.database.url(),
        "console_token": TOKEN,
    });
    let file = SecretFile::new(&secret)?;
    for name in ["webhook", "reconcile", "provision"] {
        let function = Function::spawn(name, file.env()).await?;
        let logs = does_not_start(&function).await?;
        ensure!(
            logs.contains("no provider is connected yet"),
            "{name}: {logs}"
        );
    }
    let console = Console::open(&stage).await?;
    let function = Function::spawn("console", file.env()).await?;
    function.ready().await?;
    let console = Console {
        function,
        ..console
    };
    console.page("").await?.shows("No provider is connected")?;
    Ok(())
}

#[tokio::test]
async fn where_there_is_no_schema_yet_the_first_page_leads_to_the_connection() -> Result<()> {
    let stage = Stage::new().await?;
    stage.execute("DROP SCHEMA neon_identity CASCADE").await?;
    let console = Console::of(&stage).await?;
    // The instance counts attempts while there is no table.
    for _ in 0..10 {
        ensure!(console.sign_in_from("192.0.2.1", "wrong").await?["statusCode"] == 401);
    }
    ensure!(console.sign_in_from("192.0.2.1", TOKEN).await?["statusCode"] == 429);
    let console = console.signed_in().await?;
    console.page("").await?.shows("Connect a provider")?;
    let users = console.get("users").await?;
    ensure!(users.status == 503);
    users.shows("The schema is not in the database yet")?;
    Ok(())
}

#[tokio::test]
async fn the_overview_says_how_the_table_stands() -> Result<()> {
    let stage = Stage::backfilled(12).await?;
    let console = Console::open(&stage).await?;
    let page = console.page("").await?;
    page.shows("users?among=living\">12<")?;
    page.shows("<bdi>stack</bdi>")?;
    page.shows("complete")?;
    page.hides("Needs you")?;
    Ok(())
}

#[tokio::test]
async fn what_happened_is_plotted_and_told_of_each_user() -> Result<()> {
    let stage = Stage::receiving().await?;
    stage.complete(json!({})).await?;
    let id = stage.simulator.create("Ada", "ada@example.com")?;
    stage.deliver_all().await?;
    ensure!(stage.send(&stage.letter("no JSON")).await? == 400);
    stage.simulator.rename(&id, "Ada King")?;
    stage.complete(json!({})).await?;
    let console = Console::open(&stage).await?;
    for (path, stretches) in [("", 24), ("?over=week", 28)] {
        let page = console.page(path).await?;
        for plot in [
            "Deliveries by outcome",
            "From the change to the row",
            "Users that runs repaired",
        ] {
            page.shows(plot)?;
        }
        ensure!(page.body.matches("<svg ").count() == 3);
        page.shows("Last delivery")?;
        ensure!(page.body.matches("<rect ").count() >= 2, "{}", page.body);
        ensure!(page.body.matches("UTC</th>").count() == 3 * stretches);
    }
    let user = console.page("users").await?.links("user?id=").remove(0);
    let page = console.page(&user).await?;
    page.shows("delivery of <code><bdi>user.created</bdi></code>")?;
    page.shows("created")?;
    page.shows("run 2</a>")?;
    let run = console.page(&page.links("run?id=").remove(0)).await?;
    run.shows("Run 2")?;
    run.shows(&format!("{id}</bdi>"))?;
    ensure!(console.get("run?id=99").await?.status == 404);
    Ok(())
}

#[tokio::test]
async fn stretches_that_are_over_are_counted_once() -> Result<()> {
    let stage = Stage::new().await?;
    let deliver = |when: &str| {
        format!(
            "INSERT INTO neon_identity.deliveries (received_at, event_id, event, outcome, lag_ms)
            SELECT now() - interval '{when}', 'x', 'user.updated', 'updated', 4321
            FROM generate_series(1, 777)"
        )
    };
    stage.execute(&deliver("150 minutes")).await?;
    stage.execute(&deliver("0")).await?;
    let console = Console::open(&stage).await?;
    let shown = |page: &super::Answer| page.body.matches(">777<").count();
    ensure!(shown(&console.page("").await?) == 2);
    let kept = stage
        .json("SELECT hours, count(*), sum(applied), max(lag_p95_ms) AS lag FROM neon_identity.activity GROUP BY 1 ORDER BY 1")
        .await?;
    // The day's last stretch is under way, and the one before may have ended just now.
    ensure!(
        kept[0]["hours"] == 1 && kept[0]["sum"] == 777 && kept[0]["lag"] == 4321,
        "{kept:?}"
    );
    ensure!(
        [22, 23].contains(&kept[0]["count"].as_i64().unwrap_or_default()),
        "{kept:?}"
    );
    stage
        .execute("DELETE FROM neon_identity.deliveries")
        .await?;
    ensure!(
        shown(&console.page("").await?) == 1,
        "the stretch that is over is kept"
    );
    Ok(())
}
