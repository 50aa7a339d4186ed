//! Lists every user and repairs the table: what differs is applied, who is
//! missing is looked up by id, and only who is gone for certain is tombstoned.
//!
//! Invariant: a listing that broke off tombstones nobody, and a run writes its
//! row in `runs` whatever becomes of it.

mod drain;
mod lease;
mod request;
mod run;
mod sweep;
mod tally;
mod unlisted;
mod walk;

use std::time::Duration;

use serde_json::Value;
use shared::client::Client;
use shared::credentials::{Access, Credentials};
use shared::settle::Sources;
use shared::start::Start;
use shared::store::{Figures, Patience, Schema, Store, StoreError};
use tokio::time::Instant;

pub use request::Request;

const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(30),
    statement: Duration::from_secs(120),
};

/// One instance of the function.
pub struct App {
    client: Client,
    credentials: Credentials,
    schema: Schema,
    access: Access,
}

impl App {
    /// Reads the secret.
    pub async fn new(start: Start) -> anyhow::Result<Self> {
        let access = start.credentials.load().await?;
        Ok(Self {
            client: start.client,
            credentials: start.credentials,
            schema: start.schema,
            access,
        })
    }
}

/// How a run ended, if it didn't fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Every user was seen, and the table is in sync with what was seen.
    Complete,
    /// Time ran out; the next invocation goes on from there.
    Partial,
    /// Another run holds the lease.
    Busy,
    /// More users are missing than the run may tombstone.
    Held,
}

impl Outcome {
    /// As in the contract.
    pub fn word(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Busy => "busy",
            Self::Held => "held",
        }
    }
}

/// What the function answers.
#[derive(Debug, serde::Serialize)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// What it did.
    #[serde(flatten)]
    pub figures: Figures,
}

/// Why the invocation fails.
#[derive(Debug)]
pub enum Failure {
    /// The brake held: a report that has to be seen.
    Held(Report),
    /// The run could not be finished.
    Failed(String),
}

/// Handles an invocation; `until`: when to stop and leave the rest to the next.
pub async fn handle(app: &mut App, event: &Value, until: Instant) -> Result<Report, Failure> {
    let request = Request::read(event).map_err(Failure::Failed)?;
    let mut opened = None;
    let mut ended = attempt(app, &request, until, &mut opened).await;
    if let Err(Stopped::Refused(_)) = &ended
        && let Ok(Some(access)) = app.credentials.refresh(&app.access).await
    {
        app.access = access;
        ended = attempt(app, &request, until, &mut opened).await;
    }
    match ended {
        Ok(report) if report.outcome == Outcome::Held => Err(Failure::Held(report)),
        Ok(report) => Ok(report),
        Err(stopped) => Err(Failure::Failed(stopped.to_string())),
    }
}

/// Why a run stopped before its end.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    /// The provider or Postgres refuses our keys: they may have been rotated.
    #[error("{0}")]
    Refused(String),
    /// Anything else, and what to do about it.
    #[error("{0}")]
    Failed(String),
    /// The time is over. Not an error: the next invocation goes on. With what
    /// the last attempt ran into, if it was that which took the time.
    #[error("the time is over")]
    OutOfTime(Option<String>),
    /// The provider will not answer before the time is over, and says why. Not
    /// an error either, if the run got somewhere before.
    #[error("{0}")]
    Unserved(String),
}

impl Stopped {
    /// Whether the next invocation can go on where this one was.
    fn passes(&self) -> bool {
        matches!(self, Self::OutOfTime(_) | Self::Unserved(_))
    }
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        match error {
            error if error.may_come_of_a_rotated_secret() => Self::Refused(error.to_string()),
            error => Self::Failed(error.to_string()),
        }
    }
}

async fn attempt(
    app: &App,
    request: &Request,
    until: Instant,
    opened: &mut Option<i64>,
) -> Result<Report, Stopped> {
    let database = app.access.database.clone();
    let provider = app.access.provider.as_ref();
    let store = Store::new(database, app.schema.clone(), provider.facts(), PATIENCE).until(until);
    let sources = Sources {
        store: &store,
        provider,
        client: &app.client,
    };
    let ended = run::run(sources, request, until, opened).await;
    store.let_go().await;
    ended
}
