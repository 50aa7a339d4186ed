//! The requests to the provider.

use std::collections::HashMap;

use super::World;
use crate::simulator::requests::{Call, Request};

impl World {
    pub(in crate::simulator) fn note(&self, request: Request) -> usize {
        self.state().log.note(request)
    }

    pub(in crate::simulator) fn answered(&self, number: usize, status: u16) {
        self.state().log.answered(number, status);
    }

    /// All requests since the log was last cleared, in the order they arrived.
    pub fn requests(&self) -> Vec<Request> {
        self.state().log.all().to_vec()
    }

    /// How many requests for this call arrived since the log was last cleared.
    pub fn count(&self, call: Call) -> usize {
        self.counts().get(&call).copied().unwrap_or(0)
    }

    /// How many requests arrived, by call.
    pub fn counts(&self) -> HashMap<Call, usize> {
        let mut counts = HashMap::new();
        for request in self.state().log.all() {
            *counts.entry(request.call).or_default() += 1;
        }
        counts
    }

    /// Forgets all requests.
    pub fn clear_requests(&self) {
        self.state().log.clear();
    }
}
