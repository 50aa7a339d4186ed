//! `rejections`: what was signed or listed and could not be stored.

use tokio_postgres::types::Type;

use super::binding::ProjectStore;
use super::error::StoreError;
use super::handle::Store;
use super::runs::Lease;
use super::users::outcome;
use crate::profile::UserId;

impl ProjectStore {
    /// Keeps what was signed and could not be stored.
    pub async fn reject_delivery(
        &self,
        event_id: &str,
        reason: &str,
        body: &[u8],
        user: Option<&UserId>,
    ) -> Result<(), StoreError> {
        self.reject("delivery", event_id, reason, body, user).await
    }

    /// Keeps what was listed and could not be stored, in place of what was kept
    /// under this name before.
    pub async fn reject_listed(
        &self,
        name: &str,
        reason: &str,
        body: &[u8],
        user: Option<&UserId>,
    ) -> Result<(), StoreError> {
        self.reject("listing", name, reason, body, user).await
    }

    async fn reject(
        &self,
        source: &str,
        event_id: &str,
        reason: &str,
        body: &[u8],
        user: Option<&UserId>,
    ) -> Result<(), StoreError> {
        let record = self.record.columns(1);
        let row = self
            .connection
            .one(
                sql!("reject"),
                &[
                    (&source, Type::TEXT),
                    (&event_id, Type::TEXT),
                    (&reason, Type::TEXT),
                    (&body, Type::BYTEA),
                    (&user.map(UserId::as_str), Type::TEXT),
                    (&self.facts.name, Type::TEXT),
                    (&self.project.names, Type::TEXT_ARRAY),
                    (&record.event, Type::TEXT),
                    (&record.changed_at, Type::TIMESTAMPTZ),
                ],
            )
            .await?;
        outcome(row.get(0)).map(|_| ())
    }
}

impl Store {
    /// Marks rejections as resolved whose users the walk of the lease's run took in.
    pub async fn resolve_rejections(&self, lease: &Lease) -> Result<(), StoreError> {
        self.connection
            .all(sql!("resolve_rejections"), &[(&lease.run, Type::INT8)])
            .await
            .map(|_| ())
    }
}
