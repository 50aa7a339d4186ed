//! Users that nobody made one by one: one in twenty has no name, one in fifty is anonymous.

use crate::simulator::iso;
use crate::simulator::people::Seeded;
use crate::simulator::vendor::{Reading, Standing};

/// A seeded user's profile, put together by hand: see Stack Auth's.
pub(super) fn text(user: Seeded) -> String {
    let Reading {
        name,
        email,
        standing,
        ..
    } = reading(user);
    let id = user.uuid();
    let at = iso::short(user.created_at());
    let metadata = match name {
        Some(name) => format!(r#"{{"full_name":"{name}","theme":"dark"}}"#),
        None => "{}".to_owned(),
    };
    let Some(email) = email else {
        return format!(
            r#"{{"id":"{id}","aud":"authenticated","role":"authenticated","email":"","phone":"","last_sign_in_at":"{at}","app_metadata":{{}},"user_metadata":{metadata},"identities":[],"created_at":"{at}","updated_at":"{at}","is_anonymous":{}}}"#,
            standing == Standing::Anonymous
        );
    };
    format!(
        r#"{{"id":"{id}","aud":"authenticated","role":"authenticated","email":"{email}","email_confirmed_at":"{at}","phone":"","confirmed_at":"{at}","last_sign_in_at":"{at}","app_metadata":{{"provider":"email","providers":["email"]}},"user_metadata":{metadata},"identities":[{{"identity_id":"{id}","id":"{id}","user_id":"{id}","identity_data":{{"email":"{email}","sub":"{id}"}},"provider":"email","last_sign_in_at":"{at}","created_at":"{at}","updated_at":"{at}","email":"{email}"}}],"created_at":"{at}","updated_at":"{at}","is_anonymous":false}}"#
    )
}

/// A seeded user's reading.
pub(super) fn reading(user: Seeded) -> Reading {
    let at = Some(user.created_at());
    if user.index % 50 == 49 {
        return Reading {
            created_at: at,
            updated_at: at,
            standing: Standing::Anonymous,
            ..Reading::default()
        };
    }
    let (first, last) = user.name();
    Reading {
        name: (!user.number("named").is_multiple_of(20)).then(|| format!("{first} {last}")),
        email: Some(format!("user{}@example.com", user.index)),
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
    fn a_seeded_profile_says_what_its_reading_says() {
        for index in 0..200 {
            let user = Seeded { seed: 3, index };
            assert_eq!(profile::reading(&text(user)), reading(user));
        }
    }
}
