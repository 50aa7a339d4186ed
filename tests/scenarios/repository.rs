//! The repository itself: the arrows between its modules, its template, its documents, its fixtures.

mod correctness;
mod cost;
mod dev;
mod documents;
mod figures;
mod fixtures;
mod layout;
mod openssl;
mod recipes;
mod template;
