//! Every reader of bytes from outside, as functions that panic where a promise is broken, and
//! bad bodies to feed them: coverage-guided by `make fuzz`, by random in `make test`.
//!
//! A target takes any bytes. What it promises is checked against a second opinion (`oracle`)
//! that shares no code with what it checks.

pub mod bad;
mod deliveries;
mod listings;
pub mod oracle;
mod providers;
mod requests;
pub mod seeds;
mod settings;
mod signatures;
mod text;
mod users;

/// A reader, and what it is to be fed.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Reads bytes; panics if it or what it reads with breaks a promise.
    pub run: fn(&[u8]),
    /// Inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target {
        name: "deliveries",
        run: deliveries::run,
        seeds: seeds::deliveries,
    },
    Target {
        name: "requests",
        run: requests::run,
        seeds: seeds::requests,
    },
    Target {
        name: "users",
        run: users::run,
        seeds: seeds::users,
    },
    Target {
        name: "listings",
        run: listings::run,
        seeds: seeds::listings,
    },
    Target {
        name: "json",
        run: text::run,
        seeds: seeds::json,
    },
    Target {
        name: "signatures",
        run: signatures::run,
        seeds: seeds::signatures,
    },
    Target {
        name: "settings",
        run: settings::run,
        seeds: seeds::settings,
    },
];
