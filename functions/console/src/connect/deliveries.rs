//! Deliveries: how the provider is told where to send, and whether it does.

use std::time::Duration;

use maud::{Markup, html};
use serde_json::Value;
use shared::client::Effort;
use shared::store::StoreError;
use shared::subscribe::{Next, Subscription, Wanted};
use shared::time::At;
use tokio::time::Instant;

use super::guide::{self, Guide, Proof};
use super::random;
use crate::app::App;
use crate::drive;
use crate::fault::{Fault, sentence};
use crate::layout::Page;
use crate::response::Response;
use crate::show;
use crate::users::encoded;
use crate::visit::Visit;

/// Seconds after which the page looks again for the first delivery.
const LOOK_AGAIN: u32 = 2;

/// How deliveries stand.
pub(super) struct State {
    last: Option<At>,
    now: At,
    /// Whether the secret can prove a delivery.
    provable: bool,
}

/// How deliveries of the connected provider stand.
pub(super) async fn state(visit: &Visit<'_>) -> Result<State, Fault> {
    let (last, now) = match visit.desk().last_delivery().await {
        Ok(delivery) => (delivery.at, delivery.now),
        // The schema is an older release's: nothing is recorded yet.
        Err(StoreError::NotProvisioned) => (None, visit.desk().now().await?),
        Err(error) => return Err(error.into()),
    };
    Ok(State {
        last,
        now,
        provable: visit
            .access()
            .is_some_and(|access| access.provider.has_secret()),
    })
}

impl State {
    pub(super) fn words(&self) -> Markup {
        html! {
            @match (self.last, self.provable) {
                (Some(at), _) => {
                    p.notice.good role="status" {
                        "Deliveries arrive. The last one came " (show::moment(at, self.now)) "."
                    }
                }
                (None, true) => {
                    p.notice role="status" {
                        "No delivery has arrived yet. This turns green with the first one: have \
                         somebody sign up, or change a user at the provider."
                    }
                }
                (None, false) => {
                    p.notice role="status" {
                        "No delivery can be taken yet: the signing secret is missing."
                    }
                }
            }
        }
    }
}

/// Answers a request for `connect/deliveries` or what lies below it.
pub(super) async fn answer(
    visit: &Visit<'_>,
    rest: &str,
    changes: bool,
) -> Result<Response, Fault> {
    let settings = visit.connected.opened.provider_settings();
    let guide = settings["name"].as_str().and_then(guide::of);
    let guide = guide.ok_or_else(Fault::not_connected)?;
    let here = Here {
        visit,
        guide,
        settings,
    };
    match (rest, changes) {
        ("", false) => here.page(None, None).await,
        ("secret", true) => here.take_secret().await,
        ("order", true) => here.order().await,
        ("token", true) => here.renew_token().await,
        _ => Err(Fault::not_found("There is no such page.")),
    }
}

/// The address that deliveries are to go to: the one that this function was told,
/// or that a person typed.
pub(super) fn url(visit: &Visit<'_>) -> Option<String> {
    let request = visit.request;
    let typed = request
        .form()
        .get("url")
        .or_else(|| request.query().get("url"));
    let known = visit.app.webhook_url.as_deref();
    let url = known.or(typed)?.trim();
    let sound = url.starts_with("https://") || url.starts_with("http://");
    (sound && url.len() <= 2048 && !url.contains(char::is_whitespace)).then(|| url.to_owned())
}

/// The path of the page, with the address that was typed.
pub(super) fn lead_back(visit: &Visit<'_>, done: &str) -> Response {
    let typed = visit.app.webhook_url.is_none();
    let url = url(visit).filter(|_| typed);
    let url = url.map(|url| format!("&url={}", encoded(&url)));
    let place = format!("connect/deliveries?done={done}{}", url.unwrap_or_default());
    visit.lead_to(&place)
}

struct Here<'a, 'v> {
    visit: &'a Visit<'v>,
    guide: &'static Guide,
    settings: Value,
}

impl Here<'_, '_> {
    fn url(&self) -> Option<String> {
        url(self.visit)
    }

    /// The page; `problem`: what went wrong; `shown`: a token that is shown this once.
    async fn page(&self, problem: Option<&str>, shown: Option<&str>) -> Result<Response, Fault> {
        let state = state(self.visit).await?;
        // What is shown once must stay until it is copied.
        let waits = state.last.is_none() && shown.is_none() && self.url().is_some();
        let page = Page {
            title: "Deliveries",
            place: "connect",
            refresh: waits.then_some(LOOK_AGAIN),
            body: html! {
                @if let Some(problem) = problem {
                    p.notice.bad role="alert" { (problem) }
                }
                (state.words())
                @match self.url() {
                    None => (self.ask_for_url()),
                    Some(url) => (self.steps(&url, shown)),
                }
                (self.first_sync())
            },
        };
        Ok(match problem {
            Some(_) => self.visit.page_again(page),
            None => self.visit.page(page),
        })
    }

    fn ask_for_url(&self) -> Markup {
        html! {
            form.card method="get" action=(self.visit.link("connect/deliveries")) {
                (url_field("url", None))
                button type="submit" { "Go on" }
            }
        }
    }

    fn steps(&self, url: &str, shown: Option<&str>) -> Markup {
        html! {
            @if self.orders() {
                section.card aria-labelledby="order" {
                    h2 id="order" { "Have " (self.guide.title) " deliver" }
                    p {
                        "The endpoint is made through " (self.guide.title) "’s API, for users who \
                         are created, updated and deleted. One that is there already is put right."
                    }
                    (self.visit.form("connect/deliveries/order", html! {
                        input type="hidden" name="url" value=(url);
                        button type="submit" { "Set it up" }
                    }))
                }
            }
            section.card aria-labelledby="by-hand" {
                h2 id="by-hand" { @if self.orders() { "Or do it by hand" } @else { "At " (self.guide.title) } }
                ol {
                    @for step in self.guide.steps { li { (step) } }
                }
                @if self.guide.proof != Proof::Sql {
                    (copied("endpoint", "Address", url))
                }
                h3 { "Events" }
                ul { @for event in self.guide.events { li { code { (event) } } } }
                @match self.guide.proof {
                    Proof::Signature => (self.secret_form(url)),
                    Proof::Token | Proof::Sql => (self.token(url, shown)),
                }
                (super::links(&(self.guide.links)(&self.settings)))
            }
        }
    }

    fn secret_form(&self, url: &str) -> Markup {
        let visit = self.visit;
        html! {
            (visit.form("connect/deliveries/secret", html! {
                input type="hidden" name="url" value=(url);
                label for="signing_secret" { "Signing secret" }
                input type="password" id="signing_secret" name="signing_secret" required
                    maxlength="512" autocomplete="off" spellcheck="false"
                    aria-describedby="signing-hint";
                p.hint id="signing-hint" {
                    "Begins with whsec_. One that is kept already stays good until you take it out \
                     of the secret."
                }
                button type="submit" { "Keep it" }
            }))
        }
    }

    fn token(&self, url: &str, shown: Option<&str>) -> Markup {
        let sql = self.guide.proof == Proof::Sql;
        let what = if sql { "SQL" } else { "token" };
        html! {
            @if let Some(shown) = shown {
                p.notice role="status" {
                    "Copy it now: it is not shown again. Deliveries with the earlier token are \
                     refused from now on."
                }
                @if sql {
                    (copied("sql", "SQL", shown))
                } @else {
                    (copied("token", "Token", shown))
                }
            } @else {
                (self.visit.form("connect/deliveries/token", html! {
                    input type="hidden" name="url" value=(url);
                    p {
                        "Deliveries carry a token. The " (what) " is shown once, with a new token."
                    }
                    button.second[self.orders()] type="submit" { "Show the " (what) }
                }))
            }
        }
    }

    fn first_sync(&self) -> Markup {
        html! {
            section.card aria-labelledby="first" {
                h2 id="first" { "Users who are there already" }
                p { "A run takes them in, now or by the schedule." }
                (drive::button(self.visit, "Take them in"))
            }
        }
    }

    /// Whether deliveries can be ordered through the API.
    fn orders(&self) -> bool {
        let Some(access) = self.visit.access() else {
            return false;
        };
        let wanted = Wanted {
            url: String::new(),
            token: None,
        };
        Subscription::of(&*access.provider, wanted).is_some()
    }

    async fn take_secret(&self) -> Result<Response, Fault> {
        let pasted = self.visit.request.form().get("signing_secret");
        let pasted = pasted.unwrap_or_default().trim().to_owned();
        match self.keep_secret(pasted).await {
            Ok(()) => {
                tracing::info!(who = "the token", "added a signing secret");
                Ok(lead_back(self.visit, "signing-secret"))
            }
            Err(error) => self.page(Some(&error), None).await,
        }
    }

    async fn keep_secret(&self, pasted: String) -> Result<(), String> {
        keep_secret(self.visit.app, &pasted).await
    }

    async fn write(
        &self,
        change: impl FnOnce(&mut serde_json::Map<String, Value>),
    ) -> Result<(), String> {
        write(self.visit.app, change).await
    }

    /// Orders deliveries through the API.
    async fn order(&self) -> Result<Response, Fault> {
        let Some(url) = self.url() else {
            return self
                .page(Some("The address of webhook is missing."), None)
                .await;
        };
        match self.ordered(url).await {
            Ok(()) => {
                tracing::info!(who = "the token", "ordered deliveries at the provider");
                Ok(lead_back(self.visit, "ordered"))
            }
            Err(error) => self.page(Some(&error), None).await,
        }
    }

    async fn ordered(&self, url: String) -> Result<(), String> {
        let access = self.visit.access().ok_or("No provider is connected.")?;
        let provider = &*access.provider;
        let wanted = Wanted {
            url,
            token: self.settings["webhook_token"].as_str().map(str::to_owned),
        };
        let mut order =
            Subscription::of(provider, wanted).ok_or("This provider’s API makes no endpoints.")?;
        loop {
            let request = order.request();
            let client = &self.visit.app.client;
            let asked = client
                .ask(provider, &request, effort(self.visit), |answer| {
                    order.read(answer)
                })
                .await;
            match asked.map_err(|error| sentence(&error.to_string()))? {
                Next::Ask => {}
                Next::Ordered {
                    signing_secret: Some(secret),
                } => return self.keep_secret(secret).await,
                Next::Ordered {
                    signing_secret: None,
                } => return Ok(()),
            }
        }
    }

    /// Makes a new token, keeps it, and shows it this once.
    async fn renew_token(&self) -> Result<Response, Fault> {
        let Some(url) = self.url() else {
            return self
                .page(Some("The address of webhook is missing."), None)
                .await;
        };
        let token = random::secret().map_err(|_| Fault::unavailable("No random bytes."))?;
        let change = |fields: &mut serde_json::Map<String, Value>| {
            if let Some(provider) = fields.get_mut("provider").and_then(Value::as_object_mut) {
                provider.insert("webhook_token".to_owned(), token.as_str().into());
            }
        };
        if let Err(error) = self.write(change).await {
            return self.page(Some(&error), None).await;
        }
        tracing::info!(who = "the token", "made a new token for deliveries");
        let access = self.visit.access().ok_or_else(Fault::not_connected)?;
        let shown = match access.provider.install_sql() {
            Some(sql) => filled_in(sql, &url, &token),
            None => token,
        };
        self.page(None, Some(&shown)).await
    }
}

/// Puts a signing secret first; those that are there stay.
pub(super) async fn keep_secret(app: &App, pasted: &str) -> Result<(), String> {
    if !pasted.starts_with("whsec_") {
        return Err(
            "This is no signing secret: it begins with whsec_. Copy it from the endpoint’s own \
             page at the provider."
                .to_owned(),
        );
    }
    let change = |fields: &mut serde_json::Map<String, Value>| {
        let mut kept = vec![Value::from(pasted)];
        let known = fields.get("signing_secrets").and_then(Value::as_array);
        let known = known.into_iter().flatten();
        kept.extend(known.filter(|secret| **secret != pasted).cloned());
        fields.insert("signing_secrets".to_owned(), kept.into());
    };
    write(app, change).await
}

async fn write(
    app: &App,
    change: impl FnOnce(&mut serde_json::Map<String, Value>),
) -> Result<(), String> {
    let opened = app.credentials.change(change).await;
    let opened = opened.map_err(|error| sentence(&format!("{error:#}")))?;
    app.take_in(opened).await;
    Ok(())
}

/// The field for the address of `webhook`, with an id of its own on the page;
/// `typed`: what it holds already.
pub(super) fn url_field(id: &str, typed: Option<&str>) -> Markup {
    let hint = format!("{id}-hint");
    html! {
        label for=(id) { "Address of the function webhook" }
        input type="url" id=(id) name="url" value=[typed] required maxlength="2048"
            autocomplete="off" placeholder="https://….lambda-url.eu-central-1.on.aws/"
            aria-describedby=(hint);
        p.hint id=(hint) {
            "The output WebhookUrl of the stack. The variable WEBHOOK_URL would tell it to this \
             function."
        }
    }
}

/// The SQL with its two values, each as a part of a literal.
pub(super) fn filled_in(sql: &str, url: &str, token: &str) -> String {
    // The comment at the top tells what they are: here they are filled in.
    let body = sql.lines().skip_while(|line| line.starts_with("--"));
    let body: Vec<&str> = body.collect();
    let literal = |text: &str| text.replace('\'', "''");
    body.join("\n")
        .trim_start()
        .replace("WEBHOOK_URL", &literal(url))
        .replace("WEBHOOK_TOKEN", &literal(token))
}

/// A text to copy.
fn copied(id: &str, label: &str, text: &str) -> Markup {
    let rows = text.lines().count().clamp(1, 12);
    html! {
        label for=(id) { (label) }
        @if rows == 1 {
            input type="text" id=(id) value=(text) readonly;
        } @else {
            textarea id=(id) rows=(rows) readonly spellcheck="false" { (text) }
        }
    }
}

/// Each request is sent once.
pub(super) fn effort(visit: &Visit<'_>) -> Effort {
    Effort {
        until: visit.until.min(Instant::now() + Duration::from_secs(20)),
        attempts: 1,
        attempt: Duration::from_secs(10),
        size: 1 << 20,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sql_is_whole_and_its_values_are_literals() {
        let sql = "-- about WEBHOOK_URL\n-- and WEBHOOK_TOKEN\n\nCREATE x;\n  url := 'WEBHOOK_URL',\n  -- why\n  'Bearer WEBHOOK_TOKEN'\n";
        assert_eq!(
            filled_in(sql, "https://h/it's", "t"),
            "CREATE x;\n  url := 'https://h/it''s',\n  -- why\n  'Bearer t'"
        );
    }
}
