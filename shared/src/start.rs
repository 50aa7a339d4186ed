//! The start that all functions share: the environment, the log and
//! the secret.
//!
//! Invariant: only lines of this project's own are logged, at whatever level.
//! Libraries print statements' parameters, headers and bodies.

use std::env;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use tokio::time::Instant;
use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::client::Client;
use crate::credentials::Credentials;
use crate::metrics::Metrics;
use crate::settings::Misconfigured;
use crate::store::{Retention, Schema};
use crate::time::WallClock;

const OWN: [&str; 5] = ["shared", "webhook", "reconcile", "provision", "console"];

/// The things that a function starts with.
pub struct Start {
    /// Where the secret is.
    pub credentials: Credentials,
    /// The schema that holds the table.
    pub schema: Schema,
    /// For everything that is asked over HTTP.
    pub client: Client,
    /// For how long records are kept, which `provision` doesn't ask.
    pub retention: Result<Retention, Misconfigured>,
    /// Where figures go, which are Lambda's own function's.
    pub metrics: Metrics,
}

/// Reads the environment: `SECRET_ID`, `SECRET_FILE`, `SCHEMA`, `RUST_LOG`,
/// `RETENTION_DAYS`.
pub async fn start() -> Result<Start> {
    log();
    log_panics();
    let client = Client::begin();
    let schema = match variable("SCHEMA")? {
        Some(name) => Schema::new(&name)?,
        None => Schema::default(),
    };
    let credentials =
        Credentials::new(variable("SECRET_ID")?, variable("SECRET_FILE")?, &client).await?;
    Ok(Start {
        credentials,
        schema,
        client,
        retention: retention(),
        metrics: variable("AWS_LAMBDA_FUNCTION_NAME")?.map_or_else(Metrics::default, Metrics::of),
    })
}

fn retention() -> Result<Retention, Misconfigured> {
    let days = variable("RETENTION_DAYS")?;
    days.map_or_else(|| Ok(Retention::default()), |days| Retention::parse(&days))
}

/// A variable of the environment, if it says anything.
pub fn variable(name: &str) -> Result<Option<String>, Misconfigured> {
    match env::var(name) {
        Ok(value) if value.is_empty() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(Misconfigured {
            field: name.to_owned(),
            problem: "is not UTF-8".to_owned(),
        }),
    }
}

/// The whole number of days, 1 or more, that this variable holds; `None` where it
/// is unset or empty.
pub fn days(name: &str) -> Result<Option<i32>, Misconfigured> {
    match variable(name)? {
        None => Ok(None),
        Some(value) => whole_days(&value).map(Some).ok_or_else(|| Misconfigured {
            field: name.to_owned(),
            problem: "is not a whole number of days from 1 on: leave it out for never".to_owned(),
        }),
    }
}

/// More days than any calendar has are as good as that many.
fn whole_days(value: &str) -> Option<i32> {
    let is_whole = !value.is_empty() && value.bytes().all(|digit| digit.is_ascii_digit());
    let days = value.trim_start_matches('0');
    (is_whole && !days.is_empty()).then(|| days.parse().unwrap_or(i32::MAX))
}

/// The log filter, for our own crates alone; `info` where `RUST_LOG` says nothing.
fn targets(asked: &str) -> Targets {
    // An empty filter would be read as one of errors alone.
    let asked = if asked.trim().is_empty() {
        "info"
    } else {
        asked
    };
    let asked: Targets = asked.parse().unwrap_or_default();
    let default = asked.default_level().unwrap_or(LevelFilter::INFO);
    let is_own = |target: &str| OWN.contains(&target.split("::").next().unwrap_or_default());
    let named = asked.iter().filter(|(target, _)| is_own(target));
    Targets::new()
        .with_targets(OWN.map(|target| (target, default)))
        .with_targets(named.map(|(target, level)| (target.to_owned(), level)))
}

fn log() {
    let targets = targets(&env::var("RUST_LOG").unwrap_or_default());
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        // It holds the request's id.
        .with_current_span(true)
        .with_span_list(false)
        .with_writer(std::io::stderr);
    let _ = tracing_subscriber::registry()
        .with(lines)
        .with(targets)
        .try_init();
}

/// Says where a panic happened, and not with what words: a library's may show
/// what it choked on.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(
            place,
            "panicked: this is a mistake in the program, please report it"
        );
    }));
}

/// The runtime's end, without what its library says of it.
pub fn ended(_: Box<dyn std::error::Error + Send + Sync>) -> anyhow::Error {
    anyhow::anyhow!("the runtime ended: Lambda's Runtime API gave no event that could be read")
}

/// The process's end; why a function could not start is logged.
pub fn exit(ended: Result<()>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::event!(Level::ERROR, error = format!("{error:#}"), "can't start");
            ExitCode::FAILURE
        }
    }
}

/// Until when an invocation may work, with a margin to answer in: by its
/// deadline, or for `otherwise` where the deadline lies in the past
/// (cargo-lambda's always does).
pub fn until(deadline: SystemTime, otherwise: Duration) -> Instant {
    let left = WallClock::read().until(deadline);
    Instant::now() + left.map_or(otherwise, without_margin)
}

fn without_margin(left: Duration) -> Duration {
    let margin = (left / 5).clamp(Duration::from_millis(200), Duration::from_secs(20));
    left.saturating_sub(margin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_margin_to_answer_in_is_a_fifth_of_a_second_to_twenty() {
        let check = |left: u64| without_margin(Duration::from_millis(left)).as_millis();
        assert_eq!(check(100), 0);
        assert_eq!(check(1_000), 800);
        assert_eq!(check(10_000), 8_000);
        assert_eq!(check(900_000), 880_000);
    }

    #[test]
    fn days_are_a_whole_number_from_1_on() {
        for (value, days) in [
            ("1", 1),
            ("030", 30),
            ("365", 365),
            ("99999999999", i32::MAX),
        ] {
            assert_eq!(whole_days(value), Some(days), "{value}");
        }
        for value in [
            "0", "000", "-1", "+1", "1.0", "1e3", " 1", "1 ", "x", "1d", "½", "١",
        ] {
            assert_eq!(whole_days(value), None, "{value}");
        }
    }

    #[test]
    fn only_lines_of_our_own_are_logged_at_any_level() {
        let check = |asked: &str, target: &str, level: Level| {
            let targets = targets(asked);
            assert!(targets.would_enable(target, &level), "{asked}: {target}");
            let more = [
                Level::ERROR,
                Level::WARN,
                Level::INFO,
                Level::DEBUG,
                Level::TRACE,
            ]
            .into_iter()
            .find(|more| *more > level);
            if let Some(more) = more {
                assert!(
                    !targets.would_enable(target, &more),
                    "{asked}: {target} {more}"
                );
            }
            assert!(!targets.would_enable("tokio_postgres", &Level::ERROR));
        };
        for unset in ["", " ", "no=such=filter"] {
            check(unset, "shared::start", Level::INFO);
        }
        check("trace", "webhook", Level::TRACE);
        check(
            "warn,hyper=trace,tokio_postgres=trace",
            "provision",
            Level::WARN,
        );
        check("shared=debug", "shared::store", Level::DEBUG);
        check("shared=debug", "reconcile", Level::INFO);
        check("error,shared::store=trace", "shared::store", Level::TRACE);
        check("error,shared::store=trace", "shared::client", Level::ERROR);
        assert!(!targets("off").would_enable("webhook", &Level::ERROR));
    }
}
