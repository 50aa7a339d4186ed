//! A secret header, and nothing signed: how Auth0's event streams and a database's webhooks prove
//! where they come from.

use std::time::SystemTime;

use axum::http::{HeaderMap, HeaderValue, header};

use super::Signing;
use crate::simulator::Message;

/// `Authorization: Bearer …`, the same for every delivery.
#[derive(Clone)]
pub struct Bearer {
    token: String,
    agent: &'static str,
}

impl Bearer {
    /// As Auth0's event streams send.
    pub fn auth0(token: impl Into<String>) -> Self {
        Self {
            token: token.into(),
            agent: "auth0-event-streams",
        }
    }

    /// As Supabase's database sends, by its extension `pg_net`.
    pub fn supabase(token: impl Into<String>) -> Self {
        Self {
            token: token.into(),
            agent: "pg_net/0.14.0",
        }
    }
}

impl Signing for Bearer {
    fn headers(&self, _: &Message, _: SystemTime) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers.insert(header::USER_AGENT, HeaderValue::from_static(self.agent));
        if let Ok(value) = HeaderValue::from_str(&format!("Bearer {}", self.token)) {
            headers.insert(header::AUTHORIZATION, value);
        }
        headers
    }
}
