//! How a run keeps the lease that it holds.

use std::time::Duration;

use shared::store::{Lease, Patience, Store, StoreError};
use tokio::time::{Instant, interval_at};

use crate::stopped::Stopped;

/// The lease of a run that dies is free after this long.
pub(crate) const LEASE: Duration = Duration::from_secs(30);

const RENEWAL: Duration = Duration::from_secs(7);

/// A renewal may have to wait until a sweep has written, which keeps every other
/// run from taking the lease meanwhile.
const TO_RENEW: Patience = Patience {
    connect: Duration::from_secs(20),
    statement: Duration::from_secs(20),
};

pub(crate) fn lost_lease() -> Stopped {
    Stopped::Failed(
        "another run took over while this one was suspended: no action is needed".to_owned(),
    )
}

/// Renews the lease before something that another run must not do at the same
/// time.
pub(crate) async fn renew(store: &Store, lease: &Lease) -> Result<(), Stopped> {
    match store.renew_lease(lease, LEASE).await? {
        Some(_) => Ok(()),
        None => Err(lost_lease()),
    }
}

/// Renews the lease for as long as it is this run's, and gives the reason why it
/// no longer is. It has a connection of its own: on the run's it would wait for
/// the statement that the run waits for.
pub(crate) async fn keep(store: &Store, lease: &Lease) -> Stopped {
    let store = store.beside(TO_RENEW);
    let mut renewal = interval_at(Instant::now() + RENEWAL, RENEWAL);
    loop {
        renewal.tick().await;
        match store.renew_lease(lease, LEASE).await {
            Ok(Some(_)) | Err(StoreError::Unreachable(_)) => {}
            Ok(None) => return lost_lease(),
            Err(error) => return error.into(),
        }
    }
}
