//! A run under way: what all of its parts share.

use std::time::Duration;

use shared::client::Effort;
use shared::provider::Facts;
use shared::settle::Sources;
use shared::store::{Lease, Patience, ProjectStore};
use tokio::time::Instant;

use crate::stopped::Stopped;
use crate::tally::Tally;

/// How long a run waits for Postgres.
pub(crate) const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(30),
    statement: Duration::from_secs(120),
};

/// Bytes that one user may have.
const LARGEST_USER: usize = 8 << 20;

/// A run that has taken the lease.
pub struct Run<'a> {
    pub(crate) sources: Sources<'a>,
    pub(crate) store: ProjectStore,
    /// When to stop and leave the rest to the next run.
    pub(crate) until: Instant,
    /// Whether to write nothing.
    pub(crate) dry_run: bool,
    pub(crate) lease: &'a Lease,
    pub(crate) tally: &'a mut Tally,
}

impl<'a> Run<'a> {
    pub(crate) fn facts(&self) -> &'a Facts {
        self.sources.provider.facts()
    }

    /// Whether there is time enough to wait for the provider's replicas.
    pub(crate) fn time_to_reread(&self) -> Result<(), Stopped> {
        if Instant::now() + self.facts().staleness < self.until {
            return Ok(());
        }
        Err(Stopped::OutOfTime(None))
    }
}

/// Learns which project the key is for, and gives that project's store.
pub(crate) async fn identify(
    sources: Sources<'_>,
    until: Instant,
) -> Result<ProjectStore, Stopped> {
    let identified = sources.identify(by_id(until)).await;
    identified.map_err(|error| match Stopped::by(error, until) {
        Stopped::OutOfTime(_) => Stopped::Failed(
            "the provider did not say in time which project the key is for: run reconcile again \
             later"
                .to_owned(),
        ),
        stopped => stopped,
    })
}

/// How hard to try for the answer about one user.
pub(crate) fn by_id(until: Instant) -> Effort {
    Effort {
        until,
        attempts: 10,
        attempt: Duration::from_secs(20),
        size: LARGEST_USER,
    }
}
