//! What the three functions do when they start: the environment, the log and
//! the secret.
//!
//! Invariant: only lines of this project's own are logged, at whatever level.
//! Libraries print statements' parameters, headers and bodies.

use std::env;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::client::Client;
use crate::credentials::Credentials;
use crate::secret::Misconfigured;
use crate::store::Schema;

const OWN: [&str; 4] = ["shared", "webhook", "reconcile", "provision"];

/// What a function starts with.
pub struct Start {
    /// Where the secret is.
    pub credentials: Credentials,
    /// The schema that holds the table.
    pub schema: Schema,
    /// For everything that is asked over HTTP.
    pub client: Client,
}

/// Reads the environment: `SECRET_ID`, `SECRET_FILE`, `SCHEMA`, `RUST_LOG`.
pub async fn start() -> Result<Start> {
    log();
    let client = Client::new().context("set up HTTP")?;
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
    })
}

fn variable(name: &str) -> Result<Option<String>, Misconfigured> {
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

fn log() {
    let asked = env::var("RUST_LOG").unwrap_or_default();
    let own: Targets = asked.parse().unwrap_or_default();
    let default = own.default_level().unwrap_or(LevelFilter::INFO);
    let targets = OWN.iter().fold(Targets::new(), |targets, own_target| {
        let named = own
            .iter()
            .find(|(target, _)| target == own_target)
            .map_or(default, |(_, level)| level);
        targets.with_target(*own_target, named)
    });
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(std::io::stderr);
    let _ = tracing_subscriber::registry()
        .with(lines)
        .with(targets)
        .try_init();
}

/// Logs why a function can't start.
pub fn log_failure(error: &anyhow::Error) {
    tracing::event!(Level::ERROR, error = format!("{error:#}"), "can't start");
}

/// How long an invocation may still work, with a margin to answer in; `None`
/// where the deadline lies in the past (cargo-lambda's always does).
pub fn remaining(deadline: SystemTime, now: SystemTime) -> Option<Duration> {
    let left = deadline.duration_since(now).ok()?;
    let margin = (left / 5).clamp(Duration::from_millis(200), Duration::from_secs(20));
    Some(left.saturating_sub(margin))
}
