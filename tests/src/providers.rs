//! The providers: one table that the demo, the fuzzer, the torture and the scenarios read.
//!
//! A provider's row is in a file of its own below. One more provider takes its adapter, its
//! simulator, its fixtures, a row, and its name in the two lists of this file.

use std::sync::Arc;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::simulator::Vendor;

/// One of the provider's fixtures.
macro_rules! event {
    ($name:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../events/",
            $name,
            ".json"
        ))
    };
}

mod auth0;
mod clerk;
mod stack;
mod supabase;
mod workos;

/// All that differs from provider to provider and that more than one test needs.
#[derive(Debug, Clone, Copy)]
pub struct Provider {
    /// Its name in the functions' secret.
    pub name: &'static str,
    /// The provider whose other name this is, if it is one.
    pub other_name_of: Option<&'static str>,
    /// Its name in the documents.
    pub title: &'static str,
    /// Makes a simulated project like any other.
    pub project: fn() -> Arc<dyn Vendor>,
    /// The fields that a project fills in the secret, each with an example.
    pub settings: &'static [(&'static str, &'static str)],
    /// The one of them that holds the key.
    pub key: &'static str,
    /// Whether each request carries the key, and not a token that was asked for with it.
    pub key_in_requests: bool,
    /// Whether deliveries carry a token that the operator makes up; others are signed.
    pub token: bool,
    /// The prefix of the environment's variables with a project's settings.
    pub variables: &'static str,
    /// Whether the provider tells nobody when users change their email in their own settings.
    pub silent_about_emails: bool,
    /// How its listing is paged.
    pub paging: Paging,
    /// Whether its replicas lag in listings alone.
    pub only_listings_lag: bool,
    /// Whether its errors are a list under `errors`.
    pub errors_are_listed: bool,
    /// Whether a deleted user may still be shown, marked as deleted.
    pub soft_deletions: bool,
    /// Members that no kept body may have.
    pub hidden: &'static [&'static str],
    /// Its own bytes, as far as they are fed to every reader.
    pub fixtures: Fixtures,
}

/// How a listing is paged.
#[derive(Debug, Clone, Copy)]
pub struct Paging {
    /// The fewest users a page for which the adapter's walk is made: pages that overlap must not
    /// be smaller than what they overlap by.
    pub smallest: u64,
    /// The field of a walk's position that holds the size of a page.
    pub in_position: &'static str,
    /// The parameter that asks for so many users a page.
    pub parameter: &'static str,
    /// Whether pages are numbered, so that a smaller page than was asked for is an error.
    pub numbered: bool,
    /// Ways in which it could change, and what a run then says.
    pub changes: &'static [(Forced, &'static str)],
}

/// Parameters that a listing takes to be these, whatever was asked for.
pub type Forced = &'static [(&'static str, Option<&'static str>)];

/// Bytes that the provider has sent.
#[derive(Debug, Clone, Copy)]
pub struct Fixtures {
    /// Bodies of deliveries.
    pub deliveries: fn() -> Vec<String>,
    /// Pages of its listing.
    pub pages: fn() -> Vec<String>,
    /// Answers about a user, the project, a token or the record, with their status.
    pub answers: fn() -> Vec<(u16, String)>,
    /// The user that some of the answers show.
    pub user: &'static str,
}

/// All of them.
pub const PROVIDERS: &[Provider] = &[
    stack::STACK,
    stack::HEXCLAVE,
    clerk::CLERK,
    workos::WORKOS,
    auth0::AUTH0,
    supabase::SUPABASE,
];

/// Makes a test of each fact for each provider: a fact is an `async fn(Setup) -> Result<()>`, and
/// its test has the fact's name in a module with the provider's.
#[macro_export]
macro_rules! for_each_provider {
    ($($fact:ident)*) => {
        $crate::for_each_provider! { @ [$($fact)*] stack hexclave clerk workos auth0 supabase }
    };
    (@ $facts:tt $($provider:ident)*) => {
        $($crate::for_each_provider! { % $provider $facts })*

        #[test]
        fn no_provider_is_left_out() {
            let names: Vec<_> = $crate::providers::PROVIDERS.iter().map(|row| row.name).collect();
            assert_eq!(names, [$(stringify!($provider)),*]);
        }
    };
    (% $provider:ident [$($fact:ident)*]) => {
        mod $provider {
            $(#[tokio::test]
            async fn $fact() -> anyhow::Result<()> {
                super::$fact($crate::stage::Setup::named(stringify!($provider))?).await
            })*
        }
    };
}

/// Those that are not another name of one of them.
pub fn adapters() -> impl Iterator<Item = &'static Provider> {
    let own = |provider: &&Provider| provider.other_name_of.is_none();
    PROVIDERS.iter().filter(own)
}

/// The provider of this name.
pub fn named(name: &str) -> Result<&'static Provider> {
    match PROVIDERS.iter().find(|provider| provider.name == name) {
        Some(provider) => Ok(provider),
        None => {
            let known: Vec<&str> = PROVIDERS.iter().map(|provider| provider.name).collect();
            bail!("no provider {name} is simulated: {}", known.join(", "))
        }
    }
}

impl Provider {
    /// Whether its settings have this field.
    pub fn has(&self, field: &str) -> bool {
        self.settings.iter().any(|(known, _)| *known == field)
    }

    /// The secret's `provider` object of no project in particular.
    pub fn example(&self) -> Value {
        let mut object = json!({ "name": self.name });
        for (field, example) in self.settings {
            object[field] = (*example).into();
        }
        if self.token {
            object["webhook_token"] = TOKEN.into();
        }
        object
    }
}

/// The token that deliveries of [`Provider::example`] carry.
pub const TOKEN: &str = "a token of some length";

/// The first user of a page that is a list, or has one in this field.
fn first_of(page: &str, field: Option<&str>) -> String {
    let page: Value = serde_json::from_str(page).expect("JSON");
    let users = field.map_or(&page, |field| &page[field]);
    users[0].to_string()
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
