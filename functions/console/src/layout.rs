//! The frame of each page.

use http::StatusCode;
use maud::{DOCTYPE, Markup, html};

use crate::assets;
use crate::fault::Fault;
use crate::request::HttpRequest;
use crate::response::Response;
use crate::visit::Visit;

/// The contents of the frame.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    /// The page's name.
    pub(crate) title: &'a str,
    /// The entry of the navigation that it belongs to: a path of [`PLACES`].
    pub(crate) place: &'a str,
    /// After so many seconds it is shown anew, where there is a script.
    pub(crate) refresh: Option<u32>,
    /// All that follows the title.
    pub(crate) body: Markup,
}

/// The navigation.
const PLACES: &[(&str, &str)] = &[
    ("", "Overview"),
    ("users", "Users"),
    ("runs", "Runs"),
    ("rejections", "Rejections"),
    ("connect", "Connection"),
];

/// The sentence about a change on the page that follows it, by the word in its query.
const DONE: &[(&str, &str)] = &[
    (
        "connected",
        "The keys are right, and kept. The schema is there. What is left is to have the provider \
         deliver.",
    ),
    (
        "all-set",
        "The keys are right, and kept. The schema is there, and deliveries are set up at the \
         provider.",
    ),
    ("ordered", "Deliveries are set up at the provider."),
    ("signing-secret", "The signing secret is kept."),
    ("created", "The user is made at the provider."),
    (
        "renamed",
        "The user is renamed at the provider. The row follows by the delivery.",
    ),
    (
        "email-changed",
        "The e-mail is changed at the provider. The row follows by the delivery.",
    ),
    (
        "deleted",
        "The user is deleted at the provider. The row follows by the delivery.",
    ),
    (
        "nobody",
        "Nothing was changed: the provider has no such user any more.",
    ),
    (
        "read",
        "The user was read at the provider, and the row is as it said.",
    ),
    (
        "gone",
        "The provider has no such user, and the row says so now.",
    ),
    (
        "overtaken",
        "The row has changed meanwhile, by a delivery or a run: it is left as it is now.",
    ),
    ("erased", "All that was kept of this person is removed."),
    ("dismissed", "The rejection is dismissed."),
    (
        "resolved",
        "The user was taken in, and the rejection is resolved.",
    ),
];

impl Visit<'_> {
    /// A page.
    pub(crate) fn page(&self, page: Page<'_>) -> Response {
        whole(self, StatusCode::OK, page)
    }

    /// A page that says what is wrong with the form that was sent.
    pub(crate) fn page_again(&self, page: Page<'_>) -> Response {
        whole(self, StatusCode::UNPROCESSABLE_ENTITY, page)
    }
}

/// A page of somebody who is signed in.
fn whole(visit: &Visit<'_>, status: StatusCode, page: Page<'_>) -> Response {
    let done = visit.request.query().get("done");
    let done = done.and_then(|word| DONE.iter().find(|(known, _)| *known == word));
    let refresh = page.refresh.map(|seconds| seconds.to_string());
    let body = html! {
        a.skip href="#main" { "Skip to the page" }
        header.top {
            div.bar {
                a.brand href=(visit.link("")) { "users-sync" }
                nav aria-label="Pages" {
                    @for (place, name) in PLACES {
                        a href=(visit.link(place)) aria-current=[(*place == page.place).then_some("page")] {
                            (name)
                        }
                    }
                }
                (visit.sign_out())
            }
        }
        main id="main" tabindex="-1" data-refresh=[refresh] {
            h1 { (page.title) }
            @if visit.app.read_only {
                p.notice role="note" { "This console is read-only: nothing can be changed from it." }
            }
            @if let Some((_, words)) = done {
                p.notice.good role="status" { (words) }
            }
            (page.body)
        }
    };
    Response::page(status, document(visit.request, page.title, body))
}

/// An error page for somebody who is signed in.
pub(crate) fn fault(visit: &Visit<'_>, fault: Fault) -> Response {
    let page = Page {
        title: fault.title,
        place: "none",
        refresh: None,
        body: html! { p.notice.bad role="alert" { (fault.words) } },
    };
    whole(visit, fault.status, page)
}

/// An error page for anybody.
pub(crate) fn bare(request: &HttpRequest, fault: Fault) -> Response {
    let body = html! {
        p.notice.bad role="alert" { (fault.words) }
        p { a href=(request.up("")) { "To the console" } }
    };
    alone(request, fault.status, fault.title, body)
}

/// A page without navigation.
pub(crate) fn alone(
    request: &HttpRequest,
    status: StatusCode,
    title: &str,
    body: Markup,
) -> Response {
    let body = html! {
        main.alone id="main" {
            p.brand { "users-sync" }
            h1 { (title) }
            (body)
        }
    };
    Response::page(status, document(request, title, body))
}

fn document(request: &HttpRequest, title: &str, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (title) " – users-sync" }
                link rel="stylesheet" href=(request.up(&assets::style()));
                script src=(request.up(&assets::script())) defer {}
            }
            body { (body) }
        }
    }
}
