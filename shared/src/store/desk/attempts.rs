//! Attempts to sign in, counted by the address that they come from.

use std::time::Duration;

use tokio_postgres::types::Type;

use super::Desk;
use crate::store::connection::Parameters;
use crate::store::error::StoreError;

/// An attempt that was counted, and not tried yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// How many there were in a row, this one included, without success.
    pub count: i32,
    /// Until they are forgotten.
    pub wait: Duration,
}

impl Desk {
    /// Counts an attempt from a source, before it is tried: two at once are two.
    pub async fn count_attempt(
        &self,
        source: &str,
        window: Duration,
    ) -> Result<Attempt, StoreError> {
        let row = self
            .connection
            .one(
                sql!("count_attempt"),
                &[(&source, Type::TEXT), (&window.as_secs_f64(), Type::FLOAT8)],
            )
            .await?;
        let wait: f64 = row.get(1);
        Ok(Attempt {
            count: row.get(0),
            wait: Duration::try_from_secs_f64(wait).unwrap_or_default(),
        })
    }

    /// Forgets the attempts of a source that knew the token.
    pub async fn forget_attempts(&self, source: &str) -> Result<(), StoreError> {
        let parameters: Parameters<'_> = &[(&source, Type::TEXT)];
        let forgotten = self.connection.all(sql!("forget_attempts"), parameters);
        forgotten.await.map(|_| ())
    }
}
