//! The provider's record of events, from where the last run left off.
//!
//! Invariants: the place in the record moves only behind events whose effects
//! are committed, and only here; whatever the record lacks, a listing repairs.

use std::collections::BTreeMap;
use std::time::Duration;

use shared::client::Effort;
use shared::profile::{Observation, Profile, UserId};
use shared::provider::{Event, EventSource, Recorded, RecordedEvent, Since};
use shared::settle::Sources;
use shared::signature::fingerprint;
use shared::store::{Difference, Outcome, StoreError};
use shared::time::At;
use tokio::time::Instant;

use crate::lease::lost_lease;
use crate::stopped::Stopped;
use crate::tally::Tally;
use crate::walk::{identify, keep_unanswered, settle, tombstone};

/// The first run goes back as far as this: every event that it meets again is
/// joined to the same effect, and a week is longer than anybody should wait
/// between two listings, which show what is older.
const FIRST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Bytes that a page may have.
const LARGEST_PAGE: usize = 32 << 20;

/// Applies the events that followed since the last run. `now`: the database's
/// clock.
pub(crate) async fn drain(
    sources: Sources<'_>,
    tally: &mut Tally,
    until: Instant,
    now: At,
) -> Result<(), Stopped> {
    let Some(record) = sources.provider.events() else {
        let name = sources.provider.facts().name;
        return Err(Stopped::Failed(format!(
            "{name} keeps no record of events: leave out mode, and a run walks the listing"
        )));
    };
    let mut since = match sources.store.event_cursor().await? {
        Some(id) => begin(record.go_on(id, now)),
        None => Since::Time(now - FIRST),
    };
    loop {
        let recorded = ask(sources, record, &since, until).await?;
        if let Recorded::Page { events, last: true } = &recorded
            && events.is_empty()
        {
            tally.figures.pages += 1;
            return Ok(());
        }
        // Where nothing has happened, one request is all that a run costs.
        identify(sources, until).await?;
        sources.store.is_bound().await?;
        let (events, last) = match recorded {
            Recorded::Page { events, last } => (events, last),
            Recorded::CursorUnknown => return Err(begin_anew(sources, tally).await),
        };
        tally.figures.pages += 1;
        let reached = events.iter().rev().find_map(|event| event.id.clone());
        apply(sources, tally, events, until).await?;
        let before = since.clone();
        if let Some(id) = reached {
            move_to(sources, tally, Some(&id)).await?;
            since = Since::Event(id);
        }
        if last {
            return Ok(());
        }
        if since == before {
            return Err(Stopped::Failed(
                "the provider's record of events gives the same page again and again: if a proxy \
                 stands between, see that it passes on the query; else see the provider's status \
                 page"
                    .to_owned(),
            ));
        }
        if Instant::now() >= until {
            return Err(Stopped::OutOfTime(None));
        }
    }
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

async fn ask(
    sources: Sources<'_>,
    record: &dyn EventSource,
    since: &Since,
    until: Instant,
) -> Result<Recorded, Stopped> {
    let effort = Effort {
        until,
        attempts: 10,
        attempt: Duration::from_secs(60),
        size: LARGEST_PAGE,
    };
    let request = record.request(since);
    let read = |answer: &_| record.read(since, answer);
    let asked = sources
        .client
        .ask(sources.provider, &request, effort, read)
        .await;
    asked.map_err(|error| Stopped::by(error, until))
}

/// The record is kept for a limited time, and so is a place in it.
async fn begin_anew(sources: Sources<'_>, tally: &Tally) -> Stopped {
    match move_to(sources, tally, None).await {
        Ok(()) => Stopped::Failed(
            "the provider's record no longer knows the event where the last run ended, so some \
             may be missing: run reconcile without mode now; the next run with it begins anew"
                .to_owned(),
        ),
        Err(stopped) => stopped,
    }
}

async fn move_to(sources: Sources<'_>, tally: &Tally, cursor: Option<&str>) -> Result<(), Stopped> {
    if sources.store.set_event_cursor(tally.run, cursor).await? {
        return Ok(());
    }
    Err(lost_lease())
}

/// Applies a page. Observations join in whatever order, so a user's newest
/// profile stands for all of the page's.
async fn apply(
    sources: Sources<'_>,
    tally: &mut Tally,
    events: Vec<RecordedEvent>,
    until: Instant,
) -> Result<(), Stopped> {
    let mut present: BTreeMap<UserId, (Profile, At, RecordedBody)> = BTreeMap::new();
    for recorded in events {
        let body = RecordedBody {
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
                gone(sources, tally, &id, at, &body).await?;
            }
            Ok(Event::Hint { id, .. }) => tally.doubt(&id, Difference::Doubtful),
            Err(unreadable) => {
                let user = sources.provider.user_in_rejected(&body.body);
                reject(
                    sources,
                    tally,
                    &body,
                    &unreadable.to_string(),
                    user.as_ref(),
                )
                .await?;
            }
        }
    }
    join(sources, tally, present.into_values().collect()).await?;
    // No sweep follows, so who turns out to be gone is tombstoned here.
    for gone in settle(sources, tally, until).await? {
        tally.figures.deleted += tombstone(sources, tally, &gone).await?;
    }
    keep_unanswered(sources, tally).await
}

/// An event as it can be kept.
struct RecordedBody {
    id: String,
    body: bytes::Bytes,
}

async fn gone(
    sources: Sources<'_>,
    tally: &mut Tally,
    id: &UserId,
    at: At,
    body: &RecordedBody,
) -> Result<(), Stopped> {
    match sources.store.gone(id, at).await {
        Ok(Outcome::Tied) => tally.doubt(id, Difference::Doubtful),
        // Its delivery has been quicker.
        Ok(Outcome::Unchanged) => tally.count(Outcome::Unchanged),
        Ok(_) => tally.figures.deleted += 1,
        Err(StoreError::Unstorable(reason)) => {
            reject(sources, tally, body, &reason, Some(id)).await?;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// One statement a page; should Postgres refuse a profile, one each.
async fn join(
    sources: Sources<'_>,
    tally: &mut Tally,
    present: Vec<(Profile, At, RecordedBody)>,
) -> Result<(), Stopped> {
    let batch: Vec<_> = present
        .iter()
        .map(|(profile, at, _)| (profile, *at))
        .collect();
    match sources.store.join(&batch, true).await {
        Ok(outcomes) => note(tally, outcomes),
        Err(error) if error.may_be_of_a_row() => {
            for (profile, at, body) in &present {
                match sources.store.join(&[(profile, *at)], true).await {
                    Ok(outcomes) => note(tally, outcomes),
                    Err(StoreError::Unstorable(reason)) => {
                        reject(sources, tally, body, &reason, Some(&profile.id)).await?;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

fn note(tally: &mut Tally, outcomes: Vec<(UserId, Outcome)>) {
    for (id, outcome) in outcomes {
        match outcome {
            Outcome::Tied => tally.doubt(&id, Difference::Doubtful),
            outcome => tally.count(outcome),
        }
    }
}

/// Kept as its delivery would be, so that it is kept once.
async fn reject(
    sources: Sources<'_>,
    tally: &mut Tally,
    recorded: &RecordedBody,
    reason: &str,
    user: Option<&UserId>,
) -> Result<(), Stopped> {
    tally.figures.listed += 1;
    tally.figures.rejected += 1;
    tracing::warn!(
        event_id = recorded.id,
        reason,
        "a recorded event can't be stored"
    );
    let body = sources.provider.redacted(&recorded.body);
    let store = sources.store;
    store
        .reject_delivery(&recorded.id, reason, &body, user)
        .await?;
    Ok(())
}
