//! WorkOS. Source: <https://workos.com/docs/reference/user-management/user>.

use http::Method;
use serde_json::json;

use super::{Known, Newcomer, Ways, two_names};
use crate::exchange::{Answer, Request};
use crate::json::Fields;
use crate::profile::UserId;
use crate::provider::{Api, encoded};

pub(super) const WAYS: Ways = Ways {
    name: "workos",
    create,
    rename,
    change_email,
    delete,
    id_field: "id",
    code: Some(code),
    advice: |status, code| match (status, code) {
        (_, "email_not_available") => Some("another user has this email: choose another one"),
        (403, code) if !code.is_empty() => Some(
            "the code says that the key in provider.api_key lacks a permission: allow it to write \
             users, or use another API key (sk_…) of the environment that is allowed to",
        ),
        (_, "email_required" | "invalid_email" | "invalid_type") => {
            Some("WorkOS does not accept the name or the email: check what was typed")
        }
        _ => None,
    },
};

/// The code of the first single error, which says what is wrong with the user,
/// or that of the whole.
fn code(answer: &Answer) -> Option<String> {
    let error = Fields::of_bytes(&answer.body).ok()?;
    let first = error.array("errors").unwrap_or_default();
    let first = first.first().and_then(|first| Fields::of(first).ok());
    first
        .and_then(|first| first.string("code"))
        .or_else(|| error.string("code"))
        .or_else(|| error.get("message").map(|_| String::new()))
}

const USERS: &str = "/user_management/users";

fn path(id: &UserId) -> String {
    format!("{USERS}/{}", encoded(id.as_str()))
}

fn create(api: &Api, newcomer: Newcomer<'_>) -> Request {
    let mut body = json!({ "email": newcomer.email });
    if let Some(name) = newcomer.name {
        let (given, family) = two_names(name);
        body["first_name"] = given.into();
        body["last_name"] = family.into();
    }
    api.send(Method::POST, USERS, &body)
}

/// In two names, which every version of the API takes.
fn rename(api: &Api, user: Known<'_>, name: &str) -> Request {
    let (given, family) = two_names(name);
    let body = json!({ "first_name": given, "last_name": family });
    api.send(Method::PUT, &path(user.id), &body)
}

fn change_email(api: &Api, user: Known<'_>, email: &str) -> Request {
    let body = json!({ "email": email, "email_verified": false });
    api.send(Method::PUT, &path(user.id), &body)
}

fn delete(api: &Api, id: &UserId) -> Request {
    api.order(Method::DELETE, &path(id))
}
