//! WorkOS' errors: a message always, a code in most.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::simulator::vendor::Refused;

fn refused(status: StatusCode, body: &Value) -> Refused {
    Refused {
        status,
        headers: vec![("content-type", "application/json; charset=utf-8".to_owned())],
        body: body.to_string(),
    }
}

/// Something of this kind is not there; `what` as in `User`.
pub(super) fn not_found(what: &str, id: &str) -> Refused {
    let body = json!({
        "code": "entity_not_found",
        "message": format!("{what} not found: '{id}'."),
        "entity_id": id,
    });
    refused(StatusCode::NOT_FOUND, &body)
}

pub(super) fn nowhere() -> Refused {
    let body = json!({ "message": "Not Found", "error": "Not Found" });
    refused(StatusCode::NOT_FOUND, &body)
}

pub(super) fn unauthorized() -> Refused {
    refused(
        StatusCode::UNAUTHORIZED,
        &json!({ "message": "Unauthorized" }),
    )
}

/// A parameter of the query is not what it should be.
pub(super) fn parameter(field: &str, code: &str) -> Refused {
    let body = json!({
        "message": "Validation failed.",
        "errors": [{ "field": field, "code": code }],
    });
    refused(StatusCode::UNPROCESSABLE_ENTITY, &body)
}

/// The cursor names nothing that is there.
pub(super) fn cursor(id: &str) -> Refused {
    let body = json!({ "message": format!("Invalid cursor: '{id}'.") });
    refused(StatusCode::BAD_REQUEST, &body)
}

/// A field of the body is not what it should be.
pub(super) fn body(field: &str, code: &str) -> Refused {
    let body = json!({
        "code": "invalid_request_parameters",
        "message": "Validation failed.",
        "errors": [{ "field": field, "code": code }],
    });
    refused(StatusCode::UNPROCESSABLE_ENTITY, &body)
}

/// The request is one, but can't be done.
pub(super) fn impossible(code: &str) -> Refused {
    let body = json!({ "code": code, "message": "Request could not be processed." });
    refused(StatusCode::BAD_REQUEST, &body)
}

pub(super) fn email_taken() -> Refused {
    let body = json!({
        "code": "user_creation_error",
        "message": "Could not create user.",
        "errors": [{
            "code": "email_not_available",
            "message": "This email is not available.",
        }],
    });
    refused(StatusCode::BAD_REQUEST, &body)
}

pub(super) fn duplicate_endpoint() -> Refused {
    let body = json!({
        "code": "duplicate_endpoint",
        "message": "A Webhook Endpoint with the same endpoint URL already exists.",
    });
    refused(StatusCode::CONFLICT, &body)
}

pub(super) fn too_many_requests() -> Refused {
    let body = json!({ "message": "Too Many Requests" });
    refused(StatusCode::TOO_MANY_REQUESTS, &body)
}
