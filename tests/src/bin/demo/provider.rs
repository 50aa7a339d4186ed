//! Whose users are shown: a simulated provider's, or those of a real project.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::providers::{self, Provider as Known};
use tests::sender::{Mishaps, Sender, Sending};
use tests::simulator::{Options, Simulator, Vendor};

use crate::show::thousands;

/// Users at the simulated provider.
const USERS: u64 = 10_000;

/// Whose users are shown.
pub(crate) struct Provider {
    known: &'static Known,
    signing_secret: Option<String>,
    source: Source,
}

enum Source {
    Simulated {
        simulator: Box<Simulator>,
        sending: Option<(Sender, Sending)>,
    },
    Real(Value),
}

impl Provider {
    /// The provider that `PROVIDER` names, Stack Auth by default; a project of the user's own
    /// where the variables with its keys are set.
    pub(crate) async fn of_environment() -> Result<Self> {
        let name = variable("PROVIDER").unwrap_or_else(|| "stack".to_owned());
        let known = providers::named(&name).with_context(|| format!("PROVIDER={name}"))?;
        let vendor = (known.project)();
        let signing_secret = vendor.signing_secret(&mut fastrand::Rng::new());
        let source = match project_of(known)? {
            Some(project) => Source::Real(project),
            None => Source::simulated(vendor).await?,
        };
        Ok(Self {
            known,
            signing_secret,
            source,
        })
    }

    /// The functions' secret, on this database.
    pub(crate) fn secret(&self, database_url: &str, admin_database_url: &str) -> Value {
        let provider = match &self.source {
            Source::Simulated { simulator, .. } => simulator.secret(),
            Source::Real(project) => project.clone(),
        };
        let mut secret = json!({
            "database_url": database_url,
            "admin_database_url": admin_database_url,
            "console_token": format!("demo-{:032x}", fastrand::u128(..)),
            "provider": provider,
        });
        if let Some(signing_secret) = &self.signing_secret {
            secret["signing_secrets"] = json!([signing_secret]);
        }
        secret
    }

    /// Has the provider's messages delivered to this URL from now on.
    pub(crate) fn deliver_to(&mut self, secret: &Value, url: &str) -> Result<()> {
        if let Source::Simulated { simulator, sending } = &mut self.source {
            let sender = Sender::new(simulator.sending(secret, url)?)?;
            let at_work = sender.run(&simulator.world());
            *sending = Some((sender, at_work));
        }
        Ok(())
    }

    /// From now on deliveries are lost on their way, or are not.
    pub(crate) fn lose_deliveries(&self, lost: bool) {
        if let Source::Simulated {
            sending: Some((sender, _)),
            ..
        } = &self.source
        {
            sender.set_mishaps(Mishaps {
                lost: if lost { 1.0 } else { 0.0 },
                ..Mishaps::default()
            });
        }
    }

    /// The simulated provider, if it is one.
    pub(crate) fn simulator(&self) -> Option<&Simulator> {
        match &self.source {
            Source::Simulated { simulator, .. } => Some(simulator),
            Source::Real(_) => None,
        }
    }

    /// Why a new email isn't delivered: the provider may tell nobody of it.
    pub(crate) fn why_no_email_arrives(&self) -> &'static str {
        match self.known.silent_about_emails {
            true => "no webhook is sent for this",
            false => "the delivery is lost on its way",
        }
    }

    pub(crate) fn described(&self) -> String {
        let title = self.known.title;
        match &self.source {
            Source::Simulated { .. } => {
                format!("a simulated {title} with {} users", thousands(10_000))
            }
            Source::Real(_) => format!("your {title} project"),
        }
    }

    /// How many users there are, where that is known beforehand.
    pub(crate) fn count(&self) -> Option<i64> {
        i64::try_from(self.simulator()?.live()).ok()
    }
}

impl Source {
    async fn simulated(vendor: Arc<dyn Vendor>) -> Result<Self> {
        let simulator = Simulator::of(vendor, Options::default()).await?;
        simulator.seed(USERS);
        Ok(Self::Simulated {
            simulator: Box::new(simulator),
            sending: None,
        })
    }
}

/// The secret's `provider` object, if the environment holds a project's keys.
fn project_of(known: &Known) -> Result<Option<Value>> {
    let mut project = json!({ "name": known.name });
    let mut missing = Vec::new();
    for (field, _) in known.settings {
        let name = format!("{}_{}", known.variables, field.to_uppercase());
        match variable(&name) {
            Some(value) => project[field] = value.into(),
            None => missing.push(name),
        }
    }
    if missing.len() == known.settings.len() {
        return Ok(None);
    }
    ensure!(
        missing.is_empty(),
        "to show a project of your own, set {} too",
        missing.join(" and ")
    );
    if let Some(url) = variable(&format!("{}_API_URL", known.variables)) {
        project["api_url"] = url.into();
    }
    if known.token {
        project["webhook_token"] = format!("demo-{:032x}", fastrand::u128(..)).into();
    }
    Ok(Some(project))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
