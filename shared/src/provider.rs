//! An auth provider's adapter reads bytes and builds requests.
//!
//! Invariant: an adapter sends nothing, reads no clock and knows no database,
//! so each is tested from files alone, and a new provider is one file here,
//! one line in [`registry`] and one folder of fixtures.

mod api;
pub mod auth0;
pub mod clerk;
mod parts;
mod redacting;
mod refusal;
pub mod registry;
pub mod stack;
pub mod supabase;
pub mod workos;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use serde_json::value::RawValue;

use crate::exchange::{Answer, AnswerError, Request};
use crate::json::{self, Unreadable};
use crate::listing::{Listing, Rejected};
use crate::profile::{Observation, Profile, UserId};
use crate::signature::{Forged, Verified, Verifier};
use crate::time::{At, WallClock};

pub use api::Api;
pub(crate) use api::encoded;
pub use redacting::Redaction;
pub use refusal::Words;

/// Facts about a provider that hold whatever it is asked.
#[derive(Debug, Clone)]
pub struct Facts {
    /// As in the secret's `provider.name`.
    pub name: &'static str,
    /// The provider's project that the schema is bound to; `None` if the secret
    /// doesn't name it and [`Provider::project_request`] asks for it.
    pub project: Option<String>,
    /// A read may show the state of this long ago.
    pub staleness: Duration,
    /// A listing may show the state of this long ago.
    pub listing_staleness: Duration,
    /// Whether profiles carry a version that orders them.
    pub versioned: bool,
    /// Whether a deleted user's id may be given to a user again.
    pub ids_return: bool,
    /// Whether the provider sends a delivery again after a 4xx.
    pub sends_again: bool,
}

impl Facts {
    /// The `at` of a listed profile without a version; `seen` is a moment before
    /// the listing was asked for. A listing can be staler than a read, and a row
    /// keeps only a time. So that time is moved back by the difference, and each
    /// row shows a state that is not older than its `at` less
    /// [`Facts::staleness`], whether it was read or listed.
    pub fn listed_at(&self, seen: At) -> At {
        let staler = self.listing_staleness.saturating_sub(self.staleness);
        let micros = i64::try_from(staler.as_micros()).unwrap_or(i64::MAX);
        At::from_micros(seen.as_micros().saturating_sub(micros))
    }
}

/// The content of a delivery. Only a verified delivery can be read:
///
/// ```compile_fail,E0308
/// # use shared::{json::Unreadable, provider::{Event, Provider}};
/// fn read(provider: &dyn Provider, body: &[u8]) -> Result<Event, Unreadable> {
///     provider.event(body)
/// }
/// ```
///
/// ```
/// # use shared::{json::Unreadable, provider::{Event, Provider}, signature::Verified};
/// fn read(provider: &dyn Provider, delivery: &Verified<'_>) -> Result<Event, Unreadable> {
///     provider.event(delivery)
/// }
/// ```
#[derive(Debug)]
pub enum Event {
    /// Nothing about a user's profile.
    OfNoUser,
    /// A state with the provider's own version. It is applied as it is.
    Statement(Observation),
    /// A user changed. Only a read says how.
    Hint {
        /// The user to read.
        id: UserId,
        /// The change, according to the event.
        told: Told,
    },
}

/// The state of the user, according to the hint.
#[derive(Debug, Clone)]
pub enum Told {
    /// The user exists.
    Exists {
        /// The user as the event shows them, if it does.
        profile: Option<Profile>,
        /// Top-level fields in which a read can differ nevertheless, because the
        /// provider fills them in after it made the event.
        filled_in_later: &'static [&'static str],
    },
    /// The user was deleted.
    Deleted,
}

impl Told {
    /// The user exists, and the event shows no profile that a read must agree
    /// with.
    pub fn exists() -> Self {
        Self::Exists {
            profile: None,
            filled_in_later: &[],
        }
    }
}

/// One auth provider.
pub trait Provider: Send + Sync {
    /// Facts about this provider that hold whatever it is asked.
    fn facts(&self) -> &Facts;

    /// Where it is asked, and with which key.
    fn api(&self) -> &Api;

    /// The words for its refusals and failures.
    fn words(&self) -> &'static Words;

    /// How its deliveries are verified.
    fn verifier(&self) -> &Verifier;

    /// Checks that the provider sent this delivery, and no more than five
    /// minutes from `now`.
    fn verify<'a>(
        &self,
        headers: &HeaderMap,
        body: &'a [u8],
        now: WallClock,
    ) -> Result<Verified<'a>, Forged> {
        self.verifier().verify(headers, body, now)
    }

    /// Whether deliveries can be verified at all: a provider that makes up the
    /// signing secret itself might not have shown it yet.
    fn has_secret(&self) -> bool {
        self.verifier().has_secret()
    }

    /// When the provider made the event, by its own clock; the same for every
    /// attempt to deliver it. `None` if the delivery doesn't say.
    fn made_at(&self, _delivery: &Verified<'_>) -> Option<At> {
        None
    }

    /// The field of a delivery that names the event's type.
    fn type_field(&self) -> &'static str {
        "type"
    }

    /// The event's type, as the provider calls it, if a table can hold it.
    fn event_type(&self, delivery: &Verified<'_>) -> Option<String> {
        let event = json::Fields::of_bytes(delivery.body()).ok()?;
        let fits = |kind: &String| kind.len() <= 256 && !kind.chars().any(char::is_control);
        event.string(self.type_field()).filter(fits)
    }

    /// Reads what a delivery tells.
    fn event(&self, delivery: &Verified<'_>) -> Result<Event, Unreadable>;

    /// Reads a profile, with its version or without.
    fn profile(&self, raw: &str) -> Result<Profile, Unreadable>;

    /// Reads a user of a listing's page.
    fn listed(&self, user: &RawValue) -> Result<Profile, Unreadable>;

    /// The part that may be kept of a listed user who can't be stored.
    fn kept_of_listed<'a>(&self, user: &'a str) -> Cow<'a, str> {
        Cow::Borrowed(user)
    }

    /// The member of a profile that is the user's id.
    fn id_field(&self) -> &'static str {
        "id"
    }

    /// The members that lead to the profile in an event's body; `None` if
    /// [`Provider::redacted`] leaves none of it anyhow.
    fn profile_in_events(&self) -> Option<&'static [&'static str]> {
        Some(&["data"])
    }

    /// The parts that are taken out of the profiles that this provider shows.
    fn redaction(&self) -> Option<&Redaction> {
        None
    }

    /// Asks for one user, deleted or not.
    fn user_request(&self, id: &UserId) -> Request;

    /// Reads the answer to [`Provider::user_request`]: the user, or `None` if the
    /// provider itself says that there is no such user.
    fn user(&self, id: &UserId, answer: &Answer) -> Result<Option<Profile>, AnswerError>;

    /// A walk over every user, from the start or from the
    /// [`Listing::position`] at which an earlier one stopped.
    fn listing(&self, position: Option<&str>) -> Box<dyn Listing>;

    /// Asks which project the key belongs to, if [`Facts::project`] is `None`.
    /// The key is in the request's header `Authorization`.
    fn project_request(&self) -> Option<Request> {
        None
    }

    /// Reads the answer to [`Provider::project_request`], which is a success or a
    /// refusal (401, 403): the project's name, the same for all of its keys, or
    /// `None` if the answer names none.
    fn project(&self, _answer: &Answer) -> Result<Option<String>, AnswerError> {
        Ok(None)
    }

    /// Asks for the access token that all other requests carry, if they don't
    /// carry the secret's key itself.
    fn access_token_request(&self) -> Option<Request> {
        None
    }

    /// Reads the answer to [`Provider::access_token_request`].
    fn access_token(&self, _answer: &Answer) -> Result<AccessToken, AnswerError> {
        Err(AnswerError::Garbled("this provider gives no access tokens"))
    }

    /// Asks where the provider sends its webhooks, if it tells that at all. The key
    /// need not be allowed to learn it.
    fn endpoints_request(&self) -> Option<Request> {
        None
    }

    /// Reads the answer to [`Provider::endpoints_request`].
    fn endpoints(&self, _answer: &Answer) -> Result<Vec<Endpoint>, AnswerError> {
        Ok(Vec::new())
    }

    /// The provider's own record of events, if it keeps one.
    fn events(&self) -> Option<&dyn EventSource> {
        None
    }

    /// The user in a delivery that [`Provider::event`] can't read, if at least
    /// the id can be. Once that user can be stored, the rejection is resolved.
    fn user_in_rejected(&self, _body: &[u8]) -> Option<UserId> {
        None
    }

    /// The part of a body that is kept when its delivery can't be applied, without the
    /// password hashes and tokens that some providers send.
    fn redacted<'a>(&self, body: &'a [u8]) -> Cow<'a, [u8]> {
        Cow::Borrowed(body)
    }

    /// SQL that sets up the deliveries, to be run in the provider's database.
    fn install_sql(&self) -> Option<&'static str> {
        None
    }
}

impl dyn Provider + '_ {
    /// As [`Provider::listed`]; of a user who can't be stored it gives the part that is kept.
    pub fn read_listed(&self, user: &RawValue) -> Result<Profile, Rejected> {
        self.listed(user).map_err(|reason| {
            let fields = json::Fields::known(user.get()).ok();
            let id = fields.and_then(|fields| fields.string(self.id_field()));
            Rejected {
                id: id.and_then(|id| UserId::new(id).ok()),
                reason: reason.to_string(),
                body: self.kept_of_listed(user.get()).into_owned(),
            }
        })
    }
}

/// Where a provider sends its webhooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The provider's own name for it, for the operator.
    pub name: String,
    /// Whether the provider sends to it.
    pub enabled: bool,
    /// Whether it is to be told of users.
    pub tells_of_users: bool,
}

/// The access token that requests carry in place of the secret's key.
#[derive(Clone)]
pub struct AccessToken {
    /// The header `Authorization`.
    pub authorization: HeaderValue,
    /// How long it is good for.
    pub lifetime: Duration,
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessToken(…, {:?})", self.lifetime)
    }
}

/// A provider's record of events, in an order that doesn't change.
pub trait EventSource: Send + Sync {
    /// Where to go on after the event `cursor`: after that event, or at a moment,
    /// if at `now` the event is too old to be asked for.
    fn go_on(&self, cursor: String, now: At) -> Since;

    /// Asks for the events that follow.
    fn request(&self, since: &Since) -> Request;

    /// Reads the answer to [`EventSource::request`].
    fn read(&self, since: &Since, answer: &Answer) -> Result<Recorded, AnswerError>;
}

/// Where in the record to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Since {
    /// After the event with this id.
    Event(String),
    /// At this moment.
    Time(At),
}

/// The events of the record.
#[derive(Debug)]
pub enum Recorded {
    /// The events that follow, the oldest first.
    Page {
        /// The events.
        events: Vec<RecordedEvent>,
        /// Whether there are no more.
        last: bool,
    },
    /// The record doesn't have the event to go on from, or no longer has it.
    CursorUnknown,
}

/// One event of a provider's record.
#[derive(Debug)]
pub struct RecordedEvent {
    /// The event's id, the same as its delivery's; `None` if it has none that can
    /// be stored.
    pub id: Option<String>,
    /// The event, as [`Provider::event`] reads it.
    pub event: Result<Event, Unreadable>,
    /// The event as recorded.
    pub body: Bytes,
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use http::StatusCode;

    use super::parts::id_of;
    use super::*;
    use crate::listing::Page;
    use crate::secret::Secret;
    use crate::signature::tests::trusted;
    use crate::time::tests::clock;

    /// The provider of a secret with these `provider` fields.
    pub(crate) fn connected(
        provider: serde_json::Value,
        signing_secrets: Option<&str>,
    ) -> Result<Arc<dyn Provider>, String> {
        let mut secret = serde_json::json!({
            "database_url": "postgres://u@h/d",
            "provider": provider,
        });
        if let Some(signing_secret) = signing_secrets {
            secret["signing_secrets"] = serde_json::json!([signing_secret]);
        }
        let secret = Secret::parse(&secret.to_string());
        secret
            .map(|secret| secret.provider)
            .map_err(|error| error.to_string())
    }

    pub(crate) fn answer(status: u16, body: impl ToString) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: body.to_string().into(),
        }
    }

    /// The known signature of a fixture: its headers, and the bytes that were
    /// signed, which the vector's length and digest tell from any others.
    macro_rules! vector {
        ($fixture:literal) => {
            $crate::provider::tests::signed(
                $fixture,
                include_bytes!(concat!(
                    env!("CARGO_MANIFEST_DIR"),
                    "/../events/",
                    $fixture,
                    ".json"
                )),
            )
        };
    }
    pub(crate) use vector;

    pub(crate) fn signed(fixture: &str, body: &'static [u8]) -> (HeaderMap, &'static [u8]) {
        let vectors = include_str!("../../events/vectors.json");
        let vectors: serde_json::Value = serde_json::from_str(vectors).unwrap();
        let vector = vectors["vectors"]
            .as_array()
            .unwrap()
            .iter()
            .find(|vector| vector[0] == fixture)
            .unwrap();
        assert_eq!(vector[1], body.len());
        let digest = crate::signature::fingerprint(body);
        assert_eq!(vector[2], digest[..16]);
        let headers = vector[3].as_object().unwrap().iter();
        let headers = headers.map(|(name, value)| {
            let name: http::HeaderName = name.parse().unwrap();
            (name, value.as_str().unwrap().parse().unwrap())
        });
        (headers.collect(), body)
    }

    /// The event of a body that is taken for verified.
    pub(crate) fn event(provider: &dyn Provider, body: &str) -> Event {
        provider.event(&trusted(body.as_bytes())).unwrap()
    }

    /// The users of a page by the field that holds their ids, and whether it is the last.
    pub(crate) fn ids<'a>(page: &'a Page, id_field: &str) -> (Vec<&'a str>, bool) {
        let id = |user: &'a RawValue| {
            let user = json::Fields::known(user.get()).unwrap();
            user.get(id_field).unwrap().trim_matches('"')
        };
        let users = page.users.iter().map(AsRef::as_ref);
        (users.map(id).collect(), page.last)
    }

    /// The path and the query that come next.
    pub(crate) fn next(listing: &dyn Listing) -> String {
        let request = listing.request();
        request.uri().path_and_query().unwrap().to_string()
    }

    /// Reads pages, each answered by the path and query that it is asked for by,
    /// until the walk says that the paging is not as it assumes, with these
    /// words and after so many pages at most.
    pub(crate) fn check_broken(
        mut listing: Box<dyn Listing>,
        most: usize,
        words: &str,
        answers: &mut dyn FnMut(&str) -> Answer,
    ) {
        for pages in 1..=most {
            match listing.read(&answers(&next(&*listing))) {
                Ok(page) => assert!(!page.last, "it ended: {words}"),
                Err(AnswerError::Paging(said)) => {
                    assert!(said.contains(words), "{pages}: {said}");
                    assert!(said.contains("paging has changed"), "{said}");
                    return;
                }
                Err(error) => panic!("{error:?}"),
            }
        }
        panic!("nothing was said after {most} pages: {words}");
    }

    #[test]
    fn fixtures_of_providers_to_come_are_what_they_will_sign() {
        // Stytch signs through Svix, as Clerk does.
        let secret = "whsec_dGVzdF9zaWduaW5nX3NlY3JldF8zMl9jaGFyc19sb25n";
        let secrets = [crate::signature::SigningSecret::from_svix(secret).unwrap()];
        let now = clock(1_654_012_592_000);
        for (headers, body) in [
            vector!("stytch/dashboard.user.create"),
            vector!("stytch/dashboard.user.delete"),
        ] {
            assert!(crate::signature::verify_svix(&secrets, &headers, body, now).is_ok());
        }
        // Logto signs the body alone, in a way that nothing here reads yet.
        for (_, body) in [
            vector!("logto/User.Created"),
            vector!("logto/User.Data.Updated.partial"),
            vector!("logto/User.Deleted"),
        ] {
            assert!(json::Fields::of_bytes(body).unwrap().get("data").is_some());
        }
        // Kinde sends a signed token; these are its claims.
        for claims in [
            include_str!("../../events/kinde/user.created.claims.json"),
            include_str!("../../events/kinde/user.deleted.claims.json"),
        ] {
            let data = json::Fields::of(claims).unwrap().object("data").unwrap();
            assert_eq!(
                id_of(data.get("user").unwrap(), "id").unwrap(),
                "kp_1234567890"
            );
        }
    }

    #[test]
    fn a_listing_that_is_staler_than_reads_is_of_an_earlier_time() {
        let seen = At::from_micros(100_000_000);
        let mut facts = connected(
            serde_json::json!({"name": "stack", "project_id": "p", "secret_server_key": "k"}),
            Some("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"),
        )
        .unwrap()
        .facts()
        .clone();
        assert_eq!(facts.listed_at(seen), seen);
        facts.listing_staleness = facts.staleness + Duration::from_secs(59);
        assert_eq!(facts.listed_at(seen), At::from_micros(41_000_000));
        facts.listing_staleness = Duration::ZERO;
        assert_eq!(facts.listed_at(seen), seen);
    }

    #[test]
    fn an_unknown_providers_error_names_the_known_ones() {
        let secret = r#"{"database_url":"postgres://u@h/d","provider":{"name":"hidden"}}"#;
        assert_eq!(
            Secret::parse(secret).unwrap_err().to_string(),
            "provider.name is not a provider this version knows: stack, hexclave, clerk, workos, auth0, supabase"
        );
    }

    #[test]
    fn an_event_tells_when_it_was_made() {
        let noon = At::from_millis(1_768_478_400_000);
        let check = |settings: serde_json::Value, body: &str, expected| {
            let signing = (settings.get("webhook_token").is_none())
                .then_some("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
            let provider = connected(settings, signing).unwrap();
            assert_eq!(
                provider.made_at(&trusted(body.as_bytes())),
                expected,
                "{body}"
            );
        };
        let workos = serde_json::json!({"name": "workos", "api_key": "k"});
        let told = r#"{"created_at":"2026-01-15T12:00:00Z","data":{"created_at":"2020"}}"#;
        check(workos.clone(), told, noon);
        check(workos, r#"{"data":{}}"#, None);
        let auth0 = serde_json::json!({"name": "auth0", "domain": "t.auth0.com", "client_id": "i",
            "client_secret": "s", "webhook_token": "a token of some length"});
        check(auth0.clone(), r#"{"time":"2026-01-15T12:00:00Z"}"#, noon);
        check(auth0, "no JSON", None);
        let supabase = serde_json::json!({"name": "supabase", "service_role_key": "k",
            "project_url": "https://r.supabase.co", "webhook_token": "a token of some length"});
        let row = r#"{"record":{"created_at":"2020-01-15T12:00:00Z",
            "updated_at":"2026-01-15T12:00:00Z"}}"#;
        check(supabase.clone(), row, noon);
        check(supabase, r#"{"record":{"id":"x"}}"#, None);
        // In no body, but in the id of the message.
        let stack =
            serde_json::json!({"name": "stack", "project_id": "p", "secret_server_key": "k"});
        check(stack, told, None);
    }
}
