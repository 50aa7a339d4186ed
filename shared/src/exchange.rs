//! A request to a provider and its answer, as bytes.
//!
//! Invariant: nothing here is sent, and Debug prints nothing of a body.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::value::RawValue;

use crate::json::Unreadable;

/// A request that an adapter wants sent.
pub type Request = http::Request<Bytes>;

/// A provider's answer, whole.
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// Whether it is a success, and complete JSON.
    pub fn is_whole(&self) -> bool {
        self.status.is_success() && serde_json::from_str::<&RawValue>(&self.text()).is_ok()
    }

    /// The body as text. Bytes that are not UTF-8 become U+FFFD, because one bad
    /// name must not spoil a page.
    pub fn text(&self) -> Cow<'_, str> {
        let body = self.body.strip_prefix(b"\xef\xbb\xbf");
        let body = body.unwrap_or(&self.body);
        // Several times as fast as to look for bytes to replace, and most often right.
        match std::str::from_utf8(body) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => String::from_utf8_lossy(body),
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({}, {} bytes)", self.status, self.body.len())
    }
}

/// Why an answer is of no use.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// Not the provider's own words, such as a proxy's page or half a body: ask
    /// again.
    #[error("{0}")]
    Garbled(&'static str),
    /// The provider refuses, and would refuse again. The message tells the
    /// operator what to do.
    #[error("{0}")]
    Refused(String),
    /// A listing that is not as the adapter assumes. It would be the same again.
    #[error("{0}")]
    Paging(String),
    /// The provider says that no user can have this id.
    #[error("the provider says that no user can have this id")]
    NoSuchId,
    /// The provider's words, but not a user that could be stored.
    #[error("{0}")]
    Unreadable(Unreadable),
}
