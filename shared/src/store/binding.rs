//! Which of the provider's projects the schema is bound to, and which one this is.

use tokio_postgres::types::Type;

use super::connection::Parameters;
use super::error::{Foreign, StoreError};
use super::handle::Store;
use super::project::{Known, is_of_a_key};

impl Store {
    /// Which of the provider's projects the key is for, once that is known.
    pub fn project(&self) -> Option<String> {
        self.names().into_iter().next()
    }

    /// Learns it: the name that the provider gave, if it gave one, else the
    /// key's fingerprint stands for it. A schema that is bound to the key is the
    /// project's in any case: it was bound when the provider gave no name.
    /// Before this, nothing is written: the schema is bound to another.
    pub fn name_project(&self, given: Option<String>, key: &[u8]) {
        *self.known() = Some(Known::new(given, key));
    }

    /// Forgets the project if it is known by its key alone, so that the
    /// provider is asked again; whether it was.
    pub fn forget_key(&self) -> bool {
        let mut known = self.known();
        let by_key = known.as_ref().is_some_and(|known| known.by_key);
        if by_key {
            *known = None;
        }
        by_key
    }

    /// Whether the schema is this project's; else it is nobody's yet.
    pub async fn is_bound(&self) -> Result<bool, StoreError> {
        match self.connection.all(sql!("bound"), &[]).await?.first() {
            Some(row) => self.permit(row.get(0), row.get(1)).map(|()| true),
            None => Ok(false),
        }
    }

    /// Binds the schema to the project unless it is bound to another.
    pub async fn bind(&self) -> Result<(), StoreError> {
        let parameters: Parameters<'_> = &[
            (&self.facts.name, Type::TEXT),
            (&self.names(), Type::TEXT_ARRAY),
        ];
        // A statement doesn't see what was committed while it waited; the next does.
        for _ in 0..3 {
            if let Some(row) = self.connection.all(sql!("bind"), parameters).await?.first() {
                return self.permit(row.get(0), row.get(1));
            }
        }
        Err(StoreError::Garbled)
    }

    pub(super) fn permit(&self, provider: &str, project: &str) -> Result<(), StoreError> {
        let names = self.names();
        if provider == self.facts.name && names.iter().any(|name| name == project) {
            return Ok(());
        }
        let asked = names.first().map_or("", String::as_str);
        Err(StoreError::Foreign(Foreign {
            bound: format!("{provider} project {project}"),
            asked: format!("{} project {asked}", self.facts.name),
            known_by_key: [project, asked].into_iter().any(is_of_a_key),
        }))
    }
}
