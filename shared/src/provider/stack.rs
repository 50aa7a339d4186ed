//! Stack Auth, which is called Hexclave since May 2026: `hexclave` and `stack`
//! are two names of one provider, and a schema that was bound under one of them
//! stays bound under the other. A delivery says *that* a user changed, a read
//! says *how*: profiles have no version, and `user.created` is stale as sent.
//!
//! The walk assumes this of paging: users are listed by `signed_up_at`, the
//! oldest first. `cursor` is a user's id, and a page begins with that user (on
//! servers until about April 2026) or with the next one (since then). Anybody
//! who signs up, an anonymous user too, stands at the end from then on. `limit`
//! takes 1000. `next_cursor` is null on the last page, and can be null on
//! another one too: if the cursor's user is gone, the server sends an empty page
//! that looks like the last.
//!
//! Sources: <https://docs.stack-auth.com/rest-api/server/users>, the server's
//! source, and payloads captured from a real backend (`events/stack`).

use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::parts::{self, Api, PageSize, Paging};
use super::{Event, Facts, Provider, Told, Words};
use crate::exchange::{Answer, AnswerError, Request};
use crate::json::{self, Unreadable};
use crate::listing::{Cursor, Listing, Page};
use crate::profile::{Columns, Profile, UserId};
use crate::settings::{Misconfigured, Settings};
use crate::signature::{SigningSecret, Verified, Verifier, svix_time};
use crate::time::At;

/// The provider says that this host stays, beside the newer `api.hexclave.com`.
/// It remains the default: a release must not send a key to a host that its
/// operator has not seen or has not allowed.
const API: &str = "https://api.stack-auth.com/api/v1";

/// Users a page on servers that refuse the 1000 that the newest ones take.
const FALLBACK_PAGE: u64 = 100;

/// The server waits for its replicas, for about a second at most.
const STALENESS: Duration = Duration::from_millis(1200);

/// Stack makes `user.created` before the personal team and the OAuth account.
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
    verifier: Verifier,
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
        let headers = [
            (
                HeaderName::from_static("x-stack-access-type"),
                HeaderValue::from_static("server"),
            ),
            (
                HeaderName::from_static("x-stack-project-id"),
                settings.header("project_id", &project)?,
            ),
            (
                HeaderName::from_static("x-stack-secret-server-key"),
                settings.header("secret_server_key", &key)?,
            ),
        ];
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
            verifier: Verifier::Svix(SigningSecret::all_svix(signing_secrets)?),
            api: Api::new(settings.api_url("api_url", API)?, headers),
        })
    }
}

impl Provider for Stack {
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
        let filled_in_later = match kind.as_str() {
            "user.created" => AFTER_CREATION,
            "user.updated" => AFTER_UPDATE,
            "user.deleted" => &[],
            _ => return Ok(Event::OfNoUser),
        };
        let profile = Profile::of_known(parts::data(&envelope)?, columns)?;
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

    fn profile(&self, raw: &str) -> Result<Profile, Unreadable> {
        profile(raw)
    }

    fn listed(&self, user: &RawValue) -> Result<Profile, Unreadable> {
        Profile::of_known(user.get(), columns)
    }

    fn user_request(&self, id: &UserId) -> Request {
        self.api.get_user("/users", id)
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
        parts::walk::<Position>(&self.api, position)
    }

    fn user_in_rejected(&self, body: &[u8]) -> Option<UserId> {
        parts::user_in_data(body)
    }
}

/// Whether this is a UUID by Stack Auth's schema, which is narrower than the
/// standard. All of its ids are.
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

fn profile(raw: &str) -> Result<Profile, Unreadable> {
    Profile::from_json(raw, columns)
}

/// Maps a user as Neon did.
fn columns(user: &json::Fields<'_>) -> Columns {
    Columns {
        id: user.string("id"),
        name: user.string("display_name"),
        email: user.string("primary_email"),
        created_at: user.millis("signed_up_at_millis"),
        version: None,
    }
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
        (400, "SCHEMA_ERROR") => {
            Some("the server does not accept this request: if it is self-hosted and old, update it")
        }
        _ => None,
    },
    explained: "look the code up in Stack Auth's documentation",
    foreign: "the answer is not Stack Auth's: check provider.api_url",
    webhooks: "in Stack Auth's dashboard under Webhooks, see that an endpoint has the URL of webhook, \
               is enabled (one that fails for five days is not), and listens to user.created, \
               user.updated and user.deleted; its page shows what was answered",
};

/// The walk, ordered by sign-up, by a cursor of its own.
///
/// Of the server's `next_cursor` only its presence is used. Until about April
/// 2026 it named a user who had not been listed yet; since then it names the
/// last one who was. The meaning of `cursor` changed with it.
#[derive(Serialize, Deserialize)]
struct Position {
    /// A page holds two known users, where it begins with the cursor's.
    page: PageSize<3, 1000>,
    include_anonymous: bool,
    include_restricted: bool,
    cursor: Cursor,
}

impl Default for Position {
    fn default() -> Self {
        Self {
            page: PageSize::default(),
            include_anonymous: true,
            include_restricted: true,
            cursor: Cursor::default(),
        }
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

impl Position {
    /// Asks in another way, if there is one, because the server refused a
    /// parameter. The largest `limit` differs between servers, and older ones do
    /// not know `include_restricted` (January 2026) or `include_anonymous`
    /// (August 2025).
    fn without_refused_parameter(&mut self, answer: &Answer) -> bool {
        if answer.text().contains("query.limit") {
            return self.page.lower_to(FALLBACK_PAGE);
        }
        let newest = if self.include_restricted {
            &mut self.include_restricted
        } else {
            &mut self.include_anonymous
        };
        std::mem::replace(newest, false)
    }
}

impl Paging for Position {
    fn is_sound(&self) -> bool {
        self.cursor.is_sound()
    }

    fn path(&self) -> String {
        let mut path = format!("/users?limit={}&order_by=signed_up_at", self.page);
        if self.include_anonymous {
            path.push_str("&include_anonymous=true");
        }
        if self.include_restricted {
            path.push_str("&include_restricted=true");
        }
        if let Some(after) = self.cursor.after() {
            let after = parts::encoded(after);
            path.push_str(&format!("&cursor={after}"));
        }
        path
    }

    fn read(&mut self, answer: &Answer) -> Result<Page, AnswerError> {
        if answer.status != StatusCode::OK {
            let begun = self.cursor.after().is_some();
            let of_the_query = answer.status == StatusCode::BAD_REQUEST
                && code(answer).as_deref() == Some("SCHEMA_ERROR");
            return match of_the_query {
                true if begun => self.cursor.go_back("Stack Auth"),
                true if self.without_refused_parameter(answer) => Ok(Page::default()),
                _ => Err(WORDS.refused(answer)),
            };
        }
        let text = answer.text();
        let listed: Listed<'_> = serde_json::from_str(&text)
            .map_err(|_| AnswerError::Garbled("the answer is not a page of users"))?;
        let users = parts::Listed {
            items: &listed.items,
            id_field: "id",
            time_field: "signed_up_at_millis",
            time: |user, field| user.millis(field),
        };
        let Some(known) = self.cursor.known(&users) else {
            return self.cursor.go_back("Stack Auth");
        };
        let new = &listed.items[known..];
        let mut page = parts::page_of(new);
        // A full page is never taken for the last one, whatever it says: one
        // more request is cheap, and ends the walk just as well.
        let says_more = listed.pagination.is_some_and(|p| p.next_cursor.is_some());
        page.last = !says_more && parts::count(&listed.items) < self.page.get();
        if !page.last {
            self.cursor.go_on("Stack Auth", &users, new.len())?;
        }
        Ok(page)
    }

    fn shrink(&mut self) -> bool {
        self.page.shrink()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::HeaderMap;

    use super::super::tests::{answer, check_broken, connected, ids};
    use super::*;
    use crate::time::tests::clock;

    const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

    fn named(name: &str) -> Arc<dyn Provider> {
        let provider = serde_json::json!({
            "name": name, "project_id": "p-1", "secret_server_key": "ssk_1",
        });
        connected(provider, Some(SECRET)).unwrap()
    }

    fn stack() -> Arc<dyn Provider> {
        named("stack")
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
        let (ids, last) = ids(&page, "id");
        (ids.into_iter().map(str::to_owned).collect(), last, cursor)
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
            // They signed up, and are listed after those who were not seen yet.
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

    #[test]
    fn paging_that_has_changed_is_named_within_a_few_pages() {
        let ids: Vec<String> = (0..100).map(|i| format!("{i:03}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let check = |most, words, answers: &mut dyn FnMut(&str) -> Answer| {
            check_broken(stack().listing(None), most, words, answers);
        };
        let begins = "does not begin with the user that was asked for";
        // The same page for ever; nobody after any cursor; others than follow.
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
        // An earlier release's position named the user that the page begins with.
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
        let hexclave = named("hexclave");
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
        let read = page.users.iter().map(|user| stack().read_listed(user));
        let rejected: Vec<_> = read.filter_map(Result::err).collect();
        let reasons: Vec<_> = rejected
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
