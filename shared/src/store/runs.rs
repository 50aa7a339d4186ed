//! `runs` and `walk`: a run's row, its lease, and where the walk and the
//! record of events are to go on.

use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::types::Type;

use super::binding::{foreign, permit};
use super::connection::Parameters;
use super::error::StoreError;
use super::handle::Store;
use super::project::Project;
use super::record::Retention;
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
    /// Users of earlier runs of whom a webhook should have told, and none did.
    pub missed: i64,
    /// Pages read.
    pub pages: i64,
    /// How long it took.
    pub duration_ms: i64,
}

/// A walk's place between two invocations.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Saved {
    /// Where the walk was, in the adapter's own words.
    pub position: Option<String>,
    /// The users that the walk has met.
    pub met: Option<Vec<u8>>,
    /// How many users it has rejected.
    pub rejected: i64,
    /// How many of those had no id.
    pub nameless: i64,
}

/// The lease that a run has taken. Everything that only one run at a time is
/// allowed to do takes it. The run may have lost it since, so each statement
/// checks it.
///
/// Nothing but [`Store::take_lease`] makes one. A run can't write a tombstone
/// by its number:
///
/// ```compile_fail,E0308
/// # use shared::store::{Authority, Look, ProjectStore};
/// # async fn sweep(store: &ProjectStore, looks: &[Look]) {
/// let run: i64 = 7;
/// let _ = store.settle_gone(looks, Authority::Run(run)).await;
/// # }
/// ```
///
/// nor by a lease that it has made up:
///
/// ```compile_fail,E0451
/// # use shared::store::{Authority, Lease, Look, ProjectStore};
/// # async fn sweep(store: &ProjectStore, looks: &[Look]) {
/// let lease = Lease { run: 7 };
/// let _ = store.settle_gone(looks, Authority::Run(&lease)).await;
/// # }
/// ```
///
/// It takes the lease:
///
/// ```
/// # use shared::store::{Authority, Look, ProjectStore};
/// # async fn sweep(store: &ProjectStore, looks: &[Look], run: i64) {
/// # let length = std::time::Duration::from_secs(30);
/// if let Ok(Some(taken)) = store.take_lease(run, length, false).await {
///     let lease = taken.lease;
///     let _ = store.settle_gone(looks, Authority::Run(&lease)).await;
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Lease {
    pub(super) run: i64,
    /// Whether a run has seen everybody, so that this one repairs.
    pub(super) repairs: bool,
}

impl Lease {
    /// The same; what the run changes is not recorded.
    #[must_use]
    pub fn unrecorded(self) -> Self {
        Self {
            repairs: false,
            ..self
        }
    }
}

/// The state that a run begins with.
#[derive(Debug)]
pub struct Taken {
    /// The lease.
    pub lease: Lease,
    /// The database's clock.
    pub now: At,
    /// Whether some run has seen everybody.
    pub everybody_was_seen: bool,
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
    /// The run's figures.
    pub figures: Figures,
    /// For how long deliveries are recorded: without a record, nobody can be said
    /// to have been missed.
    pub retention: Retention,
}

/// The result of ending a run's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// Whether the run still had the lease; else another one has taken it
    /// meanwhile, and this one's row says so.
    pub was_its_own: bool,
    /// Users of earlier runs of whom a webhook should have told, and none did.
    pub missed: i64,
    /// Whether no webhook at all has come since the first of them.
    pub none_arrives: bool,
    /// Deliveries and listed users that can't be stored at present.
    pub open_rejections: i64,
}

/// The state that a run with the lease leaves to the next one.
#[derive(Debug, Default)]
pub struct LeftToNext<'a> {
    /// Where the next run goes on; `None`: the walk stays as it was.
    pub walk: Option<Saved>,
    /// Fields in which listing and reads differ; `None`: nothing was learnt.
    pub unlisted: Option<&'a [String]>,
}

impl Store {
    /// Begins a run's row, or goes on with the one that it has; and whether the
    /// schema is this project's, or the provider's if the project isn't known yet.
    pub async fn open_run(
        &self,
        dry_run: bool,
        opened: Option<i64>,
        project: Option<&Project>,
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
        let permitted = match (bound, project) {
            (None, _) => Err(StoreError::NotProvisioned),
            (Some(bound), Some(project)) => permit(&self.facts, project, bound),
            (Some((provider, _)), None) if provider == self.facts.name => Ok(()),
            (Some(bound), None) => Err(foreign(&self.facts, "", bound)),
        };
        Ok((row.get(0), permitted))
    }

    /// Takes the lease and gives the time and where a walk goes on; `None`
    /// while another run holds it.
    pub async fn take_lease(
        &self,
        run: i64,
        length: Duration,
        anew: bool,
    ) -> Result<Option<Taken>, StoreError> {
        let rows = self
            .connection
            .all(
                sql!("take_lease"),
                &[
                    (&run, Type::INT8),
                    (&length.as_secs_f64(), Type::FLOAT8),
                    (&anew, Type::BOOL),
                ],
            )
            .await?;
        Ok(rows.first().map(|row| Taken {
            lease: Lease {
                run,
                repairs: row.get(6),
            },
            now: At::from_system(row.get(0)),
            everybody_was_seen: row.get(6),
            saved: Saved {
                position: row.get(1),
                met: row.get(2),
                rejected: row.get(3),
                nameless: row.get(4),
            },
            unlisted: row.get(5),
        }))
    }

    /// Keeps the lease, and gives the time; `None`: another run has taken it.
    pub async fn renew_lease(
        &self,
        lease: &Lease,
        length: Duration,
    ) -> Result<Option<At>, StoreError> {
        let parameters: Parameters<'_> = &[
            (&lease.run, Type::INT8),
            (&length.as_secs_f64(), Type::FLOAT8),
        ];
        let rows = self.connection.all(sql!("renew_lease"), parameters).await?;
        Ok(rows.first().map(|row| At::from_system(row.get(0))))
    }

    /// Ends the row of a run that never had the lease. `by`: until when there is
    /// time, past the store's own deadline.
    pub async fn close_run(
        &self,
        run: i64,
        closing: Closing<'_>,
        by: Instant,
    ) -> Result<Closed, StoreError> {
        self.close(run, closing, LeftToNext::default(), by).await
    }

    /// Ends a run's row, keeps what it leaves to the next one, and gives the
    /// lease back. `by`: until when there is time, past the store's own deadline,
    /// because the hashes of millions of users take seconds to send.
    pub async fn give_lease_back(
        &self,
        lease: Lease,
        closing: Closing<'_>,
        left: LeftToNext<'_>,
        by: Instant,
    ) -> Result<Closed, StoreError> {
        self.close(lease.run, closing, left, by).await
    }

    async fn close(
        &self,
        run: i64,
        closing: Closing<'_>,
        left: LeftToNext<'_>,
        by: Instant,
    ) -> Result<Closed, StoreError> {
        let figures = serde_json::json!(closing.figures).to_string();
        let untouched = left.walk.is_none();
        let saved = left.walk.unwrap_or_default();
        let rows = self
            .connection
            .all_by(
                Some(by),
                sql!("close_run"),
                &[
                    (&run, Type::INT8),
                    (&closing.outcome, Type::TEXT),
                    (&closing.error, Type::TEXT),
                    (&figures, Type::TEXT),
                    (&saved.position, Type::TEXT),
                    (&saved.met, Type::BYTEA),
                    (&untouched, Type::BOOL),
                    (&saved.rejected, Type::INT8),
                    (&saved.nameless, Type::INT8),
                    (&left.unlisted, Type::TEXT_ARRAY),
                    (&closing.retention.records(), Type::BOOL),
                ],
            )
            .await?;
        Ok(match rows.first() {
            Some(row) => Closed {
                was_its_own: row.get::<_, &str>(0) == closing.outcome,
                missed: row.get(1),
                none_arrives: row.get(2),
                open_rejections: row.get(3),
            },
            // Somebody has deleted the row.
            None => Closed {
                was_its_own: true,
                missed: 0,
                none_arrives: false,
                open_rejections: 0,
            },
        })
    }

    /// Up to which event the provider's record is drained; `None`: it never was.
    pub async fn event_cursor(&self) -> Result<Option<String>, StoreError> {
        Ok(self.connection.one(sql!("event_cursor"), &[]).await?.get(0))
    }

    /// Notes it, or that it has to begin anew; false: the run has lost the lease.
    pub async fn set_event_cursor(
        &self,
        lease: &Lease,
        cursor: Option<&str>,
    ) -> Result<bool, StoreError> {
        let parameters: Parameters<'_> = &[(&lease.run, Type::INT8), (&cursor, Type::TEXT)];
        let rows = self
            .connection
            .all(sql!("set_event_cursor"), parameters)
            .await?;
        Ok(!rows.is_empty())
    }
}
