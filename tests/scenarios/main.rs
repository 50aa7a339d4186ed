//! Scenarios: the real binaries against real PostgreSQL and simulated providers.

mod delivery;
mod harness;
mod layout;
mod reconcile;
mod simulator;
mod store;
mod template;
mod webhook;
