//! Users that can't be stored: they are kept in `rejections`, once a run, and
//! counted.

use shared::listing::Rejected;
use shared::profile::{Profile, UserId};
use shared::store::{DROPPED, StoreError};

use crate::lease;
use crate::run::Run;
use crate::stopped::Stopped;

/// A run gives up after this many refused users if it was shown no others.
const ENOUGH: i64 = 500;

impl Run<'_> {
    /// Keeps a user that can't be stored.
    pub(crate) async fn reject(&mut self, rejected: Rejected) -> Result<(), Stopped> {
        let name = format!("1 {}", rejected.name());
        self.reject_once(rejected, &name).await
    }

    /// Keeps a user that can't be stored, unless the run has done so under this
    /// name.
    pub(crate) async fn reject_once(
        &mut self,
        rejected: Rejected,
        name: &str,
    ) -> Result<(), Stopped> {
        let tally = &mut self.tally;
        let kept_as = match &rejected.id {
            Some(id) => {
                tally.met.insert(id.as_str());
                if !tally.rejected.insert(name) {
                    return Ok(());
                }
                rejected.name()
            }
            None => {
                // Users without an id are met, too: the provider's count has them.
                if !tally.met.insert(name) {
                    return Ok(());
                }
                // A number, because their bytes change: each change would be kept
                // as one more user.
                tally.counted.nameless += 1;
                format!("nobody {}", tally.counted.nameless)
            }
        };
        tally.counted.rejected += 1;
        tally.figures.listed += 1;
        tally.figures.rejected += 1;
        tracing::warn!(reason = rejected.reason, "a listed user can't be stored");
        if !self.dry_run {
            let (body, id) = (rejected.body.as_bytes(), rejected.id.as_ref());
            self.store
                .reject_listed(&kept_as, &rejected.reason, body, id)
                .await?;
        }
        Ok(())
    }

    /// Keeps a user whose row is refused. An error that every row might cause is
    /// taken for the statement's own until the table has taken another row.
    pub(crate) async fn reject_refused(
        &mut self,
        id: &UserId,
        profile: Option<&Profile>,
        error: StoreError,
    ) -> Result<(), Stopped> {
        let is_of_this_row = matches!(error, StoreError::Unstorable(_))
            || error.may_be_of_a_row() && self.tally.taken;
        if !is_of_this_row {
            return Err(error.into());
        }
        let mut rejected = without_body(id, error.to_string());
        if let Some(profile) = profile {
            rejected.body.clone_from(&profile.raw_json);
        }
        self.reject(rejected).await?;
        self.tally.refused = Some(error.to_string());
        let figures = self.tally.figures;
        if figures.rejected == figures.listed && figures.rejected >= ENOUGH {
            return self.tally.fail_if_all_are_refused();
        }
        Ok(())
    }

    /// Keeps users whose rows were not written though they have not changed:
    /// the table drops the write, unless the run has lost its lease.
    pub(crate) async fn reject_dropped(&mut self, dropped: Vec<UserId>) -> Result<(), Stopped> {
        if dropped.is_empty() {
            return Ok(());
        }
        lease::renew(&self.store, self.lease).await?;
        for id in dropped {
            let error = StoreError::Unstorable(DROPPED.to_owned());
            self.reject_refused(&id, None, error).await?;
        }
        Ok(())
    }
}

/// A user without a profile: only the id is known.
pub(crate) fn without_body(id: &UserId, reason: String) -> Rejected {
    Rejected {
        id: Some(id.clone()),
        reason,
        body: String::new(),
    }
}
