//! WorkOS' signatures: HMAC-SHA256 of `{t}.{body}` under the whole secret, in hexadecimal, where
//! `t` counts milliseconds.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, HeaderValue, header};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::Signing;
use crate::simulator::Message;

/// `WorkOS-Signature: t=…, v1=…`.
#[derive(Clone)]
pub struct WorkOs {
    secrets: Vec<String>,
    upper_case: bool,
}

impl WorkOs {
    /// Signs with these secrets, one signature each: several during a rotation.
    pub fn new<S: Into<String>>(secrets: impl IntoIterator<Item = S>) -> Self {
        Self {
            secrets: secrets.into_iter().map(Into::into).collect(),
            upper_case: false,
        }
    }

    /// Writes the signatures' digits in upper case.
    #[must_use]
    pub fn upper_case(self) -> Self {
        Self {
            upper_case: true,
            ..self
        }
    }

    /// The header's value for a delivery of this body, made so many milliseconds after 1970.
    pub fn signature(&self, body: &[u8], millis: u128) -> String {
        let signatures = self.secrets.iter().map(|secret| {
            let digits = hmac(secret.as_bytes(), millis, body);
            match self.upper_case {
                true => format!(", v1={}", digits.to_uppercase()),
                false => format!(", v1={digits}"),
            }
        });
        let signatures: String = signatures.collect();
        format!("t={millis}{signatures}")
    }
}

impl Signing for WorkOs {
    fn headers(&self, message: &Message, at: SystemTime) -> HeaderMap {
        let millis = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let signature = self.signature(&message.body, millis.as_millis());
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json; charset=utf-8"),
        );
        headers.insert(header::USER_AGENT, HeaderValue::from_static("WorkOS"));
        if let Ok(value) = HeaderValue::from_str(&signature) {
            headers.insert("workos-signature", value);
        }
        headers
    }
}

fn hmac(key: &[u8], millis: u128, body: &[u8]) -> String {
    // HMAC takes keys of any length.
    let Ok(mut code) = Hmac::<Sha256>::new_from_slice(key) else {
        return String::new();
    };
    code.update(format!("{millis}.").as_bytes());
    code.update(body);
    let code = code.finalize().into_bytes();
    code.iter().map(|byte| format!("{byte:02x}")).collect()
}
