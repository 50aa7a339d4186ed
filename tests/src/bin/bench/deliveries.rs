//! Deliveries by the thousand: of users that the table has, and of others that it has not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use tests::function::Function;
use tests::function_url;
use tests::simulator::Message;

use crate::ground::{Ground, reconcile, run};

/// A delivery, or a set of them, may take this long.
const LIMIT: Duration = Duration::from_secs(30);

/// Users of a provider, half of whom are in the table, and each of whom has changed since.
pub(crate) struct Changes(Vec<Message>);

impl Changes {
    /// Changes of so many users.
    pub(crate) async fn of(ground: &Ground, users: usize) -> Result<Self> {
        let simulator = &ground.stage.simulator;
        simulator.seed(users.try_into()?);
        let secret = ground.secret(|_| {})?;
        run(&reconcile(&secret).await?).await?;
        let remove = "DELETE FROM neon_identity.users_sync WHERE hashtext(id) % 2 = 0";
        ground.client.batch_execute(remove).await?;
        if ground.stage.secret()["provider"]["name"] == "stack" {
            ground.age().await?;
        }
        let ids: Vec<String> = simulator.truth().map(|truth| truth.id).collect();
        for (number, id) in ids.iter().enumerate() {
            simulator.rename(id, &format!("Renamed {number}"))?;
        }
        let mut messages = simulator.take_messages();
        messages.retain(|message| message.kind == "user.updated");
        ensure!(messages.len() >= users, "{} messages", messages.len());
        Ok(Self(messages))
    }

    /// The mean size of a body, in bytes.
    pub(crate) fn mean_size(&self) -> usize {
        let all: usize = self.0.iter().map(|message| message.body.len()).sum();
        all / self.0.len().max(1)
    }

    /// The next so many of them.
    pub(crate) fn take(&mut self, count: usize) -> Result<Vec<Message>> {
        ensure!(self.0.len() >= count, "no message is left");
        Ok(self.0.drain(..count).collect())
    }
}

/// These messages as Lambda would hand them in now.
pub(crate) fn events(ground: &Ground, messages: &[Message]) -> Result<Vec<Bytes>> {
    let event = |message: &Message| {
        let mut request = http::Request::post("http://webhook.test/").body(())?;
        *request.headers_mut() = ground.stage.signed(message)?;
        let (parts, ()) = request.into_parts();
        Ok(Bytes::from(
            function_url::event(&parts, &message.body).to_string(),
        ))
    };
    messages.iter().map(event).collect()
}

/// Delivers an event; it has to be taken.
pub(crate) async fn deliver(function: &Function, event: Bytes) -> Result<Duration> {
    let begun = Instant::now();
    let answer = function.invoke_bytes(event, LIMIT).await?;
    let took = begun.elapsed();
    let status = answer["statusCode"].as_u64();
    ensure!(
        status.is_some_and(|status| (200..300).contains(&status)),
        "a delivery is answered {answer}:\n{}",
        function.logs()?
    );
    Ok(took)
}

/// Delivers one after the other, and gives the time that each took.
pub(crate) async fn one_by_one(function: &Function, events: Vec<Bytes>) -> Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(events.len());
    for event in events {
        times.push(deliver(function, event).await?);
    }
    Ok(times)
}

/// Delivers so that the next one always waits, and gives how many were answered in a second.
pub(crate) async fn saturated(function: &Arc<Function>, events: Vec<Bytes>) -> Result<f64> {
    let count = u32::try_from(events.len())?;
    let events = Arc::new(std::sync::Mutex::new(events));
    let begun = Instant::now();
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (function, events) = (Arc::clone(function), Arc::clone(&events));
        senders.spawn(async move {
            loop {
                let event = events.lock().ok().and_then(|mut events| events.pop());
                let Some(event) = event else {
                    return anyhow::Ok(());
                };
                deliver(&function, event).await?;
            }
        });
    }
    while let Some(ended) = senders.join_next().await {
        ended.context("send")??;
    }
    Ok(f64::from(count) / begun.elapsed().as_secs_f64())
}
