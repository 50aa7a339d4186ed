//! Where the provider is told to send, by its API or, in its dashboard, by a person.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::World;
use crate::sender;

/// An endpoint, and what deliveries to it prove themselves with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    /// The address.
    pub url: String,
    /// The signing secret or the token.
    pub secret: String,
}

impl World {
    /// Sends there from now on, if a sender follows; a new secret is made up where none is given
    /// and the provider makes them up.
    pub fn send_to(&self, url: &str, secret: Option<String>) -> Destination {
        let mut state = self.state();
        let made_up = || self.vendor().signing_secret(&mut state.random);
        let destination = Destination {
            url: url.to_owned(),
            secret: secret.or_else(made_up).unwrap_or_default(),
        };
        state.destination = Some(destination.clone());
        destination
    }

    /// Sends no longer there.
    pub fn send_nowhere(&self) {
        self.state().destination = None;
    }

    /// Where it sends.
    pub fn destination(&self) -> Option<Destination> {
        self.state().destination.clone()
    }

    /// How it sends there.
    pub(crate) fn sending_to(&self, there: &Destination) -> anyhow::Result<sender::Options> {
        let secret = json!({
            "signing_secrets": [there.secret],
            "provider": { "webhook_token": there.secret },
        });
        self.vendor().sending(&secret, &there.url)
    }
}
