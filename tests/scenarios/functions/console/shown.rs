//! What a provider or a table holds is shown as text, and no secret is shown at all.

use anyhow::{Result, ensure};
use serde_json::Value;
use tests::stage::Stage;

use super::Console;

#[tokio::test]
async fn hostile_profiles_are_text() -> Result<()> {
    let stage = Stage::new().await?;
    let long = "x".repeat(10_000);
    stage
        .execute(&format!(
            r#"INSERT INTO neon_identity.users_sync (raw_json, id, name, email, updated_at) VALUES
            ('{{"avatar": "javascript:alert(1)", "bio": "</pre><script>alert(2)</script>"}}',
              '"><script>alert(3)</script>', '<img src=x onerror=alert(4)>',
              E'\u202Emoc.elpmaxe@ada\u2066', now()),
            ('{{}}', 'long', '{long}', '" autofocus onfocus="alert(5)', now())"#
        ))
        .await?;
    let console = Console::open(&stage).await?;
    let list = console.page("users").await?;
    let users = list.links("user?id=");
    ensure!(users.len() == 2, "{users:?}");
    // A list shows the beginning.
    ensure!(!list.body.contains(&"x".repeat(200)));
    for path in [
        "users",
        &*users[0],
        &*users[1],
        "users?q=%22%3E%3Cscript%3E",
    ] {
        let page = console.page(path).await?;
        for active in [
            "<script>",
            "<img",
            "href=\"javascript",
            "\" autofocus",
            "\u{202e}",
            "\u{2066}",
        ] {
            page.hides(active)?;
        }
    }
    let page = console.page(&users[0]).await?;
    page.shows("&lt;img src=x onerror=alert(4)&gt;")?;
    page.shows("<bdi>\u{fffd}moc.elpmaxe@ada\u{fffd}</bdi>")?;
    page.shows("&lt;/pre&gt;&lt;script&gt;alert(2)")?;
    let page = console.page(&users[1]).await?;
    page.shows(&"x".repeat(10_000))?;
    Ok(())
}

#[tokio::test]
async fn no_page_shows_anything_of_the_secret() -> Result<()> {
    let stage = Stage::backfilled(2).await?;
    let console = Console::open(&stage).await?;
    let secret = stage.secret();
    let mut hidden = vec![
        secret["console_token"].clone(),
        secret["provider"]["secret_server_key"].clone(),
    ];
    hidden.extend(
        secret["signing_secrets"]
            .as_array()
            .into_iter()
            .flatten()
            .cloned(),
    );
    hidden.extend([
        secret["database_url"].clone(),
        secret["admin_database_url"].clone(),
    ]);
    let user = console.page("users").await?.links("user?id=").remove(0);
    for path in ["", "users", "connect", "nothing", "sign-in", &user] {
        let answer = console.get(path).await?;
        for value in hidden.iter().filter_map(Value::as_str) {
            ensure!(!value.is_empty() && !answer.body.contains(value), "{path}");
        }
    }
    let logs = console.function.logs()?;
    for value in hidden.iter().filter_map(Value::as_str) {
        ensure!(!logs.contains(value), "{logs}");
    }
    Ok(())
}
