//! `users_sync`: joins and settles users in it, and compares a listing with it.

use std::ops::Range;
use std::time::SystemTime;

use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::binding::ProjectStore;
use super::columns::{CREATE, Columns, JOIN_MANY};
use super::connection::Parameters;
use super::error::StoreError;
use super::handle::Store;
use super::planned::{GONE, JOIN};
use super::runs::Lease;
use crate::profile::{Digest, Profile, UserId};
use crate::time::At;

/// The outcome for a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A row was created.
    Created,
    /// The row was changed.
    Updated,
    /// A tombstone was cleared.
    Revived,
    /// The row said this already.
    Unchanged,
    /// The row knows newer.
    Stale,
    /// It can't be told which of the two is newer: a read settles it.
    Tied,
}

impl Outcome {
    fn is_a_change(self) -> bool {
        matches!(self, Self::Created | Self::Updated | Self::Revived)
    }
}

/// How a listed user differs from their row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// There is no row.
    Created,
    /// There is no row, and the listed profile can't be compared by its digest: a
    /// read makes the row, as reads would have to mend it from then on.
    Unseen,
    /// The row is older.
    Updated,
    /// The row says that the user is deleted.
    Tombstone,
    /// It can't be told which of the two is newer.
    Doubtful,
}

/// Ids of the users that are not deleted, of a part of the table. They are text,
/// because a row that a person put in can have any.
pub struct Ids(Row);

impl Ids {
    /// Of users who are shown as living, with a profile.
    pub fn living(&self) -> Vec<&str> {
        self.0.get::<_, Option<_>>("living").unwrap_or_default()
    }

    /// That an application has named, and no profile has arrived for.
    pub fn placeholders(&self) -> Vec<&str> {
        let ids = self.0.get::<_, Option<_>>("placeholders");
        ids.unwrap_or_default()
    }

    /// How many blocks the table has.
    pub fn blocks(&self) -> i64 {
        self.0.get("blocks")
    }
}

/// A row's version, which every write changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowVersion(String);

/// A look at a row. It carries its time, so that a profile that is read later
/// can't be given the time of another look.
#[derive(Debug, Clone)]
pub struct Look {
    /// The user's id.
    pub id: UserId,
    /// The row's version; `None`: there is no row.
    pub row_version: Option<RowVersion>,
    /// Whether the row says that the user is deleted.
    pub deleted: bool,
    at: At,
}

impl Look {
    /// When this was, by the database's clock.
    pub fn at(&self) -> At {
        self.at
    }

    /// The same look as though it had been at another time: for tests alone, of
    /// times that no clock shows. No code that is deployed calls it, which a test
    /// of the layout holds.
    #[doc(hidden)]
    #[must_use]
    pub fn as_if_at(self, at: At) -> Self {
        Self { at, ..self }
    }

    fn token(&self) -> Option<&str> {
        self.row_version.as_ref().map(|version| version.0.as_str())
    }
}

/// The cause of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A delivery, or an event of the provider's record: its time counts even if
    /// the row says the same already.
    Delivery,
    /// A listing, which writes only users that differ.
    Listing,
}

impl Origin {
    fn is_delivery(self) -> bool {
        self == Self::Delivery
    }
}

/// How to take in a profile that was read after a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettleOptions {
    /// The cause of the read.
    pub origin: Origin,
    /// Whether the profile clears a tombstone.
    pub revive: bool,
}

/// By which right users are marked as deleted.
#[derive(Debug, Clone, Copy)]
pub enum Authority<'a> {
    /// A delivery about the one user that was read.
    Delivery,
    /// A run, for as long as it holds the lease.
    Run(&'a Lease),
}

/// The reason why a row is not written although nothing refuses it, or is hidden
/// although it is there.
pub const DROPPED: &str = "the table drops this user's row without an error: see its BEFORE \
                           triggers (one that returns NULL), its rules and its policies";

impl Store {
    /// How stale a joined profile can be, in seconds; versions are never stale.
    fn staleness(&self) -> f64 {
        if self.facts.versioned {
            return 0.0;
        }
        self.facts.staleness.as_secs_f64()
    }
}

impl ProjectStore {
    /// Joins profiles, each of them true at its `at`; no user is there twice.
    pub async fn join(
        &self,
        profiles: &[(&Profile, At)],
        origin: Origin,
    ) -> Result<Vec<(UserId, Outcome)>, StoreError> {
        let staleness = self.staleness();
        let mut record = self.record.columns(profiles.len());
        let is_delivery = origin.is_delivery();
        let rest: [&(dyn ToSql + Sync); 10] = [
            &staleness,
            &self.facts.ids_return,
            &is_delivery,
            &self.facts.name,
            &self.project.names,
            &record.event_id,
            &record.event,
            &record.changed_at,
            &record.run,
            &record.most,
        ];
        let outcomes = match profiles {
            [one] => vec![self.join_one(*one, &rest).await?],
            many => self.join_many(many, &rest).await?,
        };
        let changes = outcomes.iter().filter(|(_, outcome)| outcome.is_a_change());
        record.count(changes.count());
        Ok(outcomes)
    }

    async fn join_one(
        &self,
        (profile, at): (&Profile, At),
        rest: &[&(dyn ToSql + Sync)],
    ) -> Result<(UserId, Outcome), StoreError> {
        let id = profile.id.as_str();
        let created = profile.created_at.map(At::to_system);
        let at = at.to_system();
        let columns: [&(dyn ToSql + Sync); 6] = [
            &id,
            &profile.raw_json,
            &profile.name,
            &profile.email,
            &created,
            &at,
        ];
        let values = [&columns, rest].concat();
        let row = self.connection.one_planned(&JOIN, &values).await?;
        Ok((profile.id.clone(), outcome(row.get("outcome"))?))
    }

    async fn join_many(
        &self,
        profiles: &[(&Profile, At)],
        rest: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<(UserId, Outcome)>, StoreError> {
        let columns = Columns::of(profiles);
        let mut parameters = columns.parameters();
        let types = JOIN.takes[parameters.len()..].iter().cloned();
        parameters.extend(rest.iter().copied().zip(types));
        let rows = self.connection.all(&JOIN_MANY, &parameters).await?;
        let outcomes = rows.iter();
        outcomes
            .map(|row| Ok((id(row.get(0))?, outcome(row.get(1))?)))
            .collect()
    }

    /// Makes rows of listed users who have none, and says whose. An error that may be
    /// of a row, or a user who is left out: the join says what is to be done.
    pub async fn create(&self, profiles: &[(&Profile, At)]) -> Result<Vec<UserId>, StoreError> {
        let columns = Columns::of(profiles);
        let mut record = self.record.columns(profiles.len());
        let mut parameters = columns.parameters();
        let rest: [(&(dyn ToSql + Sync), Type); 4] = [
            (&self.facts.name, Type::TEXT),
            (&self.project.names, Type::TEXT_ARRAY),
            (&record.run, Type::INT8),
            (&record.most, Type::INT8),
        ];
        parameters.extend(rest);
        let rows = self.connection.all(&CREATE, &parameters).await?;
        record.count(rows.len());
        rows.iter().map(|row| id(row.get(0))).collect()
    }

    /// Joins a deletion.
    pub async fn gone(&self, id: &UserId, at: At) -> Result<Outcome, StoreError> {
        let staleness = self.staleness();
        let mut record = self.record.columns(1);
        let row = self
            .connection
            .one_planned(
                &GONE,
                &[
                    &id.as_str(),
                    &at.to_system(),
                    &staleness,
                    &self.facts.ids_return,
                    &self.facts.name,
                    &self.project.names,
                    &record.event_id,
                    &record.event,
                    &record.changed_at,
                    &record.run,
                    &record.most,
                ],
            )
            .await?;
        let outcome = outcome(row.get("outcome"))?;
        record.count(usize::from(outcome.is_a_change()));
        Ok(outcome)
    }
}

impl Store {
    /// Looks at rows, before the provider is asked about their users.
    pub async fn look(&self, ids: &[UserId]) -> Result<Vec<Look>, StoreError> {
        let asked: Vec<_> = ids.iter().map(UserId::as_str).collect();
        let rows = self
            .connection
            .all(sql!("look"), &[(&asked, Type::TEXT_ARRAY)])
            .await?;
        let Some(first) = rows.first() else {
            return Ok(Vec::new());
        };
        // The clock goes on from row to row; the first time is the earliest.
        let at = At::from_system(first.get(0));
        let looks = rows.iter().map(|row| {
            Ok(Look {
                at,
                id: id(row.get(1))?,
                row_version: row.get::<_, Option<String>>(2).map(RowVersion),
                deleted: row.get(3),
            })
        });
        looks.collect()
    }
}

impl ProjectStore {
    /// Takes in a profile that was read after `look`; `None` if the row has
    /// changed since. [`Outcome::Stale`]: the row has a newer version.
    pub async fn settle_present(
        &self,
        look: &Look,
        profile: &Profile,
        options: SettleOptions,
    ) -> Result<Option<Outcome>, StoreError> {
        self.settle(look, profile, options, false).await
    }

    /// The same, for a row whose version is not the provider's own.
    pub async fn settle_edited(
        &self,
        look: &Look,
        profile: &Profile,
        options: SettleOptions,
    ) -> Result<Option<Outcome>, StoreError> {
        self.settle(look, profile, options, true).await
    }

    async fn settle(
        &self,
        look: &Look,
        profile: &Profile,
        SettleOptions { origin, revive }: SettleOptions,
        edited: bool,
    ) -> Result<Option<Outcome>, StoreError> {
        let at = profile.version.unwrap_or(look.at);
        let mut record = self.record.columns(1);
        let row = self
            .connection
            .one(
                sql!("settle_present"),
                &[
                    (&look.id.as_str(), Type::TEXT),
                    (&look.token(), Type::TEXT),
                    (&profile.raw_json, Type::TEXT),
                    (&profile.name, Type::TEXT),
                    (&profile.email, Type::TEXT),
                    (&profile.created_at.map(At::to_system), Type::TIMESTAMPTZ),
                    (&at.to_system(), Type::TIMESTAMPTZ),
                    (&self.facts.versioned, Type::BOOL),
                    (&revive, Type::BOOL),
                    (&origin.is_delivery(), Type::BOOL),
                    (&self.facts.name, Type::TEXT),
                    (&self.project.names, Type::TEXT_ARRAY),
                    (&edited, Type::BOOL),
                    (&record.event_id, Type::TEXT),
                    (&record.event, Type::TEXT),
                    (&record.changed_at, Type::TIMESTAMPTZ),
                    (&record.run, Type::INT8),
                    (&record.most, Type::INT8),
                ],
            )
            .await?;
        match row.get(0) {
            "moved" if self.unmoved(std::slice::from_ref(look)).await?.is_empty() => Ok(None),
            "moved" => Err(StoreError::Unstorable(DROPPED.to_owned())),
            word => {
                let outcome = outcome(word)?;
                record.count(usize::from(outcome.is_a_change()));
                Ok(Some(outcome))
            }
        }
    }
}

impl Store {
    /// The row's profile and its time, if the row has not changed since the look
    /// and has a finite time.
    pub async fn kept(&self, look: &Look) -> Result<Option<(String, At)>, StoreError> {
        let parameters: Parameters<'_> =
            &[(&look.id.as_str(), Type::TEXT), (&look.token(), Type::TEXT)];
        let rows = self.connection.all(sql!("kept"), parameters).await?;
        Ok(rows.first().and_then(|row| {
            let at: Option<SystemTime> = row.try_get(1).ok()?;
            Some((row.get(0), At::from_system(at?)))
        }))
    }

    /// Users whose rows have not changed since these looks.
    pub async fn unmoved(&self, looks: &[Look]) -> Result<Vec<UserId>, StoreError> {
        let ids: Vec<_> = looks.iter().map(|look| look.id.clone()).collect();
        let now = self.look(&ids).await?;
        let stands = |now: &Look| {
            looks
                .iter()
                .any(|look| look.id == now.id && look.row_version == now.row_version)
        };
        Ok(now.into_iter().filter(stands).map(|look| look.id).collect())
    }
}

impl ProjectStore {
    /// Marks users as deleted that the provider did not have when it was asked
    /// after these looks. Gives back the users that it has marked: a row that
    /// has changed since is left alone, and so is every row if the run has lost
    /// the lease.
    pub async fn settle_gone(
        &self,
        looks: &[Look],
        authority: Authority<'_>,
    ) -> Result<Vec<UserId>, StoreError> {
        let run = match authority {
            Authority::Delivery => None,
            Authority::Run(lease) => Some(lease.run),
        };
        let (with_row, without): (Vec<_>, Vec<_>) =
            looks.iter().partition(|look| look.row_version.is_some());
        let mut written = Vec::new();
        // Two statements: see settle_gone.sql.
        for looks in [with_row, without] {
            if looks.is_empty() {
                continue;
            }
            let mut record = self.record.columns(looks.len());
            let ids: Vec<_> = looks.iter().map(|look| look.id.as_str()).collect();
            let tokens: Vec<_> = looks.iter().map(|look| look.token()).collect();
            let ats: Vec<_> = looks.iter().map(|look| look.at.to_system()).collect();
            let rows = self
                .connection
                .all(
                    sql!("settle_gone"),
                    &[
                        (&ids, Type::TEXT_ARRAY),
                        (&tokens, Type::TEXT_ARRAY),
                        (&ats, Type::TIMESTAMPTZ_ARRAY),
                        (&run, Type::INT8),
                        (&self.facts.name, Type::TEXT),
                        (&self.project.names, Type::TEXT_ARRAY),
                        (&record.event_id, Type::TEXT),
                        (&record.event, Type::TEXT),
                        (&record.changed_at, Type::TIMESTAMPTZ),
                        (&record.run, Type::INT8),
                        (&record.most, Type::INT8),
                    ],
                )
                .await?;
            record.count(rows.len());
            for row in &rows {
                written.push(id(row.get(0))?);
            }
        }
        Ok(written)
    }
}

impl Store {
    /// Which of these listed users differ from their rows, by their places in
    /// `profiles`; `seen`: a moment before the listing was asked for;
    /// `unloaded`: fields that the listing leaves open.
    pub async fn compare(
        &self,
        profiles: &[Profile],
        seen: At,
        unloaded: &[&str],
    ) -> Result<Vec<(usize, Difference)>, StoreError> {
        let digests: Vec<_> = profiles.iter().map(|p| p.digest(unloaded)).collect();
        self.compare_by(&digests, profiles, seen, unloaded).await
    }

    /// The same, by digests of the profiles that were made before.
    pub async fn compare_by(
        &self,
        digests: &[Option<Digest>],
        profiles: &[Profile],
        seen: At,
        unloaded: &[&str],
    ) -> Result<Vec<(usize, Difference)>, StoreError> {
        let ids: Vec<_> = profiles.iter().map(|p| p.id.as_str()).collect();
        let digest_bytes: Vec<_> = digests
            .iter()
            .map(|digest| digest.as_ref().map(Digest::as_slice))
            .collect();
        let versions: Vec<_> = profiles
            .iter()
            .map(|p| p.version.map(At::to_system))
            .collect();
        let rows = self
            .connection
            .all(
                sql!("compare"),
                &[
                    (&ids, Type::TEXT_ARRAY),
                    (&digest_bytes, Type::BYTEA_ARRAY),
                    (&versions, Type::TIMESTAMPTZ_ARRAY),
                    (&seen.to_system(), Type::TIMESTAMPTZ),
                    (&self.facts.listing_staleness.as_secs_f64(), Type::FLOAT8),
                    (&unloaded, Type::TEXT_ARRAY),
                ],
            )
            .await?;
        let difference = |row: &Row| {
            let place: i64 = row.get(0);
            let place = usize::try_from(place - 1).map_err(|_| StoreError::Garbled)?;
            let difference = match row.get(1) {
                "created" if digests.get(place).is_some_and(Option::is_none) => Difference::Unseen,
                "created" => Difference::Created,
                "updated" => Difference::Updated,
                "tombstone" => Difference::Tombstone,
                _ => Difference::Doubtful,
            };
            Ok((place, difference))
        };
        rows.iter().map(difference).collect()
    }

    /// How many users are shown as living, placeholders aside.
    pub async fn live_count(&self) -> Result<i64, StoreError> {
        Ok(self.connection.one(sql!("live_count"), &[]).await?.get(0))
    }

    /// Ids of the users that are not deleted, of these blocks of the table.
    pub async fn ids(&self, blocks: Range<i64>) -> Result<Ids, StoreError> {
        let [first, end] = [blocks.start, blocks.end].map(|block| format!("({block},0)"));
        let parameters: Parameters<'_> = &[(&first, Type::TEXT), (&end, Type::TEXT)];
        self.connection.one(sql!("ids"), parameters).await.map(Ids)
    }
}

fn id(id: &str) -> Result<UserId, StoreError> {
    UserId::new(id).map_err(|_| StoreError::Garbled)
}

pub(super) fn outcome(word: &str) -> Result<Outcome, StoreError> {
    Ok(match word {
        "created" => Outcome::Created,
        "updated" => Outcome::Updated,
        "revived" => Outcome::Revived,
        "unchanged" => Outcome::Unchanged,
        "stale" => Outcome::Stale,
        "tied" => Outcome::Tied,
        "foreign" => return Err(StoreError::NotThisProject),
        _ => return Err(StoreError::Garbled),
    })
}
