//! The meaning of a refusal. The rules are the same for every provider.
//!
//! Invariants: 401 and 403 are about the key, whatever the body is, because
//! gateways and proxies send them with words of their own. Nothing of a body is
//! repeated except a code that looks like one.

use http::StatusCode;

use crate::exchange::{Answer, AnswerError};

/// How a provider refuses, and what to tell the operator then.
#[derive(Debug)]
pub struct Words {
    /// The provider's name, as the subject of a sentence.
    pub(crate) who: &'static str,
    /// The error code in an answer of the provider's own, empty if it has none;
    /// `None` if the answer is not the provider's own.
    pub(crate) code: fn(&Answer) -> Option<String>,
    /// The advice about a refused key; it names the secret's field.
    pub(crate) key: &'static str,
    /// The advice about a status and a code, if they call for something special.
    pub(crate) advice: fn(u16, &str) -> Option<&'static str>,
    /// Where codes are explained.
    pub(crate) explained: &'static str,
    /// The advice about an answer that is not the provider's own.
    pub(crate) foreign: &'static str,
    /// Where the provider shows what became of its webhooks, and what to see there.
    pub(crate) webhooks: &'static str,
}

impl Words {
    /// Where to look when webhooks don't arrive.
    pub fn webhooks(&self) -> &'static str {
        self.webhooks
    }

    /// Why an answer is of no use that is no success, and means nothing that its
    /// adapter knows.
    pub(crate) fn refused(&self, answer: &Answer) -> AnswerError {
        let code = (self.code)(answer);
        let of_the_key = matches!(
            answer.status,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
        );
        if code.is_none() && !of_the_key {
            return AnswerError::Garbled(self.foreign);
        }
        let usual = if of_the_key { self.key } else { self.explained };
        let mut said = self.say(answer.status, code.as_deref(), usual);
        if code.is_none() {
            said.push_str(
                ". The answer is not in the provider's own words: if the key is right, check \
                 whether a gateway or a proxy in between refuses it",
            );
        }
        AnswerError::Refused(said)
    }

    /// The provider's own words about its trouble (5xx), if it has any.
    pub fn trouble(&self, answer: &Answer) -> Option<String> {
        let status = answer.status;
        match (self.code)(answer).filter(|code| is_code(code)) {
            Some(code) => Some(self.say(status, Some(&code), self.explained)),
            None => (self.advice)(status.as_u16(), "")
                .map(|advice| format!("{} answers {}: {advice}", self.who, status.as_u16())),
        }
    }

    fn say(&self, status: StatusCode, code: Option<&str>, usual: &str) -> String {
        let (who, status) = (self.who, status.as_u16());
        let code = code.filter(|code| is_code(code));
        let advice = (self.advice)(status, code.unwrap_or_default()).unwrap_or(usual);
        let code = code.unwrap_or("and no code");
        format!("{who} answers {status} {code}: {advice}")
    }
}

/// Whether a text looks like a provider's error code, such as
/// `resource_not_found` or `SCHEMA_ERROR`. A proxy can put anything in its place,
/// even the key that it was sent. But keys have digits or letters of both cases,
/// and codes have neither.
fn is_code(text: &str) -> bool {
    let one_case = |is_letter: fn(&u8) -> bool| {
        text.split(['_', '-'])
            .all(|word| (1..=24).contains(&word.len()) && word.bytes().all(|byte| is_letter(&byte)))
    };
    text.len() <= 64 && (one_case(u8::is_ascii_lowercase) || one_case(u8::is_ascii_uppercase))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::super::tests::{answer, connected};
    use super::super::{Provider, Since};
    use super::*;
    use crate::profile::UserId;
    use crate::time::At;

    const SVIX: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

    /// Each provider, and the field of the secret that holds its key.
    fn each() -> Vec<(Arc<dyn Provider>, &'static str)> {
        [
            (
                json!({"name": "stack", "project_id": "p", "secret_server_key": "k"}),
                Some(SVIX),
                "provider.secret_server_key",
            ),
            (
                json!({"name": "clerk", "secret_key": "k"}),
                Some(SVIX),
                "provider.secret_key",
            ),
            (
                json!({"name": "workos", "api_key": "k"}),
                Some(SVIX),
                "provider.api_key",
            ),
            (
                json!({
                    "name": "auth0", "domain": "t.eu.auth0.com", "client_id": "i",
                    "client_secret": "s", "webhook_token": "a_webhook_token_0123456789",
                }),
                None,
                "provider.client_secret",
            ),
            (
                json!({
                    "name": "supabase", "project_url": "https://ref.supabase.co",
                    "service_role_key": "k", "webhook_token": "a_webhook_token_0123456789",
                }),
                None,
                "provider.service_role_key",
            ),
        ]
        .into_iter()
        .map(|(provider, secret, key)| (connected(provider, secret).unwrap(), key))
        .collect()
    }

    /// Whatever the provider may be asked, answered like this.
    fn everything(provider: &dyn Provider, answer: &Answer) -> Vec<AnswerError> {
        let id = UserId::new("00000000-0000-4000-8000-000000000000").unwrap();
        let mut all = vec![
            provider.user(&id, answer).unwrap_err(),
            provider.listing(None).read(answer).unwrap_err(),
        ];
        if provider.project_request().is_some() {
            all.push(provider.project(answer).unwrap_err());
        }
        if provider.access_token_request().is_some() {
            all.push(provider.access_token(answer).unwrap_err());
        }
        if let Some(events) = provider.events() {
            for since in [
                Since::Event("event_1".to_owned()),
                Since::Time(At::from_micros(0)),
            ] {
                all.push(events.read(&since, answer).unwrap_err());
            }
        }
        all
    }

    #[test]
    fn a_refused_key_is_a_refused_key_whatever_the_body_is() {
        for (provider, key) in each() {
            for status in [401, 403] {
                for body in [
                    "",
                    "Unauthorized",
                    "<html><head><title>403 Forbidden</title></head></html>",
                    "{}",
                    "[]",
                    "null",
                    r#"{"message":"Invalid API key"}"#,
                    r#"{"error":"forbidden"}"#,
                    r#"{"errors":[]}"#,
                    r#"{"code":403,"detail":"sk_live_hidden"}"#,
                    r#"{"code":"validation_failed","error_code":"user_not_found"}"#,
                    r#"{"code":"SCHEMA_ERROR"}"#,
                    r#"{"errors":[{"code":"resource_not_found"}]}"#,
                    "{\"half\":",
                    "\u{feff}Unauthorized",
                ] {
                    for misread in everything(&*provider, &answer(status, body)) {
                        let name = provider.facts().name;
                        let AnswerError::Refused(advice) = misread else {
                            panic!("{name}: {status} {body}: {misread:?}");
                        };
                        assert!(advice.contains(key), "{name}: {status} {body}: {advice}");
                        assert!(advice.contains(&status.to_string()), "{advice}");
                        assert!(!advice.contains("hidden"), "{advice}");
                    }
                }
            }
        }
    }

    #[test]
    fn an_answer_that_is_not_the_providers_own_refuses_nothing_but_the_key() {
        for (provider, _) in each() {
            for status in [302, 400, 404, 405, 410, 418] {
                for body in ["", "not found", "<html></html>"] {
                    for misread in everything(&*provider, &answer(status, body)) {
                        let name = provider.facts().name;
                        assert!(
                            matches!(misread, AnswerError::Garbled(_)),
                            "{name}: {status} {body}: {misread:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn trouble_of_the_providers_own_shows_its_code_and_no_more() {
        let words = |error: serde_json::Value| {
            move |name: &str, status| {
                let error = match name {
                    "clerk" => json!({"errors": [error]}),
                    _ => error.clone(),
                };
                answer(status, error)
            }
        };
        let coded = words(json!({
            "code": "internal_error", "errorCode": "internal_error", "message": "hidden",
            "error": "for ada@example.com",
        }));
        let odd = words(json!({"code": "sk_live_4f5d6c7b8a9e", "error": "hidden secret"}));
        for (provider, _) in each() {
            let name = provider.facts().name;
            for status in [500, 503] {
                let said = provider.words().trouble(&coded(name, status)).unwrap();
                assert!(said.contains(&status.to_string()), "{said}");
                assert!(said.contains("internal_error"), "{said}");
                assert!(!said.contains("ada") && !said.contains("hidden"), "{said}");
                for answer in [odd(name, status), answer(status, "<html>hidden</html>")] {
                    let said = provider.words().trouble(&answer);
                    assert_eq!(said, None, "{name}");
                }
            }
        }
    }

    #[test]
    fn only_what_looks_like_a_code_is_shown() {
        for code in [
            "resource_not_found",
            "SCHEMA_ERROR",
            "over_request_rate_limit",
            "invalid-cursor",
            "mfa_totp_enroll_not_enabled",
        ] {
            assert!(is_code(code), "{code}");
        }
        let long = "a".repeat(25);
        let longer = "word_".repeat(13) + "word";
        for text in [
            "",
            "a b",
            "<html>",
            "ada@example.com",
            "sk_live_4f5d6c7b8a9e",
            "sk_test_AbCdEf",
            "sb_secret_0123456789",
            "3241a285-8329-4d69-8f3d-316e08cf140c",
            "eyJhbGciOi",
            "_x",
            "x__y",
            "x_",
            "4xx",
            "internal_7",
            &long,
            &longer,
        ] {
            assert!(!is_code(text), "{text}");
        }
    }
}
