//! The fields that a request can set on a user.

use serde_json::value::RawValue;

use super::{errors, profile};
use crate::simulator::iso;
use crate::simulator::json::{filled, get, is_null, merge, set};
use crate::simulator::vendor::{Fields, Refused};

/// Sets the fields on the profile. What the server does not know it ignores.
pub(super) fn apply(user: &mut Fields, wanted: &Fields, now: i64) -> Result<(), Refused> {
    if let Some(email) = text(wanted, "email")? {
        if !email.contains('@') {
            let problem = "Unable to validate email address: invalid format";
            return Err(errors::invalid(problem));
        }
        let had = filled(user, "email").is_some();
        set(user, "email", &email.to_lowercase());
        if !had {
            profile::add_identity(user, "email", now);
        }
        if flag(wanted, "email_confirm") {
            set(user, "is_anonymous", &false);
        }
    }
    if let Some(phone) = text(wanted, "phone")? {
        let had = filled(user, "phone").is_some();
        set(user, "phone", phone.trim_start_matches('+'));
        if !had {
            profile::add_identity(user, "phone", now);
        }
    }
    if let Some(role) = text(wanted, "role")? {
        set(user, "role", &role);
    }
    if flag(wanted, "email_confirm") {
        profile::confirm(user, now);
    }
    if flag(wanted, "phone_confirm") {
        set(user, "phone_confirmed_at", &iso::short(now));
    }
    for name in ["app_metadata", "user_metadata"] {
        match wanted.get(name) {
            Some(value) if is_object(value) => merge(user, name, value),
            Some(value) if !is_null(value) => {
                let problem = format!("json: cannot unmarshal into field {name}");
                return Err(errors::bad_json(&problem));
            }
            _ => {}
        }
    }
    match text(wanted, "ban_duration")?.as_deref() {
        Some("none") => {
            user.remove("banned_until");
        }
        Some(duration) => {
            let hours = duration
                .strip_suffix('h')
                .and_then(|hours| hours.parse().ok());
            let hours: i64 = hours.ok_or_else(|| {
                errors::invalid("invalid format for ban duration: not a number of hours")
            })?;
            let until = now.saturating_add(hours.saturating_mul(3_600_000));
            set(user, "banned_until", &iso::short(until));
        }
        None => {}
    }
    Ok(())
}

/// A string that says something.
pub(super) fn text(wanted: &Fields, name: &str) -> Result<Option<String>, Refused> {
    match wanted.get(name) {
        Some(value) if !is_null(value) => serde_json::from_str::<String>(value.get())
            .map(|text| Some(text).filter(|text| !text.is_empty()))
            .map_err(|error| errors::bad_json(&error.to_string())),
        _ => Ok(None),
    }
}

fn flag(wanted: &Fields, name: &str) -> bool {
    get(wanted, name).unwrap_or(false)
}

fn is_object(value: &RawValue) -> bool {
    value.get().starts_with('{')
}
