//! The pages: which token, which project, and how far it got.

use maud::{Markup, html};
use serde_json::Value;
use shared::projects::{LONGEST_NAME, Listing, Organization, Project};

use super::super::guide::Field;
use super::super::keys::{Problem, input};
use super::super::{deliveries, links};
use super::Here;
use crate::layout::Page;
use crate::response::Response;
use crate::show;

/// Characters of somebody else's words in a list.
const SHOWN: usize = 60;

impl Here<'_, '_> {
    fn page<'p>(&self, body: Markup) -> Page<'p> {
        Page {
            title: self.guide.title,
            place: "connect",
            refresh: None,
            body,
        }
    }

    fn path(&self, below: &str) -> String {
        format!("connect/{}/projects{below}", self.guide.name)
    }

    /// Asks for the token; `problem`: why it is asked again.
    pub(super) fn ask(&self, problem: Option<&Problem>) -> Response {
        let page = self.page(html! {
            @if let Some(problem) = problem {
                p.notice.bad role="alert" id="problem" { (problem.words) }
            }
            (self.token_form(problem))
        });
        match problem {
            Some(_) => self.visit.page_again(page),
            None => self.visit.page(page),
        }
    }

    fn token_form(&self, problem: Option<&Problem>) -> Markup {
        let account = self.account;
        let fields = html! {
            @if let Some(address) = &account.address {
                (input(self.visit, address, &Value::Null, problem))
            }
            (input(self.visit, &account.token, &Value::Null, problem))
        };
        html! {
            div.card {
                @if account.lists {
                    (self.visit.form(&self.path(""), html! {
                        (fields)
                        (forgotten())
                        div.row {
                            button type="submit" { "List the " (account.many) }
                            (self.back())
                        }
                    }))
                } @else {
                    (self.visit.form(&self.path("/make"), html! {
                        (fields)
                        (self.new_fields(&[]))
                        (forgotten())
                        div.row {
                            button type="submit" { "Make it" }
                            (self.back())
                        }
                    }))
                }
            }
            (links(&(self.guide.links)(&Value::Null)))
        }
    }

    fn back(&self) -> Markup {
        let keys = format!("connect/{}", self.guide.name);
        html! { a.button.plain href=(self.visit.link(&keys)) { "Back to the keys" } }
    }

    /// The token of one of two forms on a page.
    fn token_again(&self, id: &str) -> Markup {
        let Field { label, .. } = self.account.token;
        let hint = format!("{id}-hint");
        html! {
            label for=(id) { (label) ", once more" }
            input type="password" id=(id) name="access_token" maxlength="4096" required
                autocomplete="off" autocapitalize="off" spellcheck="false" aria-describedby=(hint);
            p.hint id=(hint) { "This page has kept nothing of it." }
        }
    }

    /// The fields of a new one. Ids are the page's own, even beside another form.
    fn new_fields(&self, organizations: &[Organization]) -> Markup {
        let typed = |name| self.visit.request.form().get(name);
        html! {
            label for="name" { "Name of the new " (self.account.one) }
            input type="text" id="name" name="name" value=[typed("name")] required
                maxlength=(LONGEST_NAME) autocomplete="off";
            @if !self.account.regions.is_empty() {
                label for="organization" { "Organization" }
                select id="organization" name="organization" required {
                    @for organization in organizations {
                        option value=(organization.id) { (named(&organization.name, &organization.id)) }
                    }
                }
                label for="region" { "Where its users are" }
                select id="region" name="region" required {
                    @for (code, name) in self.account.regions {
                        option value=(code) { (name) }
                    }
                }
            }
            p.hint { (self.account.made) }
            (self.url_field("new-url"))
        }
    }

    /// Where deliveries are to go, if they can be ordered and nobody has said it.
    fn url_field(&self, id: &str) -> Markup {
        let asks = self.account.orders.is_some() && self.visit.app.webhook_url.is_none();
        html! {
            @if asks { (deliveries::url_field(id, self.visit.request.form().get("url"))) }
        }
    }

    /// The projects to choose from.
    pub(super) fn offer(&self, listing: &Listing) -> Response {
        let account = self.account;
        let can_make = account.regions.is_empty() || !listing.organizations.is_empty();
        self.visit.page(self.page(html! {
            section.card aria-labelledby="choose" {
                h2 id="choose" { "Choose the " (account.one) }
                @if listing.projects.is_empty() {
                    p { "There are no " (account.many) " in this account that the token may see." }
                } @else {
                    (self.choice(listing))
                }
            }
            section.card aria-labelledby="make" {
                h2 id="make" { "Or make a new one" }
                @if can_make {
                    (self.visit.form(&self.path("/make"), html! {
                        (self.new_fields(&listing.organizations))
                        (self.token_again("new-token"))
                        button.second type="submit" { "Make it" }
                    }))
                } @else {
                    p {
                        "The token sees no organization to make one in. Make one at "
                        (self.guide.title) ", or use a token that sees it."
                    }
                }
            }
            p { a href=(self.visit.link(&self.path(""))) { "Look again" } }
        }))
    }

    fn choice(&self, listing: &Listing) -> Markup {
        let number = i64::try_from(listing.projects.len()).unwrap_or(i64::MAX);
        let waiting = listing.projects.iter();
        let waiting = waiting.filter_map(|project| Some((project, project.obstacle?)));
        html! {
            (self.visit.form(&self.path("/choose"), html! {
                label for="project" {
                    "Which " (self.account.one) "?"
                    span.quiet { " (" (show::number(number)) " to choose from)" }
                }
                select id="project" name="project" required {
                    option value="" { "…" }
                    @for group in groups(&listing.projects) {
                        (options(group))
                    }
                }
                (self.url_field("url"))
                (self.token_again("token"))
                button type="submit" { "Connect it" }
            }))
            @for (project, obstacle) in waiting.take(10) {
                p.quiet { (show::theirs(&named(&project.name, &project.id), SHOWN)) " " (obstacle) "." }
            }
        }
    }

    /// One was made that is not up yet.
    pub(super) fn made(&self, project: &str) -> Response {
        self.visit.page(self.page(html! {
            p.notice.good role="status" {
                "The " (self.account.one) " " code { (project) } " is made, and is coming up. That \
                 takes a minute or two. Then list the " (self.account.many) " again, and choose it."
            }
            p.quiet { (self.account.made) }
            (self.token_form(None))
        }))
    }

    /// The keys are kept, but it does not deliver yet.
    pub(super) fn connected_in_part(&self, problem: &str) -> Response {
        self.visit.page_again(self.page(html! {
            p.notice.good role="status" { "The keys are right, and kept. The schema is there." }
            p.notice.bad role="alert" {
                "It does not deliver yet. " (problem)
            }
            p { a.button href=(self.visit.link("connect/deliveries")) { "Set up deliveries" } }
        }))
    }
}

fn forgotten() -> Markup {
    html! {
        p.quiet {
            "It is used for this answer and forgotten: it is neither kept nor logged, and each form \
             asks for it anew."
        }
    }
}

/// Projects that stand beside one another, by what they are a part of.
fn groups(projects: &[Project]) -> Vec<Vec<&Project>> {
    let mut groups: Vec<Vec<&Project>> = Vec::new();
    for project in projects {
        let known = groups.iter_mut().find(|group| {
            group
                .first()
                .is_some_and(|first| first.group == project.group)
        });
        match known {
            Some(group) => group.push(project),
            None => groups.push(vec![project]),
        }
    }
    groups
}

fn options(group: Vec<&Project>) -> Markup {
    let name = group.first().map_or("", |first| first.group.as_str());
    let options = html! {
        @for project in &group {
            option value=(project.id) disabled[project.obstacle.is_some()] {
                (named(&project.name, &project.id)) " (" (project.detail) ")"
            }
        }
    };
    match name {
        "" => options,
        name => html! { optgroup label=(show::plain(name, SHOWN)) { (options) } },
    }
}

/// Somebody's name for it, as text of an element that takes text alone.
fn named(name: &str, id: &str) -> String {
    match name.trim() {
        "" => id.to_owned(),
        name => show::plain(name, SHOWN),
    }
}
