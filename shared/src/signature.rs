//! Signing secrets, and the proof that a delivery was signed with one.
//!
//! Invariants: a [`Verified`] is made here and nowhere else, so no adapter can
//! read a body that was not verified. Nothing is read from a body before it is
//! verified, which takes a single HMAC over it.

use std::fmt;
use std::sync::OnceLock;

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use sha2::{Digest, Sha256};

use crate::json;
use crate::settings::Misconfigured;
use crate::time::{At, WallClock};

/// How far a delivery's timestamp may be off, in either direction.
/// Source: Standard Webhooks and Svix, "tolerance of 5 minutes".
const TOLERANCE_SECONDS: i64 = 5 * 60;

/// How many bytes a key has at least. A shorter one can be guessed, or is a
/// placeholder. Providers' own keys have 24 and more.
const SHORTEST_KEY: usize = 16;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A key that deliveries are signed with. Debug prints none of it.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Vec<u8>);

impl SigningSecret {
    /// A Svix or Standard Webhooks secret: base64, usually after `whsec_`.
    pub fn from_svix(secret: &str) -> Result<Self, BadSecret> {
        let encoded = secret.strip_prefix("whsec_").unwrap_or(secret);
        match BASE64.decode(encoded) {
            Ok(key) if !key.is_empty() => Self::long_enough(key),
            _ => Err(BadSecret::Unreadable),
        }
    }

    /// A secret whose own bytes are the key.
    pub fn from_bytes(secret: &str) -> Result<Self, BadSecret> {
        match secret.trim() {
            "" => Err(BadSecret::Unreadable),
            secret => Self::long_enough(secret.as_bytes().to_vec()),
        }
    }

    fn long_enough(key: Vec<u8>) -> Result<Self, BadSecret> {
        if key.len() < SHORTEST_KEY {
            return Err(BadSecret::TooShort);
        }
        Ok(Self(key))
    }

    /// The secret's `signing_secrets`, for a provider that signs as Svix does. An
    /// empty list means that the provider has not shown one yet.
    pub fn all_svix(secrets: Option<Vec<String>>) -> Result<Vec<Self>, Misconfigured> {
        Self::all(secrets, Self::from_svix)
    }

    /// The same for a provider whose secrets are the keys as they stand.
    pub fn all_bytes(secrets: Option<Vec<String>>) -> Result<Vec<Self>, Misconfigured> {
        Self::all(secrets, Self::from_bytes)
    }

    /// Refuses `signing_secrets` for a provider that signs nothing: the operator
    /// would believe that they protect something.
    pub fn none(secrets: Option<&Vec<String>>, provider: &str) -> Result<(), Misconfigured> {
        match secrets {
            None => Ok(()),
            Some(_) => Err(Misconfigured {
                field: "signing_secrets".to_owned(),
                problem: format!("is not used by {provider}: remove it"),
            }),
        }
    }

    fn all(
        secrets: Option<Vec<String>>,
        read: fn(&str) -> Result<Self, BadSecret>,
    ) -> Result<Vec<Self>, Misconfigured> {
        let refuse = |field: String, problem: String| Misconfigured { field, problem };
        secrets
            .ok_or_else(|| refuse("signing_secrets".to_owned(), "is missing".to_owned()))?
            .iter()
            .enumerate()
            .map(|(i, secret)| {
                read(secret).map_err(|e| refuse(format!("signing_secrets[{i}]"), e.to_string()))
            })
            .collect()
    }

    /// Whether one of the signatures is this secret's. The content is read
    /// once, however many signatures somebody claims.
    fn signs(&self, content: &[&[u8]], signatures: &[Vec<u8>]) -> bool {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("any key length");
        for part in content {
            mac.update(part);
        }
        signatures
            .iter()
            .any(|signature| mac.clone().verify_slice(signature).is_ok())
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(…)")
    }
}

/// The token in the deliveries of a provider that signs nothing.
#[derive(Clone)]
pub struct BearerToken(String);

impl BearerToken {
    /// Takes the token as it is in the secret.
    pub fn new(token: &str) -> Self {
        Self(token.trim().to_owned())
    }

    /// Whether `given` is the token. Digests are compared in constant time, so the
    /// time that takes does not tell how much of it is right.
    fn is(&self, given: &str) -> bool {
        let digest = |text: &str| {
            #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
            let mut mac = Hmac::<Sha256>::new_from_slice(b"token").expect("any key length");
            mac.update(text.as_bytes());
            mac
        };
        let given = digest(given).finalize().into_bytes();
        digest(&self.0).verify_slice(&given).is_ok()
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(…)")
    }
}

/// Why a signing secret can't be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// Not of the form that the provider's secrets have.
    #[error(
        "is empty or not what the provider shows: copy it again, whole, from the webhook's page"
    )]
    Unreadable,
    /// A key that somebody could guess.
    #[error(
        "is a key of less than 16 bytes: copy it again, whole, from the webhook's page; while the \
         provider has not shown one yet, leave signing_secrets an empty list"
    )]
    TooShort,
}

/// Why it is not believed that the provider sent a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forged {
    /// There is no signing secret yet.
    #[error(
        "signing_secrets is empty, so no delivery can be verified: add the signing secret that the \
         provider shows for this endpoint"
    )]
    NoSecretYet,
    /// A header of the signature is missing or makes no sense.
    #[error("the signature's (or token's) headers are missing or malformed")]
    Malformed,
    /// Signed too long ago, or in the future.
    #[error("the signature's timestamp is more than 5 minutes off")]
    Expired,
    /// No secret made this signature, or it is not the token.
    #[error(
        "no signing secret (or webhook_token) matches: check that the secret holds the one of this \
         very endpoint"
    )]
    Mismatch,
}

/// How the deliveries of a provider are verified, and by which keys.
pub enum Verifier {
    /// By a signature as Svix and Standard Webhooks make it.
    Svix(Vec<SigningSecret>),
    /// By a signature as WorkOS makes it.
    WorkOs(Vec<SigningSecret>),
    /// By a token, because the provider signs nothing.
    Bearer(BearerToken),
}

impl Verifier {
    /// Verifies a delivery that arrived at `now`.
    pub fn verify<'a>(
        &self,
        headers: &HeaderMap,
        body: &'a [u8],
        now: WallClock,
    ) -> Result<Verified<'a>, Forged> {
        match self {
            Self::Svix(secrets) => verify_svix(secrets, headers, body, now),
            Self::WorkOs(secrets) => verify_workos(secrets, headers, body, now),
            Self::Bearer(token) => verify_bearer(token, headers, body),
        }
    }

    /// Whether there is anything to verify a delivery by.
    pub fn has_secret(&self) -> bool {
        match self {
            Self::Svix(secrets) | Self::WorkOs(secrets) => !secrets.is_empty(),
            Self::Bearer(_) => true,
        }
    }
}

/// The body of a delivery that the provider signed, and the delivery's id.
#[derive(Clone)]
pub struct Verified<'a> {
    body: &'a [u8],
    /// Empty until somebody asks for it, if it has to be read from the body.
    event_id: OnceLock<String>,
}

impl<'a> Verified<'a> {
    /// The signed bytes.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The event's id, the same for all attempts to deliver it.
    pub fn event_id(&self) -> &str {
        self.event_id.get_or_init(|| id_in(self.body))
    }
}

impl fmt::Debug for Verified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verified(…)")
    }
}

/// Verifies a Svix or Standard Webhooks delivery: `svix-*` headers, or, unless
/// all three of them are there, the same as `webhook-*`. Any secret may match
/// any of the `v1` signatures.
///
/// Source: <https://docs.svix.com/receiving/verifying-payloads/how-manual>.
pub fn verify_svix<'a>(
    secrets: &[SigningSecret],
    headers: &HeaderMap,
    body: &'a [u8],
    now: WallClock,
) -> Result<Verified<'a>, Forged> {
    if secrets.is_empty() {
        return Err(Forged::NoSecretYet);
    }
    let svix = ["svix-id", "svix-timestamp", "svix-signature"];
    let prefix = match svix.iter().all(|name| headers.contains_key(*name)) {
        true => "svix",
        false => "webhook",
    };
    let header = |name: &str| text(headers, &format!("{prefix}-{name}"));
    let (id, timestamp) = (header("id")?, header("timestamp")?);
    let sent: i64 = timestamp.parse().map_err(|_| Forged::Malformed)?;
    if id.is_empty() || id.len() > 256 {
        return Err(Forged::Malformed);
    }
    let signatures: Vec<Vec<u8>> = header("signature")?
        .split(' ')
        .filter_map(|signature| BASE64.decode(signature.strip_prefix("v1,")?).ok())
        .collect();
    if signatures.is_empty() {
        return Err(Forged::Malformed);
    }
    check_age(now.seconds_since(sent))?;
    let content = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
    let signed = secrets
        .iter()
        .any(|secret| secret.signs(&content, &signatures));
    verified(signed, body, OnceLock::from(id.to_owned()))
}

/// When a Svix message was made, by its id: `msg_` and a KSUID, whose first 4
/// bytes count seconds since 2014. Retries keep the id.
///
/// Source: <https://github.com/svix/svix-webhooks>, `server/svix-ksuid`.
pub fn svix_time(event_id: &str) -> Option<At> {
    const DIGITS: usize = 27;
    const BYTES: usize = 20;
    const EPOCH: i64 = 1_400_000_000;
    let digits = event_id.strip_prefix("msg_")?.as_bytes();
    if digits.len() != DIGITS {
        return None;
    }
    let mut number = [0_u8; BYTES];
    for digit in digits {
        let mut carry = match digit {
            b'0'..=b'9' => u32::from(digit - b'0'),
            b'A'..=b'Z' => u32::from(digit - b'A') + 10,
            b'a'..=b'z' => u32::from(digit - b'a') + 36,
            _ => return None,
        };
        for byte in number.iter_mut().rev() {
            carry += u32::from(*byte) * 62;
            let [.., low] = carry.to_be_bytes();
            *byte = low;
            carry >>= 8;
        }
        if carry > 0 {
            return None;
        }
    }
    let [a, b, c, d, ..] = number;
    let seconds = i64::from(u32::from_be_bytes([a, b, c, d])) + EPOCH;
    At::from_millis(seconds * 1000)
}

/// Verifies a WorkOS delivery: `WorkOS-Signature: t=…, v1=…`, HMAC-SHA256 of
/// `{t}.{body}` in hexadecimal, under the whole secret, `whsec_` included.
/// `t` is in milliseconds; WorkOS' own emulator sends seconds.
///
/// Source: <https://workos.com/docs/events/data-syncing/webhooks>.
pub fn verify_workos<'a>(
    secrets: &[SigningSecret],
    headers: &HeaderMap,
    body: &'a [u8],
    now: WallClock,
) -> Result<Verified<'a>, Forged> {
    if secrets.is_empty() {
        return Err(Forged::NoSecretYet);
    }
    let mut timestamp = None;
    let mut signatures = Vec::new();
    for part in text(headers, "workos-signature")?.split(',') {
        match part.trim().split_once('=') {
            Some(("t", value)) => timestamp = Some(value),
            Some(("v1", value)) => signatures.extend(from_hex(value)),
            _ => {}
        }
    }
    let timestamp = timestamp.ok_or(Forged::Malformed)?;
    let sent: i64 = timestamp.parse().map_err(|_| Forged::Malformed)?;
    if signatures.is_empty() {
        return Err(Forged::Malformed);
    }
    let sent = if sent.unsigned_abs() < 100_000_000_000 {
        sent
    } else {
        sent.div_euclid(1000)
    };
    check_age(now.seconds_since(sent))?;
    let content = [timestamp.as_bytes(), b".", body];
    let signed = secrets
        .iter()
        .any(|secret| secret.signs(&content, &signatures));
    verified(signed, body, OnceLock::new())
}

/// Verifies a delivery that carries `Authorization: Bearer <token>` and no
/// signature. Of its sender it is only known that it knows the token.
pub fn verify_bearer<'a>(
    token: &BearerToken,
    headers: &HeaderMap,
    body: &'a [u8],
) -> Result<Verified<'a>, Forged> {
    let (scheme, given) = text(headers, "authorization")?
        .split_once(' ')
        .ok_or(Forged::Malformed)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Forged::Malformed);
    }
    verified(token.is(given.trim()), body, OnceLock::new())
}

/// The id of an event that no header names: the one in the body, or else one made
/// from the body's bytes.
fn id_in(body: &[u8]) -> String {
    let named = json::Fields::of_bytes(body)
        .ok()
        .and_then(|event| event_id(&event));
    named.unwrap_or_else(|| format!("sha256 {}", fingerprint(body)))
}

/// An event's own id, if a table can hold it.
pub(crate) fn event_id(event: &json::Fields<'_>) -> Option<String> {
    let fits = |id: &String| id.len() <= 256 && !id.chars().any(char::is_control);
    event.text("id").filter(fits)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || text.is_empty() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).ok())
        .collect()
}

/// The only value of a header. A header that is there twice is refused, because
/// a proxy may have checked the other one.
fn text<'h>(headers: &'h HeaderMap, name: &str) -> Result<&'h str, Forged> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().map_err(|_| Forged::Malformed),
        _ => Err(Forged::Malformed),
    }
}

fn check_age(seconds: i64) -> Result<(), Forged> {
    if seconds.saturating_abs() > TOLERANCE_SECONDS {
        return Err(Forged::Expired);
    }
    Ok(())
}

fn verified(signed: bool, body: &[u8], event_id: OnceLock<String>) -> Result<Verified<'_>, Forged> {
    if !signed {
        return Err(Forged::Mismatch);
    }
    Ok(Verified { body, event_id })
}

/// SHA-256 of some bytes, in hexadecimal.
pub fn fingerprint(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
pub(crate) mod tests;
