//! Records that are older than they are kept are deleted, batch by batch.

use std::time::Duration;

use shared::store::{Retention, Store};
use tokio::time::{Instant, timeout_at};

/// The most time that a run spends on it. A longer backlog is gone after some runs.
const LONGEST: Duration = Duration::from_secs(5);

/// Deletes what is old. A run doesn't fail because of it: the next one tries
/// again.
pub(crate) async fn prune(store: &Store, retention: Retention, until: Instant) {
    let until = until.min(Instant::now() + LONGEST);
    loop {
        match timeout_at(until, store.prune(retention)).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) | Err(_) => return,
            Ok(Err(error)) => {
                tracing::warn!(%error, "could not delete old records");
                return;
            }
        }
    }
}
