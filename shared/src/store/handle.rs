//! The handle on which all statements are methods.

use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use tokio::time::Instant;

use super::connect::Target;
use super::connection::{Connection, Patience};
use super::error::StoreError;
use super::project::Known;
use super::schema::Schema;
use crate::provider::Facts;
use crate::time::At;

/// The schema in its database, as one provider project's functions see it.
pub struct Store {
    pub(super) connection: Connection,
    pub(super) project: RwLock<Option<Known>>,
    pub(super) facts: Facts,
}

impl Store {
    /// Doesn't connect yet.
    pub fn new(target: Target, schema: Schema, facts: &Facts, patience: Patience) -> Self {
        Self {
            connection: Connection::new(target, schema, patience),
            project: RwLock::new(facts.project.clone().map(Known::by_name)),
            facts: facts.clone(),
        }
    }

    /// The same, with a connection of its own, so that it waits for nothing that
    /// is done here.
    #[must_use]
    pub fn beside(&self, patience: Patience) -> Self {
        Self {
            connection: self.connection.beside(patience),
            project: RwLock::new(self.known().clone()),
            facts: self.facts.clone(),
        }
    }

    /// Waits for nothing beyond this moment; a statement that comes later is
    /// tried once, and briefly.
    #[must_use]
    pub fn until(self, deadline: Instant) -> Self {
        Self {
            connection: self.connection.until(deadline),
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

    pub(super) fn names(&self) -> Vec<String> {
        let known = self.project.read().unwrap_or_else(PoisonError::into_inner);
        known
            .as_ref()
            .map(|known| known.names.clone())
            .unwrap_or_default()
    }

    pub(super) fn known(&self) -> RwLockWriteGuard<'_, Option<Known>> {
        self.project.write().unwrap_or_else(PoisonError::into_inner)
    }
}
