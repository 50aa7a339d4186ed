//! Changes of an Auth0 user, and the events that the event stream tells of them.
//!
//! A deletion does not move `updated_at`; a login does, and is told to nobody. `user.updated` may
//! hold only some of the fields.

use serde_json::{Value, json};

use super::fields::{self, Purpose};
use super::{Auth0, errors, ids, profile};
use crate::simulator::iso;
use crate::simulator::json::{self, get, raw, set};
use crate::simulator::vendor::{After, Change, Effect, Event, Fields, Refused, SignUp, Subject};

pub(super) fn change(
    tenant: &Auth0,
    user: Option<Subject<'_>>,
    change: &Change,
    now: i64,
    random: &mut fastrand::Rng,
) -> Result<Effect, Refused> {
    match change {
        Change::SignUp(sign_up) => Ok(signed_up(tenant, sign_up, now, random)),
        Change::Create(wanted) => created(tenant, wanted, now, random),
        change => {
            let user = user.ok_or_else(errors::no_such_user)?;
            changed(tenant, json::fields(user.profile), change, now, random)
        }
    }
}

fn signed_up(tenant: &Auth0, sign_up: &SignUp, now: i64, random: &mut fastrand::Rng) -> Effect {
    let email = sign_up.email.as_deref().map(str::to_lowercase);
    let id = match (&sign_up.id, &sign_up.oauth) {
        (Some(id), _) => id.clone(),
        (None, Some(provider)) => ids::social(&strategy(provider), email.as_deref(), random),
        (None, None) if sign_up.anonymous => ids::sms(random),
        (None, None) => ids::database(random),
    };
    let mut user = profile::new(&id, now);
    if sign_up.anonymous {
        let number = format!("+1555{:07}", random.u32(..10_000_000));
        set(&mut user, "phone_number", &number);
        set(&mut user, "phone_verified", &true);
    }
    if let Some(name) = &sign_up.name {
        set(&mut user, "name", name);
    }
    if let Some(email) = &email {
        set(&mut user, "email", email);
        set(&mut user, "email_verified", &sign_up.oauth.is_some());
    }
    enter(tenant, user, &id, now, random)
}

fn created(
    tenant: &Auth0,
    wanted: &Fields,
    now: i64,
    random: &mut fastrand::Rng,
) -> Result<Effect, Refused> {
    let missing = |name| errors::body(&format!("Missing required property: {name}"));
    let connection: String = get(wanted, "connection").ok_or_else(|| missing("connection"))?;
    let id = match connection.as_str() {
        ids::DATABASE => {
            for name in ["email", "password"] {
                get::<String>(wanted, name).ok_or_else(|| missing(name))?;
            }
            match get::<String>(wanted, "user_id") {
                Some(account) => format!("auth0|{}", account.trim_start_matches("auth0|")),
                None => ids::database(random),
            }
        }
        "sms" => {
            get::<String>(wanted, "phone_number").ok_or_else(|| missing("phone_number"))?;
            ids::sms(random)
        }
        _ => return Err(errors::no_connection()),
    };
    let mut user = profile::new(&id, now);
    fields::set(&mut user, wanted, Purpose::Create)?;
    if user.contains_key("email") && !user.contains_key("email_verified") {
        set(&mut user, "email_verified", &false);
    }
    Ok(enter(tenant, user, &id, now, random))
}

fn enter(
    tenant: &Auth0,
    mut user: Fields,
    id: &str,
    now: i64,
    random: &mut fastrand::Rng,
) -> Effect {
    profile::settle(&mut user);
    let told = event(tenant, "user.created", &user, now, random);
    effect(id.to_owned(), &user, vec![told])
}

fn changed(
    tenant: &Auth0,
    mut user: Fields,
    change: &Change,
    now: i64,
    random: &mut fastrand::Rng,
) -> Result<Effect, Refused> {
    let id: String = get(&user, "user_id").unwrap_or_default();
    let before = user.clone();
    let mut told = true;
    match change {
        Change::Update(wanted) => fields::set(&mut user, wanted, Purpose::Update)?,
        Change::Rename(Some(name)) => set(&mut user, "name", name),
        Change::Rename(None) => {
            user.remove("name");
        }
        Change::SetMetadata(metadata) => {
            user.insert("user_metadata".to_owned(), raw(metadata));
        }
        Change::ChangeEmail(email) => {
            set(&mut user, "email", &email.to_lowercase());
            set(&mut user, "email_verified", &false);
        }
        Change::VerifyEmail => set(&mut user, "email_verified", &true),
        Change::LinkOauth(provider) => {
            let mut identities: Vec<Value> = get(&user, "identities").unwrap_or_default();
            let provider = strategy(provider);
            let email: Option<String> = get(&user, "email");
            let account = ids::social(&provider, email.as_deref(), random);
            let account = account.split_once('|').map_or("", |(_, account)| account);
            identities.push(profile::identity(&provider, account));
            set(&mut user, "identities", &identities);
        }
        Change::AnonymousSignsUp { name, email } => {
            for (field, value) in [("name", name), ("email", email)] {
                if let Some(value) = value {
                    set(&mut user, field, value);
                }
            }
        }
        Change::TouchActivity => {
            let logins = get::<u64>(&user, "logins_count").unwrap_or(0);
            set(&mut user, "logins_count", &(logins + 1));
            set(&mut user, "last_login", &iso::text(now));
            told = false;
        }
        Change::Delete => return Ok(deleted(tenant, id, user, now, random)),
        // There are no teams here, and a sign-up stays where it is.
        Change::RenameTeam(_) | Change::ShiftSignUp(_) => told = false,
        // Handled before there was a user.
        Change::SignUp(_) | Change::Create(_) => {}
    }
    if !matches!(change, Change::RenameTeam(_) | Change::ShiftSignUp(_)) {
        profile::settle(&mut user);
        set(&mut user, "updated_at", &iso::text(now));
    }
    let mut shown = user.clone();
    // Fields that did not change may be left out.
    if random.bool() {
        shown.retain(|name, value| {
            let same = before.get(name).is_some_and(|old| old.get() == value.get());
            !same || ["user_id", "identities", "created_at"].contains(&name.as_str())
        });
    }
    let told = told.then(|| event(tenant, "user.updated", &shown, now, random));
    Ok(effect(id, &user, told.into_iter().collect()))
}

fn deleted(
    tenant: &Auth0,
    id: String,
    mut user: Fields,
    now: i64,
    random: &mut fastrand::Rng,
) -> Effect {
    set(&mut user, "deleted_at", &iso::text(now));
    Effect {
        id,
        after: After::Gone,
        answer: String::new(),
        events: vec![event(tenant, "user.deleted", &user, now, random)],
    }
}

fn effect(id: String, user: &Fields, events: Vec<Event>) -> Effect {
    let profile = json::text(user);
    Effect {
        id,
        answer: profile.clone(),
        after: After::Present {
            profile,
            memo: Value::Null,
        },
        events,
    }
}

/// A CloudEvent, some time after the commit.
fn event(tenant: &Auth0, kind: &str, user: &Fields, now: i64, random: &mut fastrand::Rng) -> Event {
    let id: String = (0..22).map(|_| random.alphanumeric()).collect();
    // The user's own bytes, so not by way of a `Value`.
    let data = Fields::from([
        ("object".to_owned(), raw(user)),
        (
            "context".to_owned(),
            raw(&json!({ "tenant": { "id": tenant.tenant() } })),
        ),
    ]);
    let mut body = Fields::new();
    for (name, value) in [
        ("specversion", "1.0".to_owned()),
        ("type", kind.to_owned()),
        ("source", format!("urn:auth0:{}", tenant.domain)),
        ("id", format!("evt_{id}")),
        ("time", iso::text(now + 50)),
        ("a0tenant", tenant.tenant().to_owned()),
        ("a0stream", "est_vjFVP5pVdfvsfRKatshkVV".to_owned()),
    ] {
        set(&mut body, name, &value);
    }
    body.insert("data".to_owned(), raw(&data));
    Event {
        kind: kind.to_owned(),
        body: json::text(&body),
    }
}

/// Auth0's name of a social provider.
fn strategy(provider: &str) -> String {
    match provider {
        "google" => "google-oauth2".to_owned(),
        other => other.to_owned(),
    }
}
