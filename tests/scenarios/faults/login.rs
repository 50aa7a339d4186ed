//! Answers of a server, a pooler or a proxy to a login: the operator reads them in their
//! words, at once, unless it passes.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::login::{Doorman, Refusal};
use tests::pgbouncer::PgBouncer;
use tests::postgres::{Options, Postgres};
use tests::stage::{Setup, Stage};

/// Well below what a run waits for a database that doesn't answer, which is 24 s here.
const AT_ONCE: Duration = Duration::from_secs(10);

/// An answer, and a word of the advice.
const FINAL: &[(&str, &str, &str)] = &[
    (
        "28P01",
        "password authentication failed for user \"x\"",
        "reset the role's password",
    ),
    (
        "28000",
        "role \"x\" is not permitted to log in",
        "correct database_url",
    ),
    (
        "28000",
        "no pg_hba.conf entry for host \"1.2.3.4\", user \"x\", database \"y\", no encryption",
        "verify-full",
    ),
    (
        "28000",
        "kein pg_hba.conf-Eintrag für Host »1.2.3.4«, Benutzer »x«, Datenbank »y«",
        "verify-full",
    ),
    (
        "28000",
        "нет записи в pg_hba.conf для компьютера \"1.2.3.4\"",
        "verify-full",
    ),
    (
        "28000",
        "connection is insecure (try using `sslmode=require`)",
        "verify-full",
    ),
    (
        "3D000",
        "database \"y\" does not exist",
        "there is no such database",
    ),
    (
        "XX000",
        "The endpoint is disabled. Enable it using the API and retry.",
        "console",
    ),
    (
        "XX000",
        "Your project has exceeded the compute time quota. Upgrade your plan to increase limits.",
        "console",
    ),
    (
        "08P01",
        "Endpoint ID is not specified. Either please upgrade the postgres client library (libpq) \
         for SNI support or pass the endpoint ID",
        "options=endpoint%3D",
    ),
    ("XX000", "Tenant or user not found", "role.ref"),
    ("08P01", "no such database: y", "there is no such database"),
    ("08P01", "no such user: x", "reset the role's password"),
    (
        "08P01",
        "SASL authentication failed",
        "reset the role's password",
    ),
    ("08P01", "unsupported startup parameter: options", "console"),
    ("0A000", "words that nobody has heard of", "console"),
];

/// An error that passes in time.
const PASSING: &[(&str, &str)] = &[
    ("57P03", "the database system is starting up"),
    ("57P03", "das Datenbanksystem startet"),
    (
        "57P01",
        "terminating connection due to administrator command",
    ),
    (
        "57P02",
        "terminating connection because of crash of another server process",
    ),
    ("53300", "sorry, too many clients already"),
    (
        "53300",
        "remaining connection slots are reserved for roles with the SUPERUSER attribute",
    ),
    ("08P01", "no more connections allowed (max_client_conn)"),
    ("08P01", "pgbouncer cannot connect to server"),
    (
        "08P01",
        "server login has been failing, try again later (server_login_retry)",
    ),
    ("XX000", "MaxClientsInSessionMode: max clients reached"),
    ("XX000", "Max client connections reached"),
    ("XX000", "Couldn't connect to compute node"),
];

async fn stage_behind(refusals: Vec<Refusal>) -> Result<(Stage, Doorman)> {
    let server = Postgres::shared().await?;
    let stage = Stage::on(server, Setup::default()).await?;
    let doorman = Doorman::start(server.port(), refusals).await?;
    let url = doorman.url(stage.database.url());
    stage.change_secret(|secret| secret["database_url"] = json!(url))?;
    Ok((stage, doorman))
}

/// The message with which a run fails, and soon.
async fn failure(stage: &Stage) -> Result<String> {
    let reconcile = stage.start("reconcile").await?;
    let begun = Instant::now();
    let error = reconcile.invoke(json!({})).await.err().context("it ran")?;
    ensure!(error.error_type == "Failed", "{error}");
    ensure!(begun.elapsed() < AT_ONCE, "{:?}: {error}", begun.elapsed());
    Ok(error.error_message)
}

#[tokio::test]
async fn an_answer_that_does_not_pass_ends_the_waiting_and_is_said() -> Result<()> {
    futures_util::future::try_join_all(FINAL.iter().map(async |(code, message, advice)| {
        let refusals = vec![Refusal::new(code, message); 100];
        let (stage, doorman) = stage_behind(refusals).await?;
        let said = failure(&stage).await?;
        for words in [format!("SQLSTATE {code}: {message}"), (*advice).to_owned()] {
            ensure!(said.contains(&words), "{words}: {said}");
        }
        // A run asks once, and once more with the secret as it is by now.
        ensure!(doorman.left() >= 98, "{}", doorman.left());
        anyhow::Ok(())
    }))
    .await?;
    Ok(())
}

#[tokio::test]
async fn an_answer_that_passes_is_waited_out() -> Result<()> {
    let refusals: Vec<Refusal> = PASSING
        .iter()
        .map(|(code, message)| Refusal::new(code, message))
        .collect();
    futures_util::future::try_join_all(refusals.chunks(3).map(async |refusals| {
        let (stage, doorman) = stage_behind(refusals.to_vec()).await?;
        let reconcile = stage.start("reconcile").await?;
        let report = reconcile.invoke(json!({})).await;
        let report = report.with_context(|| format!("{refusals:?}"))?;
        ensure!(report["outcome"] == "complete", "{report}");
        ensure!(doorman.left() == 0, "{refusals:?}");
        anyhow::Ok(())
    }))
    .await?;
    Ok(())
}

#[tokio::test]
async fn an_answer_that_does_not_pass_in_time_is_said_as_well() -> Result<()> {
    let refusal = Refusal::new("53300", "sorry, too many clients already");
    let (stage, _doorman) = stage_behind(vec![refusal; 1000]).await?;
    let reconcile = stage.start("reconcile").await?;
    let limit = Duration::from_secs(5);
    let error = reconcile.invoke_with_deadline(json!({}), limit).await;
    let error = error.err().context("it ran")?.error_message;
    ensure!(error.contains("SQLSTATE 53300: sorry, too many"), "{error}");
    Ok(())
}

#[tokio::test]
async fn of_a_servers_words_no_more_is_repeated_than_is_good() -> Result<()> {
    let message = format!("a\u{1b}[31m\nb\u{202e}{}end", "x".repeat(300));
    let (stage, _doorman) = stage_behind(vec![Refusal::new("XX000", &message); 9]).await?;
    let said = failure(&stage).await?;
    ensure!(said.contains("SQLSTATE XX000: a[31mbxxx"), "{said}");
    ensure!(!said.contains("stage)"), "{said}");
    ensure!(
        !said.chars().any(|c| c.is_control() || c == '\u{202e}'),
        "{said}"
    );
    Ok(())
}

#[tokio::test]
async fn a_webhook_says_it_too_and_asks_the_sender_to_come_again() -> Result<()> {
    let message = "The endpoint is disabled. Enable it using the API and retry.";
    let (stage, _doorman) = stage_behind(vec![Refusal::new("XX000", message); 99]).await?;
    let stage = stage.receives().await?;
    stage.simulator.create("Ada", "ada@example.com")?;
    let messages = stage.simulator.take_messages();
    let created = messages
        .iter()
        .find(|message| message.kind == "user.created");
    let begun = Instant::now();
    let status = stage.deliver(created.context("no user.created")?).await?;
    ensure!(
        status == 503 && begun.elapsed() < AT_ONCE,
        "{status}: {:?}",
        begun.elapsed()
    );
    let logs = stage.webhook().await?.logs()?;
    let logged = logs.lines().map(serde_json::from_str::<Value>);
    let errors = logged.filter_map(Result::ok).filter(|line| {
        let error = line["error"].as_str().unwrap_or_default();
        error.contains("SQLSTATE XX000") && error.contains(message)
    });
    ensure!(errors.count() > 0, "{logs}");
    Ok(())
}

#[tokio::test]
async fn a_real_servers_answers_are_said_at_once() -> Result<()> {
    let server = Postgres::start(Options::default().tls()).await?;
    let stage = Stage::on(&server, Setup::default()).await?;
    let url = stage.database.url().to_owned();
    let name = stage.database.name();
    let login = crate::site::login(&url).to_owned();
    let encrypted = format!("{url}?sslmode=require");
    let cases = [
        (
            format!("{url}?sslmode=disable"),
            "SQLSTATE 28000: no pg_hba.conf entry",
        ),
        (
            encrypted.replace(&format!(":{login}@"), ":wrong@"),
            "SQLSTATE 28P01: password auth",
        ),
        (
            encrypted.replace(&format!("/{name}"), "/nowhere"),
            "SQLSTATE 3D000: database \"nowhere\"",
        ),
        (
            encrypted.replace(&format!("//{login}:"), "//nobody:"),
            "SQLSTATE 28P01: password auth",
        ),
    ];
    for (url, words) in cases {
        stage.change_secret(|secret| secret["database_url"] = json!(url))?;
        let said = failure(&stage).await?;
        ensure!(said.contains(words), "{words}: {said}");
    }
    stage.change_secret(|secret| secret["database_url"] = json!(encrypted))?;
    stage
        .execute(&format!("ALTER ROLE {login} NOLOGIN"))
        .await?;
    let said = failure(&stage).await?;
    ensure!(said.contains("SQLSTATE 28000: role"), "{said}");
    stage.execute(&format!("ALTER ROLE {login} LOGIN")).await?;
    let read_only = "SET default_transaction_read_only = on";
    stage
        .execute(&format!("ALTER DATABASE {name} {read_only}"))
        .await?;
    let said = failure(&stage).await?;
    ensure!(said.contains("SQLSTATE 25006"), "{said}");
    let url = format!("{encrypted}&target_session_attrs=primary");
    stage.change_secret(|secret| secret["database_url"] = json!(url))?;
    let said = failure(&stage).await?;
    ensure!(said.contains("SQLSTATE 25006"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_real_poolers_answers_are_said_at_once() -> Result<()> {
    let server = Postgres::shared().await?;
    let bouncer = PgBouncer::start(server, 2).await?;
    let stage = Stage::on(server, Setup::default()).await?;
    let url = bouncer.url(stage.database.url());
    let login = crate::site::login(&url).to_owned();
    for (url, words) in [
        (
            url.replace(&format!(":{login}@"), ":wrong@"),
            "SASL authentication failed",
        ),
        (
            url.replace(&format!("//{login}:"), "//nobody:"),
            "SQLSTATE 08P01",
        ),
    ] {
        stage.change_secret(|secret| secret["database_url"] = json!(url))?;
        let said = failure(&stage).await?;
        ensure!(said.contains(words), "{words}: {said}");
        ensure!(said.contains("database_url"), "{said}");
    }
    Ok(())
}
