//! One user: all that the table has of them.

use maud::{Markup, html};
use shared::store::StoreError;
use shared::store::desk::{Happening, Person};
use shared::time::At;

use crate::connect;
use crate::fault::Fault;
use crate::layout::Page;
use crate::reading::{self, Taken};
use crate::response::Response;
use crate::runs;
use crate::show;
use crate::users;
use crate::visit::Visit;

/// Deliveries and repairs that are shown.
const HISTORY: i64 = 50;

pub(crate) async fn page(visit: &Visit<'_>) -> Result<Response, Fault> {
    let id = visit.request.query().get("id").unwrap_or_default();
    let person = visit.desk().person(id).await?;
    let person = person.ok_or_else(|| Fault::not_found("The table has no user with this id."))?;
    let history = match visit.desk().history(id, HISTORY).await {
        // The schema keeps no such record yet.
        Err(StoreError::NotProvisioned) => Vec::new(),
        history => history?,
    };
    Ok(visit.page(Page {
        title: "User",
        place: "users",
        // After a change at the provider, until the delivery has come.
        refresh: visit.request.query().get("done").map(|_| 2),
        body: html! {
            (columns(&person))
            (actions(visit, &person))
            @if visit.access().is_some() && person.deleted_at.is_none() {
                (connect::controls(visit, &person.id, person.name.as_deref(), person.email.as_deref()))
            }
            (happenings(visit, &history, person.now))
            section aria-labelledby="profile" {
                h2 id="profile" { "Profile" }
                (show::json(&person.profile))
                @if person.length > i64::try_from(Person::LONGEST).unwrap_or(i64::MAX) {
                    p.quiet {
                        "These are the first " (show::number(person.profile.chars().count() as i64))
                        " of " (show::number(person.length)) " characters."
                    }
                }
            }
        },
    }))
}

/// The user's history: the deliveries and runs that changed them.
fn happenings(visit: &Visit<'_>, history: &[Happening], now: At) -> Markup {
    html! {
        section aria-labelledby="history" {
            h2 id="history" { "History" }
            @if history.is_empty() {
                p.quiet { "No delivery about this user and no repair is on record." }
            } @else {
                table.list {
                    caption.hidden { "Deliveries and repairs" }
                    thead {
                        tr {
                            th scope="col" { "When" }
                            th scope="col" { "What" }
                            th scope="col" { "Outcome" }
                            th scope="col" { "Lag" }
                        }
                    }
                    tbody {
                        @for happening in history {
                            tr {
                                th scope="row" data-label="When" { (show::moment(happening.at, now)) }
                                td data-label="What" { (what(visit, happening)) }
                                td data-label="Outcome" { (happening.outcome) }
                                td data-label="Lag" {
                                    @match happening.lag_ms {
                                        Some(lag) => { (show::number(lag)) " ms" }
                                        None => span.quiet { "–" },
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn what(visit: &Visit<'_>, happening: &Happening) -> Markup {
    match happening.kind.as_str() {
        "repair" => {
            let run = happening.by.parse().unwrap_or_default();
            html! { a href=(visit.link(&runs::address(run))) { "run " (happening.by) } }
        }
        _ => html! { "delivery of " code { (show::theirs(&happening.by, 80)) } },
    }
}

/// The actions that are offered for a user.
fn actions(visit: &Visit<'_>, person: &Person) -> Markup {
    let connected = visit.access().is_some();
    let compare = format!("compare?id={}", users::encoded(&person.id));
    html! {
        section aria-labelledby="actions" {
            h2.hidden id="actions" { "Actions" }
            div.row {
                @if connected {
                    a.button.second href=(visit.link(&compare)) { "Compare with the provider" }
                    (visit.form("user/read", html! {
                        input type="hidden" name="id" value=(person.id);
                        button.second type="submit" { "Read again" }
                    }))
                }
            }
            @if person.deleted_at.is_some() { (erasure(visit, person)) }
        }
    }
}

/// Only the schema's owner may erase, and only a person decides it.
fn erasure(visit: &Visit<'_>, person: &Person) -> Markup {
    html! {
        details.card {
            summary { "Erase this person" }
            @if visit.connected.owner.is_some() {
                p {
                    "All that is kept of the person is removed, here and among the rejections, \
                     for good. The tombstone stays, so that nothing that arrives late brings \
                     them back."
                }
                (visit.form("user/erase", html! {
                    input type="hidden" name="id" value=(person.id);
                    label for="erase-id" { "The user's id, to confirm" }
                    input type="text" id="erase-id" name="confirmed" required autocomplete="off"
                        spellcheck="false";
                    p { button.danger type="submit" { "Erase for good" } }
                }))
            } @else {
                p {
                    "The schema's owner may erase: put " code { "admin_database_url" } " into the \
                     secret, or call " code { "erase_user" } " as the owner."
                }
            }
        }
    }
}

/// Reads the user at the provider, and takes in what it says.
pub(crate) async fn read_again(visit: &Visit<'_>) -> Result<Response, Fault> {
    let id = reading::id(visit.request.form().get("id"))?;
    let done = match reading::take_in(visit, &id).await? {
        Taken::InSync => "read",
        Taken::Gone => "gone",
        Taken::Overtaken => "overtaken",
    };
    Ok(visit.lead_to(&format!("{}&done={done}", users::address(id.as_str()))))
}

/// Erases the user, as the schema's owner.
pub(crate) async fn erase(visit: &Visit<'_>) -> Result<Response, Fault> {
    let form = visit.request.form();
    let id = form.get("id").unwrap_or_default();
    if form.get("confirmed").map(str::trim) != Some(id.trim()) {
        return Err(Fault::unusable(
            "Nothing was erased: what was typed to confirm is not this user's id.",
        ));
    }
    let owner = visit.connected.owner.as_ref();
    let owner = owner.ok_or_else(|| {
        Fault::refused("Nothing was erased: the secret has no admin_database_url.")
    })?;
    let erased = owner.erase(id).await;
    owner.let_go().await;
    match erased {
        Ok(()) => {
            tracing::info!(who = "the token", "erased a user");
            Ok(visit.lead_to(&format!("{}&done=erased", users::address(id))))
        }
        Err(error) => {
            tracing::error!(%error, "could not erase a user");
            Err(Fault::unusable(
                "Nothing was erased: the database refuses it. Only a user who is deleted can be \
                 erased, and no trigger of the table may keep the row.",
            ))
        }
    }
}

fn columns(person: &Person) -> Markup {
    let moment = |at: Option<At>, nothing: &'static str| match at {
        Some(at) => show::moment_in_full(at, person.now),
        None => html! { span.quiet { (nothing) } },
    };
    let words = |text: &Option<String>| match text {
        Some(text) => show::theirs(text, 20_000),
        None => html! { span.quiet { "none" } },
    };
    html! {
        section.card aria-labelledby="row" {
            h2.hidden id="row" { "Row" }
            dl.facts {
                dt { "State" }
                dd { (users::state(person.deleted_at.is_some(), person.updated_at.is_some())) }
                dt { "Id" }
                dd { code { (show::theirs(&person.id, 1024)) } }
                dt { "Name" }
                dd { (words(&person.name)) }
                dt { "E-mail" }
                dd { (words(&person.email)) }
                dt { "Signed up" }
                dd { (moment(person.created_at, "unknown")) }
                dt { "Version" }
                dd { (moment(person.updated_at, "no profile has arrived yet")) }
                @if person.deleted_at.is_some() {
                    dt { "Deleted" }
                    dd { (moment(person.deleted_at, "")) }
                }
            }
        }
    }
}
