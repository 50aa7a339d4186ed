//! The user as Stack Auth's API shows it, with all the fields of April 2026 in its order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Stack;
use crate::simulator::people::mix;
use crate::simulator::vendor::{Reading, Standing};

/// One user.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Profile {
    pub(super) id: String,
    pub(super) display_name: Option<String>,
    pub(super) primary_email: Option<String>,
    pub(super) primary_email_verified: bool,
    pub(super) primary_email_auth_enabled: bool,
    pub(super) profile_image_url: Option<String>,
    pub(super) signed_up_at_millis: i64,
    pub(super) client_metadata: Box<RawValue>,
    pub(super) client_read_only_metadata: Box<RawValue>,
    pub(super) server_metadata: Box<RawValue>,
    pub(super) has_password: bool,
    pub(super) otp_auth_enabled: bool,
    pub(super) auth_with_email: bool,
    pub(super) requires_totp_mfa: bool,
    pub(super) passkey_auth_enabled: bool,
    pub(super) oauth_providers: Vec<OauthProvider>,
    pub(super) selected_team_id: Option<String>,
    pub(super) selected_team: Option<Team>,
    pub(super) last_active_at_millis: i64,
    pub(super) is_anonymous: bool,
    pub(super) is_restricted: bool,
    pub(super) restricted_reason: Option<RestrictedReason>,
    pub(super) restricted_by_admin: bool,
    pub(super) restricted_by_admin_reason: Option<String>,
    pub(super) restricted_by_admin_private_details: Option<String>,
    pub(super) country_code: Option<String>,
    pub(super) risk_scores: RiskScores,
}

/// An account at an OAuth provider.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OauthProvider {
    pub(super) id: String,
    pub(super) account_id: String,
    #[serde(default)]
    pub(super) email: Option<String>,
}

/// A team, as users show it and as `team.*` webhooks carry it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Team {
    pub(super) id: String,
    pub(super) display_name: String,
    pub(super) profile_image_url: Option<String>,
    pub(super) created_at_millis: i64,
    pub(super) client_metadata: Option<Box<RawValue>>,
    pub(super) client_read_only_metadata: Option<Box<RawValue>>,
    pub(super) server_metadata: Option<Box<RawValue>>,
}

/// Why a user is not let in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RestrictedReason {
    r#type: String,
}

/// How much a sign-up looks like abuse.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RiskScores {
    sign_up: SignUpScores,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignUpScores {
    bot: u8,
    free_trial_abuse: u8,
}

impl Profile {
    /// A user without anything, signed up now.
    pub(super) fn new(id: String, now: i64) -> Self {
        let null = || RawValue::NULL.to_owned();
        Self {
            id,
            display_name: None,
            primary_email: None,
            primary_email_verified: false,
            primary_email_auth_enabled: false,
            profile_image_url: None,
            signed_up_at_millis: now,
            client_metadata: null(),
            client_read_only_metadata: null(),
            server_metadata: null(),
            has_password: false,
            otp_auth_enabled: false,
            auth_with_email: false,
            requires_totp_mfa: false,
            passkey_auth_enabled: false,
            oauth_providers: Vec::new(),
            selected_team_id: None,
            selected_team: None,
            last_active_at_millis: now,
            is_anonymous: false,
            is_restricted: false,
            restricted_reason: None,
            restricted_by_admin: false,
            restricted_by_admin_reason: None,
            restricted_by_admin_private_details: None,
            country_code: None,
            risk_scores: RiskScores::default(),
        }
    }

    /// Sets what follows from the other fields.
    pub(super) fn settle(&mut self, project: &Stack) {
        self.auth_with_email = self.has_password || self.otp_auth_enabled;
        let reason = if self.is_anonymous {
            Some("anonymous")
        } else if project.require_email_verification && !self.primary_email_verified {
            Some("email_not_verified")
        } else if self.restricted_by_admin {
            Some("restricted_by_administrator")
        } else {
            None
        };
        self.is_restricted = reason.is_some();
        self.restricted_reason = reason.map(|reason| RestrictedReason {
            r#type: reason.to_owned(),
        });
    }

    /// Selects a team, which the user then shows.
    pub(super) fn select(&mut self, team: Option<Team>) {
        self.selected_team_id = team.as_ref().map(|team| team.id.clone());
        self.selected_team = team;
    }

    /// The profile as JSON.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The name of a personal team whose user had neither name nor email.
pub(super) const PERSONAL_TEAM: &str = "Personal Team";

impl Team {
    /// The team that a user gets on sign-up.
    pub(super) fn personal(user: &Profile, now: i64) -> Self {
        Self {
            id: personal_team_id(&user.id),
            display_name: personal_team_name(
                user.display_name.as_deref(),
                user.primary_email.as_deref(),
            ),
            profile_image_url: None,
            created_at_millis: now,
            client_metadata: None,
            client_read_only_metadata: None,
            server_metadata: None,
        }
    }
}

/// The name of the personal team that is made for this user.
pub(super) fn personal_team_name(name: Option<&str>, email: Option<&str>) -> String {
    match name.or(email) {
        Some(owner) => format!("{owner}'s Team"),
        None => PERSONAL_TEAM.to_owned(),
    }
}

/// The id of a user's personal team: always the same for the same user.
pub(super) fn personal_team_id(user: &str) -> String {
    let (high, low) = uuid::Uuid::parse_str(user)
        .unwrap_or_default()
        .as_u64_pair();
    let bits = u128::from(mix(high ^ 0x7465_616d)) << 64 | u128::from(mix(low ^ high));
    uuid::Builder::from_random_bytes(bits.to_be_bytes())
        .into_uuid()
        .to_string()
}

/// Reads a profile, as far as it can be read.
pub(super) fn reading(profile: &str) -> Reading {
    // By name, so that one broken field does not hide the others.
    let fields: BTreeMap<String, &RawValue> = serde_json::from_str(profile).unwrap_or_default();
    fn field<'a, T: Deserialize<'a>>(
        fields: &BTreeMap<String, &'a RawValue>,
        name: &str,
    ) -> Option<T> {
        serde_json::from_str(fields.get(name)?.get()).ok()
    }
    let flag = |name| field(&fields, name).unwrap_or(false);
    let standing = if flag("is_anonymous") {
        Standing::Anonymous
    } else if flag("is_restricted") {
        Standing::Restricted
    } else {
        Standing::Full
    };
    Reading {
        name: field(&fields, "display_name"),
        email: field(&fields, "primary_email"),
        created_at: field(&fields, "signed_up_at_millis"),
        updated_at: None,
        standing,
    }
}
