//! Deliveries ordered at the provider, where its API has that: an endpoint that
//! sends to `webhook`. Where there is one already, it is put right, and no
//! second one is made.
//!
//! Invariant: like an adapter, this sends nothing. It builds a request and reads
//! the answer, and only `console` calls it.

mod auth0;
mod workos;

use crate::exchange::{Answer, AnswerError, Request};
use crate::provider::{Api, Provider, Words};

/// The events to subscribe to.
const EVENTS: [&str; 3] = ["user.created", "user.updated", "user.deleted"];

/// Where deliveries are to go, and what they are to carry.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The address of `webhook`.
    pub url: String,
    /// `provider.webhook_token`, where deliveries carry one.
    pub token: Option<String>,
}

/// The next step.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Send [`Subscription::request`].
    Ask,
    /// Deliveries are ordered.
    Ordered {
        /// The signing secret, if the provider makes it up.
        signing_secret: Option<String>,
    },
}

/// How one provider takes orders.
struct Ways {
    /// As [`crate::provider::Facts::name`].
    name: &'static str,
    request: fn(&Api, &Wanted, &Step) -> Request,
    read: fn(&Wanted, &Step, &str) -> Result<Step, AnswerError>,
    /// The advice for a status and a code of a refused order.
    advice: fn(u16, &str) -> Option<&'static str>,
}

/// Where an order is.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Which endpoints there are.
    List,
    /// The endpoint with this id is of no use.
    Remove(String),
    /// The endpoint with this id is put right.
    Renew(String),
    /// A new endpoint is made.
    Create,
    /// There is one; with what signs its deliveries.
    Done(Option<String>),
}

const WAYS: &[&Ways] = &[&workos::WAYS, &auth0::WAYS];

/// One order for deliveries, from the first request to the last answer.
pub struct Subscription<'a> {
    provider: &'a dyn Provider,
    ways: &'static Ways,
    wanted: Wanted,
    step: Step,
}

impl<'a> Subscription<'a> {
    /// An order at this provider; `None` if its API takes none.
    pub fn of(provider: &'a dyn Provider, wanted: Wanted) -> Option<Self> {
        let name = provider.facts().name;
        let ways = WAYS.iter().find(|ways| ways.name == name)?;
        Some(Self {
            provider,
            ways,
            wanted,
            step: Step::List,
        })
    }

    /// The request to send next.
    pub fn request(&self) -> Request {
        (self.ways.request)(self.provider.api(), &self.wanted, &self.step)
    }

    /// Reads the answer to it.
    pub fn read(&mut self, answer: &Answer) -> Result<Next, AnswerError> {
        if !answer.status.is_success() {
            return Err(self.refused(answer));
        }
        self.step = (self.ways.read)(&self.wanted, &self.step, &answer.text())?;
        Ok(match &self.step {
            Step::Done(signing_secret) => Next::Ordered {
                signing_secret: signing_secret.clone(),
            },
            _ => Next::Ask,
        })
    }

    fn refused(&self, answer: &Answer) -> AnswerError {
        let words = self.provider.words();
        let code = (words.code)(answer).unwrap_or_default();
        let known = (self.ways.advice)(answer.status.as_u16(), &code).is_some();
        let advice = if known {
            self.ways.advice
        } else {
            words.advice
        };
        Words { advice, ..*words }.refused(answer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::provider::tests::{answer, connected};

    /// A request, as far as it matters.
    #[derive(Debug, PartialEq)]
    pub(super) struct Asked {
        method: &'static str,
        path: &'static str,
        body: Value,
    }

    impl Asked {
        pub(super) fn new(method: &'static str, path: &'static str, body: Value) -> Self {
            Self { method, path, body }
        }
    }

    /// Goes through an order, of which each request has to be as said and is
    /// answered so; what signs deliveries, or why there are none.
    pub(super) fn check(
        settings: Value,
        url: &str,
        token: Option<&str>,
        steps: &[(Asked, u16, String)],
    ) -> Result<Option<String>, String> {
        let signed = settings.get("webhook_token").is_none();
        let secret = signed.then_some("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
        let provider = connected(settings, secret).unwrap();
        let wanted = Wanted {
            url: url.to_owned(),
            token: token.map(str::to_owned),
        };
        let mut order = Subscription::of(&*provider, wanted).unwrap();
        let mut last = Next::Ask;
        for (expected, status, body) in steps {
            assert_eq!(last, Next::Ask, "nothing more was to be asked");
            let request = order.request();
            assert_eq!(request.method(), expected.method);
            assert_eq!(request.uri().path_and_query().unwrap(), expected.path);
            let sent = serde_json::from_slice(request.body()).unwrap_or(Value::Null);
            assert_eq!(sent, expected.body);
            let read = order.read(&answer(*status, body));
            last = read.map_err(|error| error.to_string())?;
        }
        match last {
            Next::Ordered { signing_secret } => Ok(signing_secret),
            Next::Ask => panic!("there was more to ask"),
        }
    }

    #[test]
    fn answers_of_another_form_are_no_order() {
        for settings in [
            json!({"name": "workos", "api_key": "k"}),
            json!({"name": "auth0", "domain": "t.eu.auth0.com", "client_id": "i",
                "client_secret": "s", "webhook_token": "a token of some length"}),
        ] {
            let signed = settings.get("webhook_token").is_none();
            let secret = signed.then_some("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
            let provider = connected(settings, secret).unwrap();
            for body in [
                "",
                "null",
                "{}",
                "<html></html>",
                r#"{"data":7,"eventStreams":7}"#,
            ] {
                let wanted = Wanted {
                    url: "https://h".to_owned(),
                    token: None,
                };
                let mut order = Subscription::of(&*provider, wanted).unwrap();
                let read = order.read(&answer(200, body));
                assert!(matches!(read, Err(AnswerError::Garbled(_))), "{body}");
            }
        }
    }

    #[test]
    fn a_provider_that_takes_no_orders_is_told_by_hand() {
        let provider = connected(
            json!({"name": "clerk", "secret_key": "k"}),
            Some("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"),
        );
        let wanted = Wanted {
            url: "https://h".to_owned(),
            token: None,
        };
        assert!(Subscription::of(&*provider.unwrap(), wanted).is_none());
    }
}
