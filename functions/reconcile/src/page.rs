//! A page of the listing is applied: the users that differ from their rows are
//! joined, or left to be settled.

use std::collections::{BTreeMap, HashSet};

use shared::profile::{Profile, UserId};
use shared::store::{Difference, Origin, Outcome};
use shared::time::At;

use crate::ahead::{Answer, Answered};
use crate::listed::Listed;
use crate::report::Change;
use crate::run::Run;
use crate::stopped::Stopped;
use crate::write::batches;

impl Run<'_> {
    /// Applies a page. `seen`: a moment before the page was asked for.
    pub(crate) async fn apply_page(&mut self, answered: Answered, seen: At) -> Result<(), Stopped> {
        let Answered {
            mut listed,
            answer,
            store,
            ..
        } = answered;
        self.store = store;
        self.tally.keep();
        let mut twins = BTreeMap::new();
        for rejected in std::mem::take(&mut listed.rejected) {
            // Two users of a page may have the same bytes, if they have no id.
            let twin = twins.entry(rejected.name()).or_insert(0);
            *twin += 1;
            let name = format!("{twin} {}", rejected.name());
            self.reject_once(rejected, &name).await?;
        }
        let created = self.tally.figures.created;
        let places = self.meet(&mut listed);
        let users = listed.profiles.len();
        let differences = match answer {
            Answer::Differ(differences) => {
                let here = |(place, difference): (usize, _)| Some((places[place]?, difference));
                let differences = differences.into_iter().filter_map(here).collect();
                self.differences(&mut listed, Some(differences), seen)
                    .await?
            }
            Answer::Made(made) => {
                self.count_made(&mut listed, &made);
                self.differences(&mut listed, None, seen).await?
            }
        };
        let Listed {
            profiles, unloaded, ..
        } = listed;
        self.count_the_same(&profiles, &differences);
        let (mut unknown, mut newer) = (Vec::new(), Vec::new());
        let listed_at = self.facts().listed_at(seen);
        for (place, difference) in differences {
            let profile = &profiles[place];
            match difference {
                Difference::Tombstone | Difference::Doubtful | Difference::Unseen => {
                    self.tally.unlisted.note(profile, unloaded);
                    self.tally.doubt(&profile.id, difference);
                }
                Difference::Created if self.dry_run => {
                    self.tally.count(Outcome::Created);
                    self.tally.find(&profile.id, Change::Create);
                }
                Difference::Updated if self.dry_run => {
                    self.tally.count(Outcome::Updated);
                    self.tally.find(&profile.id, Change::Update);
                }
                Difference::Created => {
                    unknown.push((profile, profile.version.unwrap_or(listed_at)));
                }
                Difference::Updated => {
                    newer.push((profile, profile.version.unwrap_or(listed_at)));
                }
            }
        }
        let left_out = self.create(&unknown).await?;
        for batch in batches(&left_out) {
            self.join_listed(batch).await?;
        }
        for batch in batches(&newer) {
            self.join_listed(batch).await?;
        }
        let created = self.tally.figures.created - created;
        self.tally.expects_new = users > 0 && usize::try_from(created) == Ok(users);
        self.tally.keep();
        Ok(())
    }

    /// Leaves aside whom an earlier page has shown; says where on the page the others
    /// are now.
    fn meet(&mut self, listed: &mut Listed) -> Vec<Option<usize>> {
        let mut met = 0;
        let mut places = Vec::with_capacity(listed.profiles.len());
        listed.retain(|profile| {
            let place = self.tally.met.insert(profile.id.as_str()).then_some(met);
            met += usize::from(place.is_some());
            places.push(place);
            place.is_some()
        });
        places
    }

    /// Counts the users whose rows were made, and leaves the others on the page.
    fn count_made(&mut self, listed: &mut Listed, made: &HashSet<UserId>) {
        self.tally.taken |= !made.is_empty();
        listed.retain(|profile| {
            let is_made = made.contains(&profile.id);
            if is_made {
                self.tally.count(Outcome::Created);
            }
            !is_made
        });
    }

    /// Counts the users whose rows say the same: as updated where this run has
    /// redacted the row.
    fn count_the_same(&mut self, profiles: &[Profile], differences: &[(usize, Difference)]) {
        let differ: HashSet<usize> = differences.iter().map(|(place, _)| *place).collect();
        for (place, profile) in profiles.iter().enumerate() {
            let redacted = self.tally.redacted.contains(profile.id.as_str());
            match (differ.contains(&place), redacted) {
                (true, _) => {}
                (false, true) => self.tally.count(Outcome::Updated),
                (false, false) => self.tally.count(Outcome::Unchanged),
            }
        }
    }

    /// The users that differ from their rows in more than the fields that are left
    /// out, and a few of those that differ in these alone; `known`: the former, by the
    /// fields that were left out when the page was read.
    async fn differences(
        &mut self,
        listed: &mut Listed,
        known: Option<Vec<(usize, Difference)>>,
        seen: At,
    ) -> Result<Vec<(usize, Difference)>, Stopped> {
        // The pages before may have shown that there are others.
        let learnt = self.tally.unlisted.fields();
        let still_known = known.filter(|_| learnt == listed.left_out);
        listed.leave_out(learnt);
        let mut differences = match still_known {
            Some(differences) => differences,
            None => listed.compare(&self.store, seen).await?,
        };
        if self.tally.unlisted.is_to_be_sampled() {
            let (profiles, unloaded) = (&listed.profiles, listed.unloaded);
            let whole = self.store.compare(profiles, seen, unloaded).await?;
            let sample = self.tally.unlisted.sample(profiles, &differences, &whole);
            differences.extend(sample);
        }
        Ok(differences)
    }

    /// Joins a batch, and keeps the users that the table refuses.
    async fn join_listed(&mut self, batch: &[(&Profile, At)]) -> Result<(), Stopped> {
        let refused = self.join(batch, Origin::Listing).await?;
        self.tally.taken |= refused.len() < batch.len();
        for (profile, error) in refused {
            self.reject_refused(&profile.id, Some(profile), error)
                .await?;
        }
        Ok(())
    }
}
