//! The lease that a run holds, and how it keeps it.

use std::time::Duration;

use shared::store::{Patience, Store, StoreError};
use tokio::time::{Instant, interval_at};

use crate::stopped::Stopped;

/// A run that dies gives the lease up after this long.
pub(crate) const LEASE: Duration = Duration::from_secs(30);

const RENEWAL: Duration = Duration::from_secs(7);

/// A renewal may have to wait until a sweep has written, which keeps everybody
/// from taking the lease meanwhile.
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
pub(crate) async fn renew(store: &Store, run: i64) -> Result<(), Stopped> {
    match store.renew_lease(run, LEASE).await? {
        Some(_) => Ok(()),
        None => Err(lost_lease()),
    }
}

/// Renews the lease for as long as it is this run's, and gives the reason why it
/// no longer is. It has a connection of its own: on the run's it would wait for
/// the statement that the run waits for.
pub(crate) async fn keep(store: &Store, run: i64) -> Stopped {
    let store = store.beside(TO_RENEW);
    let mut renewal = interval_at(Instant::now() + RENEWAL, RENEWAL);
    loop {
        renewal.tick().await;
        match store.renew_lease(run, LEASE).await {
            Ok(Some(_)) | Err(StoreError::Unreachable(_)) => {}
            Ok(None) => return lost_lease(),
            Err(error) => return error.into(),
        }
    }
}
