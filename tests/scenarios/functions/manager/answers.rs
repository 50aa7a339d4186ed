//! Answers of Secrets Manager: which are read as a secret, and what the operator is told of the others.

use anyhow::{Context, Result, ensure};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};
use tests::function::Function;
use tests::secret_file::SecretFile;

use super::{CANARY, FUNCTIONS, Manager, Running, answer, assert_shows_nothing, good, secret};
use crate::site::does_not_start;

#[tokio::test]
async fn a_refusal_says_what_to_do() -> Result<()> {
    let kms = json!({"__type": "AccessDeniedException", "Message": "Access to KMS is not allowed"});
    let role = json!({"__type": "AccessDeniedException", "Message": "User: arn:aws:sts::1:assumed-\
        role/x is not authorized to perform: secretsmanager:GetSecretValue on resource: users-sync"});
    let undecryptable = json!({"__type": "DecryptionFailure", "Message": "Secrets Manager can't \
        decrypt the protected secret text using the provided KMS key."});
    let empty = json!({"__type": "ResourceNotFoundException", "Message": "Secrets Manager can't \
        find the specified secret value for staging label: AWSCURRENT"});
    let deleted = json!({"__type": "InvalidRequestException", "Message": "You can't perform this \
        operation on the secret because it was marked for deletion."});
    let expired = json!({"__type": "ExpiredTokenException", "message": "The security token \
        included in the request is expired"});
    for (refusal, words) in [
        (kms, "kms:Decrypt"),
        (undecryptable, "kms:Decrypt"),
        (role, "secretsmanager:GetSecretValue"),
        (empty, "has no value yet"),
        (deleted, "restore-secret"),
        (expired, "refuses the function's credentials"),
    ] {
        let code = refusal["__type"].as_str().context("a code")?.to_owned();
        let manager = Manager::open(answer(400, &refusal)).await?;
        for name in FUNCTIONS {
            let function = Function::spawn(name, manager.env()).await?;
            let said = does_not_start(&function).await?;
            for word in [words, &code, "HTTP 400"] {
                ensure!(said.contains(word), "{name} does not say {word}: {said}");
            }
        }
    }
    Ok(())
}

/// The secret's text as editors and shells leave it.
fn dressed(text: &str) -> [String; 5] {
    let pretty = serde_json::from_str::<Value>(text)
        .and_then(|secret| serde_json::to_string_pretty(&secret))
        .unwrap_or_default();
    [
        format!("\u{feff}{text}"),
        format!("{text}\n"),
        format!("\u{feff}\r\n {}\r\n\r\n", pretty.replace('\n', "\r\n")),
        format!("\n\t{text} \u{feff}\n"),
        format!("\u{a0}{text}\u{2003}"),
    ]
}

#[tokio::test]
async fn a_byte_order_mark_and_white_space_around_the_secret_are_harmless() -> Result<()> {
    let running = Running::new().await?;
    let text = running.secret.to_string();
    let file = SecretFile::new(&running.secret)?;
    for dressed in dressed(&text) {
        let binary = BASE64_STANDARD.encode(&dressed);
        for value in [
            json!({"SecretString": dressed}),
            json!({"SecretBinary": binary}),
        ] {
            running.manager.set(answer(200, good(value)));
            for name in FUNCTIONS {
                let started = running.manager.start(name).await;
                started.with_context(|| format!("{name}: {dressed:?}"))?;
            }
        }
        std::fs::write(file.path(), &dressed)?;
        for name in FUNCTIONS {
            let function = Function::spawn(name, file.env()).await?;
            let ready = function.ready().await;
            ready.with_context(|| format!("{name}: {dressed:?}"))?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_secret_in_another_encoding_is_said_to_be_in_one() -> Result<()> {
    let text = secret().to_string();
    let utf_16: Vec<u8> = "\u{feff}"
        .encode_utf16()
        .chain(text.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let latin_1 = [text.as_bytes(), b"\xe9"].concat();
    let file = SecretFile::new(&json!({}))?;
    for (bytes, words) in [(utf_16, "UTF-16"), (latin_1, "not UTF-8")] {
        std::fs::write(file.path(), &bytes)?;
        let binary = good(json!({"SecretBinary": BASE64_STANDARD.encode(&bytes)}));
        let manager = Manager::open(answer(200, binary)).await?;
        for (environment, place) in [
            (file.env().to_vec(), "SECRET_FILE"),
            (manager.env(), "SECRET_ID"),
        ] {
            for name in FUNCTIONS {
                let function = Function::spawn(name, environment.clone()).await?;
                let said = does_not_start(&function).await?;
                for word in [words, place, "save it as UTF-8"] {
                    ensure!(said.contains(word), "{name} does not say {word}: {said}");
                }
                assert_shows_nothing(&said, &[CANARY])?;
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_secret_without_a_value_is_said_to_have_none() -> Result<()> {
    for body in [good(json!({})), secret()] {
        let manager = Manager::open(answer(200, body)).await?;
        for name in FUNCTIONS {
            let function = Function::spawn(name, manager.env()).await?;
            let said = does_not_start(&function).await?;
            ensure!(
                said.contains("SECRET_ID names a secret without a value"),
                "{said}"
            );
            assert_shows_nothing(&said, &[CANARY])?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_flat_secret_is_told_of_the_plain_text_editor() -> Result<()> {
    let mut flat = secret();
    for field in ["signing_secrets", "provider"] {
        flat[field] = flat[field].to_string().into();
    }
    let manager =
        Manager::open(answer(200, good(json!({"SecretString": flat.to_string()})))).await?;
    for name in FUNCTIONS {
        let function = Function::spawn(name, manager.env()).await?;
        let said = does_not_start(&function).await?;
        for word in ["signing_secrets is not a list", "plain-text editor"] {
            ensure!(said.contains(word), "{name} does not say {word}: {said}");
        }
        assert_shows_nothing(&said, &[CANARY])?;
    }
    Ok(())
}
