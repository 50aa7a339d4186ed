//! The state that an instance keeps between deliveries: the secret, the connection
//! and the project.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared::client::{Client, Effort, Unanswered};
use shared::credentials::{Access, Credentials, RefreshError};
use shared::metrics::Metrics;
use shared::provider::Provider;
use shared::settle::Sources;
use shared::signature::{Forged, Verified};
use shared::start::Start;
use shared::store::{Patience, ProjectStore, Retention, Schema, Store};
use shared::time::WallClock;
use tokio::sync::RwLock;
use tokio::time::{Instant, timeout_at};

use http::StatusCode;

use crate::event::{Body, Delivery};

/// The most bytes that a delivery's body can have.
const LARGEST_BODY: usize = 1 << 20;

/// A database that sleeps wakes within seconds; a sender waits 15.
const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(8),
    statement: Duration::from_secs(8),
};

/// One instance of the function.
pub struct App {
    client: Client,
    credentials: Credentials,
    schema: Schema,
    retention: Retention,
    pub(crate) metrics: Metrics,
    connected: RwLock<Arc<Connected>>,
}

/// The connections that one version of the secret gives.
pub(crate) struct Connected {
    access: Access,
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) store: Store,
    /// The store of the project that the key is for, once that is known.
    identified: Mutex<Option<ProjectStore>>,
    /// Whether the log says that there is no signing secret yet.
    told: AtomicBool,
}

/// The reason why a delivery is not taken.
pub(crate) enum Refused {
    Forged(Forged),
    TooLarge,
}

impl App {
    /// Reads the secret. The first delivery that is verified connects, not the
    /// start: anybody who knows the URL can have instances started, and each would
    /// hold a connection.
    pub async fn new(start: Start) -> anyhow::Result<Self> {
        let retention = start.retention?;
        let access = start.credentials.load().await?;
        let connected = Connected::new(access, &start.schema);
        let effort = Effort {
            until: Instant::now() + Duration::from_secs(3),
            attempts: 1,
            attempt: Duration::from_secs(3),
            size: 1 << 20,
        };
        if let Err(error) = connected.identify(&start.client, effort).await {
            tracing::error!(%error, "could not learn the key's project yet; the first delivery asks again");
        }
        Ok(Self {
            client: start.client,
            credentials: start.credentials,
            schema: start.schema,
            retention,
            metrics: start.metrics,
            connected: RwLock::new(Arc::new(connected)),
        })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Whether deliveries are recorded.
    pub(crate) fn records(&self) -> bool {
        self.retention.records()
    }

    pub(crate) async fn connected(&self) -> Arc<Connected> {
        self.connected.read().await.clone()
    }

    /// Reads the secret again; `None` if it is the one that is known.
    pub(crate) async fn refresh(
        &self,
        known: &Connected,
        until: Instant,
    ) -> Result<Option<Arc<Connected>>, RefreshError> {
        let refreshed = timeout_at(until, self.credentials.refresh(&known.access)).await;
        let Some(access) = refreshed.unwrap_or(Err(RefreshError::Failed))? else {
            return Ok(None);
        };
        let connected = Arc::new(Connected::new(access, &self.schema));
        *self.connected.write().await = connected.clone();
        Ok(Some(connected))
    }
}

impl Connected {
    fn new(access: Access, schema: &Schema) -> Self {
        let (database, provider) = (access.database.clone(), access.provider.clone());
        Self {
            store: Store::new(database, schema.clone(), provider.facts(), PATIENCE),
            provider,
            access,
            identified: Mutex::default(),
            told: AtomicBool::new(false),
        }
    }

    /// Gives the store of the project that the key is for, which is learnt once:
    /// it may cost a request.
    pub(crate) async fn identify(
        &self,
        client: &Client,
        effort: Effort,
    ) -> Result<ProjectStore, Unanswered> {
        if let Some(store) = self.project_store() {
            return Ok(store);
        }
        let store = self.sources(client).identify(effort).await?;
        *self.identified() = Some(store.clone());
        Ok(store)
    }

    /// Forgets the project if it is known by its key alone, so that the
    /// provider is asked again; whether it was.
    pub(crate) fn forget_key(&self) -> bool {
        let is_known_by_key = |store: &mut ProjectStore| store.project().is_known_by_key();
        self.identified().take_if(is_known_by_key).is_some()
    }

    /// The store of the project that the key is for, if that is known.
    pub(crate) fn project_store(&self) -> Option<ProjectStore> {
        self.identified().clone()
    }

    fn identified(&self) -> MutexGuard<'_, Option<ProjectStore>> {
        self.identified
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Verifies the signature, and reads nothing else of the body.
    pub(crate) fn verify<'a>(
        &self,
        delivery: &Delivery<'a>,
        now: WallClock,
    ) -> Result<Verified<'a>, Refused> {
        // Until there is a secret, nothing is refused for good, however large.
        if !self.provider.has_secret() {
            return Err(Refused::Forged(Forged::NoSecretYet));
        }
        match delivery.body {
            body if body.len() > LARGEST_BODY => Err(Refused::TooLarge),
            Body::Garbled { .. } => Err(Refused::Forged(Forged::Malformed)),
            Body::Sent(body) => self
                .provider
                .verify(delivery.headers, body, now)
                .map_err(Refused::Forged),
        }
    }

    /// The status for a delivery that is not the provider's, or can't be verified
    /// yet.
    pub(crate) fn refuse(&self, forged: Forged) -> StatusCode {
        if forged != Forged::NoSecretYet {
            tracing::warn!(reason = %forged, "refused a delivery");
            return StatusCode::UNAUTHORIZED;
        }
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(reason = %forged, "can't take deliveries yet");
        }
        StatusCode::SERVICE_UNAVAILABLE
    }

    pub(crate) fn sources<'a>(&'a self, client: &'a Client) -> Sources<'a> {
        Sources {
            store: &self.store,
            provider: self.provider.as_ref(),
            client,
        }
    }
}
