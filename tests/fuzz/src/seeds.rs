//! Inputs to begin with: the bodies that providers were seen to send, and the corner cases that
//! any of them could.

use serde_json::Value;

use crate::bad;
use crate::providers::settings as provider_settings;
use crate::signatures::SIGNED;

macro_rules! event {
    ($name:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../events/",
            $name,
            ".json"
        ))
    };
}

/// The body in a file that holds headers beside it.
fn body_of(file: &str) -> String {
    let file: Value = serde_json::from_str(file).expect("JSON");
    file["body"].as_str().expect("a body").to_owned()
}

/// Bodies of deliveries, by provider.
pub fn bodies() -> Vec<(u8, String)> {
    let mut bodies: Vec<(u8, String)> = [
        event!("stack/webhook_user_created"),
        event!("stack/webhook_user_updated"),
        event!("stack/webhook_user_deleted"),
    ]
    .into_iter()
    .map(|file| (0, body_of(file)))
    .collect();
    let captured: serde_json::Map<String, Value> =
        serde_json::from_str(event!("stack/captured")).expect("JSON");
    bodies.extend(
        captured
            .values()
            .map(|event| (0, event["payload"].to_string())),
    );
    let others = [
        (1, event!("clerk/user.created")),
        (1, event!("clerk/user.updated.phone_only")),
        (1, event!("clerk/user.deleted")),
        (2, event!("workos/user.created")),
        (2, event!("workos/user.updated")),
        (2, event!("workos/user.deleted")),
        (3, event!("auth0/user.created")),
        (3, event!("auth0/user.created.observed")),
        (3, event!("auth0/user.updated")),
        (3, event!("auth0/user.deleted")),
        (4, event!("supabase/dbwebhook.update")),
        (4, event!("supabase/dbwebhook.delete")),
    ];
    bodies.extend(others.map(|(which, body)| (which, body.to_owned())));
    bodies
}

/// Pages of listings, by provider.
fn pages() -> Vec<(u8, String)> {
    let user = event!("stack/user_full_2026_04");
    let stack =
        |next: &str| format!(r#"{{"items":[{user}],"pagination":{{"next_cursor":{next}}}}}"#);
    let mut pages = vec![(0, stack("null")), (0, stack(r#""u""#))];
    let others = [
        (1, event!("clerk/list.page1")),
        (1, event!("clerk/count")),
        (2, event!("workos/list.page1")),
        (2, event!("workos/events.page1")),
        (3, event!("auth0/list.page0")),
        (3, event!("auth0/list.400.over1000")),
        (4, event!("supabase/list.page1")),
        (4, event!("supabase/list.keyset")),
    ];
    pages.extend(others.map(|(which, page)| (which, page.to_owned())));
    pages
}

/// Answers about one user, by provider, with the byte of their status.
fn answers() -> Vec<(u8, u8, String)> {
    let first_of = |page: &str, field: Option<&str>| {
        let page: Value = serde_json::from_str(page).expect("JSON");
        let users = field.map_or(&page, |field| &page[field]);
        users[0].to_string()
    };
    let clerk = first_of(event!("clerk/list.page1"), None);
    let workos = first_of(event!("workos/list.page1"), Some("data"));
    let auth0 = first_of(event!("auth0/list.page0"), Some("users"));
    let supabase = first_of(event!("supabase/list.page1"), Some("users"));
    let mut answers = vec![
        (0, 0, event!("stack/user_full_2026_04").to_owned()),
        (0, 1, r#"{"code":"USER_NOT_FOUND","error":"…"}"#.to_owned()),
        (1, 0, clerk),
        (1, 0, r#"{"object":"instance","id":"ins_1"}"#.to_owned()),
        (
            1,
            0,
            r#"{"object":"instance","id":"ins\u007f1"}"#.to_owned(),
        ),
        (2, 0, workos),
        (
            2,
            0,
            r#"{"data":[{"id":"role_1","slug":"member"}]}"#.to_owned(),
        ),
        (3, 0, auth0),
        (
            3,
            0,
            r#"{"access_token":"t","expires_in":86400}"#.to_owned(),
        ),
        (4, 0, supabase),
    ];
    let others = [
        (1, 1, event!("clerk/get.404")),
        (2, 1, event!("workos/get.404")),
        (2, 0, event!("workos/events.page1")),
        (3, 1, event!("auth0/get.404")),
        (4, 1, event!("supabase/get.404.2024-01-01")),
        (4, 1, event!("supabase/get.404.legacy")),
    ];
    answers.extend(others.map(|(which, status, body)| (which, status, body.to_owned())));
    answers
}

pub(crate) fn deliveries() -> Vec<Vec<u8>> {
    let with = |(which, body): (u8, String)| [&[which], body.as_bytes()].concat();
    bodies().into_iter().map(with).collect()
}

pub(crate) fn users() -> Vec<Vec<u8>> {
    let with =
        |(which, status, body): (u8, u8, String)| [&[which, status], body.as_bytes()].concat();
    answers().into_iter().map(with).collect()
}

/// Walks of one page, of the same page twice, and on from a position.
pub(crate) fn listings() -> Vec<Vec<u8>> {
    let with = |(which, page): (u8, String)| {
        let page = page.as_bytes();
        let once = [&[which, 0], page].concat();
        let twice = [&once, &[0, 1][..], page].concat();
        let resumed = [
            &once,
            &b"\0\0{\"page\":100,\"cursor\":[],\"restarts\":0}"[..],
        ]
        .concat();
        [once, twice, resumed]
    };
    pages().into_iter().flat_map(with).collect()
}

pub(crate) fn json() -> Vec<Vec<u8>> {
    let texts = bodies().into_iter().map(|(_, body)| body);
    let texts: Vec<String> = texts
        .chain(bad::values().into_iter().filter(|value| value.len() < 4096))
        .collect();
    let mut seeds: Vec<Vec<u8>> = texts.iter().map(|text| text.clone().into_bytes()).collect();
    seeds.extend(texts.windows(2).map(|pair| pair.join("\0").into_bytes()));
    seeds.push(
        br#"{"id":"u","a":[{"t":1,"x":{"t":"}"}},"t"],"b":"e","t":1.5,"v":"2026-01-15T12:00:00Z"}"#
            .to_vec(),
    );
    seeds
}

/// Events of each front, each of another provider.
pub(crate) fn requests() -> Vec<Vec<u8>> {
    let events = [
        event!("lambda/webhook.user.created"),
        event!("lambda/webhook.user.created.base64"),
        event!("lambda/webhook.unsigned"),
        event!("lambda/webhook.get"),
        event!("lambda/webhook.http_api.1"),
        event!("lambda/webhook.http_api.2"),
        event!("lambda/webhook.rest"),
        event!("lambda/webhook.balancer"),
        event!("lambda/webhook.balancer.lists"),
        event!("lambda/reconcile.scheduled"),
        event!("lambda/provision.create"),
    ];
    let smaller = |event: &str| serde_json::from_str::<Value>(event).map(|e| e.to_string());
    let mut seeds: Vec<Vec<u8>> = events
        .iter()
        .flat_map(|event| (0..5).map(move |which| (which, event)))
        .map(|(which, event)| (which, smaller(event).expect("JSON")))
        .map(|(which, event)| [&[which], event.as_bytes()].concat())
        .collect();
    for (which, body) in bodies() {
        let event = serde_json::json!({"requestContext": {"http": {"method": "POST"}},
            "headers": {"authorization": "Bearer a token of some length"}, "body": body});
        seeds.push([&[which], event.to_string().as_bytes()].concat());
    }
    seeds
}

pub(crate) fn signatures() -> Vec<Vec<u8>> {
    // Svix's own example.
    let known = r#"{"email":"test@example.com","username":"test_user"}"#;
    let signature = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";
    [
        format!(
            "svix-id: msg_27UH4WbU6Z5A5EzD8u03UvzRbpk\nsvix-timestamp: {SIGNED}\nsvix-signature: v1,AAAA {signature} v1a,x\n\n{known}"
        ),
        format!("webhook-id: m\nwebhook-timestamp: {SIGNED}\nwebhook-signature: {signature}\n\n{{}}"),
        format!("workos-signature: t={SIGNED}000, v1={}\n\n{known}", "0f".repeat(32)),
        format!("authorization: Bearer t0ken\n\n{{\"id\":\"evt_1\",\"x\":{known}}}"),
    ]
    .map(String::into_bytes)
    .to_vec()
}

pub(crate) fn settings() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = provider_settings()
        .into_iter()
        .map(|(provider, signing)| {
            let mut secret = serde_json::json!({
                "database_url": "postgres://writer:p%40w@host:5432/db?sslmode=require&channel_binding=require",
                "admin_database_url": "postgresql://owner@[::1],other:1/db?target_session_attrs=any",
                "provider": provider,
            });
            secret["provider"]["api_url"] = "https://api.example.com/v1/".into();
            if let Some(signing) = signing {
                secret["signing_secrets"] = serde_json::json!([signing]);
            }
            secret.to_string().into_bytes()
        })
        .collect();
    let others = [
        event!("lambda/reconcile.dry_run"),
        event!("lambda/reconcile.max_deletes"),
        event!("lambda/reconcile.scheduled"),
        event!("lambda/provision.create"),
        event!("lambda/provision.update"),
        event!("lambda/provision.delete"),
        "2021-12-15T19:43:58.122073+02:00",
        "postgres://u:p%40w@h:5/d?connect_timeout=3&options=-c%20x&keepalives=1",
    ];
    seeds.extend(others.map(|text| text.as_bytes().to_vec()));
    seeds
}
