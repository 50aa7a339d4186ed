use super::*;
use crate::time::tests::clock;

/// A body taken for verified, for the tests of adapters.
pub(crate) fn trusted(body: &[u8]) -> Verified<'_> {
    Verified {
        body,
        event_id: OnceLock::from("msg_test".to_owned()),
    }
}

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const BODY: &[u8] = br#"{"email":"test@example.com","username":"test_user"}"#;
const SIGNATURE: &str = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";
const SIGNED_AT: i64 = 1_649_367_553;

fn verify(
    secrets: &[&str],
    headers: &[(&'static str, &str)],
    body: &[u8],
    now: i64,
) -> Result<String, Forged> {
    let secrets: Vec<_> = secrets
        .iter()
        .map(|s| SigningSecret::from_svix(s).unwrap())
        .collect();
    let headers = headers
        .iter()
        .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
        .collect();
    let now = clock(u64::try_from(now).unwrap() * 1000);
    verify_svix(&secrets, &headers, body, now).map(|v| v.event_id().to_owned())
}

fn headers(signature: &str) -> Vec<(&'static str, &str)> {
    vec![
        ("svix-id", "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk"),
        ("svix-timestamp", "1649367553"),
        ("svix-signature", signature),
    ]
}

#[test]
fn the_known_vector_is_accepted() {
    let id = Ok("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk".to_owned());
    assert_eq!(verify(&[SECRET], &headers(SIGNATURE), BODY, SIGNED_AT), id);
    let standard: Vec<_> = headers(SIGNATURE)
        .into_iter()
        .zip(["webhook-id", "webhook-timestamp", "webhook-signature"])
        .map(|((_, value), name)| (name, value))
        .collect();
    assert_eq!(verify(&[SECRET], &standard, BODY, SIGNED_AT), id);
}

#[test]
fn any_secret_may_match_any_signature() {
    let other = "whsec_dGVzdF9zaWduaW5nX3NlY3JldF8zMl9jaGFyc19sb25n";
    let several = format!("v1a,AAAA v1,AAAA {SIGNATURE}");
    assert!(verify(&[other, SECRET], &headers(&several), BODY, SIGNED_AT).is_ok());
    assert_eq!(
        verify(&[other], &headers(&several), BODY, SIGNED_AT),
        Err(Forged::Mismatch)
    );
}

#[test]
fn without_a_signing_secret_nothing_can_be_told_of_a_delivery() {
    for headers in [headers(SIGNATURE), Vec::new()] {
        assert_eq!(
            verify(&[], &headers, BODY, SIGNED_AT),
            Err(Forged::NoSecretYet)
        );
    }
    let none = verify_workos(&[], &HeaderMap::new(), BODY, clock(0));
    assert_eq!(none.err(), Some(Forged::NoSecretYet));
}

#[test]
fn a_header_that_is_there_twice_is_malformed() {
    for twice in ["svix-id", "svix-timestamp", "svix-signature"] {
        let mut headers = headers(SIGNATURE);
        let again = headers.iter().find(|(name, _)| *name == twice).copied();
        headers.extend(again);
        assert_eq!(
            verify(&[SECRET], &headers, BODY, SIGNED_AT),
            Err(Forged::Malformed),
            "{twice}"
        );
    }
}

#[test]
fn the_other_name_counts_where_the_headers_of_one_are_not_complete() {
    let standard = headers(SIGNATURE)
        .into_iter()
        .zip(["webhook-id", "webhook-timestamp", "webhook-signature"])
        .map(|((_, value), name)| (name, value));
    let mut both: Vec<_> = standard.collect();
    both.push(("svix-id", "msg_other"));
    assert!(verify(&[SECRET], &both, BODY, SIGNED_AT).is_ok());
    both.push(("svix-timestamp", "1649367553"));
    assert!(verify(&[SECRET], &both, BODY, SIGNED_AT).is_ok());
    both.push(("svix-signature", SIGNATURE));
    assert_eq!(
        verify(&[SECRET], &both, BODY, SIGNED_AT),
        Err(Forged::Mismatch)
    );
}

#[test]
fn a_messages_id_tells_when_it_was_made() {
    let seconds = |id: &str| svix_time(id).map(|at| at.as_micros() / 1_000_000);
    // Svix's own example, and one of April 2026.
    assert_eq!(seconds("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk"), Some(SIGNED_AT));
    assert_eq!(
        seconds("msg_3CjcQ8YmPFKJq7ScbXSD6o0jIxa"),
        Some(1_776_902_400)
    );
    assert_eq!(
        seconds(&format!("msg_{}", "0".repeat(27))),
        Some(1_400_000_000)
    );
    for none in [
        "",
        "msg_",
        "msg_1",
        "27UH4WbU6Z5A5EzD8u03UvzRbpk",
        "msg_27UH4WbU6Z5A5EzD8u03UvzRbp",
        "msg_27UH4WbU6Z5A5EzD8u03UvzRbpkk",
        "msg_27UH4WbU6Z5A5EzD8u03Uvz-bpk",
        "msg_zzzzzzzzzzzzzzzzzzzzzzzzzzz",
    ] {
        assert_eq!(seconds(none), None, "{none}");
    }
}

#[test]
fn the_id_in_a_body_is_read_when_it_is_asked_for() {
    let token = BearerToken::new("a token of some length");
    let mut headers = HeaderMap::new();
    let given = http::HeaderValue::from_static("Bearer a token of some length");
    headers.insert("authorization", given);
    let verified = verify_bearer(&token, &headers, br#"{"id":"evt_1"}"#).unwrap();
    assert_eq!(verified.event_id.get(), None);
    assert_eq!(verified.event_id(), "evt_1");
    assert_eq!(verified.event_id.get().unwrap(), "evt_1");
}

#[test]
fn a_timestamp_may_be_five_minutes_off_either_way() {
    let check = |now| verify(&[SECRET], &headers(SIGNATURE), BODY, now);
    assert!(check(SIGNED_AT + 300).is_ok());
    assert!(check(SIGNED_AT - 300).is_ok());
    assert_eq!(check(SIGNED_AT + 301), Err(Forged::Expired));
    assert_eq!(check(SIGNED_AT - 301), Err(Forged::Expired));
}

#[test]
fn every_signed_byte_counts() {
    let changed = [BODY, b" "].concat();
    assert_eq!(
        verify(&[SECRET], &headers(SIGNATURE), &changed, SIGNED_AT),
        Err(Forged::Mismatch)
    );
    let mut id = headers(SIGNATURE);
    id[0].1 = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpl";
    assert_eq!(
        verify(&[SECRET], &id, BODY, SIGNED_AT),
        Err(Forged::Mismatch)
    );
    let mut timestamp = headers(SIGNATURE);
    timestamp[1].1 = "1649367554";
    assert_eq!(
        verify(&[SECRET], &timestamp, BODY, SIGNED_AT),
        Err(Forged::Mismatch)
    );
}

#[test]
fn headers_that_make_no_sense_are_malformed() {
    for i in 0..3 {
        let mut missing = headers(SIGNATURE);
        missing.remove(i);
        assert_eq!(
            verify(&[SECRET], &missing, BODY, SIGNED_AT),
            Err(Forged::Malformed),
            "{i}"
        );
    }
    for signature in ["", "v1,", "v1", "v2,AAAA", "v1a,AAAA", "v1,*"] {
        let result = verify(&[SECRET], &headers(signature), BODY, SIGNED_AT);
        assert!(result.is_err(), "{signature}");
    }
    for timestamp in [
        "",
        "x",
        "1e9",
        "99999999999999999999",
        "-9223372036854775808",
    ] {
        let mut headers = headers(SIGNATURE);
        headers[1].1 = timestamp;
        assert!(
            verify(&[SECRET], &headers, BODY, SIGNED_AT).is_err(),
            "{timestamp}"
        );
    }
}

#[test]
fn a_key_has_16_bytes_at_least() {
    let svix = |length: usize| {
        let key = format!("whsec_{}", BASE64.encode(vec![7; length]));
        SigningSecret::from_svix(&key).map(|_| ())
    };
    assert_eq!(svix(15), Err(BadSecret::TooShort));
    assert_eq!(svix(16), Ok(()));
    // The stand-in that the README once told people to use.
    let stand_in = SigningSecret::from_svix("whsec_bm90IHlldA==");
    assert_eq!(stand_in, Err(BadSecret::TooShort));
    let bytes = |length: usize| SigningSecret::from_bytes(&"x".repeat(length)).map(|_| ());
    assert_eq!(bytes(15), Err(BadSecret::TooShort));
    assert_eq!(bytes(16), Ok(()));
}

#[test]
fn a_secret_is_not_empty_and_prints_nothing() {
    for empty in ["", "whsec_", "whsec_*"] {
        let bad = Err(BadSecret::Unreadable);
        assert_eq!(SigningSecret::from_svix(empty), bad, "{empty}");
    }
    assert_eq!(
        format!("{:?}", SigningSecret::from_svix(SECRET).unwrap()),
        "SigningSecret(…)"
    );
}
