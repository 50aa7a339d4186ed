//! The only HTTP: sends what adapters ask for, within a time, a size and a
//! number of attempts.
//!
//! Invariant: no URL, header or body of a request or an answer gets into an
//! error or a log.

mod aws;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until, timeout_at};

pub use aws::http_client;

use crate::provider::{Answer, Misread, Provider, Request};

/// However long a server says that something lasts, it is asked again by then.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// A token is not used in the last minute that it is good for.
const BEFORE_EXPIRY: Duration = Duration::from_secs(60);

/// How far to go for one answer.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// When to give up.
    pub until: Instant,
    /// How often to ask at most.
    pub attempts: u32,
    /// How long to wait for one attempt.
    pub attempt: Duration,
    /// Bytes that an answer may have.
    pub size: usize,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// No connection, no answer in time, or the server's own trouble.
    #[error("the provider's API can't be reached: {0}")]
    Unreachable(String),
    /// Too many requests, for longer than there was time to wait.
    #[error("the provider is rate limiting")]
    RateLimited,
    /// The answer is larger than it may be.
    #[error("the provider's answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The answer was not what was asked for.
    #[error(transparent)]
    Misread(#[from] Misread),
}

impl Unanswered {
    /// Whether another attempt may end otherwise.
    pub fn is_worth_asking_again(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::RateLimited | Self::Misread(Misread::Garbled(_)) => true,
            Self::TooLarge(_) | Self::Misread(_) => false,
        }
    }
}

/// One connection pool for everything a function asks.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    token: Arc<Mutex<Option<Held>>>,
    /// Held by the one request that asks again after it was rate limited: if
    /// all that were asked again at once, most were refused again, and a slow
    /// plan's limit would use up their attempts.
    turn: Arc<Mutex<()>>,
}

/// A provider's token, for as long as it is good.
struct Held {
    /// What it was asked for with: another key's token is another.
    asked_with: Bytes,
    authorization: HeaderValue,
    until: Instant,
}

impl Client {
    /// Sends nothing yet.
    pub fn new() -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("users-sync/", env!("CARGO_PKG_VERSION")))
            // A redirect would carry the key to wherever it points.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .build()?;
        Ok(Self {
            http: client,
            token: Arc::default(),
            turn: Arc::default(),
        })
    }

    /// Asks the provider until `read` can use the answer, or the effort is
    /// spent; with a token, where the provider wants one.
    pub async fn ask<T>(
        &self,
        provider: &dyn Provider,
        request: &Request,
        effort: Effort,
        mut read: impl FnMut(&Answer) -> Result<T, Misread>,
    ) -> Result<T, Unanswered> {
        let Some(asks_for_token) = provider.token_request() else {
            return self.ask_bare(request, effort, read).await;
        };
        let mut refused = None;
        loop {
            let authorization = self
                .token(provider, &asks_for_token, refused.as_ref(), effort)
                .await?;
            let mut request = request.clone();
            let headers = request.headers_mut();
            headers.insert(http::header::AUTHORIZATION, authorization.clone());
            let mut unauthorized = false;
            let answer = self
                .ask_bare(&request, effort, |answer| {
                    unauthorized = answer.status == StatusCode::UNAUTHORIZED;
                    read(answer)
                })
                .await;
            // A token may be revoked before its time.
            if !unauthorized || refused.is_some() {
                return answer;
            }
            refused = Some(authorization);
        }
    }

    /// The token that is held, or a new one if it is about to expire or is
    /// the one that was refused. One is asked for at a time.
    async fn token(
        &self,
        provider: &dyn Provider,
        request: &Request,
        refused: Option<&HeaderValue>,
        effort: Effort,
    ) -> Result<HeaderValue, Unanswered> {
        let mut held = self.token.lock().await;
        if let Some(held) = held.as_ref()
            && held.asked_with == *request.body()
            && held.until > Instant::now()
            && refused != Some(&held.authorization)
        {
            return Ok(held.authorization.clone());
        }
        let token = self
            .ask_bare(request, effort, |answer| provider.token(answer))
            .await?;
        *held = Some(Held {
            asked_with: request.body().clone(),
            authorization: token.authorization.clone(),
            until: Instant::now() + token.lifetime.min(LONGEST).saturating_sub(BEFORE_EXPIRY),
        });
        Ok(token.authorization)
    }

    async fn ask_bare<T>(
        &self,
        request: &Request,
        effort: Effort,
        mut read: impl FnMut(&Answer) -> Result<T, Misread>,
    ) -> Result<T, Unanswered> {
        let mut turn = None;
        for attempt in 1.. {
            let (error, asked_to_wait) = match self.once(request, effort).await {
                Ok(answer) => match trouble(&answer) {
                    Some(error) => (error, wait_asked_for(&answer.headers)),
                    None => match read(&answer) {
                        Ok(value) => return Ok(value),
                        Err(error) => (error.into(), None),
                    },
                },
                Err(error) => (error, None),
            };
            let wait = asked_to_wait.unwrap_or_else(|| back_off(attempt));
            let last = attempt >= effort.attempts || Instant::now() + wait >= effort.until;
            if last || !error.is_worth_asking_again() {
                return Err(error);
            }
            let asks_again = Instant::now() + wait;
            if matches!(error, Unanswered::RateLimited) && turn.is_none() {
                turn = timeout_at(effort.until, self.turn.lock()).await.ok();
                if turn.is_none() {
                    return Err(error);
                }
            }
            sleep_until(asks_again).await;
        }
        unreachable!("the attempts are counted")
    }

    async fn once(&self, request: &Request, effort: Effort) -> Result<Answer, Unanswered> {
        let until = effort.until.min(Instant::now() + effort.attempt);
        match timeout_at(until, self.exchange(request.clone(), effort.size)).await {
            Ok(answer) => answer,
            Err(_) => Err(Unanswered::Unreachable("no answer in time".to_owned())),
        }
    }

    async fn exchange(&self, request: Request, size: usize) -> Result<Answer, Unanswered> {
        let request = request.try_into().map_err(unreachable_because)?;
        let response = self
            .http
            .execute(request)
            .await
            .map_err(unreachable_because)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = BytesMut::new();
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(unreachable_because)?;
            if body.len() + chunk.len() > size {
                return Err(Unanswered::TooLarge(size));
            }
            body.extend_from_slice(&chunk);
        }
        let body: Bytes = body.freeze();
        Ok(Answer {
            status,
            headers,
            body,
        })
    }

    /// Sends a body once, for an answer's status alone.
    pub async fn send(&self, request: Request, within: Duration) -> Result<StatusCode, Unanswered> {
        let effort = Effort {
            until: Instant::now() + within,
            attempts: 1,
            attempt: within,
            size: 1 << 20,
        };
        Ok(self.once(&request, effort).await?.status)
    }
}

/// What the driver says without the URL, which may hold an id.
fn unreachable_because(error: reqwest::Error) -> Unanswered {
    let what = if error.is_connect() {
        "no connection"
    } else if error.is_timeout() {
        "no answer in time"
    } else if error.is_body() || error.is_decode() {
        "the answer broke off"
    } else {
        "the exchange failed"
    };
    Unanswered::Unreachable(what.to_owned())
}

/// The server's trouble, which no adapter needs to know.
fn trouble(answer: &Answer) -> Option<Unanswered> {
    let status = answer.status;
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Some(Unanswered::RateLimited);
    }
    (status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT)
        .then(|| Unanswered::Unreachable(format!("HTTP {}", status.as_u16())))
}

/// `Retry-After` in seconds, or `x-ratelimit-reset` in seconds since 1970 by
/// the answer's own `Date` (the function's clock may be off).
fn wait_asked_for(headers: &HeaderMap) -> Option<Duration> {
    let header = |name: &str| headers.get(name)?.to_str().ok();
    if let Some(seconds) = header("retry-after").and_then(|text| text.parse::<u64>().ok()) {
        return Some(wait(seconds));
    }
    let reset: i64 = header("x-ratelimit-reset")?.parse().ok()?;
    let now = jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(header("date")?)
        .ok()?
        .as_second();
    let seconds = u64::try_from(reset.saturating_sub(now).max(0)).ok()?;
    Some(wait(seconds))
}

/// No clock can show the end of what some servers ask for.
fn wait(seconds: u64) -> Duration {
    Duration::from_secs(seconds).min(LONGEST) + jitter(250)
}

/// From a fifth of a second on, twice as long each time, up to 20 seconds.
fn back_off(attempt: u32) -> Duration {
    let most = 200_u64.saturating_mul(1 << attempt.min(10)).min(20_000);
    Duration::from_millis(most / 2) + jitter(most / 2)
}

fn jitter(most_millis: u64) -> Duration {
    Duration::from_millis(fastrand::u64(0..=most_millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_that_the_server_asks_for_is_kept() {
        let check = |headers: &[(&'static str, &str)]| {
            let headers = headers
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
                .collect();
            wait_asked_for(&headers).map(|wait| wait.as_secs())
        };
        assert_eq!(check(&[("retry-after", "7")]), Some(7));
        assert_eq!(check(&[("retry-after", "soon")]), None);
        let endless = u64::MAX.to_string();
        assert_eq!(check(&[("retry-after", &endless)]), Some(86_400));
        assert_eq!(check(&[]), None);
        let date = ("date", "Sat, 01 Feb 2025 12:34:56 GMT");
        assert_eq!(check(&[date, ("x-ratelimit-reset", "1738413299")]), Some(3));
        assert_eq!(check(&[date, ("x-ratelimit-reset", "1738413200")]), Some(0));
        let (first, last) = (i64::MIN.to_string(), i64::MAX.to_string());
        assert_eq!(check(&[date, ("x-ratelimit-reset", &first)]), Some(0));
        assert_eq!(check(&[date, ("x-ratelimit-reset", &last)]), Some(86_400));
    }

    #[test]
    fn a_back_off_grows_and_ends() {
        for attempt in 1..40 {
            let wait = back_off(attempt);
            assert!(wait >= Duration::from_millis(200) && wait <= Duration::from_secs(20));
        }
        assert!(back_off(8) >= Duration::from_secs(10));
    }
}
