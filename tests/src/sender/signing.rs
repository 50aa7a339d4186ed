//! How deliveries prove where they come from.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::simulator::Message;

/// Makes the headers of one attempt.
pub trait Signing: Send + Sync + 'static {
    /// All headers of a delivery made at this time, the content's type among them.
    fn headers(&self, message: &Message, at: SystemTime) -> HeaderMap;
}

/// Svix's signatures, which Standard Webhooks took over: HMAC-SHA256 of `id.timestamp.body`.
#[derive(Clone)]
pub struct Svix {
    keys: Vec<Vec<u8>>,
    standard_names: bool,
    asymmetric: bool,
}

impl Svix {
    /// Signs with these `whsec_…` secrets, one signature each: several during a rotation.
    pub fn new<S: AsRef<str>>(secrets: impl IntoIterator<Item = S>) -> Result<Self> {
        let keys = secrets
            .into_iter()
            .map(|secret| {
                let secret = secret.as_ref();
                let key = secret
                    .strip_prefix("whsec_")
                    .context("no whsec_ in front")?;
                BASE64.decode(key).context("decode signing secret")
            })
            .collect::<Result<Vec<_>>>()?;
        ensure!(!keys.is_empty(), "no signing secret");
        Ok(Self {
            keys,
            standard_names: false,
            asymmetric: false,
        })
    }

    /// A new signing secret, as Svix shows it.
    pub fn secret(random: &mut fastrand::Rng) -> String {
        let mut key = [0; 24];
        random.fill(&mut key);
        format!("whsec_{}", BASE64.encode(key))
    }

    /// Names the headers `webhook-…` instead of `svix-…`.
    #[must_use]
    pub fn standard_names(self) -> Self {
        Self {
            standard_names: true,
            ..self
        }
    }

    /// Puts an asymmetric signature, `v1a`, in front of the others.
    #[must_use]
    pub fn asymmetric_too(self) -> Self {
        Self {
            asymmetric: true,
            ..self
        }
    }

    /// The value of the signature header.
    fn signatures(&self, message: &Message, timestamp: u64) -> String {
        // Nobody here could check an ed25519 signature, so its bytes need not be one.
        let asymmetric = self
            .asymmetric
            .then(|| format!("v1a,{}", BASE64.encode([0x5a; 64])));
        let symmetric = self.keys.iter().map(|key| {
            let code = hmac(key, &message.id, timestamp, &message.body);
            format!("v1,{}", BASE64.encode(code))
        });
        let all: Vec<String> = asymmetric.into_iter().chain(symmetric).collect();
        all.join(" ")
    }
}

impl Signing for Svix {
    fn headers(&self, message: &Message, at: SystemTime) -> HeaderMap {
        let timestamp = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let names = if self.standard_names {
            ["webhook-id", "webhook-timestamp", "webhook-signature"]
        } else {
            ["svix-id", "svix-timestamp", "svix-signature"]
        };
        let values = [
            message.id.clone(),
            timestamp.to_string(),
            self.signatures(message, timestamp),
        ];
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers.insert(
            header::USER_AGENT,
            HeaderValue::from_static("Svix-Webhooks/1.99.0"),
        );
        for (name, value) in names.into_iter().zip(values) {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        headers
    }
}

fn hmac(key: &[u8], id: &str, timestamp: u64, body: &[u8]) -> Vec<u8> {
    // HMAC takes keys of any length.
    let Ok(mut code) = Hmac::<Sha256>::new_from_slice(key) else {
        return Vec::new();
    };
    code.update(format!("{id}.{timestamp}.").as_bytes());
    code.update(body);
    code.finalize().into_bytes().to_vec()
}
