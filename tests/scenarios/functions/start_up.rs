//! What each function does with its environment and its secret before it takes an event.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::function::Function;
use tests::postgres::Postgres;
use tests::scratch::Scratch;
use tests::secret_file::SecretFile;
use tests::secrets_manager::SecretsManager;
use tests::simulator::{Options, Simulator, Stack};
use tests::stage::{Setup, Stage};
use tests::tools::{free_port, random_name};

use crate::site::{SOON, does_not_start};

const FUNCTIONS: [&str; 3] = ["webhook", "reconcile", "provision"];

/// In every value that an error must not repeat.
const HIDDEN: &str = "hiddenvalue";

/// A secret of a database that is not there, in which each value is recognisable.
fn secret() -> Value {
    json!({
        "database_url": format!("postgres://{HIDDEN}:{HIDDEN}@127.0.0.1:9/{HIDDEN}"),
        "admin_database_url": format!("postgres://{HIDDEN}:{HIDDEN}@127.0.0.1:9/{HIDDEN}"),
        "signing_secrets": ["whsec_aGlkZGVudmFsdWVoaWRkZW52YWx1ZQ=="],
        "provider": {
            "name": "stack",
            "project_id": HIDDEN,
            "secret_server_key": HIDDEN,
            "api_url": format!("http://127.0.0.1:9/{HIDDEN}"),
        },
    })
}

/// Starts every function in this environment; each has to say these words, and no value, and end.
async fn check(environment: &[(String, String)], words: &[&str]) -> Result<()> {
    check_of(&FUNCTIONS, environment, words).await
}

async fn check_of(
    functions: &[&str],
    environment: &[(String, String)],
    words: &[&str],
) -> Result<()> {
    for name in functions {
        let function = Function::spawn(name, environment.iter().cloned()).await?;
        let logs = does_not_start(&function).await?;
        for word in words {
            ensure!(logs.contains(word), "{name} does not say {word}:\n{logs}");
        }
        ensure!(!logs.contains(HIDDEN), "{name} repeats a value:\n{logs}");
        // One line says it all, as JSON.
        let [line] = *logs.lines().collect::<Vec<_>>() else {
            anyhow::bail!("{name}: not one line:\n{logs}");
        };
        let line: Value = serde_json::from_str(line)?;
        ensure!(line["level"] == "ERROR", "{line}");
        ensure!(line["message"] == "can't start", "{line}");
    }
    Ok(())
}

/// The secret with another value in the place of this one, or without it.
fn with(pointer: &str, value: Option<Value>) -> Value {
    let mut secret = secret();
    match (value, pointer.rsplit_once('/')) {
        (Some(value), Some((within, name))) => {
            secret.pointer_mut(within).expect("an object")[name] = value;
        }
        (Some(value), None) => secret = value,
        (None, place) => {
            let (within, name) = place.expect("a field");
            let within = secret.pointer_mut(within).expect("an object");
            within.as_object_mut().expect("an object").remove(name);
        }
    }
    secret
}

/// Checks what is said of each of these secrets, all at once: `provision` takes its time to see
/// whether an event waits.
async fn check_secrets<const N: usize>(
    functions: &'static [&'static str],
    cases: [(&'static str, Option<Value>, &'static str); N],
) -> Result<()> {
    let mut checks = tokio::task::JoinSet::new();
    for (pointer, value, words) in cases {
        checks.spawn(async move {
            let file = SecretFile::new(&with(pointer, value))?;
            check_of(functions, &file.env(), &[words])
                .await
                .with_context(|| format!("{pointer}: {words}"))
        });
    }
    while let Some(checked) = checks.join_next().await {
        checked??;
    }
    Ok(())
}

fn pairs(environment: &[(&str, &str)]) -> Vec<(String, String)> {
    let pairs = environment.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[tokio::test]
async fn exactly_one_place_of_the_secret_is_named() -> Result<()> {
    let file = SecretFile::new(&secret())?;
    let path = file.path().display().to_string();
    let both = ["SECRET_ID", "SECRET_FILE", "exactly one"];
    check(&[], &both).await?;
    check(&pairs(&[("SECRET_ID", ""), ("SECRET_FILE", "")]), &both).await?;
    check(
        &pairs(&[("SECRET_ID", HIDDEN), ("SECRET_FILE", &path)]),
        &both,
    )
    .await
}

#[tokio::test]
async fn a_file_that_is_not_readable_is_named_by_its_variable() -> Result<()> {
    let scratch = Scratch::new(HIDDEN)?;
    let path = |name: &str| scratch.path().join(name).display().to_string();
    fs::create_dir(path("folder"))?;
    fs::write(path("bytes"), b"\xff\xfe")?;
    for name in ["nothing", "folder", "bytes"] {
        let environment = [("SECRET_FILE".to_owned(), path(name))];
        check(&environment, &["SECRET_FILE"]).await.context(name)?;
    }
    Ok(())
}

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
        ("/databse_url", hidden(), "databse_url is not a field"),
        (
            "/provider/porject_id",
            hidden(),
            "provider.porject_id is not a field",
        ),
        (
            "/provider/secret_key",
            hidden(),
            "provider.secret_key is not a field",
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
            "provider.project_id holds a character",
        ),
        (
            "/provider/secret_server_key",
            json!(""),
            "provider.secret_server_key is empty",
        ),
        (
            "/provider/secret_server_key",
            json!("hiddenvalue\u{0}"),
            "provider.secret_server_key holds a character",
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
    // Who does not read it does not mind it.
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
async fn a_schema_that_cannot_be_one_is_named() -> Result<()> {
    let file = SecretFile::new(&secret())?;
    let long = "x".repeat(57);
    for schema in [
        "Hiddenvalue",
        "hidden-value",
        "a\"b",
        "a b",
        "1a",
        "pg_hiddenvalue",
        "é",
        &long,
    ] {
        let mut environment = file.env().to_vec();
        environment.push(("SCHEMA".to_owned(), schema.to_owned()));
        check(&environment, &["\"error\":\"SCHEMA is not a name"]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_empty_variable_is_as_good_as_none() -> Result<()> {
    let stage = Stage::new().await?;
    let file = SecretFile::new(&stage.secret())?;
    for name in ["webhook", "reconcile", "provision"] {
        let mut environment = file.env().to_vec();
        environment.extend(pairs(&[
            ("SECRET_ID", ""),
            ("SCHEMA", ""),
            ("RUST_LOG", ""),
        ]));
        let function = Function::spawn(name, environment).await?;
        function.ready().await?;
        if name != "webhook" {
            function.invoke(json!({})).await?;
            // Its own default: info.
            assert!(
                function.logs()?.contains("\"INFO\""),
                "{}",
                function.logs()?
            );
        }
    }
    assert_eq!(stage.runs().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn reconcile_logs_its_answer() -> Result<()> {
    let stage = Stage::new().await?;
    stage.simulator.seed(3);
    let reconcile = stage.reconcile().await?;
    let answer = reconcile.invoke(json!({})).await?;
    let logs = reconcile.logs()?;
    let lines = logs.lines().map(serde_json::from_str::<Value>);
    let logged = lines
        .filter_map(Result::ok)
        .find(|line| line["message"] == "reconciled");
    let logged = logged.with_context(|| logs.clone())?;
    for (figure, value) in answer.as_object().context("an object")? {
        assert_eq!(logged[figure], *value, "{figure}: {logs}");
    }
    Ok(())
}

// AWS Secrets Manager.

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
    // What it had is good again.
    managed.stage.execute(&password(&login)).await?;
    let answer = reconcile.invoke(json!({})).await?;
    assert_eq!(answer["created"], 5);
    Ok(())
}

#[tokio::test]
async fn a_start_is_quick_whatever_is_wrong() -> Result<()> {
    let file = SecretFile::new(&with("/provider", None))?;
    for name in FUNCTIONS {
        let begun = Instant::now();
        let function = Function::spawn(name, file.env()).await?;
        does_not_start(&function).await?;
        assert!(begun.elapsed() < SOON / 2, "{name}: {:?}", begun.elapsed());
    }
    Ok(())
}
