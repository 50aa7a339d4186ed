//! A database, a provider and a secret that names both, before anything is provisioned; and what
//! answers custom resources.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use bytes::Bytes;
use serde_json::{Value, json};
use tests::database::Database;
use tests::function::Function;
use tests::postgres::{Postgres, connect};
use tests::runtime_api::FunctionError;
use tests::secret_file::SecretFile;
use tests::simulator::{Options, Simulator, Stack};
use tests::stage::signing_secret;
use tokio::net::TcpListener;

use tests::letter::{Letter, client, event_id, send};

/// How soon a function that can't start has to say so.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// A project whose database is empty.
pub(crate) struct Site {
    pub(crate) database: Database,
    pub(crate) simulator: Simulator,
    file: SecretFile,
    secret: Mutex<Value>,
}

impl Site {
    /// On this server: roles belong to a server, so tests of roles need one of their own.
    pub(crate) async fn on(server: &Postgres) -> Result<Self> {
        let database = server.database().await?;
        let simulator = Simulator::start(Stack::default(), Options::default()).await?;
        let secret = json!({
            "database_url": database.url(),
            "admin_database_url": database.owner_url(),
            "signing_secrets": [signing_secret()],
            "provider": simulator.secret(),
        });
        Ok(Self {
            file: SecretFile::new(&secret)?,
            secret: Mutex::new(secret),
            database,
            simulator,
        })
    }

    pub(crate) fn secret(&self) -> Value {
        let secret = self.secret.lock().unwrap_or_else(PoisonError::into_inner);
        secret.clone()
    }

    /// Changes the secret and its file.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Value)) -> Result<()> {
        let mut secret = self.secret.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut secret);
        self.file.write(&secret)
    }

    /// Starts a function, which may fail to.
    pub(crate) async fn spawn(&self, name: &str, more: &[(&str, &str)]) -> Result<Function> {
        let more = more
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Function::spawn(name, self.file.env().into_iter().chain(more)).await
    }

    /// Starts a function in this schema.
    pub(crate) async fn start(&self, name: &str, schema: &str) -> Result<Function> {
        let function = self.spawn(name, &[("SCHEMA", schema)]).await?;
        function.ready().await?;
        Ok(function)
    }

    /// Provisions the default schema.
    pub(crate) async fn provision(&self) -> Result<Value, FunctionError> {
        self.provision_schema("neon_identity").await
    }

    pub(crate) async fn provision_schema(&self, schema: &str) -> Result<Value, FunctionError> {
        let started = self.start("provision", schema).await;
        started.expect("provision starts").invoke(json!({})).await
    }

    /// The message of a provision that fails.
    pub(crate) async fn failed_provision(&self) -> Result<String> {
        let failure = self.provision().await.err().context("it was provisioned")?;
        ensure!(failure.error_type == "Failed", "{failure}");
        Ok(failure.error_message)
    }

    /// Runs statements as the superuser.
    pub(crate) async fn run(&self, sql: &str) -> Result<()> {
        run(self.database.admin_url(), sql).await
    }

    /// The only column of a query's rows, one a line, asked by the superuser.
    pub(crate) async fn ask(&self, sql: &str) -> Result<String> {
        ask(self.database.admin_url(), sql).await
    }

    /// Delivers all that the provider has to tell of users; the statuses.
    pub(crate) async fn deliver(&self, webhook: &Function) -> Result<Vec<u16>> {
        let mut statuses = Vec::new();
        for message in self.simulator.take_messages() {
            if message.kind.starts_with("user.") {
                statuses.push(self.deliver_body(webhook, &message.body).await?);
            }
        }
        Ok(statuses)
    }

    /// Delivers a body, signed with the first of the secrets.
    pub(crate) async fn deliver_body(&self, webhook: &Function, body: &[u8]) -> Result<u16> {
        let secret = self.secret();
        let secret = secret["signing_secrets"][0].as_str().unwrap_or_default();
        let letter = Letter::new(secret, &event_id(), body);
        send(&client()?, webhook.url(), &letter).await
    }
}

/// Runs statements as the user of this URL.
pub(crate) async fn run(url: &str, sql: &str) -> Result<()> {
    Ok(connect(url).await?.batch_execute(sql).await?)
}

/// The only column of a query's rows, one a line.
pub(crate) async fn ask(url: &str, sql: &str) -> Result<String> {
    let rows = connect(url).await?.query(sql, &[]).await?;
    let line = |row: &tokio_postgres::Row| row.get::<_, Option<String>>(0).unwrap_or_default();
    Ok(rows.iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// The SQLSTATE with which a statement of this user's fails.
pub(crate) async fn refusal(url: &str, sql: &str) -> Result<String> {
    let error = connect(url).await?.batch_execute(sql).await.err();
    let error = error.with_context(|| format!("it may: {sql}"))?;
    Ok(error.code().context("no database error")?.code().to_owned())
}

/// The user's name in a database URL.
pub(crate) fn login(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split_once(':').map_or(rest, |(name, _)| name)
}

/// Waits for a function that can't start, and gives all that it printed.
pub(crate) async fn does_not_start(function: &Function) -> Result<String> {
    let code = function.exit(SOON).await.context("it runs on")?;
    let logs = function.logs()?;
    ensure!(code != 0, "it says that all is well:\n{logs}");
    Ok(logs)
}

/// A request that was put at a `ResponseURL`.
#[derive(Debug)]
pub(crate) struct Put {
    pub(crate) method: String,
    /// With its query, as it came.
    pub(crate) path: String,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Bytes,
}

/// Takes answers to custom resources, as the bucket of a `ResponseURL` does.
#[derive(Clone)]
pub(crate) struct Bucket {
    origin: String,
    kept: Arc<Mutex<(Vec<Put>, Vec<StatusCode>)>>,
}

impl Bucket {
    /// Refuses as many answers first as there are `refusals`.
    pub(crate) async fn open(refusals: &[u16]) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let refusals = refusals.iter().rev().copied().map(StatusCode::from_u16);
        let bucket = Self {
            origin: format!("http://{}", listener.local_addr()?),
            kept: Arc::new(Mutex::new((
                Vec::new(),
                refusals.collect::<Result<_, _>>()?,
            ))),
        };
        let router = Router::new().fallback(take).with_state(bucket.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(bucket)
    }

    /// One of `events/lambda/provision.*.json`, to be answered here.
    pub(crate) fn event(&self, name: &str) -> Result<Value> {
        let path = tests::tools::workspace().join(format!("events/lambda/provision.{name}.json"));
        let mut event: Value = serde_json::from_slice(&std::fs::read(path)?)?;
        event["ResponseURL"] = format!("{}{PATH}", self.origin).into();
        Ok(event)
    }

    /// Takes what was put so far.
    pub(crate) fn take(&self) -> Vec<Put> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut kept.0)
    }

    /// The one answer that was put, after a look at how.
    pub(crate) fn answer(&self) -> Result<Value> {
        let puts = self.take();
        let [put] = &*puts else {
            anyhow::bail!("not one answer: {puts:?}");
        };
        ensure!((&*put.method, &*put.path) == ("PUT", PATH), "{put:?}");
        // The URL is signed for an empty content type.
        let empty = put.content_type.as_deref().is_none_or(str::is_empty);
        ensure!(empty && put.body.len() <= 4096, "{put:?}");
        Ok(serde_json::from_slice(&put.body)?)
    }
}

/// Signed: not a byte of it may change on the way.
const PATH: &str = "/arn%3Aaws%3Acloudformation%3Aus-east-1%3A123456789012%3Astack/x|y?\
    X-Amz-Security-Token=a%2Fb%2B%3D&X-Amz-Signature=secretsignature&X-Amz-Date=2026";

async fn take(State(bucket): State<Bucket>, request: Request) -> StatusCode {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20)
        .await
        .unwrap_or_default();
    let content_type = parts.headers.get("content-type");
    let put = Put {
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        content_type: content_type.map(|value| String::from_utf8_lossy(value.as_bytes()).into()),
        body,
    };
    let mut kept = bucket.kept.lock().unwrap_or_else(PoisonError::into_inner);
    kept.0.push(put);
    kept.1.pop().unwrap_or(StatusCode::OK)
}
