//! What Postgres is asked about a page while the run still takes in the answer about
//! the page before: Postgres always has a page to work on.
//!
//! Invariant: nothing is concluded from an answer before the page's turn. Until then,
//! the page before may have met the same users, or have taught the run fields that
//! are not to be compared.

use std::collections::HashSet;
use std::panic::resume_unwind;
use std::time::Duration;

use shared::profile::UserId;
use shared::settle::Sources;
use shared::store::{Difference, ProjectStore, StoreError};
use shared::time::At;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::Instrument;

use crate::listed::Listed;
use crate::run::{PATIENCE, Run};
use crate::write::create_all;

/// The connections on which Postgres is asked about pages, in turn: a connection has one
/// statement under way at a time. Postgres takes longer to write a page than the run to
/// read one, and writes two side by side.
pub(crate) struct Lanes {
    first: ProjectStore,
    second: Option<ProjectStore>,
    /// Whether the next page is the second connection's.
    seconds_turn: bool,
    /// The users of the last page, which may be under way. Pages can overlap.
    asked_about: HashSet<UserId>,
}

/// The time for the second connection to be made. Without it, the first one has all pages.
const TO_CONNECT: Duration = Duration::from_secs(2);

impl Lanes {
    /// How many there are, as a rule.
    pub(crate) const COUNT: usize = 2;

    pub(crate) fn of(run: &Run<'_>) -> Self {
        Self {
            first: run.store.clone(),
            second: Some(run.store.beside(PATIENCE)),
            seconds_turn: false,
            asked_about: HashSet::new(),
        }
    }

    async fn next(&mut self) -> ProjectStore {
        let seconds_turn = self.seconds_turn;
        self.seconds_turn = !seconds_turn;
        if !seconds_turn {
            return self.first.clone();
        }
        if let Some(second) = &self.second
            && !matches!(timeout(TO_CONNECT, second.connect()).await, Ok(Ok(())))
        {
            tracing::info!("Postgres gave this run no second connection: it goes on with one");
            self.second = None;
        }
        self.second.as_ref().unwrap_or(&self.first).clone()
    }
}

/// The way in which Postgres is asked about a page.
pub(crate) struct Ahead {
    /// Whether users are taken for new ones.
    are_new: bool,
    /// Fields that are not compared, besides those that the adapter names.
    left_out: Vec<String>,
}

impl Ahead {
    pub(crate) fn of(run: &Run<'_>) -> Self {
        Self {
            are_new: run.tally.expects_new && !run.dry_run,
            left_out: run.tally.unlisted.fields(),
        }
    }

    /// Asks about a page; `seen`: a moment before it was asked for.
    pub(crate) async fn ask(
        &self,
        sources: Sources<'_>,
        lanes: &mut Lanes,
        mut listed: Listed,
        seen: At,
    ) -> Asked {
        listed.leave_out(self.left_out.clone());
        let store = lanes.next().await;
        let ids = listed.profiles.iter().map(|profile| profile.id.clone());
        let asked_about = std::mem::replace(&mut lanes.asked_about, ids.collect());
        let mut answer = JoinSet::new();
        match self.are_new {
            true => {
                let listed_at = sources.provider.facts().listed_at(seen);
                answer.spawn(make(store, listed, listed_at, asked_about).in_current_span())
            }
            false => answer.spawn(compare(store, listed, seen).in_current_span()),
        };
        Asked { answer }
    }
}

/// A page that Postgres was asked about. If it is dropped, the question is withdrawn.
pub(crate) struct Asked {
    answer: JoinSet<Result<Answered, StoreError>>,
}

/// The answer about a page.
pub(crate) struct Answered {
    pub(crate) listed: Listed,
    /// The database's clock.
    pub(crate) clock: At,
    pub(crate) answer: Answer,
    /// The connection that has answered, and so has nothing to do.
    pub(crate) store: ProjectStore,
}

pub(crate) enum Answer {
    /// The users that differ from their rows, by their places on the page.
    Differ(Vec<(usize, Difference)>),
    /// The users whose rows were made. The others have to be compared.
    Made(HashSet<UserId>),
}

impl Asked {
    pub(crate) async fn answered(mut self) -> Result<Answered, StoreError> {
        match self.answer.join_next().await {
            Some(Ok(answered)) => answered,
            Some(Err(error)) => resume_unwind(error.into_panic()),
            None => Err(StoreError::Garbled),
        }
    }
}

/// Makes the rows of a page without a look at whether there are some. A batch that has a
/// user with a row is refused, and compared in its turn. `others`: users whom the page
/// before makes.
async fn make(
    store: ProjectStore,
    listed: Listed,
    listed_at: At,
    others: HashSet<UserId>,
) -> Result<Answered, StoreError> {
    let new: Vec<_> = listed
        .users()
        .filter(|(profile, digest)| digest.is_some() && !others.contains(&profile.id))
        .map(|(profile, _)| (profile, profile.version.unwrap_or(listed_at)))
        .collect();
    let clock = store.now().await?;
    let made = create_all(&store, &new).await?;
    Ok(Answered {
        listed,
        clock,
        answer: Answer::Made(made),
        store,
    })
}

async fn compare(store: ProjectStore, listed: Listed, seen: At) -> Result<Answered, StoreError> {
    let clock = store.now().await?;
    let differences = listed.compare(&store, seen).await?;
    Ok(Answered {
        listed,
        clock,
        answer: Answer::Differ(differences),
        store,
    })
}
