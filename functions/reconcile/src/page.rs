//! A page of the listing is applied: its users are compared with their rows,
//! and those that differ are joined, or left to be settled.

use std::collections::{BTreeMap, HashSet};

use shared::listing::{Page, Rejected};
use shared::profile::{Digest, Profile, UserId};
use shared::provider::Provider;
use shared::store::{Difference, Origin, Outcome};
use shared::time::At;
use tokio::task::yield_now;
use tokio::try_join;

use crate::report::Change;
use crate::run::Run;
use crate::stopped::Stopped;
use crate::write::batches;

/// How many users are read at a time. Between two lots the run takes the answers of
/// Postgres and of the provider, so that neither waits for a whole page.
const LOT: usize = 25;

/// The users of a page, with the digests of their profiles.
pub(crate) struct Listed {
    profiles: Vec<Profile>,
    digests: Vec<Option<Digest>>,
    rejected: Vec<Rejected>,
    unloaded: &'static [&'static str],
    /// Fields that are not in the digests, besides those that the adapter names.
    left_out: Vec<String>,
}

impl Listed {
    /// Reads a page.
    pub(crate) async fn read(provider: &dyn Provider, page: Page, left_out: Vec<String>) -> Self {
        let mut listed = Self {
            profiles: Vec::with_capacity(page.users.len()),
            digests: Vec::with_capacity(page.users.len()),
            rejected: Vec::new(),
            unloaded: page.unloaded,
            left_out,
        };
        let left_out = names(page.unloaded, &listed.left_out);
        for (place, user) in page.users.into_iter().enumerate() {
            if place % LOT == 0 {
                yield_now().await;
            }
            match provider.read_listed(&user) {
                Ok(profile) => {
                    listed.digests.push(profile.digest(&left_out));
                    listed.profiles.push(profile);
                }
                Err(rejected) => listed.rejected.push(rejected),
            }
        }
        listed
    }

    fn users(&self) -> impl Iterator<Item = (&Profile, &Option<Digest>)> {
        self.profiles.iter().zip(&self.digests)
    }

    fn retain(&mut self, mut keep: impl FnMut(&Profile, &Option<Digest>) -> bool) {
        let kept: Vec<bool> = self.users().map(|(p, digest)| keep(p, digest)).collect();
        let mut keeps = kept.iter();
        self.profiles.retain(|_| keeps.next() == Some(&true));
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
        let mut twins = BTreeMap::new();
        for rejected in std::mem::take(&mut listed.rejected) {
            // Two users of a page may have the same bytes, if they have no id.
            let twin = twins.entry(rejected.name()).or_insert(0);
            *twin += 1;
            let name = format!("{twin} {}", rejected.name());
            self.reject_once(rejected, &name).await?;
        }
        listed.retain(|profile, _| self.tally.met.insert(profile.id.as_str()));
        let (users, created) = (listed.profiles.len(), self.tally.figures.created);
        let made = match self.tally.all_were_new && !self.dry_run {
            true => Some(self.make(&mut listed, seen).await?),
            false => None,
        };
        let (clock, differences) = match made {
            Some(clock) if listed.profiles.is_empty() => (clock, Vec::new()),
            _ => self.compare(&listed, seen).await?,
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
        self.tally.all_were_new = users > 0 && usize::try_from(created) == Ok(users);
        self.tally.keep();
        Ok(clock)
    }

    /// Makes the rows of a page without a look at whether there are some, because
    /// the page before had new users alone. Users who have to be compared
    /// nevertheless stay on the page. Gives the database's clock.
    async fn make(&mut self, listed: &mut Listed, seen: At) -> Result<At, Stopped> {
        let clock = self.store.now().await?;
        let listed_at = self.facts().listed_at(seen);
        let new: Vec<_> = listed
            .users()
            .filter(|(_, digest)| digest.is_some())
            .map(|(profile, _)| (profile, profile.version.unwrap_or(listed_at)))
            .collect();
        let left_out = self.create(&new).await?;
        let left_out: HashSet<UserId> = left_out
            .iter()
            .map(|(profile, _)| profile.id.clone())
            .collect();
        listed.retain(|profile, digest| digest.is_none() || left_out.contains(&profile.id));
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

    /// The database's clock; and the users that differ from their rows in more than
    /// the fields that are left out, and a few of those that differ in these alone.
    async fn compare(
        &mut self,
        listed: &Listed,
        seen: At,
    ) -> Result<(At, Vec<(usize, Difference)>), Stopped> {
        let (profiles, unloaded) = (&listed.profiles, listed.unloaded);
        let learnt = self.tally.unlisted.fields();
        let left_out = names(unloaded, &learnt);
        // The page before may have shown that there are others.
        let remade = (learnt != listed.left_out).then(|| digests(profiles, &left_out));
        let made = remade.as_ref().unwrap_or(&listed.digests);
        let store = &self.store;
        // Sent one after the other, and answered so: that saves a round trip.
        let compared = store.compare_by(made, profiles, seen, &left_out);
        let (clock, mut differences) = try_join!(store.now(), compared)?;
        if self.tally.unlisted.is_to_be_sampled() {
            let whole = store.compare(profiles, seen, unloaded).await?;
            let sample = self.tally.unlisted.sample(profiles, &differences, &whole);
            differences.extend(sample);
        }
        Ok((clock, differences))
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
