//! The state that the vendors' routes read: the current one, or that of a moment ago.

use std::sync::Arc;

use super::World;
use crate::simulator::users::{Position, View};
use crate::simulator::vendor::Reading;

/// A page of a listing.
#[derive(Debug)]
pub struct Page {
    /// Profiles, as JSON.
    pub items: Vec<Arc<str>>,
    /// The id of the last user of this page.
    pub last: Option<String>,
    /// The id of the first user of the next page.
    pub next: Option<String>,
}

impl World {
    /// The time that the next read sees, replica lag considered.
    pub fn view(&self) -> View {
        let mut state = self.state();
        let lag = i64::try_from(state.switches.lag_ms).unwrap_or(i64::MAX);
        let share = state.switches.lag_share;
        if lag == 0 || (share < 1.0 && state.random.f64() >= share) {
            View::Now
        } else {
            View::At(self.0.clock.now().saturating_sub(lag))
        }
    }

    /// A user's profile.
    pub fn profile(&self, id: &str, view: View) -> Option<Arc<str>> {
        let vendor = self.vendor();
        let found = self.state().users.get(vendor, id, view)?;
        Some(found.text(vendor))
    }

    /// A user's place in the listing.
    pub fn position(&self, id: &str, view: View) -> Option<Position> {
        self.state().users.position(self.vendor(), id, view)
    }

    /// The users from a position on, or back from it, that pass a filter, each with its id.
    pub fn listed(
        &self,
        view: View,
        from: Option<Position>,
        descending: bool,
        limit: usize,
        passes: impl Fn(&str, &Reading) -> bool,
    ) -> Vec<(String, Arc<str>)> {
        let state = self.state();
        let vendor = self.vendor();
        state
            .users
            .walk(vendor, view, from, descending)
            .filter(|((_, id), found)| passes(id, &found.reading(vendor)))
            .take(limit)
            .map(|((_, id), found)| (id, found.text(vendor)))
            .collect()
    }

    /// The users from a position on, or back from it, that pass a filter.
    pub fn page(
        &self,
        view: View,
        from: Option<Position>,
        descending: bool,
        limit: usize,
        passes: impl Fn(&str, &Reading) -> bool,
    ) -> Page {
        let state = self.state();
        let vendor = self.vendor();
        let mut walk = state
            .users
            .walk(vendor, view, from, descending)
            .filter(|((_, id), found)| passes(id, &found.reading(vendor)));
        let mut last = None;
        let items = walk
            .by_ref()
            .take(limit)
            .map(|((_, id), found)| {
                last = Some(id);
                found.text(vendor)
            })
            .collect();
        Page {
            items,
            last,
            next: walk.next().map(|((_, id), _)| id),
        }
    }
}
