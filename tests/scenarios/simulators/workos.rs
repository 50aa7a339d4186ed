//! WorkOS: listings by cursor, versions, the record of events, webhook endpoints and signatures.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use tests::sender::{self, Outcome, Sender, Signing};
use tests::simulator::{Call, Clock, LostCursor, Message, Options, RateLimit, Simulator, WorkOs};

use super::receiver::Receiver;
use super::{Answer, NOON, ask_with};

async fn environment() -> Result<Simulator> {
    start(WorkOs::default()).await
}

async fn start(environment: WorkOs) -> Result<Simulator> {
    let options = Options {
        clock: Clock::by_hand(NOON),
        ..Options::default()
    };
    Simulator::start(environment, options).await
}

async fn ask(
    simulator: &Simulator,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Result<Answer> {
    let bearer = format!("Bearer {}", WorkOs::default().api_keys[0]);
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    ask_with(simulator, method, path, &headers, body).await
}

async fn get(simulator: &Simulator, path: &str) -> Result<Answer> {
    ask(simulator, Method::GET, path, None).await
}

/// A page's ids, and its `before` and `after`.
type Page = (Vec<String>, Option<String>, Option<String>);

async fn page(simulator: &Simulator, path: &str) -> Result<Page> {
    let answer = get(simulator, path).await?;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let body = answer.json()?;
    assert_eq!(body["object"], "list");
    let items = body["data"].as_array().context("no data")?;
    let id = |item: &Value| item["id"].as_str().unwrap_or_default().to_owned();
    let place = |name: &str| body["list_metadata"][name].as_str().map(str::to_owned);
    Ok((
        items.iter().map(id).collect(),
        place("before"),
        place("after"),
    ))
}

fn ids(simulator: &Simulator) -> Vec<String> {
    simulator.truth().map(|user| user.id).collect()
}

fn keys(value: &Value) -> Vec<&String> {
    let mut keys: Vec<_> = value.as_object().into_iter().flatten().collect();
    keys.sort_by_key(|(name, _)| *name);
    keys.into_iter().map(|(name, _)| name).collect()
}

#[tokio::test]
async fn a_listing_goes_by_cursor_in_both_orders_and_both_ways() -> Result<()> {
    let simulator = environment().await?;
    simulator.seed(12);
    simulator.create("Ada", "ada@example.com")?;
    let all = ids(&simulator);
    let users = "/user_management/users";
    let list = async |query: &str| page(&simulator, &format!("{users}?{query}")).await;
    // The newest first, ten a page.
    let newest: Vec<String> = all.iter().rev().take(10).cloned().collect();
    let expected = (newest, None, Some(all[3].clone()));
    assert_eq!(page(&simulator, users).await?, expected);

    let (first, before, after) = list("order=asc&limit=5").await?;
    assert_eq!((&first[..], before), (&all[..5], None));
    assert_eq!(after.as_deref(), Some(all[4].as_str()));
    let (next, before, after) = list(&format!("order=asc&limit=5&after={}", all[4])).await?;
    assert_eq!(next, all[5..10]);
    assert_eq!(before.as_deref(), Some(all[5].as_str()));
    assert_eq!(after.as_deref(), Some(all[9].as_str()));
    let (last, _, after) = list(&format!("order=asc&limit=5&after={}", all[9])).await?;
    assert_eq!((&last[..], after), (&all[10..], None));
    let (back, before, after) = list(&format!("order=asc&limit=5&before={}", all[10])).await?;
    assert_eq!(back, all[5..10]);
    assert_eq!(before.as_deref(), Some(all[5].as_str()));
    assert_eq!(after.as_deref(), Some(all[9].as_str()));
    let (back, before, _) = list(&format!("order=desc&limit=5&before={}", all[10])).await?;
    assert_eq!(
        (back, before),
        (vec![all[12].clone(), all[11].clone()], None)
    );
    assert_eq!(list("email=ADA@example.com").await?.0, all[12..]);
    Ok(())
}

#[tokio::test]
async fn a_deleted_user_is_no_cursor_any_more() -> Result<()> {
    for (lost_cursor, expected) in [
        (LostCursor::Refused, None),
        (LostCursor::FromStart, Some(0)),
        (LostCursor::Empty, Some(4)),
    ] {
        let simulator = start(WorkOs {
            lost_cursor,
            ..WorkOs::default()
        })
        .await?;
        simulator.seed(5);
        let all = ids(&simulator);
        simulator.delete(&all[2])?;
        let left = ids(&simulator);
        let path = format!("/user_management/users?order=asc&after={}", all[2]);
        match expected {
            None => {
                let answer = get(&simulator, &path).await?;
                assert_eq!(answer.status, StatusCode::BAD_REQUEST);
                assert!(answer.json()?["message"].is_string());
            }
            Some(from) => {
                assert_eq!(
                    page(&simulator, &path).await?,
                    (left[from..].to_vec(), None, None)
                );
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_last_page_may_name_its_own_end_as_the_next_cursor() -> Result<()> {
    let simulator = start(WorkOs {
        last_page_goes_on: true,
        ..WorkOs::default()
    })
    .await?;
    simulator.seed(1);
    let id = ids(&simulator)[0].clone();
    // As in the documentation's example.
    let fixture: Value =
        serde_json::from_str(include_str!("../../../events/workos/list.page1.json"))?;
    assert_eq!(fixture["list_metadata"]["after"], fixture["data"][0]["id"]);
    let (listed, _, after) = page(&simulator, "/user_management/users").await?;
    assert_eq!((listed, after), (vec![id.clone()], Some(id.clone())));
    let path = format!("/user_management/users?after={id}");
    assert_eq!(page(&simulator, &path).await?.0, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn users_and_events_have_the_fields_of_the_documentation() -> Result<()> {
    let simulator = environment().await?;
    let id = simulator.create("Marcelina Davis", "marcelina.davis@example.com")?;
    simulator.clock().advance(Duration::from_secs(60));
    simulator.rename(&id, "Marcelina Dee")?;
    simulator.clock().advance(Duration::from_secs(60));
    simulator.delete(&id)?;
    let messages = simulator.take_messages();
    let bodies: Vec<Value> = messages
        .iter()
        .map(|message| serde_json::from_slice(&message.body))
        .collect::<Result<_, _>>()?;
    for (body, fixture) in bodies.iter().zip([
        include_str!("../../../events/workos/user.created.json"),
        include_str!("../../../events/workos/user.updated.json"),
        include_str!("../../../events/workos/user.deleted.json"),
    ]) {
        let fixture: Value = serde_json::from_str(fixture)?;
        assert_eq!(body["event"], fixture["event"]);
        assert_eq!(keys(body), keys(&fixture));
        assert_eq!(keys(&body["data"]), keys(&fixture["data"]));
        let is_id = |id: &Value, kind: &str| {
            let digits = id.as_str().and_then(|id| id.strip_prefix(kind));
            digits.is_some_and(|digits| digits.len() == 26)
        };
        assert!(is_id(&body["id"], "event_"), "{body}");
        assert!(is_id(&body["data"]["id"], "user_"), "{body}");
    }
    // Each change moves the version, and a deletion does not.
    let at = |body: &Value| body["data"]["updated_at"].clone();
    assert_eq!(at(&bodies[0]), bodies[0]["data"]["created_at"]);
    assert_eq!(at(&bodies[1]), "2026-04-23T00:01:00.000Z");
    assert_eq!(at(&bodies[2]), at(&bodies[1]));
    assert_eq!(bodies[2]["created_at"], "2026-04-23T00:02:00.001Z");

    let gone = get(&simulator, &format!("/user_management/users/{id}")).await?;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    let fixture = include_str!("../../../events/workos/get.404.json");
    let fixture: Value = serde_json::from_str(&fixture.replace("user_01TEST", &id))?;
    assert_eq!(gone.json()?, fixture);
    Ok(())
}

#[tokio::test]
async fn requests_make_change_and_delete_users() -> Result<()> {
    let simulator = environment().await?;
    let users = "/user_management/users";
    let made = json!({
        "email": "Ada@Example.com", "first_name": "Ada", "last_name": "Lovelace",
        "metadata": {"plan": "pro", "theme": "dark"}, "password": "Correct-Horse-7",
    });
    let ada = ask(&simulator, Method::POST, users, Some(made.clone())).await?;
    assert_eq!(ada.status, StatusCode::CREATED, "{}", ada.body);
    let ada = ada.json()?;
    assert_eq!(ada["name"], "Ada Lovelace");
    assert_eq!(ada["email"], "ada@example.com");
    let again = ask(&simulator, Method::POST, users, Some(made)).await?;
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
    assert_eq!(again.json()?["code"], "user_creation_error");

    let one = format!("{users}/{}", ada["id"].as_str().context("no id")?);
    simulator.clock().advance(Duration::from_secs(1));
    let change = json!({"last_name": "King", "metadata": {"theme": null, "size": "1"}});
    let changed = ask(&simulator, Method::PUT, &one, Some(change)).await?;
    let changed = changed.json()?;
    assert_eq!(changed["name"], "Ada King");
    assert_eq!(changed["metadata"], json!({"plan": "pro", "size": "1"}));
    assert_ne!(changed["updated_at"], ada["updated_at"]);
    assert_eq!(get(&simulator, &one).await?.json()?, changed);
    for (body, code) in [
        (json!({"metadata": {"n": 1}}), "invalid_metadata"),
        (
            json!({"metadata": {"k": "v".repeat(601)}}),
            "invalid_metadata",
        ),
        (json!({"first_name": 1}), "invalid_request_parameters"),
        (json!({"nickname": "a"}), "invalid_request_parameters"),
        (json!({"email": "nobody"}), "invalid_email"),
    ] {
        let refused = ask(&simulator, Method::PUT, &one, Some(body.clone())).await?;
        assert!(refused.status.is_client_error(), "{body}");
        assert_eq!(refused.json()?["code"], code, "{body}");
    }
    let deleted = ask(&simulator, Method::DELETE, &one, None).await?;
    assert_eq!(deleted.status, StatusCode::OK);
    for method in [Method::DELETE, Method::GET, Method::PUT] {
        let gone = ask(&simulator, method, &one, Some(json!({}))).await?;
        assert_eq!(gone.json()?["code"], "entity_not_found");
    }
    assert_eq!(simulator.take_messages().len(), 3);
    Ok(())
}

#[tokio::test]
async fn keys_and_parameters_are_looked_at() -> Result<()> {
    let simulator = environment().await?;
    for header in ["Bearer sk_wrong", "sk_test", ""] {
        let headers = [("authorization", header)];
        let path = "/user_management/users";
        let answer = ask_with(&simulator, Method::GET, path, &headers, String::new()).await?;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{header}");
        assert_eq!(answer.json()?, json!({"message": "Unauthorized"}));
    }
    for path in [
        "/user_management/users?limit=0",
        "/user_management/users?limit=101",
        "/user_management/users?order=up",
        "/user_management/users?page=2",
        "/events?range_start=yesterday",
    ] {
        let answer = get(&simulator, path).await?;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
    }
    assert_eq!(
        get(&simulator, "/users").await?.status,
        StatusCode::NOT_FOUND
    );
    simulator.switch(|switches| {
        switches.rate_limit = Some(RateLimit {
            per_second: 1,
            retry_after: true,
        });
    });
    assert_eq!(get(&simulator, "/events").await?.status, StatusCode::OK);
    let limited = get(&simulator, "/events").await?;
    assert_eq!(limited.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(limited.headers["retry-after"], "1");
    Ok(())
}

#[tokio::test]
async fn the_record_holds_what_is_delivered_and_by_the_same_ids() -> Result<()> {
    let simulator = environment().await?;
    for number in 0..12 {
        let email = format!("user{number}@example.com");
        let id = simulator.create("Ada", &email)?;
        simulator.clock().advance(Duration::from_secs(1));
        simulator.delete(&id)?;
    }
    let bodies: Vec<Value> = simulator
        .take_messages()
        .iter()
        .map(|message| serde_json::from_slice(&message.body))
        .collect::<Result<_, _>>()?;
    let delivered: Vec<&str> = bodies
        .iter()
        .filter_map(|body| body["id"].as_str())
        .collect();
    assert_eq!(delivered.len(), 24);
    assert_eq!(simulator.record(), delivered);

    // The oldest first whatever is asked, and ten a page unless asked otherwise.
    for path in ["/events", "/events?order=desc"] {
        let (oldest, _, after) = page(&simulator, path).await?;
        assert_eq!(oldest, delivered[..10]);
        assert_eq!(after.as_deref(), Some(delivered[9]));
    }
    let path = format!("/events?limit=100&after={}", delivered[20]);
    assert_eq!(page(&simulator, &path).await?.0, delivered[21..]);
    let path = "/events?limit=100&events=user.deleted,user.updated";
    let (deletions, ..) = page(&simulator, path).await?;
    let odd: Vec<&str> = delivered.iter().skip(1).step_by(2).copied().collect();
    assert_eq!(deletions, odd);
    let path = "/events?limit=100&range_start=2026-04-23T00:00:12.000Z";
    assert_eq!(page(&simulator, path).await?.0, delivered[23..]);
    assert_eq!(simulator.count(Call::Events), 5);
    for path in [
        "/events?range_start=2026-04-23T00:00:12Z".to_owned(),
        "/events?range_start=2026-04-23T00:00:12.000000Z".to_owned(),
        "/events?range_start=2026-04-23T00:00:12.000%2B00:00".to_owned(),
        format!(
            "/events?range_start=2026-04-23T00:00:12.000Z&after={}",
            delivered[20]
        ),
    ] {
        let refused = get(&simulator, &path).await?;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
    }

    let path = format!("/events?limit=1&after={}", delivered[22]);
    let recorded = get(&simulator, &path).await?.json()?["data"][0].take();
    let fixture: Value =
        serde_json::from_str(include_str!("../../../events/workos/events.page1.json"))?;
    assert_eq!(keys(&recorded), keys(&fixture["data"][0]));
    let mut expected = bodies[23].clone();
    expected["object"] = "event".into();
    assert_eq!(recorded, expected);
    Ok(())
}

#[tokio::test]
async fn an_event_becomes_visible_late_and_at_the_records_end() -> Result<()> {
    let simulator = environment().await?;
    simulator.switch(|switches| switches.record_lag_ms = 5_000);
    simulator.create("Late", "late@example.com")?;
    simulator.switch(|switches| switches.record_lag_ms = 0);
    simulator.create("Early", "early@example.com")?;
    let ids: Vec<String> = simulator
        .take_messages()
        .iter()
        .map(|message| {
            let body: Value = serde_json::from_slice(&message.body)?;
            Ok(body["id"].as_str().context("no id")?.to_owned())
        })
        .collect::<Result<_>>()?;
    assert_eq!(page(&simulator, "/events").await?.0, [ids[1].clone()]);
    // Nobody knows the late one's id yet, though its webhook was sent.
    let after = get(&simulator, &format!("/events?after={}", ids[0])).await?;
    assert_eq!(after.status, StatusCode::BAD_REQUEST);
    simulator.clock().advance(Duration::from_secs(5));
    let path = format!("/events?after={}", ids[1]);
    assert_eq!(page(&simulator, &path).await?.0, [ids[0].clone()]);
    Ok(())
}

#[tokio::test]
async fn the_record_forgets_after_90_days() -> Result<()> {
    let simulator = environment().await?;
    simulator.create("Ada", "ada@example.com")?;
    let day = Duration::from_secs(24 * 60 * 60);
    simulator.clock().advance(day * 45);
    simulator.create("Grace", "grace@example.com")?;
    let record = simulator.record();
    simulator.clock().advance(day * 45);
    assert_eq!(page(&simulator, "/events").await?.0, record);
    simulator.clock().advance(Duration::from_millis(1));
    assert_eq!(page(&simulator, "/events").await?.0, record[1..]);
    let forgotten = get(&simulator, &format!("/events?after={}", record[0])).await?;
    assert_eq!(forgotten.status, StatusCode::BAD_REQUEST);
    Ok(())
}

#[tokio::test]
async fn an_environment_has_roles_and_endpoints_of_its_own() -> Result<()> {
    let simulator = environment().await?;
    let roles = get(&simulator, "/authorization/roles").await?.json()?;
    let member = roles["data"].as_array().context("no roles")?.iter();
    let member: Vec<_> = member.filter(|role| role["slug"] == "member").collect();
    assert_eq!(member.len(), 1);
    assert_eq!(member[0]["id"], WorkOs::default().member_role);

    let wanted =
        json!({"endpoint_url": "https://example.com/webhooks", "events": ["user.created"]});
    let path = "/webhook_endpoints";
    let made = ask(&simulator, Method::POST, path, Some(wanted.clone())).await?;
    assert_eq!(made.status, StatusCode::CREATED);
    let fixture: Value = serde_json::from_str(include_str!(
        "../../../events/workos/webhook_endpoint.201.json"
    ))?;
    let made = made.json()?;
    assert_eq!(keys(&made), keys(&fixture));
    assert!(
        made["secret"]
            .as_str()
            .is_some_and(|secret| secret.starts_with("whsec_"))
    );
    let again = ask(&simulator, Method::POST, path, Some(wanted)).await?;
    assert_eq!(again.json()?["code"], "duplicate_endpoint");
    let nothing = ask(&simulator, Method::POST, path, Some(json!({}))).await?;
    assert_eq!(nothing.status, StatusCode::UNPROCESSABLE_ENTITY);
    let id = made["id"].as_str().context("no id")?;
    assert_eq!(page(&simulator, path).await?.0, [id]);
    ask(&simulator, Method::DELETE, &format!("{path}/{id}"), None).await?;
    assert_eq!(page(&simulator, path).await?.0, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn a_delivery_is_signed_in_milliseconds_and_tried_seven_times() -> Result<()> {
    // The known signature of a recorded body, made by another program.
    let vectors: Value = serde_json::from_str(include_str!("../../../events/vectors.json"))?;
    let vectors = vectors["vectors"].as_array().context("no vectors")?;
    let known = vectors
        .iter()
        .find(|vector| vector[0] == "workos/user.created");
    let known = known.context("no vector")?[3]["WorkOS-Signature"]
        .as_str()
        .context("no signature")?
        .to_owned();
    let secret = "whsec_0FWAiVGkEfGBqqsJH4aNAGBJ4";
    let millis: u64 = known[2..15].parse()?;
    let body: &[u8] = include_bytes!("../../../events/workos/user.created.json");
    let signing = sender::WorkOs::new([secret]);
    assert_eq!(signing.signature(body, millis.into()), known);
    let message = Message::new("user.created", body, NOON, &mut fastrand::Rng::with_seed(1));
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
    assert_eq!(signing.headers(&message, at)["workos-signature"], known);
    let both = sender::WorkOs::new(["whsec_other", secret]).signature(body, millis.into());
    assert!(
        both.ends_with(&known[15..]) && both.matches(", v1=").count() == 2,
        "{both}"
    );

    let receiver = Receiver::answering(vec![500; 9]).await?;
    let options = sender::Options::workos(secret, receiver.url.clone()).faster(100_000.0);
    let sender = Sender::new(options)?;
    let simulator = environment().await?;
    simulator.create("Ada", "ada@example.com")?;
    let sending = sender.run(&simulator);
    sending.settled(Duration::from_secs(30)).await?;
    let outcomes: Vec<Outcome> = sender.attempts().into_iter().map(|a| a.outcome).collect();
    assert_eq!(outcomes, vec![Outcome::Answered(500); 7]);
    for delivery in receiver.deliveries() {
        assert!(delivery.header("workos-signature").starts_with("t=1"));
    }
    Ok(())
}
