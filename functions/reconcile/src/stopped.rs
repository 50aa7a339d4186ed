//! Why a run stops before its end, and what that means for the next one.

use std::time::Duration;

use shared::client::Unanswered;
use shared::exchange::AnswerError;
use shared::store::StoreError;
use tokio::time::Instant;

/// Why a run stopped before its end.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// The provider or Postgres refuses the secret's keys: they may have been
    /// rotated.
    #[error("{0}")]
    Refused(String),
    /// Anything else, and what to do about it.
    #[error("{0}")]
    Failed(String),
    /// The time is over. This is not an error: the next invocation goes on. It
    /// carries the last attempt's trouble, if that is what took the time.
    #[error("the time is over")]
    OutOfTime(Option<String>),
    /// The provider will not answer before the time is over, and says why. This
    /// is not an error either, if the run got somewhere before.
    #[error("{0}")]
    Unserved(String),
}

impl Stopped {
    /// Whether the next invocation can go on where this one was.
    pub(crate) fn passes(&self) -> bool {
        matches!(self, Self::OutOfTime(_) | Self::Unserved(_))
    }

    /// Tells how a question that the provider left unanswered stops the run.
    pub(crate) fn by(error: Unanswered, until: Instant) -> Self {
        // An attempt that would end after the time is not made: that is near enough.
        let nearly_over = Instant::now() + Duration::from_secs(1) >= until;
        match error {
            limited @ Unanswered::RateLimited(_) => Self::Unserved(format!(
                "{limited}. Nothing is to be done: a run after that goes on. If it happens often, \
                 run reconcile less often, or see which limit the provider grants"
            )),
            Unanswered::Trouble(said) if nearly_over => Self::Unserved(said),
            Unanswered::Trouble(said) => Self::Failed(format!(
                "{said}. If that does not help, see the provider's status page. The next run does \
                 what was not done now"
            )),
            Unanswered::Misread(AnswerError::Refused(advice)) => Self::Refused(advice),
            Unanswered::Misread(AnswerError::Paging(broken)) => Self::Failed(broken),
            Unanswered::Misread(misread) => Self::Failed(format!(
                "{misread}. If a proxy stands between, see what it answers; else see the \
                 provider's status page. The next run does what was not done now"
            )),
            error => {
                let said = format!(
                    "{error}. See the provider's status page and the function's way to the \
                     internet. The next run does what was not done now"
                );
                match error {
                    Unanswered::Unreachable(_) if nearly_over => Self::OutOfTime(Some(said)),
                    _ => Self::Failed(said),
                }
            }
        }
    }
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        match error {
            error if error.may_come_of_a_rotated_secret() => Self::Refused(error.to_string()),
            error => Self::Failed(error.to_string()),
        }
    }
}
