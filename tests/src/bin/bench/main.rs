//! `make bench`: measures this project beside what one would otherwise do, and prints the figures.
//!
//! Each comparison runs both sides in turn, several times, on the same Postgres and with the same
//! profiles, so that a machine that is slow for a while is slow for both. `ONLY=webhook,backfill`
//! names comparisons; `USERS=1000000` adds those that take a million users, and `DEMO=1` the
//! demo from nothing; `ONLY=scale` is no comparison but a simulation, `make scale`.

#![expect(clippy::print_stdout, reason = "printing figures is what it is for")]

use anyhow::{Result, ensure};

mod cache;
mod deliveries;
mod ground;
mod machine;
mod peers;
mod report;
mod rounds;

mod backfill;
mod cold_start;
mod demo;
mod dlt;
mod growth;
mod listing;
mod memory;
mod scale;
mod sizes;
mod unchanged;
mod webhook;

use report::Report;

const COMPARISONS: &[&str] = &[
    "sizes",
    "webhook",
    "cold_start",
    "backfill",
    "unchanged",
    "listing",
    "memory",
    "dlt",
    "growth",
    "demo",
    "scale",
];

#[tokio::main]
async fn main() -> Result<()> {
    let only = std::env::var("ONLY").unwrap_or_default();
    let named: Vec<&str> = only.split(',').filter(|name| !name.is_empty()).collect();
    for name in &named {
        ensure!(
            COMPARISONS.contains(name),
            "ONLY={name}: the comparisons are {}",
            COMPARISONS.join(", ")
        );
    }
    let million = std::env::var("USERS").is_ok_and(|users| users == "1000000");
    let demo = std::env::var("DEMO").is_ok_and(|demo| demo == "1");
    let mut report = Report::default();
    for name in COMPARISONS {
        let wanted = match named.is_empty() {
            true => match *name {
                "growth" => million,
                "demo" => demo,
                name => name != "scale",
            },
            false => named.contains(name),
        };
        if !wanted {
            continue;
        }
        println!("\n{name}");
        match *name {
            "sizes" => sizes::measure(&mut report)?,
            "webhook" => webhook::measure(&mut report).await?,
            "cold_start" => cold_start::measure(&mut report).await?,
            "backfill" => backfill::measure(&mut report).await?,
            "unchanged" => unchanged::measure(&mut report).await?,
            "listing" => listing::measure(&mut report).await?,
            "memory" => memory::measure(&mut report).await?,
            "dlt" => dlt::measure(&mut report).await?,
            "growth" => growth::measure(&mut report).await?,
            "demo" => demo::measure(&mut report)?,
            _ => scale::measure().await?,
        }
    }
    report.write(named.is_empty())
}
