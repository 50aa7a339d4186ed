//! Writes of many users at once. A batch that is refused is halved until the
//! refused users are alone, so that one of them does not stop the others.

use std::collections::HashSet;

use shared::profile::{Profile, UserId};
use shared::store::{Authority, Difference, Look, Origin, Outcome, ProjectStore, StoreError};
use shared::time::At;

use crate::run::Run;
use crate::stopped::Stopped;

/// Rows and bytes of one statement.
const BATCH: (usize, usize) = (350, 4 << 20);

/// The parts of a batch that are left to write, and the rows that were refused
/// alone.
struct Halves<'a, T> {
    left: Vec<&'a [T]>,
    refused: Vec<(&'a T, StoreError)>,
}

impl<'a, T> Halves<'a, T> {
    fn of(batch: &'a [T]) -> Self {
        Self {
            left: vec![batch],
            refused: Vec::new(),
        }
    }

    /// The part to write next.
    fn next(&mut self) -> Option<&'a [T]> {
        self.left.pop()
    }

    /// Halves what was refused; fails if that was not because of a row.
    fn refuse(&mut self, batch: &'a [T], error: StoreError) -> Result<(), StoreError> {
        if !error.may_be_of_a_row() {
            return Err(error);
        }
        match batch {
            [alone] => self.refused.push((alone, error)),
            _ => {
                let (first, second) = batch.split_at(batch.len() / 2);
                self.left.extend([second, first]);
            }
        }
        Ok(())
    }
}

impl Run<'_> {
    /// Makes rows of users who have none; gives those whom the join has to take in.
    pub(crate) async fn create<'b>(
        &mut self,
        profiles: &[(&'b Profile, At)],
    ) -> Result<Vec<(&'b Profile, At)>, Stopped> {
        let created = create_all(&self.store, profiles).await?;
        for _ in &created {
            self.tally.count(Outcome::Created);
        }
        self.tally.taken |= !created.is_empty();
        let left_out = profiles
            .iter()
            .filter(|(profile, _)| !created.contains(&profile.id));
        Ok(left_out.copied().collect())
    }

    /// Joins a batch and counts what came of it; gives the users that the table
    /// refused.
    pub(crate) async fn join<'b>(
        &mut self,
        batch: &[(&'b Profile, At)],
        origin: Origin,
    ) -> Result<Vec<(&'b Profile, StoreError)>, Stopped> {
        let mut halves = Halves::of(batch);
        while let Some(batch) = halves.next() {
            match self.store.join(batch, origin).await {
                Ok(outcomes) => {
                    for (id, outcome) in outcomes {
                        match (outcome, origin) {
                            (Outcome::Tied, _) | (Outcome::Stale, Origin::Listing) => {
                                self.tally.doubt(&id, Difference::Doubtful);
                            }
                            (outcome, _) => self.tally.count(outcome),
                        }
                    }
                }
                Err(error) => halves.refuse(batch, error)?,
            }
        }
        let refused = halves.refused.into_iter();
        Ok(refused
            .map(|((profile, _), error)| (*profile, error))
            .collect())
    }

    /// Tombstones users that the provider did not have, and counts them.
    pub(crate) async fn tombstone(&mut self, gone: &[Look]) -> Result<(), Stopped> {
        let mut count = 0;
        let mut halves = Halves::of(gone);
        while let Some(batch) = halves.next() {
            let authority = Authority::Run(self.lease);
            match self
                .sources
                .settle_gone(&self.store, batch, authority)
                .await
            {
                Ok(gone) => {
                    count += i64::try_from(gone.written.len()).unwrap_or(i64::MAX);
                    self.reject_dropped(gone.dropped).await?;
                }
                Err(error) => halves.refuse(batch, error)?,
            }
            for (look, error) in std::mem::take(&mut halves.refused) {
                self.reject_refused(&look.id, None, error).await?;
            }
        }
        self.tally.figures.deleted += count;
        Ok(())
    }
}

/// Makes rows of users who have none, and gives the users whose rows it has made. A batch
/// is left out as a whole if one of its users has a row by now, or is refused.
pub(crate) async fn create_all(
    store: &ProjectStore,
    profiles: &[(&Profile, At)],
) -> Result<HashSet<UserId>, StoreError> {
    let mut created = HashSet::new();
    for batch in batches(profiles) {
        match store.create(batch).await {
            Ok(ids) => created.extend(ids),
            Err(error) if error.may_be_of_a_row() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(created)
}

/// The profiles of one statement after the other.
pub(crate) fn batches<'a>(
    profiles: &'a [(&'a Profile, At)],
) -> impl Iterator<Item = &'a [(&'a Profile, At)]> {
    let mut rest = profiles;
    std::iter::from_fn(move || {
        let (batch, after) = rest.split_at(batch_length(rest));
        rest = after;
        (!batch.is_empty()).then_some(batch)
    })
}

fn batch_length(profiles: &[(&Profile, At)]) -> usize {
    let (most_rows, most_bytes) = BATCH;
    let mut bytes = 0;
    let fit = profiles.iter().take(most_rows).take_while(|(profile, _)| {
        bytes += profile.raw_json.len();
        bytes <= most_bytes
    });
    fit.count().max(1).min(profiles.len())
}
