//! A provider that answers as a test says: for answers that no simulator gives, because a real
//! provider doesn't either.

use std::sync::{Arc, Mutex};

use anyhow::Result;
use axum::Router;
use axum::extract::Request;
use axum::response::Response;

/// A server, and the requests to it.
pub(crate) struct Scripted {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    /// `answer` takes the path with its query, and the header `Authorization`; it gives a status and a
    /// body.
    pub(crate) async fn start<B: ToString>(
        answer: impl Fn(&str, &str) -> (u16, B) + Send + Sync + 'static,
    ) -> Result<Self> {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(answer);
        let note = Arc::clone(&asked);
        let handle = move |request: Request| {
            let path = request.uri().to_string();
            let authorization = request.headers().get("authorization");
            let authorization = authorization.and_then(|value| value.to_str().ok());
            let (status, body) = answer(&path, authorization.unwrap_or_default());
            let body = body.to_string();
            note.lock().expect("the list").push(path);
            async move {
                Response::builder()
                    .status(status)
                    .header("content-type", "application/json")
                    .body(body)
                    .expect("an answer")
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let app = Router::new().fallback(handle);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { url, asked })
    }

    /// The paths that were asked for since the last time.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().expect("the list"))
    }
}
