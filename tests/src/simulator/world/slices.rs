//! Listings by offset, as many providers have them.

use std::sync::Arc;

use super::World;
use crate::simulator::users::{Position, View};
use crate::simulator::vendor::Reading;

/// A part of a listing.
#[derive(Debug)]
pub struct Slice {
    /// Profiles, as JSON.
    pub items: Vec<Arc<str>>,
    /// How many users the whole listing holds.
    pub total: usize,
}

impl World {
    /// From the users that pass a filter, in the order of their sign-up or the opposite one,
    /// beginning with the position `from`, those after the first `offset`, and how many there are.
    pub fn slice(
        &self,
        view: View,
        from: Option<Position>,
        descending: bool,
        (offset, limit): (usize, usize),
        passes: impl Fn(&str, &Reading) -> bool,
    ) -> Slice {
        let state = self.state();
        let vendor = self.vendor();
        let mut items = Vec::new();
        let mut total = 0;
        let walk = state.users.walk(vendor, view, from, descending);
        for ((_, id), found) in walk {
            if !passes(&id, &found.reading(vendor)) {
                continue;
            }
            if total >= offset && items.len() < limit {
                items.push(found.text(vendor));
            }
            total += 1;
        }
        Slice { items, total }
    }

    /// The ids of the users that pass a filter, by whatever their readings are sorted by.
    pub fn sorted<K: Ord>(
        &self,
        view: View,
        passes: impl Fn(&str, &Reading) -> bool,
        key: impl Fn(&Reading) -> K,
    ) -> Vec<String> {
        let state = self.state();
        let vendor = self.vendor();
        let mut found: Vec<(K, String)> = state
            .users
            .walk(vendor, view, None, false)
            .filter_map(|((_, id), found)| {
                let reading = found.reading(vendor);
                passes(&id, &reading).then(|| (key(&reading), id))
            })
            .collect();
        found.sort();
        found.into_iter().map(|(_, id)| id).collect()
    }
}
