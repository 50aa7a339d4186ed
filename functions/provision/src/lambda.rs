//! `provision` as Lambda runs it: from the events of the runtime to answers.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use lambda_runtime::{Diagnostic, LambdaEvent, run, service_fn};
use provision::{Resource, check, handle};
use serde_json::Value;
use shared::start::{Start, ended, start, until};
use tokio::sync::Notify;

/// The time to take if no deadline is known.
const LONGEST: Duration = Duration::from_secs(100);

/// With an unusable environment or secret the function does not start, unless a
/// custom resource waits for its answer: a first deployment whose secret is not
/// filled in would hang for an hour.
pub(crate) async fn serve() -> Result<()> {
    let start = Arc::new(start().await);
    let unusable = check(&start).await.err();
    let invoked = Arc::new(Notify::new());
    let runtime = {
        let invoked = invoked.clone();
        run(service_fn(move |event: LambdaEvent<Value>| {
            if Resource::of(&event.payload).is_some() {
                invoked.notify_one();
            }
            answer(start.clone(), event)
        }))
    };
    tokio::pin!(runtime);
    if let Some(unusable) = unusable {
        tokio::select! {
            outcome = &mut runtime => return outcome.map_err(ended),
            () = invoked.notified() => {}
            () = tokio::time::sleep(Duration::from_secs(2)) => return Err(unusable),
        }
    }
    runtime.await.map_err(ended)
}

async fn answer(start: Arc<Result<Start>>, event: LambdaEvent<Value>) -> Result<Value, Diagnostic> {
    let until = until(event.context.deadline(), LONGEST);
    handle(&start, &event.payload, until)
        .await
        .map_err(|error| {
            let error_message = format!("{error:#}");
            tracing::error!(error_message, "could not provision");
            Diagnostic {
                error_type: "Failed".to_owned(),
                error_message,
            }
        })
}
