//! The functions under `cargo lambda watch`.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tests::scratch::Scratch;
use tests::simulator::Access;
use tests::tools::{free_port, workspace};
use tests::watchdog::Watched;

/// How the functions are built.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Built {
    /// Like the demo itself, with which they share what they are built of.
    Quickly,
    /// As they are deployed: the tests have them built so already.
    AsDeployed,
}

/// `cargo lambda watch`, which starts a function when it is first called.
pub(crate) struct Lambda {
    port: u16,
    http: reqwest::Client,
    log: std::path::PathBuf,
    _process: Watched,
    _scratch: Scratch,
}

impl Lambda {
    /// `account`: how `console` reaches a simulated account; `built`: how the functions are.
    pub(crate) async fn start(
        secret: &Path,
        account: Option<Access>,
        built: Built,
    ) -> Result<Self> {
        let port = free_port()?;
        let scratch = Scratch::new("demo")?;
        let log = scratch.path().join("functions.log");
        let program = workspace().join(".tools/venv/bin/cargo-lambda");
        if !program.exists() {
            bail!("cargo-lambda is missing: run `make setup`");
        }
        let mut command = Watched::command(&program, "TERM");
        command
            .args(["lambda", "watch", "--ignore-changes", "--quiet"])
            .args((built == Built::AsDeployed).then_some("--release"))
            .args([
                "--invoke-address",
                "127.0.0.1",
                "--invoke-port",
                &port.to_string(),
            ])
            .arg("--env-var")
            .arg(format!("SECRET_FILE={}", secret.display()))
            .arg("--env-var")
            .arg(format!("WEBHOOK_URL={}", url(port, "webhook")))
            .current_dir(workspace());
        for (name, value) in account.into_iter().flat_map(|account| account.variables) {
            command.arg("--env-var").arg(format!("{name}={value}"));
        }
        let lambda = Self {
            port,
            http: reqwest::Client::new(),
            _process: Watched::spawn(&mut command, &log)?,
            log,
            _scratch: scratch,
        };
        lambda.wait().await?;
        Ok(lambda)
    }

    async fn wait(&self) -> Result<()> {
        let begun = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", self.port))
            .await
            .is_err()
        {
            if begun.elapsed() > Duration::from_secs(20) {
                bail!("cargo lambda watch does not answer:\n{}", self.logs());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The function's URL.
    pub(crate) fn url(&self, function: &str) -> String {
        url(self.port, function)
    }

    /// Invokes a function as `cargo lambda invoke` does.
    pub(crate) async fn invoke(&self, function: &str, event: Value) -> Result<Value> {
        let url = format!(
            "http://127.0.0.1:{}/2015-03-31/functions/{function}/invocations",
            self.port
        );
        let request = self.http.post(url).body(event.to_string());
        let answer = request
            .send()
            .await
            .with_context(|| self.failed(function))?;
        let failed = answer.headers().contains_key("x-amz-function-error");
        let answer = answer
            .bytes()
            .await
            .with_context(|| self.failed(function))?;
        let answer: Value =
            serde_json::from_slice(&answer).with_context(|| self.failed(function))?;
        if failed || answer.get("errorType").is_some() {
            bail!(
                "{function}: {}",
                answer["errorMessage"].as_str().unwrap_or("it failed")
            );
        }
        Ok(answer)
    }

    fn failed(&self, function: &str) -> String {
        format!("{function} gives no answer; its log:\n{}", self.logs())
    }

    fn logs(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

fn url(port: u16, function: &str) -> String {
    format!("http://127.0.0.1:{port}/lambda-url/{function}/")
}
