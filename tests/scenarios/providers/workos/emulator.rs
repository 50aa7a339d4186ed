//! End to end with WorkOS' own emulator: its API, its signatures, its webhooks to the function's
//! URL.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tests::postgres::Postgres;
use tests::scratch::Scratch;
use tests::secret_file::SecretFile;
use tests::tools::{free_port, node, workspace};
use tests::watchdog::Watched;
use tests::{database::Database, function::Function};

/// The emulator, on a port of its own at 127.0.0.1, with nobody in it.
pub(crate) struct Emulator {
    url: String,
    client: Client,
    process: Watched,
    folder: Scratch,
}

/// The key that it is born with.
const KEY: &str = "sk_test_default";

impl Emulator {
    pub(crate) async fn start() -> Result<Self> {
        let clients = workspace().join("tests/vendors");
        ensure!(
            clients.join("node_modules/workos").exists(),
            "WorkOS' emulator is missing: run `make setup`"
        );
        let port = free_port()?;
        let folder = Scratch::new("workos_emulator")?;
        let mut command = Watched::command(&node()?, "KILL");
        command
            .args(["workos-emulator.mjs", &port.to_string()])
            .current_dir(&clients);
        let emulator = Self {
            process: Watched::spawn(&mut command, &folder.path().join("log"))?,
            url: format!("http://127.0.0.1:{port}"),
            client: Client::builder().no_proxy().build()?,
            folder,
        };
        let start = Instant::now();
        while emulator.ask(Method::GET, "/events", None).await.is_err() {
            if emulator.process.ended()?.is_some() || start.elapsed() > Duration::from_secs(60) {
                let log = std::fs::read_to_string(emulator.folder.path().join("log"));
                bail!("start WorkOS' emulator:\n{}", log.unwrap_or_default());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(emulator)
    }

    /// An answer's body; null where there is none.
    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value> {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let answer = request.bearer_auth(KEY).send().await?.error_for_status()?;
        let body = answer.text().await?;
        match body.is_empty() {
            true => Ok(Value::Null),
            false => serde_json::from_str(&body).context("read an answer"),
        }
    }

    async fn create(&self, email: &str, first: &str, last: &str) -> Result<String> {
        let user = json!({"email": email, "first_name": first, "last_name": last});
        let user = self
            .ask(Method::POST, "/user_management/users", Some(user))
            .await?;
        Ok(user["id"].as_str().context("no id")?.to_owned())
    }

    async fn rename(&self, id: &str, last: &str) -> Result<()> {
        let path = format!("/user_management/users/{id}");
        let change = json!({"last_name": last});
        self.ask(Method::PUT, &path, Some(change)).await?;
        Ok(())
    }

    async fn delete(&self, id: &str) -> Result<()> {
        let path = format!("/user_management/users/{id}");
        self.ask(Method::DELETE, &path, None).await?;
        Ok(())
    }

    /// Has its webhooks sent there; the secret that signs them.
    async fn subscribe(&self, url: &str) -> Result<String> {
        let events = ["user.created", "user.updated", "user.deleted"];
        let endpoint = json!({"endpoint_url": url, "events": events});
        let made = self
            .ask(Method::POST, "/webhook_endpoints", Some(endpoint))
            .await?;
        Ok(made["secret"].as_str().context("no secret")?.to_owned())
    }
}

/// The emulator and a provisioned database that is to follow it.
struct Following {
    emulator: Emulator,
    database: Database,
    secret: Value,
    file: SecretFile,
}

impl Following {
    async fn new() -> Result<Self> {
        let emulator = Emulator::start().await?;
        let database = Postgres::shared().await?.database().await?;
        let secret = json!({
            "database_url": database.url(),
            "admin_database_url": database.admin_url(),
            "signing_secrets": [],
            "provider": {"name": "workos", "api_key": KEY, "api_url": emulator.url},
        });
        let following = Self {
            file: SecretFile::new(&secret)?,
            emulator,
            database,
            secret,
        };
        following
            .start("provision")
            .await?
            .invoke(json!({}))
            .await?;
        Ok(following)
    }

    async fn start(&self, name: &str) -> Result<Function> {
        let function = Function::spawn(name, self.file.env()).await?;
        function.ready().await?;
        Ok(function)
    }

    async fn reconcile(&self, event: Value) -> Result<Value> {
        let reconcile = self.start("reconcile").await?;
        let limit = Duration::from_secs(120);
        let report = reconcile.invoke_with_deadline(event, limit).await;
        report.with_context(|| reconcile.logs().unwrap_or_default())
    }

    /// The names in the table: first of the users that live, then of the deleted.
    async fn names(&self) -> Result<[Vec<String>; 2]> {
        let sql = "SELECT deleted_at IS NOT NULL, name FROM neon_identity.users_sync
            ORDER BY name";
        let rows = self.database.connect().await?.query(sql, &[]).await?;
        let mut names = [vec![], vec![]];
        for row in rows {
            names[usize::from(row.get::<_, bool>(0))].push(row.get(1));
        }
        Ok(names)
    }

    /// Waits until these are in the table.
    async fn arrive(&self, living: &[&str], deleted: &[&str]) -> Result<()> {
        let start = Instant::now();
        loop {
            let names = self.names().await?;
            if names[0] == living && names[1] == deleted {
                return Ok(());
            }
            ensure!(start.elapsed() < Duration::from_secs(30), "{names:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Every living row says what the emulator's API says of the user, and each user has one.
    async fn assert_in_sync(&self) -> Result<()> {
        let list = "/user_management/users?limit=100&order=asc";
        let users = self.emulator.ask(Method::GET, list, None).await?;
        let users = users["data"].as_array().context("no users")?.clone();
        let sql =
            "SELECT raw_json::text, email, updated_at = (raw_json->>'updated_at')::timestamptz
            FROM neon_identity.users_sync WHERE deleted_at IS NULL ORDER BY created_at, id";
        let rows = self.database.connect().await?.query(sql, &[]).await?;
        ensure!(rows.len() == users.len(), "{} rows, {users:?}", rows.len());
        for (row, user) in rows.iter().zip(&users) {
            let raw: Value = serde_json::from_str(row.get(0))?;
            ensure!(raw == *user, "{raw} is not {user}");
            let email: Option<String> = row.get(1);
            ensure!(email.as_deref() == user["email"].as_str() && row.get::<_, bool>(2));
        }
        Ok(())
    }
}

#[tokio::test]
async fn the_emulators_webhooks_keep_the_table_in_sync() -> Result<()> {
    let mut following = Following::new().await?;
    let webhook = following.start("webhook").await?;
    let secret = following.emulator.subscribe(webhook.url()).await?;
    following.secret["signing_secrets"] = json!([secret]);
    following.file.write(&following.secret)?;

    let emulator = &following.emulator;
    let ada = emulator
        .create("ada@example.com", "Ada", "Lovelace")
        .await?;
    emulator
        .create("grace@example.com", "Grace", "Hopper")
        .await?;
    following
        .arrive(&["Ada Lovelace", "Grace Hopper"], &[])
        .await?;
    following.assert_in_sync().await?;

    emulator.rename(&ada, "King").await?;
    following.arrive(&["Ada King", "Grace Hopper"], &[]).await?;
    following.assert_in_sync().await?;

    emulator.delete(&ada).await?;
    following.arrive(&["Grace Hopper"], &["Ada King"]).await?;
    following.assert_in_sync().await?;
    let log = webhook.logs()?;
    // It noticed by itself that the signing secret was another one by now.
    assert!(log.contains("applied a delivery"), "{log}");
    Ok(())
}

#[tokio::test]
async fn the_emulators_record_and_listing_tell_what_no_webhook_did() -> Result<()> {
    let following = Following::new().await?;
    let emulator = &following.emulator;
    let events = json!({"mode": "events"});
    let mut ids = Vec::new();
    for number in 0..12 {
        let email = format!("user{number}@example.com");
        ids.push(
            emulator
                .create(&email, "User", &format!("{number:02}"))
                .await?,
        );
    }
    let report = following.reconcile(events.clone()).await?;
    assert_eq!(
        (&report["outcome"], &report["created"]),
        (&json!("complete"), &json!(12))
    );
    following.assert_in_sync().await?;

    emulator.rename(&ids[0], "00 b").await?;
    emulator.delete(&ids[1]).await?;
    let report = following.reconcile(events.clone()).await?;
    assert_eq!(
        (&report["updated"], &report["deleted"]),
        (&json!(1), &json!(1)),
        "{report}"
    );
    following.assert_in_sync().await?;
    let report = following.reconcile(events).await?;
    assert_eq!(
        (&report["listed"], &report["pages"]),
        (&json!(0), &json!(1)),
        "{report}"
    );

    // The listing agrees, finds what the record was not asked for, and reads who is missing.
    let report = following.reconcile(json!({})).await?;
    assert_eq!(
        (&report["outcome"], &report["unchanged"]),
        (&json!("complete"), &json!(11))
    );
    emulator.delete(&ids[2]).await?;
    emulator.create("new@example.com", "New", "User").await?;
    let report = following.reconcile(json!({})).await?;
    assert_eq!(
        (&report["created"], &report["deleted"]),
        (&json!(1), &json!(1)),
        "{report}"
    );
    following.assert_in_sync().await
}
