//! Connecting a provider, from a choice to the first delivery, and changing users
//! at the provider that is connected.
//!
//! Invariants: keys are tried before they are kept; no key, token or signing secret
//! is shown again, and none is logged; a change at the provider is logged, without
//! its values.

mod change;
mod deliveries;
mod guide;
mod keys;
mod projects;
mod random;
mod state;

use maud::{Markup, html};

use crate::fault::Fault;
use crate::layout::Page;
use crate::response::Response;
use crate::show;
use crate::visit::Visit;

pub(crate) use change::controls;

/// Answers a request for `connect` or what lies below it: `rest`. A POST
/// (`changes`) was checked before.
pub(crate) async fn answer(
    visit: &Visit<'_>,
    rest: &str,
    changes: bool,
) -> Result<Response, Fault> {
    let (first, second) = rest.split_once('/').unwrap_or((rest, ""));
    match (first, second, changes) {
        ("", "", false) => front(visit).await,
        ("deliveries", _, _) => deliveries::answer(visit, second, changes).await,
        ("user", _, _) => change::answer(visit, second, changes).await,
        (name, "", _) => match guide::of(name) {
            Some(guide) if changes => keys::take(visit, guide).await,
            Some(guide) => keys::page(visit, guide),
            None => Err(Fault::not_found("There is no such page.")),
        },
        (name, below, _) => match guide::of(name).and_then(projects::Here::of(visit)) {
            Some(here) => here.answer(below, changes).await,
            None => Err(Fault::not_found("There is no such page.")),
        },
    }
}

/// Shows the connected provider, or the providers to choose from.
async fn front(visit: &Visit<'_>) -> Result<Response, Fault> {
    let body = match state::connected(visit).await? {
        None => choice(visit),
        Some(connected) => {
            let told = deliveries::state(visit).await?;
            html! {
                section.card aria-labelledby="connected" {
                    h2 id="connected" { "Connected to " (connected.title) }
                    @if let Some(project) = &connected.project {
                        p { "Project " code { (show::theirs(project, 120)) } }
                    }
                    (links(&connected.links))
                }
                section.card aria-labelledby="told" {
                    h2 id="told" { "Deliveries" }
                    (told.words())
                    p { a.button.second href=(visit.link("connect/deliveries")) { "Set up deliveries" } }
                }
                section.card aria-labelledby="keys" {
                    h2 id="keys" { "Keys" }
                    p {
                        "New keys of the same project are tried before they take the place of those \
                         that are kept."
                    }
                    p {
                        a.button.second href=(visit.link(&format!("connect/{}", connected.name))) {
                            "Replace the keys"
                        }
                    }
                }
            }
        }
    };
    Ok(visit.page(Page {
        title: "Connection",
        place: "connect",
        refresh: None,
        body,
    }))
}

fn choice(visit: &Visit<'_>) -> Markup {
    html! {
        p { "Where do your users live? The keys that you paste are tried before anything is kept." }
        ul.choice {
            @for guide in guide::GUIDES {
                li.card {
                    h2 { a href=(visit.link(&format!("connect/{}", guide.name))) { (guide.title) } }
                    p.quiet { (guide.about) }
                }
            }
        }
    }
}

/// The pages of the provider that is connected, for the first page.
pub(crate) fn quick_links(visit: &Visit<'_>) -> Markup {
    let settings = visit.connected.opened.provider_settings();
    let guide = settings["name"].as_str().and_then(guide::of);
    html! {
        @if let Some(guide) = guide {
            section aria-labelledby="links" {
                h2 id="links" { "At " (guide.title) }
                (links(&(guide.links)(&settings)))
            }
        }
    }
}

/// The provider's own pages.
fn links(links: &[guide::Link]) -> Markup {
    html! {
        ul.links {
            @for link in links {
                li { a href=(link.url) rel="noopener noreferrer external" { (link.title) } }
            }
        }
    }
}
