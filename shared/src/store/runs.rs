//! `runs` and `walk`: a run's row, its lease, and where the walk and the
//! record of events are to go on.

use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::types::Type;

use super::connection::Parameters;
use super::{Store, StoreError};
use crate::time::At;

/// A run's figures, as `reconcile` answers them and `runs` keeps them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Figures {
    /// Users that the provider showed.
    pub listed: i64,
    /// Rows made.
    pub created: i64,
    /// Rows changed.
    pub updated: i64,
    /// Rows that were right.
    pub unchanged: i64,
    /// Users tombstoned.
    pub deleted: i64,
    /// Tombstones cleared.
    pub revived: i64,
    /// Users that could not be stored.
    pub rejected: i64,
    /// Users that are missing at the provider and were not tombstoned.
    pub held: i64,
    /// Pages read.
    pub pages: i64,
    /// How long it took.
    pub duration_ms: i64,
}

/// A walk's place between two invocations.
#[derive(Debug, Default)]
pub struct Saved {
    /// The adapter's own words for where it was.
    pub position: Option<String>,
    /// Whom it has met.
    pub met: Option<Vec<u8>>,
    /// How many it has rejected.
    pub rejected: i64,
    /// How many of them had no id.
    pub nameless: i64,
}

/// What a run begins with.
#[derive(Debug)]
pub struct Lease {
    /// The database's clock.
    pub now: At,
    /// Where the walk goes on.
    pub saved: Saved,
    /// Fields in which listing and reads were seen to differ.
    pub unlisted: Vec<String>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Closing<'a> {
    /// As in the contract.
    pub outcome: &'a str,
    /// For the operator.
    pub error: Option<&'a str>,
    /// What it did.
    pub figures: Figures,
    /// Where the next one goes on; `None`: leave the walk as it was.
    pub walk: Option<Saved>,
    /// Fields in which listing and reads differ; `None`: nothing was learnt.
    pub unlisted: Option<&'a [String]>,
}

impl Store {
    /// Begins a run's row, or goes on with the one that it has; and whether the
    /// schema is this project's, as far as the project is known yet.
    pub async fn open_run(
        &self,
        dry_run: bool,
        opened: Option<i64>,
    ) -> Result<(i64, Result<(), StoreError>), StoreError> {
        let row = self
            .connection
            .one(
                sql!("open_run"),
                &[(&dry_run, Type::BOOL), (&opened, Type::INT8)],
            )
            .await?;
        let bound = row
            .get::<_, Option<&str>>(1)
            .zip(row.get::<_, Option<&str>>(2));
        let permitted = match bound {
            None => Err(StoreError::NotProvisioned),
            Some((provider, _)) if provider == self.facts.name && self.names().is_empty() => Ok(()),
            Some((provider, project)) => self.permit(provider, project),
        };
        Ok((row.get(0), permitted))
    }

    /// Takes the lease and gives the time and where a walk goes on; `None`
    /// while another run holds it.
    pub async fn take_lease(
        &self,
        run: i64,
        lease: Duration,
        anew: bool,
    ) -> Result<Option<Lease>, StoreError> {
        let rows = self
            .connection
            .all(
                sql!("take_lease"),
                &[
                    (&run, Type::INT8),
                    (&lease.as_secs_f64(), Type::FLOAT8),
                    (&anew, Type::BOOL),
                ],
            )
            .await?;
        Ok(rows.first().map(|row| Lease {
            now: At::from_system(row.get(0)),
            saved: Saved {
                position: row.get(1),
                met: row.get(2),
                rejected: row.get(3),
                nameless: row.get(4),
            },
            unlisted: row.get(5),
        }))
    }

    /// Keeps the lease, and gives the time; `None`: it is another run's.
    pub async fn renew_lease(&self, run: i64, lease: Duration) -> Result<Option<At>, StoreError> {
        let parameters: Parameters<'_> =
            &[(&run, Type::INT8), (&lease.as_secs_f64(), Type::FLOAT8)];
        let rows = self.connection.all(sql!("renew_lease"), parameters).await?;
        Ok(rows.first().map(|row| At::from_system(row.get(0))))
    }

    /// Ends a run's row, and gives the lease back; false: another run has taken
    /// the lease meanwhile, and this one's row says so. `by`: until when there is
    /// time, past the store's own deadline: whom a walk of millions has met takes
    /// seconds to be sent.
    pub async fn close_run(
        &self,
        run: i64,
        closing: Closing<'_>,
        by: Instant,
    ) -> Result<bool, StoreError> {
        let f = closing.figures;
        let figures = vec![
            f.listed,
            f.created,
            f.updated,
            f.unchanged,
            f.deleted,
            f.revived,
            f.rejected,
            f.held,
            f.pages,
            f.duration_ms,
        ];
        let untouched = closing.walk.is_none();
        let saved = closing.walk.unwrap_or_default();
        let rows = self
            .connection
            .all_by(
                Some(by),
                sql!("close_run"),
                &[
                    (&run, Type::INT8),
                    (&closing.outcome, Type::TEXT),
                    (&closing.error, Type::TEXT),
                    (&figures, Type::INT8_ARRAY),
                    (&saved.position, Type::TEXT),
                    (&saved.met, Type::BYTEA),
                    (&untouched, Type::BOOL),
                    (&saved.rejected, Type::INT8),
                    (&saved.nameless, Type::INT8),
                    (&closing.unlisted, Type::TEXT_ARRAY),
                ],
            )
            .await?;
        // No row: somebody has deleted it.
        Ok(rows
            .first()
            .is_none_or(|row| row.get::<_, &str>(0) == closing.outcome))
    }

    /// Up to which event the provider's record is drained; `None`: it never was.
    pub async fn event_cursor(&self) -> Result<Option<String>, StoreError> {
        Ok(self.connection.one(sql!("event_cursor"), &[]).await?.get(0))
    }

    /// Notes it, or that it has to begin anew; false: `run` has lost the lease.
    pub async fn set_event_cursor(
        &self,
        run: i64,
        cursor: Option<&str>,
    ) -> Result<bool, StoreError> {
        let parameters: Parameters<'_> = &[(&run, Type::INT8), (&cursor, Type::TEXT)];
        let rows = self
            .connection
            .all(sql!("set_event_cursor"), parameters)
            .await?;
        Ok(!rows.is_empty())
    }
}
