//! The queries of `console`: figures, pages of users, one user, runs,
//! rejections, and who has tried to sign in.
//!
//! Invariant: no statement reads more rows than a page shows, however many users
//! there are; what would have to be counted one by one is estimated.

mod activity;
mod attempts;
mod books;
mod deliveries;
mod look;
mod overview;
mod users;

use super::connect::Target;
use super::connection::{Connection, Patience};
use super::error::StoreError;
use super::schema::Schema;
use crate::time::At;

pub use activity::{Happening, Stretch};
pub use attempts::Attempt;
pub use books::{RejectionRow, RepairRow, RunRow};
pub use deliveries::LastDelivery;
pub use look::{Look, Slice};
pub use overview::{Bound, LastRun, Overview};
pub use users::{Among, NamedUser, Person, Place, Search, UserRow};

/// A desk at which a person reads the schema.
pub struct Desk {
    connection: Connection,
}

impl Desk {
    /// Doesn't connect yet.
    pub fn new(target: Target, schema: Schema, patience: Patience) -> Self {
        Self {
            connection: Connection::new(target, schema, patience),
        }
    }

    /// The database's clock.
    pub async fn now(&self) -> Result<At, StoreError> {
        self.connection.now().await
    }

    /// As [`super::Store::let_go`].
    pub async fn let_go(&self) {
        self.connection.let_go().await;
    }
}
