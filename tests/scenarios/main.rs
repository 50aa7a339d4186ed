//! Scenarios: the real binaries against real PostgreSQL and simulated providers.

mod harness;
mod layout;
mod simulator;
mod template;
