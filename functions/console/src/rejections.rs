//! Rejections: signed deliveries and listed users that could not be stored, the
//! reason, and the ways to resolve them.

use maud::{Markup, html};
use shared::store::desk::RejectionRow;
use shared::time::At;

use crate::fault::{Fault, sentence};
use crate::layout::Page;
use crate::reading::{self, Taken};
use crate::response::Response;
use crate::show;
use crate::users;
use crate::visit::Visit;

/// Rows a page.
const ROWS: usize = 50;

pub(crate) async fn page(visit: &Visit<'_>) -> Result<Response, Fault> {
    let query = visit.request.query();
    let all = query.get("among") == Some("all");
    let before = query.get("before").and_then(|id| id.parse().ok());
    let most = i64::try_from(ROWS).unwrap_or(i64::MAX) + 1;
    let mut rows = visit.desk().rejections(!all, before, most).await?;
    let more = rows.len() > ROWS;
    rows.truncate(ROWS);
    let now = visit.desk().now().await?;
    let among = if all { "all" } else { "open" };
    Ok(visit.page(Page {
        title: "Rejections",
        place: "rejections",
        refresh: None,
        body: html! {
            p {
                "Signed deliveries and listed users that could not be stored. "
                @if all {
                    a href=(visit.link("rejections")) { "Open ones alone" }
                } @else {
                    a href=(visit.link("rejections?among=all")) { "Those that are resolved, too" }
                }
            }
            @if rows.is_empty() {
                p.card { @if all { "Nothing was rejected." } @else { "Nothing is open." } }
            } @else {
                (table(visit, &rows, now))
            }
            nav.pages aria-label="Further rejections" {
                @if before.is_some() {
                    a href=(visit.link(&format!("rejections?among={among}"))) { "To the newest" }
                }
                @if let Some(last) = rows.last().filter(|_| more) {
                    a rel="next" href=(visit.link(&format!("rejections?among={among}&before={}", last.id))) {
                        "Older ones"
                    }
                }
            }
        },
    }))
}

fn table(visit: &Visit<'_>, rows: &[RejectionRow], now: At) -> Markup {
    html! {
        table.list {
            caption.hidden { "Rejections" }
            thead {
                tr {
                    th scope="col" { "Reason" }
                    th scope="col" { "Source" }
                    th scope="col" { "User" }
                    th scope="col" { "When" }
                    th scope="col" { "State" }
                }
            }
            tbody {
                @for row in rows {
                    tr {
                        th scope="row" data-label="Reason" {
                            a href=(visit.link(&format!("rejection?id={}", row.id))) {
                                (show::theirs(&row.reason, 160))
                            }
                        }
                        td data-label="Source" { (row.source) }
                        td data-label="User" { (show::cell(row.user_id.as_deref(), "unknown")) }
                        td data-label="When" { (show::moment(row.rejected_at, now)) }
                        td data-label="State" { (state(row)) }
                    }
                }
            }
        }
    }
}

fn state(row: &RejectionRow) -> Markup {
    match row.resolved_at {
        Some(_) => html! { span.badge.good { "resolved" } },
        None => html! { span.badge.warn { "open" } },
    }
}

pub(crate) async fn one(visit: &Visit<'_>) -> Result<Response, Fault> {
    let row = asked_for(visit, visit.request.query().get("id")).await?;
    let now = visit.desk().now().await?;
    Ok(visit.page(Page {
        title: "Rejection",
        place: "rejections",
        refresh: None,
        body: html! {
            section.card {
                dl.facts {
                    dt { "State" }
                    dd { (state(&row)) }
                    dt { "Reason" }
                    dd { (show::theirs(&sentence(&row.reason), 2_000)) }
                    dt { "Source" }
                    dd { (row.source) }
                    dt { @if row.source == "delivery" { "Event" } @else { "Kept as" } }
                    dd { code { (show::theirs(&row.event_id, 300)) } }
                    dt { "User" }
                    dd {
                        @match &row.user_id {
                            Some(id) => a href=(visit.link(&users::address(id))) { (show::theirs(id, 200)) },
                            None => span.quiet { "no id could be read" },
                        }
                    }
                    dt { "When" }
                    dd { (show::moment_in_full(row.rejected_at, now)) }
                    @if let Some(at) = row.resolved_at {
                        dt { "Resolved" }
                        dd { (show::moment_in_full(at, now)) }
                    }
                }
            }
            @if row.resolved_at.is_none() { (actions(visit, &row)) }
            section aria-labelledby="body" {
                h2 id="body" { "Body" }
                @if row.body.is_empty() {
                    p.quiet { "Nothing was kept of it." }
                } @else {
                    (show::json(&row.body))
                }
                @if row.length > i64::from(RejectionRow::LONGEST) {
                    p.quiet { "These are the first " (show::number(RejectionRow::LONGEST.into())) " of " (show::number(row.length)) " bytes." }
                }
            }
        },
    }))
}

fn actions(visit: &Visit<'_>, row: &RejectionRow) -> Markup {
    html! {
        div.row {
            @if row.user_id.is_some() && visit.access().is_some() {
                (visit.form("rejection/retry", html! {
                    input type="hidden" name="id" value=(row.id);
                    button type="submit" { "Try again" }
                }))
            }
            (visit.form("rejection/dismiss", html! {
                input type="hidden" name="id" value=(row.id);
                button.second type="submit" { "Dismiss" }
            }))
        }
        @if row.user_id.is_none() {
            p.quiet {
                "It names no user that could be read at the provider. If it was a user, the next \
                 complete run takes them in."
            }
        }
    }
}

/// Reads the rejection's user at the provider, and takes in what it says.
pub(crate) async fn retry(visit: &Visit<'_>) -> Result<Response, Fault> {
    let row = asked_for(visit, visit.request.form().get("id")).await?;
    let id = reading::id(row.user_id.as_deref())?;
    if let Taken::Overtaken = reading::take_in(visit, &id).await? {
        return Err(Fault::unavailable(
            "The row has changed meanwhile, by a delivery or a run. Try again.",
        ));
    }
    visit.desk().dismiss(row.id).await?;
    Ok(visit.lead_to(&format!("rejection?id={}&done=resolved", row.id)))
}

/// Marks the rejection as seen to.
pub(crate) async fn dismiss(visit: &Visit<'_>) -> Result<Response, Fault> {
    let row = asked_for(visit, visit.request.form().get("id")).await?;
    visit.desk().dismiss(row.id).await?;
    tracing::info!(
        who = "the token",
        rejection = row.id,
        "dismissed a rejection"
    );
    Ok(visit.lead_to(&format!("rejection?id={}&done=dismissed", row.id)))
}

async fn asked_for(visit: &Visit<'_>, id: Option<&str>) -> Result<RejectionRow, Fault> {
    let missing = || Fault::not_found("There is no such rejection.");
    let id = id.and_then(|id| id.parse().ok()).ok_or_else(missing)?;
    visit.desk().rejection(id).await?.ok_or_else(missing)
}
