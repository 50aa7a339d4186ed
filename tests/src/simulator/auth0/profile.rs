//! The user as the Management API shows it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::ids::DATABASE;
use crate::simulator::iso;
use crate::simulator::json::{fields, filled, get, set, text};
use crate::simulator::vendor::{Fields, Reading, Standing};

/// Fields of identities that hold credentials for other services.
const TOKENS: &[&str] = &["access_token", "refresh_token", "access_token_secret"];

/// A user with this id, signed up now.
pub(super) fn new(id: &str, now: i64) -> Fields {
    let mut user = Fields::new();
    let at = iso::text(now);
    set(&mut user, "user_id", id);
    set(&mut user, "created_at", &at);
    set(&mut user, "updated_at", &at);
    let (provider, account) = id.split_once('|').unwrap_or(("auth0", id));
    set(&mut user, "identities", &[identity(provider, account)]);
    user
}

/// An account of a user's. Google's and the like hold tokens; GitHub's account is a number.
pub(super) fn identity(provider: &str, account: &str) -> Value {
    match provider {
        "auth0" => json!({
            "connection": DATABASE, "user_id": account, "provider": provider, "isSocial": false,
        }),
        "sms" | "email" => json!({
            "connection": provider, "user_id": account, "provider": provider, "isSocial": false,
        }),
        _ => {
            let number = account
                .get(12..)
                .and_then(|digits| digits.trim_start_matches('0').parse().ok());
            let account = match (provider, number) {
                ("github", Some(number)) => Value::Number(number),
                _ => Value::from(account),
            };
            json!({
                "connection": provider, "user_id": account, "provider": provider,
                "isSocial": true,
                "access_token": format!("ya29.simulated-access-token-{account}"),
                "refresh_token": format!("1//simulated-refresh-token-{account}"),
                "expires_in": 3599,
            })
        }
    }
}

/// Sets what the connection makes of a name and an email where the user has none of their own.
pub(super) fn settle(user: &mut Fields) {
    let email = filled(user, "email");
    let local = email.as_deref().and_then(|email| email.split('@').next());
    if let Some(local) = local
        && filled(user, "nickname").is_none()
    {
        set(user, "nickname", local);
    }
    // Without a name, Auth0 shows the email, and without one the telephone number.
    if filled(user, "name").is_none()
        && let Some(name) = email.or_else(|| filled(user, "phone_number"))
    {
        set(user, "name", &name);
    }
}

/// Reads a profile, as far as it can be read.
pub(super) fn reading(profile: &str) -> Reading {
    let user = fields(profile);
    let time = |name| iso::millis(&get::<String>(&user, name)?);
    let names: Vec<String> = ["given_name", "family_name"]
        .iter()
        .filter_map(|name| filled(&user, name))
        .collect();
    let full = Some(names.join(" ")).filter(|name| !name.is_empty());
    Reading {
        name: filled(&user, "name")
            .or(full)
            .or_else(|| filled(&user, "nickname"))
            .or_else(|| filled(&user, "username")),
        email: filled(&user, "email"),
        created_at: time("created_at"),
        updated_at: time("updated_at"),
        standing: Standing::Full,
    }
}

/// The profile without what its identities hold that opens other doors.
pub(super) fn without_tokens(profile: Arc<str>) -> Arc<str> {
    if !TOKENS.iter().any(|name| profile.contains(name)) {
        return profile;
    }
    let mut user = fields(&profile);
    let Some(mut identities) = get::<Vec<Fields>>(&user, "identities") else {
        return profile;
    };
    for identity in &mut identities {
        identity.retain(|name, _| !TOKENS.contains(&name.as_str()));
    }
    set(&mut user, "identities", &identities);
    text(&user).into()
}
