//! Who is in the table and was not listed: each is read by id, and only whom
//! the provider itself says it doesn't have is tombstoned, under the brake.
//!
//! Invariant: it takes a [`Complete`]; and nobody is tombstoned before it is
//! certain that all who are to be are few enough: because so few are missing,
//! or because all who are missing were read.

use shared::listing::Complete;
use shared::profile::UserId;
use tokio::time::Instant;

use crate::run::{LEASE, lost_lease};
use crate::walk::{Gone, Tally, Walk, reread, time_to_reread};
use crate::{Outcome, Stopped};

/// Users that are looked up together.
const LOT: usize = 500;

/// Ids a page, when the table is gone through.
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
    // So few that whoever is confirmed may be tombstoned: should the time be
    // over before all are, the next run has fewer to read.
    let few = !exceeds(missing.len(), most);
    let mut confirmed = Vec::new();
    let mut count = 0;
    let mut asked = 0;
    let mut ended = Ok(());
    for lot in missing.chunks(LOT) {
        ended = time_to_reread(walk.sources, walk.until);
        if ended.is_err() {
            break;
        }
        let (gone, all) = reread(walk.sources, tally, lot, walk.until).await?;
        asked += lot.len();
        count += gone.looks.len();
        confirmed.push(gone);
        if exceeds(count, most) {
            tally.figures.held = figure(count + missing.len() - asked);
            return Ok(Outcome::Held);
        }
        if !few && count > 0 {
            tally.too_many_to_confirm = Some(figure(missing.len()));
        }
        ended = all;
        if ended.is_err() {
            break;
        }
    }
    if tally.dry_run {
        ended?;
        tally.figures.deleted = figure(count);
        return Ok(Outcome::Complete);
    }
    // Behind all reads: a run that one of them fails tombstones nobody.
    if few || ended.is_ok() {
        tombstone(walk, tally, confirmed).await?;
    }
    ended.map(|()| Outcome::Complete)
}

async fn tombstone(
    walk: &Walk<'_>,
    tally: &mut Tally,
    confirmed: Vec<Gone>,
) -> Result<(), Stopped> {
    let store = walk.sources.store;
    for gone in confirmed.iter().filter(|gone| !gone.looks.is_empty()) {
        // A function that was frozen may have outlived its lease: it has to
        // know, or would call a sweep complete that wrote nothing.
        if store.renew_lease(tally.run, LEASE).await?.is_none() {
            return Err(lost_lease());
        }
        let tombstoned = store
            .settle_gone(&gone.looks, gone.looked_at, Some(tally.run))
            .await?;
        tally.figures.deleted += figure(tombstoned.len());
    }
    Ok(())
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
        // A table of millions has hundreds of pages.
        if Instant::now() >= walk.until {
            return Err(Stopped::OutOfTime);
        }
        let ids = walk.sources.store.ids(last.as_deref(), PAGE).await?;
        for (id, lives) in &ids {
            if !lives || tally.met.contains(id) {
                continue;
            }
            match UserId::new(id.as_str()) {
                Ok(id) => missing.push(id),
                Err(_) => tracing::warn!("a row put in by hand has an id that no user can have"),
            }
        }
        match ids.into_iter().next_back() {
            Some((id, _)) => last = Some(id),
            None => return Ok(missing),
        }
    }
}
