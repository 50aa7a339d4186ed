//! One attempt to deliver a message, and the record of it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, header};
use serde::Serialize;

use super::Sender;
use crate::simulator::Message;

/// The outcome of one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The endpoint answered with this status.
    Answered(u16),
    /// It did not answer, in time or at all.
    Failed(String),
    /// The message was lost before there was an attempt.
    Lost,
    /// The endpoint is disabled, so none was made.
    Disabled,
}

/// One attempt, or why there was none.
#[derive(Debug, Clone, Serialize)]
pub struct Attempt {
    /// The message's id.
    pub message: String,
    /// The message's type.
    pub kind: String,
    /// Where it went; empty if it was lost.
    pub url: String,
    /// 1 for the first attempt at this endpoint.
    pub number: u32,
    /// When it began, in milliseconds since 1970.
    pub at: u64,
    /// How many milliseconds the endpoint took.
    pub took: u64,
    /// The outcome.
    pub outcome: Outcome,
    /// The wait that the endpoint asked for.
    #[serde(skip)]
    pub(super) asked: Asked,
}

/// The requests to the sender in an endpoint's answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    pub(super) retry_after: Option<Duration>,
    /// `webhook-delivery: abort-message`: no more attempts of this message.
    pub(super) abort: bool,
    /// `webhook-delivery: disable`: no more messages.
    pub(super) disable: bool,
}

impl Asked {
    fn by(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name)?.to_str().ok();
        let delivery = headers
            .get("webhook-delivery")
            .and_then(|value| value.to_str().ok());
        Self {
            retry_after: text(header::RETRY_AFTER)
                .and_then(|seconds| seconds.parse().ok())
                .map(Duration::from_secs),
            abort: delivery == Some("abort-message"),
            disable: delivery == Some("disable"),
        }
    }
}

impl Attempt {
    /// An attempt that is yet to be made, or never will.
    fn new(message: &Message, url: &str, number: u32, outcome: Outcome) -> Self {
        let at = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            message: message.id.clone(),
            kind: message.kind.clone(),
            url: url.to_owned(),
            number,
            at: millis(at),
            took: 0,
            outcome,
            asked: Asked::default(),
        }
    }

    /// Whether the endpoint took the message.
    pub fn succeeded(&self) -> bool {
        matches!(self.outcome, Outcome::Answered(200..=299))
    }
}

impl Sender {
    /// Makes one attempt and records it.
    pub(super) async fn attempt(&self, url: &str, message: &Message, number: u32) -> Attempt {
        let started = Instant::now();
        let mut attempt = Attempt::new(message, url, number, Outcome::Lost);
        let sent = self
            .0
            .client
            .post(url)
            .headers(self.sign(message, SystemTime::now()))
            .body(message.body.clone())
            .send()
            .await;
        attempt.outcome = match sent {
            Ok(answer) => {
                attempt.asked = Asked::by(answer.headers());
                let status = answer.status().as_u16();
                // Read to its end, so that the connection can be used again.
                drop(answer.bytes().await);
                Outcome::Answered(status)
            }
            Err(error) => Outcome::Failed(error.without_url().to_string()),
        };
        attempt.took = millis(started.elapsed());
        self.record(attempt.clone());
        attempt
    }

    /// Records that there was no attempt.
    pub(super) fn skip(&self, url: &str, message: &Message, number: u32, why: Outcome) {
        self.record(Attempt::new(message, url, number, why));
    }

    fn record(&self, attempt: Attempt) {
        self.state().attempts.push(attempt);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
