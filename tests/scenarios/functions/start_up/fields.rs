//! Fields of the secret that are missing or wrong: each is named, and its value is not repeated.

use std::fs;

use anyhow::Result;
use serde_json::{Value, json};
use tests::scratch::Scratch;

use super::{FUNCTIONS, HIDDEN, check, check_secrets, secret};

#[tokio::test]
async fn a_secret_that_is_not_a_json_object_is_called_that() -> Result<()> {
    let scratch = Scratch::new("secret")?;
    for (number, (text, words)) in [
        ("", "not JSON"),
        (HIDDEN, "not JSON"),
        (&*format!("{{\"database_url\": \"{HIDDEN}"), "not JSON"),
        (&*format!("{}{HIDDEN}", secret()), "not JSON"),
        ("[]", "not a JSON object"),
        ("null", "not a JSON object"),
        (&*format!("\"{HIDDEN}\""), "not a JSON object"),
    ]
    .into_iter()
    .enumerate()
    {
        let path = scratch.path().join(number.to_string());
        fs::write(&path, text)?;
        let environment = [("SECRET_FILE".to_owned(), path.display().to_string())];
        check(&environment, &["secret", words]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_field_that_is_missing_is_named() -> Result<()> {
    let cases = [
        ("/database_url", "database_url is missing"),
        ("/signing_secrets", "signing_secrets is missing"),
        ("/provider", "provider is missing"),
        ("/provider/name", "provider.name is missing"),
        ("/provider/project_id", "provider.project_id is missing"),
        (
            "/provider/secret_server_key",
            "provider.secret_server_key is missing",
        ),
    ];
    check_secrets(
        &FUNCTIONS,
        cases.map(|(pointer, words)| (pointer, None, words)),
    )
    .await
}

#[tokio::test]
async fn a_field_that_is_not_what_it_should_be_is_named() -> Result<()> {
    let hidden = || json!(HIDDEN);
    let cases = [
        ("/databse_url", hidden(), "databse_url is not a known field"),
        (
            "/provider/porject_id",
            hidden(),
            "provider.porject_id is not a known field",
        ),
        (
            "/provider/secret_key",
            hidden(),
            "provider.secret_key is not a known field",
        ),
        (
            "/database_url",
            json!([HIDDEN]),
            "database_url is not a string",
        ),
        ("/database_url", json!(""), "database_url is empty"),
        ("/database_url", Value::Null, "database_url is not a string"),
        (
            "/admin_database_url",
            json!(7),
            "admin_database_url is not a string",
        ),
        (
            "/admin_database_url",
            json!(" "),
            "admin_database_url is empty",
        ),
        (
            "/signing_secrets",
            json!("whsec_hiddenvalue"),
            "signing_secrets is not a list",
        ),
        (
            "/signing_secrets",
            json!([
                "whsec_aGlkZGVudmFsdWVoaWRkZW52YWx1ZQ==",
                "whsec_aGlkZGVudmFsdWU="
            ]),
            "signing_secrets[1] is a key of less than 16 bytes",
        ),
        (
            "/signing_secrets",
            json!([""]),
            "signing_secrets[0] is empty",
        ),
        (
            "/signing_secrets",
            json!(["whsec_"]),
            "signing_secrets[0] is empty",
        ),
        (
            "/signing_secrets",
            json!(["whsec_aGlkZGVudmFsdWVoaWRkZW52YWx1ZQ==", " "]),
            "signing_secrets[1] is empty",
        ),
        (
            "/signing_secrets",
            json!(["whsec_hiddenvalue!"]),
            "signing_secrets[0] is empty or not",
        ),
        (
            "/signing_secrets",
            json!([{"key": HIDDEN}]),
            "signing_secrets[0] is not a string",
        ),
        ("/provider", hidden(), "provider is not a JSON object"),
        (
            "/provider/name",
            hidden(),
            "provider.name is not a provider",
        ),
        ("/provider/name", json!(""), "provider.name is empty"),
        (
            "/provider/project_id",
            json!(7),
            "provider.project_id is not a string",
        ),
        (
            "/provider/project_id",
            json!("\n"),
            "provider.project_id is empty",
        ),
        (
            "/provider/project_id",
            json!("hidden\nhiddenvalue"),
            "provider.project_id contains a character",
        ),
        (
            "/provider/secret_server_key",
            json!(""),
            "provider.secret_server_key is empty",
        ),
        (
            "/provider/secret_server_key",
            json!("hiddenvalue\u{0}"),
            "provider.secret_server_key contains a character",
        ),
        (
            "/provider/secret_server_key",
            json!("hiddenvalue\n"),
            "provider.secret_server_key begins or ends with white space",
        ),
        (
            "/provider/name",
            json!(" stack"),
            "provider.name begins or ends with white space",
        ),
        (
            "/database_url",
            json!(" postgres://hiddenvalue@hiddenvalue/hiddenvalue"),
            "database_url begins or ends with white space",
        ),
        (
            "/admin_database_url",
            json!("postgres://hiddenvalue@hiddenvalue/hiddenvalue\r\n"),
            "admin_database_url begins or ends with white space",
        ),
        (
            "/signing_secrets",
            json!(["whsec_aGlkZGVudmFsdWVoaWRkZW52YWx1ZQ==\n"]),
            "signing_secrets[0] begins or ends with white space",
        ),
        (
            "/provider/api_url",
            hidden(),
            "provider.api_url is not an http",
        ),
        (
            "/provider/api_url",
            json!("ftp://hiddenvalue/"),
            "provider.api_url is not an http",
        ),
        (
            "/provider/api_url",
            json!("https://"),
            "provider.api_url is not an http",
        ),
        (
            "/provider/api_url",
            json!("http://h/?hiddenvalue"),
            "provider.api_url is not an http",
        ),
    ];
    check_secrets(
        &FUNCTIONS,
        cases.map(|(pointer, value, words)| (pointer, Some(value), words)),
    )
    .await
}

#[tokio::test]
async fn a_pointer_that_is_none_or_names_the_id_is_named() -> Result<()> {
    let cases = [
        (json!("/hiddenvalue"), "redact is not a list of strings"),
        (
            json!({"/hiddenvalue": true}),
            "redact is not a list of strings",
        ),
        (Value::Null, "redact is not a list of strings"),
        (json!(["/a", 7]), "redact[1] is not a string"),
        (json!(["/a", ["/hiddenvalue"]]), "redact[1] is not a string"),
        (json!([""]), "redact[0] is empty"),
        (
            json!(["/a", "hiddenvalue"]),
            "redact[1] is not a JSON Pointer",
        ),
        (json!(["#/hiddenvalue"]), "redact[0] is not a JSON Pointer"),
        (json!(["$.hiddenvalue"]), "redact[0] is not a JSON Pointer"),
        (json!(["/hiddenvalue~"]), "redact[0] is not a JSON Pointer"),
        (
            json!(["/a", "/b", "/~2"]),
            "redact[2] is not a JSON Pointer",
        ),
        (
            json!(["/hiddenvalue/ "]),
            "redact[0] begins or ends with white space",
        ),
        (json!(["/a", "/id"]), "redact[1] names the user's id"),
        (json!(["/id/hiddenvalue"]), "redact[0] names the user's id"),
    ];
    check_secrets(
        &FUNCTIONS,
        cases.map(|(value, words)| ("/redact", Some(value), words)),
    )
    .await
}
