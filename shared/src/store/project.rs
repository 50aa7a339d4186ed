//! Which of the provider's projects the key is for, by the names that it goes by.

use crate::provider::Facts;
use crate::signature::fingerprint;

/// How the name of a project begins that is known by its key alone.
const BY_KEY: &str = "key ";

/// A project that was identified: the secret names it, or the provider was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// All its names, the best one first; the schema may be bound to any.
    pub(super) names: Vec<String>,
    by_key: bool,
}

impl Project {
    /// The project that the secret names, if it names one.
    pub fn of_secret(facts: &Facts) -> Option<Self> {
        let name = facts.project.clone()?;
        Some(Self {
            names: vec![name],
            by_key: false,
        })
    }

    /// The project that the provider was asked for: by the name that it gave, if
    /// it gave one, and by the key's fingerprint. A schema that is bound to the
    /// key is the project's in any case: it was bound when the provider gave no
    /// name.
    pub(crate) fn asked_for(given: Option<String>, key: &[u8]) -> Self {
        let of_the_key = format!("{BY_KEY}{}", &fingerprint(key)[..12]);
        Self {
            by_key: given.is_none(),
            names: given.into_iter().chain([of_the_key]).collect(),
        }
    }

    /// Its best name.
    pub fn name(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }

    /// Whether its key's fingerprint stands for it, for want of a name.
    pub fn is_known_by_key(&self) -> bool {
        self.by_key
    }
}

/// Whether this name of a project is its key's.
pub(super) fn is_of_a_key(name: &str) -> bool {
    name.starts_with(BY_KEY)
}
