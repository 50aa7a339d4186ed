//! Users that nobody made one by one: two in a hundred are anonymous or restricted, one in twenty
//! has no name, and half came through an OAuth provider.

use super::Stack;
use super::profile::{personal_team_id, personal_team_name};
use crate::simulator::people::Seeded;
use crate::simulator::vendor::{Reading, Standing};

/// A seeded user's profile, put together by hand: a test's simulator, built without optimisation,
/// spends most of a long listing here, and serde takes ten times as long.
pub(super) fn text(project: &Stack, user: Seeded) -> String {
    let Reading {
        name,
        email,
        standing,
        ..
    } = reading(project, user);
    // No name and no email of a seeded user holds a character that JSON would escape.
    let string = |text: Option<String>| match text {
        Some(text) => format!("\"{text}\""),
        None => "null".to_owned(),
    };
    let id = user.uuid();
    let at = user.created_at();
    let (team_id, team) = if project.personal_teams {
        let team = personal_team_id(&id);
        let object = format!(
            r#"{{"id":"{team}","display_name":"{}","profile_image_url":null,"created_at_millis":{},"client_metadata":null,"client_read_only_metadata":null,"server_metadata":null}}"#,
            personal_team_name(name.as_deref(), email.as_deref()),
            at + 277,
        );
        (format!("\"{team}\""), object)
    } else {
        ("null".to_owned(), "null".to_owned())
    };
    let signed_up = standing != Standing::Anonymous;
    let metadata = if signed_up {
        metadata(user)
    } else {
        ["null"; 3].map(str::to_owned)
    };
    let [client, read_only, server] = metadata;
    let has_password = signed_up && has_password(user);
    let email = string(email);
    let oauth = if signed_up && !has_password {
        let account = account_id(user);
        format!(r#"{{"id":"google","account_id":"{account}","email":{email}}}"#)
    } else {
        String::new()
    };
    let reason = match standing {
        Standing::Full => "null",
        Standing::Restricted | Standing::Deleted => r#"{"type":"restricted_by_administrator"}"#,
        Standing::Anonymous => r#"{"type":"anonymous"}"#,
    };
    format!(
        r#"{{"id":"{id}","display_name":{name},"primary_email":{email},"primary_email_verified":{signed_up},"primary_email_auth_enabled":{signed_up},"profile_image_url":null,"signed_up_at_millis":{at},"client_metadata":{client},"client_read_only_metadata":{read_only},"server_metadata":{server},"has_password":{has_password},"otp_auth_enabled":false,"auth_with_email":{has_password},"requires_totp_mfa":false,"passkey_auth_enabled":false,"oauth_providers":[{oauth}],"selected_team_id":{team_id},"selected_team":{team},"last_active_at_millis":{at},"is_anonymous":{anonymous},"is_restricted":{restricted},"restricted_reason":{reason},"restricted_by_admin":{by_admin},"restricted_by_admin_reason":null,"restricted_by_admin_private_details":null,"country_code":{country},"risk_scores":{{"sign_up":{{"bot":0,"free_trial_abuse":0}}}}}}"#,
        name = string(name),
        anonymous = !signed_up,
        restricted = standing != Standing::Full,
        by_admin = standing == Standing::Restricted,
        country = if signed_up { r#""PT""# } else { "null" },
    )
}

/// The client's, the client's read-only and the server's metadata, as JSON.
fn metadata(user: Seeded) -> [String; 3] {
    let theme = ["dark", "light"][usize::from(user.number("theme").is_multiple_of(2))];
    [
        format!(r#"{{"theme":"{theme}","locale":"en"}}"#),
        r#"{"plan":"pro"}"#.to_owned(),
        format!(r#"{{"crm_id":"c-{}"}}"#, user.index),
    ]
}

/// The other half came through an OAuth provider.
fn has_password(user: Seeded) -> bool {
    user.number("password").is_multiple_of(2)
}

fn account_id(user: Seeded) -> String {
    format!("1043{:017}", user.number("account") % 10u64.pow(17))
}

/// A seeded user's reading.
pub(super) fn reading(project: &Stack, user: Seeded) -> Reading {
    let standing = match user.index % 50 {
        49 if project.seeds_all_standings => Standing::Anonymous,
        24 if project.seeds_all_standings => Standing::Restricted,
        _ => Standing::Full,
    };
    let created_at = Some(user.created_at());
    if standing == Standing::Anonymous {
        return Reading {
            created_at,
            standing,
            ..Reading::default()
        };
    }
    let (first, last) = user.name();
    Reading {
        // One user in twenty never gave a name.
        name: (!user.number("named").is_multiple_of(20)).then(|| format!("{first} {last}")),
        email: Some(format!("user{}@example.com", user.index)),
        created_at,
        updated_at: None,
        standing,
    }
}

#[cfg(test)]
mod tests {
    use super::super::profile::{self, Profile};
    use super::*;

    #[test]
    fn a_seeded_profile_is_a_profile_and_says_what_its_reading_says() {
        for personal_teams in [true, false] {
            let project = Stack {
                personal_teams,
                ..Stack::default()
            };
            for index in 0..500 {
                let user = Seeded { seed: 3, index };
                let text = text(&project, user);
                assert_eq!(profile::reading(&text), reading(&project, user), "{text}");
                let mut profile: Profile = serde_json::from_str(&text).unwrap();
                assert_eq!(profile.text(), text);
                profile.settle(&project);
                assert_eq!(profile.text(), text);
            }
        }
    }
}
