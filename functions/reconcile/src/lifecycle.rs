//! One run from its row in `runs` to its end: it takes the lease, works, and
//! gives the lease back.

use std::time::Duration;

use shared::metrics::{Metric, Metrics};
use shared::profile::UserId;
use shared::settle::Sources;
use shared::store::{
    Closed, Closing, Figures, Lease, LeftToNext, Project, ProjectStore, Retention, Saved, Taken,
};
use shared::time::At;
use tokio::time::Instant;

use crate::drain::drain;
use crate::lease::{self, LEASE, lost_lease};
use crate::missed;
use crate::privacy::erase_old;
use crate::prune::prune;
use crate::report::{Finding, Report, RunOutcome};
use crate::request::{Mode, Request};
use crate::run::{Run, identify};
use crate::stopped::Stopped;
use crate::tally::Tally;
use crate::unlisted::Unlisted;
use crate::walk::Walk;

/// The most that a run takes of the time between `until` and the function's end,
/// which is a quarter of what there is before, or this much if that is less: the
/// hashes of five million users are 40 MB to send.
const MARGIN: Duration = Duration::from_secs(20);

/// The source from which a run learns of users.
enum Source {
    /// The listing; with the store of the project that the key is for.
    Listing(ProjectStore),
    /// The record of events. The project is asked for once there is something to
    /// apply.
    Record,
}

/// The end of a run.
struct Ended {
    outcome: Result<RunOutcome, Stopped>,
    figures: Figures,
    /// The lease, if the run had it.
    lease: Option<Lease>,
    /// The place where the next run goes on; `None`: the walk's place is not this run's.
    walk: Option<Saved>,
    /// Fields in which listing and reads differ, if that was learnt.
    unlisted: Option<Vec<String>>,
    /// Of a dry run: what would change.
    findings: Vec<Finding>,
    /// Of a dry run that a person watches: the place where the next one goes on.
    looked: Option<Saved>,
}

impl Ended {
    fn without_lease(outcome: Result<RunOutcome, Stopped>) -> Self {
        Self {
            outcome,
            figures: Figures::default(),
            lease: None,
            walk: None,
            unlisted: None,
            findings: Vec::new(),
            looked: None,
        }
    }
}

/// Does one run. `opened`: the run's row, where an earlier attempt of this
/// invocation has made it; an attempt that lost Postgres may still hold the
/// lease under it. `erase`: after how many days tombstones are erased, if ever.
pub(crate) async fn run(
    sources: Sources<'_>,
    request: &Request,
    (retention, erase): (Retention, Option<i32>),
    metrics: &Metrics,
    until: Instant,
    opened: &mut Option<i64>,
) -> Result<Report, Stopped> {
    let begun = Instant::now();
    // A run leaves its row even if the provider can't be asked.
    let source = match request.mode {
        Mode::Listing => identify(sources, until).await.map(Source::Listing),
        Mode::Events => Ok(Source::Record),
    };
    let project = match &source {
        Ok(Source::Listing(store)) => Some(store.project().clone()),
        Ok(Source::Record) => Project::of_secret(sources.provider.facts()),
        Err(_) => None,
    };
    let opening = sources
        .store
        .open_run(request.dry_run, *opened, project.as_ref());
    let (id, permitted) = opening.await?;
    *opened = Some(id);
    let mut ended =
        match source.and_then(|source| permitted.map(|()| source).map_err(Stopped::from)) {
            Ok(source) => {
                take_lease_and_work(sources, source, request, retention, until, id, erase).await
            }
            Err(stopped) => Ended::without_lease(Err(stopped)),
        };
    ended.figures.duration_ms = i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX);
    let mut figures = ended.figures;
    let findings = std::mem::take(&mut ended.findings).into_boxed_slice();
    let left = ended.looked.take().map(Box::new);
    let margin = (until.saturating_duration_since(begun) / 4).min(MARGIN);
    let (outcome, closed) = close(sources, id, ended, retention, until + margin * 3 / 4).await?;
    figures.missed = closed.missed;
    metrics.write(&[
        (Metric::MissedWebhooks, closed.missed),
        (Metric::OpenRejections, closed.open_rejections),
    ]);
    missed::tell(sources, closed).await;
    let outcome = outcome?;
    Ok(Report {
        outcome,
        figures,
        findings,
        left,
    })
}

/// Ends the run's row, and gives the lease back.
async fn close(
    sources: Sources<'_>,
    id: i64,
    ended: Ended,
    retention: Retention,
    by: Instant,
) -> Result<(Result<RunOutcome, Stopped>, Closed), Stopped> {
    let error = ended.outcome.as_ref().err().map(ToString::to_string);
    let closing = Closing {
        outcome: ended
            .outcome
            .as_ref()
            .map_or("failed", |outcome| outcome.word()),
        error: error.as_deref(),
        figures: ended.figures,
        retention,
    };
    let left = LeftToNext {
        walk: ended.walk,
        unlisted: ended.unlisted.as_deref(),
    };
    let store = sources.store;
    let closed = match ended.lease {
        Some(lease) => store.give_lease_back(lease, closing, left, by).await,
        None => store.close_run(id, closing, by).await,
    };
    let closed = match closed {
        Ok(closed) => closed,
        // Why the run failed says more than that its row could not be ended.
        Err(error) => return Err(ended.outcome.err().unwrap_or_else(|| error.into())),
    };
    let outcome = match ended.outcome {
        Ok(_) if !closed.was_its_own => Err(lost_lease()),
        outcome => outcome,
    };
    Ok((outcome, closed))
}

async fn take_lease_and_work(
    sources: Sources<'_>,
    source: Source,
    request: &Request,
    retention: Retention,
    until: Instant,
    id: i64,
    erase: Option<i32>,
) -> Ended {
    let taken = sources.store.take_lease(id, LEASE, request.dry_run).await;
    let mut taken = match taken {
        Ok(Some(taken)) => taken,
        Ok(None) => return Ended::without_lease(Ok(RunOutcome::Busy)),
        Err(error) => return Ended::without_lease(Err(error.into())),
    };
    if !request.dry_run {
        prune(sources.store, retention, until).await;
    }
    if !retention.records() {
        taken.lease = taken.lease.unrecorded();
    }
    match source {
        Source::Listing(store) => match &request.named {
            Some(named) => work_on_named(sources, store, named, until, taken).await,
            None => work_on_listing(sources, store, request, until, taken, erase).await,
        },
        Source::Record => work_on_record(sources, until, taken, erase).await,
    }
}

async fn work_on_listing(
    sources: Sources<'_>,
    store: ProjectStore,
    request: &Request,
    until: Instant,
    taken: Taken,
    erase: Option<i32>,
) -> Ended {
    let Taken {
        lease, now, saved, ..
    } = taken;
    let saved = request.looked.as_ref().unwrap_or(&saved);
    let mut tally = Tally::new(saved);
    tally.unlisted = Unlisted::new(taken.unlisted);
    tally.expects_new = !taken.everybody_was_seen;
    let mut run = Run {
        sources,
        store: store.repairing(&lease),
        until,
        dry_run: request.dry_run,
        lease: &lease,
        tally: &mut tally,
    };
    let began_at = saved.position.as_deref();
    let mut walk = Walk::new(sources, began_at, until);
    let worked = tokio::select! {
        worked = async {
            let swept = work(&mut walk, &mut run, request, now).await?;
            let erase = erase.filter(|_| !request.dry_run);
            erase_old(sources.store, erase, until).await.map(|()| swept)
        } => worked,
        lost = lease::keep(sources.store, &lease) => Err(lost),
    };
    let outcome = match worked {
        Err(stopped) if stopped.passes() => match run.keep_unanswered().await {
            Ok(()) => out_of_time(&mut walk, run.tally, began_at, stopped),
            Err(stopped) => Err(stopped),
        },
        ended => ended,
    };
    let saved = match &outcome {
        Ok(RunOutcome::Partial) => tally.saved(walk.position()),
        Err(_) if !walk.is_spent() => tally.saved(walk.position()),
        _ => Saved::default(),
    };
    let (walk, looked) = match request.dry_run {
        true => (None, Some(saved)),
        false => (Some(saved), None),
    };
    Ended {
        outcome,
        figures: tally.figures,
        lease: Some(lease),
        walk,
        looked,
        unlisted: tally.unlisted.learnt().filter(|_| !request.dry_run),
        findings: tally.findings,
    }
}

/// Tombstones users whom a person has named. Not everybody was seen, so the run is
/// partial, and the walk's place stays as it is.
async fn work_on_named(
    sources: Sources<'_>,
    store: ProjectStore,
    named: &[UserId],
    until: Instant,
    taken: Taken,
) -> Ended {
    let lease = taken.lease;
    let mut tally = Tally::new(&Saved::default());
    let mut run = Run {
        sources,
        store: store.repairing(&lease),
        until,
        dry_run: false,
        lease: &lease,
        tally: &mut tally,
    };
    let worked = tokio::select! {
        worked = run.tombstone_named(named) => worked,
        lost = lease::keep(sources.store, &lease) => Err(lost),
    };
    let outcome = match worked {
        Err(stopped) if !stopped.passes() => Err(stopped),
        _ => Ok(RunOutcome::Partial),
    };
    Ended {
        outcome,
        figures: tally.figures,
        lease: Some(lease),
        walk: None,
        unlisted: None,
        findings: Vec::new(),
        looked: None,
    }
}

async fn work(
    walk: &mut Walk,
    run: &mut Run<'_>,
    request: &Request,
    now: At,
) -> Result<RunOutcome, Stopped> {
    run.redact().await?;
    let complete = walk.reach_the_end(run, now).await?;
    if let Err(stopped) = run.tally.rejected_most() {
        walk.spend();
        return Err(stopped);
    }
    let swept = run.sweep(&complete, request.max_deletes).await?;
    run.keep_unanswered().await?;
    if swept == RunOutcome::Complete && !run.dry_run {
        run.store.resolve_rejections(run.lease).await?;
    }
    Ok(swept)
}

/// The next run goes on, if it has a better chance than this one: else it would
/// come to the same end for ever, and nobody would notice.
fn out_of_time(
    walk: &mut Walk,
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

/// Drains the record of events instead of walking the listing, whose place
/// stays as it is.
async fn work_on_record(
    sources: Sources<'_>,
    until: Instant,
    taken: Taken,
    erase: Option<i32>,
) -> Ended {
    let Taken { lease, now, .. } = taken;
    let mut tally = Tally::new(&Saved::default());
    let drained = tokio::select! {
        drained = async {
            drain(sources, until, &lease, now, &mut tally).await?;
            erase_old(sources.store, erase, until).await
        } => drained,
        lost = lease::keep(sources.store, &lease) => Err(lost),
    };
    let figures = tally.figures;
    let outcome = match drained {
        Err(stopped @ Stopped::OutOfTime(_)) if figures.pages == 0 => {
            Err(Stopped::Failed(no_page("record of events", stopped)))
        }
        Err(stopped) if stopped.passes() && figures.pages > 0 => {
            note(&stopped);
            Ok(RunOutcome::Partial)
        }
        Err(stopped) => Err(stopped),
        Ok(()) => Ok(RunOutcome::Complete),
    };
    Ended {
        outcome,
        figures,
        lease: Some(lease),
        walk: None,
        unlisted: None,
        findings: Vec::new(),
        looked: None,
    }
}

/// The message of a run to which the provider showed nothing.
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
