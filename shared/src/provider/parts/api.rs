//! The API of a provider: its address, and the headers that every request to it
//! carries.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::encoded;
use crate::exchange::Request;
use crate::profile::UserId;

/// Where requests go, and what they carry.
#[derive(Clone)]
pub(crate) struct Api {
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
}
