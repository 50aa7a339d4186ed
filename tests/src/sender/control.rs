//! The control API of a sender: everything under `/control/sender`, JSON in and out.

use axum::extract::State;
use axum::routing::{get, put};
use axum::{Json, Router};

use super::{Attempt, Mishaps, Sender};

/// `/control/sender` of this sender.
///
/// | request | does | answers |
/// |---|---|---|
/// | `GET`, `DELETE /control/sender/attempts` | | all [`Attempt`]s |
/// | `PUT /control/sender/mishaps` with [`Mishaps`] | sets them all | the mishaps |
/// | `PUT /control/sender/endpoints` with `["url",…]` | sends there from now on | the URLs |
pub(super) fn routes(sender: Sender) -> Router {
    Router::new()
        .route("/control/sender/attempts", get(attempts).delete(forget))
        .route("/control/sender/mishaps", put(mishaps))
        .route("/control/sender/endpoints", put(endpoints))
        .with_state(sender)
}

async fn attempts(State(sender): State<Sender>) -> Json<Vec<Attempt>> {
    Json(sender.attempts())
}

async fn forget(State(sender): State<Sender>) -> Json<Vec<Attempt>> {
    sender.clear_attempts();
    Json(Vec::new())
}

async fn mishaps(State(sender): State<Sender>, Json(mishaps): Json<Mishaps>) -> Json<Mishaps> {
    sender.set_mishaps(mishaps);
    Json(mishaps)
}

async fn endpoints(
    State(sender): State<Sender>,
    Json(urls): Json<Vec<String>>,
) -> Json<Vec<String>> {
    sender.set_endpoints(urls.clone());
    Json(urls)
}
