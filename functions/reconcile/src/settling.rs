//! Users in doubt: they are read by id after a look at their rows, a lot at a
//! time, because each lot waits out the provider's staleness once.

use futures_util::StreamExt;
use shared::profile::{Profile, UserId};
use shared::settle::{Read, Reread};
use shared::store::{Difference, Look, Origin, Outcome, SettleOptions};

use crate::rejections::without_body;
use crate::report::Change;
use crate::run::{Run, by_id};
use crate::stopped::Stopped;

/// Users that are read together.
pub(crate) const LOT: usize = 500;

/// Users that the provider may fail to show before it counts as broken.
const MOST_UNANSWERED: usize = 3;

/// The outcome of reading a lot of users.
pub(crate) struct LotRead {
    /// Users that the provider did not have.
    pub(crate) gone: Vec<Look>,
    /// Why the rest of the lot was not read.
    pub(crate) stopped: Option<Stopped>,
}

impl Run<'_> {
    /// Settles what a listing or an event left in doubt; gives the users that
    /// the provider does not have, lot by lot.
    pub(crate) async fn settle(&mut self) -> Result<Vec<Vec<Look>>, Stopped> {
        let mut gone = Vec::new();
        if self.dry_run {
            self.count_as_they_seem();
        }
        while !self.tally.doubtful.is_empty() {
            let lot = self.tally.doubtful.iter().take(LOT);
            let ids: Vec<_> = lot.map(|(id, _)| id.clone()).collect();
            self.time_to_reread()?;
            let read = self.reread(&ids).await?;
            self.tally.keep();
            if let Some(stopped) = read.stopped {
                // The others stay in doubt, and the next run begins before them.
                let met = &self.tally.met;
                let is_left = |(id, _): &(UserId, _)| !met.contains(id.as_str());
                self.tally.doubtful.retain(is_left);
                return Err(stopped);
            }
            self.tally.doubtful.drain(..ids.len());
            gone.push(read.gone);
        }
        self.tally.unlisted.done();
        Ok(gone)
    }

    /// A dry run reads nobody: it reports what the listing makes likely.
    fn count_as_they_seem(&mut self) {
        for (id, difference) in std::mem::take(&mut self.tally.doubtful) {
            self.tally.met.insert(id.as_str());
            let (outcome, change) = match difference {
                Difference::Tombstone => (Outcome::Revived, Change::Revive),
                Difference::Unseen => (Outcome::Created, Change::Create),
                _ => (Outcome::Updated, Change::Update),
            };
            self.tally.count(outcome);
            self.tally.find(&id, change);
        }
    }

    /// Reads users by id, as far as the time suffices, and takes in those that
    /// are there.
    pub(crate) async fn reread(&mut self, ids: &[UserId]) -> Result<LotRead, Stopped> {
        let mut reads = self.sources.reread(ids, by_id(self.until)).await?;
        let mut gone = Vec::new();
        while let Some(Reread { look, read }) = reads.next().await {
            let error = match read {
                Ok(read) => {
                    self.tally.answered += 1;
                    match read {
                        Read::NoSuchUser | Read::NoSuchId => gone.push(look),
                        Read::User(profile) => {
                            self.tally.found += 1;
                            self.take_in(&look, &profile).await?;
                        }
                        Read::Unreadable(reason) => {
                            self.tally.found += 1;
                            self.reject(without_body(&look.id, reason)).await?;
                        }
                    }
                    continue;
                }
                Err(error) => error,
            };
            let reason = error.to_string();
            match Stopped::by(error, self.until) {
                stopped if stopped.passes() => {
                    let stopped = Some(stopped);
                    return Ok(LotRead { gone, stopped });
                }
                failed @ Stopped::Failed(_) if self.tally.unanswered.len() < MOST_UNANSWERED => {
                    self.tally.met.insert(look.id.as_str());
                    let user = without_body(&look.id, reason);
                    self.tally.unanswered.push((user, failed));
                }
                stopped => return Err(stopped),
            }
        }
        let stopped = None;
        Ok(LotRead { gone, stopped })
    }

    /// Takes in a user that was read after a look at the row, and counts it.
    async fn take_in(&mut self, look: &Look, profile: &Profile) -> Result<(), Stopped> {
        self.tally.met.insert(look.id.as_str());
        if self.dry_run {
            self.tally.count(Outcome::Unchanged);
            return Ok(());
        }
        let options = SettleOptions {
            origin: Origin::Listing,
            revive: true,
        };
        match self
            .sources
            .settle_present(&self.store, look, profile, options)
            .await
        {
            // Stale: the read is older than the row, and the next run looks again.
            Ok(outcome) => {
                self.tally.taken = true;
                self.tally.unlisted.settled(profile, outcome);
                self.tally.count(outcome.unwrap_or(Outcome::Stale));
            }
            Err(error) => self.reject_refused(&look.id, Some(profile), error).await?,
        }
        Ok(())
    }

    /// Keeps users that the provider failed to show as users that can't be
    /// stored; or stops, if the provider showed no other user either.
    pub(crate) async fn keep_unanswered(&mut self) -> Result<(), Stopped> {
        // They stay unanswered then, so that the next run asks for them again.
        if self.tally.answered == 0
            && let Some((user, stopped)) = self.tally.unanswered.pop()
        {
            if let Some(id) = user.id {
                self.tally.met.remove(id.as_str());
            }
            return Err(stopped);
        }
        for (user, _) in std::mem::take(&mut self.tally.unanswered) {
            self.reject(user).await?;
        }
        self.tally.keep();
        Ok(())
    }
}
