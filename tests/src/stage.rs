//! A test's own stage: a simulated provider, a provisioned database, a secret that names both,
//! and the functions that read it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row as PostgresRow};

use crate::database::Database;
use crate::function::Function;
use crate::postgres::Postgres;
use crate::providers;
use crate::secret_file::SecretFile;
use crate::seeds::random;
use crate::sender::{self, Svix};
use crate::simulator::{Options, Simulator, Stack, Truth, Vendor};

/// Rows of one comparison.
const BATCH: usize = 1_000;

/// How a stage differs from the usual one.
pub struct Setup {
    /// The provider's project.
    pub project: Arc<dyn Vendor>,
    /// What ids, names and faults are drawn from, and more.
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
        };
        stage.provision().await?;
        // What was asked to try the key is of no interest.
        stage.simulator.clear_requests();
        Ok(stage)
    }

    /// The secret as it is now.
    pub fn secret(&self) -> Value {
        let secret = self.secret.lock().unwrap_or_else(PoisonError::into_inner);
        secret.clone()
    }

    /// Changes the secret and replaces its file.
    pub fn change_secret(&self, change: impl FnOnce(&mut Value)) -> Result<()> {
        let mut secret = self.secret.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut secret);
        self.secret_file.write(&secret)
    }

    /// What a function is started with.
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

    /// Starts an instance of `webhook`.
    pub async fn webhook(&self) -> Result<Function> {
        self.start("webhook").await
    }

    /// Starts an instance of `reconcile`.
    pub async fn reconcile(&self) -> Result<Function> {
        self.start("reconcile").await
    }

    /// Starts an instance of a function.
    pub async fn start(&self, name: &str) -> Result<Function> {
        let function = Function::spawn(name, self.environment()).await?;
        function.ready().await?;
        Ok(function)
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

    /// What changes with every write or lock of any row: equal before and after says that
    /// nothing was written.
    pub async fn versions(&self) -> Result<Vec<String>> {
        let sql = "SELECT concat_ws(' ', id, ctid, xmin, xmax) FROM neon_identity.users_sync
            ORDER BY id";
        let rows = self.query(sql, &[]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Compares the whole table with the provider, column by column.
    pub async fn assert_in_sync(&self) -> Result<()> {
        let truth: Vec<Truth> = self.simulator.truth().collect();
        let mut problems = Vec::new();
        for users in truth.chunks(BATCH) {
            problems.extend(self.differences(users).await?);
        }
        let ids: Vec<&str> = truth.iter().map(|user| user.id.as_str()).collect();
        let sql = "SELECT format('%s: the provider has no such user', kept.id)
            FROM neon_identity.users_sync AS kept
            WHERE kept.deleted_at IS NULL AND kept.id <> ALL ($1)
            UNION ALL
            SELECT format('%s: deleted before its profile', kept.id)
            FROM neon_identity.users_sync AS kept
            WHERE kept.deleted_at < kept.updated_at
            UNION ALL
            SELECT format('%s: a time of the future', kept.id)
            FROM neon_identity.users_sync AS kept
            WHERE greatest(kept.updated_at, kept.deleted_at) > clock_timestamp()";
        let rows = self.query(sql, &[(&ids, Type::TEXT_ARRAY)]).await?;
        problems.extend(rows.iter().map(|row| row.get::<_, String>(0)));
        ensure!(
            problems.is_empty(),
            "the table is not in sync, {} times:\n{}",
            problems.len(),
            problems[..problems.len().min(20)].join("\n")
        );
        Ok(())
    }

    /// Compares the whole table with the provider without sending every profile: all columns but
    /// `raw_json` of all users by one digest, and every `nth` user in full.
    pub async fn assert_in_sync_by_digest(&self, nth: usize) -> Result<()> {
        let mut sum = 0_u128;
        let (mut users, mut whole) = (0_i64, Vec::new());
        let mut problems = Vec::new();
        for user in self.simulator.truth() {
            let reading = &user.reading;
            let text = format!(
                "{}|{}|{}|{}",
                user.id,
                reading.name.as_deref().unwrap_or("-"),
                reading.email.as_deref().unwrap_or("-"),
                reading.created_at.unwrap_or_default(),
            );
            let digest = Sha256::digest(text.as_bytes());
            let number = digest
                .iter()
                .take(7)
                .fold(0, |number, byte| number << 8 | u128::from(*byte));
            sum += number;
            users += 1;
            if usize::try_from(users)?.is_multiple_of(nth) {
                whole.push(user);
            }
            if whole.len() == BATCH {
                problems.extend(self.differences(&std::mem::take(&mut whole)).await?);
            }
        }
        problems.extend(self.differences(&whole).await?);
        ensure!(problems.is_empty(), "{problems:?}");
        let sql = "SELECT count(*), coalesce(sum(('x' || encode(substr(sha256(convert_to(
                concat_ws('|', id, coalesce(name, '-'), coalesce(email, '-'),
                  coalesce(extract(epoch FROM created_at) * 1000, 0)::bigint),
              'UTF8')), 1, 7), 'hex'))::bit(56)::bigint), 0)::text
            FROM neon_identity.users_sync
            WHERE deleted_at IS NULL AND updated_at <= clock_timestamp()";
        let rows = self.query(sql, &[]).await?;
        let row = rows.first().context("a digest")?;
        let found: (i64, String) = (row.get(0), row.get(1));
        ensure!(
            found == (users, sum.to_string()),
            "the table's living users are {found:?}, the provider's {users} {sum}"
        );
        Ok(())
    }

    /// How rows differ from what is true of these users.
    pub async fn differences(&self, users: &[Truth]) -> Result<Vec<String>> {
        let ids: Vec<&str> = users.iter().map(|user| user.id.as_str()).collect();
        let profiles: Vec<&str> = users.iter().map(|user| &*user.profile).collect();
        let names: Vec<_> = users.iter().map(|user| &user.reading.name).collect();
        let emails: Vec<_> = users.iter().map(|user| &user.reading.email).collect();
        let created: Vec<_> = users.iter().map(|user| user.reading.created_at).collect();
        let sql = "SELECT format('%s: %s', new.id, CASE
                WHEN kept.id IS NULL THEN 'no row'
                WHEN kept.deleted_at IS NOT NULL THEN 'shown as deleted'
                WHEN kept.updated_at IS NULL THEN 'no version'
                WHEN (kept.raw_json - $6)::text <> (new.profile::jsonb - $6)::text THEN
                  format('raw_json is %s, and not %s', kept.raw_json, new.profile)
                WHEN kept.name IS DISTINCT FROM new.name THEN 'name'
                WHEN kept.email IS DISTINCT FROM new.email THEN 'email'
                WHEN extract(epoch FROM kept.created_at) * 1000 IS DISTINCT FROM new.created_at
                  THEN 'created_at'
            END)
            FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[])
              AS new (id, profile, name, email, created_at)
            LEFT JOIN neon_identity.users_sync AS kept USING (id)
            WHERE kept.id IS NULL
              OR kept.deleted_at IS NOT NULL
              OR kept.updated_at IS NULL
              OR (kept.raw_json - $6)::text <> (new.profile::jsonb - $6)::text
              OR (kept.name, kept.email, extract(epoch FROM kept.created_at) * 1000)
                IS DISTINCT FROM (new.name, new.email, new.created_at)";
        let parameters: Parameters<'_> = &[
            (&ids, Type::TEXT_ARRAY),
            (&profiles, Type::TEXT_ARRAY),
            (&names, Type::TEXT_ARRAY),
            (&emails, Type::TEXT_ARRAY),
            (&created, Type::INT8_ARRAY),
            (&self.simulator.unlisted(), Type::TEXT_ARRAY),
        ];
        let rows = self.query(sql, parameters).await?;
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

/// What to draw a secret from that is nobody else's in this process.
fn another_secret() -> fastrand::Rng {
    static DRAWN: AtomicU64 = AtomicU64::new(0);
    let number = DRAWN.fetch_add(1, Ordering::Relaxed);
    random(&format!("signing secret {number}"))
}
