//! What Postgres is asked about a page while the run still takes in the answer about
//! the page before: Postgres always has a page to work on.
//!
//! Invariant: nothing is concluded from an answer before the page's turn. Until then,
//! the page before may have met the same users, or have taught the run fields that
//! are not to be compared.

use std::collections::HashSet;
use std::panic::resume_unwind;

use shared::listing::Page;
use shared::profile::UserId;
use shared::settle::Sources;
use shared::store::{Difference, ProjectStore, StoreError};
use shared::time::At;
use tokio::task::JoinSet;
use tokio::try_join;
use tracing::Instrument;

use crate::listed::Listed;
use crate::run::Run;
use crate::write::create_all;

/// The way in which Postgres is asked about pages.
pub(crate) struct Ahead {
    store: ProjectStore,
    /// Whether users are taken for new ones.
    are_new: bool,
    /// Fields that are not compared, besides those that the adapter names.
    left_out: Vec<String>,
}

impl Ahead {
    pub(crate) fn of(run: &Run<'_>) -> Self {
        Self {
            store: run.store.clone(),
            are_new: run.tally.all_were_new && !run.dry_run,
            left_out: run.tally.unlisted.fields(),
        }
    }

    /// Reads a page, and asks about it; `seen`: a moment before the page was asked for.
    pub(crate) async fn ask(self, sources: Sources<'_>, page: Page, seen: At) -> Asked {
        let provider = sources.provider;
        let listed = Listed::read(provider, page, self.left_out).await;
        let mut answer = JoinSet::new();
        match self.are_new {
            true => {
                let listed_at = provider.facts().listed_at(seen);
                answer.spawn(make(self.store, listed, listed_at).in_current_span())
            }
            false => answer.spawn(compare(self.store, listed, seen).in_current_span()),
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

/// Makes the rows of a page without a look at whether there are some.
async fn make(store: ProjectStore, listed: Listed, listed_at: At) -> Result<Answered, StoreError> {
    let new: Vec<_> = listed
        .users()
        .filter(|(_, digest)| digest.is_some())
        .map(|(profile, _)| (profile, profile.version.unwrap_or(listed_at)))
        .collect();
    // Sent one after the other, and answered so: that saves a round trip.
    let (clock, made) = try_join!(store.now(), create_all(&store, &new))?;
    Ok(Answered {
        listed,
        clock,
        answer: Answer::Made(made),
    })
}

async fn compare(store: ProjectStore, listed: Listed, seen: At) -> Result<Answered, StoreError> {
    let compared = listed.compare(&store, seen);
    let (clock, differences) = try_join!(store.now(), compared)?;
    Ok(Answered {
        listed,
        clock,
        answer: Answer::Differ(differences),
    })
}
