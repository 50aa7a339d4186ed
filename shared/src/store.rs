//! The only SQL that the functions run, one statement a file.
//!
//! Invariants: every statement is complete in itself (no transaction, no
//! session state, no named prepared statement), so that it works through
//! PgBouncer in transaction mode; and every one can be sent twice, so that a
//! lost connection is answered by sending it again.

/// A statement, by its name.
macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!($name, ".sql"))
    };
}

mod binding;
mod columns;
mod connect;
mod connection;
mod deliveries;
pub mod desk;
mod error;
mod handle;
mod planned;
mod privacy;
mod project;
mod record;
mod refusal;
mod rejections;
mod runs;
mod schema;
mod users;

pub use binding::ProjectStore;
pub use connect::{Target, conninfo};
pub use connection::Patience;
pub use error::{Foreign, StoreError};
pub use handle::Store;
pub(crate) use planned::{PLANNED, Planned};
pub use privacy::{Erased, Redacted, Unread, Unredacted};
pub use project::Project;
pub use record::{Receipt, Retention};
pub use runs::{Closed, Closing, Figures, Lease, LeftToNext, Saved, Taken};
pub use schema::Schema;
pub use users::{
    Authority, DROPPED, Difference, Ids, Look, Origin, Outcome, RowVersion, SettleOptions,
};
