//! The console in a real browser, Debian's Chromium: each journey is a script in this folder that
//! drives it, while the functions, Postgres and the simulated provider run here.
//!
//! `SCREENSHOTS=folder` keeps pictures of the pages that it comes by.

mod ground;
mod journeys;
mod relay;
