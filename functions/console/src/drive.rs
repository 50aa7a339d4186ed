//! A run that a person watches: driven from here, a slice of a few seconds a
//! request. A partial run goes on from its place, so each slice is a run of its own
//! and nothing is kept between them.

use std::time::Duration;

use maud::{Markup, html};
use reconcile::{Ground, InvocationError, Report, Request, RunOutcome, drive};
use shared::store::desk::Overview;
use tokio::time::Instant;

use crate::fault::{Fault, sentence};
use crate::layout::Page;
use crate::response::Response;
use crate::show;
use crate::visit::Visit;

/// How long a slice takes: a few pages of a listing, and not longer than a person
/// looks at a page that does not move.
const SLICE: Duration = Duration::from_secs(8);

/// The result of a slice.
enum Came {
    /// There is more to do.
    OnTheWay(Report),
    Complete(Report),
    Held(Report),
    Busy,
    Failed(String),
}

/// The button that begins a run.
pub(crate) fn button(visit: &Visit<'_>, words: &str) -> Markup {
    visit.form("runs/go", html! { button type="submit" { (words) } })
}

/// The button that looks for differences, and changes nothing.
pub(crate) fn look(visit: &Visit<'_>, words: &str) -> Markup {
    visit.form(
        "runs/look",
        html! { button.second type="submit" { (words) } },
    )
}

/// The button that has that go on.
pub(crate) fn look_on(visit: &Visit<'_>) -> Markup {
    visit.form(
        "runs/look",
        html! {
            input type="hidden" name="go_on" value="1";
            button type="submit" { "Go on" }
        },
    )
}

/// The store and the provider that a run uses.
pub(crate) fn ground<'a>(visit: &'a Visit<'_>) -> Result<Ground<'a>, Fault> {
    Ok(Ground {
        access: visit.access().ok_or_else(Fault::not_connected)?,
        schema: &visit.app.schema,
        client: &visit.app.client,
        retention: visit.app.retention,
        // The scheduled run does that.
        erase_after_days: None,
        metrics: &visit.app.metrics,
    })
}

/// Does a slice, and shows how far that came.
pub(crate) async fn slice(visit: &Visit<'_>) -> Result<Response, Fault> {
    let until = visit.until.min(Instant::now() + SLICE);
    let came = match drive(ground(visit)?, &Request::default(), until).await {
        Ok(report) => match report.outcome {
            RunOutcome::Complete => Came::Complete(report),
            RunOutcome::Busy => Came::Busy,
            RunOutcome::Partial => Came::OnTheWay(report),
            RunOutcome::Held => Came::Held(report),
        },
        Err(InvocationError::Held(report)) => Came::Held(report),
        Err(InvocationError::Failed(words)) => Came::Failed(words),
    };
    let overview = visit.desk().overview().await?;
    let (title, body) = shown(visit, &came, &overview);
    Ok(visit.page(Page {
        title,
        place: "runs",
        refresh: None,
        body,
    }))
}

fn shown(visit: &Visit<'_>, came: &Came, overview: &Overview) -> (&'static str, Markup) {
    match came {
        Came::OnTheWay(report) => ("Run under way", on_the_way(visit, report, overview)),
        Came::Complete(report) => (
            "Run complete",
            html! {
                p.notice.good role="status" {
                    "Every user was seen, and the table is as the provider has it."
                }
                (figures(report))
                p { a.button href=(visit.link("users")) { "See the users" } }
            },
        ),
        Came::Held(report) => (
            "Run held",
            html! {
                p.notice.bad role="alert" {
                    (show::count(report.figures.held, "user is", "users are"))
                    " missing at the provider, which is more than a run deletes by itself. All the \
                     rest is done, and nobody was marked as deleted."
                }
                (figures(report))
                (look(visit, "See the missing users"))
            },
        ),
        Came::Busy => (
            "Another run is under way",
            html! {
                p.notice role="status" {
                    "Another run holds the lease: the scheduled one, or one on another page."
                }
                (button(visit, "Try again"))
            },
        ),
        Came::Failed(words) => (
            "Run failed",
            html! {
                p.notice.bad role="alert" { (sentence(words)) }
                (button(visit, "Try again"))
            },
        ),
    }
}

/// Another slice follows: by itself where there is a script, else by the button.
fn on_the_way(visit: &Visit<'_>, report: &Report, overview: &Overview) -> Markup {
    html! {
        div.card {
            (progress(overview.walked.unwrap_or_default(), overview))
            (figures(report))
            div data-go-on="1" { (button(visit, "Go on")) }
            p.quiet { "It goes on from its place, whenever that is: this page may be left." }
        }
    }
}

/// How many users were seen, of how many.
pub(crate) fn progress(seen: i64, overview: &Overview) -> Markup {
    // Before the first complete run nobody knows how many there are.
    let all = overview
        .complete_at
        .map(|_| (overview.users - overview.deleted).max(seen).max(1));
    html! {
        p id="seen" {
            (show::count(seen, "user", "users")) " seen so far"
            @if let Some(all) = all { " of about " (show::number(all)) }
            "."
        }
        @match all {
            Some(all) => progress aria-labelledby="seen" value=(seen) max=(all) {},
            None => progress aria-labelledby="seen" {},
        }
    }
}

fn figures(report: &Report) -> Markup {
    let figures = report.figures;
    let named = [
        (figures.created, "created"),
        (figures.updated, "updated"),
        (figures.deleted, "marked as deleted"),
        (figures.revived, "revived"),
        (figures.unchanged, "unchanged"),
        (figures.rejected, "rejected"),
    ];
    let named = named.iter().filter(|(figure, _)| *figure > 0);
    html! {
        ul.figures-list {
            @for (figure, name) in named { li { (show::number(*figure)) " " (name) } }
        }
    }
}
