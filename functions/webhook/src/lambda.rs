//! `webhook` as Lambda runs it: from the events of the runtime to answers.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use lambda_http::lambda_runtime::{LambdaInvocation, Runtime};
use lambda_http::tower::util::MapRequestLayer;
use lambda_http::{BoxFuture, Error, LambdaEvent, service_fn};
use serde_json::value::RawValue;
use shared::start::{ended, start, until};
use shared::time::WallClock;
use tokio::time::Instant;
use tracing::Instrument;
use webhook::{App, HttpEvent, Reply, handle};

/// Senders wait 15 seconds.
const LONGEST: Duration = Duration::from_secs(12);

/// Doesn't let `lambda_http` read the events, because it panics at requests that
/// anybody can send (a blank in the query, a path of 64 KiB).
pub(crate) async fn serve() -> Result<()> {
    let app = Arc::new(App::new(start().await?).await?);
    // Boxed, because the compiler finds the types nested too deep otherwise.
    let answer = move |event| -> BoxFuture<'static, _> { Box::pin(answer(app.clone(), event)) };
    Runtime::new(service_fn(answer))
        .layer(MapRequestLayer::new(readable))
        .run()
        .await
        .map_err(ended)
}

/// Replaces an event that is not JSON: the runtime would fail at it before it calls
/// the handler.
fn readable(mut invocation: LambdaInvocation) -> LambdaInvocation {
    if serde_json::from_slice::<&RawValue>(&invocation.body).is_err() {
        invocation.body = "null".into();
    }
    invocation
}

async fn answer(app: Arc<App>, event: LambdaEvent<Box<RawValue>>) -> Result<Reply, Error> {
    let now = WallClock::read();
    let until = until(event.context.deadline(), LONGEST).min(Instant::now() + LONGEST);
    let request = HttpEvent::read(event.payload.get());
    let span = tracing::error_span!("delivery", request_id = event.context.request_id);
    let handled = handle(&app, request.delivery(), now, until);
    let status = handled.instrument(span).await;
    Ok(request.answer(status))
}
