//! WorkOS AuthKit: the users of an environment under `/user_management`, the record of what
//! happened to them under `/events`, and the webhooks that tell the same.
//!
//! A webhook and the record know an event by one id. Every change moves `updated_at`, and a
//! deletion does not.

use anyhow::Context as _;
use axum::Router;
use axum::http::Method;
use serde_json::{Value, json};

use super::json;
use super::people::Seeded;
use super::requests::Call;
use super::vendor::{Change, Effect, Event, Reading, Refused, Subject, Vendor};
use super::world::World;
use crate::sender;

mod changes;
mod endpoints;
mod errors;
mod fields;
mod ids;
mod listing;
mod profile;
mod record;
mod routes;
mod seeded;

/// A WorkOS environment.
#[derive(Debug, Clone)]
pub struct WorkOs {
    /// Keys of the environment; the functions get the first one.
    pub api_keys: Vec<String>,
    /// The role that the environment began with, by whose id it is known.
    pub member_role: String,
    /// The answer to a listing after a user or an event that is not there (any more).
    pub lost_cursor: LostCursor,
    /// Whether the last page names its last item as the one to go on after, as the examples of
    /// WorkOS' documentation do.
    pub last_page_goes_on: bool,
}

/// The answer to an unknown cursor, which WorkOS does not document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LostCursor {
    /// It is refused.
    Refused,
    /// The listing begins anew, as the vendor's emulator does it.
    FromStart,
    /// The page is empty, and looks like the last one.
    Empty,
}

impl Default for WorkOs {
    fn default() -> Self {
        Self {
            api_keys: vec!["sk_test_simulated0123456789abcdefghijk".to_owned()],
            member_role: "role_01JHMEMBER0S1MV1ATED000000".to_owned(),
            lost_cursor: LostCursor::Refused,
            last_page_goes_on: false,
        }
    }
}

impl Vendor for WorkOs {
    fn routes(&self, world: World) -> Router {
        routes::routes(self.clone(), world)
    }

    fn api_url(&self, origin: &str) -> String {
        origin.to_owned()
    }

    fn secret(&self, origin: &str) -> Value {
        json!({
            "name": "workos",
            "api_key": self.api_keys.first(),
            "api_url": self.api_url(origin),
        })
    }

    fn signing_secret(&self, random: &mut fastrand::Rng) -> Option<String> {
        Some(endpoints::secret(random))
    }

    fn sending(&self, secret: &Value, endpoint: &str) -> anyhow::Result<sender::Options> {
        let signing_secret = secret["signing_secrets"][0].as_str();
        let signing_secret = signing_secret.context("no signing secret")?;
        Ok(sender::Options::workos(signing_secret, endpoint))
    }

    fn call(&self, method: &Method, path: &str) -> Call {
        if path == "/events" {
            return Call::Events;
        }
        let user = match path.strip_prefix("/user_management/users") {
            Some("") => false,
            Some(rest) if rest.len() > 1 && rest.rfind('/') == Some(0) => true,
            _ => return Call::Other,
        };
        match (method, user) {
            (&Method::GET, false) => Call::List,
            (&Method::POST, false) => Call::Create,
            (&Method::GET, true) => Call::Read,
            (&Method::PUT, true) => Call::Update,
            (&Method::DELETE, true) => Call::Delete,
            _ => Call::Other,
        }
    }

    fn empty_listing(&self) -> String {
        r#"{"object":"list","data":[],"list_metadata":{"before":null,"after":null}}"#.to_owned()
    }

    fn too_many_requests(&self) -> Refused {
        errors::too_many_requests()
    }

    fn recorded_as(&self, event: &Event) -> Option<String> {
        json::get(&json::fields(&event.body), "id")
    }

    fn seeded_id(&self, user: Seeded) -> String {
        seeded::id(user)
    }

    fn seeded_user(&self, seed: u64, id: &str) -> Option<Seeded> {
        seeded::user(seed, id)
    }

    fn seeded_profile(&self, user: Seeded) -> String {
        seeded::text(user)
    }

    fn seeded_reading(&self, user: Seeded) -> Reading {
        seeded::reading(user)
    }

    fn reading(&self, profile: &str) -> Reading {
        profile::reading(profile)
    }

    fn change(
        &self,
        user: Option<Subject<'_>>,
        change: &Change,
        now: i64,
        random: &mut fastrand::Rng,
    ) -> Result<Effect, Refused> {
        changes::change(user, change, now, random)
    }
}
