//! The first page: what is connected, how the table stands, and what needs a
//! person.

use maud::{Markup, html};
use shared::store::StoreError;
use shared::store::desk::Overview;

use crate::activity;
use crate::connect;
use crate::drive;
use crate::fault::{Fault, sentence};
use crate::layout::Page;
use crate::response::Response;
use crate::show;
use crate::visit::Visit;

pub(crate) async fn page(visit: &Visit<'_>) -> Result<Response, Fault> {
    let overview = match visit.desk().overview().await {
        Ok(overview) => overview,
        Err(StoreError::NotProvisioned) => return Ok(visit.page(beginning(visit))),
        Err(error) => return Err(error.into()),
    };
    let activity = activity::shown(visit).await?;
    Ok(visit.page(Page {
        title: "Overview",
        place: "",
        refresh: Some(15),
        body: html! {
            (attention(visit, &overview))
            (state(visit, &overview))
            (activity)
            (connect::quick_links(visit))
        },
    }))
}

/// Nothing is there yet.
fn beginning<'a>(visit: &Visit<'_>) -> Page<'a> {
    Page {
        title: "Overview",
        place: "",
        refresh: None,
        body: html! {
            section.card aria-labelledby="begin" {
                h2 id="begin" { "Nothing is connected yet" }
                p {
                    "Connect an auth provider: the schema is made, the users who are there are \
                     taken in, and from then on the table follows."
                }
                p { a.button href=(visit.link("connect")) { "Connect a provider" } }
            }
        },
    }
}

/// The matters that only a person can resolve, each with the way to it.
fn attention(visit: &Visit<'_>, overview: &Overview) -> Markup {
    let mut items: Vec<Markup> = Vec::new();
    if visit.access().is_none() {
        items.push(html! {
            h3 { "No provider is connected" }
            p { "The table stays as it is." }
            p { a.button href=(visit.link("connect")) { "Connect a provider" } }
        });
    }
    if let Some(run) = &overview.last_run {
        match run.outcome.as_str() {
            "held" => items.push(html! {
                h3 { "A run is held" }
                p {
                    (show::count(run.held, "user is", "users are")) " missing at the provider, \
                    which is more than a run deletes by itself. Nobody was marked as deleted."
                }
                (drive::look(visit, "See the missing users"))
            }),
            "failed" => items.push(html! {
                h3 { "The last run failed" }
                p { (sentence(run.error.as_deref().unwrap_or("it says no more"))) }
                (drive::button(visit, "Run again"))
            }),
            _ => {}
        }
    }
    if overview.walked.is_some() && !overview.running {
        items.push(html! {
            h3 { "A run is not over" }
            p { "The next scheduled run goes on, or you have it go on now." }
            (drive::button(visit, "Go on"))
        });
    } else if overview.complete_at.is_none() && overview.bound.is_some() && !overview.running {
        items.push(html! {
            h3 { "Nobody has been taken in yet" }
            p { "The first run takes in the users who are at the provider already." }
            (drive::button(visit, "Take them in"))
        });
    }
    if overview.rejections > 0 {
        items.push(html! {
            h3 { (show::count(overview.rejections, "rejection is", "rejections are")) " open" }
            p { "Signed deliveries or listed users could not be stored." }
            p { a.button href=(visit.link("rejections")) { "See to them" } }
        });
    }
    if items.is_empty() {
        return html! {};
    }
    html! {
        section.attention aria-labelledby="attention" {
            h2 id="attention" { "Needs you" }
            @for item in items { div.card.warn { (item) } }
        }
    }
}

fn state(visit: &Visit<'_>, overview: &Overview) -> Markup {
    let now = overview.now;
    let living = overview.users - overview.deleted - overview.placeholders;
    let about = if overview.estimated { "about " } else { "" };
    let capped = |number: i64| match number > Overview::MOST {
        true => format!("more than {}", show::number(Overview::MOST)),
        false => show::number(number),
    };
    html! {
        section aria-labelledby="state" {
            h2 id="state" { "State" }
            dl.figures {
                div {
                    dt { "Living users" }
                    dd { a href=(visit.link("users?among=living")) { (about) (show::number(living.max(0))) } }
                }
                div {
                    dt { "Deleted" }
                    dd { a href=(visit.link("users?among=deleted")) { (capped(overview.deleted)) } }
                }
                div {
                    dt { "Placeholders" }
                    dd { a href=(visit.link("users?among=placeholders")) { (capped(overview.placeholders)) } }
                }
                div {
                    dt { "Last complete run" }
                    dd {
                        @match overview.complete_at {
                            Some(at) => (show::moment(at, now)),
                            None => span.quiet { "none yet" },
                        }
                    }
                }
            }
            dl.facts {
                dt { "Connected to" }
                dd {
                    @match &overview.bound {
                        Some(bound) => {
                            (show::theirs(&bound.provider, 80)) ", project "
                            (show::theirs(&bound.project, 120)) ", since "
                            (show::moment_in_full(bound.since, now))
                        }
                        None => span.quiet { "no project yet" }
                    }
                }
                @if let Some(run) = &overview.last_run {
                    dt { "Last run" }
                    dd { (run.outcome) ", " (show::moment_in_full(run.at, now)) }
                }
                @if let Some((at, outcome)) = &overview.delivery {
                    dt { "Last delivery" }
                    dd { (outcome) ", " (show::moment_in_full(*at, now)) }
                }
                @if overview.running {
                    dt { "Now" }
                    dd { "A run is under way." }
                }
                @if let Some(walked) = overview.walked {
                    dt { "Walk" }
                    dd { (show::count(walked, "user", "users")) " seen so far; the next run goes on." }
                }
            }
        }
    }
}
