//! The fields that a request can set on a user.

use serde_json::value::RawValue;

use super::{errors, profile};
use crate::simulator::json::{self, filled, get, is_null, merge};
use crate::simulator::vendor::{Fields, Refused};

/// Fields that hold a string, or null for none.
const TEXTS: &[&str] = &["external_id", "first_name", "last_name", "locale", "name"];

/// Fields that are not the user's.
const BESIDE: &[&str] = &[
    "ip_address",
    "password",
    "password_hash",
    "password_hash_type",
    "password_salt_position",
    "signals_id",
    "user_agent",
];

/// Sets the fields on the profile.
pub(super) fn apply(user: &mut Fields, wanted: &Fields) -> Result<(), Refused> {
    for (name, value) in wanted {
        let name = name.as_str();
        match name {
            "email" => email(user, value)?,
            "email_verified" if is_null(value) => {}
            "email_verified" => put::<bool>(user, name, value)?,
            "metadata" => metadata(user, value)?,
            _ if TEXTS.contains(&name) => put::<Option<String>>(user, name, value)?,
            _ if BESIDE.contains(&name) => {}
            _ => return Err(errors::body(name, "unknown_parameter")),
        }
    }
    let of_parts = ["first_name", "last_name"]
        .iter()
        .any(|name| wanted.contains_key(*name));
    if of_parts && !wanted.contains_key("name") {
        let name = profile::full_name(user);
        json::set(user, "name", &name);
    }
    Ok(())
}

fn put<T: serde::de::DeserializeOwned>(
    user: &mut Fields,
    name: &str,
    value: &RawValue,
) -> Result<(), Refused> {
    serde_json::from_str::<T>(value.get()).map_err(|_| errors::body(name, "invalid_type"))?;
    user.insert(name.to_owned(), value.to_owned());
    Ok(())
}

fn email(user: &mut Fields, value: &RawValue) -> Result<(), Refused> {
    let email: String =
        serde_json::from_str(value.get()).map_err(|_| errors::body("email", "email_required"))?;
    if !email.contains('@') {
        return Err(errors::impossible("invalid_email"));
    }
    let email = email.to_lowercase();
    if filled(user, "email").is_some_and(|old| old != email) {
        json::set(user, "email_verified", &false);
    }
    json::set(user, "email", &email);
    Ok(())
}

/// Merged key by key; null takes one away. 50 keys of 40 characters, values of 600.
fn metadata(user: &mut Fields, value: &RawValue) -> Result<(), Refused> {
    if is_null(value) {
        return Ok(());
    }
    let given: std::collections::BTreeMap<String, Option<String>> =
        serde_json::from_str(value.get()).map_err(|_| errors::impossible("invalid_metadata"))?;
    let fit = given.iter().all(|(key, value)| {
        let short = |value: &String| value.chars().count() <= 600;
        key.chars().count() <= 40 && value.as_ref().is_none_or(short)
    });
    merge(user, "metadata", value);
    let kept: Fields = get(user, "metadata").unwrap_or_default();
    match fit && kept.len() <= 50 {
        true => Ok(()),
        false => Err(errors::impossible("invalid_metadata")),
    }
}
