//! An instance's state between requests: the secret and the connections.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use shared::client::Client;
use shared::console_token::ConsoleToken;
use shared::credentials::{Credentials, Opened};
use shared::metrics::Metrics;
use shared::projects::Accounts;
use shared::settings::Misconfigured;
use shared::start::Start;
use shared::store::desk::{Attempt, Desk};
use shared::store::{Patience, Retention, Schema};
use tokio::sync::{Mutex, RwLock};
use tokio::time::Instant;

/// A database that sleeps wakes within seconds.
const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(12),
    statement: Duration::from_secs(12),
};

/// For anybody at all, the secret is not read again sooner.
const FOR_STRANGERS: Duration = Duration::from_secs(10);

/// One instance of the function.
pub struct App {
    pub(crate) client: Client,
    pub(crate) credentials: Credentials,
    pub(crate) schema: Schema,
    /// For the runs that are driven from here.
    pub(crate) retention: Retention,
    /// Where the figures of those runs go.
    pub(crate) metrics: Metrics,
    /// Whether nothing can be changed from here.
    pub(crate) read_only: bool,
    /// Where the provider sends deliveries, if the environment says so.
    pub(crate) webhook_url: Option<String>,
    /// Where people have accounts, with projects to choose from.
    pub(crate) accounts: Accounts,
    connected: RwLock<Arc<Connected>>,
    read_at: Mutex<Instant>,
    /// Attempts to sign in while there is no table that counts them.
    attempts: Mutex<BTreeMap<String, (i32, Instant)>>,
}

/// Everything that is made from one version of the secret.
pub(crate) struct Connected {
    pub(crate) opened: Opened,
    /// As the functions' user.
    pub(crate) desk: Desk,
    /// As the schema's owner, where the secret names one.
    pub(crate) owner: Option<Desk>,
}

impl App {
    /// Reads the secret; `read_only` and `webhook_url`: the variables of these names;
    /// `runs_of`: the Lambda function whose alarms watch the figures of runs, if that
    /// is another one than this; `accounts`: where people have projects.
    pub async fn new(
        start: Start,
        read_only: Option<&str>,
        webhook_url: Option<String>,
        runs_of: Option<String>,
        accounts: Accounts,
    ) -> Result<Self> {
        let read_only = match read_only {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => {
                return Err(Misconfigured {
                    field: "READ_ONLY".to_owned(),
                    problem: "is neither true nor false".to_owned(),
                }
                .into());
            }
        };
        let opened = start.credentials.open().await?;
        if opened.console_token.is_none() {
            tracing::warn!("the secret has no console_token: every request is answered 503");
        }
        let connected = Connected::new(opened, &start.schema);
        Ok(Self {
            client: start.client,
            credentials: start.credentials,
            schema: start.schema,
            // Where it can't be read, reconcile itself says so.
            retention: start.retention.unwrap_or_default(),
            metrics: runs_of.map_or(start.metrics, Metrics::of),
            read_only,
            webhook_url,
            accounts,
            connected: RwLock::new(Arc::new(connected)),
            read_at: Mutex::new(Instant::now()),
            attempts: Mutex::default(),
        })
    }

    /// The result of the last reading of the secret.
    pub(crate) async fn known(&self) -> Arc<Connected> {
        self.connected.read().await.clone()
    }

    /// The secret as it is now. A session ends when its token is rotated, so the
    /// secret is read for each of its requests.
    pub(crate) async fn current(&self) -> Result<Arc<Connected>> {
        *self.read_at.lock().await = Instant::now();
        let known = self.known().await;
        match self.credentials.reopen(&known.opened).await? {
            Some(opened) => Ok(self.take_in(opened).await),
            None => Ok(known),
        }
    }

    /// The same for somebody who has proved nothing: it was read lately, or is now.
    pub(crate) async fn recent(&self) -> Result<Arc<Connected>> {
        let lately = self.read_at.lock().await.elapsed() < FOR_STRANGERS;
        match lately {
            true => Ok(self.known().await),
            false => self.current().await,
        }
    }

    /// Counts an attempt to sign in, as [`Desk::count_attempt`] does where the schema
    /// is not there yet.
    pub(crate) async fn count_attempt(&self, source: &str, window: Duration) -> Attempt {
        let mut attempts = self.attempts.lock().await;
        attempts.retain(|_, (_, since)| since.elapsed() < window);
        let (count, since) = attempts
            .entry(source.to_owned())
            .or_insert_with(|| (0, Instant::now()));
        *count += 1;
        Attempt {
            count: *count,
            wait: window.saturating_sub(since.elapsed()),
        }
    }

    /// Forgets the attempts of a source that knew the token.
    pub(crate) async fn forget_attempts(&self, source: &str) {
        self.attempts.lock().await.remove(source);
    }

    /// Takes in a secret that was read, or written.
    pub(crate) async fn take_in(&self, opened: Opened) -> Arc<Connected> {
        let mut connected = self.connected.write().await;
        if !connected.opened.is(&opened) {
            *connected = Arc::new(Connected::new(opened, &self.schema));
        }
        connected.clone()
    }
}

impl Connected {
    fn new(opened: Opened, schema: &Schema) -> Self {
        let desk = |target| Desk::new(target, schema.clone(), PATIENCE);
        Self {
            desk: desk(opened.database.clone()),
            owner: opened.owner.clone().map(desk),
            opened,
        }
    }

    /// The token that opens the console.
    pub(crate) fn token(&self) -> Option<&ConsoleToken> {
        self.opened.console_token.as_ref()
    }
}
