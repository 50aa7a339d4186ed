//! Clerk. A delivery is a statement: every profile carries `updated_at`, which
//! orders profiles, and a deletion carries the time of its event.
//!
//! The walk assumes this of paging: users are listed by `created_at`, which
//! doesn't change, the oldest first. A page `starting_after` a user begins with
//! the next one (or with that one), a page at `offset` with the user at that
//! place. `limit` takes 500. A page that is shorter is the last one, unless
//! `users/count` says that there are more.
//!
//! Sources: <https://clerk.com/docs/reference/backend-api> (and its OpenAPI
//! document), <https://clerk.com/docs/webhooks/overview>.

use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::parts::{self, Api, PageSize, Paging};
use super::{Event, Facts, Provider, Words};
use crate::exchange::{Answer, AnswerError, Request};
use crate::json::{self, Unreadable};
use crate::listing::{
    Cursor, Listing, MOST_USERS, Onward, Overlap, Page, Place, Places, broken, descends,
};
use crate::profile::{Columns, Profile, UserId};
use crate::settings::{Misconfigured, Settings};
use crate::signature::{SigningSecret, Verified, Verifier, svix_time};
use crate::time::At;

/// Of the answer about the key's project: a proxy's page says nothing about it.
const NO_JSON: &str = "the answer about the key's project is not JSON";

const API: &str = "https://api.clerk.com/v1";

/// The version of the API that this adapter was written against. Without it
/// Clerk uses the version that the instance was created with.
///
/// Source: <https://clerk.com/docs/versioning/overview>.
const VERSION: HeaderValue = HeaderValue::from_static("2026-05-12");

/// Times of events below this are in seconds, others in milliseconds: the
/// documentation says milliseconds, but the OpenAPI document shows seconds.
const LARGEST_IN_SECONDS: i64 = 100_000_000_000;

/// Clerk.
pub struct Clerk {
    facts: Facts,
    verifier: Verifier,
    api: Api,
}

impl Clerk {
    /// Takes the secret's settings of `provider`.
    pub fn new(
        settings: &mut Settings,
        signing_secrets: Option<Vec<String>>,
    ) -> Result<Self, Misconfigured> {
        let key = settings.required("secret_key")?;
        let headers = [
            (header::AUTHORIZATION, settings.bearer("secret_key", &key)?),
            (HeaderName::from_static("clerk-api-version"), VERSION),
        ];
        // Clerk publishes none. Stack's second is on the safe side.
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
            verifier: Verifier::Svix(SigningSecret::all_svix(signing_secrets)?),
            api: Api::new(settings.api_url("api_url", API)?, headers),
        })
    }
}

impl Provider for Clerk {
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

    /// The delivery's id holds it. The timestamp that is signed is the attempt's.
    fn made_at(&self, delivery: &Verified<'_>) -> Option<At> {
        svix_time(delivery.event_id())
    }

    fn event(&self, delivery: &Verified<'_>) -> Result<Event, Unreadable> {
        let envelope = json::Fields::of_bytes(delivery.body())?;
        let kind = parts::kind(&envelope, "type")?;
        parts::statement_or_hint(&envelope, &kind, columns, event_time)
    }

    fn profile(&self, raw: &str) -> Result<Profile, Unreadable> {
        Profile::from_json(raw, columns)
    }

    fn listed(&self, user: &RawValue) -> Result<Profile, Unreadable> {
        parts::with_version(Profile::of_known(user.get(), columns)?)
    }

    fn user_request(&self, id: &UserId) -> Request {
        self.api.get_user("/users", id)
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
        parts::walk::<Position>(&self.api, position)
    }

    fn user_in_rejected(&self, body: &[u8]) -> Option<UserId> {
        parts::user_in_data(body)
    }

    /// The key does not name its project, but the API names the instance, which
    /// is the same for all of its keys.
    fn project_request(&self) -> Option<Request> {
        Some(self.api.get("/instance"))
    }

    fn project(&self, answer: &Answer) -> Result<Option<String>, AnswerError> {
        if answer.status != StatusCode::OK {
            return Err(WORDS.refused(answer));
        }
        let instance = json::Fields::of_bytes(&answer.body);
        let instance = instance.map_err(|_| AnswerError::Garbled(NO_JSON))?;
        Ok(instance.line("id"))
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

fn columns(user: &json::Fields<'_>) -> Columns {
    Columns {
        id: user.string("id"),
        name: parts::full_name(user).or_else(|| user.text("username")),
        email: primary_email(user),
        created_at: user.millis("created_at"),
        version: user.millis("updated_at"),
    }
}

/// The address that the user made their primary one, and never another.
fn primary_email(user: &json::Fields<'_>) -> Option<String> {
    let primary = user.string("primary_email_address_id")?;
    user.array("email_addresses")?
        .into_iter()
        .filter_map(|address| json::Fields::of(address).ok())
        .find(|address| address.string("id").as_ref() == Some(&primary))?
        .text("email_address")
}

/// A user in an answer, who must have a version.
fn profile(raw: &str) -> Result<Profile, Unreadable> {
    parts::with_version(Profile::from_json(raw, columns)?)
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
            "the code says that the key in provider.secret_key lacks a permission: use the \
             instance's secret key (sk_test_… or sk_live_…) from the API keys page of Clerk's \
             dashboard",
        ),
        (404, _) => Some("there is no such path: provider.api_url has to end with /v1"),
        _ => None,
    },
    explained: "look the code up in Clerk's documentation of its Backend API",
    foreign: "the answer does not come from Clerk: check provider.api_url",
    webhooks: "in Clerk's dashboard under Webhooks, see that an endpoint has the URL of webhook, is \
               enabled (one that fails for five days is not), and is subscribed to user.created, \
               user.updated and user.deleted; its page shows what was answered",
};

/// The walk, ordered by sign-up. It goes by `starting_after`, which Clerk has
/// had since August 2026, or by overlapping offset pages if the server refuses
/// or ignores that. At the end it asks how many users there are.
#[derive(Default, Serialize, Deserialize)]
struct Position {
    /// Offset pages overlap by ten.
    page: PageSize<20, 500>,
    step: Step,
    cursor: Cursor,
    /// How many users were listed, and the last of them.
    listed: u64,
    last: Option<Place>,
    overlap: Overlap,
    /// Whether the walk has turned to offsets.
    offsets: bool,
    /// Whether pages are shorter than asked for, so that only a page without new
    /// users is the last one.
    short: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
enum Step {
    #[default]
    ByCursor,
    ByOffset,
    Count,
}

impl Position {
    /// Goes on by offset, after the users who were listed by cursor.
    fn turn_to_offsets(&mut self) {
        self.step = Step::ByOffset;
        self.offsets = true;
        self.overlap.after(self.listed, self.last.take());
    }

    fn read_by_cursor(&mut self, items: &[&RawValue]) -> Page {
        let users = listed(items);
        let Some(known) = self.cursor.known(&users) else {
            let after = self.cursor.after();
            let mut ids = (0..items.len()).filter_map(|i| users.id(i));
            if ids.any(|id| Some(id.as_str()) == after) || !self.cursor.step_back() {
                // The server ignores the cursor, or every user that could be a
                // cursor is gone.
                self.turn_to_offsets();
            }
            return Page::default();
        };
        let new = &items[known..];
        self.listed += parts::count(new);
        let mut last_first = (0..items.len()).rev();
        let last = last_first.find_map(|i| users.place(i));
        self.last = last.or(self.last.take());
        let onward = self.cursor.advance(&users, new.len());
        if onward != Onward::On {
            self.turn_to_offsets();
        }
        if self.is_last(items, new.len()) {
            self.step = Step::Count;
        }
        parts::page_of(new)
    }

    /// Whether a page is the last one: it is not full, or, if pages are shorter
    /// than asked for, it brings nobody new.
    fn is_last(&self, items: &[&RawValue], new: usize) -> bool {
        match self.short {
            true => new == 0,
            false => parts::count(items) < self.page.get(),
        }
    }

    fn read_by_offset(&mut self, items: &[&RawValue]) -> Result<Page, AnswerError> {
        let (start, ends_at) = (self.overlap.start(), self.overlap.listed());
        // A walk by offset counts users and needs no ids.
        let places = listed(items).all_places();
        let fit = self.overlap.take(start, self.page.get(), &places);
        if !fit.counts("Clerk")? {
            return Ok(Page::default());
        }
        self.listed = self.overlap.listed();
        let new = self.listed.saturating_sub(ends_at);
        if self.is_last(items, usize::try_from(new).unwrap_or(0)) {
            self.step = Step::Count;
        }
        Ok(parts::page_of(items))
    }

    /// Ends the walk, unless Clerk counts more users than it listed: then the
    /// short page was not the last one, and the walk goes on.
    fn read_count(&mut self, answer: &Answer) -> Result<Page, AnswerError> {
        let counted = json::Fields::of_bytes(&answer.body)
            .ok()
            .and_then(|count| count.get("total_count")?.parse().ok())
            .ok_or(AnswerError::Garbled("the answer is not a count of users"))?;
        if counted > self.listed && self.listed > 0 && !self.short {
            self.short = true;
            self.step = match self.offsets {
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

impl Paging for Position {
    fn is_sound(&self) -> bool {
        self.listed <= MOST_USERS && self.cursor.is_sound() && self.overlap.is_sound()
    }

    fn path(&self) -> String {
        let page = self.page;
        match (self.step, self.cursor.after()) {
            (Step::Count, _) => "/users/count".to_owned(),
            (Step::ByCursor, None) => format!("/users?limit={page}&order_by=%2Bcreated_at"),
            (Step::ByCursor, Some(after)) => {
                let after = parts::encoded(after);
                format!("/users?limit={page}&order_by=%2Bcreated_at&starting_after={after}")
            }
            (Step::ByOffset, _) => {
                let offset = self.overlap.start();
                format!("/users?limit={page}&order_by=%2Bcreated_at&offset={offset}")
            }
        }
    }

    fn read(&mut self, answer: &Answer) -> Result<Page, AnswerError> {
        if answer.status != StatusCode::OK {
            let of_the_cursor = matches!(answer.status.as_u16(), 400 | 404 | 422)
                && self.step == Step::ByCursor
                && self.cursor.after().is_some();
            if of_the_cursor && code(answer).is_some() {
                if !self.cursor.step_back() {
                    self.turn_to_offsets();
                }
                return Ok(Page::default());
            }
            return Err(WORDS.refused(answer));
        }
        if self.step == Step::Count {
            return self.read_count(answer);
        }
        let text = answer.text();
        let items: Vec<&RawValue> = serde_json::from_str(&text)
            .map_err(|_| AnswerError::Garbled("the answer is not a page of users"))?;
        if descends(listed(&items).keys()) {
            return Err(broken("Clerk", "shows the newest first"));
        }
        match self.step {
            Step::ByOffset => self.read_by_offset(&items),
            _ => Ok(self.read_by_cursor(&items)),
        }
    }

    fn shrink(&mut self) -> bool {
        self.page.shrink()
    }
}

fn listed<'a>(items: &'a [&'a RawValue]) -> parts::Listed<'a> {
    parts::Listed {
        items,
        id_field: "id",
        time_field: "created_at",
        time: |user, field| user.millis(field),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::HeaderMap;

    use super::super::Told;
    use super::super::tests::{answer, check_broken, connected, event, ids, next, vector};
    use super::*;
    use crate::profile::Observation;
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
        for nameless in ["{}", r#"{"id":7}"#] {
            assert_eq!(clerk().project(&answer(200, nameless)).unwrap(), None);
        }
        for garbled in ["[]", "<html>", "", r#"{"id":"in"#] {
            let read = clerk().project(&answer(200, garbled));
            assert!(matches!(read, Err(AnswerError::Garbled(_))), "{garbled}");
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
            page: 20.try_into().unwrap(),
            ..Position::default()
        };
        clerk().listing(Some(&serde_json::to_string(&position).unwrap()))
    }

    fn read(listing: &mut dyn Listing, answer: &Answer) -> (usize, bool) {
        let page = listing.read(answer).unwrap();
        (page.users.len(), page.last)
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
        assert_eq!(ids(&page, "id"), (vec![JOHN, JOHN], false));
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

    #[test]
    fn paging_that_has_changed_is_named_within_a_few_pages() {
        let check = |most, words, answers: &mut dyn FnMut(&str) -> Answer| {
            check_broken(small(), most, words, answers);
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
                let users = page.users.into_iter();
                met.extend(users.map(|user| user.get().to_owned()));
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
