//! Runs, the newest first.

use maud::{Markup, html};
use shared::store::desk::{RepairRow, RunRow};
use shared::time::At;

use crate::drive;
use crate::fault::{Fault, sentence};
use crate::layout::Page;
use crate::response::Response;
use crate::show;
use crate::users;
use crate::visit::Visit;

/// Rows a page.
const ROWS: usize = 25;

/// Users a page of what a run changed.
const REPAIRS: usize = 100;

pub(crate) async fn page(visit: &Visit<'_>) -> Result<Response, Fault> {
    let before = visit.request.query().get("before");
    let before = before.and_then(|id| id.parse().ok());
    let most = i64::try_from(ROWS).unwrap_or(i64::MAX) + 1;
    let mut rows = visit.desk().runs(before, most).await?;
    let more = rows.len() > ROWS;
    rows.truncate(ROWS);
    let now = visit.desk().now().await?;
    Ok(visit.page(Page {
        title: "Runs",
        place: "runs",
        refresh: None,
        body: html! {
            @if visit.access().is_some() && before.is_none() {
                div.row {
                    (drive::button(visit, "Run now"))
                    (drive::look(visit, "Dry run: see what differs"))
                }
            }
            @if rows.is_empty() {
                p.card { "No run has begun yet." }
            }
            @for row in &rows { (run(visit, row, now)) }
            nav.pages aria-label="Further runs" {
                @if before.is_some() { a href=(visit.link("runs")) { "To the newest" } }
                @if let Some(last) = rows.last().filter(|_| more) {
                    a rel="next" href=(visit.link(&format!("runs?before={}", last.id))) { "Older runs" }
                }
            }
        },
    }))
}

/// Where a run's page is.
pub(crate) fn address(id: i64) -> String {
    format!("run?id={id}")
}

/// One run, and what it changed.
pub(crate) async fn one(visit: &Visit<'_>) -> Result<Response, Fault> {
    let missing = || Fault::not_found("There is no such run, or it is no longer on record.");
    let query = visit.request.query();
    let id = query
        .get("id")
        .and_then(|id| id.parse().ok())
        .ok_or_else(missing)?;
    let row = visit.desk().run(id).await?.ok_or_else(missing)?;
    let after = query.get("after").and_then(|id| id.parse().ok());
    let most = i64::try_from(REPAIRS).unwrap_or(i64::MAX) + 1;
    let mut repairs = visit.desk().repairs(id, after, most).await?;
    let more = repairs.len() > REPAIRS;
    repairs.truncate(REPAIRS);
    let now = visit.desk().now().await?;
    Ok(visit.page(Page {
        title: "Run",
        place: "runs",
        refresh: None,
        body: html! {
            (run(visit, &row, now))
            section aria-labelledby="repairs" {
                h2 id="repairs" { "What it changed" }
                @if repairs.is_empty() {
                    p.quiet {
                        "Nothing is on record. The first complete run leaves no record of each \
                         user, and records are kept for some days only."
                    }
                } @else {
                    (table(visit, &repairs, now))
                }
            }
            nav.pages aria-label="Further users" {
                @if after.is_some() { a href=(visit.link(&address(id))) { "To the first" } }
                @if let Some(last) = repairs.last().filter(|_| more) {
                    a rel="next" href=(visit.link(&format!("{}&after={}", address(id), last.id))) {
                        "Next page"
                    }
                }
            }
        },
    }))
}

fn table(visit: &Visit<'_>, repairs: &[RepairRow], now: At) -> Markup {
    html! {
        table.list {
            caption.hidden { "Users whose rows it changed" }
            thead {
                tr {
                    th scope="col" { "User" }
                    th scope="col" { "Change" }
                    th scope="col" { "When" }
                }
            }
            tbody {
                @for repair in repairs {
                    tr {
                        th scope="row" data-label="User" {
                            a href=(visit.link(&users::address(&repair.user_id))) {
                                (show::theirs(&repair.user_id, 80))
                            }
                        }
                        td data-label="Change" { (repair.change) }
                        td data-label="When" { (show::moment(repair.at, now)) }
                    }
                }
            }
        }
    }
}

/// A run's outcome, as a badge.
pub(crate) fn outcome(row: &RunRow) -> Markup {
    match row.outcome.as_deref() {
        Some("complete") => html! { span.badge.good { "complete" } },
        Some("failed") => html! { span.badge.bad { "failed" } },
        Some("held") => html! { span.badge.warn { "held" } },
        Some(other) => html! { span.badge { (other) } },
        None => html! { span.badge { "under way" } },
    }
}

fn run(visit: &Visit<'_>, row: &RunRow, now: At) -> Markup {
    let figures = row.figures.iter();
    let figures: Vec<_> = figures
        .filter(|(_, figure)| figure.is_some_and(|figure| figure > 0))
        .collect();
    html! {
        article.card aria-label=(format!("Run {}", row.id)) {
            p.head {
                a href=(visit.link(&address(row.id))) { strong { "Run " (row.id) } } " " (outcome(row))
                @if row.dry_run { " " span.badge { "dry run" } }
                " " (show::moment(row.started_at, now))
                @if let Some(millis) = row.duration_ms {
                    span.quiet { ", took " (duration(millis)) }
                }
            }
            @if !figures.is_empty() {
                p {
                    @for (number, (name, figure)) in figures.iter().enumerate() {
                        @if number > 0 { " · " }
                        (show::number(figure.unwrap_or_default())) " " (name)
                    }
                }
            }
            @if let Some(error) = &row.error { p { (sentence(error)) } }
        }
    }
}

fn duration(millis: i64) -> String {
    match millis {
        ..1_000 => format!("{millis} ms"),
        1_000..120_000 => format!("{}.{} s", millis / 1_000, millis % 1_000 / 100),
        _ => format!("{} min", millis / 60_000),
    }
}
