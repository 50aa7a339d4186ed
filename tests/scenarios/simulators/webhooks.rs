//! Stack Auth's webhooks: the changes that it tells its subscribers, and those that it does not.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use tests::simulator::{Change, SignUp, Simulator};

use super::{NOON, ask, get, project};

/// The types of what was told since the last time.
fn kinds(simulator: &Simulator) -> Vec<String> {
    let messages = simulator.take_messages();
    messages.into_iter().map(|message| message.kind).collect()
}

/// The bodies of what was told since the last time.
fn bodies(simulator: &Simulator) -> Result<Vec<Value>> {
    let messages = simulator.take_messages();
    let body = |message: &tests::simulator::Message| Ok(serde_json::from_slice(&message.body)?);
    messages.iter().map(body).collect()
}

async fn read(simulator: &Simulator, id: &str) -> Result<Value> {
    get(simulator, &format!("/users/{id}")).await?.json()
}

fn event(name: &str) -> Result<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../events/stack")
        .join(name);
    Ok(serde_json::from_str(&std::fs::read_to_string(path)?)?)
}

/// The names of an object's fields.
fn names(object: &Value) -> BTreeSet<&str> {
    let fields = object.as_object().into_iter().flatten();
    fields.map(|(name, _)| name.as_str()).collect()
}

#[tokio::test]
async fn user_created_is_stale_as_sent() -> Result<()> {
    let simulator = project().await?;
    let id = simulator.sign_up(SignUp {
        name: Some("Ada Lovelace".to_owned()),
        email: Some("Ada.Lovelace@Example.com".to_owned()),
        oauth: Some("google".to_owned()),
        ..SignUp::default()
    })?;
    let told = bodies(&simulator)?;
    let sent = &told.last().context("nothing told")?["data"];
    assert_eq!(sent["id"], id.as_str());
    assert_eq!(sent["primary_email"], "ada.lovelace@example.com");
    assert_eq!(sent["selected_team"], Value::Null);
    assert_eq!(sent["selected_team_id"], Value::Null);
    assert_eq!(sent["oauth_providers"], json!([]));
    let read = read(&simulator, &id).await?;
    assert_eq!(read["selected_team"]["display_name"], "Ada Lovelace's Team");
    assert_eq!(read["selected_team_id"], read["selected_team"]["id"]);
    assert_eq!(read["oauth_providers"][0]["id"], "google");
    Ok(())
}

#[tokio::test]
async fn the_answer_to_a_post_is_as_stale_as_its_webhook() -> Result<()> {
    let simulator = project().await?;
    let body = json!({"display_name": "Ada", "server_metadata": {"crm_id": "c-42"}});
    let answer = ask(&simulator, Method::POST, "/users", Some(body)).await?;
    assert_eq!(answer.status, StatusCode::CREATED);
    let told = bodies(&simulator)?;
    assert_eq!(answer.json()?, told[1]["data"]);
    assert_eq!(answer.json()?["selected_team"], Value::Null);
    Ok(())
}

#[tokio::test]
async fn the_team_is_told_of_before_the_user() -> Result<()> {
    let simulator = project().await?;
    simulator.create("Ada", "ada@example.com")?;
    assert_eq!(kinds(&simulator), ["team.created", "user.created"]);
    Ok(())
}

#[tokio::test]
async fn without_personal_teams_no_team_is_told_of() -> Result<()> {
    let simulator = super::start(tests::simulator::Stack {
        personal_teams: false,
        ..Default::default()
    })
    .await?;
    let id = simulator.create("Ada", "ada@example.com")?;
    simulator.delete(&id)?;
    assert_eq!(kinds(&simulator), ["user.created", "user.deleted"]);
    Ok(())
}

#[tokio::test]
async fn anonymous_users_fire_user_created() -> Result<()> {
    let simulator = project().await?;
    let id = simulator.create_anonymous()?;
    let told = bodies(&simulator)?;
    assert_eq!(told[1]["type"], "user.created");
    assert_eq!(told[1]["data"]["id"], id.as_str());
    assert_eq!(told[1]["data"]["is_anonymous"], true);
    assert_eq!(told[1]["data"]["primary_email"], Value::Null);
    Ok(())
}

#[tokio::test]
async fn an_anonymous_user_who_signs_up_gets_a_new_signed_up_at() -> Result<()> {
    let simulator = project().await?;
    let id = simulator.create_anonymous()?;
    simulator.take_messages();
    simulator.clock().advance(Duration::from_secs(60));
    simulator.anonymous_signs_up(&id, "Ada", "ada@example.com")?;
    let user = read(&simulator, &id).await?;
    assert_eq!(user["signed_up_at_millis"], NOON + 60_000);
    assert_eq!(user["is_anonymous"], false);
    assert_eq!(user["is_restricted"], false);
    assert_eq!(user["selected_team"]["display_name"], "Ada's Team");
    let told = bodies(&simulator)?;
    assert_eq!(told, [json!({"type": "user.updated", "data": user})]);
    Ok(())
}

#[tokio::test]
async fn a_patch_sends_user_updated_with_the_whole_user() -> Result<()> {
    let simulator = project().await?;
    let id = simulator.create("Ada", "ada@example.com")?;
    simulator.take_messages();
    for body in [json!({"display_name": "Ada L."}), json!({})] {
        let path = format!("/users/{id}");
        let answer = ask(&simulator, Method::PATCH, &path, Some(body)).await?;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.json()?["display_name"], "Ada L.");
        let told = bodies(&simulator)?;
        assert_eq!(
            told,
            [json!({"type": "user.updated", "data": answer.json()?})]
        );
        assert_eq!(answer.json()?, read(&simulator, &id).await?);
    }
    Ok(())
}

#[tokio::test]
async fn a_patch_keeps_numbers_in_metadata_to_the_last_digit() -> Result<()> {
    let simulator = project().await?;
    let id = simulator.create("Ada", "ada@example.com")?;
    let metadata = r#"{"big":123456789012345678901234567890,"small":1e-400}"#;
    let fields = serde_json::from_str(&format!(r#"{{"server_metadata":{metadata}}}"#))?;
    simulator.change(Some(&id), &Change::Update(fields))?;
    simulator.rename(&id, "Ada L.")?;
    let answer = get(&simulator, &format!("/users/{id}")).await?;
    assert!(answer.body.contains(metadata), "{}", answer.body);
    Ok(())
}

#[tokio::test]
async fn changes_by_users_in_their_own_settings_are_readable_but_no_event_tells_them() -> Result<()>
{
    let simulator = project().await?;
    let id = simulator.create("Ada", "ada@example.com")?;
    simulator.take_messages();
    simulator.clock().advance(Duration::from_secs(1));
    let quiet = [
        Change::ChangeEmail("Other@example.com".to_owned()),
        Change::VerifyEmail,
        Change::LinkOauth("github".to_owned()),
        Change::TouchActivity,
        Change::ShiftSignUp(-3),
    ];
    for change in quiet {
        let before = read(&simulator, &id).await?;
        simulator.change(Some(&id), &change)?;
        assert_ne!(read(&simulator, &id).await?, before, "{change:?}");
        assert_eq!(simulator.take_messages(), [], "{change:?}");
    }
    let user = read(&simulator, &id).await?;
    assert_eq!(user["primary_email"], "other@example.com");
    assert_eq!(user["primary_email_verified"], true);
    assert_eq!(user["oauth_providers"][0]["id"], "github");
    assert_eq!(user["last_active_at_millis"], NOON + 1_000);
    assert_eq!(user["signed_up_at_millis"], NOON - 3);
    Ok(())
}

#[tokio::test]
async fn a_renamed_team_is_told_of_and_its_user_is_not() -> Result<()> {
    let simulator = project().await?;
    let id = simulator.create("Ada", "ada@example.com")?;
    simulator.take_messages();
    simulator.change(Some(&id), &Change::RenameTeam("Analysts".to_owned()))?;
    assert_eq!(kinds(&simulator), ["team.updated"]);
    assert_eq!(
        read(&simulator, &id).await?["selected_team"]["display_name"],
        "Analysts"
    );
    Ok(())
}

#[tokio::test]
async fn a_team_can_be_left_aside_and_selected_again() -> Result<()> {
    let simulator = project().await?;
    let id = simulator.create("Ada", "ada@example.com")?;
    let team = read(&simulator, &id).await?["selected_team"].clone();
    simulator.update(&id, &json!({"selected_team_id": null}))?;
    assert_eq!(read(&simulator, &id).await?["selected_team"], Value::Null);
    simulator.update(&id, &json!({"selected_team_id": team["id"]}))?;
    assert_eq!(read(&simulator, &id).await?["selected_team"], team);
    Ok(())
}

#[tokio::test]
async fn a_deletion_tells_of_the_memberships_first() -> Result<()> {
    let simulator = project().await?;
    let id = simulator.create("Ada", "ada@example.com")?;
    let team = read(&simulator, &id).await?["selected_team_id"].clone();
    simulator.take_messages();
    simulator.delete(&id)?;
    let told = bodies(&simulator)?;
    assert_eq!(
        told,
        [
            json!({"type": "team_membership.deleted", "data": {"team_id": team, "user_id": id}}),
            json!({"type": "user.deleted", "data": {"id": id, "teams": [{"id": team}]}}),
        ]
    );
    Ok(())
}

#[tokio::test]
async fn seeded_users_are_told_nobody_until_they_change() -> Result<()> {
    let simulator = project().await?;
    simulator.seed(3);
    assert_eq!(simulator.take_messages(), []);
    let id = simulator.truth().next().context("nobody")?.id;
    simulator.rename(&id, "Ada")?;
    simulator.delete(&id)?;
    assert_eq!(
        kinds(&simulator),
        ["user.updated", "team_membership.deleted", "user.deleted"]
    );
    Ok(())
}

#[tokio::test]
async fn users_have_the_fields_of_a_captured_user() -> Result<()> {
    let simulator = project().await?;
    simulator.seed(2);
    let full = event("user_full_2026_04.json")?;
    let captured = event("captured.json")?;
    for user in simulator.truth() {
        let user: Value = serde_json::from_str(&user.profile)?;
        assert_eq!(names(&user), names(&full));
        assert_eq!(names(&user["selected_team"]), names(&full["selected_team"]));
    }
    let id = simulator.create("Ada Lovelace", "ada@example.com")?;
    simulator.rename(&id, "Ada L.")?;
    simulator.delete(&id)?;
    for told in bodies(&simulator)? {
        let kind = told["type"].as_str().context("no type")?;
        let captured = &captured[kind]["payload"];
        assert_eq!(names(&told), names(captured), "{kind}");
        // Users have got fields since the capture.
        assert!(
            names(&told["data"]).is_superset(&names(&captured["data"])),
            "{kind}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_profile_set_by_hand_is_shown_byte_for_byte_until_the_user_changes() -> Result<()> {
    let simulator = project().await?;
    let id = simulator.create("Ada", "ada@example.com")?;
    simulator.take_messages();
    let broken = r#"{"id":7, "id":"\ud800", "primary_email":["x"],"signed_up_at_millis":1e400}"#;
    simulator.show_profile(&id, broken)?;
    assert_eq!(get(&simulator, &format!("/users/{id}")).await?.body, broken);
    assert!(get(&simulator, "/users").await?.body.contains(broken));
    assert_eq!(simulator.take_messages(), []);
    simulator.rename(&id, "Ada L.")?;
    let user = read(&simulator, &id).await?;
    assert_eq!(user["id"], id.as_str());
    assert_eq!(user["primary_email"], "ada@example.com");
    Ok(())
}
