//! The schema: numbered migrations, each with a check of its effect, and the
//! roles.
//!
//! Invariants: a migration that has landed is never edited; each runs in one
//! transaction under a lock, so that two at once do what one would.

use std::time::Duration;

use tokio::time::sleep;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Transaction};

use crate::store::{Schema, StoreError, Target};

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

const MIGRATIONS: &[Migration] = &[migration!(1, "0001_users_sync")];

/// What `provision` answers.
#[derive(Debug, serde::Serialize)]
pub struct Provisioned {
    /// The schema's name.
    pub schema: String,
    /// The newest migration that is in place.
    pub version: i32,
    /// Migrations that ran now.
    pub applied: Vec<String>,
    /// What was left undone for want of rights.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Why the schema is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// Postgres.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The owner's user may not do this.
    #[error(
        "migration {0}: the user of admin_database_url (or database_url) may not create a schema \
         in this database: name its owner there"
    )]
    NotOwner(&'static str),
    /// The name is taken by something that was not made here.
    #[error(
        "migration {0}: the schema holds something of that name that provision did not make: \
         rename it, or set another SCHEMA"
    )]
    Taken(&'static str),
    /// A migration ran and did not do what it should, or was undone.
    #[error("migration {name} is not in place: {problem}")]
    Broken {
        /// Which.
        name: &'static str,
        /// As the check says.
        problem: String,
    },
    /// The database was provisioned by a newer release.
    #[error("the schema is at version {0}, which this release does not know: deploy a newer one")]
    Newer(i32),
}

/// Brings the schema up to date, and grants `writer` what it needs.
pub async fn migrate(
    owner: &Target,
    writer: Option<&str>,
    schema: &Schema,
) -> Result<Provisioned, MigrateError> {
    let mut client = owner.open().await?;
    let mut applied = Vec::new();
    for migration in MIGRATIONS {
        if apply(&mut client, schema, migration).await? {
            applied.push(migration.name.to_owned());
        }
    }
    let version = MIGRATIONS.iter().map(|m| m.version).max().unwrap_or(0);
    let found = newest(&begin(&mut client, schema).await?, schema).await?;
    if found > version {
        return Err(MigrateError::Newer(found));
    }
    let warnings = grant(&mut client, writer, schema).await?;
    Ok(Provisioned {
        schema: schema.name().to_owned(),
        version,
        applied,
        warnings,
    })
}

/// One at a time, in any session, and gone with the transaction.
async fn begin<'c>(client: &'c mut Client, schema: &Schema) -> Result<Transaction<'c>, StoreError> {
    let transaction = client.transaction().await.map_err(|e| StoreError::of(&e))?;
    transaction
        .query_typed(
            include_str!("migrate/lock_schema.sql"),
            &[(&schema.name(), Type::TEXT)],
        )
        .await
        .map_err(|e| StoreError::of(&e))?;
    Ok(transaction)
}

async fn apply(
    client: &mut Client,
    schema: &Schema,
    migration: &Migration,
) -> Result<bool, MigrateError> {
    let transaction = begin(client, schema).await?;
    let known = newest(&transaction, schema).await?;
    let due = known < migration.version;
    if due {
        let store = |error| refine(&error, migration.name);
        transaction
            .batch_execute(&schema.of(migration.sql))
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
    check(&transaction, schema, migration).await?;
    transaction.commit().await.map_err(|e| StoreError::of(&e))?;
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
        .map_err(|e| StoreError::of(&e))?;
    match problems.first() {
        None => Ok(()),
        Some(row) => Err(MigrateError::Broken {
            name: migration.name,
            problem: row.get(0),
        }),
    }
}

fn refine(error: &tokio_postgres::Error, name: &'static str) -> MigrateError {
    use tokio_postgres::error::SqlState;
    match error.code() {
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => MigrateError::NotOwner(name),
        Some(&SqlState::DUPLICATE_TABLE | &SqlState::DUPLICATE_FUNCTION) => {
            MigrateError::Taken(name)
        }
        _ => StoreError::of(error).into(),
    }
}

/// 0 before the first migration made the table to ask.
async fn newest(transaction: &Transaction<'_>, schema: &Schema) -> Result<i32, StoreError> {
    let there: bool = one(
        transaction,
        &schema.of(include_str!("migrate/is_provisioned.sql")),
    )
    .await?;
    if !there {
        return Ok(0);
    }
    one(
        transaction,
        &schema.of(include_str!("migrate/newest_migration.sql")),
    )
    .await
}

async fn one<T>(transaction: &Transaction<'_>, sql: &str) -> Result<T, StoreError>
where
    T: for<'a> tokio_postgres::types::FromSql<'a>,
{
    let rows = transaction
        .query_typed(sql, &[])
        .await
        .map_err(|e| StoreError::of(&e))?;
    rows.first()
        .map(|row| row.get(0))
        .ok_or(StoreError::Garbled)
}

/// Makes the roles and grants them, as far as the owner may; says what it may
/// not. Roles belong to the whole server, so another database's provision may
/// be at the same ones.
async fn grant(
    client: &mut Client,
    writer: Option<&str>,
    schema: &Schema,
) -> Result<Vec<String>, StoreError> {
    let membership = writer.map(|login| {
        let login = format!("\"{}\"", login.replace('"', "\"\""));
        let sql = schema.of(include_str!("migrate/grant_writer.sql"));
        sql.replace("writer_login;", &format!("{login};"))
    });
    let name = schema.name();
    let steps = [
        (
            Some(
                schema
                    .of(include_str!("migrate/create_roles.sql"))
                    .into_owned(),
            ),
            format!("the owner may not create roles: make {name}_writer and {name}_reader by hand"),
        ),
        (
            Some(
                schema
                    .of(include_str!("migrate/grant_roles.sql"))
                    .into_owned(),
            ),
            format!("{name}_writer and {name}_reader were granted nothing"),
        ),
        (
            membership,
            format!("{name}_writer was not granted to the user of database_url"),
        ),
    ];
    let mut warnings = Vec::new();
    for (sql, warning) in steps {
        let Some(sql) = sql else { continue };
        if !may(client, schema, &sql).await? {
            warnings.push(warning);
        }
    }
    Ok(warnings)
}

/// Runs a statement about roles; false where the owner may not.
async fn may(client: &mut Client, schema: &Schema, sql: &str) -> Result<bool, StoreError> {
    use tokio_postgres::error::SqlState;
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
