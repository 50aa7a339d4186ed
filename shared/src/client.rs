//! The only HTTP: it sends the requests of adapters, within a time, a size and a
//! number of attempts.
//!
//! Invariant: no URL, header or body of a request or an answer gets into an
//! error or a log.

mod aws;
mod patience;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::{BoxFuture, Shared};
use futures_util::{FutureExt, StreamExt};
use http::{HeaderValue, StatusCode};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until, timeout_at};

pub use aws::http_client;
pub use patience::Wait;

use crate::exchange::{Answer, AnswerError, Request};
use crate::provider::{Provider, Words};
use crate::time::WallClock;
use crate::tls;

/// Upper bound on the lifetime of any access token.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// An access token is not used in the last minute of its lifetime.
const BEFORE_EXPIRY: Duration = Duration::from_secs(60);

/// Bytes that a page of a listing has: 1000 users of 2 kB.
const USUAL_PAGE: usize = 2 << 20;

/// How far to go for one answer.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// When to give up.
    pub until: Instant,
    /// How many times to ask at most.
    pub attempts: u32,
    /// How long to wait for one attempt.
    pub attempt: Duration,
    /// How many bytes an answer may have.
    pub size: usize,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// No connection, no answer in time, or an answer that says only that there
    /// is trouble.
    #[error("the provider's API can't be reached: {0}")]
    Unreachable(String),
    /// Trouble that the provider itself explains.
    #[error("{0}")]
    Trouble(String),
    /// Too many requests, for longer than there is time to wait.
    #[error("the provider is rate limiting{}", Wait::until(.0.as_ref()))]
    RateLimited(Option<Wait>),
    /// The answer is too large.
    #[error("the provider's answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The answer was not what was asked for.
    #[error(transparent)]
    Misread(#[from] AnswerError),
}

impl Unanswered {
    /// Whether another attempt can end differently.
    pub fn is_worth_asking_again(&self) -> bool {
        match self {
            Self::Unreachable(_)
            | Self::Trouble(_)
            | Self::RateLimited(_)
            | Self::Misread(AnswerError::Garbled(_)) => true,
            Self::TooLarge(_) | Self::Misread(_) => false,
        }
    }
}

/// One connection pool for everything a function asks.
#[derive(Clone)]
pub struct Client {
    http: Http,
    token: Arc<Mutex<Option<CachedToken>>>,
    /// Held by the one request that asks again after a rate limit. If all of them
    /// asked again at once, most would be refused again, and a low limit would
    /// use up their attempts.
    turn: Arc<Mutex<()>>,
}

/// The pool, once it is made. To read the authorities' certificates takes as long as the
/// rest of a start, so that is done beside it.
type Http = Shared<BoxFuture<'static, Result<reqwest::Client, SetUp>>>;

/// HTTP can't be set up.
#[derive(Debug, Clone, thiserror::Error)]
#[error("HTTP could not be set up: {0}")]
pub struct SetUp(Arc<str>);

/// A provider's access token, until it expires.
struct CachedToken {
    /// The body of the request that asked for it, which names the key.
    asked_with: Bytes,
    authorization: HeaderValue,
    until: Instant,
}

impl Client {
    /// Begins to make the pool, in a runtime, and sends nothing yet.
    pub fn begin() -> Self {
        let made = tokio::task::spawn_blocking(Self::pool);
        let made = async {
            let reason = |error: &dyn std::fmt::Display| SetUp(error.to_string().into());
            match made.await {
                Ok(pool) => pool.map_err(|error| reason(&error)),
                Err(error) => Err(reason(&error)),
            }
        };
        Self {
            http: made.boxed().shared(),
            token: Arc::default(),
            turn: Arc::default(),
        }
    }

    fn pool() -> Result<reqwest::Client, reqwest::Error> {
        let mut client = reqwest::Client::builder()
            .user_agent(concat!("users-sync/", env!("CARGO_PKG_VERSION")))
            // A redirect would carry the key to wherever it points.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5));
        if let Ok(tls) = tls::trusting_the_system() {
            client = client.tls_backend_preconfigured(tls);
        }
        client.build()
    }

    /// Asks the provider until `read` can use the answer or the effort is spent,
    /// with an access token if the provider wants one.
    pub async fn ask<T>(
        &self,
        provider: &dyn Provider,
        request: &Request,
        effort: Effort,
        mut read: impl FnMut(&Answer) -> Result<T, AnswerError>,
    ) -> Result<T, Unanswered> {
        let Some(asks_for_token) = provider.access_token_request() else {
            let words = provider.words();
            return self.ask_bare(words, request, effort, read).await;
        };
        let mut refused = None;
        loop {
            let authorization = self
                .access_token(provider, &asks_for_token, refused.as_ref(), effort)
                .await?;
            let mut request = request.clone();
            let headers = request.headers_mut();
            headers.insert(http::header::AUTHORIZATION, authorization.clone());
            let mut unauthorized = false;
            let answer = self
                .ask_bare(provider.words(), &request, effort, |answer| {
                    unauthorized = matches!(
                        answer.status,
                        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
                    );
                    read(answer)
                })
                .await;
            // A token can be revoked early, and it carries the permissions that
            // the application had when it was issued.
            if !unauthorized || refused.is_some() {
                return answer;
            }
            refused = Some(authorization);
        }
    }

    /// The cached token, or a new one if that is about to expire or was refused.
    /// Only one request at a time asks for a token.
    async fn access_token(
        &self,
        provider: &dyn Provider,
        request: &Request,
        refused: Option<&HeaderValue>,
        effort: Effort,
    ) -> Result<HeaderValue, Unanswered> {
        let mut cached = self.token.lock().await;
        if let Some(token) = cached.as_ref()
            && token.asked_with == *request.body()
            && token.until > Instant::now()
            && refused != Some(&token.authorization)
        {
            return Ok(token.authorization.clone());
        }
        let token = self
            .ask_bare(provider.words(), request, effort, |answer| {
                provider.access_token(answer)
            })
            .await?;
        *cached = Some(CachedToken {
            asked_with: request.body().clone(),
            authorization: token.authorization.clone(),
            until: Instant::now() + token.lifetime.min(LONGEST).saturating_sub(BEFORE_EXPIRY),
        });
        Ok(token.authorization)
    }

    /// Asks for what is no provider's yet, with whatever the request carries: as
    /// [`Client::ask`] does without an access token. `words`: what its troubles mean.
    pub async fn ask_bare<T>(
        &self,
        words: &Words,
        request: &Request,
        effort: Effort,
        mut read: impl FnMut(&Answer) -> Result<T, AnswerError>,
    ) -> Result<T, Unanswered> {
        let mut turn = None;
        for attempt in 1.. {
            let (error, asked_to_wait) = match self.once(request, effort).await {
                Ok(answer) => {
                    let wait = Wait::asked_for(&answer.headers, WallClock::read());
                    match trouble(words, &answer, wait) {
                        Some(error) => (error, wait),
                        None => match read(&answer) {
                            Ok(value) => return Ok(value),
                            Err(error) => (error.into(), None),
                        },
                    }
                }
                Err(error) => (error, None),
            };
            let wait = asked_to_wait
                .and_then(Wait::lasts)
                .map_or_else(|| back_off(attempt), |lasts| lasts + jitter(250));
            let last = attempt >= effort.attempts || Instant::now() + wait >= effort.until;
            if last || !error.is_worth_asking_again() {
                return Err(error);
            }
            let asks_again = Instant::now() + wait;
            if matches!(error, Unanswered::RateLimited(_)) && turn.is_none() {
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
        let http = self.http.clone().await;
        let http = http.map_err(|error| Unanswered::Unreachable(error.to_string()))?;
        let response = http.execute(request).await.map_err(unreachable_because)?;
        let (status, headers) = (response.status(), response.headers().clone());
        // A body that grows is copied each time. No more is taken on trust than a
        // page of the listing usually has.
        let said = response.content_length().unwrap_or(0);
        let said = usize::try_from(said).unwrap_or(usize::MAX);
        let mut body = BytesMut::with_capacity(said.min(size).min(USUAL_PAGE));
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

    /// Sends a request once, and returns only the status of the answer.
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

/// Why there is no answer, without the URL, which can contain an id.
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

/// Trouble of the server's own, which no adapter has to handle.
fn trouble(words: &Words, answer: &Answer, wait: Option<Wait>) -> Option<Unanswered> {
    let status = answer.status;
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Some(Unanswered::RateLimited(wait));
    }
    if !status.is_server_error() && status != StatusCode::REQUEST_TIMEOUT {
        return None;
    }
    Some(match words.trouble(answer) {
        Some(said) => Unanswered::Trouble(said),
        None => {
            let until = Wait::until(wait.as_ref());
            Unanswered::Unreachable(format!("HTTP {}{until}", status.as_u16()))
        }
    })
}

/// Begins at a fifth of a second and doubles each time, up to 20 seconds.
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
    fn a_back_off_grows_and_ends() {
        for attempt in 1..40 {
            let wait = back_off(attempt);
            assert!(wait >= Duration::from_millis(200) && wait <= Duration::from_secs(20));
        }
        assert!(back_off(8) >= Duration::from_secs(10));
    }
}
