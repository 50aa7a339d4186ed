//! Supabase's HTTP: the gateway's keys, the server's, and what may be asked.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::changes::SOFT_DELETE;
use super::{Supabase, account, errors, listing};
use crate::simulator::json::{self, raw};
use crate::simulator::users::View;
use crate::simulator::vendor::{Change, Fields, Refused};
use crate::simulator::world::World;

const VERSION: HeaderName = HeaderName::from_static("x-supabase-api-version");

#[derive(Clone)]
struct Api {
    project: Supabase,
    world: World,
}

pub(super) fn routes(project: Supabase, world: World) -> Router {
    let versioned = project.versioned;
    Router::new()
        .route("/auth/v1/admin/users", get(list).post(create))
        .route(
            "/auth/v1/admin/users/{id}",
            get(read).put(update).delete(delete),
        )
        .fallback(async || errors::nowhere())
        .with_state(Api {
            project: project.clone(),
            world: world.clone(),
        })
        .layer(middleware::from_fn(move |request, next| {
            dress(versioned, request, next)
        }))
        .merge(account::routes(project, world))
}

async fn list(
    State(api): State<Api>,
    _: Allowed,
    uri: Uri,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Result<Response, Refused> {
    let answer = listing::answer(&api.project, &api.world, &uri, &parameters)?;
    let mut response = answered(answer.body);
    let total = answer.total.map(|total| total.to_string());
    for (name, value) in [("link", answer.link), ("x-total-count", total)] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

async fn read(
    State(api): State<Api>,
    _: Allowed,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let id = user_id(&id)?;
    let profile = api.world.profile(&id, View::Now);
    let profile = profile.ok_or_else(errors::no_such_user)?;
    Ok(answered(profile.to_string()))
}

async fn create(State(api): State<Api>, _: Allowed, body: String) -> Result<Response, Refused> {
    let fields = fields(&body)?;
    let email = json::filled(&fields, "email").map(|email| email.to_lowercase());
    let taken = email.is_some_and(|email| {
        let passes =
            |_: &str, user: &crate::simulator::Reading| user.email.as_ref() == Some(&email);
        let found = api.world.page(View::Now, None, false, 1, passes);
        !found.items.is_empty()
    });
    if taken {
        return Err(errors::email_exists());
    }
    let effect = api.world.change(None, &Change::Create(fields))?;
    Ok(answered(effect.answer))
}

async fn update(
    State(api): State<Api>,
    _: Allowed,
    Path(id): Path<String>,
    body: String,
) -> Result<Response, Refused> {
    let id = user_id(&id)?;
    let mut fields = fields(&body)?;
    fields.remove(SOFT_DELETE);
    let effect = api.world.change(Some(&id), &Change::Update(fields))?;
    Ok(answered(effect.answer))
}

async fn delete(
    State(api): State<Api>,
    _: Allowed,
    Path(id): Path<String>,
    body: String,
) -> Result<Response, Refused> {
    let id = user_id(&id)?;
    let wanted = if body.is_empty() {
        Fields::new()
    } else {
        fields(&body)?
    };
    let change = match json::get(&wanted, SOFT_DELETE) {
        Some(true) => Change::Update(Fields::from([(SOFT_DELETE.to_owned(), raw(&true))])),
        _ => Change::Delete,
    };
    api.world.change(Some(&id), &change)?;
    Ok(answered("{}".to_owned()))
}

/// Proof that the request came with a key that the gateway knows, and is the service role's.
struct Allowed;

impl FromRequestParts<Api> for Allowed {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refused> {
        let Supabase {
            service_role_key: service,
            anon_key: anon,
            ..
        } = &api.project;
        let issued = api.project.account.issued();
        let serves = |key: &str| key == service || issued.iter().any(|issued| issued == key);
        let header = |name: HeaderName| parts.headers.get(name)?.to_str().ok();
        match header(HeaderName::from_static("apikey")) {
            None => {
                let hint = "No `apikey` request header or url param was found.";
                return Err(errors::gateway("No API key found in request", hint));
            }
            Some(key) if !serves(key) && key != anon => {
                let hint = "Double check your Supabase `anon` or `service_role` API key.";
                return Err(errors::gateway("Invalid API key", hint));
            }
            Some(_) => {}
        }
        let token = header(header::AUTHORIZATION).map(|value| value.strip_prefix("Bearer "));
        let key = header(HeaderName::from_static("apikey")).unwrap_or_default();
        let is_new = |key: &str| key.starts_with("sb_");
        let agent = header(header::USER_AGENT).unwrap_or_default();
        if key.starts_with("sb_secret_") && agent.starts_with("Mozilla/") {
            let hint = "Secret API keys can only be used in a protected environment.";
            return Err(errors::gateway("Forbidden use of secret API key", hint));
        }
        // The newer keys are no tokens: the gateway makes one of them, if there is none.
        let token = match token {
            None if is_new(key) => key,
            Some(Some(token)) if !is_new(token) => token,
            Some(Some(_)) => return Err(errors::bad_jwt()),
            None | Some(None) => return Err(errors::no_authorization()),
        };
        match token {
            token if serves(token) => Ok(Self),
            token if token == anon => Err(errors::not_admin()),
            _ => Err(errors::bad_jwt()),
        }
    }
}

fn user_id(id: &str) -> Result<String, Refused> {
    let uuid = uuid::Uuid::parse_str(id).map_err(|_| errors::no_uuid())?;
    Ok(uuid.to_string())
}

fn fields(body: &str) -> Result<Fields, Refused> {
    serde_json::from_str(body).map_err(|error| errors::bad_json(&error.to_string()))
}

fn answered(body: String) -> Response {
    let kind = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

/// Errors in the form that the request's version asks for.
async fn dress(versioned: bool, request: Request, next: Next) -> Response {
    let asked = |headers: &HeaderMap| {
        let asked = headers.get(VERSION)?.to_str().ok()?;
        Some(asked >= errors::VERSION)
    };
    let newer = versioned && asked(request.headers()).unwrap_or(false);
    let response = next.run(request).await;
    if !newer || response.status() < StatusCode::BAD_REQUEST {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let body = errors::dressed(&String::from_utf8_lossy(&bytes));
    head.headers.remove(header::CONTENT_LENGTH);
    head.headers
        .insert(VERSION, HeaderValue::from_static(errors::VERSION));
    Response::from_parts(head, Body::from(body))
}
