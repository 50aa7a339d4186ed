//! Auth0: tokens, searches and their ceiling, rate limits, ids that come back, events.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use tests::sender::{self, Outcome, Sender};
use tests::simulator::{Auth0, Clock, Options, RateLimit, SignUp, Simulator};

use super::receiver::Receiver;
use super::{Answer, NOON, ask_with};

async fn tenant() -> Result<Simulator> {
    let options = Options {
        clock: Clock::by_hand(NOON),
        ..Options::default()
    };
    Simulator::start(Auth0::default(), options).await
}

async fn token_with(simulator: &Simulator, field: &str, value: &str) -> Result<Answer> {
    let secret = simulator.secret();
    let domain = secret["domain"].as_str().context("no domain")?;
    let mut body = json!({
        "grant_type": "client_credentials",
        "client_id": secret["client_id"],
        "client_secret": secret["client_secret"],
        "audience": format!("https://{domain}/api/v2/"),
    });
    if !field.is_empty() {
        body[field] = value.into();
    }
    let headers = [("content-type", "application/json")];
    let post = Method::POST;
    ask_with(simulator, post, "/oauth/token", &headers, body.to_string()).await
}

async fn token(simulator: &Simulator) -> Result<String> {
    let answer = token_with(simulator, "", "").await?.json()?;
    Ok(answer["access_token"]
        .as_str()
        .context("no token")?
        .to_owned())
}

async fn ask(
    simulator: &Simulator,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Result<Answer> {
    let bearer = format!("Bearer {}", token(simulator).await?);
    let headers = [("authorization", bearer.as_str())];
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    ask_with(
        simulator,
        method,
        &format!("/api/v2/users{path}"),
        &headers,
        body,
    )
    .await
}

async fn list(simulator: &Simulator, query: &str) -> Result<(Vec<String>, u64)> {
    let path = format!("?include_totals=true&search_engine=v3&{query}");
    let answer = ask(simulator, Method::GET, &path, None).await?;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let body = answer.json()?;
    let users = body["users"].as_array().context("no users")?;
    assert_eq!(body["length"], users.len());
    let id = |user: &Value| user["user_id"].as_str().unwrap_or_default().to_owned();
    Ok((
        users.iter().map(id).collect(),
        body["total"].as_u64().context("no total")?,
    ))
}

fn bar(id: &str) -> String {
    format!("/{}", id.replace('|', "%7C"))
}

#[tokio::test]
async fn a_token_is_for_this_api_and_ends() -> Result<()> {
    let simulator = tenant().await?;
    for (field, value, status) in [
        ("client_secret", "wrong", 401),
        ("client_id", "wrong", 401),
        ("audience", "https://elsewhere.example/", 403),
        ("grant_type", "password", 403),
    ] {
        let answer = token_with(&simulator, field, value).await?;
        assert_eq!(answer.status.as_u16(), status, "{field}");
        assert!(answer.json()?["error"].is_string());
    }
    let bearer = format!("Bearer {}", token(&simulator).await?);
    let list = |headers: Vec<(&'static str, String)>| {
        let simulator = &simulator;
        async move {
            let headers: Vec<(&str, &str)> =
                headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
            let path = "/api/v2/users";
            let answer = ask_with(simulator, Method::GET, path, &headers, String::new()).await?;
            anyhow::Ok(answer.status.as_u16())
        }
    };
    let with = |value: &str| vec![("authorization", value.to_owned())];
    assert_eq!(list(with(&bearer)).await?, 200);
    assert_eq!(list(vec![]).await?, 401);
    assert_eq!(list(with("Bearer a.b.c")).await?, 401);
    assert_eq!(list(with(&format!("{bearer}x"))).await?, 401);
    simulator.clock().advance(Duration::from_secs(86_399));
    assert_eq!(list(with(&bearer)).await?, 200);
    simulator.clock().advance(Duration::from_secs(1));
    assert_eq!(list(with(&bearer)).await?, 401);
    Ok(())
}

#[tokio::test]
async fn a_search_shows_a_thousand_users_and_windows_show_the_others() -> Result<()> {
    let simulator = tenant().await?;
    simulator.seed(1_250);
    let sorted = "sort=created_at:1&per_page=100";
    let (tenth, total) = list(&simulator, &format!("{sorted}&page=9")).await?;
    assert_eq!((tenth.len(), total), (100, 1_250));
    let path = "?sort=created_at:1&per_page=100&page=10";
    let answer = ask(&simulator, Method::GET, path, None).await?;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.json()?["errorCode"], "invalid_paging");

    let truth: Vec<_> = simulator.truth().collect();
    let last = ask(&simulator, Method::GET, &bar(&tenth[99]), None).await?;
    let from = last.json()?["created_at"]
        .as_str()
        .context("no time")?
        .to_owned();
    let window = format!("{sorted}&q=created_at:%5B{from}%20TO%20*%5D");
    let (next, total) = list(&simulator, &window).await?;
    // The window begins with the user that it was taken from.
    assert_eq!((next[0].as_str(), total), (tenth[99].as_str(), 251));
    let expected: Vec<&str> = truth[999..1_099].iter().map(|u| u.id.as_str()).collect();
    assert_eq!(next, expected);
    Ok(())
}

#[tokio::test]
async fn wrong_parameters_and_ids_are_refused() -> Result<()> {
    let simulator = tenant().await?;
    for path in [
        "?per_page=101",
        "?page=-1",
        "?sort=created_at",
        "?search_engine=v2",
        "?q=nonsense",
        "?limit=1",
        "/nobar",
    ] {
        let answer = ask(&simulator, Method::GET, path, None).await?;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
    }
    let answer = ask(&simulator, Method::GET, "/auth0%7C1", None).await?;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let fixture = include_str!("../../../events/auth0/get.404.json");
    assert_eq!(answer.json()?, serde_json::from_str::<Value>(fixture)?);
    Ok(())
}

#[tokio::test]
async fn searches_lag_and_reads_do_not() -> Result<()> {
    let simulator = tenant().await?;
    simulator.switch(|switches| switches.lag_ms = 5_000);
    let id = simulator.create("Ada", "ada@example.com")?;
    assert_eq!(list(&simulator, "").await?.1, 0);
    let read = ask(&simulator, Method::GET, &bar(&id), None).await?;
    assert_eq!(read.status, StatusCode::OK);
    simulator.clock().advance(Duration::from_secs(5));
    assert_eq!(list(&simulator, "").await?.0, [id]);
    Ok(())
}

#[tokio::test]
async fn updated_at_finds_what_changed_and_nothing_deleted() -> Result<()> {
    let simulator = tenant().await?;
    simulator.seed(5);
    let ids: Vec<String> = simulator.truth().map(|user| user.id).collect();
    simulator.rename(&ids[1], "Ada")?;
    simulator.touch_activity(&ids[3])?;
    simulator.rename(&ids[4], "Gone")?;
    simulator.delete(&ids[4])?;
    let q = "q=updated_at:%5B2026-01-01T00:00:00Z%20TO%20*%5D&sort=updated_at:1";
    let found: BTreeSet<_> = list(&simulator, q).await?.0.into_iter().collect();
    assert_eq!(found, BTreeSet::from([ids[1].clone(), ids[3].clone()]));
    Ok(())
}

#[tokio::test]
async fn the_rate_limit_is_told_and_ends_when_it_says() -> Result<()> {
    let simulator = tenant().await?;
    let bearer = format!("Bearer {}", token(&simulator).await?);
    simulator.switch(|switches| {
        switches.rate_limit = Some(RateLimit {
            per_second: 2,
            retry_after: false,
        });
    });
    let get = || async {
        let headers = [("authorization", bearer.as_str())];
        ask_with(
            &simulator,
            Method::GET,
            "/api/v2/users",
            &headers,
            String::new(),
        )
        .await
    };
    let mut seen = Vec::new();
    for _ in 0..3 {
        let answer = get().await?;
        let remaining = answer.headers["x-ratelimit-remaining"].to_str()?.to_owned();
        seen.push((answer.status.as_u16(), remaining));
    }
    let expected = [(200, "1"), (200, "0"), (429, "0")];
    assert_eq!(seen, expected.map(|(s, r)| (s, r.to_owned())));
    let reset: i64 = get().await?.headers["x-ratelimit-reset"]
        .to_str()?
        .parse()?;
    let wait = u64::try_from(reset * 1_000 - simulator.clock().now())?;
    simulator.clock().advance(Duration::from_millis(wait));
    assert_eq!(get().await?.status, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn a_social_user_comes_back_under_the_same_id() -> Result<()> {
    let simulator = tenant().await?;
    let sign_up = || SignUp {
        name: Some("Ada".to_owned()),
        email: Some("ada@example.com".to_owned()),
        oauth: Some("google".to_owned()),
        ..SignUp::default()
    };
    let first = simulator.sign_up(sign_up())?;
    simulator.delete(&first)?;
    let gone = ask(&simulator, Method::GET, &bar(&first), None).await?;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    simulator.clock().advance(Duration::from_secs(60));
    assert_eq!(simulator.sign_up(sign_up())?, first);
    let read = ask(&simulator, Method::GET, &bar(&first), None).await?;
    assert!(read.body.contains("access_token"), "{}", read.body);
    let truth = simulator.user(&first).context("not there")?;
    assert!(!truth.profile.contains("token"), "{}", truth.profile);
    assert_eq!(simulator.live(), 1);
    Ok(())
}

#[tokio::test]
async fn an_event_is_a_cloud_event_and_a_deletion_moves_no_version() -> Result<()> {
    let simulator = tenant().await?;
    let id = simulator.create("Ada", "ada@example.com")?;
    let created = ask(&simulator, Method::GET, &bar(&id), None)
        .await?
        .json()?;
    simulator.clock().advance(Duration::from_secs(9));
    simulator.delete(&id)?;
    // Deleting who is not there is as good.
    let again = ask(&simulator, Method::DELETE, &bar(&id), None).await?;
    assert_eq!(again.status, StatusCode::NO_CONTENT);
    let bodies: Vec<Value> = simulator
        .take_messages()
        .iter()
        .map(|message| serde_json::from_slice(&message.body))
        .collect::<Result<_, _>>()?;
    let fixture = include_str!("../../../events/auth0/user.deleted.json");
    let fixture: Value = serde_json::from_str(fixture)?;
    let keys = |value: &Value| -> BTreeSet<String> {
        let object = value.as_object();
        object
            .into_iter()
            .flatten()
            .map(|(k, _)| k.clone())
            .collect()
    };
    assert_eq!(bodies.len(), 2);
    for body in &bodies {
        assert_eq!(keys(body), keys(&fixture));
    }
    assert_eq!(bodies[0]["data"]["object"], created);
    assert_eq!(bodies[1]["type"], "user.deleted");
    let gone = &bodies[1]["data"]["object"];
    assert_eq!(gone["updated_at"], created["updated_at"]);
    assert_ne!(gone["deleted_at"], Value::Null);
    Ok(())
}

#[tokio::test]
async fn deliveries_carry_the_token_and_a_refusal_ends_them() -> Result<()> {
    for (answers, attempts) in [
        (vec![503, 500, 200], 3),
        (vec![503, 404], 2),
        (vec![500; 9], 4),
    ] {
        let receiver = Receiver::answering(answers.clone()).await?;
        let options = sender::Options::auth0("secret", receiver.url.clone()).faster(1_000.0);
        let sender = Sender::new(options)?;
        let simulator = tenant().await?;
        simulator.create("Ada", "ada@example.com")?;
        let sending = sender.run(&simulator);
        sending.settled(Duration::from_secs(20)).await?;
        let outcomes: Vec<Outcome> = sender.attempts().into_iter().map(|a| a.outcome).collect();
        let expected: Vec<Outcome> = answers[..attempts]
            .iter()
            .map(|status| Outcome::Answered(*status))
            .collect();
        assert_eq!(outcomes, expected);
        for delivery in receiver.deliveries() {
            assert_eq!(delivery.header("authorization"), "Bearer secret");
            assert_eq!(delivery.header("content-type"), "application/json");
        }
    }
    Ok(())
}
