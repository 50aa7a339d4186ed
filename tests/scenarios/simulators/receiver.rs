//! An endpoint that takes deliveries, to look at what a sender sends.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;

/// A delivery as it arrived.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Delivery {
    pub(super) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// One answer of the endpoint.
#[derive(Debug, Clone, Default)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) header: Option<(&'static str, &'static str)>,
    pub(super) after: Duration,
}

#[derive(Default)]
struct Shared {
    deliveries: Vec<Delivery>,
    replies: VecDeque<Reply>,
}

/// A running endpoint; it answers 204 once its replies are used up.
#[derive(Clone)]
pub(super) struct Receiver {
    shared: Arc<Mutex<Shared>>,
    pub(super) url: String,
}

impl Receiver {
    pub(super) async fn start(replies: impl IntoIterator<Item = Reply>) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let shared = Arc::new(Mutex::new(Shared {
            deliveries: Vec::new(),
            replies: replies.into_iter().collect(),
        }));
        let receiver = Self {
            shared,
            url: format!("http://{}/", listener.local_addr()?),
        };
        let router = Router::new().fallback(take).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(receiver)
    }

    pub(super) async fn answering(statuses: impl IntoIterator<Item = u16>) -> Result<Self> {
        let replies = statuses.into_iter().map(|status| Reply {
            status,
            ..Reply::default()
        });
        Self::start(replies).await
    }

    pub(super) fn deliveries(&self) -> Vec<Delivery> {
        self.shared
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .deliveries
            .clone()
    }

    /// The ids that arrived, in the order they did.
    pub(super) fn ids(&self) -> Vec<String> {
        self.deliveries()
            .iter()
            .map(|delivery| delivery.header("svix-id").to_owned())
            .collect()
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> Response {
    let reply = {
        let mut shared = receiver
            .shared
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        shared.deliveries.push(Delivery { headers, body });
        shared.replies.pop_front()
    };
    let Some(reply) = reply else {
        return StatusCode::NO_CONTENT.into_response();
    };
    tokio::time::sleep(reply.after).await;
    let status = StatusCode::from_u16(reply.status).unwrap_or_default();
    let mut response = status.into_response();
    if let Some((name, value)) = reply.header {
        response.headers_mut().insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    response
}
