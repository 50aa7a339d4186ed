//! One run: its row in `runs`, its lease, and what lies between.

use std::time::Duration;

use shared::settle::Sources;
use shared::store::{Closing, Figures, Saved};
use shared::time::At;
use tokio::time::Instant;

use crate::lease::{LEASE, lost_lease};
use crate::report::{Report, RunOutcome};
use crate::request::{Mode, Request};
use crate::stopped::Stopped;
use crate::tally::Tally;
use crate::unlisted::Unlisted;
use crate::walk::{Walk, identify, keep_unanswered};
use crate::{drain, lease, sweep};

/// Of the time between `until` and the function's end, which is a quarter of
/// what there is before or this much, the most of what it may take to end: five
/// million users' hashes are 40 MB.
const MARGIN: Duration = Duration::from_secs(20);

/// What a run ends with.
struct Ended {
    outcome: Result<RunOutcome, Stopped>,
    figures: Figures,
    /// Where the next run goes on; `None`: the walk's place is not this run's.
    walk: Option<Saved>,
    /// Fields in which listing and reads differ, if that was learnt.
    unlisted: Option<Vec<String>>,
}

impl Ended {
    fn early(outcome: Result<RunOutcome, Stopped>) -> Self {
        Self {
            outcome,
            figures: Figures::default(),
            walk: None,
            unlisted: None,
        }
    }
}

/// `opened`: the run's row, where an earlier attempt of this invocation has
/// made it; an attempt that lost Postgres may still hold the lease under it.
pub(crate) async fn run(
    sources: Sources<'_>,
    request: &Request,
    until: Instant,
    opened: &mut Option<i64>,
) -> Result<Report, Stopped> {
    let begun = Instant::now();
    // A run leaves its row even if the provider can't be asked. One that drains
    // the record asks once there is something to apply.
    let identified = match request.mode {
        Mode::Listing => identify(sources, until).await,
        Mode::Events => Ok(()),
    };
    let (run, permitted) = sources.store.open_run(request.dry_run, *opened).await?;
    *opened = Some(run);
    let mut ended = match identified.and(permitted.map_err(Stopped::from)) {
        Ok(()) => with_lease(sources, request, until, run).await,
        Err(stopped) => Ended::early(Err(stopped)),
    };
    ended.figures.duration_ms = i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX);
    let error = ended.outcome.as_ref().err().map(ToString::to_string);
    let closing = Closing {
        outcome: ended
            .outcome
            .as_ref()
            .map_or("failed", |outcome| outcome.word()),
        error: error.as_deref(),
        figures: ended.figures,
        walk: ended.walk,
        unlisted: ended.unlisted.as_deref(),
    };
    let margin = (until.saturating_duration_since(begun) / 4).min(MARGIN);
    let by = until + margin * 3 / 4;
    let closed = sources.store.close_run(run, closing, by).await;
    let outcome = ended.outcome?;
    if !closed? {
        return Err(lost_lease());
    }
    Ok(Report {
        outcome,
        figures: ended.figures,
    })
}

async fn with_lease(sources: Sources<'_>, request: &Request, until: Instant, run: i64) -> Ended {
    let lease = match sources.store.take_lease(run, LEASE, request.dry_run).await {
        Ok(Some(taken)) => taken,
        Ok(None) => return Ended::early(Ok(RunOutcome::Busy)),
        Err(error) => return Ended::early(Err(error.into())),
    };
    if request.mode == Mode::Events {
        return with_record(sources, until, run, lease.now).await;
    }
    let (now, saved) = (lease.now, lease.saved);
    let mut tally = Tally::new(run, request.dry_run, &saved);
    tally.unlisted = Unlisted::new(lease.unlisted);
    let mut walk = Walk::new(sources, saved.position.as_deref(), until);
    let worked = tokio::select! {
        worked = work(&mut walk, &mut tally, request, now) => worked,
        lost = lease::keep(sources.store, run) => Err(lost),
    };
    let outcome = match worked {
        Err(stopped) if stopped.passes() => match keep_unanswered(sources, &mut tally).await {
            Ok(()) => out_of_time(&mut walk, &mut tally, saved.position.as_deref(), stopped),
            Err(stopped) => Err(stopped),
        },
        ended => ended,
    };
    let saved = match &outcome {
        Ok(RunOutcome::Partial) => tally.saved(walk.position()),
        Err(_) if !walk.is_spent() => tally.saved(walk.position()),
        _ => Saved::default(),
    };
    Ended {
        outcome,
        figures: tally.figures,
        walk: (!request.dry_run).then_some(saved),
        unlisted: tally.unlisted.learnt().filter(|_| !request.dry_run),
    }
}

/// The next run goes on, if it has a better chance than this one: else it would
/// come to the same end for ever, and nobody would notice.
fn out_of_time(
    walk: &mut Walk<'_>,
    tally: &mut Tally,
    began_at: Option<&str>,
    stopped: Stopped,
) -> Result<RunOutcome, Stopped> {
    tally.rejects_most()?;
    let figures = &mut tally.figures;
    let written = figures.created + figures.updated + figures.revived + figures.deleted;
    let got_on = began_at != Some(walk.position()) || written + tally.found > 0;
    if figures.pages > 0 && got_on {
        note(&stopped);
        return Ok(RunOutcome::Partial);
    }
    if let Some(missing) = tally.too_many_to_confirm {
        figures.held = missing;
        return Ok(RunOutcome::Held);
    }
    if let Stopped::Unserved(_) = stopped {
        return Err(stopped);
    }
    // Nothing was read: it is not the time that is short.
    if figures.pages == 0 {
        return Err(Stopped::Failed(no_page("listing", stopped)));
    }
    walk.spend();
    Err(Stopped::Failed(
        "the function's time is too short to get anywhere: give it a longer timeout (Lambda's \
         longest is 900 seconds), and see whether Postgres or the provider is slow. The next run \
         begins anew"
            .to_owned(),
    ))
}

/// What is said of a run to which the provider showed nothing.
fn no_page(of: &str, stopped: Stopped) -> String {
    match stopped {
        Stopped::OutOfTime(Some(trouble)) => trouble,
        _ => format!(
            "the provider's {of} gave no page in time: see whether its API is up, and whether the \
             function has time enough"
        ),
    }
}

/// A run that is not over says why it stopped, where that is not the time.
fn note(stopped: &Stopped) {
    if let Stopped::Unserved(why) = stopped {
        tracing::warn!(why, "stopped before the end");
    }
}

/// Drains the record of events instead of walking the listing, whose place
/// stays as it is.
async fn with_record(sources: Sources<'_>, until: Instant, run: i64, now: At) -> Ended {
    let mut tally = Tally::new(run, false, &Saved::default());
    let drained = tokio::select! {
        drained = drain::drain(sources, &mut tally, until, now) => drained,
        lost = lease::keep(sources.store, run) => Err(lost),
    };
    let outcome = match drained {
        Err(stopped @ Stopped::OutOfTime(_)) if tally.figures.pages == 0 => {
            Err(Stopped::Failed(no_page("record of events", stopped)))
        }
        Err(stopped) if stopped.passes() && tally.figures.pages > 0 => {
            note(&stopped);
            Ok(RunOutcome::Partial)
        }
        Err(stopped) => Err(stopped),
        Ok(()) => Ok(RunOutcome::Complete),
    };
    Ended {
        outcome,
        figures: tally.figures,
        walk: None,
        unlisted: None,
    }
}

async fn work(
    walk: &mut Walk<'_>,
    tally: &mut Tally,
    request: &Request,
    now: At,
) -> Result<RunOutcome, Stopped> {
    let complete = walk.reach_the_end(tally, now).await?;
    if let Err(stopped) = tally.rejected_most() {
        walk.spend();
        return Err(stopped);
    }
    let swept = sweep::sweep(walk, tally, &complete, request.max_deletes).await?;
    keep_unanswered(walk.sources, tally).await?;
    if swept == RunOutcome::Complete && !tally.dry_run {
        walk.sources.store.resolve_rejections(tally.run).await?;
    }
    Ok(swept)
}
