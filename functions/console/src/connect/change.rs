//! Users changed at the provider. The table follows by the delivery that comes of
//! it.

use maud::{Markup, html};
use shared::client::Unanswered;
use shared::exchange::AnswerError;
use shared::manage::{Change, Done, Known, Management, Newcomer};
use shared::profile::UserId;

use super::deliveries::effort;
use super::random;
use crate::fault::{Fault, sentence};
use crate::layout::Page;
use crate::response::Response;
use crate::show;
use crate::users::encoded;
use crate::visit::Visit;

/// Bytes that a name or an e-mail address may have.
const LONGEST: usize = 1024;

/// Answers a request for `connect/user` or what lies below it.
pub(super) async fn answer(
    visit: &Visit<'_>,
    rest: &str,
    changes: bool,
) -> Result<Response, Fault> {
    match (rest, changes) {
        ("new", false) => Ok(visit.page(newcomer(visit, None))),
        ("new", true) => create(visit).await,
        ("awaited", false) => awaited(visit).await,
        ("rename" | "email" | "delete", true) => change(visit, rest).await,
        _ => Err(Fault::not_found("There is no such page.")),
    }
}

/// The changes at the provider that are offered for a living user.
pub(crate) fn controls(
    visit: &Visit<'_>,
    id: &str,
    name: Option<&str>,
    email: Option<&str>,
) -> Markup {
    let field = |what: &str, label: &str, kind: &str, value: Option<&str>, verb: &str| {
        // What can't be shown as it is can't be edited either, only replaced.
        let value = value.filter(|value| value.len() <= LONGEST && show::is_editable(value));
        visit.form(
            &format!("connect/user/{what}"),
            html! {
                input type="hidden" name="id" value=(id);
                label for=(what) { (label) }
                div.row {
                    input.wide type=(kind) id=(what) name="value" value=[value] required
                        maxlength=(LONGEST) autocomplete="off" spellcheck="false";
                    button.second type="submit" { (verb) }
                }
            },
        )
    };
    html! {
        section.card aria-labelledby="manage" {
            h2 id="manage" { "At the provider" }
            p.quiet { "A change is made there. The table follows by the delivery that comes of it." }
            (field("rename", "Name", "text", name, "Rename"))
            (field("email", "E-mail", "email", email, "Change"))
            details {
                summary { "Delete this user at the provider" }
                (visit.form("connect/user/delete", html! {
                    input type="hidden" name="id" value=(id);
                    label.check {
                        input type="checkbox" name="sure" value="yes" required;
                        " The user loses the account. It can’t be undone from here."
                    }
                    button.danger type="submit" { "Delete" }
                }))
            }
        }
    }
}

fn newcomer<'a>(visit: &Visit<'_>, problem: Option<&str>) -> Page<'a> {
    let typed = |name| visit.request.form().get(name);
    Page {
        title: "New user",
        place: "users",
        refresh: None,
        body: html! {
            @if let Some(problem) = problem {
                p.notice.bad role="alert" id="problem" { (problem) }
            }
            div.card {
                (visit.form("connect/user/new", html! {
                    label for="email" { "E-mail" }
                    input type="email" id="email" name="email" value=[typed("email")] required
                        maxlength=(LONGEST) autocomplete="off"
                        aria-describedby=[problem.map(|_| "problem")];
                    label for="name" { "Name" span.quiet { " (not needed)" } }
                    input type="text" id="name" name="name" value=[typed("name")]
                        maxlength=(LONGEST) autocomplete="off";
                    p.hint {
                        "The user is made at the provider, without a password that anybody knows: \
                         they sign in by e-mail, or set one."
                    }
                    button type="submit" { "Create" }
                }))
            }
        },
    }
}

async fn create(visit: &Visit<'_>) -> Result<Response, Fault> {
    let form = visit.request.form();
    let email = form.get("email").unwrap_or_default().trim();
    let name = form
        .get("name")
        .map(str::trim)
        .filter(|name| !name.is_empty());
    let again = |problem: &str| Ok(visit.page_again(newcomer(visit, Some(problem))));
    if let Some(problem) = wrong_email(email).or_else(|| name.and_then(wrong_length)) {
        return again(problem);
    }
    let password = random::secret().map_err(|_| Fault::unavailable("No random bytes."))?;
    let change = Change::Create(Newcomer {
        name,
        email,
        password: &password,
    });
    match send(visit, change).await? {
        Ok(Done::Created(id)) => {
            tracing::info!(
                who = "the token",
                user = id.as_str(),
                "created a user at the provider"
            );
            let id = encoded(id.as_str());
            Ok(visit.lead_to(&format!("connect/user/awaited?done=created&id={id}")))
        }
        Ok(Done::Changed | Done::NoSuchUser) => {
            again("The provider did not name the user that it made.")
        }
        Err(words) => again(&words),
    }
}

/// Waits for the table to follow.
async fn awaited(visit: &Visit<'_>) -> Result<Response, Fault> {
    let id = visit.request.query().get("id").unwrap_or_default();
    let there = visit.desk().person(id).await?.is_some();
    Ok(visit.page(Page {
        title: "New user",
        place: "users",
        refresh: (!there).then_some(1),
        body: html! {
            div.card {
                @if there {
                    p.notice.good role="status" { "The user has arrived in the table." }
                    p {
                        a.button href=(visit.link(&format!("user?id={}", encoded(id)))) {
                            "To the user"
                        }
                    }
                } @else {
                    p role="status" {
                        "The table has not heard of the user yet: the delivery is on its way. If \
                         none comes, the next run takes the user in."
                    }
                    p {
                        a.button.second href=(visit.link(&format!("connect/user/awaited?id={}", encoded(id)))) {
                            "Look again"
                        }
                    }
                }
                dl.facts { dt { "Id" } dd { code { (show::theirs(id, 1024)) } } }
            }
        },
    }))
}

async fn change(visit: &Visit<'_>, what: &str) -> Result<Response, Fault> {
    let form = visit.request.form();
    let asked = form.get("id").unwrap_or_default();
    let id = UserId::new(asked).map_err(|_| Fault::unusable("No user has such an id."))?;
    let value = form.get("value").unwrap_or_default().trim();
    let person = visit.desk().person(id.as_str()).await?;
    let profile = person.map(|person| person.profile).unwrap_or_default();
    let known = Known {
        id: &id,
        raw_json: &profile,
    };
    let change = match what {
        "rename" => {
            if value.is_empty() {
                return Err(Fault::unusable("The name is empty: type one."));
            }
            refuse(wrong_length(value))?;
            Change::Rename(known, value)
        }
        "email" => {
            refuse(wrong_email(value))?;
            Change::ChangeEmail(known, value)
        }
        _ => {
            if form.get("sure").is_none() {
                return Err(Fault::unusable(
                    "Nobody was deleted: tick the box that says that you mean it.",
                ));
            }
            Change::Delete(&id)
        }
    };
    let done = send(visit, change).await?.map_err(Fault::unusable)?;
    let (verb, word) = match what {
        "rename" => ("renamed a user at the provider", "renamed"),
        "email" => ("changed a user's e-mail at the provider", "email-changed"),
        _ => ("deleted a user at the provider", "deleted"),
    };
    let word = match done {
        Done::NoSuchUser => "nobody",
        _ => {
            tracing::info!(who = "the token", user = id.as_str(), "{verb}");
            word
        }
    };
    Ok(visit.lead_to(&format!("user?done={word}&id={}", encoded(id.as_str()))))
}

/// Sends a change once; the words of a refusal.
async fn send(visit: &Visit<'_>, change: Change<'_>) -> Result<Result<Done, String>, Fault> {
    let access = visit.access().ok_or_else(Fault::not_connected)?;
    let provider = &*access.provider;
    let management = Management::of(provider)
        .ok_or_else(|| Fault::unusable("Users of this provider can’t be changed from here."))?;
    let request = management.request(change);
    let read = |answer: &_| management.read(change, answer);
    let sent = visit
        .app
        .client
        .ask(provider, &request, effort(visit), read)
        .await;
    match sent {
        Ok(done) => Ok(Ok(done)),
        Err(Unanswered::Misread(AnswerError::Refused(words))) => Ok(Err(sentence(&words))),
        Err(error) => Err(error.into()),
    }
}

fn refuse(problem: Option<&'static str>) -> Result<(), Fault> {
    problem.map_or(Ok(()), |problem| Err(Fault::unusable(problem)))
}

fn wrong_email(email: &str) -> Option<&'static str> {
    let (name, host) = email.split_once('@').unwrap_or_default();
    let sound = !name.is_empty() && host.len() > 2 && !email.contains(char::is_whitespace);
    match sound {
        true => wrong_length(email),
        false => Some("This is no e-mail address: it looks like ada@example.com."),
    }
}

fn wrong_length(text: &str) -> Option<&'static str> {
    (text.len() > LONGEST).then_some("This is too long.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_name_and_a_host() {
        for email in ["ada@example.com", "a@b.c", "ä@ö.de"] {
            assert_eq!(wrong_email(email), None, "{email}");
        }
        for email in ["", "ada", "@example.com", "ada@", "a b@example.com", "a@b"] {
            assert!(wrong_email(email).is_some(), "{email}");
        }
        assert!(wrong_email(&format!("a@{}", "b".repeat(LONGEST))).is_some());
    }
}
