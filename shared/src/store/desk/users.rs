//! Users, a page at a time, and one user with all that the table has of them.

use std::time::SystemTime;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::Desk;
use crate::store::connection::Parameters;
use crate::store::error::StoreError;
use crate::time::At;

/// Which users are asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Among {
    /// All rows.
    #[default]
    All,
    /// Those shown as living.
    Living,
    /// Tombstones.
    Deleted,
    /// Those that an application has named and no profile has arrived for.
    Placeholders,
    /// Those whom the last look has found to differ from the provider.
    Differing,
}

/// Where a page begins: after this row of the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// By what the row was found: 0 its name, 1 its e-mail, 2 its id.
    pub by: i32,
    /// The value that it was found by, as the index has it.
    pub key: String,
    /// The row's id.
    pub id: String,
}

/// The choice of users for a page.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// The prefix of name, e-mail or id; empty: everybody.
    pub text: String,
    /// Which of them.
    pub among: Among,
    /// Where the page begins.
    pub after: Option<Place>,
}

/// A user in a list.
#[derive(Debug, Clone)]
pub struct UserRow {
    /// Where the next page would go on after this row.
    pub place: Place,
    /// The name, at most its first 200 characters.
    pub name: Option<String>,
    /// The e-mail, at most its first 200 characters.
    pub email: Option<String>,
    /// The sign-up.
    pub created_at: Option<At>,
    /// The version; `None`: a placeholder.
    pub updated_at: Option<At>,
    /// When the provider deleted the user.
    pub deleted_at: Option<At>,
    /// How the last look found the user to differ, where that is asked for, by the
    /// words that [`Desk::differences`] takes. Some have no row.
    pub change: Option<String>,
}

/// A user, whole.
#[derive(Debug, Clone)]
pub struct Person {
    /// The database's clock.
    pub now: At,
    /// The row.
    pub id: String,
    /// The name.
    pub name: Option<String>,
    /// The e-mail.
    pub email: Option<String>,
    /// The sign-up.
    pub created_at: Option<At>,
    /// The version; `None`: a placeholder.
    pub updated_at: Option<At>,
    /// When the provider deleted the user.
    pub deleted_at: Option<At>,
    /// The profile, indented; at most [`Person::LONGEST`] characters.
    pub profile: String,
    /// How many characters the profile has.
    pub length: i64,
}

impl Person {
    /// How much of a profile is shown.
    pub const LONGEST: usize = 200_000;
}

/// A user who was asked for by the id.
#[derive(Debug, Clone)]
pub struct NamedUser {
    /// The id.
    pub id: String,
    /// The name, at most its first 200 characters.
    pub name: Option<String>,
    /// The e-mail, at most its first 200 characters.
    pub email: Option<String>,
    /// When anything was last heard of the user.
    pub heard_at: Option<At>,
}

impl Desk {
    /// Users by their ids, in no order; those alone who have a row.
    pub async fn named(&self, ids: &[&str]) -> Result<Vec<NamedUser>, StoreError> {
        let parameters: Parameters<'_> = &[(&ids, Type::TEXT_ARRAY)];
        let rows = self.connection.all(sql!("named"), parameters).await?;
        let rows = rows.iter().map(|row| NamedUser {
            id: row.get(0),
            name: row.get(1),
            email: row.get(2),
            heard_at: time(row, 3),
        });
        Ok(rows.collect())
    }

    /// A page of users.
    pub async fn users(&self, search: &Search, most: i64) -> Result<Vec<UserRow>, StoreError> {
        if search.among == Among::Differing {
            return self.differing(search, most).await;
        }
        if search.text.is_empty() {
            return self.listed(search, most).await;
        }
        let mut found = Vec::new();
        // As long as names fill the page, nothing else is looked at.
        for by in search.after.as_ref().map_or(0, |place| place.by)..=2 {
            let missing = most.saturating_sub(i64::try_from(found.len()).unwrap_or(most));
            if missing > 0 {
                found.extend(self.found(by, search, missing).await?);
            }
        }
        Ok(found)
    }

    /// Users who differ from the provider.
    async fn differing(&self, search: &Search, most: i64) -> Result<Vec<UserRow>, StoreError> {
        let id = search.after.as_ref().map(|place| place.id.as_str());
        let parameters: Parameters<'_> = &[
            (&search.text, Type::TEXT),
            (&id, Type::TEXT),
            (&most, Type::INT8),
        ];
        let rows = self.connection.all(sql!("find_differing"), parameters);
        let rows = rows.await?;
        let differing = rows.iter().map(|row| UserRow {
            change: row.get(8),
            ..user(row)
        });
        Ok(differing.collect())
    }

    /// Users in the order of their ids.
    async fn listed(&self, search: &Search, most: i64) -> Result<Vec<UserRow>, StoreError> {
        let among = word(search.among);
        let id = search.after.as_ref().map(|place| place.id.as_str());
        let parameters: Parameters<'_> =
            &[(&among, Type::TEXT), (&id, Type::TEXT), (&most, Type::INT8)];
        let rows = self.connection.all(sql!("list_users"), parameters).await?;
        Ok(rows.iter().map(user).collect())
    }

    /// Users whom a name, an e-mail or an id finds, as [`Place::by`] says.
    async fn found(&self, by: i32, search: &Search, most: i64) -> Result<Vec<UserRow>, StoreError> {
        let (text, among) = (search.text.as_str(), word(search.among));
        // The page before may have ended with the last one whom another column finds.
        let after = search.after.as_ref().filter(|place| place.by == by);
        let key = after.map(|place| place.key.as_str());
        let id = after.map(|place| place.id.as_str());
        let (by_id, by_key): (Parameters<'_>, Parameters<'_>) = (
            &[
                (&text, Type::TEXT),
                (&among, Type::TEXT),
                (&id, Type::TEXT),
                (&most, Type::INT8),
            ],
            &[
                (&text, Type::TEXT),
                (&among, Type::TEXT),
                (&key, Type::TEXT),
                (&id, Type::TEXT),
                (&most, Type::INT8),
            ],
        );
        let rows = match by {
            0 => self.connection.all(sql!("find_by_name"), by_key).await?,
            1 => self.connection.all(sql!("find_by_email"), by_key).await?,
            _ => self.connection.all(sql!("find_by_id"), by_id).await?,
        };
        Ok(rows.iter().map(user).collect())
    }

    /// One user.
    pub async fn person(&self, id: &str) -> Result<Option<Person>, StoreError> {
        let most = i32::try_from(Person::LONGEST).unwrap_or(i32::MAX);
        let rows = self
            .connection
            .all(sql!("person"), &[(&id, Type::TEXT), (&most, Type::INT4)])
            .await?;
        Ok(rows.first().map(|row| Person {
            now: At::from_system(row.get(0)),
            id: row.get(1),
            name: row.get(2),
            email: row.get(3),
            created_at: time(row, 4),
            updated_at: time(row, 5),
            deleted_at: time(row, 6),
            profile: row.get(7),
            length: row.get(8),
        }))
    }

    /// A user's profile, as the row has it.
    pub async fn raw_profile(&self, id: &str) -> Result<Option<String>, StoreError> {
        let parameters: Parameters<'_> = &[(&id, Type::TEXT)];
        let rows = self.connection.all(sql!("raw_profile"), parameters).await?;
        Ok(rows.first().map(|row| row.get(0)))
    }
}

fn user(row: &Row) -> UserRow {
    UserRow {
        place: Place {
            by: row.get(0),
            key: row.get(1),
            id: row.get(2),
        },
        name: row.get(3),
        email: row.get(4),
        created_at: time(row, 5),
        updated_at: time(row, 6),
        deleted_at: time(row, 7),
        change: None,
    }
}

fn word(among: Among) -> &'static str {
    match among {
        Among::All => "all",
        Among::Living => "living",
        Among::Deleted => "deleted",
        Among::Placeholders => "placeholders",
        Among::Differing => "differs",
    }
}

/// A row that was written by hand may have a time that no clock shows.
fn time(row: &Row, column: usize) -> Option<At> {
    let time: Option<SystemTime> = row.try_get(column).ok()?;
    time.map(At::from_system)
}
