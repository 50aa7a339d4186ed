//! Times each page of the console beside a database of a million users, and fails if one takes
//! longer than it may.

#![expect(clippy::print_stdout, reason = "printing figures is what it is for")]

use anyhow::{Context, Result, ensure};
use tests::pages::{LIMIT, console_pages, over_the_limit};

#[tokio::main]
async fn main() -> Result<()> {
    let users = match std::env::var("USERS") {
        Ok(users) => users.parse().context("USERS is not a number")?,
        Err(_) => 1_000_000,
    };
    println!(
        "{users} users and as many deliveries in a week; each page 15 times, in milliseconds\n"
    );
    println!("{:<34} {:>8} {:>8}", "", "median", "longest");
    let times = console_pages(users).await?;
    for time in &times {
        let [median, longest] = [time.median, time.longest].map(|time| time.as_secs_f64() * 1000.0);
        println!("{:<34} {median:>8.1} {longest:>8.1}", time.name);
    }
    let over = over_the_limit(&times);
    ensure!(over.is_empty(), "over {} ms: {over:?}", LIMIT.as_millis());
    Ok(())
}
