//! An answer about one user, a project, a token, a record: the first byte says whose, the second
//! of which status, the rest is the body.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use shared::exchange::{Answer, AnswerError};
use shared::profile::UserId;
use shared::provider::{Provider, Recorded, Since};
use shared::time::At;

use crate::providers::{check_event, check_profile, check_reason, check_request, provider, row};

/// The answer that a status byte and a body stand for.
pub(crate) fn answer(status: u8, body: &[u8]) -> Answer {
    const STATUSES: [u16; 8] = [200, 404, 400, 401, 403, 422, 200, 301];
    let mut headers = HeaderMap::new();
    if status >= 128 {
        headers.insert("x-total-count", http::HeaderValue::from(u16::from(status)));
    }
    Answer {
        status: StatusCode::from_u16(STATUSES[usize::from(status) % 8]).expect("a status"),
        headers,
        body: Bytes::copy_from_slice(body),
    }
}

pub(crate) fn run(bytes: &[u8]) {
    let [which, status, body @ ..] = bytes else {
        return;
    };
    let provider = provider(*which);
    let answer = answer(*status, body);
    let row = row(*which);
    for id in [row.fixtures.user, "x"] {
        let id = UserId::new(id).expect("an id");
        match provider.user(&id, &answer) {
            Ok(Some(profile)) => {
                assert_eq!(answer.status, StatusCode::OK);
                assert_eq!(profile.id, id);
                check_profile(&profile);
            }
            // Only a provider's own words make a tombstone.
            Ok(None) if answer.status == StatusCode::OK => {
                assert!(row.soft_deletions, "{}", row.name);
            }
            Ok(None) => assert!(body.starts_with(b"{") || body.contains(&b'{')),
            Err(misread) => check_misread(&misread),
        }
    }
    match provider.project(&answer) {
        Ok(project) => {
            assert!(project.is_none_or(|name| !name.is_empty() && !name.contains(char::is_control)))
        }
        Err(misread) => check_misread(&misread),
    }
    match provider.access_token(&answer) {
        Ok(token) => assert!(!format!("{token:?}").contains("Bearer")),
        Err(misread) => check_misread(&misread),
    }
    check_record(provider, &answer);
}

fn check_record(provider: &dyn Provider, answer: &Answer) {
    let Some(record) = provider.events() else {
        return;
    };
    for since in [
        Since::Event("event_1".to_owned()),
        Since::Time(At::from_micros(0)),
    ] {
        match record.read(&since, answer) {
            Ok(Recorded::Page { events, .. }) => {
                for recorded in &events {
                    if let Some(id) = &recorded.id {
                        check_request(&record.request(&Since::Event(id.clone())));
                        assert!(!id.contains('\0'));
                    }
                    match &recorded.event {
                        Ok(event) => check_event(provider, event),
                        Err(unreadable) => check_reason(&unreadable.to_string()),
                    }
                }
            }
            Ok(Recorded::CursorUnknown) => assert!(matches!(since, Since::Event(_))),
            Err(misread) => check_misread(&misread),
        }
    }
}

/// It says something, and repeats nothing.
pub(crate) fn check_misread(misread: &AnswerError) {
    let said = misread.to_string();
    assert!((6..400).contains(&said.len()), "{said:?}");
}
