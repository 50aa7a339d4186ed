//! A delivery's headers: lines of `name: value`, then an empty line, then the body.

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue};
use shared::signature::{BearerToken, SigningSecret, verify_bearer, verify_svix, verify_workos};
use shared::time::WallClock;

/// The moment that the seeds were signed at.
pub(crate) const SIGNED: u64 = 1_649_367_553;

pub(crate) fn run(bytes: &[u8]) {
    let at = bytes.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = match at {
        Some(at) => (&bytes[..at], &bytes[at + 2..]),
        None => (bytes, &b""[..]),
    };
    let mut headers = HeaderMap::new();
    for line in head.split(|byte| *byte == b'\n').take(64) {
        let colon = line.iter().position(|byte| *byte == b':');
        let Some((name, value)) = colon.map(|at| (&line[..at], &line[at + 1..])) else {
            continue;
        };
        let name = HeaderName::from_bytes(name);
        let value = HeaderValue::from_bytes(value.trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    let now = WallClock::from(UNIX_EPOCH + Duration::from_secs(SIGNED));
    let secrets: Vec<_> = [
        "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        "whsec_AAAAAAAAAAAAAAAAAAAAAA",
    ]
    .into_iter()
    .filter_map(|secret| SigningSecret::from_svix(secret).ok())
    .collect();
    let token = BearerToken::new("t0ken");
    for verified in [
        verify_svix(&secrets, &headers, body, now),
        verify_workos(&secrets, &headers, body, now),
        verify_bearer(&token, &headers, body),
    ]
    .into_iter()
    .flatten()
    {
        assert_eq!(verified.body(), body);
        assert!((1..=256).contains(&verified.event_id().len()));
    }
    // Without a secret nothing is signed, whatever it says.
    assert!(verify_svix(&[], &headers, body, now).is_err());
    assert!(verify_workos(&[], &headers, body, now).is_err());
    if let Ok(text) = std::str::from_utf8(head) {
        let _ = SigningSecret::from_svix(text);
        let _ = SigningSecret::from_bytes(text);
    }
}
