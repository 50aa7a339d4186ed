//! The guarantee of docs/correctness.md, checked by going through every state
//! that a model of the join and its surroundings can reach, and through those
//! of the same model without one of its rules.
//!
//! Invariant: the models do what the product does. `rows.rs` is held against
//! the SQL itself; the rest is `functions/*/src` in the same words.

mod cases;
mod mutation;
mod record;
mod rows;
mod sql;
mod sync;
mod table;
mod walk;

use cases::{
    AMNESIA, CURRENT, HINTS, HINTS_LATE, RECORD, RETURNING, RETURNING_LATE, RETURNING_LISTED,
    VERSIONS, VERSIONS_LATE, WALK, mutations, sync_holds,
};
use table::holds;

#[test]
fn hints_end_with_the_providers_state() {
    sync_holds(HINTS, 3, 2, false);
    sync_holds(HINTS, 3, 1, true);
    sync_holds(CURRENT, 3, 2, true);
    sync_holds(HINTS_LATE, 2, 2, false);
}

#[test]
fn versions_end_with_the_providers_state() {
    sync_holds(VERSIONS, 3, 2, false);
    sync_holds(VERSIONS, 3, 1, true);
    sync_holds(VERSIONS, 2, 2, true);
    sync_holds(VERSIONS_LATE, 3, 1, true);
    sync_holds(VERSIONS_LATE, 3, 2, false);
}

#[test]
fn ids_that_return_end_with_the_providers_state() {
    sync_holds(RETURNING, 3, 2, false);
    sync_holds(RETURNING_LATE, 3, 1, true);
    sync_holds(RETURNING_LISTED, 2, 1, true);
}

#[test]
fn a_walk_meets_everybody_and_its_sweep_is_braked() {
    holds(WALK.name, WALK);
    holds(AMNESIA.name, AMNESIA);
    holds(RECORD.name, RECORD);
}

#[test]
fn each_mutation_breaks_its_invariant() {
    mutations();
}
