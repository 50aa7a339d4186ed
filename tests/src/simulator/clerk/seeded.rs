//! Users that nobody made one by one. Every fourth has a second address in front of the primary
//! one; one in twenty signed up with a telephone number alone, another with a username.

use crate::simulator::people::Seeded;
use crate::simulator::vendor::{Reading, Standing};

const PREFIX: &str = "user_2ab";

pub(super) fn id(user: Seeded) -> String {
    format!("{PREFIX}{}", user.object_id())
}

pub(super) fn user(seed: u64, wanted: &str) -> Option<Seeded> {
    let digits = wanted.strip_prefix(PREFIX)?;
    let hidden = u64::from_str_radix(digits.get(12..)?, 16).ok()?;
    Some(Seeded::of_hidden_index(seed, hidden)).filter(|user| id(*user) == wanted)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Email,
    TwoEmails,
    Phone,
    Username,
}

fn kind(user: Seeded) -> Kind {
    match user.number("kind") % 20 {
        0 => Kind::Phone,
        1 => Kind::Username,
        2..7 => Kind::TwoEmails,
        _ => Kind::Email,
    }
}

/// A seeded user's profile, put together by hand: see Stack Auth's.
pub(super) fn text(user: Seeded) -> String {
    let at = user.created_at();
    let key = user.object_id();
    let (first, last) = user.name();
    let email = |id: &str, address: &str, status: &str| {
        format!(
            r#"{{"id":"{id}","object":"email_address","email_address":"{address}","reserved":false,"verification":{{"object":"verification_otp","status":"{status}","strategy":"email_code","attempts":null,"expire_at":null}},"linked_to":[],"matches_sso_connection":false,"created_at":{at},"updated_at":{at}}}"#
        )
    };
    let index = user.index;
    let second = email(
        &format!("idn_2cd{key}"),
        &format!("second{index}@example.org"),
        "unverified",
    );
    let primary = email(
        &format!("idn_2ef{key}"),
        &format!("user{index}@example.com"),
        "verified",
    );
    let kind = kind(user);
    let emails = match kind {
        Kind::Email => primary,
        Kind::TwoEmails => format!("{second},{primary}"),
        // An address that was never confirmed is nobody's primary one.
        Kind::Phone => second,
        Kind::Username => String::new(),
    };
    let primary_email = match kind {
        Kind::Email | Kind::TwoEmails => format!(r#""idn_2ef{key}""#),
        Kind::Phone | Kind::Username => "null".to_owned(),
    };
    let (primary_phone, phones) = match kind {
        Kind::Phone => (
            format!(r#""idn_2gh{key}""#),
            format!(
                r#"{{"id":"idn_2gh{key}","object":"phone_number","phone_number":"+1555{index:07}","reserved_for_second_factor":false,"default_second_factor":false,"reserved":false,"verification":{{"object":"verification_otp","status":"verified","strategy":"phone_code","attempts":1,"expire_at":{at}}},"linked_to":[],"backup_codes":null,"created_at":{at},"updated_at":{at}}}"#
            ),
        ),
        _ => ("null".to_owned(), String::new()),
    };
    let (username, names) = match kind {
        Kind::Username => (
            format!(r#""user{index}""#),
            r#""first_name":null,"last_name":null"#.to_owned(),
        ),
        _ => (
            "null".to_owned(),
            format!(r#""first_name":"{first}","last_name":"{last}""#),
        ),
    };
    format!(
        r#"{{"object":"user","id":"{id}","external_id":null,"primary_email_address_id":{primary_email},"primary_phone_number_id":{primary_phone},"primary_web3_wallet_id":null,"username":{username},{names},"locale":"en-US","profile_image_url":"https://www.gravatar.com/avatar?d=mp","image_url":"https://img.clerk.com/simulated","has_image":false,"public_metadata":{{"plan":"pro"}},"private_metadata":{{}},"unsafe_metadata":{{}},"email_addresses":[{emails}],"phone_numbers":[{phones}],"web3_wallets":[],"passkeys":[],"password_enabled":true,"two_factor_enabled":false,"totp_enabled":false,"backup_code_enabled":false,"mfa_enabled_at":null,"mfa_disabled_at":null,"password_last_updated_at":{at},"external_accounts":[],"saml_accounts":[],"enterprise_accounts":[],"last_sign_in_at":{at},"banned":false,"locked":false,"deprovisioned":false,"lockout_expires_in_seconds":null,"verification_attempts_remaining":100,"updated_at":{at},"created_at":{at},"delete_self_enabled":true,"create_organization_enabled":true,"create_organizations_limit":null,"last_active_at":{at},"legal_accepted_at":null,"bypass_client_trust":false,"scim":null}}"#,
        id = id(user),
    )
}

/// A seeded user's reading.
pub(super) fn reading(user: Seeded) -> Reading {
    let (first, last) = user.name();
    let kind = kind(user);
    Reading {
        name: Some(match kind {
            Kind::Username => format!("user{}", user.index),
            _ => format!("{first} {last}"),
        }),
        email: match kind {
            Kind::Email | Kind::TwoEmails => Some(format!("user{}@example.com", user.index)),
            Kind::Phone | Kind::Username => None,
        },
        created_at: Some(user.created_at()),
        updated_at: Some(user.created_at()),
        standing: Standing::Full,
    }
}

#[cfg(test)]
mod tests {
    use super::super::profile;
    use super::*;

    #[test]
    fn a_seeded_profile_says_what_its_reading_says_and_is_found_by_its_id() {
        for index in 0..200 {
            let one = Seeded { seed: 3, index };
            assert_eq!(profile::reading(&text(one)), reading(one));
            assert_eq!(user(3, &id(one)), Some(one));
            assert_eq!(user(4, &id(one)), None);
        }
    }
}
