//! Profiles as fields, each one's bytes as they came.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};

use super::vendor::Fields;

/// A value's JSON.
pub(super) fn raw(value: &(impl Serialize + ?Sized)) -> Box<RawValue> {
    to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// A JSON object's fields; none of what is no object.
pub(super) fn fields(text: &str) -> Fields {
    serde_json::from_str(text).unwrap_or_default()
}

/// The fields as a JSON object.
pub(super) fn text(fields: &Fields) -> String {
    serde_json::to_string(fields).unwrap_or_default()
}

/// A field, if it is there and of this kind.
pub(super) fn get<T: DeserializeOwned>(fields: &Fields, name: &str) -> Option<T> {
    serde_json::from_str(fields.get(name)?.get()).ok()
}

/// A string that is neither missing nor empty.
pub(super) fn filled(fields: &Fields, name: &str) -> Option<String> {
    get(fields, name).filter(|text: &String| !text.is_empty())
}

/// Sets a field.
pub(super) fn set(fields: &mut Fields, name: &str, value: &(impl Serialize + ?Sized)) {
    fields.insert(name.to_owned(), raw(value));
}

/// Whether a field's value is null.
pub(super) fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

/// Merges the object `changes` into the object in the field `name`: its fields are set, those
/// that are null taken away, and nothing below is looked at.
pub(super) fn merge(into: &mut Fields, name: &str, changes: &RawValue) {
    let mut object: Fields = get(into, name).unwrap_or_default();
    for (name, value) in fields(changes.get()) {
        if is_null(&value) {
            object.remove(&name);
        } else {
            object.insert(name, value);
        }
    }
    set(into, name, &object);
}

/// A user's random UUID.
pub(super) fn uuid(random: &mut fastrand::Rng) -> String {
    uuid::Builder::from_random_bytes(random.u128(..).to_be_bytes())
        .into_uuid()
        .to_string()
}
