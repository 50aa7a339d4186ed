//! Fields in which the listing differs from reads for every user. They are not
//! compared: otherwise every run would read every user, and find nothing.
//!
//! Invariant: a field is left out only after reads of many users have shown the
//! profiles that their rows have, while the listing differed in that field and in
//! nothing else. Each later run reads a few of these users again. It forgets the
//! fields as soon as one of the users has changed, or is listed as reads show it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use shared::json::{self, Fields};
use shared::profile::{Profile, UserId};
use shared::store::{Difference, Outcome};

/// Reads that it takes to tell how a listing shows a field from a coincidence.
const ENOUGH: usize = 20;

/// Users that a run reads again, of those who differ in a left-out field alone.
const SAMPLE: usize = 10;

/// Fields that can be left out. A listing that differs in more is broken
/// otherwise.
const MOST_FIELDS: usize = 4;

/// Users whose listed profiles are kept until the users are read.
const MOST_LISTED: usize = 1_000;

/// The fields that are left out, and the listed profiles of users in doubt.
#[derive(Default)]
pub(crate) struct Unlisted {
    fields: Vec<String>,
    /// Whether these are other fields than the run began with.
    changed: bool,
    /// Whether this run has checked that they still differ.
    sampled: bool,
    samples: HashSet<UserId>,
    listed: HashMap<UserId, (Profile, &'static [&'static str])>,
    /// How many of the users that were read differed in each field alone.
    seen: BTreeMap<String, usize>,
    read: usize,
}

impl Unlisted {
    /// Begins with the fields that earlier runs have found.
    pub(crate) fn new(fields: Vec<String>) -> Self {
        Self {
            fields,
            ..Self::default()
        }
    }

    /// The fields for the next run, if they are others than this run began with.
    pub(crate) fn learnt(&self) -> Option<Vec<String>> {
        self.changed.then(|| self.fields.clone())
    }

    /// Fields that are not compared, besides those that the adapter names.
    pub(crate) fn fields(&self) -> Vec<String> {
        self.fields.clone()
    }

    /// Whether a page is to be compared in full, too.
    pub(crate) fn is_to_be_sampled(&self) -> bool {
        !self.fields.is_empty() && !self.sampled
    }

    /// Picks users to read of those who differ in left-out fields alone, which are
    /// in `whole` and not in `differences`.
    pub(crate) fn sample(
        &mut self,
        page: &[Profile],
        differences: &[(usize, Difference)],
        whole: &[(usize, Difference)],
    ) -> Vec<(usize, Difference)> {
        let apparent: HashSet<usize> = differences.iter().map(|(place, _)| *place).collect();
        let hidden = whole.iter().map(|(place, _)| *place);
        let hidden: Vec<usize> = hidden.filter(|place| !apparent.contains(place)).collect();
        if apparent.len() < page.len() {
            self.sampled = true;
            if hidden.is_empty() {
                self.forget();
            }
        }
        let sample = hidden.into_iter().take(SAMPLE);
        sample
            .map(|place| {
                self.samples.insert(page[place].id.clone());
                (place, Difference::Doubtful)
            })
            .collect()
    }

    /// Keeps the listed profile of a user that is to be read. `unloaded`: fields
    /// that the listing leaves open, according to the adapter.
    pub(crate) fn note(&mut self, profile: &Profile, unloaded: &'static [&'static str]) {
        if self.listed.len() < MOST_LISTED {
            let listed = (profile.clone(), unloaded);
            self.listed.insert(profile.id.clone(), listed);
        }
    }

    /// Learns from a user's read profile and from what became of the row.
    pub(crate) fn settled(&mut self, read: &Profile, outcome: Option<Outcome>) {
        let Some((listed, unloaded)) = self.listed.remove(&read.id) else {
            return;
        };
        self.read += 1;
        let sampled = self.samples.remove(&read.id);
        if outcome != Some(Outcome::Unchanged) {
            if sampled {
                self.forget();
            }
            return;
        }
        let Some(field) = self.the_one_difference(&listed, read, unloaded) else {
            return;
        };
        let seen = self.seen.entry(field.clone()).or_default();
        *seen += 1;
        let is_the_way = *seen >= ENOUGH && *seen * 2 > self.read;
        if is_the_way && self.fields.len() < MOST_FIELDS {
            tracing::warn!(
                field,
                "the listing differs from reads in this field of the profile, and only in it: it \
                 is not compared from now on, or every run would read everybody; what changes in \
                 it alone comes by deliveries"
            );
            self.fields.push(field);
            self.changed = true;
        }
    }

    /// All users in doubt were read.
    pub(crate) fn done(&mut self) {
        self.listed.clear();
        self.samples.clear();
    }

    fn forget(&mut self) {
        self.changed |= !self.fields.is_empty();
        self.fields.clear();
        self.seen.clear();
    }

    fn the_one_difference(
        &self,
        listed: &Profile,
        read: &Profile,
        unloaded: &[&str],
    ) -> Option<String> {
        let columns = |profile: &Profile| {
            let Profile { name, email, .. } = profile;
            (name.clone(), email.clone(), profile.created_at)
        };
        if columns(listed) != columns(read) {
            return None;
        }
        let listed = Fields::of(&listed.raw_json).ok()?;
        let read = Fields::of(&read.raw_json).ok()?;
        let (listed, read) = (listed.all(), read.all());
        let names: BTreeSet<&str> = listed.keys().chain(read.keys()).copied().collect();
        let mut differ = names.into_iter().filter(|name| {
            let known = unloaded.contains(name) || self.fields.iter().any(|field| field == name);
            let same = match (listed.get(name), read.get(name)) {
                (Some(listed), Some(read)) => json::same(listed, read),
                _ => false,
            };
            !known && !same
        });
        let field = differ.next().filter(|name| is_a_name(name))?;
        differ.next().is_none().then(|| field.to_owned())
    }
}

/// Whether this is a field's name as programmers choose one: any other text could
/// be a user's own words.
fn is_a_name(field: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=63).contains(&field.len())
        && field.bytes().all(plain)
        && !field.starts_with(|c: char| c.is_ascii_digit())
}
