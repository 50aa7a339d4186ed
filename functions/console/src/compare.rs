//! A user's row beside what the provider says now, field by field.

use std::collections::BTreeSet;

use maud::{Markup, html};
use shared::json::{self, Fields};
use shared::profile::Profile;
use shared::store::desk::Person;
use shared::time::At;

use crate::fault::Fault;
use crate::layout::Page;
use crate::reading;
use crate::response::Response;
use crate::show;
use crate::users;
use crate::visit::Visit;

/// How much of a value is shown.
const LONGEST: usize = 600;

/// One field of both.
struct Line {
    name: String,
    here: Option<String>,
    there: Option<String>,
    same: bool,
}

pub(crate) async fn page(visit: &Visit<'_>) -> Result<Response, Fault> {
    let id = reading::id(visit.request.query().get("id"))?;
    let person = visit.desk().person(id.as_str()).await?;
    let person = person.ok_or_else(|| Fault::not_found("The table has no user with this id."))?;
    let raw = visit
        .desk()
        .raw_profile(id.as_str())
        .await?
        .unwrap_or_default();
    let there = reading::ask(visit, &id).await?;
    let verdict = verdict(&person, &raw, there.as_ref());
    Ok(visit.page(Page {
        title: "Compared with the provider",
        place: "users",
        refresh: None,
        body: html! {
            p { a href=(visit.link(&users::address(id.as_str()))) { "Back to the user" } }
            (verdict)
            (visit.form("user/read", html! {
                input type="hidden" name="id" value=(id.as_str());
                button type="submit" { "Read again and take in" }
            }))
        },
    }))
}

fn verdict(person: &Person, raw: &str, there: Option<&Profile>) -> Markup {
    let Some(there) = there else {
        return match person.deleted_at {
            Some(_) => html! {
                p.notice.good { "The provider has no such user, and the row says so." }
            },
            None => html! {
                p.notice.bad { "The provider has no such user, and the row shows one." }
            },
        };
    };
    let lines = lines(person, raw, there);
    let differing = lines.iter().filter(|line| !line.same).count();
    html! {
        @if person.deleted_at.is_some() {
            p.notice.bad { "The row says that the user is deleted, and the provider has them." }
        }
        @if differing == 0 {
            p.notice.good { "Every field is the same." }
        } @else {
            p.notice.bad { (show::count(differing as i64, "field differs", "fields differ")) "." }
            (table("Fields that differ", lines.iter().filter(|line| !line.same)))
        }
        details {
            summary { (show::count((lines.len() - differing) as i64, "field is the same", "fields are the same")) }
            (table("Fields that are the same", lines.iter().filter(|line| line.same)))
        }
    }
}

fn table<'a>(caption: &str, lines: impl Iterator<Item = &'a Line>) -> Markup {
    let value = |value: &Option<String>| match value {
        Some(value) => html! { code { (show::theirs(value, LONGEST)) } },
        None => html! { span.quiet { "not there" } },
    };
    html! {
        table.list {
            caption.hidden { (caption) }
            thead {
                tr {
                    th scope="col" { "Field" }
                    th scope="col" { "Table" }
                    th scope="col" { "Provider" }
                }
            }
            tbody {
                @for line in lines {
                    tr {
                        th scope="row" data-label="Field" { (show::theirs(&line.name, 100)) }
                        td data-label="Table" { (value(&line.here)) }
                        td data-label="Provider" { (value(&line.there)) }
                    }
                }
            }
        }
    }
}

/// The columns, then the profile's own fields.
fn lines(person: &Person, raw: &str, there: &Profile) -> Vec<Line> {
    let time = |at: Option<At>| at.map(At::to_rfc3339);
    let columns = [
        ("name", person.name.clone(), there.name.clone()),
        ("email", person.email.clone(), there.email.clone()),
        (
            "created_at",
            time(person.created_at),
            time(there.created_at),
        ),
    ];
    let columns = columns.map(|(name, here, there)| Line {
        name: format!("column {name}"),
        same: here == there,
        here,
        there,
    });
    let mut lines: Vec<Line> = columns.into();
    let (Ok(ours), Ok(theirs)) = (Fields::of(raw), Fields::of(&there.raw_json)) else {
        return lines;
    };
    let (ours, theirs) = (ours.all(), theirs.all());
    let names: BTreeSet<&str> = ours.keys().chain(theirs.keys()).copied().collect();
    for name in names {
        let (here, there) = (ours.get(name).copied(), theirs.get(name).copied());
        lines.push(Line {
            name: name.to_owned(),
            same: match (here, there) {
                (Some(here), Some(there)) => json::same(here, there),
                _ => false,
            },
            here: here.map(str::to_owned),
            there: there.map(str::to_owned),
        });
    }
    lines
}
