//! Clerk: keys, pages, cursors and counts, errors, rate limits, events and what they leave out.

use std::time::Duration;

use anyhow::{Context, Result};
use axum::http::Method;
use serde_json::{Value, json};
use tests::simulator::clerk::Cursors;
use tests::simulator::{Clerk, Clock, Options, Simulator};

use super::{Answer, NOON, ask_with};

async fn start(instance: Clerk) -> Result<Simulator> {
    let options = Options {
        clock: Clock::by_hand(NOON),
        ..Options::default()
    };
    Simulator::start(instance, options).await
}

async fn ask(simulator: &Simulator, method: Method, path: &str, body: &Value) -> Result<Answer> {
    let key = Clerk::default().secret_keys.remove(0);
    let bearer = format!("Bearer {key}");
    let body = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    ask_with(simulator, method, path, &[("authorization", &bearer)], body).await
}

async fn get(simulator: &Simulator, path: &str) -> Result<Answer> {
    ask(simulator, Method::GET, path, &Value::Null).await
}

async fn listed(simulator: &Simulator, query: &str) -> Result<Vec<String>> {
    let answer = get(simulator, &format!("/users?{query}")).await?;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.body);
    let page = answer.json()?;
    let users = page.as_array().context("not a bare array")?.iter();
    let id = |user: &Value| user["id"].as_str().unwrap_or_default().to_owned();
    Ok(users.map(id).collect())
}

fn truth(simulator: &Simulator) -> Vec<String> {
    simulator.truth().map(|user| user.id).collect()
}

/// The status and the code of an error in Clerk's own words.
fn error(answer: &Answer) -> Result<(u16, String)> {
    let body = answer.json()?;
    assert!(body["clerk_trace_id"].is_string(), "{body}");
    let code = body["errors"][0]["code"].as_str().context("no code")?;
    assert!(body["errors"][0]["long_message"].is_string(), "{body}");
    assert_eq!(answer.headers["content-type"], "application/json");
    Ok((answer.status.as_u16(), code.to_owned()))
}

#[tokio::test]
async fn without_the_instances_key_nothing_is_shown() -> Result<()> {
    let simulator = start(Clerk::default()).await?;
    for path in ["/users", "/users/count", "/users/user_1", "/instance"] {
        for (headers, code) in [
            (vec![], "authorization_header_format_invalid"),
            (
                vec![("authorization", "Bearer sk_test_x")],
                "clerk_key_invalid",
            ),
        ] {
            let answer = ask_with(&simulator, Method::GET, path, &headers, String::new()).await?;
            assert_eq!(error(&answer)?, (401, code.to_owned()), "{path}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn pages_are_bare_arrays_the_newest_first_unless_asked_otherwise() -> Result<()> {
    let simulator = start(Clerk::default()).await?;
    simulator.seed(700);
    let all = truth(&simulator);
    let newest: Vec<_> = all.iter().rev().take(10).cloned().collect();
    assert_eq!(listed(&simulator, "").await?, newest);
    let order = "order_by=%2Bcreated_at";
    assert_eq!(
        listed(&simulator, &format!("limit=500&{order}")).await?,
        all[..500]
    );
    let rest = format!("limit=500&offset=500&{order}");
    assert_eq!(listed(&simulator, &rest).await?, all[500..]);
    assert!(
        listed(&simulator, &format!("{order}&offset=700"))
            .await?
            .is_empty()
    );

    simulator.clock().advance(Duration::from_secs(1));
    simulator.rename(&all[3], "Ada")?;
    let latest = listed(&simulator, "order_by=-updated_at&limit=1").await?;
    assert_eq!(latest, [all[3].clone()]);
    for wrong in [
        "limit=0",
        "limit=501",
        "offset=-1",
        "order_by=age",
        "page=2",
    ] {
        let answer = get(&simulator, &format!("/users?{wrong}")).await?;
        assert_eq!(answer.status.as_u16(), 422, "{wrong}");
        error(&answer)?;
    }
    let count = get(&simulator, "/users/count").await?.json()?;
    assert_eq!(
        count,
        json!({ "object": "total_count", "total_count": 700 })
    );
    Ok(())
}

#[tokio::test]
async fn a_cursor_is_a_users_id_where_the_server_takes_cursors() -> Result<()> {
    let order = "limit=20&order_by=%2Bcreated_at";
    for cursors in [
        Cursors::Taken,
        Cursors::TakenQuietly,
        Cursors::Refused,
        Cursors::Ignored,
    ] {
        let instance = Clerk {
            cursors,
            ..Clerk::default()
        };
        let simulator = start(instance).await?;
        simulator.seed(50);
        let all = truth(&simulator);
        let after = format!("/users?{order}&starting_after={}", all[9]);
        let query = after.trim_start_matches("/users?");
        match cursors {
            Cursors::Refused => {
                let refused = error(&get(&simulator, &after).await?)?;
                assert_eq!(refused, (422, "form_param_unknown".to_owned()));
                continue;
            }
            Cursors::Ignored => assert_eq!(listed(&simulator, query).await?, all[..20]),
            _ => assert_eq!(listed(&simulator, query).await?, all[10..30]),
        }
        simulator.delete(&all[9])?;
        match cursors {
            Cursors::Taken => {
                let lost = error(&get(&simulator, &after).await?)?;
                assert_eq!(lost, (404, "resource_not_found".to_owned()));
            }
            Cursors::TakenQuietly => assert!(listed(&simulator, query).await?.is_empty()),
            _ => assert_eq!(listed(&simulator, query).await?.len(), 20),
        }
        if cursors == Cursors::Taken {
            for wrong in ["offset=1", "order_by=-updated_at"] {
                let path = format!("/users?starting_after={}&{wrong}", all[0]);
                assert_eq!(
                    get(&simulator, &path).await?.status.as_u16(),
                    422,
                    "{wrong}"
                );
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn large_offsets_take_their_time() -> Result<()> {
    let instance = Clerk {
        large_offset: 100,
        large_offset_wait: Duration::from_millis(300),
        ..Clerk::default()
    };
    let simulator = start(instance).await?;
    simulator.seed(120);
    let took = async |query| {
        let begun = std::time::Instant::now();
        listed(&simulator, query).await?;
        anyhow::Ok(begun.elapsed())
    };
    assert!(took("offset=100").await? >= Duration::from_millis(300));
    let cursor = truth(&simulator).remove(110);
    assert_eq!(
        listed(&simulator, &format!("starting_after={cursor}"))
            .await?
            .len(),
        10
    );
    Ok(())
}

#[tokio::test]
async fn a_thousand_requests_in_ten_seconds_are_let_through() -> Result<()> {
    let simulator = start(Clerk::default()).await?;
    assert_eq!(Clerk::PRODUCTION.per_second * 10, 1_000);
    simulator.switch(|switches| {
        switches.rate_limit = Some(Clerk::DEVELOPMENT);
    });
    for _ in 0..100 {
        assert_eq!(
            get(&simulator, "/users?limit=1").await?.status.as_u16(),
            200
        );
    }
    simulator.clock().advance(Duration::from_secs(4));
    let refused = get(&simulator, "/users?limit=1").await?;
    assert_eq!(error(&refused)?, (429, "too_many_requests".to_owned()));
    assert_eq!(refused.headers["retry-after"], "6");
    simulator.clock().advance(Duration::from_secs(6));
    assert_eq!(
        get(&simulator, "/users?limit=1").await?.status.as_u16(),
        200
    );
    Ok(())
}

#[tokio::test]
async fn a_user_is_made_changed_and_deleted_and_each_is_told() -> Result<()> {
    for events_in_seconds in [false, true] {
        let instance = Clerk {
            events_in_seconds,
            ..Clerk::default()
        };
        let simulator = start(instance).await?;
        let body = json!({
            "email_address": ["Ada@Example.com", "second@example.com"],
            "first_name": "Ada",
            "password": "Correct-Horse-7",
            "external_id": "567",
            "private_metadata": { "a": { "b": 1, "c": 2 } },
        });
        let made = ask(&simulator, Method::POST, "/users", &body)
            .await?
            .json()?;
        let id = made["id"].as_str().context("no id")?;
        assert!(id.starts_with("user_") && id.len() == 32, "{id}");
        assert_eq!(
            made["email_addresses"][0]["email_address"],
            "ada@example.com"
        );
        assert_eq!(
            made["primary_email_address_id"],
            made["email_addresses"][0]["id"]
        );
        assert_eq!(
            (&made["created_at"], &made["updated_at"]),
            (&json!(NOON), &json!(NOON))
        );
        assert!(made.get("password").is_none() && made["password_enabled"] == true);

        let path = format!("/users/{id}");
        simulator.clock().advance(Duration::from_millis(1_234));
        let primary = json!({ "primary_email_address_id": made["email_addresses"][1]["id"] });
        let changed = ask(&simulator, Method::PATCH, &path, &primary)
            .await?
            .json()?;
        assert_eq!(changed["updated_at"], NOON + 1_234);
        assert_eq!(changed["created_at"], NOON);
        let user = simulator.user(id).context("the user")?;
        assert_eq!(user.reading.email.as_deref(), Some("second@example.com"));

        let metadata = format!("{path}/metadata");
        let part = json!({ "private_metadata": { "a": { "b": null, "d": 3 } } });
        let merged = ask(&simulator, Method::PATCH, &metadata, &part)
            .await?
            .json()?;
        assert_eq!(
            merged["private_metadata"],
            json!({ "a": { "c": 2, "d": 3 } })
        );
        let replaced = ask(&simulator, Method::PUT, &metadata, &part)
            .await?
            .json()?;
        assert_eq!(replaced["private_metadata"], part["private_metadata"]);
        assert_eq!(
            replaced["updated_at"], changed["updated_at"],
            "the same millisecond"
        );

        simulator.clock().advance(Duration::from_millis(1_000));
        let deleted = ask(&simulator, Method::DELETE, &path, &Value::Null)
            .await?
            .json()?;
        assert_eq!(
            deleted,
            json!({ "deleted": true, "id": id, "object": "user" })
        );
        let missing = error(&get(&simulator, &path).await?)?;
        assert_eq!(missing, (404, "resource_not_found".to_owned()));
        let again = ask(&simulator, Method::DELETE, &path, &Value::Null).await?;
        assert_eq!(error(&again)?, missing);

        let told: Vec<Value> = simulator
            .take_messages()
            .iter()
            .map(|message| serde_json::from_slice(&message.body))
            .collect::<Result<_, _>>()?;
        let kinds: Vec<_> = told.iter().map(|event| &event["type"]).collect();
        let (made_kind, update, gone) = ("user.created", "user.updated", "user.deleted");
        assert_eq!(kinds, [made_kind, update, update, update, gone]);
        assert_eq!(told[0]["data"], made);
        assert_eq!(told[3]["data"], replaced);
        let last = &told[4];
        assert_eq!(
            last["data"],
            json!({ "deleted": true, "id": id, "object": "user", "external_id": "567" })
        );
        let deleted_at = NOON + 2_234;
        let time = if events_in_seconds {
            deleted_at / 1_000
        } else {
            deleted_at
        };
        assert_eq!(last["timestamp"], time);
        for event in &told {
            assert_eq!(event["object"], "event");
            assert_eq!(event["instance_id"], Clerk::default().instance.as_str());
            assert!(event["event_attributes"]["http_request"].is_object());
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_body_that_cannot_be_a_user_is_refused_by_its_field() -> Result<()> {
    let simulator = start(Clerk::default()).await?;
    let id = simulator.create("Ada", "ada@example.com")?;
    let path = format!("/users/{id}");
    for (method, path, body, code) in [
        (Method::POST, "/users", json!({}), "form_data_missing"),
        (
            Method::POST,
            "/users",
            json!({ "age": 3 }),
            "form_param_unknown",
        ),
        (
            Method::POST,
            "/users",
            json!({ "email_address": ["ada@example.com"] }),
            "form_identifier_exists",
        ),
        (
            Method::PATCH,
            &path,
            json!({ "first_name": 3 }),
            "form_param_type_invalid",
        ),
        (
            Method::PATCH,
            &path,
            json!({ "metadata": {} }),
            "form_param_unknown",
        ),
        (
            Method::PATCH,
            &path,
            json!({ "primary_email_address_id": "idn_x" }),
            "form_param_value_invalid",
        ),
        (
            Method::PATCH,
            &format!("{path}/metadata"),
            json!({ "first_name": "A" }),
            "form_param_unknown",
        ),
    ] {
        let answer = ask(&simulator, method, path, &body).await?;
        assert_eq!(error(&answer)?, (422, code.to_owned()), "{body}");
    }
    let half = ask_with(
        &simulator,
        Method::PATCH,
        &path,
        &[(
            "authorization",
            &format!("Bearer {}", Clerk::default().secret_keys[0]),
        )],
        "{".to_owned(),
    )
    .await?;
    assert_eq!(error(&half)?, (400, "request_body_invalid".to_owned()));
    Ok(())
}

#[tokio::test]
async fn the_instance_is_told_unless_the_server_has_no_such_address() -> Result<()> {
    let simulator = start(Clerk::default()).await?;
    let instance = get(&simulator, "/instance").await?.json()?;
    assert_eq!(instance["id"], Clerk::default().instance.as_str());
    let older = Clerk {
        tells_instance: false,
        ..Clerk::default()
    };
    let simulator = start(older).await?;
    let answer = get(&simulator, "/instance").await?;
    assert_eq!(
        (answer.status.as_u16(), answer.json().is_err()),
        (404, true)
    );
    Ok(())
}

#[tokio::test]
async fn activity_is_told_to_nobody_and_is_no_update() -> Result<()> {
    let simulator = start(Clerk::default()).await?;
    let id = simulator.create("Ada", "ada@example.com")?;
    simulator.take_messages();
    simulator.clock().advance(Duration::from_secs(60));
    simulator.touch_activity(&id)?;
    assert!(simulator.take_messages().is_empty());
    let user = get(&simulator, &format!("/users/{id}")).await?.json()?;
    assert_eq!(user["last_active_at"], NOON + 60_000);
    assert_eq!(user["updated_at"], NOON);
    Ok(())
}
