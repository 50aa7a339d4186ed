//! Signatures, held against the `standardwebhooks` crate and Svix's own vector.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use axum::http::HeaderMap;
use bytes::Bytes;
use standardwebhooks::Webhook;
use tests::sender::{Signing, Svix};
use tests::simulator::Message;

const KNOWN: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const OTHER: &str = "whsec_dGVzdF9zaWduaW5nX3NlY3JldF8zMl9jaGFyc19sb25n";

fn message() -> Message {
    Message {
        id: "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk".to_owned(),
        kind: "test".to_owned(),
        body: Bytes::from_static(br#"{"email":"test@example.com","username":"test_user"}"#),
        made_at: 0,
    }
}

fn signature(headers: &HeaderMap) -> Result<&str> {
    let value = headers.get("svix-signature").context("unsigned")?;
    Ok(value.to_str()?)
}

#[test]
fn the_known_vector_is_signed_as_svix_signs_it() -> Result<()> {
    let at = UNIX_EPOCH + Duration::from_secs(1_649_367_553);
    let headers = Svix::new([KNOWN])?.headers(&message(), at);
    assert_eq!(headers["svix-id"], "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk");
    assert_eq!(headers["svix-timestamp"], "1649367553");
    assert_eq!(
        headers["svix-signature"],
        "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="
    );
    Ok(())
}

#[test]
fn standard_webhooks_accepts_what_is_signed_now() -> Result<()> {
    let now = SystemTime::now();
    for signing in [
        Svix::new([KNOWN])?,
        Svix::new([KNOWN])?.asymmetric_too(),
        Svix::new([OTHER, KNOWN])?,
        Svix::new([KNOWN, OTHER])?.asymmetric_too(),
    ] {
        let headers = signing.standard_names().headers(&message(), now);
        Webhook::new(KNOWN)?.verify(&message().body, &headers)?;
    }
    Ok(())
}

#[test]
fn standard_webhooks_refuses_another_body_secret_and_time() -> Result<()> {
    let now = SystemTime::now();
    let signing = Svix::new([KNOWN])?.standard_names();
    let headers = signing.headers(&message(), now);
    assert!(Webhook::new(KNOWN)?.verify(b"{}", &headers).is_err());
    assert!(
        Webhook::new(OTHER)?
            .verify(&message().body, &headers)
            .is_err()
    );
    let early = signing.headers(&message(), now - Duration::from_secs(360));
    assert!(
        Webhook::new(KNOWN)?
            .verify(&message().body, &early)
            .is_err()
    );
    Ok(())
}

#[test]
fn a_rotation_signs_once_with_each_secret() -> Result<()> {
    let at = UNIX_EPOCH + Duration::from_secs(1_649_367_553);
    let signing = Svix::new([KNOWN, OTHER])?.asymmetric_too();
    let headers = signing.headers(&message(), at);
    let signatures: Vec<&str> = signature(&headers)?.split(' ').collect();
    assert_eq!(signatures.len(), 3);
    assert!(signatures[0].starts_with("v1a,"));
    for (secret, signature) in [KNOWN, OTHER].into_iter().zip(&signatures[1..]) {
        let oracle = Webhook::new(secret)?;
        let expected = oracle.sign(&message().id, 1_649_367_553, &message().body)?;
        assert_eq!(**signature, expected);
    }
    Ok(())
}

#[test]
fn a_secret_without_its_prefix_or_base64_is_refused() {
    assert!(Svix::new(["C2FVsBQIhrscChlQIMV+b5sSYspob7oD"]).is_err());
    assert!(Svix::new(["whsec_!"]).is_err());
    assert!(Svix::new([""; 0]).is_err());
}
