//! A Secrets Manager, or what stands in its place, that answers anything at all: nothing of a
//! secret is ever printed, at any level of the log, and what can be read is.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};
use tests::function::Function;
use tests::postgres::Postgres;
use tests::secret_file::SecretFile;
use tests::stage::{Setup, Stage};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::site::{Bucket, does_not_start};

const FUNCTIONS: [&str; 3] = ["webhook", "reconcile", "provision"];

/// In every value that must not be seen.
const CANARY: &str = "hiddenvalue";

/// The same in base64, from each of its places.
const ENCODED: [&str; 3] = ["aGlkZGVudmFsd", "hpZGRlbnZhbHVl", "oaWRkZW52YWx1"];

/// What is answered to whatever is asked.
#[derive(Clone, Debug)]
struct Answer {
    status: u16,
    /// `x-amzn-errortype`, where AWS puts an error's code.
    kind: Option<String>,
    body: String,
}

fn answer(status: u16, body: impl ToString) -> Answer {
    Answer {
        status,
        kind: None,
        body: body.to_string(),
    }
}

/// What Secrets Manager answers, with this in it.
fn good(value: Value) -> Value {
    let mut good = json!({
        "ARN": "arn:aws:secretsmanager:us-east-1:123456789012:secret:users-sync-AbCdEf",
        "Name": "users-sync",
        "VersionId": "a1b2c3d4-5678-90ab-cdef-EXAMPLE11111",
        "VersionStages": ["AWSCURRENT"],
        "CreatedDate": 1776902400.126,
    });
    for (name, value) in value.as_object().into_iter().flatten() {
        good[name] = value.clone();
    }
    good
}

/// A server of this answer, which can be changed.
#[derive(Clone)]
struct Manager {
    url: String,
    answer: Arc<Mutex<Answer>>,
}

impl Manager {
    async fn open(answer: Answer) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let manager = Self {
            url: format!("http://{}", listener.local_addr()?),
            answer: Arc::new(Mutex::new(answer)),
        };
        let router = Router::new().fallback(reply).with_state(manager.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(manager)
    }

    fn set(&self, answer: Answer) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }

    fn env(&self) -> Vec<(String, String)> {
        let pairs = [
            ("SECRET_ID", "users-sync"),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &self.url),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("RUST_LOG", "trace"),
        ];
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec()
    }

    async fn start(&self, name: &str) -> Result<Function> {
        let function = Function::spawn(name, self.env()).await?;
        function.ready().await?;
        Ok(function)
    }
}

async fn reply(State(manager): State<Manager>) -> Response<String> {
    let answer = manager
        .answer
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let mut response = Response::builder().status(answer.status);
    if let Some(kind) = &answer.kind {
        response = response.header("x-amzn-errortype", kind);
    }
    response
        .header("content-type", "application/x-amz-json-1.1")
        .body(answer.body.clone())
        .expect("an answer")
}

/// A secret that is sound, and in which each value is recognisable.
fn secret() -> Value {
    json!({
        "database_url": format!("postgres://{CANARY}:{CANARY}@127.0.0.1:9/{CANARY}"),
        "signing_secrets": [format!("whsec_{}", BASE64_STANDARD.encode(CANARY.repeat(3)))],
        "provider": {
            "name": "stack",
            "project_id": CANARY,
            "secret_server_key": CANARY,
            "api_url": format!("http://127.0.0.1:9/{CANARY}"),
        },
    })
}

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

fn assert_shows_nothing(said: &str, canaries: &[&str]) -> Result<()> {
    for canary in canaries {
        ensure!(!said.contains(canary), "{canary} is said:\n{said}");
    }
    Ok(())
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

/// A project of whose secret a manager answers, and what must not be seen of it.
struct Running {
    stage: Stage,
    manager: Manager,
    secret: Value,
}

impl Running {
    async fn new() -> Result<Self> {
        let stage = Stage::on(Postgres::shared().await?, Setup::default()).await?;
        let secret = stage.secret();
        let sound = answer(200, good(json!({"SecretString": secret.to_string()})));
        Ok(Self {
            manager: Manager::open(sound).await?,
            stage,
            secret,
        })
    }

    /// The keys and addresses in the secret.
    fn canaries(&self) -> Result<Vec<String>> {
        let values = [
            "/database_url",
            "/admin_database_url",
            "/signing_secrets/0",
            "/provider/secret_server_key",
        ];
        let values = values.map(|place| self.secret.pointer(place)?.as_str().map(str::to_owned));
        let values: Option<Vec<_>> = values.into_iter().collect();
        values.context("find the values")
    }

    fn assert_hidden(&self, said: &str) -> Result<()> {
        let canaries = self.canaries()?;
        let canaries: Vec<_> = canaries.iter().map(String::as_str).collect();
        assert_shows_nothing(said, &canaries)
    }
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
async fn a_refusal_says_what_to_do() -> Result<()> {
    let kms = json!({"__type": "AccessDeniedException", "Message": "Access to KMS is not allowed"});
    let role = json!({"__type": "AccessDeniedException", "Message": "User: arn:aws:sts::1:assumed-\
        role/x is not authorized to perform: secretsmanager:GetSecretValue on resource: users-sync"});
    let undecryptable = json!({"__type": "DecryptionFailure", "Message": "Secrets Manager can't \
        decrypt the protected secret text using the provided KMS key."});
    let empty = json!({"__type": "ResourceNotFoundException", "Message": "Secrets Manager can't \
        find the specified secret value for staging label: AWSCURRENT"});
    let deleted = json!({"__type": "InvalidRequestException", "Message": "You can't perform this \
        operation on the secret because it was marked for deletion."});
    let expired = json!({"__type": "ExpiredTokenException", "message": "The security token \
        included in the request is expired"});
    for (refusal, words) in [
        (kms, "kms:Decrypt"),
        (undecryptable, "kms:Decrypt"),
        (role, "secretsmanager:GetSecretValue"),
        (empty, "holds no value yet"),
        (deleted, "restore-secret"),
        (expired, "refuses the function's credentials"),
    ] {
        let code = refusal["__type"].as_str().context("a code")?.to_owned();
        let manager = Manager::open(answer(400, &refusal)).await?;
        for name in FUNCTIONS {
            let function = Function::spawn(name, manager.env()).await?;
            let said = does_not_start(&function).await?;
            for word in [words, &code, "HTTP 400"] {
                ensure!(said.contains(word), "{name} does not say {word}: {said}");
            }
        }
    }
    Ok(())
}

// What is taken.

/// The secret's text as editors and shells leave it.
fn dressed(text: &str) -> [String; 5] {
    let pretty = serde_json::from_str::<Value>(text)
        .and_then(|secret| serde_json::to_string_pretty(&secret))
        .unwrap_or_default();
    [
        format!("\u{feff}{text}"),
        format!("{text}\n"),
        format!("\u{feff}\r\n {}\r\n\r\n", pretty.replace('\n', "\r\n")),
        format!("\n\t{text} \u{feff}\n"),
        format!("\u{a0}{text}\u{2003}"),
    ]
}

#[tokio::test]
async fn a_byte_order_mark_and_white_space_around_the_secret_are_harmless() -> Result<()> {
    let running = Running::new().await?;
    let text = running.secret.to_string();
    let file = SecretFile::new(&running.secret)?;
    for dressed in dressed(&text) {
        let binary = BASE64_STANDARD.encode(&dressed);
        for value in [
            json!({"SecretString": dressed}),
            json!({"SecretBinary": binary}),
        ] {
            running.manager.set(answer(200, good(value)));
            for name in FUNCTIONS {
                let started = running.manager.start(name).await;
                started.with_context(|| format!("{name}: {dressed:?}"))?;
            }
        }
        std::fs::write(file.path(), &dressed)?;
        for name in FUNCTIONS {
            let function = Function::spawn(name, file.env()).await?;
            let ready = function.ready().await;
            ready.with_context(|| format!("{name}: {dressed:?}"))?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_secret_in_another_encoding_is_said_to_be_in_one() -> Result<()> {
    let text = secret().to_string();
    let utf_16: Vec<u8> = "\u{feff}"
        .encode_utf16()
        .chain(text.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let latin_1 = [text.as_bytes(), b"\xe9"].concat();
    let file = SecretFile::new(&json!({}))?;
    for (bytes, words) in [(utf_16, "UTF-16"), (latin_1, "not UTF-8")] {
        std::fs::write(file.path(), &bytes)?;
        let binary = good(json!({"SecretBinary": BASE64_STANDARD.encode(&bytes)}));
        let manager = Manager::open(answer(200, binary)).await?;
        for (environment, place) in [
            (file.env().to_vec(), "SECRET_FILE"),
            (manager.env(), "SECRET_ID"),
        ] {
            for name in FUNCTIONS {
                let function = Function::spawn(name, environment.clone()).await?;
                let said = does_not_start(&function).await?;
                for word in [words, place, "save it as UTF-8"] {
                    ensure!(said.contains(word), "{name} does not say {word}: {said}");
                }
                assert_shows_nothing(&said, &[CANARY])?;
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_secret_without_a_value_is_said_to_have_none() -> Result<()> {
    for body in [good(json!({})), secret()] {
        let manager = Manager::open(answer(200, body)).await?;
        for name in FUNCTIONS {
            let function = Function::spawn(name, manager.env()).await?;
            let said = does_not_start(&function).await?;
            ensure!(
                said.contains("SECRET_ID names a secret without a value"),
                "{said}"
            );
            assert_shows_nothing(&said, &[CANARY])?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_flat_secret_is_told_of_the_plain_text_editor() -> Result<()> {
    let mut flat = secret();
    for field in ["signing_secrets", "provider"] {
        flat[field] = flat[field].to_string().into();
    }
    let manager =
        Manager::open(answer(200, good(json!({"SecretString": flat.to_string()})))).await?;
    for name in FUNCTIONS {
        let function = Function::spawn(name, manager.env()).await?;
        let said = does_not_start(&function).await?;
        for word in ["signing_secrets is not a list", "plain-text editor"] {
            ensure!(said.contains(word), "{name} does not say {word}: {said}");
        }
        assert_shows_nothing(&said, &[CANARY])?;
    }
    Ok(())
}

// What else could print one.

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
