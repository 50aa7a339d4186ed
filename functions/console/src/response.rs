//! An answer, and the headers that each one has.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::Serialize;

/// An answer to a request.
#[derive(Debug)]
pub struct Response {
    status: StatusCode,
    headers: BTreeMap<&'static str, String>,
    cookies: Vec<String>,
    body: String,
}

/// An answer in JSON, of payload format 2.0.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reply {
    status_code: u16,
    headers: BTreeMap<&'static str, String>,
    cookies: Vec<String>,
    body: String,
    is_base64_encoded: bool,
}

/// Nothing but what is ours, and no script or style that stands in a page.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

impl Response {
    fn new(status: StatusCode, kind: &str, body: String) -> Self {
        let headers = [
            ("content-type", kind),
            ("cache-control", "no-store"),
            ("content-security-policy", POLICY),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            // With none at all, browsers would not say where a form comes from.
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("strict-transport-security", "max-age=31536000"),
        ];
        let headers = headers.map(|(name, value)| (name, value.to_owned()));
        Self {
            status,
            headers: headers.into(),
            cookies: Vec::new(),
            body,
        }
    }

    /// A page.
    pub(crate) fn page(status: StatusCode, page: maud::Markup) -> Self {
        Self::new(status, "text/html; charset=utf-8", page.into_string())
    }

    /// Leads to another page, by a path that is relative to the one that was asked
    /// for.
    pub(crate) fn lead_to(place: &str) -> Self {
        Self::new(
            StatusCode::SEE_OTHER,
            "text/plain; charset=utf-8",
            String::new(),
        )
        .with("location", place.to_owned())
    }

    /// A file that never changes under its path.
    pub(crate) fn file(kind: &str, text: &str) -> Self {
        Self::new(StatusCode::OK, kind, text.to_owned()).with(
            "cache-control",
            "public, max-age=31536000, immutable".to_owned(),
        )
    }

    /// The same with a header.
    pub(crate) fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The same with a cookie that is set.
    pub(crate) fn with_cookie(mut self, cookie: String) -> Self {
        self.cookies.push(cookie);
        self
    }

    /// The same for a request that wants the headers alone.
    pub(crate) fn without_body(mut self) -> Self {
        self.body.clear();
        self
    }

    /// In the form that Lambda takes.
    pub fn into_reply(self) -> Reply {
        Reply {
            status_code: self.status.as_u16(),
            headers: self.headers,
            cookies: self.cookies,
            body: self.body,
            is_base64_encoded: false,
        }
    }
}
