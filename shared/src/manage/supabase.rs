//! Supabase Auth. Source: <https://github.com/supabase/auth>
//! (`internal/api/admin.go`).

use http::Method;
use serde_json::json;

use super::{Known, Newcomer, Ways};
use crate::exchange::Request;
use crate::json::Fields;
use crate::profile::UserId;
use crate::provider::{Api, encoded};

pub(super) const WAYS: Ways = Ways {
    name: "supabase",
    create,
    rename,
    change_email,
    delete,
    id_field: "id",
    code: None,
    advice: |status, code| match (status, code) {
        (_, "email_exists") => Some("another user has this email: choose another one"),
        (400, "validation_failed") => {
            Some("Supabase does not accept the name or the email: check what was typed")
        }
        _ => None,
    },
};

const USERS: &str = "/admin/users";

fn path(id: &UserId) -> String {
    format!("{USERS}/{}", encoded(id.as_str()))
}

/// With the email confirmed, as users are that the dashboard makes: Auth sends
/// nobody a confirmation whom an administrator made.
fn create(api: &Api, newcomer: Newcomer<'_>) -> Request {
    let mut body = json!({ "email": newcomer.email, "email_confirm": true });
    if let Some(name) = newcomer.name {
        body["user_metadata"] = json!({ "full_name": name });
    }
    api.send(Method::POST, USERS, &body)
}

/// Metadata is merged. `name` stands beside `full_name` where a social provider
/// put it there, and is not to say something else.
fn rename(api: &Api, user: Known<'_>, name: &str) -> Request {
    let mut metadata = json!({ "full_name": name });
    let profile = Fields::of(user.raw_json).ok();
    let known = profile.and_then(|profile| profile.object("user_metadata"));
    if known.is_some_and(|known| known.get("name").is_some()) {
        metadata["name"] = name.into();
    }
    let body = json!({ "user_metadata": metadata });
    api.send(Method::PUT, &path(user.id), &body)
}

fn change_email(api: &Api, user: Known<'_>, email: &str) -> Request {
    api.send(Method::PUT, &path(user.id), &json!({ "email": email }))
}

fn delete(api: &Api, id: &UserId) -> Request {
    api.order(Method::DELETE, &path(id))
}
