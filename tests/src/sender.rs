//! Delivers a simulated provider's messages, as Svix does: signed anew at every attempt, tried
//! again on Svix's schedule, in no promised order; lost, doubled and late on demand.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use axum::http::HeaderMap;
use reqwest::{Client, redirect};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::simulator::{Destination, Message, World};

mod attempts;
mod bearer;
mod control;
mod endpoint;
mod mishaps;
mod pump;
mod schedule;
mod signing;
mod workos;

pub use attempts::{Attempt, Outcome};
pub use bearer::Bearer;
pub use mishaps::Mishaps;
pub use schedule::Schedule;
pub use signing::{Signing, Svix};
pub use workos::WorkOs;

use endpoint::Endpoint;

/// How to send.
#[derive(Clone)]
pub struct Options {
    /// How deliveries prove where they come from.
    pub signing: Arc<dyn Signing>,
    /// Where every message goes: each of them is an endpoint with a schedule of its own.
    pub endpoints: Vec<String>,
    /// When an attempt is repeated.
    pub schedule: Schedule,
    /// How long an answer may take. Svix waits 15 seconds.
    pub time_out: Duration,
    /// The mishaps on the way.
    pub mishaps: Mishaps,
    /// How many attempts may be under way at once. One, without mishaps, keeps the order.
    pub concurrency: usize,
    /// The seed of the mishaps.
    pub seed: u64,
}

impl Options {
    /// Svix's own pace, to one endpoint.
    pub fn new(signing: impl Signing, endpoint: impl Into<String>) -> Self {
        Self {
            signing: Arc::new(signing),
            endpoints: vec![endpoint.into()],
            schedule: Schedule::svix(),
            time_out: Duration::from_secs(15),
            mishaps: Mishaps::default(),
            concurrency: 16,
            seed: 0,
        }
    }

    /// The pace of Auth0's event streams.
    pub fn auth0(token: impl Into<String>, endpoint: impl Into<String>) -> Self {
        Self {
            schedule: Schedule::auth0(),
            ..Self::new(Bearer::auth0(token), endpoint)
        }
    }

    /// One attempt for each message, and five seconds to answer, as Supabase's database does it.
    pub fn supabase(token: impl Into<String>, endpoint: impl Into<String>) -> Self {
        Self {
            schedule: Schedule::once(),
            time_out: Duration::from_secs(5),
            ..Self::new(Bearer::supabase(token), endpoint)
        }
    }

    /// The pace of WorkOS' webhooks.
    pub fn workos(secret: impl Into<String>, endpoint: impl Into<String>) -> Self {
        Self {
            schedule: Schedule::workos(),
            ..Self::new(WorkOs::new([secret]), endpoint)
        }
    }

    /// Retries come this many times sooner.
    #[must_use]
    pub fn faster(mut self, times: f64) -> Self {
        self.schedule = self.schedule.faster(times);
        self
    }
}

/// A sender; copies are the same one.
#[derive(Clone)]
pub struct Sender(Arc<Inner>);

struct Inner {
    client: Client,
    schedule: Schedule,
    permits: Arc<Semaphore>,
    state: Mutex<State>,
}

struct State {
    signing: Arc<dyn Signing>,
    /// Where the provider is told to send, if that is followed.
    followed: Option<Option<Destination>>,
    endpoints: Vec<Arc<Endpoint>>,
    mishaps: Mishaps,
    random: fastrand::Rng,
    attempts: Vec<Attempt>,
}

impl Sender {
    /// A sender that sends nothing by itself yet.
    pub fn new(options: Options) -> Result<Self> {
        let client = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .timeout(options.time_out)
            .build()
            .context("build client")?;
        Ok(Self(Arc::new(Inner {
            client,
            schedule: options.schedule,
            permits: Arc::new(Semaphore::new(options.concurrency.max(1))),
            state: Mutex::new(State {
                signing: options.signing,
                followed: None,
                endpoints: endpoints(options.endpoints),
                mishaps: options.mishaps,
                random: fastrand::Rng::with_seed(options.seed),
                attempts: Vec::new(),
            }),
        })))
    }

    /// A sender that sends to wherever the provider is told to, and nowhere before.
    pub fn following(world: &World) -> Result<Self> {
        let nobody = Destination {
            url: String::new(),
            secret: "whsec_bm9ib2R5IGlzIHRvbGQgeWV0Lg==".to_owned(),
        };
        let sender = Self::new(Options {
            endpoints: Vec::new(),
            ..world.sending_to(&nobody)?
        })?;
        sender.state().followed = Some(None);
        Ok(sender)
    }

    /// Sends to where the provider is told to send now, if that is followed.
    fn follow(&self, world: &World) {
        let there = world.destination();
        let mut state = self.state();
        if state.followed.as_ref().is_none_or(|known| *known == there) {
            return;
        }
        // One whose secret can't sign is sent nothing.
        let options = there
            .as_ref()
            .and_then(|there| world.sending_to(there).ok());
        state.endpoints = Vec::new();
        if let Some(options) = options {
            state.signing = options.signing;
            state.endpoints = endpoints(options.endpoints);
        }
        state.followed = Some(there);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to send what this provider tells, until the answer is dropped.
    pub fn run(&self, world: &World) -> Sending {
        Sending {
            world: world.clone(),
            pump: tokio::spawn(pump::run(self.clone(), world.clone())),
        }
    }

    /// The headers of a delivery made now: other ones at every attempt, but for the id.
    pub fn sign(&self, message: &Message, now: SystemTime) -> HeaderMap {
        let signing = self.state().signing.clone();
        signing.headers(message, now)
    }

    /// One attempt at the first endpoint, with no mishap and no retry; the status it answered.
    pub async fn deliver_once(&self, message: &Message) -> Result<u16> {
        let endpoint = self.state().endpoints.first().cloned();
        let endpoint = endpoint.context("no endpoint")?;
        self.deliver_to(&endpoint.url, message).await
    }

    /// One attempt at this URL, with no mishap and no retry; the status it answered.
    pub async fn deliver_to(&self, url: &str, message: &Message) -> Result<u16> {
        match self.attempt(url, message, 1).await.outcome {
            Outcome::Answered(status) => Ok(status),
            outcome => bail!("delivery to {url}: {outcome:?}"),
        }
    }

    /// All attempts so far, in the order they ended.
    pub fn attempts(&self) -> Vec<Attempt> {
        self.state().attempts.clone()
    }

    /// Forgets all attempts.
    pub fn clear_attempts(&self) {
        self.state().attempts.clear();
    }

    /// Signs otherwise from now on, as after a rotation of secrets.
    pub fn set_signing(&self, signing: impl Signing) {
        self.state().signing = Arc::new(signing);
    }

    /// Sends to other endpoints from now on; messages under way keep theirs.
    pub fn set_endpoints(&self, urls: impl IntoIterator<Item = String>) {
        self.state().endpoints = endpoints(urls);
    }

    /// Lets other things go wrong from now on.
    pub fn set_mishaps(&self, mishaps: Mishaps) {
        self.state().mishaps = mishaps;
    }

    /// The control API of this sender, to be served beside a simulator's.
    pub fn routes(&self) -> axum::Router {
        control::routes(self.clone())
    }
}

fn endpoints(urls: impl IntoIterator<Item = String>) -> Vec<Arc<Endpoint>> {
    urls.into_iter()
        .map(|url| Arc::new(Endpoint::at(url)))
        .collect()
}

/// A sender at work; dropping it stops it, with messages left where they are.
pub struct Sending {
    world: World,
    pump: JoinHandle<()>,
}

impl Sending {
    /// Waits until every message has arrived, is lost or given up.
    pub async fn settled(&self, limit: Duration) -> Result<()> {
        let waited = tokio::time::timeout(limit, self.world.all_sent()).await;
        waited.with_context(|| format!("{} messages are still unsent", self.world.unsent()))
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.pump.abort();
    }
}
