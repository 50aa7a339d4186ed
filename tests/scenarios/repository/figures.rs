//! The figures in README.md: which there are, and how good each is to be. `make bench` writes them.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result};
use tests::figures::{BEGIN, END, KEYS};
use tests::tools::workspace;

/// How good each figure is to be: what was promised, and not what `make bench` thinks of it.
const PROMISED: &[(&str, &str)] = &[
    ("backfill_vs_copy", "≥ 0.6"),
    ("backfill_vs_dlt", "≥ 8"),
    ("unchanged_vs_limit", "≥ 0.8"),
    ("unchanged_vs_dlt", "≥ 15"),
    ("unchanged_tuples_written", "≤ 0"),
    ("unchanged_wal", "≤ 0"),
    ("unchanged_bytes_per_user", "≤ 70"),
    ("walk_cpu_us_per_user", "≤ 12"),
    ("reconcile_vs_listing", "≤ 1.05"),
    ("reconcile_rss_mb", "≤ 24"),
    ("reconcile_rss_mb_1m", "≤ 64"),
    ("reconcile_growth", "≤ 1.1"),
    ("webhook_cpu_vs_node", "≥ 7; ≥ 6"),
    ("webhook_rate_vs_node", "≥ 2; ≥ 2"),
    ("webhook_db_ms", "≤ 0.4; ≤ 0.5"),
    ("webhook_round_trips", "≤ 1; ≤ 2"),
    ("webhook_p99_over_p50", "≤ 3"),
    ("cold_start_vs_node", "≥ 6"),
    ("webhook_rss_mb", "≤ 12"),
    ("binary_mb", "≤ 6"),
    ("demo_s", "≤ 205"),
];

#[test]
fn the_readme_has_each_figure_once_with_what_was_promised_of_it() -> Result<()> {
    let readme = fs::read_to_string(workspace().join("README.md"))?;
    let (_, rest) = readme.split_once(BEGIN).context("the table's begin")?;
    let (table, _) = rest.split_once(END).context("the table's end")?;
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let shown: Vec<(&str, &str)> = rows
        .map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            (cells[1].trim_matches('`'), cells[4])
        })
        .collect();
    assert_eq!(shown, PROMISED);
    Ok(())
}

#[test]
fn every_figure_has_a_name_of_its_own() {
    let names: BTreeSet<&str> = KEYS.iter().map(|key| key.name).collect();
    assert_eq!(names.len(), KEYS.len());
}
