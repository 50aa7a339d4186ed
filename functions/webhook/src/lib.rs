//! Receives the provider's deliveries: verifies, reads back where the delivery
//! is only a hint, joins, and answers.
//!
//! Invariants: a delivery is answered 2xx only when what it told is committed;
//! an answer says nothing but its status.

mod app;

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use shared::client::{Effort, Unanswered};
use shared::credentials::Unread;
use shared::profile::{At, Observation, Profile, UserId};
use shared::provider::{Event, Misread, Told};
use shared::reading::{Sources, contradicts};
use shared::signature::{Forged, Verified};
use shared::store::{Outcome, StoreError};
use tokio::time::{Instant, timeout_at};

pub use app::App;
use app::Connected;

/// Bytes that a delivery's body may have.
const LARGEST_BODY: usize = 1 << 20;

/// Bytes that one user may have when read back.
const LARGEST_USER: usize = 8 << 20;

/// Rounds of reading again before the sender is asked to come back.
const ROUNDS: u32 = 3;

/// An HTTP request to the function's URL.
pub struct Delivery<'a> {
    /// Only POST delivers.
    pub method: &'a Method,
    /// The signature's headers are among them.
    pub headers: &'a HeaderMap,
    /// The bytes that were signed.
    pub body: &'a [u8],
}

/// Why a delivery was not applied.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Provider(#[from] Unanswered),
    #[error("the provider's reads contradict the event, or the row changes all the time")]
    Doubtful,
    #[error("the time for this delivery is over")]
    OutOfTime,
}

/// What became of a delivery that was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Applied {
    /// Not about a user's profile.
    OfNoUser,
    /// In the table, or known to it.
    Joined(&'static str),
    /// Not a user that can be stored.
    Rejected(String, Option<UserId>),
}

/// Handles a delivery; `now` by this machine's clock, `until` when to give up.
pub async fn handle(app: &App, delivery: Delivery<'_>, now: At, until: Instant) -> StatusCode {
    if delivery.method != Method::POST {
        return StatusCode::METHOD_NOT_ALLOWED;
    }
    if delivery.body.len() > LARGEST_BODY {
        return StatusCode::PAYLOAD_TOO_LARGE;
    }
    let mut connected = app.connected().await;
    let mismatch = Err(Forged::Mismatch);
    if connected.verify(&delivery, now).map(|_| ()) == mismatch {
        match app.refresh(&connected, until).await {
            Ok(None) => {}
            Ok(Some(refreshed)) => connected = refreshed,
            // It may be signed by a secret that is new: who is refused with
            // 401 may not come again.
            Err(Unread) => return StatusCode::SERVICE_UNAVAILABLE,
        }
    }
    let verified = match connected.verify(&delivery, now) {
        Ok(verified) => verified,
        Err(forged) => {
            tracing::warn!(reason = %forged, "refused a delivery");
            return StatusCode::UNAUTHORIZED;
        }
    };
    let mut applied = within(until, apply(app, &connected, &verified, until)).await;
    if let Err(Failure::Store(StoreError::NotThisProject)) = &applied
        && connected.store.forget_key()
    {
        // The provider may give the project's name now, or the schema may have
        // been given the name that the provider gives.
        applied = within(until, apply(app, &connected, &verified, until)).await;
    }
    if let Err(failure) = &applied
        && failure.may_come_of_a_rotated_secret()
        && let Ok(Some(refreshed)) = app.refresh(&connected, until).await
    {
        applied = within(until, apply(app, &refreshed, &verified, until)).await;
    }
    answer(applied, verified.event_id())
}

async fn within<T>(
    until: Instant,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    timeout_at(until, work)
        .await
        .unwrap_or(Err(Failure::OutOfTime))
}

fn answer(applied: Result<Applied, Failure>, event_id: &str) -> StatusCode {
    match applied {
        Ok(Applied::OfNoUser) => {
            tracing::debug!(event_id, "not about a user");
            StatusCode::OK
        }
        Ok(Applied::Joined(outcome)) => {
            tracing::info!(event_id, outcome, "applied a delivery");
            StatusCode::OK
        }
        Ok(Applied::Rejected(reason, _)) => {
            tracing::warn!(event_id, reason, "rejected a delivery");
            StatusCode::BAD_REQUEST
        }
        Err(failure) => {
            tracing::error!(event_id, error = %failure, "could not apply a delivery");
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

impl Failure {
    /// R10: a refused password or key may have been changed in the secret.
    fn may_come_of_a_rotated_secret(&self) -> bool {
        matches!(
            self,
            Self::Store(StoreError::PasswordRefused)
                | Self::Provider(Unanswered::Misread(Misread::Refused(_)))
        )
    }
}

/// Applies what a delivery tells, and keeps what can't be.
async fn apply(
    app: &App,
    connected: &Connected,
    delivery: &Verified<'_>,
    until: Instant,
) -> Result<Applied, Failure> {
    let work = Work {
        sources: connected.sources(app.client()),
        effort: Effort {
            until,
            attempts: 3,
            attempt: Duration::from_secs(4),
            size: LARGEST_USER,
        },
    };
    let event = connected.provider.event(delivery);
    if let Ok(Event::OfNoUser) = event {
        return Ok(Applied::OfNoUser);
    }
    work.sources.identify(work.effort).await?;
    let applied = match event {
        Ok(event) => work.observe(event).await?,
        Err(unreadable) => {
            let user = connected.provider.whom(delivery.body());
            Applied::Rejected(unreadable.to_string(), user)
        }
    };
    if let Applied::Rejected(reason, user) = &applied {
        let id = delivery.event_id();
        let body = connected.provider.keepable(delivery.body());
        connected
            .store
            .reject_delivery(id, reason, &body, user.as_ref())
            .await?;
    }
    Ok(applied)
}

/// One delivery's work.
struct Work<'a> {
    sources: Sources<'a>,
    effort: Effort,
}

impl Work<'_> {
    async fn observe(&self, event: Event) -> Result<Applied, Failure> {
        match event {
            Event::OfNoUser => Ok(Applied::OfNoUser),
            Event::Statement(observation) => self.join(observation, None).await,
            Event::Hint { id, told } => self.read_back(id, told).await,
        }
    }

    /// The clock first, then the read: what is read is not older than `at`.
    async fn read_back(&self, id: UserId, told: Told) -> Result<Applied, Failure> {
        let at = self.sources.store.now().await?;
        let read = match readable(self.sources.read(&id, self.effort).await)? {
            Ok(read) => read,
            Err(reason) => return Ok(Applied::Rejected(reason, Some(id))),
        };
        if contradicts(&told, read.as_ref()) {
            return self.settle(id, Some(&told)).await;
        }
        let observation = match read {
            Some(profile) => Observation::Present {
                at: profile.version.unwrap_or(at),
                profile,
            },
            None => Observation::Gone { id, at },
        };
        self.join(observation, Some(&told)).await
    }

    async fn join(
        &self,
        observation: Observation,
        told: Option<&Told>,
    ) -> Result<Applied, Failure> {
        let outcome = match &observation {
            Observation::Present { profile, at } => self.join_profile(profile, *at).await,
            Observation::Gone { id, at } => self.sources.store.gone(id, *at).await,
        };
        match outcome {
            Ok(Outcome::Tied) => self.settle(observation.id().clone(), told).await,
            Ok(outcome) => Ok(Applied::Joined(name(outcome))),
            Err(StoreError::Unstorable(reason)) => Ok(Applied::Rejected(
                reason.to_owned(),
                Some(observation.id().clone()),
            )),
            Err(error) => Err(error.into()),
        }
    }

    async fn join_profile(&self, profile: &Profile, at: At) -> Result<Outcome, StoreError> {
        let outcomes = self.sources.store.join(&[(profile, at)], true).await?;
        outcomes
            .first()
            .map(|(_, outcome)| *outcome)
            .ok_or(StoreError::Garbled)
    }

    /// In doubt: look at the row, wait out the replicas, read, and write if the
    /// row is as it was.
    async fn settle(&self, id: UserId, told: Option<&Told>) -> Result<Applied, Failure> {
        use futures_util::StreamExt;
        let facts = self.sources.provider.facts();
        let store = self.sources.store;
        for _ in 0..ROUNDS {
            let ids = std::slice::from_ref(&id);
            let (looked_at, mut reads) = self.sources.reread(ids, self.effort).await?;
            let Some(reread) = reads.next().await else {
                continue;
            };
            let read = match readable(reread.read)? {
                Ok(read) => read,
                Err(reason) => return Ok(Applied::Rejected(reason, Some(id))),
            };
            let Some(profile) = read else {
                let gone = store.settle_gone(&[reread.look], looked_at, None).await?;
                if !gone.is_empty() {
                    return Ok(Applied::Joined("deleted"));
                }
                continue;
            };
            if matches!(told, Some(Told::Deleted)) && !facts.ids_return {
                return Err(Failure::Doubtful);
            }
            let at = profile.version.unwrap_or(looked_at);
            let revive = facts.ids_return;
            match store
                .settle_present(&reread.look, &profile, at, revive, true)
                .await
            {
                Ok(Some(outcome)) => return Ok(Applied::Joined(name(outcome))),
                Ok(None) => {}
                Err(StoreError::Unstorable(reason)) => {
                    return Ok(Applied::Rejected(reason.to_owned(), Some(id)));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Failure::Doubtful)
    }
}

/// Parts what will never be readable, with the reason, from what may be later.
fn readable(
    read: Result<Option<Profile>, Unanswered>,
) -> Result<Result<Option<Profile>, String>, Unanswered> {
    match read {
        Ok(read) => Ok(Ok(read)),
        Err(
            never @ (Unanswered::TooLarge(_)
            | Unanswered::Misread(Misread::NoSuchId | Misread::Unreadable(_))),
        ) => Ok(Err(never.to_string())),
        Err(error) => Err(error),
    }
}

fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Created => "created",
        Outcome::Updated => "updated",
        Outcome::Revived => "revived",
        Outcome::Unchanged => "unchanged",
        Outcome::Stale => "stale",
        Outcome::Tied => "tied",
    }
}
