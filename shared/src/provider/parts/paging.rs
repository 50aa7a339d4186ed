//! The common part of the adapters' walks: they are resumed from a position,
//! they are asked for by a path, and their pages shrink.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Api;
use crate::exchange::{Answer, AnswerError, Request};
use crate::listing::{Listing, Page, resume};

/// Where a walk is, and how it goes on from there. It is kept between
/// invocations as JSON.
pub(crate) trait Paging:
    Default + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// Whether a walk can have got here.
    fn is_sound(&self) -> bool;

    /// The path and query of the next page.
    fn path(&self) -> String;

    /// As [`Listing::read`].
    fn read(&mut self, answer: &Answer) -> Result<Page, AnswerError>;

    /// As [`Listing::shrink`].
    fn shrink(&mut self) -> bool;

    /// As [`Listing::can_narrow`].
    fn can_narrow(&self) -> bool {
        false
    }

    /// As [`Listing::narrow`].
    fn narrow(&mut self) -> bool {
        false
    }
}

/// A walk over the users of one API.
struct Walk<P> {
    api: Api,
    at: P,
}

/// Begins a walk, or resumes it at `position`.
pub(crate) fn walk<P: Paging>(api: &Api, position: Option<&str>) -> Box<dyn Listing> {
    Box::new(Walk {
        api: api.clone(),
        at: resume(position, P::is_sound),
    })
}

impl<P: Paging> Listing for Walk<P> {
    fn request(&self) -> Request {
        self.api.get(&self.at.path())
    }

    fn read(&mut self, answer: &Answer) -> Result<Page, AnswerError> {
        self.at.read(answer)
    }

    fn position(&self) -> String {
        serde_json::to_string(&self.at).unwrap_or_default()
    }

    fn shrink(&mut self) -> bool {
        self.at.shrink()
    }

    fn can_narrow(&self) -> bool {
        self.at.can_narrow()
    }

    fn narrow(&mut self) -> bool {
        self.at.narrow()
    }
}

/// How many users a page is asked to hold: at first `MOST`, never fewer than
/// `LEAST`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub(crate) struct PageSize<const LEAST: u64, const MOST: u64>(u64);

impl<const LEAST: u64, const MOST: u64> PageSize<LEAST, MOST> {
    /// The number of users.
    pub(crate) fn get(self) -> u64 {
        self.0
    }

    /// Asks for a quarter; false if pages can't be smaller.
    pub(crate) fn shrink(&mut self) -> bool {
        self.lower_to((self.0 / 4).max(LEAST))
    }

    /// Asks for no more than `size`; false if it was no more before.
    pub(crate) fn lower_to(&mut self, size: u64) -> bool {
        let smaller = size.max(LEAST).min(self.0);
        std::mem::replace(&mut self.0, smaller) > smaller
    }
}

impl<const LEAST: u64, const MOST: u64> Default for PageSize<LEAST, MOST> {
    fn default() -> Self {
        Self(MOST)
    }
}

impl<const LEAST: u64, const MOST: u64> TryFrom<u64> for PageSize<LEAST, MOST> {
    type Error = &'static str;

    fn try_from(size: u64) -> Result<Self, Self::Error> {
        match (LEAST..=MOST).contains(&size) {
            true => Ok(Self(size)),
            false => Err("no size that a page can have"),
        }
    }
}

impl<const LEAST: u64, const MOST: u64> From<PageSize<LEAST, MOST>> for u64 {
    fn from(size: PageSize<LEAST, MOST>) -> Self {
        size.0
    }
}

impl<const LEAST: u64, const MOST: u64> fmt::Display for PageSize<LEAST, MOST> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_shrink_to_the_least_and_not_below() {
        let mut size = PageSize::<20, 500>::default();
        let mut sizes = Vec::new();
        while size.shrink() {
            sizes.push(size.get());
        }
        assert_eq!(sizes, [125, 31, 20]);
        assert!(!size.lower_to(10) && !size.lower_to(30));
        assert_eq!(size.get(), 20);
    }

    #[test]
    fn a_size_that_no_walk_asks_for_is_refused() {
        let read = |json: &str| serde_json::from_str::<PageSize<20, 500>>(json).ok();
        assert_eq!(read("20").map(PageSize::get), Some(20));
        assert_eq!(read("500").map(PageSize::get), Some(500));
        for json in ["19", "501", "0", "-1", "\"20\"", "null"] {
            assert_eq!(read(json), None, "{json}");
        }
    }
}
