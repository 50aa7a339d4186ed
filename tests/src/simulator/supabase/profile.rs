//! The user as the admin API shows it.

use serde_json::{Value, json};

use crate::simulator::iso;
use crate::simulator::json::{fields, filled, get, raw, set, text};
use crate::simulator::vendor::{Fields, Reading, Standing};

/// A user with this id, signed up now.
pub(super) fn new(id: &str, now: i64) -> Fields {
    let at = iso::short(now);
    let mut user = Fields::new();
    for (name, value) in [
        ("id", id),
        ("aud", "authenticated"),
        ("role", "authenticated"),
        ("email", ""),
        ("phone", ""),
        ("created_at", &at),
        ("updated_at", &at),
    ] {
        set(&mut user, name, value);
    }
    set(&mut user, "app_metadata", &json!({}));
    set(&mut user, "user_metadata", &json!({}));
    set(&mut user, "identities", &json!([]));
    set(&mut user, "is_anonymous", &false);
    user
}

/// Adds an account, and names its provider in the metadata.
pub(super) fn add_identity(user: &mut Fields, provider: &str, now: i64) {
    let id: String = get(user, "id").unwrap_or_default();
    let email = filled(user, "email");
    let mut identities: Vec<Value> = get(user, "identities").unwrap_or_default();
    let at = iso::short(now);
    let sub = match provider {
        "email" | "phone" => id.clone(),
        _ => format!("1{:020}", identities.len() + id.len()),
    };
    identities.push(json!({
        "identity_id": id.chars().rev().collect::<String>(),
        "id": sub,
        "user_id": id,
        "identity_data": { "email": email, "sub": sub },
        "provider": provider,
        "last_sign_in_at": at,
        "created_at": at,
        "updated_at": at,
        "email": email,
    }));
    let providers: Vec<Value> = identities
        .iter()
        .map(|identity| identity["provider"].clone())
        .collect();
    let mut metadata: Fields = get(user, "app_metadata").unwrap_or_default();
    set(&mut metadata, "provider", &providers[0]);
    set(&mut metadata, "providers", &providers);
    set(user, "app_metadata", &metadata);
    set(user, "identities", &identities);
}

/// Notes that the email was confirmed.
pub(super) fn confirm(user: &mut Fields, now: i64) {
    if filled(user, "email").is_some() {
        let at = iso::short(now);
        set(user, "email_confirmed_at", &at);
        set(user, "confirmed_at", &at);
    }
}

/// Deletes a user softly, as the server does: the row stays, and nothing is told.
pub(super) fn delete_softly(user: &mut Fields, now: i64) {
    for name in ["email", "phone"] {
        if let Some(text) = filled(user, name) {
            set(user, name, &obfuscated(&text));
        }
    }
    set(user, "app_metadata", &json!({}));
    set(user, "user_metadata", &json!({}));
    let mut identities: Vec<Fields> = get(user, "identities").unwrap_or_default();
    for identity in &mut identities {
        identity.insert("identity_data".to_owned(), raw(&json!({})));
        identity.remove("email");
        let id = get::<String>(identity, "id").unwrap_or_default();
        set(identity, "id", &obfuscated(&id));
    }
    set(user, "identities", &identities);
    set(user, "deleted_at", &iso::short(now));
    set(user, "updated_at", &iso::short(now));
}

/// A hash in place of what was there.
fn obfuscated(text: &str) -> String {
    use base64::Engine as _;
    use sha2::Digest as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(text))
}

/// Reads a profile, as far as it can be read.
pub(super) fn reading(profile: &str) -> Reading {
    let user = fields(profile);
    let time = |name| iso::millis(&get::<String>(&user, name)?);
    let metadata: Fields = get(&user, "user_metadata").unwrap_or_default();
    let standing = if filled(&user, "deleted_at").is_some() {
        Standing::Deleted
    } else if get(&user, "is_anonymous").unwrap_or(false) {
        Standing::Anonymous
    } else {
        Standing::Full
    };
    Reading {
        name: filled(&metadata, "full_name").or_else(|| filled(&metadata, "name")),
        email: filled(&user, "email"),
        created_at: time("created_at"),
        updated_at: time("updated_at"),
        standing,
    }
}

/// The profile as listings show it: what stands in other tables is not loaded.
pub(super) fn listed(profile: &str) -> String {
    let mut user = fields(profile);
    if user.is_empty() {
        return profile.to_owned();
    }
    set(&mut user, "identities", &Value::Null);
    user.remove("factors");
    text(&user)
}
