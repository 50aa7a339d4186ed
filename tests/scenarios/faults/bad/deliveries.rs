//! Bad deliveries of every provider, through the real `webhook`: 2xx or 400, and what is answered
//! with 400 (202 where nobody sends again) is kept with its reason.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use futures_util::stream::{self, StreamExt};
use fuzz::bad;
use serde_json::Value;
use tests::postgres::Postgres;
use tests::providers::{PROVIDERS, Provider};
use tests::seeds::seeds;
use tests::sender::Sender;
use tests::stage::{Setup, Stage};

/// For each provider.
const SEEDS: u64 = 3;

#[tokio::test]
async fn bad_deliveries_are_taken_or_kept_apart_and_never_end_in_a_5xx() -> Result<()> {
    for provider in PROVIDERS {
        for seed in seeds(SEEDS) {
            let checked = check(provider, seed).await;
            checked.with_context(|| format!("{}, SEED={seed}", provider.name))?;
        }
    }
    Ok(())
}

/// Whether 503 may be the right answer: a read contradicts an event that says of a user who is
/// there that they are gone, or of an unknown user that they signed up just now.
fn is_to_be_asked_again(body: &[u8], id: &str) -> bool {
    let text = String::from_utf8_lossy(body);
    let mut said = text.split("\"deleted_at\":").skip(1);
    let says_gone = said.any(|value| !value.starts_with("null"));
    let of_another = !text.contains(id) && serde_json::from_slice::<Value>(body).is_ok();
    says_gone || of_another
}

async fn check(provider: &Provider, seed: u64) -> Result<()> {
    let stage = Stage::on(Postgres::shared().await?, Setup::named(provider.name)?).await?;
    let webhook = stage.webhook().await?;
    for _ in 0..7 {
        webhook.spawn_instance().await?;
    }
    let simulator = &stage.simulator;
    let mut random = fastrand::Rng::with_seed(seed);
    let mut messages = Vec::new();
    for _ in 0..50 {
        let id = simulator.create("Ada", "ada@example.com")?;
        simulator.rename(&id, "Bob")?;
        for mut message in simulator.take_messages() {
            let mut body = message.body.to_vec();
            for _ in 0..random.usize(1..3) {
                body = bad::body(&mut random, &body);
            }
            message.body = body.into();
            if !is_to_be_asked_again(&message.body, &id) {
                messages.push(message);
            }
        }
    }
    messages.truncate(100);
    let sender = Sender::new(stage.sending(webhook.url())?)?;
    let sent = stream::iter(&messages).map(|message| {
        let sender = sender.clone();
        async move { (message, sender.deliver_once(message).await) }
    });
    let answers: Vec<_> = sent.buffer_unordered(8).collect().await;
    // Where nobody sends again.
    let kept_apart = if provider.token { 202 } else { 400 };
    let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
    for (message, answer) in answers {
        let status = answer?;
        *counts.entry(status).or_default() += 1;
        let body = String::from_utf8_lossy(&message.body[..message.body.len().min(2_000)]);
        ensure!(
            [200, kept_apart].contains(&status),
            "{status}: {body}\n{}",
            webhook.logs().unwrap_or_default()
        );
    }
    let kept = stage.rejections().await?;
    let refused = counts.get(&kept_apart).copied().unwrap_or(0);
    ensure!(refused > 5 && counts.contains_key(&200), "{counts:?}");
    ensure!(
        kept.len() <= refused && kept.len() > refused / 2,
        "{} kept: {counts:?}",
        kept.len()
    );
    for row in &kept {
        let reason = row["reason"].as_str().unwrap_or_default();
        ensure!(reason.len() > 5 && row["source"] == "delivery", "{row}");
    }
    Ok(())
}
