//! The record of events, as a provider keeps it that has one.
//!
//! Invariant: what can be seen of the record never changes its order; it only grows at its end,
//! however late an event becomes visible.

use bytes::Bytes;

use super::{State, World};
use crate::simulator::vendor::Event;

/// An event of the record.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The event's id, the same as in its message.
    pub id: String,
    /// Its type, such as `user.created`.
    pub kind: String,
    /// The body, the same as its message's.
    pub body: Bytes,
    /// When it was made, in milliseconds since 1970.
    pub made_at: i64,
    /// When it can be seen.
    visible_at: i64,
}

/// All events, in the order in which they become visible.
#[derive(Debug, Default)]
pub(super) struct Record(Vec<Recorded>);

impl Record {
    pub(super) fn add(&mut self, id: String, event: &Event, now: i64, lag: i64) {
        let visible_at = now.saturating_add(lag);
        let place = self.0.partition_point(|one| one.visible_at <= visible_at);
        let event = Recorded {
            id,
            kind: event.kind.clone(),
            body: event.body.clone().into(),
            made_at: now,
            visible_at,
        };
        self.0.insert(place, event);
    }
}

impl World {
    /// Adds an event to the record, where the vendor has one.
    pub(super) fn record_event(&self, state: &mut State, event: &Event, now: i64) {
        if let Some(id) = self.vendor().recorded_as(event) {
            let lag = i64::try_from(state.switches.record_lag_ms).unwrap_or(i64::MAX);
            state.record.add(id, event, now, lag);
        }
    }

    /// Events made since `oldest` that can be seen and pass a filter, in the record's order or the
    /// opposite one, beyond the event `cursor`; none where that one can't be seen.
    pub fn recorded(
        &self,
        cursor: Option<&str>,
        oldest: i64,
        descending: bool,
        limit: usize,
        passes: impl Fn(&Recorded) -> bool,
    ) -> Option<Vec<Recorded>> {
        let state = self.state();
        let now = self.0.clock.now();
        let seen = state.record.0.partition_point(|one| one.visible_at <= now);
        let seen = &state.record.0[..seen];
        let kept = |one: &&Recorded| one.made_at >= oldest;
        let place = |id: &str| seen.iter().rposition(|one| one.id == id && kept(&one));
        let part = match (cursor, descending) {
            (None, _) => seen,
            (Some(id), false) => &seen[place(id)? + 1..],
            (Some(id), true) => &seen[..place(id)?],
        };
        let walk: Box<dyn Iterator<Item = &Recorded>> = match descending {
            true => Box::new(part.iter().rev()),
            false => Box::new(part.iter()),
        };
        Some(
            walk.filter(kept)
                .filter(|one| passes(one))
                .take(limit)
                .cloned()
                .collect(),
        )
    }

    /// The ids of all events that can be seen, in the record's order.
    pub fn record(&self) -> Vec<String> {
        let events = self.recorded(None, i64::MIN, false, usize::MAX, |_| true);
        let events = events.into_iter().flatten();
        events.map(|event| event.id).collect()
    }
}
