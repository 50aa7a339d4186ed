//! Users managed at the provider: made, renamed, given another email, deleted.
//! The table isn't written here: it follows, as it follows every other change.
//!
//! Invariant: like an adapter, this sends nothing. It builds a request and reads
//! the answer, and only `console` calls it.

mod auth0;
mod clerk;
mod stack;
mod supabase;
mod workos;

use http::StatusCode;

use crate::exchange::{Answer, AnswerError, Request};
use crate::json::Fields;
use crate::profile::UserId;
use crate::provider::{Api, Provider, Words};

/// A change to a user at the provider.
#[derive(Clone, Copy)]
pub enum Change<'a> {
    /// Somebody is made a user.
    Create(Newcomer<'a>),
    /// A user gets this name.
    Rename(Known<'a>, &'a str),
    /// A user gets this email as the primary one.
    ChangeEmail(Known<'a>, &'a str),
    /// A user is deleted.
    Delete(&'a UserId),
}

/// A user to be.
#[derive(Clone, Copy)]
pub struct Newcomer<'a> {
    /// The display name, if there is one.
    pub name: Option<&'a str>,
    /// The primary email.
    pub email: &'a str,
    /// A password that nobody knows, for a provider that makes no user without
    /// one; the user then sets one of their own by email.
    pub password: &'a str,
}

/// A user who is there.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// The user's id.
    pub id: &'a UserId,
    /// The profile, as the provider sent it last.
    pub raw_json: &'a str,
}

/// The outcome.
#[derive(Debug, PartialEq, Eq)]
pub enum Done {
    /// The user with this id was made.
    Created(UserId),
    /// The user was changed, or deleted.
    Changed,
    /// The provider has no such user (any more).
    NoSuchUser,
}

/// How one provider does it.
struct Ways {
    /// As [`crate::provider::Facts::name`].
    name: &'static str,
    create: fn(&Api, Newcomer<'_>) -> Request,
    rename: fn(&Api, Known<'_>, &str) -> Request,
    change_email: fn(&Api, Known<'_>, &str) -> Request,
    delete: fn(&Api, &UserId) -> Request,
    /// The field of a user that holds the id.
    id_field: &'static str,
    /// The code in an answer, if it tells more than the adapter's.
    code: Option<fn(&Answer) -> Option<String>>,
    /// The advice for a status and a code of a refused change.
    advice: fn(u16, &str) -> Option<&'static str>,
}

const WAYS: &[&Ways] = &[
    &stack::WAYS,
    &clerk::WAYS,
    &workos::WAYS,
    &auth0::WAYS,
    &supabase::WAYS,
];

/// Builds the requests and reads the answers of one provider.
#[derive(Clone, Copy)]
pub struct Management<'a> {
    provider: &'a dyn Provider,
    ways: &'static Ways,
}

impl<'a> Management<'a> {
    /// The way to change users at this provider; `None` if none is known.
    pub fn of(provider: &'a dyn Provider) -> Option<Self> {
        let name = provider.facts().name;
        let ways = WAYS.iter().find(|ways| ways.name == name)?;
        Some(Self { provider, ways })
    }

    /// The request that makes the change. It must not be sent twice: the second
    /// one may be refused because the first one was not.
    pub fn request(&self, change: Change<'_>) -> Request {
        let api = self.provider.api();
        match change {
            Change::Create(newcomer) => (self.ways.create)(api, newcomer),
            Change::Rename(user, name) => (self.ways.rename)(api, user, name),
            Change::ChangeEmail(user, email) => (self.ways.change_email)(api, user, email),
            Change::Delete(id) => (self.ways.delete)(api, id),
        }
    }

    /// Reads the answer.
    pub fn read(&self, change: Change<'_>, answer: &Answer) -> Result<Done, AnswerError> {
        if !answer.status.is_success() {
            let id = match change {
                Change::Create(_) => None,
                Change::Rename(user, _) | Change::ChangeEmail(user, _) => Some(user.id),
                Change::Delete(id) => Some(id),
            };
            let gone = |id| matches!(self.provider.user(id, answer), Ok(None));
            return match id {
                Some(id) if answer.status == StatusCode::NOT_FOUND && gone(id) => {
                    Ok(Done::NoSuchUser)
                }
                _ => Err(self.refused(answer)),
            };
        }
        match change {
            Change::Create(_) => {
                let user = Fields::of_bytes(&answer.body).map_err(AnswerError::Unreadable)?;
                let id = user
                    .string(self.ways.id_field)
                    .and_then(|id| UserId::new(id).ok());
                id.map(Done::Created)
                    .ok_or(AnswerError::Garbled("the answer is not the new user"))
            }
            _ => Ok(Done::Changed),
        }
    }

    /// The meaning of a refusal: first for a change, then for any request.
    fn refused(&self, answer: &Answer) -> AnswerError {
        let words = self.provider.words();
        let code = self.ways.code.unwrap_or(words.code);
        let found = code(answer).unwrap_or_default();
        let known = (self.ways.advice)(answer.status.as_u16(), &found).is_some();
        let advice = if known {
            self.ways.advice
        } else {
            words.advice
        };
        let words = Words {
            code,
            advice,
            ..*words
        };
        words.refused(answer)
    }
}

/// A name as two: the given name is the first word, and the family name the rest.
/// Both together are the name again.
fn two_names(name: &str) -> (&str, &str) {
    let name = name.trim();
    name.split_once(char::is_whitespace)
        .map_or((name, ""), |(given, family)| (given, family.trim_start()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::provider::tests::{answer, connected};

    const SVIX: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    const TOKEN: &str = "a_webhook_token_0123456789";
    const ID: &str = "3241a285-8329-4d69-8f3d-316e08cf140c";

    fn provider(name: &str) -> Arc<dyn Provider> {
        let (settings, signed) = match name {
            "stack" => (json!({"project_id": "p", "secret_server_key": "k"}), true),
            "clerk" => (json!({"secret_key": "k"}), true),
            "workos" => (json!({"api_key": "k"}), true),
            "auth0" => (
                json!({"domain": "t.eu.auth0.com", "client_id": "i", "client_secret": "s",
                    "webhook_token": TOKEN}),
                false,
            ),
            _ => (
                json!({"project_url": "https://ref.supabase.co", "service_role_key": "k",
                    "webhook_token": TOKEN}),
                false,
            ),
        };
        let mut settings = settings;
        settings["name"] = name.into();
        connected(settings, signed.then_some(SVIX)).unwrap()
    }

    const NAMES: [&str; 5] = ["stack", "clerk", "workos", "auth0", "supabase"];

    fn newcomer() -> Newcomer<'static> {
        Newcomer {
            name: Some("Ada  King Lovelace"),
            email: "ada@example.com",
            password: "a password",
        }
    }

    /// Builds the request, and compares all of it but the key.
    fn check(name: &str, change: Change<'_>, expected: (&str, &str, Value)) {
        let provider = provider(name);
        let management = Management::of(&*provider).unwrap();
        let request = management.request(change);
        let (method, path, body) = expected;
        assert_eq!(request.method(), method, "{name}");
        assert_eq!(request.uri().path_and_query().unwrap(), path, "{name}");
        let kind = request.headers().get("content-type");
        if body.is_null() {
            assert_eq!(kind, None, "{name}: a body is announced");
            assert!(request.body().is_empty());
        } else {
            assert_eq!(kind.unwrap(), "application/json");
            let sent: Value = serde_json::from_slice(request.body()).unwrap();
            assert_eq!(sent, body, "{name}");
        }
        // What every request to the provider carries, this one carries, too.
        let id = UserId::new(ID).unwrap();
        for (key, value) in provider.user_request(&id).headers() {
            assert_eq!(request.headers().get(key), Some(value), "{name}: {key}");
        }
    }

    #[test]
    fn every_provider_makes_users() {
        let create = Change::Create(newcomer());
        check(
            "stack",
            create,
            (
                "POST",
                "/api/v1/users",
                json!({"display_name": "Ada  King Lovelace", "primary_email": "ada@example.com",
                    "primary_email_auth_enabled": true}),
            ),
        );
        check(
            "clerk",
            create,
            (
                "POST",
                "/v1/users",
                json!({"email_address": ["ada@example.com"], "skip_password_requirement": true,
                    "first_name": "Ada", "last_name": "King Lovelace"}),
            ),
        );
        check(
            "workos",
            create,
            (
                "POST",
                "/user_management/users",
                json!({"email": "ada@example.com", "first_name": "Ada",
                    "last_name": "King Lovelace"}),
            ),
        );
        check(
            "auth0",
            create,
            (
                "POST",
                "/api/v2/users",
                json!({"connection": "Username-Password-Authentication",
                    "email": "ada@example.com", "password": "a password",
                    "name": "Ada  King Lovelace"}),
            ),
        );
        check(
            "supabase",
            create,
            (
                "POST",
                "/auth/v1/admin/users",
                json!({"email": "ada@example.com", "email_confirm": true,
                    "user_metadata": {"full_name": "Ada  King Lovelace"}}),
            ),
        );
    }

    #[test]
    fn a_user_without_a_name_is_made_without_one() {
        let create = Change::Create(Newcomer {
            name: None,
            ..newcomer()
        });
        for name in NAMES {
            let provider = provider(name);
            let request = Management::of(&*provider).unwrap().request(create);
            let sent: Value = serde_json::from_slice(request.body()).unwrap();
            for field in ["name", "first_name", "last_name", "user_metadata"] {
                assert_eq!(sent.get(field), None, "{name}: {field}");
            }
            assert!(sent["display_name"].is_null(), "{name}");
        }
    }

    #[test]
    fn every_provider_renames_users() {
        let id = UserId::new(ID).unwrap();
        let check = |name: &str, raw_json: &str, expected: (&str, &str, Value)| {
            let user = Known { id: &id, raw_json };
            check(name, Change::Rename(user, "Ada King"), expected);
        };
        let path = |before: &str| format!("{before}/{ID}");
        check(
            "stack",
            "{}",
            (
                "PATCH",
                &path("/api/v1/users"),
                json!({"display_name": "Ada King"}),
            ),
        );
        let two = json!({"first_name": "Ada", "last_name": "King"});
        check("clerk", "{}", ("PATCH", &path("/v1/users"), two.clone()));
        check(
            "workos",
            "{}",
            ("PUT", &path("/user_management/users"), two),
        );
        check(
            "auth0",
            "{}",
            ("PATCH", &path("/api/v2/users"), json!({"name": "Ada King"})),
        );
        let users = path("/auth/v1/admin/users");
        let metadata = json!({"user_metadata": {"full_name": "Ada King"}});
        for profile in ["{}", "no JSON", r#"{"user_metadata":{"full_name":"A"}}"#] {
            check("supabase", profile, ("PUT", &users, metadata.clone()));
        }
        // A social provider's two fields stay one name.
        check(
            "supabase",
            r#"{"user_metadata":{"full_name":"A","name":"A"}}"#,
            (
                "PUT",
                &users,
                json!({"user_metadata": {"full_name": "Ada King", "name": "Ada King"}}),
            ),
        );
    }

    #[test]
    fn every_provider_changes_emails() {
        let id = UserId::new(ID).unwrap();
        let check = |name: &str, raw_json: &str, expected: (&str, &str, Value)| {
            let user = Known { id: &id, raw_json };
            check(name, Change::ChangeEmail(user, "ada@example.org"), expected);
        };
        let path = |before: &str| format!("{before}/{ID}");
        check(
            "stack",
            "{}",
            (
                "PATCH",
                &path("/api/v1/users"),
                json!({"primary_email": "ada@example.org", "primary_email_verified": false}),
            ),
        );
        check(
            "workos",
            "{}",
            (
                "PUT",
                &path("/user_management/users"),
                json!({"email": "ada@example.org", "email_verified": false}),
            ),
        );
        check(
            "auth0",
            "{}",
            (
                "PATCH",
                &path("/api/v2/users"),
                json!({"email": "ada@example.org", "email_verified": false}),
            ),
        );
        check(
            "supabase",
            "{}",
            (
                "PUT",
                &path("/auth/v1/admin/users"),
                json!({"email": "ada@example.org"}),
            ),
        );
        let new = json!({"user_id": ID, "email_address": "ada@example.org",
            "primary": true, "verified": true});
        for profile in [
            "{}",
            r#"{"email_addresses":[{"id":"idn_1","email_address":"ada@example.com"}]}"#,
            r#"{"email_addresses":[{"email_address":"ada@example.org"}]}"#,
        ] {
            check(
                "clerk",
                profile,
                ("POST", "/v1/email_addresses", new.clone()),
            );
        }
        // One that the user has already can't be added again.
        check(
            "clerk",
            r#"{"email_addresses":[{"id":"idn_1","email_address":"ada@example.com"},
                {"id":"idn/2","email_address":"Ada@Example.org"}]}"#,
            (
                "PATCH",
                "/v1/email_addresses/idn%2F2",
                json!({"primary": true, "verified": true}),
            ),
        );
    }

    #[test]
    fn every_provider_deletes_users() {
        let id = UserId::new("auth0|507f1f77").unwrap();
        for (name, users) in [
            ("stack", "/api/v1/users"),
            ("clerk", "/v1/users"),
            ("workos", "/user_management/users"),
            ("auth0", "/api/v2/users"),
            ("supabase", "/auth/v1/admin/users"),
        ] {
            let path = format!("{users}/auth0%7C507f1f77");
            check(name, Change::Delete(&id), ("DELETE", &path, Value::Null));
        }
    }

    /// Reads an answer to each kind of change of a user who is there.
    fn read_each(name: &str, answer: &Answer) -> Vec<Result<Done, AnswerError>> {
        let provider = provider(name);
        let management = Management::of(&*provider).unwrap();
        let id = UserId::new(ID).unwrap();
        let user = Known {
            id: &id,
            raw_json: "{}",
        };
        [
            Change::Rename(user, "Ada"),
            Change::ChangeEmail(user, "ada@example.org"),
            Change::Delete(&id),
        ]
        .into_iter()
        .map(|change| management.read(change, answer))
        .collect()
    }

    fn read_created(name: &str, answer: &Answer) -> Result<Done, AnswerError> {
        let provider = provider(name);
        let management = Management::of(&*provider).unwrap();
        management.read(Change::Create(newcomer()), answer)
    }

    #[test]
    fn the_answer_names_the_new_user() {
        let user = |field: &str, id: &str| json!({field: id, "name": "Ada"});
        for (name, status, body, id) in [
            (
                "stack",
                201,
                include_str!("../../events/stack/user_full_2026_04.json").to_owned(),
                ID,
            ),
            ("clerk", 200, user("id", "user_1").to_string(), "user_1"),
            ("workos", 201, user("id", "user_1").to_string(), "user_1"),
            (
                "auth0",
                201,
                user("user_id", "auth0|1").to_string(),
                "auth0|1",
            ),
            ("supabase", 200, user("id", ID).to_string(), ID),
        ] {
            let created = read_created(name, &answer(status, body)).unwrap();
            assert_eq!(created, Done::Created(UserId::new(id).unwrap()), "{name}");
            for body in ["", "{}", "[]", r#"{"id":7}"#, r#"{"id":""}"#] {
                assert!(read_created(name, &answer(status, body)).is_err(), "{body}");
            }
        }
    }

    #[test]
    fn any_success_is_one() {
        for (name, answers) in [
            ("stack", [(200, r#"{"success":true}"#), (200, "{}")]),
            (
                "clerk",
                [(200, r#"{"deleted":true,"id":"user_1"}"#), (200, "{}")],
            ),
            ("workos", [(200, ""), (204, "")]),
            ("auth0", [(204, ""), (200, "{}")]),
            ("supabase", [(200, "{}"), (200, "")]),
        ] {
            for (status, body) in answers {
                for read in read_each(name, &answer(status, body)) {
                    assert_eq!(read.unwrap(), Done::Changed, "{name}");
                }
            }
        }
    }

    #[test]
    fn a_user_who_is_gone_is_no_failure() {
        for (name, body) in [
            (
                "stack",
                r#"{"code":"USER_NOT_FOUND","error":"User not found."}"#,
            ),
            ("clerk", include_str!("../../events/clerk/get.404.json")),
            ("workos", include_str!("../../events/workos/get.404.json")),
            ("auth0", include_str!("../../events/auth0/get.404.json")),
            (
                "supabase",
                include_str!("../../events/supabase/get.404.legacy.json"),
            ),
        ] {
            for read in read_each(name, &answer(404, body)) {
                assert_eq!(read.unwrap(), Done::NoSuchUser, "{name}");
            }
            // To make a user nobody has to be there.
            assert!(read_created(name, &answer(404, body)).is_err(), "{name}");
            for read in read_each(name, &answer(404, "<html>not found</html>")) {
                assert!(matches!(read, Err(AnswerError::Garbled(_))), "{name}");
            }
        }
    }

    #[test]
    fn a_refusal_says_what_to_do_and_repeats_nothing_else() {
        for (name, status, body, words) in [
            (
                "stack",
                409,
                json!({"code": "USER_EMAIL_ALREADY_EXISTS", "error": "ada@example.com",
                    "details": {"email": "ada@example.com"}}),
                "another user signs in with this email",
            ),
            (
                "stack",
                400,
                json!({"code": "SCHEMA_ERROR", "error": "body.primary_email must be a valid email"}),
                "check what was typed",
            ),
            (
                "clerk",
                422,
                json!({"errors": [{"code": "form_identifier_exists", "message": "ada@example.com"}]}),
                "another user has this email",
            ),
            (
                "clerk",
                422,
                json!({"errors": [{"code": "form_data_missing", "message": "data"}]}),
                "create the user in Clerk's dashboard",
            ),
            (
                "workos",
                400,
                json!({"code": "user_creation_error", "message": "Could not create user.",
                    "errors": [{"code": "email_not_available", "message": "ada@example.com"}]}),
                "another user has this email",
            ),
            (
                "workos",
                403,
                json!({"code": "insufficient_permissions", "message": "no"}),
                "allow it to write users",
            ),
            (
                "auth0",
                409,
                json!({"statusCode": 409, "error": "Conflict", "errorCode": "auth0_idp_error",
                    "message": "The user already exists."}),
                "has this email",
            ),
            (
                "auth0",
                403,
                json!({"statusCode": 403, "error": "Forbidden", "errorCode": "insufficient_scope",
                    "message": "Insufficient scope, expected any of: create:users"}),
                "create:users, update:users and delete:users",
            ),
            (
                "supabase",
                422,
                json!({"code": 422, "error_code": "email_exists", "msg": "ada@example.com"}),
                "another user has this email",
            ),
            (
                "supabase",
                540,
                json!({"message": "project paused"}),
                "the project is paused",
            ),
        ] {
            let said = read_created(name, &answer(status, body)).unwrap_err();
            let AnswerError::Refused(said) = said else {
                panic!("{name}: {said:?}");
            };
            assert!(said.contains(words), "{said}");
            assert!(said.contains(&status.to_string()), "{said}");
            assert!(!said.contains("ada@"), "{said}");
        }
    }

    #[test]
    fn a_refused_key_is_the_keys_refusal() {
        for name in NAMES {
            for read in read_each(name, &answer(401, r#"{"message":"Unauthorized"}"#)) {
                let Err(AnswerError::Refused(said)) = read else {
                    panic!("{name}: {read:?}");
                };
                assert!(said.contains("provider."), "{said}");
            }
        }
    }

    #[test]
    fn a_name_is_its_first_word_and_the_rest() {
        for (name, given, family) in [
            ("Ada", "Ada", ""),
            (" Ada Lovelace ", "Ada", "Lovelace"),
            ("Ada  King\tLovelace", "Ada", "King\tLovelace"),
            ("", "", ""),
        ] {
            assert_eq!(two_names(name), (given, family), "{name:?}");
        }
    }
}
