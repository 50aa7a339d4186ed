//! The keys: pasted, tried, kept.

use std::sync::Arc;

use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::guide::{Field, Guide, Proof};
use super::random;
use crate::app::Connected;
use crate::fault::{Fault, sentence};
use crate::layout::Page;
use crate::response::Response;
use crate::visit::Visit;

/// Says what is wrong with the value that was pasted.
pub(super) struct Problem {
    /// The field that it is about, if it is about one.
    pub(super) field: Option<&'static str>,
    pub(super) words: String,
}

/// The form.
pub(super) fn page(visit: &Visit<'_>, guide: &'static Guide) -> Result<Response, Fault> {
    Ok(visit.page(form(visit, guide, None)))
}

fn form<'a>(visit: &Visit<'_>, guide: &'static Guide, problem: Option<&Problem>) -> Page<'a> {
    let known = visit.connected.opened.provider_settings();
    Page {
        title: guide.title,
        place: "connect",
        refresh: None,
        body: html! {
            @if let Some(problem) = problem {
                p.notice.bad role="alert" id="problem" { (problem.words) }
            }
            div.card {
                (visit.form(&format!("connect/{}", guide.name), html! {
                    @for field in guide.fields {
                        (input(visit, field, &known, problem))
                    }
                    p.quiet {
                        "They are tried at " (guide.title) " first. Then the schema is made or \
                         looked after, and they are kept in the functions' secret, where this page \
                         does not show them again."
                    }
                    div.row {
                        button type="submit" { "Connect" }
                        a.button.plain href=(visit.link("connect")) { "Back" }
                    }
                }))
            }
            @if let Some(account) = guide.account {
                section.card aria-labelledby="instead" {
                    h2 id="instead" { "Instead of keys" }
                    p {
                        "With an access token, which is not kept, this page "
                        @if account.lists { "lists the " (account.many) " to choose from, or makes one" }
                        @else { "makes a " (account.one) " on a server of your own" }
                        ", and fetches its keys."
                    }
                    p {
                        a.button.second href=(visit.link(&format!("connect/{}/projects", guide.name))) {
                            @if account.lists { "Choose with an access token" } @else { "Make a " (account.one) }
                        }
                    }
                }
            }
            (super::links(&(guide.links)(&Value::Null)))
        },
    }
}

pub(super) fn input(
    visit: &Visit<'_>,
    field: &Field,
    known: &Value,
    problem: Option<&Problem>,
) -> Markup {
    let wrong = problem.is_some_and(|problem| problem.field == Some(field.name));
    let hint = format!("{}-hint", field.name);
    let described = match wrong {
        true => format!("problem {hint}"),
        false => hint.clone(),
    };
    // Only what everybody may see is there again.
    let value = match field.hidden {
        true => None,
        false => {
            let typed = visit.request.form().get(field.name);
            typed.or_else(|| known[field.name].as_str())
        }
    };
    let kind = if field.hidden { "password" } else { "text" };
    html! {
        label for=(field.name) {
            (field.label)
            @if field.optional { span.quiet { " (not needed)" } }
        }
        input type=(kind) id=(field.name) name=(field.name) value=[value] maxlength="4096"
            required[!field.optional] autocomplete="off" autocapitalize="off" spellcheck="false"
            aria-describedby=(described) aria-invalid=[wrong.then_some("true")];
        p.hint id=(hint) { (field.hint) }
    }
}

/// Takes the keys that were pasted.
pub(super) async fn take(visit: &Visit<'_>, guide: &'static Guide) -> Result<Response, Fault> {
    match keep(visit, guide, pasted(visit, guide)).await {
        Ok(_) => Ok(visit.lead_to("connect/deliveries?done=connected")),
        Err(problem) => Ok(visit.page_again(form(visit, guide, Some(&problem)))),
    }
}

/// Tries these settings, provisions, and keeps them; the secret as it is then.
pub(super) async fn keep(
    visit: &Visit<'_>,
    guide: &'static Guide,
    settings: Map<String, Value>,
) -> Result<Arc<Connected>, Problem> {
    if let Some(wrong) = (guide.wrong)(&Value::Object(settings.clone())) {
        return Err(Problem {
            field: Some(wrong.field),
            words: wrong.problem.to_owned(),
        });
    }
    let token = random::secret().map_err(|_| Problem {
        field: None,
        words: "This machine gives no random bytes.".to_owned(),
    })?;
    let change = |fields: &mut Map<String, Value>| put(fields, guide, &settings, &token);
    let app = visit.app;
    let failed = |error: anyhow::Error| in_words(guide, &format!("{error:#}"));
    let draft = app.credentials.draft(change).await.map_err(failed)?;
    let access = draft.access.as_ref().ok_or_else(|| Problem {
        field: None,
        words: "The provider is missing.".to_owned(),
    })?;
    provision::provision_for(&app.client, &app.schema, access, visit.until)
        .await
        .map_err(failed)?;
    // The secret is read anew: somebody may have changed something else meanwhile.
    let opened = app.credentials.change(change).await.map_err(failed)?;
    let connected = app.take_in(opened).await;
    tracing::info!(
        who = "the token",
        provider = guide.name,
        "connected a provider"
    );
    Ok(connected)
}

/// The fields that were filled in.
fn pasted(visit: &Visit<'_>, guide: &Guide) -> Map<String, Value> {
    let mut settings = Map::new();
    settings.insert("name".to_owned(), guide.name.into());
    for field in guide.fields {
        let value = visit.request.form().get(field.name).map(str::trim);
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            settings.insert(field.name.to_owned(), value.into());
        }
    }
    settings
}

/// Puts the provider into the secret. What proves deliveries stays where the
/// provider stays; else the deliveries that come are another project's.
fn put(fields: &mut Map<String, Value>, guide: &Guide, settings: &Map<String, Value>, token: &str) {
    let before = fields.get("provider").cloned().unwrap_or_default();
    let stays = before["name"] == guide.name && same_project(&before, settings);
    let mut provider = settings.clone();
    if guide.proof == Proof::Signature {
        if !stays || !fields.contains_key("signing_secrets") {
            fields.insert("signing_secrets".to_owned(), json!([]));
        }
    } else {
        fields.remove("signing_secrets");
        let known = before.get("webhook_token").filter(|_| stays).cloned();
        provider.insert("webhook_token".to_owned(), known.unwrap_or(token.into()));
    }
    fields.insert("provider".to_owned(), Value::Object(provider));
}

/// Whether both name one project, as far as they name one.
fn same_project(before: &Value, settings: &Map<String, Value>) -> bool {
    ["project_id", "domain", "project_url", "api_url"]
        .iter()
        .all(|name| before.get(name) == settings.get(*name))
}

/// An error of the functions', with the form's labels for the secret's fields.
fn in_words(guide: &'static Guide, error: &str) -> Problem {
    let mut words = sentence(error);
    let mut about = None;
    for field in guide.fields {
        let name = format!("provider.{}", field.name);
        if words.contains(&name) {
            about = about.or(Some(field.name));
            words = words.replace(&name, &format!("“{}”", field.label));
        }
    }
    Problem {
        field: about,
        words,
    }
}

#[cfg(test)]
mod tests {
    use super::super::guide;
    use super::*;

    fn secret(text: &str) -> Map<String, Value> {
        serde_json::from_str(text).unwrap()
    }

    fn settings(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn another_provider_takes_nothing_of_the_one_before() {
        let mut fields = secret(
            r#"{"database_url":"d","redact":["/x"],"signing_secrets":["whsec_old"],
                "provider":{"name":"stack","project_id":"p","secret_server_key":"k"}}"#,
        );
        let supabase = settings(json!({"name": "supabase", "project_url": "https://h"}));
        let guide = guide::of("supabase").unwrap();
        put(&mut fields, guide, &supabase, "made up");
        assert_eq!(fields.get("signing_secrets"), None);
        assert_eq!(fields["provider"]["webhook_token"], "made up");
        assert_eq!(fields["redact"][0], "/x");

        let clerk = settings(json!({"name": "clerk", "secret_key": "sk_1"}));
        let guide = guide::of("clerk").unwrap();
        put(&mut fields, guide, &clerk, "made up");
        assert_eq!(fields["signing_secrets"], json!([]));
        assert_eq!(
            fields["provider"],
            json!({"name": "clerk", "secret_key": "sk_1"})
        );
    }

    #[test]
    fn new_keys_of_one_project_leave_its_deliveries_as_they_are() {
        let mut fields = secret(
            r#"{"signing_secrets":["whsec_old"],
                "provider":{"name":"stack","project_id":"p","secret_server_key":"k"}}"#,
        );
        let guide = guide::of("stack").unwrap();
        let again =
            settings(json!({"name": "stack", "project_id": "p", "secret_server_key": "new"}));
        put(&mut fields, guide, &again, "made up");
        assert_eq!(fields["signing_secrets"], json!(["whsec_old"]));
        assert_eq!(fields["provider"]["secret_server_key"], "new");
        let other =
            settings(json!({"name": "stack", "project_id": "q", "secret_server_key": "new"}));
        put(&mut fields, guide, &other, "made up");
        assert_eq!(fields["signing_secrets"], json!([]));

        let mut fields = secret(
            r#"{"provider":{"name":"auth0","domain":"d","client_id":"i","client_secret":"s",
                "webhook_token":"kept"}}"#,
        );
        let guide = guide::of("auth0").unwrap();
        let again = json!({"name": "auth0", "domain": "d", "client_id": "i", "client_secret": "t"});
        put(&mut fields, guide, &settings(again), "made up");
        assert_eq!(fields["provider"]["webhook_token"], "kept");
    }

    #[test]
    fn an_error_names_the_field_by_its_label() {
        let guide = guide::of("clerk").unwrap();
        let problem = in_words(guide, "try the key: put it into provider.secret_key");
        assert_eq!(problem.words, "Try the key: put it into “Secret key”.");
        assert_eq!(problem.field, Some("secret_key"));
    }
}
