//! How values are shown.
//!
//! Invariant: what the provider or the table says is text, in a direction of its
//! own: it neither ends an element nor turns around the words beside it.

use maud::{Markup, html};
use shared::time::At;

/// Somebody else's words, at most so many characters of them.
pub(crate) fn theirs(text: &str, most: usize) -> Markup {
    html! { bdi { (plain(text, most)) } }
}

/// The same for where only text can stand, such as an option.
pub(crate) fn plain(text: &str, most: usize) -> String {
    let mut letters = text.chars();
    let mut shown: String = letters.by_ref().take(most).map(visible).collect();
    if letters.next().is_some() {
        shown.push('…');
    }
    shown
}

/// A cell's worth of it, and a word where there is nothing.
pub(crate) fn cell(text: Option<&str>, nothing: &'static str) -> Markup {
    match text {
        Some(text) if !text.trim().is_empty() => theirs(text, 80),
        _ => html! { span.quiet { (nothing) } },
    }
}

/// Controls that change how the text around them is read, or that nobody sees, are
/// shown as the sign for what can't be shown.
fn visible(c: char) -> char {
    match c {
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}' => {
            '\u{fffd}'
        }
        '\n' | '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

/// Whether a text can be put into a field to be edited, as it is.
pub(crate) fn is_editable(text: &str) -> bool {
    text.chars().all(|c| visible(c) == c)
}

/// Lines of somebody else's JSON.
pub(crate) fn json(text: &str) -> Markup {
    let line = |c: char| if c == '\n' { c } else { visible(c) };
    let shown: String = text.chars().map(line).collect();
    html! { pre.json tabindex="0" role="region" aria-label="Profile as JSON" { code { (shown) } } }
}

/// A moment, and how long ago that is.
pub(crate) fn moment(at: At, now: At) -> Markup {
    let exact = at.to_rfc3339_millis();
    html! { time datetime=(exact) title=(exact) { (ago(at, now)) } }
}

/// The same, written out.
pub(crate) fn moment_in_full(at: At, now: At) -> Markup {
    let exact = at.to_rfc3339_millis();
    let day = exact.get(..10).unwrap_or_default();
    let clock = exact.get(11..19).unwrap_or_default();
    html! {
        time datetime=(exact) { (day) " " (clock) " UTC" }
        " " span.quiet { "(" (ago(at, now)) ")" }
    }
}

/// How long ago a moment is, in the largest unit that fits.
fn ago(at: At, now: At) -> String {
    let seconds = now.as_micros().saturating_sub(at.as_micros()) / 1_000_000;
    let (count, unit) = match seconds.unsigned_abs() {
        s @ 0..60 => (s, "second"),
        s @ 60..3_600 => (s / 60, "minute"),
        s @ 3_600..86_400 => (s / 3_600, "hour"),
        s @ 86_400..31_557_600 => (s / 86_400, "day"),
        s => (s / 31_557_600, "year"),
    };
    let plural = if count == 1 { "" } else { "s" };
    match (seconds, count) {
        (_, 0) => "now".to_owned(),
        (..0, _) => format!("in {count} {unit}{plural}"),
        _ => format!("{count} {unit}{plural} ago"),
    }
}

/// 1234567 as `1 234 567`, with narrow spaces that don't break.
pub(crate) fn number(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let groups: Vec<_> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(String::from_utf8_lossy)
        .collect();
    let sign = if number < 0 { "−" } else { "" };
    format!("{sign}{}", groups.join("\u{202f}"))
}

/// `1 user`, `2 users`.
pub(crate) fn count(number: i64, one: &str, many: &str) -> String {
    let unit = if number == 1 { one } else { many };
    format!("{} {unit}", self::number(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_others_are_text_in_a_direction_of_their_own() {
        let shown = theirs("<script>\u{202e}gnp\u{2066}\n", 99).into_string();
        assert_eq!(shown, "<bdi>&lt;script&gt;\u{fffd}gnp\u{fffd} </bdi>");
        let shown = theirs(&"x".repeat(10_000), 80).into_string();
        assert_eq!(shown.len(), "<bdi>…</bdi>".len() + 80);
        let shown = json("{\n  \"a\": \"\u{202e}</pre>\"\n}").into_string();
        assert!(shown.contains("\u{fffd}&lt;/pre&gt;"), "{shown}");
    }

    #[test]
    fn a_moment_is_told_in_the_largest_unit_that_fits() {
        let now = At::from_micros(10_000_000_000_000);
        let check = |seconds: i64| ago(At::from_micros(now.as_micros() - seconds * 1_000_000), now);
        let expected = [
            (0, "now"),
            (1, "1 second ago"),
            (59, "59 seconds ago"),
            (119, "1 minute ago"),
            (7_200, "2 hours ago"),
            (200_000, "2 days ago"),
            (70_000_000, "2 years ago"),
            (-90, "in 1 minute"),
        ];
        for (seconds, words) in expected {
            assert_eq!(check(seconds), words);
        }
        assert_eq!(
            ago(At::from_micros(i64::MIN), now).split(' ').next_back(),
            Some("ago")
        );
    }

    #[test]
    fn a_number_is_written_in_groups() {
        assert_eq!(number(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(number(-12), "−12");
        assert_eq!(count(1, "user", "users"), "1 user");
    }
}
