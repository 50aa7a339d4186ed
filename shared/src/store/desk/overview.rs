//! The state of the connection and of the table at one glance.

use std::time::SystemTime;

use super::Desk;
use crate::store::error::StoreError;
use crate::time::At;

/// The figures of the first page.
#[derive(Debug, Clone)]
pub struct Overview {
    /// The database's clock.
    pub now: At,
    /// The project that the schema is bound to, if it is.
    pub bound: Option<Bound>,
    /// Rows of all kinds.
    pub users: i64,
    /// Whether that many was estimated, because there are too many to count.
    pub estimated: bool,
    /// Tombstones, counted up to [`Overview::MOST`].
    pub deleted: i64,
    /// Placeholders, counted up to [`Overview::MOST`].
    pub placeholders: i64,
    /// Rejections that nobody has seen to, counted up to [`Overview::MOST`].
    pub rejections: i64,
    /// The last run that has ended, other than a dry one.
    pub last_run: Option<LastRun>,
    /// When the last complete run ended.
    pub complete_at: Option<At>,
    /// Whether a run is under way.
    pub running: bool,
    /// How many users a walk has met that is to go on; `None`: none is.
    pub walked: Option<i64>,
    /// When the last delivery came, and what became of it.
    pub delivery: Option<(At, String)>,
}

impl Overview {
    /// How far is counted.
    pub const MOST: i64 = 10_000;
}

/// A project, and since when the schema is bound to it.
#[derive(Debug, Clone)]
pub struct Bound {
    /// The provider's name.
    pub provider: String,
    /// The project's name.
    pub project: String,
    /// Since when.
    pub since: At,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct LastRun {
    /// Its number.
    pub id: i64,
    /// As in the contract.
    pub outcome: String,
    /// When it ended.
    pub at: At,
    /// Users that it did not tombstone, because they were too many.
    pub held: i64,
    /// The words for the operator.
    pub error: Option<String>,
}

impl Desk {
    /// The figures of the first page.
    pub async fn overview(&self) -> Result<Overview, StoreError> {
        let row = self.connection.one(sql!("overview"), &[]).await?;
        let at = |time: SystemTime| At::from_system(time);
        let bound = |provider: String| {
            Some(Bound {
                provider,
                project: row.get("project"),
                since: at(row.get("connected_at")),
            })
        };
        let last_run = |id: i64| {
            Some(LastRun {
                id,
                outcome: row.get("outcome"),
                at: at(row.get("finished_at")),
                held: row.get::<_, Option<i64>>("held").unwrap_or_default(),
                error: row.get("error"),
            })
        };
        Ok(Overview {
            now: at(row.get("now")),
            bound: row.get::<_, Option<String>>("provider").and_then(bound),
            users: row.get("users"),
            estimated: row.get("estimated"),
            deleted: row.get("deleted"),
            placeholders: row.get("placeholders"),
            rejections: row.get("rejections"),
            last_run: row.get::<_, Option<i64>>("run").and_then(last_run),
            complete_at: row.get::<_, Option<SystemTime>>("complete_at").map(at),
            running: row.get("running"),
            walked: row.get("walked"),
            delivery: row
                .get::<_, Option<SystemTime>>("received_at")
                .map(|time| (at(time), row.get("delivered"))),
        })
    }
}
