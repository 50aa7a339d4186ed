//! The schema is bound to the project of the provider's key, once the provider has confirmed it.

use anyhow::{Context, Result};
use serde_json::json;
use tests::postgres::Postgres;
use tests::providers::adapters;
use tests::simulator::{Fault, Trouble};
use tests::stage::{Setup, Stage};

use super::{CATALOG, later_answer, site};
use crate::site::Bucket;

#[tokio::test]
async fn a_key_that_is_refused_fails_the_deployment_and_binds_nothing() -> Result<()> {
    for provider in adapters() {
        let setup = Setup::named(provider.name)?;
        let stage = Stage::on(Postgres::shared().await?, setup).await?;
        stage
            .execute("DELETE FROM neon_identity.connection")
            .await?;
        let right = stage.secret();
        let field = provider.key;
        stage.change_secret(|secret| secret["provider"][field] = json!("sk_test_wrong"))?;
        let bucket = Bucket::open(&[]).await?;
        let deployed = stage.start("provision").await?;
        let refused = deployed.invoke(bucket.event("create")?).await.err();
        let refused = refused.context(provider.name)?.error_message;
        assert!(refused.contains(&format!("provider.{field}")), "{refused}");
        assert_eq!(bucket.answer()?["Reason"], refused);
        let bound = stage.json("SELECT * FROM neon_identity.connection").await?;
        assert!(bound.is_empty(), "{bound:?}");
        stage.change_secret(|secret| *secret = right)?;
        stage.provision().await?;
    }
    Ok(())
}

#[tokio::test]
async fn nothing_is_bound_that_the_provider_has_not_confirmed() -> Result<()> {
    for (number, provider) in adapters().enumerate() {
        let setup = Setup::named(provider.name)?;
        let stage = Stage::on(Postgres::shared().await?, setup).await?;
        let bound = "SELECT * FROM neon_identity.connection";
        let was = stage.json(bound).await?;
        stage
            .execute("DELETE FROM neon_identity.connection")
            .await?;
        // Waiting takes its time, so each way to be away is tried once.
        let away = match number {
            0 => vec![Fault::Status(500), Fault::Html(404), Fault::Hang],
            // JSON of somebody who is not the provider confirms nothing.
            1 => vec![Fault::Html(404), Fault::Json("{}".to_owned())],
            _ => vec![
                Fault::Status(500),
                Fault::Json(r#"{"status":"ok"}"#.to_owned()),
            ],
        };
        for fault in away {
            stage.simulator.add_trouble(Trouble::every(fault));
            let event = match number {
                0 => json!({}),
                _ => Bucket::open(&[]).await?.event("create")?,
            };
            let deployed = stage.start("provision").await?;
            let limit = std::time::Duration::from_secs(110);
            let failed = deployed.invoke_with_deadline(event, limit).await;
            let failed = failed.err().context(provider.name)?;
            assert_eq!(failed.error_type, "Failed", "{failed}");
            assert!(failed.error_message.contains("provider"), "{failed}");
            assert!(stage.json(bound).await?.is_empty(), "{}", provider.name);
            stage.simulator.clear_troubles();
        }
        stage.provision().await?;
        let now = stage.json(bound).await?;
        assert_eq!(now[0]["project"], was[0]["project"]);
    }
    Ok(())
}

#[tokio::test]
async fn a_key_that_is_refused_binds_nothing_by_hand_either() -> Result<()> {
    let keys = adapters().map(|provider| (provider, provider.key));
    let projects = adapters().filter(|provider| provider.has("project_id"));
    for (provider, field) in keys.chain(projects.map(|provider| (provider, "project_id"))) {
        let setup = Setup::named(provider.name)?;
        let stage = Stage::on(Postgres::shared().await?, setup).await?;
        stage
            .execute("DELETE FROM neon_identity.connection")
            .await?;
        stage.change_secret(|secret| secret["provider"][field] = json!("sk_test_wrong"))?;
        let failed = stage.start("provision").await?.invoke(json!({})).await;
        let failed = failed.err().context(provider.name)?.error_message;
        assert!(failed.contains("provider"), "{failed}");
        let bound = stage.json("SELECT * FROM neon_identity.connection").await?;
        assert!(bound.is_empty(), "{bound:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_provider_that_is_away_does_not_stop_the_deployment_of_a_bound_schema() -> Result<()> {
    let stage = Stage::on(Postgres::shared().await?, Setup::default()).await?;
    for fault in [Fault::Status(500), Fault::Hang, Fault::Html(404)] {
        stage.simulator.add_trouble(Trouble::every(fault));
        let bucket = Bucket::open(&[]).await?;
        let deployed = stage.start("provision").await?;
        deployed.invoke(bucket.event("update")?).await?;
        assert_eq!(bucket.answer()?["Status"], "SUCCESS");
        stage.simulator.clear_troubles();
    }
    let bound = stage.json("SELECT * FROM neon_identity.connection").await?;
    assert_eq!(bound.len(), 1);
    Ok(())
}

#[tokio::test]
async fn another_projects_keys_are_refused_until_somebody_rebinds() -> Result<()> {
    let (_server, site) = site().await?;
    site.provision().await?;
    site.simulator.seed(1);
    let reconcile = site.start("reconcile", "neon_identity").await?;
    reconcile.invoke(json!({})).await?;
    let before = site.ask(CATALOG).await?;
    let row = "SELECT users_sync::text || ctid || xmin FROM neon_identity.users_sync";
    let kept = site.ask(row).await?;

    site.change(|secret| secret["provider"]["project_id"] = "the-other".into())?;
    let message = site.failed_provision().await?;
    for words in [
        "stack project 7b1d5a7e-6f0c-4c7e-9c53-0d9a4f0c2d11",
        "stack project the-other",
        "SCHEMA",
        "delete the row in \"connection\" and run provision",
    ] {
        assert!(message.contains(words), "{words}: {message}");
    }
    let failure = site.start("reconcile", "neon_identity").await?;
    let failure = failure.invoke(json!({})).await.err().context("it ran")?;
    assert_eq!(failure.error_type, "Failed");
    assert!(failure.error_message.contains("the-other"), "{failure}");
    assert!(failure.error_message.contains("7b1d5a7e"), "{failure}");
    let runs = "SELECT string_agg(outcome, ' ' ORDER BY id) FROM neon_identity.runs";
    assert_eq!(site.ask(runs).await?, "complete failed");
    let webhook = site.start("webhook", "neon_identity").await?;
    site.simulator.create("Ada", "ada@example.com")?;
    assert_eq!(site.deliver(&webhook).await?, [503]);
    assert_eq!(site.ask(row).await?, kept);
    let connection = |catalog: &str| -> Vec<String> {
        let lines = catalog
            .lines()
            .filter(|line| line.starts_with("connection"));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(connection(&site.ask(CATALOG).await?), connection(&before));

    // As the message says: but the provider has to know the project.
    site.run("DELETE FROM neon_identity.connection").await?;
    let message = site.failed_provision().await?;
    assert!(message.contains("provider.project_id"), "{message}");
    let bound = "SELECT provider || ' ' || project FROM neon_identity.connection";
    assert_eq!(site.ask(bound).await?, "");
    site.change(|secret| {
        secret["provider"]["project_id"] = "7b1d5a7e-6f0c-4c7e-9c53-0d9a4f0c2d11".into();
    })?;
    assert_eq!(site.provision().await?, later_answer());
    assert_eq!(
        site.ask(bound).await?,
        "stack 7b1d5a7e-6f0c-4c7e-9c53-0d9a4f0c2d11"
    );
    Ok(())
}
