//! Personal data that the table is not to keep: places in profiles that the secret
//! redacts, and users who were deleted long ago.
//!
//! Invariant: neither is taken for a change at the provider.

use std::borrow::Cow;

use shared::provider::Redaction;
use shared::store::{Redacted, Store, StoreError, Unread};
use tokio::time::Instant;

use crate::run::Run;
use crate::stopped::Stopped;

/// Rows, and rejections, of one statement.
const BATCH: i64 = 200;
const BATCH_OF_REJECTIONS: i64 = 20;

impl Run<'_> {
    /// Takes out of rows and rejections what the secret redacts: what was stored
    /// before it did, and what an instance of `webhook` has stored that knows an
    /// older secret. No listing shows tombstones, so it is looked for in the table.
    /// Half of the time is the walk's.
    pub(crate) async fn redact(&mut self) -> Result<(), Stopped> {
        let Some(redaction) = self.sources.provider.redaction() else {
            return Ok(());
        };
        if self.dry_run {
            return Ok(());
        }
        let begun = Instant::now();
        let until = begun + self.until.saturating_duration_since(begun) / 2;
        self.redact_rows(redaction, until).await?;
        self.redact_rejections(redaction, until).await
    }

    async fn redact_rows(&mut self, redaction: &Redaction, until: Instant) -> Result<(), Stopped> {
        let (mut last, mut count): (Option<String>, usize) = (None, 0);
        while Instant::now() < until {
            let places = redaction.pointers();
            let rows = self
                .store
                .unredacted(places, last.as_deref(), BATCH)
                .await?;
            let Some(end) = rows.last() else {
                break;
            };
            last = Some(end.id.clone());
            let provider = self.sources.provider;
            let left = rows.iter().filter_map(|row| {
                let Cow::Owned(raw_json) = places.without(&row.raw_json) else {
                    return None;
                };
                let profile = provider.profile(&raw_json).ok();
                let profile = profile.filter(|profile| profile.id.as_str() == row.id);
                Some(Redacted {
                    row,
                    raw_json,
                    profile,
                })
            });
            count += self.write_redacted(&left.collect::<Vec<_>>()).await?;
        }
        if count > 0 {
            tracing::info!(count, "took out of rows what the secret redacts");
        }
        Ok(())
    }

    /// Writes rows, one by one where the table refuses one of them.
    async fn write_redacted(&mut self, rows: &[Redacted<'_>]) -> Result<usize, Stopped> {
        if rows.is_empty() {
            return Ok(0);
        }
        let written = match self.store.redact(rows).await {
            Ok(written) => written,
            Err(error) if error.may_be_of_a_row() => self.redact_one_by_one(rows).await?,
            Err(error) => return Err(error.into()),
        };
        let living = written.iter().filter(|(_, deleted)| !deleted);
        for (id, _) in living {
            self.tally.redacted.insert(id);
        }
        Ok(written.len())
    }

    async fn redact_one_by_one(
        &self,
        rows: &[Redacted<'_>],
    ) -> Result<Vec<(String, bool)>, StoreError> {
        let mut written = Vec::new();
        for row in rows {
            match self.store.redact(std::slice::from_ref(row)).await {
                Ok(one) => written.extend(one),
                Err(error) if error.may_be_of_a_row() => tracing::error!(
                    reason = %error,
                    "a row holds what the secret redacts, and the table does not let it be taken \
                     out: see its triggers and constraints"
                ),
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    async fn redact_rejections(
        &self,
        redaction: &Redaction,
        until: Instant,
    ) -> Result<(), Stopped> {
        let (name, mut last) = (redaction.name(), 0);
        while Instant::now() < until {
            let page = self
                .store
                .unredacted_rejections(&name, last, BATCH_OF_REJECTIONS);
            let page = page.await?;
            let Some(end) = page.last() else {
                break;
            };
            last = end.id;
            let left = page.into_iter().map(|kept| {
                let left = self.left_of(redaction, &kept);
                (kept, left)
            });
            let left: Vec<_> = left.collect();
            self.store.redact_rejections(&name, &left).await?;
        }
        Ok(())
    }

    /// The rest of a rejection's body, if something was taken out.
    fn left_of(&self, redaction: &Redaction, kept: &Unread) -> Option<Vec<u8>> {
        if kept.body.is_empty() {
            return None;
        }
        if kept.delivered {
            let left = self.sources.provider.redacted(&kept.body);
            return (*left != *kept.body).then(|| left.into_owned());
        }
        match std::str::from_utf8(&kept.body).map(|body| redaction.listed(body)) {
            Ok(Cow::Borrowed(_)) => None,
            Ok(Cow::Owned(left)) => Some(left.into_bytes()),
            // Whatever a listing gave was text.
            Err(_) => Some(Vec::new()),
        }
    }
}

/// Erases users who were deleted more than so many days ago, if ever, as far as the
/// time suffices.
pub(crate) async fn erase_old(
    store: &Store,
    days: Option<i32>,
    until: Instant,
) -> Result<(), Stopped> {
    let Some(days) = days else {
        return Ok(());
    };
    let mut count = 0;
    while Instant::now() < until {
        let batch = store.erase_older_than(days).await?;
        count += batch.erased;
        if batch.erased > 0 {
            continue;
        }
        if batch.refused > 0 {
            tracing::error!(
                count = batch.refused,
                "users who were deleted longer ago than ERASE_AFTER_DAYS are not erased, \
                     because the table refuses it: see its triggers and rules, and try one of them \
                     with erase_user"
            );
        }
        break;
    }
    if count > 0 {
        tracing::info!(count, days, "erased users who were deleted long ago");
    }
    Ok(())
}
