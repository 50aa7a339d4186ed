//! `runs` and `rejections`, a page at a time.

use std::time::SystemTime;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::Desk;
use crate::store::connection::Parameters;
use crate::store::error::StoreError;
use crate::time::At;

/// A run.
#[derive(Debug, Clone)]
pub struct RunRow {
    /// Its number.
    pub id: i64,
    /// When it began.
    pub started_at: At,
    /// When it ended.
    pub finished_at: Option<At>,
    /// As in the contract; `None`: it has not ended.
    pub outcome: Option<String>,
    /// Whether it wrote nothing.
    pub dry_run: bool,
    /// Each figure by its name, as far as it is known.
    pub figures: Vec<(&'static str, Option<i64>)>,
    /// How long it took.
    pub duration_ms: Option<i64>,
    /// The words for the operator.
    pub error: Option<String>,
}

/// The figures of a run that are shown, by their columns.
const FIGURES: [&str; 8] = [
    "listed",
    "created",
    "updated",
    "unchanged",
    "deleted",
    "revived",
    "rejected",
    "held",
];

/// A run's change to one user.
#[derive(Debug, Clone)]
pub struct RepairRow {
    /// Its number.
    pub id: i64,
    /// The user.
    pub user_id: String,
    /// As in the contract.
    pub change: String,
    /// When.
    pub at: At,
}

/// A signed delivery or a listed user that could not be stored.
#[derive(Debug, Clone)]
pub struct RejectionRow {
    /// Its number.
    pub id: i64,
    /// When that was, the last time.
    pub rejected_at: At,
    /// `delivery` or `listing`.
    pub source: String,
    /// The event's id, or the name under which a listed user is kept.
    pub event_id: String,
    /// Why.
    pub reason: String,
    /// The user, if at least the id could be read.
    pub user_id: Option<String>,
    /// When somebody, or a run, has seen to it.
    pub resolved_at: Option<At>,
    /// The body as text, at most [`RejectionRow::LONGEST`] characters.
    pub body: String,
    /// How many bytes that has.
    pub length: i64,
}

impl RejectionRow {
    /// How much of a body is shown.
    pub const LONGEST: i32 = 100_000;
}

impl Desk {
    /// Runs, the newest first, from before `before` on.
    pub async fn runs(&self, before: Option<i64>, most: i64) -> Result<Vec<RunRow>, StoreError> {
        let parameters: Parameters<'_> = &[(&before, Type::INT8), (&most, Type::INT8)];
        let rows = self.connection.all(sql!("list_runs"), parameters).await?;
        Ok(rows.iter().map(run).collect())
    }

    /// One run.
    pub async fn run(&self, id: i64) -> Result<Option<RunRow>, StoreError> {
        let rows = self.runs(Some(id.saturating_add(1)), 1).await?;
        Ok(rows.into_iter().find(|row| row.id == id))
    }

    /// A run's changes in order, after `after`.
    pub async fn repairs(
        &self,
        run: i64,
        after: Option<i64>,
        most: i64,
    ) -> Result<Vec<RepairRow>, StoreError> {
        let parameters: Parameters<'_> = &[
            (&run, Type::INT8),
            (&after, Type::INT8),
            (&most, Type::INT8),
        ];
        let rows = self
            .connection
            .all(sql!("list_repairs"), parameters)
            .await?;
        let rows = rows.iter().map(|row| RepairRow {
            id: row.get(0),
            user_id: row.get(1),
            change: row.get(2),
            at: At::from_system(row.get(3)),
        });
        Ok(rows.collect())
    }

    /// Rejections, the newest first, from before `before` on; `open`: those alone
    /// that nobody has seen to.
    pub async fn rejections(
        &self,
        open: bool,
        before: Option<i64>,
        most: i64,
    ) -> Result<Vec<RejectionRow>, StoreError> {
        let body = 0_i32;
        let parameters: Parameters<'_> = &[
            (&open, Type::BOOL),
            (&before, Type::INT8),
            (&most, Type::INT8),
            (&body, Type::INT4),
            (&None::<i64>, Type::INT8),
        ];
        let rows = self
            .connection
            .all(sql!("list_rejections"), parameters)
            .await?;
        Ok(rows.iter().map(rejection).collect())
    }

    /// One rejection, with what was sent.
    pub async fn rejection(&self, id: i64) -> Result<Option<RejectionRow>, StoreError> {
        let parameters: Parameters<'_> = &[
            (&false, Type::BOOL),
            (&None::<i64>, Type::INT8),
            (&1_i64, Type::INT8),
            (&RejectionRow::LONGEST, Type::INT4),
            (&Some(id), Type::INT8),
        ];
        let rows = self
            .connection
            .all(sql!("list_rejections"), parameters)
            .await?;
        Ok(rows.first().map(rejection))
    }

    /// Marks a rejection as seen to; whether it was open.
    pub async fn dismiss(&self, id: i64) -> Result<bool, StoreError> {
        let parameters: Parameters<'_> = &[(&id, Type::INT8)];
        let rows = self.connection.all(sql!("dismiss"), parameters).await?;
        Ok(!rows.is_empty())
    }

    /// Removes all that is kept of a deleted user's person, which the schema's owner
    /// may; why not, in the database's words.
    pub async fn erase(&self, id: &str) -> Result<(), StoreError> {
        let parameters: Parameters<'_> = &[(&id, Type::TEXT)];
        self.connection
            .all(sql!("erase"), parameters)
            .await
            .map(|_| ())
    }
}

fn run(row: &Row) -> RunRow {
    RunRow {
        id: row.get("id"),
        started_at: At::from_system(row.get("started_at")),
        finished_at: moment(row, "finished_at"),
        outcome: row.get("outcome"),
        dry_run: row.get("dry_run"),
        figures: FIGURES.map(|name| (name, row.get(name))).to_vec(),
        duration_ms: row.get("duration_ms"),
        error: row.get("error"),
    }
}

fn rejection(row: &Row) -> RejectionRow {
    let body: Vec<u8> = row.get("body");
    RejectionRow {
        id: row.get("id"),
        rejected_at: At::from_system(row.get("rejected_at")),
        source: row.get("source"),
        event_id: row.get("event_id"),
        reason: row.get("reason"),
        user_id: row.get("user_id"),
        resolved_at: moment(row, "resolved_at"),
        body: String::from_utf8_lossy(&body).into_owned(),
        length: row.get("length"),
    }
}

fn moment(row: &Row, column: &str) -> Option<At> {
    row.get::<_, Option<SystemTime>>(column)
        .map(At::from_system)
}
