use serde_json::{Value, json};

use super::*;

fn request(event: &Value) -> HttpEvent {
    HttpEvent::read(&event.to_string())
}

fn shown(request: &HttpEvent) -> (&str, Option<&str>, Option<&[u8]>) {
    let id = request.headers.get("svix-id");
    let body = request.body.as_deref().ok();
    (&request.method, id.and_then(|id| id.to_str().ok()), body)
}

fn of_each_front(name: &str, body: &Value, is_base64: bool) -> Vec<(Value, Front)> {
    let single = json!({name: "msg_1", "host": "a b", "x-forwarded-proto": "ht tp"});
    let lists = json!({name: ["msg_1"], "Host": ["a b"]});
    let with = |more: Value, front: Front| {
        let mut event = json!({"body": body, "isBase64Encoded": is_base64});
        let more = more.as_object().unwrap().clone();
        event.as_object_mut().unwrap().extend(more);
        (event, front)
    };
    vec![
        with(
            json!({"version": "2.0", "rawPath": "/", "rawQueryString": "a=<b> c",
                "cookies": [";"], "headers": single,
                "requestContext": {"http": {"method": "POST", "path": "/"}}}),
            Front::Url,
        ),
        with(
            json!({"version": "1.0", "httpMethod": "POST", "path": "x".repeat(70_000),
                "headers": single, "multiValueHeaders": lists,
                "requestContext": {"httpMethod": "POST", "stage": "live"}}),
            Front::Rest,
        ),
        with(
            json!({"resource": "/{proxy+}", "httpMethod": "POST", "headers": null,
                "multiValueHeaders": lists, "requestContext": {"stage": "live"}}),
            Front::Rest,
        ),
        with(
            json!({"httpMethod": "POST", "headers": single,
                "requestContext": {"elb": {"targetGroupArn": "arn"}}}),
            Front::Balancer { lists: false },
        ),
        with(
            json!({"httpMethod": "POST", "multiValueHeaders": lists,
                "requestContext": {"elb": {"targetGroupArn": "arn"}}}),
            Front::Balancer { lists: true },
        ),
    ]
}

#[test]
fn every_front_delivers_the_same() {
    for name in ["svix-id", "Svix-Id", "SVIX-ID"] {
        for (body, is_base64) in [("{\"ü\":1}", false), ("eyLDvCI6MX0=", true)] {
            for (event, front) in of_each_front(name, &json!(body), is_base64) {
                let request = request(&event);
                assert_eq!(request.front, front, "{event}");
                let expected = ("POST", Some("msg_1"), Some("{\"ü\":1}".as_bytes()));
                assert_eq!(shown(&request), expected, "{event}");
            }
        }
    }
}

#[test]
fn each_front_gets_the_answer_that_it_takes() {
    let answers = of_each_front("svix-id", &Value::Null, false)
        .into_iter()
        .map(|(event, _)| request(&event).answer(StatusCode::SERVICE_UNAVAILABLE))
        .map(|answer| serde_json::to_value(answer).unwrap());
    let gateway = json!({"statusCode": 503, "headers": {}, "body": "", "isBase64Encoded": false});
    let balancer = |headers: &str| {
        json!({"statusCode": 503, "statusDescription": "503 Service Unavailable", headers: {},
            "body": "", "isBase64Encoded": false})
    };
    let mut url = gateway.clone();
    url["cookies"] = json!([]);
    let expected = [
        url,
        gateway.clone(),
        gateway,
        balancer("headers"),
        balancer("multiValueHeaders"),
    ];
    assert!(answers.eq(expected));
}

/// The event that cargo-lambda 1.9.2 makes of a POST to `/lambda-url/webhook/`.
#[test]
fn an_event_of_cargo_lambda_is_one_of_format_2() {
    let event = json!({
        "type": null, "methodArn": null, "httpMethod": "GET", "identitySource": null,
        "authorizationToken": null, "resource": null, "version": "2.0",
        "routeKey": "$default", "rawPath": "/", "rawQueryString": null,
        "headers": {"svix-id": "msg_1", "host": "127.0.0.1:9000"},
        "requestContext": {"routeKey": "$default", "stage": "$default",
            "http": {"method": "POST", "path": "/", "protocol": "http",
                "sourceIp": "127.0.0.1", "userAgent": "cargo-lambda"}},
        "stageVariables": {}, "body": "e30=", "isBase64Encoded": true,
    });
    let request = request(&event);
    assert_eq!(request.front, Front::Url);
    assert_eq!(
        shown(&request),
        ("POST", Some("msg_1"), Some("{}".as_bytes()))
    );
}

#[test]
fn an_event_that_is_no_request_has_no_method() {
    for event in [
        "",
        "{",
        "{}",
        "[]",
        "[{}]",
        "null",
        "17",
        "1e999",
        "\"POST\"",
        r#"{"requestContext":{"http":{"method":["POST"]}},"headers":7}"#,
        r#"{"requestContext":"elb","body":{"a":1}}"#,
        r#"{"httpMethod":null}"#,
        r#"{"source":"aws.scheduler","detail-type":"Scheduled Event","detail":{}}"#,
        r#"{"a":"\ud800","requestContext":{"http":{"method":"\ud800"}}}"#,
    ] {
        assert_eq!(HttpEvent::read(event).method, "", "{event}");
    }
}

#[test]
fn odd_fields_beside_the_signature_harm_nothing() {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let event = format!(
        r#"{{"requestContext":{{"http":{{"method":"POST","x":{deep}}},"n":1e999}},"x":{deep},
            "headers":{{"svix-id":"msg_1","a":{deep},"b":"\ud800","c":1,"d":null,"e":"a\nb",
            "f g":"x","ü":"ü"}},"body":"\u0000\ud83d\ude00"}}"#
    );
    let request = HttpEvent::read(&event);
    let expected = ("POST", Some("msg_1"), Some("\0\u{1f600}".as_bytes()));
    assert_eq!(shown(&request), expected);
}

#[test]
fn a_body_that_is_not_what_it_is_said_to_be_has_no_bytes() {
    let body = |body: &str, is_base64: &str| {
        let event = format!(r#"{{"body":{body},"isBase64Encoded":{is_base64}}}"#);
        HttpEvent::read(&event).body
    };
    for garbled in [r#""*""#, r#""AAA""#, r#""AA=A""#, r#""QUJD\n""#] {
        assert!(body(garbled, "true").is_err(), "{garbled}");
        assert!(body(garbled, "false").is_ok(), "{garbled}");
    }
    for no_text in ["{}", "[]", "1", "true", r#""\ud800""#] {
        for is_base64 in ["true", "false"] {
            assert_eq!(body(no_text, is_base64), Err(0), "{no_text}");
        }
    }
    assert_eq!(body("null", "true"), Ok(Vec::new()));
    assert_eq!(body(r#""""#, "true"), Ok(Vec::new()));
    let long = format!("\"{}*\"", "A".repeat(4 << 20));
    assert_eq!(body(&long, "true"), Err(3 << 20));
}

#[test]
fn a_header_that_is_there_twice_stays_two() {
    for (single, lists) in [
        (json!({"svix-id": "b"}), json!({"svix-id": ["a", "b"]})),
        (json!({"Svix-Id": "a", "svix-id": "b"}), json!({})),
        (json!({}), json!({"Svix-Id": ["a"], "svix-id": ["b"]})),
    ] {
        let event = json!({"httpMethod": "POST", "headers": single, "multiValueHeaders": lists});
        let headers = request(&event).headers;
        assert_eq!(headers.get_all("svix-id").iter().count(), 2, "{event}");
    }
}

#[test]
fn headers_without_end_are_no_more_than_a_map_can_hold() {
    let many: serde_json::Map<_, _> = (0..40_000)
        .map(|number| (format!("x-{number}"), json!("x")))
        .collect();
    let headers = request(&json!({"headers": many})).headers;
    assert!(headers.len() > 20_000, "{}", headers.len());
}
