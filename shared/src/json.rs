//! A provider's JSON as text. What PostgreSQL's `jsonb` can't hold is mended or
//! refused. Everything else stays as it was sent, numbers to the last digit.
//!
//! Invariant: nothing here recurses with the depth of its input, except
//! [`print_jsonb`], which stops at a fixed depth.

mod fields;
mod print;
mod scan;

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use scan::number_end;

pub use fields::Fields;
pub(crate) use print::print_known;
pub use print::{print_jsonb, same};

/// Why the bytes in a verified delivery or in a listing are not a user.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub &'static str);

/// A larger exponent would unfold a few bytes into that many digits each time
/// PostgreSQL prints the row.
const MOST_EXPONENT: u32 = 1000;

/// How many digits all exponents of a text may add together. Many small exponents
/// can unfold a small text into one that fits neither memory nor PostgreSQL.
const MOST_UNFOLDED: u32 = 1 << 20;

/// JSON text that `jsonb` accepts. It refuses `\u0000` and lone surrogates, so
/// they become U+FFFD. Numbers that would unfold without bound are refused here.
pub fn storable(raw: &str) -> Result<Cow<'_, str>, Unreadable> {
    serde_json::from_str::<&RawValue>(raw).map_err(|_| Unreadable("not JSON"))?;
    mend(raw)
}

/// The same for text that is JSON.
fn mend(raw: &str) -> Result<Cow<'_, str>, Unreadable> {
    let bytes = raw.as_bytes();
    let mut mended = String::new();
    let mut kept = 0;
    let mut unfolded = 0_u32;
    let mut i = 0;
    while i < bytes.len() {
        match bytes[i] {
            b'"' => i = mend_string(raw, i + 1, &mut mended, &mut kept),
            b'-' | b'0'..=b'9' => {
                let end = number_end(bytes, i);
                unfolded = unfolded.saturating_add(exponent(&raw[i..end])?);
                if unfolded > MOST_UNFOLDED {
                    return Err(Unreadable("the numbers have too many large exponents"));
                }
                i = end;
            }
            _ => i += 1,
        }
    }
    if kept == 0 {
        return Ok(Cow::Borrowed(raw));
    }
    mended.push_str(&raw[kept..]);
    Ok(Cow::Owned(mended))
}

/// Walks a string from after its opening quote, and returns the index after its
/// closing quote. Replacements are written to `mended`, which then stands for all
/// of `raw` up to `kept`.
fn mend_string(raw: &str, mut i: usize, mended: &mut String, kept: &mut usize) -> usize {
    let bytes = raw.as_bytes();
    loop {
        match bytes[i] {
            b'"' => return i + 1,
            b'\\' if bytes[i + 1] == b'u' => {
                let unit = code_unit(raw, i);
                let paired = matches!(unit, 0xD800..=0xDBFF)
                    && bytes[i + 6..].starts_with(b"\\u")
                    && matches!(code_unit(raw, i + 6), 0xDC00..=0xDFFF);
                if paired {
                    i += 12;
                    continue;
                }
                if unit == 0 || matches!(unit, 0xD800..=0xDFFF) {
                    mended.push_str(&raw[*kept..i]);
                    mended.push('\u{FFFD}');
                    *kept = i + 6;
                }
                i += 6;
            }
            b'\\' => i += 2,
            _ => i += 1,
        }
    }
}

/// The UTF-16 code unit of the escape `\uXXXX` that starts at `i`.
fn code_unit(raw: &str, i: usize) -> u32 {
    raw.get(i + 2..i + 6)
        .and_then(|hex| u32::from_str_radix(hex, 16).ok())
        .unwrap_or(0)
}

/// The size of a number's exponent, if it is not too large.
fn exponent(number: &str) -> Result<u32, Unreadable> {
    let Some((_, exponent)) = number.split_once(['e', 'E']) else {
        return Ok(0);
    };
    match exponent.trim_start_matches(['+', '-']).parse::<u32>() {
        Ok(exponent) if exponent <= MOST_EXPONENT => Ok(exponent),
        _ => Err(Unreadable("a number has an exponent beyond 1000")),
    }
}

/// Leaves out every member whose key `is_secret`, at any depth within the object's
/// field `field`, and keeps all other bytes. Text that is not an object is
/// returned as it is.
pub fn without<'a>(raw: &'a str, field: &str, is_secret: impl Fn(&str) -> bool) -> Cow<'a, str> {
    let Ok(Members(members)) = serde_json::from_str(raw) else {
        return Cow::Borrowed(raw);
    };
    let mut out = String::new();
    let mut kept = 0;
    for value in members.iter().filter(|(Key(key), _)| key == field) {
        let value = value.1.get();
        // The value is a part of `raw`.
        let start = value.as_ptr() as usize - raw.as_ptr() as usize;
        out.push_str(&raw[kept..start]);
        without_members(value, &is_secret, &mut out);
        kept = start + value.len();
    }
    out.push_str(&raw[kept..]);
    if out.len() == raw.len() {
        return Cow::Borrowed(raw);
    }
    Cow::Owned(out)
}

/// An object's members as they stand, including those whose key is there twice.
struct Members<'a, Key>(Vec<(Key, &'a RawValue)>);

impl<'de, Key: Deserialize<'de>> Deserialize<'de> for Members<'de, Key> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit<Key>(PhantomData<Key>);
        impl<'de, Key: Deserialize<'de>> Visitor<'de> for Visit<Key> {
            type Value = Members<'de, Key>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Visit(PhantomData))
    }
}

/// A key as text, with lone surrogates replaced.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl Visitor<'_> for Visit {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Ok(Key(String::from_utf8_lossy(bytes).into_owned()))
            }
        }
        deserializer.deserialize_bytes(Visit)
    }
}

fn without_members(raw: &str, is_secret: impl Fn(&str) -> bool, out: &mut String) {
    let bytes = raw.as_bytes();
    let blanks = |i: usize| {
        let blank = |b: &&u8| b.is_ascii_whitespace();
        i + bytes[i.min(bytes.len())..].iter().take_while(blank).count()
    };
    // For each open bracket, whether it is an object's.
    let mut open: Vec<bool> = Vec::new();
    let mut at_key = false;
    let (mut i, mut kept) = (0, 0);
    while i < bytes.len() {
        match bytes[i] {
            bracket @ (b'{' | b'[') => {
                open.push(bracket == b'{');
                at_key = bracket == b'{';
                i += 1;
            }
            b'}' | b']' => {
                open.pop();
                at_key = false;
                i += 1;
            }
            b',' => {
                at_key = open.last() == Some(&true);
                i += 1;
            }
            b'"' => {
                let end = string_end(bytes, i);
                let key: Option<String> = serde_json::from_str(&raw[i..end]).ok();
                if !std::mem::replace(&mut at_key, false) || !key.is_some_and(|key| is_secret(&key))
                {
                    i = end;
                    continue;
                }
                out.push_str(&raw[kept..i]);
                let value = blanks(blanks(end) + 1);
                i = blanks(value_end(bytes, value));
                if bytes.get(i) == Some(&b',') {
                    i = blanks(i + 1);
                    at_key = true;
                } else if out.trim_end().ends_with(',') {
                    // With the last member goes the comma before it.
                    out.truncate(out.trim_end().len() - 1);
                }
                kept = i;
            }
            _ => i += 1,
        }
    }
    out.push_str(&raw[kept..]);
}

/// The index after the string that starts at `start`.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut i = start + 1;
    while i < bytes.len() {
        match bytes[i] {
            b'"' => return i + 1,
            b'\\' => i += 2,
            _ => i += 1,
        }
    }
    bytes.len()
}

/// The index after the value that starts at `start`.
fn value_end(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut i = start;
    while i < bytes.len() {
        match bytes[i] {
            b'"' => i = string_end(bytes, i),
            b'{' | b'[' => {
                depth += 1;
                i += 1;
            }
            b'}' | b']' if depth > 0 => {
                depth -= 1;
                i += 1;
            }
            // A number, `true`, `false` or `null` ends at what follows it.
            b'}' | b']' | b',' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => return i,
            _ => {
                i += 1;
                continue;
            }
        }
        if depth == 0 {
            return i;
        }
    }
    i
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_jsonb_refuses_is_mended_at_any_depth() {
        let check =
            |raw: &str, expected: &str| assert_eq!(storable(raw).unwrap(), expected, "{raw}");
        check(r#"{"a":"x\u0000y"}"#, "{\"a\":\"x\u{FFFD}y\"}");
        check(
            r#"{"a":[{"\u0000":"\u0000"}]}"#,
            "{\"a\":[{\"\u{FFFD}\":\"\u{FFFD}\"}]}",
        );
        check(r#"{"a":"\\u0000"}"#, r#"{"a":"\\u0000"}"#);
        check(r#"{"a":"\\\u0000"}"#, "{\"a\":\"\\\\\u{FFFD}\"}");
        check(r#""\ud800""#, "\"\u{FFFD}\"");
        check(r#""\udc00\ud800""#, "\"\u{FFFD}\u{FFFD}\"");
        check(r#""\ud800\u0041""#, "\"\u{FFFD}\\u0041\"");
        check(r#""\ud83d\ude00""#, r#""\ud83d\ude00""#);
        check(r#""\"\u0000""#, "\"\\\"\u{FFFD}\"");
    }

    #[test]
    fn storable_text_is_kept_byte_for_byte() {
        let raw = r#"{ "n":123456789012345678901234567890, "e":1e400,"é":"\u00e9"}"#;
        assert!(matches!(storable(raw), Ok(Cow::Borrowed(kept)) if kept == raw));
    }

    #[test]
    fn secret_members_are_left_out_and_all_else_is_kept() {
        let check = |identities: &str, expected: &str| {
            let raw = format!(r#"{{ "n":1e400, "i": {identities} , "token":1}}"#);
            let expected = format!(r#"{{ "n":1e400, "i": {expected} , "token":1}}"#);
            assert_eq!(without(&raw, "i", |key| key == "token"), expected);
        };
        check(r#"[{"token":"x"}]"#, "[{}]");
        check(
            r#"[{"a":1,"token":{"b":["}",{}]},"c":2}]"#,
            r#"[{"a":1,"c":2}]"#,
        );
        check(r#"[{"a" : 1.50 , "token" : "\"}" }]"#, r#"[{"a" : 1.50 }]"#);
        check(r#"[{"token":1,"to\u006ben":[1, 2] }]"#, "[{}]");
        check(
            r#"[{"a":{"token":null , "b":"token"}},"token",{"token":true}]"#,
            r#"[{"a":{"b":"token"}},"token",{}]"#,
        );
        check(r#"["token"]"#, r#"["token"]"#);
        check("null", "null");
        check("-1", "-1");
        assert_eq!(without("[1", "i", |_| true), "[1");
    }

    #[test]
    fn a_key_that_stands_twice_or_is_no_text_hides_no_secret() {
        let check = |raw: &str, expected: &str| {
            assert_eq!(without(raw, "i", |key| key == "token"), expected);
        };
        check(
            r#"{"i":{"token":1},"\ud800":2,"i":[{"token":3}]}"#,
            r#"{"i":{},"\ud800":2,"i":[{}]}"#,
        );
        check(
            r#"{"\u0069":{"\udc00":1,"token":2}}"#,
            r#"{"\u0069":{"\udc00":1}}"#,
        );
    }

    #[test]
    fn a_number_that_unfolds_without_bound_is_refused() {
        let refused = Err(Unreadable("a number has an exponent beyond 1000"));
        assert_eq!(storable("[1e1001]"), refused);
        assert_eq!(storable("[1E-99999999999999999999]"), refused);
        assert_eq!(storable("[1"), Err(Unreadable("not JSON")));
        assert!(storable(r#"["1e1001"]"#).is_ok());
    }

    #[test]
    fn many_numbers_that_unfold_are_refused_together() {
        let many = |count| format!("[{}1]", "1e1000,".repeat(count));
        assert!(storable(&many(1000)).is_ok());
        assert_eq!(
            storable(&many(1100)),
            Err(Unreadable("the numbers have too many large exponents"))
        );
    }

    #[test]
    fn deep_nesting_overflows_no_stack() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(storable(&deep).is_ok());
        assert_eq!(print_jsonb(&deep, &mut String::new()), None);
    }
}
