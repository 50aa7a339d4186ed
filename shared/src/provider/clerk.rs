//! Clerk. A delivery is a statement: every profile carries `updated_at`, which
//! orders them, and a deletion the time of its event.
//!
//! What the walk assumes of paging: users are listed by `created_at`, which
//! doesn't change, the oldest first; a page after `starting_after` begins with
//! the user after that one (or with that one), a page at `offset` with the user
//! at that place; `limit` takes 500; a page that is shorter is the last one, or
//! `users/count` tells otherwise.
//!
//! Sources: <https://clerk.com/docs/reference/backend-api> (and its OpenAPI
//! document), <https://clerk.com/docs/webhooks/overview>.

use std::borrow::Cow;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Event, Facts, Provider, Told, Words, parts};
use crate::exchange::{Answer, AnswerError, Request};
use crate::json::{self, Unreadable};
use crate::listing::{
    Cursor, Listing, MOST_USERS, Onward, Overlap, Page, Place, broken, descends, resume,
};
use crate::profile::{Columns, Observation, Profile, UserId};
use crate::settings::{Misconfigured, Settings};
use crate::signature::{Forged, SigningSecret, Verified, svix_time, verify_svix};
use crate::time::{At, WallClock};

const API: &str = "https://api.clerk.com/v1";

/// The API's version that this was written against; without it, the one that
/// the instance was made with.
///
/// Source: <https://clerk.com/docs/versioning/overview>.
const VERSION: HeaderValue = HeaderValue::from_static("2026-05-12");

/// Users a page; the API's most.
const PAGE: u64 = 500;

/// Times in an event's envelope below this are in seconds: the documentation
/// says milliseconds, and the OpenAPI document's example has seconds.
const LARGEST_IN_SECONDS: i64 = 100_000_000_000;

/// Clerk.
pub struct Clerk {
    facts: Facts,
    secrets: Vec<SigningSecret>,
    api: Api,
}

impl Clerk {
    /// Takes the secret's settings of `provider`.
    pub fn new(
        settings: &mut Settings,
        signing_secrets: Option<Vec<String>>,
    ) -> Result<Self, Misconfigured> {
        let key = settings.required("secret_key")?;
        let mut headers = HeaderMap::new();
        headers.insert(
            header::AUTHORIZATION,
            settings.header("secret_key", &format!("Bearer {}", key.trim()))?,
        );
        headers.insert("clerk-api-version", VERSION);
        // Unpublished; Stack's second is taken to be on the safe side.
        let staleness = Duration::from_secs(1);
        Ok(Self {
            facts: Facts {
                name: "clerk",
                project: None,
                staleness,
                listing_staleness: staleness,
                versioned: true,
                ids_return: false,
                // Svix repeats whatever is not 2xx.
                sends_again: true,
            },
            secrets: SigningSecret::all_svix(signing_secrets)?,
            api: Api {
                base: settings.api_url("api_url", API)?,
                headers,
            },
        })
    }
}

impl Provider for Clerk {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn words(&self) -> &'static Words {
        &WORDS
    }

    fn verify<'a>(
        &self,
        headers: &HeaderMap,
        body: &'a [u8],
        now: WallClock,
    ) -> Result<Verified<'a>, Forged> {
        verify_svix(&self.secrets, headers, body, now)
    }

    fn has_secret(&self) -> bool {
        !self.secrets.is_empty()
    }

    /// In the delivery's id; the signature's timestamp is the attempt's.
    fn made_at(&self, delivery: &Verified<'_>) -> Option<At> {
        svix_time(delivery.event_id())
    }

    fn event(&self, delivery: &Verified<'_>) -> Result<Event, Unreadable> {
        let envelope = json::Fields::of_bytes(delivery.body())?;
        let kind = envelope
            .string("type")
            .ok_or(Unreadable("the event has no type"))?;
        if !matches!(
            kind.as_str(),
            "user.created" | "user.updated" | "user.deleted"
        ) {
            return Ok(Event::OfNoUser);
        }
        let data = envelope
            .get("data")
            .ok_or(Unreadable("the event has no data"))?;
        let profile = columns(data)?;
        let id = profile.id.clone();
        if kind == "user.deleted" {
            return Ok(match event_time(&envelope) {
                Some(at) => Event::Statement(Observation::Gone { id, at }),
                None => Event::Hint {
                    id,
                    told: Told::Deleted,
                },
            });
        }
        Ok(match profile.version {
            Some(at) => Event::Statement(Observation::Present { profile, at }),
            None => Event::Hint {
                id,
                told: Told::Exists {
                    profile: None,
                    filled_in_later: &[],
                },
            },
        })
    }

    fn user_request(&self, id: &UserId) -> Request {
        let id = parts::encoded(id.as_str());
        self.api.get(&format!("/users/{id}"))
    }

    fn user(&self, id: &UserId, answer: &Answer) -> Result<Option<Profile>, AnswerError> {
        if answer.status == StatusCode::OK {
            return parts::read_user(id, "id", answer, profile).map(Some);
        }
        match (answer.status, code(answer).as_deref()) {
            (StatusCode::NOT_FOUND, Some("resource_not_found")) => Ok(None),
            _ => Err(WORDS.refused(answer)),
        }
    }

    fn listing(&self, position: Option<&str>) -> Box<dyn Listing> {
        Box::new(ClerkListing {
            api: self.api.clone(),
            at: resume(position, Position::is_sound),
        })
    }

    fn user_in_rejected(&self, body: &[u8]) -> Option<UserId> {
        parts::user_in_data(body)
    }

    /// The key names no project, but the instance that it is of can be asked
    /// for, and stays the same over all of its keys.
    fn project_request(&self) -> Option<Request> {
        Some(self.api.get("/instance"))
    }

    fn project(&self, answer: &Answer) -> Result<Option<String>, AnswerError> {
        if answer.status != StatusCode::OK {
            return Err(WORDS.refused(answer));
        }
        let instance = json::Fields::of_bytes(&answer.body).ok();
        Ok(instance.and_then(|instance| instance.line("id")))
    }
}

/// When a deletion happened.
fn event_time(envelope: &json::Fields<'_>) -> Option<At> {
    let written = envelope.get("timestamp")?.parse::<i64>().ok()?;
    At::from_millis(if written < LARGEST_IN_SECONDS {
        written.checked_mul(1000)?
    } else {
        written
    })
}

/// A user's columns, with a version or without.
fn columns(raw: &str) -> Result<Profile, Unreadable> {
    Profile::from_json(raw, |user| {
        let part = |key| user.text(key).map(|part| part.trim().to_owned());
        let full: Vec<_> = [part("first_name"), part("last_name")]
            .into_iter()
            .flatten()
            .collect();
        Columns {
            id: user.string("id"),
            name: match full.is_empty() {
                false => Some(full.join(" ")),
                true => user.text("username"),
            },
            email: primary_email(user),
            created_at: user.millis("created_at"),
            version: user.millis("updated_at"),
        }
    })
}

/// The one that the user made their primary, and never another.
fn primary_email(user: &json::Fields<'_>) -> Option<String> {
    let primary = user.string("primary_email_address_id")?;
    user.array("email_addresses")?
        .into_iter()
        .filter_map(|address| json::Fields::of(address).ok())
        .find(|address| address.string("id").as_ref() == Some(&primary))?
        .text("email_address")
}

/// A user of an answer, who must have a version.
fn profile(raw: &str) -> Result<Profile, Unreadable> {
    let profile = columns(raw)?;
    match profile.version {
        Some(_) => Ok(profile),
        None => Err(Unreadable("the user has no updated_at")),
    }
}

/// The first error's code in an answer of Clerk's own.
fn code(answer: &Answer) -> Option<String> {
    let errors = json::Fields::of_bytes(&answer.body).ok()?.array("errors")?;
    json::Fields::of(errors.first()?).ok()?.string("code")
}

const WORDS: Words = Words {
    who: "Clerk",
    code,
    key: "copy the instance's secret key (sk_test_… or sk_live_…) from the API keys page of \
          Clerk's dashboard into provider.secret_key",
    advice: |status, code| match (status, code) {
        (403, code) if !code.is_empty() => Some(
            "the key in provider.secret_key may not do this, as the code says: use the instance's \
             secret key (sk_test_… or sk_live_…) from the API keys page of Clerk's dashboard",
        ),
        (404, _) => Some("no such address: provider.api_url ends with /v1"),
        _ => None,
    },
    explained: "look the code up in Clerk's documentation of its Backend API",
    foreign: "the answer is not Clerk's: check provider.api_url",
};

#[derive(Clone)]
struct Api {
    base: String,
    headers: HeaderMap,
}

impl Api {
    fn get(&self, path: &str) -> Request {
        parts::get(&self.base, path, &self.headers)
    }
}

/// The walk, ordered by sign-up: by `starting_after`, or by overlapping offset
/// pages where a server refuses or ignores that (it is of August 2026). At the
/// end the provider is asked how many users there are.
struct ClerkListing {
    api: Api,
    at: Position,
}

#[derive(Serialize, Deserialize)]
struct Position {
    page: u64,
    step: Step,
    cursor: Cursor,
    /// Users that were listed, and the last of them.
    listed: u64,
    last: Option<Place>,
    overlap: Overlap,
    /// Whether the walk has turned to offsets.
    offsets: bool,
    /// Whether pages are shorter than they were asked for, so that the last one
    /// is one that brings nobody.
    short: bool,
}

impl Position {
    fn is_sound(&self) -> bool {
        (20..=PAGE).contains(&self.page)
            && self.listed <= MOST_USERS
            && self.cursor.is_sound()
            && self.overlap.is_sound()
    }
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Step {
    ByCursor,
    ByOffset,
    Count,
}

impl Default for Position {
    fn default() -> Self {
        Self {
            page: PAGE,
            step: Step::ByCursor,
            cursor: Cursor::default(),
            listed: 0,
            last: None,
            overlap: Overlap::default(),
            offsets: false,
            short: false,
        }
    }
}

impl ClerkListing {
    /// Goes on by offset from what was listed by cursor.
    fn turn_to_offsets(&mut self) {
        self.at.step = Step::ByOffset;
        self.at.offsets = true;
        self.at.overlap.after(self.at.listed, self.at.last.take());
    }

    fn read_by_cursor(&mut self, items: &[&RawValue]) -> Page {
        let places = places(items);
        let Some(known) = self.at.cursor.known(&places) else {
            let after = self.at.cursor.after();
            let mut ids = places.iter().flatten().map(|place| place.id.as_str());
            if ids.any(|id| Some(id) == after) || !self.at.cursor.step_back() {
                // The server takes no notice of it, or nobody is left of whom it
                // has taken notice.
                self.turn_to_offsets();
            }
            return Page::default();
        };
        let new = &items[known..];
        self.at.listed += count(new);
        self.at.last = places
            .iter()
            .flatten()
            .last()
            .cloned()
            .or(self.at.last.take());
        let onward = self.at.cursor.advance(&places, new.len());
        if onward != Onward::On {
            self.turn_to_offsets();
        }
        if self.is_last(items, new.len()) {
            self.at.step = Step::Count;
        }
        page(new)
    }

    /// A page is the last one if it is not full; where pages are shorter than
    /// they were asked for, if it brings nobody.
    fn is_last(&self, items: &[&RawValue], new: usize) -> bool {
        match self.at.short {
            true => new == 0,
            false => count(items) < self.at.page,
        }
    }

    fn read_by_offset(&mut self, items: &[&RawValue]) -> Result<Page, AnswerError> {
        let (start, ends_at) = (self.at.overlap.start(), self.at.overlap.listed());
        let places = offset_places(items);
        let fit = self.at.overlap.take(start, self.at.page, &places);
        if !fit.counts("Clerk's")? {
            return Ok(Page::default());
        }
        self.at.listed = self.at.overlap.listed();
        let new = self.at.listed.saturating_sub(ends_at);
        if self.is_last(items, usize::try_from(new).unwrap_or(0)) {
            self.at.step = Step::Count;
        }
        Ok(page(items))
    }

    /// Ends the walk, unless Clerk counts more users than it listed: then a
    /// short page was not the last one, and the walk goes on.
    fn read_count(&mut self, answer: &Answer) -> Result<Page, AnswerError> {
        let counted = json::Fields::of_bytes(&answer.body)
            .ok()
            .and_then(|count| count.get("total_count")?.parse().ok())
            .ok_or(AnswerError::Garbled("the answer is not a count of users"))?;
        if counted > self.at.listed && self.at.listed > 0 && !self.at.short {
            self.at.short = true;
            self.at.step = match self.at.offsets {
                true => Step::ByOffset,
                false => Step::ByCursor,
            };
            return Ok(Page::default());
        }
        Ok(Page {
            last: true,
            counted: Some(counted),
            ..Page::default()
        })
    }
}

impl Listing for ClerkListing {
    fn request(&self) -> Request {
        let page = self.at.page;
        let path = match (self.at.step, self.at.cursor.after()) {
            (Step::Count, _) => "/users/count".to_owned(),
            (Step::ByCursor, None) => format!("/users?limit={page}&order_by=%2Bcreated_at"),
            (Step::ByCursor, Some(after)) => {
                let after = parts::encoded(after);
                format!("/users?limit={page}&order_by=%2Bcreated_at&starting_after={after}")
            }
            (Step::ByOffset, _) => {
                let offset = self.at.overlap.start();
                format!("/users?limit={page}&order_by=%2Bcreated_at&offset={offset}")
            }
        };
        self.api.get(&path)
    }

    fn read(&mut self, answer: &Answer) -> Result<Page, AnswerError> {
        if answer.status != StatusCode::OK {
            let of_the_cursor = matches!(answer.status.as_u16(), 400 | 404 | 422)
                && self.at.step == Step::ByCursor
                && self.at.cursor.after().is_some();
            if of_the_cursor && code(answer).is_some() {
                if !self.at.cursor.step_back() {
                    self.turn_to_offsets();
                }
                return Ok(Page::default());
            }
            return Err(WORDS.refused(answer));
        }
        if self.at.step == Step::Count {
            return self.read_count(answer);
        }
        let text = answer.text();
        let items: Vec<&RawValue> = serde_json::from_str(&text)
            .map_err(|_| AnswerError::Garbled("the answer is not a page of users"))?;
        if descends(places(&items).iter().flatten()) {
            return Err(broken("Clerk's", "shows the newest first"));
        }
        match self.at.step {
            Step::ByOffset => self.read_by_offset(&items),
            _ => Ok(self.read_by_cursor(&items)),
        }
    }

    fn position(&self) -> String {
        serde_json::to_string(&self.at).unwrap_or_default()
    }

    fn shrink(&mut self) -> bool {
        // Offset pages overlap by ten.
        let smaller = (self.at.page / 4).max(20);
        std::mem::replace(&mut self.at.page, smaller) > smaller
    }
}

fn page(items: &[&RawValue]) -> Page {
    parts::page_of(items, "id", profile, Cow::Borrowed)
}

fn count<T>(items: &[T]) -> u64 {
    u64::try_from(items.len()).unwrap_or(u64::MAX)
}

fn places(items: &[&RawValue]) -> Vec<Option<Place>> {
    parts::places(items, "id", |user| user.millis("created_at"))
}

/// The same, for a walk that counts users and needs no ids.
fn offset_places(items: &[&RawValue]) -> Vec<Place> {
    parts::places_of_all(items, "id", |user| user.millis("created_at"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::tests::{answer, connected, event, ids, next, vector};
    use super::*;
    use crate::time::tests::clock;

    const SECRET: &str = "whsec_dGVzdF9zaWduaW5nX3NlY3JldF8zMl9jaGFyc19sb25n";
    const JOHN: &str = "user_29w83sxmDNGwOuEthce5gg56FcC";

    fn clerk() -> Arc<dyn Provider> {
        let provider = serde_json::json!({"name": "clerk", "secret_key": "sk_test_1"});
        connected(provider, Some(SECRET)).unwrap()
    }

    fn delivered((headers, body): (HeaderMap, &'static [u8])) -> Event {
        let now = clock(1_654_012_592_000);
        let clerk = clerk();
        let verified = clerk.verify(&headers, body, now).unwrap();
        assert_eq!(verified.event_id(), "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W");
        let changed = [body, b" "].concat();
        assert!(clerk.verify(&headers, &changed, now).is_err());
        clerk.event(&verified).unwrap()
    }

    #[test]
    fn deliveries_are_statements_at_their_version() {
        let Event::Statement(Observation::Present { profile, at }) =
            delivered(vector!("clerk/user.created"))
        else {
            panic!("not a statement");
        };
        assert_eq!(Some(at), At::from_millis(1_654_012_591_835));
        assert_eq!(profile.id.as_str(), JOHN);
        assert_eq!(profile.name.as_deref(), Some("Example Example"));
        // The second one: the first is not the primary.
        assert_eq!(profile.email.as_deref(), Some("example@example.org"));
        assert_eq!(profile.created_at, At::from_millis(1_654_012_591_514));

        let phone = delivered(vector!("clerk/user.updated.phone_only"));
        let Event::Statement(Observation::Present { profile, .. }) = phone else {
            panic!("not a statement");
        };
        assert_eq!(profile.name.as_deref(), Some("johndoe"));
        assert_eq!(profile.email, None);
    }

    #[test]
    fn a_deletion_is_of_the_events_time_in_either_unit() {
        let check = |event, millis| match event {
            Event::Statement(Observation::Gone { id, at }) => {
                assert_eq!(id.as_str(), JOHN);
                assert_eq!(Some(at), At::from_millis(millis));
            }
            event => panic!("{event:?}"),
        };
        check(delivered(vector!("clerk/user.deleted")), 1_654_012_700_000);
        let body = include_str!("../../../events/clerk/user.deleted.json");
        let seconds = body.replace("1654012700000", "1654012700");
        check(event(&*clerk(), &seconds), 1_654_012_700_000);
        let timeless = event(
            &*clerk(),
            &body.replace("\"timestamp\":1", "\"timestamp\":-"),
        );
        let deleted = matches!(
            timeless,
            Event::Hint {
                told: Told::Deleted,
                ..
            }
        );
        assert!(deleted || matches!(timeless, Event::Statement(_)));
        let no_time = event(&*clerk(), &body.replace("\"timestamp\"", "\"t\""));
        assert!(matches!(
            no_time,
            Event::Hint {
                told: Told::Deleted,
                ..
            }
        ));
    }

    #[test]
    fn a_profile_without_a_version_is_read_back_and_a_read_must_have_one() {
        let body = r#"{"type":"user.updated","data":{"id":"user_1"}}"#;
        assert!(matches!(event(&*clerk(), body), Event::Hint { .. }));
        let id = UserId::new("user_1").unwrap();
        let read = clerk().user(&id, &answer(200, r#"{"id":"user_1"}"#));
        assert!(matches!(read, Err(AnswerError::Unreadable(_))));
        assert!(matches!(
            event(&*clerk(), r#"{"type":"session.created","data":{}}"#),
            Event::OfNoUser
        ));
    }

    #[test]
    fn only_resource_not_found_means_deleted() {
        let id = UserId::new("user_nope").unwrap();
        let check = |status, body: &str| clerk().user(&id, &answer(status, body));
        let gone = include_str!("../../../events/clerk/get.404.json");
        assert!(matches!(check(404, gone), Ok(None)));
        assert!(matches!(check(404, "<html>"), Err(AnswerError::Garbled(_))));
        assert!(matches!(
            check(404, r#"{"errors":[]}"#),
            Err(AnswerError::Garbled(_))
        ));
        let error = |code| format!(r#"{{"errors":[{{"code":"{code}"}}]}}"#);
        assert!(matches!(
            check(404, &error("x")),
            Err(AnswerError::Refused(_))
        ));
        let Err(AnswerError::Refused(advice)) = check(401, &error("clerk_key_invalid")) else {
            panic!("not refused");
        };
        assert!(advice.contains("provider.secret_key"), "{advice}");
    }

    #[test]
    fn every_request_is_for_one_version_of_the_api() {
        let clerk = clerk();
        for request in [
            clerk.user_request(&UserId::new("user_1").unwrap()),
            clerk.listing(None).request(),
            clerk.project_request().unwrap(),
        ] {
            assert_eq!(request.headers()["clerk-api-version"], "2026-05-12");
        }
    }

    #[test]
    fn the_keys_instance_is_the_project() {
        assert_eq!(clerk().facts().project, None);
        let request = clerk().project_request().unwrap();
        assert_eq!(request.uri(), "https://api.clerk.com/v1/instance");
        let instance = r#"{"object":"instance","id":"ins_1","environment_type":"development"}"#;
        let named = clerk().project(&answer(200, instance)).unwrap();
        assert_eq!(named.as_deref(), Some("ins_1"));
        for nameless in ["{}", "[]", "<html>", r#"{"id":7}"#] {
            assert_eq!(clerk().project(&answer(200, nameless)).unwrap(), None);
        }
        let refused = answer(401, r#"{"errors":[{"code":"clerk_key_invalid"}]}"#);
        assert!(matches!(
            clerk().project(&refused),
            Err(AnswerError::Refused(_))
        ));
    }

    fn users(range: std::ops::Range<u32>) -> Answer {
        let users: Vec<_> = range
            .map(|i| serde_json::json!({"id": format!("u{i}"), "created_at": i, "updated_at": i}))
            .collect();
        answer(200, serde_json::json!(users))
    }

    fn small() -> Box<dyn Listing> {
        let position = Position {
            page: 20,
            ..Position::default()
        };
        clerk().listing(Some(&serde_json::to_string(&position).unwrap()))
    }

    fn read(listing: &mut dyn Listing, answer: &Answer) -> (usize, bool) {
        let page = listing.read(answer).unwrap();
        (page.profiles.len(), page.last)
    }

    #[test]
    fn the_listings_fixture_is_read_and_counted() {
        let mut listing = clerk().listing(None);
        assert_eq!(
            next(&*listing),
            "/v1/users?limit=500&order_by=%2Bcreated_at"
        );
        let body = include_str!("../../../events/clerk/list.page1.json");
        let page = listing.read(&answer(200, body)).unwrap();
        assert_eq!(ids(&page), (vec![JOHN, JOHN], false));
        assert_eq!(next(&*listing), "/v1/users/count");
        let count = include_str!("../../../events/clerk/count.json");
        let page = listing.read(&answer(200, count)).unwrap();
        assert_eq!((page.last, page.counted), (true, Some(2)));
    }

    #[test]
    fn a_walk_by_cursor_goes_on_before_the_last_user_seen() {
        let mut listing = small();
        assert_eq!(read(&mut *listing, &users(0..20)), (20, false));
        assert!(next(&*listing).ends_with("&starting_after=u18"));
        // Everybody from u15 on was deleted, and the server knows no such cursor.
        let unknown = answer(404, r#"{"errors":[{"code":"resource_not_found"}]}"#);
        assert_eq!(read(&mut *listing, &unknown), (0, false));
        assert!(next(&*listing).ends_with("&starting_after=u17"));
        assert_eq!(read(&mut *listing, &answer(200, "[]")), (0, false));
        assert!(next(&*listing).ends_with("&starting_after=u11"));
        assert_eq!(read(&mut *listing, &users(12..30)), (17, false));
        assert_eq!(next(&*listing), "/v1/users/count");
        assert!(listing.read(&unknown).is_err());
    }

    #[test]
    fn a_server_that_ignores_cursors_is_walked_by_overlapping_offsets() {
        let mut listing = small();
        read(&mut *listing, &users(0..20));
        assert_eq!(read(&mut *listing, &users(0..20)), (0, false));
        assert!(next(&*listing).ends_with("&offset=10"));
        // 15 were deleted: the page begins too late, and is asked for again.
        assert_eq!(read(&mut *listing, &users(25..45)), (0, false));
        assert!(next(&*listing).ends_with("&offset=0"));
        assert_eq!(read(&mut *listing, &users(15..35)), (20, false));
        assert!(next(&*listing).ends_with("&offset=10"));
        assert_eq!(read(&mut *listing, &users(25..36)), (11, false));
        assert_eq!(next(&*listing), "/v1/users/count");
    }

    #[test]
    fn a_server_that_refuses_cursors_is_walked_by_overlapping_offsets() {
        let mut listing = small();
        read(&mut *listing, &users(0..20));
        let refused = answer(422, r#"{"errors":[{"code":"form_param_unknown"}]}"#);
        while next(&*listing).contains("starting_after") {
            assert_eq!(read(&mut *listing, &refused), (0, false));
        }
        assert!(next(&*listing).ends_with("&offset=10"));
        let again = clerk().listing(Some(&listing.position()));
        assert_eq!(next(&*again), next(&*listing));
    }

    /// How many pages are read until the walk says what is wrong, and what it says.
    fn broken_after(mut answers: impl FnMut(&str) -> Answer) -> (usize, String) {
        let mut listing = small();
        for pages in 1..100 {
            match listing.read(&answers(&next(&*listing))) {
                Ok(page) => assert!(!page.last, "it ended"),
                Err(AnswerError::Paging(broken)) => return (pages, broken),
                Err(error) => panic!("{error:?}"),
            }
        }
        panic!("it goes on for ever");
    }

    #[test]
    fn paging_that_has_changed_is_named_within_a_few_pages() {
        let check = |most: usize, words: &str, answers: &mut dyn FnMut(&str) -> Answer| {
            let (pages, said) = broken_after(answers);
            assert!(pages <= most && said.contains(words), "{pages}: {said}");
            assert!(said.contains("paging has changed"), "{said}");
        };
        let again = "shows the same users again and again";
        check(8, again, &mut |_| users(0..20));
        // Fewer than were asked for, and the same ones for ever.
        let counted = |total: u32| answer(200, format!(r#"{{"total_count":{total}}}"#));
        check(10, again, &mut |uri| match uri.contains("count") {
            true => counted(100),
            false => users(0..15),
        });
        // Nobody, wherever a page is to begin.
        check(
            30,
            "does not begin where",
            &mut |uri| match uri.contains("starting_after") || uri.contains("offset=1") {
                true => answer(200, "[]"),
                false => users(0..20),
            },
        );
        let mut newest = serde_json::from_slice::<Vec<serde_json::Value>>(&users(0..20).body);
        newest.as_mut().unwrap().reverse();
        let newest = serde_json::Value::from(newest.unwrap());
        check(1, "newest first", &mut |_| answer(200, &newest));
    }

    #[test]
    fn pages_shorter_than_asked_for_are_walked_to_the_end() {
        for offsets in [false, true] {
            let mut listing = small();
            let (mut met, mut asked) = (std::collections::BTreeSet::new(), 0);
            let ended = loop {
                asked += 1;
                assert!(asked < 60, "no end");
                let uri = next(&*listing);
                let number = |key| {
                    let (_, value) = uri.split_once(key)?;
                    value.parse::<u32>().ok()
                };
                let start = match (number("starting_after=u"), number("offset=")) {
                    _ if uri.contains("count") => {
                        let page = listing
                            .read(&answer(200, r#"{"total_count":100}"#))
                            .unwrap();
                        match page.last {
                            true => break page.counted,
                            false => continue,
                        }
                    }
                    (Some(after), _) if !offsets => after + 1,
                    (_, offset) => offset.unwrap_or(0),
                };
                let page = listing.read(&users(start..(start + 15).min(100))).unwrap();
                met.extend(page.profiles.into_iter().map(|user| user.id));
            };
            assert_eq!((met.len(), ended), (100, Some(100)), "{offsets}");
        }
    }

    #[test]
    fn a_position_of_an_earlier_release_begins_anew() {
        let earlier = r#"{"page":20,"step":"ByCursor","cursor":[{"after":"u1","first":"u2"}],
            "listed":3,"last":null,"overlap":{"next":0,"back":0,"last":null,"farthest":0,"stalls":0}}"#;
        let listing = clerk().listing(Some(earlier));
        assert!(next(&*listing).ends_with("limit=500&order_by=%2Bcreated_at"));
    }
}
