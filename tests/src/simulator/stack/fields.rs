//! The fields that a request can set on a user, checked as the server's schema checks them.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::profile::{OauthProvider, Profile, RiskScores};
use crate::simulator::vendor::Fields;

/// Which request the fields came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Create,
    Update,
}

/// Sets the fields on the profile. All problems, if there are any, in the words of the server.
///
/// `selected_team_id` is checked, but setting it is the caller's: it takes the team.
pub(super) fn set(
    profile: &mut Profile,
    fields: &Fields,
    purpose: Purpose,
) -> Result<(), Vec<String>> {
    let mut problems = Vec::new();
    let mut unknown = Vec::new();
    for (name, value) in fields {
        match set_one(profile, name, value, purpose) {
            Set::Done => {}
            Set::Unknown => unknown.push(name.as_str()),
            Set::Problem(problem) => problems.push(format!("body.{name} {problem}")),
        }
    }
    if !unknown.is_empty() {
        problems.push(format!(
            "body contains unknown properties: {}",
            unknown.join(", ")
        ));
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

enum Set {
    Done,
    Unknown,
    Problem(&'static str),
}

fn set_one(profile: &mut Profile, name: &str, value: &RawValue, purpose: Purpose) -> Set {
    match (name, purpose) {
        ("display_name", _) => text(value, |name| profile.display_name = filled(name)),
        ("profile_image_url", _) => text(value, |url| profile.profile_image_url = url),
        ("primary_email", _) => email(profile, value),
        ("country_code", _) => text(value, |code| profile.country_code = code),
        ("restricted_by_admin_reason", _) => text(value, |reason| {
            profile.restricted_by_admin_reason = filled(reason);
        }),
        ("restricted_by_admin_private_details", _) => text(value, |details| {
            profile.restricted_by_admin_private_details = filled(details);
        }),
        ("primary_email_verified", _) => flag(value, |is| profile.primary_email_verified = is),
        ("primary_email_auth_enabled", _) => {
            flag(value, |is| profile.primary_email_auth_enabled = is)
        }
        ("otp_auth_enabled", _) => flag(value, |is| profile.otp_auth_enabled = is),
        ("passkey_auth_enabled", _) => flag(value, |is| profile.passkey_auth_enabled = is),
        ("restricted_by_admin", _) => flag(value, |is| {
            profile.restricted_by_admin = is;
            if !is {
                profile.restricted_by_admin_reason = None;
                profile.restricted_by_admin_private_details = None;
            }
        }),
        ("is_anonymous", Purpose::Create) => flag(value, |is| profile.is_anonymous = is),
        ("is_anonymous", Purpose::Update) => match read::<bool>(value) {
            Some(false) => {
                profile.is_anonymous = false;
                Set::Done
            }
            _ => Set::Problem("must be one of the following values: false"),
        },
        ("client_metadata", _) => json(value, |json| profile.client_metadata = json),
        ("client_read_only_metadata", _) => {
            json(value, |json| profile.client_read_only_metadata = json)
        }
        ("server_metadata", _) => json(value, |json| profile.server_metadata = json),
        ("password" | "password_hash", _) => {
            text(value, |password| profile.has_password = password.is_some())
        }
        ("totp_secret_base64", _) => {
            text(value, |secret| profile.requires_totp_mfa = secret.is_some())
        }
        ("risk_scores", _) => match read::<RiskScores>(value) {
            Some(scores) => {
                profile.risk_scores = scores;
                Set::Done
            }
            None => Set::Problem("must be defined"),
        },
        ("oauth_providers", Purpose::Create) => match read::<Vec<OauthProvider>>(value) {
            Some(providers) => {
                profile.oauth_providers = providers;
                Set::Done
            }
            None => Set::Problem("must be a `array` type"),
        },
        ("selected_team_id", Purpose::Update) => match read::<Option<String>>(value) {
            Some(team)
                if team
                    .as_ref()
                    .is_none_or(|team| uuid::Uuid::parse_str(team).is_ok()) =>
            {
                Set::Done
            }
            _ => Set::Problem("must be a valid UUID"),
        },
        _ => Set::Unknown,
    }
}

fn email(profile: &mut Profile, value: &RawValue) -> Set {
    match read::<Option<String>>(value) {
        Some(None) => {
            profile.primary_email = None;
            profile.primary_email_verified = false;
            profile.primary_email_auth_enabled = false;
            Set::Done
        }
        Some(Some(email)) if email.matches('@').count() == 1 => {
            let email = normal(&email);
            if profile.primary_email.as_ref() != Some(&email) {
                // Unless the same request says otherwise: fields are set in their names' order,
                // and `primary_email_verified` comes after `primary_email`.
                profile.primary_email_verified = false;
            }
            profile.primary_email = Some(email);
            Set::Done
        }
        _ => Set::Problem("must be a valid email"),
    }
}

/// An email as the server keeps it.
pub(super) fn normal(email: &str) -> String {
    email.trim().to_lowercase()
}

fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn read<'a, T: Deserialize<'a>>(value: &'a RawValue) -> Option<T> {
    serde_json::from_str(value.get()).ok()
}

fn text(value: &RawValue, set: impl FnOnce(Option<String>)) -> Set {
    match read(value) {
        Some(text) => {
            set(text);
            Set::Done
        }
        None => Set::Problem("must be a `string` type"),
    }
}

fn flag(value: &RawValue, set: impl FnOnce(bool)) -> Set {
    match read(value) {
        Some(is) => {
            set(is);
            Set::Done
        }
        None => Set::Problem("must be a `boolean` type"),
    }
}

fn json(value: &RawValue, set: impl FnOnce(Box<RawValue>)) -> Set {
    set(value.to_owned());
    Set::Done
}
