//! The secret: which database, which provider, which keys.
//!
//! Invariant: an error names the field and what is wrong with it, never the
//! value; nothing here prints a secret.

mod url;

use std::fmt;
use std::sync::Arc;

use http::HeaderValue;
use serde_json::{Map, Value};

use crate::provider::{self, Provider};
use url::Url;

/// A secret that was read and understood, whole.
#[derive(Clone)]
pub struct Secret {
    /// Where `webhook` and `reconcile` connect.
    pub database_url: String,
    /// Where `provision` connects: the owner's, or the same.
    pub admin_database_url: String,
    /// The authorities that may vouch for the database, as PEM text, where the
    /// secret names them.
    pub database_root_certificates: Option<String>,
    /// The provider's adapter, keys included.
    pub provider: Arc<dyn Provider>,
    /// The bytes it was read from; tells whether a secret was rotated.
    source: String,
}

impl Secret {
    /// Reads the secret's JSON; a byte order mark and white space around it are
    /// what editors put there.
    pub fn parse(json: &str) -> Result<Self, Misconfigured> {
        let json = json.trim_matches(is_blank);
        let value: Value = serde_json::from_str(json).map_err(|_| Misconfigured {
            field: "secret".to_owned(),
            problem: "is not JSON".to_owned(),
        })?;
        let mut top = Fields::of("", value)?;
        let database_url = top.required("database_url")?;
        let admin_database_url = top.optional("admin_database_url")?;
        let database_root_certificates = top.lines("database_root_certificates")?;
        let signing_secrets = top.strings("signing_secrets")?;
        let mut provider_fields = top.object("provider")?;
        let provider = provider::connect(&mut provider_fields, signing_secrets)?;
        provider_fields.end()?;
        top.end()?;
        Ok(Self {
            admin_database_url: admin_database_url.unwrap_or_else(|| database_url.clone()),
            database_url,
            database_root_certificates,
            provider,
            source: json.to_owned(),
        })
    }

    /// Whether `other` was read from the same bytes.
    pub fn is(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What is wrong with the configuration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct Misconfigured {
    /// The field or variable, as in `provider.api_url`.
    pub field: String,
    /// What is wrong with it, without its value.
    pub problem: String,
}

/// The fields of one object in the secret, each to be taken once.
pub struct Fields {
    path: &'static str,
    left: Map<String, Value>,
}

impl Fields {
    fn of(path: &'static str, value: Value) -> Result<Self, Misconfigured> {
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

    /// Takes a string that has to be there.
    pub fn required(&mut self, name: &str) -> Result<String, Misconfigured> {
        self.optional(name)?
            .ok_or_else(|| self.refuse(name, "is missing"))
    }

    /// Takes a string that may be left out.
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

    /// Takes a text of lines that may be left out: PEM ends with a line's end.
    fn lines(&mut self, name: &str) -> Result<Option<String>, Misconfigured> {
        if let Some(Value::String(text)) = self.left.get_mut(name) {
            *text = text.trim_matches(is_blank).to_owned();
        }
        self.optional(name)
    }

    /// Takes a list of strings that may be left out, or be empty.
    fn strings(&mut self, name: &str) -> Result<Option<Vec<String>>, Misconfigured> {
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

    fn object(&mut self, name: &'static str) -> Result<Self, Misconfigured> {
        let value = self
            .left
            .remove(name)
            .ok_or_else(|| self.refuse(name, "is missing"))?;
        Self::of(name, value)
    }

    /// Refuses what nobody took.
    fn end(&self) -> Result<(), Misconfigured> {
        match self.left.keys().next() {
            None => Ok(()),
            Some(name) if is_name(name) => {
                Err(self.refuse(name, "is not a field that is known here"))
            }
            // A value may have been put where a name belongs.
            Some(_) => Err(self.refuse(
                "(a name that may be a value, and is not shown)",
                "is not a field that is known here",
            )),
        }
    }

    /// A key as the value of a header that no log shows.
    pub fn header(&self, name: &str, key: &str) -> Result<HeaderValue, Misconfigured> {
        let mut value = HeaderValue::from_str(key)
            .map_err(|_| self.refuse(name, "holds a character that no key has"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// An address, in the one spelling that stands for all.
    pub fn url(&self, name: &str, url: &str) -> Result<Url, Misconfigured> {
        Url::new(url).map_err(|problem| self.refuse(name, problem))
    }

    /// Takes the base address of the provider's API, without a `/` at its end.
    pub fn api_url(&mut self, name: &str, default: &str) -> Result<String, Misconfigured> {
        let url = self.optional(name)?.unwrap_or_else(|| default.to_owned());
        self.url(name, &url).map(|url| url.base)
    }
}

/// White space, and what shows as little.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}'..='\u{200d}' | '\u{2060}')
}

/// No key and no address has white space at its ends; a paste often does.
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

/// Advice to who gave text where JSON belongs: the key/value editor of Secrets
/// Manager's console makes text of everything.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut Value)) -> Result<(), String> {
        let mut secret = serde_json::json!({
            "database_url": "postgres://u:p@h/d",
            "signing_secrets": ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"],
            "provider": {"name": "stack", "project_id": "p", "secret_server_key": "sk_hidden"},
        });
        change(&mut secret);
        Secret::parse(&secret.to_string())
            .map(|_| ())
            .map_err(|e| e.to_string())
    }

    fn check(change: impl FnOnce(&mut Value), expected: &str) {
        assert_eq!(with(change), Err(expected.to_owned()));
    }

    #[test]
    fn a_whole_secret_is_taken() {
        assert_eq!(with(|_| ()), Ok(()));
        assert_eq!(
            with(|s| s["admin_database_url"] = "postgres://o@h/d".into()),
            Ok(())
        );
        assert_eq!(
            with(|s| s["provider"]["api_url"] = "http://127.0.0.1:1/api/v1/".into()),
            Ok(())
        );
        // The provider has not shown one yet.
        assert_eq!(
            with(|s| s["signing_secrets"] = serde_json::json!([])),
            Ok(())
        );
    }

    #[test]
    fn what_editors_put_around_the_text_is_harmless() {
        let secret = r#"{"database_url": "postgres://u:p@h/d",
            "provider": {"name": "supabase", "project_url": "https://p.supabase.co",
            "service_role_key": "k", "webhook_token": "a long token, which nobody guesses"}}"#;
        let parsed = Secret::parse(secret).unwrap();
        for (before, after) in [
            ("\u{feff}", ""),
            ("", "\n"),
            ("\u{feff}\r\n ", "\r\n\r\n\t"),
            (" \u{feff}", "\u{feff}\n"),
            ("\u{a0}", "\u{2003}\u{85}"),
        ] {
            let again = Secret::parse(&format!("{before}{secret}{after}"));
            assert!(again.unwrap().is(&parsed), "{before:?} {after:?}");
        }
        let crlf = Secret::parse(&secret.replace('\n', "\r\n"));
        assert_eq!(crlf.unwrap().database_url, parsed.database_url);
    }

    #[test]
    fn a_value_with_white_space_at_an_end_is_named() {
        for (before, after) in [(" ", ""), ("", "\n"), ("\t", "\r\n"), ("\u{feff}", "")] {
            for field in ["name", "project_id", "secret_server_key", "api_url"] {
                check(
                    |s| {
                        let value = s["provider"][field].as_str().unwrap_or("http://h");
                        s["provider"][field] = format!("{before}{value}{after}").into();
                    },
                    &format!("provider.{field} begins or ends with white space: remove it"),
                );
            }
            for field in ["database_url", "admin_database_url"] {
                check(
                    |s| s[field] = format!("{before}postgres://u:p@h/d{after}").into(),
                    &format!("{field} begins or ends with white space: remove it"),
                );
            }
            check(
                |s| {
                    let current = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
                    let pasted = format!("{before}{current}{after}");
                    s["signing_secrets"] = serde_json::json!([current, pasted]);
                },
                "signing_secrets[1] begins or ends with white space: remove it",
            );
        }
    }

    #[test]
    fn an_error_names_the_field() {
        check(
            |s| s["databse_url"] = "x".into(),
            "databse_url is not a field that is known here",
        );
        check(
            |s| s["provider"]["x"] = "y".into(),
            "provider.x is not a field that is known here",
        );
        check(
            |s| {
                s.as_object_mut().unwrap().remove("database_url");
            },
            "database_url is missing",
        );
        check(
            |s| s["database_url"] = 1.into(),
            "database_url is not a string",
        );
        check(
            |s| {
                s.as_object_mut().unwrap().remove("provider");
            },
            "provider is missing",
        );
        check(
            |s| s["provider"] = serde_json::json!(["stack"]),
            "provider is not a JSON object",
        );
        check(
            |s| {
                s["provider"]
                    .as_object_mut()
                    .unwrap()
                    .remove("secret_server_key");
            },
            "provider.secret_server_key is missing",
        );
        check(
            |s| s["signing_secrets"] = serde_json::json!(["whsec_C2FV", ""]),
            "signing_secrets[1] is empty",
        );
        check(
            |s| {
                s["signing_secrets"] = serde_json::json!([
                    "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
                    "whsec_bm90IHlldA=="
                ])
            },
            "signing_secrets[1] is a key of less than 16 bytes: copy it again, whole, from the \
             webhook's page; while the provider has not shown one yet, leave signing_secrets an \
             empty list",
        );
        check(
            |s| {
                s.as_object_mut().unwrap().remove("signing_secrets");
            },
            "signing_secrets is missing",
        );
        check(
            |s| s["provider"]["api_url"] = "ftp://x".into(),
            "provider.api_url is not an http or https URL",
        );
        check(
            |s| s["signing_secrets"] = "[\"whsec_C2FV\"]".into(),
            "signing_secrets is not a list of strings but text: lists and objects need the \
             plain-text editor of Secrets Manager's console (\"Plaintext\"), not its key/value \
             editor",
        );
        assert_eq!(
            Secret::parse("{").unwrap_err().to_string(),
            "secret is not JSON"
        );
        assert_eq!(
            Secret::parse("[]").unwrap_err().to_string(),
            "secret is not a JSON object"
        );
    }

    #[test]
    fn an_error_never_repeats_a_value() {
        for field in ["name", "project_id", "secret_server_key", "api_url"] {
            let error = with(|s| s["provider"][field] = "hidden\nvalue".into());
            assert!(!format!("{error:?}").contains("hidden"), "{error:?}");
        }
        for name in ["postgres://hidden@h/d", "ssk_hidden1", &"hidden".repeat(9)] {
            check(
                |s| s[name] = "".into(),
                "(a name that may be a value, and is not shown) is not a field that is known here",
            );
        }
        let error = with(|s| s["signing_secrets"] = serde_json::json!(["whsec_hidden!"]));
        assert!(
            error
                .unwrap_err()
                .starts_with("signing_secrets[0] is empty or not")
        );
    }
}
