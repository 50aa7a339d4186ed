//! Receives the provider's deliveries: verifies, reads back where the delivery
//! is only a hint, joins, and answers.
//!
//! Invariants: a delivery is answered 2xx only when what it told is committed;
//! an answer says nothing but its status.

mod app;
mod event;

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use shared::client::{Effort, Unanswered};
use shared::credentials::RefreshError;
use shared::exchange::AnswerError;
use shared::profile::{Observation, Profile, UserId};
use shared::provider::{Event, Facts, Told};
use shared::settle::{Read, Sources, contradicts};
use shared::signature::{Forged, Verified};
use shared::store::{Authority, DROPPED, Origin, Outcome, SettleOptions, StoreError};
use shared::time::{At, WallClock};
use tokio::time::{Instant, timeout_at};

pub use app::App;
use app::{Connected, Refused};
pub use event::{Body, Delivery, HttpEvent, Reply};

/// Bytes that one user may have when read back.
const LARGEST_USER: usize = 8 << 20;

/// For so long after an event, "no such user" is not believed of somebody of
/// whom it says that they exist: a read that lags longer than the provider's
/// should is the likelier reason, and a tombstone is final. After that it is,
/// so that what is told late of a user who is gone comes to an end, too.
const YOUNG: Duration = Duration::from_secs(60);

/// Rounds of reading again before the sender is asked to come back.
const ROUNDS: u32 = 3;

/// Why a delivery was not applied.
#[derive(Debug, thiserror::Error)]
enum NotApplied {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Provider(#[from] Unanswered),
    #[error("the provider's reads contradict the event, or the row changes all the time")]
    Doubtful,
    #[error(
        "the provider knows no user of whom an event of the last minute says that they exist: its \
         reads lag, or the user is gone by now"
    )]
    TooEarly,
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
pub async fn handle(
    app: &App,
    delivery: Delivery<'_>,
    now: WallClock,
    until: Instant,
) -> StatusCode {
    if delivery.method != "POST" {
        return StatusCode::METHOD_NOT_ALLOWED;
    }
    let connected = app.connected().await;
    match verify(app, connected, &delivery, now, until).await {
        Ok((connected, verified)) => take(app, &connected, &verified, now, until).await,
        Err(status) => status,
    }
}

/// Finds out whether the provider sent it, and what is connected by the secret
/// that told.
async fn verify<'a>(
    app: &App,
    connected: Arc<Connected>,
    delivery: &Delivery<'a>,
    now: WallClock,
    until: Instant,
) -> Result<(Arc<Connected>, Verified<'a>), StatusCode> {
    let forged = match connected.verify(delivery, now) {
        Ok(verified) => return Ok((connected, verified)),
        Err(Refused::Forged(forged)) => forged,
        Err(Refused::TooLarge) => return Err(StatusCode::PAYLOAD_TOO_LARGE),
    };
    if !matches!(forged, Forged::Mismatch | Forged::NoSecretYet) {
        return Err(connected.refuse(forged));
    }
    // It may be signed by a secret that is new.
    match app.refresh(&connected, until).await {
        Ok(None) => Err(connected.refuse(forged)),
        Ok(Some(refreshed)) => match refreshed.verify(delivery, now) {
            Ok(verified) => Ok((refreshed, verified)),
            Err(Refused::Forged(forged)) => Err(refreshed.refuse(forged)),
            Err(Refused::TooLarge) => Err(StatusCode::PAYLOAD_TOO_LARGE),
        },
        Err(RefreshError::Failed) => Err(StatusCode::SERVICE_UNAVAILABLE),
        // Who is refused with 401 may not come again.
        Err(RefreshError::TooOften) if !connected.provider.facts().sends_again => {
            tracing::warn!("can't tell a forged delivery from one with a new secret");
            Err(StatusCode::SERVICE_UNAVAILABLE)
        }
        Err(RefreshError::TooOften) => Err(connected.refuse(forged)),
    }
}

/// Applies a delivery of the provider's.
async fn take(
    app: &App,
    connected: &Connected,
    verified: &Verified<'_>,
    now: WallClock,
    until: Instant,
) -> StatusCode {
    let mut applied = within(until, apply(app, connected, verified, now, until)).await;
    if let Err(NotApplied::Store(StoreError::NotThisProject)) = &applied
        && connected.store.forget_key()
    {
        // The provider may give the project's name now, or the schema may have
        // been given the name that the provider gives.
        applied = within(until, apply(app, connected, verified, now, until)).await;
    }
    if let Err(error) = &applied
        && error.may_come_of_a_rotated_secret()
        && let Ok(Some(refreshed)) = app.refresh(connected, until).await
    {
        applied = within(until, apply(app, &refreshed, verified, now, until)).await;
    }
    let facts = connected.provider.facts();
    let status = answer(applied, verified.event_id(), facts);
    for store in [&connected.store, &app.connected().await.store] {
        store.let_go().await;
    }
    status
}

async fn within<T>(
    until: Instant,
    work: impl Future<Output = Result<T, NotApplied>>,
) -> Result<T, NotApplied> {
    timeout_at(until, work)
        .await
        .unwrap_or(Err(NotApplied::OutOfTime))
}

fn answer(applied: Result<Applied, NotApplied>, event_id: &str, facts: &Facts) -> StatusCode {
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
            // It is kept: a failure would only count against the endpoint, where
            // nobody would send it again when it is mended.
            match facts.sends_again {
                true => StatusCode::BAD_REQUEST,
                false => StatusCode::ACCEPTED,
            }
        }
        Err(error) => {
            tracing::error!(event_id, %error, "could not apply a delivery");
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

impl NotApplied {
    /// R10: a refused password or key may have been changed in the secret.
    fn may_come_of_a_rotated_secret(&self) -> bool {
        match self {
            Self::Store(error) => error.may_come_of_a_rotated_secret(),
            Self::Provider(Unanswered::Misread(AnswerError::Refused(_))) => true,
            _ => false,
        }
    }
}

/// Applies what a delivery tells, and keeps what can't be.
async fn apply(
    app: &App,
    connected: &Connected,
    delivery: &Verified<'_>,
    now: WallClock,
    until: Instant,
) -> Result<Applied, NotApplied> {
    let work = Work {
        sources: connected.sources(app.client()),
        is_young: is_young(connected.provider.made_at(delivery), now),
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
            let user = connected.provider.user_in_rejected(delivery.body());
            Applied::Rejected(unreadable.to_string(), user)
        }
    };
    if let Applied::Rejected(reason, user) = &applied {
        let id = delivery.event_id();
        let body = connected.provider.redacted(delivery.body());
        connected
            .store
            .reject_delivery(id, reason, &body, user.as_ref())
            .await?;
    }
    Ok(applied)
}

/// A time that is far ahead is no event's.
fn is_young(made_at: Option<At>, now: WallClock) -> bool {
    made_at.is_some_and(|at| now.distance(at) < YOUNG)
}

/// One delivery's work.
struct Work<'a> {
    sources: Sources<'a>,
    effort: Effort,
    /// Whether a replica may not know of the event yet, however much it lags.
    is_young: bool,
}

impl Work<'_> {
    async fn observe(&self, event: Event) -> Result<Applied, NotApplied> {
        match event {
            Event::OfNoUser => Ok(Applied::OfNoUser),
            Event::Statement(observation) => {
                let told = match &observation {
                    Observation::Present { .. } => Some(Told::exists()),
                    Observation::Gone { .. } => None,
                };
                self.join(observation, told.as_ref()).await
            }
            Event::Hint { id, told } => self.read_back(id, told).await,
        }
    }

    /// The clock first, then the read: what is read is not older than `at`.
    async fn read_back(&self, id: UserId, told: Told) -> Result<Applied, NotApplied> {
        let at = self.sources.store.now().await?;
        let read = match user_or_none(self.sources.read(&id, self.effort).await?) {
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
    ) -> Result<Applied, NotApplied> {
        let outcome = match &observation {
            Observation::Present { profile, at } => self.join_profile(profile, *at).await,
            Observation::Gone { id, at } => self.sources.store.gone(id, *at).await,
        };
        match outcome {
            Ok(Outcome::Tied) => self.settle(observation.id().clone(), told).await,
            Ok(outcome) => Ok(Applied::Joined(name(outcome))),
            Err(StoreError::Unstorable(reason)) => {
                Ok(Applied::Rejected(reason, Some(observation.id().clone())))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn join_profile(&self, profile: &Profile, at: At) -> Result<Outcome, StoreError> {
        let outcomes = self
            .sources
            .store
            .join(&[(profile, at)], Origin::Delivery)
            .await?;
        outcomes
            .first()
            .map(|(_, outcome)| *outcome)
            .ok_or(StoreError::Garbled)
    }

    /// In doubt: look at the row, wait out the replicas, read, and write if the
    /// row is as it was.
    async fn settle(&self, id: UserId, told: Option<&Told>) -> Result<Applied, NotApplied> {
        use futures_util::StreamExt;
        let facts = self.sources.provider.facts();
        for _ in 0..ROUNDS {
            let ids = std::slice::from_ref(&id);
            let mut reads = self.sources.reread(ids, self.effort).await?;
            let Some(reread) = reads.next().await else {
                continue;
            };
            let read = match user_or_none(reread.read?) {
                Ok(read) => read,
                Err(reason) => return Ok(Applied::Rejected(reason, Some(id))),
            };
            let Some(profile) = read else {
                // They may have gone since, and then a deletion is on its way.
                let exists = matches!(told, Some(Told::Exists { .. }));
                if exists && self.is_young && !reread.look.deleted {
                    return Err(NotApplied::TooEarly);
                }
                let looks = [reread.look];
                match self.sources.settle_gone(&looks, Authority::Delivery).await {
                    Ok(gone) if !gone.written.is_empty() => {
                        return Ok(Applied::Joined("deleted"));
                    }
                    Ok(gone) if gone.dropped.is_empty() => continue,
                    Ok(_) => return Ok(Applied::Rejected(DROPPED.to_owned(), Some(id))),
                    Err(StoreError::Unstorable(reason)) => {
                        return Ok(Applied::Rejected(reason, Some(id)));
                    }
                    Err(error) => return Err(error.into()),
                }
            };
            if matches!(told, Some(Told::Deleted)) && !facts.ids_return {
                return Err(NotApplied::Doubtful);
            }
            let options = SettleOptions {
                origin: Origin::Delivery,
                revive: facts.ids_return,
            };
            match self
                .sources
                .settle_present(&reread.look, &profile, options)
                .await
            {
                // The read lags longer than any is assumed to: again.
                Ok(Some(Outcome::Stale)) => {}
                Ok(Some(outcome)) => return Ok(Applied::Joined(name(outcome))),
                Ok(None) => {}
                Err(StoreError::Unstorable(reason)) => {
                    return Ok(Applied::Rejected(reason, Some(id)));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(NotApplied::Doubtful)
    }
}

/// The user, `None` where there is none, or why they can't be stored. An event
/// about an id that no user can have is not about a user who is gone.
fn user_or_none(read: Read) -> Result<Option<Profile>, String> {
    match read {
        Read::User(profile) => Ok(Some(profile)),
        Read::NoSuchUser => Ok(None),
        Read::NoSuchId => Err(AnswerError::NoSuchId.to_string()),
        Read::Unreadable(reason) => Err(reason),
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
