//! Clerk: the Backend API's users under `/v1`, and what its webhooks, which Svix sends, tell of them.
//!
//! A profile's `updated_at` moves with every change that is told, and never with a deletion. Who
//! signed up with a telephone number or a name alone has no email.

use std::time::Duration;

use axum::Router;
use axum::http::Method;
use serde_json::{Value, json};

use super::faults::RateLimit;
use super::people::Seeded;
use super::requests::Call;
use super::vendor::{Access, Change, Effect, Reading, Refused, Subject, Vendor};
use super::world::World;

mod changes;
mod emails;
mod errors;
mod fields;
mod listing;
mod platform;
mod profile;
mod routes;
mod seeded;

pub use platform::{Application, Instance, Workspace};

/// A listing's reading of `starting_after`, which is new in August 2026.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cursors {
    /// It begins after that user; one who is not there is an error.
    #[default]
    Taken,
    /// The same, but nobody comes after a user who is not there.
    TakenQuietly,
    /// As an older server that is strict: the parameter is unknown.
    Refused,
    /// As an older server that is not: the listing begins at the start.
    Ignored,
}

/// A Clerk instance.
#[derive(Debug, Clone)]
pub struct Clerk {
    /// The instance's id.
    pub instance: String,
    /// The secret keys that open it; the first is the functions'.
    pub secret_keys: Vec<String>,
    /// Whether the API tells which instance a key is for.
    pub tells_instance: bool,
    /// A listing's reading of `starting_after`.
    pub cursors: Cursors,
    /// Offsets from this one on are slow.
    pub large_offset: usize,
    /// How slow.
    pub large_offset_wait: Duration,
    /// Whether events say their time in seconds, as in the OpenAPI document's example, and not in
    /// milliseconds.
    pub events_in_seconds: bool,
    /// The workspace that the instance is in.
    pub workspace: Workspace,
}

impl Default for Clerk {
    fn default() -> Self {
        Self {
            instance: "ins_2simulated00000000000000000".to_owned(),
            secret_keys: vec!["sk_test_simulated0123456789abcdefghijklmnopqrstuv".to_owned()],
            tells_instance: true,
            cursors: Cursors::default(),
            large_offset: usize::MAX,
            large_offset_wait: Duration::from_secs(30),
            events_in_seconds: false,
            workspace: Workspace::default(),
        }
    }
}

impl Clerk {
    /// A production instance's rate limit: 1000 requests in 10 seconds.
    pub const PRODUCTION: RateLimit = RateLimit {
        per_second: 100,
        retry_after: true,
    };

    /// A development instance's: 100 requests in 10 seconds.
    pub const DEVELOPMENT: RateLimit = RateLimit {
        per_second: 10,
        retry_after: true,
    };
}

impl Vendor for Clerk {
    fn routes(&self, world: World) -> Router {
        routes::routes(self.clone(), world)
    }

    fn api_url(&self, origin: &str) -> String {
        format!("{origin}/v1")
    }

    fn secret(&self, origin: &str) -> Value {
        json!({
            "name": "clerk",
            "secret_key": self.secret_keys.first(),
            "api_url": self.api_url(origin),
        })
    }

    fn account(&self, origin: &str) -> Option<Access> {
        Some(Access {
            token: self.workspace.token(),
            variables: vec![("CLERK_ACCOUNT_API_URL", self.api_url(origin))],
            api_url: None,
        })
    }

    fn call(&self, method: &Method, path: &str) -> Call {
        let user = match path.strip_prefix("/v1/users") {
            Some("") => false,
            Some("/count") => return Call::Other,
            Some(rest) if rest.len() > 1 => true,
            _ => return Call::Other,
        };
        match (method, user) {
            (&Method::GET, false) => Call::List,
            (&Method::POST, false) => Call::Create,
            (&Method::GET, true) => Call::Read,
            (&Method::PATCH | &Method::PUT, true) => Call::Update,
            (&Method::DELETE, true) => Call::Delete,
            _ => Call::Other,
        }
    }

    fn empty_listing(&self) -> String {
        "[]".to_owned()
    }

    fn too_many_requests(&self) -> Refused {
        errors::too_many_requests()
    }

    fn limited_seconds(&self) -> i64 {
        10
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
        changes::change(self, user, change, now, random)
    }
}
