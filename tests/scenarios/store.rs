//! The store against a real PostgreSQL: every statement, alone and at once with others.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use shared::migrate::{Wanted, migrate};
use shared::profile::{Columns, Profile, UserId};
use shared::provider::Facts;
use shared::store::{
    Origin, Outcome, Patience, Project, ProjectStore, Schema, SettleOptions, Store, Target,
};
use shared::time::At;
use tests::database::Database;
use tests::postgres::Postgres;
use tokio_postgres::Client;

mod address;
mod bad;
mod books;
mod desk;
mod digest;
mod erase;
mod erase_old;
mod join;
mod lines;
mod placeholders;
mod planned;
mod settle;
mod strangers;
mod tables;
mod together;
mod unstorable;

const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(10),
    statement: Duration::from_secs(20),
};

/// A second, in microseconds.
const SECOND: i64 = 1_000_000;

/// How stale a hint's read may be, in microseconds.
const STALE: i64 = 1_200_000;

/// A moment long before the database's clock: 2025-06-15, in microseconds.
const THEN: i64 = 1_750_000_000_000_000;

fn facts(versioned: bool, ids_return: bool) -> Facts {
    Facts {
        name: "fake",
        project: Some("project-1".to_owned()),
        staleness: Duration::from_micros(STALE.unsigned_abs()),
        listing_staleness: Duration::from_micros(STALE.unsigned_abs()),
        versioned,
        ids_return,
        sends_again: true,
    }
}

/// As Stack Auth: a read's time, and a deletion is final.
fn hints() -> Facts {
    facts(false, false)
}

/// As Clerk: the provider's own versions, and a deletion is final.
fn versions() -> Facts {
    facts(true, false)
}

/// A provisioned database, a store in it, and a look into it from outside.
struct Bench {
    database: Database,
    store: ProjectStore,
    outside: Client,
}

impl Bench {
    async fn new(facts: Facts) -> Result<Self> {
        let database = Postgres::shared().await?.database().await?;
        let owner = Target::parse(database.owner_url(), "database_url")?;
        // The statements of the desk are tested here, too.
        let wanted = Wanted {
            console: true,
            ..Wanted::default()
        };
        migrate(&owner, None, &Schema::default(), wanted).await?;
        let store = store(database.owner_url(), &facts)?;
        store.bind().await?;
        let outside = database.connect().await?;
        Ok(Self {
            database,
            store,
            outside,
        })
    }

    /// One more store in the same schema.
    fn another(&self, facts: &Facts) -> Result<ProjectStore> {
        store(self.database.owner_url(), facts)
    }

    /// Whether the store, asked from now on, waits for a lock that somebody holds.
    async fn wait_for_a_lock(&self) -> Result<()> {
        let waits = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'";
        for _ in 0..1000 {
            let waiting: i64 = self.outside.query_one(waits, &[]).await?.get(0);
            if waiting > 0 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        anyhow::bail!("nothing waits for a lock")
    }

    async fn run(&self, sql: &str) -> Result<()> {
        Ok(self.outside.batch_execute(sql).await?)
    }

    /// The only column of a query's only row, as text.
    async fn ask(&self, sql: &str) -> Result<String> {
        let row = self.outside.query_one(sql, &[]).await?;
        Ok(row.get::<_, Option<String>>(0).unwrap_or_default())
    }

    async fn row(&self, id: &str) -> Result<Option<Row>> {
        let sql = "SELECT raw_json::text, name, email,
                (extract(epoch FROM created_at) * 1000000)::bigint,
                (extract(epoch FROM updated_at) * 1000000)::bigint,
                (extract(epoch FROM deleted_at) * 1000000)::bigint,
                xmin::text || ' ' || ctid::text
            FROM neon_identity.users_sync WHERE id = $1";
        let row = self.outside.query_opt(sql, &[&id]).await?;
        Ok(row.map(|row| Row {
            raw_json: row.get(0),
            name: row.get(1),
            email: row.get(2),
            created_at: row.get(3),
            updated_at: row.get(4),
            deleted_at: row.get(5),
            tuple: row.get(6),
        }))
    }

    async fn existing(&self, id: &str) -> Result<Row> {
        self.row(id).await?.context("find the row")
    }

    /// Joins one profile.
    async fn join(&self, profile: &Profile, at: i64, delivered: bool) -> Result<Outcome> {
        join(&self.store, profile, at, delivered).await
    }
}

async fn join(
    store: &ProjectStore,
    profile: &Profile,
    at: i64,
    delivered: bool,
) -> Result<Outcome> {
    let profiles = [(profile, At::from_micros(at))];
    let outcomes = store.join(&profiles, origin(delivered)).await?;
    ensure!(outcomes.len() == 1 && outcomes[0].0 == profile.id);
    Ok(outcomes[0].1)
}

fn store(url: &str, facts: &Facts) -> Result<ProjectStore> {
    store_with(url, facts, PATIENCE)
}

fn store_with(url: &str, facts: &Facts, patience: Patience) -> Result<ProjectStore> {
    let target = Target::parse(url, "database_url")?;
    let project = Project::of_secret(facts).context("name the project")?;
    Ok(Store::new(target, Schema::default(), facts, patience).of(project))
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

/// A row of `users_sync`; times in microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    raw_json: String,
    name: Option<String>,
    email: Option<String>,
    created_at: Option<i64>,
    updated_at: Option<i64>,
    deleted_at: Option<i64>,
    /// Its place and its writer: any write changes them.
    tuple: String,
}

impl Row {
    fn times(&self) -> (Option<i64>, Option<i64>) {
        (self.updated_at, self.deleted_at)
    }
}

fn user(id: &str) -> UserId {
    UserId::new(id).expect("an id")
}

/// The profile of a user with this name.
fn named(id: &str, name: &str) -> Profile {
    of_json(&format!(
        r#"{{"id":"{id}","name":"{name}","email":"{name}@example.com"}}"#
    ))
}

fn of_json(raw: &str) -> Profile {
    Profile::from_json(raw, |fields| Columns {
        id: fields.string("id"),
        name: fields.string("name"),
        email: fields.string("email"),
        created_at: fields.millis("created"),
        version: None,
    })
    .expect("a profile")
}

/// The same as of a provider with versions.
fn versioned(profile: &Profile, version: i64) -> Profile {
    Profile {
        version: Some(At::from_micros(version)),
        ..profile.clone()
    }
}
