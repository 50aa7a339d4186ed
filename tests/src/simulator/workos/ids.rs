//! Ids: what they are of, and a ULID, so that they sort by the time they were made.

use crate::simulator::people::ulid;

/// A new id of this kind.
pub(super) fn new(kind: &str, now: i64, random: &mut fastrand::Rng) -> String {
    format!("{kind}_{}", ulid(now, random.u128(..)))
}
