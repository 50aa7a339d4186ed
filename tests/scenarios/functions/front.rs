//! `webhook` and each front that can stand before it, and events that nobody expects: no event ends
//! the process, and each is answered by the contract's table.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use tests::function::Function;
use tests::stage::{Stage, signing_secret};

use tests::letter::{Letter, event_id};

const LIMIT: Duration = Duration::from_secs(30);

/// A front that can stand before the function.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Front {
    Url,
    HttpApi1,
    HttpApi2,
    Rest,
    Balancer,
    BalancerOfLists,
}

const FRONTS: [Front; 6] = [
    Front::Url,
    Front::HttpApi1,
    Front::HttpApi2,
    Front::Rest,
    Front::Balancer,
    Front::BalancerOfLists,
];

/// How a header's name is written.
const CASES: [fn(&str) -> String; 3] = [str::to_lowercase, str::to_uppercase, |name| {
    let parts = name.split('-').map(|part| {
        let (first, rest) = part.split_at(1);
        first.to_uppercase() + rest
    });
    parts.collect::<Vec<_>>().join("-")
}];

impl Front {
    /// The event, made of AWS' own example.
    fn event(self, letter: &Letter, case: fn(&str) -> String, is_base64: bool) -> Result<Value> {
        let example = match self {
            Self::Url => include_str!("../../../events/lambda/webhook.user.created.json"),
            Self::HttpApi1 => include_str!("../../../events/lambda/webhook.http_api.1.json"),
            Self::HttpApi2 => include_str!("../../../events/lambda/webhook.http_api.2.json"),
            Self::Rest => include_str!("../../../events/lambda/webhook.rest.json"),
            Self::Balancer => include_str!("../../../events/lambda/webhook.balancer.json"),
            Self::BalancerOfLists => {
                include_str!("../../../events/lambda/webhook.balancer.lists.json")
            }
        };
        let mut event: Value = serde_json::from_str(example)?;
        let headers = [
            ("host", "example.com"),
            ("content-type", "application/json"),
            ("svix-id", &letter.id),
            ("svix-timestamp", &letter.timestamp),
            ("svix-signature", &letter.signature),
        ];
        let with = |value: fn(&str) -> Value| -> Map<String, Value> {
            let headers = headers.iter();
            headers
                .map(|(name, text)| (case(name), value(text)))
                .collect()
        };
        for (field, value) in [
            ("headers", (|text: &str| json!(text)) as fn(&str) -> Value),
            ("multiValueHeaders", |text: &str| json!([text])),
        ] {
            if event.get(field).is_some() {
                event[field] = with(value).into();
            }
        }
        event["isBase64Encoded"] = is_base64.into();
        event["body"] = match is_base64 {
            true => STANDARD.encode(&letter.body).into(),
            false => String::from_utf8(letter.body.clone())?.into(),
        };
        Ok(event)
    }

    /// The whole answer with this status.
    fn answer(self, status: u16, words: &str) -> Value {
        let headers = match self {
            Self::BalancerOfLists => "multiValueHeaders",
            _ => "headers",
        };
        let mut answer =
            json!({"statusCode": status, headers: {}, "body": "", "isBase64Encoded": false});
        if matches!(self, Self::Balancer | Self::BalancerOfLists) {
            answer["statusDescription"] = format!("{status} {words}").into();
        }
        if matches!(self, Self::Url | Self::HttpApi2) {
            answer["cookies"] = json!([]);
        }
        answer
    }

    fn method(self) -> &'static str {
        match self {
            Self::Url | Self::HttpApi2 => "/requestContext/http/method",
            _ => "/httpMethod",
        }
    }
}

#[tokio::test]
async fn every_front_gets_the_same_answers() -> Result<()> {
    let stage = Stage::new().await?;
    let webhook = stage.start("webhook").await?;
    for front in FRONTS {
        for case in CASES {
            for is_base64 in [false, true] {
                let check = async |letter: &Letter, change: &dyn Fn(&mut Value), status, words| {
                    let mut event = front.event(letter, case, is_base64)?;
                    change(&mut event);
                    let answer = webhook.invoke(event.clone()).await?;
                    ensure!(answer == front.answer(status, words), "{front:?}: {answer}");
                    Ok(())
                };
                let id = stage.simulator.create("Zoë 梅", "zoe@example.com")?;
                for message in stage.simulator.take_messages() {
                    let secret = stage.signing_secret();
                    let letter = Letter::new(&secret, &message.id, &message.body);
                    check(&letter, &|_| (), 200, "OK").await?;
                    let get = |event: &mut Value| {
                        *event.pointer_mut(front.method()).expect("a method") = "GET".into();
                    };
                    check(&letter, &get, 405, "Method Not Allowed").await?;
                    let garbled = |event: &mut Value| {
                        event["isBase64Encoded"] = true.into();
                        event["body"] = "*".into();
                    };
                    check(&letter, &garbled, 401, "Unauthorized").await?;
                }
                let secret = stage.signing_secret();
                let unread = Letter::new(&secret, &event_id(), b"no JSON");
                check(&unread, &|_| (), 400, "Bad Request").await?;
                let forged = Letter::new(&signing_secret(), &event_id(), b"{}");
                check(&forged, &|_| (), 401, "Unauthorized").await?;
                let large = vec![b' '; (1 << 20) + 1];
                let large = Letter::new(&secret, &event_id(), &large);
                check(&large, &|_| (), 413, "Payload Too Large").await?;
                ensure!(stage.the_row(&id).await?.lives());
            }
        }
    }
    stage.assert_in_sync().await
}

/// Requests as anybody can send them, or a proxy makes them, all of them signed.
fn oddities() -> Vec<(&'static str, Value)> {
    let query = |text: &str| json!({"rawQueryString": text, "queryStringParameters": {"a": text}});
    let header = |name: &str, value: &str| json!({"headers": {name: value}});
    vec![
        ("a blank in the query", query("a=b c")),
        ("quotes in the query", query("a=\"x\"")),
        ("brackets in the query", query("a=<b>")),
        ("a broken escape in the query", query("%zz&%&=%ff")),
        ("controls in the query", query("\u{0}\n\u{7f}")),
        ("a long query", query(&"x".repeat(70_000))),
        ("no query", json!({"rawQueryString": null})),
        (
            "a query that is none",
            json!({"rawQueryString": {"a": [1]}}),
        ),
        ("a host with a blank", header("host", "a b")),
        ("no host", header("host", "")),
        ("a host that is a path", header("host", "/..//@:::")),
        (
            "a scheme with a blank",
            header("x-forwarded-proto", "ht tp"),
        ),
        (
            "a port that is none",
            header("x-forwarded-port", "99999999999"),
        ),
        ("a header with a line end", header("x-a", "a\r\nb: c")),
        ("a header with NUL", header("x-a", "\u{0}")),
        ("a header that is no ASCII", header("x-a", "ü\u{ffff}")),
        ("a header without a name", header("", "x")),
        ("a header's name with a blank", header("x a", "x")),
        (
            "a header's name that is long",
            header(&"x".repeat(70_000), "x"),
        ),
        ("a long header", header("x-a", &"x".repeat(1 << 20))),
        ("a header that is a number", json!({"headers": {"x-a": 17}})),
        (
            "a header that is a list",
            json!({"headers": {"x-a": ["a"]}}),
        ),
        ("a header that is null", json!({"headers": {"x-a": null}})),
        (
            "cookies that make no sense",
            json!({"cookies": ["a b=c;=;", "\u{0}", ""]}),
        ),
        ("cookies that are none", json!({"cookies": {"a": 7}})),
        ("a path with blanks", json!({"rawPath": "/a b/<c>/\"d\""})),
        (
            "a path of 70 kB",
            json!({"rawPath": format!("/{}", "x".repeat(70_000))}),
        ),
        ("a path that is none", json!({"rawPath": null})),
        ("another version", json!({"version": "3.7"})),
        (
            "a stage and a route",
            json!({"stageVariables": {"a": "b"}, "routeKey": 7}),
        ),
        (
            "a time that is none",
            json!({"requestContext": {"timeEpoch": -1e300, "time": 7}}),
        ),
        (
            "a certificate",
            json!({"requestContext": {"authentication": {"clientCert": 1}}}),
        ),
        (
            "an authorizer",
            json!({"requestContext": {"authorizer": {"jwt": [], "iam": {}}}}),
        ),
    ]
}

fn merge(event: &mut Value, change: &Value) {
    match (event, change) {
        (Value::Object(event), Value::Object(change)) => {
            for (name, value) in change {
                merge(event.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (event, change) => *event = change.clone(),
    }
}

#[tokio::test]
async fn an_odd_request_does_not_end_the_process() -> Result<()> {
    let stage = Stage::new().await?;
    let webhook = stage.start("webhook").await?;
    let body = br#"{"type":"stack.test","data":{}}"#;
    for (what, change) in oddities() {
        for (secret, status) in [(stage.signing_secret(), 200), (signing_secret(), 401)] {
            let letter = Letter::new(&secret, &event_id(), body);
            let mut event = Front::Url.event(&letter, str::to_lowercase, false)?;
            merge(&mut event, &change);
            let answer = webhook.invoke(event).await;
            let answer = answer.with_context(|| what.to_owned())?;
            assert_eq!(answer, Front::Url.answer(status, ""), "{what}");
        }
    }
    ensure!(webhook.is_running());
    Ok(())
}

#[tokio::test]
async fn an_event_that_is_no_request_does_not_end_the_process() -> Result<()> {
    let stage = Stage::new().await?;
    let webhook = stage.start("webhook").await?;
    let nested = |open: &str, depth: usize, close: &str| {
        format!("{}1{}", open.repeat(depth), close.repeat(depth))
    };
    let post = r#"{"requestContext":{"http":{"method":"POST"}}"#;
    let events: Vec<(Vec<u8>, u16)> = vec![
        (b"".to_vec(), 405),
        (b"{".to_vec(), 405),
        (b"\xff".to_vec(), 405),
        (b"\"\xff\"".to_vec(), 405),
        (b"{}".to_vec(), 405),
        (b"[]".to_vec(), 405),
        (b"null".to_vec(), 405),
        (b"\"\"".to_vec(), 405),
        (b"17".to_vec(), 405),
        (b"1e999".to_vec(), 405),
        (b"{} {}".to_vec(), 405),
        (br#""\ud800""#.to_vec(), 405),
        (
            br#"{"Records":[{"eventSource":"aws:sqs","body":"{}"}]}"#.to_vec(),
            405,
        ),
        (
            br#"{"source":"aws.events","detail-type":"Scheduled Event","detail":{}}"#.to_vec(),
            405,
        ),
        (
            br#"{"RequestType":"Create","ResponseURL":"http://127.0.0.1:1/"}"#.to_vec(),
            405,
        ),
        (br#"{"httpMethod":["POST"]}"#.to_vec(), 405),
        (br#"{"httpMethod":"post"}"#.to_vec(), 405),
        (
            br#"{"requestContext":{"http":{"method":"PO ST"}}}"#.to_vec(),
            405,
        ),
        (
            br#"{"requestContext":{"elb":null},"httpMethod":"POST"}"#.to_vec(),
            401,
        ),
        (nested("[", 100_000, "]").into_bytes(), 405),
        (
            nested(r#"{"requestContext":"#, 100_000, "}").into_bytes(),
            405,
        ),
        (format!("{post}}}").into_bytes(), 401),
        (
            format!(r#"{post},"headers":[],"multiValueHeaders":"x"}}"#).into_bytes(),
            401,
        ),
        (
            format!(r#"{post},"body":{}}}"#, nested("[", 100_000, "]")).into_bytes(),
            401,
        ),
        (
            format!(r#"{post},"body":"*","isBase64Encoded":true}}"#).into_bytes(),
            401,
        ),
        (
            format!(
                r#"{post},"body":"{}","isBase64Encoded":true}}"#,
                "*".repeat(2 << 20)
            )
            .into_bytes(),
            413,
        ),
        (
            format!(r#"{post},"body":"{}"}}"#, "x".repeat(5 << 20)).into_bytes(),
            413,
        ),
    ];
    for (event, status) in events {
        let shown = String::from_utf8_lossy(&event[..event.len().min(100)]).into_owned();
        let answer = webhook.invoke_bytes(event, LIMIT).await;
        let answer = answer.with_context(|| shown.clone())?;
        assert_eq!(answer["statusCode"], status, "{shown}: {answer}");
    }
    ensure!(webhook.is_running());
    ensure!(stage.rejections().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_header_given_twice_proves_nothing() -> Result<()> {
    let stage = Stage::new().await?;
    let webhook = stage.start("webhook").await?;
    let body = br#"{"type":"stack.test","data":{}}"#;
    let good = Letter::new(&stage.signing_secret(), &event_id(), body);
    for name in ["svix-id", "svix-timestamp", "svix-signature"] {
        let mut event = Front::Rest.event(&good, str::to_lowercase, false)?;
        let values = &mut event["multiValueHeaders"][name];
        let value = values[0].clone();
        *values = json!([value, "x"]);
        assert_eq!(webhook.invoke(event.clone()).await?["statusCode"], 401);
        event["multiValueHeaders"][name] = json!(["x", value]);
        assert_eq!(webhook.invoke(event).await?["statusCode"], 401);
    }
    let event = Front::Rest.event(&good, str::to_lowercase, false)?;
    assert_eq!(webhook.invoke(event).await?["statusCode"], 200);
    Ok(())
}

// No signing secret yet.

#[tokio::test]
async fn without_a_signing_secret_everything_is_to_be_sent_again() -> Result<()> {
    let stage = Stage::new().await?;
    let shown = stage.signing_secret();
    stage.change_secret(|secret| secret["signing_secrets"] = json!([]))?;
    for name in ["provision", "reconcile"] {
        stage.start(name).await?.invoke(json!({})).await?;
    }
    let webhook = stage.start("webhook").await?;
    stage.simulator.create("Ada", "ada@example.com")?;
    let messages = stage.simulator.take_messages();
    let status = async |webhook: &Function, letter: &Letter| -> Result<Value> {
        let event = Front::Url.event(letter, str::to_lowercase, false)?;
        Ok(webhook.invoke(event).await?["statusCode"].clone())
    };
    let letters = || messages.iter().map(|m| Letter::new(&shown, &m.id, &m.body));
    let mut unsigned = Letter::new(&shown, "", b"");
    unsigned.signature.clear();
    let stand_in = Letter::new("whsec_bm90IHlldA==", "msg_1", b"{}");
    let large = Letter::new(&shown, "msg_2", &vec![b' '; 2 << 20]);
    for letter in letters().chain([unsigned, stand_in, large]) {
        assert_eq!(status(&webhook, &letter).await?, 503);
    }
    let logs = webhook.logs()?;
    assert_eq!(
        logs.matches("signing_secrets is empty").count(),
        1,
        "{logs}"
    );
    ensure!(stage.table().await?.is_empty() && stage.rejections().await?.is_empty());

    // Another instance, which has not looked as often as it may.
    let webhook = stage.start("webhook").await?;
    assert_eq!(status(&webhook, &large_of(&shown)).await?, 503);
    stage.change_secret(|secret| secret["signing_secrets"] = json!([shown]))?;
    for letter in letters() {
        assert_eq!(status(&webhook, &letter).await?, 200);
    }
    stage.assert_in_sync().await
}

fn large_of(secret: &str) -> Letter {
    Letter::new(secret, &event_id(), &vec![b' '; 2 << 20])
}

// Reads that lag.

#[tokio::test]
async fn a_new_user_whom_reads_do_not_show_is_asked_for_later() -> Result<()> {
    let stage = Stage::new().await?;
    let webhook = stage.start("webhook").await?;
    let id = stage.simulator.create("Ada", "ada@example.com")?;
    let messages = stage.simulator.take_messages();
    let created = messages
        .iter()
        .find(|message| message.kind == "user.created");
    let created = created.context("a message")?;
    let status = async |id: &str| -> Result<Value> {
        let letter = Letter::new(&stage.signing_secret(), id, &created.body);
        let event = Front::Url.event(&letter, str::to_lowercase, false)?;
        Ok(webhook.invoke(event).await?["statusCode"].clone())
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    ensure!(now.as_millis().abs_diff(u128::try_from(created.made_at)?) < 20_000);

    // Longer than any read should lag.
    stage.simulator.switch(|switches| switches.lag_ms = 60_000);
    assert_eq!(status(&created.id).await?, 503);
    ensure!(stage.table().await?.is_empty() && stage.rejections().await?.is_empty());
    // It is the event that is young, and not the attempt.
    let late = created.older(Duration::from_secs(61));
    assert_eq!(status(&late.id).await?, 200);
    ensure!(!stage.the_row(&id).await?.lives());
    // A tombstone is told nothing new.
    assert_eq!(status(&created.id).await?, 200);
    ensure!(!stage.the_row(&id).await?.lives());

    stage
        .execute("DELETE FROM neon_identity.users_sync")
        .await?;
    stage.simulator.switch(|switches| switches.lag_ms = 0);
    assert_eq!(status(&created.id).await?, 200);
    stage.assert_in_sync().await
}
