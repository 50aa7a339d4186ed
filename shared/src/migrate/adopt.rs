//! Taking over a table `users_sync` that stands in the schema already, as Neon
//! made it.
//!
//! Invariants: a table that is refused is left as it was, and one that is taken
//! over keeps its identity, and with it all that refers to it.

use tokio_postgres::Transaction;
use tokio_postgres::error::SqlState;

use super::{MigrateError, newest, refine};
use crate::store::{Schema, StoreError};

/// The migration that makes the table where there is none.
const FIRST: &str = "0001_users_sync";

/// The parts of that migration that the table that was taken over has already.
const THERE_ALREADY: [(&str, &str); 2] = [
    (
        " TABLE neon_identity.users_sync (",
        " TABLE IF NOT EXISTS neon_identity.users_sync (",
    ),
    (
        " INDEX users_sync_deleted_at_idx",
        " INDEX IF NOT EXISTS users_sync_deleted_at_idx",
    ),
];

/// Whether the schema holds a `users_sync` and was never provisioned.
pub(super) async fn is_due(
    transaction: &Transaction<'_>,
    schema: &Schema,
) -> Result<bool, MigrateError> {
    let store = |error| refine(&error, FIRST);
    if newest(transaction, schema).await.map_err(store)? > 0 {
        return Ok(false);
    }
    let stands = schema.of(include_str!("../migrate/has_users_sync.sql"));
    let stands = transaction.query_typed(&stands, &[]).await.map_err(store)?;
    Ok(stands.first().is_some_and(|row| row.get(0)))
}

/// Makes the table one that the sync can write, if it is Neon's.
pub(super) async fn take_over(
    transaction: &Transaction<'_>,
    schema: &Schema,
) -> Result<(), MigrateError> {
    // Only what is right is locked, and what is locked stays right.
    compare(transaction, schema).await?;
    for sql in [
        include_str!("../migrate/lock_users_sync.sql"),
        include_str!("../migrate/adopt.sql"),
    ] {
        let done = transaction.batch_execute(&schema.of(sql)).await;
        done.map_err(|error| refused(&error))?;
        compare(transaction, schema).await?;
    }
    Ok(())
}

/// Refuses a table that Neon would not have made.
async fn compare(transaction: &Transaction<'_>, schema: &Schema) -> Result<(), MigrateError> {
    let sql = schema.of(include_str!("../migrate/adoption_refusals.sql"));
    let differences = transaction.query_typed(&sql, &[]).await;
    let differences = differences.map_err(|error| refused(&error))?;
    if differences.is_empty() {
        return Ok(());
    }
    let differences: Vec<String> = differences.iter().map(|row| row.get(0)).collect();
    Err(MigrateError::NotNeons(differences.join("; ")))
}

/// The first migration, for a schema whose table was taken over.
pub(super) fn without_the_table(sql: &str) -> String {
    let make = |sql: String, (new, kept): &(&str, &str)| sql.replace(new, kept);
    THERE_ALREADY.iter().fold(sql.to_owned(), make)
}

fn refused(error: &tokio_postgres::Error) -> MigrateError {
    let column = error.as_db_error().and_then(|db| db.column());
    match error.code() {
        Some(&SqlState::UNIQUE_VIOLATION) => MigrateError::NotNeons(
            "several rows have the same id, which is to become the primary key: leave one of each"
                .to_owned(),
        ),
        Some(&SqlState::NOT_NULL_VIOLATION) => MigrateError::NotNeons(format!(
            "rows have no {0}: fill it, or delete the rows in which {0} is NULL",
            column.unwrap_or("id")
        )),
        Some(&SqlState::LOCK_NOT_AVAILABLE) => MigrateError::InUse,
        Some(_) => refine(error, FIRST),
        None => StoreError::of(error).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_migration_leaves_a_table_and_its_index_that_are_there() {
        let sql = include_str!("../migrations/0001_users_sync.sql");
        for (new, kept) in THERE_ALREADY {
            assert_eq!(sql.matches(new).count(), 1, "{new}");
            assert_eq!(without_the_table(sql).matches(kept).count(), 1, "{kept}");
        }
    }
}
