//! A Lambda Function URL: HTTP requests become events of payload format 2.0, answers become HTTP.
//!
//! Source: AWS's "Invoking Lambda function URLs".

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::runtime_api::{Answer, RuntimeApi};

/// Lambda's limit for an event and for an answer: 6 MiB.
const PAYLOAD_LIMIT: usize = 6 * 1024 * 1024;

/// Serves a Function URL and returns it, without a slash at its end.
pub async fn serve(api: RuntimeApi, limit: Duration) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .context("bind the Function URL")?;
    let url = format!("http://{}", listener.local_addr()?);
    let app = Router::new().fallback(deliver).with_state((api, limit));
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}

async fn deliver(State((api, limit)): State<(RuntimeApi, Duration)>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, PAYLOAD_LIMIT).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let event = Bytes::from(event(&parts, &body).to_string());
    if event.len() > PAYLOAD_LIMIT {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    }
    response(api.invoke(event, limit).await)
}

/// The event that a request becomes.
pub fn event(parts: &Parts, body: &[u8]) -> Value {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let headers = headers(&parts.headers);
    let (body, encoded) = match std::str::from_utf8(body) {
        _ if body.is_empty() => (None, false),
        // Bytes that are no text pass unharmed, whatever their content type says.
        Ok(text) if is_text(&parts.headers) => (Some(text.to_owned()), false),
        _ => (Some(STANDARD.encode(body)), true),
    };
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": parts.uri.path(),
        "rawQueryString": parts.uri.query().unwrap_or_default(),
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "test",
            "domainName": "test.lambda-url.us-east-1.on.aws",
            "domainPrefix": "test",
            "http": {
                "method": parts.method.as_str(),
                "path": parts.uri.path(),
                "protocol": format!("{:?}", parts.version),
                "sourceIp": "127.0.0.1",
                "userAgent": headers.get("user-agent").cloned().unwrap_or_default(),
            },
            "requestId": Uuid::new_v4().to_string(),
            "routeKey": "$default",
            "stage": "$default",
            "timeEpoch": u64::try_from(now.as_millis()).unwrap_or_default(),
        },
        "headers": headers,
        "isBase64Encoded": encoded,
    });
    if let Some(body) = body {
        event["body"] = body.into();
    }
    let cookies = parts.headers.get_all(header::COOKIE);
    let cookies = cookies
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    let cookies: Vec<_> = cookies
        .map(|cookie| String::from_utf8_lossy(cookie.trim_ascii()))
        .collect();
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    event
}

/// Names in lower case; values of one name joined by commas; cookies have a place of their own.
fn headers(headers: &HeaderMap) -> Map<String, Value> {
    let mut map = Map::new();
    for name in headers.keys().filter(|name| **name != header::COOKIE) {
        let values: Vec<_> = headers
            .get_all(name)
            .iter()
            .map(|value| value.as_bytes())
            .collect();
        let joined = String::from_utf8_lossy(&values.join(&b","[..])).into_owned();
        map.insert(name.as_str().to_owned(), joined.into());
    }
    map
}

/// Which content types Lambda passes as text is not documented. Measured by others against AWS
/// (ministackorg/ministack, pull request 766): these, and nothing without a content type.
fn is_text(headers: &HeaderMap) -> bool {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let kind = value
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    let kind = kind.to_ascii_lowercase();
    let texts = [
        "application/json",
        "application/xml",
        "application/javascript",
    ];
    kind.starts_with("text/") || texts.contains(&kind.as_str())
}

fn response(answer: Answer) -> Response {
    let body = match answer {
        Ok(body) => body,
        Err(error) if error.error_type == "Sandbox.Timedout" => {
            return StatusCode::GATEWAY_TIMEOUT.into_response();
        }
        Err(_) => return (StatusCode::BAD_GATEWAY, "Internal Server Error").into_response(),
    };
    let Ok(answer) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    if answer.get("statusCode").is_none() {
        // Lambda takes an answer of another form for the body itself.
        return ([(header::CONTENT_TYPE, "application/json")], body).into_response();
    }
    read_response(&answer).unwrap_or_else(|| StatusCode::BAD_GATEWAY.into_response())
}

fn read_response(answer: &Value) -> Option<Response> {
    let status = u16::try_from(answer["statusCode"].as_u64()?).ok()?;
    let mut response = Response::builder().status(status);
    for (name, value) in answer["headers"].as_object().into_iter().flatten() {
        response = response.header(name, value.as_str()?);
    }
    for cookie in answer["cookies"].as_array().into_iter().flatten() {
        response = response.header(header::SET_COOKIE, cookie.as_str()?);
    }
    let body = answer["body"].as_str().unwrap_or_default();
    let body = match answer["isBase64Encoded"].as_bool() {
        Some(true) => STANDARD.decode(body).ok()?,
        _ => body.as_bytes().to_vec(),
    };
    response.body(Body::from(body)).ok()
}
