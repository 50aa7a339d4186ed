//! The API of a provider: its address, and the headers that every request to it
//! carries.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use serde_json::Value;

use crate::exchange::Request;
use crate::profile::UserId;

/// Where requests go, and what they carry.
#[derive(Clone)]
pub struct Api {
    base: String,
    headers: HeaderMap,
}

impl Api {
    /// `base` was parsed, and has no `/` at its end.
    pub(crate) fn new(
        base: String,
        headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
    ) -> Self {
        let headers = headers.into_iter().collect();
        Self { base, headers }
    }

    /// A GET request; `path` is percent-encoded.
    pub(crate) fn get(&self, path: &str) -> Request {
        let mut request = Request::new(Bytes::new());
        #[expect(
            clippy::expect_used,
            reason = "the base was parsed, the path is percent-encoded"
        )]
        let uri = format!("{}{path}", self.base).parse().expect("a URL");
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers.clone();
        request
    }

    /// A GET request for one of the users under `path`.
    pub(crate) fn get_user(&self, path: &str, id: &UserId) -> Request {
        self.get(&format!("{path}/{}", encoded(id.as_str())))
    }

    /// A request without a body that changes something.
    pub(crate) fn order(&self, method: Method, path: &str) -> Request {
        let mut request = self.get(path);
        *request.method_mut() = method;
        request
    }

    /// A request with a JSON body.
    pub(crate) fn send(&self, method: Method, path: &str, body: &Value) -> Request {
        let mut request = self.order(method, path);
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::CONTENT_TYPE, json);
        *request.body_mut() = body.to_string().into();
        request
    }
}

/// All but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// An id or a value as a part of a path or a query. Unreserved characters stay:
/// not every server decodes before it compares.
pub(crate) fn encoded(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, RESERVED)
}
