//! Stack Auth, which now calls itself Hexclave.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Fixtures, Paging, Provider};
use crate::simulator::Stack;

pub(super) const STACK: Provider = Provider {
    name: "stack",
    other_name_of: None,
    title: "Stack Auth",
    project: || Arc::new(Stack::earlier()),
    settings: &[("project_id", "p-1"), ("secret_server_key", "ssk_1")],
    key: "secret_server_key",
    key_in_requests: true,
    token: false,
    variables: "STACK",
    silent_about_emails: true,
    paging: Paging {
        smallest: 3,
        in_position: "page",
        parameter: "limit",
        numbered: false,
        changes: &[
            (
                &[("cursor", None)],
                "does not begin with the user that was asked for",
            ),
            (&[("desc", Some("true"))], "shows the newest first"),
        ],
    },
    only_listings_lag: false,
    errors_are_listed: false,
    soft_deletions: false,
    hidden: &[],
    fixtures: Fixtures {
        deliveries,
        pages,
        answers,
        user: "3241a285-8329-4d69-8f3d-316e08cf140c",
    },
};

pub(super) const HEXCLAVE: Provider = Provider {
    name: "hexclave",
    other_name_of: Some("stack"),
    title: "Hexclave (Stack Auth)",
    project: || Arc::new(Stack::hexclave()),
    ..STACK
};

fn deliveries() -> Vec<String> {
    // These files hold headers beside the body.
    let body_of = |file: &str| {
        let file: Value = serde_json::from_str(file).expect("JSON");
        file["body"].as_str().expect("a body").to_owned()
    };
    let documented = [
        event!("stack/webhook_user_created"),
        event!("stack/webhook_user_updated"),
        event!("stack/webhook_user_deleted"),
    ];
    let captured: Map<String, Value> =
        serde_json::from_str(event!("stack/captured")).expect("JSON");
    let captured = captured.values().map(|event| event["payload"].to_string());
    documented
        .map(body_of)
        .into_iter()
        .chain(captured)
        .collect()
}

fn pages() -> Vec<String> {
    let user = event!("stack/user_full_2026_04");
    ["null", r#""u""#]
        .map(|next| format!(r#"{{"items":[{user}],"pagination":{{"next_cursor":{next}}}}}"#))
        .into()
}

fn answers() -> Vec<(u16, String)> {
    vec![
        (200, event!("stack/user_full_2026_04").to_owned()),
        (404, r#"{"code":"USER_NOT_FOUND","error":"…"}"#.to_owned()),
    ]
}
