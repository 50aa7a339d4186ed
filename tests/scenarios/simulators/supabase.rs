//! Supabase Auth: keys, pages and cursors, both forms of errors, soft deletions, webhooks.

use std::time::Duration;

use anyhow::{Context, Result};
use axum::http::Method;
use serde_json::{Value, json};
use tests::sender::{self, Outcome, Sender};
use tests::simulator::{Clock, Options, Simulator, Supabase};

use super::receiver::Receiver;
use super::{Answer, NOON, ask_with};

const NEWER: (&str, &str) = ("x-supabase-api-version", "2024-01-01");

async fn start(project: Supabase) -> Result<Simulator> {
    let options = Options {
        clock: Clock::by_hand(NOON),
        ..Options::default()
    };
    Simulator::start(project, options).await
}

async fn ask(
    simulator: &Simulator,
    method: Method,
    path: &str,
    more: &[(&str, &str)],
    body: &str,
) -> Result<Answer> {
    let key = Supabase::default().service_role_key;
    let mut headers = vec![("apikey", key.as_str())];
    headers.extend(more);
    let path = format!("/auth/v1/admin/users{path}");
    ask_with(simulator, method, &path, &headers, body.to_owned()).await
}

async fn get(simulator: &Simulator, path: &str) -> Result<Answer> {
    ask(simulator, Method::GET, path, &[], "").await
}

fn ids(body: &Value) -> Vec<String> {
    let users = body["users"].as_array().into_iter().flatten();
    users
        .map(|user| user["id"].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// The newest first.
fn truth(simulator: &Simulator) -> Vec<String> {
    let mut all: Vec<String> = simulator.truth().map(|user| user.id).collect();
    all.reverse();
    all
}

#[tokio::test]
async fn the_gateway_and_the_server_look_at_keys() -> Result<()> {
    let (service, anon) = ("eyJh.service.sig", "eyJh.anon.sig");
    let legacy = start(Supabase {
        service_role_key: service.to_owned(),
        anon_key: anon.to_owned(),
        ..Supabase::default()
    })
    .await?;
    let newer = start(Supabase::default()).await?;
    let Supabase {
        service_role_key: secret,
        anon_key: publishable,
        ..
    } = Supabase::default();
    let (secret, publishable) = (secret.as_str(), publishable.as_str());
    let bearer = |key: &str| format!("Bearer {key}");
    for (simulator, apikey, authorization, status, word) in [
        (
            &legacy,
            None,
            Some(bearer(service)),
            401,
            "No API key found",
        ),
        (
            &legacy,
            Some("wrong"),
            Some(bearer(service)),
            401,
            "Invalid API key",
        ),
        (&legacy, Some(service), None, 401, "no_authorization"),
        (
            &legacy,
            Some(service),
            Some(bearer("wrong")),
            403,
            "bad_jwt",
        ),
        (&legacy, Some(anon), Some(bearer(anon)), 403, "not_admin"),
        (&legacy, Some(anon), Some(bearer(service)), 200, "users"),
        (&newer, Some(secret), None, 200, "users"),
        (&newer, Some(publishable), None, 403, "not_admin"),
        // The newer keys are no tokens.
        (&newer, Some(secret), Some(bearer(secret)), 403, "bad_jwt"),
    ] {
        let mut headers: Vec<(&str, &str)> = Vec::new();
        headers.extend(apikey.map(|key| ("apikey", key)));
        headers.extend(
            authorization
                .as_deref()
                .map(|value| ("authorization", value)),
        );
        let path = "/auth/v1/admin/users";
        let answer = ask_with(simulator, Method::GET, path, &headers, String::new()).await?;
        assert_eq!(answer.status.as_u16(), status, "{word}");
        assert!(answer.body.contains(word), "{} has no {word}", answer.body);
    }
    let browser = [("apikey", secret), ("user-agent", "Mozilla/5.0")];
    let path = "/auth/v1/admin/users";
    let answer = ask_with(&newer, Method::GET, path, &browser, String::new()).await?;
    assert_eq!(answer.status.as_u16(), 401);
    Ok(())
}

#[tokio::test]
async fn pages_come_newest_first_with_a_count_and_links() -> Result<()> {
    let simulator = start(Supabase::default()).await?;
    simulator.seed(120);
    let mut all = Vec::new();
    for (page, link) in [
        (
            1,
            r#"</admin/users?page=2&per_page=50>; rel="next", </admin/users?page=3&per_page=50>; rel="last""#,
        ),
        (
            2,
            r#"</admin/users?page=3&per_page=50>; rel="next", </admin/users?page=3&per_page=50>; rel="last""#,
        ),
        (3, r#"</admin/users?page=3&per_page=50>; rel="last""#),
    ] {
        let answer = get(&simulator, &format!("?page={page}&per_page=50")).await?;
        assert_eq!(answer.headers["x-total-count"], "120");
        assert_eq!(answer.headers["link"], link);
        all.extend(ids(&answer.json()?));
    }
    assert_eq!(all, truth(&simulator));
    let beyond = get(&simulator, "?page=4&per_page=50").await?;
    assert_eq!(ids(&beyond.json()?), [""; 0]);
    assert_eq!(get(&simulator, "?page=x").await?.status.as_u16(), 400);
    Ok(())
}

#[tokio::test]
async fn a_server_with_cursors_goes_by_them_unless_asked_for_a_page() -> Result<()> {
    let simulator = start(Supabase {
        cursors: true,
        ..Supabase::default()
    })
    .await?;
    simulator.seed(25);
    let expected = truth(&simulator);
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = get(&simulator, &format!("?limit=10{cursor}")).await?;
        assert!(!answer.headers.contains_key("x-total-count"));
        let body = answer.json()?;
        all.extend(ids(&body));
        // The user that the cursor names may be deleted meanwhile.
        simulator.delete(all.last().context("nobody")?)?;
        match body["pagination"]["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(all, expected);
    let numbered = get(&simulator, "?page=1").await?;
    assert_eq!(numbered.json()?["pagination"], Value::Null);
    assert_eq!(get(&simulator, "?cursor=x").await?.status.as_u16(), 400);
    Ok(())
}

#[tokio::test]
async fn a_listing_shows_no_identities_and_a_read_does() -> Result<()> {
    let simulator = start(Supabase::default()).await?;
    let id = simulator.create("Ada", "ada@example.com")?;
    let listed = get(&simulator, "").await?.json()?["users"][0].clone();
    let mut read = get(&simulator, &format!("/{id}")).await?.json()?;
    assert_eq!(listed["identities"], Value::Null);
    assert_eq!(read["identities"][0]["provider"], "email");
    read["identities"] = Value::Null;
    assert_eq!(listed, read);
    Ok(())
}

#[tokio::test]
async fn errors_have_the_form_of_the_version_that_is_asked_for() -> Result<()> {
    let nobody = "/b7fd0253-6e16-4d4e-b61b-5943cb1b2102";
    let older = include_str!("../../../events/supabase/get.404.legacy.json");
    let newer = include_str!("../../../events/supabase/get.404.2024-01-01.json");
    for (versioned, asked, expected) in [
        (true, true, newer),
        (true, false, older),
        (false, true, older),
    ] {
        let simulator = start(Supabase {
            versioned,
            ..Supabase::default()
        })
        .await?;
        let headers: &[(&str, &str)] = if asked { &[NEWER] } else { &[] };
        let answer = ask(&simulator, Method::GET, nobody, headers, "").await?;
        assert_eq!(answer.status.as_u16(), 404);
        assert_eq!(answer.json()?, serde_json::from_str::<Value>(expected)?);
        let answer = get(&simulator, "/1").await?.json()?;
        assert_eq!(answer["error_code"], "validation_failed");
    }
    Ok(())
}

#[tokio::test]
async fn a_soft_deletion_leaves_a_row_that_is_listed_and_is_nobody() -> Result<()> {
    let simulator = start(Supabase::default()).await?;
    let id = simulator.create("Ada", "ada@example.com")?;
    simulator.create("Grace", "grace@example.com")?;
    simulator.take_messages();
    let body = json!({"should_soft_delete": true}).to_string();
    for _ in 0..2 {
        let path = format!("/{id}");
        let answer = ask(&simulator, Method::DELETE, &path, &[], &body).await?;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, "{}"));
    }
    let left = get(&simulator, &format!("/{id}")).await?;
    assert!(
        !left.body.contains("ada@") && !left.body.contains("Ada"),
        "{}",
        left.body
    );
    assert!(left.json()?["deleted_at"].is_string());
    assert_eq!(ids(&get(&simulator, "").await?.json()?).len(), 2);
    assert_eq!((simulator.live(), simulator.truth().count()), (1, 1));
    assert_eq!(simulator.deleted_ids(), std::slice::from_ref(&id));
    assert!(simulator.user(&id).is_none());
    // One change of the row, told as such.
    let told = simulator.take_messages();
    let kinds: Vec<&str> = told.iter().map(|message| message.kind.as_str()).collect();
    assert_eq!(kinds, ["UPDATE"]);
    simulator.delete(&id)?;
    assert_eq!(simulator.live(), 1);
    assert_eq!(
        get(&simulator, &format!("/{id}")).await?.status.as_u16(),
        404
    );
    Ok(())
}

#[tokio::test]
async fn a_webhook_tells_rows_once_with_a_secret_header() -> Result<()> {
    for whole_rows in [true, false] {
        let simulator = start(Supabase {
            whole_rows,
            ..Supabase::default()
        })
        .await?;
        let receiver = Receiver::answering([503; 9]).await?;
        let options = sender::Options::supabase("secret", receiver.url.clone());
        assert_eq!(options.time_out, Duration::from_secs(5));
        let sender = Sender::new(options)?;
        let id = simulator.create("Ada", "ada@example.com")?;
        simulator.touch_activity(&id)?;
        simulator.delete(&id)?;
        let sending = sender.run(&simulator);
        sending.settled(Duration::from_secs(20)).await?;
        let outcomes: Vec<Outcome> = sender.attempts().into_iter().map(|a| a.outcome).collect();
        assert_eq!(outcomes, [503; 3].map(Outcome::Answered));
        for delivery in receiver.deliveries() {
            assert_eq!(delivery.header("authorization"), "Bearer secret");
            let body: Value = serde_json::from_slice(&delivery.body)?;
            assert_eq!(
                (&body["schema"], &body["table"]),
                (&json!("auth"), &json!("users"))
            );
            let (new, old) = (&body["record"], &body["old_record"]);
            match body["type"].as_str().context("no type")? {
                "INSERT" => assert_eq!((&new["id"], old), (&json!(id), &Value::Null)),
                "UPDATE" => assert_eq!((&new["id"], &old["id"]), (&json!(id), &json!(id))),
                _ => assert_eq!((new, &old["id"]), (&Value::Null, &json!(id))),
            }
            let text = String::from_utf8_lossy(&delivery.body);
            assert_eq!(text.contains("encrypted_password"), whole_rows);
        }
    }
    Ok(())
}
