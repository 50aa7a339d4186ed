//! Auth0. A delivery says *that* a user changed, a read says *how*: events
//! don't always hold every field, and their order says nothing. Reads by id
//! are consistent, listings (searches) only eventually so. Ids come back.
//!
//! Sources: <https://auth0.com/docs/api/management/v2/users>,
//! <https://auth0.com/docs/manage-users/user-search/view-search-results-by-page>,
//! <https://auth0.com/docs/customize/events>.

use std::borrow::Cow;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Answer, Event, Facts, Misread, Provider, Request, Token, Told};
use crate::json;
use crate::listing::{Listing, Page, resume};
use crate::profile::{At, Columns, Profile, Unreadable, UserId};
use crate::secret::{Fields, Misconfigured};
use crate::signature::{BearerToken, Forged, SigningSecret, Verified, verify_bearer};

/// Users a page; the API's most.
const PAGE: usize = 100;

/// Pages of one search; beyond 1000 users the API refuses.
const PAGES: usize = 10;

/// What identities hold that opens other doors, and is nobody's profile.
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
    webhook_token: BearerToken,
    api: Api,
    /// The body that asks for a token.
    credentials: String,
}

impl Auth0 {
    /// Takes the secret's `provider` fields.
    pub fn new(
        fields: &mut Fields,
        signing_secrets: Option<Vec<String>>,
    ) -> Result<Self, Misconfigured> {
        SigningSecret::none(signing_secrets.as_ref(), "auth0")?;
        let domain = fields.required("domain")?;
        let domain = domain.trim().trim_start_matches("https://");
        let domain = domain.trim_end_matches('/').to_ascii_lowercase();
        let host = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':');
        if domain.is_empty() || !domain.bytes().all(host) {
            return Err(fields.refuse("domain", "is not a domain like tenant.eu.auth0.com"));
        }
        let credentials = serde_json::json!({
            "grant_type": "client_credentials",
            "client_id": fields.required("client_id")?,
            "client_secret": fields.required("client_secret")?,
            "audience": format!("https://{domain}/api/v2/"),
        });
        let base = fields.api_url("api_url", &format!("https://{domain}"))?;
        Ok(Self {
            webhook_token: BearerToken::new(&fields.required("webhook_token")?),
            api: Api {
                // Tokens come from beside it: some write the API's whole address.
                base: base.trim_end_matches("/api/v2").to_owned(),
            },
            credentials: credentials.to_string(),
            facts: Facts {
                name: "auth0",
                project: Some(domain),
                // Reads by id are consistent; a margin all the same.
                staleness: Duration::from_secs(1),
                // The search follows within seconds, usually.
                listing_staleness: Duration::from_secs(60),
                // There is an `updated_at`, but a deletion doesn't move it and
                // the id may be another person's afterwards.
                versioned: false,
                ids_return: true,
                // "No retry" of any 4xx, and each counts against the stream.
                sends_again: false,
            },
        })
    }
}

impl Provider for Auth0 {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn verify<'a>(
        &self,
        headers: &HeaderMap,
        body: &'a [u8],
        _now: At,
    ) -> Result<Verified<'a>, Forged> {
        verify_bearer(&self.webhook_token, headers, body)
    }

    fn made_at(&self, delivery: &Verified<'_>) -> Option<At> {
        json::Fields::of_bytes(delivery.body()).ok()?.time("time")
    }

    fn event(&self, delivery: &Verified<'_>) -> Result<Event, Unreadable> {
        let envelope = json::Fields::of_bytes(delivery.body())?;
        let kind = envelope
            .string("type")
            .ok_or(Unreadable("the event has no type"))?;
        let told = match kind.as_str() {
            "user.created" | "user.updated" => Told::Exists {
                profile: None,
                filled_in_later: &[],
            },
            "user.deleted" => Told::Deleted,
            _ => return Ok(Event::OfNoUser),
        };
        // Sent by hand from the dashboard, about somebody who never was.
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

    fn user_request(&self, id: &UserId) -> Request {
        let id = super::encoded(id.as_str());
        self.api.get(&format!("/api/v2/users/{id}"))
    }

    fn user(&self, id: &UserId, answer: &Answer) -> Result<Option<Profile>, Misread> {
        if answer.status == StatusCode::OK {
            return super::read_user(id, "user_id", answer, profile).map(Some);
        }
        match (answer.status, code(answer).as_deref()) {
            (StatusCode::NOT_FOUND, Some("inexistent_user")) => Ok(None),
            // Ids are `connection|id`; a row that was put in by hand may not be.
            (StatusCode::BAD_REQUEST, Some("invalid_uri")) if !id.as_str().contains('|') => {
                Err(Misread::NoSuchId)
            }
            (status, code) => Err(refused(status, code)),
        }
    }

    fn listing(&self, position: Option<&str>) -> Box<dyn Listing> {
        Box::new(Auth0Listing {
            api: self.api.clone(),
            at: resume(position, Position::is_sound),
        })
    }

    fn token_request(&self) -> Option<Request> {
        let mut request = self.api.get("/oauth/token");
        *request.method_mut() = Method::POST;
        request.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        *request.body_mut() = self.credentials.clone().into();
        Some(request)
    }

    fn token(&self, answer: &Answer) -> Result<Token, Misread> {
        #[derive(Deserialize)]
        struct Granted {
            access_token: String,
            expires_in: u64,
        }
        if answer.status != StatusCode::OK {
            return Err(no_token(answer));
        }
        let granted: Granted = serde_json::from_slice(&answer.body)
            .map_err(|_| Misread::Garbled("the answer is not a token of Auth0's"))?;
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", granted.access_token))
            .map_err(|_| Misread::Garbled("the token is none that a header can hold"))?;
        authorization.set_sensitive(true);
        Ok(Token {
            authorization,
            lifetime: Duration::from_secs(granted.expires_in),
        })
    }

    fn keepable<'a>(&self, body: &'a [u8]) -> Cow<'a, [u8]> {
        let text = match std::str::from_utf8(body) {
            Ok(text) if serde_json::from_str::<&RawValue>(text).is_ok() => text,
            // Half an event, of which no value can be told from its neighbour.
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
    Profile::from_json(&without_secrets(raw), |user| {
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
    })
}

/// The error code in an answer of Auth0's own; some have an `error` alone.
fn code(answer: &Answer) -> Option<String> {
    let error = json::Fields::of_bytes(&answer.body).ok()?;
    error.string("errorCode").or_else(|| error.string("error"))
}

fn refused(status: StatusCode, code: Option<&str>) -> Misread {
    let advice = match (status.as_u16(), code) {
        (_, None) => return Misread::Garbled("the answer is not Auth0's: check provider.domain"),
        (403, _) => {
            "grant the application read:users on the Auth0 Management API (Applications → APIs → \
             Auth0 Management API → Machine to Machine Applications)"
        }
        (401, _) => {
            "the token is not taken: check that provider.domain is the tenant's own domain \
             (tenant.eu.auth0.com), not a custom one"
        }
        _ => "look the code up in the documentation of Auth0's Management API",
    };
    let (status, code) = (status.as_u16(), super::shown(code));
    Misread::Refused(format!("Auth0 answers {status} {code}: {advice}"))
}

fn no_token(answer: &Answer) -> Misread {
    let code = code(answer);
    let advice = match (answer.status.as_u16(), code.as_deref()) {
        (_, None) => return Misread::Garbled("the answer is not Auth0's: check provider.domain"),
        (403, _) => {
            "authorize the application for the Auth0 Management API with read:users, and let it \
             use the grant type Client Credentials"
        }
        (404, _) => "there is no such tenant: check provider.domain",
        _ => {
            "copy provider.client_id and provider.client_secret from the settings of the \
             machine-to-machine application, and check that it is authorized for the Auth0 \
             Management API"
        }
    };
    let (status, code) = (answer.status.as_u16(), super::shown(code.as_deref()));
    Misread::Refused(format!("Auth0 gives no token ({status} {code}): {advice}"))
}

#[derive(Clone)]
struct Api {
    base: String,
}

impl Api {
    fn get(&self, path: &str) -> Request {
        super::get(&self.base, path, &HeaderMap::new())
    }
}

/// The walk, ordered by sign-up. A search shows 1000 users at most, and its
/// pages shift when users are deleted, so that each page is the first of a
/// search of its own, from the sign-up of the last user seen. Only when as many
/// as fill a page signed up at one moment, their search is paged through.
struct Auth0Listing {
    api: Api,
    at: Position,
}

#[derive(Serialize, Deserialize)]
struct Position {
    size: usize,
    /// The search's first moment, as Auth0 writes it; `None` at the start.
    from: Option<String>,
    page: usize,
    /// Users that there were when the walk began.
    counted: Option<u64>,
}

impl Default for Position {
    fn default() -> Self {
        Self {
            size: PAGE,
            from: None,
            page: 0,
            counted: None,
        }
    }
}

impl Position {
    fn is_sound(&self) -> bool {
        (5..=PAGE).contains(&self.size)
            && self.page <= PAGES * PAGE
            && self.from.as_deref().is_none_or(is_moment)
    }
}

#[derive(Deserialize)]
struct Found<'a> {
    #[serde(borrow)]
    users: Vec<&'a RawValue>,
    total: Option<u64>,
}

impl Auth0Listing {
    /// Goes on behind a full page that ends with a sign-up at `last`.
    fn advance(&mut self, last: Option<String>) -> Result<(), Misread> {
        if last.is_some() && last != self.at.from {
            (self.at.from, self.at.page) = (last, 0);
            return Ok(());
        }
        self.at.page += 1;
        if self.at.page * self.at.size < PAGES * PAGE {
            return Ok(());
        }
        self.at.page = 0;
        Err(Misread::Refused(
            "Auth0 lists no more than 1000 users who signed up at one moment, and there are more: \
             export them (POST /api/v2/jobs/users-exports) and ask Auth0's support"
                .to_owned(),
        ))
    }
}

impl Listing for Auth0Listing {
    fn request(&self) -> Request {
        let Position { size, page, .. } = self.at;
        let mut path = format!(
            "/api/v2/users?search_engine=v3&sort=created_at:1&include_totals=true\
             &per_page={size}&page={page}"
        );
        if let Some(from) = &self.at.from {
            let q = format!("created_at:[{from} TO *]");
            path.push_str(&format!("&q={}", super::encoded(&q)));
        }
        self.api.get(&path)
    }

    fn read(&mut self, answer: &Answer) -> Result<Page, Misread> {
        if answer.status != StatusCode::OK {
            return Err(refused(answer.status, code(answer).as_deref()));
        }
        let text = answer.text();
        let found: Found<'_> = serde_json::from_str(&text)
            .map_err(|_| Misread::Garbled("the answer is not a page of users"))?;
        if self.at.from.is_none() && self.at.page == 0 {
            self.at.counted = found.total;
        }
        let full = found.users.len() >= self.at.size;
        if full {
            let last = found.users.iter().rev().find_map(|user| moment(user.get()));
            self.advance(last)?;
        }
        let mut page = super::page_of(&found.users, "user_id", profile, without_secrets);
        page.last = !full;
        page.counted = self.at.counted.filter(|_| page.last);
        Ok(page)
    }

    fn position(&self) -> String {
        serde_json::to_string(&self.at).unwrap_or_default()
    }

    fn shrink(&mut self) -> bool {
        if self.at.page > 0 {
            return false;
        }
        let smaller = (self.at.size / 4).max(5);
        std::mem::replace(&mut self.at.size, smaller) > smaller
    }
}

/// A sign-up, as Auth0 wrote it and understands it.
fn moment(raw: &str) -> Option<String> {
    let user = json::Fields::of(raw).ok()?;
    user.string("created_at").filter(|text| is_moment(text))
}

/// A time in the characters that a search may be asked with.
fn is_moment(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b':' | b'.' | b'+');
    text.len() <= 40 && text.bytes().all(plain) && At::from_rfc3339(text).is_some()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::tests::{answer, connected, event, ids, next};
    use super::*;

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
    fn the_secret_s_fields_are_checked() {
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
        assert!(with("domain", "hidden/path").is_err());
        assert!(with("webhook_token", " ").is_err());
    }

    #[test]
    fn a_delivery_is_known_by_its_token() {
        let body = include_bytes!("../../../events/auth0/user.created.json");
        let check = |header: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("authorization", header.parse().unwrap());
            let auth0 = auth0();
            let verified = auth0.verify(&headers, body, At::from_micros(0));
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
            .verify(&HeaderMap::new(), body, At::from_micros(0))
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
        assert!(matches!(check(404, "Not Found"), Err(Misread::Garbled(_))));
        let other = r#"{"statusCode":404,"error":"Not Found","message":"Not Found"}"#;
        assert!(matches!(check(404, other), Err(Misread::Refused(_))));
        let scope = r#"{"statusCode":403,"error":"Forbidden","errorCode":"insufficient_scope"}"#;
        let Err(Misread::Refused(advice)) = check(403, scope) else {
            panic!("not refused");
        };
        assert!(advice.contains("read:users"), "{advice}");
        let uri = r#"{"statusCode":400,"error":"Bad Request","errorCode":"invalid_uri"}"#;
        assert!(matches!(check(400, uri), Err(Misread::Refused(_))));
        let by_hand = UserId::new("by hand").unwrap();
        let read = auth0().user(&by_hand, &answer(400, uri));
        assert!(matches!(read, Err(Misread::NoSuchId)));
    }

    #[test]
    fn the_api_s_address_may_be_written_whole() {
        for api_url in ["http://127.0.0.1:1", "http://127.0.0.1:1/api/v2/"] {
            let mut secret = secret();
            secret["api_url"] = api_url.into();
            let auth0 = connected(secret, None).unwrap();
            let user = auth0.user_request(&UserId::new("a|1").unwrap());
            assert_eq!(user.uri(), "http://127.0.0.1:1/api/v2/users/a%7C1");
            let token = auth0.token_request().unwrap();
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
        let kept = auth0().keepable(body.as_bytes()).into_owned();
        assert!(!String::from_utf8(kept).unwrap().contains("\"x\""));
        let half = &body.as_bytes()[..body.len() / 2];
        assert!(auth0().keepable(half).is_empty());
        assert_eq!(auth0().keepable(b"nonsense").as_ref(), b"nonsense");
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
    fn a_token_is_asked_for_with_the_tenant_s_own_audience() {
        let request = auth0().token_request().unwrap();
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.uri(), "https://tenant.eu.auth0.com/oauth/token");
        let body = String::from_utf8_lossy(request.body()).into_owned();
        assert!(body.contains(r#""audience":"https://tenant.eu.auth0.com/api/v2/""#));
        let granted = r#"{"access_token":"t_hidden","expires_in":86400,"token_type":"Bearer"}"#;
        let token = auth0().token(&answer(200, granted)).unwrap();
        assert_eq!(token.authorization, "Bearer t_hidden");
        assert_eq!(token.lifetime, Duration::from_secs(86_400));
        assert!(!format!("{token:?}").contains("hidden"));
        let denied = r#"{"error":"access_denied","error_description":"Unauthorized"}"#;
        let denied = auth0().token(&answer(401, denied)).unwrap_err().to_string();
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
            size: 5,
            ..Position::default()
        };
        auth0().listing(Some(&serde_json::to_string(&position).unwrap()))
    }

    #[test]
    fn each_page_is_the_first_of_a_search_of_its_own() {
        let mut listing = small();
        let first = "/api/v2/users?search_engine=v3&sort=created_at:1&include_totals=true\
                     &per_page=5&page=0";
        assert_eq!(next(&*listing), first);
        listing.read(&users(&[1, 2, 3, 4, 5], 7)).unwrap();
        let from = "&q=created_at%3A%5B2025-02-01T12%3A34%3A05.000Z%20TO%20%2A%5D";
        assert_eq!(next(&*listing), format!("{first}{from}"));
        let page = listing.read(&users(&[5, 6, 7], 3)).unwrap();
        assert_eq!((page.last, page.counted), (true, Some(7)));
    }

    #[test]
    fn users_of_one_moment_are_paged_through_until_the_api_refuses() {
        let mut listing = small();
        listing.read(&users(&[1, 1, 1, 2, 2], 2000)).unwrap();
        listing.read(&users(&[2; 5], 2000)).unwrap();
        assert!(next(&*listing).contains("&page=1&q="));
        let again = auth0().listing(Some(&listing.position()));
        assert_eq!(next(&*again), next(&*listing));
        listing.read(&users(&[2, 2, 2, 2, 3], 2000)).unwrap();
        assert!(next(&*listing).contains("&page=0&q="));
        let refused = (0..1000).find_map(|_| listing.read(&users(&[3; 5], 2000)).err());
        let refused = refused.unwrap().to_string();
        assert!(refused.contains("1000 users"), "{refused}");
    }

    #[test]
    fn the_listing_s_fixtures_are_read() {
        let body = include_str!("../../../events/auth0/list.page0.json");
        let page = auth0().listing(None).read(&answer(200, body)).unwrap();
        assert_eq!(ids(&page), (vec![JOHN], true));
        assert_eq!(page.counted, Some(1));
        assert_eq!(page.profiles[0].name.as_deref(), Some("John Doe"));
        assert_eq!(
            page.profiles[0].email.as_deref(),
            Some("john.doe@gmail.com")
        );
        let created_at = At::from_rfc3339("2025-02-01T12:34:56Z");
        assert_eq!(page.profiles[0].created_at, created_at);
        let body = include_str!("../../../events/auth0/list.400.over1000.json");
        let refused = auth0().listing(None).read(&answer(400, body));
        assert!(matches!(refused, Err(Misread::Refused(_))));
    }
}
