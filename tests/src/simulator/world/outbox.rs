//! The messages that the provider has yet to send.

use bytes::Bytes;

use super::World;
use crate::simulator::message::Message;
use crate::simulator::vendor::Event;

/// A message that a sender took out of the outbox; when this is dropped, the sender is done with
/// it, one way or the other.
pub struct Taken {
    /// The message.
    pub message: Message,
    world: World,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.world.state().sending -= 1;
        self.world.0.sent.notify_waiters();
    }
}

impl World {
    /// Has a message of any type and body sent, and recorded where the provider keeps a record.
    pub fn tell(&self, kind: &str, body: impl Into<Bytes>) -> Message {
        let body = body.into();
        let mut state = self.state();
        let now = self.0.clock.now();
        let event = Event {
            kind: kind.to_owned(),
            body: String::from_utf8_lossy(&body).into_owned(),
        };
        self.record_event(&mut state, &event, now);
        let message = Message::new(kind, body, now, &mut state.random);
        state.outbox.push_back(message.clone());
        drop(state);
        self.0.told.notify_waiters();
        message
    }

    /// Takes all messages out of the outbox, oldest first.
    pub fn take_messages(&self) -> Vec<Message> {
        self.state().outbox.drain(..).collect()
    }

    /// Takes all messages out of the outbox to send them, and waits for one if there is none.
    pub async fn messages(&self) -> Vec<Taken> {
        loop {
            let told = self.0.told.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            let messages = self.taken();
            if !messages.is_empty() {
                return messages;
            }
            told.await;
        }
    }

    fn taken(&self) -> Vec<Taken> {
        let mut state = self.state();
        let messages: Vec<Message> = state.outbox.drain(..).collect();
        state.sending += messages.len();
        drop(state);
        let taken = |message| Taken {
            message,
            world: self.clone(),
        };
        messages.into_iter().map(taken).collect()
    }

    /// Waits until every message was sent or given up.
    pub async fn all_sent(&self) {
        loop {
            let sent = self.0.sent.notified();
            tokio::pin!(sent);
            sent.as_mut().enable();
            if self.unsent() == 0 {
                return;
            }
            sent.await;
        }
    }

    /// How many messages wait in the outbox or are being sent.
    pub fn unsent(&self) -> usize {
        let state = self.state();
        state.outbox.len() + state.sending
    }
}
