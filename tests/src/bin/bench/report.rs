//! The figures: printed, and written to `target/bench` and README.md.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use tests::figures::{self, KEYS, Values, shown};
use tests::tools::workspace;

use crate::rounds::Rounds;

/// The figures so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    values: Values,
    rounds: Map<String, Value>,
}

impl Report {
    /// A figure of one part.
    pub(crate) fn figure(&mut self, key: &str, rounds: &Rounds) -> Result<()> {
        self.part(key, "", rounds)
    }

    /// A part of a figure.
    pub(crate) fn part(&mut self, key: &str, part: &str, rounds: &Rounds) -> Result<()> {
        let (_, limit) = figures::named(key, part).with_context(|| format!("no key {key}"))?;
        let value = rounds.median();
        let name = format!("{key} {part}");
        let met = if limit.is_met(value) { "" } else { "  not met" };
        println!("  {name:<34} {}  to be {limit}{met}", spread(rounds));
        let parts = self.values.entry(key.to_owned()).or_default();
        parts.insert(part.to_owned(), value);
        let record = json!({
            "value": value,
            "rounds": rounds.values(),
            "limit": limit.to_string(),
            "met": limit.is_met(value),
            "measured": today(),
        });
        self.rounds.insert(name.trim_end().to_owned(), record);
        Ok(())
    }

    /// Writes what was measured over what earlier runs did, and, after a run of all comparisons,
    /// the table in README.md.
    pub(crate) fn write(&self, all: bool) -> Result<()> {
        let folder = workspace().join("target/bench");
        fs::create_dir_all(&folder).context("make target/bench")?;
        let path = folder.join("figures.json");
        let mut written = read(&path);
        for key in KEYS {
            if let Some(parts) = self.values.get(key.name) {
                written.insert(key.name.to_owned(), as_json(parts));
            }
        }
        fs::write(&path, pretty(written)).context("write figures.json")?;
        let path = folder.join("rounds.json");
        let mut written = read(&path);
        written.extend(self.rounds.clone());
        fs::write(&path, pretty(written)).context("write rounds.json")?;
        println!("\nwritten: target/bench/figures.json, and rounds.json with each round");
        if all { self.write_readme() } else { Ok(()) }
    }

    fn write_readme(&self) -> Result<()> {
        let path = workspace().join("README.md");
        let readme = fs::read_to_string(&path).context("read README.md")?;
        let readme = figures::rewritten(&readme, &self.values, &today())
            .context("README.md has no place for the figures")?;
        fs::write(&path, readme).context("write README.md")?;
        println!("written: the table in README.md");
        Ok(())
    }
}

/// A line about something that is no figure of its own.
pub(crate) fn note(what: &str, rounds: &Rounds) {
    println!("    {what:<38} {}", spread(rounds));
}

fn spread(rounds: &Rounds) -> String {
    let value = shown(rounds.median());
    match rounds.values().len() {
        0 | 1 => format!("{value:>8}"),
        count => {
            let (least, most) = rounds.range();
            format!("{value:>8}  {}–{} in {count}", shown(least), shown(most))
        }
    }
}

fn as_json(parts: &BTreeMap<String, f64>) -> Value {
    match parts.get("") {
        Some(value) => json!(value),
        None => json!(parts),
    }
}

fn read(path: &PathBuf) -> Map<String, Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn pretty(written: Map<String, Value>) -> String {
    format!("{:#}\n", Value::Object(written))
}

fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}
