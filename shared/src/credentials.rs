//! The secret, from AWS Secrets Manager or from a file, and again when it
//! seems to have been rotated.

mod refusal;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use aws_config::BehaviorVersion;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::client::{self, Client};
use crate::secret::{Misconfigured, Secret};

/// A forged delivery must not make us ask for the secret each time.
const BETWEEN_REFRESHES: Duration = Duration::from_secs(5);

/// Where the secret is.
pub struct Credentials {
    source: Source,
    /// When it was last read again, and whether it could be.
    refreshed: Mutex<Option<(Instant, bool)>>,
}

enum Source {
    Manager {
        client: Box<aws_sdk_secretsmanager::Client>,
        id: String,
    },
    File(PathBuf),
}

impl Credentials {
    /// Takes exactly one of the two: a secret's name or ARN, or a file's path.
    pub async fn new(id: Option<String>, file: Option<String>, client: &Client) -> Result<Self> {
        let source = match (id, file) {
            (Some(id), None) => {
                let config = aws_config::defaults(BehaviorVersion::latest())
                    .http_client(client::http_client(client))
                    .load()
                    .await;
                let client = Box::new(aws_sdk_secretsmanager::Client::new(&config));
                Source::Manager { client, id }
            }
            (None, Some(path)) => Source::File(path.into()),
            _ => {
                return Err(Misconfigured {
                    field: "SECRET_ID or SECRET_FILE:".to_owned(),
                    problem: "exactly one of the two has to be set".to_owned(),
                }
                .into());
            }
        };
        Ok(Self {
            source,
            refreshed: Mutex::new(None),
        })
    }

    /// Reads the secret.
    pub async fn load(&self) -> Result<Secret> {
        let bytes = match &self.source {
            Source::File(path) => std::fs::read(path)
                .map_err(|error| anyhow!("read SECRET_FILE: {}", error.kind()))?,
            Source::Manager { client, id } => {
                let answer = client.get_secret_value().secret_id(id).send().await;
                let answer = answer.map_err(|error| {
                    let why = refusal::explain(&error);
                    anyhow!("read SECRET_ID from Secrets Manager: {why}")
                })?;
                match (answer.secret_string, answer.secret_binary) {
                    (Some(text), _) => text.into_bytes(),
                    (None, Some(binary)) => binary.into_inner(),
                    (None, None) => bail!("SECRET_ID names a secret without a value: put one"),
                }
            }
        };
        let json = text(bytes).context(match &self.source {
            Source::File(_) => "read SECRET_FILE",
            Source::Manager { .. } => "read the secret that SECRET_ID names",
        })?;
        Secret::parse(&json).context("the secret is not complete")
    }

    /// Reads it again if it may have been rotated: `None` if it is the same, or
    /// was read a moment ago.
    pub async fn refresh(&self, known: &Secret) -> Result<Option<Secret>, Unread> {
        let mut refreshed = self.refreshed.lock().await;
        if let Some((then, read)) = *refreshed
            && then.elapsed() < BETWEEN_REFRESHES
        {
            return if read { Ok(None) } else { Err(Unread) };
        }
        // Should nobody wait for the answer any more, it was not read.
        *refreshed = Some((Instant::now(), false));
        match self.load().await {
            Ok(secret) => {
                *refreshed = Some((Instant::now(), true));
                Ok((!secret.is(known)).then_some(secret))
            }
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "can't read the secret again");
                Err(Unread)
            }
        }
    }
}

/// The secret could not be read again, so nobody knows whether it was rotated.
#[derive(Debug)]
pub struct Unread;

/// The secret's text; without its bytes in the error.
fn text(bytes: Vec<u8>) -> Result<String> {
    // What Windows' own tools write, if nobody tells them otherwise.
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        bail!("it is UTF-16: save it as UTF-8");
    }
    String::from_utf8(bytes).map_err(|_| anyhow!("it is not UTF-8: save it as UTF-8"))
}
