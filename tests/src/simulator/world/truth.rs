//! The true state of the users, to compare a table with.

use std::sync::Arc;

use serde::Serialize;

use super::World;
use crate::simulator::users::{Found, Position, View};
use crate::simulator::vendor::{Reading, Standing};

/// A living user, as the table should show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Truth {
    /// The provider's id.
    pub id: String,
    /// The whole profile, byte for byte as the API shows it, save for secrets that no table may
    /// keep.
    #[serde(serialize_with = "as_text")]
    pub profile: Arc<str>,
    /// The fields of the profile.
    #[serde(flatten)]
    pub reading: Reading,
}

/// A profile that was set by hand need not be JSON, so it travels as a string.
fn as_text<S: serde::Serializer>(profile: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(profile)
}

impl World {
    /// All living users, in the order of their sign-up. Users that change meanwhile are seen
    /// before or after.
    pub fn truth(&self) -> impl Iterator<Item = Truth> + use<> {
        let world = self.clone();
        let mut next = Some(None);
        std::iter::from_fn(move || {
            let (page, after) = world.truth_page(next.take()?, 1_000);
            next = after.map(Some);
            Some(page)
        })
        .flatten()
    }

    /// Living users from a position on, and the position of the next one.
    pub fn truth_page(
        &self,
        from: Option<Position>,
        limit: usize,
    ) -> (Vec<Truth>, Option<Position>) {
        let state = self.state();
        let vendor = self.vendor();
        let living = |found: &Found| found.reading(vendor).standing != Standing::Deleted;
        let mut walk = state
            .users
            .walk(vendor, View::Now, from, false)
            .filter(|(_, found)| living(found));
        let page = walk
            .by_ref()
            .take(limit)
            .map(|((_, id), found)| Truth {
                id,
                profile: vendor.kept(found.text(vendor)),
                reading: found.reading(vendor),
            })
            .collect();
        (page, walk.next().map(|(position, _)| position))
    }

    /// Fields of a profile in which a row may differ, because listings leave them open.
    pub fn unlisted(&self) -> &'static [&'static str] {
        self.vendor().unlisted()
    }

    /// A living user.
    pub fn user(&self, id: &str) -> Option<Truth> {
        let vendor = self.vendor();
        let found = self.state().users.get(vendor, id, View::Now)?;
        let reading = found.reading(vendor);
        (reading.standing != Standing::Deleted).then(|| Truth {
            id: id.to_owned(),
            profile: vendor.kept(found.text(vendor)),
            reading,
        })
    }

    /// How many users live.
    pub fn live(&self) -> u64 {
        self.state().users.live()
    }

    /// The users that were deleted, by id, and when, in milliseconds since 1970.
    pub fn deleted(&self) -> Vec<(String, i64)> {
        let state = self.state();
        let deleted = state.users.deleted();
        deleted.iter().map(|(id, at)| (id.clone(), *at)).collect()
    }

    /// The ids of the users that were deleted.
    pub fn deleted_ids(&self) -> Vec<String> {
        self.state().users.deleted().keys().cloned().collect()
    }
}
