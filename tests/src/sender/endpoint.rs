//! Where messages go, and whether it is still worth it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// An endpoint and its health.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) url: String,
    health: Mutex<Health>,
}

#[derive(Debug, Default)]
struct Health {
    failing_since: Option<Instant>,
    disabled: bool,
}

impl Endpoint {
    pub(super) fn at(url: String) -> Self {
        Self {
            url,
            health: Mutex::default(),
        }
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing is sent to it any more.
    pub(super) fn disabled(&self) -> bool {
        self.health().disabled
    }

    /// It asked for no more.
    pub(super) fn disable(&self) {
        self.health().disabled = true;
    }

    /// It took a message.
    pub(super) fn succeeded(&self) {
        self.health().failing_since = None;
    }

    /// It did not, which it may do only so long without taking one.
    pub(super) fn failed(&self, patience: Duration) {
        let mut health = self.health();
        let since = *health.failing_since.get_or_insert_with(Instant::now);
        health.disabled |= since.elapsed() >= patience;
    }
}
