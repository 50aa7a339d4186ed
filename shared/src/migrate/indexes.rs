//! The indexes by which `console` finds users. Without a `console` nobody reads them, and
//! a first run would take a third longer for them.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::begin;
use crate::store::{Schema, StoreError};

/// How many there are.
const ALL: i64 = 5;

/// Makes the indexes, or drops them where there is no `console`. If that can't be done
/// now, it says so: neither is needed for the sync.
pub(super) async fn serve_console(
    client: &mut Client,
    schema: &Schema,
    has_console: bool,
) -> Result<Option<String>, StoreError> {
    let refused = |error: tokio_postgres::Error| StoreError::of(&error);
    let transaction = begin(client, schema).await?;
    let count = schema.of(include_str!("../migrate/count_console_indexes.sql"));
    let rows = transaction
        .query_typed(&count, &[])
        .await
        .map_err(refused)?;
    let count: i64 = rows.first().map_or(0, |row| row.get(0));
    let (sql, warning) = match has_console {
        true if count < ALL => (
            include_str!("../migrate/make_console_indexes.sql"),
            "console's indexes were not made",
        ),
        false if count > 0 => (
            include_str!("../migrate/drop_console_indexes.sql"),
            "console's indexes were not dropped, although the secret has no console_token",
        ),
        _ => return Ok(None),
    };
    let why = match transaction.batch_execute(&schema.of(sql)).await {
        Ok(()) => {
            transaction.commit().await.map_err(refused)?;
            return Ok(None);
        }
        Err(error) => match error.code() {
            Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                "another transaction uses users_sync: run provision again"
            }
            Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                "users_sync is another user's: run provision as its owner"
            }
            _ => return Err(refused(error)),
        },
    };
    Ok(Some(format!("{warning}, because {why}")))
}
