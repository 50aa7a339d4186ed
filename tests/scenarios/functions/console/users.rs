//! Users: paged, searched, filtered.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use tests::stage::Stage;

use super::{Answer, Console, escaped};

fn shown(page: &Answer) -> Vec<String> {
    page.links("user?id=")
        .iter()
        .map(|link| {
            let id = link.trim_start_matches("user?id=");
            id.replace("%5F", "_")
                .replace("%2D", "-")
                .replace("%7C", "|")
        })
        .collect()
}

#[tokio::test]
async fn paging_shows_everybody_once() -> Result<()> {
    let stage = Stage::new().await?;
    stage
        .execute(
            "INSERT INTO neon_identity.users_sync (raw_json, id, name, email, updated_at)
            SELECT '{}', 'user_' || n, 'Ada ' || n % 7, 'ada' || n % 5 || '@example.com', now()
            FROM generate_series(1, 160) AS n",
        )
        .await?;
    let console = Console::open(&stage).await?;
    for first in [
        "users",
        "users?q=ADA",
        "users?q=ada&among=living",
        "users?q=user_",
    ] {
        let mut found = Vec::new();
        let mut pages = 0;
        let mut next = Some(first.to_owned());
        while let Some(path) = next {
            let page = console.page(&path).await?;
            found.extend(shown(&page));
            pages += 1;
            let mut links = page.links("users?among=");
            links.retain(|link| link.contains("&after="));
            next = links.pop();
        }
        let distinct: BTreeSet<_> = found.iter().collect();
        ensure!(
            found.len() == 160 && distinct.len() == 160,
            "{first}: {}",
            found.len()
        );
        ensure!(pages == 4, "{first}: {pages}");
    }
    Ok(())
}

#[tokio::test]
async fn a_search_is_for_what_a_name_an_email_or_an_id_begins_with() -> Result<()> {
    let stage = Stage::new().await?;
    let long = "Ö".repeat(5_000);
    stage
        .execute(&format!(
            "INSERT INTO neon_identity.users_sync (raw_json, id, name, email, updated_at) VALUES
            ('{{}}', 'a1', 'Grace Hopper', 'grace@navy.example', now()),
            ('{{}}', 'a2', 'grace kelly', NULL, now()),
            ('{{}}', 'grace', NULL, 'other@example.com', now()),
            ('{{}}', 'auth0|7', '100% _sure_', 'B\\ack@example.com', now()),
            ('{{}}', 'a5', '{long}', NULL, now())"
        ))
        .await?;
    let console = Console::open(&stage).await?;
    for (sought, expected) in [
        ("grace", vec!["a1", "a2", "grace"]),
        ("GRACE h", vec!["a1"]),
        ("grace@", vec!["a1"]),
        ("hopper", vec![]),
        ("100%", vec!["auth0|7"]),
        ("%", vec![]),
        ("_", vec![]),
        ("100% _s", vec!["auth0|7"]),
        ("b\\", vec!["auth0|7"]),
        ("auth0|", vec!["auth0|7"]),
        ("AUTH0|", vec![]),
        ("öööö", vec!["a5"]),
        (&"ö".repeat(150), vec!["a5"]),
        (&format!("{}x", "ö".repeat(100)), vec![]),
        ("' OR true --", vec![]),
    ] {
        let page = console
            .page(&format!("users?q={}", escaped(sought)))
            .await?;
        ensure!(shown(&page) == expected, "{sought}: {:?}", shown(&page));
    }
    Ok(())
}

#[tokio::test]
async fn a_filter_shows_some_kinds_of_rows() -> Result<()> {
    let stage = Stage::new().await?;
    stage
        .execute(
            "INSERT INTO neon_identity.users_sync
              (raw_json, id, name, created_at, updated_at, deleted_at) VALUES
            ('{}', 'living', 'x', now(), now(), NULL),
            ('{}', 'undated', 'x', NULL, now(), NULL),
            ('{}', 'deleted', 'x', now(), now(), now()),
            ('{}', 'never', NULL, NULL, NULL, now());
            SELECT neon_identity.ensure_user('placeholder')",
        )
        .await?;
    let console = Console::open(&stage).await?;
    for (among, expected) in [
        (
            "all",
            vec!["deleted", "living", "never", "placeholder", "undated"],
        ),
        ("living", vec!["living", "undated"]),
        ("deleted", vec!["deleted", "never"]),
        ("placeholders", vec!["placeholder"]),
        (
            "nonsense",
            vec!["deleted", "living", "never", "placeholder", "undated"],
        ),
    ] {
        let page = console.page(&format!("users?among={among}")).await?;
        ensure!(shown(&page) == expected, "{among}: {:?}", shown(&page));
    }
    let page = console.page("users?among=deleted&q=x").await?;
    ensure!(shown(&page) == ["deleted"], "{:?}", shown(&page));
    let page = console.page("").await?;
    page.shows("users?among=deleted\">2<")?;
    page.shows("users?among=living\">2<")?;
    page.shows("users?among=placeholders\">1<")?;
    Ok(())
}
