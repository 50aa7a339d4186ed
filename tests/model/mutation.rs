//! The purpose of each rule of the product: a model without it breaks.

/// A rule that is left out, or turned round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mutation {
    /// A delivery with the row's own content does not move `updated_at`.
    SameContentKeepsItsTime,
    /// A delivery that tells what the row says already does not write.
    KnownLeavesTheRow,
    /// A join always writes.
    LastArrivalWins,
    /// Reads within the staleness of each other are ordered by their times.
    IgnoreStaleness,
    /// Of two contents with one version, the one that came first stays.
    EqualVersionsAreStale,
    /// Where ids return, a read just after the deletion revives.
    ReviveByAnyLaterRead,
    /// Where ids return, a deletion wins over a read of the same time.
    DeletionsWinTies,
    /// A delivery may clear a tombstone although ids are not used again.
    DeliveriesRevive,
    /// A read that contradicts the event is believed all the same.
    BelieveContradictions,
    /// Where an event says that a user exists, a 404 is a deletion.
    BelieveTheFirst404,
    /// Where a young event says that a user exists, a second 404 is a deletion.
    BelieveA404AtOnce,
    /// A settling read does not wait until replicas know what the row knew.
    SettleWithoutWaiting,
    /// A settling read is written even if the row has changed since the look.
    SettleWithoutLooking,
    /// A settling read is written, although the row has a newer version.
    SettleWhateverWasRead,
    /// A delivery is answered 2xx before its commit.
    AnswerBeforeTheCommit,
    /// The clock is read after the user.
    ClockAfterTheRead,
    /// Who is missing from the listing is deleted.
    TrustAbsence,
    /// A listing's page is joined as if it were no staler than a read.
    ListingIsAsCurrentAsAReads,
    /// A sweep takes a listing that broke off.
    SweepAfterBreakingOff,
    /// An empty listing is as good as any.
    NoBrakeOnAnEmptyListing,
    /// A run tombstones as many as are missing.
    NoBrake,
    /// The brake counts while it tombstones.
    BrakeAtTheLast,
    /// The walk goes on at the user that the provider names as the next one.
    CursorOfAUserNotSeen,
    /// The walk goes on at the number of users seen.
    OffsetWithoutOverlap,
    /// A sweep does not ask whether the lease is still its own.
    SweepWithoutTheLease,
    /// The place in the record is moved by what deliveries told.
    CursorFromDeliveries,
    /// The place in the record is moved before the page is applied.
    CursorBeforeTheCommit,
    /// The assumption that reads are current where events show no profile.
    LaggingReadsWithoutProfiles,
}
