//! `GET /events`: what happened, in an order that does not change, for 90 days.

use super::WorkOs;
use super::listing::Wanted;
use crate::simulator::json;
use crate::simulator::vendor::{Fields, Refused};
use crate::simulator::world::World;

/// How long an event is kept, in milliseconds.
const KEPT: i64 = 90 * 24 * 60 * 60 * 1_000;

/// A page of the record.
pub(super) fn page(
    environment: &WorkOs,
    world: &World,
    wanted: &Wanted,
) -> Result<String, Refused> {
    let oldest = world.clock().now() - KEPT;
    let (from, until) = wanted.range;
    wanted.page(environment, |cursor, descending, limit| {
        let events = world.recorded(cursor, oldest, descending, limit, |event| {
            from.is_none_or(|from| event.made_at >= from)
                && until.is_none_or(|until| event.made_at <= until)
                && (wanted.events.is_empty() || wanted.events.contains(&event.kind))
        })?;
        let text = |body: &[u8]| {
            let mut event: Fields = json::fields(&String::from_utf8_lossy(body));
            json::set(&mut event, "object", "event");
            json::text(&event)
        };
        let events = events.into_iter();
        Some(events.map(|event| (event.id, text(&event.body))).collect())
    })
}
