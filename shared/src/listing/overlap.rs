//! The place where a walk by offset goes on, for providers that can do no better.
//!
//! Its assumption about paging: users stand in an order by a place that doesn't
//! change (their sign-up), and a page shows those from an offset on.
//!
//! When a user is deleted, all users after them move one place forward, and the
//! next page would lack one. So pages overlap, and a page counts only if it
//! begins before the last user seen: then it holds everybody from there to its
//! end. If it begins later, the walk goes back as far as it must. A page that ends
//! where the one before did, or earlier, brings nobody new. That happens if users
//! are imported during the walk, but not again and again.

use serde::{Deserialize, Serialize};

use super::{MOST_USERS, broken};
use crate::exchange::AnswerError;

/// How many users two pages have in common if nothing moves.
const OVERLAP: u64 = 10;

/// How many steps without progress end the walk: as many as it takes to go back
/// over a million deleted users.
const MOST_STALLS: u32 = 12;

/// How many full pages one after the other may bring nobody new.
const MOST_REPEATS: u32 = 3;

/// A user's place in the listing's order: it grows as the walk goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The key that the listing is ordered by.
    pub key: i64,
    /// The user's id.
    pub id: String,
}

/// The place where the next page has to begin.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Overlap {
    /// The number of users up to the last one seen, as far as is known.
    next: u64,
    /// How far before that the next page begins.
    back: u64,
    last: Option<Place>,
    /// How far the walk got, and how often it has stood still since.
    farthest: u64,
    stalls: u32,
    #[serde(default)]
    repeats: u32,
}

/// How a page fits into the walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageFit {
    /// It goes on from what was seen.
    Counts,
    /// It begins too late: ask again from [`Overlap::start`].
    TooLate,
    /// It begins too late, however far back the walk goes.
    Lost,
    /// It brings nobody new, and neither did the pages before.
    Repeats,
}

impl PageFit {
    /// Whether the page counts, or what to tell the operator if the walk ends
    /// here. `name` is the provider's.
    pub(crate) fn counts(self, name: &str) -> Result<bool, AnswerError> {
        match self {
            Self::Counts => Ok(true),
            Self::TooLate => Ok(false),
            Self::Lost => Err(broken(name, "does not begin where it was asked for")),
            Self::Repeats => Err(broken(name, "shows the same users again and again")),
        }
    }
}

impl Overlap {
    /// Whether a walk can have got here.
    pub fn is_sound(&self) -> bool {
        [self.next, self.back, self.farthest]
            .iter()
            .all(|users| *users <= MOST_USERS)
            && self.stalls <= MOST_STALLS
            && self.repeats <= MOST_REPEATS
    }

    /// How many users were listed, as far as is known.
    pub fn listed(&self) -> u64 {
        self.next
    }

    /// The offset at which the next page has to begin at the latest.
    pub fn start(&self) -> u64 {
        self.next.saturating_sub(self.back)
    }

    /// Goes on after `listed` users who were listed in the same order by other
    /// means.
    pub fn after(&mut self, listed: u64, last: Option<Place>) {
        *self = Self {
            next: listed,
            back: OVERLAP,
            last,
            farthest: listed,
            stalls: 0,
            repeats: 0,
        };
    }

    /// Takes in a page that was asked for at the offset `start`, with room for
    /// `size` users; `places` are the places of its users.
    pub fn take(&mut self, start: u64, size: u64, places: &[Place]) -> PageFit {
        let end = start + u64::try_from(places.len()).unwrap_or(0);
        if end <= self.farthest {
            self.stalls += 1;
        }
        if self.stalls > MOST_STALLS {
            return PageFit::Lost;
        }
        if !self.goes_on(start, size, places) {
            self.back = (self.back * 4).clamp(OVERLAP, MOST_USERS);
            return PageFit::TooLate;
        }
        let earlier = start > 0 && end > self.next && !self.is_farther(places.last());
        self.repeats = if earlier { self.repeats + 1 } else { 0 };
        if self.repeats > MOST_REPEATS {
            return PageFit::Repeats;
        }
        if end > self.farthest {
            (self.farthest, self.stalls) = (end, 0);
        }
        (self.next, self.back) = (end, OVERLAP);
        if !earlier {
            self.last = places.last().cloned();
        }
        PageFit::Counts
    }

    /// Whether a page that ends at `end` brings anybody new.
    fn is_farther(&self, end: Option<&Place>) -> bool {
        match (end, &self.last) {
            (Some(end), Some(last)) => end.key > last.key || end.key == last.key && end != last,
            _ => true,
        }
    }

    fn goes_on(&self, start: u64, size: u64, places: &[Place]) -> bool {
        let (Some(last), true) = (&self.last, start > 0) else {
            return true;
        };
        let Some(first) = places.first() else {
            return false;
        };
        // Users in the same place come in any order, which can change between
        // two pages. Only a page that begins before all of them shows them all.
        // If more of them than fit into a page are in one place, they are taken
        // in the order in which they come. The provider's count tells if that
        // wasn't enough.
        let crowded = self.back > size / 4 && first.key == last.key;
        first.key < last.key || crowded && places.contains(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(keys: std::ops::Range<i64>) -> Vec<Place> {
        keys.map(|key| Place {
            key,
            id: key.to_string(),
        })
        .collect()
    }

    #[test]
    fn pages_overlap() {
        let mut walk = Overlap::default();
        assert_eq!(walk.start(), 0);
        assert_eq!(walk.take(0, 100, &places(0..100)), PageFit::Counts);
        assert_eq!(walk.start(), 90);
        assert_eq!(walk.take(90, 100, &places(90..190)), PageFit::Counts);
        assert_eq!(walk.start(), 180);
    }

    #[test]
    fn deletions_under_the_walk_take_it_back_as_far_as_it_must() {
        let mut walk = Overlap::default();
        walk.take(0, 100, &places(0..100));
        // 50 of the first hundred are gone: offset 90 is the user 140 now.
        assert_eq!(walk.take(90, 100, &places(140..240)), PageFit::TooLate);
        assert_eq!(walk.start(), 60);
        assert_eq!(walk.take(60, 100, &places(110..210)), PageFit::TooLate);
        assert_eq!(walk.start(), 0);
        assert_eq!(walk.take(0, 100, &places(50..150)), PageFit::Counts);
        assert_eq!(walk.start(), 90);
    }

    #[test]
    fn an_empty_page_is_no_end_if_it_does_not_begin_at_the_start() {
        let mut walk = Overlap::default();
        walk.take(0, 100, &places(0..100));
        assert_eq!(walk.take(90, 100, &[]), PageFit::TooLate);
        let mut empty = Overlap::default();
        assert_eq!(empty.take(0, 100, &[]), PageFit::Counts);
    }

    #[test]
    fn users_in_one_place_are_seen_together_or_in_the_order_they_come_in() {
        let tied = |ids: std::ops::Range<i64>| -> Vec<Place> {
            places(ids)
                .into_iter()
                .map(|place| Place { key: 7, ..place })
                .collect()
        };
        let mut walk = Overlap::default();
        walk.take(0, 100, &tied(0..100));
        assert_eq!(walk.take(90, 100, &tied(90..190)), PageFit::TooLate);
        assert_eq!(walk.take(60, 100, &tied(60..160)), PageFit::Counts);
        assert_eq!(walk.start(), 150);
    }

    #[test]
    fn the_same_page_for_ever_ends_a_walk_soon() {
        let mut walk = Overlap::default();
        let fits: Vec<_> = (0..5)
            .map(|_| walk.take(walk.start(), 100, &places(0..100)))
            .collect();
        use PageFit::{Counts, Repeats};
        let expected = [Counts, Counts, Counts, Counts, Repeats];
        assert_eq!(fits, expected);
        // Pages are smaller in turn.
        let mut walk = Overlap::default();
        let sizes = [100, 90, 99, 88, 98];
        let fits = sizes.map(|size| {
            let places = places(0..i64::try_from(size).unwrap());
            walk.take(walk.start(), size, &places)
        });
        assert_eq!(fits, expected);
    }

    #[test]
    fn a_walk_that_gets_nowhere_ends() {
        let mut walk = Overlap::default();
        walk.take(0, 100, &places(0..100));
        let lost = (0..20).any(|_| {
            let start = walk.start();
            walk.take(start, 100, &[]) == PageFit::Lost
        });
        assert!(lost);
    }
}
