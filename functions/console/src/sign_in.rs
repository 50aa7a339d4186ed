//! The sign-in: the token for a session.
//!
//! Invariant: an attempt is counted before it is tried, so that no number of
//! instances gives a stranger more of them; it is counted by the address that it
//! comes from, so that a stranger uses up nobody else's.

use std::time::Duration;

use http::StatusCode;
use maud::html;
use shared::store::StoreError;
use shared::store::desk::Attempt;
use shared::time::WallClock;

use crate::app::App;
use crate::fault::Fault;
use crate::layout;
use crate::request::HttpRequest;
use crate::response::Response;
use crate::session::Session;

/// Attempts from one address until the first of them is forgotten.
const MOST: i32 = 10;

/// How long that takes.
const WINDOW: Duration = Duration::from_secs(15 * 60);

/// Asks for the token.
pub(crate) fn page(request: &HttpRequest) -> Response {
    form(request, StatusCode::OK, None)
}

fn form(request: &HttpRequest, status: StatusCode, wrong: Option<&str>) -> Response {
    let body = html! {
        form method="post" action=(request.up("sign-in")) {
            @if let Some(wrong) = wrong {
                p.notice.bad id="wrong" role="alert" { (wrong) }
            }
            label for="console_token" { "Token" }
            input type="password" id="console_token" name="console_token" required
                autocomplete="current-password" autofocus
                aria-describedby=[wrong.map(|_| "wrong").or(Some("hint"))]
                aria-invalid=[wrong.map(|_| "true")];
            p.quiet id="hint" { "It is the secret's " code { "console_token" } "." }
            button type="submit" { "Sign in" }
        }
    };
    layout::alone(request, status, "Sign in", body)
}

/// Takes the token.
pub(crate) async fn attempt(
    app: &App,
    request: &HttpRequest,
    now: WallClock,
) -> Result<Response, Fault> {
    let source = request.source();
    let counted = app.known().await.desk.count_attempt(source, WINDOW).await;
    let attempt = match counted {
        Ok(attempt) => attempt,
        // Before provision has run there is nowhere to count: the instance does.
        Err(StoreError::NotProvisioned) => app.count_attempt(source, WINDOW).await,
        Err(error) => {
            tracing::error!(%error, "can't count attempts to sign in");
            return Err(Fault::unavailable(
                "The database can't be reached, and nobody is let in without it. The log of \
                 console says why.",
            ));
        }
    };
    if attempt.count > MOST {
        return Ok(too_many(request, attempt));
    }
    let connected = app.current().await.map_err(|error| {
        tracing::error!(error = format!("{error:#}"), "can't read the secret");
        Fault::unavailable("The secret can't be read. The log of console says why.")
    })?;
    let given = request.form().get("console_token").unwrap_or_default();
    let Some(token) = connected.token().filter(|token| token.is(given.trim())) else {
        tracing::warn!(source, count = attempt.count, "a sign-in failed");
        let wrong = "This is not the token.";
        return Ok(form(request, StatusCode::UNAUTHORIZED, Some(wrong)));
    };
    // Whether they are forgotten or not, the token was right.
    let _ = connected.desk.forget_attempts(source).await;
    app.forget_attempts(source).await;
    tracing::info!(source, "signed in");
    let session = Session::begin(now);
    Ok(Response::lead_to(&request.up("")).with_cookie(session.cookie(token)))
}

fn too_many(request: &HttpRequest, attempt: Attempt) -> Response {
    let minutes = attempt.wait.as_secs().div_ceil(60).max(1);
    let words = format!(
        "There were too many attempts from your address. Try again in {minutes} minutes; from \
         another address it can be tried at once."
    );
    form(request, StatusCode::TOO_MANY_REQUESTS, Some(&words))
        .with("retry-after", attempt.wait.as_secs().max(1).to_string())
}
