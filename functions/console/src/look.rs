//! A dry run with its differences, user by user; and the tombstones that a person
//! has put in after seeing whom they are for.

use std::collections::HashMap;
use std::time::Duration;

use maud::{Markup, html};
use reconcile::{Change, Finding, InvocationError, Report, Request, RunOutcome, drive};
use shared::profile::UserId;
use shared::store::desk::NamedUser;
use shared::time::At;
use tokio::time::Instant;

use crate::drive::{button, ground};
use crate::fault::{Fault, sentence};
use crate::layout::Page;
use crate::response::Response;
use crate::show;
use crate::users;
use crate::visit::Visit;

/// A person waits.
const PATIENCE: Duration = Duration::from_secs(30);

/// Users of one kind that a page shows.
const SHOWN: usize = 500;

/// Users that are tombstoned at once: as many as one page names, and one request
/// can read.
const AT_ONCE: usize = 500;

/// Looks for differences.
pub(crate) async fn page(visit: &Visit<'_>) -> Result<Response, Fault> {
    let until = visit.until.min(Instant::now() + PATIENCE);
    let report = match drive(ground(visit)?, &Request::looking(), until).await {
        Ok(report) | Err(InvocationError::Held(report)) => report,
        Err(InvocationError::Failed(words)) => return Err(Fault::unavailable(sentence(&words))),
    };
    if report.outcome == RunOutcome::Busy {
        return Err(Fault::unavailable(
            "Another run holds the lease: the scheduled one, or one on another page. Try again \
             when it is over.",
        ));
    }
    let now = visit.desk().now().await?;
    let of = |change| -> Vec<&UserId> {
        let findings = report.findings.iter();
        let findings = findings.filter(|finding| finding.change == change);
        findings.map(|finding| &finding.id).collect()
    };
    let gone = of(Change::Delete);
    let mut parts = Vec::new();
    for (change, title, words) in [
        (Change::Create, "Not in the table", "A run adds them."),
        (
            Change::Update,
            "Different in the table",
            "A run reads and updates them.",
        ),
        (
            Change::Revive,
            "Deleted in the table alone",
            "A run reads and revives them.",
        ),
    ] {
        let ids = of(change);
        if !ids.is_empty() {
            parts.push(listed(visit, title, words, &ids, now).await?);
        }
    }
    Ok(visit.page(Page {
        title: "Differences from the provider",
        place: "runs",
        refresh: None,
        body: html! {
            (summary(&report))
            @if !gone.is_empty() { (missing(visit, &gone, now).await?) }
            @for part in parts { (part) }
            @if !report.findings.is_empty() {
                p { (button(visit, "Run now")) }
            }
        },
    }))
}

fn summary(report: &Report) -> Markup {
    let seen = show::count(report.figures.listed, "user", "users");
    html! {
        @if report.outcome == RunOutcome::Partial {
            p.notice role="status" {
                "The time was over after " (seen) ": this is what was found so far. Who is missing \
                 at the provider is known only when all of them were seen."
            }
        } @else if report.findings.is_empty() {
            p.notice.good role="status" {
                "Nothing differs: the provider showed " (seen) ", and each row is as it says."
            }
        } @else {
            p.notice role="status" {
                (show::count(report.findings.len() as i64, "user differs", "users differ"))
                ". Nothing was changed."
            }
        }
        @if report.findings.len() == Finding::MOST {
            p.notice { "There are more: these are the first." }
        }
    }
}

/// Those whom a run would tombstone, and the button for exactly those.
async fn missing(visit: &Visit<'_>, gone: &[&UserId], now: At) -> Result<Markup, Fault> {
    let named = &gone[..gone.len().min(AT_ONCE)];
    let ids: Vec<&str> = named.iter().map(|id| id.as_str()).collect();
    let table = table(visit, "Missing at the provider", &ids, now).await?;
    let count = show::count(named.len() as i64, "user", "users");
    Ok(html! {
        section aria-labelledby="missing" {
            h2 id="missing" { (show::count(gone.len() as i64, "user is", "users are")) " missing at the provider" }
            p {
                "The provider itself says of each that it has no such user. If that is wrong, see \
                 that the key is of the right project, and do nothing here."
            }
            (visit.form("runs/release", html! {
                // No id has a line break.
                input type="hidden" name="ids" value=(ids.join("\n"));
                button.danger type="submit" { "Mark exactly these " (count) " as deleted" }
            }))
            @if named.len() < gone.len() {
                p.quiet { "The others follow after that." }
            }
            (table)
        }
    })
}

async fn listed(
    visit: &Visit<'_>,
    title: &str,
    words: &str,
    ids: &[&UserId],
    now: At,
) -> Result<Markup, Fault> {
    let shown: Vec<&str> = ids.iter().take(SHOWN).map(|id| id.as_str()).collect();
    let table = table(visit, title, &shown, now).await?;
    Ok(html! {
        section {
            h2 { (title) ": " (show::number(ids.len() as i64)) }
            p { (words) }
            (table)
            @if shown.len() < ids.len() {
                p.quiet { "These are the first " (show::number(shown.len() as i64)) "." }
            }
        }
    })
}

async fn table(visit: &Visit<'_>, title: &str, ids: &[&str], now: At) -> Result<Markup, Fault> {
    let rows = visit.desk().named(ids).await?;
    let rows: HashMap<&str, &NamedUser> = rows.iter().map(|row| (row.id.as_str(), row)).collect();
    Ok(html! {
        table.list {
            caption.hidden { (title) }
            thead {
                tr {
                    th scope="col" { "Id" }
                    th scope="col" { "Name" }
                    th scope="col" { "E-mail" }
                    th scope="col" { "Last sign of life" }
                }
            }
            tbody {
                @for id in ids {
                    @let row = rows.get(id);
                    tr {
                        th scope="row" data-label="Id" {
                            @match row {
                                Some(_) => a href=(visit.link(&users::address(id))) { (show::theirs(id, 80)) },
                                None => (show::theirs(id, 80)),
                            }
                        }
                        td data-label="Name" { (show::cell(row.and_then(|row| row.name.as_deref()), "–")) }
                        td data-label="E-mail" { (show::cell(row.and_then(|row| row.email.as_deref()), "–")) }
                        td data-label="Last sign of life" {
                            @match row.and_then(|row| row.heard_at) {
                                Some(at) => (show::moment(at, now)),
                                None => span.quiet { "–" },
                            }
                        }
                    }
                }
            }
        }
    })
}

/// Tombstones exactly the users whom the page has named.
pub(crate) async fn release(visit: &Visit<'_>) -> Result<Response, Fault> {
    let ids = visit.request.form().get("ids").unwrap_or_default();
    let ids: Result<Vec<UserId>, _> = ids.split('\n').map(|id| UserId::new(id.trim())).collect();
    let ids = ids.map_err(|_| Fault::unusable("Nothing was done: an id can't be a user's."))?;
    let named = ids.len();
    let asked = drive(ground(visit)?, &Request::tombstoning(ids), visit.until).await;
    let report = match asked {
        Ok(report) | Err(InvocationError::Held(report)) => report,
        Err(InvocationError::Failed(words)) => return Err(Fault::unavailable(sentence(&words))),
    };
    if report.outcome == RunOutcome::Busy {
        return Err(Fault::unavailable(
            "Nothing was done: another run holds the lease. Try again when it is over.",
        ));
    }
    let deleted = report.figures.deleted;
    tracing::info!(who = "the token", named, deleted, "released tombstones");
    let all = i64::try_from(named).is_ok_and(|named| named == deleted);
    Ok(visit.page(Page {
        title: "Marked as deleted",
        place: "runs",
        refresh: None,
        body: html! {
            p.notice.good role="status" {
                (show::number(deleted)) " of the " (show::count(named as i64, "user", "users"))
                " that you saw " @if deleted == 1 { "is" } @else { "are" } " marked as deleted."
            }
            @if !all {
                p {
                    "The others were not: the provider has them after all, their rows have changed \
                     meanwhile, or the time was over."
                }
            }
            p { "A run now sees whether anything else differs." }
            (button(visit, "Run now"))
        },
    }))
}
