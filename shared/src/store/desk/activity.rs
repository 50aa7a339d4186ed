//! The history of a day or a week: deliveries by their outcomes, their lag, and
//! the repairs of runs.

use std::time::SystemTime;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::Desk;
use crate::store::connection::Parameters;
use crate::store::error::StoreError;
use crate::time::At;

/// A stretch of time.
#[derive(Debug, Clone)]
pub struct Stretch {
    /// When it begins.
    pub begin: At,
    /// Deliveries that changed a row.
    pub applied: i64,
    /// Deliveries of what the row said already, or knew newer.
    pub unchanged: i64,
    /// Deliveries that could not be stored.
    pub rejected: i64,
    /// Deliveries that were answered 503.
    pub failed: i64,
    /// Half of the deliveries took no longer, in milliseconds.
    pub lag_p50_ms: Option<i64>,
    /// 95 % of the deliveries took no longer.
    pub lag_p95_ms: Option<i64>,
    /// Users whose rows runs had to repair.
    pub repaired: i64,
}

/// A delivery or a repair of one user.
#[derive(Debug, Clone)]
pub struct Happening {
    /// When it came.
    pub at: At,
    /// `delivery` or `repair`.
    pub kind: String,
    /// The event's type, or the run's number.
    pub by: String,
    /// The outcome.
    pub outcome: String,
    /// How long it took from the provider's own time.
    pub lag_ms: Option<i64>,
}

impl Desk {
    /// So many stretches of so many hours, the last of them the one that is not over.
    /// Those that are over are counted once.
    pub async fn activity(&self, hours: i32, stretches: i32) -> Result<Vec<Stretch>, StoreError> {
        let parameters: Parameters<'_> = &[(&hours, Type::INT4), (&stretches, Type::INT4)];
        let rows = self
            .connection
            .all(sql!("kept_activity"), parameters)
            .await?;
        let is_kept = |row: &&Row| row.get::<_, Option<i64>>(1).is_some();
        let mut all: Vec<Stretch> = rows.iter().take_while(is_kept).map(stretch).collect();
        let Some(rest) = rows.get(all.len()) else {
            return Ok(all);
        };
        let begin: SystemTime = rest.get(0);
        let parameters: Parameters<'_> = &[(&hours, Type::INT4), (&begin, Type::TIMESTAMPTZ)];
        let counted = self
            .connection
            .all(sql!("count_activity"), parameters)
            .await?;
        all.extend(counted.iter().map(stretch));
        Ok(all)
    }

    /// The last deliveries and repairs of a user, the newest first.
    pub async fn history(&self, id: &str, most: i64) -> Result<Vec<Happening>, StoreError> {
        let parameters: Parameters<'_> = &[(&id, Type::TEXT), (&most, Type::INT8)];
        let rows = self.connection.all(sql!("history"), parameters).await?;
        let rows = rows.iter().map(|row| Happening {
            at: At::from_system(row.get(0)),
            kind: row.get(1),
            by: row.get(2),
            outcome: row.get(3),
            lag_ms: row.get(4),
        });
        Ok(rows.collect())
    }
}

fn stretch(row: &Row) -> Stretch {
    Stretch {
        begin: At::from_system(row.get(0)),
        applied: row.get(1),
        unchanged: row.get(2),
        rejected: row.get(3),
        failed: row.get(4),
        lag_p50_ms: row.get(5),
        lag_p95_ms: row.get(6),
        repaired: row.get(7),
    }
}
