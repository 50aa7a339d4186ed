//! Who is in the table and was not listed: each is read by id, and only whom
//! the provider itself says it doesn't have is tombstoned, under the brake.
//!
//! Invariant: it takes a [`Complete`]; and either all whom it may tombstone
//! are confirmed and few enough, or none is tombstoned.

use futures_util::StreamExt;
use shared::client::Unanswered;
use shared::listing::Complete;
use shared::profile::{At, UserId};
use shared::provider::Misread;
use shared::reading::Reread;
use shared::store::Look;
use tokio::time::Instant;

use crate::walk::{Tally, Walk, by_id, reject, stopped, take_in, unread};
use crate::{Outcome, Stopped};

/// Users that are looked up together.
const LOT: usize = 500;

/// Ids a page, when the table's living users are gone through.
const PAGE: i64 = 10_000;

/// Tombstones whom the complete listing lacked and the provider doesn't have.
pub(crate) async fn sweep(
    walk: &Walk<'_>,
    tally: &mut Tally,
    _: &Complete,
    max_deletes: Option<i64>,
) -> Result<Outcome, Stopped> {
    let store = walk.sources.store;
    let live = store.live_count().await?;
    if tally.met.is_empty() && live > 0 && max_deletes.is_none() {
        tally.figures.held = live;
        return Ok(Outcome::Held);
    }
    // The larger of 10 and 5 % of the living.
    let most = max_deletes.unwrap_or_else(|| (live / 20).max(10));
    let missing = missing(walk, tally).await?;
    let mut confirmed: Vec<(At, Vec<Look>)> = Vec::new();
    let mut count = 0;
    let mut asked = 0;
    for lot in missing.chunks(LOT) {
        if Instant::now() >= walk.until {
            return Err(Stopped::OutOfTime);
        }
        let (looked_at, gone) = confirm(walk, tally, lot).await?;
        asked += lot.len();
        count += gone.len();
        confirmed.push((looked_at, gone));
        if exceeds(count, most) {
            tally.figures.held = figure(count + missing.len() - asked);
            return Ok(Outcome::Held);
        }
    }
    if tally.dry_run {
        tally.figures.deleted = figure(count);
        return Ok(Outcome::Complete);
    }
    for (looked_at, gone) in confirmed {
        let tombstoned = store.settle_gone(&gone, looked_at, Some(tally.run)).await?;
        tally.figures.deleted += figure(tombstoned.len());
    }
    Ok(Outcome::Complete)
}

fn exceeds(count: usize, most: i64) -> bool {
    usize::try_from(most).is_ok_and(|most| count > most)
}

fn figure(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Living users of the table whom the walk did not meet.
async fn missing(walk: &Walk<'_>, tally: &Tally) -> Result<Vec<UserId>, Stopped> {
    let mut missing = Vec::new();
    let mut last: Option<String> = None;
    loop {
        let ids = walk.sources.store.live_ids(last.as_deref(), PAGE).await?;
        let unmet = ids.iter().filter(|id| !tally.met.contains(id));
        for id in unmet {
            match UserId::new(id.as_str()) {
                Ok(id) => missing.push(id),
                Err(_) => tracing::warn!("a row put in by hand has an id that no user can have"),
            }
        }
        match ids.into_iter().next_back() {
            Some(id) => last = Some(id),
            None => return Ok(missing),
        }
    }
}

/// Reads users by id: who is there after all is taken in; gives who is gone.
async fn confirm(
    walk: &Walk<'_>,
    tally: &mut Tally,
    lot: &[UserId],
) -> Result<(At, Vec<Look>), Stopped> {
    let sources = walk.sources;
    let (looked_at, mut reads) = sources.reread(lot, by_id(walk.until)).await?;
    let mut gone = Vec::new();
    while let Some(Reread { look, read }) = reads.next().await {
        match read {
            Ok(None) | Err(Unanswered::Misread(Misread::NoSuchId)) => gone.push(look),
            Ok(Some(profile)) => {
                if tally.dry_run {
                    tally.figures.listed += 1;
                    tally.figures.unchanged += 1;
                } else {
                    take_in(sources, tally, &look, &profile, looked_at).await?;
                }
            }
            Err(Unanswered::Misread(Misread::Unreadable(unreadable))) => {
                reject(sources, tally, unread(&look.id, unreadable.to_string())).await?;
            }
            Err(error) => return Err(stopped(error, walk.until)),
        }
    }
    Ok((looked_at, gone))
}
