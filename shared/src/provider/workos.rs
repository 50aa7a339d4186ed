//! WorkOS AuthKit. A delivery is a statement: every user carries `updated_at`,
//! which orders profiles, and a deletion carries the time of its event. WorkOS
//! also keeps a record of the same events, in order, for 90 days.
//!
//! The walk assumes this of paging: with `order=asc` users are listed by
//! `created_at`, which doesn't change, the oldest first. A page `after` a user
//! begins with the next one (or with that one). `limit` takes 100.
//! `list_metadata.after` is null on the last page, or the page after it brings
//! nobody. The record of events shows the oldest first, whether or not that is
//! asked for, and a page `after` an event begins with the next one.
//!
//! Sources: <https://workos.com/docs/reference> (and its OpenAPI document),
//! <https://workos.com/docs/events/data-syncing>.

use std::time::Duration;

use bytes::Bytes;
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::parts::{self, Api, PageSize, Paging};
use super::{Endpoint, Event, EventSource, Facts, Provider, Recorded, RecordedEvent, Since, Words};
use crate::exchange::{Answer, AnswerError, Request};
use crate::json::{self, Unreadable};
use crate::listing::{Cursor, Listing, Page, Places, broken};
use crate::profile::{Columns, Profile, UserId};
use crate::settings::{Misconfigured, Settings};
use crate::signature::{SigningSecret, Verified, Verifier, event_id};
use crate::time::At;

/// Of the answer about the key's project: a proxy's page says nothing about it.
const NO_JSON: &str = "the answer about the key's project is not JSON";

/// Of the answer about the environment's endpoints.
const NO_ENDPOINTS: &str = "the answer about webhook endpoints is not a list as WorkOS sends it";

const API: &str = "https://api.workos.com";

/// Events in a page of the record; the API gives no more.
const EVENTS: usize = 100;

/// For how many days WorkOS keeps the record.
const KEPT: u64 = 90;

/// How many days back one request may reach.
const LONGEST_RANGE: u64 = 30;

/// Allows for the time that a request takes, and for clocks that differ.
const MARGIN: Duration = Duration::from_secs(60 * 60);

/// WorkOS AuthKit.
pub struct WorkOs {
    facts: Facts,
    verifier: Verifier,
    api: Api,
}

impl WorkOs {
    /// Takes the secret's settings of `provider`.
    pub fn new(
        settings: &mut Settings,
        signing_secrets: Option<Vec<String>>,
    ) -> Result<Self, Misconfigured> {
        let key = settings.required("api_key")?;
        let headers = [(header::AUTHORIZATION, settings.bearer("api_key", &key)?)];
        // WorkOS publishes none. Stack's second is on the safe side.
        let staleness = Duration::from_secs(1);
        Ok(Self {
            facts: Facts {
                name: "workos",
                project: None,
                staleness,
                listing_staleness: staleness,
                versioned: true,
                ids_return: false,
                // WorkOS repeats whatever is not 2xx, six times.
                sends_again: true,
            },
            verifier: Verifier::WorkOs(SigningSecret::all_bytes(signing_secrets)?),
            api: Api::new(settings.api_url("api_url", API)?, headers),
        })
    }
}

impl Provider for WorkOs {
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
        json::Fields::of_bytes(delivery.body())
            .ok()?
            .time("created_at")
    }

    fn type_field(&self) -> &'static str {
        "event"
    }

    fn event(&self, delivery: &Verified<'_>) -> Result<Event, Unreadable> {
        event(&json::Fields::of_bytes(delivery.body())?)
    }

    fn profile(&self, raw: &str) -> Result<Profile, Unreadable> {
        Profile::from_json(raw, columns)
    }

    fn listed(&self, user: &RawValue) -> Result<Profile, Unreadable> {
        parts::with_version(Profile::of_known(user.get(), columns)?)
    }

    fn user_request(&self, id: &UserId) -> Request {
        self.api.get_user("/user_management/users", id)
    }

    fn user(&self, id: &UserId, answer: &Answer) -> Result<Option<Profile>, AnswerError> {
        if answer.status == StatusCode::OK {
            return parts::read_user(id, "id", answer, profile).map(Some);
        }
        match answer.status {
            StatusCode::NOT_FOUND if says_no_such_user(answer) => Ok(None),
            _ => Err(WORDS.refused(answer)),
        }
    }

    fn listing(&self, position: Option<&str>) -> Box<dyn Listing> {
        parts::walk::<Position>(&self.api, position)
    }

    fn user_in_rejected(&self, body: &[u8]) -> Option<UserId> {
        parts::user_in_data(body)
    }

    /// No endpoint names the environment that a key belongs to. But each
    /// environment is created with a role `member` of its own, and all keys of
    /// the environment see the same id.
    ///
    /// Source: <https://workos.com/docs/user-management/roles>.
    fn project_request(&self) -> Option<Request> {
        Some(self.api.get("/authorization/roles"))
    }

    fn project(&self, answer: &Answer) -> Result<Option<String>, AnswerError> {
        if answer.status != StatusCode::OK {
            return Err(WORDS.refused(answer));
        }
        let list = json::Fields::of_bytes(&answer.body);
        let list = list.map_err(|_| AnswerError::Garbled(NO_JSON))?;
        let roles: Vec<_> = list
            .array("data")
            .unwrap_or_default()
            .into_iter()
            .filter_map(|role| json::Fields::of(role).ok())
            .filter_map(|role| {
                Some((
                    role.string("slug")?,
                    role.time("created_at"),
                    role.line("id")?,
                ))
            })
            .collect();
        let member = roles.iter().find(|(slug, ..)| slug == "member");
        // `member` can be deleted once another role is the default.
        let oldest = || {
            roles
                .iter()
                .min_by_key(|(_, created_at, id)| (*created_at, id.clone()))
        };
        let role = member.or_else(oldest);
        Ok(role.map(|(_, _, id)| format!("environment of {id}")))
    }

    /// Source: <https://workos.com/docs/reference/webhooks>.
    fn endpoints_request(&self) -> Option<Request> {
        Some(self.api.get("/webhook_endpoints?limit=100"))
    }

    fn endpoints(&self, answer: &Answer) -> Result<Vec<Endpoint>, AnswerError> {
        if answer.status != StatusCode::OK {
            return Err(WORDS.refused(answer));
        }
        let list = json::Fields::of_bytes(&answer.body);
        let list = list.map_err(|_| AnswerError::Garbled(NO_ENDPOINTS))?;
        let endpoints = list
            .array("data")
            .ok_or(AnswerError::Garbled(NO_ENDPOINTS))?;
        let read = |endpoint: &str| {
            let endpoint = json::Fields::of(endpoint).ok()?;
            let url = endpoint.line("endpoint_url").unwrap_or_default();
            let events = endpoint.array("events").unwrap_or_default();
            Some(Endpoint {
                // What follows may be a secret of somebody's.
                name: format!(
                    "the endpoint {} ({})",
                    endpoint.line("id")?,
                    url.split(['?', '#']).next().unwrap_or_default()
                ),
                enabled: endpoint.string("status")? != "disabled",
                tells_of_users: events.iter().any(|event| event.starts_with("\"user.")),
            })
        };
        Ok(endpoints.into_iter().filter_map(read).collect())
    }

    fn events(&self) -> Option<&dyn EventSource> {
        Some(self)
    }
}

/// Reads an event, delivered or recorded: they are the same.
fn event(envelope: &json::Fields<'_>) -> Result<Event, Unreadable> {
    let kind = parts::kind(envelope, "event")?;
    let made_at = |event: &json::Fields<'_>| event.time("created_at");
    parts::statement_or_hint(envelope, &kind, columns, made_at)
}

fn columns(user: &json::Fields<'_>) -> Columns {
    Columns {
        id: user.string("id"),
        name: user.text("name").or_else(|| parts::full_name(user)),
        email: user.text("email"),
        created_at: user.time("created_at"),
        version: user.time("updated_at"),
    }
}

/// A user in an answer, who must have a version.
fn profile(raw: &str) -> Result<Profile, Unreadable> {
    parts::with_version(Profile::from_json(raw, columns)?)
}

/// Whether an answer says, in WorkOS' own words, that there is no such user.
/// The OpenAPI document promises only the message. WorkOS' emulator sends
/// another code, which it also sends for an unknown path.
fn says_no_such_user(answer: &Answer) -> bool {
    let Ok(error) = json::Fields::of_bytes(&answer.body) else {
        return false;
    };
    error.string("code").as_deref() == Some("entity_not_found")
        || error
            .string("message")
            .is_some_and(|message| message.starts_with("User not found"))
}

/// The error code in an answer of WorkOS' own. Some have only a message.
fn code(answer: &Answer) -> Option<String> {
    let error = json::Fields::of_bytes(&answer.body).ok()?;
    error
        .string("code")
        .or_else(|| error.get("message").map(|_| String::new()))
}

const WORDS: Words = Words {
    who: "WorkOS",
    code,
    key: "copy an API key (sk_…) of the environment from the API keys page of the WorkOS dashboard \
          into provider.api_key",
    advice: |status, code| match (status, code) {
        (403, code) if !code.is_empty() => Some(
            "the code says that the key in provider.api_key lacks a permission: allow it to read \
             users and events, or use another API key (sk_…) of the environment that is allowed to",
        ),
        (404, _) => Some("there is no such path: remove any path from provider.api_url"),
        _ => None,
    },
    explained: "look the code up in the WorkOS API reference",
    foreign: "the answer does not come from WorkOS: check provider.api_url",
    webhooks: "in WorkOS' dashboard under Webhooks, see that an endpoint has the URL of webhook, is \
               enabled, and has user.created, user.updated and user.deleted selected; its page shows \
               what was answered",
};

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
    list_metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    after: Option<String>,
}

impl List<'_> {
    fn of(text: &str) -> Result<List<'_>, AnswerError> {
        serde_json::from_str(text)
            .map_err(|_| AnswerError::Garbled("the answer is not a page as WorkOS sends it"))
    }

    fn says_more(&self) -> bool {
        let metadata = self.list_metadata.as_ref();
        metadata.is_some_and(|metadata| metadata.after.is_some())
    }
}

/// Whether a page of events shows the newest first. To go on from its last
/// event would then miss whatever happens later. Two events are enough to tell.
fn newest_first(events: &[&RawValue]) -> bool {
    let time = |raw: &&RawValue| json::Fields::of(raw.get()).ok()?.time("created_at");
    let times: Vec<At> = events.iter().filter_map(time).collect();
    let ascends = times.windows(2).any(|pair| pair[0] < pair[1]);
    !ascends && times.first() > times.last()
}

/// When an event was made. Its id is a ULID, like all of WorkOS' ids. WorkOS
/// does not promise that, so an id of another form has no time.
fn made_at(id: &str) -> Option<At> {
    const DIGITS: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let ulid = id.rsplit('_').next().filter(|ulid| ulid.len() == 26)?;
    let millis = ulid.bytes().take(10).try_fold(0_i64, |millis, digit| {
        let value = DIGITS.iter().position(|known| *known == digit)?;
        Some(millis << 5 | i64::try_from(value).ok()?)
    })?;
    At::from_millis(millis)
}

/// Whether the record refuses the request because of the event to go on after.
/// The wording of that refusal is not documented, so it has to name the
/// parameter, or a cursor, or this very cursor.
fn refuses_cursor(answer: &Answer, cursor: &str) -> bool {
    let of_the_query = matches!(answer.status.as_u16(), 400 | 404 | 410 | 422);
    let Ok(serde_json::Value::Object(refusal)) = serde_json::from_slice(&answer.body) else {
        return false;
    };
    let cursor = cursor.to_ascii_lowercase();
    let names = |text: &str| {
        let text = text.to_ascii_lowercase();
        text == "after"
            || text.starts_with("after ")
            || ["'after'", "`after`", "\"after\"", "cursor", &cursor]
                .iter()
                .any(|name| text.contains(name))
    };
    let said = ["code", "message", "entity_id", "error", "errors"];
    let mut said = said.iter().filter_map(|part| refusal.get(*part));
    of_the_query && said.any(|said| mentions(said, &names))
}

/// Whether `names` holds for a text or a field's name anywhere in this value.
fn mentions(value: &serde_json::Value, names: &dyn Fn(&str) -> bool) -> bool {
    use serde_json::Value::{Array, Object, String};
    match value {
        String(text) => names(text),
        Array(items) => items.iter().any(|item| mentions(item, names)),
        Object(fields) => fields
            .iter()
            .any(|(name, value)| names(name) || mentions(value, names)),
        _ => false,
    }
}

/// The record of events. Only ids that the record itself gave are cursors: an id
/// from a webhook would skip events that became visible later.
impl EventSource for WorkOs {
    fn request(&self, since: &Since) -> Request {
        let since = match since {
            Since::Event(id) => format!("after={}", parts::encoded(id)),
            Since::Time(at) => {
                format!("range_start={}", parts::encoded(&at.to_rfc3339_millis()))
            }
        };
        self.api.get(&format!(
            "/events?events=user.created,user.updated,user.deleted&limit={EVENTS}&{since}"
        ))
    }

    fn go_on(&self, cursor: String, now: At) -> Since {
        let days = |days: u64| Duration::from_secs(days * 24 * 60 * 60);
        let from = now - (days(LONGEST_RANGE) - MARGIN);
        let kept = now - days(KEPT);
        match made_at(&cursor) {
            Some(at) if at < from && at > kept => Since::Time(from),
            _ => Since::Event(cursor),
        }
    }

    fn read(&self, since: &Since, answer: &Answer) -> Result<Recorded, AnswerError> {
        if answer.status != StatusCode::OK {
            return match since {
                Since::Event(cursor) if refuses_cursor(answer, cursor) => {
                    Ok(Recorded::CursorUnknown)
                }
                _ => Err(WORDS.refused(answer)),
            };
        }
        let text = answer.text();
        let list = List::of(&text)?;
        if newest_first(&list.data) {
            return Err(broken("WorkOS", "of events shows the newest first"));
        }
        let last = list.data.len() < EVENTS && !list.says_more() || list.data.is_empty();
        let events = list.data.iter().map(|raw| {
            let fields = json::Fields::of(raw.get());
            RecordedEvent {
                id: fields.as_ref().ok().and_then(event_id),
                event: fields.and_then(|fields| event(&fields)),
                body: Bytes::copy_from_slice(raw.get().as_bytes()),
            }
        });
        let events: Vec<_> = events.collect();
        if !last && events.iter().all(|event| event.id.is_none()) {
            return Err(AnswerError::Garbled("no event of the page has an id"));
        }
        Ok(Recorded::Page { events, last })
    }
}

/// The walk, ordered by sign-up.
#[derive(Default, Serialize, Deserialize)]
struct Position {
    page: PageSize<3, 100>,
    cursor: Cursor,
    /// The only user of a first page that says that more follow. WorkOS'
    /// emulator says that of the last page too.
    alone: Option<String>,
}

impl Paging for Position {
    fn is_sound(&self) -> bool {
        let alone = self.alone.as_deref();
        self.cursor.is_sound() && alone.is_none_or(|id| UserId::new(id).is_ok())
    }

    fn path(&self) -> String {
        let mut path = format!("/user_management/users?limit={}&order=asc", self.page);
        let after = self.alone.as_deref();
        if let Some(after) = after.or(self.cursor.after()) {
            let after = parts::encoded(after);
            path.push_str(&format!("&after={after}"));
        }
        path
    }

    fn read(&mut self, answer: &Answer) -> Result<Page, AnswerError> {
        if answer.status != StatusCode::OK {
            let of_the_cursor = matches!(answer.status.as_u16(), 400 | 404 | 422)
                && (self.cursor.after().is_some() || self.alone.take().is_some())
                && code(answer).is_some();
            return match of_the_cursor {
                true => self.cursor.go_back("WorkOS"),
                false => Err(WORDS.refused(answer)),
            };
        }
        let text = answer.text();
        let list = List::of(&text)?;
        let users = parts::Listed {
            items: &list.data,
            id_field: "id",
            time_field: "created_at",
            time: |user, field| user.time(field),
        };
        if let Some(alone) = self.alone.take() {
            let mut ids = (0..list.data.len()).filter_map(|i| users.id(i));
            return match ids.any(|id| id != alone) {
                true => Err(broken("WorkOS", "shows a single user a page")),
                false => Ok(Page {
                    last: true,
                    ..Page::default()
                }),
            };
        }
        let Some(known) = self.cursor.known(&users) else {
            return self.cursor.go_back("WorkOS");
        };
        let new = &list.data[known..];
        let mut page = parts::page_of(new);
        let begun = self.cursor.after().is_some();
        let short = parts::count(&list.data) < self.page.get();
        page.last = !list.says_more() && short || new.is_empty() && begun;
        if page.last {
            return Ok(page);
        }
        match list.data.len() {
            1 if !begun => {
                self.alone = users.id(0);
                page.last = self.alone.is_none();
            }
            _ => self.cursor.go_on("WorkOS", &users, new.len())?,
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

    use super::super::tests::{answer, check_broken, connected, event, ids, next, vector};
    use super::*;
    use crate::profile::Observation;
    use crate::signature::Forged;
    use crate::time::tests::clock;

    const SECRET: &str = "whsec_0FWAiVGkEfGBqqsJH4aNAGBJ4";
    const MARCELINA: &str = "user_01E4ZCR3C56J083X43JQXF3JK5";

    fn workos() -> Arc<dyn Provider> {
        let provider = serde_json::json!({"name": "workos", "api_key": "sk_test_1"});
        connected(provider, Some(SECRET)).unwrap()
    }

    fn delivered((headers, body): (HeaderMap, &'static [u8]), event_id: &str) -> Event {
        let workos = workos();
        let at = |seconds: i64| clock(1_768_737_493_126_u64.strict_add_signed(seconds * 1000));
        let verified = workos.verify(&headers, body, at(0)).unwrap();
        assert_eq!(verified.event_id(), event_id);
        assert!(workos.verify(&headers, body, at(-300)).is_ok());
        let late = workos.verify(&headers, body, at(301));
        assert_eq!(late.map(|_| ()), Err(Forged::Expired));
        let changed = [body, b" "].concat();
        let forged = workos.verify(&headers, &changed, at(0));
        assert_eq!(forged.map(|_| ()), Err(Forged::Mismatch));
        workos.event(&verified).unwrap()
    }

    #[test]
    fn deliveries_are_statements_at_their_version() {
        let check = |event, version, name: Option<&str>| match event {
            Event::Statement(Observation::Present { profile, at }) => {
                assert_eq!(Some(at), At::from_rfc3339(version));
                assert_eq!(profile.id.as_str(), MARCELINA);
                assert_eq!(profile.name.as_deref(), name);
                assert_eq!(
                    profile.email.as_deref(),
                    Some("marcelina.davis@example.com")
                );
                assert_eq!(profile.created_at, At::from_rfc3339("2026-01-15T12:00:00Z"));
            }
            event => panic!("{event:?}"),
        };
        let created = delivered(
            vector!("workos/user.created"),
            "event_01EHZNVPK3SFK441A1RGBFSHR1",
        );
        check(created, "2026-01-15T12:00:00Z", Some("Marcelina Davis"));
        let updated = delivered(
            vector!("workos/user.updated"),
            "event_01EHZNVPK3SFK441A1RGBFSHR2",
        );
        check(updated, "2026-01-16T11:05:10.539Z", None);
    }

    #[test]
    fn a_deletion_is_of_the_events_time_and_not_the_users() {
        let deleted = delivered(
            vector!("workos/user.deleted"),
            "event_01EHZNVPK3SFK441A1RGBFSHR3",
        );
        let Event::Statement(Observation::Gone { id, at }) = deleted else {
            panic!("not a statement");
        };
        assert_eq!(id.as_str(), MARCELINA);
        assert_eq!(Some(at), At::from_rfc3339("2026-01-18T04:18:13.126Z"));
    }

    #[test]
    fn the_secret_of_a_new_endpoint_is_one_to_sign_with() {
        let endpoint = include_str!("../../../events/workos/webhook_endpoint.201.json");
        let endpoint = json::Fields::of(endpoint).unwrap();
        assert_eq!(endpoint.string("secret").as_deref(), Some(SECRET));
    }

    #[test]
    fn a_signatures_header_may_be_of_the_emulator_or_of_two_secrets() {
        let (_, body) = vector!("workos/user.created");
        let check = |header: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("workos-signature", header.parse().unwrap());
            let now = clock(1_768_737_493_126);
            workos().verify(&headers, body, now).map(|_| ())
        };
        let right = "v1=e23fd757056e35e203731c450d55f78fe3ac346006ddf185cec199d11c5abe37";
        assert_eq!(check(&format!("t=1768737493126,{right}")), Ok(()));
        assert_eq!(check(&format!("t=1768737493126, v1=00, {right}")), Ok(()));
        // In seconds, as the emulator sends it, but not what was signed.
        assert_eq!(
            check(&format!("t=1768737493, {right}")),
            Err(Forged::Mismatch)
        );
        for malformed in [
            "",
            "t=1",
            right,
            "t=x, v1=00",
            "t=1, v1=0",
            "t=1, v1=\u{e9}",
        ] {
            assert_eq!(check(malformed), Err(Forged::Malformed), "{malformed}");
        }
    }

    #[test]
    fn only_workos_own_word_means_deleted() {
        let id = UserId::new("user_01TEST").unwrap();
        let check = |status, body: &str| workos().user(&id, &answer(status, body));
        let gone = include_str!("../../../events/workos/get.404.json");
        assert!(matches!(check(404, gone), Ok(None)));
        let without_code = r#"{"message":"User not found: 'user_01TEST'."}"#;
        assert!(matches!(check(404, without_code), Ok(None)));
        let emulator = r#"{"message":"User not found","code":"not_found"}"#;
        assert!(matches!(check(404, emulator), Ok(None)));
        assert!(check(410, gone).is_err());
        let address = r#"{"message":"Not Found","code":"not_found"}"#;
        assert!(matches!(check(404, address), Err(AnswerError::Refused(_))));
        assert!(matches!(
            check(404, "Not Found"),
            Err(AnswerError::Garbled(_))
        ));
        let page = "<html>User not found</html>";
        assert!(matches!(check(404, page), Err(AnswerError::Garbled(_))));
        let other = r#"{"message":"Not Found","error":"Not Found"}"#;
        assert!(matches!(check(404, other), Err(AnswerError::Refused(_))));
        let Err(AnswerError::Refused(advice)) = check(401, r#"{"message":"Unauthorized"}"#) else {
            panic!("not refused");
        };
        assert!(advice.contains("provider.api_key"), "{advice}");
    }

    #[test]
    fn the_environment_is_known_by_the_role_it_is_seeded_with() {
        let check = |roles: &str| {
            let answer = answer(200, format!(r#"{{"object":"list","data":[{roles}]}}"#));
            workos().project(&answer).unwrap()
        };
        let admin = r#"{"id":"role_2","slug":"admin","created_at":"2024-01-15T12:00:00.000Z"}"#;
        let member = r#"{"id":"role_1","slug":"member","created_at":"2024-01-16T12:00:00.000Z"}"#;
        let both = check(&format!("{admin},{member}"));
        assert_eq!(both.as_deref(), Some("environment of role_1"));
        assert_eq!(check(admin).as_deref(), Some("environment of role_2"));
        assert_eq!(check(""), None);
        assert_eq!(workos().project(&answer(200, "{}")).unwrap(), None);
        for garbled in ["[]", "<html>", "", r#"{"data":["#] {
            let read = workos().project(&answer(200, garbled));
            assert!(matches!(read, Err(AnswerError::Garbled(_))), "{garbled}");
        }
        let refused = workos().project(&answer(403, r#"{"message":"Forbidden"}"#));
        assert!(matches!(refused, Err(AnswerError::Refused(_))));
    }

    fn users(ids: &[&str], after: Option<&str>) -> Answer {
        let users: Vec<_> = ids
            .iter()
            .map(|id| serde_json::json!({"id": id, "updated_at": "2026-01-15T12:00:00.000Z"}))
            .collect();
        let metadata = serde_json::json!({"before": null, "after": after});
        answer(
            200,
            serde_json::json!({"data": users, "list_metadata": metadata}),
        )
    }

    #[test]
    fn a_walk_goes_on_before_the_last_user_seen() {
        let mut listing = workos().listing(None);
        assert_eq!(
            next(&*listing),
            "/user_management/users?limit=100&order=asc"
        );
        let page = listing.read(&users(&["a", "b", "c"], Some("c"))).unwrap();
        assert_eq!(ids(&page, "id"), (vec!["a", "b", "c"], false));
        assert!(next(&*listing).ends_with("&after=b"));
        // b was deleted, and a server that doesn't know it begins anew.
        let page = listing.read(&users(&["a", "c"], None)).unwrap();
        assert_eq!(ids(&page, "id"), (vec![], false));
        assert!(next(&*listing).ends_with("&after=a"));
        let again = workos().listing(Some(&listing.position()));
        assert_eq!(next(&*again), next(&*listing));
        let error = answer(422, r#"{"message":"Validation failed."}"#);
        assert_eq!(ids(&listing.read(&error).unwrap(), "id"), (vec![], false));
        assert!(!next(&*listing).contains("after"));
        listing.read(&users(&["a", "c"], Some("c"))).unwrap();
        let page = listing.read(&users(&["c", "d"], None)).unwrap();
        assert_eq!(ids(&page, "id"), (vec!["d"], true));
    }

    #[test]
    fn paging_that_has_changed_is_named_within_a_few_pages() {
        let check = |most, words, answers: &mut dyn FnMut(&str) -> Answer| {
            check_broken(workos().listing(None), most, words, answers);
        };
        let ids: Vec<String> = (0..100).map(|i| format!("u{i}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let begins = "does not begin with the user that was asked for";
        check(12, begins, &mut |_| users(&ids, Some("u99")));
        check(12, begins, &mut |uri| match uri.contains("after=") {
            true => users(&[], None),
            false => users(&ids, Some("u99")),
        });
        check(12, begins, &mut |uri| match uri.contains("after=") {
            true => answer(422, r#"{"message":"Validation failed."}"#),
            false => users(&ids, Some("u99")),
        });
        check(4, "shows none of them", &mut |_| users(&[], Some("u1")));
        check(
            2,
            "a single user",
            &mut |uri| match uri.contains("after=") {
                true => users(&["u2"], Some("u2")),
                false => users(&["u1"], Some("u1")),
            },
        );
        let newest: Vec<_> = (0..9)
            .map(|i| serde_json::json!({"id": format!("u{i}"), "created_at": format!("2026-01-{}T12:00:00Z", 20 - i)}))
            .collect();
        check(1, "newest first", &mut |_| {
            let metadata = serde_json::json!({"after": "u9"});
            answer(
                200,
                serde_json::json!({"data": newest, "list_metadata": metadata}),
            )
        });
    }

    #[test]
    fn a_page_may_begin_with_its_cursor() {
        let mut listing = workos().listing(None);
        listing.read(&users(&["a", "b", "c"], Some("c"))).unwrap();
        let page = listing.read(&users(&["b", "c", "d"], None)).unwrap();
        assert_eq!(ids(&page, "id"), (vec!["d"], true));
    }

    #[test]
    fn the_listings_fixture_ends_with_its_only_user() {
        let body = include_str!("../../../events/workos/list.page1.json");
        let mut listing = workos().listing(None);
        let page = listing.read(&answer(200, body)).unwrap();
        assert_eq!(ids(&page, "id"), (vec![MARCELINA], false));
        assert!(next(&*listing).ends_with(&format!("&after={MARCELINA}")));
        let again = workos().listing(Some(&listing.position()));
        assert_eq!(next(&*again), next(&*listing));
        let page = listing.read(&users(&[], None)).unwrap();
        assert_eq!(ids(&page, "id"), (vec![], true));
    }

    #[test]
    fn the_record_is_asked_for_in_order_from_an_event_or_a_moment() {
        let workos = workos();
        let record = workos.events().unwrap();
        let asked = |since| record.request(&since).uri().query().unwrap().to_owned();
        let all = "events=user.created,user.updated,user.deleted&limit=100";
        let event = Since::Event("event_1".to_owned());
        assert_eq!(asked(event), format!("{all}&after=event_1"));
        for (micros, range) in [
            (1_768_737_493_126_000, "2026-01-18T11%3A58%3A13.126Z"),
            (1_768_737_493_126_999, "2026-01-18T11%3A58%3A13.126Z"),
            (1_768_737_493_000_000, "2026-01-18T11%3A58%3A13.000Z"),
        ] {
            let time = Since::Time(At::from_micros(micros));
            assert_eq!(asked(time), format!("{all}&range_start={range}"));
        }
    }

    #[test]
    fn the_records_events_are_those_that_are_delivered() {
        let workos = workos();
        let record = workos.events().unwrap();
        let since = Since::Event("event_0".to_owned());
        let body = include_str!("../../../events/workos/events.page1.json");
        let Recorded::Page { events, last } = record.read(&since, &answer(200, body)).unwrap()
        else {
            panic!("no page");
        };
        // One event, and a cursor: whether there are more, the next page tells.
        assert!(!last);
        let id = events[0].id.as_deref();
        assert_eq!(id, Some("event_01EHZNVPK3SFK441A1RGBFSHR1"));
        let recorded = events[0].event.as_ref().unwrap();
        let delivered = event(
            &*workos,
            include_str!("../../../events/workos/user.created.json"),
        );
        let (Event::Statement(recorded), Event::Statement(delivered)) = (recorded, &delivered)
        else {
            panic!("not statements");
        };
        assert_eq!(recorded, delivered);
        let empty = r#"{"object":"list","data":[],"list_metadata":{"after":null}}"#;
        let end = record.read(&since, &answer(200, empty)).unwrap();
        assert!(matches!(end, Recorded::Page { last: true, .. }));
    }

    #[test]
    fn a_record_with_the_newest_first_is_not_read() {
        let workos = workos();
        let record = workos.events().unwrap();
        let since = Since::Event("event_0".to_owned());
        let events = |seconds: &[u32]| {
            let event = |second| {
                serde_json::json!({
                    "id": format!("event_{second}"), "event": "dsync.activated",
                    "created_at": format!("2026-01-15T12:00:{second:02}.000Z"),
                })
            };
            let events: Vec<_> = seconds.iter().map(event).collect();
            record.read(&since, &answer(200, serde_json::json!({"data": events})))
        };
        for descending in [&[2, 1][..], &[3, 3, 2]] {
            let Err(AnswerError::Paging(said)) = events(descending) else {
                panic!("{descending:?} was read");
            };
            assert!(said.contains("events shows the newest first"), "{said}");
        }
        for ascending in [&[][..], &[1], &[1, 1], &[1, 2, 3], &[2, 1, 3]] {
            assert!(events(ascending).is_ok(), "{ascending:?}");
        }
    }

    #[test]
    fn only_a_refusal_that_names_the_cursor_drops_it() {
        let workos = workos();
        let record = workos.events().unwrap();
        let event = Since::Event("event_0".to_owned());
        let time = Since::Time(At::from_micros(0));
        for status in [400, 404, 410, 422] {
            for named in [
                r#"{"message":"Invalid cursor"}"#,
                r#"{"code":"invalid_cursor","message":"Bad Request"}"#,
                r#"{"message":"Could not find event_0."}"#,
                r#"{"code":"entity_not_found","message":"Not found","entity_id":"event_0"}"#,
                r#"{"message":"Validation failed.","errors":[{"field":"after","code":"invalid"}]}"#,
                r#"{"message":"Validation failed.","errors":["after must be an event's id"]}"#,
                r#"{"message":"Validation failed.","errors":{"after":["no such event"]}}"#,
                r#"{"message":"The parameter `after` is not an event."}"#,
            ] {
                let unknown = answer(status, named);
                let read = record.read(&event, &unknown);
                assert!(
                    matches!(read, Ok(Recorded::CursorUnknown)),
                    "{named}: {read:?}"
                );
                let read = record.read(&time, &unknown);
                assert!(matches!(read, Err(AnswerError::Refused(_))), "{named}");
            }
            for other in [
                r#"{"message":"Unknown"}"#,
                r#"{"message":"Validation failed.","errors":[{"field":"limit","code":"invalid"}]}"#,
                r#"{"message":"Validation failed.","errors":[{"field":"events"}]}"#,
                r#"{"message":"Try again after 5 minutes."}"#,
                r#"{"message":"Not Found","error":"Not Found"}"#,
                r#"{"code":"not_found","message":7}"#,
            ] {
                let read = record.read(&event, &answer(status, other));
                assert!(read.is_err(), "{other}: {read:?}");
            }
            let page = record.read(&event, &answer(status, "<html>cursor</html>"));
            assert!(matches!(page, Err(AnswerError::Garbled(_))));
        }
        for status in [401, 403] {
            let refused = answer(status, r#"{"message":"Invalid cursor"}"#);
            let read = record.read(&event, &refused);
            assert!(matches!(read, Err(AnswerError::Refused(_))));
        }
    }

    #[test]
    fn a_cursor_older_than_a_request_may_reach_back_is_a_time() {
        let workos = workos();
        let record = workos.events().unwrap();
        let now = At::from_rfc3339("2026-11-26T12:00:00Z").unwrap();
        let check = |id: &str, expected: Since| {
            assert_eq!(record.go_on(id.to_owned(), now), expected, "{id}");
        };
        let same = |id: &str| check(id, Since::Event(id.to_owned()));
        let from = Since::Time(At::from_rfc3339("2026-10-27T13:00:00Z").unwrap());
        // 29 days old, 31 and 89.
        same("event_01M61639G0SFK441A1RGBFSHR1");
        check("event_01M5W19VG0SFK441A1RGBFSHR1", from.clone());
        check("event_01M16P85G0SFK441A1RGBFSHR1", from);
        // Older than the record: what becomes of it, the API says. From the
        // documentation, and no ULID at all.
        for id in [
            "event_01M11HEQG0SFK441A1RGBFSHR1",
            "event_01EHZNVPK3SFK441A1RGBFSHR1",
            "event_07FKJ843CVE8F7BXQSPFH0M53V",
            "event_6",
            "event_01M5W19VG0SFK441A1RGBFSHRU1",
            "event_01M5W19VU0SFK441A1RGBFSHR1",
            "",
        ] {
            same(id);
        }
    }
}
