//! The users of a page, read, with the digests of their profiles.

use shared::listing::{Page, Rejected};
use shared::profile::{Digest, Profile};
use shared::provider::Provider;
use shared::store::{Difference, Store, StoreError};
use shared::time::At;
use tokio::task::yield_now;

/// How many users are read at a time. Between two lots the run takes the answers of
/// Postgres and of the provider, so that neither waits for a whole page.
const LOT: usize = 25;

/// The users of a page, with the digests of their profiles.
pub(crate) struct Listed {
    pub(crate) profiles: Vec<Profile>,
    pub(crate) digests: Vec<Option<Digest>>,
    pub(crate) rejected: Vec<Rejected>,
    pub(crate) unloaded: &'static [&'static str],
    /// Fields that are not in the digests, besides those that the adapter names.
    pub(crate) left_out: Vec<String>,
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

    pub(crate) fn users(&self) -> impl Iterator<Item = (&Profile, &Option<Digest>)> {
        self.profiles.iter().zip(&self.digests)
    }

    /// Leaves the other users aside.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&Profile) -> bool) {
        let kept: Vec<bool> = self.profiles.iter().map(&mut keep).collect();
        let mut keeps = kept.iter();
        self.profiles.retain(|_| keeps.next() == Some(&true));
        let mut keeps = kept.iter();
        self.digests.retain(|_| keeps.next() == Some(&true));
    }

    /// Leaves these fields out of the digests.
    pub(crate) fn leave_out(&mut self, left_out: Vec<String>) {
        if left_out == self.left_out {
            return;
        }
        let names = names(self.unloaded, &left_out);
        self.digests = self.profiles.iter().map(|p| p.digest(&names)).collect();
        self.left_out = left_out;
    }

    /// The users that differ from their rows, by their places; `seen`: a moment before
    /// the page was asked for.
    pub(crate) async fn compare(
        &self,
        store: &Store,
        seen: At,
    ) -> Result<Vec<(usize, Difference)>, StoreError> {
        if self.profiles.is_empty() {
            return Ok(Vec::new());
        }
        let left_out = names(self.unloaded, &self.left_out);
        store
            .compare_by(&self.digests, &self.profiles, seen, &left_out)
            .await
    }
}

fn names<'a>(unloaded: &[&'static str], learnt: &'a [String]) -> Vec<&'a str> {
    let learnt = learnt.iter().map(String::as_str);
    unloaded.iter().copied().chain(learnt).collect()
}
