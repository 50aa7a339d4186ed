//! Settings: the fields of the secret, and what can be wrong with one.
//!
//! Invariant: an error names the field and what is wrong with it, never the
//! value.

mod url;

use http::HeaderValue;
use serde_json::{Map, Value};

use url::Url;

/// The fault in the configuration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct Misconfigured {
    /// The field or variable, as in `provider.api_url`.
    pub field: String,
    /// The fault, without the value.
    pub problem: String,
}

/// The fields of one object in the secret, each to be taken once.
pub struct Settings {
    path: &'static str,
    left: Map<String, Value>,
}

impl Settings {
    pub(crate) fn of(path: &'static str, value: Value) -> Result<Self, Misconfigured> {
        let Value::Object(left) = value else {
            let advice = if path.is_empty() { "" } else { flat(&value) };
            return Err(Misconfigured {
                field: if path.is_empty() { "secret" } else { path }.to_owned(),
                problem: format!("is not a JSON object{advice}"),
            });
        };
        Ok(Self { path, left })
    }

    /// An error about the field `name`.
    pub fn refuse(&self, name: &str, problem: impl Into<String>) -> Misconfigured {
        let field = match self.path {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        Misconfigured {
            field,
            problem: problem.into(),
        }
    }

    /// Takes a string, which must be there.
    pub fn required(&mut self, name: &str) -> Result<String, Misconfigured> {
        self.optional(name)?
            .ok_or_else(|| self.refuse(name, "is missing"))
    }

    /// Takes a string, if it is there.
    pub fn optional(&mut self, name: &str) -> Result<Option<String>, Misconfigured> {
        match self.left.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => match wrong_at_the_ends(&text) {
                Some(problem) => Err(self.refuse(name, problem)),
                None => Ok(Some(text)),
            },
            Some(_) => Err(self.refuse(name, "is not a string")),
        }
    }

    /// Takes a text of several lines, if it is there. PEM ends with a line break.
    pub(crate) fn lines(&mut self, name: &str) -> Result<Option<String>, Misconfigured> {
        if let Some(Value::String(text)) = self.left.get_mut(name) {
            *text = text.trim_matches(is_blank).to_owned();
        }
        self.optional(name)
    }

    /// Takes a list of strings, which can be empty, if it is there.
    pub(crate) fn strings(&mut self, name: &str) -> Result<Option<Vec<String>>, Misconfigured> {
        let Some(value) = self.left.remove(name) else {
            return Ok(None);
        };
        let Value::Array(items) = value else {
            return Err(self.refuse(name, format!("is not a list of strings{}", flat(&value))));
        };
        let mut strings = Vec::with_capacity(items.len());
        for (i, item) in items.into_iter().enumerate() {
            let refuse = |problem| self.refuse(&format!("{name}[{i}]"), problem);
            let Value::String(text) = item else {
                return Err(refuse("is not a string"));
            };
            if let Some(problem) = wrong_at_the_ends(&text) {
                return Err(refuse(problem));
            }
            strings.push(text);
        }
        Ok(Some(strings))
    }

    /// Whether there is such a field, which was not taken yet.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.left.contains_key(name)
    }

    pub(crate) fn object(&mut self, name: &'static str) -> Result<Self, Misconfigured> {
        let value = self
            .left
            .remove(name)
            .ok_or_else(|| self.refuse(name, "is missing"))?;
        Self::of(name, value)
    }

    /// Refuses a field that was not taken.
    pub(crate) fn end(&self) -> Result<(), Misconfigured> {
        match self.left.keys().next() {
            None => Ok(()),
            Some(name) if is_name(name) => Err(self.refuse(name, "is not a known field")),
            // Somebody may have put a value where a name belongs.
            Some(_) => Err(self.refuse(
                "(a name that may be a value, and is not shown)",
                "is not a known field",
            )),
        }
    }

    /// A key as the value of a header, which Debug does not show.
    pub fn header(&self, name: &str, key: &str) -> Result<HeaderValue, Misconfigured> {
        let mut value = HeaderValue::from_str(key)
            .map_err(|_| self.refuse(name, "contains a character that no key has"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// A key as the value of the header `Authorization`.
    pub fn bearer(&self, name: &str, key: &str) -> Result<HeaderValue, Misconfigured> {
        self.header(name, &format!("Bearer {key}"))
    }

    /// An address, in the one spelling that stands for all of its spellings.
    pub fn url(&self, name: &str, url: &str) -> Result<Url, Misconfigured> {
        Url::new(url).map_err(|problem| self.refuse(name, problem))
    }

    /// Takes the base address of the provider's API, without a `/` at its end.
    pub fn api_url(&mut self, name: &str, default: &str) -> Result<String, Misconfigured> {
        let url = self.optional(name)?.unwrap_or_else(|| default.to_owned());
        self.url(name, &url).map(|url| url.base)
    }
}

/// White space, and characters that are just as invisible.
pub(crate) fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}'..='\u{200d}' | '\u{2060}')
}

/// No key and no address has white space at its ends, but pasted text often does.
fn wrong_at_the_ends(text: &str) -> Option<&'static str> {
    let trimmed = text.trim_matches(is_blank);
    if trimmed.is_empty() {
        Some("is empty")
    } else if trimmed.len() < text.len() {
        Some("begins or ends with white space: remove it")
    } else {
        None
    }
}

/// Advice if a value is text and should be JSON: the key/value editor of Secrets
/// Manager's console turns everything into text.
fn flat(value: &Value) -> &'static str {
    match value {
        Value::String(_) => {
            " but text: lists and objects need the plain-text editor of Secrets Manager's \
             console (\"Plaintext\"), not its key/value editor"
        }
        _ => "",
    }
}

/// Whether this may be shown as a field's name.
fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphabetic() || matches!(b, b'_' | b'.' | b'-');
    name.len() <= 40 && name.bytes().all(plain)
}
