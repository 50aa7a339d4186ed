//! The request log: what was asked of the provider, and what it answered.

use serde::{Deserialize, Serialize};

use super::faults::Fault;

/// The kind of a request, whatever the provider calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// A page of users.
    List,
    /// One user, by id.
    Read,
    /// A new user.
    Create,
    /// A change of one user.
    Update,
    /// The end of one user.
    Delete,
    /// A page of the provider's record of events.
    Events,
    /// Anything else: tokens, counts, unknown paths.
    Other,
}

/// One request to the provider's API; the control API is not logged.
#[derive(Debug, Clone, Serialize)]
pub struct Request {
    /// When it arrived, in milliseconds since 1970.
    pub at: i64,
    /// Its method.
    pub method: String,
    /// Its path, without the query.
    pub path: String,
    /// Its query, as it came.
    pub query: String,
    /// Its kind.
    pub call: Call,
    /// The status it was answered with; none if it was not answered (yet).
    pub status: Option<u16>,
    /// The fault that it met.
    pub fault: Option<Fault>,
}

/// Requests in the order they arrived.
#[derive(Debug, Default)]
pub(super) struct Log {
    requests: Vec<Request>,
    /// Requests that were cleared away, so that numbers given out before stay good.
    cleared: usize,
}

impl Log {
    /// Notes a request and gives it a number.
    pub(super) fn note(&mut self, request: Request) -> usize {
        self.requests.push(request);
        self.cleared + self.requests.len() - 1
    }

    /// Notes what became of a request, unless the log was cleared since.
    pub(super) fn answered(&mut self, number: usize, status: u16) {
        let at = number.checked_sub(self.cleared);
        if let Some(request) = at.and_then(|at| self.requests.get_mut(at)) {
            request.status = Some(status);
        }
    }

    pub(super) fn all(&self) -> &[Request] {
        &self.requests
    }

    pub(super) fn clear(&mut self) {
        self.cleared += self.requests.len();
        self.requests.clear();
    }
}
