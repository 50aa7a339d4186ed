//! A question to a provider and its answer, as bytes.
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
    /// Whether it is a success, and JSON from its beginning to its end.
    pub fn is_whole(&self) -> bool {
        self.status.is_success() && serde_json::from_str::<&RawValue>(&self.text()).is_ok()
    }

    /// The body as text. Bytes that are no UTF-8 become U+FFFD, as escapes do
    /// that stand for no character: one bad name must not spoil a page.
    pub fn text(&self) -> Cow<'_, str> {
        let body = self.body.strip_prefix(b"\xef\xbb\xbf");
        String::from_utf8_lossy(body.unwrap_or(&self.body))
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({}, {} bytes)", self.status, self.body.len())
    }
}

/// Why an answer is of no use to whoever asked.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// Not the provider's own words (a proxy's page, half a body): ask again.
    #[error("{0}")]
    Garbled(&'static str),
    /// The provider refuses, and says the same when asked again; the message
    /// tells the operator what to do.
    #[error("{0}")]
    Refused(String),
    /// A listing that is not as the adapter assumes; asked again, it is the same.
    #[error("{0}")]
    Paging(String),
    /// The provider says that no user can have this id.
    #[error("the provider takes this for no user's id")]
    NoSuchId,
    /// The provider's words, but not a user that could be stored.
    #[error("{0}")]
    Unreadable(Unreadable),
}
