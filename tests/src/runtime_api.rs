//! Lambda's Runtime API: hands invocations to the processes ("instances") that ask for them.
//!
//! Source: AWS's "Using the Lambda runtime API for custom runtimes". As in Lambda, an instance
//! that overruns its deadline is killed, and one that ends takes its invocation with it.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

/// How long an invocation waits for an instance beyond its own time limit.
const QUEUE_LIMIT: Duration = Duration::from_secs(60);

/// A failed invocation, as Lambda reports it to the caller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase", default)]
#[error("{error_type}: {error_message}")]
pub struct FunctionError {
    /// Lambda's `errorType`: the function's own, `Sandbox.Timedout` or `Runtime.ExitError`.
    pub error_type: String,
    /// Lambda's `errorMessage`.
    pub error_message: String,
}

impl FunctionError {
    pub(crate) fn new(error_type: &str, error_message: impl Into<String>) -> Self {
        Self {
            error_type: error_type.to_owned(),
            error_message: error_message.into(),
        }
    }
}

/// The outcome of an invocation.
pub type Answer = Result<Bytes, FunctionError>;

/// The queue of one function's invocations; clones share it.
#[derive(Clone, Default)]
pub struct RuntimeApi(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<Queue>,
    work: Notify,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Invocation>,
    running: HashMap<String, Running>,
    instances: HashMap<u32, Instance>,
    started: u32,
    init_error: Option<FunctionError>,
}

struct Invocation {
    event: Bytes,
    limit: Duration,
    answer: oneshot::Sender<Answer>,
}

struct Running {
    instance: u32,
    answer: oneshot::Sender<Answer>,
}

struct Instance {
    kill: Box<dyn Fn() + Send + Sync>,
    ready: Option<Instant>,
}

impl RuntimeApi {
    /// Opens the API for one more instance, which `kill` ends.
    ///
    /// Returns the instance's number and its `AWS_LAMBDA_RUNTIME_API`. Each has an address of its
    /// own, so that we know whose invocation is lost when one ends.
    pub async fn open(&self, kill: impl Fn() + Send + Sync + 'static) -> Result<(u32, SocketAddr)> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("bind the Runtime API")?;
        let address = listener.local_addr()?;
        let number = {
            let mut queue = self.queue();
            queue.started += 1;
            queue.init_error = None;
            let number = queue.started;
            queue.instances.insert(
                number,
                Instance {
                    kill: Box::new(kill),
                    ready: None,
                },
            );
            number
        };
        let routes = Router::new()
            .route("/invocation/next", get(next))
            .route("/invocation/{id}/response", post(respond))
            .route("/invocation/{id}/error", post(report_error))
            .route("/init/error", post(report_init_error))
            .layer(DefaultBodyLimit::disable())
            .with_state((self.clone(), number));
        let app = Router::new().nest("/2018-06-01/runtime", routes);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok((number, address))
    }

    /// Invokes the function with an event; `limit` counts from when an instance takes it.
    pub async fn invoke(&self, event: Bytes, limit: Duration) -> Answer {
        let (answer, answered) = oneshot::channel();
        {
            let mut queue = self.queue();
            if queue.instances.is_empty() {
                return Err(queue.no_instance());
            }
            queue.waiting.push_back(Invocation {
                event,
                limit,
                answer,
            });
        }
        self.0.work.notify_one();
        match tokio::time::timeout(limit + QUEUE_LIMIT, answered).await {
            Ok(Ok(answer)) => answer,
            _ => Err(FunctionError::new(
                "Sandbox.Timedout",
                "No instance took the invocation",
            )),
        }
    }

    /// Records that an instance has ended; its invocation, and without instances all, fail.
    pub fn instance_ended(&self, number: u32, code: i32) {
        let mut queue = self.queue();
        queue.instances.remove(&number);
        let reason = match code {
            0 => "Runtime exited without providing a reason".to_owned(),
            137 => "Runtime exited with error: signal: killed".to_owned(),
            code => format!("Runtime exited with error: exit status {code}"),
        };
        for (id, running) in queue
            .running
            .extract_if(|_, running| running.instance == number)
        {
            let message = format!("RequestId: {id} Error: {reason}");
            let _ = running
                .answer
                .send(Err(FunctionError::new("Runtime.ExitError", message)));
        }
        if queue.instances.is_empty() {
            let error = queue.no_instance();
            for invocation in queue.waiting.drain(..) {
                let _ = invocation.answer.send(Err(error.clone()));
            }
        }
    }

    /// When the instance first asked for an invocation, that is, ended its init.
    pub fn ready_since(&self, number: u32) -> Option<Instant> {
        self.queue()
            .instances
            .get(&number)
            .and_then(|instance| instance.ready)
    }

    /// The error of the last started instance, if its init failed.
    pub fn init_error(&self) -> Option<FunctionError> {
        self.queue().init_error.clone()
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.state.lock().expect("no holder of this lock panics")
    }

    /// Gives the oldest waiting invocation to an instance.
    fn take(&self, number: u32) -> Option<Response> {
        let mut queue = self.queue();
        let invocation = loop {
            let invocation = queue.waiting.pop_front()?;
            if !invocation.answer.is_closed() {
                break invocation;
            }
        };
        let id = Uuid::new_v4().to_string();
        let deadline = SystemTime::now() + invocation.limit;
        let deadline = deadline
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_millis();
        queue.running.insert(
            id.clone(),
            Running {
                instance: number,
                answer: invocation.answer,
            },
        );
        let headers = [
            ("lambda-runtime-aws-request-id", id.clone()),
            ("lambda-runtime-deadline-ms", deadline.to_string()),
            (
                "lambda-runtime-invoked-function-arn",
                "arn:aws:lambda:us-east-1:123456789012:function:test".to_owned(),
            ),
            (
                "lambda-runtime-trace-id",
                format!("Root=1-{:08x}-{:024x}", 1, number),
            ),
            ("content-type", "application/json".to_owned()),
        ];
        let api = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(invocation.limit).await;
            api.time_out(&id, invocation.limit);
        });
        Some((headers, invocation.event).into_response())
    }

    fn time_out(&self, id: &str, limit: Duration) {
        let mut queue = self.queue();
        let Some(running) = queue.running.remove(id) else {
            return;
        };
        if let Some(instance) = queue.instances.get(&running.instance) {
            (instance.kill)();
        }
        let seconds = limit.as_secs_f64();
        let message = format!("RequestId: {id} Error: Task timed out after {seconds:.2} seconds");
        let _ = running
            .answer
            .send(Err(FunctionError::new("Sandbox.Timedout", message)));
    }

    fn finish(&self, id: &str, answer: Answer) -> Response {
        match self.queue().running.remove(id) {
            Some(running) => {
                let _ = running.answer.send(answer);
                (StatusCode::ACCEPTED, Json(json!({"status": "OK"}))).into_response()
            }
            None => {
                let error = json!({"errorType": "InvalidRequestID", "errorMessage": "unknown id"});
                (StatusCode::BAD_REQUEST, Json(error)).into_response()
            }
        }
    }
}

impl Queue {
    fn no_instance(&self) -> FunctionError {
        let error = || FunctionError::new("Runtime.ExitError", "No instance is running");
        self.init_error.clone().unwrap_or_else(error)
    }
}

type Asking = State<(RuntimeApi, u32)>;

async fn next(State((api, number)): Asking) -> Response {
    if let Some(instance) = api.queue().instances.get_mut(&number) {
        instance.ready.get_or_insert_with(Instant::now);
    }
    loop {
        let work = api.0.work.notified();
        if let Some(response) = api.take(number) {
            return response;
        }
        work.await;
    }
}

async fn respond(State((api, _)): Asking, Path(id): Path<String>, body: Bytes) -> Response {
    api.finish(&id, Ok(body))
}

async fn report_error(State((api, _)): Asking, Path(id): Path<String>, body: Bytes) -> Response {
    api.finish(&id, Err(read_error(&body)))
}

async fn report_init_error(State((api, _)): Asking, body: Bytes) -> Response {
    api.queue().init_error = Some(read_error(&body));
    (StatusCode::ACCEPTED, Json(json!({"status": "OK"}))).into_response()
}

fn read_error(body: &[u8]) -> FunctionError {
    let unreadable = |_| FunctionError::new("Unreadable", String::from_utf8_lossy(body));
    serde_json::from_slice(body).unwrap_or_else(unreadable)
}
