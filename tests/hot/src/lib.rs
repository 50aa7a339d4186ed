//! The work that each delivery and each listed user costs the processor: verifying and reading a
//! delivery, reading a profile, and printing it as Postgres does.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderValue};
use sha2::Sha256;
use shared::profile::Profile;
use shared::provider::{Event, Provider};
use shared::secret::Secret;
use shared::time::WallClock;

/// Clerk's, which tells all of a user.
const DELIVERY: &str = include_str!("../../../events/clerk/user.created.json");
/// Stack Auth's, as a listing shows it.
const LISTED: &str = include_str!("../../../events/stack/user_full_2026_04.json");
const KEY: [u8; 24] = [7; 24];
const SENT: u64 = 1_776_902_400;

/// A signed delivery, and a listed user.
pub struct Samples {
    clerk: Arc<dyn Provider>,
    stack: Arc<dyn Provider>,
    headers: HeaderMap,
    profile: Profile,
}

impl Samples {
    /// The delivery is signed here and now.
    #[expect(clippy::new_without_default, reason = "it works, and may fail")]
    #[expect(clippy::expect_used, reason = "the samples are known to be good")]
    pub fn new() -> Self {
        let clerk = provider(r#"{"name": "clerk", "secret_key": "sk_test_1"}"#);
        let stack = provider(
            r#"{"name": "stack", "project_id": "7b1d5a7e-6f0c-4c7e-9c53-0d9a4f0c2d11", "secret_server_key": "ssk_1"}"#,
        );
        let mut headers = HeaderMap::new();
        let values = [
            ("svix-id", "msg_3CjZ0123456789012345678901a".to_owned()),
            ("svix-timestamp", SENT.to_string()),
            ("svix-signature", signature()),
        ];
        for (name, value) in values {
            headers.insert(name, HeaderValue::try_from(value).expect("a header"));
        }
        let profile = stack.profile(LISTED).expect("a profile");
        Self {
            clerk,
            stack,
            headers,
            profile,
        }
    }

    /// Whether the delivery is the provider's, and what it tells.
    #[expect(clippy::expect_used, reason = "the samples are known to be good")]
    pub fn verify_and_read(&self) -> Event {
        let now = WallClock::from(UNIX_EPOCH + Duration::from_secs(SENT));
        let body = DELIVERY.as_bytes();
        let verified = self.clerk.verify(&self.headers, body, now);
        let verified = verified.expect("its signature is right");
        self.clerk.event(&verified).expect("a user")
    }

    /// A listed user.
    #[expect(clippy::expect_used, reason = "the samples are known to be good")]
    pub fn read(&self) -> Profile {
        self.stack.profile(LISTED).expect("a profile")
    }

    /// That user as Postgres prints the row.
    pub fn print(&self) -> Option<String> {
        self.profile.printed(&[])
    }
}

#[expect(clippy::expect_used, reason = "the samples are known to be good")]
fn provider(fields: &str) -> Arc<dyn Provider> {
    let secret = format!(
        r#"{{"database_url": "postgres://u@h/d", "signing_secrets": ["whsec_{}"], "provider": {fields}}}"#,
        BASE64.encode(KEY)
    );
    Secret::parse(&secret).expect("a secret").provider
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn signature() -> String {
    let mut code = Hmac::<Sha256>::new_from_slice(&KEY).expect("a key");
    code.update(format!("msg_3CjZ0123456789012345678901a.{SENT}.").as_bytes());
    code.update(DELIVERY.as_bytes());
    format!("v1,{}", BASE64.encode(code.finalize().into_bytes()))
}
