//! Personal data that is taken out again: places in the profile that are redacted, and
//! users who were deleted long ago.

use tokio_postgres::types::Type;

use super::binding::ProjectStore;
use super::connection::Parameters;
use super::error::StoreError;
use super::handle::Store;
use crate::pointer::Pointers;
use crate::profile::Profile;
use crate::time::At;

/// A row that holds what is not to be kept.
pub struct Unredacted {
    /// The user's id. As text: a row that was put in by hand may hold anything.
    pub id: String,
    /// The row's profile.
    pub raw_json: String,
    token: String,
}

/// A row as it is to be.
pub struct Redacted<'a> {
    /// The row as it was read.
    pub row: &'a Unredacted,
    /// Its profile without what is named.
    pub raw_json: String,
    /// The same with its columns, if it is a profile.
    pub profile: Option<Profile>,
}

/// A rejection that may hold what is not to be kept.
pub struct Unread {
    /// Its id.
    pub id: i64,
    /// Whether it was delivered; else listed.
    pub delivered: bool,
    /// The body that was delivered or listed.
    pub body: Vec<u8>,
    token: String,
}

/// The outcome for a batch of users who were deleted long ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erased {
    /// How many were erased.
    pub erased: i32,
    /// How many the table did not let be erased.
    pub refused: i32,
}

impl ProjectStore {
    /// Rows after the id `last` that hold something at one of these places.
    pub async fn unredacted(
        &self,
        places: &Pointers,
        last: Option<&str>,
        most: i64,
    ) -> Result<Vec<Unredacted>, StoreError> {
        let places: Vec<String> = places.parts().map(array).collect();
        let parameters: Parameters<'_> = &[
            (&places, Type::TEXT_ARRAY),
            (&last, Type::TEXT),
            (&most, Type::INT8),
        ];
        let rows = self.connection.all(sql!("unredacted"), parameters).await?;
        let rows = rows.iter().map(|row| Unredacted {
            id: row.get(0),
            token: row.get(1),
            raw_json: row.get(2),
        });
        Ok(rows.collect())
    }

    /// Writes rows that have not changed since they were read; gives back the ids
    /// of those, and whether each is a tombstone.
    pub async fn redact(&self, rows: &[Redacted<'_>]) -> Result<Vec<(String, bool)>, StoreError> {
        let column = |read: fn(&Profile) -> Option<&str>| -> Vec<Option<&str>> {
            let profiles = rows.iter().map(|new| new.profile.as_ref());
            profiles.map(|profile| profile.and_then(read)).collect()
        };
        let ids: Vec<_> = rows.iter().map(|new| new.row.id.as_str()).collect();
        let tokens: Vec<_> = rows.iter().map(|new| new.row.token.as_str()).collect();
        let raw: Vec<_> = rows.iter().map(|new| new.raw_json.as_str()).collect();
        let readable: Vec<_> = rows.iter().map(|new| new.profile.is_some()).collect();
        let names = column(|p| p.name.as_deref());
        let emails = column(|p| p.email.as_deref());
        let created_at = |new: &Redacted<'_>| new.profile.as_ref()?.created_at.map(At::to_system);
        let created: Vec<_> = rows.iter().map(created_at).collect();
        let written = self
            .connection
            .all(
                sql!("redact"),
                &[
                    (&ids, Type::TEXT_ARRAY),
                    (&tokens, Type::TEXT_ARRAY),
                    (&raw, Type::TEXT_ARRAY),
                    (&readable, Type::BOOL_ARRAY),
                    (&names, Type::TEXT_ARRAY),
                    (&emails, Type::TEXT_ARRAY),
                    (&created, Type::TIMESTAMPTZ_ARRAY),
                    (&self.facts.name, Type::TEXT),
                    (&self.project.names, Type::TEXT_ARRAY),
                ],
            )
            .await?;
        Ok(written.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Rejections after the id `last` that were not looked through for the places
    /// of this name.
    pub async fn unredacted_rejections(
        &self,
        name: &str,
        last: i64,
        most: i64,
    ) -> Result<Vec<Unread>, StoreError> {
        let parameters: Parameters<'_> = &[
            (&name, Type::TEXT),
            (&last, Type::INT8),
            (&most, Type::INT8),
        ];
        let rows = self
            .connection
            .all(sql!("unredacted_rejections"), parameters)
            .await?;
        let rows = rows.iter().map(|row| Unread {
            id: row.get(0),
            token: row.get(1),
            delivered: row.get(2),
            body: row.get(3),
        });
        Ok(rows.collect())
    }

    /// Notes that rejections were looked through for the places of this name; with
    /// what is left of a body that had to change.
    pub async fn redact_rejections(
        &self,
        name: &str,
        rejections: &[(Unread, Option<Vec<u8>>)],
    ) -> Result<(), StoreError> {
        let ids: Vec<_> = rejections.iter().map(|(kept, _)| kept.id).collect();
        let tokens: Vec<_> = rejections.iter().map(|(kept, _)| &*kept.token).collect();
        let bodies: Vec<_> = rejections.iter().map(|(_, body)| body.as_deref()).collect();
        let parameters: Parameters<'_> = &[
            (&ids, Type::INT8_ARRAY),
            (&tokens, Type::TEXT_ARRAY),
            (&bodies, Type::BYTEA_ARRAY),
            (&name, Type::TEXT),
            (&self.facts.name, Type::TEXT),
            (&self.project.names, Type::TEXT_ARRAY),
        ];
        let noted = self.connection.all(sql!("redact_rejections"), parameters);
        noted.await.map(|_| ())
    }
}

impl Store {
    /// Erases a batch of users who were deleted more than so many days ago.
    pub async fn erase_older_than(&self, days: i32) -> Result<Erased, StoreError> {
        let parameters: Parameters<'_> = &[(&days, Type::INT4)];
        let row = self.connection.one(sql!("erase_older_than"), parameters);
        let row = row.await?;
        Ok(Erased {
            erased: row.get(0),
            refused: row.get(1),
        })
    }
}

/// Texts as PostgreSQL writes an array of them.
fn array(parts: &[String]) -> String {
    let quote = |part: &String| {
        let escaped = part.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{escaped}\"")
    };
    let parts: Vec<String> = parts.iter().map(quote).collect();
    format!("{{{}}}", parts.join(","))
}
