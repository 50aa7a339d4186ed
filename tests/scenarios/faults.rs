//! Things that go wrong around the sync: a database that sleeps, a pooler, walks that are broken
//! off, logins that are refused, bodies that are bad.

mod asleep;
mod bad;
mod login;
mod long_walk;
mod pooler;
