//! Supabase Auth. A delivery is a database webhook on `auth.users`: it says
//! *that* a row changed, a read says *how*. The row holds the hash of the
//! password, so only its id is used.
//!
//! Rows have an `updated_at`, but SQL can change a row without moving it, so it
//! orders nothing here.
//!
//! The walk assumes this of paging: if the server answers with `pagination`, each
//! cursor stands for the users that follow, until `has_more` is false. Other
//! servers list users by `created_at`, which doesn't change, the newest first.
//! Page `n` begins at the user `(n - 1) × per_page`, and `per_page` takes 1000. A
//! page that is shorter is the last one. `X-Total-Count` counts all users, the
//! soft-deleted ones too.
//!
//! Sources: the server, <https://github.com/supabase/auth> (`internal/api`),
//! <https://supabase.com/docs/guides/database/webhooks>,
//! <https://supabase.com/docs/guides/database/extensions/pg_net>.

use std::borrow::Cow;
use std::time::Duration;

use http::{HeaderName, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::parts::{self, Api, PageSize, Paging, webhook_token};
use super::{Event, Facts, Provider, Told, Words};
use crate::exchange::{Answer, AnswerError, Request};
use crate::json::{self, Unreadable};
use crate::listing::{Listing, MOST_USERS, Overlap, Page, Place, broken, descends};
use crate::profile::{Columns, Profile, UserId};
use crate::settings::{Misconfigured, Settings};
use crate::signature::{SigningSecret, Verified, Verifier};
use crate::time::At;

/// Fields that come from other tables. A read loads them; a listing shows them
/// as null or not at all.
///
/// Source: the server's `FindUsersInAudience` and `findUser`
/// (`internal/models/user.go`).
const UNLISTED: &[&str] = &["identities", "factors"];

/// How many pages by cursor, one after the other, may bring nobody new although
/// the server says that more users follow.
const MOST_REPEATS: u32 = 3;

/// Bytes that a cursor can have: it has to fit into a URL.
const LONGEST_CURSOR: usize = 4096;

/// Supabase Auth, hosted or self-hosted.
pub struct Supabase {
    facts: Facts,
    verifier: Verifier,
    api: Api,
}

impl Supabase {
    /// Takes the secret's settings of `provider`.
    pub fn new(
        settings: &mut Settings,
        signing_secrets: Option<Vec<String>>,
    ) -> Result<Self, Misconfigured> {
        SigningSecret::none(signing_secrets.as_ref(), "supabase")?;
        let project = settings.required("project_url")?;
        let project = settings.url("project_url", &project).map_err(|refused| {
            let problem = refused.problem;
            let like = format!("{problem}: it looks like https://<ref>.supabase.co");
            settings.refuse("project_url", like)
        })?;
        let base = settings.api_url("api_url", &project.base)?;
        let key = settings.required("service_role_key")?;
        let mut headers = vec![(
            HeaderName::from_static("apikey"),
            settings.header("service_role_key", &key)?,
        )];
        // Older keys are JWTs, which Auth itself wants to see too. It refuses the
        // newer ones there, because they are not.
        let newer = ["sb_secret_", "sb_publishable_"];
        if !newer.iter().any(|kind| key.starts_with(kind)) {
            headers.push((
                header::AUTHORIZATION,
                settings.bearer("service_role_key", &key)?,
            ));
        }
        Ok(Self {
            facts: Facts {
                name: "supabase",
                project: Some(project.place.trim_end_matches("/auth/v1").to_owned()),
                // Auth reads from the project's primary, and a webhook is sent
                // after the change is committed.
                staleness: Duration::ZERO,
                listing_staleness: Duration::ZERO,
                versioned: false,
                ids_return: false,
                // `pg_net` sends once, whatever the answer.
                sends_again: false,
            },
            verifier: Verifier::Bearer(webhook_token(settings)?),
            // Some operators give the whole address of Auth's API.
            api: Api::new(
                format!("{}/auth/v1", base.trim_end_matches("/auth/v1")),
                headers,
            ),
        })
    }
}

impl Provider for Supabase {
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

    /// Webhooks made in the dashboard send the row, which says when it was
    /// written. Ours (`install.sql`) send only the id.
    fn made_at(&self, delivery: &Verified<'_>) -> Option<At> {
        let row = json::Fields::of_bytes(delivery.body())
            .ok()?
            .object("record")?;
        row.time("updated_at").max(row.time("created_at"))
    }

    fn event(&self, delivery: &Verified<'_>) -> Result<Event, Unreadable> {
        let change = json::Fields::of_bytes(delivery.body())?;
        let kind = parts::kind(&change, "type")?;
        let table = (change.string("schema"), change.string("table"));
        if (table.0.as_deref(), table.1.as_deref()) != (Some("auth"), Some("users")) {
            return Ok(Event::OfNoUser);
        }
        let (row, told) = match kind.as_str() {
            "INSERT" | "UPDATE" => ("record", Told::exists()),
            "DELETE" => ("old_record", Told::Deleted),
            _ => return Ok(Event::OfNoUser),
        };
        let row = change.object(row);
        // A soft deletion is an update.
        let told = match &row {
            Some(row) if row.get("deleted_at").is_some() => Told::Deleted,
            _ => told,
        };
        let id = row
            .and_then(|row| row.string("id"))
            .ok_or(Unreadable("the row has no id, or one that is not a string"))?;
        let id = UserId::new(id)?;
        Ok(Event::Hint { id, told })
    }

    fn profile(&self, raw: &str) -> Result<Profile, Unreadable> {
        profile(raw)
    }

    fn listed(&self, user: &RawValue) -> Result<Profile, Unreadable> {
        Profile::of_known(user.get(), columns)
    }

    fn profile_in_events(&self) -> Option<&'static [&'static str]> {
        None
    }

    fn user_request(&self, id: &UserId) -> Request {
        self.api.get_user("/admin/users", id)
    }

    fn user(&self, id: &UserId, answer: &Answer) -> Result<Option<Profile>, AnswerError> {
        if answer.status == StatusCode::OK {
            let user = parts::read_user(id, "id", answer, profile)?;
            return Ok(Some(user).filter(|user| !is_deleted(&user.raw_json)));
        }
        match (answer.status, code(answer).as_deref()) {
            (StatusCode::NOT_FOUND, Some("user_not_found")) => Ok(None),
            // Every id of Supabase's own is a UUID.
            (StatusCode::NOT_FOUND, Some("validation_failed")) => Err(AnswerError::NoSuchId),
            _ => Err(WORDS.refused(answer)),
        }
    }

    fn listing(&self, position: Option<&str>) -> Box<dyn Listing> {
        parts::walk::<Position>(&self.api, position)
    }

    /// Webhooks made in the dashboard send whole rows, with the hash of the
    /// password and with tokens.
    fn redacted<'a>(&self, body: &'a [u8]) -> Cow<'a, [u8]> {
        let Ok(change) = json::Fields::of_bytes(body) else {
            return Cow::Borrowed(b"");
        };
        let id = |row| change.object(row).and_then(|row| row.string("id"));
        let kept = serde_json::json!({
            "type": change.string("type"),
            "table": change.string("table"),
            "schema": change.string("schema"),
            "record": {"id": id("record")},
            "old_record": {"id": id("old_record")},
        });
        Cow::Owned(kept.to_string().into_bytes())
    }

    fn install_sql(&self) -> Option<&'static str> {
        Some(include_str!("supabase/install.sql"))
    }
}

/// Whether the user was deleted softly: the row stays, but empty.
fn is_deleted(raw: &str) -> bool {
    json::Fields::of(raw).is_ok_and(|user| user.get("deleted_at").is_some())
}

fn profile(raw: &str) -> Result<Profile, Unreadable> {
    Profile::from_json(raw, columns)
}

fn columns(user: &json::Fields<'_>) -> Columns {
    let metadata = user.object("user_metadata");
    let name = |key| metadata.as_ref().and_then(|metadata| metadata.text(key));
    Columns {
        id: user.string("id"),
        name: name("full_name").or_else(|| name("name")),
        // A user without an email has an empty one.
        email: user.text("email"),
        created_at: user.time("created_at"),
        version: None,
    }
}

/// The error code in an answer of Supabase's own. It is `code` since the API
/// version 2024-01-01, and was `error_code` before, when `code` was a number.
/// The gateway sends only a `message`.
///
/// Source: <https://supabase.com/docs/guides/auth/debugging/error-codes>.
fn code(answer: &Answer) -> Option<String> {
    let error = json::Fields::of_bytes(&answer.body).ok()?;
    error
        .string("error_code")
        .or_else(|| error.string("code"))
        .or_else(|| {
            error
                .get("message")
                .or(error.get("msg"))
                .map(|_| String::new())
        })
}

const WORDS: Words = Words {
    who: "Supabase",
    code,
    key: "copy a secret key (sb_secret_…), or the service_role key, from the project's API keys \
          page into provider.service_role_key; anon and publishable keys do not suffice",
    advice: |status, code| match (status, code) {
        (404, _) => Some(
            "there is no such path: provider.project_url has to look like \
             https://<ref>.supabase.co",
        ),
        (500, "unexpected_failure") => Some(
            "Auth can't read its own database; a single row of auth.users with NULL where Auth \
             expects text is enough for that. Put '' where confirmation_token, recovery_token, \
             email_change or email_change_token_new is NULL; the project's Auth log says more",
        ),
        (540, _) => Some("the project is paused: restore it in Supabase's dashboard"),
        _ => None,
    },
    explained: "look the code up in the documentation of Supabase Auth's error codes",
    foreign: "the answer does not come from Supabase: check provider.project_url",
    webhooks: "in Supabase's SQL editor, see that the triggers of install_sql (provision answers it) \
               are on auth.users with the URL of webhook and the token, and what net._http_response \
               says of the last six hours",
};

/// The walk, the newest first. It goes by cursors if the server has them: no
/// deletion moves a cursor. Otherwise it goes by pages, which must overlap. Such
/// a server orders users who signed up at the same moment arbitrarily, so it may
/// list a large import incompletely. Its own count then shows that.
#[derive(Default, Serialize, Deserialize)]
struct Position {
    /// Pages overlap by ten, and are asked for at half their size or more. A
    /// server with cursors gives no more than 1000 users.
    page: PageSize<40, 1000>,
    step: Step,
    overlap: Overlap,
    /// The smallest count that the server gave.
    counted: Option<u64>,
    /// Soft-deleted users: the server counts them, and we pass them over.
    deleted: u64,
    /// By cursor: the user that the last page began with, and how many pages one
    /// after the other began with that user, or showed nobody.
    #[serde(default)]
    first: Option<String>,
    #[serde(default)]
    repeats: u32,
}

#[derive(Default, Serialize, Deserialize)]
enum Step {
    /// The first answer tells whether the server has cursors.
    #[default]
    Start,
    ByCursor(String),
    ByPage,
}

#[derive(Deserialize)]
struct Listed<'a> {
    #[serde(borrow)]
    users: Vec<&'a RawValue>,
    pagination: Option<Pagination>,
}

#[derive(Deserialize)]
struct Pagination {
    next_cursor: Option<String>,
    has_more: bool,
}

impl Position {
    /// The number and the size of a page that begins where the next one has to,
    /// or a little earlier. Pages are numbered, so they begin only at multiples of
    /// their size; this is the size that fits best.
    fn number_and_size(&self) -> (u64, u64) {
        let (start, page) = (self.overlap.start(), self.page.get());
        (page / 2..=page)
            .map(|size| (start / size, size))
            .max_by_key(|(before, size)| (before * size, *size))
            .map_or((1, page), |(before, size)| (before + 1, size))
    }

    fn page(&mut self, items: &[&RawValue]) -> Page {
        // Of each whether the user was deleted softly, and whether the listing
        // leaves something open.
        let read = |item: &&RawValue| match json::Fields::known(item.get()) {
            Ok(user) => (
                user.get("deleted_at").is_some(),
                user.get("identities").is_none(),
            ),
            Err(_) => (false, false),
        };
        let users = items.iter().map(|item| (*item, read(item)));
        let living: Vec<_> = users.filter(|(_, (deleted, _))| !deleted).collect();
        // Where pages overlap, some are counted twice, so the check is a little
        // more lenient.
        self.deleted += parts::count(items) - parts::count(&living);
        let is_open = living.iter().any(|(_, (_, open))| *open);
        let living: Vec<_> = living.into_iter().map(|(item, _)| item).collect();
        let mut page = parts::page_of(&living);
        if is_open {
            page.unloaded = UNLISTED;
        }
        page
    }

    fn read_by_page(
        &mut self,
        items: &[&RawValue],
        total: Option<u64>,
    ) -> Result<Page, AnswerError> {
        let (number, size) = self.number_and_size();
        let start = (number - 1) * size;
        let places = places(items);
        if descends(places.iter().map(|place| place.key)) {
            return Err(broken("Supabase", "shows the oldest first"));
        }
        let fit = self.overlap.take(start, size, &places);
        if !fit.counts("Supabase")? {
            return Ok(Page::default());
        }
        // The count and the page are not from the same moment.
        let length = parts::count(items);
        let wanting = total.map_or(0, |total| total.saturating_sub(start + length));
        if length < size && wanting > (wanting / 100).max(10) {
            return Err(broken(
                "Supabase",
                "shows fewer users a page than were asked for",
            ));
        }
        // Users who signed up since the walk began stand before its first page.
        self.counted = match (self.counted, total) {
            (Some(counted), Some(total)) => Some(counted.min(total)),
            (counted, total) => counted.or(total),
        };
        let mut page = self.page(items);
        page.last = length < size;
        let counted = self.counted.filter(|_| page.last);
        page.counted = counted.map(|counted| counted.saturating_sub(self.deleted));
        Ok(page)
    }
}

impl Paging for Position {
    fn is_sound(&self) -> bool {
        let short = match &self.step {
            Step::ByCursor(cursor) => cursor.len() <= LONGEST_CURSOR,
            Step::Start | Step::ByPage => true,
        };
        short && self.deleted <= MOST_USERS && self.overlap.is_sound()
    }

    fn path(&self) -> String {
        let limit = self.page;
        match &self.step {
            Step::Start => format!("/admin/users?limit={limit}"),
            Step::ByCursor(cursor) => {
                let cursor = parts::encoded(cursor);
                format!("/admin/users?limit={limit}&cursor={cursor}")
            }
            Step::ByPage => {
                let (number, size) = self.number_and_size();
                format!("/admin/users?page={number}&per_page={size}")
            }
        }
    }

    fn read(&mut self, answer: &Answer) -> Result<Page, AnswerError> {
        if answer.status != StatusCode::OK {
            return Err(WORDS.refused(answer));
        }
        let text = answer.text();
        let listed: Listed<'_> = serde_json::from_str(&text)
            .map_err(|_| AnswerError::Garbled("the answer is not a page of users"))?;
        match (&self.step, listed.pagination) {
            (Step::Start, None) => {
                self.step = Step::ByPage;
                Ok(Page::default())
            }
            (Step::ByPage, _) => {
                let total = answer.headers.get("x-total-count");
                let total = total.and_then(|total| total.to_str().ok()?.parse().ok());
                self.read_by_page(&listed.users, total)
            }
            (Step::ByCursor(_), None) => {
                Err(AnswerError::Garbled("the server has forgotten its cursors"))
            }
            (_, Some(pagination)) => {
                let first = listed
                    .users
                    .first()
                    .and_then(|u| parts::id_of(u.get(), "id"));
                let repeats = pagination.has_more && (first.is_none() || first == self.first);
                self.repeats = if repeats { self.repeats + 1 } else { 0 };
                if self.repeats > MOST_REPEATS {
                    return Err(broken("Supabase", "shows the same users again and again"));
                }
                self.first = first;
                let mut page = self.page(&listed.users);
                match pagination.next_cursor.filter(|_| pagination.has_more) {
                    Some(next) if next.len() > LONGEST_CURSOR => {
                        return Err(AnswerError::Garbled("the page's cursor is not Supabase's"));
                    }
                    Some(next) => self.step = Step::ByCursor(next),
                    None if pagination.has_more => {
                        return Err(AnswerError::Garbled("there are more users, and no cursor"));
                    }
                    None => page.last = true,
                }
                Ok(page)
            }
        }
    }

    fn shrink(&mut self) -> bool {
        self.page.shrink()
    }
}

/// Where the users stand, the newest first.
fn places(items: &[&RawValue]) -> Vec<Place> {
    let users = parts::Listed {
        items,
        id_field: "id",
        time_field: "created_at",
        time: |user, field| {
            let at = user.time(field)?;
            Some(At::from_micros(at.as_micros().saturating_neg()))
        },
    };
    users.all_places()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::HeaderMap;

    use super::super::tests::{answer, check_broken, connected, event, ids, next};
    use super::*;
    use crate::signature::Forged;
    use crate::time::tests::clock;

    const FOUR: &str = "b7fd0253-6e16-4d4e-b61b-5943cb1b2102";

    fn secret() -> serde_json::Value {
        serde_json::json!({
            "name": "supabase", "project_url": "https://ref.supabase.co/",
            "service_role_key": "key_hidden", "webhook_token": "wt_hidden",
        })
    }

    fn supabase() -> Arc<dyn Provider> {
        connected(secret(), None).unwrap()
    }

    #[test]
    fn the_secrets_fields_are_checked() {
        let project = supabase().facts().project.clone();
        assert_eq!(project.as_deref(), Some("ref.supabase.co"));
        // Tenants of one host are projects of their own, Auth's address is none.
        for (url, project) in [
            ("http://h/tenant-a/", "h/tenant-a"),
            ("http://h/tenant-b/auth/v1", "h/tenant-b"),
            ("https://ref.supabase.co/auth/v1", "ref.supabase.co"),
        ] {
            let mut tenant = secret();
            tenant["project_url"] = url.into();
            let facts = connected(tenant, None).unwrap().facts().clone();
            assert_eq!(facts.project.as_deref(), Some(project), "{url}");
        }
        let unused = connected(secret(), Some("whsec_hidden")).err();
        let expected = "signing_secrets is not used by supabase: remove it";
        assert_eq!(unused.as_deref(), Some(expected));
        let mut no_url = secret();
        no_url["project_url"] = "hidden".into();
        let error = connected(no_url, None).err().unwrap();
        assert!(
            error.starts_with("provider.project_url is not an http or https URL: it looks like"),
            "{error}"
        );
    }

    #[test]
    fn a_secret_key_is_no_token() {
        let check = |key: &str, bearer: Option<&str>| {
            let mut secret = secret();
            secret["service_role_key"] = key.into();
            let supabase = connected(secret, None).unwrap();
            let user = supabase.user_request(&UserId::new(FOUR).unwrap());
            for request in [user, supabase.listing(None).request()] {
                assert_eq!(request.headers()["apikey"], key);
                let authorization = request.headers().get("authorization");
                let authorization = authorization.map(|value| value.to_str().unwrap());
                assert_eq!(authorization, bearer);
            }
        };
        check("sb_secret_0123", None);
        check("sb_publishable_0123", None);
        check("eyJh.eyJh.sig", Some("Bearer eyJh.eyJh.sig"));
        check("a_key_of_ones_own", Some("Bearer a_key_of_ones_own"));
    }

    #[test]
    fn the_apis_address_may_be_written_whole() {
        for api_url in ["http://127.0.0.1:1/", "http://127.0.0.1:1/auth/v1"] {
            let mut secret = secret();
            secret["api_url"] = api_url.into();
            let user = connected(secret, None)
                .unwrap()
                .user_request(&UserId::new(FOUR).unwrap());
            let expected = format!("http://127.0.0.1:1/auth/v1/admin/users/{FOUR}");
            assert_eq!(user.uri().to_string(), expected);
        }
    }

    #[test]
    fn deliveries_are_hints_of_which_the_id_alone_is_kept() {
        let told = |body: &str| match event(&*supabase(), body) {
            Event::Hint { id, told } => {
                assert_eq!(id.as_str(), FOUR);
                told
            }
            event => panic!("{event:?}"),
        };
        let update = include_str!("../../../events/supabase/dbwebhook.update.json");
        assert!(matches!(told(update), Told::Exists { .. }));
        let soft = update.replace("\"deleted_at\":null", "\"deleted_at\":\"2021-12-16\"");
        assert!(matches!(told(&soft), Told::Deleted));
        let delete = include_str!("../../../events/supabase/dbwebhook.delete.json");
        assert!(matches!(told(delete), Told::Deleted));
        let other = update.replace("\"users\"", "\"sessions\"");
        assert!(matches!(event(&*supabase(), &other), Event::OfNoUser));
        let kept = supabase().redacted(update.as_bytes()).into_owned();
        let kept = String::from_utf8(kept).unwrap();
        assert!(
            kept.contains(FOUR) && !kept.contains("example.com"),
            "{kept}"
        );
        assert!(supabase().redacted(b"hash").is_empty());
    }

    #[test]
    fn a_delivery_is_known_by_its_token_and_its_bytes() {
        let body = include_bytes!("../../../events/supabase/dbwebhook.delete.json");
        let mut headers = HeaderMap::new();
        headers.insert("authorization", "Bearer wt_hidden".parse().unwrap());
        let supabase = supabase();
        let verified = supabase.verify(&headers, body, clock(0)).unwrap();
        assert!(verified.event_id().starts_with("sha256 "));
        headers.insert("authorization", "Bearer key_hidden".parse().unwrap());
        let forged = supabase.verify(&headers, body, clock(0));
        assert_eq!(forged.map(|_| ()), Err(Forged::Mismatch));
    }

    #[test]
    fn user_not_found_in_either_form_means_deleted_and_so_does_a_soft_deletion() {
        let id = UserId::new(FOUR).unwrap();
        let check = |status, body: &str| supabase().user(&id, &answer(status, body));
        let legacy = include_str!("../../../events/supabase/get.404.legacy.json");
        assert!(matches!(check(404, legacy), Ok(None)));
        let newer = include_str!("../../../events/supabase/get.404.2024-01-01.json");
        assert!(matches!(check(404, newer), Ok(None)));
        let soft = format!(r#"{{"id":"{FOUR}","email":"","deleted_at":"2021-12-16T00:00:00Z"}}"#);
        assert!(matches!(check(200, &soft), Ok(None)));
        assert!(matches!(check(404, "<html>"), Err(AnswerError::Garbled(_))));
        let gateway = r#"{"message":"no Route matched with those values"}"#;
        assert!(matches!(check(404, gateway), Err(AnswerError::Refused(_))));
        let no_uuid = r#"{"code":404,"error_code":"validation_failed","msg":"…"}"#;
        assert!(matches!(check(404, no_uuid), Err(AnswerError::NoSuchId)));
        let Err(AnswerError::Refused(advice)) = check(401, r#"{"message":"Invalid API key"}"#)
        else {
            panic!("not refused");
        };
        assert!(advice.contains("provider.service_role_key"), "{advice}");
    }

    #[test]
    fn a_user_maps_by_their_metadata() {
        let check = |fields: &str| {
            let user = profile(&format!(r#"{{"id":"1","email":""{fields}}}"#)).unwrap();
            assert_eq!(user.email, None);
            (user.name, user.created_at)
        };
        let time = At::from_rfc3339("2021-12-15T17:43:58.12207Z");
        let offset =
            r#","created_at":"2021-12-15T19:43:58.12207+02:00","user_metadata":{"name":"N"}"#;
        assert_eq!(check(offset), (Some("N".to_owned()), time));
        let full = r#","user_metadata":{"name":"N","full_name":"F"}"#;
        assert_eq!(check(full), (Some("F".to_owned()), None));
        assert_eq!(check(r#","user_metadata":null"#), (None, None));
    }

    #[test]
    fn a_server_with_cursors_is_walked_by_them() {
        let mut listing = supabase().listing(None);
        assert_eq!(next(&*listing), "/auth/v1/admin/users?limit=1000");
        let body = include_str!("../../../events/supabase/list.keyset.json");
        let page = listing.read(&answer(200, body)).unwrap();
        assert_eq!(ids(&page, "id"), (vec![FOUR], false));
        let four = supabase().listed(&page.users[0]).unwrap();
        assert_eq!(four.name.as_deref(), Some("User Four"));
        assert!(next(&*listing).starts_with("/auth/v1/admin/users?limit=1000&cursor=eyJ"));
        let end = r#"{"users":[],"aud":"x","pagination":{"has_more":false}}"#;
        let page = listing.read(&answer(200, end)).unwrap();
        assert_eq!(ids(&page, "id"), (vec![], true));
    }

    #[test]
    fn a_page_names_the_fields_that_its_users_lack() {
        let unloaded = |identities: &str| {
            let body = format!(
                r#"{{"users":[{{"id":"1"{identities}}}],"pagination":{{"has_more":false}}}}"#
            );
            let page = supabase().listing(None).read(&answer(200, body)).unwrap();
            page.unloaded
        };
        assert_eq!(unloaded(r#","identities":null"#), UNLISTED);
        assert_eq!(unloaded(""), UNLISTED);
        assert!(unloaded(r#","identities":[]"#).is_empty());
    }

    /// Users by their age in seconds, the newest first.
    fn users(ages: std::ops::Range<i64>, total: u64) -> Answer {
        let users: Vec<_> = ages
            .map(|age| {
                let created_at = At::from_micros((1_000_000 - age) * 1_000_000).to_rfc3339();
                serde_json::json!({"id": age.to_string(), "created_at": created_at})
            })
            .collect();
        let mut answer = answer(200, serde_json::json!({"users": users, "aud": "x"}));
        answer.headers.insert("x-total-count", total.into());
        answer
    }

    #[test]
    fn other_servers_are_walked_by_overlapping_pages() {
        let position = Position {
            page: 40.try_into().unwrap(),
            ..Position::default()
        };
        let position = serde_json::to_string(&position).unwrap();
        let mut listing = supabase().listing(Some(&position));
        let body = include_str!("../../../events/supabase/list.page1.json");
        assert_eq!(
            ids(&listing.read(&answer(200, body)).unwrap(), "id"),
            (vec![], false)
        );
        let query = |listing: &dyn Listing| next(listing).split_once('?').unwrap().1.to_owned();
        assert_eq!(query(&*listing), "page=1&per_page=40");
        assert_eq!(listing.read(&users(0..40, 70)).unwrap().users.len(), 40);
        // Ten before the fortieth: the second page of thirty.
        assert_eq!(query(&*listing), "page=2&per_page=30");
        let again = supabase().listing(Some(&listing.position()));
        assert_eq!(next(&*again), next(&*listing));
        // 20 were deleted: the page begins too late.
        assert_eq!(listing.read(&users(50..70, 50)).unwrap().users.len(), 0);
        assert_eq!(query(&*listing), "page=1&per_page=40");
        assert_eq!(listing.read(&users(20..60, 50)).unwrap().users.len(), 40);
        let page = listing.read(&users(50..70, 50)).unwrap();
        assert_eq!(
            (page.users.len(), page.last, page.counted),
            (20, true, Some(50))
        );
    }

    #[test]
    fn paging_that_has_changed_is_named_within_a_few_pages() {
        let check = |most, words, answers: &mut dyn FnMut(&str) -> Answer| {
            check_broken(supabase().listing(None), most, words, answers);
        };
        let again = "shows the same users again and again";
        let thousand = users(0..1000, 5000);
        let same = || Answer {
            status: thousand.status,
            headers: thousand.headers.clone(),
            body: thousand.body.clone(),
        };
        check(8, again, &mut |_| same());
        check(2, "fewer users a page", &mut |_| users(0..50, 5000));
        check(
            16,
            "does not begin where",
            &mut |uri| match uri.contains("&page=")
                || !uri.contains("page=1&") && uri.contains("page=")
            {
                true => users(0..0, 5000),
                false => same(),
            },
        );
        let mut oldest: serde_json::Value = serde_json::from_slice(&users(0..9, 9).body).unwrap();
        oldest["users"].as_array_mut().unwrap().reverse();
        check(2, "oldest first", &mut |_| answer(200, &oldest));
        let keyset = |users: &str| {
            let pagination = r#"{"has_more":true,"next_cursor":"x"}"#;
            answer(
                200,
                format!(r#"{{"users":[{users}],"pagination":{pagination}}}"#),
            )
        };
        check(5, again, &mut |_| keyset(r#"{"id":"1"}"#));
        check(4, again, &mut |_| keyset(""));
    }

    #[test]
    fn the_sql_to_install_sends_no_more_than_ids() {
        let sql = supabase().install_sql().unwrap();
        for part in [
            "NEW.id",
            "OLD.id",
            "'Bearer WEBHOOK_TOKEN'",
            "'WEBHOOK_URL'",
            "5000",
        ] {
            assert!(sql.contains(part), "{part}");
        }
        assert!(!sql.contains("to_jsonb"));
    }
}
