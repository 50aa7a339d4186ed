//! The true events of a schedule: the users that the provider changed and told about, the deliveries
//! that were acknowledged, and how runs ended.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::json;
use tests::simulator::{Change, Effect, Message, SignUp, World};

use crate::fleet::Ended;
use crate::schedule::{Happening, Whom};

/// A schedule's records.
pub(crate) struct Book {
    began: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// All who ever were, in the order they came.
    known: Vec<String>,
    users: HashMap<String, Facts>,
    acknowledged: HashSet<String>,
    runs: Vec<Ended>,
    counts: BTreeMap<String, u64>,
    journal: Vec<String>,
}

/// The facts about a user.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// The messages of the last change that anything was told of.
    last_told: Vec<String>,
    /// Whether there was a change since that nothing was told of.
    changed_since: bool,
    /// When they were deleted, in milliseconds since 1970.
    pub(crate) deletions: Vec<i64>,
    /// When they came back, in milliseconds since 1970.
    pub(crate) returns: Vec<i64>,
}

impl Book {
    /// Of a provider with these users.
    pub(crate) fn new(known: Vec<String>) -> Self {
        let state = State {
            known,
            ..State::default()
        };
        Self {
            began: Instant::now(),
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that something happened, by what it is counted as.
    pub(crate) fn count(&self, name: &str) {
        *self.state().counts.entry(name.to_owned()).or_default() += 1;
    }

    /// Notes what happened, to be read when a schedule has failed.
    pub(crate) fn write(&self, line: impl AsRef<str>) {
        let millis = self.began.elapsed().as_secs_f64() * 1_000.0;
        let line = format!("{millis:9.1} ms  {}", line.as_ref());
        self.state().journal.push(line);
    }

    /// Changes users at the provider; gives what it tells.
    pub(crate) fn change(&self, world: &World, whom: Whom, happening: Happening) -> Vec<Message> {
        // Held for the whole change, so that messages are known by the change that they are of.
        let mut state = self.state();
        let ids: Vec<Option<String>> = match whom {
            Whom::Nobody => vec![None],
            Whom::Somebody(number) => {
                // Only users to which it can happen.
                let alive = happening != Happening::Return;
                let fit: Vec<&String> = state
                    .known
                    .iter()
                    .filter(|id| world.user(id).is_some() == alive)
                    .collect();
                let chosen = fit.get(number % fit.len().max(1));
                chosen.map(|id| Some((*id).clone())).into_iter().collect()
            }
            Whom::Many(most) => {
                let living = state.known.iter().filter(|id| world.user(id).is_some());
                living.take(most).cloned().map(Some).collect()
            }
        };
        let mut told = Vec::new();
        for id in ids {
            let living = id.as_ref().is_none_or(|id| world.user(id).is_some());
            let returns = happening == Happening::Return;
            if living == returns {
                continue;
            }
            let change = change_of(happening, id.as_deref(), state.known.len());
            let subject = id.as_deref().filter(|_| !returns);
            let Ok(effect) = world.change(subject, &change) else {
                continue;
            };
            let messages = world.take_messages();
            state.note(&effect, happening, &messages, world.clock().now());
            let millis = self.began.elapsed().as_secs_f64() * 1_000.0;
            let kinds: Vec<&str> = messages.iter().map(|message| &*message.kind).collect();
            let line = format!(
                "{millis:9.1} ms  {}: {happening:?}, told as {kinds:?}",
                effect.id
            );
            state.journal.push(line);
            told.extend(messages);
        }
        told
    }

    /// Notes that a delivery was answered 2xx.
    pub(crate) fn acknowledged(&self, message: &Message) {
        self.state().acknowledged.insert(message.id.clone());
    }

    /// Notes how a run ended.
    pub(crate) fn ended(&self, ended: Ended) {
        self.state().runs.push(ended);
    }

    /// How runs ended.
    pub(crate) fn runs(&self) -> Vec<Ended> {
        self.state().runs.clone()
    }

    /// The facts about each user.
    pub(crate) fn users(&self) -> HashMap<String, Facts> {
        self.state().users.clone()
    }

    /// Who has to be right in the table without a reconcile, because the last that happened to
    /// them was told, and that was acknowledged.
    pub(crate) fn owed(&self) -> Vec<String> {
        let state = self.state();
        let owed = state.users.iter().filter(|(_, facts)| {
            let told = !facts.last_told.is_empty() && !facts.changed_since;
            told && facts
                .last_told
                .iter()
                .all(|id| state.acknowledged.contains(id))
        });
        owed.map(|(id, _)| id.clone()).collect()
    }

    /// How often each thing happened.
    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        self.state().counts.clone()
    }

    /// All that was written.
    pub(crate) fn journal(&self) -> Vec<String> {
        self.state().journal.clone()
    }
}

impl State {
    fn note(&mut self, effect: &Effect, happening: Happening, messages: &[Message], now: i64) {
        if !self.known.contains(&effect.id) {
            self.known.push(effect.id.clone());
        }
        let facts = self.users.entry(effect.id.clone()).or_default();
        match happening {
            Happening::Delete => facts.deletions.push(now),
            Happening::Return => facts.returns.push(now),
            _ => {}
        }
        let told: Vec<String> = messages
            .iter()
            .filter(|message| is_about_a_user(&message.kind))
            .map(|message| message.id.clone())
            .collect();
        if told.is_empty() {
            facts.changed_since = true;
        } else {
            facts.last_told = told;
            facts.changed_since = false;
        }
    }
}

/// Whether a message of this type is about a user's profile.
fn is_about_a_user(kind: &str) -> bool {
    kind.starts_with("user.") || ["INSERT", "UPDATE", "DELETE"].contains(&kind)
}

/// Few different contents, so that some come back.
fn change_of(happening: Happening, id: Option<&str>, known: usize) -> Change {
    let named = |number: u8| format!("Name {number}");
    let email = format!("user{known}@example.com");
    match happening {
        Happening::SignUp => Change::SignUp(SignUp {
            name: Some(format!("User {known}")),
            email: Some(email),
            ..SignUp::default()
        }),
        Happening::SignUpByOauth => Change::SignUp(SignUp {
            name: Some(format!("User {known}")),
            email: Some(email),
            oauth: Some("google".to_owned()),
            ..SignUp::default()
        }),
        Happening::UseAnonymously => Change::SignUp(SignUp {
            anonymous: true,
            ..SignUp::default()
        }),
        Happening::Return => Change::SignUp(SignUp {
            id: id.map(str::to_owned),
            name: Some(format!("User {known}, again")),
            email: Some(email),
            ..SignUp::default()
        }),
        Happening::SignUpAfterAll => Change::AnonymousSignsUp {
            name: Some(format!("User {known}")),
            email: Some(email),
        },
        Happening::Rename(number) => Change::Rename(Some(named(number))),
        Happening::SetMetadata(number) => Change::SetMetadata(json!({ "theme": number })),
        Happening::ChangeEmail(number) => {
            Change::ChangeEmail(format!("changed{number}.{}@example.com", id.unwrap_or("x")))
        }
        Happening::VerifyEmail => Change::VerifyEmail,
        Happening::LinkOauth => Change::LinkOauth("github".to_owned()),
        Happening::Touch => Change::TouchActivity,
        Happening::RenameTeam(number) => Change::RenameTeam(named(number)),
        Happening::ShiftSignUp(millis) => Change::ShiftSignUp(millis),
        Happening::Delete => Change::Delete,
    }
}
