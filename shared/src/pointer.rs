//! JSON Pointers (RFC 6901), and JSON text without what they name.
//!
//! Invariants: what a pointer names is gone in every spelling, whether its keys
//! are escaped or stand there more than once; all other members and items stay
//! as they were written; and what is left is left as it is the next time.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::json;

/// The parts that a pointer may have. Nothing is taken out without a recursion
/// for each.
const MOST_PARTS: usize = 100;

/// One pointer: the keys and places that lead to what it names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pointer(Vec<String>);

impl Pointer {
    /// Reads a pointer, or says what is wrong with it.
    fn parse(text: &str) -> Result<Self, &'static str> {
        let Some(parts) = text.strip_prefix('/') else {
            return Err("is not a JSON Pointer (RFC 6901): it has to begin with /");
        };
        let parts: Vec<&str> = parts.split('/').collect();
        if parts.len() > MOST_PARTS {
            return Err("is a JSON Pointer of more than 100 parts");
        }
        let read = |part: &&str| {
            let mut rest = part.split('~');
            let begun = rest.next().unwrap_or_default();
            // ~01 means ~1: so the characters after each ~ are read once.
            let escaped = |key: String, rest: &str| match rest.as_bytes().first() {
                Some(b'0') => Some(format!("{key}~{}", &rest[1..])),
                Some(b'1') => Some(format!("{key}/{}", &rest[1..])),
                _ => None,
            };
            // As a profile's keys are mended before they are stored.
            let mended = begun.replace('\0', "\u{FFFD}");
            let mut rest = rest.map(|part| part.replace('\0', "\u{FFFD}"));
            rest.try_fold(mended, |key, rest| escaped(key, &rest))
        };
        let parts: Option<Vec<String>> = parts.iter().map(read).collect();
        parts
            .map(Self)
            .ok_or("is not a JSON Pointer (RFC 6901): after ~ there has to be 0 or 1")
    }
}

/// The pointers to all that is taken out.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Pointers(Vec<Pointer>);

impl Pointers {
    /// Reads pointers; an error comes with the place of the one it is about.
    pub fn parse(texts: &[String]) -> Result<Self, (usize, &'static str)> {
        let pointers = texts.iter().enumerate();
        let pointers = pointers.map(|(place, text)| {
            let pointer = Pointer::parse(text);
            pointer.map_err(|problem| (place, problem))
        });
        pointers.collect::<Result<_, _>>().map(Self)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first one into this member of an object, by its place.
    pub fn leading_into(&self, key: &str) -> Option<usize> {
        let leads_there = |pointer: &Pointer| pointer.0.first().is_some_and(|part| part == key);
        self.0.iter().position(leads_there)
    }

    /// The same pointers, from where these keys lead to them.
    #[must_use]
    pub fn below(&self, keys: &[&str]) -> Self {
        let keys = keys.iter().map(|key| (*key).to_owned());
        let longer = |pointer: &Pointer| {
            let parts = keys.clone().chain(pointer.0.iter().cloned());
            Pointer(parts.collect())
        };
        Self(self.0.iter().map(longer).collect())
    }

    /// Each pointer's parts.
    pub fn parts(&self) -> impl Iterator<Item = &[String]> {
        self.0.iter().map(|pointer| pointer.0.as_slice())
    }

    /// JSON text without what is named. In an array, `null` takes its place: were
    /// it left out, another item would be named then.
    pub fn without<'a>(&self, raw: &'a str) -> Cow<'a, str> {
        let value: Option<&RawValue> = serde_json::from_str(raw).ok();
        let named: Vec<&[String]> = self.parts().collect();
        let left = value.and_then(|value| without(value.get(), &named));
        left.map_or(Cow::Borrowed(raw), Cow::Owned)
    }
}

impl fmt::Debug for Pointers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pointers({})", self.0.len())
    }
}

/// Whether these keys lead to objects and to nothing else, wherever they stand.
pub fn leads_to_objects(raw: &str, keys: &[&str]) -> bool {
    let Some(Entries(entries)) = entries(raw) else {
        return false;
    };
    let Some((key, rest)) = keys.split_first() else {
        return true;
    };
    let mut values = entries.iter().filter(|(name, _)| text(name) == *key);
    let mut leads = |(_, value): &(&RawValue, &RawValue)| leads_to_objects(value.get(), rest);
    values.next().is_some_and(&mut leads) && values.all(&mut leads)
}

/// A value without what is named in it; `None` if it has nothing of that.
fn without(raw: &str, named: &[&[String]]) -> Option<String> {
    let mut left = Left::default();
    if raw.starts_with('{') {
        let Entries(entries) = entries(raw)?;
        for (key, value) in entries {
            left.add(Some(key.get()), value.get(), &below(named, &text(key)));
        }
        return left.within('{', '}');
    }
    if raw.starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
        for (place, item) in items.iter().enumerate() {
            // The one spelling of a place: without a sign, or zeros before it.
            left.add(None, item.get(), &below(named, &place.to_string()));
        }
        return left.within('[', ']');
    }
    None
}

/// The places that are named within the part of this name.
fn below<'a>(named: &[&'a [String]], name: &str) -> Vec<&'a [String]> {
    let within = named.iter().filter_map(|parts| parts.split_first());
    within
        .filter_map(|(first, rest)| (first == name).then_some(rest))
        .collect()
}

/// The remaining members of an object, or items of an array.
#[derive(Default)]
struct Left {
    written: String,
    changed: bool,
}

impl Left {
    fn add(&mut self, key: Option<&str>, value: &str, named: &[&[String]]) {
        let whole = named.iter().any(|parts| parts.is_empty());
        let left = match (whole, key) {
            (true, Some(_)) => {
                self.changed = true;
                return;
            }
            (true, None) => (value != "null").then(|| "null".to_owned()),
            (false, _) if named.is_empty() => None,
            (false, _) => without(value, named),
        };
        self.changed |= left.is_some();
        if !self.written.is_empty() {
            self.written.push(',');
        }
        if let Some(key) = key {
            self.written.push_str(key);
            self.written.push(':');
        }
        self.written.push_str(left.as_deref().unwrap_or(value));
    }

    fn within(self, open: char, close: char) -> Option<String> {
        let written = self.written;
        self.changed.then(|| format!("{open}{written}{close}"))
    }
}

/// An object's members as they stand, those of a repeated key included.
struct Entries<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Visit)
    }
}

fn entries(raw: &str) -> Option<Entries<'_>> {
    serde_json::from_str(raw).ok()
}

/// A key as it would be stored.
fn text(key: &RawValue) -> String {
    let mended = json::storable(key.get()).unwrap_or(Cow::Borrowed(key.get()));
    serde_json::from_str(&mended).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(texts: &[&str]) -> Pointers {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        Pointers::parse(&texts).unwrap()
    }

    fn check(texts: &[&str], raw: &str, expected: &str) {
        assert_eq!(pointers(texts).without(raw), expected, "{texts:?} {raw}");
        assert_eq!(pointers(texts).without(expected), expected, "{texts:?}");
    }

    #[test]
    fn what_is_named_is_gone_and_all_else_is_as_it_was() {
        check(
            &["/b"],
            r#"{"a":1.50,"b":{"c":[1,2]},"n":1e400}"#,
            r#"{"a":1.50,"n":1e400}"#,
        );
        check(&["/a/b"], r#"{"a":{"b":1,"c": 2}}"#, r#"{"a":{"c":2}}"#);
        check(&["/a"], r#"{"a":null}"#, "{}");
        check(&["/a", "/a/b", "/a"], r#"{"a":{"b":1}}"#, "{}");
        check(&["/a/b", "/a/c"], r#"{"a":{"b":1,"c":2}}"#, r#"{"a":{}}"#);
        check(&["/"], r#"{"":1,"a":2}"#, r#"{"a":2}"#);
        check(&["//"], r#"{"":{"":1,"a":2}}"#, r#"{"":{"a":2}}"#);
        check(&["/é"], r#"{"\u00e9":1,"é":2,"x":3}"#, r#"{"x":3}"#);
        check(&["/0"], r#"{"0":1,"00":2}"#, r#"{"00":2}"#);
    }

    #[test]
    fn a_key_is_found_in_every_spelling_and_as_often_as_it_stands_there() {
        let raw = r#"{"a":1,"\u0061":2,"b":3,"a":{"a":4}}"#;
        check(&["/a"], raw, r#"{"b":3}"#);
        check(&["/a/a"], raw, r#"{"a":1,"\u0061":2,"b":3,"a":{}}"#);
        check(
            &["/a~1b"],
            r#"{"a/b":1,"a\/b":2,"a":{"b":3}}"#,
            r#"{"a":{"b":3}}"#,
        );
        check(&["/m~0n"], r#"{"m~n":1,"m~0n":2}"#, r#"{"m~0n":2}"#);
        check(&["/~01"], r#"{"~1":1,"/":2}"#, r#"{"/":2}"#);
        check(&["/~10"], r#"{"/0":1,"~10":2}"#, r#"{"~10":2}"#);
        check(&["/k\"l"], r#"{"k\"l":1,"k":2}"#, r#"{"k":2}"#);
        check(&["/i\\j"], r#"{"i\\j":1,"k":2}"#, r#"{"k":2}"#);
        check(&["/\u{1f600}"], r#"{"\ud83d\ude00":1,"k":2}"#, r#"{"k":2}"#);
        // As it is stored.
        for pointer in ["/a\0b", "/a\u{FFFD}b"] {
            let raw = "{\"a\\u0000b\":1,\"a\u{FFFD}b\":2,\"a\\ud800b\":3,\"k\":4}";
            check(&[pointer], raw, r#"{"k":4}"#);
        }
    }

    #[test]
    fn an_item_leaves_its_place() {
        let raw = r#"{"a":[1,[2],{"b":3},4]}"#;
        check(&["/a/0", "/a/2"], raw, r#"{"a":[null,[2],null,4]}"#);
        let raw = r#"{"a":[{"b":1},{"b":2,"c":3}]}"#;
        check(&["/a/1/b"], raw, r#"{"a":[{"b":1},{"c":3}]}"#);
        check(&["/a/0"], r#"{"a":[1]}"#, r#"{"a":[null]}"#);
        check(&["/0"], "[1,2]", "[null,2]");
        let nothing = ["-", "-1", "01", "+1", "3", "b", " 1", "1e0", ""];
        for place in nothing {
            let raw = r#"{"a":[1,2,3]}"#;
            check(&[&format!("/a/{place}")], raw, raw);
        }
    }

    #[test]
    fn where_nothing_is_named_not_a_byte_changes() {
        for raw in [
            r#" { "a" : 1 , "b":[ ] } "#,
            r#"{"x":{"y":1}}"#,
            "17",
            "null",
            r#""/x/z""#,
            "[1",
            "",
        ] {
            assert!(matches!(pointers(&["/x/z"]).without(raw), Cow::Borrowed(kept) if kept == raw));
        }
        assert_eq!(pointers(&[]).without(r#"{"a":1}"#), r#"{"a":1}"#);
    }

    #[test]
    fn deep_nesting_overflows_no_stack() {
        let deep =
            |open: &str, close: &str| format!("{}1{}", open.repeat(50_000), close.repeat(50_000));
        let raw = format!(
            r#"{{"a":{},"b":{}}}"#,
            deep("[", "]"),
            deep(r#"{"a":"#, "}")
        );
        assert_eq!(pointers(&["/a", "/b"]).without(&raw), "{}");
        let longest = "/a".repeat(MOST_PARTS);
        assert!(pointers(&[&longest]).without(&raw).len() == raw.len());
        let below = format!("/b{}", "/a".repeat(MOST_PARTS - 1));
        assert!(pointers(&[&below]).without(&raw).len() < raw.len());
    }

    #[test]
    fn what_is_no_pointer_is_refused_with_its_place() {
        let check = |text: &str, expected: &str| {
            let texts = ["/a".to_owned(), text.to_owned()];
            let (place, problem) = Pointers::parse(&texts).unwrap_err();
            assert_eq!(place, 1);
            assert!(problem.contains(expected), "{text}: {problem}");
        };
        for text in ["", "a", "a/b", "#/a", "$.a", " /a"] {
            check(text, "begin with /");
        }
        for text in ["/~", "/a~", "/~2", "/a~b", "/~~0", "/a/~/b"] {
            check(text, "0 or 1");
        }
        check(&"/a".repeat(MOST_PARTS + 1), "more than 100 parts");
    }

    #[test]
    fn keys_lead_to_objects_only_if_all_that_they_name_are_objects() {
        let check = |raw: &str, expected: bool| {
            assert_eq!(leads_to_objects(raw, &["data", "user"]), expected, "{raw}");
        };
        check(r#"{"data":{"user":{}}}"#, true);
        check(r#"{"d\u0061ta":{"user":{"a":1}},"x":2}"#, true);
        check(r#"{"data":{"user":{}},"data":{"user":{}}}"#, true);
        check(r#"{"data":{"user":[]},"data":{"user":{}}}"#, false);
        check(r#"{"data":{"user":{}},"data":"{}"}"#, false);
        check(r#"{"data":{}}"#, false);
        check(r#"{"user":{}}"#, false);
        check("[]", false);
        assert!(leads_to_objects("{}", &[]));
        assert!(!leads_to_objects("null", &[]));
    }
}
