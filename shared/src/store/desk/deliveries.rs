//! Whether deliveries arrive.

use std::time::SystemTime;

use super::Desk;
use crate::store::error::StoreError;
use crate::time::At;

/// The last delivery of the connected project.
#[derive(Debug, Clone, Copy)]
pub struct LastDelivery {
    /// The database's clock.
    pub now: At,
    /// When it came, if one has since the schema was bound.
    pub at: Option<At>,
}

impl Desk {
    /// When the last delivery came.
    pub async fn last_delivery(&self) -> Result<LastDelivery, StoreError> {
        let row = self.connection.one(sql!("last_delivery"), &[]).await?;
        let at: Option<SystemTime> = row.get("last");
        Ok(LastDelivery {
            now: At::from_system(row.get("now")),
            at: at.map(At::from_system),
        })
    }
}
