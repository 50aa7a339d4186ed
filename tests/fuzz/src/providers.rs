//! The adapters under test, and promises about whatever they read.

use std::sync::{Arc, OnceLock};

use http::HeaderMap;
use serde_json::{Value, json};
use shared::exchange::Request;
use shared::json::storable;
use shared::profile::{Observation, Profile, UserId};
use shared::provider::{Event, Provider, Told};
use shared::secret::Secret;
use shared::signature::{BearerToken, Verified, verify_bearer};
use shared::time::At;
use tests::providers::{Provider as Row, TOKEN, adapters};

/// A secret for each adapter: only what its provider says differs.
pub(crate) fn secrets() -> Vec<Value> {
    let secret = |row: &Row| {
        let mut secret = json!({"database_url": "postgres://u@h/d", "provider": row.example()});
        if !row.token {
            secret["signing_secrets"] = json!([SVIX]);
        }
        secret
    };
    adapters().map(secret).collect()
}

const SVIX: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// The row of the adapter that a byte stands for.
pub(crate) fn row(number: u8) -> &'static Row {
    let rows: Vec<_> = adapters().collect();
    rows[usize::from(number) % rows.len()]
}

/// One of the adapters.
pub(crate) fn provider(number: u8) -> &'static dyn Provider {
    static ALL: OnceLock<Vec<Arc<dyn Provider>>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let parse = |secret: Value| Secret::parse(&secret.to_string()).expect("a secret");
        let secrets = secrets().into_iter().map(parse);
        secrets.map(|secret| secret.provider).collect()
    });
    &*all[usize::from(number) % all.len()]
}

/// A delivery with this body, for whichever adapter: a token says nothing of the body.
pub(crate) fn verified(body: &[u8]) -> Verified<'_> {
    let mut headers = HeaderMap::new();
    headers.insert(
        "authorization",
        http::HeaderValue::from_static("Bearer a token of some length"),
    );
    verify_bearer(&BearerToken::new(TOKEN), &headers, body).expect("the token")
}

/// Checks the rules that hold for every profile, wherever it was read.
pub(crate) fn check_profile(profile: &Profile) {
    check_id(&profile.id);
    let stored = storable(&profile.raw_json).expect("a profile's JSON is storable");
    assert_eq!(stored, profile.raw_json, "storable once, storable as it is");
    for column in [&profile.name, &profile.email].into_iter().flatten() {
        assert!(!column.contains('\0'), "a column holds NUL");
    }
    for at in [profile.created_at, profile.version].into_iter().flatten() {
        check_time(at);
    }
    let shown = format!("{profile:?}");
    assert!(shown.len() < 200, "Debug prints a profile");
    if let Some(printed) = profile.printed(&[]) {
        assert!(!printed.contains('\0'));
    }
    assert!(profile.shows(profile, &[]), "a profile shows itself");
}

pub(crate) fn check_id(id: &UserId) {
    assert!(UserId::new(id.as_str()).is_ok());
}

fn check_time(at: At) {
    assert!(At::from_millis(at.as_micros().div_euclid(1000)).is_some());
    assert_eq!(At::from_system(at.to_system()), at);
    assert_eq!(At::from_rfc3339(&at.to_rfc3339()), Some(at));
}

/// Checks the rules that hold for everything that an event tells.
pub(crate) fn check_event(provider: &dyn Provider, event: &Event) {
    match event {
        Event::OfNoUser => {}
        Event::Statement(Observation::Present { profile, at }) => {
            check_profile(profile);
            check_time(*at);
            check_request(&provider.user_request(&profile.id));
        }
        Event::Statement(Observation::Gone { id, at }) => {
            check_id(id);
            check_time(*at);
        }
        Event::Hint { id, told } => {
            check_id(id);
            check_request(&provider.user_request(id));
            if let Told::Exists { profile, .. } = told {
                profile.iter().for_each(check_profile);
            }
        }
    }
}

/// A request that an adapter makes is one that can be sent.
pub(crate) fn check_request(request: &Request) {
    assert!(request.uri().authority().is_some());
    assert!(request.uri().to_string().len() < 32_768);
}

/// A reason that a person is to read.
pub(crate) fn check_reason(reason: &str) {
    assert!((6..200).contains(&reason.len()), "{reason:?}");
}
