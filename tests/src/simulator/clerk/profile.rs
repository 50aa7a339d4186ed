//! The user as the Backend API and events show it.

use serde_json::{Value, json};

use crate::simulator::json::{fields, filled, get, set};
use crate::simulator::vendor::{Fields, Reading, Standing};

/// The fields of a user who has set nothing; some of them are not documented.
const BLANK: &[(&str, &str)] = &[
    ("object", r#""user""#),
    ("external_id", "null"),
    ("primary_email_address_id", "null"),
    ("primary_phone_number_id", "null"),
    ("primary_web3_wallet_id", "null"),
    ("username", "null"),
    ("first_name", "null"),
    ("last_name", "null"),
    ("locale", "null"),
    (
        "profile_image_url",
        r#""https://www.gravatar.com/avatar?d=mp""#,
    ),
    ("image_url", r#""https://img.clerk.com/simulated""#),
    ("has_image", "false"),
    ("public_metadata", "{}"),
    ("private_metadata", "{}"),
    ("unsafe_metadata", "{}"),
    ("email_addresses", "[]"),
    ("phone_numbers", "[]"),
    ("web3_wallets", "[]"),
    ("passkeys", "[]"),
    ("password_enabled", "false"),
    ("password_last_updated_at", "null"),
    ("two_factor_enabled", "false"),
    ("totp_enabled", "false"),
    ("backup_code_enabled", "false"),
    ("mfa_enabled_at", "null"),
    ("mfa_disabled_at", "null"),
    ("external_accounts", "[]"),
    ("saml_accounts", "[]"),
    ("enterprise_accounts", "[]"),
    ("last_sign_in_at", "null"),
    ("last_active_at", "null"),
    ("banned", "false"),
    ("locked", "false"),
    ("deprovisioned", "false"),
    ("lockout_expires_in_seconds", "null"),
    ("verification_attempts_remaining", "100"),
    ("delete_self_enabled", "true"),
    ("create_organization_enabled", "true"),
    ("create_organizations_limit", "null"),
    ("legal_accepted_at", "null"),
    ("bypass_client_trust", "false"),
    ("scim", "null"),
];

/// A user with this id, signed up now, without a name, an email or a number.
pub(super) fn new(id: &str, now: i64) -> Fields {
    let blank = BLANK
        .iter()
        .map(|(name, value)| format!(r#""{name}":{value}"#));
    let mut user = fields(&format!("{{{}}}", blank.collect::<Vec<_>>().join(",")));
    set(&mut user, "id", id);
    set(&mut user, "created_at", &now);
    set(&mut user, "updated_at", &now);
    user
}

/// `prefix_` and 27 base62 characters.
pub(super) fn id(prefix: &str, random: &mut fastrand::Rng) -> String {
    let rest: String = (0..26).map(|_| random.alphanumeric()).collect();
    format!("{prefix}_3{rest}")
}

/// Adds an address after those that are there; it becomes the primary one if there is none.
pub(super) fn add_email(
    user: &mut Fields,
    email: &str,
    verified: bool,
    now: i64,
    random: &mut fastrand::Rng,
) -> String {
    let id = id("idn", random);
    let email = json!({
        "id": id,
        "object": "email_address",
        "email_address": email.to_lowercase(),
        "reserved": false,
        "verification": {
            "object": "verification_otp",
            "status": if verified { "verified" } else { "unverified" },
            "strategy": "email_code",
            "attempts": null,
            "expire_at": null,
        },
        "linked_to": [],
        "matches_sso_connection": false,
        "created_at": now,
        "updated_at": now,
    });
    add(
        user,
        "email_addresses",
        "primary_email_address_id",
        &id,
        email,
    );
    id
}

/// The same for a telephone number.
pub(super) fn add_phone(user: &mut Fields, number: &str, now: i64, random: &mut fastrand::Rng) {
    let id = id("idn", random);
    let number = json!({
        "id": id,
        "object": "phone_number",
        "phone_number": number,
        "reserved_for_second_factor": false,
        "default_second_factor": false,
        "reserved": false,
        "verification": {
            "object": "verification_otp",
            "status": "verified",
            "strategy": "phone_code",
            "attempts": 1,
            "expire_at": now + 600_000,
        },
        "linked_to": [],
        "backup_codes": null,
        "created_at": now,
        "updated_at": now,
    });
    add(
        user,
        "phone_numbers",
        "primary_phone_number_id",
        &id,
        number,
    );
}

fn add(user: &mut Fields, list: &str, primary: &str, id: &str, one: Value) {
    let mut all: Vec<Value> = get(user, list).unwrap_or_default();
    all.push(one);
    set(user, list, &all);
    if filled(user, primary).is_none() {
        set(user, primary, id);
    }
}

/// A name as two fields.
pub(super) fn set_name(user: &mut Fields, name: Option<&str>) {
    let name = name.map(str::trim).filter(|name| !name.is_empty());
    let (first, last) = match name.map(|name| name.split_once(' ').unwrap_or((name, ""))) {
        None => (None, None),
        Some((first, last)) => (Some(first), Some(last).filter(|last| !last.is_empty())),
    };
    set(user, "first_name", &first);
    set(user, "last_name", &last);
}

/// Reads a profile, as far as it can be read.
pub(super) fn reading(profile: &str) -> Reading {
    let user = fields(profile);
    let names: Vec<String> = ["first_name", "last_name"]
        .iter()
        .filter_map(|name| get::<String>(&user, name))
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect();
    let full = Some(names.join(" ")).filter(|name| !name.is_empty());
    let primary: Option<String> = get(&user, "primary_email_address_id");
    let emails: Vec<Fields> = get(&user, "email_addresses").unwrap_or_default();
    let email = emails
        .iter()
        .find(|email| primary.is_some() && get(email, "id") == primary)
        .and_then(|email| filled(email, "email_address"));
    Reading {
        name: full.or_else(|| filled(&user, "username")),
        email,
        created_at: get(&user, "created_at"),
        updated_at: get(&user, "updated_at"),
        standing: Standing::Full,
    }
}
