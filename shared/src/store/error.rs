//! What can go wrong with Postgres, by what a caller does about it.
//!
//! Invariant: no text of Postgres' own is kept, because it may quote a profile;
//! but for what it answers to a login.

mod login;

use std::error::Error;

use tokio_postgres::error::{DbError, Severity, SqlState};

use super::refusal;

/// Why a statement could not be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No connection, or it was lost: the same may succeed later.
    #[error(
        "Postgres can't be reached: {0}. See that host and port in database_url are right, that \
         the database is up and not over its quota, and that it lets this function in; what was \
         not done now is done by the next run, or when the provider sends again"
    )]
    Unreachable(String),
    /// A deadlock or a serialization failure: the same will succeed at once.
    #[error("two statements collided again and again: see what else writes to the schema's tables")]
    Collided,
    /// The statement waited for longer than the server lets it.
    #[error(
        "Postgres ended a statement that took too long for it (SQLSTATE {0}): see which session \
         holds locks on the schema's tables (pg_stat_activity), whether a trigger of theirs is \
         slow, and statement_timeout and lock_timeout of the user in database_url"
    )]
    TookTooLong(String),
    /// The password, or the user, is refused: the secret may have changed.
    #[error(
        "Postgres refuses the user or the password ({0}): correct database_url in the secret (for \
         provision admin_database_url, if there is one), or reset the role's password"
    )]
    PasswordRefused(String),
    /// Who was asked answered the login with a refusal that waiting doesn't cure.
    #[error("Postgres takes no connection ({said}): {advice}")]
    LoginRefused {
        /// Its SQLSTATE and message.
        said: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// It takes no writes, though it was asked anew.
    #[error(
        "Postgres takes no writes (SQLSTATE 25006, read-only): database_url leads to a standby, or \
         its provider has made it read-only, as Supabase does with a full disk: see its console, or \
         default_transaction_read_only of the database and the role"
    )]
    ReadOnly,
    /// Tables or rights are missing.
    #[error("the schema is not there, or not for this user: run provision")]
    NotProvisioned,
    /// The schema holds another project's users.
    #[error(transparent)]
    Foreign(Foreign),
    /// As [`StoreError::Foreign`], or bound to none, noticed in passing.
    #[error("the schema is bound to another provider's project, or to none: run provision")]
    NotThisProject,
    /// Postgres can't hold this row, or the table refuses it.
    #[error("{0}")]
    Unstorable(String),
    /// The server wants or refuses TLS.
    #[error("{0}")]
    Tls(&'static str),
    /// Anything else, by SQLSTATE.
    #[error(
        "Postgres refuses a statement (SQLSTATE {0}): its manual's appendix A says what that \
         means, its log which one it was"
    )]
    Refused(String),
    /// An answer that the statement can't have.
    #[error(
        "Postgres gave an answer that makes no sense: run provision, should the schema be of \
         another version than this function"
    )]
    Garbled,
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

impl StoreError {
    /// Whether this may be for one row of several: without it, the others may
    /// be taken.
    pub fn may_be_of_a_row(&self) -> bool {
        matches!(
            self,
            Self::Unstorable(_) | Self::Refused(_) | Self::TookTooLong(_)
        )
    }

    /// Sorts an error of the driver's.
    pub(crate) fn of(error: &tokio_postgres::Error) -> Self {
        let Some(db) = error.as_db_error() else {
            return Self::of_driver(error);
        };
        if is_of_a_pooler(db) {
            return login::sort(db, &[]);
        }
        if let Some(reason) = refusal::of_a_row(db) {
            return Self::Unstorable(reason);
        }
        let code = db.code().code();
        match *db.code() {
            SqlState::READ_ONLY_SQL_TRANSACTION => return Self::ReadOnly,
            SqlState::UNDEFINED_TABLE
            | SqlState::UNDEFINED_COLUMN
            | SqlState::UNDEFINED_FUNCTION
            | SqlState::INVALID_SCHEMA_NAME
            | SqlState::INSUFFICIENT_PRIVILEGE => return Self::NotProvisioned,
            SqlState::T_R_DEADLOCK_DETECTED | SqlState::T_R_SERIALIZATION_FAILURE => {
                return Self::Collided;
            }
            SqlState::QUERY_CANCELED | SqlState::LOCK_NOT_AVAILABLE => {
                return Self::TookTooLong(code.to_owned());
            }
            // Not as in "object in use": nothing that passes.
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE => return Self::Refused(code.to_owned()),
            SqlState::INVALID_CATALOG_NAME => {
                return Self::Refused(format!("{code}: there is no such database"));
            }
            _ => {}
        }
        match code.get(..2).unwrap_or_default() {
            // Connection, resources, operator, system, read-only after a fail-over.
            "08" | "53" | "55" | "57" | "58" | "25" | "XX" => {
                Self::Unreachable(format!("SQLSTATE {code}"))
            }
            _ => Self::Refused(code.to_owned()),
        }
    }

    /// Sorts an error of a login's.
    /// `hidden`: what its words are not to be repeated with, the longest first.
    pub(super) fn of_login(error: &tokio_postgres::Error, hidden: &[String]) -> Self {
        match error.as_db_error() {
            Some(answer) => login::sort(answer, hidden),
            None => Self::of_driver(error),
        }
    }

    /// A host whose name nobody knows, or not now.
    pub(super) fn unknown_host() -> Self {
        Self::Unreachable("its host's name is not known".to_owned())
    }

    /// Whether it may be gone in a moment, without anybody's doing.
    pub(super) fn passes(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }

    /// R10: what is refused may be what was rotated, and the secret has it anew.
    pub fn may_come_of_a_rotated_secret(&self) -> bool {
        matches!(self, Self::PasswordRefused(_) | Self::LoginRefused { .. })
    }

    fn of_driver(error: &tokio_postgres::Error) -> Self {
        let source = error.source().map(ToString::to_string).unwrap_or_default();
        if source.contains("server does not support TLS") {
            return Self::Tls(
                "Postgres offers no TLS, and database_url asks for it: check host and port, or \
                 set sslmode=disable for a server on this machine",
            );
        }
        if source.contains("certificate verify failed") || source.contains("Hostname mismatch") {
            return Self::Tls(
                "Postgres' certificate is not for this host, or from no known authority: check \
                 the host in database_url, and give the authority's file as sslrootcert",
            );
        }
        if source.contains("did not use channel binding") {
            return Self::Tls(
                "Postgres uses no channel binding, and database_url demands it: set \
                 sslmode=require (better, verify-full) with it, or leave out \
                 channel_binding=require",
            );
        }
        // By its words: the driver keeps the kind of an error to itself.
        if source.contains("password missing") {
            return Self::PasswordRefused("it asks for one, and there is none".to_owned());
        }
        if error.to_string().starts_with("authentication error") {
            return Self::PasswordRefused("by a way to prove it that fails".to_owned());
        }
        if error.is_closed() {
            return Self::Unreachable("the connection was closed".to_owned());
        }
        match error
            .source()
            .and_then(|e| e.downcast_ref::<std::io::Error>())
        {
            Some(io) => Self::Unreachable(io.kind().to_string()),
            None => Self::Unreachable("no connection".to_owned()),
        }
    }
}

/// PgBouncer may log in to the server only once there is a statement to run, and
/// tells then what came of it; such a statement was not run.
fn is_of_a_pooler(error: &DbError) -> bool {
    let is_fatal = error.parsed_severity() == Some(Severity::Fatal);
    let begins = ["server login failed", "pgbouncer cannot connect"];
    is_fatal
        && *error.code() == SqlState::PROTOCOL_VIOLATION
        && begins
            .iter()
            .any(|words| error.message().starts_with(words))
}
