//! Scenarios: the real binaries against real PostgreSQL and simulated providers.

mod faults;
mod functions;
mod providers;
mod repository;
mod simulators;
mod site;
mod store;
