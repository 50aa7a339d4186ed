//! Users that nobody made one by one: half came through Google, one in twenty of the others has
//! no name of their own.

use super::ids::DATABASE;
use crate::simulator::iso;
use crate::simulator::people::Seeded;
use crate::simulator::vendor::{Reading, Standing};

const GOOGLE: &str = "google-oauth2";

fn is_social(user: Seeded) -> bool {
    user.number("password") % 2 == 1
}

pub(super) fn id(user: Seeded) -> String {
    if is_social(user) {
        format!("{GOOGLE}|{}", user.account())
    } else {
        format!("auth0|{}", user.object_id())
    }
}

pub(super) fn user(seed: u64, wanted: &str) -> Option<Seeded> {
    let (provider, account) = wanted.split_once('|')?;
    let hidden = match (provider, account.len()) {
        (GOOGLE, 21) => account.get(6..)?.parse().ok()?,
        ("auth0", 24) => u64::from_str_radix(account.get(12..)?, 16).ok()?,
        _ => return None,
    };
    Some(Seeded::of_hidden_index(seed, hidden)).filter(|user| id(*user) == wanted)
}

/// A seeded user's profile, put together by hand: see Stack Auth's.
pub(super) fn text(user: Seeded) -> String {
    let (first, last) = user.name();
    let name = name(user);
    let at = iso::text(user.created_at());
    let identity = if is_social(user) {
        let account = user.account();
        format!(
            r#"{{"connection":"{GOOGLE}","user_id":"{account}","provider":"{GOOGLE}","isSocial":true,"access_token":"ya29.simulated-access-token-{account}","refresh_token":"1//simulated-refresh-token-{account}","expires_in":3599}}"#
        )
    } else {
        format!(
            r#"{{"connection":"{DATABASE}","user_id":"{}","provider":"auth0","isSocial":false}}"#,
            user.object_id()
        )
    };
    let names = if is_named(user) {
        format!(r#""given_name":"{first}","family_name":"{last}","#)
    } else {
        String::new()
    };
    format!(
        r#"{{"created_at":"{at}","email":"{email}","email_verified":true,{names}"identities":[{identity}],"last_ip":"203.0.113.7","last_login":"{at}","logins_count":{logins},"name":"{name}","nickname":"user{index}","picture":"https://images.example.com/{index}.png","updated_at":"{at}","user_id":"{id}","user_metadata":{{"theme":"dark"}},"app_metadata":{{"plan":"pro"}}}}"#,
        id = id(user),
        email = email(user),
        index = user.index,
        logins = 1 + user.number("logins") % 40,
    )
}

fn is_named(user: Seeded) -> bool {
    is_social(user) || !user.number("named").is_multiple_of(20)
}

fn email(user: Seeded) -> String {
    format!("user{}@example.com", user.index)
}

fn name(user: Seeded) -> String {
    let (first, last) = user.name();
    match is_named(user) {
        true => format!("{first} {last}"),
        false => email(user),
    }
}

/// A seeded user's reading.
pub(super) fn reading(user: Seeded) -> Reading {
    Reading {
        name: Some(name(user)),
        email: Some(email(user)),
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
