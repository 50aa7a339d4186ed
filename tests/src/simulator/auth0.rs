//! Auth0: the Management API's users under `/api/v2`, the tokens that open it, and the events
//! that its changes stream.
//!
//! Reads by id are consistent; searches lag where the switches say so. The ids of social users
//! follow from their account, so that who is deleted and signs up again is there under the same id.

use std::sync::Arc;

use axum::Router;
use axum::http::Method;
use serde_json::{Value, json};

use super::faults::RateLimit;
use super::people::Seeded;
use super::requests::Call;
use super::vendor::{Change, Effect, Reading, Refused, Subject, Vendor};
use super::world::World;
use crate::sender;

mod changes;
mod errors;
mod fields;
mod ids;
mod listing;
mod profile;
mod routes;
mod search;
mod seeded;
mod streams;
mod tokens;

/// An Auth0 tenant, and an application that may manage its users.
#[derive(Debug, Clone)]
pub struct Auth0 {
    /// The tenant's own domain, which tokens are made for.
    pub domain: String,
    /// The application's id.
    pub client_id: String,
    /// The application's secret.
    pub client_secret: String,
    /// The bearer token that the event stream sends.
    pub webhook_token: String,
    /// How long a token is good, in seconds.
    pub token_lifetime: i64,
    /// The most users a page.
    pub pages: Pages,
    /// A search that finds more users takes too long and is cut; none: no search does.
    pub cut_above: Option<usize>,
    /// The event streams that it shows in place of those that were made; null: the application has
    /// no permission to read them.
    pub event_streams: Option<Value>,
}

/// The most users a page, and what becomes of who asks for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pages {
    /// They are refused.
    Refused(usize),
    /// They get as many, and the totals' `limit` says so.
    Clamped(usize),
}

impl Default for Auth0 {
    fn default() -> Self {
        Self {
            domain: "simulated.eu.auth0.com".to_owned(),
            client_id: "QG4F6eABIgDzPvcKCMKUjo8c9iet2Skc".to_owned(),
            client_secret: "simulated-client-secret-0123456789abcdefghijklmnopqrstuvwxyz"
                .to_owned(),
            webhook_token: "simulated-auth0-webhook-token-0123456789".to_owned(),
            token_lifetime: 86_400,
            pages: Pages::Refused(100),
            cut_above: None,
            event_streams: None,
        }
    }
}

impl Auth0 {
    /// The audience of tokens for the Management API.
    fn audience(&self) -> String {
        format!("https://{}/api/v2/", self.domain)
    }

    /// The first label of the domain.
    fn tenant(&self) -> &str {
        self.domain.split('.').next().unwrap_or_default()
    }
}

impl Vendor for Auth0 {
    fn routes(&self, world: World) -> Router {
        routes::routes(self.clone(), world)
    }

    fn api_url(&self, origin: &str) -> String {
        origin.to_owned()
    }

    fn secret(&self, origin: &str) -> Value {
        json!({
            "name": "auth0",
            "domain": self.domain,
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "webhook_token": self.webhook_token,
            "api_url": self.api_url(origin),
        })
    }

    fn signing_secret(&self, _: &mut fastrand::Rng) -> Option<String> {
        None
    }

    fn sending(&self, secret: &Value, endpoint: &str) -> anyhow::Result<sender::Options> {
        let token = secret["provider"]["webhook_token"].as_str();
        Ok(sender::Options::auth0(token.unwrap_or_default(), endpoint))
    }

    fn call(&self, method: &Method, path: &str) -> Call {
        let user = match path.strip_prefix("/api/v2/users") {
            Some("") => false,
            Some(rest) if rest.len() > 1 && rest.rfind('/') == Some(0) => true,
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
        r#"{"start":0,"limit":50,"length":0,"users":[],"total":0}"#.to_owned()
    }

    fn too_many_requests(&self) -> Refused {
        errors::too_many_requests()
    }

    fn limit_headers(
        &self,
        limit: RateLimit,
        remaining: usize,
        reset: i64,
    ) -> Vec<(&'static str, String)> {
        vec![
            ("x-ratelimit-limit", limit.per_second.to_string()),
            ("x-ratelimit-remaining", remaining.to_string()),
            ("x-ratelimit-reset", reset.to_string()),
        ]
    }

    fn kept(&self, profile: Arc<str>) -> Arc<str> {
        profile::without_tokens(profile)
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
