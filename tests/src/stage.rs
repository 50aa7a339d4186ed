//! A test's own stage: a simulated provider, a provisioned database, a secret that names both,
//! and the functions that read it.

mod at_work;
mod compare;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row as PostgresRow};

use crate::database::Database;
use crate::function::Function;
use crate::postgres::Postgres;
use crate::providers::{self, Provider};
use crate::secret_file::SecretFile;
use crate::seeds::random;
use crate::sender::{self, Svix};
use crate::simulator::{Options, Simulator, Stack, Vendor};

pub use at_work::FIGURES;

/// How a stage differs from the usual one.
pub struct Setup {
    /// The provider's project.
    pub project: Arc<dyn Vendor>,
    /// The seed of ids, names and faults, and more.
    pub simulator: Options,
}

impl Default for Setup {
    fn default() -> Self {
        Self::of(Stack::default())
    }
}

impl Setup {
    /// This project, and all else as usual.
    pub fn of(project: impl Vendor) -> Self {
        Self {
            project: Arc::new(project),
            simulator: Options::default(),
        }
    }

    /// A project of the provider of this name, and all else as usual.
    pub fn named(provider: &str) -> Result<Self> {
        Ok(Self {
            project: (providers::named(provider)?.project)(),
            simulator: Options::default(),
        })
    }
}

/// A simulated provider and a database that is to follow it.
pub struct Stage {
    /// The provider.
    pub simulator: Simulator,
    /// The database, provisioned by the real `provision`.
    pub database: Database,
    secret: Mutex<Value>,
    secret_file: SecretFile,
    client: tokio::sync::Mutex<Option<Arc<Client>>>,
    webhook: OnceCell<Arc<Function>>,
    reconcile: OnceCell<Arc<Function>>,
    letters: OnceLock<reqwest::Client>,
}

/// A user's row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// As Postgres prints it.
    pub raw_json: String,
    /// The primary key.
    pub id: String,
    /// The display name.
    pub name: Option<String>,
    /// The primary email.
    pub email: Option<String>,
    /// The sign-up.
    pub created_at: Option<SystemTime>,
    /// The version.
    pub updated_at: Option<SystemTime>,
    /// When the provider deleted the user.
    pub deleted_at: Option<SystemTime>,
}

impl Row {
    /// Whether the row says that the user lives.
    pub fn lives(&self) -> bool {
        self.deleted_at.is_none()
    }
}

impl Stage {
    /// A stage on the server that all tests share.
    pub async fn new() -> Result<Self> {
        Self::on(Postgres::shared().await?, Setup::default()).await
    }

    /// A stage of this project on the server that all tests share.
    pub async fn of(setup: Setup) -> Result<Self> {
        Self::on(Postgres::shared().await?, setup).await
    }

    /// A stage on this server.
    pub async fn on(server: &Postgres, setup: Setup) -> Result<Self> {
        let signing_secret = setup.project.signing_secret(&mut another_secret());
        let simulator = Simulator::of(setup.project, setup.simulator).await?;
        let database = server.database().await?;
        let mut secret = json!({
            "database_url": database.url(),
            "admin_database_url": database.admin_url(),
            "provider": simulator.secret(),
        });
        if let Some(signing_secret) = signing_secret {
            secret["signing_secrets"] = json!([signing_secret]);
        }
        let stage = Self {
            secret_file: SecretFile::new(&secret)?,
            secret: Mutex::new(secret),
            simulator,
            database,
            client: tokio::sync::Mutex::default(),
            webhook: OnceCell::new(),
            reconcile: OnceCell::new(),
            letters: OnceLock::new(),
        };
        stage.provision().await?;
        // The requests that tried the key are of no interest.
        stage.simulator.clear_requests();
        Ok(stage)
    }

    /// The secret as it is now.
    pub fn secret(&self) -> Value {
        let secret = self.secret.lock().unwrap_or_else(PoisonError::into_inner);
        secret.clone()
    }

    /// The secret as its file has it, whoever wrote that.
    pub fn kept_secret(&self) -> Result<Value> {
        let text = std::fs::read_to_string(self.secret_file.path()).context("read the secret")?;
        Ok(serde_json::from_str(&text)?)
    }

    /// The provider's row in the table.
    pub fn provider(&self) -> Result<&'static Provider> {
        let secret = self.secret();
        providers::named(secret["provider"]["name"].as_str().unwrap_or_default())
    }

    /// Changes the secret and replaces its file.
    pub fn change_secret(&self, change: impl FnOnce(&mut Value)) -> Result<()> {
        let mut secret = self.secret.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut secret);
        self.secret_file.write(&secret)
    }

    /// The environment of a function.
    pub fn environment(&self) -> [(String, String); 1] {
        self.secret_file.env()
    }

    /// How the provider sends to an endpoint, with the secret as it is now.
    pub fn sending(&self, endpoint: &str) -> Result<sender::Options> {
        self.simulator.sending(&self.secret(), endpoint)
    }

    /// The first of the secret's signing secrets; empty where the provider does not sign.
    pub fn signing_secret(&self) -> String {
        let secret = self.secret();
        secret["signing_secrets"][0]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Runs `provision`.
    pub async fn provision(&self) -> Result<Value> {
        let provision = self.start("provision").await?;
        provision.invoke(json!({})).await.context("provision")
    }

    /// A user's row.
    pub async fn row(&self, id: &str) -> Result<Option<Row>> {
        let rows = self.rows("WHERE id = $1", &[(&id, Type::TEXT)]).await?;
        Ok(rows.into_iter().next())
    }

    /// A user's row, which has to be there.
    pub async fn the_row(&self, id: &str) -> Result<Row> {
        self.row(id).await?.with_context(|| format!("no row {id}"))
    }

    /// The whole table, in the order of its ids.
    pub async fn table(&self) -> Result<Vec<Row>> {
        self.rows("ORDER BY id", &[]).await
    }

    async fn rows(&self, which: &str, parameters: Parameters<'_>) -> Result<Vec<Row>> {
        let sql = format!(
            "SELECT raw_json::text, id, name, email, created_at, updated_at, deleted_at
            FROM neon_identity.users_sync {which}"
        );
        let rows = self.query(&sql, parameters).await?;
        let row = |row: &PostgresRow| Row {
            raw_json: row.get(0),
            id: row.get(1),
            name: row.get(2),
            email: row.get(3),
            created_at: row.get(4),
            updated_at: row.get(5),
            deleted_at: row.get(6),
        };
        Ok(rows.iter().map(row).collect())
    }

    /// Rows of any statement, as JSON objects by the columns' names.
    pub async fn json(&self, sql: &str) -> Result<Vec<Value>> {
        let sql = format!("SELECT to_jsonb(found)::text FROM ({sql}) AS found");
        let rows = self.query(&sql, &[]).await?;
        let value = |row: &PostgresRow| Ok(serde_json::from_str(row.get(0))?);
        rows.iter().map(value).collect()
    }

    /// The table `runs`, oldest first.
    pub async fn runs(&self) -> Result<Vec<Value>> {
        self.json("SELECT * FROM neon_identity.runs ORDER BY id")
            .await
    }

    /// The table `rejections`, oldest first; `body` as hexadecimal digits after `\x`.
    pub async fn rejections(&self) -> Result<Vec<Value>> {
        self.json("SELECT * FROM neon_identity.rejections ORDER BY id")
            .await
    }

    /// Runs statements as the superuser, as somebody does who edits by hand.
    pub async fn execute(&self, sql: &str) -> Result<()> {
        let client = self.client().await?;
        client.batch_execute(sql).await.context("run a statement")
    }

    /// Rows of a statement, run as the superuser.
    pub async fn query(&self, sql: &str, parameters: Parameters<'_>) -> Result<Vec<PostgresRow>> {
        let client = self.client().await?;
        let rows = client.query_typed(sql, parameters).await;
        rows.context("run a query")
    }

    /// The versions of all rows, which every write or lock changes: if they are equal before and after,
    /// nothing was written.
    pub async fn versions(&self) -> Result<Vec<String>> {
        let sql = "SELECT concat_ws(' ', id, ctid, xmin, xmax) FROM neon_identity.users_sync
            ORDER BY id";
        let rows = self.query(sql, &[]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// A connection of the superuser; a new one after it was lost.
    async fn client(&self) -> Result<Arc<Client>> {
        let mut kept = self.client.lock().await;
        if let Some(client) = kept.as_ref().filter(|client| !client.is_closed()) {
            return Ok(client.clone());
        }
        let client = Arc::new(self.database.connect().await?);
        *kept = Some(client.clone());
        Ok(client)
    }
}

/// A statement's parameters, with their types.
pub type Parameters<'a> = &'a [(&'a (dyn tokio_postgres::types::ToSql + Sync), Type)];

/// A new signing secret, as Svix shows it.
pub fn signing_secret() -> String {
    Svix::secret(&mut another_secret())
}

/// A source of secrets that no other stage in this process draws from.
fn another_secret() -> fastrand::Rng {
    static DRAWN: AtomicU64 = AtomicU64::new(0);
    let number = DRAWN.fetch_add(1, Ordering::Relaxed);
    random(&format!("signing secret {number}"))
}
