//! Where a walk by cursor goes on, for providers whose cursor is the id of a
//! listed user.
//!
//! Its assumption about paging: users are ordered by a place that doesn't change.
//! A page shows the users who follow the cursor's user, and it may begin with
//! that user: providers have changed from one to the other, and no answer says
//! which it is.
//!
//! The cursor's user can be deleted before the cursor is used. Servers answer
//! that with an error, with the first page, or with an empty page that looks like
//! the end. So the cursor is the last user but one of the page before, and the
//! last user has to follow. A page counts only if that user stands first in it,
//! or second after the cursor's user, in the same place as before: then all that
//! follow are new, and nobody was left out. If not, the walk goes on from earlier
//! users of that page, each with the one who has to follow, and at last from the
//! start. If that doesn't help, the paging has changed.

use serde::{Deserialize, Serialize};

use super::{Page, Place, broken, descends};
use crate::exchange::AnswerError;
use crate::profile::UserId;

/// How often a walk may begin anew.
const MOST_RESTARTS: u32 = 5;

/// How often a page may bring nobody new although more users are said to follow.
const MOST_REPEATS: u32 = 3;

/// Users to go on from.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Cursor {
    /// The best last; none at the start.
    anchors: Vec<Anchor>,
    /// Pages that counted since the start.
    pages: u64,
    restarts: u32,
    /// Pages one after the other that brought nobody new.
    repeats: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Anchor {
    /// The cursor.
    after: String,
    /// The user who has to follow.
    first: Place,
}

/// The users of a page, in its order. A walk by cursor asks for the places of
/// only a few of them.
pub trait Places {
    /// How many users there are.
    fn count(&self) -> usize;

    /// The id of one of them, if it can be asked for.
    fn id(&self, i: usize) -> Option<String>;

    /// What the listing orders this user by, if it can be read.
    fn key(&self, i: usize) -> Option<i64>;

    /// The user's place; `None` without an id. A user who has no key stands with
    /// the user before.
    fn place(&self, i: usize) -> Option<Place> {
        if i >= self.count() {
            return None;
        }
        let id = self.id(i)?;
        let key = (0..=i).rev().find_map(|i| self.key(i));
        let key = key.unwrap_or(i64::MIN);
        Some(Place { key, id })
    }
}

/// How a walk goes on after a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Onward {
    /// It goes on after the page, or asks again if the page brought nobody new.
    On,
    /// It can't: no two users in a row have ids to ask for.
    Nowhere,
    /// It can't: the next page brings nobody new, again and again.
    Repeats,
}

impl Cursor {
    /// Whether these are ids that can be asked for.
    pub fn is_sound(&self) -> bool {
        let is_id = |id: &String| UserId::new(id.as_str()).is_ok();
        let mut ids = self.anchors.iter().flat_map(|a| [&a.after, &a.first.id]);
        ids.all(is_id) && self.restarts <= MOST_RESTARTS && self.repeats <= MOST_REPEATS
    }

    /// The id after which to ask for users; `None` at the start.
    pub fn after(&self) -> Option<&str> {
        Some(self.anchors.last()?.after.as_str())
    }

    /// How many users at the beginning of a page are known already; `None` if the
    /// page doesn't go on from here.
    pub fn known(&self, page: &impl Places) -> Option<usize> {
        let Some(anchor) = self.anchors.last() else {
            return Some(0);
        };
        let first = page.place(0)?;
        if first == anchor.first {
            return Some(1);
        }
        (first.id == anchor.after && page.place(1)? == anchor.first).then_some(2)
    }

    /// Goes on after a page that counted and has `new` new users, or says what
    /// is wrong with it. `name` is the provider's.
    pub(crate) fn go_on(
        &mut self,
        name: &str,
        page: &impl Places,
        new: usize,
    ) -> Result<(), AnswerError> {
        let seen = match self.advance(page, new) {
            _ if descends((0..page.count()).filter_map(|i| page.key(i))) => {
                "shows the newest first"
            }
            Onward::On => return Ok(()),
            Onward::Nowhere => "shows no two users in a row who have ids to go on from",
            Onward::Repeats => "says that more users follow, and shows none of them",
        };
        Err(broken(name, seen))
    }

    /// Goes back, at last to the start, because a page does not go on from the
    /// cursor. `name` is the provider's.
    pub(crate) fn go_back(&mut self, name: &str) -> Result<Page, AnswerError> {
        if self.step_back() || self.begin_anew() {
            return Ok(Page::default());
        }
        Err(broken(
            name,
            "does not begin with the user that was asked for",
        ))
    }

    /// Goes on after a page that counted; `new` of its users were new.
    pub fn advance(&mut self, page: &impl Places, new: usize) -> Onward {
        if new == 0 {
            self.repeats += 1;
            return match self.repeats > MOST_REPEATS {
                true => Onward::Repeats,
                false => Onward::On,
            };
        }
        let anchor = |i: usize| {
            Some(Anchor {
                after: page.id(i)?,
                first: page.place(i + 1)?,
            })
        };
        let mut anchors: Vec<Anchor> = [1, 2, 8, 32, 128, 512]
            .into_iter()
            .map_while(|distance| page.count().checked_sub(distance + 1))
            .filter_map(anchor)
            .collect();
        if anchors.is_empty() {
            // The usual places are taken by users without an id to ask for.
            let pairs = 0..page.count().saturating_sub(1);
            anchors.extend(pairs.rev().find_map(anchor));
        }
        if anchors.is_empty() {
            return Onward::Nowhere;
        }
        anchors.reverse();
        self.anchors = anchors;
        self.pages += 1;
        self.repeats = 0;
        Onward::On
    }

    /// Goes back to an earlier user; false if there is none, so that the walk is
    /// at the start again.
    pub fn step_back(&mut self) -> bool {
        self.anchors.pop();
        !self.anchors.is_empty()
    }

    /// Begins anew at the start; false if that is of no use. If very many users
    /// are deleted at once, a walk can lose all users to go on from, but hardly
    /// twice before its second page.
    pub fn begin_anew(&mut self) -> bool {
        let stuck = self.restarts > 0 && self.pages <= 1;
        self.restarts += 1;
        self.pages = 0;
        self.anchors.clear();
        !stuck && self.restarts <= MOST_RESTARTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Places for Vec<Option<Place>> {
        fn count(&self) -> usize {
            self.len()
        }

        fn id(&self, i: usize) -> Option<String> {
            self[i].as_ref().map(|place| place.id.clone())
        }

        fn key(&self, i: usize) -> Option<i64> {
            self[i].as_ref().map(|place| place.key)
        }
    }

    fn place(id: &str) -> Place {
        Place {
            key: i64::try_from(id.len()).unwrap(),
            id: id.to_owned(),
        }
    }

    fn page(ids: &[&str]) -> Vec<Option<Place>> {
        ids.iter().map(|id| Some(place(id))).collect()
    }

    #[test]
    fn a_page_counts_if_the_last_user_seen_stands_first_or_behind_the_cursor() {
        let mut cursor = Cursor::default();
        assert_eq!(cursor.after(), None);
        assert_eq!(cursor.known(&page(&["a"])), Some(0));
        let ids = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        assert_eq!(cursor.advance(&page(&ids), 10), Onward::On);
        assert_eq!(cursor.after(), Some("i"));
        assert_eq!(cursor.known(&page(&["j", "k"])), Some(1));
        assert_eq!(cursor.known(&page(&["i", "j", "k"])), Some(2));
        assert_eq!(cursor.known(&page(&["i", "j"])), Some(2));
        assert_eq!(cursor.known(&page(&["j"])), Some(1));
        // i was deleted: whatever the server makes of it is not the page.
        for other in [
            &["a", "b"][..],
            &[],
            &["i"],
            &["i", "k", "j"],
            &["k", "j"],
            &["h", "j"],
        ] {
            assert_eq!(cursor.known(&page(other)), None, "{other:?}");
        }
        assert_eq!(cursor.known(&vec![None, Some(place("j"))]), None);
        assert!(cursor.step_back() && cursor.step_back());
        assert_eq!(cursor.after(), Some("b"));
        assert_eq!(cursor.known(&page(&["c", "d"])), Some(1));
        assert!(!cursor.step_back());
        assert_eq!(cursor.after(), None);
    }

    #[test]
    fn a_walk_does_not_continue_from_a_user_that_has_moved() {
        let mut cursor = Cursor::default();
        cursor.advance(&page(&["a", "b", "c"]), 3);
        let moved = Place {
            key: 99,
            id: "c".to_owned(),
        };
        assert_eq!(cursor.known(&vec![Some(moved.clone())]), None);
        assert_eq!(cursor.known(&vec![Some(place("b")), Some(moved)]), None);
    }

    #[test]
    fn nobody_goes_on_from_a_single_user() {
        let mut cursor = Cursor::default();
        assert_eq!(cursor.advance(&page(&["a"]), 1), Onward::Nowhere);
        assert_eq!(cursor.advance(&vec![None, None], 2), Onward::Nowhere);
    }

    #[test]
    fn pages_that_bring_nobody_end_a_walk_soon() {
        let mut cursor = Cursor::default();
        cursor.advance(&page(&["a", "b"]), 2);
        let ends: Vec<_> = (0..4).map(|_| cursor.advance(&page(&["b"]), 0)).collect();
        use Onward::{On, Repeats};
        assert_eq!(ends, [On, On, On, Repeats]);
    }

    #[test]
    fn a_walk_that_does_not_get_beyond_its_first_page_ends_soon() {
        let mut cursor = Cursor::default();
        let restarts = (0..10).take_while(|_| {
            cursor.advance(&page(&["a", "b", "c"]), 3);
            while cursor.step_back() {}
            cursor.begin_anew()
        });
        assert_eq!(restarts.count(), 1);
    }

    #[test]
    fn a_walk_that_loses_its_place_again_and_again_ends() {
        let mut cursor = Cursor::default();
        let restarts = (0..10).take_while(|_| {
            for _ in 0..5 {
                cursor.advance(&page(&["a", "b", "c"]), 3);
            }
            while cursor.step_back() {}
            cursor.begin_anew()
        });
        assert_eq!(restarts.count(), 5);
    }

    #[test]
    fn users_without_an_id_do_not_end_a_walk() {
        let mut listed = page(&["a", "b", "c", "d", "e", "f"]);
        for bad in [5, 3, 1] {
            listed[bad] = None;
        }
        let mut cursor = Cursor::default();
        assert_eq!(cursor.advance(&listed, 6), Onward::Nowhere);
        listed[1] = Some(place("b"));
        assert_eq!(cursor.advance(&listed, 6), Onward::On);
        assert_eq!(cursor.after(), Some("b"));
        assert_eq!(cursor.known(&page(&["c", "d"])), Some(1));
    }
}
