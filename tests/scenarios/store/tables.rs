//! A table that belongs to somebody else's application: its triggers, constraints, policies and
//! columns, and roles that may create something in its database.

mod clients;
mod hostile;
mod locked;
mod refusals;
mod row_security;
mod tools;
mod writer;
