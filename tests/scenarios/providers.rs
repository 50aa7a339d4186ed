//! The providers, with the real binaries: what holds for each of them, what some share, and what
//! only one of them does.

mod auth0;
mod clerk;
mod each;
mod projects;
mod scripted;
mod shared;
mod stack;
mod subscribe;
mod supabase;
mod table;
pub(crate) mod workos;
