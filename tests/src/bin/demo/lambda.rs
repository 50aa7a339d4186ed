//! The functions under `cargo lambda watch`.
//!
//! It serves them, and `make` has built them: together with the demo, in one build that compiles
//! each library once. If it built them itself, they would be built once more, because cargo chooses
//! the libraries' features anew for each choice of packages.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tests::scratch::Scratch;
use tests::simulator::Access;
use tests::tools::{free_port, workspace};
use tests::watchdog::Watched;

const FUNCTIONS: [&str; 4] = ["provision", "reconcile", "webhook", "console"];

/// How the functions are built.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Built {
    /// Like the demo itself.
    Quickly,
    /// As they are deployed: the tests have them built so already.
    AsDeployed,
}

impl Built {
    fn folder(self) -> Result<PathBuf> {
        match self {
            Self::Quickly => {
                let demo = std::env::current_exe().context("find the demo")?;
                Ok(demo.parent().context("find its folder")?.to_path_buf())
            }
            Self::AsDeployed => Ok(std::env::var_os("USERS_SYNC_BIN_DIR")
                .map_or_else(|| workspace().join("target/release"), PathBuf::from)),
        }
    }
}

/// `cargo lambda watch`, and the functions that ask it for invocations.
pub(crate) struct Lambda {
    port: u16,
    http: reqwest::Client,
    log: PathBuf,
    functions: Vec<(&'static str, Watched)>,
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
            .args(["lambda", "watch", "--only-lambda-apis", "--quiet"])
            .args(["--invoke-address", "127.0.0.1"])
            .args(["--invoke-port", &port.to_string()])
            .current_dir(workspace());
        let mut lambda = Self {
            port,
            http: reqwest::Client::new(),
            _process: Watched::spawn(&mut command, &log)?,
            functions: Vec::new(),
            log,
            _scratch: scratch,
        };
        lambda.wait().await?;
        let folder = built.folder()?;
        for name in FUNCTIONS {
            let function = lambda.function(name, &folder, secret, account.as_ref())?;
            lambda.functions.push((name, function));
        }
        Ok(lambda)
    }

    /// Starts a function as Lambda does.
    fn function(
        &self,
        name: &str,
        folder: &Path,
        secret: &Path,
        account: Option<&Access>,
    ) -> Result<Watched> {
        let program = folder.join(name);
        if !program.is_file() {
            bail!("{} is missing: run `make demo`", program.display());
        }
        let mut command = Watched::command(&program, "TERM");
        command
            .env(
                "AWS_LAMBDA_RUNTIME_API",
                format!("http://127.0.0.1:{}/.rt/{name}", self.port),
            )
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "4096")
            .env("SECRET_FILE", secret)
            .env("WEBHOOK_URL", self.url("webhook"));
        for (name, value) in account.iter().flat_map(|account| &account.variables) {
            command.env(name, value);
        }
        Watched::spawn(&mut command, &self.log)
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
        let request = self.http.post(url).body(event.to_string()).send();
        let answer = tokio::select! {
            answer = request => answer.with_context(|| self.failed(function))?,
            // One that does not start takes no invocation.
            ended = self.ended(function) => {
                ended?;
                bail!(self.failed(function));
            }
        };
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

    async fn ended(&self, function: &str) -> Result<i32> {
        let mut functions = self.functions.iter();
        let (_, process) = functions
            .find(|(name, _)| *name == function)
            .with_context(|| format!("{function} is no function"))?;
        process.wait(Duration::MAX).await
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
