//! Torture: random schedules of everything that can go wrong, over the real handlers, the real SQL
//! in a real Postgres, and simulated providers. After each the table has to equal the provider, and
//! on the way no living user may have been tombstoned, no deleted one come back, nothing
//! acknowledged be lost, and no run untold.
//!
//! The environment says how much: `SCHEDULES` for each provider, `PROVIDER` (one, or all), `SEED`
//! of the first schedule, `AT_ONCE`.

#![expect(clippy::print_stdout, reason = "it reports what it found")]

mod book;
mod draw;
mod fleet;
mod ground;
mod grounds;
mod play;
mod provider;
mod report;
mod schedule;
mod shrink;
mod verdict;
mod wire;

use std::os::unix::process::CommandExt;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::grounds::Grounds;
use crate::provider::Provider;
use crate::report::Report;

/// Schedules of each provider, where nobody says how many.
const SCHEDULES: u64 = 30;

/// Schedules under way at once, where nobody says how many: they wait more than they work.
const AT_ONCE: u64 = 32;

/// Failures that are cut down to what fails; more of them would say little more.
const SHRUNK: usize = 3;

fn main() -> ExitCode {
    // As of any other test, `cargo test` may ask for those of another name.
    let names = std::env::args().skip(1);
    let mut names = names.filter(|name| !name.starts_with("--")).peekable();
    if names.peek().is_some() && !names.any(|name| "torture".contains(&name)) {
        return ExitCode::SUCCESS;
    }
    if std::env::args().any(|argument| argument == "--list") {
        println!("torture: test");
        return ExitCode::SUCCESS;
    }
    if let Some(code) = without_certificates() {
        return code;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match runtime.block_on(torture()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("torture: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Begins anew in an environment without the system's certificates, unless it is one. Each client
/// that can speak TLS reads them all, 30 ms of work, and nothing here speaks TLS.
fn without_certificates() -> Option<ExitCode> {
    const FILE: &str = "SSL_CERT_FILE";
    const NOTHING: &str = "/dev/null";
    if std::env::var_os(FILE).is_some_and(|file| file == NOTHING) {
        return None;
    }
    let mut anew = std::process::Command::new(std::env::current_exe().ok()?);
    anew.args(std::env::args_os().skip(1));
    let error = anew.env(FILE, NOTHING).env("SSL_CERT_DIR", NOTHING).exec();
    println!("torture: begin anew: {error}");
    Some(ExitCode::FAILURE)
}

/// Whether nothing failed.
async fn torture() -> Result<bool> {
    let providers = match variable("PROVIDER")? {
        Some(name) => vec![Provider::named(&name)?],
        None => Provider::all()?,
    };
    let count = number("SCHEDULES")?.unwrap_or(SCHEDULES);
    let first = number("SEED")?.unwrap_or(1);
    let at_once = number("AT_ONCE")?.unwrap_or(AT_ONCE);
    let grounds = Arc::new(Grounds::new());
    let report = Arc::new(Report::new(count * providers.len() as u64));
    let permits = Arc::new(Semaphore::new(usize::try_from(at_once)?));
    let mut under_way = JoinSet::new();
    for seed in draw::seeds(first, count) {
        for provider in &providers {
            let permit = permits.clone().acquire_owned().await?;
            report.progress();
            let (grounds, report) = (grounds.clone(), report.clone());
            let schedule = draw::schedule(seed, provider);
            let provider = provider.clone();
            under_way.spawn(async move {
                let played = grounds.play(&schedule, &provider).await;
                report.played(schedule, played);
                drop(permit);
            });
        }
    }
    while let Some(ended) = under_way.join_next().await {
        ended.context("play a schedule")?;
        report.progress();
    }
    report.print();
    for failure in report.failures().iter().take(SHRUNK) {
        let provider = Provider::named(&failure.schedule.provider)?;
        shrink::explain(failure, &grounds, &provider).await;
    }
    Ok(report.failures().is_empty())
}

fn variable(name: &str) -> Result<Option<String>> {
    match std::env::var(name) {
        Ok(value) if value.is_empty() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(error) => Err(error).context(name.to_owned()),
    }
}

fn number(name: &str) -> Result<Option<u64>> {
    let value = variable(name)?;
    let number = value.map(|value| value.parse().with_context(|| format!("read {name}")));
    number.transpose()
}
