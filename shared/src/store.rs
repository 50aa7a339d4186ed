//! The only SQL that the functions run, one statement a file.
//!
//! Invariants: every statement is complete in itself (no transaction, no
//! session state, no named prepared statement), so that it works behind
//! PgBouncer in transaction mode; and every one can be sent twice, so that a
//! lost connection is answered by sending it again.

/// A statement, by its name.
macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!($name, ".sql"))
    };
}

mod binding;
mod connect;
mod connection;
mod error;
mod refusal;
mod rejections;
mod runs;
mod schema;
mod users;

use std::sync::RwLock;

use tokio::time::Instant;

use binding::Known;
pub use connect::{Target, conninfo};
use connection::Connection;
pub use connection::Patience;
pub use error::{Foreign, StoreError};
pub use runs::{Closing, Figures, Lease, Saved};
pub use schema::Schema;
pub use users::{DROPPED, Difference, Look, Outcome, Shown};

use crate::provider::Facts;
use crate::time::At;

/// The schema in its database, as one provider project's functions see it.
pub struct Store {
    connection: Connection,
    project: RwLock<Option<Known>>,
    facts: Facts,
}

impl Store {
    /// Doesn't connect yet.
    pub fn new(target: Target, schema: Schema, facts: &Facts, patience: Patience) -> Self {
        Self {
            connection: Connection::new(target, schema, patience),
            project: RwLock::new(facts.project.clone().map(|project| Known {
                names: vec![project],
                by_key: false,
            })),
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

    /// Connects, if it isn't.
    pub async fn connect(&self) -> Result<(), StoreError> {
        self.connection.connect().await
    }

    /// Waits until the server was told of all statements that nobody waits for
    /// any more, or can't be told. A function that has answered is frozen, and
    /// would tell it too late.
    pub async fn let_go(&self) {
        self.connection.let_go().await;
    }

    /// The database's clock.
    pub async fn now(&self) -> Result<At, StoreError> {
        self.connection.now().await
    }
}
