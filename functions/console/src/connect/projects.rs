//! A project picked, or made, with an access token of the person's account; then
//! its keys take the way that pasted ones take, and deliveries are ordered, too.
//!
//! Invariant: the token is in the form that it was pasted into, and in the requests
//! of that one answer. It is in no page, address, log line, cookie or secret, so
//! each form asks for it anew.

mod pages;

use std::time::Duration;

use shared::client::{Effort, Unanswered};
use shared::exchange::AnswerError;
use shared::projects::{Account, Chosen, Deliveries, Errand, LONGEST_NAME, New, Outcome};

use super::guide::{self, Guide};
use super::keys::{self, Problem};
use super::{deliveries, random};
use crate::app::Connected;
use crate::fault::{Fault, sentence};
use crate::response::Response;
use crate::visit::Visit;

/// A listing of hundreds of projects is large.
const LARGEST: usize = 8 << 20;

/// A visit to the projects of one provider.
pub(super) struct Here<'a, 'v> {
    visit: &'a Visit<'v>,
    guide: &'static Guide,
    account: &'static guide::Account,
}

impl<'a, 'v> Here<'a, 'v> {
    /// For the providers whose accounts are known.
    pub(super) fn of(visit: &'a Visit<'v>) -> impl Fn(&'static Guide) -> Option<Self> {
        move |guide| {
            let account = guide.account?;
            Some(Self {
                visit,
                guide,
                account,
            })
        }
    }

    /// Answers a request for `connect/NAME/projects` or what lies below it.
    pub(super) async fn answer(&self, below: &str, changes: bool) -> Result<Response, Fault> {
        let done = match (below, changes) {
            ("projects", false) => return Ok(self.ask(None)),
            ("projects", true) if self.account.lists => self.list().await,
            ("projects/choose", true) if self.account.lists => self.choose().await,
            ("projects/make", true) => self.make().await,
            _ => return Err(Fault::not_found("There is no such page.")),
        };
        Ok(done.unwrap_or_else(|problem| self.ask(Some(&problem))))
    }

    async fn list(&self) -> Result<Response, Problem> {
        let account = self.open()?;
        let errand = account.list().ok_or_else(|| whole("Nothing is listed."))?;
        self.run(&account, errand).await
    }

    async fn choose(&self) -> Result<Response, Problem> {
        let chosen = self.typed("project");
        if chosen.is_empty() {
            let one = self.account.one;
            return Err(whole(format!("Nothing was chosen: choose the {one}.")));
        }
        let account = self.open()?;
        let errand = account.choose(chosen);
        let errand = errand.ok_or_else(|| whole("There is no such choice: list them again."))?;
        self.run(&account, errand).await
    }

    async fn make(&self) -> Result<Response, Problem> {
        let new = self.wanted()?;
        let account = self.open()?;
        self.refuse_a_second_project().await?;
        self.run(&account, account.make(new)).await
    }

    /// A field as it was typed.
    fn typed(&self, name: &str) -> &str {
        let value = self.visit.request.form().get(name);
        value.unwrap_or_default().trim()
    }

    /// The account that the token opens.
    fn open(&self) -> Result<Account, Problem> {
        let token = self.typed("access_token");
        if let Some(problem) = (self.account.wrong)(token).filter(|_| !token.is_empty()) {
            return Err(Problem {
                field: Some("access_token"),
                words: problem.to_owned(),
            });
        }
        let address = Some(self.typed("api_url")).filter(|address| !address.is_empty());
        let accounts = &self.visit.app.accounts;
        let account = accounts.open(self.guide.name, token, address);
        let account = account.ok_or_else(|| whole("No accounts of this provider are known."))?;
        account.map_err(|wrong| {
            let fields = [Some(&self.account.token), self.account.address.as_ref()];
            let mut fields = fields.into_iter().flatten();
            let field = fields.find(|field| field.name == wrong.field);
            let label = field.map_or(wrong.field.as_str(), |field| field.label);
            Problem {
                field: field.map(|field| field.name),
                words: sentence(&format!("“{label}” {}", wrong.problem)),
            }
        })
    }

    fn wanted(&self) -> Result<New, Problem> {
        let name = self.typed("name");
        if name.is_empty() {
            return Err(whole("The new one has no name: type one."));
        }
        if name.len() > LONGEST_NAME {
            return Err(whole(format!(
                "The name is too long: it may have {LONGEST_NAME} bytes."
            )));
        }
        let password = random::secret();
        let password = password.map_err(|_| whole("This machine gives no random bytes."))?;
        Ok(New {
            name: name.to_owned(),
            organization: self.typed("organization").to_owned(),
            region: self.typed("region").to_owned(),
            password,
        })
    }

    /// A new project can't be connected where the schema is bound to one.
    async fn refuse_a_second_project(&self) -> Result<(), Problem> {
        let overview = self.visit.desk().overview().await;
        let bound = overview.ok().and_then(|overview| overview.bound);
        match bound {
            None => Ok(()),
            Some(bound) => Err(whole(format!(
                "Nothing was made: the schema is bound to the project {} of {}, and another one \
                 could not be connected. docs/operating.md says how to bind the schema anew.",
                bound.project, bound.provider
            ))),
        }
    }

    /// Does it all, as far as one answer goes.
    async fn run(&self, account: &Account, mut errand: Errand<'_>) -> Result<Response, Problem> {
        loop {
            let request = errand.request();
            let makes = errand.makes();
            let client = &self.visit.app.client;
            let asked = client
                .ask_bare(account.words(), &request, self.effort(), |answer| {
                    errand.read(answer)
                })
                .await;
            for changed in errand.changes() {
                self.log(changed.what, &changed.project);
            }
            match asked {
                Ok(None) => {}
                Ok(Some(Outcome::Listed(listing))) => return Ok(self.offer(&listing)),
                Ok(Some(Outcome::Made(project))) => return Ok(self.made(&project)),
                Ok(Some(Outcome::Chosen(chosen))) => return self.connect(account, chosen).await,
                Err(error) => {
                    let mut words = sentence(&error.to_string());
                    if makes && may_have_worked(&error) {
                        words.push_str(
                            " It may have been made all the same: look before you make another.",
                        );
                    }
                    return Err(whole(words));
                }
            }
        }
    }

    fn effort(&self) -> Effort {
        Effort {
            until: self.visit.until,
            attempts: 1,
            attempt: Duration::from_secs(15),
            size: LARGEST,
        }
    }

    fn log(&self, what: &'static str, project: &str) {
        let provider = self.guide.name;
        tracing::info!(who = "the token", provider, project, "{what}");
    }

    /// The way that pasted keys take, and deliveries.
    async fn connect(&self, account: &Account, mut chosen: Chosen) -> Result<Response, Problem> {
        let mut settings = std::mem::take(&mut chosen.settings);
        settings.insert("name".to_owned(), self.guide.name.into());
        let connected = keys::keep(self.visit, self.guide, settings).await?;
        let (Some(done), Some(url)) = (self.account.orders, deliveries::url(self.visit)) else {
            return Ok(self.visit.lead_to("connect/deliveries?done=connected"));
        };
        match self.order(account, &chosen, &connected, &url).await {
            Ok(()) => {
                self.log(done, &chosen.project);
                Ok(deliveries::lead_back(self.visit, "all-set"))
            }
            Err(problem) => Ok(self.connected_in_part(&problem)),
        }
    }

    /// Has the project deliver, and keeps what signs its deliveries.
    async fn order(
        &self,
        account: &Account,
        chosen: &Chosen,
        connected: &Connected,
        url: &str,
    ) -> Result<(), String> {
        let settings = connected.opened.provider_settings();
        let token = settings["webhook_token"].as_str().unwrap_or_default();
        let access = connected.opened.access.as_ref();
        let sql = access.and_then(|access| access.provider.install_sql());
        let sql = sql.map(|sql| deliveries::filled_in(sql, url, token));
        let wanted = Deliveries {
            url,
            sql: sql.as_deref(),
        };
        let Some(request) = account.order(chosen, &wanted) else {
            return Err("This provider’s API takes no orders.".to_owned());
        };
        let client = &self.visit.app.client;
        let read = |answer: &_| account.ordered(answer);
        let ordered = client
            .ask_bare(account.words(), &request, self.effort(), read)
            .await;
        match ordered.map_err(|error| sentence(&error.to_string()))? {
            Some(secret) => deliveries::keep_secret(self.visit.app, &secret).await,
            None => Ok(()),
        }
    }
}

/// Whether a change may be made though nobody knows.
fn may_have_worked(error: &Unanswered) -> bool {
    match error {
        Unanswered::Unreachable(_) | Unanswered::Trouble(_) | Unanswered::TooLarge(_) => true,
        Unanswered::Misread(error) => matches!(error, AnswerError::Garbled(_)),
        Unanswered::RateLimited(_) => false,
    }
}

/// A problem of no field in particular.
fn whole(words: impl Into<String>) -> Problem {
    Problem {
        field: None,
        words: words.into(),
    }
}
