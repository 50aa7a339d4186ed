//! Why a page can't be shown, or nothing was done: what happened, and what to do.

use http::StatusCode;
use shared::client::Unanswered;
use shared::store::StoreError;

/// An answer that takes the place of the page that was asked for.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) status: StatusCode,
    pub(crate) title: &'static str,
    pub(crate) words: String,
}

impl Fault {
    pub(crate) fn new(status: StatusCode, title: &'static str, words: impl Into<String>) -> Self {
        Self {
            status,
            title,
            words: words.into(),
        }
    }

    pub(crate) fn not_found(words: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not found", words)
    }

    pub(crate) fn refused(words: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Not done", words)
    }

    /// A form that can't be taken as it was filled in.
    pub(crate) fn unusable(words: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Not done", words)
    }

    /// Something else than this function fails.
    pub(crate) fn unavailable(words: impl Into<String>) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "Something is not reachable",
            words,
        )
    }

    pub(crate) fn not_connected() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "No provider is connected",
            "No provider is connected yet. Connect one first, on the page Connection.",
        )
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotProvisioned => Self::unavailable(
                "The schema is not in the database yet, or not as this release needs it. Run \
                 provision, or connect a provider on the page Connection, which does that.",
            ),
            error => Self::unavailable(sentence(&error.to_string())),
        }
    }
}

impl From<Unanswered> for Fault {
    fn from(error: Unanswered) -> Self {
        Self::unavailable(sentence(&error.to_string()))
    }
}

/// Messages begin in lower case, for a log line, and have no full stop.
pub(crate) fn sentence(message: &str) -> String {
    let mut letters = message.chars();
    let first = letters.next().map(char::to_uppercase);
    let mut text: String = first.into_iter().flatten().chain(letters).collect();
    if !text.ends_with(['.', '!', '?']) {
        text.push('.');
    }
    text
}
