//! Lists every user and repairs the table: rows that differ are written, users
//! that are missing are looked up by id, and only those that are gone for
//! certain are tombstoned.
//!
//! Invariant: a listing that broke off tombstones nobody, and a run writes its
//! row in `runs` whatever becomes of it.

mod ahead;
mod drain;
mod fetch;
mod lease;
mod lifecycle;
mod listed;
mod missed;
mod page;
mod privacy;
mod prune;
mod rejections;
mod report;
mod request;
mod run;
mod settling;
mod stopped;
mod sweep;
mod tally;
mod unlisted;
mod walk;
mod write;

use serde_json::Value;
use shared::client::Client;
use shared::credentials::{Access, Credentials};
use shared::metrics::Metrics;
use shared::settle::Sources;
use shared::start::{Start, days};
use shared::store::{Retention, Schema, Store};
use tokio::time::Instant;

pub use report::{Change, Finding, InvocationError, Report, RunOutcome};
pub use request::Request;
use run::PATIENCE;
pub use run::Run;
pub use stopped::Stopped;

/// One instance of the function.
pub struct App {
    client: Client,
    credentials: Credentials,
    schema: Schema,
    retention: Retention,
    metrics: Metrics,
    access: Access,
    erase_after_days: Option<i32>,
}

/// The store and the provider that a run uses.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// The access that a secret gives.
    pub access: &'a Access,
    /// The schema that holds the table.
    pub schema: &'a Schema,
    /// The way to the provider.
    pub client: &'a Client,
    /// For how long records are kept.
    pub retention: Retention,
    /// After how many days tombstones are erased, if ever.
    pub erase_after_days: Option<i32>,
    /// Where its figures go.
    pub metrics: &'a Metrics,
}

impl App {
    fn ground(&self) -> Ground<'_> {
        Ground {
            access: &self.access,
            schema: &self.schema,
            client: &self.client,
            retention: self.retention,
            erase_after_days: self.erase_after_days,
            metrics: &self.metrics,
        }
    }

    /// Reads the secret, and `ERASE_AFTER_DAYS`.
    pub async fn new(start: Start) -> anyhow::Result<Self> {
        let retention = start.retention?;
        let erase_after_days = days("ERASE_AFTER_DAYS")?;
        let access = start.credentials.load().await?;
        Ok(Self {
            client: start.client,
            credentials: start.credentials,
            schema: start.schema,
            retention,
            metrics: start.metrics,
            access,
            erase_after_days,
        })
    }
}

/// Handles an invocation; `until`: when to stop and leave the rest to the next.
pub async fn handle(
    app: &mut App,
    event: &Value,
    until: Instant,
) -> Result<Report, InvocationError> {
    let request = Request::read(event).map_err(InvocationError::Failed)?;
    let mut opened = None;
    let mut ended = attempt(app.ground(), &request, until, &mut opened).await;
    if let Err(Stopped::Refused(_)) = &ended
        && let Ok(Some(access)) = app.credentials.refresh(&app.access).await
    {
        app.access = access;
        ended = attempt(app.ground(), &request, until, &mut opened).await;
    }
    answer(ended)
}

/// Does one run with what a secret gives access to, for a person who waits: a run
/// that is out of time is partial, and the next one goes on from there.
pub async fn drive(
    ground: Ground<'_>,
    request: &Request,
    until: Instant,
) -> Result<Report, InvocationError> {
    let mut opened = None;
    answer(attempt(ground, request, until, &mut opened).await)
}

fn answer(ended: Result<Report, Stopped>) -> Result<Report, InvocationError> {
    match ended {
        Ok(report) if report.outcome == RunOutcome::Held => Err(InvocationError::Held(report)),
        Ok(report) => Ok(report),
        Err(stopped) => Err(InvocationError::Failed(stopped.to_string())),
    }
}

async fn attempt(
    ground: Ground<'_>,
    request: &Request,
    until: Instant,
    opened: &mut Option<i64>,
) -> Result<Report, Stopped> {
    let Ground {
        access,
        schema,
        client,
        retention,
        erase_after_days,
        metrics,
    } = ground;
    let (database, provider) = (access.database.clone(), access.provider.as_ref());
    let store = Store::new(database, schema.clone(), provider.facts(), PATIENCE).until(until);
    let sources = Sources {
        store: &store,
        provider,
        client,
    };
    let kept = (retention, erase_after_days);
    let ended = lifecycle::run(sources, request, kept, metrics, until, opened).await;
    store.let_go().await;
    ended
}
