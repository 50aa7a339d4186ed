//! Changes of a user, and the events that tell of them.
//!
//! Every change moves `updated_at`, a sign-in too, of which nothing is told; a deletion does not
//! move it.

use serde_json::{Value, json};

use super::{errors, fields, ids, profile};
use crate::simulator::iso;
use crate::simulator::json::{self, get, raw, set};
use crate::simulator::vendor::{After, Change, Effect, Event, Fields, Refused, SignUp, Subject};

/// WorkOS makes an event a millisecond after what it tells.
const LATER: i64 = 1;

pub(super) fn change(
    user: Option<Subject<'_>>,
    change: &Change,
    now: i64,
    random: &mut fastrand::Rng,
) -> Result<Effect, Refused> {
    match change {
        Change::SignUp(sign_up) => Ok(signed_up(sign_up, now, random)),
        Change::Create(wanted) => created(wanted, now, random),
        change => {
            let user = user.ok_or_else(|| errors::not_found("User", ""))?;
            changed(user.id, json::fields(user.profile), change, now, random)
        }
    }
}

fn signed_up(sign_up: &SignUp, now: i64, random: &mut fastrand::Rng) -> Effect {
    let id = match &sign_up.id {
        Some(id) => id.clone(),
        None => ids::new("user", now, random),
    };
    // Nobody is without an email here, and nobody is anonymous.
    let email = match &sign_up.email {
        Some(email) => email.to_lowercase(),
        None => format!("{}@example.com", id.to_lowercase()),
    };
    let mut user = profile::new(&id, &email, now);
    profile::rename(&mut user, sign_up.name.as_deref());
    set(&mut user, "last_sign_in_at", &iso::text(now));
    if let Some(provider) = &sign_up.oauth {
        set(&mut user, "email_verified", &true);
        set(&mut user, "profile_picture_url", &picture(provider));
    }
    let told = event("user.created", &user, now, random);
    effect(id, &user, vec![told])
}

fn created(wanted: &Fields, now: i64, random: &mut fastrand::Rng) -> Result<Effect, Refused> {
    let email: String =
        get(wanted, "email").ok_or_else(|| errors::body("email", "email_required"))?;
    let id = ids::new("user", now, random);
    let mut user = profile::new(&id, &email.to_lowercase(), now);
    fields::apply(&mut user, wanted)?;
    let told = event("user.created", &user, now, random);
    Ok(effect(id, &user, vec![told]))
}

fn changed(
    id: &str,
    mut user: Fields,
    change: &Change,
    now: i64,
    random: &mut fastrand::Rng,
) -> Result<Effect, Refused> {
    let mut told = true;
    match change {
        Change::Update(wanted) => fields::apply(&mut user, wanted)?,
        Change::Rename(name) => profile::rename(&mut user, name.as_deref()),
        Change::SetMetadata(metadata) => {
            user.insert("metadata".to_owned(), raw(metadata));
        }
        Change::ChangeEmail(email) => {
            set(&mut user, "email", &email.to_lowercase());
            set(&mut user, "email_verified", &false);
        }
        Change::VerifyEmail => set(&mut user, "email_verified", &true),
        Change::LinkOauth(provider) => {
            set(&mut user, "profile_picture_url", &picture(provider));
        }
        Change::AnonymousSignsUp { name, email } => {
            profile::rename(&mut user, name.as_deref());
            if let Some(email) = email {
                set(&mut user, "email", &email.to_lowercase());
            }
        }
        Change::TouchActivity => {
            set(&mut user, "last_sign_in_at", &iso::text(now));
            told = false;
        }
        Change::Delete => {
            return Ok(Effect {
                id: id.to_owned(),
                after: After::Gone,
                answer: String::new(),
                events: vec![event("user.deleted", &user, now, random)],
            });
        }
        // There are no teams here, and a sign-up stays where it is.
        Change::RenameTeam(_) | Change::ShiftSignUp(_) => {
            return Ok(effect(id.to_owned(), &user, Vec::new()));
        }
        // Handled before there was a user.
        Change::SignUp(_) | Change::Create(_) => {}
    }
    set(&mut user, "updated_at", &iso::text(now));
    let told = told.then(|| event("user.updated", &user, now, random));
    Ok(effect(id.to_owned(), &user, told.into_iter().collect()))
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

/// The same body as is delivered, save for `object`, which the record adds.
fn event(kind: &str, user: &Fields, now: i64, random: &mut fastrand::Rng) -> Event {
    let mut body = Fields::new();
    set(&mut body, "id", &ids::new("event", now, random));
    set(&mut body, "event", kind);
    body.insert("data".to_owned(), raw(user));
    set(&mut body, "created_at", &iso::text(now + LATER));
    set(&mut body, "context", &json!({}));
    Event {
        kind: kind.to_owned(),
        body: json::text(&body),
    }
}

fn picture(provider: &str) -> String {
    format!("https://workoscdn.com/images/v1/{provider}")
}
