//! Stack Auth. Source: <https://docs.stack-auth.com/rest-api/server/users>.

use http::Method;
use serde_json::json;

use super::{Known, Newcomer, Ways};
use crate::exchange::Request;
use crate::profile::UserId;
use crate::provider::{Api, encoded};

pub(super) const WAYS: Ways = Ways {
    name: "stack",
    create,
    rename,
    change_email,
    delete,
    id_field: "id",
    code: None,
    advice: |status, code| match (status, code) {
        (
            _,
            "USER_EMAIL_ALREADY_EXISTS" | "CONTACT_CHANNEL_ALREADY_USED_FOR_AUTH_BY_SOMEONE_ELSE",
        ) => Some("another user signs in with this email: choose another one"),
        (400, "SCHEMA_ERROR") => {
            Some("the server does not accept the name or the email: check what was typed")
        }
        _ => None,
    },
};

fn path(id: &UserId) -> String {
    format!("/users/{}", encoded(id.as_str()))
}

/// The user signs in with the email, but has yet to prove that it is theirs.
fn create(api: &Api, newcomer: Newcomer<'_>) -> Request {
    let body = json!({
        "display_name": newcomer.name,
        "primary_email": newcomer.email,
        "primary_email_auth_enabled": true,
    });
    api.send(Method::POST, "/users", &body)
}

fn rename(api: &Api, user: Known<'_>, name: &str) -> Request {
    api.send(
        Method::PATCH,
        &path(user.id),
        &json!({ "display_name": name }),
    )
}

fn change_email(api: &Api, user: Known<'_>, email: &str) -> Request {
    let body = json!({ "primary_email": email, "primary_email_verified": false });
    api.send(Method::PATCH, &path(user.id), &body)
}

/// Without a content type: with one, the server wants a body.
fn delete(api: &Api, id: &UserId) -> Request {
    api.order(Method::DELETE, &path(id))
}
