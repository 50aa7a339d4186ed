//! The fields of a JSON object.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::scan::Scan;
use super::{Unreadable, mend};
use crate::time::At;

const NO_OBJECT: Unreadable = Unreadable("not a JSON object");

/// More fields than most profiles have.
const MANY: usize = 48;

/// The fields of a JSON object. If a key is there twice, the last one counts, as
/// in `jsonb`.
///
/// A field is looked for from the last one on, which costs less than to put a
/// few dozen of them in order, as long as only a few are asked for.
/// [`Fields::all`] is for a caller that needs more.
pub struct Fields<'a> {
    json: &'a str,
    fields: Vec<(Cow<'a, str>, &'a str)>,
    /// See [`Scan::plain`].
    plain: bool,
}

impl<'a> Fields<'a> {
    /// Reads the fields of `raw`, which must be an object.
    pub fn of(raw: &'a str) -> Result<Self, Unreadable> {
        let json: Result<&RawValue, _> = serde_json::from_str(raw);
        Self::known(json.map_err(|_| NO_OBJECT)?.get())
    }

    /// The same for bytes, which must be UTF-8.
    pub fn of_bytes(raw: &'a [u8]) -> Result<Self, Unreadable> {
        Self::of(std::str::from_utf8(raw).map_err(|_| Unreadable("not UTF-8"))?)
    }

    /// The same for text that is known to be JSON: this costs half as much.
    pub(crate) fn known(json: &'a str) -> Result<Self, Unreadable> {
        Self::scan(json).ok_or(NO_OBJECT)
    }

    fn scan(json: &'a str) -> Option<Self> {
        let mut scan = Scan::new(json);
        let mut fields = Vec::with_capacity(MANY);
        scan.pass_blanks();
        if scan.peek()? != b'{' {
            return None;
        }
        scan.pass_mark();
        while scan.peek()? != b'}' {
            let key = scan.key()?.text()?;
            fields.push((key, scan.value()?));
            scan.pass_comma();
        }
        Some(Self {
            json,
            fields,
            plain: scan.plain,
        })
    }

    /// The object's own text, mended as [`super::storable`] does it.
    pub fn storable(&self) -> Result<Cow<'a, str>, Unreadable> {
        match self.plain {
            true => Ok(Cow::Borrowed(self.json)),
            false => mend(self.json),
        }
    }

    /// The field's JSON text, unless it is missing or null.
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.written(key).filter(|raw| *raw != "null")
    }

    /// The field's JSON text, even if it is null, unless it is missing.
    pub fn written(&self, key: &str) -> Option<&'a str> {
        let mut last_first = self.fields.iter().rev();
        let found = last_first.find(|(other, _)| other == key);
        found.map(|(_, json)| *json)
    }

    /// Every field with its JSON text, nulls included, in the order of their keys.
    pub fn all(&self) -> BTreeMap<&str, &'a str> {
        let fields = self.fields.iter();
        fields.map(|(key, json)| (&**key, *json)).collect()
    }

    /// The field, if it is a string.
    pub fn string(&self, key: &str) -> Option<String> {
        serde_json::from_str(self.get(key)?).ok()
    }

    /// The field, if it is a string with something in it.
    pub fn text(&self, key: &str) -> Option<String> {
        self.string(key).filter(|text| !text.trim().is_empty())
    }

    /// The field, if it is a text that fits into one line of a log.
    pub fn line(&self, key: &str) -> Option<String> {
        self.text(key)
            .filter(|text| !text.contains(char::is_control))
    }

    /// The field, if it is a number of milliseconds since 1970 that a
    /// calendar can show; fractions are cut off at the microsecond.
    pub fn millis(&self, key: &str) -> Option<At> {
        let raw = self.get(key)?;
        if let Ok(millis) = raw.parse::<i64>() {
            return At::from_millis(millis);
        }
        let millis: f64 = serde_json::from_str(raw).ok()?;
        At::from_millis(millis.floor() as i64)?;
        Some(At::from_micros((millis * 1000.0).floor() as i64))
    }

    /// The field, if it is an RFC 3339 time.
    pub fn time(&self, key: &str) -> Option<At> {
        At::from_rfc3339(&self.string(key)?)
    }

    /// The fields of the object in this field.
    pub fn object(&self, key: &str) -> Option<Fields<'a>> {
        Fields::scan(self.get(key)?)
    }

    /// The items of the array in this field.
    pub fn array(&self, key: &str) -> Option<Vec<&'a str>> {
        let items: Vec<&'a RawValue> = serde_json::from_str(self.get(key)?).ok()?;
        Some(items.into_iter().map(RawValue::get).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_keys_the_last_counts() {
        let fields = Fields::of(r#"{"a":1,"a":"last","b":null}"#).unwrap();
        assert_eq!(fields.string("a").as_deref(), Some("last"));
        assert_eq!(fields.get("b"), None);
        assert!(Fields::of("[]").is_err());
    }

    #[test]
    fn milliseconds_are_numbers_that_a_calendar_can_show() {
        let check = |raw: &str| {
            let raw = format!(r#"{{"t":{raw}}}"#);
            Fields::of(&raw).unwrap().millis("t").map(At::as_micros)
        };
        assert_eq!(check("1776902400123"), Some(1_776_902_400_123_000));
        assert_eq!(check("1776902400123.5"), Some(1_776_902_400_123_500));
        assert_eq!(check("-1"), Some(-1000));
        assert_eq!(check("1.5e12"), Some(1_500_000_000_000_000));
        for unreadable in [
            "1e30",
            "-1e30",
            "1e400",
            "null",
            r#""1776902400123""#,
            "true",
            "[]",
        ] {
            assert_eq!(check(unreadable), None, "{unreadable}");
        }
    }

    #[test]
    fn fields_stand_as_they_were_written_whatever_is_around_them() {
        let raw =
            " {\n\"a\" : [1, {\"b\":\"}\\\"]\"}] ,\"c\":-1.5E+3,\"d\":{} ,\"\\u0065\":false\t} ";
        let fields = Fields::of(raw).unwrap();
        let found: Vec<_> = fields.all().into_iter().collect();
        let expected = [
            ("a", r#"[1, {"b":"}\"]"}]"#),
            ("c", "-1.5E+3"),
            ("d", "{}"),
            ("e", "false"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn only_text_that_may_need_it_is_mended() {
        let check = |raw: &str, plain: bool| {
            let fields = Fields::of(raw).unwrap();
            assert_eq!(fields.plain, plain, "{raw}");
            assert_eq!(fields.storable(), mend(raw), "{raw}");
        };
        check(r#"{"e":[1,-2.5,true,false,null,"1e9"],"é":{"e":[]}}"#, true);
        check(r#"{"a":{"b":[1e5]}}"#, false);
        check(r#"{"a":1E1001}"#, false);
        check(r#"{"a":[["\u0000"]]}"#, false);
        check(r#"{"a":{"\ud800b":1}}"#, false);
    }

    #[test]
    fn text_that_is_no_json_after_all_ends_the_reading() {
        for raw in [
            "",
            "{",
            "{\"a",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":t",
            "{\"a\":é",
            "{a:1}",
            "{\"a\":1",
            "{é}",
            "{\"a\":[}",
            "{\"a\":]",
            "{\"\\",
        ] {
            assert!(Fields::known(raw).is_err(), "{raw}");
        }
    }
}
