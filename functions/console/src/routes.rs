//! Which page answers which request, and what is asked of a request before any
//! page sees it.

use http::StatusCode;
use shared::time::WallClock;
use std::sync::Arc;
use tokio::time::Instant;

use crate::app::{App, Connected};
use crate::fault::Fault;
use crate::request::HttpRequest;
use crate::response::Response;
use crate::session::{self, Session};
use crate::visit::Visit;
use crate::{
    assets, compare, connect, drive, layout, look, overview, rejections, runs, sign_in, user, users,
};

/// Answers a request.
pub(crate) async fn answer(
    app: &App,
    request: &HttpRequest,
    now: WallClock,
    until: Instant,
) -> Response {
    let changes = match request.method() {
        "GET" | "HEAD" => false,
        "POST" => true,
        _ => {
            return layout::bare(request, method_not_allowed())
                .with("allow", "GET, HEAD, POST".to_owned());
        }
    };
    let response = match assets::file(request.path()) {
        Some(file) if !changes => file,
        _ => match enter(app, request, changes, now, until).await {
            Ok(response) => response,
            Err(fault) => layout::bare(request, fault),
        },
    };
    match request.method() {
        "HEAD" => response.without_body(),
        _ => response,
    }
}

/// As far as the session, or the sign-in.
async fn enter(
    app: &App,
    request: &HttpRequest,
    changes: bool,
    now: WallClock,
    until: Instant,
) -> Result<Response, Fault> {
    if changes && !comes_from_here(request) {
        tracing::warn!("refused a form of another site");
        return Err(Fault::refused(
            "This form was sent from another site. Open the console itself and try there.",
        ));
    }
    let Some((connected, session)) = who(app, request, now).await? else {
        return match (request.path(), changes) {
            ("sign-in", false) => Ok(sign_in::page(request)),
            ("sign-in", true) => sign_in::attempt(app, request, now).await,
            (_, false) => Ok(Response::lead_to(&request.up("sign-in"))),
            (_, true) => Err(Fault::new(
                StatusCode::UNAUTHORIZED,
                "Signed out",
                "Nothing was done: the session has ended. Sign in, and try again.",
            )),
        };
    };
    let Some(token) = connected.token().cloned() else {
        return Err(closed());
    };
    // A page that shows itself anew is nobody who does something.
    let by_itself = request.header("x-refresh").is_some();
    let renewed = session.renewed(now).filter(|_| !by_itself);
    let visit = Visit::new(app, connected, request, session, token, until);
    if changes && !visit.made_this_form() {
        return Err(Fault::refused(
            "Nothing was done: the form is of another session. Open the page anew and try again.",
        ));
    }
    if request.path() == "sign-out" && changes {
        return Ok(Response::lead_to("sign-in").with_cookie(session::end()));
    }
    if changes && app.read_only {
        return Err(Fault::refused(
            "Nothing was done: this console is read-only. READ_ONLY in its environment says so.",
        ));
    }
    let response = match page(&visit, changes).await {
        Ok(response) => response,
        Err(fault) => layout::fault(&visit, fault),
    };
    visit.let_go().await;
    Ok(match renewed {
        Some(session) => response.with_cookie(visit.cookie(&session)),
        None => response,
    })
}

/// The session of a request, under the token that the secret has now.
async fn who(
    app: &App,
    request: &HttpRequest,
    now: WallClock,
) -> Result<Option<(Arc<Connected>, Session)>, Fault> {
    let read = |connected: &Connected| {
        let token = connected.token()?;
        Session::read(token, session::cookie(request)?, now)
    };
    let known = app.known().await;
    // Whoever has proved something has the secret read; anybody else now and then.
    let connected = match read(&known) {
        Some(_) => app.current().await,
        None => app.recent().await,
    };
    let connected = connected.map_err(|error| {
        tracing::error!(error = format!("{error:#}"), "can't read the secret");
        Fault::unavailable("The secret can't be read. The log of console says why.")
    })?;
    if connected.token().is_none() {
        return Err(closed());
    }
    Ok(read(&connected).map(|session| (connected, session)))
}

async fn page(visit: &Visit<'_>, changes: bool) -> Result<Response, Fault> {
    match (visit.request.path(), changes) {
        ("", false) => overview::page(visit).await,
        ("sign-in", false) => Ok(Response::lead_to("./")),
        ("sign-in", true) => Ok(Response::lead_to("./")),
        ("users", false) => users::page(visit).await,
        ("user", false) => user::page(visit).await,
        ("user/read", true) => user::read_again(visit).await,
        ("user/erase", true) => user::erase(visit).await,
        ("compare", false) => compare::page(visit).await,
        ("runs", false) => runs::page(visit).await,
        ("run", false) => runs::one(visit).await,
        ("runs/go", true) => drive::slice(visit).await,
        ("runs/look", true) => look::page(visit).await,
        ("runs/release", true) => look::release(visit).await,
        ("rejections", false) => rejections::page(visit).await,
        ("rejection", false) => rejections::one(visit).await,
        ("rejection/retry", true) => rejections::retry(visit).await,
        ("rejection/dismiss", true) => rejections::dismiss(visit).await,
        (path, _) if path == "connect" || path.starts_with("connect/") => {
            let rest = path["connect".len()..].trim_start_matches('/');
            connect::answer(visit, rest, changes).await
        }
        _ => Err(Fault::not_found("There is no such page.")),
    }
}

/// Browsers say of a form from which site it was sent. What says nothing of the
/// kind is no browser, and has no cookie of somebody else's.
fn comes_from_here(request: &HttpRequest) -> bool {
    match request.header("sec-fetch-site") {
        Some("same-origin") => return true,
        Some("none") | None => {}
        Some(_) => return false,
    }
    let origin = request.header("origin").or(request.header("referer"));
    let Some(origin) = origin else {
        return true;
    };
    let Some((_, rest)) = origin.split_once("://") else {
        return false;
    };
    let host = rest.split('/').next().unwrap_or_default();
    // A front of its own (CloudFront) may have told the function's host by its own.
    ["host", "x-forwarded-host"]
        .into_iter()
        .filter_map(|name| request.header(name))
        .any(|known| known.eq_ignore_ascii_case(host))
}

fn closed() -> Fault {
    Fault::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "Closed",
        "The secret has no console_token, which opens this console. Put one of at least 24 bytes \
         into the secret.",
    )
}

fn method_not_allowed() -> Fault {
    Fault::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "Not allowed",
        "Pages are read with GET and changed with POST.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_form_comes_from_a_page_of_this_host() {
        let check = |headers: serde_json::Value| {
            comes_from_here(&HttpRequest::read(&json!({ "headers": headers })))
        };
        for ours in [
            json!({"host": "h:1", "origin": "http://h:1"}),
            json!({"host": "H", "origin": "https://h"}),
            json!({"host": "h", "referer": "https://h/users?q=1"}),
            json!({"host": "h", "origin": "https://h", "sec-fetch-site": "same-origin"}),
            json!({"host": "aws", "x-forwarded-host": "h", "origin": "https://h"}),
            json!({"host": "h"}),
        ] {
            assert!(check(ours.clone()), "{ours}");
        }
        for other in [
            json!({"host": "h:1", "origin": "http://h:2"}),
            json!({"host": "h", "origin": "https://evil"}),
            json!({"host": "h", "origin": "null"}),
            json!({"host": "h", "origin": "https://h.evil"}),
            json!({"host": "h", "origin": "https://evil", "referer": "https://h/"}),
            json!({"host": "h", "referer": "https://evil/https://h/"}),
            json!({"host": "h", "origin": "https://h", "sec-fetch-site": "cross-site"}),
            json!({"host": "h", "sec-fetch-site": "same-site"}),
            json!({"origin": "https://h"}),
        ] {
            assert!(!check(other.clone()), "{other}");
        }
    }
}
