//! Makes the schema: when it is invoked directly, and as a CloudFormation custom
//! resource on every deployment.
//!
//! Invariant: a custom resource is always answered at its `ResponseURL`, because
//! CloudFormation waits an hour for an answer that never comes.

mod request;
mod resource;

use std::future::Future;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};
use shared::client::{Client, Effort, Unanswered};
use shared::credentials::{Access, Opened};
use shared::exchange::AnswerError;
use shared::migrate::{Wanted, is_to_adopt, login, migrate, try_writer};
use shared::profile::UserId;
use shared::settle::Sources;
use shared::start::Start;
use shared::store::{Patience, ProjectStore, Schema, Store, Target};
use tokio::time::{Instant, timeout_at};

use request::Asked;

pub use resource::Resource;

const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(30),
    statement: Duration::from_secs(60),
};

/// An id that no provider has given to anybody.
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

/// Handles an invocation: `{}`, `{"adopt": true}`, or a custom resource's event.
/// `until`: when to give up, so that there is time to say so.
pub async fn handle(start: &Result<Start>, event: &Value, until: Instant) -> Result<Value> {
    let resource = Resource::of(event);
    let provision = async {
        let start = start.as_ref().map_err(|error| anyhow!("{error:#}"))?;
        let asked = Asked::of(event)?;
        in_time(until, provision_or_prepare(start, asked)).await
    };
    let Some(resource) = &resource else {
        return provision.await;
    };
    // The schema and its data outlive the stack.
    let provisioned = if resource.is_deletion() {
        Ok(json!({}))
    } else {
        provision.await
    };
    let client = match start {
        Ok(start) => start.client.clone(),
        Err(_) => Client::begin(),
    };
    answer(&client, resource, &provisioned).await?;
    provisioned
}

/// Provisions for a secret that is not kept yet, so that it is kept only if all
/// of it is right: `console` calls it. The key is tried before anything is made.
pub async fn provision_for(
    client: &Client,
    schema: &Schema,
    access: &Access,
    until: Instant,
) -> Result<Value> {
    let asked = Asked {
        deploying: true,
        adopt: false,
    };
    let owner = access.owner()?;
    let provision = async {
        let store = Store::new(
            access.database.clone(),
            schema.clone(),
            access.provider.facts(),
            PATIENCE,
        );
        let sources = Sources {
            store: &store,
            provider: access.provider.as_ref(),
            client,
        };
        identify(sources).await?;
        confirm(sources, false).await?;
        provision(client, schema, access, owner, asked).await
    };
    in_time(until, provision).await
}

async fn in_time(until: Instant, provision: impl Future<Output = Result<Value>>) -> Result<Value> {
    match timeout_at(until, provision).await {
        Ok(provisioned) => provisioned,
        Err(_) => bail!(
            "the time did not suffice: check which session holds locks in the database \
             (pg_stat_activity), and run provision again"
        ),
    }
}

async fn answer(
    client: &Client,
    resource: &Resource<'_>,
    provisioned: &Result<Value>,
) -> Result<()> {
    let mut pause = Duration::from_millis(500);
    for _ in 0..4 {
        let request = resource.answer(provisioned)?;
        match client.send(request, Duration::from_secs(10)).await {
            Ok(status) if status.is_success() => return Ok(()),
            Ok(status) => {
                tracing::warn!(status = status.as_u16(), "ResponseURL refused the answer")
            }
            Err(error) => tracing::warn!(%error, "ResponseURL could not be reached"),
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    bail!("CloudFormation could not be told the outcome, because ResponseURL took no answer")
}

/// Fails if the environment or the secret is not usable.
pub async fn check(start: &Result<Start>) -> Result<()> {
    let start = start.as_ref().map_err(|error| anyhow!("{error:#}"))?;
    read(start).await.map(|_| ())
}

/// Reads the secret, and the database as the schema's owner reaches it. It is read
/// anew each time, so that a correction counts at once.
async fn read(start: &Start) -> Result<(Access, Target)> {
    let access = start.credentials.load().await?;
    let owner = access.owner()?;
    Ok((access, owner))
}

/// Makes the schema for a console that is to connect a provider: a deployment must
/// not wait for that, and nothing is bound.
async fn prepare(start: &Start, opened: &Opened, adopt: bool) -> Result<Value> {
    let owner = opened.owner.as_ref().unwrap_or(&opened.database);
    let user = login(&opened.database).await?;
    let wanted = Wanted {
        adopt,
        console: opened.console_token.is_some(),
    };
    let mut provisioned = migrate(owner, Some(&user), &start.schema, wanted).await?;
    provisioned
        .warnings
        .push("no provider is connected yet: connect one in console".to_owned());
    for warning in &provisioned.warnings {
        tracing::warn!(warning, "left undone");
    }
    serde_json::to_value(&provisioned).context("write the answer")
}

async fn provision_or_prepare(start: &Start, asked: Asked) -> Result<Value> {
    if asked.deploying
        && let Ok(opened) = start.credentials.open().await
        && opened.access.is_none()
    {
        return prepare(start, &opened, asked.adopt).await;
    }
    let (access, owner) = read(start).await?;
    provision(&start.client, &start.schema, &access, owner, asked).await
}

async fn provision(
    client: &Client,
    schema: &Schema,
    access: &Access,
    owner: Target,
    asked: Asked,
) -> Result<Value> {
    let writer = &access.database;
    let store = Store::new(
        owner.clone(),
        schema.clone(),
        access.provider.facts(),
        PATIENCE,
    );
    // Wakes a database that sleeps.
    store.connect().await?;
    let user = login(writer).await?;
    let sources = Sources {
        store: &store,
        provider: access.provider.as_ref(),
        client,
    };
    // The service that fills the table now no longer can once it is taken over. So
    // everything that may be wrong with the secret has to show before that.
    let mut identified = None;
    if asked.adopt && is_to_adopt(&owner, schema).await? {
        identified = Some(identify(sources).await?);
        confirm(sources, false).await?;
    }
    let wanted = Wanted {
        adopt: asked.adopt,
        console: access.has_console(),
    };
    let mut provisioned = migrate(&owner, Some(&user), schema, wanted).await?;
    if access.has_an_owner_of_its_own() {
        let missing = try_writer(&owner, writer, schema).await?;
        if !missing.is_empty() {
            let missing = lacking(&user, &missing, schema);
            match asked.deploying {
                true => bail!(missing),
                false => provisioned.warnings.push(missing),
            }
        }
    }
    let store = match identified {
        Some(store) => store,
        None => identify(sources).await?,
    };
    let bound = store.is_bound().await?;
    confirm(sources, bound).await?;
    store.bind().await?;
    for warning in &provisioned.warnings {
        tracing::warn!(warning, "something was left undone");
    }
    let mut answer = serde_json::to_value(&provisioned).context("write the answer")?;
    if let Some(sql) = access.provider.install_sql() {
        answer["install_sql"] = sql.into();
    }
    tracing::info!(version = provisioned.version, applied = ?provisioned.applied, "provisioned");
    Ok(answer)
}

/// Learns which project the key is for, and gives that project's store.
async fn identify(sources: Sources<'_>) -> Result<ProjectStore> {
    let effort = Effort {
        until: Instant::now() + PATIENCE.connect,
        attempts: 5,
        attempt: Duration::from_secs(10),
        size: 1 << 20,
    };
    let identified = sources.identify(effort).await;
    identified.context("ask the provider which project the key is for")
}

/// A message about rights that the functions' user lacks.
fn lacking(user: &str, missing: &[String], schema: &Schema) -> String {
    format!(
        "the user of database_url, {user}, can't read and write the table: it lacks {}. Have the \
         schema's owner run GRANT {}_writer TO {user}, and provision again",
        missing.join(", "),
        schema.name(),
    )
}

/// Has the provider confirm the key and its project, by a read of a user that does
/// not exist. A key that is refused, or is for no project, fails here, before the
/// schema is bound to a mistyped project. If the schema is bound to the project
/// already, a provider that can't be asked right now stops nothing.
async fn confirm(sources: Sources<'_>, bound: bool) -> Result<()> {
    let patience = Duration::from_secs(if bound { 3 } else { 15 });
    let effort = Effort {
        until: Instant::now() + patience,
        attempts: if bound { 1 } else { 5 },
        attempt: Duration::from_secs(3),
        size: 1 << 20,
    };
    let nobody = UserId::new(NOBODY).context("name nobody")?;
    match sources.ask_for(&nobody, effort).await {
        Ok(_) | Err(Unanswered::Misread(AnswerError::NoSuchId)) => Ok(()),
        Err(Unanswered::Misread(refused @ AnswerError::Refused(_))) => {
            Err(refused).context("try the provider's key")
        }
        Err(error) if bound => {
            tracing::warn!(%error, "the provider's key could not be tried; the schema is bound to its project already");
            Ok(())
        }
        Err(error) => Err(error).context(
            "the provider could not be asked whether key and project are right, so the schema was \
             not bound to the project: run provision again when the provider answers",
        ),
    }
}
