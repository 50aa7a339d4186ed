//! A whole event of Lambda's, of any front or of none: the first byte says whose delivery it may
//! be, the rest is the event. It is read up to where `webhook` would apply it.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::Value;
use shared::time::WallClock;
use webhook::{Body, HttpEvent};

use crate::deliveries;
use crate::providers::{provider, verified};
use crate::signatures::SIGNED;

pub(crate) fn run(bytes: &[u8]) {
    let Some((which, event)) = bytes.split_first() else {
        return;
    };
    let event = String::from_utf8_lossy(event);
    let request = HttpEvent::read(&event);
    let delivery = request.delivery();
    if let Ok(event) = serde_json::from_str(&event) {
        check_request(&event, delivery.method, delivery.body);
    }
    for status in [StatusCode::OK, StatusCode::METHOD_NOT_ALLOWED] {
        check_answer(&serde_json::to_value(request.answer(status)), status);
    }
    let Body::Sent(body) = delivery.body else {
        return;
    };
    let provider = provider(*which);
    let now = WallClock::from(UNIX_EPOCH + Duration::from_secs(SIGNED));
    if let Ok(signed) = provider.verify(delivery.headers, body, now) {
        deliveries::check(provider, &signed);
    }
    // Whatever it is, the provider may have signed it.
    deliveries::check(provider, &verified(body));
}

/// A second opinion of an event that needs no care.
fn check_request(event: &Value, method: &str, body: Body<'_>) {
    let context = &event["requestContext"];
    // `cargo lambda watch` has an `httpMethod` beside `requestContext.http`.
    let is_url = context.get("elb").is_none() && context.get("http").is_some();
    let is_old = !is_url && (context.get("elb").is_some() || event.get("httpMethod").is_some());
    let expected = match is_old {
        true => &event["httpMethod"],
        false => &context["http"]["method"],
    };
    assert_eq!(method, expected.as_str().unwrap_or_default());
    let bytes = match (&event["body"], &event["isBase64Encoded"]) {
        (Value::Null, _) => Some(Vec::new()),
        (Value::String(text), Value::Bool(true)) => STANDARD.decode(text).ok(),
        (Value::String(text), _) => Some(text.clone().into_bytes()),
        _ => None,
    };
    let sent = match body {
        Body::Sent(bytes) => Some(bytes),
        Body::Garbled { .. } => None,
    };
    assert_eq!(sent, bytes.as_deref());
}

fn check_answer(answer: &Result<Value, serde_json::Error>, status: StatusCode) {
    let answer = answer.as_ref().expect("an answer is JSON");
    assert_eq!(answer["statusCode"], status.as_u16());
    assert_eq!(answer["body"], "");
    let headers = ["headers", "multiValueHeaders"].map(|name| answer.get(name).is_some());
    assert!(headers[0] != headers[1], "{answer}");
}
