//! A secret in AWS Secrets Manager: read by all three functions, and read again after a rotation.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::function::Function;
use tests::postgres::Postgres;
use tests::secrets_manager::SecretsManager;
use tests::simulator::{Options, Simulator, Stack};
use tests::stage::{Setup, Stage};
use tests::tools::{free_port, random_name};

use super::{HIDDEN, check, with};

/// A secret's name that is nobody else's.
fn secret_id() -> String {
    random_name("users-sync/secret")
}

#[tokio::test]
async fn a_secret_that_is_not_there_is_said_to_be_missing() -> Result<()> {
    let manager = SecretsManager::shared().await?;
    check(&manager.env(&secret_id()), &["no such secret", "SECRET_ID"]).await
}

#[tokio::test]
async fn a_manager_that_does_not_answer_is_said_to_be_unreachable() -> Result<()> {
    let manager = SecretsManager::shared().await?;
    let nobody = format!("http://127.0.0.1:{}", free_port()?);
    let mut environment = manager.env(&secret_id());
    for (name, value) in &mut environment {
        if name == "AWS_ENDPOINT_URL_SECRETS_MANAGER" {
            value.clone_from(&nobody);
        }
    }
    check(&environment, &["read SECRET_ID from Secrets Manager"]).await
}

#[tokio::test]
async fn without_a_region_or_credentials_the_message_says_so() -> Result<()> {
    let manager = SecretsManager::shared().await?;
    for (left_out, words) in [
        ("AWS_REGION", "region"),
        ("AWS_ACCESS_KEY_ID", "credentials"),
    ] {
        let mut environment = manager.env(&secret_id());
        environment.retain(|(name, _)| name != left_out);
        // There is no machine to ask for them here.
        environment.push(("AWS_EC2_METADATA_DISABLED".to_owned(), "true".to_owned()));
        check(&environment, &["SECRET_ID", words]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_bad_secret_in_the_manager_is_named_by_its_field() -> Result<()> {
    let manager = SecretsManager::shared().await?;
    let id = secret_id();
    manager
        .put(&id, &with("/provider/project_id", None))
        .await?;
    check(&manager.env(&id), &["provider.project_id is missing"]).await
}

/// A project whose secret lies in Secrets Manager alone.
struct Managed {
    stage: Stage,
    manager: &'static SecretsManager,
    id: String,
}

impl Managed {
    async fn new() -> Result<Self> {
        let managed = Self {
            stage: Stage::on(Postgres::shared().await?, Setup::default()).await?,
            manager: SecretsManager::shared().await?,
            id: secret_id(),
        };
        managed.put(&managed.stage.secret()).await?;
        Ok(managed)
    }

    async fn put(&self, secret: &Value) -> Result<()> {
        self.manager.put(&self.id, secret).await
    }

    async fn start(&self, name: &str) -> Result<Function> {
        let function = Function::spawn(name, self.manager.env(&self.id)).await?;
        function.ready().await?;
        Ok(function)
    }
}

#[tokio::test]
async fn the_secret_is_read_from_the_manager_by_all_three() -> Result<()> {
    let managed = Managed::new().await?;
    let provision = managed.start("provision").await?;
    assert_eq!(provision.invoke(json!({})).await?["applied"], json!([]));
    managed.stage.simulator.seed(5);
    let reconcile = managed.start("reconcile").await?;
    assert_eq!(reconcile.invoke(json!({})).await?["created"], 5);
    managed.stage.assert_in_sync().await?;
    managed.start("webhook").await?;
    Ok(())
}

#[tokio::test]
async fn a_password_and_a_key_that_were_rotated_are_taken_in_by_a_run() -> Result<()> {
    let managed = Managed::new().await?;
    let stage = &managed.stage;
    stage.simulator.seed(5);
    let reconcile = managed.start("reconcile").await?;
    reconcile.invoke(json!({})).await?;

    let url = stage.database.url().to_owned();
    let login = crate::site::login(&url);
    stage
        .execute(&format!("ALTER ROLE {login} PASSWORD 'rotated'"))
        .await?;
    let mut secret = stage.secret();
    secret["database_url"] = url.replace(&format!(":{login}@"), ":rotated@").into();
    managed.put(&secret).await?;
    assert_eq!(reconcile.invoke(json!({})).await?["unchanged"], 5);

    // The provider knows a new key alone; the old secret is asked for at most every few seconds.
    let project = Stack {
        secret_server_key: "ssk_rotated".to_owned(),
        ..Stack::default()
    };
    let rotated = Simulator::start(project, Options::default()).await?;
    rotated.seed(5);
    let begun = Instant::now();
    secret["provider"]["api_url"] = rotated.api_url().into();
    managed.put(&secret).await?;
    let restarted = managed.start("reconcile").await?;
    let failure = restarted
        .invoke(json!({}))
        .await
        .err()
        .context("a wrong key")?;
    assert_eq!(failure.error_type, "Failed");
    assert!(
        failure.error_message.contains("provider.secret_server_key"),
        "{failure}"
    );
    secret["provider"]["secret_server_key"] = "ssk_rotated".into();
    managed.put(&secret).await?;
    let answer = loop {
        match restarted.invoke(json!({})).await {
            Ok(answer) => break answer,
            Err(failure) if begun.elapsed() > Duration::from_secs(30) => return Err(failure.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
        }
    };
    assert_eq!(answer["outcome"], "complete");
    assert!(restarted.logs()?.contains("took in a rotated secret"));
    for key in ["ssk_rotated", "ssk_simulated"] {
        assert!(!restarted.logs()?.contains(key));
    }
    Ok(())
}

#[tokio::test]
async fn a_rotated_secret_that_is_not_usable_changes_nothing() -> Result<()> {
    let managed = Managed::new().await?;
    managed.stage.simulator.seed(5);
    let reconcile = managed.start("reconcile").await?;
    let login = crate::site::login(managed.stage.database.url()).to_owned();
    let password = |password: &str| format!("ALTER ROLE {login} PASSWORD '{password}'");
    managed.stage.execute(&password("rotated")).await?;
    managed
        .put(&with("/database_url", Some(json!(HIDDEN))))
        .await?;
    let failure = reconcile.invoke(json!({})).await.err().context("it ran")?;
    assert!(!failure.error_message.contains(HIDDEN), "{failure}");
    assert!(!reconcile.logs()?.contains(HIDDEN), "{}", reconcile.logs()?);
    // The secret that it had is good again.
    managed.stage.execute(&password(&login)).await?;
    let answer = reconcile.invoke(json!({})).await?;
    assert_eq!(answer["created"], 5);
    Ok(())
}
