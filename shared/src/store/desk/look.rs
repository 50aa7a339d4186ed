//! Looks for differences from the provider, in slices: how far the last one has
//! come, and whom it has found.

use std::time::SystemTime;

use tokio_postgres::types::Type;

use super::Desk;
use crate::store::connection::Parameters;
use crate::store::error::StoreError;
use crate::store::runs::Saved;
use crate::time::At;

/// The last look.
#[derive(Debug, Clone)]
pub struct Look {
    /// When it began.
    pub begun_at: At,
    /// When it ended; `None`: it is to go on.
    pub ended_at: Option<At>,
    /// Users that the provider has shown it.
    pub listed: i64,
    /// Users who differ, by the words that [`Desk::differences`] takes.
    pub found: [(&'static str, i64); 4],
}

impl Look {
    /// So many users of a kind are kept.
    pub const MOST: i64 = 2_500;

    /// How many users differ.
    pub fn all(&self) -> i64 {
        self.found.iter().map(|(_, count)| count).sum()
    }

    /// How many differ so.
    pub fn count(&self, change: &str) -> i64 {
        let mut found = self.found.iter();
        found
            .find(|(word, _)| *word == change)
            .map_or(0, |(_, count)| *count)
    }

    /// Whether there may be more than are kept.
    pub fn is_cut(&self) -> bool {
        self.found.iter().any(|(_, count)| *count >= Self::MOST)
    }
}

/// The result of a slice.
#[derive(Debug)]
pub struct Slice<'a> {
    /// Where the next one goes on; `None`: everybody was seen.
    pub left: Option<Saved>,
    /// Users that the provider has shown.
    pub listed: i64,
    /// Users who differ, and how.
    pub found: Vec<(&'a str, &'static str)>,
}

impl Desk {
    /// The last look, if there was one.
    pub async fn last_look(&self) -> Result<Option<Look>, StoreError> {
        let rows = self.connection.all(sql!("last_look"), &[]).await?;
        Ok(rows.first().map(|row| {
            let ended_at: Option<SystemTime> = row.get(1);
            Look {
                begun_at: At::from_system(row.get(0)),
                ended_at: ended_at.map(At::from_system),
                listed: row.get(2),
                found: [
                    ("create", row.get(3)),
                    ("update", row.get(4)),
                    ("delete", row.get(5)),
                    ("revive", row.get(6)),
                ],
            }
        }))
    }

    /// Where a look goes on that has not ended.
    pub async fn saved_look(&self) -> Result<Option<Saved>, StoreError> {
        let rows = self.connection.all(sql!("saved_look"), &[]).await?;
        Ok(rows.first().map(|row| Saved {
            position: row.get(0),
            met: row.get(1),
            rejected: row.get(2),
            nameless: row.get(3),
        }))
    }

    /// Begins a look, and forgets the last one.
    pub async fn begin_look(&self) -> Result<(), StoreError> {
        self.connection
            .all(sql!("begin_look"), &[])
            .await
            .map(|_| ())
    }

    /// Keeps what a slice has found.
    pub async fn keep_look(&self, slice: &Slice<'_>) -> Result<(), StoreError> {
        let nothing = Saved::default();
        let saved = slice.left.as_ref().unwrap_or(&nothing);
        let (ids, changes): (Vec<&str>, Vec<&str>) = slice.found.iter().copied().unzip();
        let parameters: Parameters<'_> = &[
            (&slice.left.is_none(), Type::BOOL),
            (&slice.listed, Type::INT8),
            (&saved.position, Type::TEXT),
            (&saved.met, Type::BYTEA),
            (&saved.rejected, Type::INT8),
            (&saved.nameless, Type::INT8),
            (&ids, Type::TEXT_ARRAY),
            (&changes, Type::TEXT_ARRAY),
            (&Look::MOST, Type::INT8),
        ];
        let kept = self.connection.all(sql!("keep_look"), parameters);
        kept.await.map(|_| ())
    }

    /// The ids of users who differ in one way, in order, after `after`.
    pub async fn differences(
        &self,
        change: &str,
        after: Option<&str>,
        most: i64,
    ) -> Result<Vec<String>, StoreError> {
        let parameters: Parameters<'_> = &[
            (&change, Type::TEXT),
            (&after, Type::TEXT),
            (&most, Type::INT8),
        ];
        let rows = self
            .connection
            .all(sql!("list_differences"), parameters)
            .await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Forgets differences that are none any more, since these users are marked as
    /// deleted.
    pub async fn settle_differences(&self, ids: &[&str]) -> Result<(), StoreError> {
        let parameters: Parameters<'_> = &[(&ids, Type::TEXT_ARRAY)];
        let settled = self.connection.all(sql!("settle_differences"), parameters);
        settled.await.map(|_| ())
    }
}
