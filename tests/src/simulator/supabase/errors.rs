//! The gateway's errors, and the server's in their older form; [`dressed`] gives them the newer.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::simulator::vendor::Refused;

/// The version since which errors have another form.
pub(super) const VERSION: &str = "2024-01-01";

fn server(status: StatusCode, code: &str, message: &str) -> Refused {
    let body = json!({ "code": status.as_u16(), "error_code": code, "msg": message });
    Refused {
        status,
        headers: vec![
            ("content-type", "application/json".to_owned()),
            ("x-sb-error-code", code.to_owned()),
        ],
        body: body.to_string(),
    }
}

/// An error as the version of 2024-01-01 has it.
pub(super) fn dressed(body: &str) -> String {
    let Ok(error) = serde_json::from_str::<Value>(body) else {
        return body.to_owned();
    };
    match error.get("error_code") {
        Some(code) => json!({ "code": code, "message": error["msg"] }).to_string(),
        None => body.to_owned(),
    }
}

pub(super) fn no_such_user() -> Refused {
    server(StatusCode::NOT_FOUND, "user_not_found", "User not found")
}

pub(super) fn no_uuid() -> Refused {
    let message = "user_id must be an UUID";
    server(StatusCode::NOT_FOUND, "validation_failed", message)
}

pub(super) fn invalid(message: &str) -> Refused {
    server(StatusCode::BAD_REQUEST, "validation_failed", message)
}

pub(super) fn bad_json(message: &str) -> Refused {
    let message = format!("Could not parse request body as JSON: {message}");
    server(StatusCode::BAD_REQUEST, "bad_json", &message)
}

pub(super) fn email_exists() -> Refused {
    let message = "A user with this email address has already been registered";
    server(StatusCode::UNPROCESSABLE_ENTITY, "email_exists", message)
}

pub(super) fn no_authorization() -> Refused {
    let message = "This endpoint requires a valid Bearer token";
    server(StatusCode::UNAUTHORIZED, "no_authorization", message)
}

pub(super) fn bad_jwt() -> Refused {
    let message = "invalid JWT: unable to parse or verify signature";
    server(StatusCode::FORBIDDEN, "bad_jwt", message)
}

pub(super) fn not_admin() -> Refused {
    server(StatusCode::FORBIDDEN, "not_admin", "User not allowed")
}

pub(super) fn too_many_requests() -> Refused {
    let message = "Request rate limit reached";
    let status = StatusCode::TOO_MANY_REQUESTS;
    server(status, "over_request_rate_limit", message)
}

/// The gateway's word on a request without a key, or with one that nobody has.
pub(super) fn gateway(message: &str, hint: &str) -> Refused {
    Refused {
        status: StatusCode::UNAUTHORIZED,
        headers: vec![("content-type", "application/json".to_owned())],
        body: json!({ "message": message, "hint": hint }).to_string(),
    }
}

/// The gateway's word on an unknown path.
pub(super) fn nowhere() -> Refused {
    Refused {
        status: StatusCode::NOT_FOUND,
        headers: vec![("content-type", "application/json".to_owned())],
        body: json!({ "message": "no Route matched with those values" }).to_string(),
    }
}
