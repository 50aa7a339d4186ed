//! Simulated auth providers: an in-memory project with an API to read it, a history for replicas
//! to lag, and an outbox for a [sender] to deliver.
//!
//! The core knows no provider. What a profile looks like, what a change does to it and what is
//! told about it is a [`Vendor`], one file for each provider, pure.
//!
//! Deterministic: with a seed and a [`Clock::by_hand`], the same calls make the same bytes.

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::{Router, middleware};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::sender;

pub mod auth0;
pub mod clerk;
mod clock;
mod control;
mod faults;
mod front;
mod iso;
mod json;
mod line;
mod message;
mod people;
mod requests;
pub mod stack;
pub mod supabase;
mod users;
mod vendor;
pub mod workos;
mod world;

pub use auth0::{Auth0, Pages};
pub use clerk::Clerk;
pub use clock::Clock;
pub use faults::{Fault, RateLimit, Switches, Trouble};
pub use message::Message;
pub use people::Seeded;
pub use requests::{Call, Request};
pub use stack::{Cursors, Stack};
pub use supabase::Supabase;
pub use users::{Position, View};
pub use vendor::{
    Access, After, Change, Effect, Event, Fields, Reading, Refused, SignUp, Standing, Subject,
    Vendor,
};
pub use workos::{LostCursor, WorkOs};
pub use world::{Destination, Moment, Page, Recorded, Slice, Taken, Truth, World};

/// How to start a simulator.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The seed of ids, names, faults and everything else that is random.
    pub seed: u64,
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// The provider's clock.
    pub clock: Clock,
    /// Served beside the provider's API and `/control`, without faults and log.
    pub beside: Router,
}

/// A provider that answers on a local address, until it is dropped.
///
/// All that can be done to the provider is done to its [`World`], which this dereferences to.
pub struct Simulator {
    world: World,
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl Simulator {
    /// Starts to serve a project without users.
    pub async fn start(vendor: impl Vendor, options: Options) -> Result<Self> {
        Self::of(Arc::new(vendor), options).await
    }

    /// Starts to serve a project without users, of whichever provider.
    pub async fn of(vendor: Arc<dyn Vendor>, options: Options) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", options.port))
            .await
            .with_context(|| format!("listen on port {}", options.port))?;
        let address = listener.local_addr().context("read own address")?;
        let world = World::new(vendor, options.seed, options.clock);
        let front = front::Front::of(world.clone());
        let router = world
            .vendor()
            .routes(world.clone())
            .layer(middleware::from_fn_with_state(front, front::pass))
            .merge(control::routes(world.clone()))
            .merge(options.beside)
            .into_make_service_with_connect_info::<line::Line>();
        let server = tokio::spawn(async move {
            // Never ends by itself: accepting is tried again whatever happens.
            let served = axum::serve(line::Lines(listener), router).await;
            drop(served);
        });
        Ok(Self {
            world,
            address,
            server,
        })
    }

    /// A copy of the provider itself.
    pub fn world(&self) -> World {
        self.world.clone()
    }

    /// `http://127.0.0.1:port`.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address of the provider's API: what `api_url` in the functions' secret is to be.
    pub fn api_url(&self) -> String {
        self.world.vendor().api_url(&self.origin())
    }

    /// The `provider` object of the functions' secret.
    pub fn secret(&self) -> Value {
        self.world.vendor().secret(&self.origin())
    }

    /// How `console` reaches the account that the project is one of, if there are accounts.
    pub fn account(&self) -> Option<Access> {
        self.world.vendor().account(&self.origin())
    }

    /// How this provider sends to an endpoint, when the functions read this secret.
    pub fn sending(&self, secret: &Value, endpoint: &str) -> Result<sender::Options> {
        self.world.vendor().sending(secret, endpoint)
    }

    /// The address of the control API.
    pub fn control_url(&self) -> String {
        format!("{}/control", self.origin())
    }
}

impl Deref for Simulator {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.server.abort();
    }
}
