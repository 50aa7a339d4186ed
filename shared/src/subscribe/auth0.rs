//! Auth0's event streams. Deliveries carry a token that we make up.
//! Source: <https://auth0.com/docs/api/management/v2/event-streams>.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{EVENTS, Step, Wanted, Ways};
use crate::exchange::{AnswerError, Request};
use crate::provider::{Api, encoded};

pub(super) const WAYS: Ways = Ways {
    name: "auth0",
    request,
    read,
    advice: |status, _| match status {
        403 => Some(
            "grant the application (provider.client_id, provider.client_secret) \
             read:event_streams, create:event_streams and update:event_streams on the Auth0 \
             Management API, and check that the tenant's plan includes event streams; or make \
             the stream in Auth0's dashboard",
        ),
        404 => Some("the tenant has no event streams: check that its plan includes them"),
        _ => None,
    },
};

const STREAMS: &str = "/api/v2/event-streams";

#[derive(Deserialize)]
struct List {
    #[serde(rename = "eventStreams")]
    streams: Vec<Stream>,
}

#[derive(Deserialize)]
struct Stream {
    id: String,
    destination: Option<Value>,
}

fn request(api: &Api, wanted: &Wanted, step: &Step) -> Request {
    match step {
        Step::Renew(id) | Step::Remove(id) => api.send(
            Method::PATCH,
            &format!("{STREAMS}/{}", encoded(id)),
            &stream(wanted),
        ),
        Step::Create => api.send(Method::POST, STREAMS, &stream(wanted)),
        Step::List | Step::Done(_) => api.get(&format!("{STREAMS}?take=100")),
    }
}

/// A stream as it is to be.
fn stream(wanted: &Wanted) -> Value {
    let subscriptions = EVENTS.map(|event| json!({ "event_type": event }));
    json!({
        "name": "users-sync",
        "subscriptions": subscriptions,
        "destination": {
            "type": "webhook",
            "configuration": {
                "webhook_endpoint": wanted.url,
                "webhook_authorization": {
                    "method": "bearer",
                    "token": wanted.token.as_deref().unwrap_or_default(),
                },
            },
        },
        "status": "enabled",
    })
}

fn read(wanted: &Wanted, step: &Step, text: &str) -> Result<Step, AnswerError> {
    let garbled = |_| AnswerError::Garbled("the answer is not a list of event streams");
    match step {
        Step::Create | Step::Renew(_) | Step::Remove(_) => Ok(Step::Done(None)),
        Step::List | Step::Done(_) => {
            // A tenant in early access has a bare list.
            let streams = match text.trim_start().starts_with('[') {
                true => serde_json::from_str(text).map_err(garbled)?,
                false => serde_json::from_str::<List>(text).map_err(garbled)?.streams,
            };
            let ours = streams
                .into_iter()
                .find(|stream| stream.sends_to(&wanted.url));
            Ok(ours.map_or(Step::Create, |stream| Step::Renew(stream.id)))
        }
    }
}

impl Stream {
    fn sends_to(&self, url: &str) -> bool {
        let endpoint = self
            .destination
            .as_ref()
            .and_then(|destination| destination["configuration"]["webhook_endpoint"].as_str());
        endpoint == Some(url)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Asked, check};
    use super::*;

    const URL: &str = "https://example.com/webhooks";

    fn settings() -> Value {
        json!({"name": "auth0", "domain": "t.eu.auth0.com", "client_id": "i",
            "client_secret": "s", "webhook_token": "a token of some length"})
    }

    fn first() -> Asked {
        Asked::new("GET", "/api/v2/event-streams?take=100", json!(null))
    }

    fn wanted() -> Value {
        json!({
            "name": "users-sync",
            "subscriptions": [{"event_type": "user.created"}, {"event_type": "user.updated"},
                {"event_type": "user.deleted"}],
            "destination": {"type": "webhook", "configuration": {
                "webhook_endpoint": URL,
                "webhook_authorization": {"method": "bearer", "token": "a token of some length"},
            }},
            "status": "enabled",
        })
    }

    /// As the API documents it; the token is never shown.
    fn shown(url: &str) -> Value {
        json!({
            "id": "est_1", "name": "users-sync", "subscriptions": [{"event_type": "user.created"}],
            "destination": {"type": "webhook", "configuration": {
                "webhook_endpoint": url, "webhook_authorization": {"method": "bearer"}}},
            "status": "disabled", "created_at": "2026-01-15T12:00:00.000Z",
            "updated_at": "2026-01-15T12:00:00.000Z",
        })
    }

    const TOKEN: Option<&str> = Some("a token of some length");

    #[test]
    fn a_stream_is_made_where_there_is_none() {
        let aws =
            json!({"id": "est_2", "destination": {"type": "eventbridge", "configuration": {}}});
        for listed in [
            json!({"eventStreams": []}),
            json!([]),
            json!({"eventStreams": [aws, shown("https://example.com/other")]}),
        ] {
            let create = Asked::new("POST", "/api/v2/event-streams", wanted());
            let steps = [
                (first(), 200, listed.to_string()),
                (create, 201, shown(URL).to_string()),
            ];
            assert_eq!(check(settings(), URL, TOKEN, &steps), Ok(None));
        }
    }

    #[test]
    fn the_stream_that_there_is_gets_the_token_and_is_switched_on() {
        for listed in [json!({"eventStreams": [shown(URL)]}), json!([shown(URL)])] {
            let renew = Asked::new("PATCH", "/api/v2/event-streams/est_1", wanted());
            let steps = [
                (first(), 200, listed.to_string()),
                (renew, 200, shown(URL).to_string()),
            ];
            assert_eq!(check(settings(), URL, TOKEN, &steps), Ok(None));
        }
    }

    #[test]
    fn a_permission_that_is_missing_is_named() {
        let refused = r#"{"statusCode":403,"error":"Forbidden","errorCode":"insufficient_scope","message":"hidden"}"#;
        let steps = [(first(), 403, refused.into())];
        let said = check(settings(), URL, TOKEN, &steps).unwrap_err();
        assert!(said.contains("create:event_streams"), "{said}");
        assert!(!said.contains("hidden"), "{said}");
    }
}
