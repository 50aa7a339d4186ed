//! The provider itself: its users, what happens to them, and what it wants to tell about it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::Notify;

use super::clock::Clock;
use super::faults::{Plan, Switches};
use super::message::Message;
use super::requests::Log;
use super::users::{Found, Users, View};
use super::vendor::{After, Change, Effect, Refused, Subject, User, Vendor};
use record::Record;
use troubles::Hook;

mod asked;
mod destination;
mod happenings;
mod outbox;
mod reads;
mod record;
mod slices;
mod troubles;
mod truth;

pub use destination::Destination;
pub use outbox::Taken;
pub use reads::Page;
pub use record::Recorded;
pub use slices::Slice;
pub use troubles::Moment;
pub use truth::Truth;

/// A simulated provider's state, shared between the server and all holders of a copy.
#[derive(Clone)]
pub struct World(Arc<Inner>);

struct Inner {
    vendor: Arc<dyn Vendor>,
    clock: Clock,
    state: Mutex<State>,
    /// There is something in the outbox.
    told: Notify,
    /// A message was sent or given up.
    sent: Notify,
}

struct State {
    users: Users,
    outbox: VecDeque<Message>,
    record: Record,
    /// Messages that a sender took and has not done with.
    sending: usize,
    random: fastrand::Rng,
    plan: Plan,
    switches: Switches,
    log: Log,
    destination: Option<Destination>,
    hooks: Vec<Hook>,
    /// The vendor's own key, and the one that is taken in its stead.
    rotated_key: Option<(String, String)>,
}

impl World {
    pub(super) fn new(vendor: Arc<dyn Vendor>, seed: u64, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            vendor,
            clock,
            state: Mutex::new(State {
                users: Users::new(seed),
                outbox: VecDeque::new(),
                record: Record::default(),
                sending: 0,
                random: fastrand::Rng::with_seed(seed),
                plan: Plan::default(),
                switches: Switches::default(),
                log: Log::default(),
                destination: None,
                hooks: Vec::new(),
                rotated_key: None,
            }),
            told: Notify::new(),
            sent: Notify::new(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn vendor(&self) -> &dyn Vendor {
        &*self.0.vendor
    }

    /// The provider's clock.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Lets something happen to a user, or to nobody, which is how users sign up; what the
    /// provider tells about it goes to the outbox.
    pub fn change(&self, id: Option<&str>, change: &Change) -> Result<Effect, Refused> {
        let mut state = self.state();
        // Read under the lock, so that changes are in the order of their times.
        let now = self.0.clock.now();
        let state = &mut *state;
        let vendor = self.vendor();
        let found = id.and_then(|id| state.users.get(vendor, id, View::Now));
        let held = found.as_ref().map(|found| match found {
            Found::Seeded(user) => (vendor.seeded_profile(*user).into(), Value::Null),
            Found::Kept(user) => (user.profile.clone(), user.memo.clone()),
        });
        let subject = id
            .zip(held.as_ref())
            .map(|(id, (profile, memo)): (_, &(Arc<str>, Value))| Subject { id, profile, memo });
        let effect = vendor.change(subject, change, now, &mut state.random)?;
        match &effect.after {
            After::Present { profile, memo } => {
                let reading = vendor.reading(profile);
                let user = User {
                    profile: profile.as_str().into(),
                    shown: None,
                    memo: memo.clone(),
                    order: reading.created_at.unwrap_or(now),
                    reading,
                };
                state.users.put(vendor, &effect.id, user, now);
            }
            After::Gone => state.users.remove(vendor, &effect.id, now),
        }
        for event in &effect.events {
            self.record_event(state, event, now);
            let message = Message::new(
                event.kind.clone(),
                event.body.clone(),
                now,
                &mut state.random,
            );
            state.outbox.push_back(message);
        }
        self.0.told.notify_waiters();
        Ok(effect)
    }
}
