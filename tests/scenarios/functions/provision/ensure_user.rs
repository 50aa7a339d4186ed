//! `ensure_user`: a row before its profile arrives.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::tools::random_name;

use super::site;
use crate::site::{ask, login, refusal, run};

#[tokio::test]
async fn a_todo_is_inserted_before_the_profile_arrives_and_outlives_its_user() -> Result<()> {
    let (_server, site) = site().await?;
    site.provision().await?;
    let application = site.database.login("application").await?;
    let name = login(&application);
    site.run(&format!(
        "GRANT neon_identity_reader TO {name}; CREATE SCHEMA app AUTHORIZATION {name}"
    ))
    .await?;
    let user = site.simulator.create("Ada", "ada@example.com")?;
    run(
        &application,
        &format!(
            "CREATE TABLE app.todos (
                task text,
                user_id text NOT NULL REFERENCES neon_identity.users_sync (id)
            );
            INSERT INTO app.todos VALUES ('early', neon_identity.ensure_user('{user}'))"
        ),
    )
    .await?;
    let unknown = "INSERT INTO app.todos VALUES ('unknown', 'nobody')";
    assert_eq!(refusal(&application, unknown).await?, "23503");
    let joined = "SELECT concat_ws(' ', task, id, name, deleted_at IS NOT NULL)
        FROM app.todos JOIN neon_identity.users_sync AS u ON u.id = user_id ORDER BY task";
    assert_eq!(ask(&application, joined).await?, format!("early {user} f"));

    let webhook = site.start("webhook", "neon_identity").await?;
    assert_eq!(site.deliver(&webhook).await?, [200]);
    assert_eq!(
        ask(&application, joined).await?,
        format!("early {user} Ada f")
    );
    // It is known now: nothing changes.
    let again = format!("SELECT neon_identity.ensure_user('{user}')");
    assert_eq!(ask(&application, &again).await?, user);
    assert_eq!(
        ask(&application, joined).await?,
        format!("early {user} Ada f")
    );

    site.simulator.delete(&user)?;
    assert_eq!(site.deliver(&webhook).await?, [200]);
    assert_eq!(
        ask(&application, joined).await?,
        format!("early {user} Ada t")
    );
    let late =
        format!("INSERT INTO app.todos VALUES ('late', neon_identity.ensure_user('{user}'))");
    run(&application, &late).await?;
    let both = format!("early {user} Ada t\nlate {user} Ada t");
    assert_eq!(ask(&application, joined).await?, both);
    Ok(())
}

#[tokio::test]
async fn a_row_that_the_application_put_in_is_overwritten_by_the_first_profile() -> Result<()> {
    let (_server, site) = site().await?;
    site.provision().await?;
    let [ada, bob] = ["Ada", "Bob"].map(|name| site.simulator.create(name, "a@example.com"));
    let (ada, bob) = (ada?, bob?);
    for id in [&ada, &bob] {
        site.run(&format!(
            "INSERT INTO neon_identity.users_sync (raw_json, id, name, created_at)
            VALUES ('{{\"own\": 1}}', '{id}', 'mine', 'infinity')"
        ))
        .await?;
    }
    let webhook = site.start("webhook", "neon_identity").await?;
    let messages = site.simulator.take_messages();
    let first = messages
        .iter()
        .find(|message| message.kind == "user.created");
    let first = first.context("nothing is told")?;
    assert_eq!(site.deliver_body(&webhook, &first.body).await?, 200);
    let reconcile = site.start("reconcile", "neon_identity").await?;
    let report = reconcile.invoke(json!({})).await?;
    assert_eq!(
        (&report["updated"], &report["unchanged"]),
        (&json!(1), &json!(1)),
        "{report}"
    );
    let rows = "SELECT concat_ws(' ', name, raw_json->>'display_name', raw_json ? 'own',
        isfinite(created_at), updated_at IS NOT NULL) FROM neon_identity.users_sync ORDER BY name";
    assert_eq!(site.ask(rows).await?, "Ada Ada f t t\nBob Bob f t t");
    Ok(())
}

#[tokio::test]
async fn ensure_user_takes_ids_that_a_user_can_have() -> Result<()> {
    let (_server, site) = site().await?;
    site.provision().await?;
    let reader = site.database.login("reader").await?;
    site.run(&format!("GRANT neon_identity_reader TO {}", login(&reader)))
        .await?;
    for id in ["", &"x".repeat(1025), &"é".repeat(513)] {
        let sql = format!("SELECT neon_identity.ensure_user('{id}')");
        assert_eq!(refusal(&reader, &sql).await?, "22023");
    }
    assert_eq!(
        refusal(&reader, "SELECT neon_identity.ensure_user(NULL)").await?,
        "22023"
    );
    for id in [
        "x".repeat(1024),
        "é".repeat(512),
        "auth0|1".to_owned(),
        "a b".to_owned(),
    ] {
        let sql = format!("SELECT neon_identity.ensure_user('{id}')");
        for _ in 0..2 {
            assert_eq!(ask(&reader, &sql).await?, id);
        }
    }
    // Nobody's own function or table comes in between.
    let mine = random_name("mine");
    site.run(&format!(
        "CREATE SCHEMA {mine} AUTHORIZATION {}",
        login(&reader)
    ))
    .await?;
    run(
        &reader,
        &format!(
            "CREATE TABLE {mine}.users_sync (raw_json jsonb, id text UNIQUE);
            CREATE FUNCTION {mine}.octet_length(text) RETURNS int LANGUAGE sql AS 'SELECT 1/0';
            SET search_path = {mine}, pg_catalog;
            SELECT neon_identity.ensure_user('careful')"
        ),
    )
    .await?;
    let made = "SELECT count(*)::text FROM neon_identity.users_sync WHERE id = 'careful'";
    ensure!(site.ask(made).await? == "1");
    Ok(())
}
