//! The request of an invocation.

use serde_json::{Map, Value};
use shared::profile::UserId;
use shared::store::Saved;

/// An invocation's event, understood.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Report what would change, and write nothing.
    pub dry_run: bool,
    /// How many users this run may tombstone, if a person said so.
    pub max_deletes: Option<i64>,
    /// The source to learn from.
    pub mode: Mode,
    /// The users to tombstone if the provider doesn't have them, and nothing else
    /// to do: no event asks for this.
    pub(crate) named: Option<Vec<UserId>>,
    /// Of a dry run that a person watches: where it goes on.
    pub(crate) looked: Option<Saved>,
}

/// The source that a run learns from.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The listing of all users, which repairs everything.
    #[default]
    Listing,
    /// The provider's record of events since the last such run: cheap enough
    /// to run often, for providers that keep one.
    Events,
}

impl Request {
    /// Tombstones these users, whom a person has seen and named, as far as the
    /// provider still doesn't have them; and nobody else.
    pub fn tombstoning(named: Vec<UserId>) -> Self {
        Self {
            named: Some(named),
            ..Self::default()
        }
    }

    /// Reports what would change, user by user, however many would be deleted. It goes
    /// on where an earlier such run has left off, if it has.
    pub fn looking(from: Saved) -> Self {
        Self {
            dry_run: true,
            max_deletes: Some(i64::MAX),
            looked: Some(from),
            ..Self::default()
        }
    }

    /// Reads the event: a scheduled one, `{}`, or one with fields of ours.
    /// A field that is misspelt must not be passed over: `max_delete` would
    /// leave the brake off its mark, `dryrun` would write. Nor must one that
    /// stands where none is read.
    pub fn read(event: &Value) -> Result<Self, String> {
        let fields = match event {
            Value::Null => return Ok(Self::default()),
            Value::Object(fields) => fields,
            other => return Err(no_object(other)),
        };
        if fields.contains_key("detail-type") {
            return match within(event) {
                Some(field) => Err(misplaced(
                    field,
                    "an EventBridge event's own fields or detail",
                )),
                None => Ok(Self::default()),
            };
        }
        if let Some(envelope) = envelope(fields) {
            let field = fields.values().find_map(within);
            return Err(field.map_or_else(
                || format!("the event is {envelope}, by which reconcile is not called: {SEND}"),
                |field| misplaced(field, envelope),
            ));
        }
        let mut request = Self::default();
        for (name, value) in fields {
            match (name.as_str(), value) {
                (_, Value::Null) => {}
                ("dry_run", Value::Bool(dry_run)) => request.dry_run = *dry_run,
                ("dry_run", _) => return Err("dry_run is not true or false".to_owned()),
                ("max_deletes", value) => match value.as_i64() {
                    Some(most) if most >= 0 => request.max_deletes = Some(most),
                    _ => return Err("max_deletes is not a whole number from 0 on".to_owned()),
                },
                ("mode", Value::String(mode)) if mode == "events" => request.mode = Mode::Events,
                ("mode", _) => {
                    return Err(
                        "mode is not \"events\": leave it out to walk the listing".to_owned()
                    );
                }
                (_, value) => {
                    let unknown =
                        "the event has a field that is none of dry_run, max_deletes, mode";
                    return Err(match within(value) {
                        Some(field) => format!("{unknown}, and holds {field}: {SEND}"),
                        None => unknown.to_owned(),
                    });
                }
            }
        }
        let of_listings = request.dry_run || request.max_deletes.is_some();
        if request.mode == Mode::Events && of_listings {
            return Err("dry_run and max_deletes are of listings: leave out mode".to_owned());
        }
        Ok(request)
    }
}

/// The event to send instead.
const SEND: &str = "send what you want as the event itself, such as {\"dry_run\": true}; for a \
                    schedule of EventBridge's that is its constant JSON input";

fn no_object(event: &Value) -> String {
    match within(event) {
        Some(field) => misplaced(field, "a text or a list"),
        None => format!("the event is not a JSON object: {SEND}"),
    }
}

fn misplaced(field: &str, place: &str) -> String {
    format!("the event holds {field} in {place}, where it is not looked for: {SEND}")
}

/// The wrapping of the event, if AWS has made it of a message or of an HTTP
/// request.
fn envelope(fields: &Map<String, Value>) -> Option<&'static str> {
    let has = |names: &[&str]| names.iter().any(|name| fields.contains_key(*name));
    if has(&["Records"]) {
        return Some("a message of SNS, SQS or another queue");
    }
    if has(&["requestContext", "httpMethod", "rawPath", "body"]) {
        return Some("an HTTP request");
    }
    None
}

/// The first of our fields that an event holds at any depth, in texts that are
/// JSON, too, and however it is written: `dryRun` means one.
fn within(value: &Value) -> Option<&'static str> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .find_map(|(name, value)| ours(name).or_else(|| within(value))),
        Value::Array(items) => items.iter().find_map(within),
        Value::String(text) if text.contains(['{', '"']) => {
            within(&serde_json::from_str(text).ok()?)
        }
        _ => None,
    }
}

fn ours(name: &str) -> Option<&'static str> {
    let letters = |letter: &char| letter.is_ascii_alphabetic();
    let plain: String = name.chars().filter(letters).collect();
    match plain.to_ascii_lowercase().as_str() {
        "dryrun" => Some("dry_run"),
        "maxdelete" | "maxdeletes" | "maxdeletion" | "maxdeletions" => Some("max_deletes"),
        "mode" => Some("mode"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(event: Value, dry_run: bool, max_deletes: Option<i64>) {
        let expected = Request {
            dry_run,
            max_deletes,
            ..Request::default()
        };
        assert_eq!(Request::read(&event), Ok(expected), "{event}");
    }

    #[test]
    fn an_event_is_scheduled_or_empty_or_ours() {
        check(json!({}), false, None);
        check(json!(null), false, None);
        let scheduled = include_str!("../../../events/lambda/reconcile.scheduled.json");
        check(serde_json::from_str(scheduled).unwrap(), false, None);
        check(json!({"dry_run": true, "max_deletes": 0}), true, Some(0));
        check(json!({"max_deletes": 7}), false, Some(7));
    }

    #[test]
    fn the_record_of_events_is_asked_for_by_its_name() {
        let request = Request::read(&json!({"mode": "events"})).unwrap();
        assert_eq!(request.mode, Mode::Events);
        let null = Request::read(&json!({"mode": null, "dry_run": null})).unwrap();
        assert_eq!(null, Request::default());
    }

    #[test]
    fn an_event_that_is_not_understood_is_refused() {
        for event in [
            json!({"max_delete": 7}),
            json!({"mode": "listing"}),
            json!({"mode": true}),
            json!({"mode": "events", "dry_run": true}),
            json!({"mode": "events", "max_deletes": 0}),
            json!({"max_deletes": -1}),
            json!({"max_deletes": 1.5}),
            json!({"max_deletes": "7"}),
            json!({"dry_run": "true"}),
            json!([]),
        ] {
            assert!(Request::read(&event).is_err(), "{event}");
        }
    }

    /// A scheduled event, as a rule of EventBridge's or its Scheduler makes it.
    fn scheduled(change: impl FnOnce(&mut Value)) -> Value {
        let scheduled = include_str!("../../../events/lambda/reconcile.scheduled.json");
        let mut scheduled = serde_json::from_str(scheduled).unwrap();
        change(&mut scheduled);
        scheduled
    }

    #[test]
    fn an_event_without_fields_of_ours_is_a_schedules_or_anybodys() {
        check(
            scheduled(|event| event["detail"] = json!("{}")),
            false,
            None,
        );
        check(
            scheduled(|event| event["detail"] = json!(null)),
            false,
            None,
        );
        let other = json!({"bucket": {"name": "b"}, "reason": "a \"quoted\" {one}"});
        check(scheduled(|event| event["detail"] = other), false, None);
    }

    #[test]
    fn a_field_that_stands_where_none_is_read_is_named_and_refused() {
        let wanted = || json!({"dry_run": true});
        let text = wanted().to_string();
        let twice = Value::String(text.clone()).to_string();
        for event in [
            scheduled(|event| event["detail"] = wanted()),
            scheduled(|event| event["detail"] = json!({"dryRun": true})),
            scheduled(|event| event["detail"] = json!({"dry-run": null})),
            scheduled(|event| event["detail"] = json!({"input": {"dry_run": false}})),
            scheduled(|event| event["detail"] = json!([{"dry_run": true}])),
            scheduled(|event| event["detail"] = json!(text)),
            scheduled(|event| event["detail"] = json!({"body": text})),
            scheduled(|event| event["dry_run"] = json!(true)),
            json!({"version": "2.0", "rawPath": "/", "requestContext": {}, "body": text}),
            json!({"httpMethod": "POST", "body": text, "isBase64Encoded": false}),
            json!({"body": wanted()}),
            json!({"body": twice}),
            json!({"input": wanted()}),
            json!({"Input": text}),
            json!({"payload": {"input": wanted()}}),
            json!({"Records": [{"body": text}]}),
            json!({"Records": [{"Sns": {"Message": text}}]}),
            json!(text),
            json!([wanted()]),
        ] {
            let refused = Request::read(&event).unwrap_err();
            assert!(refused.contains("dry_run"), "{event}: {refused}");
            assert!(
                refused.contains("as the event itself"),
                "{event}: {refused}"
            );
        }
        for (field, value) in [("max_deletes", json!(7)), ("mode", json!("events"))] {
            let event = scheduled(|event| event["detail"] = json!({field: value}));
            let refused = Request::read(&event).unwrap_err();
            assert!(refused.contains(&format!("holds {field}")), "{refused}");
        }
    }

    #[test]
    fn an_envelope_around_nothing_of_ours_is_refused_too() {
        for event in [
            json!({"Records": []}),
            json!({"rawPath": "/", "requestContext": {}}),
            json!({"body": "hello"}),
            json!("hello"),
            json!(7),
        ] {
            let refused = Request::read(&event).unwrap_err();
            assert!(
                refused.contains("as the event itself"),
                "{event}: {refused}"
            );
            assert!(!refused.contains("hello"), "{refused}");
        }
    }
}
