//! The Backend API's errors: a list of them, and an id to trace them by.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::simulator::vendor::Refused;

fn refused(status: StatusCode, error: &Value) -> Refused {
    Refused {
        status,
        headers: vec![("content-type", "application/json".to_owned())],
        body: json!({ "errors": [error], "clerk_trace_id": "0123456789abcdef0123456789abcdef" })
            .to_string(),
    }
}

fn coded(status: StatusCode, message: &str, long_message: &str, code: &str) -> Refused {
    refused(
        status,
        &json!({ "message": message, "long_message": long_message, "code": code }),
    )
}

/// About a parameter of the query or a field of the body.
fn of_parameter(name: &str, message: &str, code: &str) -> Refused {
    let error = json!({
        "message": message,
        "long_message": format!("{name} {message}"),
        "code": code,
        "meta": { "param_name": name },
    });
    refused(StatusCode::UNPROCESSABLE_ENTITY, &error)
}

pub(super) fn no_such_user(id: &str) -> Refused {
    let long_message = format!("No user was found with id {id}");
    coded(
        StatusCode::NOT_FOUND,
        "not found",
        &long_message,
        "resource_not_found",
    )
}

pub(super) fn no_such_email(id: &str) -> Refused {
    let long_message = format!("No email address was found with id {id}");
    coded(
        StatusCode::NOT_FOUND,
        "not found",
        &long_message,
        "resource_not_found",
    )
}

pub(super) fn unknown(name: &str) -> Refused {
    let message = "is not a valid parameter for this request.";
    of_parameter(name, message, "form_param_unknown")
}

pub(super) fn invalid(name: &str, message: &str) -> Refused {
    of_parameter(name, message, "form_param_value_invalid")
}

pub(super) fn missing(name: &str) -> Refused {
    of_parameter(name, "must be included.", "form_param_missing")
}

pub(super) fn no_email(name: &str) -> Refused {
    let message = "must be a valid email address.";
    of_parameter(name, message, "form_param_format_invalid")
}

pub(super) fn wrong_type(name: &str, kind: &str) -> Refused {
    let message = format!("must be {kind}.");
    of_parameter(name, &message, "form_param_type_invalid")
}

pub(super) fn not_json() -> Refused {
    let message = "Request body invalid";
    let long_message = "The request body is invalid. Please consult the API documentation for \
                        more information.";
    coded(
        StatusCode::BAD_REQUEST,
        message,
        long_message,
        "request_body_invalid",
    )
}

/// Nothing that the user could be told from others by.
pub(super) fn no_identifier() -> Refused {
    let message = "data doesn't match user requirements set for this instance";
    coded(
        StatusCode::UNPROCESSABLE_ENTITY,
        message,
        message,
        "form_data_missing",
    )
}

pub(super) fn taken(name: &str) -> Refused {
    let message = "That one is taken. Please try another.";
    of_parameter(name, message, "form_identifier_exists")
}

pub(super) fn no_key() -> Refused {
    let message = "Invalid Authorization header format";
    let long_message = "Invalid Authorization header format. Must be 'Bearer <YOUR_API_KEY>'";
    coded(
        StatusCode::UNAUTHORIZED,
        message,
        long_message,
        "authorization_header_format_invalid",
    )
}

pub(super) fn wrong_key() -> Refused {
    let message = "The provided Clerk Secret Key is invalid. Make sure that your Clerk Secret \
                   Key is correct.";
    coded(
        StatusCode::UNAUTHORIZED,
        message,
        message,
        "clerk_key_invalid",
    )
}

/// The Platform API's word on a token that nobody has.
pub(super) fn not_authenticated() -> Refused {
    let message = "Could not authenticate the request";
    let code = "could_not_authenticate_request";
    coded(StatusCode::UNAUTHORIZED, message, message, code)
}

/// A token that may not see secret keys.
pub(super) fn missing_scopes() -> Refused {
    let error = json!({
        "message": "Missing scopes",
        "long_message": "The access token is missing scopes that the request requires.",
        "code": "authorization_missing_scopes",
        "meta": { "scopes": ["application_secret_keys:read"] },
    });
    refused(StatusCode::FORBIDDEN, &error)
}

pub(super) fn no_such_application(id: &str) -> Refused {
    let long_message = format!("No application was found with id {id}");
    let code = "resource_not_found";
    coded(StatusCode::NOT_FOUND, "not found", &long_message, code)
}

pub(super) fn no_such_version() -> Refused {
    let message = "The API version is not one that is known.";
    coded(
        StatusCode::BAD_REQUEST,
        message,
        message,
        "api_version_invalid",
    )
}

pub(super) fn too_many_requests() -> Refused {
    let message = "Too many requests. Please try again in a bit.";
    coded(
        StatusCode::TOO_MANY_REQUESTS,
        message,
        message,
        "too_many_requests",
    )
}

/// An address that is not the API's is not answered in its words.
pub(super) fn nowhere() -> Refused {
    Refused {
        status: StatusCode::NOT_FOUND,
        headers: vec![("content-type", "text/plain; charset=utf-8".to_owned())],
        body: "404 page not found".to_owned(),
    }
}
