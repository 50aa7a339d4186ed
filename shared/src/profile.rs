//! The types that everything else shares: a user's id, a profile, and an
//! observation of a user at a time.
//!
//! Invariant: a [`Profile`] holds only what PostgreSQL can store. An adapter
//! makes it through [`Profile::from_json`], and says which field is which column.

use std::borrow::Cow;
use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::json::{self, Fields, Unreadable};
use crate::time::At;

/// A provider's id of a user: 1 to 1024 bytes without control characters, and
/// a name that a URL can hold.
///
/// The upper bound keeps the primary key's index entry within a B-tree page
/// (PostgreSQL refuses entries above about 2700 bytes).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(String);

impl UserId {
    /// Takes an id as the provider wrote it, or says why it can't be used.
    pub fn new(id: impl Into<String>) -> Result<Self, Unreadable> {
        let id = id.into();
        if id.is_empty() {
            return Err(Unreadable("the user's id is empty"));
        }
        if id.len() > 1024 {
            return Err(Unreadable("the user's id is longer than 1024 bytes"));
        }
        if matches!(id.as_str(), "." | "..") {
            // In the path of a URL these are steps, encoded or not, so the
            // request would not be for a user.
            return Err(Unreadable(
                "the user's id is a dot segment, which no URL can name",
            ));
        }
        if id.chars().any(char::is_control) {
            return Err(Unreadable("the user's id holds a control character"));
        }
        Ok(Self(id))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An id names a person, so it is not printed by accident.
impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserId(…)")
    }
}

/// The numbers of the columns' types in every PostgreSQL.
const JSONB: u32 = 3802;
const TEXT: u32 = 25;
const TIMESTAMPTZ: u32 = 1184;

/// The microsecond from which PostgreSQL counts.
const YEAR_2000: i64 = 946_684_800_000_000;

/// Stands for a profile. To find two profiles that share it takes 2⁶⁴ attempts, and
/// gains users nothing but that a run leaves their own row to the next delivery.
pub type Digest = [u8; 16];

/// A user as the provider shows them, mapped to the table's columns.
#[derive(Clone, PartialEq, Eq)]
pub struct Profile {
    /// Column `id`.
    pub id: UserId,
    /// Column `raw_json`: JSON text that PostgreSQL's `jsonb` takes.
    pub raw_json: String,
    /// Column `name`.
    pub name: Option<String>,
    /// Column `email`.
    pub email: Option<String>,
    /// Column `created_at`.
    pub created_at: Option<At>,
    /// The provider's own version of the profile, if it has one.
    pub version: Option<At>,
}

/// The columns that an adapter reads from a profile's fields.
pub struct Columns {
    /// The id as the provider wrote it; `None` if it isn't a string.
    pub id: Option<String>,
    /// Display name.
    pub name: Option<String>,
    /// Primary email.
    pub email: Option<String>,
    /// Sign-up.
    pub created_at: Option<At>,
    /// The provider's own version, if it has one.
    pub version: Option<At>,
}

impl Profile {
    /// Makes a profile of a provider's JSON object; `columns` says what its
    /// fields mean.
    pub fn from_json(
        raw: &str,
        columns: impl FnOnce(&Fields<'_>) -> Columns,
    ) -> Result<Self, Unreadable> {
        Self::of_fields(Fields::of(raw), raw, columns)
    }

    /// The same of text that is known to be JSON.
    pub(crate) fn of_known(
        json: &str,
        columns: impl FnOnce(&Fields<'_>) -> Columns,
    ) -> Result<Self, Unreadable> {
        Self::of_fields(Fields::known(json), json, columns)
    }

    fn of_fields(
        fields: Result<Fields<'_>, Unreadable>,
        raw: &str,
        columns: impl FnOnce(&Fields<'_>) -> Columns,
    ) -> Result<Self, Unreadable> {
        let fields = match fields {
            Ok(fields) => fields,
            // No JSON at all is the better reason.
            Err(no_object) => return Err(json::storable(raw).err().unwrap_or(no_object)),
        };
        let raw_json = fields.storable()?;
        let mended = matches!(raw_json, Cow::Owned(_));
        let columns = match &raw_json {
            Cow::Borrowed(_) => columns(&fields),
            Cow::Owned(mended) => columns(&Fields::of(mended)?),
        };
        let id = columns.id.ok_or(Unreadable(
            "the user has no id, or one that is not a string",
        ))?;
        // With a character replaced, it would be another user's id.
        if mended && id.contains('\u{FFFD}') {
            return Err(Unreadable(
                "the user's id holds a character that Postgres can't hold",
            ));
        }
        Ok(Self {
            id: UserId::new(id)?,
            name: columns.name,
            email: columns.email,
            created_at: columns.created_at,
            version: columns.version,
            raw_json: raw_json.into_owned(),
        })
    }

    /// The profile as PostgreSQL would print the row's `raw_json - unloaded`. `None` if
    /// only PostgreSQL can tell, which costs nothing but bytes.
    pub fn printed(&self, unloaded: &[&str]) -> Option<String> {
        self.printed_after("", unloaded)
    }

    fn printed_after(&self, begin: &str, unloaded: &[&str]) -> Option<String> {
        let mut out = String::with_capacity(self.raw_json.len() + self.raw_json.len() / 4 + 32);
        out.push_str(begin);
        json::print_known(&self.raw_json, unloaded, &mut out)?;
        Some(out)
    }

    /// The digest that stands for the profile when it is compared with its row, so that
    /// no profile is sent. `None` as of [`Profile::printed`].
    ///
    /// It is the beginning of SHA-256 of what PostgreSQL's `record_send` makes of the
    /// row's `raw_json - unloaded`, `name`, `email` and `created_at`: how many columns
    /// there are, and then the type, the length and the value of each, as the protocol
    /// has a composite value in its binary format.
    pub fn digest(&self, unloaded: &[&str]) -> Option<Digest> {
        // The format's version goes before the text.
        let raw_json = self.printed_after("\u{1}", unloaded)?;
        let since_2000 = |at: At| at.as_micros().saturating_sub(YEAR_2000).to_be_bytes();
        let created_at = self.created_at.map(since_2000);
        let columns = [
            (JSONB, Some(raw_json.as_bytes())),
            (TEXT, self.name.as_deref().map(str::as_bytes)),
            (TEXT, self.email.as_deref().map(str::as_bytes)),
            (TIMESTAMPTZ, created_at.as_ref().map(<[u8; 8]>::as_slice)),
        ];
        let mut row = Sha256::new_with_prefix(4u32.to_be_bytes());
        for (kind, value) in columns {
            // Of NULL the length is -1.
            let length = value.map_or(u32::MAX, |value| value.len() as u32);
            row.update(kind.to_be_bytes());
            row.update(length.to_be_bytes());
            row.update(value.unwrap_or_default());
        }
        row.finalize().first_chunk().copied()
    }

    /// Whether this profile, just read, agrees with what an event `told` about
    /// the user, except for fields that the provider fills in later. A field that
    /// only one of the two has is ignored.
    pub fn shows(&self, told: &Profile, filled_in_later: &[&str]) -> bool {
        let (Ok(told), Ok(read)) = (Fields::of(&told.raw_json), Fields::of(&self.raw_json)) else {
            return false;
        };
        let read = read.all();
        told.all().into_iter().all(|(key, told)| {
            filled_in_later.contains(&key)
                || read.get(key).is_none_or(|read| json::same(told, read))
        })
    }
}

/// A profile is personal data: Debug prints none of it.
impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// A state of a user, and a time that is not later than that state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Observation {
    /// The provider has the user.
    Present {
        /// The user as the provider showed them.
        profile: Profile,
        /// Not later than the moment at which this was the provider's state.
        at: At,
    },
    /// The provider has no such user any more.
    Gone {
        /// The user's id.
        id: UserId,
        /// Not later than the moment at which this was the provider's state.
        at: At,
    },
}

impl Observation {
    /// The user that this is about.
    pub fn id(&self) -> &UserId {
        match self {
            Self::Present { profile, .. } => &profile.id,
            Self::Gone { id, .. } => id,
        }
    }

    /// A time that is not later than the moment at which this was true.
    pub fn at(&self) -> At {
        match self {
            Self::Present { at, .. } | Self::Gone { at, .. } => *at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_1_to_1024_bytes_and_no_control_character() {
        let check = |id: &str| UserId::new(id).map(|id| id.as_str().len());
        assert_eq!(check("a"), Ok(1));
        assert_eq!(check(&"x".repeat(1024)), Ok(1024));
        assert_eq!(check(""), Err(Unreadable("the user's id is empty")));
        assert_eq!(
            check(&"x".repeat(1025)),
            Err(Unreadable("the user's id is longer than 1024 bytes"))
        );
        assert_eq!(
            check("a\0b"),
            Err(Unreadable("the user's id holds a control character"))
        );
        assert_eq!(check("a.b..c"), Ok(6));
        for dots in [".", ".."] {
            assert_eq!(
                check(dots),
                Err(Unreadable(
                    "the user's id is a dot segment, which no URL can name"
                ))
            );
        }
    }

    fn profile(raw: &str) -> Profile {
        Profile::from_json(raw, |fields| Columns {
            id: fields.string("id"),
            name: fields.string("name"),
            email: None,
            created_at: fields.millis("created"),
            version: None,
        })
        .unwrap()
    }

    #[test]
    fn an_id_that_has_to_be_mended_is_none() {
        let check = |raw: &str| {
            let id = |fields: &Fields<'_>| fields.string("id");
            let columns = |fields: &Fields<'_>| Columns {
                id: id(fields),
                name: None,
                email: None,
                created_at: None,
                version: None,
            };
            Profile::from_json(raw, columns).map(|profile| profile.id.0)
        };
        let mended = "the user's id holds a character that Postgres can't hold";
        assert_eq!(check(r#"{"id":"a\u0000"}"#), Err(Unreadable(mended)));
        assert_eq!(check(r#"{"id":"a\ud800"}"#), Err(Unreadable(mended)));
        assert_eq!(check(r#"{"id":"a","n":"\u0000"}"#), Ok("a".to_owned()));
        assert_eq!(check("{\"id\":\"\u{FFFD}\"}"), Ok("\u{FFFD}".to_owned()));
    }

    #[test]
    fn a_profile_prints_as_postgres_prints_the_row() {
        let printed = profile(r#"{"name":"A","id":"1","created":-1500}"#).printed(&[]);
        assert_eq!(
            printed.as_deref(),
            Some(r#"{"id": "1", "name": "A", "created": -1500}"#)
        );
    }

    #[test]
    fn a_profiles_digest_is_the_one_that_postgres_makes() {
        let mut profile = profile(r#"{"name":"A","id":"1","created":-1500}"#);
        let digest = |profile: &Profile| profile.digest(&[]).map(u128::from_be_bytes);
        // SELECT substr(sha256(record_send(ROW('{"name":"A","id":"1","created":-1500}'::jsonb,
        //   'A'::text, NULL::text, '1969-12-31 23:59:58.5+00'::timestamptz))), 1, 16)
        let expected = 0x962d_87f5_d805_b92d_1bc7_f9c2_879f_63d5;
        assert_eq!(digest(&profile), Some(expected));
        // No value is not an empty one, and none is taken for a part of the next.
        profile.email = Some(String::new());
        let empty = digest(&profile);
        assert_ne!(empty, Some(expected));
        profile.email = profile.name.replace(String::new());
        assert_ne!(digest(&profile), empty);
    }

    #[test]
    fn a_read_shows_what_was_told_when_no_common_field_differs() {
        let told = profile(r#"{"id":"1","name":"A","team":null}"#);
        let check = |read: &str| profile(read).shows(&told, &["team"]);
        assert!(check(r#"{"id":"1","name":"A","team":{"x":1}}"#));
        assert!(check(r#"{"id":"1","name":"A","new":1}"#));
        assert!(!check(r#"{"id":"1","name":"B"}"#));
        // Null is a value like any other: who had no name yet, and was given one.
        assert!(!check(r#"{"id":"1","name":null}"#));
        let told = profile(r#"{"id":"1","name":null}"#);
        assert!(!profile(r#"{"id":"1","name":"A"}"#).shows(&told, &[]));
        assert!(profile(r#"{"id":"1","name":null}"#).shows(&told, &[]));
    }

    #[test]
    fn debug_prints_nothing_of_a_person() {
        let shown = format!("{:?}", profile(r#"{"id":"secret-id","name":"Ada"}"#));
        assert!(
            !shown.contains("Ada") && !shown.contains("secret-id"),
            "{shown}"
        );
    }
}
