//! Deliveries that a test writes itself, signed by the `standardwebhooks` crate and not by ours.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use base64::Engine;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use sha2::Sha256;
use standardwebhooks::Webhook;

use crate::tools::random_name;

/// One attempt to deliver.
#[derive(Clone)]
pub struct Letter {
    /// `POST`, unless a test says otherwise.
    pub method: Method,
    /// The event's id.
    pub id: String,
    /// In seconds since 1970.
    pub timestamp: String,
    /// Over all three.
    pub signature: String,
    /// The bytes that are signed.
    pub body: Vec<u8>,
    /// None for no such header.
    pub content_type: Option<&'static str>,
    /// In front of the headers' names.
    pub prefix: &'static str,
    /// Headers that are left out, by what follows the prefix.
    pub without: Option<&'static str>,
}

impl Letter {
    /// Signed now, with this secret.
    pub fn new(secret: &str, id: &str, body: &[u8]) -> Self {
        Self::at(secret, id, body, 0)
    }

    /// Signed so many seconds from now.
    pub fn at(secret: &str, id: &str, body: &[u8], from_now: i64) -> Self {
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
pub fn event_id() -> String {
    random_name("msg")
}

/// A client for many deliveries.
pub fn client() -> Result<reqwest::Client> {
    let client = reqwest::Client::builder().no_proxy();
    client.build().context("build a client")
}

/// Sends a letter to a URL; the answer's status.
pub async fn send(client: &reqwest::Client, url: &str, letter: &Letter) -> Result<u16> {
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
    status(request.send().await.context("deliver")?).await
}

/// The status of an answer that says nothing else.
pub(crate) async fn status(answer: reqwest::Response) -> Result<u16> {
    let status = answer.status().as_u16();
    let mut names: Vec<_> = answer.headers().keys().map(|name| name.as_str()).collect();
    names.retain(|name| !["content-length", "date", "content-type", "connection"].contains(name));
    ensure!(names.is_empty(), "{status}: the answer has {names:?}");
    let body = answer.bytes().await?;
    ensure!(body.is_empty(), "{status}: the answer has a body");
    Ok(status)
}
