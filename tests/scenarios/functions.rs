//! The functions: what each does with its events, its settings and its secret.

mod console;
mod figures;
mod front;
mod manager;
pub(crate) mod provision;
pub(crate) mod reconcile;
mod start_up;
mod webhook;
