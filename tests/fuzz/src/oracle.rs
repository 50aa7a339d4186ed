//! The meaning of JSON, in another way than the crate's own: a tree in which text is UTF-16, and a
//! number is its digits and the place of its point.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// A JSON value; of equal keys the last counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tree {
    /// `null`, `true` or `false`.
    Word(String),
    /// Whether it is negative, its digits without zeros around, and where the point stands.
    Number(bool, String, i64),
    /// Text, in which what stands for no character is U+FFFD, and NUL too.
    Text(String),
    /// An array.
    Array(Vec<Tree>),
    /// An object.
    Object(BTreeMap<String, Tree>),
}

/// The tree of JSON text; `None` if it is none or deeper than this.
pub fn tree(text: &str, depth: usize) -> Option<Tree> {
    serde_json::from_str::<&RawValue>(text).ok()?;
    let mut bytes = text.as_bytes();
    value(&mut bytes, depth)
}

fn value(rest: &mut &[u8], depth: usize) -> Option<Tree> {
    let depth = depth.checked_sub(1)?;
    blank(rest);
    match rest.first()? {
        b'"' => Some(Tree::Text(text(rest)?)),
        b'{' => {
            let mut fields = BTreeMap::new();
            *rest = &rest[1..];
            while !closes(rest, b'}') {
                let key = text(rest)?;
                blank(rest);
                *rest = rest.strip_prefix(b":")?;
                fields.insert(key, value(rest, depth)?);
            }
            Some(Tree::Object(fields))
        }
        b'[' => {
            let mut items = Vec::new();
            *rest = &rest[1..];
            while !closes(rest, b']') {
                items.push(value(rest, depth)?);
            }
            Some(Tree::Array(items))
        }
        _ => {
            let ends = |byte: &u8| b",]} \t\r\n".contains(byte);
            let end = rest.iter().position(ends).unwrap_or(rest.len());
            let word = String::from_utf8(rest[..end].to_vec()).ok()?;
            *rest = &rest[end..];
            match word.as_bytes().first()? {
                b't' | b'f' | b'n' => Some(Tree::Word(word)),
                _ => Some(number(&word)),
            }
        }
    }
}

fn blank(rest: &mut &[u8]) {
    while let [b' ' | b'\t' | b'\r' | b'\n', after @ ..] = rest {
        *rest = after;
    }
}

/// Passes over what stands between two members, and over the bracket at the end.
fn closes(rest: &mut &[u8], bracket: u8) -> bool {
    blank(rest);
    let first = rest.first().copied();
    if first == Some(b',') || first == Some(bracket) {
        *rest = &rest[1..];
        blank(rest);
    }
    first == Some(bracket)
}

fn text(rest: &mut &[u8]) -> Option<String> {
    *rest = rest.strip_prefix(b"\"")?;
    let mut units: Vec<u16> = Vec::new();
    loop {
        match rest {
            [b'"', after @ ..] => {
                *rest = after;
                let text = String::from_utf16_lossy(&units);
                return Some(text.replace('\0', "\u{FFFD}"));
            }
            [b'\\', b'u', a, b, c, d, after @ ..] => {
                let hex = [*a, *b, *c, *d];
                units.push(u16::from_str_radix(std::str::from_utf8(&hex).ok()?, 16).ok()?);
                *rest = after;
            }
            [b'\\', letter, after @ ..] => {
                units.push(match letter {
                    b'n' => 10,
                    b'r' => 13,
                    b't' => 9,
                    b'b' => 8,
                    b'f' => 12,
                    plain => u16::from(*plain),
                });
                *rest = after;
            }
            _ => {
                let end = rest.iter().position(|byte| b"\"\\".contains(byte))?;
                let plain = std::str::from_utf8(&rest[..end]).ok()?;
                units.extend(plain.encode_utf16());
                *rest = &rest[end..];
            }
        }
    }
}

fn number(word: &str) -> Tree {
    let lower = word.to_ascii_lowercase();
    let (mantissa, exponent) = lower.split_once('e').unwrap_or((&lower, "0"));
    let exponent: i64 = exponent.parse().unwrap_or(i64::MAX);
    let negative = mantissa.starts_with('-');
    let mantissa = mantissa.trim_start_matches('-');
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let leading = digits.len() - digits.trim_start_matches('0').len();
    let kept = digits.trim_matches('0');
    if kept.is_empty() {
        return Tree::Number(false, String::new(), 0);
    }
    let point =
        i64::try_from(whole.len()).unwrap_or(i64::MAX) - i64::try_from(leading).unwrap_or(0);
    Tree::Number(negative, kept.to_owned(), point.saturating_add(exponent))
}
