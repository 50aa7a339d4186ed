//! Changes of a Clerk user, and the events that tell of them.
//!
//! Every change that is told moves `updated_at`, to this very millisecond, whatever it was before;
//! a deletion is told with the event's time alone. That somebody was active is told to nobody.

use serde_json::{Value, json};

use super::{Clerk, emails, errors, fields, profile};
use crate::simulator::json::{self, filled, get, raw, set};
use crate::simulator::vendor::{After, Change, Effect, Event, Fields, Refused, SignUp, Subject};

pub(super) fn change(
    instance: &Clerk,
    user: Option<Subject<'_>>,
    change: &Change,
    now: i64,
    random: &mut fastrand::Rng,
) -> Result<Effect, Refused> {
    match change {
        Change::SignUp(sign_up) => Ok(signed_up(instance, sign_up, now, random)),
        Change::Create(wanted) => {
            let mut user = profile::new(&profile::id("user", random), now);
            fields::create(&mut user, wanted, now, random)?;
            let identified = [
                "primary_email_address_id",
                "primary_phone_number_id",
                "username",
            ];
            if !identified.iter().any(|name| filled(&user, name).is_some()) {
                return Err(errors::no_identifier());
            }
            Ok(present(instance, &user, Some("user.created"), now))
        }
        change => {
            let user = user.ok_or_else(|| errors::no_such_user(""))?;
            changed(instance, json::fields(user.profile), change, now, random)
        }
    }
}

fn signed_up(instance: &Clerk, sign_up: &SignUp, now: i64, random: &mut fastrand::Rng) -> Effect {
    let id = match &sign_up.id {
        Some(id) => id.clone(),
        None => profile::id("user", random),
    };
    let mut user = profile::new(&id, now);
    profile::set_name(&mut user, sign_up.name.as_deref());
    if let Some(email) = &sign_up.email {
        profile::add_email(&mut user, email, true, now, random);
    }
    // There is nobody without an account here, only people who say little of themselves.
    if sign_up.anonymous || sign_up.email.is_none() {
        let number = format!("+1555{:07}", random.u32(..10_000_000));
        profile::add_phone(&mut user, &number, now, random);
    }
    match &sign_up.oauth {
        Some(provider) => link(&mut user, provider, now, random),
        None => set(&mut user, "password_enabled", &!sign_up.anonymous),
    }
    set(&mut user, "last_sign_in_at", &now);
    set(&mut user, "last_active_at", &now);
    present(instance, &user, Some("user.created"), now)
}

fn changed(
    instance: &Clerk,
    mut user: Fields,
    change: &Change,
    now: i64,
    random: &mut fastrand::Rng,
) -> Result<Effect, Refused> {
    match change {
        Change::Update(wanted) if wanted.contains_key(fields::EMAIL) => {
            emails::set(&mut user, wanted, now, random)?;
        }
        Change::Update(wanted) => fields::update(&mut user, wanted, now)?,
        Change::Rename(name) => profile::set_name(&mut user, name.as_deref()),
        Change::SetMetadata(metadata) => fields::public(&mut user, metadata),
        Change::ChangeEmail(email) => {
            let id = profile::add_email(&mut user, email, true, now, random);
            set(&mut user, "primary_email_address_id", &id);
        }
        Change::VerifyEmail => verify(&mut user, now),
        Change::LinkOauth(provider) => link(&mut user, provider, now, random),
        Change::AnonymousSignsUp { name, email } => {
            profile::set_name(&mut user, name.as_deref());
            if let Some(email) = email {
                profile::add_email(&mut user, email, true, now, random);
            }
        }
        Change::TouchActivity => {
            set(&mut user, "last_active_at", &now);
            return Ok(present(instance, &user, None, now));
        }
        // There are no teams here, and a sign-up stays where it is.
        Change::RenameTeam(_) | Change::ShiftSignUp(_) => {
            return Ok(present(instance, &user, None, now));
        }
        Change::Delete => return Ok(deleted(instance, &user, now)),
        // Handled before there was a user.
        Change::SignUp(_) | Change::Create(_) => {}
    }
    set(&mut user, "updated_at", &now);
    Ok(present(instance, &user, Some("user.updated"), now))
}

/// The link in the verification email was clicked.
fn verify(user: &mut Fields, now: i64) {
    if let Some(primary) = filled(user, "primary_email_address_id") {
        emails::verify(user, &primary, now);
    }
}

fn link(user: &mut Fields, provider: &str, now: i64, random: &mut fastrand::Rng) {
    let mut accounts: Vec<Value> = get(user, "external_accounts").unwrap_or_default();
    let (first_name, last_name): (Value, Value) = (
        get(user, "first_name").unwrap_or_default(),
        get(user, "last_name").unwrap_or_default(),
    );
    accounts.push(json!({
        "object": "external_account",
        "id": profile::id("eac", random),
        "provider": format!("oauth_{provider}"),
        "identification_id": profile::id("idn", random),
        "provider_user_id": random.u64(..).to_string(),
        "approved_scopes": "email profile",
        "email_address": profile::reading(&json::text(user)).email.unwrap_or_default(),
        "first_name": first_name,
        "last_name": last_name,
        "image_url": "",
        "username": null,
        "public_metadata": {},
        "label": null,
        "created_at": now,
        "updated_at": now,
        "verification": {
            "object": "verification_oauth",
            "status": "verified",
            "strategy": format!("oauth_{provider}"),
            "attempts": null,
            "expire_at": now + 600_000,
        },
    }));
    set(user, "external_accounts", &accounts);
}

fn present(instance: &Clerk, user: &Fields, told: Option<&str>, now: i64) -> Effect {
    let profile = json::text(user);
    let told = told.map(|kind| event(instance, kind, user, now));
    Effect {
        id: get(user, "id").unwrap_or_default(),
        answer: profile.clone(),
        after: After::Present {
            profile,
            memo: Value::Null,
        },
        events: told.into_iter().collect(),
    }
}

fn deleted(instance: &Clerk, user: &Fields, now: i64) -> Effect {
    let id: String = get(user, "id").unwrap_or_default();
    let mut gone = Fields::new();
    set(&mut gone, "deleted", &true);
    set(&mut gone, "id", &id);
    set(&mut gone, "object", "user");
    let answer = json::text(&gone);
    if let Some(external_id) = filled(user, "external_id") {
        set(&mut gone, "external_id", &external_id);
    }
    Effect {
        id,
        answer,
        after: After::Gone,
        events: vec![event(instance, "user.deleted", &gone, now)],
    }
}

/// The envelope around what happened to a user.
fn event(instance: &Clerk, kind: &str, data: &Fields, now: i64) -> Event {
    let time = match instance.events_in_seconds {
        true => now.div_euclid(1_000),
        false => now,
    };
    let request = json!({
        "http_request": {
            "client_ip": "203.0.113.7",
            "user_agent": "Mozilla/5.0 (X11; Linux x86_64) simulated",
        },
    });
    // The user's own bytes, so not by way of a `Value`.
    let body = Fields::from([
        ("data".to_owned(), raw(data)),
        ("event_attributes".to_owned(), raw(&request)),
        ("instance_id".to_owned(), raw(&instance.instance)),
        ("object".to_owned(), raw("event")),
        ("timestamp".to_owned(), raw(&time)),
        ("type".to_owned(), raw(kind)),
    ]);
    Event {
        kind: kind.to_owned(),
        body: json::text(&body),
    }
}
