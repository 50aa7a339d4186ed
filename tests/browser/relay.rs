//! The address of `webhook`, which starts when the first delivery comes: it can't start before a
//! provider is connected, as on AWS.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tests::function::Function;
use tokio::sync::OnceCell;

#[derive(Clone)]
struct Relay {
    function: Arc<OnceCell<Function>>,
    environment: Vec<(String, String)>,
    http: reqwest::Client,
}

/// Serves the address and returns it.
pub(crate) async fn serve(environment: Vec<(String, String)>) -> Result<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let relay = Relay {
        function: Arc::default(),
        environment,
        http: reqwest::Client::builder().no_proxy().build()?,
    };
    let app = Router::new().fallback(pass).with_state(relay);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}

async fn pass(State(relay): State<Relay>, request: Request) -> Response {
    match relay.forward(request).await {
        Ok(response) => response,
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

impl Relay {
    async fn forward(&self, request: Request) -> Result<Response> {
        let function = self.function.get_or_try_init(|| self.start()).await?;
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, 2 << 20).await.context("read a delivery")?;
        let answer = self
            .http
            .request(parts.method, function.url())
            .headers(parts.headers)
            .timeout(Duration::from_secs(20))
            .body(body)
            .send()
            .await?;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = answer.status();
        Ok(response)
    }

    async fn start(&self) -> Result<Function> {
        let function = Function::spawn("webhook", self.environment.clone()).await?;
        function.ready().await?;
        Ok(function)
    }
}
