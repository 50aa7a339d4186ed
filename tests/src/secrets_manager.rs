//! AWS Secrets Manager, played by moto's server.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::scratch::Scratch;
use crate::tools::{free_port, python_program};
use crate::watchdog::Watched;

/// A Secrets Manager on a port of its own at 127.0.0.1.
#[derive(Debug)]
pub struct SecretsManager {
    port: u16,
    tls: bool,
    process: Watched,
    folder: Scratch,
}

impl SecretsManager {
    /// The one that all tests of this process share; each test names its own secrets.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: tokio::sync::OnceCell<SecretsManager> = tokio::sync::OnceCell::const_new();
        SHARED.get_or_try_init(Self::start).await
    }

    /// Starts an empty one.
    pub async fn start() -> Result<Self> {
        Self::start_with(None).await
    }

    /// Starts an empty one that speaks TLS alone, with `server.crt` and `server.key` of this
    /// folder, which name `localhost`.
    pub async fn start_tls(certificates: &Path) -> Result<Self> {
        Self::start_with(Some(certificates)).await
    }

    async fn start_with(certificates: Option<&Path>) -> Result<Self> {
        let program = python_program("moto_server")?;
        let folder = Scratch::new("secrets_manager")?;
        let port = free_port()?;
        let mut command = Watched::command(&program, "KILL");
        command
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .current_dir(folder.path());
        if let Some(certificates) = certificates {
            command
                .arg("--ssl-cert")
                .arg(certificates.join("server.crt"));
            command
                .arg("--ssl-key")
                .arg(certificates.join("server.key"));
        }
        let process = Watched::spawn(&mut command, &folder.path().join("log"))?;
        let manager = Self {
            port,
            tls: certificates.is_some(),
            process,
            folder,
        };
        let start = Instant::now();
        while let Err(error) = manager.call("ListSecrets", json!({})).await {
            if manager.process.ended()?.is_some() || start.elapsed() > Duration::from_secs(60) {
                bail!("start moto_server: {error:#}\n{}", manager.log()?);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(manager)
    }

    /// Creates a secret or gives it a new value.
    pub async fn put(&self, id: &str, secret: &Value) -> Result<()> {
        let value = secret.to_string();
        let update = json!({"SecretId": id, "SecretString": value});
        if self.call("PutSecretValue", update).await.is_ok() {
            return Ok(());
        }
        self.call("CreateSecret", json!({"Name": id, "SecretString": value}))
            .await?;
        Ok(())
    }

    /// A secret's current value.
    pub async fn get(&self, id: &str) -> Result<Value> {
        let answer = self.call("GetSecretValue", json!({"SecretId": id})).await?;
        let value = answer["SecretString"].as_str().context("find the value")?;
        serde_json::from_str(value).context("read the value")
    }

    /// The variables that point a function to the secret `id` here.
    pub fn env(&self, id: &str) -> Vec<(String, String)> {
        [
            ("SECRET_ID", id),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &self.url()),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    /// All that the server has printed: a line for each request.
    pub fn log(&self) -> Result<String> {
        fs::read_to_string(self.folder.path().join("log")).context("read moto_server's log")
    }

    fn url(&self) -> String {
        match self.tls {
            true => format!("https://localhost:{}", self.port),
            false => format!("http://127.0.0.1:{}", self.port),
        }
    }

    async fn call(&self, action: &str, body: Value) -> Result<Value> {
        // moto tells services apart by the scope of the signature, which it does not verify.
        let scope = "AWS4-HMAC-SHA256 Credential=test/20250101/us-east-1/secretsmanager/\
            aws4_request, SignedHeaders=host, Signature=none";
        let request = reqwest::Client::builder()
            .no_proxy()
            // Whether its certificate is good is for the functions to find out.
            .danger_accept_invalid_certs(self.tls)
            .build()?
            .post(self.url());
        let request = request.header("authorization", scope);
        let request = request.header("x-amz-target", format!("secretsmanager.{action}"));
        let request = request.header("content-type", "application/x-amz-json-1.1");
        let response = request.body(body.to_string()).send().await?;
        let status = response.status();
        let text = response.text().await?;
        ensure!(status.is_success(), "{action}: {status}: {text}");
        serde_json::from_str(&text).context("read the answer")
    }
}
