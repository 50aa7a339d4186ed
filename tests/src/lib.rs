//! The world that the scenarios and the demo run in: a real PostgreSQL and PgBouncer, a Lambda that
//! runs the real binaries, a Secrets Manager, and simulated providers.
//!
//! Whatever is started here ends with the process that started it, however that one ends.

mod certificates;
pub mod database;
pub mod figures;
pub mod function;
pub mod function_url;
pub mod gate;
pub mod letter;
pub mod libpq;
pub mod login;
pub mod meter;
pub mod pages;
pub mod pgbouncer;
pub mod postgres;
pub mod providers;
pub mod runtime_api;
pub mod scratch;
pub mod secret_file;
pub mod secrets_manager;
pub mod seeds;
pub mod sender;
pub mod simulator;
pub mod stage;
pub mod tools;
pub mod watchdog;
