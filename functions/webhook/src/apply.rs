//! Applies a verified delivery: it is joined, settled by reads, or kept as a
//! rejection.

use std::time::Duration;

use futures_util::StreamExt;
use shared::client::{Effort, Unanswered};
use shared::exchange::AnswerError;
use shared::profile::{Observation, Profile, UserId};
use shared::provider::{Event, Told};
use shared::settle::{Read, Reread, Sources, contradicts};
use shared::signature::Verified;
use shared::store::{
    Authority, DROPPED, Look, Origin, Outcome, ProjectStore, SettleOptions, StoreError,
};
use shared::time::{At, WallClock};
use tokio::time::Instant;

use crate::app::{App, Connected};
use crate::record::receipt;

/// Bytes that one user may have when read back.
const LARGEST_USER: usize = 8 << 20;

/// How long "no such user" is not believed after an event that says that the
/// user exists: a read that lags longer than the provider's should is the
/// likelier reason, and a tombstone is final. After that it is believed, so that
/// late deliveries about a user who is gone come to an end, too.
const YOUNG: Duration = Duration::from_secs(60);

/// Rounds of reading again before the sender is asked to come back.
const ROUNDS: u32 = 3;

/// Why a delivery could not be applied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotApplied {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Provider(#[from] Unanswered),
    #[error(
        "the provider's reads contradict the event, or the row keeps changing. The next attempt \
         settles it, or the next run of reconcile"
    )]
    Doubtful,
    #[error(
        "the provider knows no such user, but an event of the last minute says that the user \
         exists: either its reads lag, or the user is gone by now. The next attempt settles it, or \
         the next run of reconcile"
    )]
    TooEarly,
    #[error(
        "the delivery could not be applied in time: see whether Postgres and the provider's API are \
         slow. The next attempt applies it, or the next run of reconcile"
    )]
    OutOfTime,
}

/// The outcome of a verified delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Applied {
    /// It was not about a user's profile.
    OfNoUser,
    /// The table has it, or knew it already.
    Joined(&'static str),
    /// The user can't be stored; with the reason, and the user's id if it is known.
    Rejected(String, Option<UserId>),
}

impl NotApplied {
    /// Whether it can be recorded: Postgres is there, and so is the time.
    pub(crate) fn leaves_postgres_be(&self) -> bool {
        !matches!(self, Self::Store(_) | Self::OutOfTime)
    }

    /// A password or key that is refused may have been rotated in the secret.
    pub(crate) fn may_come_of_a_rotated_secret(&self) -> bool {
        match self {
            Self::Store(error) => error.may_come_of_a_rotated_secret(),
            Self::Provider(Unanswered::Misread(AnswerError::Refused(_))) => true,
            _ => false,
        }
    }
}

/// A delivery that was taken: what became of it, and when the change was by the
/// provider's clock, if it tells.
pub(crate) struct Done {
    pub(crate) applied: Applied,
    pub(crate) changed_at: Option<At>,
}

/// Applies what a delivery tells, and keeps what can't be applied.
pub(crate) async fn apply(
    app: &App,
    connected: &Connected,
    delivery: &Verified<'_>,
    now: WallClock,
    until: Instant,
) -> Result<Done, NotApplied> {
    let event = connected.provider.event(delivery);
    if let Ok(Event::OfNoUser) = event {
        return Ok(Done {
            applied: Applied::OfNoUser,
            changed_at: None,
        });
    }
    let receipt = receipt(connected.provider.as_ref(), delivery, &event);
    let changed_at = receipt.as_ref().and_then(|receipt| receipt.changed_at);
    let effort = Effort {
        until,
        attempts: 3,
        attempt: Duration::from_secs(4),
        size: LARGEST_USER,
    };
    let mut store = connected.identify(app.client(), effort).await?;
    if app.records()
        && let Some(receipt) = receipt
    {
        store = store.recording(receipt);
    }
    let work = Work {
        sources: connected.sources(app.client()),
        store: &store,
        is_young: is_young(connected.provider.made_at(delivery), now),
        effort,
    };
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
        store
            .reject_delivery(id, reason, &body, user.as_ref())
            .await?;
    }
    Ok(Done {
        applied,
        changed_at,
    })
}

/// Whether the event was made within [`YOUNG`], in either direction: a time that
/// is far ahead is no event's.
fn is_young(made_at: Option<At>, now: WallClock) -> bool {
    made_at.is_some_and(|at| now.distance(at) < YOUNG)
}

/// One delivery's work.
struct Work<'a> {
    sources: Sources<'a>,
    store: &'a ProjectStore,
    effort: Effort,
    /// Whether the event is so new that a lagging replica might not know of it.
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

    /// Reads the clock first, then the user, so the profile is not older than `at`.
    async fn read_back(&self, id: UserId, told: Told) -> Result<Applied, NotApplied> {
        let at = self.store.now().await?;
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
            Observation::Gone { id, at } => self.store.gone(id, *at).await,
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
        let outcomes = self.store.join(&[(profile, at)], Origin::Delivery).await?;
        outcomes
            .first()
            .map(|(_, outcome)| *outcome)
            .ok_or(StoreError::Garbled)
    }

    /// In doubt: look at the row, wait out the replicas, read, and write if the
    /// row is as it was.
    async fn settle(&self, id: UserId, told: Option<&Told>) -> Result<Applied, NotApplied> {
        for _ in 0..ROUNDS {
            let ids = std::slice::from_ref(&id);
            let mut reads = self.sources.reread(ids, self.effort).await?;
            let Some(Reread { look, read }) = reads.next().await else {
                continue;
            };
            let settled = match user_or_none(read?) {
                Ok(Some(profile)) => self.settle_present(&look, &profile, told).await,
                Ok(None) => self.settle_gone(look, told).await,
                Err(reason) => return Ok(Applied::Rejected(reason, Some(id))),
            };
            match settled {
                Ok(Some(outcome)) => return Ok(Applied::Joined(outcome)),
                Ok(None) => {}
                Err(NotApplied::Store(StoreError::Unstorable(reason))) => {
                    return Ok(Applied::Rejected(reason, Some(id)));
                }
                Err(error) => return Err(error),
            }
        }
        Err(NotApplied::Doubtful)
    }

    /// Takes in a user that was read after the look; `None`: the row has moved, or
    /// the read lags longer than any is assumed to, so another round is needed.
    async fn settle_present(
        &self,
        look: &Look,
        profile: &Profile,
        told: Option<&Told>,
    ) -> Result<Option<&'static str>, NotApplied> {
        let ids_return = self.sources.provider.facts().ids_return;
        if matches!(told, Some(Told::Deleted)) && !ids_return {
            return Err(NotApplied::Doubtful);
        }
        let options = SettleOptions {
            origin: Origin::Delivery,
            revive: ids_return,
        };
        let settled = self
            .sources
            .settle_present(self.store, look, profile, options)
            .await?;
        let settled = settled.filter(|outcome| *outcome != Outcome::Stale);
        Ok(settled.map(name))
    }

    /// Tombstones a user that the provider did not have after the look; `None`:
    /// the row has moved, so another round is needed.
    async fn settle_gone(
        &self,
        look: Look,
        told: Option<&Told>,
    ) -> Result<Option<&'static str>, NotApplied> {
        // The user may be gone since the event; a deletion is on its way then.
        let exists = matches!(told, Some(Told::Exists { .. }));
        if exists && self.is_young && !look.deleted {
            return Err(NotApplied::TooEarly);
        }
        let looks = [look];
        let settled = self
            .sources
            .settle_gone(self.store, &looks, Authority::Delivery);
        let gone = settled.await?;
        if !gone.written.is_empty() {
            return Ok(Some("deleted"));
        }
        if !gone.dropped.is_empty() {
            return Err(StoreError::Unstorable(DROPPED.to_owned()).into());
        }
        Ok(None)
    }
}

/// The user, `None` if there is none, or why the user can't be stored. An event
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
