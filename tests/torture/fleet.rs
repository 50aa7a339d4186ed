//! The functions' instances: the real handlers in this process, or the real binaries; both can be
//! killed at any moment.
//!
//! Here, killed means that the handler's future is dropped where it stands, with all that the
//! instance holds. What it had asked of Postgres or the provider may still be done, as it may
//! after a SIGKILL.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use shared::client::Client;
use shared::credentials::Credentials;
use shared::metrics::Metrics;
use shared::start::Start;
use shared::store::{Retention, Schema};
use shared::time::WallClock;
use tests::function::Function;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep, timeout};

/// The outcome of an invocation of `reconcile`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Ended {
    /// It answered, or failed with a report because it was held.
    Reported(Value),
    /// It failed.
    Failed(String),
    /// It was killed, or ended by itself.
    Killed,
}

/// The instances of one schedule.
pub(crate) struct Fleet {
    make: Make,
    webhooks: Vec<Webhook>,
    clocks: Vec<i64>,
    /// Moves when all runs are to be killed.
    kill_runs: watch::Sender<u64>,
}

/// How instances are made.
enum Make {
    Handlers {
        secret_file: String,
    },
    Binaries {
        secret_file: String,
        http: reqwest::Client,
    },
}

struct Webhook {
    instance: Mutex<Option<Instance>>,
    /// Moves when the instance is to be killed.
    kill: watch::Sender<u64>,
}

enum Instance {
    Handler(Box<webhook::App>),
    Binary(Box<Function>),
}

impl Fleet {
    /// Instances that start when they are first needed.
    pub(crate) fn new(secret_file: String, binaries: bool, clocks: &[i64]) -> Result<Self> {
        let make = match binaries {
            false => Make::Handlers { secret_file },
            true => Make::Binaries {
                secret_file,
                http: reqwest::Client::builder().no_proxy().build()?,
            },
        };
        let webhook = |_: &i64| Webhook {
            instance: Mutex::new(None),
            kill: watch::Sender::new(0),
        };
        Ok(Self {
            make,
            webhooks: clocks.iter().map(webhook).collect(),
            clocks: clocks.to_vec(),
            kill_runs: watch::Sender::new(0),
        })
    }

    /// Kills what an instance of `webhook` is doing.
    pub(crate) fn kill_webhook(&self, which: usize) {
        let which = which % self.webhooks.len();
        self.webhooks[which].kill.send_modify(|kills| *kills += 1);
    }

    /// Kills all runs of `reconcile`.
    pub(crate) fn kill_runs(&self) {
        self.kill_runs.send_modify(|kills| *kills += 1);
    }

    /// Hands a delivery to an instance; no status if it was killed over it.
    pub(crate) async fn deliver(
        &self,
        which: usize,
        (headers, body): (&HeaderMap, &[u8]),
        limit: Duration,
        killed_after: Option<Duration>,
    ) -> Option<StatusCode> {
        let which = which % self.webhooks.len();
        let webhook = &self.webhooks[which];
        // An instance does one thing at a time.
        let mut instance = webhook.instance.lock().await;
        let mut kill = webhook.kill.subscribe();
        let answered = {
            let work = async {
                if instance.is_none() {
                    *instance = Some(self.start_webhook().await?);
                }
                let instance = instance.as_ref().context("an instance")?;
                self.hand_over(instance, which, headers, body, limit).await
            };
            tokio::select! {
                answered = work => answered.ok(),
                _ = kill.changed() => None,
                () = after(killed_after) => None,
            }
        };
        if answered.is_none() {
            // Dropping a binary's function kills it.
            *instance = None;
        }
        answered
    }

    async fn start_webhook(&self) -> Result<Instance> {
        Ok(match &self.make {
            Make::Handlers { secret_file } => {
                let app = webhook::App::new(start(secret_file).await?).await?;
                Instance::Handler(Box::new(app))
            }
            Make::Binaries { secret_file, .. } => {
                Instance::Binary(Box::new(spawn("webhook", secret_file).await?))
            }
        })
    }

    async fn hand_over(
        &self,
        instance: &Instance,
        which: usize,
        headers: &HeaderMap,
        body: &[u8],
        limit: Duration,
    ) -> Result<StatusCode> {
        match (instance, &self.make) {
            (Instance::Handler(app), _) => {
                let delivery = webhook::Delivery {
                    method: "POST",
                    headers,
                    body: webhook::Body::Sent(body),
                };
                let now = WallClock::from(shifted(self.clocks[which]));
                let until = Instant::now() + limit;
                Ok(webhook::handle(app, delivery, now, until).await)
            }
            (Instance::Binary(function), Make::Binaries { http, .. }) => {
                let request = http.post(function.url()).headers(headers.clone());
                let answer = request.body(body.to_vec()).timeout(limit).send().await?;
                let status = answer.status();
                // Lambda's own answer where there is no instance, or it was ended.
                ensure!(status != StatusCode::BAD_GATEWAY, "the instance is gone");
                Ok(status)
            }
            (Instance::Binary(_), Make::Handlers { .. }) => {
                bail!("no binary is made here")
            }
        }
    }

    /// Invokes `reconcile`, in an instance of its own.
    pub(crate) async fn run(
        &self,
        event: &Value,
        limit: Duration,
        killed_after: Option<Duration>,
    ) -> Ended {
        let mut kill = self.kill_runs.subscribe();
        tokio::select! {
            ended = self.invoke(event, limit) => ended.unwrap_or(Ended::Killed),
            _ = kill.changed() => Ended::Killed,
            () = after(killed_after) => Ended::Killed,
        }
    }

    async fn invoke(&self, event: &Value, limit: Duration) -> Result<Ended> {
        match &self.make {
            Make::Handlers { secret_file } => {
                let mut app = reconcile::App::new(start(secret_file).await?).await?;
                let until = Instant::now() + limit;
                // Lambda ends a run that doesn't stop in time.
                let handled = timeout(
                    limit + Duration::from_secs(20),
                    reconcile::handle(&mut app, event, until),
                );
                Ok(match handled.await {
                    Ok(Ok(report)) | Ok(Err(reconcile::InvocationError::Held(report))) => {
                        Ended::Reported(serde_json::to_value(report)?)
                    }
                    Ok(Err(reconcile::InvocationError::Failed(message))) => Ended::Failed(message),
                    Err(_) => Ended::Killed,
                })
            }
            Make::Binaries { secret_file, .. } => {
                let function = spawn("reconcile", secret_file).await?;
                let limit = limit.max(Duration::from_millis(400));
                match function.invoke_with_deadline(event.clone(), limit).await {
                    Ok(report) => Ok(Ended::Reported(report)),
                    Err(error) if error.error_type == "Held" => {
                        Ok(Ended::Reported(serde_json::from_str(&error.error_message)?))
                    }
                    Err(error) if error.error_type == "Failed" => {
                        Ok(Ended::Failed(error.error_message))
                    }
                    Err(_) => Ok(Ended::Killed),
                }
            }
        }
    }
}

async fn after(time: Option<Duration>) {
    match time {
        Some(time) => sleep(time).await,
        None => std::future::pending().await,
    }
}

/// This machine's time, off by so many seconds.
fn shifted(seconds: i64) -> SystemTime {
    let by = Duration::from_secs(seconds.unsigned_abs());
    match seconds < 0 {
        true => SystemTime::now() - by,
        false => SystemTime::now() + by,
    }
}

async fn start(secret_file: &str) -> Result<Start> {
    let client = Client::begin();
    Ok(Start {
        credentials: Credentials::new(None, Some(secret_file.to_owned()), &client).await?,
        schema: Schema::default(),
        client,
        retention: Ok(Retention::default()),
        metrics: Metrics::default(),
    })
}

async fn spawn(name: &str, secret_file: &str) -> Result<Function> {
    let function = Function::spawn(name, [("SECRET_FILE", secret_file)]).await?;
    function.ready().await?;
    Ok(function)
}
