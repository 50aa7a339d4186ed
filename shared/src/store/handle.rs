//! The handle on which all statements are methods.

use std::sync::Arc;

use tokio::time::Instant;

use super::connect::Target;
use super::connection::{Connection, Patience};
use super::error::StoreError;
use super::schema::Schema;
use crate::provider::Facts;
use crate::time::At;

/// The schema in its database. A clone has the same connection.
#[derive(Clone)]
pub struct Store {
    pub(super) connection: Arc<Connection>,
    pub(super) facts: Facts,
}

impl Store {
    /// Doesn't connect yet.
    pub fn new(target: Target, schema: Schema, facts: &Facts, patience: Patience) -> Self {
        Self {
            connection: Arc::new(Connection::new(target, schema, patience)),
            facts: facts.clone(),
        }
    }

    /// The same, with a connection of its own, so that it waits for nothing that
    /// is done here.
    #[must_use]
    pub fn beside(&self, patience: Patience) -> Self {
        Self {
            connection: Arc::new(self.connection.beside(patience)),
            facts: self.facts.clone(),
        }
    }

    /// The same, with a connection of its own that waits for nothing beyond this
    /// moment; a statement that comes later is tried once, and briefly.
    #[must_use]
    pub fn until(self, deadline: Instant) -> Self {
        Self {
            connection: Arc::new(self.connection.until(deadline)),
            ..self
        }
    }

    /// Connects, unless there is a connection.
    pub async fn connect(&self) -> Result<(), StoreError> {
        self.connection.connect().await
    }

    /// Waits until the server was told to cancel every statement that was
    /// abandoned, or can't be told. A function that has answered is frozen, and
    /// would tell it too late.
    pub async fn let_go(&self) {
        self.connection.let_go().await;
    }

    /// The database's clock.
    pub async fn now(&self) -> Result<At, StoreError> {
        self.connection.now().await
    }
}
