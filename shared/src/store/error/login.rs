//! The answer of a server, or of a pooler or proxy before it, to a login.
//!
//! Invariant: its own words are repeated only here, where they can't quote a
//! profile, because no statement was sent yet.

use tokio_postgres::error::{DbError, SqlState};

use super::StoreError;

/// The most characters of a server's message that are repeated.
const LONGEST: usize = 200;

/// Sorts a server's answer to a login. Poolers and proxies say many things
/// under one SQLSTATE (`08P01`, `XX000`), so their words have to be looked at.
pub(super) fn sort(error: &DbError, hidden: &[String]) -> StoreError {
    let mut message = error.message().to_owned();
    for hidden in hidden {
        message = message.replace(hidden.as_str(), "…");
    }
    let said = said(error.code().code(), &message);
    let words = error.message().to_lowercase();
    let holds = |any: &[&str]| any.iter().any(|part| words.contains(part));
    let refused = |advice| StoreError::LoginRefused {
        said: said.clone(),
        advice,
    };
    if *error.code() == SqlState::INVALID_PASSWORD {
        return StoreError::PasswordRefused(said);
    }
    if holds(&[
        "insecure",
        "no encryption",
        "ssl required",
        "ssl connection is required",
    ]) {
        return refused(
            "it requires TLS: add ?sslmode=verify-full (or require) to database_url; or check \
             pg_hba.conf",
        );
    }
    // The file's name is the same in every language.
    if holds(&["pg_hba.conf"]) {
        return refused(
            "check that its pg_hba.conf admits this user, database and address; if it admits them \
             only over TLS, add ?sslmode=verify-full (or require) to database_url",
        );
    }
    if error.code().code().starts_with("28") {
        return StoreError::PasswordRefused(said);
    }
    if holds(&["tenant or user not found", "tenant not found"]) {
        return refused(
            "the pooler knows no such user: at Supabase's, the user's name is role.ref, and each \
             region has a host of its own; copy both from its console into database_url",
        );
    }
    if passes(error.code().code()) || holds(PASSING) {
        return StoreError::Unreachable(said);
    }
    if holds(&[
        "authentication failed",
        "no such user",
        "authentication error",
    ]) {
        return StoreError::PasswordRefused(said);
    }
    if holds(&["endpoint id", "sni "]) {
        return refused(
            "it can't tell which database is meant: put the host's full name into database_url, or \
             options=endpoint%3D and the first part of that name",
        );
    }
    if *error.code() == SqlState::INVALID_CATALOG_NAME || holds(&["no such database"]) {
        return refused("there is no such database: correct its name in database_url");
    }
    refused(
        "check in its provider's console whether it is paused, disabled or over its quota, and \
         that database_url is right",
    )
}

/// Whether this refusal passes: the server starts, stops, or has too many
/// connections. Source: PostgreSQL's manual, appendix A.
fn passes(code: &str) -> bool {
    matches!(&code[..2.min(code.len())], "53" | "57" | "58") || {
        let lost_by_the_pooler = ["08000", "08001", "08003", "08006"];
        lost_by_the_pooler.contains(&code)
    }
}

/// The words of PgBouncer, Supavisor and Neon's proxy for a refusal that passes.
const PASSING: &[&str] = &[
    "cannot connect to server",
    "control plane request failed",
    "could not connect",
    "couldn't connect",
    "login has been failing",
    "max client",
    "max_client",
    "maxclients",
    "no more connections",
    "retry later",
    "server conn crashed",
    "shut down",
    "shutting down",
    "starting up",
    "timed out",
    "timeout",
    "too many",
    "try again",
];

fn said(code: &str, message: &str) -> String {
    // Characters that turn the direction of text, or can't be seen.
    let hidden = |c: &char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let seen = message.chars().filter(|c| !hidden(c));
    let code: String = code
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(5)
        .collect();
    format!(
        "SQLSTATE {code}: {}",
        seen.take(LONGEST).collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_words_are_cut_and_cleaned() {
        let long = "é".repeat(300);
        assert_eq!(
            said("08P01", &long),
            format!("SQLSTATE 08P01: {}", "é".repeat(200))
        );
        assert_eq!(
            said("XX\u{7}000x", "a\n\u{1b}[31m\u{202e}b"),
            "SQLSTATE XX000: a[31mb"
        );
    }

    #[test]
    fn passing_login_errors_are_told_from_lasting_ones() {
        for code in ["57P03", "57P01", "57P02", "53300", "53400", "08006"] {
            assert!(passes(code), "{code}");
        }
        for code in ["28000", "3D000", "08P01", "XX000", "0A000", "", "5"] {
            assert!(!passes(code), "{code}");
        }
    }
}
