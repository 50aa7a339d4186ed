//! Deliveries to the real `webhook`, signed by the `standardwebhooks` crate and not by ours.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use base64::Engine;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::Value;
use sha2::Sha256;
use standardwebhooks::Webhook;
use tests::function::Function;
use tests::postgres::Postgres;
use tests::simulator::Message;
use tests::stage::{Setup, Stage};
use tests::tools::random_name;

/// A stage with one instance of `webhook`.
pub(crate) struct Endpoint {
    pub(crate) stage: Stage,
    pub(crate) webhook: Function,
    pub(crate) client: reqwest::Client,
}

/// One attempt to deliver.
#[derive(Clone)]
pub(crate) struct Letter {
    pub(crate) method: Method,
    pub(crate) id: String,
    pub(crate) timestamp: String,
    pub(crate) signature: String,
    pub(crate) body: Vec<u8>,
    pub(crate) content_type: Option<&'static str>,
    /// In front of the headers' names.
    pub(crate) prefix: &'static str,
    /// Headers that are left out, by what follows the prefix.
    pub(crate) without: Option<&'static str>,
}

impl Letter {
    /// Signed now, with this secret.
    pub(crate) fn new(secret: &str, id: &str, body: &[u8]) -> Self {
        Self::at(secret, id, body, 0)
    }

    /// Signed so many seconds from now.
    pub(crate) fn at(secret: &str, id: &str, body: &[u8], from_now: i64) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(0));
        let timestamp = now + from_now;
        Self {
            method: Method::POST,
            signature: sign(secret, id, timestamp, body),
            id: id.to_owned(),
            timestamp: timestamp.to_string(),
            body: body.to_vec(),
            content_type: Some("application/json"),
            prefix: "svix",
            without: None,
        }
    }
}

/// As the oracle signs, which signs text alone; bytes that are none are signed here.
fn sign(secret: &str, id: &str, timestamp: i64, body: &[u8]) -> String {
    let oracle = Webhook::new(secret).expect("a signing secret");
    if let Ok(signature) = oracle.sign(id, timestamp, body) {
        return signature;
    }
    let base64 = base64::engine::general_purpose::STANDARD;
    let key = base64
        .decode(secret.trim_start_matches("whsec_"))
        .expect("a signing secret");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key of any length");
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    format!("v1,{}", base64.encode(mac.finalize().into_bytes()))
}

/// An id as Svix makes them.
pub(crate) fn event_id() -> String {
    random_name("msg")
}

impl Endpoint {
    /// On the server that all tests share.
    pub(crate) async fn new() -> Result<Self> {
        Self::of(Stage::new().await?).await
    }

    /// On this server.
    pub(crate) async fn on(server: &Postgres) -> Result<Self> {
        Self::of(Stage::on(server, Setup::default()).await?).await
    }

    /// On this stage.
    pub(crate) async fn of(stage: Stage) -> Result<Self> {
        let webhook = stage.webhook().await?;
        let client = client()?;
        Ok(Self {
            stage,
            webhook,
            client,
        })
    }

    /// A letter with this body, signed now with the stage's first secret.
    pub(crate) fn letter(&self, body: impl AsRef<[u8]>) -> Letter {
        Letter::new(&self.stage.signing_secret(), &event_id(), body.as_ref())
    }

    /// Delivers a message of the simulator once, freshly signed.
    pub(crate) async fn deliver(&self, message: &Message) -> Result<u16> {
        let secret = self.stage.signing_secret();
        let letter = Letter::new(&secret, &message.id, &message.body);
        self.send(&letter).await
    }

    /// Delivers an event, freshly signed.
    pub(crate) async fn tell(&self, kind: &str, data: &Value) -> Result<u16> {
        let body = serde_json::json!({ "type": kind, "data": data });
        self.send(&self.letter(body.to_string())).await
    }

    /// Delivers all that the simulator has to tell, in order, until each is taken.
    pub(crate) async fn deliver_all(&self) -> Result<()> {
        for message in self.stage.simulator.take_messages() {
            let status = self.deliver(&message).await?;
            let logs = || self.webhook.logs().unwrap_or_default();
            ensure!(status == 200, "{}: {status}\n{}", message.kind, logs());
        }
        Ok(())
    }

    /// Sends a letter; the answer's status, after a look at the rest of the answer.
    pub(crate) async fn send(&self, letter: &Letter) -> Result<u16> {
        send(&self.client, self.webhook.url(), letter).await
    }
}

/// A client for many deliveries.
pub(crate) fn client() -> Result<reqwest::Client> {
    let client = reqwest::Client::builder().no_proxy();
    client.build().context("build a client")
}

/// Sends a letter to a URL.
pub(crate) async fn send(client: &reqwest::Client, url: &str, letter: &Letter) -> Result<u16> {
    let mut request = client
        .request(letter.method.clone(), format!("{url}/any/path?q=1"))
        .body(letter.body.clone());
    for (name, value) in [
        ("id", &letter.id),
        ("timestamp", &letter.timestamp),
        ("signature", &letter.signature),
    ] {
        if letter.without != Some(name) {
            request = request.header(format!("{}-{name}", letter.prefix), value);
        }
    }
    if let Some(kind) = letter.content_type {
        request = request.header("content-type", kind);
    }
    let answer = request.send().await.context("deliver")?;
    let status = answer.status().as_u16();
    let mut names: Vec<_> = answer.headers().keys().map(|name| name.as_str()).collect();
    names.retain(|name| !["content-length", "date", "content-type", "connection"].contains(name));
    ensure!(names.is_empty(), "{status}: the answer has {names:?}");
    let body = answer.bytes().await?;
    ensure!(body.is_empty(), "{status}: the answer has a body");
    Ok(status)
}
