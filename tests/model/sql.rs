//! Holds `rows.rs` against the statements themselves, in a real PostgreSQL: for
//! every row, profile and flag, a statement leaves the row that the model has,
//! answers the same, and writes when the model says that it does.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use shared::migrate::{Wanted, migrate};
use shared::profile::{Columns, Profile, UserId};
use shared::provider::Facts;
use shared::store::{
    self, Authority, Look, Origin, Patience, Project, ProjectStore, Schema, SettleOptions, Store,
    Target,
};
use shared::time::At;
use tests::database::Database;
use tests::postgres::Postgres;
use tokio_postgres::Client;

use crate::rows::{self, Content, Difference, Outcome, Row, Time};

const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(30),
    statement: Duration::from_secs(60),
};

/// The model's time 0; a step is a second, the staleness too.
const THEN: i64 = 1_750_000_000;

const STALE: Time = 1;

struct Bench {
    store: ProjectStore,
    outside: Client,
    facts: Facts,
    _database: Database,
}

impl Bench {
    async fn new(versioned: bool, ids_return: bool) -> Result<Self> {
        let staleness = Duration::from_secs(STALE.unsigned_abs().into());
        let facts = Facts {
            name: "fake",
            project: Some("project-1".to_owned()),
            staleness,
            listing_staleness: staleness,
            versioned,
            ids_return,
            sends_again: true,
        };
        let database = Postgres::shared().await?.database().await?;
        let owner = Target::parse(database.owner_url(), "database_url")?;
        migrate(&owner, None, &Schema::default(), Wanted::default()).await?;
        let project = Project::of_secret(&facts).context("name the project")?;
        let store = Store::new(owner, Schema::default(), &facts, PATIENCE).of(project);
        store.bind().await?;
        let outside = database.connect().await?;
        Ok(Self {
            store,
            outside,
            facts,
            _database: database,
        })
    }

    fn stale(&self) -> Time {
        if self.facts.versioned { 0 } else { STALE }
    }

    /// Puts these rows there and nothing else; gives what tells a write.
    async fn put(&self, rows: impl Iterator<Item = Option<Row>>) -> Result<Kept> {
        let time = |time: Option<Time>| match time {
            Some(time) => format!("to_timestamp({})", THEN + i64::from(time)),
            None => "NULL".to_owned(),
        };
        let values: Vec<_> = rows
            .enumerate()
            .filter_map(|(i, row)| {
                let Row {
                    content,
                    at,
                    deleted,
                } = row?;
                let (raw, name) = match content {
                    Some(content) => (raw(i, content), format!("'{content}'")),
                    None => ("{}".to_owned(), "NULL".to_owned()),
                };
                let (at, deleted) = (time(at), time(deleted));
                Some(format!(
                    "('{raw}', '{}', {name}, NULL, NULL, {at}, {deleted})",
                    id(i)
                ))
            })
            .collect();
        let sql = format!(
            "DELETE FROM neon_identity.users_sync;
            INSERT INTO neon_identity.users_sync VALUES {}",
            values.join(", ")
        );
        self.outside.batch_execute(&sql).await?;
        self.kept().await
    }

    /// Every row, and what changes when it is written.
    async fn kept(&self) -> Result<Kept> {
        let sql = "SELECT id, name, extract(epoch FROM updated_at)::bigint,
                extract(epoch FROM deleted_at)::bigint, xmin::text || ctid::text
            FROM neon_identity.users_sync";
        let time = |time: Option<i64>| -> Result<Option<Time>> {
            Ok(time.map(|time| Time::try_from(time - THEN)).transpose()?)
        };
        let mut kept = BTreeMap::new();
        for row in self.outside.query(sql, &[]).await? {
            let name: Option<String> = row.get(1);
            let now = Row {
                content: name.map(|name| name.parse()).transpose()?,
                at: time(row.get(2))?,
                deleted: time(row.get(3))?,
            };
            kept.insert(row.get(0), (now, row.get(4)));
        }
        Ok(kept)
    }

    async fn look(&self, count: usize) -> Result<Vec<Look>> {
        let ids: Result<Vec<_>, _> = (0..count).map(|i| UserId::new(id(i))).collect();
        Ok(self.store.look(&ids?).await?)
    }
}

type Kept = BTreeMap<String, (Row, String)>;

fn id(i: usize) -> String {
    format!("u{i:05}")
}

fn raw(i: usize, content: Content) -> String {
    format!(r#"{{"id": "{}", "name": "{content}"}}"#, id(i))
}

fn profile(i: usize, content: Content, version: Option<At>) -> Result<Profile> {
    let columns = |fields: &shared::json::Fields<'_>| Columns {
        id: fields.string("id"),
        name: fields.string("name"),
        email: None,
        created_at: None,
        version,
    };
    Ok(Profile::from_json(&raw(i, content), columns)?)
}

fn origin(delivered: bool) -> Origin {
    match delivered {
        true => Origin::Delivery,
        false => Origin::Listing,
    }
}

fn options(revive: bool, delivered: bool) -> SettleOptions {
    SettleOptions {
        origin: origin(delivered),
        revive,
    }
}

fn at(time: Time) -> At {
    At::from_micros((THEN + i64::from(time)) * 1_000_000)
}

/// Every row that there can be, with times from 0 to `most`.
fn all_rows(most: Time) -> Vec<Option<Row>> {
    let times = || (0..=most).map(Some);
    let deletions = || std::iter::once(None).chain(times());
    let mut rows = vec![None];
    for deleted in deletions() {
        rows.push(Some(Row {
            content: None,
            at: None,
            deleted,
        }));
        for at in times() {
            rows.extend([0, 1].map(|content| {
                Some(Row {
                    content: Some(content),
                    at,
                    deleted,
                })
            }));
        }
    }
    rows
}

/// Every profile that may arrive.
fn all_news(most: Time) -> Vec<(Content, Time)> {
    let times = 0..=most;
    times.flat_map(|at| [(0, at), (1, at)]).collect()
}

fn pairs<A: Copy, B: Copy>(first: &[A], second: &[B]) -> Vec<(A, B)> {
    let pair = |a: &A| {
        let a = *a;
        second.iter().map(move |b| (a, *b))
    };
    first.iter().flat_map(pair).collect()
}

fn outcome(outcome: store::Outcome) -> Outcome {
    match outcome {
        store::Outcome::Created => Outcome::Created,
        store::Outcome::Updated => Outcome::Updated,
        store::Outcome::Revived => Outcome::Revived,
        store::Outcome::Unchanged => Outcome::Unchanged,
        store::Outcome::Stale => Outcome::Stale,
        store::Outcome::Tied => Outcome::Tied,
    }
}

/// Checks that the row `i` is as the model has it, and written only if the model says so.
fn assert_row(before: &Kept, after: &Kept, i: usize, kept: Option<Row>, written: Option<Row>) {
    let (old, new) = (before.get(&id(i)), after.get(&id(i)));
    let row = new.map(|(row, _)| *row);
    assert_eq!(row, written.or(kept), "{kept:?} was to become {written:?}");
    let wrote = old.map(|(_, tuple)| tuple) != new.map(|(_, tuple)| tuple);
    assert_eq!(
        wrote,
        written.is_some(),
        "{kept:?} was to become {written:?}"
    );
}

#[tokio::test]
async fn the_models_join_is_the_statements() -> Result<()> {
    let cases = pairs(&all_rows(3), &all_news(3));
    for (versioned, ids_return) in pairs(&[false, true], &[false, true]) {
        let bench = Bench::new(versioned, ids_return).await?;
        for delivered in [false, true] {
            let before = bench.put(cases.iter().map(|(row, _)| *row)).await?;
            let mut profiles = Vec::new();
            for (i, (_, (content, _))) in cases.iter().enumerate() {
                profiles.push(profile(i, *content, None)?);
            }
            let new: Vec<_> = profiles
                .iter()
                .zip(&cases)
                .map(|(profile, (_, (_, time)))| (profile, at(*time)))
                .collect();
            let outcomes: BTreeMap<_, _> = bench
                .store
                .join(&new, origin(delivered))
                .await?
                .into_iter()
                .collect();
            let after = bench.kept().await?;
            for (i, (kept, new)) in cases.iter().enumerate() {
                let (written, answer) =
                    rows::join(*kept, *new, bench.stale(), ids_return, delivered, None);
                let case = format!("{kept:?} {new:?} {versioned} {ids_return} {delivered}");
                let answered = outcomes.get(&UserId::new(id(i))?).context("an answer")?;
                assert_eq!(outcome(*answered), answer, "{case}");
                assert_row(&before, &after, i, *kept, written);
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_models_deletion_is_the_statements() -> Result<()> {
    let cases = pairs(&all_rows(2), &[0, 1, 2]);
    for (versioned, ids_return) in pairs(&[false, true], &[false, true]) {
        let bench = Bench::new(versioned, ids_return).await?;
        let before = bench.put(cases.iter().map(|(row, _)| *row)).await?;
        let mut answers = Vec::new();
        for (i, (_, time)) in cases.iter().enumerate() {
            let user = UserId::new(id(i))?;
            answers.push(outcome(bench.store.gone(&user, at(*time)).await?));
        }
        let after = bench.kept().await?;
        for (i, (kept, time)) in cases.iter().enumerate() {
            let (written, answer) = rows::gone(*kept, *time, bench.stale(), ids_return);
            assert_eq!(
                answers[i], answer,
                "{kept:?} {time} {versioned} {ids_return}"
            );
            assert_row(&before, &after, i, *kept, written);
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_model_settles_as_the_statements_do() -> Result<()> {
    let cases = pairs(&all_rows(2), &all_news(2));
    for versioned in [false, true] {
        let bench = Bench::new(versioned, false).await?;
        let flags = pairs(&pairs(&[false, true], &[false, true]), &[false, true]);
        for ((revive, delivered), edited) in flags {
            let model = |kept: Option<Row>, new| {
                rows::settle_present(kept, new, versioned, revive, delivered, edited)
            };
            let before = bench.put(cases.iter().map(|(row, _)| *row)).await?;
            let looks = bench.look(cases.len()).await?;
            let mut answers = Vec::new();
            for (i, (_, (content, time))) in cases.iter().enumerate() {
                let profile = profile(i, *content, None)?;
                let look = looks.iter().find(|look| look.id.as_str() == id(i));
                let look = look.context("a look")?.clone().as_if_at(at(*time));
                let options = options(revive, delivered);
                let settled = match edited {
                    true => bench.store.settle_edited(&look, &profile, options).await,
                    false => bench.store.settle_present(&look, &profile, options).await,
                };
                answers.push(outcome(settled?.context("the row has not moved")?));
            }
            let after = bench.kept().await?;
            for (i, (kept, new)) in cases.iter().enumerate() {
                let (written, answer) = model(*kept, *new);
                assert_eq!(
                    answers[i], answer,
                    "{kept:?} {new:?} {versioned} {revive} {delivered} {edited}"
                );
                assert_row(&before, &after, i, *kept, written);
            }
            // A look from before that finds that every written row has moved.
            for (i, (kept, new)) in cases.iter().enumerate().filter(|(i, _)| i % 7 == 0) {
                let moved = model(*kept, *new).0.is_some();
                let look = looks.iter().find(|look| look.id.as_str() == id(i));
                let profile = profile(i, 1 - new.0, None)?;
                let look = look.context("a look")?.clone().as_if_at(at(3));
                let options = options(true, true);
                let again = bench.store.settle_present(&look, &profile, options);
                assert_eq!(again.await?.is_none(), moved, "{kept:?} {new:?}");
            }
        }
        for looked in 0..=2 {
            let rows = all_rows(2);
            let before = bench.put(rows.iter().copied()).await?;
            let looks = bench.look(rows.len()).await?.into_iter();
            let looks: Vec<_> = looks.map(|look| look.as_if_at(at(looked))).collect();
            let authority = Authority::Delivery;
            bench.store.settle_gone(&looks, authority).await?;
            let after = bench.kept().await?;
            for (i, kept) in rows.iter().enumerate() {
                let written = rows::settle_gone(*kept, looked);
                assert_row(&before, &after, i, *kept, Some(written));
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_model_compares_as_the_statement_does() -> Result<()> {
    let cases = pairs(&all_rows(3), &all_news(3));
    for versioned in [false, true] {
        let bench = Bench::new(versioned, false).await?;
        bench.put(cases.iter().map(|(row, _)| *row)).await?;
        for seen in 0..=4 {
            let mut listed = Vec::new();
            for (i, (_, (content, version))) in cases.iter().enumerate() {
                let version = versioned.then(|| at(*version));
                listed.push(profile(i, *content, version)?);
            }
            let different: BTreeMap<_, _> = bench
                .store
                .compare(&listed, at(seen), &[])
                .await?
                .into_iter()
                .collect();
            for (i, (kept, (content, version))) in cases.iter().enumerate() {
                let version = versioned.then_some(*version);
                let expected = rows::compare(*kept, *content, version, seen, STALE, Time::MAX);
                let difference = different
                    .get(&i)
                    .map_or(Difference::Same, |found| match found {
                        store::Difference::Created | store::Difference::Unseen => {
                            Difference::Created
                        }
                        store::Difference::Updated => Difference::Updated,
                        store::Difference::Tombstone => Difference::Tombstone,
                        store::Difference::Doubtful => Difference::Doubtful,
                    });
                assert_eq!(
                    difference, expected,
                    "{kept:?} {content} {version:?} {seen}"
                );
            }
        }
    }
    Ok(())
}
