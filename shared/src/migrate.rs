//! The schema: numbered migrations, each with a check of its effect, and the
//! roles.
//!
//! Invariants: a migration that has landed is never edited; each runs in one
//! transaction under a lock, so that two at once do what one would. Where a table
//! is taken over, all run in one.

mod adopt;
mod indexes;

use std::borrow::Cow;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Transaction};

use crate::store::{PLANNED, Planned, Schema, StoreError, Target};

/// The database was just woken.
const TO_CONNECT: Duration = Duration::from_secs(20);

struct Migration {
    version: i32,
    name: &'static str,
    sql: &'static str,
    check: &'static str,
}

macro_rules! migration {
    ($version:literal, $name:literal) => {
        Migration {
            version: $version,
            name: $name,
            sql: include_str!(concat!("migrations/", $name, ".sql")),
            check: include_str!(concat!("checks/", $name, ".sql")),
        }
    };
}

const MIGRATIONS: &[Migration] = &[
    migration!(1, "0001_users_sync"),
    migration!(2, "0002_event_cursor"),
    migration!(3, "0003_erase_user"),
    migration!(4, "0004_project_names"),
    migration!(5, "0005_walk_in_parts"),
    migration!(6, "0006_strangers"),
    migration!(7, "0007_console"),
    migration!(8, "0008_records"),
    migration!(9, "0009_privacy"),
    migration!(10, "0010_desk"),
];

/// The choices of a call of [`migrate`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    /// Whether to take over a table `users_sync` that stands in it.
    pub adopt: bool,
    /// Whether there is a `console`, which finds users by indexes of its own.
    pub console: bool,
}

/// The answer of `provision`.
#[derive(Debug, serde::Serialize)]
pub struct Provisioned {
    /// The schema's name.
    pub schema: String,
    /// The newest migration that is in place.
    pub version: i32,
    /// Migrations that ran now.
    pub applied: Vec<String>,
    /// Things that were left undone, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Why the schema is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// Postgres.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The owner's user has no right to do this.
    #[error(
        "migration {0}: the user of admin_database_url (or database_url) has no right to make or \
         change the schema in this database: name the schema's owner there"
    )]
    NotOwner(&'static str),
    /// The name is taken by something that was not made here.
    #[error(
        "migration {0}: the schema holds a table or a function, under a name that is needed, that \
         provision did not make: rename it, or set another SCHEMA"
    )]
    Taken(&'static str),
    /// The schema holds a table `users_sync`, and nobody said to take it over.
    #[error(
        "the schema holds a users_sync that provision did not make: if it is the one that Neon \
         made, have provision take it over, with {{\"adopt\": true}} or the template's parameter \
         Adopt (docs/moving-from-neon.md); otherwise rename it, or set another SCHEMA"
    )]
    NotAdopted,
    /// Neon did not make this table, or it was changed since.
    #[error(
        "the schema's users_sync can't be taken over, and was left as it is: {0}. Set that right \
         (docs/moving-from-neon.md says how Neon makes the table), or rename it, or set another \
         SCHEMA"
    )]
    NotNeons(String),
    /// Somebody holds the table that is to be taken over.
    #[error(
        "the schema's users_sync was not taken over, because a transaction has been using it for \
         10 seconds: end it (pg_stat_activity shows it), and run provision again"
    )]
    InUse,
    /// A migration ran and did not do what it should, or was undone.
    #[error("migration {name} is not in place: {problem}")]
    Broken {
        /// Which.
        name: &'static str,
        /// As the check says.
        problem: String,
    },
    /// The functions' user can't get in.
    #[error("with database_url: {0}")]
    Writer(StoreError),
    /// The functions' user gets in somewhere else.
    #[error(
        "database_url leads to another database than admin_database_url: correct its host or the \
         database's name in the secret (a read-only replica is another one, too)"
    )]
    Elsewhere,
}

/// The user that the server takes the functions' login for.
pub async fn login(writer: &Target) -> Result<String, MigrateError> {
    let client = open(writer).await.map_err(MigrateError::Writer)?;
    let rows = client
        .query_typed(include_str!("migrate/current_user.sql"), &[])
        .await
        .map_err(|error| MigrateError::Writer(StoreError::of(&error)))?;
    let user = rows.first().map(|row| row.get(0));
    user.ok_or(MigrateError::Writer(StoreError::Garbled))
}

/// Whether [`migrate`] would take a table over.
pub async fn is_to_adopt(owner: &Target, schema: &Schema) -> Result<bool, MigrateError> {
    let mut client = open(owner).await?;
    let transaction = begin(&mut client, schema).await?;
    adopt::is_due(&transaction, schema).await
}

/// Brings the schema up to date, and grants `writer` what it needs.
pub async fn migrate(
    owner: &Target,
    writer: Option<&str>,
    schema: &Schema,
    wanted: Wanted,
) -> Result<Provisioned, MigrateError> {
    let mut client = open(owner).await?;
    let mut applied = Vec::new();
    let mut warnings = Vec::new();
    let found = version(&mut client, schema).await?;
    if found > newest_known() {
        warnings.push(format!(
            "the schema is at version {found}, and this release knows {}: it was left as it is, \
             since migrations only add",
            newest_known()
        ));
    } else {
        if wanted.adopt {
            applied = take_over(&mut client, schema).await?;
        }
        for migration in MIGRATIONS {
            let transaction = begin(&mut client, schema).await?;
            if apply(&transaction, schema, migration, false).await? {
                applied.push(migration.name.to_owned());
            }
            transaction.commit().await.map_err(|e| StoreError::of(&e))?;
        }
        warnings.extend(indexes::serve_console(&mut client, schema, wanted.console).await?);
    }
    warnings.extend(grant(&mut client, writer, schema).await?);
    Ok(Provisioned {
        schema: schema.name().to_owned(),
        version: found.max(newest_known()),
        applied,
        warnings,
    })
}

/// Tries the statements of webhook and reconcile as their user, and undoes them;
/// gives the rights that this user lacks.
pub async fn try_writer(
    owner: &Target,
    writer: &Target,
    schema: &Schema,
) -> Result<Vec<String>, MigrateError> {
    let (mut marking, mut client) = (
        open(owner).await?,
        open(writer).await.map_err(MigrateError::Writer)?,
    );
    let refused = |error: tokio_postgres::Error| MigrateError::Writer(StoreError::of(&error));
    let mark: i64 = fastrand::i64(..);
    let marked = begin(&mut marking, schema).await?;
    marked
        .query_typed(
            include_str!("migrate/mark_database.sql"),
            &[(&mark, Type::INT8)],
        )
        .await
        .map_err(|error| StoreError::of(&error))?;
    let trying = client.transaction().await.map_err(refused)?;
    trying.batch_execute(SEARCH_PATH).await.map_err(refused)?;
    let elsewhere = trying
        .query_typed(
            include_str!("migrate/is_elsewhere.sql"),
            &[(&mark, Type::INT8)],
        )
        .await
        .map_err(refused)?;
    if elsewhere.first().is_some_and(|row| row.get(0)) {
        return Err(MigrateError::Elsewhere);
    }
    let missing = trying
        .query_typed(&schema.of(include_str!("migrate/missing_rights.sql")), &[])
        .await;
    let missing = match missing {
        // Not even the schema may be looked into.
        Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            return Ok(vec![format!("USAGE on schema {}", schema.name())]);
        }
        missing => missing.map_err(refused)?,
    };
    if !missing.is_empty() {
        return Ok(missing.iter().map(|row| row.get(0)).collect());
    }
    trying
        .batch_execute(&schema.of(include_str!("migrate/try_write.sql")))
        .await
        .map_err(refused)?;
    // Gone with the transaction.
    Ok(Vec::new())
}

const SEARCH_PATH: &str = include_str!("migrate/set_search_path.sql");

async fn open(target: &Target) -> Result<Client, StoreError> {
    timeout(TO_CONNECT, target.open())
        .await
        .unwrap_or_else(|_| Err(StoreError::Unreachable("no connection in time".to_owned())))
}

async fn version(client: &mut Client, schema: &Schema) -> Result<i32, MigrateError> {
    let transaction = begin(client, schema).await?;
    let found = newest(&transaction, schema).await;
    found.map_err(|error| refine(&error, MIGRATIONS[0].name))
}

fn newest_known() -> i32 {
    MIGRATIONS.iter().map(|m| m.version).max().unwrap_or(0)
}

/// One at a time, in any session, and gone with the transaction.
async fn begin<'c>(client: &'c mut Client, schema: &Schema) -> Result<Transaction<'c>, StoreError> {
    let transaction = client.transaction().await.map_err(|e| StoreError::of(&e))?;
    transaction
        .batch_execute(SEARCH_PATH)
        .await
        .map_err(|e| StoreError::of(&e))?;
    transaction
        .query_typed(
            include_str!("migrate/lock_schema.sql"),
            &[(&schema.name(), Type::TEXT)],
        )
        .await
        .map_err(|e| StoreError::of(&e))?;
    Ok(transaction)
}

/// Takes over the table that stands in the schema and runs all migrations, or
/// none: until the last has run, the table is as it was. Nothing where there is no
/// table, or it is ours already.
async fn take_over(client: &mut Client, schema: &Schema) -> Result<Vec<String>, MigrateError> {
    let transaction = begin(client, schema).await?;
    let mut applied = Vec::new();
    if adopt::is_due(&transaction, schema).await? {
        adopt::take_over(&transaction, schema).await?;
        for migration in MIGRATIONS {
            apply(&transaction, schema, migration, true).await?;
            applied.push(migration.name.to_owned());
        }
        tracing::info!(schema = schema.name(), "users_sync was taken over");
    }
    transaction.commit().await.map_err(|e| StoreError::of(&e))?;
    Ok(applied)
}

/// Runs a migration that is due; whether it was. `adopted`: the table stands.
async fn apply(
    transaction: &Transaction<'_>,
    schema: &Schema,
    migration: &Migration,
    adopted: bool,
) -> Result<bool, MigrateError> {
    let store = |error| refine(&error, migration.name);
    let newest = newest(transaction, schema).await.map_err(store)?;
    let due = newest < migration.version;
    if due {
        let sql = match adopted {
            true => Cow::Owned(adopt::without_the_table(migration.sql)),
            false if adopt::is_due(transaction, schema).await? => {
                return Err(MigrateError::NotAdopted);
            }
            false => Cow::Borrowed(migration.sql),
        };
        transaction
            .batch_execute(&schema.of(include_str!("migrate/let_change.sql")))
            .await
            .map_err(store)?;
        transaction
            .batch_execute(&schema.of(&sql))
            .await
            .map_err(store)?;
        transaction
            .query_typed(
                &schema.of(include_str!("migrate/note_migration.sql")),
                &[
                    (&migration.version, Type::INT4),
                    (&migration.name, Type::TEXT),
                ],
            )
            .await
            .map_err(store)?;
    }
    check(transaction, schema, migration).await?;
    Ok(due)
}

async fn check(
    transaction: &Transaction<'_>,
    schema: &Schema,
    migration: &Migration,
) -> Result<(), MigrateError> {
    let problems = transaction
        .query_typed(&schema.of(migration.check), &[])
        .await
        .map_err(|error| match error.code() {
            // The check itself asks them.
            Some(&SqlState::UNDEFINED_TABLE) => MigrateError::Broken {
                name: migration.name,
                problem: "a table of it is missing".to_owned(),
            },
            _ => refine(&error, migration.name),
        })?;
    match problems.first() {
        None => Ok(()),
        Some(row) => Err(MigrateError::Broken {
            name: migration.name,
            problem: row.get(0),
        }),
    }
}

fn refine(error: &tokio_postgres::Error, name: &'static str) -> MigrateError {
    match error.code() {
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => MigrateError::NotOwner(name),
        // The last two: of a table "migrations" that another tool made.
        Some(
            &SqlState::DUPLICATE_TABLE
            | &SqlState::DUPLICATE_FUNCTION
            | &SqlState::UNDEFINED_COLUMN
            | &SqlState::DATATYPE_MISMATCH,
        ) => MigrateError::Taken(name),
        _ => StoreError::of(error).into(),
    }
}

/// 0 before the first migration made the table to ask.
async fn newest(
    transaction: &Transaction<'_>,
    schema: &Schema,
) -> Result<i32, tokio_postgres::Error> {
    let there = schema.of(include_str!("migrate/is_provisioned.sql"));
    let there = transaction.query_typed(&there, &[]).await?;
    if !there.first().is_some_and(|row| row.get(0)) {
        return Ok(0);
    }
    let newest = schema.of(include_str!("migrate/newest_migration.sql"));
    let newest = transaction.query_typed(&newest, &[]).await?;
    Ok(newest.first().map_or(0, |row| row.get(0)))
}

/// Makes the roles and grants them, as far as the owner may; says what it may
/// not. Roles belong to the whole server, so another database's provision may
/// be at the same ones.
async fn grant(
    client: &mut Client,
    writer: Option<&str>,
    schema: &Schema,
) -> Result<Vec<String>, StoreError> {
    let membership = |login: &str| {
        let login = format!("\"{}\"", login.replace('"', "\"\""));
        let sql = schema.of(include_str!("migrate/grant_writer.sql"));
        sql.replace("writer_login;", &format!("{login};"))
    };
    let name = schema.name();
    let keep_plans = PLANNED.map(Planned::keep);
    let steps = [
        (
            schema.of(include_str!("migrate/create_roles.sql")),
            format!(
                "the owner has no right to create roles: make {name}_writer, {name}_reader and \
                 {name}_operator by hand"
            ),
        ),
        (
            schema.of(include_str!("migrate/grant_roles.sql")),
            format!("{name}_writer, {name}_reader and {name}_operator were granted nothing"),
        ),
        (
            schema.of(include_str!("migrate/let_pass.sql")),
            format!(
                "{name}_writer has no policies: where the application switches on row-level \
                 security, the sync writes nothing"
            ),
        ),
        (
            schema.of(&keep_plans.concat()).into_owned().into(),
            "the owner may make no functions here in PL/pgSQL, so Postgres plans every delivery's \
             statement anew"
                .to_owned(),
        ),
    ];
    let mut warnings = Vec::new();
    for (sql, warning) in steps {
        if !may(client, schema, &sql).await? {
            warnings.push(warning);
        }
    }
    if let Some(login) = writer
        && !is_writer(client, schema, login).await?
        && !may(client, schema, &membership(login)).await?
    {
        warnings.push(format!(
            "{name}_writer was not granted to the user of database_url: grant it by hand"
        ));
    }
    Ok(warnings)
}

/// Whether there is nothing to grant: somebody did, or it is the role itself.
async fn is_writer(client: &mut Client, schema: &Schema, login: &str) -> Result<bool, StoreError> {
    let transaction = begin(client, schema).await?;
    let sql = schema.of(include_str!("migrate/is_writer.sql"));
    let rows = transaction.query_typed(&sql, &[(&login, Type::TEXT)]).await;
    let rows = rows.map_err(|e| StoreError::of(&e))?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

/// Runs a statement about roles; false if the owner has no right to.
async fn may(client: &mut Client, schema: &Schema, sql: &str) -> Result<bool, StoreError> {
    for _ in 0..20 {
        let transaction = begin(client, schema).await?;
        let Err(error) = transaction.batch_execute(sql).await else {
            transaction.commit().await.map_err(|e| StoreError::of(&e))?;
            return Ok(true);
        };
        drop(transaction);
        match error.code() {
            // Without the role there is nothing to grant.
            Some(&SqlState::INSUFFICIENT_PRIVILEGE | &SqlState::UNDEFINED_OBJECT) => {
                return Ok(false);
            }
            // Another database's provision was quicker; XX000 is "tuple concurrently updated".
            Some(
                &SqlState::DUPLICATE_OBJECT
                | &SqlState::UNIQUE_VIOLATION
                | &SqlState::INTERNAL_ERROR,
            ) => sleep(Duration::from_millis(10 + fastrand::u64(..40))).await,
            _ => return Err(StoreError::of(&error)),
        }
    }
    Err(StoreError::Collided)
}
