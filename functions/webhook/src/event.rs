//! An invocation's event, read as the HTTP request that it stands for, and the
//! answer in the form that the sender of the event takes.
//!
//! Invariants: any event is read without a failure or a panic, and without
//! recursion; its path, query and cookies are not looked at. A part that makes no
//! sense is left out, so the request can't be verified.
//!
//! Sources: AWS' "Lambda function URLs", "Create AWS Lambda proxy integrations
//! for HTTP APIs" (payload formats 1.0 and 2.0), "Lambda proxy integrations in
//! API Gateway" (REST APIs), "Lambda functions as targets" (load balancers).

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// An HTTP request.
pub struct Delivery<'a> {
    /// Only POST delivers.
    pub method: &'a str,
    /// The signature's headers are among them.
    pub headers: &'a HeaderMap,
    /// The signed bytes.
    pub body: Body<'a>,
}

/// A request's body.
#[derive(Clone, Copy)]
pub enum Body<'a> {
    /// The bytes that were sent.
    Sent(&'a [u8]),
    /// The bytes can't be told, only about how many there are.
    Garbled {
        /// About this many bytes.
        length: usize,
    },
}

impl Body<'_> {
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Sent(bytes) => bytes.len(),
            Self::Garbled { length } => length,
        }
    }
}

/// The AWS service between the sender and the function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Front {
    /// A Function URL or an HTTP API, which take payload format 2.0.
    Url,
    /// A REST API, or an HTTP API that was set to payload format 1.0.
    Rest,
    /// A load balancer; whether it was set to take a header's values as a list.
    Balancer { lists: bool },
}

/// An HTTP request, as far as an event holds one.
#[derive(Debug)]
pub struct HttpEvent {
    front: Front,
    method: String,
    headers: HeaderMap,
    body: Result<Vec<u8>, usize>,
}

/// The members of a JSON object; any other value has none.
type Members<'a> = BTreeMap<String, &'a RawValue>;

impl HttpEvent {
    /// Reads an event; one that is no HTTP request has no method.
    pub fn read(event: &str) -> Self {
        let event: Members<'_> = read(event);
        let context: Members<'_> = member(&event, "requestContext");
        let lists: Members<'_> = member(&event, "multiValueHeaders");
        let front = if context.contains_key("elb") {
            let lists = !lists.is_empty();
            Front::Balancer { lists }
        } else if context.contains_key("http") {
            // Comes first, because `cargo lambda watch` adds an `httpMethod`, GET.
            Front::Url
        } else if event.contains_key("httpMethod") {
            Front::Rest
        } else {
            Front::Url
        };
        let method: Option<String> = match front {
            Front::Url => member(&member::<Members<'_>>(&context, "http"), "method"),
            Front::Rest | Front::Balancer { .. } => member(&event, "httpMethod"),
        };
        let text: Option<String> = member(&event, "body");
        Self {
            front,
            method: method.unwrap_or_default(),
            headers: headers(&member(&event, "headers"), &lists),
            body: match event.get("body").map_or("null", |body| body.get()) {
                "null" => Ok(Vec::new()),
                _ => sent(text, member(&event, "isBase64Encoded")),
            },
        }
    }

    /// The delivery that it holds.
    pub fn delivery(&self) -> Delivery<'_> {
        Delivery {
            method: &self.method,
            headers: &self.headers,
            body: match &self.body {
                Ok(bytes) => Body::Sent(bytes),
                Err(length) => Body::Garbled { length: *length },
            },
        }
    }

    /// The answer to it, a status alone.
    pub fn answer(&self, status: StatusCode) -> Reply {
        let is_list = self.front == Front::Balancer { lists: true };
        let is_balancer = matches!(self.front, Front::Balancer { .. });
        Reply {
            status_code: status.as_u16(),
            status_description: is_balancer.then(|| status.to_string()),
            headers: (!is_list).then_some(NoHeaders {}),
            multi_value_headers: is_list.then_some(NoHeaders {}),
            body: "",
            is_base64_encoded: false,
            cookies: (self.front == Front::Url).then_some([]),
        }
    }
}

/// An answer in JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reply {
    status_code: u16,
    /// Only for load balancers: API Gateway refuses fields that it doesn't know.
    #[serde(skip_serializing_if = "Option::is_none")]
    status_description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<NoHeaders>,
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_value_headers: Option<NoHeaders>,
    body: &'static str,
    is_base64_encoded: bool,
    /// `cargo lambda watch` refuses an answer of format 2.0 without them.
    #[serde(skip_serializing_if = "Option::is_none")]
    cookies: Option<[&'static str; 0]>,
}

#[derive(Debug, Serialize)]
struct NoHeaders {}

fn read<'a, T: Deserialize<'a> + Default>(json: &'a str) -> T {
    serde_json::from_str(json).unwrap_or_default()
}

fn member<'a, T: Deserialize<'a> + Default>(members: &Members<'a>, name: &str) -> T {
    members
        .get(name)
        .map(|raw| read(raw.get()))
        .unwrap_or_default()
}

/// Reads the headers. If a name has a list of values, the list counts, because the
/// single value beside it is only the last one.
fn headers(single: &Members<'_>, lists: &Members<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, values) in lists {
        let values: Vec<&RawValue> = read(values.get());
        for value in values {
            add(&mut headers, name, value);
        }
    }
    let mut others = HeaderMap::new();
    for (name, value) in single
        .iter()
        .filter(|(name, _)| !headers.contains_key(*name))
    {
        add(&mut others, name, value);
    }
    for (name, value) in &others {
        // A request with more headers than a map can hold is not a provider's.
        let _ = headers.try_append(name, value.clone());
    }
    headers
}

/// Adds a header whose name is in any case, unless it can't be a header.
fn add(headers: &mut HeaderMap, name: &str, value: &RawValue) {
    let value: Option<String> = read(value.get());
    let name = HeaderName::from_bytes(name.as_bytes());
    let value = value.map(|value| HeaderValue::from_bytes(value.as_bytes()));
    if let (Ok(name), Some(Ok(value))) = (name, value) {
        let _ = headers.try_append(name, value);
    }
}

/// The bytes that were sent, or how many they would be.
fn sent(text: Option<String>, is_base64: bool) -> Result<Vec<u8>, usize> {
    match text {
        None => Err(0),
        Some(text) if is_base64 => STANDARD.decode(&text).map_err(|_| text.len() / 4 * 3),
        Some(text) => Ok(text.into_bytes()),
    }
}

#[cfg(test)]
mod tests;
