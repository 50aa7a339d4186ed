//! README.md's todos application, before users-sync and with it.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::postgres::Postgres;
use tests::simulator::SignUp;
use tests::stage::{Setup, Stage};
use tokio_postgres::types::Type;

use super::{Page, psql};

const PAGE: &str = "../../README.md";

const HEADING: &str = "Before and after";

/// The id that the page names.
const ID: &str = "3241a285-8329-4d69-8f3d-316e08cf140c";

/// A login of the application's, with the rights that the page names.
async fn application(stage: &Stage) -> Result<String> {
    let login = stage.database.login("todos").await?;
    let name = login.split(&['/', ':'][..]).nth(3).context("no name")?;
    stage
        .execute(&format!(
            "GRANT neon_identity_reader TO {name}; GRANT CREATE ON SCHEMA public TO {name}"
        ))
        .await?;
    Ok(login)
}

#[tokio::test]
async fn a_sign_up_appears_in_the_join_of_the_readmes_todos() -> Result<()> {
    let server = Postgres::shared().await?;
    let stage = Stage::at_work(Setup::default()).await?;
    stage.simulator.seed(3);
    stage.complete(json!({})).await?;
    let application = application(&stage).await?;
    let mut page = Page::read(PAGE)?;

    // Before: the copy that the application keeps for itself.
    let before = page.take(HEADING)?;
    let (table, insert) = before.split_once("\n\n").context("no table first")?;
    psql(server, &application, table)?;
    for name in ["Ada", "Ada King"] {
        let values = [&ID, &name, &"ada@example.com"];
        let values = values.map(|value| (value as _, Type::TEXT));
        stage.query(insert, &values).await?;
    }
    let cache = "SELECT id, name, email FROM users_cache";
    let copied = psql(server, &application, cache)?;
    ensure!(
        copied == format!("{ID} Ada King ada@example.com"),
        "{copied}"
    );

    // After: she signs up, and has a todo before the delivery has arrived.
    let after = page.take(HEADING)?;
    page.finish()?;
    let (rest, _) = after
        .trim_end()
        .rsplit_once("\n\n")
        .context("no query last")?;
    let query = &after[rest.len()..];
    ensure!(query.trim_start().starts_with("SELECT"), "{query}");
    stage.simulator.sign_up(SignUp {
        id: Some(ID.to_owned()),
        name: Some("Ada Lovelace".to_owned()),
        email: Some("ada@example.com".to_owned()),
        ..SignUp::default()
    })?;
    let at_first = psql(server, &application, &after)?;
    ensure!(at_first.ends_with("Write the README"), "{at_first}");
    ensure!(psql(server, &application, query)?.trim_end() == "Write the README");
    stage.deliver_all().await?;
    let joined = psql(server, &application, query)?;
    ensure!(
        joined == "Write the README Ada Lovelace ada@example.com",
        "{joined}"
    );
    stage.simulator.rename(ID, "Ada King")?;
    stage.deliver_all().await?;
    let joined = psql(server, &application, query)?;
    ensure!(
        joined == "Write the README Ada King ada@example.com",
        "{joined}"
    );

    // The todo refers to her row, which stays.
    stage.simulator.delete(ID)?;
    stage.deliver_all().await?;
    ensure!(psql(server, &application, query)?.is_empty());
    let todos = "SELECT count(*) FROM todos";
    ensure!(psql(server, &application, todos)? == "1");
    let nobody = "INSERT INTO todos (user_id, task) VALUES ('nobody', '?')";
    let refused = psql(server, &application, nobody).unwrap_err().to_string();
    ensure!(refused.contains("23503"), "{refused}");
    stage.assert_in_sync().await
}
