//! Requests of CloudFormation: each is answered, also where `provision` fails or cannot start.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::postgres::Mode;

use super::site;
use crate::site::{Bucket, does_not_start};

#[tokio::test]
async fn each_kind_of_request_is_answered() -> Result<()> {
    let (_server, site) = site().await?;
    let bucket = Bucket::open(&[]).await?;
    let provision = site.start("provision", "neon_identity").await?;
    for (kind, schema) in [
        ("create", json!("neon_identity")),
        ("update", json!("neon_identity")),
        ("delete", Value::Null),
    ] {
        let event = bucket.event(kind)?;
        provision.invoke(event.clone()).await?;
        let answer = bucket.answer()?;
        assert_eq!(answer["Status"], "SUCCESS", "{kind}: {answer}");
        for name in ["StackId", "RequestId", "LogicalResourceId"] {
            assert_eq!(answer[name], event[name], "{kind}: {answer}");
        }
        let id = answer["PhysicalResourceId"].as_str().unwrap_or_default();
        assert!(!id.is_empty());
        if let Some(known) = event["PhysicalResourceId"].as_str() {
            assert_eq!(id, known, "another id would delete what is under this one");
        }
        assert_eq!(answer["Data"]["Schema"], schema);
    }
    let left = "SELECT count(*)::text FROM neon_identity.users_sync";
    assert_eq!(site.ask(left).await?, "0", "the data is left in place");
    Ok(())
}

#[tokio::test]
async fn a_console_that_is_to_connect_a_provider_finds_the_schema() -> Result<()> {
    let (_server, site) = site().await?;
    site.change(|secret| {
        secret["console_token"] = json!("a token of 24 characters");
        secret
            .as_object_mut()
            .expect("an object")
            .remove("provider");
    })?;
    let bucket = Bucket::open(&[]).await?;
    // It waits for an event, because none may come without a custom resource.
    let provision = site.spawn("provision", &[]).await?;
    provision.invoke(bucket.event("create")?).await?;
    let answer = bucket.answer()?;
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    let bound = "SELECT count(*)::text FROM neon_identity.connection";
    assert_eq!(site.ask(bound).await?, "0", "nothing is bound");
    let logs = provision.logs()?;
    assert!(logs.contains("no provider is connected yet"), "{logs}");
    Ok(())
}

#[tokio::test]
async fn a_failure_is_answered_and_says_why() -> Result<()> {
    let (server, site) = site().await?;
    site.provision().await?;
    let whole = site.secret();
    let bucket = Bucket::open(&[]).await?;
    let provision = site.start("provision", "neon_identity").await?;
    let cases: [(&str, Value, &[&str]); 5] = [
        (
            "/signing_secrets",
            json!(["whsec_"]),
            &["signing_secrets[0]"],
        ),
        ("/provider/name", json!("nobody"), &["provider.name"]),
        (
            "/provider/project_id",
            json!("other"),
            &["other", "7b1d5a7e", "connection"],
        ),
        (
            "/admin_database_url",
            json!(format!(
                "postgres://nobody:hidden@127.0.0.1:{}/x",
                server.port()
            )),
            &["admin_database_url", "password"],
        ),
        (
            "/admin_database_url",
            json!("hidden"),
            &["admin_database_url"],
        ),
    ];
    for (field, value, words) in cases {
        site.change(|secret| {
            *secret = whole.clone();
            *secret.pointer_mut(field).expect("a field") = value;
        })?;
        for kind in ["create", "update"] {
            let event = bucket.event(kind)?;
            let failure = provision.invoke(event.clone()).await;
            assert!(failure.is_err(), "{field}");
            let answer = bucket.answer()?;
            assert_eq!(answer["Status"], "FAILED");
            for name in ["StackId", "RequestId", "LogicalResourceId"] {
                assert_eq!(answer[name], event[name]);
            }
            let id = answer["PhysicalResourceId"].as_str();
            assert!(id.is_some_and(|id| !id.is_empty()));
            let reason = answer["Reason"].as_str().context("no reason")?;
            for word in words {
                assert!(reason.contains(word), "{field}: {reason}");
            }
            assert!(!reason.contains("hidden"), "{reason}");
        }
        // Whatever is wrong, a stack can be deleted.
        provision.invoke(bucket.event("delete")?).await?;
        assert_eq!(bucket.answer()?["Status"], "SUCCESS", "{field}");
    }
    // A corrected secret counts at once.
    site.change(|secret| *secret = whole)?;
    provision.invoke(bucket.event("update")?).await?;
    assert_eq!(bucket.answer()?["Status"], "SUCCESS");
    Ok(())
}

#[tokio::test]
async fn a_postgres_that_is_down_is_waited_for_and_then_answered() -> Result<()> {
    let (server, site) = site().await?;
    let bucket = Bucket::open(&[]).await?;
    let provision = site.start("provision", "neon_identity").await?;
    server.stop(Mode::Fast).await?;
    let limit = std::time::Duration::from_secs(120);
    let failure = provision
        .invoke_with_deadline(bucket.event("create")?, limit)
        .await;
    let failure = failure.err().context("Postgres is down")?;
    let answer = bucket.answer()?;
    assert_eq!(answer["Status"], "FAILED");
    let reason = answer["Reason"].as_str().context("no reason")?;
    assert!(reason.contains("Postgres can't be reached"), "{reason}");
    assert_eq!(failure.error_message, reason);
    Ok(())
}

#[tokio::test]
async fn a_lock_that_somebody_holds_is_answered_before_the_time_is_over() -> Result<()> {
    let (_server, site) = site().await?;
    site.provision().await?;
    let mut other = site.database.connect().await?;
    let open = other.transaction().await?;
    open.batch_execute("LOCK TABLE neon_identity.migrations")
        .await?;
    let bucket = Bucket::open(&[]).await?;
    let provision = site.start("provision", "neon_identity").await?;
    let limit = std::time::Duration::from_secs(6);
    let failure = provision
        .invoke_with_deadline(bucket.event("update")?, limit)
        .await;
    let failure = failure.err().context("it is locked")?;
    assert_eq!(failure.error_type, "Failed", "{failure}");
    let answer = bucket.answer()?;
    assert_eq!(answer["Status"], "FAILED");
    let reason = answer["Reason"].as_str().context("no reason")?;
    assert!(reason.contains("locks"), "{reason}");
    open.rollback().await?;
    provision.invoke(bucket.event("update")?).await?;
    assert_eq!(bucket.answer()?["Status"], "SUCCESS");
    Ok(())
}

#[tokio::test]
async fn a_first_deployment_with_a_bad_secret_is_answered_and_not_left_waiting() -> Result<()> {
    let (_server, site) = site().await?;
    site.change(|secret| *secret = json!({"database_url": "hidden"}))?;
    let bucket = Bucket::open(&[]).await?;
    for kind in ["create", "delete"] {
        // The event waits before the function starts, as in Lambda.
        let provision = site.spawn("provision", &[]).await?;
        let invoked = provision.invoke(bucket.event(kind)?).await;
        let answer = bucket.answer()?;
        if kind == "create" {
            let failure = invoked.err().context("the secret is bad")?;
            assert_eq!(answer["Status"], "FAILED");
            let reason = answer["Reason"].as_str().unwrap_or_default();
            assert!(reason.contains("provider is missing"), "{reason}");
            assert_eq!(failure.error_message, reason);
        } else {
            assert_eq!(answer["Status"], "SUCCESS");
        }
        assert!(!provision.logs()?.contains("hidden"));
    }
    Ok(())
}

#[tokio::test]
async fn a_deployment_with_a_bad_environment_is_answered_too() -> Result<()> {
    let (_server, site) = site().await?;
    for (variable, value) in [("SCHEMA", "pg_hidden"), ("SECRET_ID", "hidden")] {
        let bucket = Bucket::open(&[]).await?;
        let provision = site.spawn("provision", &[(variable, value)]).await?;
        let invoked = provision.invoke(bucket.event("create")?).await;
        let failure = invoked.err().context("the environment is bad")?;
        let answer = bucket.answer()?;
        assert_eq!(answer["Status"], "FAILED");
        assert!(failure.error_message.contains(variable), "{failure}");
        assert_eq!(answer["Reason"], failure.error_message);
    }
    Ok(())
}

#[tokio::test]
async fn a_plain_event_does_not_keep_what_cannot_start() -> Result<()> {
    let (_server, site) = site().await?;
    site.change(|secret| secret["more"] = json!(1))?;
    let provision = site.spawn("provision", &[]).await?;
    let failure = provision.invoke(json!({})).await.err();
    let failure = failure.context("the secret is bad")?;
    assert!(failure.error_message.contains("more"), "{failure}");
    does_not_start(&provision).await?;
    Ok(())
}

#[tokio::test]
async fn without_an_event_a_bad_secret_does_not_start() -> Result<()> {
    let (_server, site) = site().await?;
    site.change(|secret| secret["provider"]["project_id"] = json!(["hidden"]))?;
    let provision = site.spawn("provision", &[]).await?;
    let logs = does_not_start(&provision).await?;
    assert!(
        logs.contains("provider.project_id is not a string"),
        "{logs}"
    );
    assert!(!logs.contains("hidden"), "{logs}");
    Ok(())
}

#[tokio::test]
async fn an_answer_that_is_not_taken_is_sent_again() -> Result<()> {
    let (_server, site) = site().await?;
    let provision = site.start("provision", "neon_identity").await?;
    let bucket = Bucket::open(&[503, 500]).await?;
    provision.invoke(bucket.event("create")?).await?;
    let puts = bucket.take();
    assert_eq!(puts.len(), 3);
    assert!(puts.iter().all(|put| put.body == puts[0].body));

    let bucket = Bucket::open(&[403; 9]).await?;
    let failure = provision.invoke(bucket.event("create")?).await.err();
    let failure = failure.context("nobody was told")?;
    assert!(failure.error_message.contains("ResponseURL"), "{failure}");
    for secret in ["secretsignature", "X-Amz", "127.0.0.1"] {
        assert!(!failure.error_message.contains(secret), "{failure}");
        assert!(!provision.logs()?.contains(secret), "{}", provision.logs()?);
    }
    Ok(())
}
