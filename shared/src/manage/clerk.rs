//! Clerk. A user has several emails, each with an id, and one of them is the
//! primary one. Source: <https://clerk.com/docs/reference/backend-api>.

use http::Method;
use serde_json::json;

use super::{Known, Newcomer, Ways, two_names};
use crate::exchange::Request;
use crate::json::Fields;
use crate::profile::UserId;
use crate::provider::{Api, encoded};

pub(super) const WAYS: Ways = Ways {
    name: "clerk",
    create,
    rename,
    change_email,
    delete,
    id_field: "id",
    code: None,
    advice: |status, code| match (status, code) {
        (_, "form_identifier_exists") => Some("another user has this email: choose another one"),
        (_, "form_data_missing") => Some(
            "the instance wants more of a user than a name and an email (a telephone number, say): \
             create the user in Clerk's dashboard",
        ),
        (_, "form_param_format_invalid" | "form_param_value_invalid") => {
            Some("Clerk does not accept the name or the email: check what was typed")
        }
        (_, "form_param_unknown") => Some(
            "the instance has names or emails switched off: change that on the page \"User & \
             authentication\" of Clerk's dashboard",
        ),
        _ => None,
    },
};

fn path(id: &UserId) -> String {
    format!("/users/{}", encoded(id.as_str()))
}

/// Clerk takes the email for verified.
fn create(api: &Api, newcomer: Newcomer<'_>) -> Request {
    let mut body = json!({
        "email_address": [newcomer.email],
        "skip_password_requirement": true,
    });
    if let Some(name) = newcomer.name {
        let (given, family) = two_names(name);
        body["first_name"] = given.into();
        body["last_name"] = family.into();
    }
    api.send(Method::POST, "/users", &body)
}

fn rename(api: &Api, user: Known<'_>, name: &str) -> Request {
    let (given, family) = two_names(name);
    let body = json!({ "first_name": given, "last_name": family });
    api.send(Method::PATCH, &path(user.id), &body)
}

/// Adds the email as the primary one, or, if the user has it already, makes it
/// that. The one before stays one of the user's.
fn change_email(api: &Api, user: Known<'_>, email: &str) -> Request {
    if let Some(id) = id_of_email(user.raw_json, email) {
        let path = format!("/email_addresses/{}", encoded(&id));
        let body = json!({ "primary": true, "verified": true });
        return api.send(Method::PATCH, &path, &body);
    }
    let body = json!({
        "user_id": user.id.as_str(),
        "email_address": email,
        "primary": true,
        "verified": true,
    });
    api.send(Method::POST, "/email_addresses", &body)
}

/// The id of this email, if it is one of the user's.
fn id_of_email(raw_json: &str, email: &str) -> Option<String> {
    let emails = Fields::of(raw_json).ok()?.array("email_addresses")?;
    emails.into_iter().find_map(|known| {
        let known = Fields::of(known).ok()?;
        let same = known.string("email_address")?.eq_ignore_ascii_case(email);
        same.then(|| known.string("id"))?
    })
}

fn delete(api: &Api, id: &UserId) -> Request {
    api.order(Method::DELETE, &path(id))
}
