//! The users of the simulated project, now and up to ten minutes ago.
//!
//! Seeded users that nobody has touched are only counted. A short list of what changed lately,
//! with what was there before, lets a reader see the state of an earlier time: replica lag.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::iter::Peekable;
use std::sync::Arc;

use super::people::Seeded;
use super::vendor::{Reading, User, Vendor};

/// How far back a reader can look, in milliseconds.
const REMEMBERED: i64 = 600_000;

/// A place in the order of all listings: the sign-up's time, then the id.
pub type Position = (i64, String);

/// The time whose state a reader sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// The newest state.
    Now,
    /// The state at this time, in milliseconds since 1970.
    At(i64),
}

/// A user that was found.
#[derive(Debug, Clone)]
pub(super) enum Found {
    Seeded(Seeded),
    Kept(Arc<User>),
}

impl Found {
    /// The profile as the API shows it.
    pub(super) fn text(&self, vendor: &dyn Vendor) -> Arc<str> {
        match self {
            Self::Seeded(user) => vendor.seeded_profile(*user).into(),
            Self::Kept(user) => user.text(),
        }
    }

    pub(super) fn reading(&self, vendor: &dyn Vendor) -> Reading {
        match self {
            Self::Seeded(user) => vendor.seeded_reading(*user),
            Self::Kept(user) => user.reading.clone(),
        }
    }

    fn lives(&self) -> bool {
        match self {
            Self::Seeded(_) => true,
            Self::Kept(user) => user.lives(),
        }
    }

    fn order(&self) -> i64 {
        match self {
            Self::Seeded(user) => user.created_at(),
            Self::Kept(user) => user.order,
        }
    }
}

/// A change whose former state can still be seen.
#[derive(Debug)]
struct Undo {
    at: i64,
    id: String,
    before: Option<Found>,
}

#[derive(Debug)]
pub(super) struct Users {
    seed: u64,
    seeded: u64,
    kept: BTreeMap<String, Arc<User>>,
    order: BTreeSet<Position>,
    deleted: BTreeMap<String, i64>,
    undo: VecDeque<Undo>,
    live: u64,
}

impl Users {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            seeded: 0,
            kept: BTreeMap::new(),
            order: BTreeSet::new(),
            deleted: BTreeMap::new(),
            undo: VecDeque::new(),
            live: 0,
        }
    }

    pub(super) fn seed(&mut self, count: u64) {
        self.seeded += count;
        self.live += count;
    }

    pub(super) fn live(&self) -> u64 {
        self.live
    }

    /// Who was deleted, and when.
    pub(super) fn deleted(&self) -> &BTreeMap<String, i64> {
        &self.deleted
    }

    /// The user as it is now, or as a reader of the past sees it.
    pub(super) fn get(&self, vendor: &dyn Vendor, id: &str, view: View) -> Option<Found> {
        if let View::At(time) = view {
            let oldest = self
                .undo
                .iter()
                .rev()
                .take_while(|undo| undo.at > time)
                .filter(|undo| undo.id == id)
                .last();
            if let Some(undo) = oldest {
                return undo.before.clone();
            }
        }
        if let Some(user) = self.kept.get(id) {
            return Some(Found::Kept(user.clone()));
        }
        if self.deleted.contains_key(id) {
            return None;
        }
        vendor
            .seeded_user(self.seed, id)
            .filter(|user| user.index < self.seeded)
            .map(Found::Seeded)
    }

    /// Puts a user in its place, new or changed.
    pub(super) fn put(&mut self, vendor: &dyn Vendor, id: &str, user: User, now: i64) {
        let before = self.remember(vendor, id, now);
        match &before {
            Some(Found::Kept(old)) => {
                self.order.remove(&(old.order, id.to_owned()));
            }
            Some(Found::Seeded(_)) => {}
            None => {}
        }
        let (was, is) = (before.as_ref().is_some_and(Found::lives), user.lives());
        self.live = self.live + u64::from(is) - u64::from(was);
        if is {
            self.deleted.remove(id);
        } else {
            self.deleted.insert(id.to_owned(), now);
        }
        self.order.insert((user.order, id.to_owned()));
        self.kept.insert(id.to_owned(), Arc::new(user));
    }

    /// Takes a user away.
    pub(super) fn remove(&mut self, vendor: &dyn Vendor, id: &str, now: i64) {
        let before = self.remember(vendor, id, now);
        if let Some(Found::Kept(old)) = &before {
            self.order.remove(&(old.order, id.to_owned()));
            self.kept.remove(id);
        }
        if let Some(before) = before {
            self.live -= u64::from(before.lives());
            self.deleted.insert(id.to_owned(), now);
        }
    }

    fn remember(&mut self, vendor: &dyn Vendor, id: &str, now: i64) -> Option<Found> {
        let before = self.get(vendor, id, View::Now);
        while self
            .undo
            .front()
            .is_some_and(|undo| undo.at < now - REMEMBERED)
        {
            self.undo.pop_front();
        }
        self.undo.push_back(Undo {
            at: now,
            id: id.to_owned(),
            before: before.clone(),
        });
        before
    }

    /// The place of a user in the listing.
    pub(super) fn position(&self, vendor: &dyn Vendor, id: &str, view: View) -> Option<Position> {
        let found = self.get(vendor, id, view)?;
        Some((found.order(), id.to_owned()))
    }

    /// The users in order, or in the opposite one, from a position on, which is included.
    pub(super) fn walk<'a>(
        &'a self,
        vendor: &'a dyn Vendor,
        view: View,
        from: Option<Position>,
        descending: bool,
    ) -> Walk<'a> {
        let past = Arc::new(self.past(view));
        let reached = move |position: &Position, from: &Option<Position>| match from {
            None => true,
            Some(from) if descending => position <= from,
            Some(from) => position >= from,
        };

        let overridden = past.clone();
        let untouched = move |user: Seeded| {
            let id = vendor.seeded_id(user);
            let touched = self.kept.contains_key(&id)
                || self.deleted.contains_key(&id)
                || overridden.contains_key(&id);
            (!touched).then(|| ((user.created_at(), id), Found::Seeded(user)))
        };
        let seeded = self.seeded_from(from.as_ref(), descending);
        let start = from.clone();
        let seeded = seeded
            .filter_map(untouched)
            .filter(move |(position, _)| reached(position, &start));

        let kept: Box<dyn Iterator<Item = &Position>> = match (from.clone(), descending) {
            (None, false) => Box::new(self.order.iter()),
            (None, true) => Box::new(self.order.iter().rev()),
            (Some(from), false) => Box::new(self.order.range(from..)),
            (Some(from), true) => Box::new(self.order.range(..=from).rev()),
        };
        let overridden = past.clone();
        let kept = kept
            .filter(move |(_, id)| !overridden.contains_key(id))
            .filter_map(|position| {
                let user = self.kept.get(&position.1)?;
                Some((position.clone(), Found::Kept(user.clone())))
            });

        let mut past: Vec<(Position, Found)> = past
            .iter()
            .filter_map(|(id, found)| {
                found
                    .clone()
                    .map(|found| ((found.order(), id.clone()), found))
            })
            .filter(|(position, _)| reached(position, &from))
            .collect();
        past.sort_by(|one, other| one.0.cmp(&other.0));
        if descending {
            past.reverse();
        }

        let streams: [Stream<'a>; 3] =
            [Box::new(seeded), Box::new(kept), Box::new(past.into_iter())];
        Walk {
            streams: streams.map(Iterator::peekable),
            descending,
        }
    }

    /// The seeded users from about this position on.
    fn seeded_from(
        &self,
        from: Option<&Position>,
        descending: bool,
    ) -> Box<dyn Iterator<Item = Seeded>> {
        let seed = self.seed;
        let user = move |index| Seeded { seed, index };
        let near = from.map(|(order, _)| Seeded::index_at(*order));
        if descending {
            let end = near.map_or(self.seeded, |near| (near + 1).min(self.seeded));
            Box::new((0..end).rev().map(user))
        } else {
            Box::new((near.unwrap_or(0)..self.seeded).map(user))
        }
    }

    /// Who was different at the time of this view, and how.
    fn past(&self, view: View) -> BTreeMap<String, Option<Found>> {
        let View::At(time) = view else {
            return BTreeMap::new();
        };
        self.undo
            .iter()
            .rev()
            .take_while(|undo| undo.at > time)
            // Going backwards, the oldest change after that time is inserted last, and stays.
            .map(|undo| (undo.id.clone(), undo.before.clone()))
            .collect()
    }
}

type Stream<'a> = Box<dyn Iterator<Item = (Position, Found)> + 'a>;

/// Several sorted streams as one.
pub(super) struct Walk<'a> {
    streams: [Peekable<Stream<'a>>; 3],
    descending: bool,
}

impl Iterator for Walk<'_> {
    type Item = (Position, Found);

    fn next(&mut self) -> Option<Self::Item> {
        let descending = self.descending;
        self.streams
            .iter_mut()
            .filter_map(|stream| {
                let position = stream.peek()?.0.clone();
                Some((position, stream))
            })
            .reduce(|best, next| {
                if (next.0 < best.0) == descending {
                    best
                } else {
                    next
                }
            })?
            .1
            .next()
    }
}
