//! The provider's record of events is drained, from where the last run left off.
//!
//! Invariants: the place in the record moves only past events whose effects are
//! committed, and only here; what the record lacks, a listing repairs.

use std::collections::BTreeMap;
use std::time::Duration;

use shared::client::Effort;
use shared::profile::{Observation, Profile, UserId};
use shared::provider::{Event, EventSource, Recorded, RecordedEvent, Since};
use shared::settle::Sources;
use shared::signature::fingerprint;
use shared::store::{Difference, Lease, Origin, Outcome, StoreError};
use shared::time::At;
use tokio::time::Instant;

use crate::lease::lost_lease;
use crate::run::{Run, identify};
use crate::stopped::Stopped;
use crate::tally::Tally;

/// The first run goes back as far as this: every event that it meets again is
/// joined to the same effect, and a week is longer than anybody should wait
/// between two listings, which show what is older.
const FIRST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Bytes that a page may have.
const LARGEST_PAGE: usize = 32 << 20;

/// An event as it can be kept.
struct EventBody {
    id: String,
    body: bytes::Bytes,
}

/// Applies the events that followed since the last run, and counts them. `now`:
/// the database's clock.
pub(crate) async fn drain(
    sources: Sources<'_>,
    until: Instant,
    lease: &Lease,
    now: At,
    tally: &mut Tally,
) -> Result<(), Stopped> {
    let provider = sources.provider;
    let Some(record) = provider.events() else {
        let name = provider.facts().name;
        return Err(Stopped::Failed(format!(
            "{name} keeps no record of events: leave out mode, and a run walks the listing"
        )));
    };
    let since = match sources.store.event_cursor().await? {
        Some(id) => begin(record.go_on(id, now)),
        None => Since::Time(now - FIRST),
    };
    let recorded = ask_for_events(sources, until, record, &since).await?;
    if is_the_end(&recorded) {
        tally.figures.pages += 1;
        return Ok(());
    }
    // If nothing has happened, a run costs one request.
    let mut run = Run {
        sources,
        store: identify(sources, until).await?.repairing(lease),
        until,
        dry_run: false,
        lease,
        tally,
    };
    run.apply_record(record, since, recorded).await
}

impl Run<'_> {
    /// Applies page after page; `recorded` is the first.
    async fn apply_record(
        &mut self,
        record: &dyn EventSource,
        mut since: Since,
        mut recorded: Recorded,
    ) -> Result<(), Stopped> {
        loop {
            self.store.is_bound().await?;
            let (events, last) = match recorded {
                Recorded::Page { events, last } => (events, last),
                Recorded::CursorUnknown => return Err(self.begin_anew().await),
            };
            self.tally.figures.pages += 1;
            let reached = events.iter().rev().find_map(|event| event.id.clone());
            self.apply_events(events).await?;
            let before = since.clone();
            if let Some(id) = reached {
                self.move_to(Some(&id)).await?;
                since = Since::Event(id);
            }
            if last {
                return Ok(());
            }
            if since == before {
                return Err(Stopped::Failed(
                    "the provider's record of events gives the same page again and again: if a \
                     proxy stands between, see that it passes on the query; else see the \
                     provider's status page"
                        .to_owned(),
                ));
            }
            if Instant::now() >= self.until {
                return Err(Stopped::OutOfTime(None));
            }
            recorded = ask_for_events(self.sources, self.until, record, &since).await?;
            if is_the_end(&recorded) {
                self.tally.figures.pages += 1;
                return Ok(());
            }
        }
    }

    /// The record is kept for a limited time, and so is a place in it.
    async fn begin_anew(&self) -> Stopped {
        match self.move_to(None).await {
            Ok(()) => Stopped::Failed(
                "the provider's record no longer knows the event where the last run ended, so \
                 some may be missing: run reconcile without mode now; the next run with it begins \
                 anew"
                    .to_owned(),
            ),
            Err(stopped) => stopped,
        }
    }

    async fn move_to(&self, cursor: Option<&str>) -> Result<(), Stopped> {
        if self.store.set_event_cursor(self.lease, cursor).await? {
            return Ok(());
        }
        Err(lost_lease())
    }

    /// Applies a page. Observations join in whatever order, so a user's newest
    /// profile stands for all of the page's.
    async fn apply_events(&mut self, events: Vec<RecordedEvent>) -> Result<(), Stopped> {
        let mut present: BTreeMap<UserId, (Profile, At, EventBody)> = BTreeMap::new();
        for recorded in events {
            let body = EventBody {
                id: recorded
                    .id
                    .unwrap_or_else(|| format!("sha256 {}", fingerprint(&recorded.body))),
                body: recorded.body,
            };
            match recorded.event {
                Ok(Event::OfNoUser) => {}
                Ok(Event::Statement(Observation::Present { profile, at })) => {
                    let newer = present
                        .get(&profile.id)
                        .is_none_or(|(_, known, _)| *known <= at);
                    if newer {
                        present.insert(profile.id.clone(), (profile, at, body));
                    }
                }
                Ok(Event::Statement(Observation::Gone { id, at })) => {
                    self.join_deletion(&id, at, &body).await?;
                }
                Ok(Event::Hint { id, .. }) => self.tally.doubt(&id, Difference::Doubtful),
                Err(unreadable) => {
                    let user = self.sources.provider.user_in_rejected(&body.body);
                    self.reject_event(&body, &unreadable.to_string(), user.as_ref())
                        .await?;
                }
            }
        }
        self.join_recorded(&present).await?;
        // No sweep follows, so users that turn out to be gone are tombstoned here.
        for gone in self.settle().await? {
            self.tombstone(&gone).await?;
        }
        self.keep_unanswered().await
    }

    async fn join_deletion(
        &mut self,
        id: &UserId,
        at: At,
        body: &EventBody,
    ) -> Result<(), Stopped> {
        match self.store.gone(id, at).await {
            Ok(Outcome::Tied) => self.tally.doubt(id, Difference::Doubtful),
            // Its delivery has been quicker.
            Ok(Outcome::Unchanged) => self.tally.count(Outcome::Unchanged),
            Ok(_) => self.tally.figures.deleted += 1,
            Err(StoreError::Unstorable(reason)) => {
                self.reject_event(body, &reason, Some(id)).await?;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Joins a page's profiles, and keeps the events whose users the table
    /// refuses.
    async fn join_recorded(
        &mut self,
        present: &BTreeMap<UserId, (Profile, At, EventBody)>,
    ) -> Result<(), Stopped> {
        let profiles = present.values().map(|(profile, at, _)| (profile, *at));
        let batch: Vec<_> = profiles.collect();
        for (profile, error) in self.join(&batch, Origin::Delivery).await? {
            match (error, present.get(&profile.id)) {
                (StoreError::Unstorable(reason), Some((_, _, body))) => {
                    self.reject_event(body, &reason, Some(&profile.id)).await?;
                }
                (error, _) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Keeps an event as its delivery would be kept, so that it is kept once.
    async fn reject_event(
        &mut self,
        recorded: &EventBody,
        reason: &str,
        user: Option<&UserId>,
    ) -> Result<(), Stopped> {
        self.tally.figures.listed += 1;
        self.tally.figures.rejected += 1;
        tracing::warn!(
            event_id = recorded.id,
            reason,
            "a recorded event can't be stored"
        );
        let body = self.sources.provider.redacted(&recorded.body);
        self.store
            .reject_delivery(&recorded.id, reason, &body, user)
            .await?;
        Ok(())
    }
}

async fn ask_for_events(
    sources: Sources<'_>,
    until: Instant,
    record: &dyn EventSource,
    since: &Since,
) -> Result<Recorded, Stopped> {
    let effort = Effort {
        until,
        attempts: 10,
        attempt: Duration::from_secs(60),
        size: LARGEST_PAGE,
    };
    let request = record.request(since);
    let read = |answer: &_| record.read(since, answer);
    let (client, provider) = (sources.client, sources.provider);
    let asked = client.ask(provider, &request, effort, read).await;
    asked.map_err(|error| Stopped::by(error, until))
}

/// Whether nothing has followed.
fn is_the_end(recorded: &Recorded) -> bool {
    matches!(recorded, Recorded::Page { events, last: true } if events.is_empty())
}

/// Says so where the record can't be asked for what followed.
fn begin(since: Since) -> Since {
    if let Since::Time(_) = since {
        tracing::info!(
            "the last event that is known is older than the record can be asked for: what happened \
             before, a run without mode repairs"
        );
    }
    since
}
