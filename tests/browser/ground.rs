//! What a journey needs: a database, a simulated provider that delivers to wherever it is told to,
//! the functions, and the browser.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::database::Database;
use tests::function::Function;
use tests::postgres::Postgres;
use tests::providers::{self, Provider};
use tests::scratch::Scratch;
use tests::secret_file::SecretFile;
use tests::sender::{Sender, Sending};
use tests::simulator::{Options, Simulator};
use tests::tools::{node, workspace};
use tests::watchdog::Watched;
use tokio::sync::Semaphore;

use crate::relay;

/// What opens the console.
const TOKEN: &str = "the-token-of-this-console-0123456789";

/// How long a journey may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// Browsers at once: each is a handful of busy processes.
static BROWSERS: Semaphore = Semaphore::const_new(2);

/// How the browser looks at it.
#[derive(Clone, Copy)]
pub(crate) enum Look {
    Desktop,
    DesktopDark,
    Phone,
    PhoneDark,
    /// At a desktop, without scripts.
    Plain,
}

impl Look {
    fn told(self) -> Value {
        let (width, dark, script) = match self {
            Self::Desktop => (1280, false, true),
            Self::DesktopDark => (1280, true, true),
            Self::Phone => (390, false, true),
            Self::PhoneDark => (390, true, true),
            Self::Plain => (1280, false, false),
        };
        json!({ "width": width, "dark": dark, "script": script })
    }
}

pub(crate) struct Ground {
    pub(crate) simulator: Simulator,
    pub(crate) database: Database,
    provider: &'static Provider,
    file: SecretFile,
    webhook: String,
    console: Function,
    _sending: Sending,
}

impl Ground {
    /// A console of a provider that is not connected yet, and has these users.
    pub(crate) async fn new(provider: &str, users: u64) -> Result<Self> {
        Self::with(provider, users, false).await
    }

    /// The same of a provider that is connected, and delivers.
    pub(crate) async fn connected(provider: &str, users: u64) -> Result<Self> {
        let ground = Self::with(provider, users, true).await?;
        let provision = Function::spawn("provision", ground.file.env()).await?;
        provision.invoke(json!({})).await?;
        Ok(ground)
    }

    async fn with(provider: &str, users: u64, connected: bool) -> Result<Self> {
        let provider = providers::named(provider)?;
        let database = Postgres::shared().await?.database().await?;
        let simulator = Simulator::of((provider.project)(), Options::default()).await?;
        simulator.seed(users);
        let mut secret = json!({
            "database_url": database.url(),
            "admin_database_url": database.admin_url(),
            "console_token": TOKEN,
        });
        let file = SecretFile::new(&secret)?;
        let webhook = relay::serve(file.env().into()).await?;
        if connected {
            secret["provider"] = simulator.secret();
            let token = secret["provider"]["webhook_token"].as_str();
            let there = simulator.send_to(&webhook, token.map(str::to_owned));
            if token.is_none() {
                secret["signing_secrets"] = json!([there.secret]);
            }
            file.write(&secret)?;
        }
        let mut environment: Vec<_> = file.env().into();
        environment.push(("WEBHOOK_URL".to_owned(), webhook.clone()));
        let account = simulator.account();
        for (name, value) in account.into_iter().flat_map(|account| account.variables) {
            environment.push((name.to_owned(), value));
        }
        let console = Function::spawn("console", environment).await?;
        console.ready().await?;
        let sender = Sender::following(&simulator.world())?;
        Ok(Self {
            _sending: sender.run(&simulator.world()),
            simulator,
            provider,
            database,
            file,
            webhook,
            console,
        })
    }

    /// Has the browser take this journey: `NAME.mjs`.
    pub(crate) async fn journey(&self, name: &str, look: Look, more: Value) -> Result<()> {
        let folder = workspace().join("tests/browser");
        ensure!(
            folder.join("node_modules").exists(),
            "the browser's driver is missing: run `make setup`"
        );
        let told = json!({
            "console": self.console.url(),
            "token": TOKEN,
            "control": self.simulator.control_url(),
            "provider": self.provider.name,
            "title": self.provider.title,
            "keys": self.simulator.secret(),
            "account": self.simulator.account().map(|account| json!({
                "token": account.token,
                "api_url": account.api_url,
            })),
            "signs": !self.provider.token,
            "webhook": self.webhook,
            "look": look.told(),
            "screenshots": std::env::var("SCREENSHOTS").ok(),
            "more": more,
        });
        let _turn = BROWSERS.acquire().await?;
        let scratch = Scratch::new("browser")?;
        let log = scratch.path().join("log");
        let mut script = Watched::command(&node()?, "KILL");
        script
            .arg(format!("{name}.mjs"))
            .current_dir(&folder)
            .env("JOURNEY", told.to_string());
        let script = Watched::spawn(&mut script, &log)?;
        let code = script.wait(LIMIT).await;
        let said = String::from_utf8_lossy(&std::fs::read(&log)?).into_owned();
        let code = code.with_context(|| format!("{name}.mjs did not end\n{said}"))?;
        ensure!(
            code == 0 && said.lines().any(|line| line == "arrived"),
            "{name}.mjs: {code}\n{said}\n{}",
            self.console.logs()?
        );
        Ok(())
    }
}
