//! Users managed at the provider, over HTTP, and the table, which follows by itself.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use shared::client::{Client, Effort, Unanswered};
use shared::exchange::AnswerError;
use shared::manage::{Change, Done, Known, Management, Newcomer};
use shared::profile::UserId;
use shared::provider::Provider;
use shared::secret::Secret;
use tests::for_each_provider;
use tests::stage::{Setup, Stage};
use tokio::time::Instant;

for_each_provider! {
    what_is_changed_at_the_provider_lands_in_the_table
    an_email_that_is_taken_is_refused_in_words
    a_wrong_key_changes_nothing
}

/// Sends changes as `console` does: each once.
struct Console {
    provider: Arc<dyn Provider>,
    client: Client,
}

impl Console {
    fn of(stage: &Stage) -> Result<Self> {
        Self::with(&stage.secret())
    }

    fn with(secret: &serde_json::Value) -> Result<Self> {
        Ok(Self {
            provider: Secret::parse(&secret.to_string())?.provider,
            client: Client::begin(),
        })
    }

    async fn change(&self, change: Change<'_>) -> Result<Done, Unanswered> {
        let management = Management::of(&*self.provider).expect("a way");
        let effort = Effort {
            until: Instant::now() + Duration::from_secs(20),
            attempts: 1,
            attempt: Duration::from_secs(20),
            size: 1 << 20,
        };
        let request = management.request(change);
        let read = |answer: &_| management.read(change, answer);
        self.client
            .ask(&*self.provider, &request, effort, read)
            .await
    }

    async fn create(&self, name: &str, email: &str) -> Result<UserId> {
        let newcomer = Newcomer {
            name: Some(name),
            email,
            password: "Correct-Horse-7",
        };
        match self.change(Change::Create(newcomer)).await? {
            Done::Created(id) => Ok(id),
            done => anyhow::bail!("{done:?}"),
        }
    }
}

async fn what_is_changed_at_the_provider_lands_in_the_table(setup: Setup) -> Result<()> {
    let stage = Stage::at_work(setup).await?;
    let console = Console::of(&stage)?;
    let id = console.create("Ada Lovelace", "ada@example.com").await?;
    stage.deliver_all().await?;
    let row = stage.the_row(id.as_str()).await?;
    assert_eq!(row.name.as_deref(), Some("Ada Lovelace"));
    assert_eq!(row.email.as_deref(), Some("ada@example.com"));
    stage.assert_in_sync().await?;

    let known = Known {
        id: &id,
        raw_json: &row.raw_json,
    };
    let done = console.change(Change::Rename(known, "Ada King")).await?;
    assert_eq!(done, Done::Changed);
    stage.deliver_all().await?;
    let row = stage.the_row(id.as_str()).await?;
    assert_eq!(row.name.as_deref(), Some("Ada King"));
    assert_eq!(row.email.as_deref(), Some("ada@example.com"));

    // To another email, and back to the one that the user had.
    for email in ["ada@example.org", "ada@example.com"] {
        let row = stage.the_row(id.as_str()).await?;
        let known = Known {
            id: &id,
            raw_json: &row.raw_json,
        };
        let done = console.change(Change::ChangeEmail(known, email)).await?;
        assert_eq!(done, Done::Changed);
        stage.deliver_all().await?;
        let row = stage.the_row(id.as_str()).await?;
        assert_eq!(row.email.as_deref(), Some(email));
        assert_eq!(row.name.as_deref(), Some("Ada King"));
    }

    let done = console.change(Change::Delete(&id)).await?;
    assert_eq!(done, Done::Changed);
    stage.deliver_all().await?;
    assert!(!stage.the_row(id.as_str()).await?.lives());
    stage.assert_in_sync().await?;

    // Auth0 doesn't say whether somebody was there.
    let again = console.change(Change::Delete(&id)).await?;
    let silent = stage.secret()["provider"]["domain"].is_string();
    assert_eq!(
        again,
        if silent {
            Done::Changed
        } else {
            Done::NoSuchUser
        }
    );
    let renamed = console.change(Change::Rename(known, "Nobody")).await?;
    assert_eq!(renamed, Done::NoSuchUser);
    assert!(stage.simulator.take_messages().is_empty());
    Ok(())
}

async fn an_email_that_is_taken_is_refused_in_words(setup: Setup) -> Result<()> {
    let stage = Stage::at_work(setup).await?;
    let console = Console::of(&stage)?;
    console.create("Ada", "ada@example.com").await?;
    let again = console.create("Bob", "ADA@example.com").await;
    // Users of Stack Auth may share an email, as long as only one signs in with it.
    let error = again.err().context("it was not refused")?;
    let Some(Unanswered::Misread(AnswerError::Refused(said))) = error.downcast_ref() else {
        anyhow::bail!("{error:?}");
    };
    assert!(said.contains("email: choose another one"), "{said}");
    assert!(!said.to_lowercase().contains("ada@"), "{said}");
    Ok(())
}

async fn a_wrong_key_changes_nothing(setup: Setup) -> Result<()> {
    let stage = Stage::at_work(setup).await?;
    let key = stage.provider()?.key;
    let mut secret = stage.secret();
    secret["provider"][key] = "not_the_key".into();
    let console = Console::with(&secret)?;
    let error = console.create("Ada", "ada@example.com").await;
    let error = error.err().context("it was not refused")?.to_string();
    assert!(error.contains(&format!("provider.{key}")), "{error}");
    assert!(stage.simulator.take_messages().is_empty());
    Ok(())
}
