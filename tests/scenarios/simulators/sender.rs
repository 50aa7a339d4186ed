//! The sender: when it tries again, and what it loses, doubles and delays.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tests::sender::{Mishaps, Options, Outcome, Schedule, Sender, Svix};
use tests::simulator::Simulator;

use super::project;
use super::receiver::{Receiver, Reply};

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const SOON: Duration = Duration::from_secs(20);

fn options(receiver: &Receiver) -> Result<Options> {
    Ok(Options::new(Svix::new([SECRET])?, receiver.url.clone()).faster(1_000_000.0))
}

/// Tells so many messages and waits until the sender is done with them; their ids.
async fn send(simulator: &Simulator, sender: &Sender, count: usize) -> Result<Vec<String>> {
    let ids = (0..count)
        .map(|number| simulator.tell("stack.test", number.to_string()).id)
        .collect();
    sender.run(simulator).settled(SOON).await?;
    Ok(ids)
}

fn outcomes(sender: &Sender) -> Vec<Outcome> {
    let attempts = sender.attempts().into_iter();
    attempts.map(|attempt| attempt.outcome).collect()
}

#[tokio::test]
async fn an_attempt_that_fails_is_repeated_under_the_same_id_and_signed_anew() -> Result<()> {
    let (simulator, receiver) = (project().await?, Receiver::answering([500, 503]).await?);
    let mut options = options(&receiver)?;
    // The second attempt comes in another second than the first.
    options.schedule = Schedule::svix().faster(4.0);
    let sender = Sender::new(options)?;
    simulator.tell("stack.test", "{}");
    let sending = sender.run(&simulator);
    let started = Instant::now();
    while receiver.deliveries().len() < 2 && started.elapsed() < SOON {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(sending);
    let deliveries = receiver.deliveries();
    let [first, second] = &deliveries[..] else {
        anyhow::bail!("{} deliveries", deliveries.len());
    };
    assert_eq!(first.header("svix-id"), second.header("svix-id"));
    assert_eq!(first.body, second.body);
    assert_ne!(
        first.header("svix-timestamp"),
        second.header("svix-timestamp")
    );
    assert_ne!(
        first.header("svix-signature"),
        second.header("svix-signature")
    );
    assert_eq!(first.header("content-type"), "application/json");
    Ok(())
}

#[tokio::test]
async fn attempts_end_with_the_first_success() -> Result<()> {
    let receiver = Receiver::answering([500, 301, 404, 200]).await?;
    let simulator = project().await?;
    let sender = Sender::new(options(&receiver)?)?;
    let ids = send(&simulator, &sender, 1).await?;
    assert_eq!(
        outcomes(&sender),
        [500, 301, 404, 200].map(Outcome::Answered)
    );
    let attempts = sender.attempts();
    let numbers: Vec<u32> = attempts.iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert!(attempts.iter().all(|attempt| attempt.message == ids[0]));
    assert!(attempts.iter().all(|attempt| attempt.kind == "stack.test"));
    Ok(())
}

#[tokio::test]
async fn after_eight_attempts_a_message_is_given_up() -> Result<()> {
    let receiver = Receiver::answering([503; 20]).await?;
    let sender = Sender::new(options(&receiver)?)?;
    send(&project().await?, &sender, 1).await?;
    assert_eq!(outcomes(&sender), [503; 8].map(Outcome::Answered));
    Ok(())
}

#[tokio::test]
async fn an_endpoint_that_is_too_slow_has_failed() -> Result<()> {
    let receiver = Receiver::start([Reply {
        status: 200,
        after: Duration::from_secs(30),
        ..Reply::default()
    }])
    .await?;
    let mut options = options(&receiver)?;
    options.time_out = Duration::from_millis(100);
    let sender = Sender::new(options)?;
    send(&project().await?, &sender, 1).await?;
    let outcomes = outcomes(&sender);
    assert!(matches!(outcomes[0], Outcome::Failed(_)), "{outcomes:?}");
    assert_eq!(outcomes[1..], [Outcome::Answered(204)]);
    Ok(())
}

#[tokio::test]
async fn abort_message_ends_the_attempts_of_one_message() -> Result<()> {
    let receiver = Receiver::start([Reply {
        status: 500,
        header: Some(("webhook-delivery", "abort-message")),
        ..Reply::default()
    }])
    .await?;
    let sender = Sender::new(options(&receiver)?)?;
    let simulator = project().await?;
    send(&simulator, &sender, 1).await?;
    assert_eq!(outcomes(&sender), [Outcome::Answered(500)]);
    send(&simulator, &sender, 1).await?;
    assert_eq!(outcomes(&sender)[1..], [Outcome::Answered(204)]);
    Ok(())
}

#[tokio::test]
async fn disable_ends_everything() -> Result<()> {
    let receiver = Receiver::start([Reply {
        status: 500,
        header: Some(("webhook-delivery", "disable")),
        ..Reply::default()
    }])
    .await?;
    let sender = Sender::new(options(&receiver)?)?;
    let simulator = project().await?;
    send(&simulator, &sender, 1).await?;
    send(&simulator, &sender, 1).await?;
    assert_eq!(
        outcomes(&sender),
        [Outcome::Answered(500), Outcome::Disabled, Outcome::Disabled]
    );
    Ok(())
}

#[tokio::test]
async fn retry_after_delays_the_next_attempt() -> Result<()> {
    let reply = |header| Reply {
        status: 503,
        header,
        ..Reply::default()
    };
    let mut waits = Vec::new();
    for header in [None, Some(("retry-after", "3600"))] {
        let receiver = Receiver::start([reply(header)]).await?;
        let mut options = options(&receiver)?;
        options.schedule = Schedule::svix().faster(10.0);
        let sender = Sender::new(options)?;
        send(&project().await?, &sender, 1).await?;
        let attempts = sender.attempts();
        waits.push(attempts[1].at - attempts[0].at);
    }
    // The step is 5 s, ten times faster; an hour stretches it to twice that.
    assert!(waits[0] >= 499 && waits[1] >= 999, "{waits:?}");
    assert!(waits[1] < 60_000, "{waits:?}");
    Ok(())
}

#[tokio::test]
async fn without_mishaps_one_at_a_time_keeps_the_order() -> Result<()> {
    let receiver = Receiver::answering([]).await?;
    let mut options = options(&receiver)?;
    options.concurrency = 1;
    let sender = Sender::new(options)?;
    let ids = send(&project().await?, &sender, 60).await?;
    assert_eq!(receiver.ids(), ids);
    Ok(())
}

#[tokio::test]
async fn jitter_puts_messages_out_of_order() -> Result<()> {
    let receiver = Receiver::answering([]).await?;
    let mut options = options(&receiver)?;
    options.mishaps.jitter_ms = 150;
    let sender = Sender::new(options)?;
    let ids = send(&project().await?, &sender, 30).await?;
    let arrived = receiver.ids();
    assert_ne!(arrived, ids);
    assert_eq!(arrived.len(), 30);
    assert_eq!(BTreeSet::from_iter(arrived), BTreeSet::from_iter(ids));
    Ok(())
}

#[tokio::test]
async fn messages_are_lost_and_doubled_as_the_seed_has_it() -> Result<()> {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let receiver = Receiver::answering([]).await?;
        let mut options = options(&receiver)?;
        options.mishaps = Mishaps {
            lost: 0.3,
            doubled: 0.3,
            ..Mishaps::default()
        };
        options.seed = 11;
        let sender = Sender::new(options)?;
        let ids = send(&project().await?, &sender, 50).await?;
        let arrived = receiver.ids();
        let copies = |id| arrived.iter().filter(|arrived| *arrived == id).count();
        let counts: Vec<usize> = ids.iter().map(copies).collect();
        let lost = outcomes(&sender);
        let lost = lost
            .iter()
            .filter(|outcome| **outcome == Outcome::Lost)
            .count();
        assert_eq!(lost, counts.iter().filter(|count| **count == 0).count());
        runs.push(counts);
    }
    assert_eq!(runs[0], runs[1]);
    for copies in 0..=2 {
        assert!(runs[0].contains(&copies), "{:?}", runs[0]);
    }
    Ok(())
}

#[tokio::test]
async fn every_endpoint_gets_every_message() -> Result<()> {
    let (one, other) = (
        Receiver::answering([]).await?,
        Receiver::answering([500]).await?,
    );
    let mut options = options(&one)?;
    options.endpoints.push(other.url.clone());
    let sender = Sender::new(options)?;
    send(&project().await?, &sender, 2).await?;
    assert_eq!(one.deliveries().len(), 2);
    assert_eq!(other.deliveries().len(), 3);
    Ok(())
}

#[tokio::test]
async fn a_message_can_be_delivered_once_by_hand() -> Result<()> {
    let receiver = Receiver::answering([503]).await?;
    let sender = Sender::new(options(&receiver)?)?;
    let simulator = project().await?;
    simulator.create("Ada", "ada@example.com")?;
    let messages = simulator.take_messages();
    let created = messages.last().context("nothing told")?;
    assert_eq!(sender.deliver_once(created).await?, 503);
    assert_eq!(sender.deliver_once(created).await?, 204);
    assert_eq!(sender.deliver_to(&receiver.url, created).await?, 204);
    assert_eq!(receiver.ids(), [created.id.as_str(); 3]);
    assert_eq!(receiver.deliveries()[0].body, created.body);
    Ok(())
}

#[tokio::test]
async fn after_a_rotation_other_secrets_sign() -> Result<()> {
    let receiver = Receiver::answering([]).await?;
    let sender = Sender::new(options(&receiver)?)?;
    let message = project().await?.tell("stack.test", "{}");
    sender.deliver_once(&message).await?;
    let other = "whsec_dGVzdF9zaWduaW5nX3NlY3JldF8zMl9jaGFyc19sb25n";
    sender.set_signing(Svix::new([other, SECRET])?);
    sender.deliver_once(&message).await?;
    let signatures = |at: usize| {
        let deliveries = receiver.deliveries();
        deliveries[at].header("svix-signature").split(' ').count()
    };
    assert_eq!((signatures(0), signatures(1)), (1, 2));
    Ok(())
}
