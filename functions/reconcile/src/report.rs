//! The answer of a run.

use shared::profile::UserId;
use shared::store::{Figures, Saved};

/// How a run ended, if it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunOutcome {
    /// Every user was seen, and the table is in sync with what was seen.
    Complete,
    /// Time ran out; the next invocation goes on from there.
    Partial,
    /// Another run holds the lease.
    Busy,
    /// More users are missing than the run is allowed to tombstone.
    Held,
}

impl RunOutcome {
    /// As in the contract.
    pub fn word(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Busy => "busy",
            Self::Held => "held",
        }
    }
}

/// The answer of the function.
#[derive(Debug, serde::Serialize)]
pub struct Report {
    /// How the run ended.
    pub outcome: RunOutcome,
    /// The figures of the run.
    #[serde(flatten)]
    pub figures: Figures,
    /// Of a dry run: what would change, user by user, as far as
    /// [`Finding::MOST`]. It is for a person alone.
    #[serde(skip)]
    pub findings: Box<[Finding]>,
    /// Of a dry run that a person watches, if it is partial: where the next one goes
    /// on.
    #[serde(skip)]
    pub left: Option<Box<Saved>>,
}

/// A user whose row is not as the provider has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The user.
    pub id: UserId,
    /// The change that a run would make to the row.
    pub change: Change,
}

impl Finding {
    /// So many of each change are told.
    pub const MOST: usize = 2_500;
}

/// The change that a run would make to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// There is none.
    Create,
    /// It is older, or another.
    Update,
    /// The provider doesn't have the user, and has said so.
    Delete,
    /// It says that the user is deleted.
    Revive,
}

impl Change {
    /// As it is kept.
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Revive => "revive",
        }
    }
}

/// Why the invocation fails.
#[derive(Debug)]
pub enum InvocationError {
    /// The brake held: an operator has to see this report.
    Held(Report),
    /// The run could not be finished.
    Failed(String),
}
