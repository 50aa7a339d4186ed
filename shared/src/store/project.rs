//! The names that a provider's project goes by.

use crate::signature::fingerprint;

/// How the name of a project begins that is known by its key alone.
const BY_KEY: &str = "key ";

/// A project, as far as it is known.
#[derive(Clone)]
pub(super) struct Known {
    /// All its names, the best one first; the schema may be bound to any.
    pub(super) names: Vec<String>,
    /// Whether the one name is its key's, for want of a better one.
    pub(super) by_key: bool,
}

impl Known {
    /// A project that the secret names.
    pub(super) fn by_name(name: String) -> Self {
        Self {
            names: vec![name],
            by_key: false,
        }
    }

    /// A project by the name that the provider gave, if it gave one, and by its
    /// key.
    pub(super) fn new(given: Option<String>, key: &[u8]) -> Self {
        let of_the_key = format!("{BY_KEY}{}", &fingerprint(key)[..12]);
        Self {
            by_key: given.is_none(),
            names: given.into_iter().chain([of_the_key]).collect(),
        }
    }
}

/// Whether this name of a project is its key's.
pub(super) fn is_of_a_key(name: &str) -> bool {
    name.starts_with(BY_KEY)
}
