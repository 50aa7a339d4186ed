//! Reads the secret from AWS Secrets Manager or from a file, and again when it
//! may have been rotated.

mod access;
mod refusal;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use aws_config::BehaviorVersion;
use serde_json::{Map, Value};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::client::{self, Client};
use crate::secret::{OpenSecret, Secret};
use crate::settings::{Misconfigured, is_blank};

pub use access::{Access, Opened};

/// How many times in a row the secret is read again. One forged delivery must
/// not keep the next delivery from being checked against a fresh secret, and a
/// flood of them must not cost a request each.
const REFRESHES: u32 = 5;

/// How long it takes until the secret is read once more.
const REFILL: Duration = Duration::from_secs(10);

/// After a failure the secret is not read again sooner.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// How what is wrong with a secret's fields begins.
const INCOMPLETE: &str = "the secret is not complete";

/// The place of the secret.
pub struct Credentials {
    source: Source,
    budget: Mutex<Budget>,
}

/// How many times the secret is still read again.
struct Budget {
    left: u32,
    /// The moment up to which refills are counted.
    counted: Instant,
    /// When reading last failed.
    failed: Option<Instant>,
}

impl Budget {
    fn new(now: Instant) -> Self {
        Self {
            left: REFRESHES,
            counted: now,
            failed: None,
        }
    }

    /// Takes one reading out of the budget.
    fn spend(&mut self, now: Instant) -> Result<(), RefreshError> {
        while self.left < REFRESHES && now.duration_since(self.counted) >= REFILL {
            self.left += 1;
            self.counted += REFILL;
        }
        let failed_lately = |failed: Instant| now.duration_since(failed) < AFTER_FAILURE;
        if self.failed.is_some_and(failed_lately) {
            return Err(RefreshError::Failed);
        }
        if self.left == 0 {
            return Err(if self.failed.is_some() {
                RefreshError::Failed
            } else {
                RefreshError::TooOften
            });
        }
        if self.left == REFRESHES {
            self.counted = now;
        }
        self.left -= 1;
        Ok(())
    }
}

enum Source {
    Manager {
        client: Box<aws_sdk_secretsmanager::Client>,
        id: String,
    },
    File(PathBuf),
}

impl Credentials {
    /// Takes exactly one of the two: the name or ARN of a secret, or the path of a
    /// file.
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
                    problem: "set exactly one of the two".to_owned(),
                }
                .into());
            }
        };
        Ok(Self {
            source,
            budget: Mutex::new(Budget::new(Instant::now())),
        })
    }

    /// Reads the secret, and makes of it what the functions use.
    pub async fn load(&self) -> Result<Access> {
        let json = self.text().await?;
        let secret = Secret::parse(&json).context(INCOMPLETE)?;
        Ok(Access::new(secret)?)
    }

    /// The same if it is another secret than `known` was made of; else `None`. Whoever can send
    /// a forged delivery has the secret read, so no more is done than that.
    async fn load_another(&self, known: &Access) -> Result<Option<Access>> {
        let json = self.text().await?;
        let secret = Secret::parse(&json).context(INCOMPLETE)?;
        if known.is_of(&secret) {
            return Ok(None);
        }
        Ok(Some(Access::new(secret)?))
    }

    /// Reads the secret, in which the provider may be missing.
    pub async fn open(&self) -> Result<Opened> {
        let json = self.text().await?;
        let secret = OpenSecret::parse(&json).context(INCOMPLETE)?;
        Ok(Opened::new(secret)?)
    }

    /// The same where it is not what `known` was opened from; else `None`. To open a
    /// secret is to read the certificates that servers are checked with, which takes
    /// longer than a page of the console.
    pub async fn reopen(&self, known: &Opened) -> Result<Option<Opened>> {
        let json = self.text().await?;
        let secret = OpenSecret::parse(&json).context(INCOMPLETE)?;
        if known.is_of(&secret) {
            return Ok(None);
        }
        Ok(Some(Opened::new(secret)?))
    }

    /// The secret as it would be after a change. Nothing is written.
    pub async fn draft(&self, change: impl FnOnce(&mut Map<String, Value>)) -> Result<Opened> {
        let json = self.text().await?;
        let mut fields: Map<String, Value> = serde_json::from_str(json.trim_matches(is_blank))
            .map_err(|_| anyhow!("the secret is not a JSON object"))?;
        change(&mut fields);
        let json = serde_json::to_string_pretty(&fields).context("write the secret")?;
        Ok(Opened::new(OpenSecret::parse(&json)?)?)
    }

    /// Changes the secret: what it is to be has to be one that
    /// [`Credentials::open`] takes, or nothing is written.
    pub async fn change(&self, change: impl FnOnce(&mut Map<String, Value>)) -> Result<Opened> {
        let opened = self.draft(change).await?;
        self.put(opened.text().to_owned()).await?;
        Ok(opened)
    }

    async fn put(&self, json: String) -> Result<()> {
        match &self.source {
            Source::File(path) => replace_file(path, &json)
                .map_err(|error| anyhow!("write SECRET_FILE: {}", error.kind())),
            Source::Manager { client, id } => {
                let put = client.put_secret_value().secret_id(id).secret_string(json);
                put.send().await.map(|_| ()).map_err(|error| {
                    let code = error
                        .as_service_error()
                        .and_then(|error| error.meta().code());
                    let why = code.unwrap_or("no answer");
                    anyhow!(
                        "Secrets Manager does not take the secret ({why}): see that the function's \
                         role may call secretsmanager:PutSecretValue on it"
                    )
                })
            }
        }
    }

    async fn text(&self) -> Result<String> {
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
                    (None, None) => bail!("SECRET_ID names a secret without a value: put one in"),
                }
            }
        };
        text(bytes).context(match &self.source {
            Source::File(_) => "read SECRET_FILE",
            Source::Manager { .. } => "read the secret that SECRET_ID names",
        })
    }

    /// Reads the secret again, because it may have been rotated; `None` if it is
    /// the same.
    pub async fn refresh(&self, known: &Access) -> Result<Option<Access>, RefreshError> {
        let mut budget = self.budget.lock().await;
        budget.spend(Instant::now())?;
        let mut reading = Reading {
            budget,
            failed: true,
        };
        match self.load_another(known).await {
            Ok(access) => {
                reading.failed = false;
                if access.is_some() {
                    tracing::info!("took in a rotated secret");
                }
                Ok(access)
            }
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "can't read the secret again");
                Err(RefreshError::Failed)
            }
        }
    }
}

/// A reading under way. If nobody waits for the answer any more, it has failed,
/// and the pause before the next one begins then.
struct Reading<'a> {
    budget: MutexGuard<'a, Budget>,
    failed: bool,
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.budget.failed = self.failed.then(Instant::now);
    }
}

/// Why it is not known whether the secret was rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshError {
    /// It could not be read.
    Failed,
    /// The secret was read so often lately that it was not read again.
    TooOften,
}

/// In one step, so that nobody reads half of it; nobody else may read it at all.
fn replace_file(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut draft = path.as_os_str().to_owned();
    draft.push(".draft");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&draft, path)
}

/// The secret's text. An error does not show its bytes.
fn text(bytes: Vec<u8>) -> Result<String> {
    // The default of Windows' own tools.
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        bail!("it is UTF-16: save it as UTF-8");
    }
    String::from_utf8(bytes).map_err(|_| anyhow!("it is not UTF-8: save it as UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_budget_of_readings_refills_slowly() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut budget = Budget::new(start);
        // However long nothing was asked for, no more than the whole of it is there.
        for _ in 0..REFRESHES {
            assert_eq!(budget.spend(at(100)), Ok(()));
        }
        assert_eq!(budget.spend(at(100)), Err(RefreshError::TooOften));
        assert_eq!(budget.spend(at(109)), Err(RefreshError::TooOften));
        assert_eq!(budget.spend(at(110)), Ok(()));
        assert_eq!(budget.spend(at(110)), Err(RefreshError::TooOften));
        // Under a flood, as many as when it was one in five seconds, or fewer.
        let spent = (111..=710).filter(|second| budget.spend(at(*second)).is_ok());
        assert_eq!(spent.count(), 60);
        assert_eq!(budget.spend(at(730)), Ok(()));
        assert_eq!(budget.spend(at(730)), Ok(()));
        assert_eq!(budget.spend(at(730)), Err(RefreshError::TooOften));
    }

    #[tokio::test]
    async fn a_secret_that_could_not_be_read_is_not_tried_again_at_once() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut budget = Budget::new(start);
        assert_eq!(budget.spend(start), Ok(()));
        budget.failed = Some(start);
        assert_eq!(budget.spend(at(4)), Err(RefreshError::Failed));
        assert_eq!(budget.spend(at(5)), Ok(()));
        budget.left = 0;
        assert_eq!(budget.spend(at(6)), Err(RefreshError::Failed));
    }
}
