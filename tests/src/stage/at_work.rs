//! The functions of a stage at work: deliveries and runs.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use http::HeaderMap;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{Setup, Stage};
use crate::function::Function;
use crate::letter::{self, Letter, event_id};
use crate::runtime_api::FunctionError;
use crate::simulator::Message;

/// The time limit of a run: Lambda's own. On a busy machine less would make a large run rightly
/// partial.
const LIMIT: Duration = Duration::from_secs(900);

/// A run's figures, but for the time.
pub const FIGURES: [&str; 10] = [
    "listed",
    "created",
    "updated",
    "unchanged",
    "deleted",
    "revived",
    "rejected",
    "held",
    "missed",
    "pages",
];

impl Stage {
    /// A stage of this project, with an instance of each function that follows it.
    pub async fn at_work(setup: Setup) -> Result<Self> {
        let stage = Self::of(setup).await?.receives().await?;
        stage.reconcile().await?;
        Ok(stage)
    }

    /// A stage of this project with this many users, which a run has taken in.
    pub async fn in_sync(setup: Setup, users: u64) -> Result<Self> {
        let stage = Self::at_work(setup).await?;
        stage.simulator.seed(users);
        stage.complete(json!({})).await?;
        Ok(stage)
    }

    /// A stage whose `webhook` runs.
    pub async fn receiving() -> Result<Self> {
        Self::new().await?.receives().await
    }

    /// This stage, once its `webhook` runs.
    pub async fn receives(self) -> Result<Self> {
        self.webhook().await?;
        Ok(self)
    }

    /// This stage, with another `webhook` in the place of its own.
    pub async fn restarted(mut self) -> Result<Self> {
        self.webhook = OnceCell::new();
        self.receives().await
    }

    /// A stage whose provider has so many users, and whose `reconcile` runs.
    pub async fn seeded(users: u64) -> Result<Self> {
        let stage = Self::new().await?;
        stage.simulator.seed(users);
        stage.reconcile().await?;
        Ok(stage)
    }

    /// The same with all of them in the table.
    pub async fn backfilled(users: u64) -> Result<Self> {
        let stage = Self::seeded(users).await?;
        stage.complete(json!({})).await?;
        Ok(stage)
    }

    /// The stage's own `webhook`, started when it is first asked for.
    pub async fn webhook(&self) -> Result<Arc<Function>> {
        let start = async || Ok(Arc::new(self.start("webhook").await?));
        self.webhook.get_or_try_init(start).await.cloned()
    }

    /// The stage's own `reconcile`, started when it is first asked for.
    pub async fn reconcile(&self) -> Result<Arc<Function>> {
        let start = async || Ok(Arc::new(self.start("reconcile").await?));
        self.reconcile.get_or_try_init(start).await.cloned()
    }

    /// Starts one more instance of a function.
    pub async fn start(&self, name: &str) -> Result<Function> {
        let function = Function::spawn(name, self.environment()).await?;
        function.ready().await?;
        Ok(function)
    }

    /// Delivers a message once, as the provider would now; the status of the answer.
    pub async fn deliver(&self, message: &Message) -> Result<u16> {
        let webhook = self.webhook().await?;
        let request = self
            .letters()?
            .post(webhook.url())
            .timeout(self.sending(webhook.url())?.time_out)
            .headers(self.signed(message)?)
            .body(message.body.clone());
        letter::status(request.send().await.context("deliver")?).await
    }

    /// The headers with which the provider would deliver a message now.
    pub fn signed(&self, message: &Message) -> Result<HeaderMap> {
        let sending = self.sending("")?;
        Ok(sending.signing.headers(message, SystemTime::now()))
    }

    /// Delivers a message that is to be taken.
    pub async fn taken(&self, message: &Message) -> Result<()> {
        let status = self.deliver(message).await?;
        let logs = self.webhook().await?.logs()?;
        ensure!(status == 200, "{}: {status}\n{logs}", message.kind);
        Ok(())
    }

    /// Delivers all that the provider has to tell, in order, each once.
    pub async fn deliver_all(&self) -> Result<()> {
        for message in self.simulator.take_messages() {
            self.taken(&message).await?;
        }
        Ok(())
    }

    /// A letter with this body, signed now with the stage's first secret.
    pub fn letter(&self, body: impl AsRef<[u8]>) -> Letter {
        Letter::new(&self.signing_secret(), &event_id(), body.as_ref())
    }

    /// Delivers an event in a letter.
    pub async fn tell(&self, kind: &str, data: &Value) -> Result<u16> {
        let body = json!({ "type": kind, "data": data });
        self.send(&self.letter(body.to_string())).await
    }

    /// Sends a letter to `webhook`; the status of the answer.
    pub async fn send(&self, letter: &Letter) -> Result<u16> {
        let webhook = self.webhook().await?;
        letter::send(&self.letters()?, webhook.url(), letter).await
    }

    /// The client of all deliveries.
    pub fn letters(&self) -> Result<reqwest::Client> {
        if let Some(client) = self.letters.get() {
            return Ok(client.clone());
        }
        let client = letter::client()?;
        Ok(self.letters.get_or_init(|| client).clone())
    }

    /// Runs `reconcile` in the time that Lambda gives.
    pub async fn run(&self, event: Value) -> Result<Value, FunctionError> {
        let reconcile = self.reconcile().await.map_err(not_started)?;
        reconcile.invoke_with_deadline(event, LIMIT).await
    }

    /// Runs `reconcile` to its end; the report, which its row in `runs` has to repeat.
    pub async fn complete(&self, event: Value) -> Result<Value> {
        let report = self.run(event).await;
        let logs = self.reconcile().await?.logs().unwrap_or_default();
        let report = report.context(logs)?;
        ensure!(report["outcome"] == "complete", "{report}");
        let run = self.row_of(&report).await?;
        ensure!(
            run["finished_at"].is_string() && run["error"].is_null(),
            "{run}"
        );
        Ok(report)
    }

    /// Runs `reconcile`, which is to fail as `kind`.
    pub async fn fails(&self, event: Value, kind: &str) -> Result<FunctionError> {
        let error = self.run(event).await.err().context("it did not fail")?;
        ensure!(error.error_type == kind, "{error}");
        Ok(error)
    }

    /// Runs `reconcile`, which is to fail; what it says.
    pub async fn failed(&self, event: Value) -> Result<String> {
        Ok(self.fails(event, "Failed").await?.error_message)
    }

    /// Runs `reconcile`, which is to be held; the report.
    pub async fn held(&self, event: Value) -> Result<Value> {
        let error = self.fails(event, "Held").await?;
        let report: Value = serde_json::from_str(&error.error_message)?;
        ensure!(report["outcome"] == "held" && report["deleted"] == 0);
        self.row_of(&report).await?;
        Ok(report)
    }

    /// The latest row of `runs` that has this report's figures; one has to have them.
    async fn row_of(&self, report: &Value) -> Result<Value> {
        let mut runs = self.runs().await?;
        let all = || FIGURES.iter().chain(&["outcome", "duration_ms"]);
        let has = |run: &Value| all().all(|figure| run[figure] == report[figure]);
        let place = runs.iter().rposition(has);
        let place = place.with_context(|| format!("no run is {report}: {runs:?}"))?;
        Ok(runs.swap_remove(place))
    }

    /// The ids of all users at the provider, in the order of their sign-up.
    pub fn ids(&self) -> Vec<String> {
        self.simulator.truth().map(|user| user.id).collect()
    }

    /// How many users the table shows as living.
    pub async fn living(&self) -> Result<usize> {
        let table = self.table().await?;
        Ok(table.iter().filter(|row| row.lives()).count())
    }
}

fn not_started(error: anyhow::Error) -> FunctionError {
    FunctionError::new("NotStarted", format!("{error:#}"))
}
