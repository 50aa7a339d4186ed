//! The walk over every user: a page is compared and applied while the next one
//! is fetched.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use shared::client::{Effort, Unanswered};
use shared::exchange::AnswerError;
use shared::listing::{Complete, Ending, Listing, Page, Rejected, broken};
use shared::profile::{Profile, UserId};
use shared::settle::{Read, Reread, Sources};
use shared::store::{DROPPED, Difference, Look, Outcome, StoreError};
use shared::time::At;
use tokio::time::Instant;

use crate::lease;
use crate::stopped::Stopped;
use crate::tally::Tally;

/// Bytes that a page may have.
const LARGEST_PAGE: usize = 32 << 20;

/// Bytes that one user may have.
const LARGEST_USER: usize = 8 << 20;

/// Answers that are whole, and no page.
const MOST_ODD: u32 = 3;

/// Rows and bytes of one statement.
const BATCH: (usize, usize) = (500, 4 << 20);

/// Doubtful users that are settled together: each lot waits out the
/// provider's staleness once.
const LOT: usize = 500;

/// Users whom the provider may fail to show before it counts as broken.
const MOST_UNANSWERED: usize = 3;

/// Users that are refused before a run in which no other was listed gives up.
const ENOUGH: i64 = 500;

/// What settling takes beyond the provider's staleness.
const SETTLING: Duration = Duration::from_secs(2);

/// A listing under way.
pub(crate) struct Walk<'a> {
    pub(crate) sources: Sources<'a>,
    pub(crate) until: Instant,
    /// Until when pages are fetched: who is in doubt has to be settled by this
    /// very run, because a later one goes on behind them.
    listed_until: Instant,
    listing: Box<dyn Listing>,
    /// Where this run began.
    began_at: String,
    /// Whether that is where an earlier one left off.
    goes_on: bool,
    /// Where the next run would go on: before what isn't applied yet.
    position: String,
    /// Whether that is no place to go on from.
    spent: bool,
    /// Where the page is that has the first of those who are in doubt.
    doubted: Option<String>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(sources: Sources<'a>, position: Option<&str>, until: Instant) -> Self {
        let listing = sources.provider.listing(position);
        let left = until.saturating_duration_since(Instant::now());
        let settling = sources.provider.facts().staleness + SETTLING;
        Self {
            sources,
            until,
            listed_until: until - settling.min(left / 2),
            began_at: listing.position(),
            goes_on: position.is_some(),
            position: listing.position(),
            spent: false,
            listing,
            doubted: None,
        }
    }

    /// The next run begins anew: this walk has come to an end that it would
    /// come to again.
    pub(crate) fn spend(&mut self) {
        self.spent = true;
    }

    /// Whether a run that failed leaves a place to go on from: whatever passes
    /// (a provider or a Postgres that is away for a while, a rate limit) must
    /// not take a long walk back to its start.
    pub(crate) fn is_spent(&self) -> bool {
        self.spent
    }

    /// Who was not settled in time is read again by the next run.
    pub(crate) fn position(&self) -> &str {
        self.doubted.as_ref().unwrap_or(&self.position)
    }

    /// Walks from here to the last page. `now`: the database's clock.
    pub(crate) async fn reach_the_end(
        &mut self,
        tally: &mut Tally,
        now: At,
    ) -> Result<Complete, Stopped> {
        let ended = self.list(tally, now).await;
        if let Ok(_) | Err(Stopped::OutOfTime(_)) = &ended {
            self.settle(tally).await?;
        }
        tally.fail_if_all_are_refused()?;
        let complete = ended?.complete(&tally.met);
        complete.map_err(|short| {
            self.spend();
            Stopped::Failed(short.to_string())
        })
    }

    async fn list(&mut self, tally: &mut Tally, now: At) -> Result<Ending, Stopped> {
        let (sources, until) = (self.sources, self.listed_until);
        // A page's state is not older than a time that was known before it was
        // asked for. The clock is read while the page before is applied.
        let (mut seen, mut known) = (now, now);
        let mut page = self.first_page(tally).await?;
        loop {
            tally.figures.pages += 1;
            if let Some(ending) = Ending::after(&page) {
                apply(sources, tally, page, seen).await?;
                self.note_doubt(tally);
                return Ok(ending);
            }
            let position = self.listing.position();
            let (applied, next) = tokio::join!(
                apply(sources, tally, page, seen),
                fetch(sources, self.listing.as_mut(), until),
            );
            (seen, known) = (known, applied?);
            self.note_doubt(tally);
            self.position = position;
            if tally.doubtful.len() >= LOT {
                self.settle(tally).await?;
            }
            if Instant::now() >= until {
                return Err(Stopped::OutOfTime(None));
            }
            page = next.map_err(|error| self.broken_off(error))?;
        }
    }

    /// A place may be of no use any more (the provider has forgotten its cursor,
    /// or pages otherwise since): then the walk begins anew there and then. If
    /// the listing's start is not answered either, the place is not to blame.
    async fn first_page(&mut self, tally: &mut Tally) -> Result<Page, Stopped> {
        let (sources, until) = (self.sources, self.listed_until);
        let error = match fetch(sources, self.listing.as_mut(), until).await {
            Ok(page) => return Ok(page),
            Err(error) => error,
        };
        if self.goes_on && matches!(error, Unanswered::Misread(_)) {
            let mut listing = sources.provider.listing(None);
            let position = listing.position();
            if let Ok(page) = fetch(sources, listing.as_mut(), until).await {
                tracing::warn!("the provider has no use for the walk's place: it begins anew");
                (self.listing, self.position) = (listing, position);
                tally.begin_anew();
                return Ok(page);
            }
        }
        Err(Stopped::by(error, until))
    }

    /// A run that got no further than where it began, because of what the
    /// provider answered there, would be followed by one like it for ever; and
    /// where paging has changed, a place means nothing any more.
    fn broken_off(&mut self, error: Unanswered) -> Stopped {
        let paging = matches!(error, Unanswered::Misread(AnswerError::Paging(_)));
        let misread = matches!(error, Unanswered::Misread(_));
        if paging || misread && self.position == self.began_at {
            self.spend();
        }
        Stopped::by(error, self.listed_until)
    }

    fn note_doubt(&mut self, tally: &Tally) {
        if !tally.doubtful.is_empty() && self.doubted.is_none() {
            self.doubted = Some(self.position.clone());
        }
    }

    async fn settle(&mut self, tally: &mut Tally) -> Result<(), Stopped> {
        // Listed, and gone since: the sweep's.
        let _gone = settle(self.sources, tally, self.until).await?;
        self.doubted = None;
        Ok(())
    }
}

async fn fetch(
    sources: Sources<'_>,
    listing: &mut dyn Listing,
    until: Instant,
) -> Result<Page, Unanswered> {
    let (mut limited, mut odd) = (false, 0);
    loop {
        // What takes too long doesn't get quicker by being asked for again.
        let narrows = listing.can_narrow() && !limited;
        let effort = Effort {
            until,
            attempts: if narrows { 2 } else { 10 },
            attempt: Duration::from_secs(60),
            size: LARGEST_PAGE,
        };
        let request = listing.request();
        let asked = sources
            .client
            .ask(sources.provider, &request, effort, |answer| {
                let read = listing.read(answer);
                // Not half an answer or a proxy's page: this doesn't pass.
                odd += u32::from(matches!(read, Err(AnswerError::Garbled(_))) && answer.is_whole());
                match read {
                    Err(AnswerError::Garbled(_)) if odd >= MOST_ODD => Err(broken(
                        &format!("{}'s", sources.provider.facts().name),
                        "is of a form that is not known",
                    )),
                    read => read,
                }
            })
            .await;
        match asked {
            Ok(page) => return Ok(page),
            Err(Unanswered::TooLarge(_)) if listing.shrink() => {}
            Err(Unanswered::Unreachable(_) | Unanswered::Trouble(_))
                if narrows && listing.narrow() => {}
            Err(error) if narrows && error.is_worth_asking_again() => limited = true,
            Err(error) => return Err(error),
        }
    }
}

/// Applies a page; gives the database's clock.
async fn apply(
    sources: Sources<'_>,
    tally: &mut Tally,
    page: Page,
    seen: At,
) -> Result<At, Stopped> {
    tally.keep();
    let clock = sources.store.now().await?;
    let mut twins = BTreeMap::new();
    for rejected in page.rejected {
        // Two users of a page may have the same bytes, if they have no id.
        let twin = twins.entry(rejected.name()).or_insert(0);
        *twin += 1;
        let name = format!("{twin} {}", rejected.name());
        reject_once(sources, tally, rejected, &name).await?;
    }
    let mut profiles = page.profiles;
    profiles.retain(|profile| tally.met.insert(profile.id.as_str()));
    let differences = compare(sources, tally, &profiles, seen, page.unloaded).await?;
    for _ in differences.len()..profiles.len() {
        tally.count(Outcome::Unchanged);
    }
    let mut newer = Vec::new();
    let listed_at = sources.provider.facts().listed_at(seen);
    for (place, difference) in differences {
        let profile = &profiles[place];
        match difference {
            Difference::Tombstone | Difference::Doubtful | Difference::Unseen => {
                tally.unlisted.note(profile, page.unloaded);
                tally.doubt(&profile.id, difference);
            }
            Difference::Created if tally.dry_run => tally.count(Outcome::Created),
            Difference::Updated if tally.dry_run => tally.count(Outcome::Updated),
            Difference::Created | Difference::Updated => {
                newer.push((profile, profile.version.unwrap_or(listed_at)));
            }
        }
    }
    let mut rest = newer.as_slice();
    while !rest.is_empty() {
        let (batch, after) = rest.split_at(batch_length(rest));
        join(sources, tally, batch).await?;
        rest = after;
    }
    tally.keep();
    Ok(clock)
}

/// Who differs from their row in more than what is left out, and a few of those
/// who differ in that alone.
async fn compare(
    sources: Sources<'_>,
    tally: &mut Tally,
    profiles: &[Profile],
    seen: At,
    unloaded: &[&str],
) -> Result<Vec<(usize, Difference)>, Stopped> {
    let learnt = tally.unlisted.fields();
    let left_out: Vec<&str> = unloaded
        .iter()
        .copied()
        .chain(learnt.iter().map(String::as_str))
        .collect();
    let store = sources.store;
    let mut differences = store.compare(profiles, seen, &left_out).await?;
    if tally.unlisted.is_to_be_sampled() {
        let whole = store.compare(profiles, seen, unloaded).await?;
        let sample = tally.unlisted.sample(profiles, &differences, &whole);
        differences.extend(sample);
    }
    Ok(differences)
}

fn batch_length(profiles: &[(&Profile, At)]) -> usize {
    let (most_rows, most_bytes) = BATCH;
    let mut bytes = 0;
    let fit = profiles.iter().take(most_rows).take_while(|(profile, _)| {
        bytes += profile.raw_json.len();
        bytes <= most_bytes
    });
    fit.count().max(1)
}

/// Joins a batch; one that is refused is halved until those that are refused
/// are alone, and these are rejected.
async fn join(
    sources: Sources<'_>,
    tally: &mut Tally,
    batch: &[(&Profile, At)],
) -> Result<(), Stopped> {
    let mut refused = Vec::new();
    let mut batches = vec![batch];
    while let Some(batch) = batches.pop() {
        match sources.store.join(batch, false).await {
            Ok(outcomes) => {
                tally.taken = true;
                for (id, outcome) in outcomes {
                    match outcome {
                        Outcome::Stale | Outcome::Tied => tally.doubt(&id, Difference::Doubtful),
                        outcome => tally.count(outcome),
                    }
                }
            }
            Err(error) if error.may_be_of_a_row() => match batch {
                [(profile, _)] => refused.push((*profile, error)),
                _ => {
                    let (first, second) = batch.split_at(batch.len() / 2);
                    batches.extend([second, first]);
                }
            },
            Err(error) => return Err(error.into()),
        }
    }
    for (profile, error) in refused {
        reject_refused(sources, tally, &profile.id, Some(profile), error).await?;
    }
    Ok(())
}

/// Keeps a user whose row is refused. What may as well be refused of every row
/// is the statement's fault until the table has taken another row.
async fn reject_refused(
    sources: Sources<'_>,
    tally: &mut Tally,
    id: &UserId,
    profile: Option<&Profile>,
    error: StoreError,
) -> Result<(), Stopped> {
    if !(matches!(error, StoreError::Unstorable(_)) || error.may_be_of_a_row() && tally.taken) {
        return Err(error.into());
    }
    let mut rejected = unread(id, error.to_string());
    if let Some(profile) = profile {
        rejected.body.clone_from(&profile.raw_json);
    }
    reject(sources, tally, rejected).await?;
    tally.refused = Some(error.to_string());
    let figures = tally.figures;
    if figures.rejected == figures.listed && figures.rejected >= ENOUGH {
        return tally.fail_if_all_are_refused();
    }
    Ok(())
}

/// Tombstones users whom the provider did not have; gives how many. Whose row
/// is refused is kept as who can't be stored: one of them must not stop the others.
pub(crate) async fn tombstone(
    sources: Sources<'_>,
    tally: &mut Tally,
    gone: &Gone,
) -> Result<i64, Stopped> {
    let run = Some(tally.run);
    let mut count = 0;
    let mut batches = vec![gone.looks.as_slice()];
    while let Some(batch) = batches.pop() {
        match sources.settle_gone(batch, gone.looked_at, run).await {
            Ok(gone) => {
                count += i64::try_from(gone.written.len()).unwrap_or(i64::MAX);
                reject_dropped(sources, tally, gone.dropped).await?;
            }
            Err(error) if error.may_be_of_a_row() => match batch {
                [look] => reject_refused(sources, tally, &look.id, None, error).await?,
                _ => {
                    let (first, second) = batch.split_at(batch.len() / 2);
                    batches.extend([second, first]);
                }
            },
            Err(error) => return Err(error.into()),
        }
    }
    Ok(count)
}

/// Keeps users whose rows were not written, though they have not changed: the
/// run has lost its lease, or the table drops the write.
async fn reject_dropped(
    sources: Sources<'_>,
    tally: &mut Tally,
    dropped: Vec<UserId>,
) -> Result<(), Stopped> {
    if dropped.is_empty() {
        return Ok(());
    }
    lease::renew(sources.store, tally.run).await?;
    for id in dropped {
        let error = StoreError::Unstorable(DROPPED.to_owned());
        reject_refused(sources, tally, &id, None, error).await?;
    }
    Ok(())
}

/// Keeps a user that can't be stored.
async fn reject(
    sources: Sources<'_>,
    tally: &mut Tally,
    rejected: Rejected,
) -> Result<(), Stopped> {
    let name = format!("1 {}", rejected.name());
    reject_once(sources, tally, rejected, &name).await
}

/// The same, unless the run has done so under this name.
async fn reject_once(
    sources: Sources<'_>,
    tally: &mut Tally,
    rejected: Rejected,
    name: &str,
) -> Result<(), Stopped> {
    let kept_as = match &rejected.id {
        Some(id) => {
            tally.met.insert(id.as_str());
            if !tally.rejected.insert(name) {
                return Ok(());
            }
            rejected.name()
        }
        None => {
            // Met, too: else a count of the provider's would lack them.
            if !tally.met.insert(name) {
                return Ok(());
            }
            // By the bytes they would be others each time that anything of them
            // changes, and kept without end.
            tally.counted.nameless += 1;
            format!("nobody {}", tally.counted.nameless)
        }
    };
    tally.counted.rejected += 1;
    tally.figures.listed += 1;
    tally.figures.rejected += 1;
    tracing::warn!(reason = rejected.reason, "a listed user can't be stored");
    if !tally.dry_run {
        let (body, id) = (rejected.body.as_bytes(), rejected.id.as_ref());
        sources
            .store
            .reject_listed(&kept_as, &rejected.reason, body, id)
            .await?;
    }
    Ok(())
}

/// Settles what a listing can't decide, by reads that are newer than the rows;
/// gives whom the provider does not have any more.
pub(crate) async fn settle(
    sources: Sources<'_>,
    tally: &mut Tally,
    until: Instant,
) -> Result<Vec<Gone>, Stopped> {
    let mut gone = Vec::new();
    if tally.dry_run {
        for (id, difference) in std::mem::take(&mut tally.doubtful) {
            tally.met.insert(id.as_str());
            tally.count(match difference {
                Difference::Tombstone => Outcome::Revived,
                Difference::Unseen => Outcome::Created,
                _ => Outcome::Updated,
            });
        }
    }
    while !tally.doubtful.is_empty() {
        let lot = tally.doubtful.iter().take(LOT);
        let ids: Vec<_> = lot.map(|(id, _)| id.clone()).collect();
        time_to_reread(sources, until)?;
        let (absent, ended) = reread(sources, tally, &ids, until).await?;
        tally.keep();
        if let Err(stopped) = ended {
            // The others stay in doubt, and the next run goes on from before them.
            let met = &tally.met;
            tally.doubtful.retain(|(id, _)| !met.contains(id.as_str()));
            return Err(stopped);
        }
        tally.doubtful.drain(..ids.len());
        gone.push(absent);
    }
    tally.unlisted.done();
    Ok(gone)
}

/// Users whom the provider, asked after a look at their rows, did not have.
pub(crate) struct Gone {
    pub(crate) looked_at: At,
    pub(crate) looks: Vec<Look>,
}

/// Reads users by id: who is there is taken in; gives who is gone, as far as
/// the time sufficed.
pub(crate) async fn reread(
    sources: Sources<'_>,
    tally: &mut Tally,
    ids: &[UserId],
    until: Instant,
) -> Result<(Gone, Result<(), Stopped>), Stopped> {
    let (looked_at, mut reads) = sources.reread(ids, by_id(until)).await?;
    let mut looks = Vec::new();
    while let Some(Reread { look, read }) = reads.next().await {
        let error = match read {
            Ok(read) => {
                tally.answered += 1;
                match read {
                    Read::NoSuchUser | Read::NoSuchId => looks.push(look),
                    Read::User(profile) => {
                        tally.found += 1;
                        take_in(sources, tally, &look, &profile, looked_at).await?;
                    }
                    Read::Unreadable(reason) => {
                        tally.found += 1;
                        reject(sources, tally, unread(&look.id, reason)).await?;
                    }
                }
                continue;
            }
            Err(error) => error,
        };
        let reason = error.to_string();
        match Stopped::by(error, until) {
            stopped if stopped.passes() => {
                return Ok((Gone { looked_at, looks }, Err(stopped)));
            }
            failed @ Stopped::Failed(_) if tally.unanswered.len() < MOST_UNANSWERED => {
                tally.met.insert(look.id.as_str());
                tally.unanswered.push((unread(&look.id, reason), failed));
            }
            stopped => return Err(stopped),
        }
    }
    Ok((Gone { looked_at, looks }, Ok(())))
}

/// Keeps users whom the provider failed to show, as what can't be stored; or
/// stops, if it showed nobody else either.
pub(crate) async fn keep_unanswered(
    sources: Sources<'_>,
    tally: &mut Tally,
) -> Result<(), Stopped> {
    // They stay unanswered then, so that the next run asks for them again.
    if tally.answered == 0
        && let Some((user, stopped)) = tally.unanswered.pop()
    {
        if let Some(id) = user.id {
            tally.met.remove(id.as_str());
        }
        return Err(stopped);
    }
    for (user, _) in std::mem::take(&mut tally.unanswered) {
        reject(sources, tally, user).await?;
    }
    tally.keep();
    Ok(())
}

/// Whether the provider's replicas can be waited for.
pub(crate) fn time_to_reread(sources: Sources<'_>, until: Instant) -> Result<(), Stopped> {
    if Instant::now() + sources.provider.facts().staleness < until {
        return Ok(());
    }
    Err(Stopped::OutOfTime(None))
}

/// Takes in a user who was read after a look at the row, and counts it.
async fn take_in(
    sources: Sources<'_>,
    tally: &mut Tally,
    look: &Look,
    profile: &Profile,
    looked_at: At,
) -> Result<(), Stopped> {
    if tally.dry_run {
        tally.count(Outcome::Unchanged);
        return Ok(());
    }
    tally.met.insert(look.id.as_str());
    let at = profile.version.unwrap_or(looked_at);
    match sources.settle_present(look, profile, at, true, false).await {
        // Stale: the read is older than the row, and the next run looks again.
        Ok(outcome) => {
            tally.taken = true;
            tally.unlisted.settled(profile, outcome);
            tally.count(outcome.unwrap_or(Outcome::Stale));
        }
        Err(error) => reject_refused(sources, tally, &look.id, Some(profile), error).await?,
    }
    Ok(())
}

fn unread(id: &UserId, reason: String) -> Rejected {
    Rejected {
        id: Some(id.clone()),
        reason,
        body: String::new(),
    }
}

/// Learns which project the key is for.
pub(crate) async fn identify(sources: Sources<'_>, until: Instant) -> Result<(), Stopped> {
    let identified = sources.identify(by_id(until)).await;
    identified.map_err(|error| match Stopped::by(error, until) {
        Stopped::OutOfTime(_) => Stopped::Failed(
            "the provider did not say in time which project the key is for: run reconcile again \
             later"
                .to_owned(),
        ),
        stopped => stopped,
    })
}

pub(crate) fn by_id(until: Instant) -> Effort {
    Effort {
        until,
        attempts: 10,
        attempt: Duration::from_secs(20),
        size: LARGEST_USER,
    }
}
