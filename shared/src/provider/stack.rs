//! Stack Auth, which is called Hexclave since May 2026: `hexclave` and `stack`
//! are two names of one provider, and a schema that was bound under one of them
//! stays bound under the other. A delivery says *that* a user changed, a read
//! says *how*: profiles have no version, and `user.created` is stale as sent.
//!
//! What the walk assumes of paging: users are listed by `signed_up_at`, the
//! oldest first; `cursor` is a user's id, and a page begins with that user (as
//! servers had it until about April 2026) or with the next one (since); who
//! signs up, an anonymous user too, stands at the end from then on; `limit`
//! takes 1000; `next_cursor` is null on the last page, and may be null on
//! another one, too: where the cursor's user is gone, an empty page says so that
//! it is the last.
//!
//! Sources: <https://docs.stack-auth.com/rest-api/server/users>, the server's
//! source, and payloads captured from a real backend (`events/stack`).

use std::borrow::Cow;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Event, Facts, Provider, Told, Words, parts};
use crate::exchange::{Answer, AnswerError, Request};
use crate::json::{self, Unreadable};
use crate::listing::{Cursor, Listing, Onward, Page, Place, broken, descends, resume};
use crate::profile::{Columns, Profile, UserId};
use crate::settings::{Misconfigured, Settings};
use crate::signature::{Forged, SigningSecret, Verified, svix_time, verify_svix};
use crate::time::{At, WallClock};

/// The provider takes this host for good, by its own word, beside the newer
/// `api.hexclave.com`. It stays the default: a release must not send a key to a
/// host that whoever deployed it has not seen, or not allowed to be reached.
const API: &str = "https://api.stack-auth.com/api/v1";

/// Users a page; the newest servers' most.
const PAGE: usize = 1000;

/// Users a page where that is refused.
const FALLBACK_PAGE: usize = 100;

/// A page holds two who are known, where it begins with the cursor's user.
const SMALLEST_PAGE: usize = 3;

/// The server waits at most about a second for its replicas.
const STALENESS: Duration = Duration::from_millis(1200);

/// `user.created` is made before the personal team and the OAuth account are.
const AFTER_CREATION: &[&str] = &[
    "selected_team_id",
    "selected_team",
    "oauth_providers",
    "signed_up_at_millis",
    "last_active_at_millis",
];

/// The time of the last activity moves without an event.
const AFTER_UPDATE: &[&str] = &["signed_up_at_millis", "last_active_at_millis"];

/// Stack Auth, hosted or self-hosted.
pub struct Stack {
    facts: Facts,
    secrets: Vec<SigningSecret>,
    api: Api,
}

impl Stack {
    /// Takes the secret's settings of `provider`.
    pub fn new(
        settings: &mut Settings,
        signing_secrets: Option<Vec<String>>,
    ) -> Result<Self, Misconfigured> {
        let project = settings.required("project_id")?;
        let key = settings.required("secret_server_key")?;
        let mut headers = HeaderMap::new();
        headers.insert("x-stack-access-type", HeaderValue::from_static("server"));
        headers.insert(
            "x-stack-project-id",
            settings.header("project_id", &project)?,
        );
        headers.insert(
            "x-stack-secret-server-key",
            settings.header("secret_server_key", &key)?,
        );
        Ok(Self {
            facts: Facts {
                name: "stack",
                project: Some(project),
                staleness: STALENESS,
                listing_staleness: STALENESS,
                versioned: false,
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

impl Provider for Stack {
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
        let filled_in_later = match kind.as_str() {
            "user.created" => AFTER_CREATION,
            "user.updated" => AFTER_UPDATE,
            "user.deleted" => &[],
            _ => return Ok(Event::OfNoUser),
        };
        let data = envelope
            .get("data")
            .ok_or(Unreadable("the event has no data"))?;
        let profile = profile(data)?;
        let id = profile.id.clone();
        let told = match kind.as_str() {
            "user.deleted" => Told::Deleted,
            _ => Told::Exists {
                profile: Some(profile),
                filled_in_later,
            },
        };
        Ok(Event::Hint { id, told })
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
            (StatusCode::NOT_FOUND, Some("USER_NOT_FOUND")) => Ok(None),
            (StatusCode::BAD_REQUEST, Some("SCHEMA_ERROR")) if !is_uuid(id.as_str()) => {
                Err(AnswerError::NoSuchId)
            }
            _ => Err(WORDS.refused(answer)),
        }
    }

    fn listing(&self, position: Option<&str>) -> Box<dyn Listing> {
        Box::new(StackListing {
            api: self.api.clone(),
            at: resume(position, Position::is_sound),
        })
    }

    fn user_in_rejected(&self, body: &[u8]) -> Option<UserId> {
        parts::user_in_data(body)
    }
}

/// As all of Stack Auth's ids are: what its schema takes for a UUID, which is
/// narrower than the standard.
///
/// Source: `rUUID` in <https://github.com/jquense/yup/blob/master/src/string.ts>.
fn is_uuid(id: &str) -> bool {
    const NIL: &str = "00000000-0000-0000-0000-000000000000";
    let fits = id.len() == 36
        && id.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            14 => (b'1'..=b'5').contains(&b),
            19 => matches!(b, b'8' | b'9' | b'a' | b'b' | b'A' | b'B'),
            _ => b.is_ascii_hexdigit(),
        });
    fits || id == NIL
}

/// Neon's own mapping.
fn profile(raw: &str) -> Result<Profile, Unreadable> {
    Profile::from_json(raw, |user| Columns {
        id: user.string("id"),
        name: user.string("display_name"),
        email: user.string("primary_email"),
        created_at: user.millis("signed_up_at_millis"),
        version: None,
    })
}

/// The error code in an answer of Stack's own.
fn code(answer: &Answer) -> Option<String> {
    json::Fields::of_bytes(&answer.body).ok()?.string("code")
}

const WORDS: Words = Words {
    who: "Stack Auth",
    code,
    key: "make a secret server key (ssk_…) on the project's API keys page and put it into \
          provider.secret_server_key",
    advice: |status, code| match (status, code) {
        (400, "INVALID_SECRET_SERVER_KEY" | "SERVER_AUTHENTICATION_REQUIRED") => Some(WORDS.key),
        (_, "CURRENT_PROJECT_NOT_FOUND" | "INVALID_PROJECT_ID") => Some(
            "no such project: copy provider.project_id from the project's settings, and \
             provider.secret_server_key from its API keys, and check that provider.api_url is the \
             server it lives on",
        ),
        (400, "SCHEMA_ERROR") => Some("the server does not take this request: is it very old?"),
        _ => None,
    },
    explained: "look the code up in Stack Auth's documentation",
    foreign: "the answer is not Stack Auth's: check provider.api_url",
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

/// The walk, ordered by sign-up, by a cursor of its own.
///
/// The server's `next_cursor` is not used but for whether it is there: it was a
/// trap until about April 2026, as it named a user who was not seen yet, and it
/// names the last one who was since. What `cursor` asks for changed with it.
struct StackListing {
    api: Api,
    at: Position,
}

#[derive(Serialize, Deserialize)]
struct Position {
    page: usize,
    include_anonymous: bool,
    include_restricted: bool,
    cursor: Cursor,
}

impl Default for Position {
    fn default() -> Self {
        Self {
            page: PAGE,
            include_anonymous: true,
            include_restricted: true,
            cursor: Cursor::default(),
        }
    }
}

impl Position {
    fn is_sound(&self) -> bool {
        (SMALLEST_PAGE..=PAGE).contains(&self.page) && self.cursor.is_sound()
    }
}

#[derive(Deserialize)]
struct Listed<'a> {
    #[serde(borrow)]
    items: Vec<&'a RawValue>,
    pagination: Option<Pagination>,
}

#[derive(Deserialize)]
struct Pagination {
    next_cursor: Option<IgnoredAny>,
}

impl StackListing {
    /// The page doesn't go on from the cursor: go back, at last to the start.
    fn step_back(&mut self) -> Result<Page, AnswerError> {
        if self.at.cursor.step_back() || self.at.cursor.begin_anew() {
            return Ok(Page::default());
        }
        Err(broken(
            "Stack Auth's",
            "does not begin with the user that was asked for",
        ))
    }

    /// Asks in another way, if there is one, where the server refuses a
    /// parameter: `limit`'s most may fall again, and an older server doesn't
    /// know the newest (`include_restricted` is of January 2026,
    /// `include_anonymous` of August 2025).
    fn without_refused_parameter(&mut self, answer: &Answer) -> bool {
        if answer.text().contains("query.limit") {
            return std::mem::replace(&mut self.at.page, FALLBACK_PAGE) > FALLBACK_PAGE;
        }
        let newest = if self.at.include_restricted {
            &mut self.at.include_restricted
        } else {
            &mut self.at.include_anonymous
        };
        std::mem::replace(newest, false)
    }

    fn go_on(&mut self, places: &[Option<Place>], new: usize) -> Result<(), AnswerError> {
        let seen = match self.at.cursor.advance(places, new) {
            _ if descends(places.iter().flatten()) => "shows the newest first",
            Onward::On => return Ok(()),
            Onward::Nowhere => "shows no two users in a row who have ids to go on from",
            Onward::Repeats => "says that more users follow, and shows none of them",
        };
        Err(broken("Stack Auth's", seen))
    }
}

impl Listing for StackListing {
    fn request(&self) -> Request {
        let mut path = format!("/users?limit={}&order_by=signed_up_at", self.at.page);
        if self.at.include_anonymous {
            path.push_str("&include_anonymous=true");
        }
        if self.at.include_restricted {
            path.push_str("&include_restricted=true");
        }
        if let Some(after) = self.at.cursor.after() {
            let after = parts::encoded(after);
            path.push_str(&format!("&cursor={after}"));
        }
        self.api.get(&path)
    }

    fn read(&mut self, answer: &Answer) -> Result<Page, AnswerError> {
        if answer.status != StatusCode::OK {
            let begun = self.at.cursor.after().is_some();
            let of_the_query = answer.status == StatusCode::BAD_REQUEST
                && code(answer).as_deref() == Some("SCHEMA_ERROR");
            return match of_the_query {
                true if begun => self.step_back(),
                true if self.without_refused_parameter(answer) => Ok(Page::default()),
                _ => Err(WORDS.refused(answer)),
            };
        }
        let text = answer.text();
        let listed: Listed<'_> = serde_json::from_str(&text)
            .map_err(|_| AnswerError::Garbled("the answer is not a page of users"))?;
        let time = |user: &json::Fields<'_>| user.millis("signed_up_at_millis");
        let places = parts::places(&listed.items, "id", time);
        let Some(known) = self.at.cursor.known(&places) else {
            return self.step_back();
        };
        let new = &listed.items[known..];
        let mut page = parts::page_of(new, "id", profile, Cow::Borrowed);
        // A full page is not taken for the last one whatever it says: one more
        // request is cheap, and ends the walk as well.
        let says_more = listed.pagination.is_some_and(|p| p.next_cursor.is_some());
        page.last = !says_more && listed.items.len() < self.at.page;
        if !page.last {
            self.go_on(&places, new.len())?;
        }
        Ok(page)
    }

    fn position(&self) -> String {
        serde_json::to_string(&self.at).unwrap_or_default()
    }

    fn shrink(&mut self) -> bool {
        let smaller = (self.at.page / 4).max(SMALLEST_PAGE);
        std::mem::replace(&mut self.at.page, smaller) > smaller
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use crate::time::tests::clock;
    use std::sync::Arc;

    fn stack() -> Arc<dyn Provider> {
        let secret = serde_json::json!({
            "database_url": "postgres://u@h/d",
            "signing_secrets": ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"],
            "provider": {"name": "stack", "project_id": "p-1", "secret_server_key": "ssk_1"},
        });
        Secret::parse(&secret.to_string()).unwrap().provider
    }

    fn answer(status: u16, body: impl ToString) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: body.to_string().into(),
        }
    }

    /// The parts of one of the captured webhooks: headers, secret and body.
    fn delivery(fixture: &str) -> Result<Event, String> {
        let fixture: serde_json::Value = serde_json::from_str(fixture).unwrap();
        let headers: HeaderMap = fixture["headers"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(k, v)| {
                let name: http::HeaderName = k.parse().unwrap();
                (name, v.as_str().unwrap().parse().unwrap())
            })
            .collect();
        let sent: u64 = fixture["headers"]["svix-timestamp"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        let body = fixture["body"].as_str().unwrap().as_bytes();
        let provider = stack();
        let delivery = provider
            .verify(&headers, body, clock(sent * 1000))
            .map_err(|e| e.to_string())?;
        provider.event(&delivery).map_err(|e| e.to_string())
    }

    const ADA: &str = "3241a285-8329-4d69-8f3d-316e08cf140c";

    #[test]
    fn captured_deliveries_are_hints() {
        let check = |fixture, name: Option<&str>| match delivery(fixture).unwrap() {
            Event::Hint { id, told } => {
                assert_eq!(id.as_str(), ADA);
                let told = match told {
                    Told::Exists { profile, .. } => profile.unwrap().name,
                    Told::Deleted => None,
                };
                assert_eq!(told.as_deref(), name);
            }
            event => panic!("{event:?}"),
        };
        check(
            include_str!("../../../events/stack/webhook_user_created.json"),
            Some("Ada Lovelace"),
        );
        check(
            include_str!("../../../events/stack/webhook_user_updated.json"),
            Some("Ada L."),
        );
        check(
            include_str!("../../../events/stack/webhook_user_deleted.json"),
            None,
        );
    }

    #[test]
    fn a_user_maps_as_neon_mapped_it() {
        let raw = include_str!("../../../events/stack/user_full_2026_04.json");
        let id = UserId::new(ADA).unwrap();
        let user = stack().user(&id, &answer(200, raw)).unwrap().unwrap();
        assert_eq!(user.name.as_deref(), Some("Ada Lovelace"));
        assert_eq!(user.email.as_deref(), Some("ada.lovelace@example.com"));
        assert_eq!(user.created_at, At::from_millis(1_776_902_400_123));
        assert_eq!(user.version, None);
        assert_eq!(user.raw_json, raw);
    }

    #[test]
    fn a_read_shows_a_created_user_although_their_team_came_later() {
        let created = include_str!("../../../events/stack/webhook_user_created.json");
        let Event::Hint {
            told:
                Told::Exists {
                    profile: Some(told),
                    filled_in_later,
                },
            ..
        } = delivery(created).unwrap()
        else {
            panic!("not a hint");
        };
        let read = profile(include_str!("../../../events/stack/user_full_2026_04.json")).unwrap();
        assert!(read.shows(&told, filled_in_later));
        assert!(!read.shows(&told, &[]));
    }

    #[test]
    fn only_user_not_found_means_deleted() {
        let id = UserId::new(ADA).unwrap();
        let check = |status, body: &str| stack().user(&id, &answer(status, body));
        assert!(matches!(
            check(404, r#"{"code":"USER_NOT_FOUND","error":"…"}"#),
            Ok(None)
        ));
        assert!(matches!(
            check(404, "<html>not found</html>"),
            Err(AnswerError::Garbled(_))
        ));
        assert!(matches!(
            check(404, r#"{"message":"Not Found"}"#),
            Err(AnswerError::Garbled(_))
        ));
        assert!(matches!(
            check(404, r#"{"code":"ROUTE_NOT_FOUND"}"#),
            Err(AnswerError::Refused(_))
        ));
        assert!(matches!(
            check(401, r#"{"code":"INVALID_SECRET_SERVER_KEY"}"#),
            Err(AnswerError::Refused(_))
        ));
        assert!(matches!(
            check(400, r#"{"code":"SCHEMA_ERROR"}"#),
            Err(AnswerError::Refused(_))
        ));
        assert!(matches!(
            check(200, r#"{"id":"someone else"}"#),
            Err(AnswerError::Garbled(_))
        ));
        assert!(matches!(
            check(200, "{\"id\":\"3241"),
            Err(AnswerError::Garbled(_))
        ));
    }

    #[test]
    fn an_id_that_is_no_uuid_belongs_to_nobody() {
        let id = UserId::new("put in by hand").unwrap();
        let read = stack().user(&id, &answer(400, r#"{"code":"SCHEMA_ERROR"}"#));
        assert!(matches!(read, Err(AnswerError::NoSuchId)));
    }

    #[test]
    fn an_id_in_upper_case_belongs_to_nobody_although_the_server_finds_its_user() {
        let id = UserId::new(ADA.to_uppercase()).unwrap();
        let read = stack().user(&id, &answer(200, format!(r#"{{"id":"{ADA}"}}"#)));
        assert!(matches!(read, Err(AnswerError::NoSuchId)));
    }

    #[test]
    fn a_user_whose_id_is_no_string_any_more_is_unreadable_and_not_gone() {
        let id = UserId::new(ADA).unwrap();
        let read = stack().user(&id, &answer(200, r#"{"id":17}"#));
        assert!(matches!(read, Err(AnswerError::Unreadable(_))));
    }

    fn page(ids: &[&str], next: Option<&str>) -> Answer {
        let items: Vec<_> = ids
            .iter()
            .map(|id| serde_json::json!({"id": id, "signed_up_at_millis": id.len()}))
            .collect();
        answer(
            200,
            serde_json::json!({"items": items, "pagination": {"next_cursor": next}}),
        )
    }

    /// Reads a page; gives the ids, whether it was the last, and the next request's cursor.
    fn read(listing: &mut dyn Listing, answer: &Answer) -> (Vec<String>, bool, Option<String>) {
        let page = listing.read(answer).unwrap();
        let uri = listing.request().uri().to_string();
        let cursor = uri
            .split_once("cursor=")
            .map(|(_, cursor)| cursor.to_owned());
        let ids = page
            .profiles
            .iter()
            .map(|p| p.id.as_str().to_owned())
            .collect();
        (ids, page.last, cursor)
    }

    fn seen(ids: &[&str], last: bool, cursor: Option<&str>) -> (Vec<String>, bool, Option<String>) {
        (
            ids.iter().map(|id| (*id).to_owned()).collect(),
            last,
            cursor.map(str::to_owned),
        )
    }

    #[test]
    fn a_page_goes_on_whether_it_begins_with_its_cursor_or_behind() {
        for included in [true, false] {
            let from = |cursor: &str, ids: &[&str], next| match included {
                true => page(&[&[cursor], ids].concat(), next),
                false => page(ids, next),
            };
            let mut listing = stack().listing(None);
            let listing = listing.as_mut();
            let ten = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
            assert_eq!(
                read(listing, &page(&ten, Some("k"))),
                seen(&ten, false, Some("i"))
            );
            // i was deleted: empty, and no next page. It is not the end.
            assert_eq!(read(listing, &page(&[], None)), seen(&[], false, Some("h")));
            assert_eq!(read(listing, &page(&[], None)), seen(&[], false, Some("b")));
            // So was c, so that b's page doesn't begin as it has to.
            let other = from("b", &["d", "e"], Some("f"));
            assert_eq!(read(listing, &other), seen(&[], false, None));
            let anew = ["a", "b", "d", "e", "f"];
            assert_eq!(
                read(listing, &page(&anew, Some("g"))),
                seen(&anew, false, Some("e"))
            );
            let next = from("e", &["f", "g", "h", "j"], Some("k"));
            assert_eq!(
                read(listing, &next),
                seen(&["g", "h", "j"], false, Some("h"))
            );
            let last = from("h", &["j", "k"], None);
            assert_eq!(read(listing, &last), seen(&["k"], true, Some("h")));
        }
    }

    #[test]
    fn a_walk_does_not_continue_from_a_user_that_moved_to_the_end() {
        for moved in [&["d"][..], &["c", "d"]] {
            let mut listing = stack().listing(None);
            let listing = listing.as_mut();
            read(listing, &page(&["a", "b", "c", "d"], Some("e")));
            // They signed up, and are listed behind those who were not seen yet.
            let mut moved = page(moved, None);
            moved.body = String::from_utf8_lossy(&moved.body)
                .replace(":1", ":9")
                .into();
            assert_eq!(read(listing, &moved), seen(&[], false, Some("b")));
        }
    }

    #[test]
    fn a_full_page_is_followed_by_another_whatever_it_says() {
        let full: Vec<String> = (0..1000).map(|i| format!("{i:04}")).collect();
        let full: Vec<&str> = full.iter().map(String::as_str).collect();
        for (next, last) in [
            (None, &["0999"][..]),
            (Some("0999"), &["0999"]),
            (None, &["0998", "0999"]),
        ] {
            let mut listing = stack().listing(None);
            let cursor = Some("0998");
            assert_eq!(
                read(listing.as_mut(), &page(&full, next)),
                seen(&full, false, cursor)
            );
            assert_eq!(
                read(listing.as_mut(), &page(last, None)),
                seen(&[], true, cursor)
            );
        }
    }

    /// How many pages are read until the walk says what is wrong, and what it says.
    fn broken_after(mut answers: impl FnMut(&str) -> Answer) -> (usize, String) {
        let mut listing = stack().listing(None);
        for pages in 1..100 {
            let uri = listing.request().uri().to_string();
            match listing.read(&answers(&uri)) {
                Ok(page) => assert!(!page.last, "it ended"),
                Err(AnswerError::Paging(broken)) => return (pages, broken),
                Err(error) => panic!("{error:?}"),
            }
        }
        panic!("it goes on for ever");
    }

    #[test]
    fn paging_that_has_changed_is_named_within_a_few_pages() {
        let ids: Vec<String> = (0..100).map(|i| format!("{i:03}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let check = |most: usize, words: &str, answers: &mut dyn FnMut(&str) -> Answer| {
            let (pages, said) = broken_after(answers);
            assert!(pages <= most && said.contains(words), "{pages}: {said}");
            assert!(said.contains("paging has changed"), "{said}");
        };
        let begins = "does not begin with the user that was asked for";
        // The same page for ever; nobody behind any cursor; others than follow.
        check(12, begins, &mut |_| page(&ids, Some("100")));
        check(12, begins, &mut |uri| match uri.contains("cursor=") {
            true => page(&[], None),
            false => page(&ids, Some("100")),
        });
        check(12, begins, &mut |uri| match uri.contains("cursor=") {
            true => page(&["100", "101"], Some("102")),
            false => page(&ids, Some("100")),
        });
        check(12, begins, &mut |uri| match uri.contains("cursor=") {
            true => answer(400, r#"{"code":"SCHEMA_ERROR","error":"query.cursor"}"#),
            false => page(&ids, Some("100")),
        });
        check(
            5,
            "shows none of them",
            &mut |uri| match uri.contains("cursor=") {
                true => page(&["099"], Some("100")),
                false => page(&ids, Some("100")),
            },
        );
        check(4, "shows none of them", &mut |_| page(&[], Some("100")));
        check(1, "no two users in a row", &mut |_| page(&["a"], Some("b")));
        let descending: Vec<_> = (0..10)
            .map(|i| serde_json::json!({"id": format!("{i}"), "signed_up_at_millis": 100 - i}))
            .collect();
        check(1, "newest first", &mut |_| {
            let pagination = serde_json::json!({"next_cursor": "11"});
            answer(
                200,
                serde_json::json!({"items": descending, "pagination": pagination}),
            )
        });
    }

    #[test]
    fn a_walk_goes_on_from_its_position() {
        let mut listing = stack().listing(None);
        read(listing.as_mut(), &page(&["a", "b"], Some("c")));
        let again = stack().listing(Some(&listing.position()));
        assert_eq!(again.request().uri(), listing.request().uri());
        // An earlier release's said whom the page begins with.
        let earlier = r#"{"page":1000,"include_anonymous":true,"include_restricted":true,
            "anchors":[{"id":"a","place":"1"},{"id":"b","place":"1"}],"restarts":0}"#;
        for other in ["no position", "{}", earlier] {
            let anew = stack().listing(Some(other));
            assert!(!anew.request().uri().to_string().contains("cursor"));
        }
    }

    #[test]
    fn a_smaller_limit_is_asked_for_where_the_server_refuses_ours() {
        let mut listing = stack().listing(None);
        let body = r#"{"code":"SCHEMA_ERROR","error":"Request validation failed on GET /api/v1/users:\n  - query.limit must be less than or equal to 100"}"#;
        assert!(!listing.read(&answer(400, body)).unwrap().last);
        let uri = listing.request().uri().to_string();
        assert!(
            uri.contains("limit=100&") && uri.contains("include_restricted=true"),
            "{uri}"
        );
        let refused = listing.read(&answer(400, body));
        assert!(matches!(refused, Err(AnswerError::Refused(_))));
    }

    #[test]
    fn the_newer_name_is_the_same_provider_and_connection() {
        let secret = serde_json::json!({
            "database_url": "postgres://u@h/d",
            "signing_secrets": ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"],
            "provider": {"name": "hexclave", "project_id": "p-1", "secret_server_key": "ssk_1"},
        });
        let hexclave = Secret::parse(&secret.to_string()).unwrap().provider;
        assert_eq!(hexclave.facts().name, stack().facts().name);
        assert_eq!(hexclave.facts().project, stack().facts().project);
        let (one, other) = (hexclave.listing(None), stack().listing(None));
        assert_eq!(one.request().uri(), other.request().uri());
        assert_eq!(one.request().headers(), other.request().headers());
    }

    #[test]
    fn an_older_server_is_asked_without_what_it_refuses() {
        let mut listing = stack().listing(None);
        let refused = answer(400, r#"{"code":"SCHEMA_ERROR"}"#);
        let has = |listing: &dyn Listing, word| listing.request().uri().to_string().contains(word);
        assert!(has(&*listing, "include_restricted") && has(&*listing, "include_anonymous"));
        assert!(!listing.read(&refused).unwrap().last);
        assert!(!has(&*listing, "include_restricted") && has(&*listing, "include_anonymous"));
        assert!(!listing.read(&refused).unwrap().last);
        assert!(!has(&*listing, "include_restricted") && !has(&*listing, "include_anonymous"));
        assert!(matches!(
            listing.read(&refused),
            Err(AnswerError::Refused(_))
        ));
    }

    #[test]
    fn a_user_that_cannot_be_stored_does_not_stop_the_page() {
        let mut listing = stack().listing(None);
        let body = r#"{"items":[{"id":"a"},{"id":7},{},"x",{"id":"b","n":1e9999}],"pagination":{"next_cursor":null}}"#;
        let page = listing.read(&answer(200, body)).unwrap();
        assert_eq!(page.profiles.len(), 1);
        let reasons: Vec<_> = page
            .rejected
            .iter()
            .map(|r| (r.id.is_some(), r.reason.as_str()))
            .collect();
        let no_id = "the user has no id, or one that is not a string";
        assert_eq!(
            reasons,
            [
                (false, no_id),
                (false, no_id),
                (false, "not a JSON object"),
                (true, "a number has an exponent beyond 1000")
            ]
        );
    }

    #[test]
    fn a_captured_backends_events_are_read() {
        let captured: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(include_str!("../../../events/stack/captured.json")).unwrap();
        for (kind, event) in captured {
            let body = event["payload"].to_string();
            let verified = crate::signature::tests::trusted(body.as_bytes());
            let event = stack().event(&verified).unwrap();
            assert_eq!(
                matches!(event, Event::Hint { .. }),
                kind.starts_with("user."),
                "{kind}"
            );
        }
    }
}
