//! The control API, as another process uses it.

use anyhow::{Context, Result};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use tests::sender::{self, Sender, Svix};
use tests::simulator::{Call, Options, Simulator, Stack};

use super::receiver::Receiver;
use super::{client, get, project};

async fn control(
    simulator: &Simulator,
    method: Method,
    path: &str,
    body: impl Into<String>,
) -> Result<(StatusCode, Value)> {
    let url = format!("{}{path}", simulator.control_url());
    let request = client()?.request(method, url).body(body.into());
    let answer = request
        .header("content-type", "application/json")
        .send()
        .await?;
    let status = answer.status();
    let body = answer.text().await?;
    let body = serde_json::from_str(&body).with_context(|| format!("read {body}"))?;
    Ok((status, body))
}

/// The answer to a request that is taken.
async fn done(simulator: &Simulator, method: Method, path: &str, body: Value) -> Result<Value> {
    let (status, answer) = control(simulator, method, path, body.to_string()).await?;
    assert_eq!(status, StatusCode::OK, "{path} {body}: {answer}");
    Ok(answer)
}

#[tokio::test]
async fn everything_that_happens_to_users_can_be_made_to_happen() -> Result<()> {
    let simulator = project().await?;
    let body = json!({"name": "Ada", "email": "ada@example.com"});
    let user = done(&simulator, Method::POST, "/users", body).await?;
    let id = user["id"].as_str().context("no id")?;
    let path = format!("/users/{id}");
    for change in [
        json!({"rename": "Ada L."}),
        json!({"update": {"server_metadata": {"n": 1}}}),
        json!({"set_metadata": {"theme": "dark"}}),
        json!({"change_email": "other@example.com"}),
        json!("verify_email"),
        json!({"link_oauth": "github"}),
        json!("touch_activity"),
        json!({"rename_team": "Analysts"}),
        json!({"shift_sign_up": 2}),
    ] {
        done(&simulator, Method::POST, &path, change).await?;
    }
    let user = done(&simulator, Method::GET, &path, json!(null)).await?;
    assert_eq!(user["name"], "Ada L.");
    assert_eq!(user["email"], "other@example.com");
    let profile: Value = serde_json::from_str(user["profile"].as_str().context("no profile")?)?;
    assert_eq!(profile["server_metadata"], json!({"n": 1}));
    assert_eq!(profile["selected_team"]["display_name"], "Analysts");

    done(&simulator, Method::POST, &path, json!("delete")).await?;
    let deleted = done(&simulator, Method::GET, "/deleted", json!(null)).await?;
    assert_eq!(deleted[0][0], id);
    let anonymous = json!({"anonymous": true});
    let anonymous = done(&simulator, Method::POST, "/users", anonymous).await?;
    let path = format!("/users/{}", anonymous["id"].as_str().context("no id")?);
    let change = json!({"anonymous_signs_up": {"name": "Grace", "email": null}});
    done(&simulator, Method::POST, &path, change).await?;
    assert_eq!(simulator.live(), 1);
    Ok(())
}

#[tokio::test]
async fn a_command_that_cannot_be_done_is_an_error_that_says_why() -> Result<()> {
    let simulator = project().await?;
    for (path, body) in [
        ("/users", json!({"nom": "Ada"})),
        (
            "/users/3241a285-8329-4d69-8f3d-316e08cf140c",
            json!("delete"),
        ),
        ("/troubles", json!({"fault": "rain"})),
        ("/seed", json!({})),
    ] {
        let (status, answer) = control(&simulator, Method::POST, path, body.to_string()).await?;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path} {body}");
        assert!(answer["error"].is_string(), "{answer}");
    }
    Ok(())
}

#[tokio::test]
async fn the_truth_comes_in_sections() -> Result<()> {
    let simulator = project().await?;
    done(&simulator, Method::POST, "/seed", json!({"users": 25})).await?;
    let mut ids = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("/truth?limit=10{after}");
        let section = done(&simulator, Method::GET, &path, json!(null)).await?;
        for user in section["users"].as_array().context("no users")? {
            ids.push(user["id"].as_str().unwrap_or_default().to_owned());
        }
        match section["next"].as_str() {
            Some(next) => {
                let url = reqwest::Url::parse_with_params("http://x", [("after", next)])?;
                after = format!("&{}", url.query().unwrap_or_default());
            }
            None => break,
        }
    }
    assert!(simulator.truth().map(|user| user.id).eq(ids));
    let counts = done(&simulator, Method::GET, "/counts", json!(null)).await?;
    assert_eq!(counts, json!({"live": 25, "deleted": 0, "unsent": 0}));
    Ok(())
}

#[tokio::test]
async fn trouble_and_switches_can_be_set_and_cleared() -> Result<()> {
    let simulator = project().await?;
    let trouble = json!({"fault": {"status": 503}, "on": "list", "times": 1});
    done(&simulator, Method::POST, "/troubles", trouble).await?;
    assert_eq!(get(&simulator, "/users").await?.status.as_u16(), 503);
    let switches = json!({"lag_ms": 5, "refused_parameters": ["include_restricted"]});
    let set = done(&simulator, Method::PUT, "/switches", switches).await?;
    assert_eq!(set["lag_ms"], 5);
    assert_eq!(set["latency_ms"], 0);
    assert_eq!(
        get(&simulator, "/users?include_restricted=true")
            .await?
            .status
            .as_u16(),
        400
    );
    done(&simulator, Method::DELETE, "/troubles", json!(null)).await?;
    assert_eq!(simulator.switches(), Default::default());
    Ok(())
}

#[tokio::test]
async fn the_request_log_leaves_out_the_control_api() -> Result<()> {
    let simulator = project().await?;
    get(&simulator, "/users?limit=1").await?;
    let log = done(&simulator, Method::GET, "/requests", json!(null)).await?;
    assert_eq!(log.as_array().map(Vec::len), Some(1));
    assert_eq!(log[0]["call"], "list");
    assert_eq!(log[0]["status"], 200);
    done(&simulator, Method::DELETE, "/requests", json!(null)).await?;
    assert_eq!(simulator.count(Call::List), 0);
    Ok(())
}

#[tokio::test]
async fn a_broken_profile_can_be_shown() -> Result<()> {
    let simulator = project().await?;
    let id = simulator.create("Ada", "ada@example.com")?;
    let path = format!("/users/{id}/profile");
    control(&simulator, Method::PUT, &path, "{oops").await?;
    assert_eq!(
        get(&simulator, &format!("/users/{id}")).await?.body,
        "{oops"
    );
    Ok(())
}

#[tokio::test]
async fn a_sender_beside_is_controlled_at_the_same_address() -> Result<()> {
    let receiver = Receiver::answering([]).await?;
    let signing = Svix::new(["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"])?;
    let sender = Sender::new(sender::Options::new(signing, "http://127.0.0.1:1/"))?;
    let options = Options {
        beside: sender.routes(),
        ..Options::default()
    };
    let simulator = Simulator::start(Stack::default(), options).await?;
    let sending = sender.run(&simulator);
    done(
        &simulator,
        Method::PUT,
        "/sender/endpoints",
        json!([receiver.url]),
    )
    .await?;
    done(
        &simulator,
        Method::PUT,
        "/sender/mishaps",
        json!({"doubled": 1.0}),
    )
    .await?;
    let body = json!({"type": "stack.test", "body": {"type": "stack.test", "data": {}}});
    let told = done(&simulator, Method::POST, "/messages", body).await?;
    sending.settled(std::time::Duration::from_secs(10)).await?;
    assert_eq!(receiver.ids(), [told["id"].as_str().context("no id")?; 2]);
    let attempts = done(&simulator, Method::GET, "/sender/attempts", json!(null)).await?;
    assert_eq!(attempts[1]["outcome"], json!({"answered": 204}));
    Ok(())
}
