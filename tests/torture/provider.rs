//! The properties of a provider that decide how it can be tortured.

use std::time::Duration;

use anyhow::Result;
use shared::secret::Secret;
use tests::providers::{self, PROVIDERS};

/// A provider under torture.
#[derive(Debug, Clone)]
pub(crate) struct Provider {
    /// As in the secret.
    pub(crate) name: String,
    /// By how much its replicas may lag, for the adapter's promises to hold.
    pub(crate) longest_lag_ms: u64,
    /// The fewest users a page for which the adapter's walk is made: pages that overlap must not be
    /// smaller than what they overlap by.
    pub(crate) smallest_page: u64,
    /// Whether its profiles carry the version that `updated_at` shows.
    pub(crate) versioned: bool,
    /// Whether an id may come back.
    pub(crate) ids_return: bool,
    /// Where in the secret the key is that every request carries; Auth0's carry a token.
    pub(crate) key_field: Option<&'static str>,
    /// Whether it keeps a record of events that `reconcile` drains.
    pub(crate) has_record: bool,
}

impl Provider {
    /// The provider of this name.
    pub(crate) fn named(name: &str) -> Result<Self> {
        let row = providers::named(name)?;
        let vendor = (row.project)();
        let mut secret = serde_json::json!({
            "database_url": "postgres://nobody@localhost/nothing",
            "provider": vendor.secret("http://127.0.0.1:1"),
        });
        if let Some(signing_secret) = vendor.signing_secret(&mut fastrand::Rng::with_seed(0)) {
            secret["signing_secrets"] = serde_json::json!([signing_secret]);
        }
        let adapter = Secret::parse(&secret.to_string())?.provider;
        let facts = adapter.facts();
        let staleness = match row.only_listings_lag {
            true => facts.listing_staleness,
            false => facts.staleness.min(facts.listing_staleness),
        };
        let longest_lag = staleness.mul_f64(0.9).min(Duration::from_secs(20));
        Ok(Self {
            name: name.to_owned(),
            longest_lag_ms: u64::try_from(longest_lag.as_millis())?,
            smallest_page: row.paging.smallest,
            versioned: facts.versioned,
            ids_return: facts.ids_return,
            key_field: row.key_in_requests.then_some(row.key),
            has_record: adapter.events().is_some(),
        })
    }

    /// All that are simulated.
    pub(crate) fn all() -> Result<Vec<Self>> {
        let rows = PROVIDERS.iter();
        rows.map(|row| Self::named(row.name)).collect()
    }
}
