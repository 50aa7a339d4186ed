//! The join: of what a row knows and what was just learnt, the newest stays.

use std::time::Duration;

use anyhow::Result;
use shared::profile::Profile;
use shared::provider::Facts;
use shared::store::Outcome::{self, Created, Stale, Tied, Unchanged, Updated};
use shared::time::At;

use super::{Bench, Row, SECOND, STALE, THEN, facts, hints, named, user, versions};

/// A row before: its name, `updated_at` and `deleted_at`.
type Before = (&'static str, Option<i64>, Option<i64>);

async fn put(bench: &Bench, (name, updated_at, deleted_at): Before) -> Result<Row> {
    let time = |at: Option<i64>| match at {
        Some(at) => format!("'epoch'::timestamptz + {at} * interval '1 microsecond'"),
        None => "NULL".to_owned(),
    };
    let profile = named("u", name);
    bench
        .run(&format!(
            "DELETE FROM neon_identity.users_sync;
            INSERT INTO neon_identity.users_sync VALUES ('{}', 'u', '{}', '{}', NULL, {}, {})",
            profile.raw_json,
            name,
            profile.email.as_deref().unwrap_or_default(),
            time(updated_at),
            time(deleted_at),
        ))
        .await?;
    bench.existing("u").await
}

/// Joins "new" at a time and says what came of it: the outcome, and the row's name and times. A
/// row that was not taken in must not have been written either, unless by a delivery of what it
/// says, so that a settle that has looked at the row sees that it moved.
async fn joined(
    bench: &Bench,
    before: Before,
    (name, at): (&str, i64),
    delivered: bool,
) -> Result<(Outcome, String, Option<i64>, Option<i64>)> {
    let kept = put(bench, before).await?;
    let outcome = bench.join(&named("u", name), at, delivered).await?;
    let row = bench.existing("u").await?;
    match outcome {
        Updated => {
            assert_ne!(row.tuple, kept.tuple);
            let expected = named("u", name);
            assert_eq!((&row.name, &row.email), (&expected.name, &expected.email));
            assert!(row.raw_json.contains(&format!("\"{name}\"")));
        }
        Unchanged if delivered => {
            assert_ne!(row.tuple, kept.tuple);
            let tuple = row.tuple.clone();
            assert_eq!(row, Row { tuple, ..kept }, "written as it was");
        }
        _ => assert_eq!(row, kept, "{outcome:?} writes nothing"),
    }
    let (updated_at, deleted_at) = row.times();
    Ok((
        outcome,
        row.name.unwrap_or_default(),
        updated_at,
        deleted_at,
    ))
}

struct Case {
    facts: Facts,
    delivered: bool,
    before: Before,
}

impl Case {
    /// Checks pairs of a name and a time, and what comes of each.
    async fn check(&self, cases: &[(&str, i64, Outcome, Option<i64>)]) -> Result<()> {
        let bench = Bench::new(self.facts.clone()).await?;
        for (name, at, outcome, deleted_at) in cases {
            let got = joined(&bench, self.before, (name, *at), self.delivered).await?;
            let (kept, updated_at, _) = self.before;
            let after = match outcome {
                Updated => (*outcome, (*name).to_owned(), Some(*at), *deleted_at),
                _ => (*outcome, kept.to_owned(), updated_at, *deleted_at),
            };
            assert_eq!(got, after, "{name} at {:+}", at - THEN);
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_new_user_is_created_whole() -> Result<()> {
    for facts in [hints(), versions(), facts(false, true), facts(true, true)] {
        let bench = Bench::new(facts).await?;
        for delivered in [true, false] {
            let id = if delivered { "d" } else { "l" };
            let profile = super::of_json(&format!(
                r#"{{"id":"{id}","name":"Ada","email":"a@b","created":1700000000123}}"#
            ));
            assert_eq!(bench.join(&profile, THEN, delivered).await?, Created);
            let row = bench.existing(id).await?;
            assert_eq!(
                row.raw_json,
                format!(
                    r#"{{"id": "{id}", "name": "Ada", "email": "a@b", "created": 1700000000123}}"#
                )
            );
            assert_eq!(row.name.as_deref(), Some("Ada"));
            assert_eq!(row.email.as_deref(), Some("a@b"));
            assert_eq!(row.created_at, Some(1_700_000_000_123_000));
            assert_eq!(row.times(), (Some(THEN), None));
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_placeholder_loses_to_everything() -> Result<()> {
    for facts in [hints(), versions(), facts(false, true), facts(true, true)] {
        let bench = Bench::new(facts).await?;
        for delivered in [true, false] {
            for at in [0, THEN, THEN * 2] {
                let before = ("placeholder", None, None);
                let got = joined(&bench, before, ("new", at), delivered).await?;
                assert_eq!(got, (Updated, "new".to_owned(), Some(at), None));
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_delivered_hint_counts_beyond_the_staleness_and_ties_within() -> Result<()> {
    let case = Case {
        facts: hints(),
        delivered: true,
        before: ("old", Some(THEN), None),
    };
    case.check(&[
        ("new", THEN + STALE + 1, Updated, None),
        ("new", THEN + STALE, Tied, None),
        ("new", THEN + 1, Tied, None),
        ("new", THEN, Tied, None),
        ("new", THEN - 1, Tied, None),
        ("new", THEN - STALE, Tied, None),
        ("new", THEN - STALE - 1, Stale, None),
        // There and back again: the time counts though the content is the same.
        ("old", THEN + STALE + 1, Updated, None),
        ("old", THEN + 1, Updated, None),
        ("old", THEN, Unchanged, None),
        ("old", THEN - 1, Unchanged, None),
        ("old", THEN - STALE, Unchanged, None),
        ("old", THEN - STALE - 1, Stale, None),
    ])
    .await
}

#[tokio::test]
async fn a_listed_row_is_no_newer_than_the_listing_may_be() -> Result<()> {
    let mut facts = hints();
    facts.listing_staleness = Duration::from_micros(STALE.unsigned_abs() * 60);
    let bench = Bench::new(facts.clone()).await?;
    // The listing was asked for now, and may show the state of a minute ago.
    let listed_at = facts.listed_at(At::from_micros(THEN)).as_micros();
    assert_eq!(listed_at, THEN - STALE * 59);
    assert_eq!(
        bench.join(&named("u", "old"), listed_at, false).await?,
        Created
    );
    // A read that took long was sent before the listing, and shows what is new.
    let sent = THEN - 2 * STALE;
    assert_eq!(bench.join(&named("u", "new"), sent, true).await?, Updated);
    assert_eq!(bench.existing("u").await?.name.as_deref(), Some("new"));
    Ok(())
}

#[tokio::test]
async fn a_listing_that_shows_the_rows_own_content_writes_nothing() -> Result<()> {
    let case = Case {
        facts: hints(),
        delivered: false,
        before: ("old", Some(THEN), None),
    };
    case.check(&[
        ("new", THEN + STALE + 1, Updated, None),
        ("new", THEN + STALE, Tied, None),
        ("new", THEN - STALE, Tied, None),
        ("new", THEN - STALE - 1, Stale, None),
        ("old", THEN + 3600 * SECOND, Unchanged, None),
        ("old", THEN + STALE + 1, Unchanged, None),
        ("old", THEN + 1, Unchanged, None),
        ("old", THEN, Unchanged, None),
        ("old", THEN - STALE, Unchanged, None),
    ])
    .await
}

#[tokio::test]
async fn a_version_needs_no_staleness() -> Result<()> {
    let case = Case {
        facts: versions(),
        delivered: true,
        before: ("old", Some(THEN), None),
    };
    case.check(&[
        ("new", THEN + 1, Updated, None),
        ("old", THEN + 1, Updated, None),
        ("new", THEN, Tied, None),
        ("old", THEN, Unchanged, None),
        ("new", THEN - 1, Stale, None),
        ("old", THEN - 1, Stale, None),
    ])
    .await
}

#[tokio::test]
async fn a_tombstone_is_final_against_deliveries_and_listings() -> Result<()> {
    let deleted = THEN + 100 * SECOND;
    for delivered in [true, false] {
        for facts in [hints(), versions()] {
            let case = Case {
                facts,
                delivered,
                before: ("old", Some(THEN), Some(deleted)),
            };
            case.check(&[
                // It keeps the newest profile, and is never older than it.
                ("new", deleted + 1, Updated, Some(deleted + 1)),
                ("new", deleted, Updated, Some(deleted)),
                ("new", deleted - 1, Updated, Some(deleted)),
                ("new", THEN - 10 * SECOND, Stale, Some(deleted)),
            ])
            .await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn where_ids_return_a_later_profile_revives() -> Result<()> {
    let deleted = THEN + 100 * SECOND;
    for versioned in [true, false] {
        let case = Case {
            facts: facts(versioned, true),
            delivered: true,
            before: ("old", Some(THEN), Some(deleted)),
        };
        // How close to the deletion a profile has to be, for a read to decide.
        let close = if versioned { 0 } else { STALE };
        case.check(&[
            ("new", deleted + STALE + 1, Updated, None),
            ("new", deleted, Tied, Some(deleted)),
            ("new", deleted - close - 1, Updated, Some(deleted)),
            ("new", THEN - 10 * SECOND, Stale, Some(deleted)),
        ])
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_read_that_may_be_older_than_the_deletion_revives_nobody() -> Result<()> {
    let deleted = THEN + 100 * SECOND;
    let case = Case {
        facts: facts(false, true),
        delivered: true,
        before: ("old", Some(THEN), Some(deleted)),
    };
    // A replica may have answered it.
    case.check(&[
        ("new", deleted + 1, Tied, Some(deleted)),
        ("new", deleted + STALE, Tied, Some(deleted)),
        ("old", deleted + 1, Tied, Some(deleted)),
        // Nor may the deletion win, if it was read before the user came back.
        ("new", deleted, Tied, Some(deleted)),
        ("old", deleted - 1, Tied, Some(deleted)),
        ("new", deleted - STALE, Tied, Some(deleted)),
    ])
    .await
}

/// Joins a deletion; gives the outcome and the row's times.
async fn gone(
    bench: &Bench,
    before: Option<Before>,
    at: i64,
) -> Result<(Outcome, Option<i64>, Option<i64>)> {
    let kept = match before {
        Some(before) => Some(put(bench, before).await?),
        None => {
            bench.run("DELETE FROM neon_identity.users_sync").await?;
            None
        }
    };
    let outcome = bench.store.gone(&user("u"), At::from_micros(at)).await?;
    let row = bench.existing("u").await?;
    match (&kept, outcome) {
        (None, _) => assert_eq!((&*row.raw_json, &row.name), ("{}", &None)),
        (Some(kept), Tied) => assert_eq!(&row, kept, "a tie writes nothing"),
        (Some(kept), _) => assert_eq!(
            (&row.raw_json, &row.name, &row.email, row.updated_at),
            (&kept.raw_json, &kept.name, &kept.email, kept.updated_at),
            "a deletion keeps the profile"
        ),
    }
    let (updated_at, deleted_at) = row.times();
    Ok((outcome, updated_at, deleted_at))
}

#[tokio::test]
async fn a_deletion_may_come_first() -> Result<()> {
    for facts in [hints(), versions(), facts(false, true), facts(true, true)] {
        let ids_return = facts.ids_return;
        // Before what a stale read could show.
        let before = THEN - 2 * STALE;
        let bench = Bench::new(facts).await?;
        assert_eq!(gone(&bench, None, THEN).await?, (Updated, None, Some(THEN)));
        // The profile that came late is kept, and the user stays deleted.
        let late = bench.join(&named("u", "Ada"), before, true).await?;
        let row = bench.existing("u").await?;
        assert_eq!((late, row.name.as_deref()), (Updated, Some("Ada")));
        assert_eq!(row.times(), (Some(before), Some(THEN)));

        gone(&bench, None, THEN).await?;
        let later = THEN + 2 * STALE;
        bench.join(&named("u", "Ada"), later, true).await?;
        let deleted_at = (!ids_return).then_some(later);
        let row = bench.existing("u").await?;
        assert_eq!(row.times(), (Some(later), deleted_at));
    }
    Ok(())
}

#[tokio::test]
async fn a_deletion_is_never_older_than_the_profile_it_ends() -> Result<()> {
    for facts in [hints(), versions()] {
        let bench = Bench::new(facts).await?;
        for (before, at, deleted_at) in [
            (("old", Some(THEN), None), THEN + 1, THEN + 1),
            (("old", Some(THEN), None), THEN, THEN),
            // Gone for good, whenever that was.
            (("old", Some(THEN), None), THEN - 3600 * SECOND, THEN),
            (("old", None, None), THEN, THEN),
            // Deleted already, later or earlier.
            (("old", Some(THEN), Some(THEN + 9)), THEN + 5, THEN + 9),
            (("old", Some(THEN), Some(THEN + 5)), THEN + 9, THEN + 9),
        ] {
            let (_, updated_at, known) = before;
            let outcome = match known {
                Some(_) => Unchanged,
                None => Updated,
            };
            let expected = (outcome, updated_at, Some(deleted_at));
            assert_eq!(gone(&bench, Some(before), at).await?, expected);
        }
    }
    Ok(())
}

#[tokio::test]
async fn where_ids_return_a_deletion_ends_only_what_was_before() -> Result<()> {
    for (facts, stale) in [(facts(true, true), 0), (facts(false, true), STALE)] {
        let bench = Bench::new(facts).await?;
        let alive = ("old", Some(THEN), None);
        for (at, expected) in [
            (
                THEN + stale + 1,
                (Updated, Some(THEN), Some(THEN + stale + 1)),
            ),
            (THEN + stale, (Tied, Some(THEN), None)),
            (THEN, (Tied, Some(THEN), None)),
            // The user may have come back since.
            (THEN - 3600 * SECOND, (Tied, Some(THEN), None)),
        ] {
            assert_eq!(gone(&bench, Some(alive), at).await?, expected);
        }
        let placeholder = ("old", None, None);
        let expected = (Updated, None, Some(THEN));
        assert_eq!(gone(&bench, Some(placeholder), THEN).await?, expected);
    }
    Ok(())
}

/// The things that may be learnt of a user.
#[derive(Clone, Copy)]
enum Learnt {
    Present(&'static str, i64),
    Gone(i64),
}

#[tokio::test]
async fn every_order_and_every_repetition_ends_the_same() -> Result<()> {
    let at = |n: i64| THEN + n * 10 * SECOND;
    let learnt = [
        Learnt::Present("Ada", at(1)),
        Learnt::Present("Bob", at(2)),
        // Back to what it was: no new content, and a later time.
        Learnt::Present("Ada", at(3)),
        Learnt::Gone(at(4)),
    ];
    let revived = [
        Learnt::Present("Ada", at(1)),
        Learnt::Gone(at(2)),
        Learnt::Gone(at(3)),
        Learnt::Present("Bob", at(4)),
    ];
    let gone = (Some("Ada".to_owned()), (Some(at(3)), Some(at(4))));
    let stays_gone = (Some("Bob".to_owned()), (Some(at(4)), Some(at(4))));
    let alive = (Some("Bob".to_owned()), (Some(at(4)), None));
    for (facts, learnt, expected) in [
        (hints(), learnt, &gone),
        (versions(), learnt, &gone),
        (facts(false, true), learnt, &gone),
        (facts(true, true), learnt, &gone),
        (hints(), revived, &stays_gone),
        (versions(), revived, &stays_gone),
        (facts(false, true), revived, &alive),
        (facts(true, true), revived, &alive),
    ] {
        let bench = Bench::new(facts).await?;
        for (number, order) in orders(learnt.len()).into_iter().enumerate() {
            let id = format!("u{number}");
            // Each is told once more at the end, oldest last.
            for which in order.iter().chain(&[3, 2, 1, 0]) {
                learn(&bench, &id, learnt[*which]).await?;
            }
            let row = bench.existing(&id).await?;
            assert_eq!(&(row.name.clone(), row.times()), expected, "{order:?}");
        }
    }
    Ok(())
}

async fn learn(bench: &Bench, id: &str, learnt: Learnt) -> Result<()> {
    match learnt {
        Learnt::Present(name, at) => {
            let profile: Profile = named(id, name);
            bench.join(&profile, at, true).await.map(|_| ())
        }
        Learnt::Gone(at) => {
            let at = At::from_micros(at);
            bench.store.gone(&user(id), at).await?;
            Ok(())
        }
    }
}

/// All orders of the numbers below `n`.
fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for shorter in orders(n - 1) {
        for place in 0..n {
            let mut order = shorter.clone();
            order.insert(place, n - 1);
            all.push(order);
        }
    }
    all
}
