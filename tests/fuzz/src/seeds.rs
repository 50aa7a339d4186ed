//! Inputs to begin with: the bodies that providers were seen to send, and the corner cases that
//! any of them could.

use serde_json::Value;
use tests::providers::{Fixtures, adapters};

use crate::bad;
use crate::providers::secrets;
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

/// Bodies of deliveries, each with the number of its adapter.
pub fn bodies() -> Vec<(u8, String)> {
    of_each(|fixtures| (fixtures.deliveries)())
}

/// Fixtures, each with the number of its adapter.
fn of_each<T>(which: fn(&Fixtures) -> Vec<T>) -> Vec<(u8, T)> {
    let rows = (0..).zip(adapters());
    rows.flat_map(|(number, row)| {
        which(&row.fixtures)
            .into_iter()
            .map(move |one| (number, one))
    })
    .collect()
}

pub(crate) fn deliveries() -> Vec<Vec<u8>> {
    let with = |(which, body): (u8, String)| [&[which], body.as_bytes()].concat();
    bodies().into_iter().map(with).collect()
}

pub(crate) fn users() -> Vec<Vec<u8>> {
    let with = |(which, (status, body)): (u8, (u16, String))| {
        [&[which, u8::from(status != 200)], body.as_bytes()].concat()
    };
    let answers = of_each(|fixtures| (fixtures.answers)());
    answers.into_iter().map(with).collect()
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
    let pages = of_each(|fixtures| (fixtures.pages)());
    pages.into_iter().flat_map(with).collect()
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
        .flat_map(|event| (0..).zip(adapters()).map(move |(which, _)| (which, event)))
        .map(|(which, event): (u8, _)| (which, smaller(event).expect("JSON")))
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
    let with_addresses = |mut secret: Value| {
        secret["database_url"] =
            "postgres://writer:p%40w@host:5432/db?sslmode=require&channel_binding=require".into();
        secret["admin_database_url"] =
            "postgresql://owner@[::1],other:1/db?target_session_attrs=any".into();
        secret["provider"]["api_url"] = "https://api.example.com/v1/".into();
        secret.to_string().into_bytes()
    };
    let mut seeds: Vec<Vec<u8>> = secrets().into_iter().map(with_addresses).collect();
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
