//! Refusals of one row, which leave the others alone, under any SQLSTATE: Postgres
//! can't hold a value, or a constraint, a trigger or a policy of the application's
//! refuses it.
//!
//! Invariant: a reason gives the SQLSTATE and names from the catalog, and nothing
//! of the server's messages, which quote the profile.

use tokio_postgres::error::{DbError, Severity, SqlState};

use super::planned;

/// The reason why the row can't be stored, if it is the row that is refused.
pub(super) fn of_a_row(error: &DbError) -> Option<String> {
    if let Some(Severity::Fatal | Severity::Panic) = error.parsed_severity() {
        return None;
    }
    let function = error.where_().and_then(function);
    let by = By {
        // PL/pgSQL's own RAISE and ASSERT, under any SQLSTATE.
        raise: matches!(
            error.routine(),
            Some("exec_stmt_raise" | "exec_stmt_assert")
        ),
        policy: error.routine() == Some("ExecWithCheckOptions"),
        function: function.is_some(),
    };
    if !by.refuses(error.code()) {
        return None;
    }
    let what = match *error.code() {
        _ if by.raise || by.policy || by.function => "the table refuses this user",
        SqlState::STATEMENT_TOO_COMPLEX => "nested deeper than Postgres can read",
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE => "a number is larger than Postgres can hold",
        _ if !is_of_data(error.code().code()) => "the table refuses this user",
        _ => "Postgres can't hold this profile",
    };
    let mut details = vec![format!("SQLSTATE {}", error.code().code())];
    for (kind, name) in [
        ("constraint", error.constraint()),
        (
            "column",
            error.column().filter(|_| error.constraint().is_none()),
        ),
        ("function", function),
    ] {
        if let Some(name) = name.filter(|name| is_plain(name)) {
            details.push(format!("{kind} {name}"));
        }
    }
    if by.policy {
        details.push("a policy of row-level security".to_owned());
    }
    Some(format!("{what} ({})", details.join(", ")))
}

/// The source of an error.
struct By {
    raise: bool,
    policy: bool,
    function: bool,
}

impl By {
    fn refuses(&self, code: &SqlState) -> bool {
        let class = code.code().get(..2).unwrap_or_default();
        // Data, constraints, a view's CHECK OPTION, limits, and the errors that
        // code on the table raises.
        let of_values = matches!(class, "21" | "22" | "23" | "38" | "39" | "44" | "54" | "P0");
        // Connections, collisions, resources, locks, cancellation, read-only, the
        // system: these may pass, in a function, too.
        let may_pass = matches!(class, "08" | "25" | "40" | "53" | "57" | "58")
            || *code == SqlState::LOCK_NOT_AVAILABLE;
        of_values || self.raise || self.policy || self.function && !may_pass
    }
}

fn is_of_data(code: &str) -> bool {
    code.starts_with("22") || code.starts_with("54")
}

/// The outermost function of an error's context that is not ours, which is the one
/// that the table calls.
///
/// PostgreSQL: `PL/pgSQL function check_email() line 3 at RAISE`, in the
/// server's language; `SQL function "check_email" statement 1`. Statements and
/// values may be quoted there, too, but only after other words.
fn function(context: &str) -> Option<&str> {
    context.lines().rev().find_map(|line| {
        let of_code = |word| line.find(word).is_some_and(|place| place <= 12);
        if planned::is_named_in(line) {
            None
        } else if of_code("PL/") || line.starts_with("SQL function ") {
            called(line).or_else(|| line.split('"').nth(1))
        } else {
            None
        }
    })
}

/// The name before the first `(`.
fn called(line: &str) -> Option<&str> {
    let (before, _) = line.split_once('(')?;
    let begins = before.rfind(|c: char| !is_of_a_name(c)).map_or(0, |place| {
        place + before[place..].chars().next().map_or(0, char::len_utf8)
    });
    Some(&before[begins..]).filter(|name| !name.is_empty())
}

fn is_of_a_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '.')
}

/// Whether this is a name and nothing else: code that raises an error can put any
/// text in its place.
fn is_plain(name: &str) -> bool {
    (1..=130).contains(&name.len()) && name.chars().all(is_of_a_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_function_that_the_table_calls_is_named_in_any_language() {
        for (context, expected) in [
            (
                "PL/pgSQL function check_email() line 3 at RAISE",
                Some("check_email"),
            ),
            (
                "PL/pgSQL function app.check_email(text,jsonb) line 3 at RAISE",
                Some("app.check_email"),
            ),
            (
                "PL/pgSQL-Funktion check_email() Zeile 3 bei RAISE",
                Some("check_email"),
            ),
            (
                "fonction PL/pgSQL check_email(), ligne 3, à RAISE",
                Some("check_email"),
            ),
            (
                "PL/pgSQL関数check_email()の3行目のRAISE",
                // If the language puts no blank before a name, the text before it is shown, too.
                Some("pgSQL関数check_email"),
            ),
            (
                "SQL function \"check_email\" statement 1",
                Some("check_email"),
            ),
            (
                "SQL statement \"INSERT INTO audit VALUES ('PL/pgSQL ada(')\"\n\
                 PL/pgSQL function inner() line 1 at EXECUTE\n\
                 SQL statement \"SELECT inner()\"\n\
                 PL/pgSQL function outer() line 2 at PERFORM",
                Some("outer"),
            ),
            ("JSON data, line 1: {\"name\":\"PL/pgSQL ada(", None),
            ("unnamed portal with parameters: $1 = 'PL/pgSQL ada('", None),
        ] {
            assert_eq!(function(context), expected, "{context}");
        }
    }

    #[test]
    fn a_name_that_may_be_anything_else_is_left_out() {
        for plain in ["users_sync_email_key", "app.check_email", "prüfe"] {
            assert!(is_plain(plain), "{plain}");
        }
        for other in ["", "ada@example.com", "a b", "a\"b"] {
            assert!(!is_plain(other), "{other}");
        }
    }
}
