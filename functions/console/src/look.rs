//! A dry run with its differences, user by user, in slices as a run that a person
//! watches; and the tombstones that a person has put in after seeing whom they are
//! for.

use std::collections::HashMap;
use std::time::Duration;

use maud::{Markup, html};
use reconcile::{InvocationError, Report, Request, RunOutcome, drive};
use shared::profile::UserId;
use shared::store::Saved;
use shared::store::desk::{Look, NamedUser, Slice};
use shared::time::At;
use tokio::time::Instant;

use crate::drive::{button, ground, look_on, progress};
use crate::fault::{Fault, sentence};
use crate::layout::Page;
use crate::response::Response;
use crate::show;
use crate::users;
use crate::visit::Visit;

/// How long a slice takes.
const SLICE: Duration = Duration::from_secs(8);

/// Users that a page names, and that are tombstoned at once: as many as one request
/// can read.
const AT_ONCE: i64 = 500;

/// The ways in which users differ, but for those who are missing at the provider.
const KINDS: &[(&str, &str, &str)] = &[
    ("create", "Not in the table", "A run adds them."),
    (
        "update",
        "Different in the table",
        "A run reads and updates them.",
    ),
    (
        "revive",
        "Deleted in the table alone",
        "A run reads and revives them.",
    ),
];

/// Looks for differences, a slice a request.
pub(crate) async fn page(visit: &Visit<'_>) -> Result<Response, Fault> {
    let goes_on = visit.request.form().get("go_on").is_some();
    let saved = match goes_on {
        false => Saved::default(),
        true => match visit.desk().saved_look().await? {
            Some(saved) => saved,
            // Another page has had it end.
            None => return shown(visit).await,
        },
    };
    let until = visit.until.min(Instant::now() + SLICE);
    let report = match drive(ground(visit)?, &Request::looking(saved), until).await {
        Ok(report) | Err(InvocationError::Held(report)) => report,
        Err(InvocationError::Failed(words)) => return Err(Fault::unavailable(sentence(&words))),
    };
    if report.outcome == RunOutcome::Busy {
        return Err(Fault::unavailable(
            "Another run holds the lease: the scheduled one, or one on another page. Try again \
             when it is over.",
        ));
    }
    if !goes_on {
        visit.desk().begin_look().await?;
    }
    keep(visit, report).await?;
    shown(visit).await
}

async fn keep(visit: &Visit<'_>, report: Report) -> Result<(), Fault> {
    let found = report.findings.iter();
    let found = found.map(|finding| (finding.id.as_str(), finding.change.word()));
    let slice = Slice {
        listed: report.figures.listed,
        found: found.collect(),
        left: report
            .left
            .filter(|_| report.outcome == RunOutcome::Partial)
            .map(|left| *left),
    };
    Ok(visit.desk().keep_look(&slice).await?)
}

/// How far it has come, or what it has found.
async fn shown(visit: &Visit<'_>) -> Result<Response, Fault> {
    let look = visit.desk().last_look().await?;
    let look = look.ok_or_else(|| Fault::not_found("No dry run has been made yet."))?;
    let (title, body) = match look.ended_at {
        None => ("Dry run under way", under_way(visit, &look).await?),
        Some(_) => ("Differences from the provider", found(visit, &look).await?),
    };
    Ok(visit.page(Page {
        title,
        place: "runs",
        refresh: None,
        body,
    }))
}

async fn under_way(visit: &Visit<'_>, look: &Look) -> Result<Markup, Fault> {
    let overview = visit.desk().overview().await?;
    Ok(html! {
        div.card {
            (progress(look.listed, &overview))
            p { (differ(look)) " so far. Nothing is changed." }
            div data-go-on="1" { (look_on(visit)) }
            p.quiet { "It goes on from its place, whenever that is: this page may be left." }
        }
    })
}

async fn found(visit: &Visit<'_>, look: &Look) -> Result<Markup, Fault> {
    let now = visit.desk().now().await?;
    let missing = missing(visit, None, look.count("delete"), now).await?;
    let mut parts = Vec::new();
    for (change, title, words) in KINDS {
        let count = look.count(change);
        if count > 0 {
            parts.push(listed(visit, change, count, (title, words), now).await?);
        }
    }
    Ok(html! {
        (summary(look))
        (missing)
        @for part in parts { (part) }
        @if look.all() > 0 {
            p { (button(visit, "Run now")) }
            p { a href=(visit.link("users?among=differs")) { "All of them among the users" } }
        }
    })
}

fn differ(look: &Look) -> String {
    show::count(look.all(), "user differs", "users differ")
}

fn summary(look: &Look) -> Markup {
    html! {
        @if look.all() == 0 {
            p.notice.good role="status" {
                "Nothing differs: the provider showed " (show::count(look.listed, "user", "users"))
                ", and each row is as it says."
            }
        } @else {
            p.notice role="status" { (differ(look)) ". Nothing was changed." }
        }
        @if look.is_cut() {
            p.notice {
                "There are more: of each kind these are the first " (show::number(Look::MOST))
                ". Look again when they are resolved."
            }
        }
    }
}

/// Those whom a run would tombstone, from after `after` on, and the button for
/// exactly those that the page names.
async fn missing(
    visit: &Visit<'_>,
    after: Option<&str>,
    count: i64,
    now: At,
) -> Result<Markup, Fault> {
    let ids = visit.desk().differences("delete", after, AT_ONCE).await?;
    if ids.is_empty() {
        return Ok(html! {});
    }
    let table = table(visit, "Missing at the provider", &ids, now).await?;
    let named = i64::try_from(ids.len()).unwrap_or(i64::MAX);
    let still = if after.is_some() { " still" } else { "" };
    Ok(html! {
        section aria-labelledby="missing" {
            h2 id="missing" {
                (show::count(count, "user is", "users are")) (still) " missing at the provider"
            }
            p {
                "The provider itself says of each that it has no such user. If that is wrong, see \
                 that the key is of the right project, and do nothing here."
            }
            (visit.form("runs/release", html! {
                // No id has a line break.
                input type="hidden" name="ids" value=(ids.join("\n"));
                button.danger type="submit" {
                    "Mark exactly these " (show::count(named, "user", "users")) " as deleted"
                }
            }))
            @if named < count {
                p.quiet {
                    "These are " (show::number(named)) " of them. When they are marked, the page \
                     names the next ones."
                }
            }
            (table)
        }
    })
}

async fn listed(
    visit: &Visit<'_>,
    change: &str,
    count: i64,
    (title, words): (&str, &str),
    now: At,
) -> Result<Markup, Fault> {
    let ids = visit.desk().differences(change, None, AT_ONCE).await?;
    let table = table(visit, title, &ids, now).await?;
    Ok(html! {
        section {
            h2 { (title) ": " (show::number(count)) }
            p { (words) }
            (table)
            @if count > AT_ONCE {
                p.quiet { "These are the first " (show::number(AT_ONCE)) "." }
            }
        }
    })
}

async fn table(visit: &Visit<'_>, title: &str, ids: &[String], now: At) -> Result<Markup, Fault> {
    let named: Vec<&str> = ids.iter().map(String::as_str).collect();
    let rows = visit.desk().named(&named).await?;
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
                    @let row = rows.get(id.as_str());
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

/// Tombstones exactly the users whom the page has named, and names the next ones.
pub(crate) async fn release(visit: &Visit<'_>) -> Result<Response, Fault> {
    let ids = visit.request.form().get("ids").unwrap_or_default();
    let ids: Result<Vec<UserId>, _> = ids.split('\n').map(|id| UserId::new(id.trim())).collect();
    let ids = ids.map_err(|_| Fault::unusable("Nothing was done: an id can't be a user's."))?;
    let request = Request::tombstoning(ids.clone());
    let report = match drive(ground(visit)?, &request, visit.until).await {
        Ok(report) | Err(InvocationError::Held(report)) => report,
        Err(InvocationError::Failed(words)) => return Err(Fault::unavailable(sentence(&words))),
    };
    if report.outcome == RunOutcome::Busy {
        return Err(Fault::unavailable(
            "Nothing was done: another run holds the lease. Try again when it is over.",
        ));
    }
    let deleted = report.figures.deleted;
    let named = ids.len();
    tracing::info!(who = "the token", named, deleted, "released tombstones");
    let all = i64::try_from(named).is_ok_and(|named| named == deleted);
    let next = next(visit, &ids).await?;
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
            (next)
            p { "A run now sees whether anything else differs." }
            (button(visit, "Run now"))
        },
    }))
}

/// Those whom the last dry run has found missing after these.
async fn next(visit: &Visit<'_>, released: &[UserId]) -> Result<Markup, Fault> {
    let ids: Vec<&str> = released.iter().map(UserId::as_str).collect();
    visit.desk().settle_differences(&ids).await?;
    let Some(look) = visit.desk().last_look().await? else {
        return Ok(html! {});
    };
    let now = visit.desk().now().await?;
    let last = ids.iter().max().copied();
    missing(visit, last, look.count("delete"), now).await
}
