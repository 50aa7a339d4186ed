//! The user as the API shows it.

use serde_json::json;

use crate::simulator::iso;
use crate::simulator::json::{fields, filled, get, set};
use crate::simulator::vendor::{Fields, Reading, Standing};

/// A user with this id, signed up now, and nothing else.
pub(super) fn new(id: &str, email: &str, now: i64) -> Fields {
    let mut user = Fields::new();
    let at = iso::text(now);
    set(&mut user, "object", "user");
    set(&mut user, "id", id);
    for name in [
        "first_name",
        "last_name",
        "name",
        "profile_picture_url",
        "external_id",
        "last_sign_in_at",
        "locale",
    ] {
        set(&mut user, name, &json!(null));
    }
    set(&mut user, "email", email);
    set(&mut user, "email_verified", &false);
    set(&mut user, "metadata", &json!({}));
    set(&mut user, "created_at", &at);
    set(&mut user, "updated_at", &at);
    user
}

/// Gives a user this name, first and last ones with it.
pub(super) fn rename(user: &mut Fields, name: Option<&str>) {
    let (first, last) = match name.map(|name| name.split_once(' ').unwrap_or((name, ""))) {
        Some((first, last)) => (Some(first), Some(last).filter(|last| !last.is_empty())),
        None => (None, None),
    };
    set(user, "first_name", &first);
    set(user, "last_name", &last);
    set(user, "name", &name);
}

/// First and last name with a blank between, as far as the user has them.
pub(super) fn full_name(user: &Fields) -> Option<String> {
    let names: Vec<String> = ["first_name", "last_name"]
        .iter()
        .filter_map(|name| filled(user, name))
        .collect();
    Some(names.join(" ")).filter(|name| !name.is_empty())
}

/// Reads a profile, as far as it can be read.
pub(super) fn reading(profile: &str) -> Reading {
    let user = fields(profile);
    let time = |name| iso::millis(&get::<String>(&user, name)?);
    Reading {
        name: filled(&user, "name").or_else(|| full_name(&user)),
        email: filled(&user, "email"),
        created_at: time("created_at"),
        updated_at: time("updated_at"),
        standing: Standing::Full,
    }
}
