//! The authorities that the system trusts: to read their certificates takes an instance longer than
//! the rest of its start, so it is not done twice.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::function::Function;
use tests::function_url;
use tests::postgres::{Options, Postgres};
use tests::scratch::Scratch;
use tests::stage::{Setup, Stage};

use super::about_a_user;

/// More than all else that an instance reads.
const PADDING: usize = 400_000;

/// An instance to which an authority's certificate is somewhere in a large file of the system's.
async fn webhook(stage: &Stage, server: &Postgres, folder: &Scratch) -> Result<Function> {
    let mut authorities = "not a certificate\n".repeat(PADDING / 18);
    authorities.push_str(&fs::read_to_string(server.ca_file())?);
    let file = folder.path().join("authorities.pem");
    fs::write(&file, authorities)?;
    let system = ("SSL_CERT_FILE".to_owned(), file.display().to_string());
    let environment = stage.environment().into_iter().chain([system]);
    Function::spawn("webhook", environment).await
}

/// Bytes that it has read from files so far.
fn read(webhook: &Function) -> Result<usize> {
    let figures = fs::read_to_string(format!("/proc/{}/io", webhook.process_id()?))?;
    let mut lines = figures.lines();
    let read = lines.find_map(|line| line.strip_prefix("rchar: "));
    Ok(read.context("what was read")?.parse()?)
}

async fn deliver(stage: &Stage, webhook: &Function, forged: bool) -> Result<Value> {
    stage.simulator.create("Ada", "ada@example.com")?;
    let messages = stage.simulator.take_messages();
    let message = about_a_user(&messages)?;
    let mut request = http::Request::post("http://webhook.test/").body(())?;
    *request.headers_mut() = stage.signed(message)?;
    let (parts, ()) = request.into_parts();
    let mut body = message.body.to_vec();
    if forged {
        body.push(b' ');
    }
    let event = function_url::event(&parts, &body).to_string();
    let answer = webhook.invoke_bytes(event, Duration::from_secs(10)).await?;
    Ok(answer["statusCode"].clone())
}

#[tokio::test]
async fn the_authorities_are_read_once_for_the_provider_and_postgres() -> Result<()> {
    let server = Postgres::start(Options::default().tls()).await?;
    let stage = Stage::on(&server, Setup::default()).await?;
    stage.change_secret(|secret| {
        let url = secret["database_url"].as_str().unwrap_or_default();
        let url = url.replace("127.0.0.1", "localhost");
        secret["database_url"] = format!("{url}?sslmode=verify-full").into();
    })?;
    let folder = Scratch::new("authorities")?;
    let webhook = webhook(&stage, &server, &folder).await?;
    let answered = deliver(&stage, &webhook, false).await?;
    assert_eq!(answered, json!(200), "{}", webhook.logs()?);
    // A connector reads the file that the environment names in two ways.
    let bytes = read(&webhook)?;
    assert!((PADDING..3 * PADDING).contains(&bytes), "{bytes}");

    // A stranger has the secret read again, and no more.
    let answered = deliver(&stage, &webhook, true).await?;
    assert_eq!(answered, json!(401));
    let more = read(&webhook)? - bytes;
    assert!(more < PADDING / 2, "{more}");
    Ok(())
}
