//! `/webhook_endpoints`: where deliveries are to go, each with the secret that signs them. A
//! sender that follows sends to the newest.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::{errors, ids};
use crate::simulator::iso;
use crate::simulator::json::get;
use crate::simulator::vendor::{Fields, Refused};

/// The endpoints that were made.
#[derive(Debug, Clone, Default)]
pub(super) struct Endpoints(Arc<Mutex<Vec<Endpoint>>>);

#[derive(Debug, Clone, Serialize)]
pub(super) struct Endpoint {
    object: &'static str,
    pub(super) id: String,
    pub(super) endpoint_url: String,
    pub(super) secret: String,
    status: String,
    events: Vec<String>,
    created_at: String,
    updated_at: String,
}

/// A new secret: it looks like Svix', but the whole of it is the key.
pub(super) fn secret(random: &mut fastrand::Rng) -> String {
    let digits: String = (0..25).map(|_| random.alphanumeric()).collect();
    format!("whsec_{digits}")
}

impl Endpoints {
    pub(super) fn make(&self, wanted: &Fields, now: i64) -> Result<Endpoint, Refused> {
        let required = |name| errors::body(name, "required");
        let url: String = get(wanted, "endpoint_url").ok_or_else(|| required("endpoint_url"))?;
        let events = get(wanted, "events").ok_or_else(|| required("events"))?;
        let mut endpoints = self.all();
        if endpoints.iter().any(|known| known.endpoint_url == url) {
            return Err(errors::duplicate_endpoint());
        }
        let mut random = crate::seeds::random(&url);
        let secret = secret(&mut random);
        let at = iso::text(now);
        let endpoint = Endpoint {
            object: "webhook_endpoint",
            id: ids::new("we", now, &mut random),
            endpoint_url: url,
            secret,
            status: "enabled".to_owned(),
            events,
            created_at: at.clone(),
            updated_at: at,
        };
        endpoints.push(endpoint.clone());
        Ok(endpoint)
    }

    pub(super) fn change(&self, id: &str, wanted: &Fields) -> Result<Endpoint, Refused> {
        let mut endpoints = self.all();
        let known = endpoints.iter_mut().find(|endpoint| endpoint.id == id);
        let known = known.ok_or_else(|| errors::not_found("Webhook Endpoint", id))?;
        if let Some(status) = get(wanted, "status") {
            known.status = status;
        }
        if let Some(events) = get(wanted, "events") {
            known.events = events;
        }
        Ok(known.clone())
    }

    pub(super) fn remove(&self, id: &str) -> Result<Endpoint, Refused> {
        let mut endpoints = self.all();
        let at = endpoints.iter().position(|endpoint| endpoint.id == id);
        let at = at.ok_or_else(|| errors::not_found("Webhook Endpoint", id))?;
        Ok(endpoints.remove(at))
    }

    pub(super) fn all(&self) -> MutexGuard<'_, Vec<Endpoint>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
