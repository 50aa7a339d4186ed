//! The fields that a request can set on a user.

use serde_json::Value;
use serde_json::value::RawValue;

use super::{errors, profile};
use crate::simulator::json::{fields, get, is_null, raw, set as put};
use crate::simulator::vendor::{Fields, Refused};

/// The user's three boxes for whatever the application likes.
pub(super) const METADATA: [&str; 3] = ["public_metadata", "private_metadata", "unsafe_metadata"];

/// Stands for the body of `PATCH …/metadata`; no request has such a field.
pub(super) const MERGED: &str = "metadata";

/// Stands for the body of a request about one of the user's emails; no request has such a field.
pub(super) const EMAIL: &str = "email";

/// Fields that hold a string or null.
const TEXTS: &[&str] = &[
    "external_id",
    "first_name",
    "last_name",
    "locale",
    "username",
];

/// Fields that say yes or no.
const FLAGS: &[&str] = &[
    "bypass_client_trust",
    "create_organization_enabled",
    "delete_self_enabled",
];

/// Fields that are not the user's: they say what to do.
const ORDERS: &[&str] = &[
    "delete_self_enabled",
    "ignore_password_checks",
    "notify_primary_email_address_changed",
    "password_digest",
    "password_hasher",
    "sign_out_of_other_sessions",
    "skip_legal_checks",
    "skip_password_checks",
    "skip_password_requirement",
];

/// Sets what a new user comes with.
pub(super) fn create(
    user: &mut Fields,
    wanted: &Fields,
    now: i64,
    random: &mut fastrand::Rng,
) -> Result<(), Refused> {
    for email in texts(wanted, "email_address")? {
        profile::add_email(user, &email, true, now, random);
    }
    for number in texts(wanted, "phone_number")? {
        profile::add_phone(user, &number, now, random);
    }
    for (name, value) in wanted {
        if !["email_address", "phone_number"].contains(&name.as_str()) {
            set(user, name, value, now)?;
        }
    }
    Ok(())
}

/// Sets fields on the profile.
pub(super) fn update(user: &mut Fields, wanted: &Fields, now: i64) -> Result<(), Refused> {
    for (name, value) in wanted {
        match name.as_str() {
            "primary_email_address_id" => choose(user, "email_addresses", name, value)?,
            "primary_phone_number_id" => choose(user, "phone_numbers", name, value)?,
            MERGED => {
                for (name, changes) in fields(value.get()) {
                    let mut metadata: Value = get(user, &name).unwrap_or_default();
                    merge(&mut metadata, object(&name, &changes)?);
                    put(user, &name, &metadata);
                }
            }
            name => set(user, name, value, now)?,
        }
    }
    Ok(())
}

fn set(user: &mut Fields, name: &str, value: &RawValue, now: i64) -> Result<(), Refused> {
    match name {
        _ if METADATA.contains(&name) => {
            object(name, value)?;
            user.insert(name.to_owned(), value.to_owned());
        }
        _ if TEXTS.contains(&name) => {
            if !is_null(value) {
                serde_json::from_str::<String>(value.get())
                    .map_err(|_| errors::wrong_type(name, "a string"))?;
            }
            user.insert(name.to_owned(), value.to_owned());
        }
        _ if FLAGS.contains(&name) => {
            let flag: bool = serde_json::from_str(value.get())
                .map_err(|_| errors::wrong_type(name, "a boolean"))?;
            put(user, name, &flag);
        }
        "password" => {
            put(user, "password_enabled", &true);
            put(user, "password_last_updated_at", &now);
        }
        _ if ORDERS.contains(&name) => {}
        _ => return Err(errors::unknown(name)),
    }
    Ok(())
}

/// Makes one of the user's own addresses or numbers the primary one.
fn choose(user: &mut Fields, list: &str, name: &str, value: &RawValue) -> Result<(), Refused> {
    let id: String =
        serde_json::from_str(value.get()).map_err(|_| errors::wrong_type(name, "a string"))?;
    let listed: Vec<Fields> = get(user, list).unwrap_or_default();
    if !listed
        .iter()
        .any(|one| get(one, "id").as_ref() == Some(&id))
    {
        return Err(errors::invalid(name, "is not one of the user's."));
    }
    put(user, name, &id);
    Ok(())
}

/// A field that holds a list of strings, or one.
pub(super) fn texts(wanted: &Fields, name: &str) -> Result<Vec<String>, Refused> {
    let Some(value) = wanted.get(name).filter(|value| !is_null(value)) else {
        return Ok(Vec::new());
    };
    let texts: Vec<String> = match serde_json::from_str::<String>(value.get()) {
        Ok(text) => vec![text],
        Err(_) => serde_json::from_str(value.get())
            .map_err(|_| errors::wrong_type(name, "an array of strings"))?,
    };
    Ok(texts.iter().map(|text| text.to_lowercase()).collect())
}

fn object(name: &str, value: &RawValue) -> Result<Value, Refused> {
    match serde_json::from_str(value.get()) {
        Ok(value @ Value::Object(_)) => Ok(value),
        _ => Err(errors::wrong_type(name, "an object")),
    }
}

/// Merges at any depth; null takes a key away.
fn merge(into: &mut Value, changes: Value) {
    let Value::Object(changes) = changes else {
        *into = changes;
        return;
    };
    if !into.is_object() {
        *into = Value::Object(serde_json::Map::new());
    }
    for (name, value) in changes {
        match value {
            Value::Null => {
                into.as_object_mut().map(|into| into.remove(&name));
            }
            value => merge(&mut into[&name], value),
        }
    }
}

/// The metadata that Change::SetMetadata sets.
pub(super) fn public(user: &mut Fields, metadata: &Value) {
    user.insert(METADATA[0].to_owned(), raw(metadata));
}
