//! Hostile bodies cost what harmless ones of their length cost: eight times the bytes, about
//! eight times the time. Something that grew with the square would take sixty-four times as long.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::Sha256;
use shared::json::{Fields, print_jsonb, same, storable, without};
use shared::signature::{BearerToken, SigningSecret, verify_bearer, verify_svix, verify_workos};
use shared::time::WallClock;

const SMALL: usize = 32 << 10;
const LARGE: usize = 256 << 10;

/// Between linear and square: a busy machine has cold caches.
const MOST: u32 = 30;

/// The time that this thread was given to work: other tests run at the same time.
fn worked() -> Duration {
    // The kernel brings the figure up to date at its ticks, and when a thread gives way.
    std::thread::yield_now();
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanos = spent.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.expect("nanoseconds"))
}

fn fastest(work: impl Fn()) -> Duration {
    let runs = (0..3).map(|_| {
        let before = worked();
        work();
        worked() - before
    });
    runs.min().unwrap_or_default()
}

fn check(what: &str, body: impl Fn(usize) -> String, work: impl Fn(&str)) {
    let (small, large) = (body(SMALL), body(LARGE));
    // A reader that takes no time at all has no ratio.
    let base = fastest(|| work(&small)).max(Duration::from_millis(1));
    let mut took = fastest(|| work(&large));
    // Time that is quadratic stays so; caches that others have emptied do not.
    for _ in 0..4 {
        if took >= base * MOST {
            took = took.min(fastest(|| work(&large)));
        }
    }
    assert!(took < base * MOST, "{what}: {base:?}, then {took:?}");
    assert!(took < Duration::from_secs(10), "{what}: {took:?}");
}

/// As often as it fits.
fn filled(open: &'static str, part: &'static str, close: &'static str) -> impl Fn(usize) -> String {
    move |length| format!("{open}{}{close}", part.repeat(length / part.len()))
}

fn nested(depth: usize) -> impl Fn(usize) -> String {
    move |length| {
        let inner = "1,".repeat(length / 2);
        format!("{}{inner}1{}", "[".repeat(depth), "]".repeat(depth))
    }
}

/// A text of about this many bytes.
type Text = Box<dyn Fn(usize) -> String>;

#[test]
fn hostile_json_is_read_in_a_time_that_grows_with_its_length() {
    let texts: Vec<(&str, Text)> = vec![
        ("brackets", Box::new(filled("", "[", ""))),
        ("NULs", Box::new(filled("[\"", "\\u0000", "\"]"))),
        ("surrogates", Box::new(filled("[\"", "\\ud800", "\"]"))),
        ("backslashes", Box::new(filled("[\"", "\\\\", "\"]"))),
        ("one key", Box::new(filled("{", "\"a\":1,", "\"a\":2}"))),
        ("one number", Box::new(filled("[1", "0", "]"))),
        ("a fraction", Box::new(filled("[0.", "0", "1e-9]"))),
        ("exponents", Box::new(filled("[", "1e9,", "1]"))),
        ("huge exponents", Box::new(filled("[", "1e1000,", "1]"))),
        (
            "blanks",
            Box::new(filled("{\"a\":[{\"b\":1,", " ", "\"token\":1}]}")),
        ),
        (
            "secrets",
            Box::new(filled("{\"a\":[", "{\"token\":\"x\"},", "1]}")),
        ),
        (
            "secrets in one",
            Box::new(filled("{\"a\":{", "\"token\":\"x\",", "\"b\":1}}")),
        ),
        ("10 deep", Box::new(nested(10))),
        ("10 000 deep", Box::new(nested(10_000))),
    ];
    for (what, text) in texts {
        check(what, &text, |text| drop(storable(text)));
        check(what, &text, |text| {
            let _ = print_jsonb(text, &mut String::new());
        });
        check(what, &text, |text| {
            drop(without(text, "a", |key| key == "token"))
        });
        check(what, &text, |text| {
            same(text, &format!(" {text}"));
        });
        check(what, &text, |text| {
            let fields = Fields::of(text);
            let _ = fields.map(|fields| fields.array("a").map(|items| items.len()));
        });
    }
}

/// Bytes of a body whose HMAC takes longer than all else, although that alone is compiled for
/// speed here.
const WHOLE: usize = 16 << 20;

/// An HMAC over a body, as each verification makes one.
fn hmac(body: &[u8]) {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"a key of some length").expect("a key");
    mac.update(body);
    assert!(mac.verify_slice(&[0; 32]).is_err());
}

/// The most that `work` costs in terms of `base`, as far as a busy machine lets it be seen.
fn ratio(base: impl Fn(), work: impl Fn()) -> f64 {
    let mut least = [f64::MAX; 2];
    for _ in 0..30 {
        for (least, work) in least.iter_mut().zip([&base as &dyn Fn(), &work]) {
            let before = worked();
            work();
            *least = least.min((worked() - before).as_secs_f64());
        }
    }
    least[1] / least[0]
}

#[test]
fn a_forged_delivery_costs_its_hmac_and_a_good_one_no_second() {
    let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let svix = [SigningSecret::from_svix(secret).expect("one")];
    let workos = [SigningSecret::from_bytes(secret).expect("one")];
    let token = BearerToken::new("a token of some length");
    let now = WallClock::from(UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    // It takes long to read, and its id is at its end.
    let body = filled("{\"a\":[", "{\"id\":\"x\"},", "1],\"id\":\"x\"}")(WHOLE);
    let body = body.as_bytes();
    let signed = |key: &[u8], content: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key");
        mac.update(content.as_bytes());
        mac.update(body);
        mac.finalize().into_bytes()
    };
    let base64 = base64::engine::general_purpose::STANDARD;
    let key = base64.decode(&secret["whsec_".len()..]).expect("base64");
    let good = base64.encode(signed(&key, "msg_1.1700000000."));
    let hex: String = signed(secret.as_bytes(), "1700000000000.")
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let headers = |svix: &str, workos: &str, token: &str| {
        let of = |text: String| HeaderValue::from_str(&text).expect("a header");
        HeaderMap::from_iter([
            (HeaderName::from_static("svix-id"), of("msg_1".to_owned())),
            (
                HeaderName::from_static("svix-timestamp"),
                of("1700000000".to_owned()),
            ),
            (
                HeaderName::from_static("svix-signature"),
                of(format!("v1,{svix}")),
            ),
            (
                HeaderName::from_static("workos-signature"),
                of(format!("t=1700000000000, v1={workos}")),
            ),
            (
                HeaderName::from_static("authorization"),
                of(format!("Bearer {token}")),
            ),
        ])
    };
    let forged = headers(&"A".repeat(43), &"0f".repeat(32), "no token");
    let good = headers(&good, &hex, "a token of some length");
    for (what, headers, is_good) in [("forged", &forged, false), ("good", &good, true)] {
        let check = |name: &str, most: f64, verify: &dyn Fn() -> bool| {
            let cost = ratio(|| hmac(body), || assert_eq!(verify(), is_good));
            assert!(cost < most, "{what} {name}: {cost} of an HMAC");
        };
        check("Svix", 1.2, &|| {
            verify_svix(&svix, headers, body, now).is_ok()
        });
        check("WorkOS", 1.2, &|| {
            verify_workos(&workos, headers, body, now).is_ok()
        });
        check("token", 0.2, &|| {
            verify_bearer(&token, headers, body).is_ok()
        });
    }
}

#[test]
fn many_claimed_signatures_cost_no_more_than_one() {
    let secrets =
        [SigningSecret::from_svix("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").expect("one")];
    let now = WallClock::from(UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    let body = vec![b'x'; WHOLE];
    let svix = |count: usize| {
        let mut headers = HeaderMap::new();
        let signatures = format!("v1,{} ", "A".repeat(43)).repeat(count);
        let of = |text: &str| HeaderValue::from_str(text).expect("a header");
        headers.insert("svix-id", of("msg_1"));
        headers.insert("svix-timestamp", of("1700000000"));
        headers.insert("svix-signature", of(signatures.trim()));
        headers.insert(
            "workos-signature",
            of(&format!(
                "t=1700000000000{}",
                format!(",v1={}", "0f".repeat(32)).repeat(count)
            )),
        );
        headers
    };
    let time = |headers: &HeaderMap| {
        fastest(|| {
            assert!(verify_svix(&secrets, headers, &body, now).is_err());
            assert!(verify_workos(&secrets, headers, &body, now).is_err());
        })
    };
    let (one, many) = (time(&svix(1)), time(&svix(1_000)));
    assert!(many < one * 8, "{one:?}, then {many:?}");
}
