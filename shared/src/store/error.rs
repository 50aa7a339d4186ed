//! Errors of Postgres, sorted by what a caller does about them.
//!
//! Invariant: no text of Postgres' own is kept, because it may quote a profile,
//! except its answer to a login.

mod login;

use std::error::Error;

use tokio_postgres::error::{DbError, Severity, SqlState};

use super::refusal;

/// Why a statement could not be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no connection, or it was lost: the same may succeed later.
    #[error(
        "Postgres can't be reached: {0}. Check that host and port in database_url are right, that \
         the database is up and not over its quota, and that it lets this function in. The next \
         run does what was not done now, or the provider's next attempt"
    )]
    Unreachable(String),
    /// A deadlock or a serialization failure: the same will succeed at once.
    #[error(
        "two statements collided again and again: check what else writes to the schema's tables"
    )]
    Collided,
    /// The statement took longer than the server allows.
    #[error(
        "Postgres ended a statement because it took too long (SQLSTATE {0}): check which session \
         holds locks on the schema's tables (pg_stat_activity), whether one of their triggers is \
         slow, and statement_timeout and lock_timeout of the user in database_url"
    )]
    TookTooLong(String),
    /// The user or the password is refused: the secret may have changed.
    #[error(
        "Postgres refuses the user or the password ({0}): correct database_url in the secret (for \
         provision, admin_database_url if there is one), or reset the role's password"
    )]
    PasswordRefused(String),
    /// The server, or a pooler or proxy before it, refused the login for a reason
    /// that waiting doesn't cure.
    #[error("Postgres refuses the connection ({said}): {advice}")]
    LoginRefused {
        /// Its SQLSTATE and message.
        said: String,
        /// The advice.
        advice: &'static str,
    },
    /// Postgres takes no writes, on a new connection either.
    #[error(
        "Postgres takes no writes (SQLSTATE 25006, read-only): either database_url leads to a \
         standby, or the database was made read-only, as Supabase does when the disk is full. \
         Check its provider's console, and default_transaction_read_only of the database and the \
         role"
    )]
    ReadOnly,
    /// Tables or rights are missing.
    #[error("the schema does not exist, or this user has no rights in it: run provision")]
    NotProvisioned,
    /// The schema holds another project's users.
    #[error(transparent)]
    Foreign(Foreign),
    /// The same as [`StoreError::Foreign`], or the schema is bound to no project;
    /// a statement noticed it.
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
        "Postgres refuses a statement (SQLSTATE {0}): appendix A of its manual says what that \
         means, and its log says which statement it was"
    )]
    Refused(String),
    /// Postgres gave an answer that the statement can't have.
    #[error(
        "Postgres gave an answer that makes no sense: run provision, because the schema's version \
         may differ from this function's"
    )]
    Garbled,
}

/// The project that must not sync into this schema, and the one that does.
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
            ". \"key\" and a fingerprint stand for a project that the provider did not name when it \
             was asked. If the key was only rotated, bind the schema anew as above. If the secret \
             names \"key\" and a fingerprint, check that provider.api_url is right and run this \
             again, so that the provider is asked again"
        }
        false => "",
    }
}

impl StoreError {
    /// Whether this may be because of one row of several: without it, Postgres
    /// may take the others.
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

    /// Sorts the error of a login. `hidden`: texts that are left out of its
    /// message, the longest first.
    pub(super) fn of_login(error: &tokio_postgres::Error, hidden: &[String]) -> Self {
        match error.as_db_error() {
            Some(answer) => login::sort(answer, hidden),
            None => Self::of_driver(error),
        }
    }

    /// The host's name is unknown, perhaps only for now.
    pub(super) fn unknown_host() -> Self {
        Self::Unreachable("the host's name is unknown".to_owned())
    }

    /// Whether it may pass in a moment by itself.
    pub(super) fn passes(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }

    /// Whether the refused user or password may have been rotated, so that the
    /// secret has a new one.
    pub fn may_come_of_a_rotated_secret(&self) -> bool {
        matches!(self, Self::PasswordRefused(_) | Self::LoginRefused { .. })
    }

    fn of_driver(error: &tokio_postgres::Error) -> Self {
        let source = error.source().map(ToString::to_string).unwrap_or_default();
        if source.contains("server does not support TLS") {
            return Self::Tls(
                "Postgres offers no TLS, but database_url asks for it: check host and port, or set \
                 sslmode=disable for a server on this machine",
            );
        }
        if source.contains("certificate verify failed") || source.contains("Hostname mismatch") {
            return Self::Tls(
                "the certificate of Postgres is for another host, or from an unknown authority: \
                 check the host in database_url, and name the authority's file as sslrootcert",
            );
        }
        if source.contains("did not use channel binding") {
            return Self::Tls(
                "Postgres uses no channel binding, but database_url demands it: add \
                 sslmode=verify-full (or require), or take out channel_binding=require",
            );
        }
        // By its message: the driver doesn't give the kind of an error away.
        if source.contains("password missing") {
            return Self::PasswordRefused("it asks for a password, and there is none".to_owned());
        }
        if error.to_string().starts_with("authentication error") {
            return Self::PasswordRefused("the proof of the password failed".to_owned());
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

/// Whether PgBouncer reports its own login: it may log in to the server only once
/// there is a statement to run. The statement was not run then.
fn is_of_a_pooler(error: &DbError) -> bool {
    let is_fatal = error.parsed_severity() == Some(Severity::Fatal);
    let begins = ["server login failed", "pgbouncer cannot connect"];
    is_fatal
        && *error.code() == SqlState::PROTOCOL_VIOLATION
        && begins
            .iter()
            .any(|words| error.message().starts_with(words))
}
