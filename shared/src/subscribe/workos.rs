//! WorkOS' webhook endpoints. WorkOS makes up the secret and shows it in each
//! answer. Source: <https://workos.com/docs/reference/webhooks>.

use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::{EVENTS, Step, Wanted, Ways};
use crate::exchange::{AnswerError, Request};
use crate::provider::{Api, encoded};

pub(super) const WAYS: Ways = Ways {
    name: "workos",
    request,
    read,
    advice: |status, _| match status {
        403 => Some(
            "the key in provider.api_key may not manage webhooks: allow it to, or make the \
             endpoint on the Webhooks page of WorkOS' dashboard",
        ),
        _ => None,
    },
};

const ENDPOINTS: &str = "/webhook_endpoints";

#[derive(Deserialize)]
struct List {
    data: Vec<Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    id: String,
    endpoint_url: String,
    secret: String,
    status: Option<String>,
    #[serde(default)]
    events: Vec<String>,
}

fn request(api: &Api, wanted: &Wanted, step: &Step) -> Request {
    match step {
        Step::Remove(id) | Step::Renew(id) => {
            api.order(Method::DELETE, &format!("{ENDPOINTS}/{}", encoded(id)))
        }
        Step::Create => {
            let body = json!({ "endpoint_url": wanted.url, "events": EVENTS });
            api.send(Method::POST, ENDPOINTS, &body)
        }
        Step::List | Step::Done(_) => api.get("/webhook_endpoints?limit=100"),
    }
}

fn read(wanted: &Wanted, step: &Step, text: &str) -> Result<Step, AnswerError> {
    let garbled = |_| AnswerError::Garbled("the answer is not a webhook endpoint as WorkOS has it");
    match step {
        Step::Create => {
            let made: Endpoint = serde_json::from_str(text).map_err(garbled)?;
            Ok(Step::Done(Some(made.secret)))
        }
        Step::Remove(_) | Step::Renew(_) => Ok(Step::Create),
        Step::List | Step::Done(_) => {
            let list: List = serde_json::from_str(text).map_err(garbled)?;
            let mut list = list.data.into_iter();
            let ours = list.find(|endpoint| endpoint.endpoint_url == wanted.url);
            Ok(match ours {
                Some(ours) if ours.serves() => Step::Done(Some(ours.secret)),
                Some(ours) => Step::Remove(ours.id),
                None => Step::Create,
            })
        }
    }
}

impl Endpoint {
    /// Whether it sends all that it is to send.
    fn serves(&self) -> bool {
        let sends = |event: &&str| self.events.iter().any(|known| known == *event);
        self.status.as_deref() != Some("disabled") && EVENTS.iter().all(sends)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Asked, check};
    use super::*;

    const URL: &str = "https://example.com/webhooks";
    const MADE: &str = include_str!("../../../events/workos/webhook_endpoint.201.json");

    fn list(endpoints: &[&str]) -> String {
        let endpoints = endpoints.join(",");
        format!(r#"{{"object":"list","data":[{endpoints}],"list_metadata":{{}}}}"#)
    }

    fn settings() -> serde_json::Value {
        json!({"name": "workos", "api_key": "k"})
    }

    fn create() -> Asked {
        Asked::new(
            "POST",
            "/webhook_endpoints",
            json!({"endpoint_url": URL, "events": ["user.created", "user.updated", "user.deleted"]}),
        )
    }

    fn first() -> Asked {
        Asked::new("GET", "/webhook_endpoints?limit=100", json!(null))
    }

    #[test]
    fn an_endpoint_is_made_and_its_secret_taken() {
        let other = MADE.replace(URL, "https://example.com/other");
        let steps = [
            (first(), 200, list(&[&other])),
            (create(), 201, MADE.into()),
        ];
        let signing_secret = check(settings(), URL, None, &steps).unwrap();
        assert_eq!(
            signing_secret.as_deref(),
            Some("whsec_0FWAiVGkEfGBqqsJH4aNAGBJ4")
        );
    }

    #[test]
    fn the_endpoint_that_there_is_serves_on() {
        let steps = [(first(), 200, list(&[MADE]))];
        let signing_secret = check(settings(), URL, None, &steps).unwrap();
        assert_eq!(
            signing_secret.as_deref(),
            Some("whsec_0FWAiVGkEfGBqqsJH4aNAGBJ4")
        );
    }

    #[test]
    fn an_endpoint_that_is_off_or_sends_too_little_is_made_anew() {
        for (was, is) in [
            (r#""status":"enabled""#, r#""status":"disabled""#),
            (r#""user.updated","#, ""),
        ] {
            let bad = MADE.replace(was, is);
            assert_ne!(bad, MADE);
            let remove = Asked::new("DELETE", "/webhook_endpoints/we_0123456789", json!(null));
            let steps = [
                (first(), 200, list(&[&bad])),
                (remove, 204, String::new()),
                (create(), 201, MADE.into()),
            ];
            check(settings(), URL, None, &steps).unwrap();
        }
    }

    #[test]
    fn a_key_without_the_permission_is_named() {
        let refused = r#"{"code":"forbidden","message":"hidden"}"#;
        let steps = [(first(), 403, refused.into())];
        let said = check(settings(), URL, None, &steps).unwrap_err();
        assert!(
            said.contains("provider.api_key may not manage webhooks"),
            "{said}"
        );
        assert!(!said.contains("hidden"), "{said}");
    }
}
