//! Changes of a Stack Auth user, and the webhooks that they fire.
//!
//! Only the API's create, update and delete fire webhooks about users; an anonymous user who
//! signs up goes through the same update. `user.created` is made before the personal team and the
//! OAuth account are.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Stack;
use super::errors;
use super::fields::{self, Purpose};
use super::profile::{self, OauthProvider, Profile, Team};
use crate::simulator::vendor::{After, Change, Effect, Event, Fields, Refused, SignUp, Subject};

use axum::http::{Method, StatusCode};

/// The path that errors name.
const USERS: &str = "/api/v1/users";

pub(super) fn change(
    project: &Stack,
    user: Option<Subject<'_>>,
    change: &Change,
    now: i64,
    random: &mut fastrand::Rng,
) -> Result<Effect, Refused> {
    match change {
        Change::SignUp(sign_up) => signed_up(project, sign_up, now, random),
        Change::Create(fields) => created(project, fields, now, random),
        change => {
            let user = user.ok_or_else(errors::user_not_found)?;
            let profile = serde_json::from_str(user.profile).map_err(|error| {
                errors::plain(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string())
            })?;
            changed(project, &user, profile, change, now)
        }
    }
}

fn signed_up(
    project: &Stack,
    sign_up: &SignUp,
    now: i64,
    random: &mut fastrand::Rng,
) -> Result<Effect, Refused> {
    let id = sign_up.id.clone().unwrap_or_else(|| uuid(random));
    let mut user = Profile::new(id, now);
    user.display_name = sign_up.name.clone();
    user.primary_email = sign_up.email.as_deref().map(fields::normal);
    user.is_anonymous = sign_up.anonymous;
    user.primary_email_auth_enabled = user.primary_email.is_some();
    user.primary_email_verified = sign_up.oauth.is_some() && user.primary_email.is_some();
    user.has_password = sign_up.oauth.is_none() && user.primary_email.is_some();
    Ok(enter(project, user, sign_up.oauth.as_deref(), now))
}

fn created(
    project: &Stack,
    fields: &Fields,
    now: i64,
    random: &mut fastrand::Rng,
) -> Result<Effect, Refused> {
    let mut user = Profile::new(uuid(random), now);
    fields::set(&mut user, fields, Purpose::Create)
        .map_err(|problems| errors::schema(&Method::POST, USERS, &problems))?;
    check(&user)?;
    Ok(enter(project, user, None, now))
}

/// A new user, who is told about first, and gets a team and an OAuth account afterwards.
fn enter(project: &Stack, mut user: Profile, oauth: Option<&str>, now: i64) -> Effect {
    user.settle(project);
    let stale = user.clone();
    let mut events = Vec::new();
    if project.personal_teams {
        let team = Team::personal(&user, now);
        events.push(event("team.created", &team));
        user.select(Some(team));
    }
    if let Some(provider) = oauth {
        link(&mut user, provider);
    }
    events.push(event("user.created", &stale));
    Effect {
        id: user.id.clone(),
        // The API's answer is as stale as the webhook.
        answer: stale.text(),
        after: present(&user, Value::Null),
        events,
    }
}

fn changed(
    project: &Stack,
    subject: &Subject<'_>,
    mut user: Profile,
    change: &Change,
    now: i64,
) -> Result<Effect, Refused> {
    match change {
        Change::Update(fields) => return updated(project, subject, user, fields, now),
        Change::Rename(name) => {
            let fields = Fields::from([("display_name".to_owned(), raw(name))]);
            return updated(project, subject, user, &fields, now);
        }
        Change::SetMetadata(metadata) => {
            let fields = Fields::from([("client_metadata".to_owned(), raw(metadata))]);
            return updated(project, subject, user, &fields, now);
        }
        Change::AnonymousSignsUp { name, email } => {
            let fields = Fields::from([
                ("display_name".to_owned(), raw(name)),
                ("is_anonymous".to_owned(), raw(&false)),
                ("primary_email".to_owned(), raw(email)),
                (
                    "primary_email_auth_enabled".to_owned(),
                    raw(&email.is_some()),
                ),
            ]);
            return updated(project, subject, user, &fields, now);
        }
        Change::Delete => return Ok(deleted(project, &user)),
        Change::ChangeEmail(email) => {
            user.primary_email = Some(fields::normal(email));
            user.primary_email_verified = false;
        }
        Change::VerifyEmail => user.primary_email_verified = user.primary_email.is_some(),
        Change::LinkOauth(provider) => link(&mut user, provider),
        Change::TouchActivity => user.last_active_at_millis = now,
        Change::ShiftSignUp(by) => user.signed_up_at_millis += by,
        Change::RenameTeam(name) => {
            if let Some(team) = &mut user.selected_team {
                team.display_name.clone_from(name);
            }
        }
        // Handled before there was a user.
        Change::SignUp(_) | Change::Create(_) => {}
    }
    user.settle(project);
    let events = match (change, &user.selected_team) {
        // About the team, not about the user who shows it.
        (Change::RenameTeam(_), Some(team)) => vec![event("team.updated", team)],
        _ => Vec::new(),
    };
    Ok(Effect {
        id: user.id.clone(),
        answer: user.text(),
        after: present(&user, subject.memo.clone()),
        events,
    })
}

fn updated(
    project: &Stack,
    subject: &Subject<'_>,
    mut user: Profile,
    fields: &Fields,
    now: i64,
) -> Result<Effect, Refused> {
    let path = format!("{USERS}/{}", subject.id);
    let was_anonymous = user.is_anonymous;
    fields::set(&mut user, fields, Purpose::Update)
        .map_err(|problems| errors::schema(&Method::PATCH, &path, &problems))?;
    check(&user)?;
    let mut memo = subject.memo.clone();
    if let Some(wanted) = fields.get("selected_team_id") {
        select(project, &mut user, wanted, &mut memo, now)?;
    }
    if was_anonymous && !user.is_anonymous {
        user.signed_up_at_millis = now;
        if let Some(team) = &mut user.selected_team
            && team.display_name == profile::PERSONAL_TEAM
        {
            team.display_name = profile::personal_team_name(
                user.display_name.as_deref(),
                user.primary_email.as_deref(),
            );
        }
    }
    user.settle(project);
    Ok(Effect {
        id: user.id.clone(),
        answer: user.text(),
        after: present(&user, memo),
        events: vec![event("user.updated", &user)],
    })
}

/// Selects no team, or the user's own one, which the memo keeps while it is not selected.
fn select(
    project: &Stack,
    user: &mut Profile,
    wanted: &RawValue,
    memo: &mut Value,
    now: i64,
) -> Result<(), Refused> {
    let wanted: Option<String> = serde_json::from_str(wanted.get()).unwrap_or_default();
    let Some(wanted) = wanted else {
        if let Some(team) = &user.selected_team {
            *memo = json!({ "team": team });
        }
        user.select(None);
        return Ok(());
    };
    if !project.personal_teams || wanted != profile::personal_team_id(&user.id) {
        return Err(errors::not_a_member(&wanted, &user.id));
    }
    if user.selected_team.is_none() {
        let team = serde_json::from_value(memo["team"].take())
            .unwrap_or_else(|_| Team::personal(user, now));
        user.select(Some(team));
    }
    Ok(())
}

fn deleted(project: &Stack, user: &Profile) -> Effect {
    let teams: Vec<String> = project
        .personal_teams
        .then(|| profile::personal_team_id(&user.id))
        .into_iter()
        .collect();
    let left = teams.iter().map(|team| {
        let membership = json!({ "team_id": team, "user_id": user.id });
        event("team_membership.deleted", &membership)
    });
    let ids: Vec<Value> = teams.iter().map(|team| json!({ "id": team })).collect();
    let gone = event("user.deleted", &json!({ "id": user.id, "teams": ids }));
    Effect {
        id: user.id.clone(),
        answer: r#"{"success":true}"#.to_owned(),
        after: After::Gone,
        events: left.chain([gone]).collect(),
    }
}

fn link(user: &mut Profile, provider: &str) {
    let account = uuid::Uuid::parse_str(&user.id)
        .unwrap_or_default()
        .as_u64_pair()
        .0;
    user.oauth_providers.push(OauthProvider {
        id: provider.to_owned(),
        account_id: format!("1{account:020}"),
        email: user.primary_email.clone(),
    });
}

/// The rules between fields.
fn check(user: &Profile) -> Result<(), Refused> {
    let problem = if user.primary_email.is_none() && user.primary_email_auth_enabled {
        "primary_email_auth_enabled cannot be true without primary_email"
    } else if user.primary_email.is_none() && user.primary_email_verified {
        "primary_email_verified cannot be true without primary_email"
    } else if !user.restricted_by_admin && user.restricted_by_admin_reason.is_some() {
        "restricted_by_admin_reason requires restricted_by_admin=true"
    } else if !user.restricted_by_admin && user.restricted_by_admin_private_details.is_some() {
        "restricted_by_admin_private_details requires restricted_by_admin=true"
    } else {
        return Ok(());
    };
    Err(errors::plain(StatusCode::BAD_REQUEST, problem))
}

fn present(user: &Profile, memo: Value) -> After {
    After::Present {
        profile: user.text(),
        memo,
    }
}

fn event(kind: &str, data: &impl Serialize) -> Event {
    #[derive(Serialize)]
    struct Body<'a, T> {
        r#type: &'a str,
        data: &'a T,
    }
    let body = Body { r#type: kind, data };
    Event {
        kind: kind.to_owned(),
        body: serde_json::to_string(&body).unwrap_or_default(),
    }
}

fn raw(value: &impl Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

fn uuid(random: &mut fastrand::Rng) -> String {
    uuid::Builder::from_random_bytes(random.u128(..).to_be_bytes())
        .into_uuid()
        .to_string()
}
