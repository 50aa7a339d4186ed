//! Users that are in the table and were not listed: each is read by id, and only
//! those that the provider itself says it doesn't have are tombstoned, under the
//! brake.
//!
//! Invariant: it takes a [`Complete`]; and a run tombstones only after its last
//! read, once it is certain that no more users are gone than it is allowed to
//! tombstone: because no more than that are missing, or because all that are
//! missing were read.

use shared::listing::Complete;
use shared::profile::UserId;
use shared::store::{Ids, Look};
use tokio::join;
use tokio::task::yield_now;
use tokio::time::Instant;

use crate::lease;
use crate::report::{Change, RunOutcome};
use crate::run::Run;
use crate::settling::LOT;
use crate::stopped::Stopped;

/// Blocks of the table, each of 8 kB as a rule, whose ids are asked for at a time.
const BLOCKS: i64 = 2_000;

/// The table, gone through: rows whose users the walk did not meet, each once although
/// a row can move while the table is gone through.
#[derive(Default)]
struct Missing {
    /// How many users are shown as living, met or not.
    live: i64,
    living: Vec<UserId>,
    /// Ids that an application has named and no profile has arrived for: they
    /// don't count, and the brake is not for them.
    placeholders: Vec<UserId>,
}

/// The users that the provider was asked for, and those that it didn't have.
#[derive(Default)]
struct Confirmed {
    asked: usize,
    count: usize,
    gone: Vec<Vec<Look>>,
}

impl Run<'_> {
    /// Tombstones users that the complete listing lacked and the provider
    /// doesn't have.
    ///
    /// ```
    /// # use reconcile::Run;
    /// # use shared::listing::Complete;
    /// # async fn end(run: &mut Run<'_>, complete: &Complete) {
    /// let _ = run.sweep(complete, None).await;
    /// # }
    /// ```
    ///
    /// Nothing else than a walk that has reached its end lets a run sweep:
    ///
    /// ```compile_fail,E0308
    /// # use reconcile::Run;
    /// # async fn end(run: &mut Run<'_>) {
    /// let _ = run.sweep(&(), None).await;
    /// # }
    /// ```
    ///
    /// and no other code can say that a walk has done so:
    ///
    /// ```compile_fail,E0423
    /// # use reconcile::Run;
    /// # use shared::listing::Complete;
    /// # async fn end(run: &mut Run<'_>) {
    /// let _ = run.sweep(&Complete(()), None).await;
    /// # }
    /// ```
    pub async fn sweep(
        &mut self,
        _: &Complete,
        max_deletes: Option<i64>,
    ) -> Result<RunOutcome, Stopped> {
        if self.tally.met.is_empty() && max_deletes.is_none() {
            let live = self.store.live_count().await?;
            if live > 0 {
                self.tally.figures.held = live;
                return Ok(RunOutcome::Held);
            }
        }
        let missing = self.missing().await?;
        // The larger of 10 and 5 % of the living.
        let most = max_deletes.unwrap_or_else(|| (missing.live / 20).max(10));
        let mut confirmed = Confirmed::default();
        // So few that every confirmed user is allowed to be tombstoned: if the
        // time is over before all are read, the next run has fewer to read.
        let mut certain = !exceeds(missing.living.len(), most);
        let mut stopped = None;
        for lot in missing.living.chunks(LOT) {
            stopped = self.confirm(lot, &mut confirmed).await?;
            let count = confirmed.count;
            if exceeds(count, most) {
                self.tally.figures.held = figure(count + missing.living.len() - confirmed.asked);
                return Ok(RunOutcome::Held);
            }
            if !certain && count > 0 {
                self.tally.too_many_to_confirm = Some(figure(missing.living.len()));
            }
            if stopped.is_some() {
                break;
            }
        }
        certain |= stopped.is_none();
        if stopped.is_none() {
            self.tally.too_many_to_confirm = None;
            // Nothing is lost with placeholders, however many there are.
            for lot in missing.placeholders.chunks(LOT) {
                stopped = self.confirm(lot, &mut confirmed).await?;
                if stopped.is_some() {
                    break;
                }
            }
        }
        if self.dry_run {
            for look in confirmed.gone.iter().flatten() {
                self.tally.find(&look.id, Change::Delete);
                // A run that goes on from here need not read them again.
                self.tally.met.insert(look.id.as_str());
            }
            self.tally.keep();
            self.tally.figures.deleted = figure(confirmed.count);
            if let Some(stopped) = stopped {
                return Err(stopped);
            }
            return Ok(RunOutcome::Complete);
        }
        // After all reads: a run that one of them fails tombstones nobody.
        if certain {
            self.tombstone_confirmed(confirmed).await?;
        }
        match stopped {
            Some(stopped) => Err(stopped),
            None => Ok(RunOutcome::Complete),
        }
    }

    /// Tombstones users whom a person has named, one by one: those of them that the
    /// provider doesn't have now, and nobody else. No listing is needed for that.
    pub(crate) async fn tombstone_named(&mut self, named: &[UserId]) -> Result<(), Stopped> {
        let mut confirmed = Confirmed::default();
        let mut stopped = None;
        for lot in named.chunks(LOT) {
            stopped = self.confirm(lot, &mut confirmed).await?;
            if stopped.is_some() {
                break;
            }
        }
        self.tombstone_confirmed(confirmed).await?;
        self.keep_unanswered().await?;
        stopped.map_or(Ok(()), Err)
    }

    /// Reads a lot by id, as far as the time suffices; gives why it did not.
    async fn confirm(
        &mut self,
        lot: &[UserId],
        confirmed: &mut Confirmed,
    ) -> Result<Option<Stopped>, Stopped> {
        if let Err(stopped) = self.time_to_reread() {
            return Ok(Some(stopped));
        }
        let read = self.reread(lot).await?;
        self.tally.keep();
        confirmed.asked += lot.len();
        confirmed.count += read.gone.len();
        confirmed.gone.push(read.gone);
        Ok(read.stopped)
    }

    async fn tombstone_confirmed(&mut self, confirmed: Confirmed) -> Result<(), Stopped> {
        for gone in confirmed.gone.iter().filter(|gone| !gone.is_empty()) {
            // A function that was frozen may have outlived its lease. Without this
            // it would call a sweep complete that wrote nothing.
            lease::renew(&self.store, self.lease).await?;
            self.tombstone(gone).await?;
        }
        Ok(())
    }

    /// Users that are not deleted in the table, and that the walk did not meet.
    async fn missing(&self) -> Result<Missing, Stopped> {
        let mut missing = Missing::default();
        let mut ids = self.store.ids(0..BLOCKS).await?;
        let mut next = BLOCKS;
        while next < ids.blocks() {
            // A table of millions has hundreds of parts.
            if Instant::now() >= self.until {
                return Err(Stopped::OutOfTime(None));
            }
            let look = async {
                // The next ones are asked for first.
                yield_now().await;
                self.look_at(&ids, &mut missing);
            };
            let (after, ()) = join!(self.store.ids(next..next + BLOCKS), look);
            ids = after?;
            next += BLOCKS;
        }
        self.look_at(&ids, &mut missing);
        missing.living.sort_unstable();
        missing.living.dedup();
        missing.placeholders.sort_unstable();
        missing.placeholders.dedup();
        Ok(missing)
    }

    fn look_at(&self, ids: &Ids, missing: &mut Missing) {
        let living = ids.living();
        missing.live += figure(living.len());
        self.note_unmet(living, &mut missing.living);
        self.note_unmet(ids.placeholders(), &mut missing.placeholders);
    }

    fn note_unmet(&self, ids: Vec<&str>, among: &mut Vec<UserId>) {
        for id in ids {
            if self.tally.met.contains(id) {
                continue;
            }
            match UserId::new(id) {
                Ok(id) => among.push(id),
                Err(_) => {
                    tracing::warn!("a row put in by hand has an id that no user can have");
                }
            }
        }
    }
}

fn exceeds(count: usize, most: i64) -> bool {
    usize::try_from(most).is_ok_and(|most| count > most)
}

fn figure(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
