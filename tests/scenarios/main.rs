//! Scenarios: the real binaries against real PostgreSQL and simulated providers.

mod asleep;
mod bad;
mod clerk;
mod correctness;
mod delivery;
mod dev;
mod each_provider;
mod fixtures;
mod harness;
mod layout;
mod long_walk;
mod manager;
mod placeholders;
mod pooler;
mod projects;
mod providers;
mod provision;
mod reconcile;
mod simulator;
mod site;
mod start_up;
mod store;
mod template;
mod vendors;
mod webhook;
mod workos;
