//! Supabase Auth, as its server's source of August 2026 has it: the admin's users under
//! `/auth/v1`, after the gateway that looks at keys, and webhooks of the database's table.

use axum::Router;
use axum::http::Method;
use serde_json::{Value, json};

use super::people::Seeded;
use super::requests::Call;
use super::vendor::{Access, Change, Effect, Reading, Refused, Subject, Vendor};
use super::world::World;
use crate::sender;

mod account;
mod changes;
mod errors;
mod fields;
mod listing;
mod profile;
mod routes;
mod rows;
mod seeded;

pub use account::{Account, Key, Project};

/// A Supabase project.
#[derive(Debug, Clone)]
pub struct Supabase {
    /// The key of the service role.
    pub service_role_key: String,
    /// The key that applications have, which is allowed nothing here.
    pub anon_key: String,
    /// The bearer token that the database's webhook sends.
    pub webhook_token: String,
    /// Whether errors follow the API's version of 2024-01-01 where a request asks for it; older
    /// servers don't know of versions.
    pub versioned: bool,
    /// Whether listings without a page's number go by cursors, an experiment of 2026.
    pub cursors: bool,
    /// Whether listings show identities. They do not: only a read by id loads them.
    pub lists_identities: bool,
    /// Whether webhooks carry whole rows, password hash included, as those of the dashboard do;
    /// otherwise the ids alone.
    pub whole_rows: bool,
    /// The account that the project is one of.
    pub account: Account,
}

impl Default for Supabase {
    fn default() -> Self {
        Self {
            service_role_key: "sb_secret_simulated_0123456789abcdefghijkl".to_owned(),
            anon_key: "sb_publishable_simulated_0123456789abcdefg".to_owned(),
            webhook_token: "simulated-supabase-webhook-token-0123456789".to_owned(),
            versioned: true,
            cursors: false,
            lists_identities: false,
            whole_rows: true,
            account: Account::default(),
        }
    }
}

impl Vendor for Supabase {
    fn routes(&self, world: World) -> Router {
        routes::routes(self.clone(), world)
    }

    fn api_url(&self, origin: &str) -> String {
        origin.to_owned()
    }

    fn secret(&self, origin: &str) -> Value {
        json!({
            "name": "supabase",
            "project_url": origin,
            "service_role_key": self.service_role_key,
            "webhook_token": self.webhook_token,
        })
    }

    fn account(&self, origin: &str) -> Option<Access> {
        Some(Access {
            token: self.account.token(),
            variables: vec![
                ("SUPABASE_ACCOUNT_API_URL", origin.to_owned()),
                ("SUPABASE_ACCOUNT_PROJECT_URL", origin.to_owned()),
            ],
            api_url: None,
        })
    }

    fn signing_secret(&self, _: &mut fastrand::Rng) -> Option<String> {
        None
    }

    fn sending(&self, secret: &Value, endpoint: &str) -> anyhow::Result<sender::Options> {
        let token = secret["provider"]["webhook_token"].as_str();
        Ok(sender::Options::supabase(
            token.unwrap_or_default(),
            endpoint,
        ))
    }

    fn call(&self, method: &Method, path: &str) -> Call {
        let user = match path.strip_prefix("/auth/v1/admin/users") {
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

    fn unlisted(&self) -> &'static [&'static str] {
        match self.lists_identities {
            true => &[],
            false => &["identities", "factors"],
        }
    }

    fn empty_listing(&self) -> String {
        r#"{"users":[],"aud":"authenticated"}"#.to_owned()
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
