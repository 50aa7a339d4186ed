//! The only SQL that the functions run, one statement a file.
//!
//! Invariants: every statement is complete in itself (no transaction, no
//! session state, no named prepared statement), so that it works behind
//! PgBouncer in transaction mode; and every one can be sent twice, so that a
//! lost connection is answered by sending it again.

mod connect;
mod error;
mod refusal;
mod schema;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as Lock, PoisonError, RwLock, RwLockWriteGuard};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use connect::Way;
pub use connect::{Target, conninfo};
pub use error::StoreError;
pub use schema::Schema;

use crate::profile::{Profile, UserId};

use crate::provider::Facts;
use crate::signature::fingerprint;
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

/// A run's figures, as `reconcile` answers them and `runs` keeps them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Figures {
    /// Users that the provider showed.
    pub listed: i64,
    /// Rows made.
    pub created: i64,
    /// Rows changed.
    pub updated: i64,
    /// Rows that were right.
    pub unchanged: i64,
    /// Users tombstoned.
    pub deleted: i64,
    /// Tombstones cleared.
    pub revived: i64,
    /// Users that could not be stored.
    pub rejected: i64,
    /// Users that are missing at the provider and were not tombstoned.
    pub held: i64,
    /// Pages read.
    pub pages: i64,
    /// How long it took.
    pub duration_ms: i64,
}

/// A walk's place between two invocations.
#[derive(Debug, Default)]
pub struct Saved {
    /// The adapter's own words for where it was.
    pub position: Option<String>,
    /// Whom it has met.
    pub met: Option<Vec<u8>>,
    /// How many it has rejected.
    pub rejected: i64,
    /// How many of them had no id.
    pub nameless: i64,
}

/// What a run begins with.
#[derive(Debug)]
pub struct Lease {
    /// The database's clock.
    pub now: At,
    /// Where the walk goes on.
    pub saved: Saved,
    /// Fields in which listing and reads were seen to differ.
    pub unlisted: Vec<String>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Closing<'a> {
    /// As in the contract.
    pub outcome: &'a str,
    /// For the operator.
    pub error: Option<&'a str>,
    /// What it did.
    pub figures: Figures,
    /// Where the next one goes on; `None`: leave the walk as it was.
    pub walk: Option<Saved>,
    /// Fields in which listing and reads differ; `None`: nothing was learnt.
    pub unlisted: Option<&'a [String]>,
}

/// Who may not sync into this schema, and who does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this schema holds the users of {bound}, and the secret names {asked}: correct the secret, or, \
     to start over with the other project, use another SCHEMA, or delete the row in \
     \"connection\" and run provision{}", of_a_key(*known_by_key)
)]
pub struct Foreign {
    /// The provider and project that the schema is bound to.
    pub bound: String,
    /// The provider and project of the secret.
    pub asked: String,
    /// Whether one of the two is known by nothing but its key.
    pub known_by_key: bool,
}

fn of_a_key(known_by_key: bool) -> &'static str {
    match known_by_key {
        true => {
            ". \"key\" and a fingerprint is what a project goes by that the provider did not name \
             when it was asked: if the key was only rotated, bind the schema anew as above; if the \
             schema is bound to a name that is the key's, see that provider.api_url is right, and \
             run this again: the provider is then asked again"
        }
        false => "",
    }
}

/// How long to wait for what.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a database that doesn't answer, to come back.
    pub connect: Duration,
    /// For one statement.
    pub statement: Duration,
}

/// The schema in its database, as one provider project's functions see it.
pub struct Store {
    target: Target,
    schema: Schema,
    provider: &'static str,
    project: RwLock<Option<Known>>,
    facts: Facts,
    patience: Patience,
    deadline: Option<Instant>,
    live: Mutex<Option<Live>>,
    cancelling: Lock<Vec<JoinHandle<()>>>,
}

/// The connection, and when something came of it last.
struct Live {
    line: Arc<Line>,
    used: Instant,
}

/// A connection.
struct Line {
    client: Client,
    way: Way,
    /// A statement that nobody waits for is in the way of others.
    abandoned: AtomicBool,
}

impl Line {
    fn is_good(&self) -> bool {
        !self.client.is_closed() && !self.abandoned.load(Ordering::Relaxed)
    }
}

/// A statement that was sent; if nobody waits for its answer any more, it is
/// cancelled, and what comes next takes another connection.
struct Sent<'a> {
    store: &'a Store,
    line: &'a Line,
    answered: bool,
}

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.line.abandoned.store(true, Ordering::Relaxed);
            self.store.cancel(self.line);
        }
    }
}

/// What the name of a project begins with that is known by its key alone.
const A_KEY: &str = "key ";

/// A project, as far as it is known.
#[derive(Clone)]
struct Known {
    /// All its names, the best one first; the schema may be bound to any.
    names: Vec<String>,
    /// Whether the one name is its key's, for want of a better one.
    by_key: bool,
}

/// A row that is not written though nothing refuses it, or hidden though it is there.
pub const DROPPED: &str = "the table drops this user's row without an error: see its BEFORE \
                           triggers (one that returns NULL), its rules and its policies";

/// What even the last attempt is given.
const BRIEFLY: Duration = Duration::from_secs(1);

/// A connection that was not used for this long may be dead without a word:
/// its function was frozen, or a gateway between has forgotten it.
const IDLE: Duration = Duration::from_secs(5);

/// For the first answer after that; then the statement is sent again, on a new
/// connection.
const AFTER_IDLE: Duration = Duration::from_secs(2);

/// To tell a server that a statement is not waited for any more; senders of
/// deliveries wait for 3 seconds more then.
const TO_CANCEL: Duration = Duration::from_secs(2);

type Parameters<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];

macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!("store/", $name, ".sql"))
    };
}

impl Store {
    /// Doesn't connect yet.
    pub fn new(target: Target, schema: Schema, facts: &Facts, patience: Patience) -> Self {
        Self {
            target,
            schema,
            provider: facts.name,
            project: RwLock::new(facts.project.clone().map(|project| Known {
                names: vec![project],
                by_key: false,
            })),
            facts: facts.clone(),
            patience,
            deadline: None,
            live: Mutex::new(None),
            cancelling: Lock::default(),
        }
    }

    /// The same, with a connection of its own, so that it waits for nothing that
    /// is done here.
    #[must_use]
    pub fn beside(&self, patience: Patience) -> Self {
        Self {
            target: self.target.clone(),
            schema: self.schema.clone(),
            provider: self.provider,
            project: RwLock::new(self.known().clone()),
            facts: self.facts.clone(),
            patience,
            deadline: self.deadline,
            live: Mutex::new(None),
            cancelling: Lock::default(),
        }
    }

    /// Waits for nothing beyond this moment; a statement that comes later is
    /// tried once, and briefly.
    #[must_use]
    pub fn until(self, deadline: Instant) -> Self {
        Self {
            deadline: Some(deadline),
            ..self
        }
    }

    /// Connects, if it isn't.
    pub async fn connect(&self) -> Result<(), StoreError> {
        self.line(give_up(self.deadline, self.patience.connect))
            .await
            .map(|_| ())
    }

    /// Which of the provider's projects the key is for, once that is known.
    pub fn project(&self) -> Option<String> {
        self.names().into_iter().next()
    }

    /// Learns it: the name that the provider gave, if it gave one, else the
    /// key's fingerprint stands for it. A schema that is bound to the key is the
    /// project's in any case: it was bound when the provider gave no name.
    /// Before this, nothing is written: the schema is bound to another.
    pub fn name_project(&self, given: Option<String>, key: &[u8]) {
        let of_the_key = format!("{A_KEY}{}", &fingerprint(key)[..12]);
        *self.known() = Some(Known {
            by_key: given.is_none(),
            names: given.into_iter().chain([of_the_key]).collect(),
        });
    }

    /// Forgets the project if it is known by its key alone, so that the
    /// provider is asked again; whether it was.
    pub fn forget_key(&self) -> bool {
        let mut known = self.known();
        let by_key = known.as_ref().is_some_and(|known| known.by_key);
        if by_key {
            *known = None;
        }
        by_key
    }

    fn names(&self) -> Vec<String> {
        let known = self.project.read().unwrap_or_else(PoisonError::into_inner);
        known
            .as_ref()
            .map(|known| known.names.clone())
            .unwrap_or_default()
    }

    fn known(&self) -> RwLockWriteGuard<'_, Option<Known>> {
        self.project.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of what is joined; versions are never stale.
    fn staleness(&self) -> f64 {
        if self.facts.versioned {
            return 0.0;
        }
        self.facts.staleness.as_secs_f64()
    }

    /// The database's clock.
    pub async fn now(&self) -> Result<At, StoreError> {
        Ok(At::from_system(self.one(sql!("clock"), &[]).await?.get(0)))
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
                    (&self.provider, Type::TEXT),
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
            .one(
                sql!("gone"),
                &[
                    (&id.as_str(), Type::TEXT),
                    (&at.to_system(), Type::TIMESTAMPTZ),
                    (&staleness, Type::FLOAT8),
                    (&self.facts.ids_return, Type::BOOL),
                    (&self.provider, Type::TEXT),
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
                    (&self.provider, Type::TEXT),
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
        let rows = self.all(sql!("kept"), parameters).await?;
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
        let ids: Vec<_> = looks.iter().map(|look| look.id.as_str()).collect();
        let tokens: Vec<_> = looks.iter().map(|look| look.token.as_deref()).collect();
        let rows = self
            .all(
                sql!("settle_gone"),
                &[
                    (&ids, Type::TEXT_ARRAY),
                    (&tokens, Type::TEXT_ARRAY),
                    (&looked_at.to_system(), Type::TIMESTAMPTZ),
                    (&run, Type::INT8),
                    (&self.provider, Type::TEXT),
                    (&self.names(), Type::TEXT_ARRAY),
                ],
            )
            .await?;
        rows.iter().map(|row| id(row.get(0))).collect()
    }

    /// Keeps what was signed and could not be stored.
    pub async fn reject_delivery(
        &self,
        event_id: &str,
        reason: &str,
        body: &[u8],
        user: Option<&UserId>,
    ) -> Result<(), StoreError> {
        self.reject("delivery", event_id, reason, body, user).await
    }

    /// Keeps what was listed and could not be stored, in place of what was kept
    /// under this name before.
    pub async fn reject_listed(
        &self,
        name: &str,
        reason: &str,
        body: &[u8],
        user: Option<&UserId>,
    ) -> Result<(), StoreError> {
        self.reject("listing", name, reason, body, user).await
    }

    async fn reject(
        &self,
        source: &str,
        event_id: &str,
        reason: &str,
        body: &[u8],
        user: Option<&UserId>,
    ) -> Result<(), StoreError> {
        let row = self
            .one(
                sql!("reject"),
                &[
                    (&source, Type::TEXT),
                    (&event_id, Type::TEXT),
                    (&reason, Type::TEXT),
                    (&body, Type::BYTEA),
                    (&user.map(UserId::as_str), Type::TEXT),
                    (&self.provider, Type::TEXT),
                    (&self.names(), Type::TEXT_ARRAY),
                ],
            )
            .await?;
        outcome(row.get(0)).map(|_| ())
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
        Ok(self.one(sql!("live_count"), &[]).await?.get(0))
    }

    /// Ids in order, after `last`, and how each user is shown. As text: a row
    /// that was put in by hand may hold anything.
    pub async fn ids(
        &self,
        last: Option<&str>,
        most: i64,
    ) -> Result<Vec<(String, Shown)>, StoreError> {
        let parameters: Parameters<'_> = &[(&last, Type::TEXT), (&most, Type::INT8)];
        let rows = self.all(sql!("ids"), parameters).await?;
        let shown = |word: &str| match word {
            "living" => Shown::Living,
            "placeholder" => Shown::Placeholder,
            _ => Shown::Tombstone,
        };
        let ids = rows.iter().map(|row| (row.get(0), shown(row.get(1))));
        Ok(ids.collect())
    }

    /// Begins a run's row, or goes on with the one that it has; and whether the
    /// schema is this project's, as far as the project is known yet.
    pub async fn open_run(
        &self,
        dry_run: bool,
        opened: Option<i64>,
    ) -> Result<(i64, Result<(), StoreError>), StoreError> {
        let row = self
            .one(
                sql!("open_run"),
                &[(&dry_run, Type::BOOL), (&opened, Type::INT8)],
            )
            .await?;
        let bound = row
            .get::<_, Option<&str>>(1)
            .zip(row.get::<_, Option<&str>>(2));
        let permitted = match bound {
            None => Err(StoreError::NotProvisioned),
            Some((provider, _)) if provider == self.provider && self.names().is_empty() => Ok(()),
            Some((provider, project)) => self.permit(provider, project),
        };
        Ok((row.get(0), permitted))
    }

    /// Takes the lease and gives the time and where a walk goes on; `None`
    /// while another run holds it.
    pub async fn take_lease(
        &self,
        run: i64,
        lease: Duration,
        anew: bool,
    ) -> Result<Option<Lease>, StoreError> {
        let rows = self
            .all(
                sql!("take_lease"),
                &[
                    (&run, Type::INT8),
                    (&lease.as_secs_f64(), Type::FLOAT8),
                    (&anew, Type::BOOL),
                ],
            )
            .await?;
        Ok(rows.first().map(|row| Lease {
            now: At::from_system(row.get(0)),
            saved: Saved {
                position: row.get(1),
                met: row.get(2),
                rejected: row.get(3),
                nameless: row.get(4),
            },
            unlisted: row.get(5),
        }))
    }

    /// Keeps the lease, and gives the time; `None`: it is another run's.
    pub async fn renew_lease(&self, run: i64, lease: Duration) -> Result<Option<At>, StoreError> {
        let parameters: Parameters<'_> =
            &[(&run, Type::INT8), (&lease.as_secs_f64(), Type::FLOAT8)];
        let rows = self.all(sql!("renew_lease"), parameters).await?;
        Ok(rows.first().map(|row| At::from_system(row.get(0))))
    }

    /// Ends a run's row, and gives the lease back; false: another run has taken
    /// the lease meanwhile, and this one's row says so. `by`: until when there is
    /// time, past the store's own deadline: whom a walk of millions has met takes
    /// seconds to be sent.
    pub async fn close_run(
        &self,
        run: i64,
        closing: Closing<'_>,
        by: Instant,
    ) -> Result<bool, StoreError> {
        let f = closing.figures;
        let figures = vec![
            f.listed,
            f.created,
            f.updated,
            f.unchanged,
            f.deleted,
            f.revived,
            f.rejected,
            f.held,
            f.pages,
            f.duration_ms,
        ];
        let untouched = closing.walk.is_none();
        let saved = closing.walk.unwrap_or_default();
        let rows = self
            .all_by(
                Some(by),
                sql!("close_run"),
                &[
                    (&run, Type::INT8),
                    (&closing.outcome, Type::TEXT),
                    (&closing.error, Type::TEXT),
                    (&figures, Type::INT8_ARRAY),
                    (&saved.position, Type::TEXT),
                    (&saved.met, Type::BYTEA),
                    (&untouched, Type::BOOL),
                    (&saved.rejected, Type::INT8),
                    (&saved.nameless, Type::INT8),
                    (&closing.unlisted, Type::TEXT_ARRAY),
                ],
            )
            .await?;
        // No row: somebody has deleted it.
        Ok(rows
            .first()
            .is_none_or(|row| row.get::<_, &str>(0) == closing.outcome))
    }

    /// Up to which event the provider's record is drained; `None`: it never was.
    pub async fn event_cursor(&self) -> Result<Option<String>, StoreError> {
        Ok(self.one(sql!("event_cursor"), &[]).await?.get(0))
    }

    /// Notes it, or that it has to begin anew; false: `run` has lost the lease.
    pub async fn set_event_cursor(
        &self,
        run: i64,
        cursor: Option<&str>,
    ) -> Result<bool, StoreError> {
        let parameters: Parameters<'_> = &[(&run, Type::INT8), (&cursor, Type::TEXT)];
        let rows = self.all(sql!("set_event_cursor"), parameters).await?;
        Ok(!rows.is_empty())
    }

    /// Marks rejections as resolved whose users the walk of `run` took in.
    pub async fn resolve_rejections(&self, run: i64) -> Result<(), StoreError> {
        self.all(sql!("resolve_rejections"), &[(&run, Type::INT8)])
            .await
            .map(|_| ())
    }

    /// Whether the schema is this project's; else it is nobody's yet.
    pub async fn is_bound(&self) -> Result<bool, StoreError> {
        match self.all(sql!("bound"), &[]).await?.first() {
            Some(row) => self.permit(row.get(0), row.get(1)).map(|()| true),
            None => Ok(false),
        }
    }

    /// Binds the schema to the project unless it is bound to another.
    pub async fn bind(&self) -> Result<(), StoreError> {
        let parameters: Parameters<'_> = &[
            (&self.provider, Type::TEXT),
            (&self.names(), Type::TEXT_ARRAY),
        ];
        // A statement doesn't see what was committed while it waited; the next does.
        for _ in 0..3 {
            if let Some(row) = self.all(sql!("bind"), parameters).await?.first() {
                return self.permit(row.get(0), row.get(1));
            }
        }
        Err(StoreError::Garbled)
    }

    fn permit(&self, provider: &str, project: &str) -> Result<(), StoreError> {
        let names = self.names();
        if provider == self.provider && names.iter().any(|name| name == project) {
            return Ok(());
        }
        let asked = names.first().map_or("", String::as_str);
        Err(StoreError::Foreign(Foreign {
            bound: format!("{provider} project {project}"),
            asked: format!("{} project {asked}", self.provider),
            known_by_key: [project, asked].iter().any(|name| name.starts_with(A_KEY)),
        }))
    }

    async fn one(&self, sql: &str, parameters: Parameters<'_>) -> Result<Row, StoreError> {
        let mut rows = self.all(sql, parameters).await?;
        rows.pop().ok_or(StoreError::Garbled)
    }

    /// Sends a statement until it is answered, for as long as patience lasts.
    async fn all(&self, sql: &str, parameters: Parameters<'_>) -> Result<Vec<Row>, StoreError> {
        self.all_by(self.deadline, sql, parameters).await
    }

    /// The same, with a deadline of its own.
    async fn all_by(
        &self,
        deadline: Option<Instant>,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        let sql = self.schema.of(sql);
        let until = give_up(deadline, self.patience.connect);
        let mut read_only = false;
        loop {
            let (line, idle) = self.line(until).await?;
            let mut sent = Sent {
                store: self,
                line: &line,
                answered: false,
            };
            let answered = line.client.query_typed(&sql, parameters);
            let mut by = (Instant::now() + BRIEFLY).max(give_up(deadline, self.patience.statement));
            let doubtful = idle >= IDLE && Instant::now() + AFTER_IDLE < until;
            if doubtful {
                by = by.min(Instant::now() + AFTER_IDLE);
            }
            let answer = timeout_at(by, answered).await;
            sent.answered = answer.is_ok();
            drop(sent);
            let error = match answer {
                Ok(Ok(rows)) => {
                    self.used(&line).await;
                    return Ok(rows);
                }
                Ok(Err(error)) => StoreError::of(&error),
                Err(_) => StoreError::Unreachable("a statement took too long".to_owned()),
            };
            // After a fail-over the host's name leads to another server.
            let elsewhere = matches!(error, StoreError::ReadOnly) && !read_only;
            read_only |= elsewhere;
            let lost = elsewhere || error.passes();
            if lost {
                self.forget(&line).await;
            }
            if !(lost || matches!(error, StoreError::Collided)) || Instant::now() >= until {
                return Err(error);
            }
            sleep(Duration::from_millis(50 + fastrand::u64(..100))).await;
        }
    }

    /// Has the server end what nobody waits for any more; see [`Store::let_go`].
    fn cancel(&self, line: &Line) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        if line.client.is_closed() {
            return;
        }
        let (token, way) = (line.client.cancel_token(), line.way.clone());
        let target = self.target.clone();
        let cancelling = runtime.spawn(async move {
            let _ = timeout(TO_CANCEL, target.cancel(&token, &way)).await;
        });
        let mut all = self.cancelling();
        all.retain(|cancelling| !cancelling.is_finished());
        all.push(cancelling);
    }

    /// Waits until the server was told of all statements that nobody waits for
    /// any more, or can't be told. A function that has answered is frozen, and
    /// would tell it too late.
    pub async fn let_go(&self) {
        let all = std::mem::take(&mut *self.cancelling());
        for cancelling in all {
            let _ = cancelling.await;
        }
    }

    fn cancelling(&self) -> std::sync::MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.cancelling
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection, and for how long it was not used; a new one if there is
    /// none.
    async fn line(&self, until: Instant) -> Result<(Arc<Line>, Duration), StoreError> {
        let mut live = self.live.lock().await;
        if let Some(live) = live.as_ref().filter(|live| live.line.is_good()) {
            // What waits for another statement's end is not a sign of death.
            let busy = Arc::strong_count(&live.line) > 1;
            let idle = if busy {
                Duration::ZERO
            } else {
                live.used.elapsed()
            };
            return Ok((live.line.clone(), idle));
        }
        let mut pause = Duration::from_millis(100);
        loop {
            let opened =
                timeout_at((Instant::now() + BRIEFLY).max(until), self.target.reach()).await;
            let error = match opened {
                Ok(Ok((client, way))) => {
                    let line = Arc::new(Line {
                        client,
                        way,
                        abandoned: AtomicBool::new(false),
                    });
                    *live = Some(Live {
                        line: line.clone(),
                        used: Instant::now(),
                    });
                    return Ok((line, Duration::ZERO));
                }
                Ok(Err(error)) => error,
                Err(_) => StoreError::Unreachable("no connection in time".to_owned()),
            };
            if !error.passes() || Instant::now() + pause >= until {
                return Err(error);
            }
            sleep(pause + Duration::from_millis(fastrand::u64(..50))).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    async fn used(&self, line: &Arc<Line>) {
        if let Some(live) = self.live.lock().await.as_mut()
            && Arc::ptr_eq(&live.line, line)
        {
            live.used = Instant::now();
        }
    }

    async fn forget(&self, lost: &Arc<Line>) {
        let mut live = self.live.lock().await;
        if live
            .as_ref()
            .is_some_and(|live| Arc::ptr_eq(&live.line, lost))
        {
            *live = None;
        }
    }
}

/// When this much patience ends.
fn give_up(deadline: Option<Instant>, patience: Duration) -> Instant {
    let until = Instant::now() + patience;
    deadline.map_or(until, |deadline| until.min(deadline))
}

fn id(id: &str) -> Result<UserId, StoreError> {
    UserId::new(id).map_err(|_| StoreError::Garbled)
}

fn outcome(word: &str) -> Result<Outcome, StoreError> {
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
