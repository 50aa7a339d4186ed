//! Scenarios: the real binaries against real PostgreSQL and simulated providers.

mod delivery;
mod harness;
mod layout;
mod simulator;
mod template;
mod webhook;
