//! Bad bodies: a good one, with something in it that users, providers or what lies between can
//! put there. By random, the same for the same seed.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// Values as JSON text: each has hurt somebody, or could.
pub fn values() -> Vec<String> {
    let nested = |open: &str, depth: usize, close: &str| {
        format!("{}1{}", open.repeat(depth), close.repeat(depth))
    };
    let mut values: Vec<String> = [
        "null",
        "true",
        "0",
        "-0",
        "-0.00",
        "1.50",
        "1E+2",
        "1e400",
        "-1.5e-999",
        "1e1000",
        "1e1001",
        "1e99999999999999999999",
        "123456789012345678901234567890",
        "-0.123456789012345678901234567890",
        "1e30",
        "-1e30",
        "1776902400123.5",
        "-62135596800001",
        "253402300799999.99",
        "253402300800000",
        "9223372036854775807",
        "-9223372036854775808",
        "18446744073709551616",
        r#""""#,
        r#"" ""#,
        r#""a\u0000b""#,
        r#""a\\u0000b""#,
        r#""\\\u0000""#,
        r#""\ud800""#,
        r#""\udc00\ud800x""#,
        r#""\ud83d\ude00""#,
        r#""\u001f\u007f\u2028\/\b\f""#,
        r#""a\nb""#,
        r#""1776902400123""#,
        r#""2026-01-15T12:00:00.126Z""#,
        r#""9999-12-31T23:59:59.999999Z""#,
        r#""0000-01-01T00:00:00Z""#,
        r#""2026-01-15T12:00:60Z""#,
        r#""2026-01-15""#,
        "{}",
        "[]",
        "[[],{}]",
        r#"{"a":1,"a":{"b":1,"b":2}}"#,
        r#"{"a\u0000":["\u0000"],"\ud800":1}"#,
        r#"{"id":17}"#,
        r#"["x"]"#,
    ]
    .map(str::to_owned)
    .to_vec();
    values.extend([
        format!("\"{}\"", "x".repeat(1025)),
        format!("\"{}\"", "ü|".repeat(3_400)),
        "9".repeat(200),
        nested("[", 65, "]"),
        nested(r#"{"a":"#, 63, "}"),
        nested("[", 10_000, "]"),
        nested(r#"{"a":"#, 10_000, "}"),
        format!("[{}0]", "0,".repeat(5_000)),
        format!("[{}0]", "1e1000,".repeat(2_000)),
    ]);
    values
}

/// Changes a JSON text into another one: somewhere in it stands a bad value, or a key twice, or
/// not at all. `spare` is kept from that: a key whose value has to stay.
pub fn profile(random: &mut fastrand::Rng, text: &str, spare: Option<&str>) -> String {
    let places = places(text, spare);
    let values = values();
    let value = &values[random.usize(..values.len())];
    let Some(place) = (!places.is_empty()).then(|| &places[random.usize(..places.len())]) else {
        return text.to_owned();
    };
    let (before, after) = (&text[..place.start], &text[place.end..]);
    let key = &place.key;
    match random.u8(..6) {
        // Missing, under another name.
        0 if place.key_start > 0 => {
            let (head, tail) = text.split_at(place.key_start + 1);
            format!("{head}_{tail}")
        }
        // Twice; which of the two counts, the last or the first.
        1 if place.key_start > 0 => {
            let (head, tail) = text.split_at(place.key_start);
            format!("{head}\"{key}\":{value},{tail}")
        }
        2 if place.key_start > 0 => format!(
            "{}{},\"{key}\":{value}{after}",
            before,
            &text[place.start..place.end]
        ),
        3 if place.key_start > 0 => {
            let (head, tail) = text.split_at(place.key_start);
            format!("{head}\"new\":{value},{tail}")
        }
        _ => format!("{before}{value}{after}"),
    }
}

/// Changes a body in any way, into one that may be no JSON at all.
pub fn body(random: &mut fastrand::Rng, body: &[u8]) -> Vec<u8> {
    let mut bytes = body.to_vec();
    let at = random.usize(..=bytes.len());
    match random.u8(..10) {
        0 => bytes.truncate(at),
        1 => bytes.extend_from_slice(b"}garbage"),
        2 => bytes.splice(..0, *b"\xef\xbb\xbf").for_each(drop),
        3 => bytes.splice(at..at, [0xff, 0xfe]).for_each(drop),
        4 => bytes.splice(at..at, [0]).for_each(drop),
        5 if at < bytes.len() => bytes[at] = random.u8(..),
        _ => {
            if let Ok(text) = std::str::from_utf8(body) {
                bytes = profile(random, text, None).into_bytes();
            }
        }
    }
    bytes
}

/// Where a value stands, and its key.
struct Place {
    key: String,
    /// Of the key's opening quote; 0 for items of arrays.
    key_start: usize,
    start: usize,
    end: usize,
}

fn places(text: &str, spare: Option<&str>) -> Vec<Place> {
    let mut places = Vec::new();
    find(text, text, 0, &mut places);
    places.retain(|place| place.key_start > 0 || place.start > 0);
    places.retain(|place| Some(place.key.as_str()) != spare);
    places
}

/// Notes the members of a value, which is a part of the text, and theirs.
fn find(text: &str, value: &str, depth: usize, places: &mut Vec<Place>) {
    if depth > 6 || places.len() > 500 {
        return;
    }
    let offset = |part: &str| part.as_ptr() as usize - text.as_ptr() as usize;
    if let Ok(fields) = serde_json::from_str::<BTreeMap<String, &RawValue>>(value) {
        for (key, member) in fields {
            let start = offset(member.get());
            // Keys are looked up as they are written; one that is escaped is left alone.
            let quoted = format!("\"{key}\"");
            if let Some(key_start) = text[..start].rfind(&quoted) {
                places.push(Place {
                    key,
                    key_start,
                    start,
                    end: start + member.get().len(),
                });
            }
            find(text, member.get(), depth + 1, places);
        }
    } else if let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(value) {
        for item in items {
            let start = offset(item.get());
            places.push(Place {
                key: String::new(),
                key_start: 0,
                start,
                end: start + item.get().len(),
            });
            find(text, item.get(), depth + 1, places);
        }
    }
}
