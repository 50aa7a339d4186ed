//! The figures that `make bench` measures: what each is, how good it is to be, and the files that
//! they are written to.

use std::collections::BTreeMap;

mod table;

pub use table::{BEGIN, END, block, rewritten};

/// How good a figure is to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

impl Limit {
    /// Whether a figure is as good as that.
    pub fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(limit) => value >= limit,
            Self::AtMost(limit) => value <= limit,
        }
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtLeast(limit) => write!(f, "≥ {limit}"),
            Self::AtMost(limit) => write!(f, "≤ {limit}"),
        }
    }
}

/// A figure by its name in `figures.json`.
#[derive(Debug)]
pub struct Key {
    /// The name.
    pub name: &'static str,
    /// The meaning, for the table in README.md.
    pub what: &'static str,
    /// How good each part is to be: one part without a name, or those of [`PARTS`].
    pub limits: &'static [Limit],
}

/// A delivery that is applied as it was sent, and one after which the user is read back.
pub const PARTS: [&str; 2] = ["statement", "hint"];

impl Key {
    /// The names of the parts; empty where there is but one.
    pub fn parts(&self) -> &'static [&'static str] {
        if self.limits.len() == PARTS.len() {
            &PARTS
        } else {
            &[""]
        }
    }
}

const fn key(name: &'static str, what: &'static str, limits: &'static [Limit]) -> Key {
    Key { name, what, limits }
}

use Limit::{AtLeast, AtMost};

/// All figures, in the order of the table.
pub const KEYS: &[Key] = &[
    key(
        "backfill_vs_copy",
        "users a second of a first run ÷ rows a second of a binary `COPY` of the same rows",
        &[AtLeast(0.6)],
    ),
    key(
        "backfill_vs_dlt",
        "the same ÷ those of a `dlt` pipeline that keeps the profile in one json column",
        &[AtLeast(8.0)],
    ),
    key(
        "unchanged_vs_limit",
        "users a second of a run over a table in sync ÷ rows a second of Postgres digesting them",
        &[AtLeast(0.8)],
    ),
    key(
        "unchanged_vs_dlt",
        "the same ÷ those of the `dlt` pipeline",
        &[AtLeast(15.0)],
    ),
    key(
        "unchanged_tuples_written",
        "rows of `users_sync` that such a run writes",
        &[AtMost(0.0)],
    ),
    key(
        "unchanged_wal",
        "bytes of WAL that it writes about `users_sync`",
        &[AtMost(0.0)],
    ),
    key(
        "unchanged_bytes_per_user",
        "bytes that it sends to Postgres for each user",
        &[AtMost(70.0)],
    ),
    key(
        "walk_cpu_us_per_user",
        "the function's own CPU for each user, in µs",
        &[AtMost(12.0)],
    ),
    key(
        "reconcile_vs_listing",
        "time of a run that finds 1 % changed ÷ time of only fetching its pages, each of which takes 100 ms",
        &[AtMost(1.05)],
    ),
    key(
        "reconcile_rss_mb",
        "peak memory of `reconcile` with 10 000 users, in MB",
        &[AtMost(24.0)],
    ),
    key(
        "reconcile_rss_mb_1m",
        "with a million users",
        &[AtMost(64.0)],
    ),
    key(
        "reconcile_growth",
        "time for a million users in sync ÷ 10 times that for 100 000",
        &[AtMost(1.1)],
    ),
    key(
        "webhook_cpu_vs_node",
        "CPU for a delivery, Node's ÷ ours",
        &[AtLeast(7.0), AtLeast(6.0)],
    ),
    key(
        "webhook_rate_vs_node",
        "deliveries a second of one instance that shares a core with Postgres, ours ÷ Node's",
        &[AtLeast(2.0), AtLeast(2.0)],
    ),
    key(
        "webhook_db_ms",
        "Postgres' CPU for a delivery, in ms",
        &[AtMost(0.4), AtMost(0.5)],
    ),
    key(
        "webhook_round_trips",
        "round trips to Postgres for a delivery",
        &[AtMost(1.0), AtMost(2.0)],
    ),
    key(
        "webhook_p99_over_p50",
        "the slowest of 100 deliveries ÷ the median, the worse of both kinds",
        &[AtMost(3.0)],
    ),
    key(
        "cold_start_vs_node",
        "from the start of the process to the answer to its first delivery, Node's time ÷ ours",
        &[AtLeast(6.0)],
    ),
    key(
        "webhook_rss_mb",
        "memory of a warm `webhook`, in MB",
        &[AtMost(12.0)],
    ),
    key(
        "binary_mb",
        "the largest of the four programs, in MB",
        &[AtMost(6.0)],
    ),
    key(
        "demo_s",
        "`make demo` from nothing, in seconds",
        &[AtMost(205.0)],
    ),
];

/// The key of this name, and the place of its part.
pub fn named(name: &str, part: &str) -> Option<(&'static Key, Limit)> {
    let key = KEYS.iter().find(|key| key.name == name)?;
    let place = key.parts().iter().position(|known| *known == part)?;
    Some((key, key.limits[place]))
}

/// The measured values: by key, then by part.
pub type Values = BTreeMap<String, BTreeMap<String, f64>>;

/// The value as a person reads it.
pub fn shown(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0..100.0 => format!("{value:.1}"),
        0.0 => "0".to_owned(),
        _ => format!("{value:.2}"),
    }
}
