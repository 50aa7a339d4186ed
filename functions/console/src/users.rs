//! Users, a page at a time.

use maud::{Markup, html};
use shared::store::desk::{Among, Look, Place, Search, UserRow};

use crate::drive;
use crate::fault::Fault;
use crate::layout::Page;
use crate::request::Form;
use crate::response::Response;
use crate::show;
use crate::visit::Visit;

/// Rows a page.
const ROWS: usize = 50;

const FILTERS: &[(Among, &str, &str)] = &[
    (Among::All, "all", "All"),
    (Among::Living, "living", "Living"),
    (Among::Deleted, "deleted", "Deleted"),
    (Among::Placeholders, "placeholders", "Placeholders"),
    (Among::Differing, "differs", "Differing from the provider"),
];

pub(crate) async fn page(visit: &Visit<'_>) -> Result<Response, Fault> {
    let search = read(visit.request.query());
    let most = i64::try_from(ROWS).unwrap_or(i64::MAX) + 1;
    let mut rows = visit.desk().users(&search, most).await?;
    let more = rows.len() > ROWS;
    rows.truncate(ROWS);
    let now = visit.desk().now().await?;
    let differing = match search.among {
        Among::Differing => Some(visit.desk().last_look().await?),
        _ => None,
    };
    let next = rows.last().filter(|_| more).map(|row| row.place.clone());
    Ok(visit.page(Page {
        title: "Users",
        place: "users",
        refresh: None,
        body: html! {
            (finder(visit, &search))
            @if visit.access().is_some() {
                p { a.button.second href=(visit.link("connect/user/new")) { "New user" } }
                (drive::look(visit, "Who differs from the provider?"))
            }
            @if let Some(look) = &differing { (looked(visit, look.as_ref(), now)) }
            @if rows.is_empty() {
                @if !matches!(differing, Some(None)) { p.card { "No user is like that." } }
            } @else {
                (table(visit, &rows, now))
            }
            nav.pages aria-label="Further users" {
                @if search.after.is_some() {
                    a href=(visit.link(&query(&search, None))) { "To the first" }
                }
                @if let Some(next) = next {
                    a rel="next" href=(visit.link(&query(&search, Some(&next)))) { "Next page" }
                }
            }
        },
    }))
}

fn read(query: &Form) -> Search {
    let among = query.get("among");
    let among = FILTERS.iter().find(|(_, word, _)| Some(*word) == among);
    let after = || {
        Some(Place {
            by: query
                .get("by")?
                .parse()
                .ok()
                .filter(|by| (0..=2).contains(by))?,
            key: query.get("key").unwrap_or_default().to_owned(),
            id: query.get("after")?.to_owned(),
        })
    };
    Search {
        text: query.get("q").unwrap_or_default().trim().to_owned(),
        among: among.map_or(Among::All, |(among, _, _)| *among),
        after: after(),
    }
}

/// The page's address.
fn query(search: &Search, after: Option<&Place>) -> String {
    let word = FILTERS.iter().find(|(among, _, _)| *among == search.among);
    let word = word.map_or("all", |(_, word, _)| word);
    let mut query = format!("users?among={word}");
    if !search.text.is_empty() {
        query.push_str(&format!("&q={}", encoded(&search.text)));
    }
    if let Some(place) = after {
        let (by, key, id) = (place.by, encoded(&place.key), encoded(&place.id));
        query.push_str(&format!("&by={by}&key={key}&after={id}"));
    }
    query
}

/// A text as a query's field has it.
pub(crate) fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn finder(visit: &Visit<'_>, search: &Search) -> Markup {
    html! {
        form.finder role="search" method="get" action=(visit.link("users")) {
            label for="q" { "Name, e-mail or id begins with" }
            div.row {
                input type="search" id="q" name="q" value=(search.text) maxlength="200"
                    autocomplete="off" spellcheck="false";
                label.hidden for="among" { "Which users" }
                select id="among" name="among" {
                    @for (among, word, name) in FILTERS {
                        option value=(word) selected[*among == search.among] { (name) }
                    }
                }
                button type="submit" { "Search" }
            }
        }
    }
}

/// When it was looked who differs, or that nobody has looked yet.
fn looked(visit: &Visit<'_>, last: Option<&Look>, now: shared::time::At) -> Markup {
    let Some(last) = last else {
        return html! {
            p.card {
                "No dry run has been made yet. It compares every row with the provider, and changes \
                 nothing: the button above begins one."
            }
        };
    };
    html! {
        div.card {
            p {
                "These users differed when the dry run of " (show::moment(last.begun_at, now))
                " saw them. Deliveries and runs may have changed some since; a user's comparison \
                 shows how that one stands now."
            }
            @if last.is_cut() {
                p {
                    "There are more: of each kind of difference the first "
                    (show::number(Look::MOST)) " are kept."
                }
            }
            @if last.ended_at.is_none() {
                p { "It has not ended: it goes on from its place." }
                (drive::look_on(visit))
            }
        }
    }
}

fn table(visit: &Visit<'_>, rows: &[UserRow], now: shared::time::At) -> Markup {
    html! {
        table.list {
            caption.hidden { "Users" }
            thead {
                tr {
                    th scope="col" { "Name" }
                    th scope="col" { "E-mail" }
                    th scope="col" { "Id" }
                    th scope="col" { "Signed up" }
                    th scope="col" { "State" }
                }
            }
            tbody {
                @for row in rows {
                    tr {
                        th scope="row" data-label="Name" {
                            @if row.change.as_deref() == Some("create") {
                                span.quiet { "no row" }
                            } @else {
                                a href=(visit.link(&address(&row.place.id))) {
                                    (show::cell(row.name.as_deref(), "no name"))
                                }
                            }
                        }
                        td data-label="E-mail" { (show::cell(row.email.as_deref(), "none")) }
                        td data-label="Id" { code { (show::theirs(&row.place.id, 80)) } }
                        td data-label="Signed up" {
                            @match row.created_at {
                                Some(at) => (show::moment(at, now)),
                                None => span.quiet { "unknown" },
                            }
                        }
                        td data-label="State" {
                            @match row.change.as_deref() {
                                Some(change) => (difference(change)),
                                None => (state(row.deleted_at.is_some(), row.updated_at.is_some())),
                            }
                        }
                    }
                }
            }
        }
    }
}

/// How a user differs.
fn difference(change: &str) -> Markup {
    let words = match change {
        "create" => "not in the table",
        "delete" => "missing at the provider",
        "revive" => "deleted in the table alone",
        _ => "different in the table",
    };
    html! { span.badge.warn { (words) } }
}

/// Where a user's page is.
pub(crate) fn address(id: &str) -> String {
    format!("user?id={}", encoded(id))
}

/// How a row shows its user.
pub(crate) fn state(deleted: bool, has_profile: bool) -> Markup {
    match (deleted, has_profile) {
        (true, _) => html! { span.badge.gone { "deleted" } },
        (false, true) => html! { span.badge.good { "living" } },
        (false, false) => html! { span.badge { "placeholder" } },
    }
}
