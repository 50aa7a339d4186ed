//! Which models are checked, and what each mutation is to break.

use crate::mutation::Mutation;
use crate::record::{self, Record};
use crate::sync::{self, Sync};
use crate::table::{breaks, holds};
use crate::walk::{self, Walk};

/// Stack Auth: a delivery is a hint that shows the profile; reads lag.
pub(crate) const HINTS: Sync = Sync {
    name: "hints (Stack Auth)",
    versioned: false,
    ids_return: false,
    told: true,
    stale: 1,
    listing_stale: 1,
    lag: 1,
    listing_lag: 1,
    changes: 3,
    webhooks: 2,
    reconcile: false,
    mutation: None,
};

/// As Stack Auth, with replicas that lag longer than is assumed.
pub(crate) const HINTS_LATE: Sync = Sync {
    name: "hints, reads too late",
    lag: 2,
    listing_lag: 2,
    ..HINTS
};

/// Supabase: a hint shows nothing; reads are current.
pub(crate) const CURRENT: Sync = Sync {
    name: "current reads (Supabase)",
    told: false,
    stale: 0,
    listing_stale: 0,
    lag: 0,
    listing_lag: 0,
    ..HINTS
};

/// Clerk and WorkOS: a delivery is a statement; changes may share a version.
pub(crate) const VERSIONS: Sync = Sync {
    name: "versions (Clerk, WorkOS)",
    versioned: true,
    ..HINTS
};

/// As Clerk and WorkOS, with replicas that lag longer than is assumed.
pub(crate) const VERSIONS_LATE: Sync = Sync {
    name: "versions, reads too late",
    lag: 2,
    listing_lag: 2,
    ..VERSIONS
};

/// Auth0: a hint shows nothing, reads are current and are not trusted to be;
/// ids return; the listing lags more than reads are held to.
pub(crate) const RETURNING: Sync = Sync {
    name: "returning ids (Auth0)",
    ids_return: true,
    told: false,
    lag: 0,
    listing_lag: 0,
    ..HINTS
};

/// As Auth0, with reads that lag and events that show the profile.
pub(crate) const RETURNING_LATE: Sync = Sync {
    name: "returning ids, late reads",
    told: true,
    lag: 1,
    ..RETURNING
};

/// As Auth0, with its listing.
pub(crate) const RETURNING_LISTED: Sync = Sync {
    name: "returning ids (Auth0)",
    listing_stale: 2,
    listing_lag: 2,
    ..RETURNING
};

pub(crate) const WALK: Walk = Walk {
    name: "a walk",
    amnesia: false,
    mutation: None,
};

pub(crate) const AMNESIA: Walk = Walk {
    name: "a walk, users denied",
    amnesia: true,
    mutation: None,
};

pub(crate) const RECORD: Record = Record {
    name: "a record of events",
    mutation: None,
};

pub(crate) fn sync_holds(model: Sync, changes: usize, webhooks: usize, reconcile: bool) {
    let run = if reconcile { ", a run" } else { "" };
    let name = format!(
        "{}: {changes} changes, {webhooks} webhooks{run}",
        model.name
    );
    let model = Sync {
        changes,
        webhooks,
        reconcile,
        ..model
    };
    holds(&name, model);
}

fn sync_breaks(mutation: Mutation, model: Sync, invariant: &'static str) {
    let model = Sync {
        mutation: Some(mutation),
        ..model
    };
    breaks(&format!("{mutation:?}"), model.name, model, invariant);
}

fn walk_breaks(mutation: Mutation, model: Walk, invariant: &'static str) {
    let model = Walk {
        mutation: Some(mutation),
        ..model
    };
    breaks(&format!("{mutation:?}"), model.name, model, invariant);
}

fn record_breaks(mutation: Mutation, invariant: &'static str) {
    let model = Record {
        mutation: Some(mutation),
        ..RECORD
    };
    breaks(&format!("{mutation:?}"), model.name, model, invariant);
}

/// The table: each mutation, and the invariant that it breaks.
pub(crate) fn mutations() {
    let one_webhook_and_a_run = |model: Sync| Sync {
        webhooks: 1,
        reconcile: true,
        ..model
    };
    let listed = one_webhook_and_a_run(HINTS);
    use Mutation::*;
    sync_breaks(SameContentKeepsItsTime, HINTS, sync::CONVERGES);
    sync_breaks(KnownLeavesTheRow, VERSIONS, sync::NOTHING_LOST);
    sync_breaks(LastArrivalWins, HINTS, sync::CONVERGES);
    sync_breaks(LastArrivalWins, VERSIONS, sync::CONVERGES);
    sync_breaks(IgnoreStaleness, HINTS, sync::NOTHING_LOST);
    sync_breaks(EqualVersionsAreStale, VERSIONS, sync::CONVERGES);
    sync_breaks(ReviveByAnyLaterRead, RETURNING_LATE, sync::NO_RESURRECTION);
    sync_breaks(DeletionsWinTies, RETURNING, sync::NO_FALSE_TOMBSTONE);
    sync_breaks(DeliveriesRevive, HINTS, sync::NO_RESURRECTION);
    sync_breaks(DeliveriesRevive, VERSIONS, sync::NO_RESURRECTION);
    sync_breaks(BelieveContradictions, HINTS, sync::NOTHING_LOST);
    sync_breaks(BelieveTheFirst404, HINTS, sync::NO_FALSE_TOMBSTONE);
    sync_breaks(
        SettleWhateverWasRead,
        one_webhook_and_a_run(VERSIONS_LATE),
        sync::NEVER_FALLS,
    );
    for model in [HINTS_LATE, VERSIONS_LATE] {
        sync_breaks(BelieveA404AtOnce, model, sync::SIGN_UPS_LIVE);
    }
    sync_breaks(SettleWithoutWaiting, HINTS, sync::NO_FALSE_TOMBSTONE);
    sync_breaks(SettleWithoutLooking, HINTS, sync::NOTHING_LOST);
    sync_breaks(AnswerBeforeTheCommit, HINTS, sync::NOTHING_LOST);
    sync_breaks(ClockAfterTheRead, HINTS, sync::CONVERGES);
    sync_breaks(ClockAfterTheRead, CURRENT, sync::CONVERGES);
    sync_breaks(TrustAbsence, listed, sync::NO_FALSE_TOMBSTONE);
    sync_breaks(
        ListingIsAsCurrentAsAReads,
        one_webhook_and_a_run(RETURNING_LISTED),
        sync::NOTHING_LOST,
    );
    sync_breaks(LaggingReadsWithoutProfiles, RETURNING, sync::NOTHING_LOST);
    walk_breaks(CursorOfAUserNotSeen, WALK, walk::WHOLE);
    walk_breaks(OffsetWithoutOverlap, WALK, walk::WHOLE);
    walk_breaks(TrustAbsence, WALK, walk::NO_FALSE_TOMBSTONE);
    walk_breaks(SweepAfterBreakingOff, WALK, walk::FAILED);
    walk_breaks(NoBrakeOnAnEmptyListing, AMNESIA, walk::EMPTY);
    walk_breaks(NoBrake, AMNESIA, walk::BRAKE);
    walk_breaks(BrakeAtTheLast, AMNESIA, walk::BRAKE);
    walk_breaks(SweepWithoutTheLease, WALK, walk::LEASE);
    record_breaks(CursorFromDeliveries, record::BEHIND);
    record_breaks(CursorBeforeTheCommit, record::BEHIND);
}
