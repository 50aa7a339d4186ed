//! Changes of a Supabase user. Each of them is a change of a row, which its webhook tells.

use serde_json::{Value, json};

use super::{Supabase, errors, fields, profile, rows};
use crate::simulator::iso;
use crate::simulator::json::{self, filled, get, raw, set};
use crate::simulator::vendor::{After, Change, Effect, Event, Fields, Refused, SignUp, Subject};

/// In an update's fields: delete the user softly. The route puts it there.
pub(super) const SOFT_DELETE: &str = "should_soft_delete";

pub(super) fn change(
    project: &Supabase,
    user: Option<Subject<'_>>,
    change: &Change,
    now: i64,
    random: &mut fastrand::Rng,
) -> Result<Effect, Refused> {
    match change {
        Change::SignUp(sign_up) => Ok(signed_up(project, sign_up, now, random)),
        Change::Create(wanted) => created(project, wanted, now, random),
        change => {
            let user = user.ok_or_else(errors::no_such_user)?;
            changed(project, user.id, &rows::of(user.profile), change, now)
        }
    }
}

fn signed_up(project: &Supabase, sign_up: &SignUp, now: i64, random: &mut fastrand::Rng) -> Effect {
    let id = sign_up.id.clone().unwrap_or_else(|| json::uuid(random));
    let mut user = profile::new(&id, now);
    if let Some(email) = &sign_up.email {
        set(&mut user, "email", &email.to_lowercase());
    }
    if let Some(name) = &sign_up.name {
        set(&mut user, "user_metadata", &json!({ "full_name": name }));
    }
    match &sign_up.oauth {
        Some(provider) => {
            profile::add_identity(&mut user, provider, now);
            profile::confirm(&mut user, now);
        }
        None if sign_up.anonymous => set(&mut user, "is_anonymous", &true),
        None => profile::add_identity(&mut user, "email", now),
    }
    let told = rows::event(project, "INSERT", Some(&user), None);
    present(id, &user, vec![told])
}

fn created(
    project: &Supabase,
    wanted: &Fields,
    now: i64,
    random: &mut fastrand::Rng,
) -> Result<Effect, Refused> {
    if fields::text(wanted, "email")?.is_none() && fields::text(wanted, "phone")?.is_none() {
        let problem = "Cannot create a user without either an email or phone";
        return Err(errors::invalid(problem));
    }
    let id = match fields::text(wanted, "id")? {
        Some(id) => uuid::Uuid::parse_str(&id)
            .map_err(|_| errors::invalid("ID must conform to the uuid v4 format"))?
            .to_string(),
        None => json::uuid(random),
    };
    let mut user = profile::new(&id, now);
    fields::apply(&mut user, wanted, now)?;
    let told = rows::event(project, "INSERT", Some(&user), None);
    Ok(present(id, &user, vec![told]))
}

fn changed(
    project: &Supabase,
    id: &str,
    before: &Fields,
    change: &Change,
    now: i64,
) -> Result<Effect, Refused> {
    let mut user = before.clone();
    match change {
        Change::Update(wanted) if wanted.contains_key(SOFT_DELETE) => {
            if filled(&user, "deleted_at").is_some() {
                return Ok(present(id.to_owned(), &user, Vec::new()));
            }
            profile::delete_softly(&mut user, now);
        }
        Change::Update(wanted) => fields::apply(&mut user, wanted, now)?,
        Change::Rename(name) => {
            let metadata = raw(&json!({ "full_name": name }));
            json::merge(&mut user, "user_metadata", &metadata);
        }
        Change::SetMetadata(metadata) => json::merge(&mut user, "user_metadata", &raw(metadata)),
        Change::ChangeEmail(email) => set(&mut user, "email", &email.to_lowercase()),
        Change::VerifyEmail => profile::confirm(&mut user, now),
        Change::LinkOauth(provider) => profile::add_identity(&mut user, provider, now),
        Change::AnonymousSignsUp { name, email } => {
            set(&mut user, "is_anonymous", &false);
            if let Some(email) = email {
                set(&mut user, "email", &email.to_lowercase());
                profile::add_identity(&mut user, "email", now);
            }
            let metadata = raw(&json!({ "full_name": name }));
            json::merge(&mut user, "user_metadata", &metadata);
        }
        Change::TouchActivity => set(&mut user, "last_sign_in_at", &iso::short(now)),
        Change::Delete => return Ok(deleted(project, id, before)),
        // There are no teams here, and a sign-up stays where it is.
        Change::RenameTeam(_) | Change::ShiftSignUp(_) => {
            return Ok(present(id.to_owned(), &user, Vec::new()));
        }
        // Handled before there was a user.
        Change::SignUp(_) | Change::Create(_) => {}
    }
    set(&mut user, "updated_at", &iso::short(now));
    let told = rows::event(project, "UPDATE", Some(&user), Some(before));
    Ok(present(id.to_owned(), &user, vec![told]))
}

fn deleted(project: &Supabase, id: &str, before: &Fields) -> Effect {
    Effect {
        id: id.to_owned(),
        after: After::Gone,
        answer: "{}".to_owned(),
        events: vec![rows::event(project, "DELETE", None, Some(before))],
    }
}

fn present(id: String, user: &Fields, events: Vec<Event>) -> Effect {
    let profile = json::text(user);
    // The row of a user deleted softly is not shown to the client that deleted it.
    let answer = match get::<String>(user, "deleted_at") {
        Some(_) => "{}".to_owned(),
        None => profile.clone(),
    };
    Effect {
        id,
        answer,
        after: After::Present {
            profile,
            memo: Value::Null,
        },
        events,
    }
}
