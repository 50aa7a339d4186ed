//! Start-up of `webhook`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use lambda_http::{Body, Error, Request, RequestExt, Response, run, service_fn};
use shared::profile::At;
use shared::start::{ended, log_failure, remaining, start};
use tokio::time::Instant;
use webhook::{App, Delivery, handle};

/// Senders wait 15 seconds.
const LONGEST: Duration = Duration::from_secs(12);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log_failure(&error);
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<()> {
    let app = Arc::new(App::new(start().await?).await?);
    run(service_fn(move |request| answer(app.clone(), request)))
        .await
        .map_err(ended)
}

async fn answer(app: Arc<App>, request: Request) -> Result<Response<Body>, Error> {
    let deadline = request.lambda_context().deadline();
    let until = Instant::now()
        + remaining(deadline, SystemTime::now()).map_or(LONGEST, |left| left.min(LONGEST));
    let delivery = Delivery {
        method: request.method(),
        headers: request.headers(),
        body: request.body(),
    };
    let status = handle(&app, delivery, At::from_system(SystemTime::now()), until).await;
    Ok(Response::builder().status(status).body(Body::Empty)?)
}
