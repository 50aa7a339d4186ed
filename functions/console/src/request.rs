//! An HTTP request, as a Function URL's event has it.
//!
//! Invariant: whatever the event is, it is read without a failure: what makes no
//! sense is left out.
//!
//! Source: AWS' "Lambda function URLs", payload format 2.0.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// Bytes that a form may have.
const LARGEST_FORM: usize = 1 << 20;

/// A request.
#[derive(Debug, Default)]
pub struct HttpRequest {
    method: String,
    path: String,
    query: Form,
    headers: Vec<(String, String)>,
    cookies: Vec<String>,
    form: Form,
    source: String,
}

/// The fields of a query or of a form, in their order.
#[derive(Debug, Default, Clone)]
pub(crate) struct Form(Vec<(String, String)>);

impl HttpRequest {
    /// Reads an event.
    pub fn read(event: &Value) -> Self {
        let http = &event["requestContext"]["http"];
        let headers = event["headers"].as_object().into_iter().flatten();
        let headers = headers.filter_map(|(name, value)| {
            Some((name.to_ascii_lowercase(), value.as_str()?.to_owned()))
        });
        let cookies = event["cookies"].as_array().into_iter().flatten();
        let path = text(&event["rawPath"]);
        Self {
            method: text(&http["method"]).to_owned(),
            path: path.trim_matches('/').to_owned(),
            query: Form::read(text(&event["rawQueryString"])),
            cookies: cookies.map(|cookie| text(cookie).to_owned()).collect(),
            headers: headers.collect(),
            form: body(event)
                .map(|body| Form::read(&body))
                .unwrap_or_default(),
            source: source(text(&http["sourceIp"])),
        }
    }

    /// The method, in capitals.
    pub(crate) fn method(&self) -> &str {
        &self.method
    }

    /// The path without the slashes at its ends.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The fields of the query.
    pub(crate) fn query(&self) -> &Form {
        &self.query
    }

    /// The fields of the form that was sent.
    pub(crate) fn form(&self) -> &Form {
        &self.form
    }

    /// A header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A cookie. Browsers send them in one header, and AWS in a place of their own.
    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        let header = self.header("cookie").unwrap_or_default();
        let cookies = self.cookies.iter().map(String::as_str);
        let mut cookies = cookies.chain(header.split(';')).map(str::trim);
        cookies.find_map(|cookie| cookie.strip_prefix(name)?.strip_prefix('='))
    }

    /// A path from the root, relative to the path that was asked for: the root need
    /// not be the host's (`cargo lambda watch` has each function below one).
    pub(crate) fn up(&self, place: &str) -> String {
        match (self.path.matches('/').count(), place) {
            (0, "") => "./".to_owned(),
            (depth, _) => format!("{}{place}", "../".repeat(depth)),
        }
    }

    /// Where it comes from, as far as attempts are counted by it.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }
}

impl Form {
    /// Reads `name=value&…`.
    pub(crate) fn read(encoded: &str) -> Self {
        let pairs = encoded.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        });
        Self(pairs.collect())
    }

    /// The first field of this name, if it says anything.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut fields = self.0.iter();
        let found = fields.find(|(known, _)| known == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn body(event: &Value) -> Option<String> {
    let body = event["body"].as_str()?;
    if body.len() > LARGEST_FORM {
        return None;
    }
    if event["isBase64Encoded"].as_bool() == Some(true) {
        return String::from_utf8(STANDARD.decode(body).ok()?).ok();
    }
    Some(body.to_owned())
}

/// Postgres can't hold a NUL, and no field of ours has one.
fn decoded(text: &str) -> String {
    let text = text.replace('+', " ");
    let text = percent_decode_str(&text).decode_utf8_lossy().into_owned();
    text.replace('\0', "\u{fffd}")
}

/// An address; of the sixth version the network, since who has one address of it
/// has all.
fn source(address: &str) -> String {
    match address.parse::<IpAddr>() {
        Ok(IpAddr::V6(six)) => match six.to_ipv4_mapped() {
            Some(four) => four.to_string(),
            None => {
                let [a, b, c, d, ..] = six.segments();
                format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
            }
        },
        Ok(four) => four.to_string(),
        Err(_) => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_is_read_as_the_request_that_it_stands_for() {
        let request = HttpRequest::read(&json!({
            "rawPath": "/users/",
            "rawQueryString": "q=a%20b+c&among=living&q=second&none=",
            "cookies": ["a=1", "__Host-console=x.y"],
            "headers": {"Host": "h", "cookie": "b=2; c=3"},
            "body": "dG9rZW49JUMzJUJDJTAw",
            "isBase64Encoded": true,
            "requestContext": {"http": {"method": "POST", "sourceIp": "192.0.2.7"}},
        }));
        assert_eq!((request.method(), request.path()), ("POST", "users"));
        assert_eq!(request.query().get("q"), Some("a b c"));
        assert_eq!(request.query().get("none"), None);
        assert_eq!(request.form().get("token"), Some("ü\u{fffd}"));
        assert_eq!(request.header("host"), Some("h"));
        let cookies = ["__Host-console", "c", "a", "d"].map(|name| request.cookie(name));
        assert_eq!(cookies, [Some("x.y"), Some("3"), Some("1"), None]);
        assert_eq!(request.source(), "192.0.2.7");
    }

    #[test]
    fn any_event_is_read_without_a_failure() {
        for event in [
            json!(null),
            json!([]),
            json!({"rawPath": 7, "headers": [], "cookies": {}, "body": {}, "requestContext": 1}),
            json!({"body": "not base64!", "isBase64Encoded": true}),
            json!({"body": "a=%ff%&b", "headers": {"a": null}}),
        ] {
            let request = HttpRequest::read(&event);
            assert_eq!((request.method(), request.path()), ("", ""), "{event}");
            assert_eq!(request.source(), "unknown");
        }
    }

    #[test]
    fn addresses_of_one_network_are_one_source() {
        assert_eq!(source("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(source("2001:db8:1:2::9"), "2001:db8:1:2::/64");
        assert_eq!(source("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(source("192.0.2.1"), "192.0.2.1");
        assert_eq!(source("nonsense"), "unknown");
    }
}
