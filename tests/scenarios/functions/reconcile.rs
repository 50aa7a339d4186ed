//! `reconcile`: whatever the table says before, afterwards it says what the provider does.

mod cost;
mod dry_runs;
mod failures;
mod lease;
mod listing;
mod missing;
mod privacy;
mod records;
mod rejected;
mod repairs;

use std::time::Duration;

use serde_json::Value;
use tests::stage::FIGURES;

/// Users of a page, as the adapter asks for them.
const PAGE: usize = 1_000;

/// A little longer than a read of Stack Auth's may lag.
const STALENESS: Duration = Duration::from_millis(1_300);

fn assert_figures(report: &Value, expected: &[(&str, usize)]) {
    for figure in FIGURES.iter().filter(|figure| **figure != "pages") {
        let wanted = expected.iter().find(|(name, _)| name == figure);
        let wanted = wanted.map_or(0, |(_, number)| *number);
        assert_eq!(report[figure], wanted, "{figure}: {report}");
    }
}

#[expect(clippy::print_stderr, reason = "for `cargo test -- --nocapture`")]
pub(crate) fn say(figures: &str) {
    eprintln!("{figures}");
}
