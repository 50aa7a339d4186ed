//! `reconcile` as Lambda runs it: from the events of the runtime to answers.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use lambda_runtime::{Diagnostic, LambdaEvent, run, service_fn};
use reconcile::{App, InvocationError, Report, handle};
use serde_json::Value;
use shared::start::{ended, start, until};
use tokio::sync::Mutex;
use tracing::Instrument;

/// Lambda's own limit.
const LONGEST: Duration = Duration::from_secs(900);

pub(crate) async fn serve() -> Result<()> {
    let app = Arc::new(Mutex::new(App::new(start().await?).await?));
    run(service_fn(move |event| answer(app.clone(), event)))
        .await
        .map_err(ended)
}

async fn answer(app: Arc<Mutex<App>>, event: LambdaEvent<Value>) -> Result<Report, Diagnostic> {
    let span = tracing::error_span!("run", request_id = event.context.request_id);
    reconciled(app, event).instrument(span).await
}

async fn reconciled(app: Arc<Mutex<App>>, event: LambdaEvent<Value>) -> Result<Report, Diagnostic> {
    let until = until(event.context.deadline(), LONGEST);
    let mut app = app.lock().await;
    match handle(&mut app, &event.payload, until).await {
        Ok(report) => {
            log(&report);
            Ok(report)
        }
        Err(failure) => {
            let (error_type, error_message) = match failure {
                InvocationError::Held(report) => {
                    log(&report);
                    ("Held", json(&report))
                }
                InvocationError::Failed(message) => ("Failed", message),
            };
            tracing::error!(error_type, error_message, "could not reconcile");
            Err(Diagnostic {
                error_type: error_type.to_owned(),
                error_message,
            })
        }
    }
}

/// The answer, field by field.
fn log(report: &Report) {
    let figures = report.figures;
    tracing::info!(
        outcome = report.outcome.word(),
        listed = figures.listed,
        created = figures.created,
        updated = figures.updated,
        unchanged = figures.unchanged,
        deleted = figures.deleted,
        revived = figures.revived,
        rejected = figures.rejected,
        held = figures.held,
        missed = figures.missed,
        pages = figures.pages,
        duration_ms = figures.duration_ms,
        "reconciled"
    );
}

fn json(report: &Report) -> String {
    serde_json::to_string(report).unwrap_or_default()
}
