//! The Management API's errors.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::simulator::vendor::Refused;

const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");

fn refused(status: StatusCode, body: &Value) -> Refused {
    Refused {
        status,
        headers: vec![(JSON.0, JSON.1.to_owned())],
        body: body.to_string(),
    }
}

fn coded(status: StatusCode, message: &str, code: &str) -> Refused {
    let body = json!({
        "statusCode": status.as_u16(),
        "error": status.canonical_reason(),
        "message": message,
        "errorCode": code,
    });
    refused(status, &body)
}

pub(super) fn no_such_user() -> Refused {
    let message = "The user does not exist.";
    coded(StatusCode::NOT_FOUND, message, "inexistent_user")
}

pub(super) fn beyond_1000() -> Refused {
    let message = "You can only page through the first 1000 records. See \
                   https://auth0.com/docs/users/search/v3/view-search-results-by-page#limitation";
    coded(StatusCode::BAD_REQUEST, message, "invalid_paging")
}

/// The application was not granted what this takes.
pub(super) fn insufficient_scope(scope: &str) -> Refused {
    let message = format!("Insufficient scope, expected any of: {scope}");
    coded(StatusCode::FORBIDDEN, &message, "insufficient_scope")
}

/// A parameter of the query is not what it should be.
pub(super) fn query(message: &str) -> Refused {
    let message = format!("Query validation error: '{message}'");
    coded(StatusCode::BAD_REQUEST, &message, "invalid_query_string")
}

/// The search is not one.
pub(super) fn search(what: &str) -> Refused {
    let message = format!("Failed to parse query [{what}]");
    coded(StatusCode::BAD_REQUEST, &message, "invalid_query_string")
}

pub(super) fn user_id(id: &str) -> Refused {
    let message = format!("Object didn't pass validation for format user-id: {id}");
    coded(StatusCode::BAD_REQUEST, &message, "invalid_uri")
}

pub(super) fn body(message: &str) -> Refused {
    let message = format!("Payload validation error: '{message}'");
    coded(StatusCode::BAD_REQUEST, &message, "invalid_body")
}

pub(super) fn no_such_stream() -> Refused {
    let message = "The event stream does not exist.";
    coded(StatusCode::NOT_FOUND, message, "inexistent_event_stream")
}

pub(super) fn user_exists() -> Refused {
    let message = "The user already exists.";
    coded(StatusCode::CONFLICT, message, "auth0_idp_error")
}

pub(super) fn no_connection() -> Refused {
    let message = "The connection does not exist.";
    coded(StatusCode::BAD_REQUEST, message, "inexistent_connection")
}

pub(super) fn too_many_requests() -> Refused {
    let message = "Global limit has been reached";
    coded(StatusCode::TOO_MANY_REQUESTS, message, "too_many_requests")
}

/// A search took too long.
pub(super) fn cut() -> Refused {
    let message = "The query exceeded the timeout. Please try refining your search criteria.";
    coded(StatusCode::SERVICE_UNAVAILABLE, message, "query_timeout")
}

pub(super) fn nowhere() -> Refused {
    let status = StatusCode::NOT_FOUND;
    refused(
        status,
        &json!({ "statusCode": 404, "error": "Not Found", "message": "Not Found" }),
    )
}

/// No token, or one that is not good.
pub(super) fn unauthorized(message: &str) -> Refused {
    let body = json!({
        "statusCode": 401,
        "error": "Unauthorized",
        "message": message,
        "attributes": { "error": message },
    });
    refused(StatusCode::UNAUTHORIZED, &body)
}

/// The token endpoint speaks OAuth.
pub(super) fn oauth(status: StatusCode, error: &str, description: &str) -> Refused {
    let body = json!({ "error": error, "error_description": description });
    refused(status, &body)
}
