//! What can go wrong with Postgres, by what a caller does about it.
//!
//! Invariant: no text of Postgres' own is kept, because it may quote a profile.

use std::error::Error;

use tokio_postgres::error::SqlState;

use super::Foreign;

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
    /// The password, or the user, is refused: the secret may have changed.
    #[error(
        "Postgres refuses the user or the password: correct database_url in the secret (for \
         provision admin_database_url, if there is one), or reset the role's password"
    )]
    PasswordRefused,
    /// Tables or rights are missing.
    #[error("the schema is not there, or not for this user: run provision")]
    NotProvisioned,
    /// The schema holds another project's users.
    #[error(transparent)]
    Foreign(Foreign),
    /// As [`StoreError::Foreign`], or bound to none, noticed in passing.
    #[error("the schema is bound to another provider's project, or to none: run provision")]
    NotThisProject,
    /// Postgres can't hold this value.
    #[error("{0}")]
    Unstorable(&'static str),
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

impl StoreError {
    /// Sorts an error of the driver's.
    pub(crate) fn of(error: &tokio_postgres::Error) -> Self {
        let Some(db) = error.as_db_error() else {
            return Self::of_driver(error);
        };
        let code = db.code().code();
        match *db.code() {
            SqlState::INVALID_PASSWORD => return Self::PasswordRefused,
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION if is_about_tls(db.message()) => {
                return Self::Tls(
                    "Postgres takes no connection without TLS: add ?sslmode=require (better, \
                     verify-full) to database_url",
                );
            }
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION => return Self::PasswordRefused,
            SqlState::PROTOCOL_VIOLATION if is_about_login(db.message()) => {
                return Self::PasswordRefused;
            }
            SqlState::UNDEFINED_TABLE
            | SqlState::UNDEFINED_COLUMN
            | SqlState::UNDEFINED_FUNCTION
            | SqlState::INVALID_SCHEMA_NAME
            | SqlState::INSUFFICIENT_PRIVILEGE => return Self::NotProvisioned,
            SqlState::T_R_DEADLOCK_DETECTED | SqlState::T_R_SERIALIZATION_FAILURE => {
                return Self::Collided;
            }
            SqlState::STATEMENT_TOO_COMPLEX => {
                return Self::Unstorable("nested deeper than Postgres can read");
            }
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE => {
                return Self::Unstorable("a number is larger than Postgres can hold");
            }
            SqlState::INVALID_CATALOG_NAME => {
                return Self::Refused(format!("{code}: there is no such database"));
            }
            _ => {}
        }
        match code.get(..2).unwrap_or_default() {
            "22" | "23" | "54" => Self::Unstorable("Postgres can't hold this profile"),
            // Connection, resources, operator, system, read-only after a fail-over.
            "08" | "53" | "55" | "57" | "58" | "25" | "XX" => {
                Self::Unreachable(format!("SQLSTATE {code}"))
            }
            _ => Self::Refused(code.to_owned()),
        }
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
        if error.to_string().starts_with("authentication error")
            || source.contains("password missing")
        {
            return Self::PasswordRefused;
        }
        if source.contains("failed to lookup address information") {
            return Self::Unreachable("its host's name is not known".to_owned());
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

/// PostgreSQL: `no pg_hba.conf entry for host …, no encryption`; Neon:
/// `connection is insecure (try using sslmode=require)`.
fn is_about_tls(message: &str) -> bool {
    message.contains("no encryption") || message.contains("insecure")
}

/// PgBouncer (as of 1.18) says so under the SQLSTATE of a broken protocol:
/// `SASL authentication failed`, `password authentication failed`, `no such user`.
fn is_about_login(message: &str) -> bool {
    message.contains("authentication failed") || message.contains("no such user")
}
