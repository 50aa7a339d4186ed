//! Who is in the table and was not listed: each is read by id, and only whom
//! the provider itself says it doesn't have is tombstoned, under the brake.
//!
//! Invariant: it takes a [`Complete`]; and nobody is tombstoned before it is
//! certain that all who are to be are few enough: because so few are missing,
//! or because all who are missing were read.

use shared::listing::Complete;
use shared::profile::UserId;
use shared::store::Shown;
use tokio::time::Instant;

use crate::lease;
use crate::report::RunOutcome;
use crate::stopped::Stopped;
use crate::tally::Tally;
use crate::walk::{self, Gone, Walk, reread, time_to_reread};

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
) -> Result<RunOutcome, Stopped> {
    let store = walk.sources.store;
    let live = store.live_count().await?;
    if tally.met.is_empty() && live > 0 && max_deletes.is_none() {
        tally.figures.held = live;
        return Ok(RunOutcome::Held);
    }
    // The larger of 10 and 5 % of the living.
    let most = max_deletes.unwrap_or_else(|| (live / 20).max(10));
    let missing = missing(walk, tally).await?;
    let mut confirmed = Confirmed::default();
    // So few that whoever is confirmed may be tombstoned: should the time be
    // over before all are, the next run has fewer to read.
    let mut certain = !exceeds(missing.living.len(), most);
    let mut ended = Ok(());
    for lot in missing.living.chunks(LOT) {
        ended = confirm(walk, tally, lot, &mut confirmed).await?;
        let count = confirmed.count;
        if exceeds(count, most) {
            tally.figures.held = figure(count + missing.living.len() - confirmed.asked);
            return Ok(RunOutcome::Held);
        }
        if !certain && count > 0 {
            tally.too_many_to_confirm = Some(figure(missing.living.len()));
        }
        if ended.is_err() {
            break;
        }
    }
    certain |= ended.is_ok();
    if ended.is_ok() {
        tally.too_many_to_confirm = None;
        // Nobody's loss, however many there are.
        for lot in missing.placeholders.chunks(LOT) {
            ended = confirm(walk, tally, lot, &mut confirmed).await?;
            if ended.is_err() {
                break;
            }
        }
    }
    if tally.dry_run {
        ended?;
        tally.figures.deleted = figure(confirmed.count);
        return Ok(RunOutcome::Complete);
    }
    // Behind all reads: a run that one of them fails tombstones nobody.
    if certain {
        tombstone(walk, tally, confirmed.gone).await?;
    }
    ended.map(|()| RunOutcome::Complete)
}

/// Whom the provider was asked for, and whom it didn't have.
#[derive(Default)]
struct Confirmed {
    asked: usize,
    count: usize,
    gone: Vec<Gone>,
}

/// Reads a lot by id, as far as the time suffices.
async fn confirm(
    walk: &Walk<'_>,
    tally: &mut Tally,
    lot: &[UserId],
    confirmed: &mut Confirmed,
) -> Result<Result<(), Stopped>, Stopped> {
    if let Err(stopped) = time_to_reread(walk.sources, walk.until) {
        return Ok(Err(stopped));
    }
    let (gone, ended) = reread(walk.sources, tally, lot, walk.until).await?;
    tally.keep();
    confirmed.asked += lot.len();
    confirmed.count += gone.looks.len();
    confirmed.gone.push(gone);
    Ok(ended)
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
        lease::renew(store, tally.run).await?;
        tally.figures.deleted += walk::tombstone(walk.sources, tally, gone).await?;
    }
    Ok(())
}

fn exceeds(count: usize, most: i64) -> bool {
    usize::try_from(most).is_ok_and(|most| count > most)
}

fn figure(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Rows whose users the walk did not meet.
#[derive(Default)]
struct Missing {
    living: Vec<UserId>,
    /// Nobody that anybody knows of: they count for nothing, and the brake is
    /// not for them.
    placeholders: Vec<UserId>,
}

/// Who is not deleted in the table, and was not met by the walk.
async fn missing(walk: &Walk<'_>, tally: &Tally) -> Result<Missing, Stopped> {
    let mut missing = Missing::default();
    let mut last: Option<String> = None;
    loop {
        // A table of millions has hundreds of pages.
        if Instant::now() >= walk.until {
            return Err(Stopped::OutOfTime(None));
        }
        let ids = walk.sources.store.ids(last.as_deref(), PAGE).await?;
        for (id, shown) in &ids {
            let among = match shown {
                Shown::Living => &mut missing.living,
                Shown::Placeholder => &mut missing.placeholders,
                Shown::Tombstone => continue,
            };
            if tally.met.contains(id) {
                continue;
            }
            match UserId::new(id.as_str()) {
                Ok(id) => among.push(id),
                Err(_) => tracing::warn!("a row put in by hand has an id that no user can have"),
            }
        }
        match ids.into_iter().next_back() {
            Some((id, _)) => last = Some(id),
            None => return Ok(missing),
        }
    }
}
