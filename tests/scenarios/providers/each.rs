//! What holds for every provider, with the real binaries: one set of facts, run against each
//! simulated provider. What only one of them does is in a file of its own beside this one.

mod answers;
mod deliveries;
mod paging;
mod runs;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::function::Function;
use tests::postgres::Postgres;
use tests::providers::{Provider, named};
use tests::runtime_api::FunctionError;
use tests::sender::Sender;
use tests::simulator::{Message, Simulator};
use tests::stage::{Setup, Stage};

pub(super) use paging::users_may_come_and_go_at_every_page;

/// A stage of one provider, and an instance of each function that follows it.
pub(super) struct Site {
    pub(super) stage: Stage,
    pub(super) webhook: Function,
    pub(super) reconcile: Function,
    pub(super) sender: Sender,
}

impl Site {
    pub(super) async fn of(setup: Setup) -> Result<Self> {
        let stage = Stage::on(Postgres::shared().await?, setup).await?;
        let webhook = stage.webhook().await?;
        Ok(Self {
            sender: Sender::new(stage.sending(webhook.url())?)?,
            reconcile: stage.reconcile().await?,
            webhook,
            stage,
        })
    }

    pub(super) fn simulator(&self) -> &Simulator {
        &self.stage.simulator
    }

    /// The status that one delivery of a message is answered with.
    pub(super) async fn deliver(&self, message: &Message) -> Result<u16> {
        self.sender.deliver_once(message).await
    }

    /// Delivers a message that is to be taken.
    pub(super) async fn taken(&self, message: &Message) -> Result<()> {
        let status = self.deliver(message).await?;
        let logs = self.webhook.logs().context("read the log")?;
        ensure!(status == 200, "{}: {status}\n{logs}", message.kind);
        Ok(())
    }

    /// Delivers all that the provider has to tell, in order, each once.
    pub(super) async fn deliver_all(&self) -> Result<()> {
        for message in self.simulator().take_messages() {
            self.taken(&message).await?;
        }
        Ok(())
    }

    /// Runs `reconcile` in the time that Lambda gives.
    pub(super) async fn run(&self, event: Value) -> Result<Value, FunctionError> {
        let limit = Duration::from_secs(900);
        self.reconcile.invoke_with_deadline(event, limit).await
    }

    /// Runs `reconcile` to its end.
    pub(super) async fn complete(&self, event: Value) -> Result<Value> {
        let report = self.run(event).await;
        let report = report.with_context(|| self.reconcile.logs().unwrap_or_default())?;
        ensure!(report["outcome"] == "complete", "{report}");
        Ok(report)
    }

    /// Runs `reconcile`, which is to fail; what it says.
    pub(super) async fn failed(&self, event: Value) -> Result<String> {
        let error = self.run(event).await.err().context("it did not fail")?;
        ensure!(error.error_type == "Failed", "{error}");
        Ok(error.error_message)
    }

    /// The provider's row in the table.
    pub(super) fn provider(&self) -> Result<&'static Provider> {
        let secret = self.stage.secret();
        named(secret["provider"]["name"].as_str().unwrap_or_default())
    }

    /// The field of the secret that holds the provider's key.
    pub(super) fn key(&self) -> Result<&'static str> {
        Ok(self.provider()?.key)
    }

    /// Nobody is shown as deleted, and so many as living.
    pub(super) async fn assert_all_live(&self, users: usize) -> Result<()> {
        let table = self.stage.table().await?;
        ensure!(table.iter().all(|row| row.lives()), "somebody is deleted");
        ensure!(table.len() == users, "{} rows", table.len());
        Ok(())
    }
}
