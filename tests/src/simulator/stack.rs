//! Stack Auth, as its server's source of April 2026 has it: the users API under `/api/v1`, and
//! which webhooks its changes fire. Or Hexclave, as it is called since: the same, but that a
//! listing's cursor means another user, and that a page has a most.

use axum::Router;
use axum::http::Method;
use serde_json::{Value, json};

use super::people::Seeded;
use super::requests::Call;
use super::vendor::{Access, Change, Effect, Reading, Refused, Subject, Vendor};
use super::world::World;

mod changes;
mod errors;
mod fields;
mod listing;
mod partner;
mod profile;
mod routes;
mod seeded;

pub use partner::{Partner, Project};

/// A Stack Auth project.
#[derive(Debug, Clone)]
pub struct Stack {
    /// Its name in the secret.
    pub name: &'static str,
    /// The listing's reading of a cursor.
    pub cursors: Cursors,
    /// The project's id.
    pub project_id: String,
    /// The key that opens it.
    pub secret_server_key: String,
    /// Whether each new user gets a team of their own, which `user.created` does not show yet.
    pub personal_teams: bool,
    /// Whether users with an unverified email are restricted.
    pub require_email_verification: bool,
    /// Whether one seeded user in 50 is anonymous and another one restricted.
    pub seeds_all_standings: bool,
    /// The partner that the server lets make projects.
    pub partner: Partner,
}

/// The meaning of a listing's cursor, which no answer tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursors {
    /// The page's first user, as until about April 2026.
    Included,
    /// The last user of the page before, as in the newest source; a page has 1000 users at most.
    Excluded,
}

impl Cursors {
    /// The value of the variable `STACK_CURSORS`; included by default. `make test` has the scenarios
    /// that list run with both.
    fn of_environment() -> Self {
        match std::env::var("STACK_CURSORS").as_deref() {
            Ok("excluded") => Self::Excluded,
            _ => Self::Included,
        }
    }
}

impl Stack {
    /// A project like any other on a server that includes the cursor's user.
    pub fn earlier() -> Self {
        Self {
            cursors: Cursors::Included,
            ..Self::default()
        }
    }

    /// A project like any other on a newest server, by the provider's newer name.
    pub fn hexclave() -> Self {
        Self {
            name: "hexclave",
            cursors: Cursors::Excluded,
            ..Self::default()
        }
    }
}

impl Default for Stack {
    fn default() -> Self {
        Self {
            name: "stack",
            cursors: Cursors::of_environment(),
            project_id: "7b1d5a7e-6f0c-4c7e-9c53-0d9a4f0c2d11".to_owned(),
            secret_server_key: "ssk_simulated_0123456789abcdefghijklmnopqrstuvwxyz".to_owned(),
            personal_teams: true,
            require_email_verification: false,
            seeds_all_standings: true,
            partner: Partner::default(),
        }
    }
}

impl Vendor for Stack {
    fn routes(&self, world: World) -> Router {
        routes::routes(self.clone(), world)
    }

    fn api_url(&self, origin: &str) -> String {
        format!("{origin}/api/v1")
    }

    fn secret(&self, origin: &str) -> Value {
        json!({
            "name": self.name,
            "project_id": self.project_id,
            "secret_server_key": self.secret_server_key,
            "api_url": self.api_url(origin),
        })
    }

    fn account(&self, origin: &str) -> Option<Access> {
        Some(Access {
            token: self.partner.credentials(),
            variables: Vec::new(),
            api_url: Some(self.api_url(origin)),
        })
    }

    fn call(&self, method: &Method, path: &str) -> Call {
        let rest = path.strip_prefix("/api/v1/users");
        let user = match rest.map(|rest| rest.strip_prefix('/')) {
            Some(None) if path.ends_with("users") => false,
            Some(Some(id)) if !id.is_empty() && !id.contains('/') => true,
            _ => return Call::Other,
        };
        match (method, user) {
            (&Method::GET, false) => Call::List,
            (&Method::POST, false) => Call::Create,
            (&Method::GET, true) => Call::Read,
            (&Method::PATCH, true) => Call::Update,
            (&Method::DELETE, true) => Call::Delete,
            _ => Call::Other,
        }
    }

    fn empty_listing(&self) -> String {
        listing::answer(&[], None)
    }

    fn too_many_requests(&self) -> Refused {
        errors::too_many_requests()
    }

    fn seeded_id(&self, user: Seeded) -> String {
        user.uuid()
    }

    fn seeded_user(&self, seed: u64, id: &str) -> Option<Seeded> {
        Seeded::of_uuid(seed, id)
    }

    fn seeded_profile(&self, user: Seeded) -> String {
        seeded::text(self, user)
    }

    fn seeded_reading(&self, user: Seeded) -> Reading {
        seeded::reading(self, user)
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
