//! Whose users are shown: a simulated provider's, or those of a real project.

use anyhow::{Result, bail};
use serde_json::{Value, json};
use tests::sender::{self, Sender, Sending, Svix};
use tests::simulator::{Options, Simulator, Stack};

use crate::show::thousands;

/// Users at the simulated provider.
const USERS: u64 = 10_000;

const SIGNING_SECRET: &str = "whsec_ZGVtb19kZW1vX2RlbW9fZGVtb19kZW1vX2RlbW8=";

pub(crate) enum Provider {
    Simulated {
        simulator: Box<Simulator>,
        sending: Option<Sending>,
    },
    Real(Value),
}

impl Provider {
    pub(crate) async fn of_environment() -> Result<Self> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        match variable("PROVIDER").as_deref() {
            None | Some("stack") => {}
            Some(_) => bail!("PROVIDER is none of: stack"),
        }
        match (
            variable("STACK_PROJECT_ID"),
            variable("STACK_SECRET_SERVER_KEY"),
        ) {
            (Some(project_id), Some(key)) => {
                let mut secret = json!({
                    "name": "stack", "project_id": project_id, "secret_server_key": key,
                });
                if let Some(url) = variable("STACK_API_URL") {
                    secret["api_url"] = url.into();
                }
                Ok(Self::Real(secret))
            }
            (None, None) => {
                let simulator = Simulator::start(Stack::default(), Options::default()).await?;
                simulator.seed(USERS);
                Ok(Self::Simulated {
                    simulator: Box::new(simulator),
                    sending: None,
                })
            }
            _ => bail!("set both STACK_PROJECT_ID and STACK_SECRET_SERVER_KEY, or neither"),
        }
    }

    /// Has the provider's messages delivered to this URL from now on.
    pub(crate) fn deliver_to(&mut self, url: String) -> Result<()> {
        if let Self::Simulated { simulator, sending } = self {
            let options = sender::Options::new(Svix::new([SIGNING_SECRET])?, url);
            *sending = Some(Sender::new(options)?.run(&simulator.world()));
        }
        Ok(())
    }

    pub(crate) fn described(&self) -> String {
        match self {
            Self::Simulated { .. } => {
                format!("a simulated Stack Auth with {} users", thousands(10_000))
            }
            Self::Real(_) => "your Stack Auth project".to_owned(),
        }
    }

    pub(crate) fn signing_secret(&self) -> &'static str {
        SIGNING_SECRET
    }

    pub(crate) fn secret(&self) -> Value {
        match self {
            Self::Simulated { simulator, .. } => simulator.secret(),
            Self::Real(secret) => secret.clone(),
        }
    }

    /// How many users there are, where that is known beforehand.
    pub(crate) fn count(&self) -> Option<i64> {
        match self {
            Self::Simulated { simulator, .. } => i64::try_from(simulator.live()).ok(),
            Self::Real(_) => None,
        }
    }
}
