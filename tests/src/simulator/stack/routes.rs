//! Stack Auth's HTTP: who may ask, for what, and how the answer is dressed.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{FromRequestParts, Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

use super::fields::normal;
use super::listing::{self, Wanted};
use super::{Cursors, Stack, errors, partner};
use crate::simulator::json;
use crate::simulator::users::View;
use crate::simulator::vendor::{Change, Fields, Reading, Refused};
use crate::simulator::world::World;

#[derive(Clone)]
pub(super) struct Api {
    pub(super) project: Stack,
    pub(super) world: World,
}

pub(super) fn routes(project: Stack, world: World) -> Router {
    Router::new()
        .route("/api/v1/users", get(list).post(create))
        .route("/api/v1/users/{id}", get(read).patch(update).delete(delete))
        .merge(partner::routes())
        .fallback(nowhere)
        .with_state(Api { project, world })
        .layer(middleware::from_fn(dress))
}

async fn list(
    State(api): State<Api>,
    _: Allowed,
    uri: Uri,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Result<Response, Refused> {
    let refused = api.world.switches().refused_parameters;
    let wanted = Wanted::of(&parameters, uri.path(), |name| refused.contains(name))?;
    let excluded = api.project.cursors == Cursors::Excluded;
    if excluded && wanted.limit.is_some_and(|limit| limit > listing::MOST) {
        return Err(errors::limit(uri.path()));
    }
    let view = api.world.view();
    let from = match &wanted.cursor {
        None => None,
        Some(cursor) => match api.world.position(cursor, view) {
            // Deleted since the last page named it: the listing seems to be at its end.
            None => return Ok(answered(StatusCode::OK, listing::answer(&[], None))),
            position => position,
        },
    };
    let most = if excluded { listing::MOST } else { usize::MAX };
    let page = api.world.page(
        view,
        from,
        wanted.descending,
        wanted.limit.unwrap_or(most),
        |id, user| {
            let follows = !excluded || wanted.cursor.as_deref() != Some(id);
            follows && wanted.takes(id, user)
        },
    );
    if excluded && wanted.limit.is_none() && page.next.is_some() {
        return Err(errors::limit(uri.path()));
    }
    let next = match excluded {
        true => page.next.and(page.last),
        false => page.next,
    };
    let body = listing::answer(&page.items, next.as_deref());
    Ok(answered(StatusCode::OK, body))
}

async fn read(
    State(api): State<Api>,
    _: Allowed,
    uri: Uri,
    Path(id): Path<String>,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Result<Response, Refused> {
    let id = user_id(&Method::GET, &uri, &id)?;
    // The schema of the listing's parameters is this endpoint's, too.
    let refused = api.world.switches().refused_parameters;
    Wanted::of(&parameters, uri.path(), |name| refused.contains(name))?;
    let view = api.world.view();
    let profile = api
        .world
        .profile(&id, view)
        .ok_or_else(errors::user_not_found)?;
    Ok(answered(StatusCode::OK, profile.to_string()))
}

async fn create(
    State(api): State<Api>,
    headers: HeaderMap,
    uri: Uri,
    allowed: Result<Allowed, Refused>,
    body: Bytes,
) -> Result<Response, Refused> {
    let body = parsed(&headers, &body)?;
    allowed?;
    let fields = fields(&Method::POST, &uri, body)?;
    no_longer_free(&api.world, None, &fields)?;
    let effect = api.world.change(None, &Change::Create(fields))?;
    Ok(answered(StatusCode::CREATED, effect.answer))
}

async fn update(
    State(api): State<Api>,
    headers: HeaderMap,
    uri: Uri,
    allowed: Result<Allowed, Refused>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Refused> {
    let body = parsed(&headers, &body)?;
    allowed?;
    let id = user_id(&Method::PATCH, &uri, &id)?;
    let fields = fields(&Method::PATCH, &uri, body)?;
    no_longer_free(&api.world, Some(&id), &fields)?;
    let effect = api.world.change(Some(&id), &Change::Update(fields))?;
    Ok(answered(StatusCode::OK, effect.answer))
}

/// Refuses an email with which somebody else signs in, if this user is to sign in with it, too. Two
/// requests at once may both pass, as the world is not locked between the look and the change.
fn no_longer_free(world: &World, id: Option<&str>, wanted: &Fields) -> Result<(), Refused> {
    let own = id.and_then(|id| world.profile(id, View::Now));
    let own = own
        .map(|profile| json::fields(&profile))
        .unwrap_or_default();
    let field = |name: &str| wanted.get(name).or_else(|| own.get(name));
    let signs_in = field("primary_email_auth_enabled").is_some_and(|is| is.get() == "true");
    let email = field("primary_email").and_then(|email| serde_json::from_str(email.get()).ok());
    let Some(email) = email
        .filter(|_| signs_in)
        .map(|email: String| normal(&email))
    else {
        return Ok(());
    };
    let has_it = |other: &str, user: &Reading| {
        Some(other) != id && user.email.as_deref() == Some(email.as_str())
    };
    let others = world.listed(View::Now, None, false, usize::MAX, has_it);
    let taken = others.iter().any(|(_, profile)| {
        json::get(&json::fields(profile), "primary_email_auth_enabled") == Some(true)
    });
    match taken {
        true => Err(errors::email_taken(&email)),
        false => Ok(()),
    }
}

async fn delete(
    State(api): State<Api>,
    headers: HeaderMap,
    uri: Uri,
    allowed: Result<Allowed, Refused>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Refused> {
    parsed(&headers, &body)?;
    allowed?;
    let id = user_id(&Method::DELETE, &uri, &id)?;
    let effect = api.world.change(Some(&id), &Change::Delete)?;
    Ok(answered(StatusCode::OK, effect.answer))
}

/// The server's framework answers unknown paths with its own page.
async fn nowhere() -> Response {
    let page = "<!DOCTYPE html><html><head><title>404: This page could not be found.</title>\
                </head><body><h1>404</h1></body></html>";
    (StatusCode::NOT_FOUND, Html(page)).into_response()
}

/// Proof that the request may use the server's API of this project.
struct Allowed;

impl FromRequestParts<Api> for Allowed {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refused> {
        let given = |name| header_of(&parts.headers, name).filter(|value| !value.is_empty());
        let project = &api.project;
        let key = given("secret-server-key");
        let Some(access_type) = given("access-type") else {
            return Err(match key {
                Some(_) => errors::key_without_access_type(),
                None => errors::access_type_required(),
            });
        };
        if !["client", "server", "admin"].contains(&access_type) {
            return Err(errors::invalid_access_type(access_type));
        }
        let Some(id) = given("project-id") else {
            return Err(errors::access_type_without_project(access_type));
        };
        // The project comes before the key.
        let made = project.partner.project(id);
        if id != project.project_id && made.is_none() {
            return Err(errors::project_not_found(id));
        }
        let opens = |key: &str| match &made {
            Some(made) => made.server_keys.iter().any(|known| known == key),
            None => key == project.secret_server_key,
        };
        match (access_type, key) {
            ("client", _) => Err(errors::insufficient_access_type(access_type)),
            ("admin", _) => Err(errors::admin_authentication_required()),
            (_, None) => Err(errors::server_authentication_required()),
            (_, Some(key)) if opens(key) => Ok(Self),
            (_, Some(_)) => Err(errors::invalid_secret_server_key(id)),
        }
    }
}

/// A header of Stack Auth's own. Its clients of autumn 2026 say `x-hexclave-` for `x-stack-`, after
/// the company's new name, and understand answers that still say `x-stack-`.
pub(super) fn header_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    ["x-hexclave-", "x-stack-"]
        .iter()
        .find_map(|prefix| headers.get(format!("{prefix}{name}")))
        .and_then(|value| value.to_str().ok())
}

/// The body as the content type has it, which is read before anything else is looked at.
pub(super) fn parsed<'a>(headers: &HeaderMap, body: &'a Bytes) -> Result<Option<&'a str>, Refused> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    match kind.split(';').next().unwrap_or_default() {
        "" => Ok(None),
        "application/json" => {
            let text = str::from_utf8(body)
                .map_err(|_| errors::body_parsing("Request body cannot be parsed as UTF-8"))?;
            serde_json::from_str::<serde::de::IgnoredAny>(text)
                .map_err(|_| errors::body_parsing("Invalid JSON in request body"))?;
            Ok(Some(text))
        }
        other => Err(errors::body_parsing(&format!(
            "Unknown content type in request body: {other}"
        ))),
    }
}

fn fields(method: &Method, uri: &Uri, body: Option<&str>) -> Result<Fields, Refused> {
    let problem = match body {
        None => "body must be defined",
        Some(body) => match serde_json::from_str(body) {
            Ok(fields) => return Ok(fields),
            Err(_) => "body must be a `object` type",
        },
    };
    Err(errors::schema(method, uri.path(), &[problem.to_owned()]))
}

fn user_id(method: &Method, uri: &Uri, id: &str) -> Result<String, Refused> {
    match uuid::Uuid::parse_str(id) {
        // The vendor's schema, yup, knows neither newer versions nor other variants.
        Ok(uuid)
            if id.len() == 36
                && (uuid.is_nil()
                    || (1..=5).contains(&uuid.get_version_num())
                        && uuid.get_variant() == uuid::Variant::RFC4122) =>
        {
            Ok(uuid.to_string())
        }
        _ => {
            let problem = "params.user_id must be a valid UUID".to_owned();
            Err(errors::schema(method, uri.path(), &[problem]))
        }
    }
}

fn answered(status: StatusCode, body: String) -> Response {
    let kind = HeaderValue::from_static("application/json; charset=utf-8");
    (status, [(header::CONTENT_TYPE, kind)], body).into_response()
}

/// Adds the headers of every answer; the vendor's own clients ask for errors dressed as successes.
async fn dress(request: Request, next: Next) -> Response {
    let override_status = header_of(request.headers(), "override-error-status").is_some();
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&uuid::Uuid::new_v4().simple().to_string()) {
        headers.insert("x-stack-request-id", id);
    }
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-store, max-age=0"),
    );
    if override_status && response.status().is_client_error() {
        let status = response.status().as_u16();
        response
            .headers_mut()
            .insert("x-stack-actual-status", status.into());
        *response.status_mut() = StatusCode::OK;
    }
    response
}
