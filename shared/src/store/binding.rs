//! The store of one project: what writes users or rejections takes a project
//! that was identified, and a schema that is bound to that project.

use std::ops::Deref;

use tokio_postgres::types::Type;

use super::connection::{Parameters, Patience};
use super::error::{Foreign, StoreError};
use super::handle::Store;
use super::project::{Project, is_of_a_key};
use super::record::Record;
use crate::provider::Facts;

/// A [`Store`] whose project was identified. Each statement that writes users or
/// rejections is one of its methods, and writes nothing unless the schema is
/// bound to that project.
///
/// ```
/// # use shared::{profile::UserId, store::ProjectStore, time::At};
/// # async fn write(store: &ProjectStore, id: &UserId, at: At) {
/// let _ = store.gone(id, at).await;
/// # }
/// ```
///
/// A store whose project nobody has identified yet can't write them:
///
/// ```compile_fail,E0599
/// # use shared::{profile::UserId, store::Store, time::At};
/// # async fn write(store: &Store, id: &UserId, at: At) {
/// let _ = store.gone(id, at).await;
/// # }
/// ```
#[derive(Clone)]
pub struct ProjectStore {
    store: Store,
    pub(super) project: Project,
    pub(super) record: Record,
}

impl Deref for ProjectStore {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl Store {
    /// The same store, of this project.
    pub fn of(&self, project: Project) -> ProjectStore {
        ProjectStore {
            store: self.clone(),
            project,
            record: Record::default(),
        }
    }
}

impl ProjectStore {
    /// The project.
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// The same, with a connection of its own; see [`Store::beside`].
    #[must_use]
    pub fn beside(&self, patience: Patience) -> Self {
        Self {
            store: self.store.beside(patience),
            ..self.clone()
        }
    }

    pub(super) fn with_record(&self, record: Record) -> Self {
        Self {
            record,
            ..self.clone()
        }
    }

    /// Whether the schema is this project's; else it is nobody's yet.
    pub async fn is_bound(&self) -> Result<bool, StoreError> {
        match self.connection.all(sql!("bound"), &[]).await?.first() {
            Some(row) => {
                permit(&self.facts, &self.project, (row.get(0), row.get(1))).map(|()| true)
            }
            None => Ok(false),
        }
    }

    /// Binds the schema to the project unless it is bound to another.
    pub async fn bind(&self) -> Result<(), StoreError> {
        let parameters: Parameters<'_> = &[
            (&self.facts.name, Type::TEXT),
            (&self.project.names, Type::TEXT_ARRAY),
        ];
        // A statement doesn't see what was committed while it waited; the next does.
        for _ in 0..3 {
            if let Some(row) = self.connection.all(sql!("bind"), parameters).await?.first() {
                return permit(&self.facts, &self.project, (row.get(0), row.get(1)));
            }
        }
        Err(StoreError::Garbled)
    }
}

/// Fails unless the schema is bound to this project; `bound`: the provider and
/// the project that it is bound to.
pub(super) fn permit(
    facts: &Facts,
    project: &Project,
    bound: (&str, &str),
) -> Result<(), StoreError> {
    let is_its_own = bound.0 == facts.name && project.names.iter().any(|name| name == bound.1);
    match is_its_own {
        true => Ok(()),
        false => Err(foreign(facts, project.name(), bound)),
    }
}

/// The schema is bound to another project than the one `asked` for.
pub(super) fn foreign(
    facts: &Facts,
    asked: &str,
    (bound_provider, bound_project): (&str, &str),
) -> StoreError {
    StoreError::Foreign(Foreign {
        bound: format!("{bound_provider} project {bound_project}"),
        asked: format!("{} project {asked}", facts.name),
        known_by_key: [bound_project, asked].into_iter().any(is_of_a_key),
    })
}
