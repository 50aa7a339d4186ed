//! The page on which a provider is connected.

use maud::html;

use crate::fault::Fault;
use crate::layout::Page;
use crate::response::Response;
use crate::visit::Visit;

/// Answers a request for `connect` or what lies below it: `rest`. A POST
/// (`changes`) was checked before.
pub(crate) async fn answer(
    visit: &Visit<'_>,
    rest: &str,
    changes: bool,
) -> Result<Response, Fault> {
    match (rest, changes) {
        ("", false) => Ok(visit.page(Page {
            title: "Connection",
            place: "connect",
            refresh: None,
            body: html! {
                p.card {
                    @match visit.access() {
                        Some(access) => { "Connected to " (access.provider.facts().name) "." }
                        None => { "No provider is connected yet: write one into the secret." }
                    }
                }
            },
        })),
        _ => Err(Fault::not_found("There is no such page.")),
    }
}
