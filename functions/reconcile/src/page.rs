//! A page of the listing is applied: its users are compared with their rows,
//! and those that differ are joined, or left to be settled.

use std::collections::{BTreeMap, HashSet};

use shared::listing::Page;
use shared::profile::{Digest, Profile};
use shared::store::{Difference, Origin, Outcome};
use shared::time::At;

use crate::report::Change;
use crate::run::Run;
use crate::stopped::Stopped;

/// Rows and bytes of one statement.
const BATCH: (usize, usize) = (500, 4 << 20);

/// A page with the digests of its profiles, which are made while Postgres has the
/// page before.
pub(crate) struct Listed {
    pub(crate) page: Page,
    digests: Vec<Option<Digest>>,
    /// Fields that are not in the digests, besides those that the adapter names.
    left_out: Vec<String>,
}

impl Listed {
    pub(crate) fn new(page: Page, left_out: Vec<String>) -> Self {
        let digests = digests(&page.profiles, &names(page.unloaded, &left_out));
        Self {
            page,
            digests,
            left_out,
        }
    }

    /// Leaves out the users whom the walk has met before.
    fn retain(&mut self, is_new: impl FnMut(&Profile) -> bool) {
        let kept: Vec<bool> = self.page.profiles.iter().map(is_new).collect();
        let mut keeps = kept.iter();
        self.page.profiles.retain(|_| keeps.next() == Some(&true));
        let mut keeps = kept.iter();
        self.digests.retain(|_| keeps.next() == Some(&true));
    }
}

fn digests(profiles: &[Profile], left_out: &[&str]) -> Vec<Option<Digest>> {
    profiles.iter().map(|p| p.digest(left_out)).collect()
}

fn names<'a>(unloaded: &[&'static str], learnt: &'a [String]) -> Vec<&'a str> {
    let learnt = learnt.iter().map(String::as_str);
    unloaded.iter().copied().chain(learnt).collect()
}

impl Run<'_> {
    /// Applies a page; gives the database's clock. `seen`: a moment before the
    /// page was asked for.
    pub(crate) async fn apply_page(&mut self, mut listed: Listed, seen: At) -> Result<At, Stopped> {
        self.tally.keep();
        let clock = self.store.now().await?;
        let mut twins = BTreeMap::new();
        for rejected in std::mem::take(&mut listed.page.rejected) {
            // Two users of a page may have the same bytes, if they have no id.
            let twin = twins.entry(rejected.name()).or_insert(0);
            *twin += 1;
            let name = format!("{twin} {}", rejected.name());
            self.reject_once(rejected, &name).await?;
        }
        listed.retain(|profile| self.tally.met.insert(profile.id.as_str()));
        let differences = self.compare(&listed, seen).await?;
        let Page {
            profiles, unloaded, ..
        } = listed.page;
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
        for batch in batches(&unknown) {
            let left_out = self.create(batch).await?;
            if !left_out.is_empty() {
                self.join_listed(&left_out).await?;
            }
        }
        for batch in batches(&newer) {
            self.join_listed(batch).await?;
        }
        self.tally.keep();
        Ok(clock)
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

    /// The users that differ from their rows in more than the fields that are
    /// left out, and a few of those that differ in these alone.
    async fn compare(
        &mut self,
        listed: &Listed,
        seen: At,
    ) -> Result<Vec<(usize, Difference)>, Stopped> {
        let (profiles, unloaded) = (&listed.page.profiles, listed.page.unloaded);
        let learnt = self.tally.unlisted.fields();
        let left_out = names(unloaded, &learnt);
        // The page before may have shown that there are others.
        let remade = (learnt != listed.left_out).then(|| digests(profiles, &left_out));
        let made = remade.as_ref().unwrap_or(&listed.digests);
        let store = &self.store;
        let mut differences = store.compare_by(made, profiles, seen, &left_out).await?;
        if self.tally.unlisted.is_to_be_sampled() {
            let whole = store.compare(profiles, seen, unloaded).await?;
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

fn batches<'a>(profiles: &'a [(&'a Profile, At)]) -> impl Iterator<Item = &'a [(&'a Profile, At)]> {
    let mut rest = profiles;
    std::iter::from_fn(move || {
        let (batch, after) = rest.split_at(batch_length(rest));
        rest = after;
        (!batch.is_empty()).then_some(batch)
    })
}

fn batch_length(profiles: &[(&Profile, At)]) -> usize {
    let (most_rows, most_bytes) = BATCH;
    let mut bytes = 0;
    let fit = profiles.iter().take(most_rows).take_while(|(profile, _)| {
        bytes += profile.raw_json.len();
        bytes <= most_bytes
    });
    fit.count().max(1).min(profiles.len())
}
