//! What an auth provider's adapter does: it reads bytes and builds requests.
//!
//! Invariant: an adapter sends nothing, reads no clock and knows no database,
//! so each is tested from files alone, and a new provider is one file here,
//! one line in [`connect`] and one folder of fixtures.

pub mod stack;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::listing::Listing;
use crate::profile::{At, Observation, Profile, Unreadable, UserId};
use crate::secret::{Fields, Misconfigured};
use crate::signature::{Forged, Verified};

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

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({}, {} bytes)", self.status, self.body.len())
    }
}

/// What holds for a provider whatever it is asked.
#[derive(Debug, Clone)]
pub struct Facts {
    /// As in the secret's `provider.name`.
    pub name: &'static str,
    /// Which of the provider's projects; the schema is bound to it.
    pub project: String,
    /// A read may show the state of this long ago.
    pub staleness: Duration,
    /// Whether profiles carry a version that orders them.
    pub versioned: bool,
    /// Whether a deleted user's id may be given to a user again.
    pub ids_return: bool,
}

/// What a delivery tells.
#[derive(Debug)]
pub enum Event {
    /// Nothing about a user's profile.
    OfNoUser,
    /// What is true, with the provider's own version: applied as it is.
    Statement(Observation),
    /// That a user changed; how, a read says.
    Hint {
        /// Whom to read.
        id: UserId,
        /// What the event says happened.
        told: Told,
    },
}

/// What a hint says of the user.
#[derive(Debug, Clone)]
pub enum Told {
    /// The user exists.
    Exists {
        /// As the event showed them, where it did.
        profile: Option<Profile>,
        /// Top-level fields in which a read may differ all the same, because
        /// the provider fills them in after it made the event.
        filled_in_later: &'static [&'static str],
    },
    /// The user was deleted.
    Deleted,
}

/// Why an answer could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Misread {
    /// Not the provider's own words (a proxy's page, half a body): ask again.
    #[error("{0}")]
    Garbled(&'static str),
    /// The provider refuses, and says the same when asked again; the message
    /// tells the operator what to do.
    #[error("{0}")]
    Refused(String),
    /// The provider says that no user can have this id.
    #[error("the provider takes this for no user's id")]
    NoSuchId,
    /// The provider's words, but not a user that could be stored.
    #[error("{0}")]
    Unreadable(Unreadable),
}

/// One auth provider.
pub trait Provider: Send + Sync {
    /// What holds whatever is asked.
    fn facts(&self) -> &Facts;

    /// Checks that the provider sent this delivery. `now` in UTC.
    fn verify<'a>(
        &self,
        headers: &HeaderMap,
        body: &'a [u8],
        now: At,
    ) -> Result<Verified<'a>, Forged>;

    /// Reads what a delivery tells.
    fn event(&self, delivery: &Verified<'_>) -> Result<Event, Unreadable>;

    /// Asks for one user, deleted or not.
    fn user_request(&self, id: &UserId) -> Request;

    /// Reads the answer to [`Provider::user_request`]: the user, or `None`
    /// where the provider itself says that it has no such user.
    fn user(&self, id: &UserId, answer: &Answer) -> Result<Option<Profile>, Misread>;

    /// A walk over every user, from the start or from where an earlier one,
    /// by its [`Listing::position`], left off.
    fn listing(&self, position: Option<&str>) -> Box<dyn Listing>;
}

/// A GET request; `path` percent-encoded.
fn get(base: &str, path: &str, headers: &HeaderMap) -> Request {
    let mut request = Request::new(Bytes::new());
    #[expect(
        clippy::expect_used,
        reason = "the base was parsed, the path is percent-encoded"
    )]
    let uri = format!("{base}{path}").parse().expect("a URL");
    *request.uri_mut() = uri;
    *request.headers_mut() = headers.clone();
    request
}

/// Makes the adapter that the secret's `provider` names.
pub fn connect(
    provider: &mut Fields,
    signing_secrets: Option<Vec<String>>,
) -> Result<Arc<dyn Provider>, Misconfigured> {
    let name = provider.required("name")?;
    Ok(match name.as_str() {
        "stack" => Arc::new(stack::Stack::new(provider, signing_secrets)?),
        _ => return Err(provider.refuse("name", "is not a provider this version knows: stack")),
    })
}
