//! `deliveries` and `repairs`: what came and what became of it, what runs had
//! to change, and how long both are remembered.

use std::sync::Arc;

use tokio_postgres::types::Type;

use super::binding::ProjectStore;
use super::error::StoreError;
use super::handle::Store;
use super::record::{Receipt, Record, Retention};
use super::runs::Lease;
use crate::profile::UserId;

impl ProjectStore {
    /// The same; what it writes is recorded as this delivery's effect.
    #[must_use]
    pub fn recording(&self, receipt: Receipt) -> Self {
        self.with_record(Record::Delivery(Arc::new(receipt)))
    }

    /// The same; what it changes is recorded as repaired by the lease's run, once
    /// a run before has seen everybody.
    #[must_use]
    pub fn repairing(&self, lease: &Lease) -> Self {
        match lease.repairs {
            true => self.with_record(Record::of_run(lease.run)),
            false => self.clone(),
        }
    }

    /// Records a delivery that is answered 503.
    pub async fn record_failure(
        &self,
        receipt: &Receipt,
        user: Option<&UserId>,
    ) -> Result<(), StoreError> {
        let record = receipt.columns();
        self.connection
            .all(
                sql!("record_failure"),
                &[
                    (&record.event_id, Type::TEXT),
                    (&record.event, Type::TEXT),
                    (&user.map(UserId::as_str), Type::TEXT),
                    (&record.changed_at, Type::TIMESTAMPTZ),
                    (&self.facts.name, Type::TEXT),
                    (&self.project.names, Type::TEXT_ARRAY),
                ],
            )
            .await
            .map(|_| ())
    }
}

impl Store {
    /// Deletes a batch of what is older than it is kept; whether there may be
    /// more.
    pub async fn prune(&self, retention: Retention) -> Result<bool, StoreError> {
        /// As in `prune()`, which the migration makes.
        const BATCH: i64 = 1000;
        let row = self
            .connection
            .one(sql!("prune"), &[(&retention.days, Type::INT4)])
            .await?;
        Ok(row.get::<_, i64>(0) >= BATCH)
    }
}
