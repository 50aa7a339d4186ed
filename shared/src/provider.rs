//! What an auth provider's adapter does: it reads bytes and builds requests.
//!
//! Invariant: an adapter sends nothing, reads no clock and knows no database,
//! so each is tested from files alone, and a new provider is one file here,
//! one line in [`connect`] and one folder of fixtures.

pub mod auth0;
pub mod clerk;
mod refusal;
pub mod stack;
pub mod supabase;
pub mod workos;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use serde_json::value::RawValue;

use crate::json::{self, Unreadable};
use crate::listing::{Listing, Page, Place, Rejected};
use crate::profile::{Observation, Profile, UserId};
use crate::secret::{Fields, Misconfigured};
use crate::signature::{Forged, Verified};
use crate::time::{At, WallClock};

pub use refusal::Words;

/// A request that an adapter wants sent.
pub type Request = http::Request<Bytes>;

/// A provider's answer, whole.
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// Whether it is a success, and JSON from its beginning to its end.
    pub fn is_whole(&self) -> bool {
        self.status.is_success() && serde_json::from_str::<&RawValue>(&self.text()).is_ok()
    }

    /// The body as text. Bytes that are no UTF-8 become U+FFFD, as escapes do
    /// that stand for no character: one bad name must not spoil a page.
    fn text(&self) -> Cow<'_, str> {
        let body = self.body.strip_prefix(b"\xef\xbb\xbf");
        String::from_utf8_lossy(body.unwrap_or(&self.body))
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({}, {} bytes)", self.status, self.body.len())
    }
}

/// What holds for a provider whatever it is asked.
#[derive(Debug, Clone)]
pub struct Facts {
    /// As in the secret's `provider.name`.
    pub name: &'static str,
    /// Which of the provider's projects, for the schema to be bound to; `None`
    /// where the secret doesn't say and [`Provider::project_request`] does.
    pub project: Option<String>,
    /// A read may show the state of this long ago.
    pub staleness: Duration,
    /// A listing may show the state of this long ago.
    pub listing_staleness: Duration,
    /// Whether profiles carry a version that orders them.
    pub versioned: bool,
    /// Whether a deleted user's id may be given to a user again.
    pub ids_return: bool,
    /// Whether a delivery is sent again after it was answered with a 4xx.
    pub sends_again: bool,
}

impl Facts {
    /// The `at` of a listed profile without a version, where `seen` is a moment
    /// before the listing was asked for. A listing may be staler than a read,
    /// and the row keeps no more than a time: so the time makes up for it, and
    /// of every row holds what holds of a read's, that it shows a state of
    /// after `at` less [`Facts::staleness`].
    pub fn listed_at(&self, seen: At) -> At {
        let staler = self.listing_staleness.saturating_sub(self.staleness);
        let micros = i64::try_from(staler.as_micros()).unwrap_or(i64::MAX);
        At::from_micros(seen.as_micros().saturating_sub(micros))
    }
}

/// What a delivery tells.
#[derive(Debug)]
pub enum Event {
    /// Nothing about a user's profile.
    OfNoUser,
    /// What is true, with the provider's own version: applied as it is.
    Statement(Observation),
    /// That a user changed; how, a read says.
    Hint {
        /// Whom to read.
        id: UserId,
        /// What the event says happened.
        told: Told,
    },
}

/// What a hint says of the user.
#[derive(Debug, Clone)]
pub enum Told {
    /// The user exists.
    Exists {
        /// As the event showed them, where it did.
        profile: Option<Profile>,
        /// Top-level fields in which a read may differ all the same, because
        /// the provider fills them in after it made the event.
        filled_in_later: &'static [&'static str],
    },
    /// The user was deleted.
    Deleted,
}

/// Why an answer could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Misread {
    /// Not the provider's own words (a proxy's page, half a body): ask again.
    #[error("{0}")]
    Garbled(&'static str),
    /// The provider refuses, and says the same when asked again; the message
    /// tells the operator what to do.
    #[error("{0}")]
    Refused(String),
    /// A listing that is not as the adapter assumes; asked again, it is the same.
    #[error("{0}")]
    Paging(String),
    /// The provider says that no user can have this id.
    #[error("the provider takes this for no user's id")]
    NoSuchId,
    /// The provider's words, but not a user that could be stored.
    #[error("{0}")]
    Unreadable(Unreadable),
}

/// One auth provider.
pub trait Provider: Send + Sync {
    /// What holds whatever is asked.
    fn facts(&self) -> &Facts;

    /// What its answers mean that are none.
    fn words(&self) -> &'static Words;

    /// Checks that the provider sent this delivery, `now` or a while ago.
    fn verify<'a>(
        &self,
        headers: &HeaderMap,
        body: &'a [u8],
        now: WallClock,
    ) -> Result<Verified<'a>, Forged>;

    /// Whether deliveries can be verified at all: a provider that makes up the
    /// signing secret by itself may not have shown it yet.
    fn has_secret(&self) -> bool {
        true
    }

    /// When the event was made that a delivery tells, by the provider's clock;
    /// attempts to deliver it again don't make it any younger. `None` where
    /// nothing says so.
    fn made_at(&self, _delivery: &Verified<'_>) -> Option<At> {
        None
    }

    /// Reads what a delivery tells.
    fn event(&self, delivery: &Verified<'_>) -> Result<Event, Unreadable>;

    /// Asks for one user, deleted or not.
    fn user_request(&self, id: &UserId) -> Request;

    /// Reads the answer to [`Provider::user_request`]: the user, or `None`
    /// where the provider itself says that it has no such user.
    fn user(&self, id: &UserId, answer: &Answer) -> Result<Option<Profile>, Misread>;

    /// A walk over every user, from the start or from where an earlier one,
    /// by its [`Listing::position`], left off.
    fn listing(&self, position: Option<&str>) -> Box<dyn Listing>;

    /// Asks which project the key is for, where [`Facts::project`] is `None`;
    /// the key is what its header `Authorization` carries.
    fn project_request(&self) -> Option<Request> {
        None
    }

    /// Reads the answer to [`Provider::project_request`], a success or a refusal
    /// (401, 403): the project's name, the same for every key of the project;
    /// `None` where the answer gives none.
    fn project(&self, _answer: &Answer) -> Result<Option<String>, Misread> {
        Ok(None)
    }

    /// Asks for the token that all other requests need, where the secret's key
    /// is not itself what they carry.
    fn token_request(&self) -> Option<Request> {
        None
    }

    /// Reads the answer to [`Provider::token_request`].
    fn token(&self, _answer: &Answer) -> Result<Token, Misread> {
        Err(Misread::Garbled("the provider was not asked for a token"))
    }

    /// The provider's own record of what happened, where it keeps one.
    fn events(&self) -> Option<&dyn EventSource> {
        None
    }

    /// Whom a delivery is about, where [`Provider::event`] can read no more
    /// than that: once the user can be read, the delivery is settled.
    fn whom(&self, _body: &[u8]) -> Option<UserId> {
        None
    }

    /// What of a delivery's body may be kept when it can't be applied: a
    /// provider's rows may hold password hashes.
    fn keepable<'a>(&self, body: &'a [u8]) -> Cow<'a, [u8]> {
        Cow::Borrowed(body)
    }

    /// SQL to be run at the provider, where that is how deliveries are set up.
    fn install_sql(&self) -> Option<&'static str> {
        None
    }
}

/// What requests carry instead of the secret's key.
#[derive(Clone)]
pub struct Token {
    /// The header `Authorization`.
    pub authorization: HeaderValue,
    /// How long it is good for.
    pub lifetime: Duration,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(…, {:?})", self.lifetime)
    }
}

/// A provider's record of events, in an order that doesn't change.
pub trait EventSource: Send + Sync {
    /// Where to go on after the event `cursor`, when it is `now`: after it, or
    /// at a moment, if it is so old that the record can't be asked for it.
    fn go_on(&self, cursor: String, now: At) -> Since;

    /// Asks for the events that follow.
    fn request(&self, since: &Since) -> Request;

    /// Reads the answer to [`EventSource::request`].
    fn read(&self, since: &Since, answer: &Answer) -> Result<Recorded, Misread>;
}

/// Up to where the record is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Since {
    /// Up to an event, by its id.
    Event(String),
    /// Up to a moment.
    Time(At),
}

/// What the record says.
#[derive(Debug)]
pub enum Recorded {
    /// The events that follow, the oldest first.
    Page {
        /// The events.
        events: Vec<RecordedEvent>,
        /// Whether there are no more.
        last: bool,
    },
    /// The record doesn't know the event to go on from, or not any more.
    CursorUnknown,
}

/// One event of a provider's record.
#[derive(Debug)]
pub struct RecordedEvent {
    /// The event's id, the same as its delivery's; `None` where it has none
    /// that could be kept.
    pub id: Option<String>,
    /// What it tells, as [`Provider::event`] has it.
    pub event: Result<Event, Unreadable>,
    /// The event as recorded.
    pub body: Bytes,
}

/// The user in the answer to a request for the user `id`, who is named by
/// `id_field`.
fn read_user(
    id: &UserId,
    id_field: &str,
    answer: &Answer,
    profile: impl Fn(&str) -> Result<Profile, Unreadable>,
) -> Result<Profile, Misread> {
    let raw = &answer.text();
    let user = match json::Fields::of(raw) {
        Ok(user) => user,
        Err(unreadable) => {
            return Err(match serde_json::from_str::<&RawValue>(raw) {
                Ok(_) => Misread::Unreadable(unreadable),
                Err(_) => Misread::Garbled("the answer is not JSON, or half of it"),
            });
        }
    };
    match user.string(id_field) {
        Some(named) if named == id.as_str() => profile(raw).map_err(Misread::Unreadable),
        // Servers take a UUID's letters in upper case too, but give none out.
        Some(named) if named.eq_ignore_ascii_case(id.as_str()) => Err(Misread::NoSuchId),
        Some(named) if UserId::new(named.as_str()).is_ok() => {
            Err(Misread::Garbled("the answer is not this user"))
        }
        // What is no id can't be stored, here or in a listing, and asking
        // again doesn't make it one.
        _ => Err(Misread::Unreadable(profile(raw).err().unwrap_or(
            Unreadable("the user has no id, or one that is not a string"),
        ))),
    }
}

/// The user's id, if it is one that can be stored, and asked for.
fn id_of(raw: &str, id_field: &str) -> Option<String> {
    let id = json::Fields::of(raw).ok()?.string(id_field)?;
    UserId::new(id.as_str()).is_ok().then_some(id)
}

/// Where listed users stand in an order by `time`; `None` for who has no id.
fn places(
    items: &[&RawValue],
    id_field: &str,
    time: impl Fn(&json::Fields<'_>) -> Option<At>,
) -> Vec<Option<Place>> {
    let places = places_of_all(items, id_field, time);
    let named = |place: &Place| !place.id.is_empty();
    places
        .into_iter()
        .map(|place| Some(place).filter(named))
        .collect()
}

/// The same; who has no id has an empty one, and one who has no time stands
/// with the one before.
fn places_of_all(
    items: &[&RawValue],
    id_field: &str,
    time: impl Fn(&json::Fields<'_>) -> Option<At>,
) -> Vec<Place> {
    let mut key = i64::MIN;
    let place = |item: &&RawValue| {
        let user = json::Fields::of(item.get()).ok();
        key = user.and_then(|user| time(&user)).map_or(key, At::as_micros);
        let id = id_of(item.get(), id_field).unwrap_or_default();
        Place { key, id }
    };
    items.iter().map(place).collect()
}

/// The user in an event's field `data`.
fn user_in_data(body: &[u8]) -> Option<UserId> {
    let envelope = json::Fields::of_bytes(body).ok()?;
    UserId::new(id_of(envelope.get("data")?, "id")?).ok()
}

/// A page of these listed users, the last one or not. `raw_of` is what may be
/// kept of one who can't be stored.
fn page_of<'a>(
    items: &[&'a RawValue],
    id_field: &str,
    profile: impl Fn(&str) -> Result<Profile, Unreadable>,
    raw_of: impl Fn(&'a str) -> Cow<'a, str>,
) -> Page {
    let mut page = Page::default();
    for item in items {
        match profile(item.get()) {
            Ok(profile) => page.profiles.push(profile),
            Err(reason) => page.rejected.push(Rejected {
                id: id_of(item.get(), id_field).and_then(|id| UserId::new(id).ok()),
                reason: reason.to_string(),
                body: raw_of(item.get()).into_owned(),
            }),
        }
    }
    page
}

/// All but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// An id or a value as a part of a path or a query. Unreserved characters stay:
/// not every server decodes before it compares.
fn encoded(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, RESERVED)
}

/// A GET request; `path` percent-encoded.
fn get(base: &str, path: &str, headers: &HeaderMap) -> Request {
    let mut request = Request::new(Bytes::new());
    #[expect(
        clippy::expect_used,
        reason = "the base was parsed, the path is percent-encoded"
    )]
    let uri = format!("{base}{path}").parse().expect("a URL");
    *request.uri_mut() = uri;
    *request.headers_mut() = headers.clone();
    request
}

/// Makes an adapter of the secret's `provider` fields and `signing_secrets`.
type Connect = fn(&mut Fields, Option<Vec<String>>) -> Result<Arc<dyn Provider>, Misconfigured>;

/// The registry: who is known by which name.
const PROVIDERS: &[(&str, Connect)] = &[
    ("stack", |fields, secrets| {
        Ok(Arc::new(stack::Stack::new(fields, secrets)?))
    }),
    // What Stack Auth is called since May 2026.
    ("hexclave", |fields, secrets| {
        Ok(Arc::new(stack::Stack::new(fields, secrets)?))
    }),
    ("clerk", |fields, secrets| {
        Ok(Arc::new(clerk::Clerk::new(fields, secrets)?))
    }),
    ("workos", |fields, secrets| {
        Ok(Arc::new(workos::WorkOs::new(fields, secrets)?))
    }),
    ("auth0", |fields, secrets| {
        Ok(Arc::new(auth0::Auth0::new(fields, secrets)?))
    }),
    ("supabase", |fields, secrets| {
        Ok(Arc::new(supabase::Supabase::new(fields, secrets)?))
    }),
];

/// Makes the adapter that the secret's `provider` names.
pub fn connect(
    provider: &mut Fields,
    signing_secrets: Option<Vec<String>>,
) -> Result<Arc<dyn Provider>, Misconfigured> {
    let name = provider.required("name")?;
    match PROVIDERS.iter().find(|(known, _)| *known == name) {
        Some((_, connect)) => connect(provider, signing_secrets),
        None => {
            let known: Vec<_> = PROVIDERS.iter().map(|(name, _)| *name).collect();
            let known = known.join(", ");
            Err(provider.refuse(
                "name",
                format!("is not a provider this version knows: {known}"),
            ))
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
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

    /// What a page has of users, and whether it is the last.
    pub(crate) fn ids(page: &Page) -> (Vec<&str>, bool) {
        let ids = page.profiles.iter().map(|profile| profile.id.as_str());
        (ids.collect(), page.last)
    }

    /// The path and the query that come next.
    pub(crate) fn next(listing: &dyn Listing) -> String {
        let request = listing.request();
        request.uri().path_and_query().unwrap().to_string()
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
    fn an_unknown_provider_s_error_names_the_known_ones() {
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
