//! Mishaps between the provider's commit and the endpoint.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Likelihoods and delays, drawn for each message from the sender's seed.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mishaps {
    /// How likely a message is never sent, 0 to 1.
    pub lost: f64,
    /// How likely a message is sent twice, 0 to 1; each copy with a delay of its own.
    pub doubled: f64,
    /// Milliseconds that every message waits.
    pub delay_ms: u64,
    /// Up to this many milliseconds more, which puts messages out of order.
    pub jitter_ms: u64,
}

impl Mishaps {
    /// When the copies of one message set out; none if it is lost.
    pub(super) fn draw(&self, random: &mut fastrand::Rng) -> Vec<Duration> {
        // Always the same number of draws, so that one switch does not shift what the others do.
        let (lost, doubled) = (random.f64(), random.f64());
        let mut delay = || Duration::from_millis(self.delay_ms + random.u64(0..=self.jitter_ms));
        let (first, second) = (delay(), delay());
        if lost < self.lost {
            Vec::new()
        } else if doubled < self.doubled {
            vec![first, second]
        } else {
            vec![first]
        }
    }
}
