//! What one version of the secret gives access to.

use std::sync::Arc;

use crate::provider::Provider;
use crate::secret::Secret;
use crate::settings::Misconfigured;
use crate::store::Target;

/// The provider and the database that one version of the secret names.
#[derive(Clone)]
pub struct Access {
    /// The provider's adapter, keys included.
    pub provider: Arc<dyn Provider>,
    /// Where `webhook` and `reconcile` connect.
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

    /// Where the schema's owner connects. Only `provision` needs it, so the
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

    /// Whether both come from the same bytes.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.secret.is(&other.secret)
    }
}
