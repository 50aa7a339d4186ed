//! Stack Auth. A delivery says *that* a user changed, a read says *how*:
//! profiles have no version, and `user.created` is stale as sent.
//!
//! Sources: <https://docs.stack-auth.com/rest-api/server/users>, the server's
//! source, and payloads captured from a real backend (`events/stack`).

use std::borrow::Cow;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Answer, Event, Facts, Misread, Provider, Request, Told};
use crate::json;
use crate::listing::{Listing, Page, resume};
use crate::profile::{At, Columns, Profile, Unreadable, UserId};
use crate::secret::{Fields, Misconfigured};
use crate::signature::{Forged, SigningSecret, Verified, svix_time, verify_svix};

const API: &str = "https://api.stack-auth.com/api/v1";

/// Users a page. The server knows no maximum.
const PAGE: usize = 1000;

/// How often a listing may lose its place.
const MOST_RESTARTS: u32 = 5;

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
    /// Takes the secret's `provider` fields.
    pub fn new(
        fields: &mut Fields,
        signing_secrets: Option<Vec<String>>,
    ) -> Result<Self, Misconfigured> {
        let project = fields.required("project_id")?;
        let key = fields.required("secret_server_key")?;
        let mut headers = HeaderMap::new();
        headers.insert("x-stack-access-type", HeaderValue::from_static("server"));
        headers.insert("x-stack-project-id", fields.header("project_id", &project)?);
        headers.insert(
            "x-stack-secret-server-key",
            fields.header("secret_server_key", &key)?,
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
                base: fields.api_url("api_url", API)?,
                headers,
            },
        })
    }
}

impl Provider for Stack {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn verify<'a>(
        &self,
        headers: &HeaderMap,
        body: &'a [u8],
        now: At,
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
        let id = super::encoded(id.as_str());
        self.api.get(&format!("/users/{id}"))
    }

    fn user(&self, id: &UserId, answer: &Answer) -> Result<Option<Profile>, Misread> {
        if answer.status == StatusCode::OK {
            return super::read_user(id, "id", answer, profile).map(Some);
        }
        match (answer.status, code(answer).as_deref()) {
            (StatusCode::NOT_FOUND, Some("USER_NOT_FOUND")) => Ok(None),
            (StatusCode::BAD_REQUEST, Some("SCHEMA_ERROR")) if !is_uuid(id.as_str()) => {
                Err(Misread::NoSuchId)
            }
            (status, code) => Err(refused(status, code)),
        }
    }

    fn listing(&self, position: Option<&str>) -> Box<dyn Listing> {
        Box::new(StackListing {
            api: self.api.clone(),
            at: resume(position, Position::is_sound),
        })
    }

    fn whom(&self, body: &[u8]) -> Option<UserId> {
        super::user_in_data(body)
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

fn refused(status: StatusCode, code: Option<&str>) -> Misread {
    let advice = match code {
        Some("INVALID_SECRET_SERVER_KEY" | "SERVER_AUTHENTICATION_REQUIRED") => {
            "make a secret server key (ssk_…) on the project's API keys page and put it into \
             provider.secret_server_key"
        }
        Some("CURRENT_PROJECT_NOT_FOUND" | "INVALID_PROJECT_ID") => {
            "no such project: copy provider.project_id from the project's settings, and check \
             that provider.api_url is the server it lives on"
        }
        Some("SCHEMA_ERROR") => "the server does not take this request: is it very old?",
        Some(_) => "look the code up in Stack Auth's documentation",
        None => return Misread::Garbled("the answer is not Stack Auth's: check provider.api_url"),
    };
    // A code is upper-case words; anything else is not repeated.
    let code = code.filter(|code| code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'));
    let code = code.unwrap_or("an unknown code");
    let status = status.as_u16();
    Misread::Refused(format!("Stack Auth answers {status} {code}: {advice}"))
}

#[derive(Clone)]
struct Api {
    base: String,
    headers: HeaderMap,
}

impl Api {
    fn get(&self, path: &str) -> Request {
        super::get(&self.base, path, &self.headers)
    }
}

/// The walk, ordered by sign-up.
///
/// The server's own `next_cursor` is a trap: it names a user that was not seen
/// yet, and when that one is deleted, the next page is empty and looks like the
/// end; when an anonymous one signs up, they move to the end, and the page
/// starts there. So the cursor is a user of the page before (the *anchor*),
/// and a page counts only if it begins with the anchor, unmoved.
struct StackListing {
    api: Api,
    at: Position,
}

#[derive(Serialize, Deserialize)]
struct Position {
    page: usize,
    include_anonymous: bool,
    include_restricted: bool,
    /// Users to go on from, the best last; empty at the start.
    anchors: Vec<Anchor>,
    restarts: u32,
}

impl Default for Position {
    fn default() -> Self {
        Self {
            page: PAGE,
            include_anonymous: true,
            include_restricted: true,
            anchors: Vec::new(),
            restarts: 0,
        }
    }
}

impl Position {
    fn is_sound(&self) -> bool {
        let short = |anchor: &Anchor| UserId::new(anchor.id.as_str()).is_ok();
        (2..=PAGE).contains(&self.page)
            && self.restarts <= MOST_RESTARTS
            && self.anchors.iter().all(short)
    }
}

#[derive(Serialize, Deserialize)]
struct Anchor {
    id: String,
    /// `signed_up_at_millis` as listed, the place in the order; `None` for a
    /// user who was not seen.
    place: Option<String>,
}

#[derive(Deserialize)]
struct Listed<'a> {
    #[serde(borrow)]
    items: Vec<&'a RawValue>,
    pagination: Option<Pagination>,
}

#[derive(Deserialize)]
struct Pagination {
    next_cursor: Option<String>,
}

impl StackListing {
    /// The anchor is gone or has moved: go on from an earlier one, at last
    /// from the start.
    fn step_back(&mut self) -> Result<Page, Misread> {
        self.at.anchors.pop();
        if self.at.anchors.is_empty() {
            self.at.restarts += 1;
        }
        if self.at.restarts > MOST_RESTARTS {
            return Err(Misread::Refused(
                "Stack Auth's listing lost its place 5 times: run reconcile again later".to_owned(),
            ));
        }
        Ok(Page::default())
    }

    /// An older server refuses parameters that it doesn't know: leave out the
    /// newest (`include_restricted` is of January 2026, `include_anonymous` of
    /// August 2025).
    fn without_newest_parameter(&mut self) -> bool {
        let newest = if self.at.include_restricted {
            &mut self.at.include_restricted
        } else {
            &mut self.at.include_anonymous
        };
        std::mem::replace(newest, false)
    }

    /// The items after the anchor, unless the page doesn't begin with it.
    fn after_anchor<'i, 'a>(&self, items: &'i [&'a RawValue]) -> Option<&'i [&'a RawValue]> {
        let Some(anchor) = self.at.anchors.last() else {
            return Some(items);
        };
        let first = place(items.first()?.get())?;
        let unseen = anchor.place.is_none();
        let unmoved = first.id == anchor.id && (unseen || first.place == anchor.place);
        unmoved.then(|| if unseen { items } else { &items[1..] })
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
        if let Some(anchor) = self.at.anchors.last() {
            let cursor = super::encoded(&anchor.id);
            path.push_str(&format!("&cursor={cursor}"));
        }
        self.api.get(&path)
    }

    fn read(&mut self, answer: &Answer) -> Result<Page, Misread> {
        if answer.status != StatusCode::OK {
            return match (code(answer).as_deref(), self.at.anchors.is_empty()) {
                (Some("SCHEMA_ERROR"), true) if self.without_newest_parameter() => {
                    Ok(Page::default())
                }
                (Some("SCHEMA_ERROR"), false) => self.step_back(),
                (code, _) => Err(refused(answer.status, code)),
            };
        }
        let text = answer.text();
        let listed: Listed<'_> = serde_json::from_str(&text)
            .map_err(|_| Misread::Garbled("the answer is not a page of users"))?;
        let Some(items) = self.after_anchor(&listed.items) else {
            return self.step_back();
        };
        let mut page = super::page_of(items, "id", profile, Cow::Borrowed);
        match listed.pagination.and_then(|p| p.next_cursor) {
            None => page.last = true,
            Some(next) if UserId::new(next.as_str()).is_ok() => {
                self.at.anchors = anchors(&listed.items, next);
            }
            Some(_) => return Err(Misread::Garbled("the page's cursor is not Stack Auth's")),
        }
        Ok(page)
    }

    fn position(&self) -> String {
        serde_json::to_string(&self.at).unwrap_or_default()
    }

    fn shrink(&mut self) -> bool {
        // A page holds the anchor and at least one more.
        let smaller = (self.at.page / 4).max(2);
        std::mem::replace(&mut self.at.page, smaller) > smaller
    }
}

fn place(raw: &str) -> Option<Anchor> {
    let fields = json::Fields::of(raw).ok()?;
    Some(Anchor {
        id: super::id_of(raw, "id")?,
        place: Some(
            fields
                .get("signed_up_at_millis")
                .unwrap_or("null")
                .to_owned(),
        ),
    })
}

/// Where to go on after a page: from its last user, else from ones at growing
/// distances before; from the server's own cursor where that can't move on.
fn anchors(items: &[&RawValue], next: String) -> Vec<Anchor> {
    let distances = std::iter::successors(Some(1_usize), |d| d.checked_mul(2));
    let mut anchors: Vec<Anchor> = distances
        .map_while(|distance| items.len().checked_sub(distance))
        .filter_map(|i| place(items[i].get()))
        .collect();
    anchors.reverse();
    // A page of one item, the anchor itself, would be listed for ever.
    if anchors.is_empty() || items.len() < 2 {
        anchors.push(Anchor {
            id: next,
            place: None,
        });
    }
    anchors
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
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
        let sent: i64 = fixture["headers"]["svix-timestamp"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        let body = fixture["body"].as_str().unwrap().as_bytes();
        let provider = stack();
        let delivery = provider
            .verify(&headers, body, At::from_millis(sent * 1000).unwrap())
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
            Err(Misread::Garbled(_))
        ));
        assert!(matches!(
            check(404, r#"{"message":"Not Found"}"#),
            Err(Misread::Garbled(_))
        ));
        assert!(matches!(
            check(404, r#"{"code":"ROUTE_NOT_FOUND"}"#),
            Err(Misread::Refused(_))
        ));
        assert!(matches!(
            check(401, r#"{"code":"INVALID_SECRET_SERVER_KEY"}"#),
            Err(Misread::Refused(_))
        ));
        assert!(matches!(
            check(400, r#"{"code":"SCHEMA_ERROR"}"#),
            Err(Misread::Refused(_))
        ));
        assert!(matches!(
            check(200, r#"{"id":"someone else"}"#),
            Err(Misread::Garbled(_))
        ));
        assert!(matches!(
            check(200, "{\"id\":\"3241"),
            Err(Misread::Garbled(_))
        ));
    }

    #[test]
    fn an_id_that_is_no_uuid_is_nobody_s() {
        let id = UserId::new("put in by hand").unwrap();
        let read = stack().user(&id, &answer(400, r#"{"code":"SCHEMA_ERROR"}"#));
        assert!(matches!(read, Err(Misread::NoSuchId)));
    }

    #[test]
    fn an_id_in_upper_case_is_nobody_s_although_the_server_finds_its_user() {
        let id = UserId::new(ADA.to_uppercase()).unwrap();
        let read = stack().user(&id, &answer(200, format!(r#"{{"id":"{ADA}"}}"#)));
        assert!(matches!(read, Err(Misread::NoSuchId)));
    }

    #[test]
    fn a_user_whose_id_is_no_string_any_more_is_unreadable_and_not_gone() {
        let id = UserId::new(ADA).unwrap();
        let read = stack().user(&id, &answer(200, r#"{"id":17}"#));
        assert!(matches!(read, Err(Misread::Unreadable(_))));
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
    fn a_page_counts_only_if_it_begins_with_the_anchor() {
        let mut listing = stack().listing(None);
        let listing = listing.as_mut();
        assert_eq!(
            read(listing, &page(&["a", "b", "c"], Some("d"))),
            seen(&["a", "b", "c"], false, Some("c"))
        );
        // c was deleted: empty, and no next page. It is not the end.
        assert_eq!(read(listing, &page(&[], None)), seen(&[], false, Some("b")));
        assert_eq!(
            read(listing, &page(&["b", "d"], Some("e"))),
            seen(&["d"], false, Some("d"))
        );
        // d signed up anew and moved to the end: the page starts there.
        let mut moved = page(&["d"], None);
        moved.body = String::from_utf8_lossy(&moved.body)
            .replace(":1", ":9")
            .into();
        assert_eq!(read(listing, &moved), seen(&[], false, Some("b")));
        assert_eq!(
            read(listing, &page(&["b", "e"], None)),
            seen(&["e"], true, Some("b"))
        );
    }

    #[test]
    fn a_walk_goes_on_from_its_position() {
        let mut listing = stack().listing(None);
        read(listing.as_mut(), &page(&["a", "b"], Some("c")));
        let again = stack().listing(Some(&listing.position()));
        assert_eq!(again.request().uri(), listing.request().uri());
        let garbled = stack().listing(Some("no position"));
        assert!(!garbled.request().uri().to_string().contains("cursor"));
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
        assert!(matches!(listing.read(&refused), Err(Misread::Refused(_))));
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
    fn a_captured_backend_s_events_are_read() {
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
