//! Each statement of `shared/src/store/*.sql`, as it acts on one row, in Rust.
//!
//! Invariant: these functions say what the SQL says. `sql.rs` holds them
//! against a real PostgreSQL, for every row, profile and flag that the models
//! can make.

use crate::mutation::Mutation;

/// A time or a version; only order and small distances count.
pub(crate) type Time = i8;

/// Which profile; the models need two that differ.
pub(crate) type Content = u8;

/// A row of `users_sync`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Row {
    /// `raw_json` and what is read from it; `None`: `{}`.
    pub(crate) content: Option<Content>,
    /// `updated_at`
    pub(crate) at: Option<Time>,
    /// `deleted_at`
    pub(crate) deleted: Option<Time>,
}

/// Inserted by `ensure_user`, or by hand.
pub(crate) const PLACEHOLDER: Row = Row {
    content: None,
    at: None,
    deleted: None,
};

/// A statement's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Created,
    Updated,
    Revived,
    Unchanged,
    Stale,
    Tied,
}

/// The answer of `compare.sql`, which leaves out `Same`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    Same,
    Created,
    Updated,
    Tombstone,
    Doubtful,
}

/// A row after a statement, if it was written, and the answer.
pub(crate) type Written = (Option<Row>, Outcome);

/// `join.sql`, of one profile; `stale` is 0 for versions.
pub(crate) fn join(
    kept: Option<Row>,
    (content, at): (Content, Time),
    stale: Time,
    ids_return: bool,
    delivered: bool,
    mutation: Option<Mutation>,
) -> Written {
    let new = Row {
        content: Some(content),
        at: Some(at),
        deleted: None,
    };
    let Some(kept) = kept else {
        return (Some(new), Outcome::Created);
    };
    let stale = match mutation {
        Some(Mutation::IgnoreStaleness) => 0,
        _ => stale,
    };
    let same = kept.content == Some(content);
    let newer = match kept.at {
        None => true,
        Some(_) if mutation == Some(Mutation::LastArrivalWins) => true,
        Some(kept_at) => {
            let beyond_doubt = kept_at < at - stale && (delivered || !same);
            let there_and_back = delivered
                && same
                && match mutation {
                    Some(Mutation::SameContentKeepsItsTime) => false,
                    Some(Mutation::KnownLeavesTheRow) => kept_at < at,
                    _ => kept_at <= at + stale,
                };
            beyond_doubt || there_and_back
        }
    };
    // Neither is known to be the later one: the deletion or what was read.
    let around_the_deletion = ids_return
        && kept.deleted.is_some_and(|deleted| match mutation {
            Some(Mutation::ReviveByAnyLaterRead) => false,
            Some(Mutation::DeletionsWinTies) => deleted < at && deleted >= at - stale,
            _ => deleted <= at + stale && deleted >= at - stale,
        });
    if newer && !around_the_deletion {
        let deleted = match kept.deleted {
            None => None,
            Some(_) if mutation == Some(Mutation::DeliveriesRevive) => None,
            Some(deleted) if ids_return && at > deleted => None,
            Some(deleted) if ids_return => Some(deleted),
            Some(deleted) => Some(deleted.max(at)),
        };
        let known = same && kept.at.is_some_and(|kept_at| kept_at >= at);
        let outcome = match known {
            true => Outcome::Unchanged,
            false => Outcome::Updated,
        };
        let at = match same {
            true => kept.at.max(Some(at)),
            false => Some(at),
        };
        return (Some(Row { at, deleted, ..new }), outcome);
    }
    let outcome = match kept.at {
        Some(kept_at) if kept_at > at + stale => Outcome::Stale,
        Some(_) if same && !delivered => Outcome::Unchanged,
        Some(kept_at) if same && mutation == Some(Mutation::KnownLeavesTheRow) && kept_at >= at => {
            Outcome::Unchanged
        }
        Some(_) if same && mutation == Some(Mutation::SameContentKeepsItsTime) => {
            Outcome::Unchanged
        }
        // Neither older nor newer, taken for older: a strict `<`.
        _ if mutation == Some(Mutation::EqualVersionsAreStale) => Outcome::Stale,
        _ => Outcome::Tied,
    };
    (None, outcome)
}

/// `gone.sql`
pub(crate) fn gone(kept: Option<Row>, at: Time, stale: Time, ids_return: bool) -> Written {
    let Some(kept) = kept else {
        let deleted = Some(at);
        return (
            Some(Row {
                deleted,
                ..PLACEHOLDER
            }),
            Outcome::Updated,
        );
    };
    let ends = !ids_return || kept.at.is_none_or(|kept_at| kept_at < at - stale);
    if !ends {
        return (None, Outcome::Tied);
    }
    let outcome = match kept.deleted {
        Some(_) => Outcome::Unchanged,
        None => Outcome::Updated,
    };
    (Some(tombstone(kept, at)), outcome)
}

/// `settle_present.sql`, where the token of the look is still the row's.
pub(crate) fn settle_present(
    kept: Option<Row>,
    (content, at): (Content, Time),
    versioned: bool,
    revive: bool,
    delivered: bool,
    edited: bool,
) -> Written {
    let new = Row {
        content: Some(content),
        at: Some(at),
        deleted: None,
    };
    let Some(kept) = kept else {
        return (Some(new), Outcome::Created);
    };
    if versioned && !edited && kept.at > Some(at) {
        return (None, Outcome::Stale);
    }
    let known = |kept_at: Time| kept_at == at || !versioned && kept_at < at;
    let same = !delivered
        && kept.deleted.is_none()
        && kept.content == Some(content)
        && kept.at.is_some_and(known);
    if same {
        return (None, Outcome::Unchanged);
    }
    let deleted = kept.deleted.filter(|_| !revive);
    let outcome = match kept.deleted {
        Some(_) if revive => Outcome::Revived,
        _ => Outcome::Updated,
    };
    let deleted = deleted.map(|deleted| deleted.max(at));
    (Some(Row { deleted, ..new }), outcome)
}

/// `settle_gone.sql`, where the token of the look is still the row's.
pub(crate) fn settle_gone(kept: Option<Row>, looked: Time) -> Row {
    tombstone(kept.unwrap_or(PLACEHOLDER), looked)
}

fn tombstone(kept: Row, at: Time) -> Row {
    let deleted = [kept.deleted, Some(at), kept.at]
        .into_iter()
        .max()
        .flatten();
    Row { deleted, ..kept }
}

/// `compare.sql`, of one listed user. `seen`: a moment before the listing was
/// asked for; `now`: the database's clock.
pub(crate) fn compare(
    kept: Option<Row>,
    content: Content,
    version: Option<Time>,
    seen: Time,
    stale: Time,
    now: Time,
) -> Difference {
    let Some(kept) = kept else {
        return Difference::Created;
    };
    if kept.deleted.is_some() {
        return Difference::Tombstone;
    }
    let Some(kept_at) = kept.at else {
        return Difference::Updated;
    };
    let same = kept.content == Some(content);
    let known = match version {
        None => kept_at <= now,
        Some(version) => kept_at == version,
    };
    let newer = match version {
        None => kept_at < seen - stale,
        Some(version) => version > kept_at,
    };
    match (same, known, newer) {
        (true, true, _) => Difference::Same,
        (false, _, true) => Difference::Updated,
        _ => Difference::Doubtful,
    }
}
