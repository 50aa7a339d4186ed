//! `console` as Lambda runs it: from the events of the runtime to answers.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use console::{App, HttpRequest, Reply, handle};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;
use shared::projects::Accounts;
use shared::start::{ended, start, until, variable};
use shared::time::WallClock;
use tokio::time::Instant;

/// A person waits.
const LONGEST: Duration = Duration::from_secs(50);

pub(crate) async fn serve() -> Result<()> {
    let read_only = variable("READ_ONLY")?;
    let webhook_url = variable("WEBHOOK_URL")?;
    let runs_of = variable("RECONCILE_FUNCTION")?;
    let accounts = Accounts::read(variable)?;
    let read_only = read_only.as_deref();
    let app = App::new(start().await?, read_only, webhook_url, runs_of, accounts).await?;
    let app = Arc::new(app);
    run(service_fn(move |event| answer(app.clone(), event)))
        .await
        .map_err(ended)
}

async fn answer(app: Arc<App>, event: LambdaEvent<Value>) -> Result<Reply, Error> {
    let now = WallClock::read();
    let until = until(event.context.deadline(), LONGEST).min(Instant::now() + LONGEST);
    let request = HttpRequest::read(&event.payload);
    Ok(handle(&app, &request, now, until).await.into_reply())
}
