//! The walk over every user: while Postgres has two pages, the users of the next one are
//! read; and as soon as it has answered about one, the page after that is fetched.

use std::collections::VecDeque;
use std::time::Duration;

use shared::client::Unanswered;
use shared::exchange::AnswerError;
use shared::listing::{Complete, Ending, Listing, Page};
use shared::settle::Sources;
use shared::time::At;
use tokio::sync::SetOnce;
use tokio::time::Instant;
use tokio::try_join;

use crate::ahead::{Ahead, Asked, Lanes};
use crate::fetch::fetch;
use crate::listed::Listed;
use crate::run::Run;
use crate::settling::LOT;
use crate::stopped::Stopped;
use crate::tally::Tally;

/// The time that settling takes beyond the provider's staleness.
const SETTLING: Duration = Duration::from_secs(2);

/// A listing under way.
pub(crate) struct Walk {
    /// Until when pages are fetched: this very run has to settle the users that
    /// are in doubt, because a later one goes on after them.
    listed_until: Instant,
    listing: Box<dyn Listing>,
    /// The place where this run began.
    began_at: String,
    /// Whether that is where an earlier one left off.
    goes_on: bool,
    /// The place where the next run would go on: before everything that isn't
    /// applied yet.
    position: String,
    /// Whether that is no place to go on from.
    spent: bool,
    /// The place of the page that has the first user in doubt.
    doubted: Option<String>,
}

impl Walk {
    pub(crate) fn new(sources: Sources<'_>, position: Option<&str>, until: Instant) -> Self {
        let listing = sources.provider.listing(position);
        let left = until.saturating_duration_since(Instant::now());
        let settling = sources.provider.facts().staleness + SETTLING;
        Self {
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

    /// Whether a run that failed leaves no place to go on from. A failure that
    /// passes (a provider or a Postgres that is away for a while, a rate limit)
    /// must not take a long walk back to its start.
    pub(crate) fn is_spent(&self) -> bool {
        self.spent
    }

    /// The place where the next run goes on: it reads the users again that were not
    /// settled in time.
    pub(crate) fn position(&self) -> &str {
        self.doubted.as_ref().unwrap_or(&self.position)
    }

    /// Walks from here to the last page. `now`: the database's clock.
    pub(crate) async fn reach_the_end(
        &mut self,
        run: &mut Run<'_>,
        now: At,
    ) -> Result<Complete, Stopped> {
        let ended = self.list(run, now).await;
        if let Ok(_) | Err(Stopped::OutOfTime(_)) = &ended {
            self.settle(run).await?;
        }
        run.tally.fail_if_all_are_refused()?;
        let complete = ended?.complete(&run.tally.met);
        complete.map_err(|too_few| {
            self.spend();
            Stopped::Failed(too_few.to_string())
        })
    }

    /// Goes through the pages. No more than three of them are in memory: a page is fetched
    /// in the place of one that Postgres has answered about.
    async fn list(&mut self, run: &mut Run<'_>, now: At) -> Result<Ending, Stopped> {
        let (sources, until) = (run.sources, self.listed_until);
        let first = self.first_page(run).await?;
        let mut end = None;
        // A page's state is not older than a time that was known before it was
        // asked for: the clock of the answer before.
        let mut known = now;
        let mut fetched = Some(self.placed(first, known, &mut end));
        let mut lanes = Lanes::of(run);
        let mut asked = VecDeque::new();
        while fetched.is_some() || !asked.is_empty() {
            let goes_on = end.is_none();
            // The oldest page is due once each connection has one, or no more are to come.
            let is_due = asked.len() == Lanes::COUNT || fetched.is_none();
            let due = is_due.then(|| asked.pop_front()).flatten();
            let (answered, ahead) = (SetOnce::new(), SetOnce::new());
            let left_out = run.tally.unlisted.fields();
            let (after, ask_next, next) = try_join!(
                apply(run, due, known, (&answered, &ahead)),
                ask(sources, &mut lanes, fetched.take(), left_out, &ahead),
                fetch_next(
                    sources,
                    goes_on.then_some(self.listing.as_mut()),
                    until,
                    &answered
                ),
            )?;
            known = answered.get().copied().unwrap_or(known);
            asked.extend(ask_next);
            fetched = match next {
                Some(Ok(page)) => Some(self.placed(page, known, &mut end)),
                Some(Err(error)) => {
                    end = Some(End::BrokenOff(error));
                    None
                }
                None => None,
            };
            if let Some(after) = after {
                self.note_doubt(run.tally);
                self.position = after.unwrap_or_else(|| std::mem::take(&mut self.position));
            }
            if run.tally.doubtful.len() >= LOT {
                self.settle(run).await?;
            }
            if end.is_none() && Instant::now() >= until {
                end = Some(End::OutOfTime);
            }
        }
        match end {
            Some(End::Reached(ending)) => Ok(ending),
            Some(End::BrokenOff(error)) => Err(self.broken_off(error)),
            Some(End::OutOfTime) | None => Err(Stopped::OutOfTime(None)),
        }
    }

    /// A page that was just fetched, at its place in the walk; notes if it is the last.
    fn placed(&self, page: Page, seen: At, end: &mut Option<End>) -> Placed<Page> {
        *end = Ending::after(&page).map(End::Reached);
        Placed {
            after: end.is_none().then(|| self.listing.position()),
            seen,
            page,
        }
    }

    /// A place may be of no use any more (the provider has forgotten its cursor,
    /// or pages otherwise since): then the walk begins anew there and then. If
    /// the listing's start is not answered either, the place is not to blame.
    async fn first_page(&mut self, run: &mut Run<'_>) -> Result<Page, Stopped> {
        let (sources, until) = (run.sources, self.listed_until);
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
                run.tally.begin_anew();
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

    async fn settle(&mut self, run: &mut Run<'_>) -> Result<(), Stopped> {
        // Users that were listed and are gone since are left to the sweep.
        let _gone = run.settle().await?;
        self.doubted = None;
        Ok(())
    }
}

/// A page at its place in the walk.
struct Placed<T> {
    page: T,
    /// A moment before it was asked for.
    seen: At,
    /// The place after it; `None`: it is the last one.
    after: Option<String>,
}

/// Why no more pages are fetched.
enum End {
    Reached(Ending),
    BrokenOff(Unanswered),
    OutOfTime,
}

/// Fetches the next page as soon as `answered` is set, because then there is room for it.
async fn fetch_next(
    sources: Sources<'_>,
    listing: Option<&mut (dyn Listing + 'static)>,
    until: Instant,
    answered: &SetOnce<At>,
) -> Result<Option<Result<Page, Unanswered>>, Stopped> {
    let Some(listing) = listing else {
        return Ok(None);
    };
    answered.wait().await;
    Ok(Some(fetch(sources, listing, until).await))
}

/// Reads a page, and asks Postgres about it as soon as it is known in which way.
async fn ask(
    sources: Sources<'_>,
    lanes: &mut Lanes,
    fetched: Option<Placed<Page>>,
    left_out: Vec<String>,
    ahead: &SetOnce<Ahead>,
) -> Result<Option<Placed<Asked>>, Stopped> {
    let Some(Placed { page, seen, after }) = fetched else {
        return Ok(None);
    };
    let listed = Listed::read(sources.provider, page, left_out).await;
    let page = ahead.wait().await.ask(sources, lanes, listed, seen).await;
    Ok(Some(Placed { page, seen, after }))
}

/// Applies a page, and gives the place after it. Sets `answered`, to the database's clock,
/// once Postgres has answered, and `ahead` once the page is applied.
async fn apply(
    run: &mut Run<'_>,
    due: Option<Placed<Asked>>,
    known: At,
    (answered, ahead): (&SetOnce<At>, &SetOnce<Ahead>),
) -> Result<Option<Option<String>>, Stopped> {
    let after = match due {
        Some(Placed { page, seen, after }) => {
            run.tally.figures.pages += 1;
            let page = page.answered().await?;
            let _ = answered.set(page.clock);
            run.apply_page(page, seen).await?;
            Some(after)
        }
        None => {
            let _ = answered.set(known);
            None
        }
    };
    let _ = ahead.set(Ahead::of(run));
    Ok(after)
}
