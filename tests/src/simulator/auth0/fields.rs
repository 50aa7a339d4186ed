//! The fields that a request can set on a user.

use serde_json::value::RawValue;

use super::errors;
use crate::simulator::json::{fields, get, is_null, merge};
use crate::simulator::vendor::{Fields, Refused};

/// Which request the fields came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Create,
    Update,
}

/// Fields that hold a string.
const TEXTS: &[&str] = &[
    "email",
    "family_name",
    "given_name",
    "name",
    "nickname",
    "phone_number",
    "picture",
    "username",
];

/// Fields that say yes or no.
const FLAGS: &[&str] = &["blocked", "email_verified", "phone_verified"];

/// Fields that are not the user's: they say what to do.
const ORDERS: &[&str] = &["client_id", "connection", "password", "verify_email"];

/// Sets the fields on the profile.
pub(super) fn set(user: &mut Fields, wanted: &Fields, purpose: Purpose) -> Result<(), Refused> {
    for (name, value) in wanted {
        let name = name.as_str();
        match name {
            "user_metadata" | "app_metadata" => {
                if fields(value.get()).is_empty() && !value.get().starts_with('{') {
                    return Err(wrong_type("object", name));
                }
                merge(user, name, value);
            }
            _ if TEXTS.contains(&name) => put::<String>(user, name, value, "string")?,
            _ if FLAGS.contains(&name) => put::<bool>(user, name, value, "boolean")?,
            "user_id" if purpose == Purpose::Create => {}
            "verify_phone_number" if purpose == Purpose::Update => {}
            _ if ORDERS.contains(&name) => {}
            _ => {
                let problem = format!("Additional properties not allowed: {name}");
                return Err(errors::body(&problem));
            }
        }
    }
    Ok(())
}

fn put<T: serde::de::DeserializeOwned>(
    user: &mut Fields,
    name: &str,
    value: &RawValue,
    kind: &str,
) -> Result<(), Refused> {
    if is_null(value) {
        user.remove(name);
        return Ok(());
    }
    serde_json::from_str::<T>(value.get()).map_err(|_| wrong_type(kind, name))?;
    user.insert(name.to_owned(), value.to_owned());
    // Emails are kept in lower case.
    if name == "email"
        && let Some(email) = get::<String>(user, name)
    {
        crate::simulator::json::set(user, name, &email.to_lowercase());
    }
    Ok(())
}

fn wrong_type(kind: &str, name: &str) -> Refused {
    errors::body(&format!("Expected type {kind} on property {name}"))
}
