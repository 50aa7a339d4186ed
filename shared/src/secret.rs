//! The secret: which database, which provider, which keys.
//!
//! Invariant: an error names the field and what is wrong with it, never the
//! value; nothing here prints a secret.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::console_token::ConsoleToken;
use crate::pointer::Pointers;
use crate::provider::{Provider, registry};
use crate::settings::{Misconfigured, Settings, is_blank};

/// A secret, parsed whole.
#[derive(Clone)]
pub struct Secret {
    /// Where `webhook` and `reconcile` connect.
    pub database_url: String,
    /// Where `provision` connects: the owner's, or the same.
    pub admin_database_url: String,
    /// The authorities that may vouch for the database, as PEM text, if the secret
    /// names any.
    pub database_root_certificates: Option<String>,
    /// Whether there is a token that opens `console`.
    pub has_console: bool,
    /// The provider's adapter, keys included.
    pub provider: Arc<dyn Provider>,
    /// The text that it was parsed from, which tells whether it was rotated.
    source: String,
}

/// A secret in which the provider may be missing, as `console` takes it.
#[derive(Clone)]
pub struct OpenSecret {
    /// As in [`Secret`].
    pub database_url: String,
    /// As in [`Secret`]; `None`: it is the same.
    pub admin_database_url: Option<String>,
    /// As in [`Secret`].
    pub database_root_certificates: Option<String>,
    /// The token that opens `console`; without one, nothing does.
    pub console_token: Option<ConsoleToken>,
    /// The provider's adapter, if one is connected.
    pub provider: Option<Arc<dyn Provider>>,
    source: String,
}

impl Secret {
    /// Parses the secret's JSON. Editors put a byte order mark or white space
    /// around it.
    pub fn parse(json: &str) -> Result<Self, Misconfigured> {
        OpenSecret::parse(json)?.connected()
    }

    /// Whether `other` was parsed from the same text.
    pub fn is(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl OpenSecret {
    /// Parses the secret's JSON, as [`Secret::parse`] does; but with a
    /// `console_token` there need be no provider.
    pub fn parse(json: &str) -> Result<Self, Misconfigured> {
        let json = json.trim_matches(is_blank);
        let value: Value = serde_json::from_str(json).map_err(|_| Misconfigured {
            field: "secret".to_owned(),
            problem: "is not JSON".to_owned(),
        })?;
        let mut top = Settings::of("", value)?;
        let database_url = top.required("database_url")?;
        let admin_database_url = top.optional("admin_database_url")?;
        let database_root_certificates = top.lines("database_root_certificates")?;
        let console_token = match top.optional("console_token")? {
            Some(token) => Some(
                ConsoleToken::new(token).map_err(|problem| top.refuse("console_token", problem))?,
            ),
            None => None,
        };
        let signing_secrets = top.strings("signing_secrets")?;
        let redact = pointers(&mut top)?;
        let provider = if console_token.is_some() && !top.has("provider") {
            None
        } else {
            let mut settings = top.object("provider")?;
            let provider = registry::connect(&mut settings, signing_secrets)?;
            settings.end()?;
            Some(redacting(provider, redact, &top)?)
        };
        top.end()?;
        Ok(Self {
            database_url,
            admin_database_url,
            database_root_certificates,
            console_token,
            provider,
            source: json.to_owned(),
        })
    }

    /// The text that it was parsed from.
    pub fn text(&self) -> &str {
        &self.source
    }

    /// The secret with its provider, which has to be there.
    pub fn connected(self) -> Result<Secret, Misconfigured> {
        let provider = self.provider.ok_or_else(|| Misconfigured {
            field: "provider".to_owned(),
            problem: "is missing: no provider is connected yet. Connect one in console, or write \
                      it into the secret"
                .to_owned(),
        })?;
        Ok(Secret {
            admin_database_url: self
                .admin_database_url
                .unwrap_or_else(|| self.database_url.clone()),
            database_url: self.database_url,
            database_root_certificates: self.database_root_certificates,
            has_console: self.console_token.is_some(),
            provider,
            source: self.source,
        })
    }

    /// Whether `other` was parsed from the same text.
    pub fn is(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

/// The field `redact`: pointers into the profile.
fn pointers(top: &mut Settings) -> Result<Pointers, Misconfigured> {
    let texts = top.strings("redact")?.unwrap_or_default();
    Pointers::parse(&texts).map_err(|(place, problem)| {
        let field = format!("redact[{place}]");
        top.refuse(&field, problem)
    })
}

/// The provider without what is named, unless that is nothing, or the id.
fn redacting(
    provider: Arc<dyn Provider>,
    redact: Pointers,
    top: &Settings,
) -> Result<Arc<dyn Provider>, Misconfigured> {
    if redact.is_empty() {
        return Ok(provider);
    }
    match redact.leading_into(provider.id_field()) {
        None => Ok(registry::redact(provider, redact)),
        Some(place) => Err(top.refuse(
            &format!("redact[{place}]"),
            "names the user's id, by which the row is known: leave it out",
        )),
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl fmt::Debug for OpenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenSecret(…)")
    }
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
    fn white_space_and_marks_that_editors_put_around_the_secret_are_harmless() {
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
            "databse_url is not a known field",
        );
        check(
            |s| s["provider"]["x"] = "y".into(),
            "provider.x is not a known field",
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
    fn with_a_console_token_the_provider_may_be_missing() {
        let mut secret = serde_json::json!({
            "database_url": "postgres://u:p@h/d",
            "console_token": "a token of 24 characters",
        });
        let open = OpenSecret::parse(&secret.to_string()).unwrap();
        assert!(open.provider.is_none() && open.console_token.is_some());
        let refused = Secret::parse(&secret.to_string()).unwrap_err().to_string();
        assert!(
            refused.contains("no provider is connected yet"),
            "{refused}"
        );
        // A provider that is there has to be whole.
        secret["provider"] = serde_json::json!({"name": "clerk"});
        let refused = OpenSecret::parse(&secret.to_string()).unwrap_err();
        assert_eq!(refused.to_string(), "provider.secret_key is missing");
        for short in ["", "a token of 23 character"] {
            secret["console_token"] = short.into();
            let refused = OpenSecret::parse(&secret.to_string())
                .unwrap_err()
                .to_string();
            assert!(refused.starts_with("console_token "), "{refused}");
        }
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
                "(a name that may be a value, and is not shown) is not a known field",
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
