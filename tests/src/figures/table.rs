//! The table of the figures in README.md, which `make bench` writes.

use super::{KEYS, Key, Values, shown};

/// The line before the table.
pub const BEGIN: &str = "<!-- figures: written by make bench -->";
/// The line after it.
pub const END: &str = "<!-- figures: end -->";

/// The table, from these values; the rows of others stay as `before` has them.
pub fn block(values: &Values, date: &str, before: &str) -> String {
    let rows: Vec<String> = KEYS
        .iter()
        .map(|key| match values.get(key.name) {
            Some(_) => row(key, values, date),
            None => kept(key, before).unwrap_or_else(|| row(key, values, "")),
        })
        .collect();
    format!(
        "{BEGIN}\n| figure | what | is | is to be | measured |\n|---|---|---|---|---|\n{}\n{END}",
        rows.join("\n")
    )
}

fn row(key: &Key, values: &Values, date: &str) -> String {
    let parts = key.parts().iter();
    let measured: Option<Vec<String>> = parts
        .map(|part| Some(shown(*values.get(key.name)?.get(*part)?)))
        .collect();
    let measured = measured.map_or_else(|| "–".to_owned(), |values| values.join("; "));
    let limits: Vec<String> = key.limits.iter().map(ToString::to_string).collect();
    let limits = limits.join("; ");
    let date = if date.is_empty() { "–" } else { date };
    format!(
        "| `{}` | {} | {measured} | {limits} | {date} |",
        key.name, key.what
    )
}

/// The row that an earlier run wrote.
fn kept(key: &Key, before: &str) -> Option<String> {
    let begin = format!("| `{}` |", key.name);
    let line = before.lines().find(|line| line.starts_with(&begin))?;
    Some(line.to_owned())
}

/// A document with another table in the place of its own; `None`: it has no place for one.
pub fn rewritten(document: &str, values: &Values, date: &str) -> Option<String> {
    let begin = document.find(BEGIN)?;
    let end = begin + document[begin..].find(END)? + END.len();
    let block = block(values, date, &document[begin..end]);
    Some([&document[..begin], &block, &document[end..]].concat())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_table_keeps_the_rows_of_what_was_not_measured_again() {
        let value = |value| BTreeMap::from([(String::new(), value)]);
        let first = Values::from([("demo_s".to_owned(), value(200.0))]);
        let document = format!("before\n{BEGIN}\n{END}\nafter\n");
        let document = rewritten(&document, &first, "2026-11-26").unwrap();
        let second = Values::from([("binary_mb".to_owned(), value(9.5))]);
        let document = rewritten(&document, &second, "2026-11-27").unwrap();
        assert!(document.starts_with("before\n") && document.ends_with("\nafter\n"));
        let line = |key: &str| {
            let mut lines = document.lines().filter(|line| line.contains(key));
            let line = lines.next().unwrap();
            assert_eq!(lines.next(), None);
            line
        };
        assert!(line("`demo_s`").ends_with("| 200 | ≤ 205 | 2026-11-26 |"));
        assert!(line("`binary_mb`").ends_with("| 9.50 | ≤ 6 | 2026-11-27 |"));
        assert!(line("`reconcile_growth`").ends_with("| – | ≤ 1.1 | – |"));
    }
}
