//! Whose users are shown: a simulated provider's, or those of a real project.

use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};
use tests::sender::{Mishaps, Sender, Sending};
use tests::simulator::{self, Options, Simulator, Vendor};

use crate::show::thousands;

/// Users at the simulated provider.
const USERS: u64 = 10_000;

/// A provider as people know it, and which variables hold the keys of a project of theirs.
struct Known {
    name: &'static str,
    title: &'static str,
    /// Variables, and the secret's fields that they fill.
    keys: &'static [(&'static str, &'static str)],
    /// Whether deliveries carry a token that the operator makes up.
    token: bool,
}

const PROVIDERS: &[Known] = &[
    Known {
        name: "stack",
        title: "Stack Auth",
        keys: &[
            ("STACK_PROJECT_ID", "project_id"),
            ("STACK_SECRET_SERVER_KEY", "secret_server_key"),
        ],
        token: false,
    },
    Known {
        name: "hexclave",
        title: "Hexclave (Stack Auth)",
        keys: &[
            ("STACK_PROJECT_ID", "project_id"),
            ("STACK_SECRET_SERVER_KEY", "secret_server_key"),
        ],
        token: false,
    },
    Known {
        name: "clerk",
        title: "Clerk",
        keys: &[("CLERK_SECRET_KEY", "secret_key")],
        token: false,
    },
    Known {
        name: "workos",
        title: "WorkOS AuthKit",
        keys: &[("WORKOS_API_KEY", "api_key")],
        token: false,
    },
    Known {
        name: "auth0",
        title: "Auth0",
        keys: &[
            ("AUTH0_DOMAIN", "domain"),
            ("AUTH0_CLIENT_ID", "client_id"),
            ("AUTH0_CLIENT_SECRET", "client_secret"),
        ],
        token: true,
    },
    Known {
        name: "supabase",
        title: "Supabase Auth",
        keys: &[
            ("SUPABASE_PROJECT_URL", "project_url"),
            ("SUPABASE_SERVICE_ROLE_KEY", "service_role_key"),
        ],
        token: true,
    },
];

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
        let Some(known) = PROVIDERS.iter().find(|known| known.name == name) else {
            let names: Vec<&str> = PROVIDERS.iter().map(|known| known.name).collect();
            bail!("PROVIDER={name} is none of: {}", names.join(", "));
        };
        let vendor = simulator::vendor(known.name)?;
        let signing_secret = vendor.signing_secret(&mut fastrand::Rng::new());
        let source = match known.project()? {
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

    /// Its name in the secret.
    pub(crate) fn name(&self) -> &'static str {
        self.known.name
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

impl Known {
    /// The secret's `provider` object, if the environment holds a project's keys.
    fn project(&self) -> Result<Option<Value>> {
        let mut project = json!({ "name": self.name });
        let mut missing = Vec::new();
        for (name, field) in self.keys {
            match variable(name) {
                Some(value) => project[field] = value.into(),
                None => missing.push(*name),
            }
        }
        if missing.len() == self.keys.len() {
            return Ok(None);
        }
        ensure!(
            missing.is_empty(),
            "to show a project of your own, set {} too",
            missing.join(" and ")
        );
        // The keys of one provider, whichever of its names is used.
        let prefix = match self.name {
            "hexclave" => "STACK".to_owned(),
            name => name.to_uppercase(),
        };
        if let Some(url) = variable(&format!("{prefix}_API_URL")) {
            project["api_url"] = url.into();
        }
        if self.token {
            project["webhook_token"] = format!("demo-{:032x}", fastrand::u128(..)).into();
        }
        Ok(Some(project))
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
