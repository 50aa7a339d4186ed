//! A Secrets Manager, or what stands in its place, that answers anything at all: nothing of a
//! secret is ever printed, at any level of the log, and what can be read is.

mod answers;
mod printed;

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::extract::State;
use axum::http::Response;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};
use tests::function::Function;
use tests::postgres::Postgres;
use tests::stage::{Setup, Stage};
use tokio::net::TcpListener;

const FUNCTIONS: [&str; 3] = ["webhook", "reconcile", "provision"];

/// In every value that must not be seen.
const CANARY: &str = "hiddenvalue";

/// The same in base64, from each of its places.
const ENCODED: [&str; 3] = ["aGlkZGVudmFsd", "hpZGRlbnZhbHVl", "oaWRkZW52YWx1"];

/// The answer to every request.
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

/// Secrets Manager's answer, with this in it.
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

fn assert_shows_nothing(said: &str, canaries: &[&str]) -> Result<()> {
    for canary in canaries {
        ensure!(!said.contains(canary), "{canary} is said:\n{said}");
    }
    Ok(())
}
