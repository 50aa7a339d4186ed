//! JSON as text: what is mended, printed and compared, against the oracle. NUL parts two texts
//! that are compared.

use shared::json::{Fields, print_jsonb, same, storable, without};
use shared::profile::{Columns, Profile};

use crate::oracle::{Tree, tree};
use crate::providers::{check_profile, check_reason};

/// Deeper than the printer goes.
const DEPTH: usize = 100;

pub(crate) fn run(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let texts = [parts.next(), parts.next()].map(|part| {
        let part = part.unwrap_or_default();
        std::str::from_utf8(part).ok()
    });
    for text in texts.into_iter().flatten() {
        check_text(text);
    }
    if let [Some(a), Some(b)] = texts
        && let (Some(meant), Some(other)) = (tree(a, DEPTH), tree(b, DEPTH))
        && same(a, b)
    {
        assert_eq!(meant, other, "{a:?} is not the same as {b:?}");
    }
}

fn check_text(text: &str) {
    let valid = serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok();
    let stored = match storable(text) {
        Ok(stored) => stored,
        Err(unreadable) => {
            assert_eq!(!valid, unreadable.0 == "not JSON");
            return check_reason(unreadable.0);
        }
    };
    assert!(valid, "stored what is not JSON");
    assert_eq!(storable(&stored).as_deref(), Ok(&*stored), "mended twice");
    check_printed(&stored, tree(text, DEPTH));
    if let Ok(fields) = Fields::of(&stored) {
        check_fields(&fields);
    }
    let left = without(text, "a", |key| key == "t");
    assert!(left.len() <= text.len());
    assert!(serde_json::from_str::<&serde_json::value::RawValue>(&left).is_ok());
    check_profiles(text);
}

/// The oracle mends by itself: what was mended and printed must mean the same.
fn check_printed(stored: &str, meant: Option<Tree>) {
    let mut printed = String::new();
    let is_printed = print_jsonb(stored.trim_matches([' ', '\t', '\n', '\r']), &mut printed);
    if let Some(meant) = &meant {
        assert_eq!(
            tree(stored, DEPTH).as_ref(),
            Some(meant),
            "mended {stored:?}"
        );
    }
    if is_printed.is_none() {
        return;
    }
    // Too deep for the oracle, and still printed, is only what a later key of the same name hides.
    let shown = tree(&printed, DEPTH);
    assert!(shown.is_some(), "printed {stored:?}");
    if meant.is_some() {
        assert_eq!(shown, meant, "printed {stored:?} as {printed:?}");
    }
    assert!(!printed.contains('\0'));
    let mut again = String::new();
    assert_eq!(print_jsonb(&printed, &mut again), Some(()));
    assert_eq!(again, printed, "printed twice");
}

fn check_fields(fields: &Fields<'_>) {
    for (key, value) in fields.all() {
        let _ = (fields.get(key), fields.string(key), fields.text(key));
        let _ = (fields.object(key).is_some(), fields.array(key).is_some());
        for at in [fields.millis(key), fields.time(key)].into_iter().flatten() {
            assert!(at.to_rfc3339().len() > 10, "{value}");
        }
    }
}

fn check_profiles(text: &str) {
    let read = Profile::from_json(text, |fields| Columns {
        id: fields.string("id"),
        name: fields.string("a"),
        email: fields.text("b"),
        created_at: fields.millis("t"),
        version: fields.time("v"),
    });
    match read {
        Ok(profile) => check_profile(&profile),
        Err(unreadable) => check_reason(unreadable.0),
    }
}
