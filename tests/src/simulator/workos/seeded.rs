//! Users that nobody made one by one: one in twenty has no name, and half lack the fields that
//! came with a later version of the API.

use crate::simulator::iso;
use crate::simulator::people::Seeded;
use crate::simulator::vendor::{Reading, Standing};

pub(super) fn id(user: Seeded) -> String {
    format!("user_{}", user.ulid())
}

pub(super) fn user(seed: u64, id: &str) -> Option<Seeded> {
    Seeded::of_ulid(seed, id.strip_prefix("user_")?)
}

/// A seeded user's profile, put together by hand: see Stack Auth's.
pub(super) fn text(user: Seeded) -> String {
    let (first, last) = user.name();
    let (first, last) = match is_named(user) {
        true => (format!(r#""{first}""#), format!(r#""{last}""#)),
        false => ("null".to_owned(), "null".to_owned()),
    };
    let at = iso::text(user.created_at());
    let later_fields = match user.number("version") % 2 {
        0 => String::new(),
        _ => format!(
            r#""name":{},"external_id":"{}","metadata":{{"theme":"dark"}},"last_sign_in_at":"{at}","locale":"en-US","#,
            name(user).map_or_else(|| "null".to_owned(), |name| format!(r#""{name}""#)),
            user.index
        ),
    };
    format!(
        r#"{{"object":"user","id":"{id}","first_name":{first},"last_name":{last},"profile_picture_url":null,"email":"{email}","email_verified":true,{later_fields}"created_at":"{at}","updated_at":"{at}"}}"#,
        id = id(user),
        email = email(user),
    )
}

fn is_named(user: Seeded) -> bool {
    !user.number("named").is_multiple_of(20)
}

fn name(user: Seeded) -> Option<String> {
    let (first, last) = user.name();
    is_named(user).then(|| format!("{first} {last}"))
}

fn email(user: Seeded) -> String {
    format!("user{}@example.com", user.index)
}

/// A seeded user's reading.
pub(super) fn reading(user: Seeded) -> Reading {
    let at = Some(user.created_at());
    Reading {
        name: name(user),
        email: Some(email(user)),
        created_at: at,
        updated_at: at,
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
