//! The searches of `q`: terms joined by AND, each a field and a range, a pattern or a value.

use super::errors;
use crate::simulator::iso;
use crate::simulator::vendor::{Reading, Refused};

/// A search.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Search(Vec<Term>);

#[derive(Debug, PartialEq)]
enum Term {
    Time(Field, Range),
    Text(Field, String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    CreatedAt,
    UpdatedAt,
    UserId,
    Email,
    Name,
}

/// From and until, both included.
#[derive(Debug, Default, PartialEq)]
struct Range {
    from: Option<i64>,
    until: Option<i64>,
}

impl Search {
    pub(super) fn of(text: &str) -> Result<Self, Refused> {
        let terms = text.split(" AND ").map(str::trim);
        terms
            .filter(|term| !term.is_empty())
            .map(|term| self::term(term).ok_or_else(|| errors::search(term)))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The earliest sign-up that is looked for.
    pub(super) fn from(&self) -> Option<i64> {
        self.0.iter().find_map(|term| match term {
            Term::Time(Field::CreatedAt, range) => range.from,
            _ => None,
        })
    }

    /// Whether a user is looked for.
    pub(super) fn takes(&self, id: &str, user: &Reading) -> bool {
        self.0.iter().all(|term| match term {
            Term::Time(Field::CreatedAt, range) => range.takes(user.created_at),
            Term::Time(_, range) => range.takes(user.updated_at),
            Term::Text(field, pattern) => {
                let text = match field {
                    Field::Email => user.email.as_deref(),
                    Field::Name => user.name.as_deref(),
                    _ => Some(id),
                };
                text.is_some_and(|text| matches(pattern, &text.to_lowercase()))
            }
        })
    }
}

impl Range {
    fn takes(&self, at: Option<i64>) -> bool {
        at.is_some_and(|at| {
            self.from.is_none_or(|from| at >= from) && self.until.is_none_or(|until| at <= until)
        })
    }
}

fn term(text: &str) -> Option<Term> {
    let (field, value) = text.split_once(':')?;
    let field = match field {
        "created_at" => Field::CreatedAt,
        "updated_at" => Field::UpdatedAt,
        "user_id" => Field::UserId,
        "email" | "email.raw" => Field::Email,
        "name" => Field::Name,
        _ => return None,
    };
    if matches!(field, Field::CreatedAt | Field::UpdatedAt) {
        return Some(Term::Time(field, range(value)?));
    }
    let value = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'))
        .unwrap_or(value);
    Some(Term::Text(field, value.to_lowercase()))
}

/// `[a TO b]` with both ends included, `{a TO b}` without, `*` for no end.
fn range(text: &str) -> Option<Range> {
    let inner = text.strip_prefix(['[', '{'])?.strip_suffix([']', '}'])?;
    let (from, until) = inner.split_once(" TO ")?;
    let end = |end: &str, excluded: bool, by: i64| match end.trim().trim_matches('"') {
        "*" => Some(None),
        end => Some(Some(iso::millis(end)? + if excluded { by } else { 0 })),
    };
    Some(Range {
        from: end(from, text.starts_with('{'), 1)?,
        until: end(until, text.ends_with('}'), -1)?,
    })
}

/// Whether the text is the pattern, where `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            (0..=text.len())
                .filter(|at| text.is_char_boundary(*at))
                .any(|at| matches(rest, &text[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_patterns_are_read() {
        let user = Reading {
            email: Some("Ada@example.com".to_owned()),
            created_at: Some(1_000),
            updated_at: Some(2_000),
            ..Reading::default()
        };
        for (q, takes) in [
            ("", true),
            ("created_at:[1970-01-01T00:00:01.000Z TO *]", true),
            ("created_at:{1970-01-01T00:00:01.000Z TO *]", false),
            ("created_at:[* TO 1970-01-01T00:00:01Z]", true),
            ("created_at:[* TO 1970-01-01T00:00:01Z}", false),
            (
                "updated_at:[1970-01-01T00:00:02Z TO *] AND email:ada*",
                true,
            ),
            ("updated_at:[1970-01-01T00:00:02Z TO *] AND email:b*", false),
            ("email:\"ada@example.com\"", true),
            ("user_id:\"auth0|1\"", true),
        ] {
            assert_eq!(Search::of(q).unwrap().takes("auth0|1", &user), takes, "{q}");
        }
        for wrong in ["ada", "created_at:1970", "created_at:[a TO b]", "age:3"] {
            assert!(Search::of(wrong).is_err(), "{wrong}");
        }
    }
}
