//! The record that a statement writes beside its change: of the delivery that caused it,
//! or of the run's change.
//!
//! Invariant: a record is written by the statement that it tells of, so it costs
//! no round trip and can't contradict the table.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

use crate::settings::Misconfigured;
use crate::time::At;

/// How many changes of one run are recorded.
const MOST: i64 = 10_000;

/// Longer than anybody keeps anything, and a time that Postgres can go back.
const LONGEST: i32 = 1_000_000;

/// For how many days records are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    pub(super) days: i32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { days: 7 }
    }
}

impl Retention {
    /// Reads `RETENTION_DAYS`.
    pub fn parse(days: &str) -> Result<Self, Misconfigured> {
        if days.is_empty() || !days.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Misconfigured {
                field: "RETENTION_DAYS".to_owned(),
                problem: "is not a whole number of days: set 0 to have no record of deliveries \
                          made, or remove it for 7"
                    .to_owned(),
            });
        }
        Ok(Self {
            // All that can be wrong with digits is that they are too many.
            days: days.parse().unwrap_or(LONGEST).min(LONGEST),
        })
    }

    /// Whether anything is recorded at all.
    pub fn records(self) -> bool {
        self.days > 0
    }
}

/// A verified delivery of an event about a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The event's id, the same at every attempt to deliver it.
    pub event_id: String,
    /// The event's type, as the provider calls it.
    pub event: String,
    /// When the change was, by the provider's clock, if it tells.
    pub changed_at: Option<At>,
}

/// The record to write.
#[derive(Clone, Default)]
pub(super) enum Record {
    #[default]
    Nothing,
    Delivery(Arc<Receipt>),
    Repairs(Arc<Repairs>),
}

/// A run's changes.
pub(super) struct Repairs {
    run: i64,
    /// How many more are recorded.
    left: AtomicI64,
}

/// A record as the statements take it.
#[derive(Default)]
pub(super) struct Columns<'a> {
    pub(super) event_id: Option<&'a str>,
    pub(super) event: Option<&'a str>,
    pub(super) changed_at: Option<SystemTime>,
    pub(super) run: Option<i64>,
    pub(super) most: i64,
    reserved: Option<Reserved<'a>>,
}

/// The records of a run that are set aside for a statement, because others may be under
/// way. Those that it doesn't write are given back.
struct Reserved<'a> {
    left: &'a AtomicI64,
    unwritten: i64,
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.left.fetch_add(self.unwritten, Ordering::Relaxed);
    }
}

impl Columns<'_> {
    /// Counts what the statement has changed.
    pub(super) fn count(&mut self, changes: usize) {
        if let Some(reserved) = &mut self.reserved {
            let changes = i64::try_from(changes).unwrap_or(MOST);
            reserved.unwritten = (reserved.unwritten - changes).max(0);
        }
    }
}

impl Record {
    pub(super) fn of_run(run: i64) -> Self {
        let left = AtomicI64::new(MOST);
        Self::Repairs(Arc::new(Repairs { run, left }))
    }

    /// For a statement about so many users.
    pub(super) fn columns(&self, users: usize) -> Columns<'_> {
        match self {
            Self::Nothing => Columns::default(),
            Self::Delivery(receipt) => receipt.columns(),
            Self::Repairs(repairs) => repairs.columns(users),
        }
    }
}

impl Repairs {
    fn columns(&self, users: usize) -> Columns<'_> {
        let left = self.left.load(Ordering::Relaxed);
        let most = left.min(i64::try_from(users).unwrap_or(MOST));
        self.left.fetch_sub(most, Ordering::Relaxed);
        Columns {
            run: Some(self.run),
            most,
            reserved: Some(Reserved {
                left: &self.left,
                unwritten: most,
            }),
            ..Columns::default()
        }
    }
}

impl Receipt {
    pub(super) fn columns(&self) -> Columns<'_> {
        Columns {
            event_id: Some(&self.event_id),
            event: Some(&self.event),
            changed_at: self.changed_at.map(At::to_system),
            ..Columns::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_side_by_side_record_no_more_than_one_after_the_other() {
        let record = Record::of_run(1);
        let (mut first, second) = (record.columns(6_000), record.columns(6_000));
        assert_eq!((first.most, second.most), (6_000, 4_000));
        first.count(1_000);
        drop((first, second));
        assert_eq!(record.columns(20_000).most, 9_000);
    }

    #[test]
    fn a_retention_is_a_whole_number_of_days() {
        let check = |text: &str| Retention::parse(text).map(|retention| retention.days).ok();
        assert_eq!(check("0"), Some(0));
        assert_eq!(check("7"), Some(7));
        assert_eq!(check("007"), Some(7));
        assert_eq!(check("365"), Some(365));
        assert_eq!(check("99999999999999999999"), Some(LONGEST));
        for bad in ["", " 7", "7 ", "+7", "-1", "7.0", "1e1", "seven", "7d", "٧"] {
            assert_eq!(check(bad), None, "{bad}");
        }
        let refused = Retention::parse("secret").unwrap_err().to_string();
        assert!(refused.starts_with("RETENTION_DAYS is not a whole number"));
        assert!(!refused.contains("secret"));
    }
}
