//! A walk over every user of a provider, page by page, and the proof that it
//! reached the end.
//!
//! Invariant: a [`Complete`] is made only from a page that its adapter called
//! the last one, at the end of a walk that met about as many users as the
//! provider counts. A sweep takes nothing else, because absence from a listing
//! that broke off means nothing.

mod cursor;
mod overlap;

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

pub use cursor::{Cursor, Onward, Places};
pub use overlap::{Overlap, PageFit, Place};

use crate::exchange::{Answer, AnswerError, Request};
use crate::profile::UserId;
use crate::signature::fingerprint;

/// An adapter's walk: which page to ask for, and what the answer holds.
pub trait Listing: Send + Sync {
    /// Asks for the next page.
    fn request(&self) -> Request;

    /// Reads the answer and moves on. After an error the walk is where it was
    /// before.
    fn read(&mut self, answer: &Answer) -> Result<Page, AnswerError>;

    /// The place of the walk. In a later invocation
    /// [`crate::provider::Provider::listing`] goes on from there.
    fn position(&self) -> String;

    /// Asks for smaller pages; false if they can't be smaller.
    fn shrink(&mut self) -> bool;

    /// Whether a request that takes the server too long can be split into
    /// smaller ones.
    fn can_narrow(&self) -> bool {
        false
    }

    /// Asks for a smaller part; false if there is none.
    fn narrow(&mut self) -> bool {
        false
    }
}

/// Tells the operator that a listing is not as its adapter assumes: what was
/// seen, and what to do. `name` is the provider's.
pub fn broken(name: &str, seen: &str) -> AnswerError {
    AnswerError::Paging(format!(
        "the {name} listing {seen}: the provider's paging has changed, or users are being deleted or \
         imported by the thousand. Run reconcile again when that is over. If it fails the same way, \
         check that no proxy changes queries, and update to a newer release (the comment at the \
         head of the adapter in shared/src/provider says what this release assumes)"
    ))
}

/// Whether a page shows the newest first, so that a walk by ascending places
/// can't go on with it. A few users show no order, because bad data may give one
/// of them any place. `keys`: of the page's users. The first two that ascend
/// decide, so a page as it should be is not read to its end.
pub(crate) fn descends(keys: impl Iterator<Item = i64>) -> bool {
    let (mut before, mut descending) = (None, 0);
    for key in keys {
        match before.replace(key) {
            Some(before) if before < key => return false,
            Some(before) if before > key => descending += 1,
            _ => {}
        }
    }
    descending >= 4
}

/// More users than any project has. No walk counts further.
pub(crate) const MOST_USERS: u64 = 1 << 40;

/// The place where a walk goes on: the position that it gave earlier, or the start if
/// there is none or if it makes no sense.
pub(crate) fn resume<P: DeserializeOwned + Default>(
    position: Option<&str>,
    is_sound: fn(&P) -> bool,
) -> P {
    position
        .and_then(|position| serde_json::from_str(position).ok())
        .filter(is_sound)
        .unwrap_or_default()
}

/// The users of one page. They are read only after the next page was asked for:
/// [`crate::provider::Provider::listed`] reads one.
#[derive(Default)]
pub struct Page {
    /// The users as listed.
    pub users: Vec<Box<RawValue>>,
    /// Whether no page follows.
    pub last: bool,
    /// Fields that the listing leaves out and a read by id shows. They are not
    /// compared.
    pub unloaded: &'static [&'static str],
    /// With the last page: the number of users by the provider's own count, if it
    /// gives one.
    pub counted: Option<u64>,
}

/// Users are personal data: Debug prints none of it.
impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Page({} users)", self.users.len())
    }
}

/// A listed user that can't be stored.
#[derive(Clone)]
pub struct Rejected {
    /// The user's id, if it could be read.
    pub id: Option<UserId>,
    /// The reason, in words for the operator.
    pub reason: String,
    /// The user as listed.
    pub body: String,
}

impl Rejected {
    /// A name that tells it from others, by its id or by its bytes.
    pub fn name(&self) -> String {
        match &self.id {
            Some(id) => format!("user {}", id.as_str()),
            None => format!("sha256 {}", fingerprint(self.body.as_bytes())),
        }
    }
}

impl std::fmt::Debug for Rejected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rejected({})", self.reason)
    }
}

/// The users that a walk has met, in 8 bytes each.
///
/// Two ids with the same hash are taken for one, with a chance of one in 2^64 for
/// each pair. A user who is gone could then stay a while longer; no user is
/// tombstoned because of it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Met {
    hashes: HashSet<u64>,
    /// Users noted since the last [`Met::keep`].
    fresh: Vec<u64>,
}

impl Met {
    /// Notes a user; false if the walk had met them.
    pub fn insert(&mut self, id: &str) -> bool {
        let hash = hash(id);
        let new = self.hashes.insert(hash);
        if new {
            self.fresh.push(hash);
        }
        new
    }

    /// Forgets a user who was listed but is gone.
    pub fn remove(&mut self, id: &str) {
        self.hashes.remove(&hash(id));
    }

    /// Keeps all users noted so far: they have been dealt with.
    pub fn keep(&mut self) {
        self.fresh.clear();
    }

    /// Forgets the users noted since the last [`Met::keep`]: something broke off
    /// before they were dealt with, and the walk goes on from before them.
    pub fn take_back(&mut self) {
        for hash in self.fresh.drain(..) {
            self.hashes.remove(&hash);
        }
    }

    /// Whether the walk met this user.
    pub fn contains(&self, id: &str) -> bool {
        self.hashes.contains(&hash(id))
    }

    /// The number of users.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Eight bytes for each user, to be kept between invocations.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 * self.hashes.len());
        for hash in &self.hashes {
            bytes.extend_from_slice(&hash.to_be_bytes());
        }
        bytes
    }

    /// The reverse of [`Met::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let hashes = bytes.as_chunks::<8>().0.iter();
        Self {
            hashes: hashes.map(|hash| u64::from_be_bytes(*hash)).collect(),
            fresh: Vec::new(),
        }
    }
}

/// The hash is kept in the database between invocations, perhaps of two releases,
/// so it must be the same in both. The standard library's hash does not promise
/// that; the first 8 bytes of SHA-256 do.
fn hash(id: &str) -> u64 {
    let digest = Sha256::digest(id);
    digest
        .iter()
        .take(8)
        .fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

/// A walk that reached the last page.
#[derive(Debug)]
pub struct Ending {
    counted: Option<u64>,
}

impl Ending {
    /// The end of the walk, if `page` was the last one.
    pub fn after(page: &Page) -> Option<Self> {
        let counted = page.counted;
        page.last.then_some(Self { counted })
    }

    /// The proof, if the walk met about as many users as the provider counts.
    ///
    /// Users come and go during a walk, and the count is not from the same moment
    /// as the pages, so 10 users or 1 % may be missing. A larger gap means that
    /// the listing was cut short. Even a smaller gap tombstones nobody, because
    /// users that a listing lacks are read by id.
    pub fn complete(self, met: &Met) -> Result<Complete, CutShort> {
        let counted = self.counted.unwrap_or(0);
        let listed = u64::try_from(met.len()).unwrap_or(u64::MAX);
        let lenient = counted - (counted / 100).max(10).min(counted);
        if listed < lenient {
            return Err(CutShort { listed, counted });
        }
        Ok(Complete(()))
    }
}

/// A listing that came to an end too early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the provider counts {counted} users and listed {listed}: run reconcile again. If that does \
     not help, check the provider's status page"
)]
pub struct CutShort {
    /// Users that the walk met.
    pub listed: u64,
    /// Users that there are, by the provider's own count.
    pub counted: u64,
}

/// A listing that showed every user.
#[derive(Debug)]
pub struct Complete(());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_with_the_newest_first_descends() {
        let check = |keys: &[i64]| descends(keys.iter().copied());
        assert!(check(&[5, 4, 3, 2, 1]) && check(&[5, 5, 4, 3, 3, 2, 1]));
        for not in [
            &[][..],
            &[3, 2, 1],
            &[1, 2, 3],
            &[5, 4, 3, 2, 1, 2],
            &[1; 9],
        ] {
            assert!(!check(not), "{not:?}");
        }
    }

    #[test]
    fn a_walk_that_met_far_fewer_users_than_are_counted_is_not_complete() {
        let check = |met: usize, counted: Option<u64>, last: bool| {
            let mut users = Met::default();
            for i in 0..met {
                users.insert(&i.to_string());
            }
            let page = Page {
                last,
                counted,
                ..Page::default()
            };
            Ending::after(&page).map(|ending| ending.complete(&users).is_ok())
        };
        assert_eq!(check(0, None, false), None);
        assert_eq!(check(0, None, true), Some(true));
        assert_eq!(check(0, Some(10), true), Some(true));
        assert_eq!(check(0, Some(11), true), Some(false));
        assert_eq!(check(990, Some(1000), true), Some(true));
        assert_eq!(check(1979, Some(2000), true), Some(false));
        assert_eq!(check(1980, Some(2000), true), Some(true));
        assert_eq!(check(50, Some(3), true), Some(true));
    }
}
