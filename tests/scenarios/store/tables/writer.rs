//! `provision` tries `database_url` as the functions will: the right user, in the right place,
//! with rights enough; else the deployment fails and says why.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::pgbouncer::PgBouncer;
use tests::postgres::{Options, Postgres};

use crate::site::{Bucket, Site, login};

async fn site() -> Result<(Postgres, Site)> {
    let server = Postgres::start(Options::default()).await?;
    let site = Site::on(&server).await?;
    Ok((server, site))
}

/// Deploys, and gives why that failed.
async fn failure(site: &Site) -> Result<String> {
    let bucket = Bucket::open(&[]).await?;
    let provision = site.start("provision", "neon_identity").await?;
    let limit = std::time::Duration::from_secs(110);
    let failed = provision
        .invoke_with_deadline(bucket.event("update")?, limit)
        .await;
    let failed = failed.err().context("it succeeded")?.error_message;
    let answer = bucket.answer()?;
    assert_eq!(answer["Status"], "FAILED");
    assert_eq!(answer["Reason"], failed);
    Ok(failed)
}

#[tokio::test]
async fn a_deployment_fails_whose_writer_cannot_get_in() -> Result<()> {
    let (_server, site) = site().await?;
    let right = site.database.url().to_owned();
    let name = login(&right).to_owned();
    for (wrong, words) in [
        (right.replace(&format!(":{name}@"), ":hidden@"), "password"),
        (
            right.replace(&format!("//{name}:"), "//nobody:"),
            "password",
        ),
        (
            right.replace(site.database.name(), "nowhere"),
            "no such database",
        ),
    ] {
        assert_ne!(wrong, right);
        site.change(|secret| secret["database_url"] = wrong.into())?;
        let failed = failure(&site).await?;
        assert!(failed.contains("database_url"), "{failed}");
        assert!(failed.contains(words), "{failed}");
        assert!(!failed.contains("hidden"), "{failed}");
        let by_hand = site.failed_provision().await?;
        assert!(by_hand.contains("database_url"), "{by_hand}");
        let bound = "SELECT count(*)::text FROM pg_class WHERE relname = 'connection'
            AND pg_table_size(oid) > 0";
        assert_eq!(site.ask(bound).await?, "0");
    }
    site.change(|secret| secret["database_url"] = right.into())?;
    site.provision().await?;
    Ok(())
}

#[tokio::test]
async fn a_deployment_fails_whose_writer_is_in_another_database() -> Result<()> {
    let (server, one) = site().await?;
    let other = Site::on(&server).await?;
    other.provision().await?;
    // Provisioned, too, and the user may do everything there.
    let elsewhere = other.database.url().to_owned();
    one.change(|secret| secret["database_url"] = elsewhere.into())?;
    let failed = failure(&one).await?;
    assert!(failed.contains("another database"), "{failed}");
    let by_hand = one.failed_provision().await?;
    assert!(by_hand.contains("another database"), "{by_hand}");
    let bound = "SELECT count(*)::text FROM neon_identity.connection";
    assert_eq!(one.ask(bound).await?, "0");
    Ok(())
}

#[tokio::test]
async fn a_deployment_fails_whose_writer_may_not_write() -> Result<()> {
    let (_server, site) = site().await?;
    site.provision().await?;
    let writer = login(site.database.url()).to_owned();
    // The role is granted, and does not count.
    site.run(&format!(
        "REVOKE neon_identity_writer FROM {writer}; GRANT neon_identity_writer TO {writer} WITH INHERIT FALSE;
        ALTER ROLE {writer} NOINHERIT;
        ALTER ROLE {0} NOCREATEROLE",
        login(site.database.owner_url())
    ))
    .await?;
    site.run(&format!(
        "REVOKE ADMIN OPTION FOR neon_identity_writer FROM {} CASCADE",
        login(site.database.owner_url())
    ))
    .await
    .ok();
    let failed = failure(&site).await?;
    for words in [
        "can't read and write the table",
        &writer,
        "GRANT neon_identity_writer",
    ] {
        assert!(failed.contains(words), "{failed}");
    }
    Ok(())
}

#[tokio::test]
async fn a_deployment_fails_whose_writer_gets_a_read_only_database() -> Result<()> {
    let (_server, site) = site().await?;
    site.provision().await?;
    let writer = login(site.database.url()).to_owned();
    site.run(&format!(
        "ALTER ROLE {writer} SET default_transaction_read_only = on"
    ))
    .await?;
    let failed = failure(&site).await?;
    assert!(
        failed.contains("database_url") && failed.contains("25006"),
        "{failed}"
    );
    Ok(())
}

#[tokio::test]
async fn the_grant_is_for_the_role_that_the_server_takes_the_login_for() -> Result<()> {
    let (server, site) = site().await?;
    // A pooler that has another name for the user, as Supabase's has `role.project`.
    let bouncer = PgBouncer::start(&server, 4).await?;
    let right = login(site.database.url()).to_owned();
    let alias = site.database.login("alias").await?;
    let pooled = bouncer.url(&alias);
    site.run(&format!(
        "ALTER ROLE {} SET role = {right}; GRANT {right} TO {0}",
        login(&alias)
    ))
    .await?;
    site.change(|secret| secret["database_url"] = pooled.clone().into())?;
    let answer: Value = site.provision().await?;
    assert_eq!(answer["warnings"], Value::Null, "{answer}");
    let members = "SELECT string_agg(member::regrole::text, ' ') FROM pg_auth_members
        WHERE roleid = 'neon_identity_writer'::regrole AND inherit_option";
    assert_eq!(site.ask(members).await?, right);
    site.simulator.seed(3);
    let reconcile = site.start("reconcile", "neon_identity").await?;
    assert_eq!(reconcile.invoke(json!({})).await?["created"], 3);
    Ok(())
}

#[tokio::test]
async fn trying_leaves_nothing_behind() -> Result<()> {
    let (_server, site) = site().await?;
    site.provision().await?;
    site.run("UPDATE neon_identity.walk SET position = 'here'")
        .await?;
    let before = "SELECT walk::text || xmin || ctid FROM neon_identity.walk";
    let kept = site.ask(before).await?;
    site.provision().await?;
    assert_eq!(site.ask(before).await?, kept);
    let rows = "SELECT count(*)::text FROM neon_identity.users_sync";
    assert_eq!(site.ask(rows).await?, "0");
    Ok(())
}
