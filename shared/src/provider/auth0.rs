//! Auth0. A delivery says *that* a user changed, a read says *how*: events don't
//! always hold every field, and their order says nothing. Reads by id are
//! consistent; listings are searches, and only eventually consistent. Ids can be
//! used again.
//!
//! The walk assumes this of paging: a search by `created_at:[from TO until]`
//! shows the users who signed up then, both moments included, the oldest first.
//! Its page `page` begins at the user `page × per_page`, as long as
//! `(page + 1) × per_page` is not above 1000. If totals are asked for, `limit`
//! says how many users a page holds, which can be fewer than were asked for, and
//! `total` counts all that the search finds. A page that holds fewer than
//! `limit` is the last one. A search that takes longer than about 2 seconds ends
//! with a 503.
//!
//! Sources: <https://auth0.com/docs/api/management/v2/users>,
//! <https://auth0.com/docs/manage-users/user-search/view-search-results-by-page>,
//! <https://auth0.com/docs/customize/events>.

use std::borrow::Cow;
use std::time::Duration;

use http::{HeaderValue, Method, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::parts::{self, Api, PageSize, Paging, webhook_token};
use super::{AccessToken, Endpoint, Event, Facts, Provider, Told, Words};
use crate::exchange::{Answer, AnswerError, Request};
use crate::json::{self, Unreadable};
use crate::listing::{Listing, Page, broken, descends};
use crate::profile::{Columns, Profile, UserId};
use crate::settings::{Misconfigured, Settings};
use crate::signature::{SigningSecret, Verified, Verifier};
use crate::time::At;

/// Users in a page if the API refuses the 100 that its OpenAPI document allows;
/// its other documentation says 50.
const FALLBACK_PAGE: u64 = 50;

/// Of the answer about the tenant's event streams.
const NO_STREAMS: &str = "the answer about event streams is not a list as Auth0 sends it";

/// Users that one search shows at most; the API refuses to page further.
const CEILING: u64 = 1000;

/// How many pages may be empty, although somebody signed up at that moment.
const MOST_REPEATS: u32 = 2;

/// A year in microseconds: the first window after a search took too long.
const YEAR: i64 = 365 * 24 * 60 * 60 * 1_000_000;

/// The narrowest window, in microseconds: an import signs up many at once.
const NARROWEST: i64 = 1_000_000;

/// 1 January 2200, in microseconds since 1970.
const AFTER_ALL: i64 = 7_258_118_400_000_000;

/// 1 January 2010, before Auth0's first user, in microseconds since 1970.
const BEFORE_ALL: i64 = 1_262_304_000_000_000;

/// Fields of identities that give access to other services, and say nothing
/// about the user.
const SECRETS: &[&str] = &[
    "access_token",
    "access_token_secret",
    "refresh_token",
    "id_token",
    "accessToken",
    "refreshToken",
];

/// Auth0.
pub struct Auth0 {
    facts: Facts,
    verifier: Verifier,
    api: Api,
    /// The body that asks for a token.
    credentials: String,
}

impl Auth0 {
    /// Takes the secret's settings of `provider`.
    pub fn new(
        settings: &mut Settings,
        signing_secrets: Option<Vec<String>>,
    ) -> Result<Self, Misconfigured> {
        SigningSecret::none(signing_secrets.as_ref(), "auth0")?;
        let domain = settings.required("domain")?;
        let no_domain = || settings.refuse("domain", "is not a domain like tenant.eu.auth0.com");
        let with_scheme = match domain.get(..8) {
            Some(scheme) if scheme.eq_ignore_ascii_case("https://") => domain,
            _ => format!("https://{domain}"),
        };
        let url = settings
            .url("domain", &with_scheme)
            .map_err(|_| no_domain())?;
        let host = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':');
        let sound = url.base == format!("https://{}", url.host) && url.host.bytes().all(host);
        let domain = if sound {
            url.host
        } else {
            return Err(no_domain());
        };
        let credentials = serde_json::json!({
            "grant_type": "client_credentials",
            "client_id": settings.required("client_id")?,
            "client_secret": settings.required("client_secret")?,
            "audience": format!("https://{domain}/api/v2/"),
        });
        let base = settings.api_url("api_url", &format!("https://{domain}"))?;
        Ok(Self {
            verifier: Verifier::Bearer(webhook_token(settings)?),
            // Some operators give the whole address of the Management API, but
            // tokens come from another path.
            api: Api::new(base.trim_end_matches("/api/v2").to_owned(), None),
            credentials: credentials.to_string(),
            facts: Facts {
                name: "auth0",
                project: Some(domain),
                // Reads by id are consistent. This is a margin.
                staleness: Duration::from_secs(1),
                // The search usually follows within seconds.
                listing_staleness: Duration::from_secs(60),
                // There is an `updated_at`, but a deletion doesn't move it, and
                // afterwards the id can belong to another person.
                versioned: false,
                ids_return: true,
                // Auth0 never repeats after a 4xx, and counts it against the stream.
                sends_again: false,
            },
        })
    }
}

impl Provider for Auth0 {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn api(&self) -> &Api {
        &self.api
    }

    fn words(&self) -> &'static Words {
        &WORDS
    }

    fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    fn made_at(&self, delivery: &Verified<'_>) -> Option<At> {
        json::Fields::of_bytes(delivery.body()).ok()?.time("time")
    }

    fn event(&self, delivery: &Verified<'_>) -> Result<Event, Unreadable> {
        let envelope = json::Fields::of_bytes(delivery.body())?;
        let kind = parts::kind(&envelope, "type")?;
        let told = match kind.as_str() {
            "user.created" | "user.updated" => Told::exists(),
            "user.deleted" => Told::Deleted,
            _ => return Ok(Event::OfNoUser),
        };
        // Sent by hand from the dashboard, about a user who does not exist.
        if envelope.string("a0purpose").as_deref() == Some("test") {
            return Ok(Event::OfNoUser);
        }
        let id = envelope
            .object("data")
            .and_then(|data| data.object("object"))
            .and_then(|user| user.string("user_id"))
            .ok_or(Unreadable(
                "the event has no user_id, or one that is not a string",
            ))?;
        let id = UserId::new(id)?;
        Ok(Event::Hint { id, told })
    }

    fn profile(&self, raw: &str) -> Result<Profile, Unreadable> {
        profile(raw)
    }

    fn listed(&self, user: &RawValue) -> Result<Profile, Unreadable> {
        Profile::of_known(&without_secrets(user.get()), columns)
    }

    fn kept_of_listed<'a>(&self, user: &'a str) -> Cow<'a, str> {
        without_secrets(user)
    }

    fn id_field(&self) -> &'static str {
        "user_id"
    }

    fn profile_in_events(&self) -> Option<&'static [&'static str]> {
        Some(&["data", "object"])
    }

    fn user_request(&self, id: &UserId) -> Request {
        self.api.get_user("/api/v2/users", id)
    }

    fn user(&self, id: &UserId, answer: &Answer) -> Result<Option<Profile>, AnswerError> {
        if answer.status == StatusCode::OK {
            return parts::read_user(id, "user_id", answer, profile).map(Some);
        }
        match (answer.status, code(answer).as_deref()) {
            (StatusCode::NOT_FOUND, Some("inexistent_user")) => Ok(None),
            // Every id of Auth0's own is `connection|id`.
            (StatusCode::BAD_REQUEST, Some("invalid_uri")) if !id.as_str().contains('|') => {
                Err(AnswerError::NoSuchId)
            }
            _ => Err(WORDS.refused(answer)),
        }
    }

    fn listing(&self, position: Option<&str>) -> Box<dyn Listing> {
        parts::walk::<Position>(&self.api, position)
    }

    /// It takes the permission `read:event_streams`.
    ///
    /// Source: <https://auth0.com/docs/api/management/v2/event-streams/get-event-streams>.
    fn endpoints_request(&self) -> Option<Request> {
        Some(self.api.get("/api/v2/event-streams"))
    }

    fn endpoints(&self, answer: &Answer) -> Result<Vec<Endpoint>, AnswerError> {
        if answer.status != StatusCode::OK {
            return Err(WORDS.refused(answer));
        }
        let list = json::Fields::of_bytes(&answer.body);
        let list = list.map_err(|_| AnswerError::Garbled(NO_STREAMS))?;
        let streams = list
            .array("eventStreams")
            .ok_or(AnswerError::Garbled(NO_STREAMS))?;
        let read = |stream: &str| {
            let stream = json::Fields::of(stream).ok()?;
            let to = stream.object("destination")?.string("type")?;
            let subscriptions = stream.array("subscriptions").unwrap_or_default();
            let of_users = |subscription: &&str| {
                let subscription = json::Fields::of(subscription).ok();
                let kind = subscription.and_then(|known| known.string("event_type"));
                kind.is_some_and(|kind| kind.starts_with("user."))
            };
            (to == "webhook").then_some(Endpoint {
                name: format!(
                    "the event stream {} ({})",
                    stream.line("name").unwrap_or_default(),
                    stream.line("id")?
                ),
                enabled: stream.string("status")? != "disabled",
                tells_of_users: subscriptions.iter().any(of_users),
            })
        };
        Ok(streams.into_iter().filter_map(read).collect())
    }

    fn access_token_request(&self) -> Option<Request> {
        let mut request = self.api.get("/oauth/token");
        *request.method_mut() = Method::POST;
        request.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        *request.body_mut() = self.credentials.clone().into();
        Some(request)
    }

    fn access_token(&self, answer: &Answer) -> Result<AccessToken, AnswerError> {
        #[derive(Deserialize)]
        struct Granted {
            access_token: String,
            expires_in: u64,
        }
        if answer.status != StatusCode::OK {
            return Err(TOKEN_WORDS.refused(answer));
        }
        let granted: Granted = serde_json::from_slice(&answer.body)
            .map_err(|_| AnswerError::Garbled("the answer is not an access token"))?;
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", granted.access_token))
            .map_err(|_| AnswerError::Garbled("no header can hold the access token"))?;
        authorization.set_sensitive(true);
        Ok(AccessToken {
            authorization,
            lifetime: Duration::from_secs(granted.expires_in),
        })
    }

    fn redacted<'a>(&self, body: &'a [u8]) -> Cow<'a, [u8]> {
        let text = match std::str::from_utf8(body) {
            Ok(text) if serde_json::from_str::<&RawValue>(text).is_ok() => text,
            // Half an event: where the value of a secret field ends is unknown.
            _ if SECRETS.iter().any(|key| holds(body, key)) => return Cow::Borrowed(b""),
            _ => return Cow::Borrowed(body),
        };
        match json::without(text, "data", is_secret) {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        }
    }
}

fn holds(body: &[u8], word: &str) -> bool {
    body.windows(word.len()).any(|part| part == word.as_bytes())
}

fn is_secret(key: &str) -> bool {
    SECRETS.contains(&key)
}

fn without_secrets(raw: &str) -> Cow<'_, str> {
    json::without(raw, "identities", is_secret)
}

fn profile(raw: &str) -> Result<Profile, Unreadable> {
    Profile::from_json(&without_secrets(raw), columns)
}

fn columns(user: &json::Fields<'_>) -> Columns {
    let full: Vec<_> = [user.text("given_name"), user.text("family_name")]
        .into_iter()
        .flatten()
        .collect();
    let full = (!full.is_empty()).then(|| full.join(" "));
    Columns {
        id: user.string("user_id"),
        name: user
            .text("name")
            .or(full)
            .or_else(|| user.text("nickname"))
            .or_else(|| user.text("username")),
        email: user.text("email"),
        created_at: user.time("created_at"),
        version: None,
    }
}

/// The error code in an answer of Auth0's own. Some have only an `error`.
fn code(answer: &Answer) -> Option<String> {
    let error = json::Fields::of_bytes(&answer.body).ok()?;
    error.string("errorCode").or_else(|| error.string("error"))
}

const WORDS: Words = Words {
    who: "Auth0",
    code,
    key: "the access token is not accepted: check that provider.domain is the tenant's own domain \
          (tenant.eu.auth0.com), not a custom one, and that provider.client_id and \
          provider.client_secret belong to a machine-to-machine application of this tenant",
    advice: |status, code| match (status, code) {
        (403, "insufficient_scope") => Some(
            "grant the application (provider.client_id, provider.client_secret) read:users on the \
             Auth0 Management API (Applications → APIs → Auth0 Management API → Machine to Machine \
             Applications)",
        ),
        (403, code) if !code.is_empty() => Some(
            "the code says that the application (provider.client_id, provider.client_secret) lacks \
             a permission: grant it read:users on the Auth0 Management API (Applications → APIs → \
             Auth0 Management API → Machine to Machine Applications), and check that the tenant's \
             plan includes that API",
        ),
        _ => None,
    },
    explained: "look the code up in the documentation of Auth0's Management API",
    foreign: "the answer does not come from Auth0: check provider.domain",
    webhooks: "in Auth0's dashboard under Event Streams, see that a stream of type Webhook has the URL \
               of webhook, is enabled (one that fails is not, after a while), and is subscribed to \
               user.created, user.updated and user.deleted; its page shows what was answered",
};

/// The endpoint for access tokens speaks OAuth.
const TOKEN_WORDS: Words = Words {
    who: "Auth0's token endpoint",
    key: "copy provider.client_id and provider.client_secret from the settings of the \
          machine-to-machine application, and check that it is authorized for the Auth0 Management \
          API",
    advice: |status, code| match (status, code) {
        (403, code) if !code.is_empty() => Some(
            "authorize the application (provider.client_id, provider.client_secret) for the Auth0 \
             Management API with read:users, and let it use the grant type Client Credentials",
        ),
        (404, _) => Some("there is no such tenant: check provider.domain"),
        (400..=499, _) => Some(TOKEN_WORDS.key),
        _ => None,
    },
    ..WORDS
};

/// The walk, ordered by sign-up. A search shows 1000 users at most, and its
/// pages shift when users are deleted. So each page is the first of a search of
/// its own, which begins at the sign-up of the last user seen. A search is paged
/// through only if the users who signed up at one moment fill a page.
///
/// Searches that take too long are narrowed to windows of sign-ups.
#[derive(Default, Serialize, Deserialize)]
struct Position {
    /// The server may say that its pages hold even fewer than we ask for.
    size: PageSize<1, 100>,
    /// Whether the first page has told the size and the count.
    begun: bool,
    /// The search's first moment, as Auth0 writes it; `None` at the start.
    from: Option<String>,
    /// Where the search before began, if `from` is a listed user's sign-up.
    before: Option<Before>,
    page: u64,
    /// The id of the user that the page before began with, in this search.
    first: Option<String>,
    /// Users that there were when the walk began.
    counted: Option<u64>,
    /// The window's width in microseconds; `None` if it has no end.
    span: Option<i64>,
    /// How many pages were empty that should not have been.
    repeats: u32,
}

#[derive(Serialize, Deserialize)]
struct Before {
    from: Option<String>,
}

impl Position {
    fn starts_at(&self) -> i64 {
        let from = self.from.as_deref().and_then(At::from_rfc3339);
        from.map_or(BEFORE_ALL, At::as_micros)
    }

    /// The window's last moment, if it has one.
    fn until(&self) -> Option<At> {
        let until = self.starts_at().saturating_add(self.span?);
        Some(At::from_micros(until)).filter(|_| until < AFTER_ALL)
    }
}

/// A window that would be wider has no end.
const WIDEST: i64 = 100 * YEAR;

#[derive(Deserialize)]
struct Found<'a> {
    #[serde(borrow)]
    users: Vec<&'a RawValue>,
    total: Option<u64>,
    limit: Option<u64>,
}

impl<'a> Found<'a> {
    /// An answer with totals, or without: then it is a bare list.
    fn of(text: &'a str) -> Result<Self, AnswerError> {
        let found = match text.trim_start().starts_with('[') {
            true => serde_json::from_str(text).map(|users| Self {
                users,
                total: None,
                limit: None,
            }),
            false => serde_json::from_str(text),
        };
        found.map_err(|_| AnswerError::Garbled("the answer is not a page of users"))
    }
}

impl Position {
    /// Reads the size of pages and the count, which the first page tells.
    fn begin(&mut self, found: &Found<'_>) -> Result<(), AnswerError> {
        self.begun = true;
        // A narrowed search counts its own users alone.
        self.counted = found.total.filter(|_| self.span.is_none());
        let length = parts::count(&found.users);
        let more = found.total.is_some_and(|total| total > length);
        let shown = match (found.limit, length) {
            // The page holds fewer users than it says, and there are more.
            (Some(limit), length @ 1..) if more => limit.min(length),
            (Some(limit), _) => limit,
            (None, length @ 1..) if more => length,
            (None, _) => self.size.get(),
        };
        if shown == 0 {
            return Err(broken("Auth0", "says that a page holds nobody"));
        }
        self.size.lower_to(shown);
        Ok(())
    }

    /// Whether a page is of the search that was asked for.
    fn check(&self, users: &[&RawValue]) -> Result<(), AnswerError> {
        let users = parts::Listed {
            items: users,
            id_field: "user_id",
            time_field: "created_at",
            time: |user, field| user.time(field),
        };
        let places = users.all_places();
        if descends(places.iter().map(|place| place.key)) {
            return Err(broken("Auth0", "shows the newest first"));
        }
        let starts_at = self.starts_at();
        let early = places.iter().filter(|place| place.key < starts_at).count();
        if self.from.is_some() && early * 2 > places.len() {
            return Err(broken(
                "Auth0",
                "does not begin at the moment that was asked for",
            ));
        }
        let first = places.first().map(|place| place.id.as_str());
        if self.page > 0 && first.is_some() && first == self.first.as_deref() {
            return Err(broken("Auth0", "shows the same users again and again"));
        }
        Ok(())
    }

    /// Goes on after a full page.
    fn advance(&mut self, users: &[&RawValue]) -> Result<(), AnswerError> {
        let starts_at = self.starts_at();
        let last = users.iter().rev().filter_map(|user| moment(user.get()));
        let is_later = |moment: &String| {
            At::from_rfc3339(moment).is_some_and(|at| at.as_micros() >= starts_at)
        };
        let last = last.into_iter().find(is_later);
        if last.is_some() && last != self.from {
            let before = std::mem::replace(&mut self.from, last);
            self.before = Some(Before { from: before });
            (self.page, self.first) = (0, None);
            return Ok(());
        }
        self.page += 1;
        self.first = users.first().and_then(|u| parts::id_of(u.get(), "user_id"));
        if (self.page + 1) * self.size.get() <= CEILING {
            return Ok(());
        }
        self.page = 0;
        Err(AnswerError::Refused(
            "Auth0 lists no more than 1000 users who signed up at one moment, and there are more: \
             export the users (POST /api/v2/jobs/users-exports) and ask Auth0's support"
                .to_owned(),
        ))
    }

    /// Goes back to the search before. It has to show the users who signed up at
    /// the moment at which this search begins, unless they were deleted.
    fn step_back(&mut self, before: Before) -> Result<(), AnswerError> {
        self.repeats += 1;
        if self.repeats > MOST_REPEATS {
            return Err(broken(
                "Auth0",
                "does not show the users who signed up at a moment",
            ));
        }
        self.from = before.from;
        (self.page, self.first) = (0, None);
        Ok(())
    }

    /// Goes on after the window; false if it has no end.
    fn next_window(&mut self) -> bool {
        let Some(until) = self.until() else {
            return false;
        };
        self.from = Some(until.to_rfc3339_millis());
        (self.before, self.page, self.first) = (None, 0, None);
        self.span = self
            .span
            .map(|span| span * 2)
            .filter(|span| *span <= WIDEST);
        true
    }
}

impl Paging for Position {
    fn is_sound(&self) -> bool {
        let before = self.before.as_ref().and_then(|before| before.from.as_ref());
        let mut moments = self.from.iter().chain(before);
        let is_width = |span| (NARROWEST..=WIDEST).contains(&span);
        self.page.saturating_add(1).saturating_mul(self.size.get()) <= CEILING
            && moments.all(|moment| is_moment(moment))
            && self.span.is_none_or(is_width)
            && self.repeats <= MOST_REPEATS
    }

    fn path(&self) -> String {
        let Self { size, page, .. } = self;
        let mut path =
            format!("/api/v2/users?search_engine=v3&sort=created_at:1&per_page={size}&page={page}");
        // Counting costs Auth0 time on each page, and once is enough.
        if !self.begun {
            path.push_str("&include_totals=true");
        }
        let until = self.until().map(At::to_rfc3339_millis);
        if self.from.is_some() || until.is_some() {
            let from = self.from.as_deref().unwrap_or("*");
            let until = until.as_deref().unwrap_or("*");
            let q = format!("created_at:[{from} TO {until}]");
            path.push_str(&format!("&q={}", parts::encoded(&q)));
        }
        path
    }

    fn read(&mut self, answer: &Answer) -> Result<Page, AnswerError> {
        if answer.status != StatusCode::OK {
            let of_the_size = answer.status == StatusCode::BAD_REQUEST && code(answer).is_some();
            let before = self.size.get();
            if of_the_size && self.size.lower_to(FALLBACK_PAGE) {
                self.page = self.page * before / FALLBACK_PAGE;
                self.first = None;
                return Ok(Page::default());
            }
            return Err(WORDS.refused(answer));
        }
        let text = answer.text();
        let found = Found::of(&text)?;
        self.check(&found.users)?;
        if !self.begun {
            self.begin(&found)?;
        }
        if self.before.is_some() && !found.users.is_empty() {
            // The walk moved on, so earlier empty pages no longer count.
            self.repeats = 0;
        }
        let full = parts::count(&found.users) >= self.size.get();
        let mut last = false;
        if full {
            self.advance(&found.users)?;
        } else if let Some(before) = self.before.take_if(|_| found.users.is_empty()) {
            self.step_back(before)?;
        } else {
            last = !self.next_window();
        }
        let mut page = parts::page_of(&found.users);
        page.last = last;
        page.counted = self.counted.filter(|_| last);
        Ok(page)
    }

    fn shrink(&mut self) -> bool {
        if self.page > 0 {
            return false;
        }
        self.size.lower_to((self.size.get() / 4).max(5))
    }

    fn can_narrow(&self) -> bool {
        self.span != Some(NARROWEST)
    }

    fn narrow(&mut self) -> bool {
        let can = self.can_narrow();
        let narrower = |span: i64| (span / 8).max(NARROWEST);
        self.span = Some(self.span.map_or(YEAR, narrower));
        can
    }
}

/// When a user signed up, as Auth0 writes it and understands it.
fn moment(raw: &str) -> Option<String> {
    let user = json::Fields::of(raw).ok()?;
    user.string("created_at").filter(|text| is_moment(text))
}

/// Whether this is a time whose characters are safe in a search.
fn is_moment(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b':' | b'.' | b'+');
    text.len() <= 40 && text.bytes().all(plain) && At::from_rfc3339(text).is_some()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::HeaderMap;

    use super::super::tests::{answer, connected, event, ids, next};
    use super::*;
    use crate::signature::Forged;
    use crate::time::tests::clock;

    const JOHN: &str = "auth0|507f1f77bcf86cd799439020";

    fn secret() -> serde_json::Value {
        serde_json::json!({
            "name": "auth0", "domain": "tenant.eu.auth0.com", "client_id": "id",
            "client_secret": "cs_hidden", "webhook_token": "wt_hidden",
        })
    }

    fn auth0() -> Arc<dyn Provider> {
        connected(secret(), None).unwrap()
    }

    #[test]
    fn the_secrets_fields_are_checked() {
        let unused = connected(secret(), Some("whsec_hidden")).err();
        let expected = "signing_secrets is not used by auth0: remove it";
        assert_eq!(unused.as_deref(), Some(expected));
        let with = |field: &str, value: &str| {
            let mut secret = secret();
            secret[field] = value.into();
            connected(secret, None).map(|provider| provider.facts().project.clone())
        };
        let project = Ok(Some("tenant.eu.auth0.com".to_owned()));
        assert_eq!(with("domain", "https://Tenant.eu.auth0.com/"), project);
        assert_eq!(with("domain", "HTTPS://tenant.eu.auth0.com:443"), project);
        for bad in [
            "hidden/path",
            "u:hidden@tenant.eu.auth0.com",
            "tenant?hidden",
            "http://tenant",
        ] {
            let error = with("domain", bad).unwrap_err();
            assert!(!error.contains("hidden"), "{error}");
        }
        assert!(with("webhook_token", " ").is_err());
    }

    #[test]
    fn a_delivery_is_known_by_its_token() {
        let body = include_bytes!("../../../events/auth0/user.created.json");
        let check = |header: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("authorization", header.parse().unwrap());
            let auth0 = auth0();
            let verified = auth0.verify(&headers, body, clock(0));
            verified.map(|verified| verified.event_id().to_owned())
        };
        let id = "evt_vjFVP5pVdfvsfRKatshkV1".to_owned();
        assert_eq!(check("Bearer wt_hidden"), Ok(id.clone()));
        assert_eq!(check("bearer  wt_hidden "), Ok(id));
        for wrong in ["Bearer wt_hidde", "Bearer wt_hidden2", "Bearer x"] {
            assert_eq!(check(wrong), Err(Forged::Mismatch), "{wrong}");
        }
        for malformed in ["", "wt_hidden", "Basic wt_hidden"] {
            assert_eq!(check(malformed), Err(Forged::Malformed), "{malformed}");
        }
        let none = auth0()
            .verify(&HeaderMap::new(), body, clock(0))
            .map(|_| ());
        assert_eq!(none, Err(Forged::Malformed));
    }

    #[test]
    fn deliveries_are_hints_and_tests_are_about_nobody() {
        let told = |body| match event(&*auth0(), body) {
            Event::Hint { id, told } => {
                assert_eq!(id.as_str(), JOHN);
                told
            }
            event => panic!("{event:?}"),
        };
        let created = told(include_str!("../../../events/auth0/user.created.json"));
        assert!(matches!(created, Told::Exists { .. }));
        let updated = told(include_str!("../../../events/auth0/user.updated.json"));
        assert!(matches!(updated, Told::Exists { .. }));
        let deleted = told(include_str!("../../../events/auth0/user.deleted.json"));
        assert!(matches!(deleted, Told::Deleted));
        let test = include_str!("../../../events/auth0/user.created.observed.json");
        assert!(matches!(event(&*auth0(), test), Event::OfNoUser));
        let other = r#"{"type":"organization.created","data":{}}"#;
        assert!(matches!(event(&*auth0(), other), Event::OfNoUser));
    }

    #[test]
    fn an_id_is_encoded_and_only_inexistent_user_means_deleted() {
        let id = UserId::new(JOHN).unwrap();
        let request = auth0().user_request(&id);
        let path = "/api/v2/users/auth0%7C507f1f77bcf86cd799439020";
        assert_eq!(request.uri().path(), path);
        let check = |status, body: &str| auth0().user(&id, &answer(status, body));
        let gone = include_str!("../../../events/auth0/get.404.json");
        assert!(matches!(check(404, gone), Ok(None)));
        assert!(matches!(
            check(404, "Not Found"),
            Err(AnswerError::Garbled(_))
        ));
        let other = r#"{"statusCode":404,"error":"Not Found","message":"Not Found"}"#;
        assert!(matches!(check(404, other), Err(AnswerError::Refused(_))));
        let scope = r#"{"statusCode":403,"error":"Forbidden","errorCode":"insufficient_scope"}"#;
        let Err(AnswerError::Refused(advice)) = check(403, scope) else {
            panic!("not refused");
        };
        assert!(advice.contains("read:users"), "{advice}");
        let uri = r#"{"statusCode":400,"error":"Bad Request","errorCode":"invalid_uri"}"#;
        assert!(matches!(check(400, uri), Err(AnswerError::Refused(_))));
        let by_hand = UserId::new("by hand").unwrap();
        let read = auth0().user(&by_hand, &answer(400, uri));
        assert!(matches!(read, Err(AnswerError::NoSuchId)));
    }

    #[test]
    fn the_apis_address_may_be_written_whole() {
        for api_url in ["http://127.0.0.1:1", "http://127.0.0.1:1/api/v2/"] {
            let mut secret = secret();
            secret["api_url"] = api_url.into();
            let auth0 = connected(secret, None).unwrap();
            let user = auth0.user_request(&UserId::new("a|1").unwrap());
            assert_eq!(user.uri(), "http://127.0.0.1:1/api/v2/users/a%7C1");
            let token = auth0.access_token_request().unwrap();
            assert_eq!(token.uri(), "http://127.0.0.1:1/oauth/token");
        }
    }

    #[test]
    fn tokens_stay_out_of_the_profile_and_all_else_stays_in() {
        let with = |identity: &str| {
            format!(
                r#"{{"user_id":"a|1","n":1.50e2,"identities":[{{"user_id":7{identity}}}],"user_metadata":{{"access_token":"theirs"}}}}"#
            )
        };
        let raw = with(r#","access_token":"x","profileData":{"refresh_token":"y"},"provider":"a""#);
        let kept = with(r#","profileData":{},"provider":"a""#);
        assert_eq!(profile(&raw).unwrap().raw_json, kept);
        let body = format!(r#"{{"id":"evt","data":{{"object":{raw}}}}}"#);
        let kept = auth0().redacted(body.as_bytes()).into_owned();
        assert!(!String::from_utf8(kept).unwrap().contains("\"x\""));
        let half = &body.as_bytes()[..body.len() / 2];
        assert!(auth0().redacted(half).is_empty());
        assert_eq!(auth0().redacted(b"nonsense").as_ref(), b"nonsense");
    }

    #[test]
    fn a_name_is_the_first_of_those_there_are() {
        let check = |fields: &str| {
            profile(&format!(r#"{{"user_id":"a|1"{fields}}}"#))
                .unwrap()
                .name
        };
        let all = r#","username":"u","nickname":"n","family_name":"F","given_name":"G","name":" ""#;
        assert_eq!(check(all).as_deref(), Some("G F"));
        assert_eq!(
            check(r#","nickname":"n","username":"u""#).as_deref(),
            Some("n")
        );
        assert_eq!(check(r#","username":"u""#).as_deref(), Some("u"));
        assert_eq!(check(""), None);
    }

    #[test]
    fn a_token_is_asked_for_with_the_tenants_own_audience() {
        let request = auth0().access_token_request().unwrap();
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.uri(), "https://tenant.eu.auth0.com/oauth/token");
        let body = String::from_utf8_lossy(request.body()).into_owned();
        assert!(body.contains(r#""audience":"https://tenant.eu.auth0.com/api/v2/""#));
        let granted = r#"{"access_token":"t_hidden","expires_in":86400,"token_type":"Bearer"}"#;
        let token = auth0().access_token(&answer(200, granted)).unwrap();
        assert_eq!(token.authorization, "Bearer t_hidden");
        assert_eq!(token.lifetime, Duration::from_secs(86_400));
        assert!(!format!("{token:?}").contains("hidden"));
        let denied = r#"{"error":"access_denied","error_description":"Unauthorized"}"#;
        let denied = auth0()
            .access_token(&answer(401, denied))
            .unwrap_err()
            .to_string();
        assert!(denied.contains("provider.client_secret"), "{denied}");
    }

    fn users(times: &[u32], total: u64) -> Answer {
        let users: Vec<_> = times
            .iter()
            .enumerate()
            .map(|(i, second)| {
                let created_at = format!("2025-02-01T12:34:{second:02}.000Z");
                serde_json::json!({"user_id": format!("a|{second}{i}"), "created_at": created_at})
            })
            .collect();
        answer(200, serde_json::json!({"users": users, "total": total}))
    }

    fn small() -> Box<dyn Listing> {
        let position = Position {
            size: 5.try_into().unwrap(),
            ..Position::default()
        };
        auth0().listing(Some(&serde_json::to_string(&position).unwrap()))
    }

    #[test]
    fn each_page_is_the_first_of_a_search_of_its_own_and_the_first_one_counts() {
        let mut listing = small();
        let first = "/api/v2/users?search_engine=v3&sort=created_at:1&per_page=5&page=0";
        assert_eq!(next(&*listing), format!("{first}&include_totals=true"));
        listing.read(&users(&[1, 2, 3, 4, 5], 7)).unwrap();
        let from = "&q=created_at%3A%5B2025-02-01T12%3A34%3A05.000Z%20TO%20%2A%5D";
        assert_eq!(next(&*listing), format!("{first}{from}"));
        let page = listing.read(&bare(&[5, 6, 7])).unwrap();
        assert_eq!((page.last, page.counted), (true, Some(7)));
    }

    #[test]
    fn users_of_one_moment_are_paged_through_until_the_api_refuses() {
        let mut listing = small();
        listing.read(&users(&[1, 1, 1, 2, 2], 2000)).unwrap();
        listing.read(&numbered(2, 0..5)).unwrap();
        assert!(next(&*listing).contains("&page=1&q="));
        let again = auth0().listing(Some(&listing.position()));
        assert_eq!(next(&*again), next(&*listing));
        listing.read(&bare(&[2, 2, 2, 2, 3])).unwrap();
        assert!(next(&*listing).contains("&page=0&q="));
        let pages = (1..1000).find_map(|n| {
            let read = listing.read(&numbered(3, n * 5..n * 5 + 5));
            read.err().map(|error| (n, error.to_string()))
        });
        let (pages, refused) = pages.unwrap();
        assert!(refused.contains("1000 users"), "{refused}");
        assert_eq!(pages, 200);
    }

    /// An answer without totals.
    fn bare(times: &[u32]) -> Answer {
        let whole: serde_json::Value = serde_json::from_slice(&users(times, 0).body).unwrap();
        answer(200, &whole["users"])
    }

    fn numbered(second: u32, numbers: std::ops::Range<u32>) -> Answer {
        let created_at = format!("2025-02-01T12:34:{second:02}.000Z");
        let user = |i| serde_json::json!({"user_id": format!("a|n{i}"), "created_at": created_at});
        answer(200, serde_json::Value::from_iter(numbers.map(user)))
    }

    fn limited(limit: usize, times: &[u32], total: u64) -> Answer {
        let mut whole: serde_json::Value =
            serde_json::from_slice(&users(times, total).body).unwrap();
        whole["limit"] = limit.into();
        answer(200, whole)
    }

    #[test]
    fn the_first_answer_says_how_large_pages_are() {
        let seconds: Vec<u32> = (0..50).collect();
        for told in [Some(50), Some(100), None] {
            let mut listing = auth0().listing(None);
            assert!(next(&*listing).contains("per_page=100&"));
            let page = listing.read(&match told {
                Some(limit) => limited(limit, &seconds, 60),
                None => users(&seconds, 60),
            });
            assert!(!page.unwrap().last, "{told:?}");
            assert!(
                next(&*listing).contains("per_page=50&page=0&q="),
                "{told:?}"
            );
            let page = listing.read(&bare(&[49, 50, 51])).unwrap();
            assert_eq!((page.last, page.counted), (true, Some(60)));
        }
        // All that there are.
        let mut listing = auth0().listing(None);
        assert!(listing.read(&limited(100, &seconds, 50)).unwrap().last);
    }

    #[test]
    fn a_size_that_is_refused_is_asked_for_no_more() {
        let body = include_str!("../../../events/auth0/list.400.over1000.json");
        let mut listing = auth0().listing(None);
        assert!(!listing.read(&answer(400, body)).unwrap().last);
        assert!(next(&*listing).contains("per_page=50&page=0&include_totals=true"));
        let refused = listing.read(&answer(400, body));
        assert!(matches!(refused, Err(AnswerError::Refused(_))));
    }

    #[test]
    fn a_search_that_takes_too_long_is_narrowed_to_windows() {
        let mut listing = small();
        assert!(listing.can_narrow() && listing.narrow());
        let q = |listing: &dyn Listing| {
            let uri = next(listing);
            let (_, q) = uri.split_once("&q=created_at%3A%5B").unwrap();
            q.replace("%3A", ":")
                .replace("%20", " ")
                .replace("%2A", "*")
        };
        assert_eq!(q(&*listing), "* TO 2011-01-01T00:00:00.000Z%5D");
        assert!(listing.narrow());
        assert_eq!(q(&*listing), "* TO 2010-02-15T15:00:00.000Z%5D");
        // Nobody signed up then: the next window is twice as wide.
        assert!(!listing.read(&users(&[], 0)).unwrap().last);
        let second = "2010-02-15T15:00:00.000Z TO 2010-05-17T21:00:00.000Z%5D";
        assert_eq!(q(&*listing), second);
        let again = auth0().listing(Some(&listing.position()));
        assert_eq!(next(&*again), next(&*listing));
        let ends = (0..30).find_map(|_| {
            let page = listing.read(&bare(&[])).unwrap();
            page.last.then_some(page.counted)
        });
        assert_eq!(ends, Some(None));
        // It ends.
        let mut listing = small();
        assert!((0..20).any(|_| !listing.narrow()));
        assert!(!listing.can_narrow());
    }

    #[test]
    fn an_empty_page_where_somebody_signed_up_is_not_the_end() {
        let mut listing = small();
        listing.read(&users(&[1, 2, 3, 4, 5], 9)).unwrap();
        let begun = next(&*listing);
        // The fifth was deleted, and so were all that followed.
        assert!(!listing.read(&bare(&[])).unwrap().last);
        assert!(!next(&*listing).contains("&q="));
        assert!(listing.read(&bare(&[1, 2, 3, 4])).unwrap().last);
        // Nobody was deleted.
        let mut listing = small();
        listing.read(&users(&[1, 2, 3, 4, 5], 9)).unwrap();
        let said = (0..9).find_map(|_| {
            let answer = match next(&*listing) == begun {
                true => bare(&[]),
                false => bare(&[1, 2, 3, 4, 5]),
            };
            match listing.read(&answer) {
                Ok(page) => {
                    assert!(!page.last);
                    None
                }
                Err(error) => Some(error.to_string()),
            }
        });
        assert!(said.unwrap().contains("paging has changed"));
    }

    #[test]
    fn paging_that_has_changed_is_named_within_a_few_pages() {
        let check = |answers: &[Answer], words: &str| {
            let mut listing = small();
            let (last, before) = answers.split_last().unwrap();
            for answer in before {
                assert!(!listing.read(answer).unwrap().last);
            }
            match listing.read(last) {
                Err(AnswerError::Paging(said)) => {
                    assert!(
                        said.contains(words) && said.contains("paging has changed"),
                        "{said}"
                    );
                }
                other => panic!("{other:?}"),
            }
        };
        let first = || users(&[1, 2, 3, 4, 5], 9);
        check(&[first(), first()], "does not begin at the moment");
        check(&[users(&[5, 4, 3, 2, 1], 9)], "newest first");
        let one = || numbered(1, 0..5);
        check(
            &[users(&[1, 1, 1, 1, 1], 9), one(), one()],
            "again and again",
        );
        check(&[limited(0, &[], 9)], "holds nobody");
    }

    #[test]
    fn a_position_of_an_earlier_release_begins_anew() {
        let earlier = r#"{"size":100,"from":"2025-02-01T12:34:05.000Z","page":0,"counted":7}"#;
        let listing = auth0().listing(Some(earlier));
        assert!(!next(&*listing).contains("&q="));
    }

    #[test]
    fn the_listings_fixtures_are_read() {
        let body = include_str!("../../../events/auth0/list.page0.json");
        let page = auth0().listing(None).read(&answer(200, body)).unwrap();
        assert_eq!(ids(&page, "user_id"), (vec![JOHN], true));
        assert_eq!(page.counted, Some(1));
        let john = auth0().listed(&page.users[0]).unwrap();
        assert_eq!(john.name.as_deref(), Some("John Doe"));
        assert_eq!(john.email.as_deref(), Some("john.doe@gmail.com"));
        let created_at = At::from_rfc3339("2025-02-01T12:34:56Z");
        assert_eq!(john.created_at, created_at);
        let body = include_str!("../../../events/auth0/list.400.over1000.json");
        let mut listing = small();
        let refused = listing.read(&answer(400, body));
        assert!(matches!(refused, Err(AnswerError::Refused(_))));
    }
}
