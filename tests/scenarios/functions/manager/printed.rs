//! Nothing of a secret is printed: not at a start, nor by a delivery, a run, CloudFormation or a panic.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::http::StatusCode;
use serde_json::{Value, json};
use tests::function::Function;
use tests::postgres::Postgres;
use tests::stage::{Setup, Stage};
use tokio::task::JoinSet;

use super::{
    Answer, CANARY, ENCODED, FUNCTIONS, Manager, Running, answer, assert_shows_nothing, good,
    secret,
};
use crate::site::{Bucket, does_not_start};

/// Answers that hold this secret, none of which gives it as Secrets Manager does; with the HTTP
/// status that each has.
fn unusable(secret: &Value) -> Vec<Answer> {
    let text = secret.to_string();
    let whole = good(json!({"SecretString": text})).to_string();
    let cut = |at: usize| whole[..at].to_owned();
    let mut answers = vec![
        answer(
            200,
            good(json!({"SecretString": text, "CreatedDate": "yesterday"})),
        ),
        answer(
            200,
            good(json!({"SecretString": text, "CreatedDate": {"at": text}})),
        ),
        answer(
            200,
            good(json!({"SecretString": text, "VersionStages": text})),
        ),
        answer(200, good(json!({"SecretString": secret}))),
        answer(200, good(json!({"SecretString": [text]}))),
        answer(200, good(json!({"SecretBinary": text}))),
        answer(200, good(json!({"SecretBinary": secret}))),
        answer(200, good(json!({"SecretString": text, "Name": secret}))),
        answer(200, cut(whole.len() - 1)),
        answer(200, cut(whole.len() - 30)),
        answer(200, format!("{whole}{text}")),
        answer(200, format!("<html>{text}</html>")),
        answer(200, json!([text])),
        answer(302, &text),
        answer(404, format!("<html>{text}</html>")),
    ];
    for status in [400, 403, 500] {
        answers.extend([
            answer(status, &whole),
            answer(
                status,
                json!({"__type": "AccessDeniedException", "Message": text}),
            ),
            answer(status, json!({"__type": text, "message": text})),
            answer(status, json!({"__type": CANARY, "message": CANARY})),
            answer(status, json!({"__type": format!("{CANARY}1Exception")})),
            answer(status, json!({"code": CANARY, "message": secret})),
            answer(status, json!({"__type": {"a": text}, "Message": [text]})),
            answer(status, format!("{text} {text}")),
        ]);
        let mut named = answer(status, &text);
        named.kind = Some(CANARY.to_owned());
        answers.push(named);
    }
    answers
}

#[tokio::test]
async fn whatever_is_answered_nothing_of_the_secret_is_printed_at_a_start() -> Result<()> {
    let mut checks = JoinSet::new();
    for answer in unusable(&secret()) {
        // Four at once: they read the system's certificates, each of them.
        while checks.len() >= 4 {
            checks.join_next().await.context("a check")???;
        }
        checks.spawn(async move {
            let manager = Manager::open(answer.clone()).await?;
            for name in FUNCTIONS {
                let function = Function::spawn(name, manager.env()).await?;
                let said = does_not_start(&function).await?;
                let told = format!("{:?}", function.init_error());
                let canaries = [&[CANARY], &ENCODED[..]].concat();
                let checked = assert_shows_nothing(&format!("{said}{told}"), &canaries);
                checked.with_context(|| format!("{name}: {answer:?}"))?;
                let status = format!("HTTP {}", answer.status);
                ensure!(said.contains(&status), "{name}: {answer:?}\n{said}");
                ensure!(
                    said.contains("read SECRET_ID from Secrets Manager"),
                    "{name}: {answer:?}\n{said}"
                );
                ensure!(said.lines().count() == 1, "{name}: {answer:?}\n{said}");
            }
            Ok::<_, anyhow::Error>(())
        });
    }
    while let Some(checked) = checks.join_next().await {
        checked??;
    }
    Ok(())
}

#[tokio::test]
async fn a_forged_delivery_has_nothing_of_the_secret_printed() -> Result<()> {
    let running = Running::new().await?;
    for bad in unusable(&running.secret).into_iter().step_by(5) {
        let sound = answer(
            200,
            good(json!({"SecretString": running.secret.to_string()})),
        );
        running.manager.set(sound);
        let webhook = running.manager.start("webhook").await?;
        running.manager.set(bad.clone());
        let forged = reqwest::Client::new()
            .post(webhook.url())
            .header("svix-id", "msg_forged")
            .header(
                "svix-timestamp",
                jiff::Timestamp::now().as_second().to_string(),
            )
            .header(
                "svix-signature",
                "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
            )
            .body("{}")
            .send()
            .await?;
        let status = forged.status();
        let said = format!("{}{}", webhook.logs()?, forged.text().await?);
        ensure!(
            status == StatusCode::SERVICE_UNAVAILABLE,
            "{bad:?}: {status}\n{said}"
        );
        running
            .assert_hidden(&said)
            .with_context(|| format!("{bad:?}"))?;
        let expected = format!("HTTP {}", bad.status);
        ensure!(
            said.contains("can't read the secret again"),
            "{bad:?}\n{said}"
        );
        ensure!(said.contains(&expected), "{bad:?}\n{said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_run_whose_password_is_refused_has_nothing_of_the_secret_printed() -> Result<()> {
    let running = Running::new().await?;
    let reconcile = running.manager.start("reconcile").await?;
    let login = crate::site::login(running.stage.database.url()).to_owned();
    let rotation = format!("ALTER ROLE {login} PASSWORD 'rotated'");
    running.stage.execute(&rotation).await?;
    running.manager.set(unusable(&running.secret)[0].clone());
    let failure = reconcile.invoke(json!({})).await.err().context("it ran")?;
    let said = format!("{}{failure:?}", reconcile.logs()?);
    running.assert_hidden(&said)?;
    ensure!(said.contains("can't read the secret again"), "{said}");
    Ok(())
}

#[tokio::test]
async fn cloudformation_is_told_nothing_of_the_secret() -> Result<()> {
    let running = Running::new().await?;
    let provision = running.manager.start("provision").await?;
    let bucket = Bucket::open(&[]).await?;
    for bad in unusable(&running.secret).into_iter().step_by(3) {
        running.manager.set(bad.clone());
        let failure = provision.invoke(bucket.event("create")?).await;
        let failure = failure.err().context("it provisioned")?;
        let told = bucket.answer()?;
        let said = format!("{}{failure:?}{told}", provision.logs()?);
        running
            .assert_hidden(&said)
            .with_context(|| format!("{bad:?}"))?;
        ensure!(told["Status"] == "FAILED", "{told}");
        let reason = told["Reason"].as_str().unwrap_or_default();
        let status = format!("HTTP {}", bad.status);
        ensure!(reason.contains(&status), "{bad:?}: {told}");
    }
    Ok(())
}

#[tokio::test]
async fn a_panic_says_where_and_not_with_what_words() -> Result<()> {
    let stage = Stage::on(Postgres::shared().await?, Setup::default()).await?;
    for name in FUNCTIONS {
        // Lambda's own library panics at a number that is none.
        let mut environment = stage.environment().to_vec();
        environment.push((
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE".to_owned(),
            CANARY.to_owned(),
        ));
        let function = Function::spawn(name, environment).await?;
        function.exit(Duration::from_secs(20)).await?;
        let said = function.logs()?;
        let last = said.lines().last().unwrap_or_default();
        let line: Value = serde_json::from_str(last).with_context(|| said.clone())?;
        ensure!(
            line["message"]
                .as_str()
                .is_some_and(|said| said.starts_with("panicked")),
            "{said}"
        );
        ensure!(
            line["place"]
                .as_str()
                .is_some_and(|place| place.contains(".rs:")),
            "{said}"
        );
        for word in ["ParseIntError", "InvalidDigit", CANARY] {
            ensure!(!said.contains(word), "{name} says {word}: {said}");
        }
    }
    Ok(())
}
