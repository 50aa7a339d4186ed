//! `/email_addresses`: a user's addresses, one by one.

use serde_json::Value;

use super::fields::EMAIL;
use super::{errors, profile};
use crate::simulator::json::{fields, filled, get, is_null, set as put};
use crate::simulator::vendor::{Fields, Refused};

/// What a request about an address may hold.
const KNOWN: [&str; 5] = ["id", "user_id", "email_address", "primary", "verified"];

/// Whose address is to be added.
pub(super) fn user(wanted: &Fields) -> Result<String, Refused> {
    for name in ["user_id", "email_address"] {
        let text: String = filled(wanted, name).ok_or_else(|| errors::missing(name))?;
        if name == "email_address" && text.matches('@').count() != 1 {
            return Err(errors::no_email(name));
        }
    }
    Ok(filled(wanted, "user_id").unwrap_or_default())
}

/// Whether an address of the profile has this id.
pub(super) fn has(profile: &str, id: &str) -> bool {
    let emails: Vec<Fields> = get(&fields(profile), "email_addresses").unwrap_or_default();
    emails
        .iter()
        .any(|email| filled(email, "id").as_deref() == Some(id))
}

/// Whether the profile has the address that a request wants to add.
pub(super) fn lists(profile: &str, wanted: &Fields) -> bool {
    let text = filled(wanted, "email_address").map(|text| text.to_lowercase());
    let emails: Vec<Fields> = get(&fields(profile), "email_addresses").unwrap_or_default();
    text.is_some()
        && emails
            .iter()
            .any(|email| filled(email, "email_address") == text)
}

/// Adds or changes the address that an update holds under [`EMAIL`].
pub(super) fn set(
    user: &mut Fields,
    update: &Fields,
    now: i64,
    random: &mut fastrand::Rng,
) -> Result<(), Refused> {
    let wanted: Fields = get(update, EMAIL).unwrap_or_default();
    if let Some(name) = wanted.keys().find(|name| !KNOWN.contains(&name.as_str())) {
        return Err(errors::unknown(name));
    }
    let flag = |name: &str| match wanted.get(name) {
        Some(value) if !is_null(value) => serde_json::from_str::<bool>(value.get())
            .map_err(|_| errors::wrong_type(name, "a boolean")),
        _ => Ok(false),
    };
    let (primary, verified) = (flag("primary")?, flag("verified")?);
    let id = match filled(&wanted, "id") {
        Some(id) => id,
        None => {
            let email = filled(&wanted, "email_address").unwrap_or_default();
            profile::add_email(user, &email, false, now, random)
        }
    };
    if verified {
        verify(user, &id, now);
    }
    if primary {
        put(user, "primary_email_address_id", &id);
    }
    Ok(())
}

/// An address is proven to be the user's.
pub(super) fn verify(user: &mut Fields, id: &str, now: i64) {
    let mut emails: Vec<Value> = get(user, "email_addresses").unwrap_or_default();
    for email in &mut emails {
        if email["id"] == id {
            email["verification"]["status"] = "verified".into();
            email["updated_at"] = now.into();
        }
    }
    put(user, "email_addresses", &emails);
}

/// The address that a request was about, as the profile has it now.
pub(super) fn shown(profile: &str, wanted: &Fields) -> String {
    let emails: Vec<Value> = get(&fields(profile), "email_addresses").unwrap_or_default();
    let id = filled(wanted, "id");
    let text = filled(wanted, "email_address").map(|text| text.to_lowercase());
    let is_it = |email: &&Value| match &id {
        Some(id) => email["id"] == id.as_str(),
        None => email["email_address"].as_str() == text.as_deref(),
    };
    emails
        .iter()
        .find(is_it)
        .map(Value::to_string)
        .unwrap_or_default()
}
