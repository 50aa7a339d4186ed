//! Users of an auth provider in Postgres: what `webhook`, `reconcile` and
//! `provision` share.
//!
//! Whatever is learnt about a user is an *observation*; a row is the *join* of
//! all observations of that user, so that order, duplicates, retries and
//! crashes can't matter. See ARCHITECTURE.md.

pub mod client;
pub mod console_token;
pub mod credentials;
pub mod exchange;
pub mod json;
pub mod listing;
pub mod manage;
pub mod metrics;
pub mod migrate;
pub mod pointer;
pub mod profile;
pub mod projects;
pub mod provider;
pub mod secret;
pub mod settings;
pub mod settle;
pub mod signature;
pub mod start;
pub mod store;
pub mod subscribe;
pub mod time;
mod tls;
