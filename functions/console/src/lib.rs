//! HTML pages on which a person connects a provider, watches the sync, sees users,
//! runs and rejections, and manages users at the provider.
//!
//! Invariants: without a session nothing is shown but the sign-in; what changes
//! something is a POST that carries its session's token and comes from a page of
//! ours; whatever the table or the provider holds is shown as text; no secret is
//! ever shown.

mod activity;
mod app;
mod assets;
mod compare;
mod connect;
mod drive;
mod fault;
mod layout;
mod look;
mod overview;
mod plot;
mod reading;
mod rejections;
mod request;
mod response;
mod routes;
mod runs;
mod session;
mod show;
mod sign_in;
mod user;
mod users;
mod visit;

use shared::time::WallClock;
use tokio::time::Instant;

pub use app::App;
pub use request::HttpRequest;
pub use response::{Reply, Response};

/// Answers a request; `until`: when to give up, so that there is time to say so.
pub async fn handle(app: &App, request: &HttpRequest, now: WallClock, until: Instant) -> Response {
    routes::answer(app, request, now, until).await
}
