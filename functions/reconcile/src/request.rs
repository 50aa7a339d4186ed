//! What an invocation asks for.

use serde_json::Value;

/// An invocation's event, understood.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Report what would change, and write nothing.
    pub dry_run: bool,
    /// How many users this run may tombstone, if a person said so.
    pub max_deletes: Option<i64>,
    /// What to learn from.
    pub mode: Mode,
}

/// What a run learns from.
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
    /// Reads the event: a scheduled one, `{}`, or one with fields of ours.
    /// A field that is misspelt must not be passed over: `max_delete` would
    /// leave the brake off its mark, `dryrun` would write.
    pub fn read(event: &Value) -> Result<Self, String> {
        let fields = match event {
            Value::Null => return Ok(Self::default()),
            Value::Object(fields) => fields,
            _ => return Err("the event is not a JSON object".to_owned()),
        };
        if fields.contains_key("detail-type") {
            return Ok(Self::default());
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
                _ => {
                    return Err(
                        "the event has a field that is none of dry_run, max_deletes, mode"
                            .to_owned(),
                    );
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(event: Value, dry_run: bool, max_deletes: Option<i64>) {
        let expected = Request {
            dry_run,
            max_deletes,
            mode: Mode::Listing,
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
    fn what_is_not_understood_is_refused() {
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
}
