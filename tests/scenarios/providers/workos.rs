//! WorkOS, with the real binaries: what only its deliveries, its listing and its record of events
//! do; against our simulator and against the vendor's own emulator.

mod deliveries;
pub(crate) mod emulator;
mod events;
mod listing;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::function::Function;
use tests::postgres::Postgres;
use tests::simulator::{Clock, Message, Options, WorkOs};
use tests::stage::{Setup, Stage};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// An environment, the database that follows it, and an instance of each function.
struct Site {
    stage: Stage,
    webhook: Arc<Function>,
    reconcile: Arc<Function>,
}

impl Site {
    async fn new() -> Result<Self> {
        Self::of(WorkOs::default()).await
    }

    async fn of(environment: WorkOs) -> Result<Self> {
        Self::begun(environment, HOUR).await
    }

    /// An environment whose clock stands at so long ago until it is moved.
    async fn begun(environment: WorkOs, ago: Duration) -> Result<Self> {
        let begun = SystemTime::now() - ago;
        let begun = begun.duration_since(SystemTime::UNIX_EPOCH)?;
        let setup = Setup {
            simulator: Options {
                clock: Clock::by_hand(begun.as_millis().try_into()?),
                ..Options::default()
            },
            ..Setup::of(environment)
        };
        let stage = Stage::on(Postgres::shared().await?, setup).await?;
        let webhook = stage.webhook().await?;
        let reconcile = stage.reconcile().await?;
        Ok(Self {
            stage,
            webhook,
            reconcile,
        })
    }

    /// Lets a second pass at the provider.
    fn wait(&self) {
        let clock = self.stage.simulator.clock();
        clock.advance(Duration::from_secs(1));
    }

    /// The messages since the last time; they are not delivered by themselves.
    fn told(&self) -> Vec<Message> {
        self.stage.simulator.take_messages()
    }

    /// Delivers a message once, which has to be taken.
    async fn deliver(&self, message: &Message) -> Result<()> {
        self.stage.taken(message).await
    }

    /// Runs until the end, and expects it to be reached.
    async fn complete(&self, event: Value) -> Result<Value> {
        let report = self.stage.complete(event).await?;
        // Whatever it learns from, who was looked at is one of these.
        let sum: i64 = ["created", "updated", "unchanged", "revived", "rejected"]
            .iter()
            .filter_map(|figure| report[figure].as_i64())
            .sum();
        ensure!(report["listed"] == sum, "{report}");
        Ok(report)
    }

    /// Drains the record until its end.
    async fn drain(&self) -> Result<Value> {
        self.complete(json!({"mode": "events"})).await
    }

    /// Where the record is drained up to.
    async fn cursor(&self) -> Result<Option<String>> {
        let rows = self
            .stage
            .json("SELECT event_cursor FROM neon_identity.walk")
            .await?;
        Ok(rows[0]["event_cursor"].as_str().map(str::to_owned))
    }
}

/// The event's own id and time, in milliseconds since 1970.
fn event(message: &Message) -> Result<(String, SystemTime)> {
    let body: Value = serde_json::from_slice(&message.body)?;
    let id = body["id"].as_str().context("no id")?.to_owned();
    let at: jiff::Timestamp = body["created_at"].as_str().context("no time")?.parse()?;
    let at = Duration::from_millis(u64::try_from(at.as_millisecond())?);
    Ok((id, SystemTime::UNIX_EPOCH + at))
}

#[tokio::test]
async fn a_disabled_endpoint_is_named_when_no_webhook_arrives() -> Result<()> {
    let stage = Stage::at_work(Setup::of(WorkOs::default())).await?;
    let ask = async |method, path: String, body: Value| -> Result<Value> {
        let request = reqwest::Client::new()
            .request(method, format!("{}{path}", stage.simulator.origin()))
            .bearer_auth(&WorkOs::default().api_keys[0])
            .header("content-type", "application/json")
            .body(body.to_string());
        let answer = request.send().await?.error_for_status()?;
        Ok(serde_json::from_str(&answer.text().await?)?)
    };
    let wanted = json!({
        "endpoint_url": "https://example.com/webhook?token=hidden",
        "events": ["user.created", "user.deleted"],
    });
    let made = ask(
        reqwest::Method::POST,
        "/webhook_endpoints".to_owned(),
        wanted,
    )
    .await?;
    let id = made["id"].as_str().context("an id")?;
    let path = format!("/webhook_endpoints/{id}");
    ask(reqwest::Method::PATCH, path, json!({"status": "disabled"})).await?;
    assert_eq!(
        super::each::said_of_endpoints(&stage).await?,
        json!(format!(
            "the endpoint {id} (https://example.com/webhook): disabled at the provider, enable it again"
        ))
    );
    Ok(())
}
