//! Deliveries that are ordered through the provider's API arrive.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use shared::client::{Client, Effort};
use shared::provider::Provider;
use shared::secret::Secret;
use shared::subscribe::{Next, Subscription, Wanted};
use tests::sender::Sender;
use tests::simulator::{Auth0, WorkOs};
use tests::stage::{Setup, Stage};
use tokio::time::Instant;

/// Orders deliveries, and answers what signs them.
async fn order(provider: &dyn Provider, wanted: &Wanted) -> Result<Option<String>> {
    let client = Client::begin();
    let mut order = Subscription::of(provider, wanted.clone()).context("no way")?;
    loop {
        let effort = Effort {
            until: Instant::now() + Duration::from_secs(20),
            attempts: 1,
            attempt: Duration::from_secs(20),
            size: 1 << 20,
        };
        let request = order.request();
        let next = client
            .ask(provider, &request, effort, |answer| order.read(answer))
            .await?;
        if let Next::Ordered { signing_secret } = next {
            return Ok(signing_secret);
        }
    }
}

/// Orders twice, which is to make one endpoint, and has a user sign up.
async fn ordered_deliveries_arrive(setup: Setup, token: Option<&str>) -> Result<()> {
    let stage = Stage::of(setup).await?.receives().await?;
    let mut secret = stage.secret();
    if let Some(token) = token {
        secret["provider"]["webhook_token"] = token.into();
    }
    let provider = Secret::parse(&secret.to_string())?.provider;
    let wanted = Wanted {
        url: stage.webhook().await?.url().to_owned(),
        token: token.map(str::to_owned),
    };
    let sender = Sender::following(&stage.simulator.world())?;
    let sending = sender.run(&stage.simulator.world());
    stage.simulator.create("Nobody", "nobody@example.com")?;
    sending.settled(Duration::from_secs(20)).await?;
    assert!(sender.attempts().is_empty(), "sent to nobody in particular");

    let first = order(&*provider, &wanted).await?;
    let again = order(&*provider, &wanted).await?;
    assert_eq!(first, again);
    assert_eq!(first.is_some(), token.is_none());
    let there = stage.simulator.destination().context("nowhere")?;
    assert_eq!(there.url, wanted.url);
    stage.change_secret(|kept| match first {
        Some(signing_secret) => kept["signing_secrets"] = json!([signing_secret]),
        None => *kept = secret,
    })?;
    let id = stage.simulator.create("Ada", "ada@example.com")?;
    sending.settled(Duration::from_secs(20)).await?;
    assert_eq!(stage.the_row(&id).await?.name.as_deref(), Some("Ada"));
    assert_eq!(sender.attempts().len(), 1);
    Ok(())
}

#[tokio::test]
async fn an_endpoint_ordered_of_workos_delivers() -> Result<()> {
    ordered_deliveries_arrive(Setup::of(WorkOs::default()), None).await
}

#[tokio::test]
async fn a_stream_ordered_of_auth0_delivers() -> Result<()> {
    let token = "another token, which nobody had before";
    ordered_deliveries_arrive(Setup::of(Auth0::default()), Some(token)).await
}
