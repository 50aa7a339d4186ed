//! Where a walk by cursor goes on, for providers whose cursor is the id of a
//! listed user.
//!
//! Such a cursor may be deleted before it is used, and what a server makes of
//! that is anybody's guess: an error, the first page, or an empty page that
//! looks like the end. So the cursor is the last user but one of the page
//! before, and a page counts only if it begins with the last one. If it
//! doesn't, the walk goes on from earlier users of that page, each with the one
//! who has to follow.

use serde::{Deserialize, Serialize};

use crate::profile::UserId;

/// Users to go on from, the best last; none at the start.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Cursor(Vec<Anchor>);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Anchor {
    /// The cursor.
    after: String,
    /// Who has to be the first of the page.
    first: String,
}

impl Cursor {
    /// Whether these are ids that could be asked for.
    pub fn is_sound(&self) -> bool {
        let is_id = |id: &String| UserId::new(id.as_str()).is_ok();
        let anchors = self.0.iter();
        anchors.flat_map(|a| [&a.after, &a.first]).all(is_id)
    }

    /// The id to ask for the users after; `None` at the start.
    pub fn after(&self) -> Option<&str> {
        Some(self.0.last()?.after.as_str())
    }

    /// How many of a page's users, given by their ids, are known; `None` if
    /// the page doesn't go on from here.
    pub fn known(&self, ids: &[Option<String>]) -> Option<usize> {
        let Some(anchor) = self.0.last() else {
            return Some(0);
        };
        let first = ids.first().and_then(|id| id.as_deref());
        (first == Some(anchor.first.as_str())).then_some(1)
    }

    /// Goes on after these users of a page that counted; false if there are
    /// none to go on from: fewer than two, or no two neighbours with ids.
    pub fn advance(&mut self, ids: &[Option<String>]) -> bool {
        let anchor = |i: usize| {
            Some(Anchor {
                after: ids[i].clone()?,
                first: ids[i + 1].clone()?,
            })
        };
        let distances = std::iter::successors(Some(1_usize), |distance| distance.checked_mul(2));
        let mut anchors: Vec<Anchor> = distances
            .map_while(|distance| ids.len().checked_sub(distance + 1))
            .filter_map(anchor)
            .collect();
        if anchors.is_empty() {
            // Users without an id that could be asked for stand where it matters.
            let pairs = 0..ids.len().saturating_sub(1);
            anchors.extend(pairs.rev().find_map(anchor));
        }
        anchors.reverse();
        let moved = !anchors.is_empty();
        if moved {
            self.0 = anchors;
        }
        moved
    }

    /// Goes back to an earlier user; false if there is none, and the walk is
    /// at the start again.
    pub fn step_back(&mut self) -> bool {
        self.0.pop();
        !self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ids: &[&str]) -> Vec<Option<String>> {
        ids.iter().map(|id| Some((*id).to_owned())).collect()
    }

    #[test]
    fn a_page_counts_only_if_it_begins_with_the_last_user_seen() {
        let mut cursor = Cursor::default();
        assert_eq!(cursor.after(), None);
        assert_eq!(cursor.known(&ids(&["a"])), Some(0));
        assert!(cursor.advance(&ids(&["a", "b", "c", "d"])));
        assert_eq!(cursor.after(), Some("c"));
        assert_eq!(cursor.known(&ids(&["d", "e"])), Some(1));
        // c was deleted: whatever the server makes of it is not the page.
        assert_eq!(cursor.known(&ids(&["a", "b"])), None);
        assert_eq!(cursor.known(&[]), None);
        assert!(cursor.step_back());
        assert_eq!(cursor.after(), Some("b"));
        assert_eq!(cursor.known(&ids(&["c", "d"])), Some(1));
        assert!(!cursor.step_back());
        assert_eq!(cursor.after(), None);
    }

    #[test]
    fn nobody_goes_on_from_a_single_user() {
        let mut cursor = Cursor::default();
        assert!(!cursor.advance(&ids(&["a"])));
        assert!(!cursor.advance(&[]));
        assert!(!cursor.advance(&[None, None]));
    }

    #[test]
    fn users_without_an_id_do_not_end_a_walk() {
        let mut listed = ids(&["a", "b", "c", "d", "e", "f"]);
        for bad in [5, 3, 1] {
            listed[bad] = None;
        }
        let mut cursor = Cursor::default();
        assert!(!cursor.advance(&listed));
        listed[1] = Some("b".to_owned());
        assert!(cursor.advance(&listed));
        assert_eq!(cursor.after(), Some("b"));
        assert_eq!(cursor.known(&ids(&["c", "d"])), Some(1));
    }
}
