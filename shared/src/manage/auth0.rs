//! Auth0. Users are made in the database connection that every tenant begins
//! with. Source: <https://auth0.com/docs/api/management/v2/users>.

use http::Method;
use serde_json::json;

use super::{Known, Newcomer, Ways};
use crate::exchange::Request;
use crate::profile::UserId;
use crate::provider::{Api, encoded};

/// The database of users that a tenant is created with.
const DATABASE: &str = "Username-Password-Authentication";

pub(super) const WAYS: Ways = Ways {
    name: "auth0",
    create,
    rename,
    change_email,
    delete,
    id_field: "user_id",
    code: None,
    advice: |status, code| match (status, code) {
        (403, _) => Some(
            "grant the application (provider.client_id, provider.client_secret) create:users, \
             update:users and delete:users on the Auth0 Management API (Applications → APIs → \
             Auth0 Management API → Machine to Machine Applications)",
        ),
        (409, _) => Some("another user of the database has this email: choose another one"),
        (_, "inexistent_connection") => Some(
            "the tenant has no database connection Username-Password-Authentication: create the \
             user in Auth0's dashboard",
        ),
        (_, "operation_not_supported") => Some(
            "the user's own identity provider decides this: change it there, or in the \
             connection's settings let Auth0's profile differ from it",
        ),
        (400, _) => Some(
            "Auth0 does not accept the name or the email of such a user: check what was typed, \
             and whether the user comes from an identity provider that decides it",
        ),
        _ => None,
    },
};

fn path(id: &UserId) -> String {
    format!("/api/v2/users/{}", encoded(id.as_str()))
}

fn create(api: &Api, newcomer: Newcomer<'_>) -> Request {
    let mut body = json!({
        "connection": DATABASE,
        "email": newcomer.email,
        "password": newcomer.password,
    });
    if let Some(name) = newcomer.name {
        body["name"] = name.into();
    }
    api.send(Method::POST, "/api/v2/users", &body)
}

fn rename(api: &Api, user: Known<'_>, name: &str) -> Request {
    api.send(Method::PATCH, &path(user.id), &json!({ "name": name }))
}

fn change_email(api: &Api, user: Known<'_>, email: &str) -> Request {
    let body = json!({ "email": email, "email_verified": false });
    api.send(Method::PATCH, &path(user.id), &body)
}

/// Auth0 answers 204 whether or not there was such a user.
fn delete(api: &Api, id: &UserId) -> Request {
    api.order(Method::DELETE, &path(id))
}
