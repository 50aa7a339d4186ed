//! Where schedules are played, one after the other: a stage whose database is emptied, and whose
//! provider begins anew, for each.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use shared::secret::Secret;
use tests::pgbouncer::PgBouncer;
use tests::postgres::{Options, Postgres};
use tests::providers;
use tests::simulator::{self, Simulator};
use tests::stage::{Setup, Stage};
use tests::tools::free_port;
use tokio::time::sleep;

use crate::provider::Provider;
use crate::schedule::{Schedule, Site};
use crate::wire::Wire;

/// Keeps every state that a row was ever in.
const HISTORY: &str = include_str!("history.sql");

/// Empties the tables, but for the binding to the project. Not by TRUNCATE, which makes a dozen new
/// files each time.
const RESET: &str = "
    DELETE FROM neon_identity.users_sync;
    DELETE FROM neon_identity.rejections;
    DELETE FROM neon_identity.runs;
    DELETE FROM neon_identity.walk;
    INSERT INTO neon_identity.walk DEFAULT VALUES;
    DELETE FROM torture.refusals;
    DELETE FROM torture.history";

/// A place for one schedule at a time.
pub(crate) struct Ground {
    pub(crate) stage: Stage,
    pub(crate) wire: Wire,
    pub(crate) server: Arc<Postgres>,
    provider: String,
    port: u16,
    original: Value,
    /// Keeps the pooler alive.
    _bouncer: Option<PgBouncer>,
}

impl Ground {
    /// A server for many schedules at once, or for those that restart it.
    pub(crate) async fn server() -> Result<Arc<Postgres>> {
        let options = Options::default()
            .set("max_connections", "1500")
            .set("full_page_writes", "off")
            // Each killed function connects again, and this one tests no passwords' strength.
            .set("scram_iterations", "16");
        let server = Postgres::start(options).await?;
        // The superuser's was made before.
        let password = format!("ALTER ROLE postgres PASSWORD '{}'", server.password());
        let client = server.connect("postgres").await?;
        client
            .batch_execute(&password)
            .await
            .context("set the password anew")?;
        Ok(Arc::new(server))
    }

    /// A ground on this server.
    pub(crate) async fn on(server: Arc<Postgres>, provider: &Provider, site: Site) -> Result<Self> {
        let port = free_port()?;
        let mut setup = Setup::named(&provider.name)?;
        setup.simulator.port = port;
        let stage = Stage::on(&server, setup).await?;
        stage.execute(HISTORY).await?;
        let bouncer = match site {
            Site::Pooled => Some(PgBouncer::start(&server, 3).await?),
            _ => None,
        };
        let url = stage.database.url().to_owned();
        let behind = bouncer
            .as_ref()
            .map_or(url.clone(), |bouncer| bouncer.url(&url));
        let wire = Wire::to(port_of(&behind)?).await?;
        let through = wire.url(&url)?;
        stage.change_secret(|secret| secret["database_url"] = json!(through))?;
        Ok(Self {
            original: stage.secret(),
            stage,
            wire,
            server,
            provider: provider.name.clone(),
            port,
            _bouncer: bouncer,
        })
    }

    /// Makes it as if nothing had ever happened here.
    pub(crate) async fn reset(&mut self, schedule: &Schedule) -> Result<()> {
        self.wire.clear();
        self.wire.cut();
        // A statement that a killed function had sent must not take effect later.
        let terminate = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'users-sync'";
        self.stage.query(terminate, &[]).await?;
        if self.stage.secret() != self.original {
            let original = self.original.clone();
            let url = original["database_url"].as_str().unwrap_or_default();
            self.set_password(password_of(url).unwrap_or_default())
                .await?;
            self.stage.change_secret(|secret| *secret = original)?;
        }
        self.stage.execute(RESET).await?;
        self.stage.simulator = self.begin_anew(schedule.seed).await?;
        self.stage.simulator.seed(schedule.seeded);
        Ok(())
    }

    /// The key that the provider was made with.
    pub(crate) fn own_key(&self, field: &str) -> String {
        let key = self.original["provider"][field].as_str();
        key.unwrap_or_default().to_owned()
    }

    /// The provider without users, at the same address, which the schema is bound to.
    async fn begin_anew(&mut self, seed: u64) -> Result<Simulator> {
        let options = |port| simulator::Options {
            seed,
            port,
            ..simulator::Options::default()
        };
        let vendor = providers::named(&self.provider)?.project;
        self.stage.simulator = Simulator::of(vendor(), options(0)).await?;
        // The one before lets go of its port in its own time.
        for _ in 0..1_000 {
            match Simulator::of(vendor(), options(self.port)).await {
                Ok(simulator) => return Ok(simulator),
                Err(_) => sleep(Duration::from_millis(2)).await,
            }
        }
        bail!("the port {} is not let go", self.port)
    }

    /// Gives the role of `database_url` this password.
    pub(crate) async fn set_password(&self, password: &str) -> Result<()> {
        let secret = self.stage.secret();
        let url = secret["database_url"].as_str().unwrap_or_default();
        let (_, user) = url.split_once("://").context("split a database URL")?;
        let (user, _) = user.split_once(':').context("split a database URL")?;
        self.stage
            .execute(&format!("ALTER ROLE {user} PASSWORD '{password}'"))
            .await
    }

    /// Has the next run list so many users a page, unless one is under way or goes on.
    pub(crate) async fn set_page(&self, page: u64) -> Result<()> {
        let secret = Secret::parse(&self.stage.secret().to_string())?;
        let position = secret.provider.listing(None).position();
        let mut position: Value = serde_json::from_str(&position)?;
        let name = providers::named(&self.provider)?.paging.in_position;
        position[name] = json!(page);
        let sql = format!(
            "UPDATE neon_identity.walk SET position = '{position}', begun_at = clock_timestamp()
            WHERE position IS NULL AND lease_until IS NULL"
        );
        self.stage.execute(&sql).await
    }
}

fn port_of(url: &str) -> Result<u16> {
    let (_, after) = url.rsplit_once(':').context("split a database URL")?;
    let (port, _) = after.split_once('/').context("split a database URL")?;
    port.parse().context("read a port")
}

fn password_of(url: &str) -> Option<&str> {
    let (before, _) = url.split_once('@')?;
    Some(before.rsplit_once(':')?.1)
}

/// Waits until the server answers again.
pub(crate) async fn awake(stage: &Stage) -> Result<()> {
    for _ in 0..600 {
        if stage.query("SELECT 1", &[]).await.is_ok() {
            return Ok(());
        }
        sleep(Duration::from_millis(50)).await;
    }
    bail!("Postgres did not come back")
}
