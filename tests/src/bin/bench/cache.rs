//! A provider that answers at once: keeps what the simulator answered, and gives it again.
//!
//! The simulator makes up each user when it is asked, which would take as long as what is measured.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A copy of a provider on a port of its own, until it is dropped.
pub(crate) struct Cache {
    origin: String,
    kept: Arc<Kept>,
    serving: JoinHandle<()>,
}

struct Kept {
    client: reqwest::Client,
    provider: String,
    answers: Mutex<HashMap<String, Bytes>>,
    /// The pages of users, in the order in which they were first asked for.
    pages: Mutex<Vec<String>>,
    latency_ms: AtomicU64,
}

impl Cache {
    /// A copy of the provider at this origin.
    pub(crate) async fn of(provider: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("bind")?;
        let origin = format!("http://{}", listener.local_addr()?);
        let kept = Arc::new(Kept {
            client: reqwest::Client::builder().no_proxy().build()?,
            provider: provider.to_owned(),
            answers: Mutex::default(),
            pages: Mutex::default(),
            latency_ms: AtomicU64::new(0),
        });
        let app = Router::new().fallback(answer).with_state(kept.clone());
        let serving = tokio::spawn(async move {
            let listener = listener.tap_io(|line| drop(line.set_nodelay(true)));
            let served = axum::serve(listener, app).await;
            drop(served);
        });
        Ok(Self {
            origin,
            kept,
            serving,
        })
    }

    /// A URL of the provider's, here.
    pub(crate) fn url(&self, url: &str) -> String {
        url.replace(&self.kept.provider, &self.origin)
    }

    /// How long each page takes from now on.
    pub(crate) fn set_latency(&self, latency_ms: u64) {
        self.kept.latency_ms.store(latency_ms, Ordering::Relaxed);
    }

    /// The URLs of all pages that were asked for, in order.
    pub(crate) fn pages(&self) -> Vec<String> {
        let pages = self.kept.pages.lock();
        let pages = pages.unwrap_or_else(PoisonError::into_inner);
        let url = |path: &String| format!("{}{path}", self.origin);
        pages.iter().map(url).collect()
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(State(kept): State<Arc<Kept>>, request: Request) -> Response {
    let path = request
        .uri()
        .path_and_query()
        .map(ToString::to_string)
        .unwrap_or_default();
    if path.contains("/users?") {
        let latency = kept.latency_ms.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(latency)).await;
    }
    let known = {
        let answers = kept.answers.lock();
        let answers = answers.unwrap_or_else(PoisonError::into_inner);
        answers.get(&path).cloned()
    };
    let body = match known {
        Some(body) => body,
        None => match fetch(&kept, &path, request).await {
            Ok(Ok(body)) => body,
            Ok(Err(response)) => return response,
            Err(error) => return (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response(),
        },
    };
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// The provider's answer; what is no success is passed on, and not kept.
async fn fetch(kept: &Kept, path: &str, request: Request) -> Result<Result<Bytes, Response>> {
    let (mut parts, body) = request.into_parts();
    for name in [header::HOST, header::CONTENT_LENGTH] {
        parts.headers.remove(name);
    }
    let sent = axum::body::to_bytes(body, usize::MAX).await?;
    let request = kept
        .client
        .request(parts.method.clone(), format!("{}{path}", kept.provider))
        .headers(parts.headers)
        .body(sent);
    let answer = request.send().await?;
    let status = answer.status();
    let body = answer.bytes().await?;
    if status != StatusCode::OK || parts.method != http::Method::GET {
        return Ok(Err((status, body).into_response()));
    }
    if path.contains("/users?") {
        let pages = kept.pages.lock();
        let mut pages = pages.unwrap_or_else(PoisonError::into_inner);
        pages.push(path.to_owned());
    }
    let answers = kept.answers.lock();
    let mut answers = answers.unwrap_or_else(PoisonError::into_inner);
    answers.insert(path.to_owned(), body.clone());
    Ok(Ok(body))
}
