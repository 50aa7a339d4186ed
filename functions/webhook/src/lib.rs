//! Receives the provider's deliveries: verifies a delivery, reads the user if it is
//! only a hint, joins it, and answers.
//!
//! Invariants: a delivery is answered 2xx only once its effect is committed; an
//! answer has nothing but its status.

mod app;
mod apply;
mod event;
mod record;

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use shared::credentials::RefreshError;
use shared::metrics::Metric;
use shared::provider::Facts;
use shared::signature::{Forged, Verified};
use shared::store::StoreError;
use shared::time::WallClock;
use tokio::time::{Instant, timeout_at};

pub use app::App;
use app::{Connected, Refused};
use apply::{Applied, Done, NotApplied, apply};
pub use event::{Body, Delivery, HttpEvent, Reply};
use record::record_failure;

/// Handles a delivery. `now`: the time by this machine's clock; `until`: when to
/// give up.
pub async fn handle(
    app: &App,
    delivery: Delivery<'_>,
    now: WallClock,
    until: Instant,
) -> StatusCode {
    if delivery.method != "POST" {
        return StatusCode::METHOD_NOT_ALLOWED;
    }
    let connected = app.connected().await;
    match verify(app, connected, &delivery, now, until).await {
        Ok((connected, verified)) => take(app, &connected, &verified, now, until).await,
        Err(status) => status,
    }
}

/// Finds out whether the provider sent it; gives the connections of the secret
/// that verified it.
async fn verify<'a>(
    app: &App,
    connected: Arc<Connected>,
    delivery: &Delivery<'a>,
    now: WallClock,
    until: Instant,
) -> Result<(Arc<Connected>, Verified<'a>), StatusCode> {
    let forged = match connected.verify(delivery, now) {
        Ok(verified) => return Ok((connected, verified)),
        Err(Refused::Forged(forged)) => forged,
        Err(Refused::TooLarge) => return Err(StatusCode::PAYLOAD_TOO_LARGE),
    };
    if !matches!(forged, Forged::Mismatch | Forged::NoSecretYet) {
        return Err(connected.refuse(forged));
    }
    // It may be signed with a new secret.
    match app.refresh(&connected, until).await {
        Ok(None) => Err(connected.refuse(forged)),
        Ok(Some(refreshed)) => match refreshed.verify(delivery, now) {
            Ok(verified) => Ok((refreshed, verified)),
            Err(Refused::Forged(forged)) => Err(refreshed.refuse(forged)),
            Err(Refused::TooLarge) => Err(StatusCode::PAYLOAD_TOO_LARGE),
        },
        Err(RefreshError::Failed) => Err(StatusCode::SERVICE_UNAVAILABLE),
        // A sender that was answered 401 might not come again.
        Err(RefreshError::TooOften) if !connected.provider.facts().sends_again => {
            tracing::warn!(
                "could not tell whether a delivery is forged or signed with a new secret: the secret was read again too recently"
            );
            Err(StatusCode::SERVICE_UNAVAILABLE)
        }
        Err(RefreshError::TooOften) => Err(connected.refuse(forged)),
    }
}

/// Applies a verified delivery, and answers it.
async fn take(
    app: &App,
    connected: &Connected,
    verified: &Verified<'_>,
    now: WallClock,
    until: Instant,
) -> StatusCode {
    let begun = Instant::now();
    let mut applied = within(until, apply(app, connected, verified, now, until)).await;
    if let Err(NotApplied::Store(StoreError::NotThisProject)) = &applied
        && connected.forget_key()
    {
        // The provider may name the project by now, or the schema may have been
        // bound to the name that the provider gives.
        applied = within(until, apply(app, connected, verified, now, until)).await;
    }
    if let Err(error) = &applied
        && error.may_come_of_a_rotated_secret()
        && let Ok(Some(refreshed)) = app.refresh(connected, until).await
    {
        applied = within(until, apply(app, &refreshed, verified, now, until)).await;
    }
    if let Err(error) = &applied
        && app.records()
        && error.leaves_postgres_be()
    {
        let connected = app.connected().await;
        record_failure(&connected, verified).await;
    }
    let facts = connected.provider.facts();
    let took = begun.elapsed();
    if let Ok(Done {
        applied: Applied::Joined(_),
        changed_at: Some(at),
    }) = &applied
        && let Some(now) = now.after(took)
    {
        app.metrics
            .write(&[(Metric::DeliveryLag, now.millis_since(*at))]);
    }
    let applied = applied.map(|done| done.applied);
    let status = answer(applied, verified.event_id(), took, facts);
    for store in [&connected.store, &app.connected().await.store] {
        store.let_go().await;
    }
    status
}

async fn within<T>(
    until: Instant,
    work: impl Future<Output = Result<T, NotApplied>>,
) -> Result<T, NotApplied> {
    timeout_at(until, work)
        .await
        .unwrap_or(Err(NotApplied::OutOfTime))
}

fn answer(
    applied: Result<Applied, NotApplied>,
    event_id: &str,
    took: Duration,
    facts: &Facts,
) -> StatusCode {
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match applied {
        Ok(Applied::OfNoUser) => {
            tracing::debug!(event_id, duration_ms, "the delivery is not about a user");
            StatusCode::OK
        }
        Ok(Applied::Joined(outcome)) => {
            tracing::info!(event_id, outcome, duration_ms, "applied a delivery");
            StatusCode::OK
        }
        Ok(Applied::Rejected(reason, _)) => {
            tracing::warn!(event_id, reason, duration_ms, "rejected a delivery");
            // It is kept. To a provider that never sends it again, a failure would
            // only count against the endpoint.
            match facts.sends_again {
                true => StatusCode::BAD_REQUEST,
                false => StatusCode::ACCEPTED,
            }
        }
        Err(error) => {
            tracing::error!(event_id, %error, duration_ms, "could not apply a delivery");
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}
