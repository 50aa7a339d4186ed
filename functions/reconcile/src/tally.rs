//! The figures of a run, the users that it has met, and those that it has yet to
//! settle.
//!
//! Invariant: of the users that the walk has passed, only their hashes are kept.

use shared::listing::{Met, Rejected};
use shared::profile::UserId;
use shared::store::{Difference, Figures, Outcome, Saved};

use crate::report::{Change, Finding};
use crate::stopped::Stopped;
use crate::unlisted::Unlisted;

/// The work that a run has done so far.
pub(crate) struct Tally {
    pub(crate) figures: Figures,
    /// Users that the walk is done with; a doubtful user only once it is settled.
    pub(crate) met: Met,
    /// Users that were read by id, and are there.
    pub(crate) found: i64,
    /// How many users are missing, if there are more than the run is allowed to
    /// tombstone: if the time is too short to read them all, it may never suffice.
    pub(crate) too_many_to_confirm: Option<i64>,
    /// Users that were rejected: pages overlap, and a settled user may be listed
    /// twice.
    pub(crate) rejected: Met,
    /// Users who are not deleted, and of whose rows the run has taken out what the
    /// secret redacts.
    pub(crate) redacted: Met,
    pub(crate) doubtful: Vec<(UserId, Difference)>,
    /// Whether the next page is likely to have new users alone: there was no whole run
    /// yet, or the page before had no others.
    pub(crate) expects_new: bool,
    /// Whether the table has taken a row of this run.
    pub(crate) taken: bool,
    /// Why the table refused the last row that it refused.
    pub(crate) refused: Option<String>,
    /// Reads by id that the provider answered, whatever the answer.
    pub(crate) answered: usize,
    /// Users that the provider fails to show, and what that means for the run
    /// unless it shows others: a user that it can never show must not fail every
    /// run.
    pub(crate) unanswered: Vec<(Rejected, Stopped)>,
    /// The counts of the walk, and the part of them that is done with.
    pub(crate) counted: Counted,
    kept: Counted,
    /// Fields in which the listing differs from reads of every user.
    pub(crate) unlisted: Unlisted,
    /// Of a dry run: what would change.
    pub(crate) findings: Vec<Finding>,
    /// How many of each change those are.
    told: [usize; 4],
}

/// The counts of a walk over all its runs.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counted {
    pub(crate) rejected: i64,
    pub(crate) nameless: i64,
}

impl Tally {
    /// `saved`: what earlier runs of the walk have done.
    pub(crate) fn new(saved: &Saved) -> Self {
        let counted = Counted {
            rejected: saved.rejected,
            nameless: saved.nameless,
        };
        Self {
            figures: Figures::default(),
            met: saved
                .met
                .as_deref()
                .map(Met::from_bytes)
                .unwrap_or_default(),
            found: 0,
            too_many_to_confirm: None,
            rejected: Met::default(),
            redacted: Met::default(),
            doubtful: Vec::new(),
            expects_new: false,
            taken: false,
            refused: None,
            answered: 0,
            unanswered: Vec::new(),
            counted,
            kept: counted,
            unlisted: Unlisted::default(),
            findings: Vec::new(),
            told: [0; 4],
        }
    }

    /// Notes what a run would make of a row, for the person who asked.
    pub(crate) fn find(&mut self, id: &UserId, change: Change) {
        let told = &mut self.told[change as usize];
        if *told < Finding::MOST {
            *told += 1;
            let id = id.clone();
            self.findings.push(Finding { id, change });
        }
    }

    /// The run is done with all users that were met so far.
    pub(crate) fn keep(&mut self) {
        self.met.keep();
        self.kept = self.counted;
    }

    /// The state for the next run, which goes on at `position`.
    pub(crate) fn saved(&mut self, position: &str) -> Saved {
        // Users that the provider did not show were met, and are not done with.
        for (user, _) in std::mem::take(&mut self.unanswered) {
            if let Some(id) = user.id {
                self.met.remove(id.as_str());
            }
        }
        self.met.take_back();
        if self.met.is_empty() {
            return Saved::default();
        }
        Saved {
            position: Some(position.to_owned()),
            met: Some(self.met.to_bytes()),
            rejected: self.kept.rejected,
            nameless: self.kept.nameless,
        }
    }

    pub(crate) fn begin_anew(&mut self) {
        self.met = Met::default();
        self.counted = Counted::default();
        self.keep();
    }

    /// Fails if most of the users that this run was shown can't be stored.
    pub(crate) fn rejects_most(&self) -> Result<(), Stopped> {
        self.most_are_good(self.figures.rejected, self.figures.listed)
    }

    /// Fails if most of the users of the whole walk can't be stored.
    pub(crate) fn rejected_most(&self) -> Result<(), Stopped> {
        let met = i64::try_from(self.met.len()).unwrap_or(i64::MAX);
        self.most_are_good(self.counted.rejected, met)
    }

    fn most_are_good(&self, rejected: i64, listed: i64) -> Result<(), Stopped> {
        if rejected.saturating_mul(2) <= listed {
            return Ok(());
        }
        Err(Stopped::Failed(format!(
            "{rejected} of {listed} listed users can't be stored, so nobody is taken for deleted: \
             the table \"rejections\" says why of each. If they have no id, see that \
             provider.api_url is the provider's own address and that no proxy rewrites its \
             answers; if they are refused by the table, see its constraints and triggers"
        )))
    }

    pub(crate) fn count(&mut self, outcome: Outcome) {
        self.figures.listed += 1;
        let figure = match outcome {
            Outcome::Created => &mut self.figures.created,
            Outcome::Updated => &mut self.figures.updated,
            Outcome::Revived => &mut self.figures.revived,
            // Stale: the row is newer, so a delivery has been quicker.
            Outcome::Unchanged | Outcome::Stale | Outcome::Tied => &mut self.figures.unchanged,
        };
        *figure += 1;
    }

    /// Fails the run if the table has refused every user.
    pub(crate) fn fail_if_all_are_refused(&self) -> Result<(), Stopped> {
        match &self.refused {
            Some(reason) if self.figures.rejected == self.figures.listed => {
                Err(Stopped::Failed(format!(
                    "the table takes no user: {reason}. Change what refuses them, and run \
                     reconcile again; they are kept in rejections"
                )))
            }
            _ => Ok(()),
        }
    }

    /// Leaves a user to be settled.
    pub(crate) fn doubt(&mut self, id: &UserId, difference: Difference) {
        self.met.remove(id.as_str());
        self.doubtful.push((id.clone(), difference));
    }
}
