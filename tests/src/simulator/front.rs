//! The layer between the network and a vendor's routes: the log, the rate limit, the hooks and the
//! faults.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};

use super::faults::{Fault, RateLimit};
use super::line::{Line, Manner};
use super::requests::{self, Call};
use super::world::{Moment, World};

/// Headers of an answer.
type LimitHeaders = Vec<(&'static str, String)>;

/// Everything that a request passes before it reaches the vendor's routes.
#[derive(Clone)]
pub(super) struct Front {
    world: World,
    /// When the requests that still count were let through, in milliseconds since 1970.
    recent: Arc<Mutex<VecDeque<i64>>>,
}

impl Front {
    pub(super) fn of(world: World) -> Self {
        Self {
            world,
            recent: Arc::default(),
        }
    }

    /// Whether one more request is within the limit, which it then counts against; in how many
    /// seconds there is room again; and what every answer says of it.
    fn within(&self, limit: RateLimit) -> (bool, u64, LimitHeaders) {
        let now = self.world.clock().now();
        let seconds = self.world.vendor().limited_seconds();
        let most = usize::try_from(seconds)
            .unwrap_or(1)
            .saturating_mul(limit.per_second);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        while recent
            .front()
            .is_some_and(|at| now - *at >= seconds * 1_000)
        {
            recent.pop_front();
        }
        let within = recent.len() < most;
        if within {
            recent.push_back(now);
        }
        let remaining = most.saturating_sub(recent.len());
        let oldest = recent.front().copied().unwrap_or(now);
        // In whole seconds, and not before there is room again.
        let reset = (oldest + seconds * 1_000 + 999).div_euclid(1_000);
        let headers = self.world.vendor().limit_headers(limit, remaining, reset);
        let wait = oldest + seconds * 1_000 - now;
        let wait = u64::try_from((wait + 999).div_euclid(1_000)).unwrap_or(0);
        (within, wait.max(1), headers)
    }
}

/// Logs the request, and lets it meet what lies ahead of it.
pub(super) async fn pass(
    State(front): State<Front>,
    ConnectInfo(line): ConnectInfo<Line>,
    request: Request,
    next: Next,
) -> Response {
    line.set(Manner::Plain);
    let world = &front.world;
    let call = world.vendor().call(request.method(), request.uri().path());
    let switches = world.switches();
    let rated = switches
        .rate_limit
        .map(|limit| (limit, front.within(limit)));
    let limited = rated
        .as_ref()
        .filter(|(_, (within, ..))| !within)
        .map(|(limit, (_, wait, _))| limit.retry_after.then_some(*wait));
    let fault = match limited {
        Some(_) => None,
        None => world.meet(call, request.uri().path()),
    };
    let number = world.note(requests::Request {
        at: world.clock().now(),
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        call,
        status: None,
        fault: fault.clone(),
    });
    tokio::time::sleep(Duration::from_millis(switches.latency_ms)).await;
    let mut response = match limited {
        Some(retry_after) => refuse(world, retry_after),
        None => answer(world, &line, call, fault, request, next).await,
    };
    for (name, value) in rated.into_iter().flat_map(|(_, (_, _, headers))| headers) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    world.answered(number, response.status().as_u16());
    response
}

/// Has the vendor see other parameters than were sent.
fn force(request: &mut Request, forced: &BTreeMap<String, Option<String>>) {
    if forced.is_empty() {
        return;
    }
    let query = request.uri().query().unwrap_or_default();
    let sent = query.split('&').filter(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        !pair.is_empty() && !forced.contains_key(name)
    });
    let added = forced
        .iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?)));
    let query: Vec<String> = sent.map(str::to_owned).chain(added).collect();
    let uri = format!("{}?{}", request.uri().path(), query.join("&"));
    if let Ok(uri) = uri.parse() {
        *request.uri_mut() = uri;
    }
}

/// The vendor's answer, or what the fault makes of it.
async fn answer(
    world: &World,
    line: &Line,
    call: Call,
    fault: Option<Fault>,
    request: Request,
    next: Next,
) -> Response {
    match &fault {
        Some(Fault::Status(status)) => return text(*status),
        Some(Fault::TooManyRequests { retry_after }) => return refuse(world, *retry_after),
        Some(Fault::Html(status)) => return page(*status),
        Some(Fault::Json(body)) => {
            let kind = (header::CONTENT_TYPE, "application/json");
            return (StatusCode::OK, [kind], body.clone()).into_response();
        }
        Some(Fault::Answer {
            status,
            headers,
            body,
        }) => return answer_of(*status, headers, body),
        Some(Fault::Hang) => std::future::pending().await,
        _ => {}
    }
    world.run_hooks(Moment::Before, call);
    let mut request = request;
    for value in request.headers_mut().values_mut() {
        let own = value.to_str().ok().and_then(|text| world.as_own_key(text));
        if let Some(Ok(own)) = own.map(|own| HeaderValue::from_str(&own)) {
            *value = own;
        }
    }
    if call == Call::List {
        force(&mut request, &world.switches().forced_parameters);
    }
    let mut response = next.run(request).await;
    world.run_hooks(Moment::After, call);
    if let Some((own, listed)) = world.switches().listed_as
        && call == Call::List
    {
        response = replace(response, &own, &listed).await;
    }
    match fault {
        Some(Fault::Truncated) => halve(response).await,
        Some(Fault::CutOff) => cut_off(line, response).await,
        Some(Fault::Slow { bytes, every_ms }) => {
            let every = Duration::from_millis(every_ms);
            line.set(Manner::Slow { bytes, every });
            response
        }
        Some(Fault::Late(millis)) => {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            response
        }
        Some(Fault::Dropped) => {
            line.set(Manner::Dropped);
            response
        }
        Some(Fault::EmptyListing) if call == Call::List => (
            [(header::CONTENT_TYPE, "application/json; charset=utf-8")],
            world.vendor().empty_listing(),
        )
            .into_response(),
        _ => response,
    }
}

fn refuse(world: &World, retry_after: Option<u64>) -> Response {
    let mut refused = world.vendor().too_many_requests();
    let retry_after = retry_after.map(|seconds| ("retry-after", seconds.to_string()));
    refused.headers.extend(retry_after);
    refused.into_response()
}

fn text(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = status.canonical_reason().unwrap_or_default();
    (status, body).into_response()
}

fn answer_of(status: u16, headers: &[(String, String)], body: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut answer = (status, body.to_owned()).into_response();
    for (name, value) in headers {
        let name = HeaderName::try_from(name.as_str());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

/// As a proxy, a captive portal or an error page in front of the provider answers.
fn page(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let title = format!(
        "{} {}",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default()
    );
    let html = format!(
        "<!DOCTYPE html>\n<html>\n<head><title>{title}</title></head>\n\
         <body>\n<center><h1>{title}</h1></center>\n<hr><center>nginx</center>\n</body>\n</html>\n"
    );
    (status, Html(html)).into_response()
}

async fn replace(response: Response, old: &str, new: &str) -> Response {
    let (mut head, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    head.headers.remove(header::CONTENT_LENGTH);
    let text = String::from_utf8_lossy(&bytes).replace(old, new);
    Response::from_parts(head, Body::from(text))
}

async fn halve(response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    head.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(head, Body::from(bytes.slice(..bytes.len() / 2)))
}

async fn cut_off(line: &Line, response: Response) -> Response {
    let (head, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    line.set(Manner::Cut {
        bytes: bytes.len() / 2,
    });
    Response::from_parts(head, Body::from(bytes))
}
