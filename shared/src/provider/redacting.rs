//! Any provider, with a part of each profile taken out (`redact` in the secret).
//!
//! Invariants: no profile and no body leaves here with what is named, whatever
//! the adapter read it from; the id and the version are read before it is taken
//! out. So no caller and no adapter needs to know of it. (A listing's page is as
//! the provider sent it, as an answer is: its users are read here.)

use std::borrow::Cow;
use std::sync::Arc;

use http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    AccessToken, Api, Endpoint, Event, EventSource, Facts, Provider, Recorded, RecordedEvent, Since,
};
use super::{Told, Words};
use crate::exchange::{Answer, AnswerError, Request};
use crate::json::Unreadable;
use crate::listing::Listing;
use crate::pointer::{Pointers, leads_to_objects};
use crate::profile::{Observation, Profile, UserId};
use crate::signature::{Forged, Verified, Verifier, fingerprint};
use crate::time::{At, WallClock};

/// The places that are taken out of every profile.
#[derive(Debug, Clone)]
pub struct Redaction {
    pointers: Pointers,
    /// The same, from the root of an event's body; `None` where the adapter keeps
    /// nothing of the profile there.
    in_events: Option<Pointers>,
}

impl Redaction {
    /// The pointers into the profile.
    pub fn pointers(&self) -> &Pointers {
        &self.pointers
    }

    /// A digest that tells these pointers from others.
    pub fn name(&self) -> String {
        fingerprint(format!("{:?}", self.pointers.parts().collect::<Vec<_>>()).as_bytes())
    }

    /// The part that is kept of a listed user who can't be stored.
    pub fn listed<'a>(&self, body: &'a str) -> Cow<'a, str> {
        if body.is_empty() || is_digest(body) {
            return Cow::Borrowed(body);
        }
        match serde_json::from_str::<&RawValue>(body) {
            Ok(_) => self.pointers.without(body),
            Err(_) => Cow::Owned(digest(body.as_bytes())),
        }
    }
}

/// A provider that shows nothing of what is named.
#[derive(Clone)]
pub(super) struct Redacting {
    inner: Arc<dyn Provider>,
    redaction: Arc<Redaction>,
}

impl Redacting {
    /// Takes the pointers into the provider's profiles.
    pub(super) fn new(inner: Arc<dyn Provider>, pointers: Pointers) -> Self {
        let place = inner.profile_in_events();
        let redaction = Redaction {
            in_events: place.map(|keys| pointers.below(keys)),
            pointers,
        };
        Self {
            redaction: Arc::new(redaction),
            inner,
        }
    }

    /// The columns go with what they are read from.
    fn redact(&self, profile: Profile) -> Profile {
        let Cow::Owned(raw_json) = self.redaction.pointers.without(&profile.raw_json) else {
            return profile;
        };
        let shown = self.inner.profile(&raw_json).ok();
        let (name, email, created_at) = match shown {
            Some(shown) => (shown.name, shown.email, shown.created_at),
            None => (None, None, None),
        };
        Profile {
            raw_json,
            name,
            email,
            created_at,
            ..profile
        }
    }

    fn redact_event(&self, event: Event) -> Event {
        match event {
            Event::Statement(Observation::Present { profile, at }) => {
                let profile = self.redact(profile);
                Event::Statement(Observation::Present { profile, at })
            }
            Event::Hint {
                id,
                told:
                    Told::Exists {
                        profile,
                        filled_in_later,
                    },
            } => Event::Hint {
                id,
                told: Told::Exists {
                    profile: profile.map(|profile| self.redact(profile)),
                    filled_in_later,
                },
            },
            event @ (Event::OfNoUser
            | Event::Statement(Observation::Gone { .. })
            | Event::Hint {
                told: Told::Deleted,
                ..
            }) => event,
        }
    }
}

impl Provider for Redacting {
    fn facts(&self) -> &Facts {
        self.inner.facts()
    }

    fn api(&self) -> &Api {
        self.inner.api()
    }

    fn words(&self) -> &'static Words {
        self.inner.words()
    }

    fn verifier(&self) -> &Verifier {
        self.inner.verifier()
    }

    fn verify<'a>(
        &self,
        headers: &HeaderMap,
        body: &'a [u8],
        now: WallClock,
    ) -> Result<Verified<'a>, Forged> {
        self.inner.verify(headers, body, now)
    }

    fn has_secret(&self) -> bool {
        self.inner.has_secret()
    }

    fn made_at(&self, delivery: &Verified<'_>) -> Option<At> {
        self.inner.made_at(delivery)
    }

    fn type_field(&self) -> &'static str {
        self.inner.type_field()
    }

    fn event_type(&self, delivery: &Verified<'_>) -> Option<String> {
        self.inner.event_type(delivery)
    }

    fn event(&self, delivery: &Verified<'_>) -> Result<Event, Unreadable> {
        let event = self.inner.event(delivery);
        event.map(|event| self.redact_event(event))
    }

    fn profile(&self, raw: &str) -> Result<Profile, Unreadable> {
        let profile = self.inner.profile(raw);
        profile.map(|profile| self.redact(profile))
    }

    fn listed(&self, user: &RawValue) -> Result<Profile, Unreadable> {
        let profile = self.inner.listed(user);
        profile.map(|profile| self.redact(profile))
    }

    fn kept_of_listed<'a>(&self, user: &'a str) -> Cow<'a, str> {
        let kept = self.inner.kept_of_listed(user);
        Cow::Owned(self.redaction.listed(&kept).into_owned())
    }

    fn id_field(&self) -> &'static str {
        self.inner.id_field()
    }

    fn profile_in_events(&self) -> Option<&'static [&'static str]> {
        self.inner.profile_in_events()
    }

    fn redaction(&self) -> Option<&Redaction> {
        Some(&self.redaction)
    }

    fn user_request(&self, id: &UserId) -> Request {
        self.inner.user_request(id)
    }

    fn user(&self, id: &UserId, answer: &Answer) -> Result<Option<Profile>, AnswerError> {
        let user = self.inner.user(id, answer)?;
        Ok(user.map(|profile| self.redact(profile)))
    }

    fn listing(&self, position: Option<&str>) -> Box<dyn Listing> {
        self.inner.listing(position)
    }

    fn project_request(&self) -> Option<Request> {
        self.inner.project_request()
    }

    fn project(&self, answer: &Answer) -> Result<Option<String>, AnswerError> {
        self.inner.project(answer)
    }

    fn endpoints_request(&self) -> Option<Request> {
        self.inner.endpoints_request()
    }

    fn endpoints(&self, answer: &Answer) -> Result<Vec<Endpoint>, AnswerError> {
        self.inner.endpoints(answer)
    }

    fn access_token_request(&self) -> Option<Request> {
        self.inner.access_token_request()
    }

    fn access_token(&self, answer: &Answer) -> Result<AccessToken, AnswerError> {
        self.inner.access_token(answer)
    }

    fn events(&self) -> Option<&dyn EventSource> {
        self.inner.events().map(|_| self as &dyn EventSource)
    }

    fn user_in_rejected(&self, body: &[u8]) -> Option<UserId> {
        self.inner.user_in_rejected(body)
    }

    /// Where no profile is found in it, what is named can't be either, and may
    /// stand anywhere.
    fn redacted<'a>(&self, body: &'a [u8]) -> Cow<'a, [u8]> {
        let kept = self.inner.redacted(body);
        let text = std::str::from_utf8(body).ok();
        let text = text.filter(|text| serde_json::from_str::<&RawValue>(text).is_ok());
        let Some(text) = text else {
            return Cow::Owned(digest(body).into_bytes());
        };
        if is_digest(text) {
            return Cow::Borrowed(body);
        }
        let Some(pointers) = &self.redaction.in_events else {
            return kept;
        };
        let place = self.inner.profile_in_events().unwrap_or_default();
        if !leads_to_objects(text, place) {
            return Cow::Owned(digest(body).into_bytes());
        }
        let left = std::str::from_utf8(&kept).map(|kept| pointers.without(kept));
        match left {
            Ok(Cow::Owned(left)) => Cow::Owned(left.into_bytes()),
            _ => kept,
        }
    }

    fn install_sql(&self) -> Option<&'static str> {
        self.inner.install_sql()
    }
}

impl EventSource for Redacting {
    fn go_on(&self, cursor: String, now: At) -> Since {
        match self.inner.events() {
            Some(record) => record.go_on(cursor, now),
            None => Since::Event(cursor),
        }
    }

    fn request(&self, since: &Since) -> Request {
        match self.inner.events() {
            Some(record) => record.request(since),
            None => Request::default(),
        }
    }

    fn read(&self, since: &Since, answer: &Answer) -> Result<Recorded, AnswerError> {
        let record = self.inner.events();
        let record = record.ok_or(AnswerError::Garbled("the provider keeps no record"))?;
        Ok(match record.read(since, answer)? {
            Recorded::Page { events, last } => {
                let redact = |recorded: RecordedEvent| RecordedEvent {
                    event: recorded.event.map(|event| self.redact_event(event)),
                    ..recorded
                };
                let events = events.into_iter().map(redact).collect();
                Recorded::Page { events, last }
            }
            Recorded::CursorUnknown => Recorded::CursorUnknown,
        })
    }
}

/// The part that is kept of a body in which a named place may be anywhere.
fn digest(body: &[u8]) -> String {
    let (size, sha256) = (body.len(), fingerprint(body));
    format!(r#"{{"size":{size},"sha256":"{sha256}"}}"#)
}

fn is_digest(body: &str) -> bool {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Digest {
        #[serde(rename = "size")]
        _size: u64,
        sha256: String,
    }
    let digest: Option<Digest> = serde_json::from_str(body).ok();
    digest.is_some_and(|digest| {
        digest.sha256.len() == 64 && digest.sha256.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::provider::tests::answer;
    use crate::secret::Secret;
    use crate::signature::tests::trusted;

    const SIGNING: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

    fn redacting(provider: &Value, pointers: &[&str]) -> Result<Arc<dyn Provider>, String> {
        let mut secret = json!({
            "database_url": "postgres://u@h/d", "provider": provider, "redact": pointers,
        });
        if provider["webhook_token"].is_null() {
            secret["signing_secrets"] = json!([SIGNING]);
        }
        let secret = Secret::parse(&secret.to_string());
        let secret = secret.map_err(|error| error.to_string())?;
        Ok(secret.provider)
    }

    fn clerk() -> Value {
        json!({"name": "clerk", "secret_key": "k"})
    }

    fn auth0() -> Value {
        json!({"name": "auth0", "domain": "t.auth0.com", "client_id": "i", "client_secret": "s",
            "webhook_token": "a token of some length"})
    }

    const USER: &str = r#"{"id":"user_1","first_name":"Ada","last_name":"Lovelace",
        "primary_email_address_id":"e","email_addresses":[
            {"id":"f","email_address":"f@example.com"},{"id":"e","email_address":"e@example.com"}],
        "private_metadata":{"a":1},"created_at":1776902400000,"updated_at":1776902400123}"#;

    #[test]
    fn the_version_counts_though_it_is_not_kept_and_columns_go_with_their_fields() {
        let check = |pointers: &[&str], name, email| {
            let provider = redacting(&clerk(), pointers).unwrap();
            let id = UserId::new("user_1").unwrap();
            let user = provider.user(&id, &answer(200, USER)).unwrap().unwrap();
            assert_eq!((user.name.as_deref(), user.email.as_deref()), (name, email));
            assert_eq!(
                user.version,
                crate::time::At::from_millis(1_776_902_400_123)
            );
            assert_eq!(
                provider.profile(&user.raw_json).unwrap().raw_json,
                user.raw_json
            );
            user.raw_json
        };
        let (ada, email) = (Some("Ada Lovelace"), Some("e@example.com"));
        let kept = check(&["/updated_at", "/private_metadata"], ada, email);
        assert!(!kept.contains("updated_at") && !kept.contains("private_metadata"));
        check(&["/first_name"], Some("Lovelace"), email);
        check(&["/email_addresses"], ada, None);
        check(&["/email_addresses/0"], ada, email);
        check(&["/email_addresses/1/email_address"], ada, None);
        let kept = check(&["/email_addresses/1"], ada, None);
        assert!(kept.contains("f@example.com") && !kept.contains("e@example.com"));
    }

    #[test]
    fn the_id_of_each_provider_is_refused() {
        let refused = |provider: &Value, pointers: &[&str]| redacting(provider, pointers).err();
        let names_the_id = "redact[1] names the user's id, by which the row is known: leave it out";
        let names_the_id = Some(names_the_id.to_owned());
        assert_eq!(refused(&clerk(), &["/a", "/id"]), names_the_id);
        assert_eq!(refused(&auth0(), &["/a", "/user_id"]), names_the_id);
        assert_eq!(refused(&auth0(), &["/a", "/id"]), None);
        assert_eq!(refused(&clerk(), &["/a", "/user_id"]), None);
    }

    #[test]
    fn an_event_is_kept_without_what_its_profile_has_of_it() {
        let check = |provider: &Value, body: &str, expected: &str| {
            let provider = redacting(provider, &["/secret", "/a/0"]).unwrap();
            let kept = provider.redacted(body.as_bytes()).into_owned();
            let kept = String::from_utf8(kept).unwrap();
            let expected = match expected {
                "" => digest(body.as_bytes()),
                expected => expected.to_owned(),
            };
            assert_eq!(kept, expected);
            assert_eq!(*provider.redacted(kept.as_bytes()), *kept.as_bytes());
        };
        let whole = r#"{"secret":1,"data":{"s\u0065cret":2,"a":[3,4],"secret":5}}"#;
        check(&clerk(), whole, r#"{"secret":1,"data":{"a":[null,4]}}"#);
        let twice = r#"{"data":{"secret":1},"data":{"b":2,"secret":3}}"#;
        check(&clerk(), twice, r#"{"data":{},"data":{"b":2}}"#);
        let whole = r#"{"data":{"secret":1,"object":{"secret":2}}}"#;
        check(&auth0(), whole, r#"{"data":{"secret":1,"object":{}}}"#);
        for nowhere in [
            "{}",
            "[]",
            "{",
            "",
            "\u{feff}{\"data\":{}}",
            r#"{"data":"{\"secret\":1}"}"#,
            r#"{"data":[{"secret":1}]}"#,
            r#"{"data":{"secret":1},"data":null}"#,
            r#"{"size":1,"sha256":"secret"}"#,
        ] {
            check(&clerk(), nowhere, "");
        }
    }

    #[test]
    fn an_event_tells_of_a_profile_without_it() {
        let provider = redacting(&clerk(), &["/private_metadata"]).unwrap();
        let body = format!(r#"{{"type":"user.updated","data":{USER}}}"#);
        let Event::Statement(Observation::Present { profile, .. }) =
            provider.event(&trusted(body.as_bytes())).unwrap()
        else {
            panic!("no statement");
        };
        assert!(!profile.raw_json.contains("private_metadata"));
        assert!(profile.raw_json.contains("Lovelace"));
    }
}
