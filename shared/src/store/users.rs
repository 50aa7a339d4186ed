//! `users_sync`: what is joined to it, what is settled in it, and how a listing
//! differs from it.

use std::time::SystemTime;

use sha2::{Digest, Sha256};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::connection::Parameters;
use super::{Store, StoreError};
use crate::profile::{Profile, UserId};
use crate::time::At;

/// What a statement made of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A row was made.
    Created,
    /// The row was changed.
    Updated,
    /// A tombstone was cleared.
    Revived,
    /// The row said this already.
    Unchanged,
    /// The row knows newer.
    Stale,
    /// Which of the two is newer can't be told: a read settles it.
    Tied,
}

/// How a listed user differs from their row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// There is no row.
    Created,
    /// There is none, and a row of what was listed could not be compared with
    /// later listings: a read makes it, as reads would mend it from then on.
    Unseen,
    /// The row is older.
    Updated,
    /// The row says that the user is deleted.
    Tombstone,
    /// Which of the two is newer can't be told.
    Doubtful,
}

/// How a row shows its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// By a profile.
    Living,
    /// Not yet: an application has named the id, and no profile has arrived.
    Placeholder,
    /// As deleted.
    Tombstone,
}

/// A look at a row.
#[derive(Debug, Clone)]
pub struct Look {
    /// Whom.
    pub id: UserId,
    /// Changes with every write of the row; `None`: there is none.
    pub token: Option<String>,
    /// Whether the row says that the user is deleted.
    pub deleted: bool,
}

/// A row that is not written though nothing refuses it, or hidden though it is there.
pub const DROPPED: &str = "the table drops this user's row without an error: see its BEFORE \
                           triggers (one that returns NULL), its rules and its policies";

impl Store {
    /// Of what is joined; versions are never stale.
    fn staleness(&self) -> f64 {
        if self.facts.versioned {
            return 0.0;
        }
        self.facts.staleness.as_secs_f64()
    }

    /// Joins profiles, each known since its `at`; none of a user twice.
    pub async fn join(
        &self,
        profiles: &[(&Profile, At)],
        delivered: bool,
    ) -> Result<Vec<(UserId, Outcome)>, StoreError> {
        let mut sorted: Vec<&(&Profile, At)> = profiles.iter().collect();
        sorted.sort_by_key(|(profile, _)| &profile.id);
        let column = |read: fn(&Profile) -> Option<&str>| -> Vec<Option<&str>> {
            sorted.iter().map(|(profile, _)| read(profile)).collect()
        };
        let ids = column(|p| Some(p.id.as_str()));
        let raw = column(|p| Some(&p.raw_json));
        let names = column(|p| p.name.as_deref());
        let emails = column(|p| p.email.as_deref());
        let created: Vec<_> = sorted
            .iter()
            .map(|(p, _)| p.created_at.map(At::to_system))
            .collect();
        let ats: Vec<_> = sorted.iter().map(|(_, at)| at.to_system()).collect();
        let staleness = self.staleness();
        let rows = self
            .connection
            .all(
                sql!("join"),
                &[
                    (&ids, Type::TEXT_ARRAY),
                    (&raw, Type::TEXT_ARRAY),
                    (&names, Type::TEXT_ARRAY),
                    (&emails, Type::TEXT_ARRAY),
                    (&created, Type::TIMESTAMPTZ_ARRAY),
                    (&ats, Type::TIMESTAMPTZ_ARRAY),
                    (&staleness, Type::FLOAT8),
                    (&self.facts.ids_return, Type::BOOL),
                    (&delivered, Type::BOOL),
                    (&self.facts.name, Type::TEXT),
                    (&self.names(), Type::TEXT_ARRAY),
                ],
            )
            .await?;
        rows.iter()
            .map(|row| Ok((id(row.get(0))?, outcome(row.get(1))?)))
            .collect()
    }

    /// Joins a deletion.
    pub async fn gone(&self, id: &UserId, at: At) -> Result<Outcome, StoreError> {
        let staleness = self.staleness();
        let row = self
            .connection
            .one(
                sql!("gone"),
                &[
                    (&id.as_str(), Type::TEXT),
                    (&at.to_system(), Type::TIMESTAMPTZ),
                    (&staleness, Type::FLOAT8),
                    (&self.facts.ids_return, Type::BOOL),
                    (&self.facts.name, Type::TEXT),
                    (&self.names(), Type::TEXT_ARRAY),
                ],
            )
            .await?;
        outcome(row.get(0))
    }

    /// Looks at rows, before the provider is asked about their users.
    pub async fn look(&self, ids: &[UserId]) -> Result<(At, Vec<Look>), StoreError> {
        let asked: Vec<_> = ids.iter().map(UserId::as_str).collect();
        let rows = self
            .connection
            .all(sql!("look"), &[(&asked, Type::TEXT_ARRAY)])
            .await?;
        let now = match rows.first() {
            Some(row) => At::from_system(row.get(0)),
            None => self.now().await?,
        };
        let looks = rows.iter().map(|row| {
            Ok(Look {
                id: id(row.get(1))?,
                token: row.get(2),
                deleted: row.get(3),
            })
        });
        Ok((now, looks.collect::<Result<_, StoreError>>()?))
    }

    /// Takes in a profile that was read after `look`; `None` if the row has
    /// changed since. [`Outcome::Stale`]: the row has a newer version.
    pub async fn settle_present(
        &self,
        look: &Look,
        profile: &Profile,
        at: At,
        revive: bool,
        delivered: bool,
    ) -> Result<Option<Outcome>, StoreError> {
        let flags = (revive, delivered, false);
        self.settle(look, profile, at, flags).await
    }

    /// The same, of a row whose version is not the provider's own.
    pub async fn settle_edited(
        &self,
        look: &Look,
        profile: &Profile,
        at: At,
        revive: bool,
        delivered: bool,
    ) -> Result<Option<Outcome>, StoreError> {
        let flags = (revive, delivered, true);
        self.settle(look, profile, at, flags).await
    }

    async fn settle(
        &self,
        look: &Look,
        profile: &Profile,
        at: At,
        (revive, delivered, edited): (bool, bool, bool),
    ) -> Result<Option<Outcome>, StoreError> {
        let row = self
            .connection
            .one(
                sql!("settle_present"),
                &[
                    (&look.id.as_str(), Type::TEXT),
                    (&look.token, Type::TEXT),
                    (&profile.raw_json, Type::TEXT),
                    (&profile.name, Type::TEXT),
                    (&profile.email, Type::TEXT),
                    (&profile.created_at.map(At::to_system), Type::TIMESTAMPTZ),
                    (&at.to_system(), Type::TIMESTAMPTZ),
                    (&self.facts.versioned, Type::BOOL),
                    (&revive, Type::BOOL),
                    (&delivered, Type::BOOL),
                    (&self.facts.name, Type::TEXT),
                    (&self.names(), Type::TEXT_ARRAY),
                    (&edited, Type::BOOL),
                ],
            )
            .await?;
        match row.get(0) {
            "moved" if self.unmoved(std::slice::from_ref(look)).await?.is_empty() => Ok(None),
            "moved" => Err(StoreError::Unstorable(DROPPED.to_owned())),
            word => outcome(word).map(Some),
        }
    }

    /// The row's profile and its time, if it is as it was at the look and says
    /// when it was; the time has to be one that a clock can show.
    pub async fn kept(&self, look: &Look) -> Result<Option<(String, At)>, StoreError> {
        let parameters: Parameters<'_> =
            &[(&look.id.as_str(), Type::TEXT), (&look.token, Type::TEXT)];
        let rows = self.connection.all(sql!("kept"), parameters).await?;
        Ok(rows.first().and_then(|row| {
            let at: Option<SystemTime> = row.try_get(1).ok()?;
            Some((row.get(0), At::from_system(at?)))
        }))
    }

    /// Whose rows are as they were at these looks.
    pub async fn unmoved(&self, looks: &[Look]) -> Result<Vec<UserId>, StoreError> {
        let ids: Vec<_> = looks.iter().map(|look| look.id.clone()).collect();
        let (_, now) = self.look(&ids).await?;
        let stands = |now: &Look| {
            looks
                .iter()
                .any(|look| look.id == now.id && look.token == now.token)
        };
        Ok(now.into_iter().filter(stands).map(|look| look.id).collect())
    }

    /// Marks users as deleted whom the provider did not have when asked after
    /// the look at `looked_at`; `run` must hold the lease. Gives back whom:
    /// rows that changed since are left out.
    pub async fn settle_gone(
        &self,
        looks: &[Look],
        looked_at: At,
        run: Option<i64>,
    ) -> Result<Vec<UserId>, StoreError> {
        let (with_row, without): (Vec<_>, Vec<_>) =
            looks.iter().partition(|look| look.token.is_some());
        let mut written = Vec::new();
        // Two statements: see settle_gone.sql.
        for looks in [with_row, without] {
            if looks.is_empty() {
                continue;
            }
            let ids: Vec<_> = looks.iter().map(|look| look.id.as_str()).collect();
            let tokens: Vec<_> = looks.iter().map(|look| look.token.as_deref()).collect();
            let rows = self
                .connection
                .all(
                    sql!("settle_gone"),
                    &[
                        (&ids, Type::TEXT_ARRAY),
                        (&tokens, Type::TEXT_ARRAY),
                        (&looked_at.to_system(), Type::TIMESTAMPTZ),
                        (&run, Type::INT8),
                        (&self.facts.name, Type::TEXT),
                        (&self.names(), Type::TEXT_ARRAY),
                    ],
                )
                .await?;
            for row in &rows {
                written.push(id(row.get(0))?);
            }
        }
        Ok(written)
    }

    /// Which of these listed users differ from their rows, by their places in
    /// `profiles`; `seen`: a moment before the listing was asked for;
    /// `unloaded`: fields that the listing leaves open.
    pub async fn compare(
        &self,
        profiles: &[Profile],
        seen: At,
        unloaded: &[&str],
    ) -> Result<Vec<(usize, Difference)>, StoreError> {
        let ids: Vec<_> = profiles.iter().map(|p| p.id.as_str()).collect();
        let digests: Vec<_> = profiles
            .iter()
            .map(|p| p.printed(unloaded))
            .map(|printed| printed.map(|printed| Sha256::digest(printed).to_vec()))
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
                    (&digests, Type::BYTEA_ARRAY),
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

    /// Ids in order, after `last`, and how each user is shown. As text: a row
    /// that was put in by hand may hold anything.
    pub async fn ids(
        &self,
        last: Option<&str>,
        most: i64,
    ) -> Result<Vec<(String, Shown)>, StoreError> {
        let parameters: Parameters<'_> = &[(&last, Type::TEXT), (&most, Type::INT8)];
        let rows = self.connection.all(sql!("ids"), parameters).await?;
        let shown = |word: &str| match word {
            "living" => Shown::Living,
            "placeholder" => Shown::Placeholder,
            _ => Shown::Tombstone,
        };
        let ids = rows.iter().map(|row| (row.get(0), shown(row.get(1))));
        Ok(ids.collect())
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
