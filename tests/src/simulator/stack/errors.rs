//! Stack Auth's errors, with the words of its `known-errors.tsx`.

use axum::http::{Method, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use crate::simulator::vendor::Refused;

/// An error that clients are meant to know: its code stands in the body and in a header.
fn known(status: StatusCode, code: &'static str, error: &str, details: Option<Value>) -> Refused {
    #[derive(Serialize)]
    struct Body<'a> {
        code: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        details: Option<Value>,
        error: &'a str,
    }
    let body = Body {
        code,
        details,
        error,
    };
    Refused {
        status,
        headers: vec![
            ("content-type", "application/json; charset=utf-8".to_owned()),
            ("x-stack-known-error", code.to_owned()),
        ],
        body: serde_json::to_string_pretty(&body).unwrap_or_default(),
    }
}

/// An error without a code: a status and a text.
pub(super) fn plain(status: StatusCode, text: &str) -> Refused {
    Refused {
        status,
        headers: vec![("content-type", "text/plain; charset=utf-8".to_owned())],
        body: text.to_owned(),
    }
}

/// The parameters, the path or the body are not what this endpoint takes.
pub(super) fn schema(method: &Method, path: &str, problems: &[String]) -> Refused {
    let mut message = format!("Request validation failed on {method} {path}:");
    for problem in problems {
        message.push_str("\n  - ");
        message.push_str(problem);
    }
    let details = json!({ "message": message });
    known(
        StatusCode::BAD_REQUEST,
        "SCHEMA_ERROR",
        &message,
        Some(details),
    )
}

/// More users a page than there may be.
pub(super) fn limit(path: &str) -> Refused {
    let problem = "query.limit must be less than or equal to 1000".to_owned();
    schema(&Method::GET, path, &[problem])
}

pub(super) fn body_parsing(message: &str) -> Refused {
    known(StatusCode::BAD_REQUEST, "BODY_PARSING_ERROR", message, None)
}

pub(super) fn user_not_found() -> Refused {
    known(
        StatusCode::NOT_FOUND,
        "USER_NOT_FOUND",
        "User not found.",
        None,
    )
}

/// Somebody else signs in with the email.
pub(super) fn email_taken(email: &str) -> Refused {
    known(
        StatusCode::CONFLICT,
        "USER_EMAIL_ALREADY_EXISTS",
        &format!("A user with email \"{email}\" already exists."),
        Some(json!({ "email": email, "would_work_if_email_was_verified": false })),
    )
}

pub(super) fn key_without_access_type() -> Refused {
    known(
        StatusCode::BAD_REQUEST,
        "PROJECT_KEY_WITHOUT_ACCESS_TYPE",
        "Either an API key or an admin access token was provided, but the x-stack-access-type \
         header is missing. Set it to 'client', 'server', or 'admin' as appropriate.",
        None,
    )
}

pub(super) fn access_type_required() -> Refused {
    known(
        StatusCode::BAD_REQUEST,
        "ACCESS_TYPE_REQUIRED",
        "You must specify an access level for this Stack project. Make sure project API keys are \
         provided (eg. x-stack-publishable-client-key) and you set the x-stack-access-type header \
         to 'client', 'server', or 'admin'.\n\nFor more information, see the docs on REST API \
         authentication: https://docs.stack-auth.com/rest-api/overview#authentication",
        None,
    )
}

pub(super) fn invalid_access_type(given: &str) -> Refused {
    known(
        StatusCode::BAD_REQUEST,
        "INVALID_ACCESS_TYPE",
        &format!(
            "The x-stack-access-type header must be 'client', 'server', or 'admin', but was \
             '{given}'."
        ),
        None,
    )
}

pub(super) fn access_type_without_project(access_type: &str) -> Refused {
    known(
        StatusCode::BAD_REQUEST,
        "ACCESS_TYPE_WITHOUT_PROJECT_ID",
        &format!(
            "The x-stack-access-type header was '{access_type}', but the x-stack-project-id \
             header was not provided.\n\nFor more information, see the docs on REST API \
             authentication: https://docs.stack-auth.com/rest-api/overview#authentication"
        ),
        Some(json!({ "request_type": access_type })),
    )
}

pub(super) fn insufficient_access_type(given: &str) -> Refused {
    known(
        StatusCode::UNAUTHORIZED,
        "INSUFFICIENT_ACCESS_TYPE",
        &format!("The x-stack-access-type header must be 'server' or 'admin', but was '{given}'."),
        Some(json!({
            "actual_access_type": given,
            "allowed_access_types": ["server", "admin"],
        })),
    )
}

pub(super) fn project_not_found(project: &str) -> Refused {
    known(
        StatusCode::BAD_REQUEST,
        "CURRENT_PROJECT_NOT_FOUND",
        &format!(
            "The current project with ID {project} was not found. Please check the value of the \
             x-stack-project-id header."
        ),
        Some(json!({ "project_id": project })),
    )
}

pub(super) fn server_authentication_required() -> Refused {
    known(
        StatusCode::UNAUTHORIZED,
        "SERVER_AUTHENTICATION_REQUIRED",
        "The secret server key must be provided.",
        None,
    )
}

pub(super) fn admin_authentication_required() -> Refused {
    known(
        StatusCode::UNAUTHORIZED,
        "ADMIN_AUTHENTICATION_REQUIRED",
        "The super secret admin key must be provided.",
        None,
    )
}

pub(super) fn invalid_secret_server_key(project: &str) -> Refused {
    known(
        StatusCode::UNAUTHORIZED,
        "INVALID_SECRET_SERVER_KEY",
        &format!(
            "The secret server key is not valid for the project \"{project}\". Does the project \
             and/or the key exist?"
        ),
        Some(json!({ "project_id": project })),
    )
}

/// The server's own limits are not published; neither is what it says when they are reached.
pub(super) fn too_many_requests() -> Refused {
    plain(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests")
}

pub(super) fn not_a_member(team: &str, user: &str) -> Refused {
    known(
        StatusCode::NOT_FOUND,
        "TEAM_MEMBERSHIP_NOT_FOUND",
        &format!("User {user} is not found in team {team}."),
        Some(json!({ "team_id": team, "user_id": user })),
    )
}
