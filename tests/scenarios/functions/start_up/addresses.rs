//! Database URLs and root certificates that cannot be used: named, and not repeated.

use anyhow::{Context, Result};
use serde_json::json;
use tests::secret_file::SecretFile;
use tests::stage::Stage;

use super::{FUNCTIONS, HIDDEN, check, check_of, check_secrets, secret, with};

#[tokio::test]
async fn a_database_url_that_cannot_be_one_is_named() -> Result<()> {
    let urls = [
        ("hiddenvalue", "is neither a URL"),
        ("host=h password=hiddenvalue", "names no user"),
        (
            "host=h user=u password=a hiddenvalue=b",
            "has a parameter that isn't known",
        ),
        (
            "mysql://hiddenvalue@hiddenvalue/hiddenvalue",
            "is neither a URL",
        ),
        ("postgres://hiddenvalue/hiddenvalue", "names no user"),
        ("postgres:///hiddenvalue?user=hiddenvalue", "names no host"),
        (
            "postgres://hiddenvalue@hiddenvalue:hiddenvalue/d",
            "has a port",
        ),
        ("postgres://hiddenvalue:hidden/value@h/d", "has a port"),
        ("postgres://u:hiddenvalue%@h/d", "has a %"),
        ("postgres://u:hid@denvalue@h/d", "has an @ in its host"),
        ("postgres://u@h/d?sslmode=hiddenvalue", "has a sslmode"),
        (
            "postgres://u@h/d?foo=hiddenvalue",
            "has the parameter \\\"foo\\\"",
        ),
        (
            "postgres://u@h/d?sslmode=require&amp;channel_binding=require",
            "has the parameter \\\"amp;channel_binding\\\": it was copied out of HTML",
        ),
        (
            "postgres://u@h/d?application_name=x?sslmode=verify-full",
            "has two =",
        ),
        (
            "postgres://u@h/d?&sslmode=require",
            "has no = in parameter 1",
        ),
        (
            "postgres://u@h/d?sslmode=require&&connect_timeout=9",
            "has no = in parameter 2",
        ),
        (
            "postgres://u@h/d?sslmode=verify-ca",
            "has sslmode=verify-ca and no root certificate",
        ),
        (
            "postgres://u@h/d?sslmode=verify-full&sslrootcert=/hiddenvalue",
            "has an sslrootcert",
        ),
        (
            "postgres://u@h/d?sslmode=require&sslrootcert=system",
            "has sslrootcert=system",
        ),
        (
            "postgres://u@h/d?channel_binding=hiddenvalue",
            "has a channel_binding",
        ),
        (
            "postgres://u@h/d?service=hiddenvalue",
            "has the parameter \\\"service\\\"",
        ),
        (
            "postgres://u@h/d?target_session_attrs=standby",
            "has a target_session_attrs",
        ),
        (
            "postgres://u@h/d?tcp_user_timeout=hiddenvalue",
            "has a tcp_user_timeout",
        ),
    ];
    let field = |field: &'static str, functions: &'static [&'static str]| async move {
        let mut checks = tokio::task::JoinSet::new();
        for (url, words) in urls {
            let words = format!("\"error\":\"{field} {words}");
            let secret = with(&format!("/{field}"), Some(json!(url)));
            checks.spawn(async move {
                let file = SecretFile::new(&secret)?;
                check_of(functions, &file.env(), &[&words]).await
            });
        }
        while let Some(checked) = checks.join_next().await {
            checked??;
        }
        anyhow::Ok(())
    };
    field("database_url", &FUNCTIONS).await?;
    field("admin_database_url", &["provision"]).await?;
    // Functions that do not read it do not mind it.
    let stage = Stage::new().await?;
    stage.change_secret(|secret| secret["admin_database_url"] = json!(HIDDEN))?;
    stage.webhook().await?;
    stage.reconcile().await?;
    Ok(())
}

#[tokio::test]
async fn root_certificates_that_are_none_are_named() -> Result<()> {
    let words = "database_root_certificates";
    let bad = [
        json!(HIDDEN),
        json!(7),
        json!(""),
        json!("-----BEGIN CERTIFICATE-----\nhiddenvalue\n-----END CERTIFICATE-----\n"),
    ];
    check_secrets(
        &FUNCTIONS,
        bad.map(|bad| ("/database_root_certificates", Some(bad), words)),
    )
    .await?;
    let mut both = secret();
    both["database_url"] = json!("postgres://u@h/d?sslmode=verify-full&sslrootcert=system");
    both["database_root_certificates"] = json!(HIDDEN);
    let file = SecretFile::new(&both)?;
    check(&file.env(), &["database_url has an sslrootcert", words]).await
}

#[tokio::test]
async fn a_password_in_the_wrong_place_is_not_printed_by_the_servers_own_words() -> Result<()> {
    let stage = Stage::new().await?;
    let url = stage.database.url().to_owned();
    let (_, rest) = url.split_once("://").context("a URL")?;
    let (login, place) = rest.split_once('@').context("a login")?;
    let (place, _) = place.split_once('/').context("a database")?;
    let password = "Hunter2Hunter2";
    for pasted in [
        format!("postgres://{login}@{place}/postgres://u:{password}@{place}/d1"),
        format!("postgres://{login}@{place}/{}/{password}@h", "x".repeat(80)),
        format!("postgres://{login}@{place}/d1;password={password}"),
        format!("postgres://{login}@{place}/d1?options=password%3D{password}"),
        format!("postgres://u%3A{password}:x@{place}/d1"),
    ] {
        stage.change_secret(|secret| {
            secret["database_url"] = json!(pasted);
            secret["admin_database_url"] = json!(pasted);
        })?;
        for function in ["provision", "reconcile"] {
            let started = stage.start(function).await?;
            let failed = started.invoke(json!({})).await.err().context("it failed")?;
            let logs = started.logs()?;
            let said = format!("{failed}\n{logs}");
            assert!(said.contains("SQLSTATE"), "{pasted}: {said}");
            assert!(!said.contains("Hunter2"), "{pasted}: {said}");
        }
    }
    Ok(())
}
