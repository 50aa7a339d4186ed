//! From the outbox to the endpoints, until each has taken the message or was given up.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;

use super::Sender;
use super::attempts::Outcome;
use super::endpoint::Endpoint;
use crate::simulator::{Message, Taken, World};

/// Sends whatever the world tells, for ever.
pub(super) async fn run(sender: Sender, world: World) {
    let mut underway = JoinSet::new();
    loop {
        let messages = tokio::select! {
            messages = world.messages() => messages,
            Some(_) = underway.join_next() => continue,
        };
        sender.follow(&world);
        for taken in messages {
            let (delays, endpoints) = draw(&sender);
            if delays.is_empty() {
                sender.skip("", &taken.message, 0, Outcome::Lost);
                continue;
            }
            // A message that need not wait gets its turn now, so that order is kept where it can be.
            let turn = match delays.iter().all(Duration::is_zero) {
                true => turn(&sender).await,
                false => None,
            };
            underway.spawn(send(sender.clone(), taken, delays, endpoints, turn));
        }
    }
}

fn draw(sender: &Sender) -> (Vec<Duration>, Vec<Arc<Endpoint>>) {
    let mut state = sender.state();
    let state = &mut *state;
    (
        state.mishaps.draw(&mut state.random),
        state.endpoints.clone(),
    )
}

async fn turn(sender: &Sender) -> Option<OwnedSemaphorePermit> {
    // The semaphore is never closed.
    sender.0.permits.clone().acquire_owned().await.ok()
}

/// All copies of one message to all endpoints.
async fn send(
    sender: Sender,
    taken: Taken,
    delays: Vec<Duration>,
    endpoints: Vec<Arc<Endpoint>>,
    mut first_turn: Option<OwnedSemaphorePermit>,
) {
    let mut copies = JoinSet::new();
    for delay in delays {
        for endpoint in &endpoints {
            let turn = first_turn.take();
            copies.spawn(deliver(
                sender.clone(),
                taken.message.clone(),
                endpoint.clone(),
                delay,
                turn,
            ));
        }
    }
    drop(first_turn);
    copies.join_all().await;
    drop(taken);
}

/// One copy to one endpoint, again and again.
async fn deliver(
    sender: Sender,
    message: Message,
    endpoint: Arc<Endpoint>,
    delay: Duration,
    mut first_turn: Option<OwnedSemaphorePermit>,
) {
    tokio::time::sleep(delay).await;
    let schedule = &sender.0.schedule;
    let mut asked = None;
    for number in 1.. {
        let Some(wait) = schedule.wait(number, asked) else {
            return;
        };
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        let turn = match first_turn.take() {
            Some(turn) => Some(turn),
            None => turn(&sender).await,
        };
        if endpoint.disabled() {
            sender.skip(&endpoint.url, &message, number, Outcome::Disabled);
            return;
        }
        let attempt = sender.attempt(&endpoint.url, &message, number).await;
        drop(turn);
        if attempt.asked.disable {
            endpoint.disable();
        }
        if attempt.succeeded() {
            return endpoint.succeeded();
        }
        endpoint.failed(schedule.patience());
        if attempt.asked.abort || schedule.ends_with(&attempt.outcome) {
            return;
        }
        asked = attempt.asked.retry_after;
    }
}
