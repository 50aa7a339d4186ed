//! The ground of all comparisons: one Postgres that speaks TLS, and a provisioned database.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use native_tls::TlsConnector;
use postgres_native_tls::MakeTlsConnector;
use serde_json::{Value, json};
use tests::database::Database;
use tests::function::Function;
use tests::postgres::{Options, Postgres};
use tests::secret_file::SecretFile;
use tests::stage::{Setup, Stage};
use tokio_postgres::Client;

use crate::cache::Cache;
use crate::machine::{Busy, cpu};

/// A server without work of its own in the background, so that what is measured is what was asked.
pub(crate) async fn server() -> Result<Postgres> {
    let options = Options::default()
        .tls()
        .set("autovacuum", "off")
        .set("shared_buffers", "1GB")
        .set("max_wal_size", "16GB")
        .set("checkpoint_timeout", "1h");
    Postgres::start(options).await
}

/// A stage on such a server, and the URL of its writer over TLS.
pub(crate) struct Ground {
    pub(crate) server: Postgres,
    pub(crate) stage: Stage,
    /// A connection of the superuser.
    pub(crate) client: Client,
}

impl Ground {
    pub(crate) async fn of(setup: Setup) -> Result<Self> {
        let server = server().await?;
        let stage = Stage::on(&server, setup).await?;
        let client = stage.database.connect().await?;
        stage.change_secret(|secret| secret["database_url"] = tls(&stage.database).into())?;
        Ok(Self {
            server,
            stage,
            client,
        })
    }

    /// A secret that differs from the stage's.
    pub(crate) fn secret(&self, change: impl FnOnce(&mut Value)) -> Result<SecretFile> {
        let mut secret = self.stage.secret();
        change(&mut secret);
        SecretFile::new(&secret)
    }

    /// Makes the schema anew: the next run is a first one.
    pub(crate) async fn begin_anew(&self) -> Result<()> {
        let drop = "DROP SCHEMA IF EXISTS neon_identity CASCADE";
        self.client.batch_execute(drop).await.context(drop)?;
        self.stage.provision().await?;
        self.settled().await
    }

    /// Leaves the server nothing to do.
    pub(crate) async fn settled(&self) -> Result<()> {
        // Two statements: VACUUM can't be in the transaction that several make.
        for statement in ["VACUUM ANALYZE", "CHECKPOINT"] {
            self.client.batch_execute(statement).await?;
        }
        Ok(())
    }

    /// Rows seem to have been written an hour ago, as they were in the run before: a read that
    /// differs from a row of this moment would be in doubt.
    pub(crate) async fn age(&self) -> Result<()> {
        let age = "UPDATE neon_identity.users_sync SET updated_at = updated_at - interval '1 hour'";
        self.client.batch_execute(age).await.context(age)?;
        self.settled().await
    }
}

/// The writer's URL, over TLS.
pub(crate) fn tls(database: &Database) -> String {
    format!("{}?sslmode=require", database.url())
}

/// A connection over TLS that, as `sslmode=require`, checks no certificate.
pub(crate) async fn connect(url: &str) -> Result<Client> {
    let connector = TlsConnector::builder()
        .danger_accept_invalid_certs(true)
        .danger_accept_invalid_hostnames(true)
        .build()?;
    let connector = MakeTlsConnector::new(connector);
    let connected = tokio_postgres::connect(url, connector).await;
    let (client, connection) = connected.context("connect over TLS")?;
    tokio::spawn(connection);
    Ok(client)
}

/// Starts `reconcile` and waits until it is ready.
pub(crate) async fn reconcile(secret: &SecretFile) -> Result<Function> {
    let reconcile = Function::spawn("reconcile", secret.env()).await?;
    reconcile.ready().await?;
    Ok(reconcile)
}

/// A run, which has to be complete; its report.
pub(crate) async fn run(reconcile: &Function) -> Result<Value> {
    let limit = Duration::from_secs(900);
    let report = reconcile.invoke_with_deadline(json!({}), limit).await?;
    ensure!(report["outcome"] == "complete", "a run reports {report}");
    Ok(report)
}

/// A ground with users whose listing is served at once.
pub(crate) struct Listed {
    pub(crate) ground: Ground,
    pub(crate) cache: Cache,
    /// How many users are listed.
    pub(crate) users: u32,
}

/// A run's speed, and what it took.
pub(crate) struct Timed {
    /// Users a second.
    pub(crate) rate: f64,
    /// The function's CPU for each user, in µs.
    pub(crate) cpu_us: f64,
    /// How much of all processors' time was used, by Postgres and the provider as well, in %.
    pub(crate) busy: f64,
}

impl Listed {
    /// So many users of Stack Auth, whose pages hold a thousand, all of whom are in the table.
    pub(crate) async fn of(users: u32) -> Result<Self> {
        let ground = Ground::of(Setup::named("stack")?).await?;
        ground.stage.simulator.seed(users.into());
        let cache = Cache::of(&ground.stage.simulator.origin()).await?;
        ground.stage.change_secret(|secret| {
            let url = &mut secret["provider"]["api_url"];
            *url = cache.url(url.as_str().unwrap_or_default()).into();
        })?;
        let listed = Self {
            ground,
            cache,
            users,
        };
        // The first run fills the cache.
        let report = run(&listed.reconcile().await?).await?;
        ensure!(report["listed"] == users, "a run reports {report}");
        listed.ground.settled().await?;
        Ok(listed)
    }

    /// A `reconcile` that is ready.
    pub(crate) async fn reconcile(&self) -> Result<Function> {
        let secret = self.ground.secret(|_| {})?;
        reconcile(&secret).await
    }

    /// Runs once.
    pub(crate) async fn timed(&self, what: &str) -> Result<Timed> {
        let reconcile = self.reconcile().await?;
        let process = reconcile.process_id()?;
        let (before, busy, begun) = (cpu(process)?, Busy::begin()?, Instant::now());
        let report = run(&reconcile).await?;
        let (used, seconds) = (cpu(process)? - before, begun.elapsed().as_secs_f64());
        ensure!(report[what] == self.users, "a run reports {report}");
        let users = f64::from(self.users);
        Ok(Timed {
            rate: users / seconds,
            cpu_us: used.as_secs_f64() * 1e6 / users,
            busy: busy.percent()?,
        })
    }
}
