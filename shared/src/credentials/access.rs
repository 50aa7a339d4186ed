//! The provider and the databases that one version of the secret gives access to.

use std::sync::Arc;

use crate::console_token::ConsoleToken;
use crate::provider::Provider;
use crate::secret::{OpenSecret, Secret};
use crate::settings::Misconfigured;
use crate::store::Target;

/// The provider and the database that one version of the secret names.
#[derive(Clone)]
pub struct Access {
    /// The provider's adapter, keys included.
    pub provider: Arc<dyn Provider>,
    /// The database as `webhook` and `reconcile` reach it.
    pub database: Target,
    secret: Secret,
}

impl Access {
    /// Reads the address of the database.
    pub fn new(secret: Secret) -> Result<Self, Misconfigured> {
        let roots = secret.database_root_certificates.as_deref();
        Ok(Self {
            provider: secret.provider.clone(),
            database: Target::read(&secret.database_url, "database_url", roots)?,
            secret,
        })
    }

    /// The database as the schema's owner reaches it. Only `provision` needs it, so the
    /// other functions start even if this address is wrong.
    pub fn owner(&self) -> Result<Target, Misconfigured> {
        let roots = self.secret.database_root_certificates.as_deref();
        let url = &self.secret.admin_database_url;
        Target::read(url, "admin_database_url", roots)
    }

    /// Whether the owner's address is another than the functions'.
    pub fn has_an_owner_of_its_own(&self) -> bool {
        self.secret.database_url != self.secret.admin_database_url
    }

    /// Whether there is a `console`, as far as the secret tells.
    pub fn has_console(&self) -> bool {
        self.secret.has_console
    }

    /// Whether it comes from the same bytes.
    pub(super) fn is_of(&self, secret: &Secret) -> bool {
        self.secret.is(secret)
    }
}

/// The access that a secret gives in which the provider may be missing.
#[derive(Clone)]
pub struct Opened {
    /// The database as the functions reach it.
    pub database: Target,
    /// The database as the schema's owner reaches it, if the secret names that.
    pub owner: Option<Target>,
    /// The token that opens `console`, if there is one.
    pub console_token: Option<ConsoleToken>,
    /// The whole, if a provider is connected.
    pub access: Option<Access>,
    secret: OpenSecret,
}

impl Opened {
    /// Reads the addresses of the database.
    pub(super) fn new(secret: OpenSecret) -> Result<Self, Misconfigured> {
        let roots = secret.database_root_certificates.as_deref();
        let owner = secret.admin_database_url.as_deref();
        let owner = owner.map(|url| Target::read(url, "admin_database_url", roots));
        let access = match secret.provider {
            Some(_) => Some(Access::new(secret.clone().connected()?)?),
            None => None,
        };
        Ok(Self {
            database: Target::read(&secret.database_url, "database_url", roots)?,
            owner: owner.transpose()?,
            console_token: secret.console_token.clone(),
            access,
            secret,
        })
    }

    /// The secret's `provider` object, keys included; null if there is none.
    pub fn provider_settings(&self) -> serde_json::Value {
        let secret = serde_json::from_str(self.text()).unwrap_or_default();
        let mut secret: serde_json::Value = secret;
        secret
            .get_mut("provider")
            .map(serde_json::Value::take)
            .unwrap_or_default()
    }

    /// The secret's text.
    pub(super) fn text(&self) -> &str {
        self.secret.text()
    }

    /// Whether both come from the same bytes.
    pub fn is(&self, other: &Self) -> bool {
        self.is_of(&other.secret)
    }

    /// Whether it comes from the same bytes.
    pub(super) fn is_of(&self, secret: &OpenSecret) -> bool {
        self.secret.is(secret)
    }
}
