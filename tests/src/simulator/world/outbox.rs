//! What the provider has to tell.

use bytes::Bytes;

use super::World;
use crate::simulator::message::Message;

impl World {
    /// Has a message of any type and body sent.
    pub fn tell(&self, kind: &str, body: impl Into<Bytes>) -> Message {
        let mut state = self.state();
        let now = self.0.clock.now();
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

    /// Takes all messages out of the outbox, and waits for one if there is none.
    pub async fn messages(&self) -> Vec<Message> {
        loop {
            let told = self.0.told.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            let messages = self.take_messages();
            if !messages.is_empty() {
                return messages;
            }
            told.await;
        }
    }

    /// How many messages wait in the outbox.
    pub fn waiting_messages(&self) -> usize {
        self.state().outbox.len()
    }
}
