//! Auth0's HTTP: who may ask, and for what.

use axum::Router;
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};

use super::ids::{self, DATABASE};
use super::listing::Wanted;
use super::streams::Streams;
use super::{Auth0, errors, tokens};
use crate::simulator::json;
use crate::simulator::users::View;
use crate::simulator::vendor::{Change, Fields, Refused};
use crate::simulator::world::World;

#[derive(Clone)]
struct Api {
    tenant: Auth0,
    world: World,
    streams: Streams,
}

pub(super) fn routes(tenant: Auth0, world: World) -> Router {
    Router::new()
        .route("/oauth/token", post(token))
        .route("/api/v2/users", get(list).post(create))
        .route("/api/v2/users/{id}", get(read).patch(update).delete(delete))
        .route("/api/v2/event-streams", get(streams).post(add_stream))
        .route("/api/v2/event-streams/{id}", patch(change_stream))
        .fallback(async || errors::nowhere())
        .with_state(Api {
            tenant,
            world,
            streams: Streams::default(),
        })
}

async fn token(
    State(api): State<Api>,
    headers: HeaderMap,
    body: String,
) -> Result<Response, Refused> {
    let wanted = tokens::Wanted::of(&headers, &body)?;
    let answer = tokens::grant(&api.tenant, &wanted, api.world.clock().now())?;
    Ok(answered(StatusCode::OK, answer))
}

async fn list(
    State(api): State<Api>,
    _: Allowed,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Result<Response, Refused> {
    let refused = api.world.switches().refused_parameters;
    let wanted = Wanted::of(&parameters, api.tenant.pages, |name| refused.contains(name))?;
    let answer = wanted.answer(&api.world, api.tenant.cut_above)?;
    Ok(answered(StatusCode::OK, answer))
}

async fn read(
    State(api): State<Api>,
    _: Allowed,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let id = user_id(id)?;
    // Searches lag; reads by id do not.
    let profile = api.world.profile(&id, View::Now);
    let profile = profile.ok_or_else(errors::no_such_user)?;
    Ok(answered(StatusCode::OK, profile.to_string()))
}

async fn create(State(api): State<Api>, _: Allowed, body: String) -> Result<Response, Refused> {
    let fields = fields(&body)?;
    if is_taken(&api.world, &fields) {
        return Err(errors::user_exists());
    }
    let effect = api.world.change(None, &Change::Create(fields))?;
    Ok(answered(StatusCode::CREATED, effect.answer))
}

/// Whether the database has a user with this id or email. Two requests at once may both be told
/// no, as the world is not locked between the look and the change.
fn is_taken(world: &World, fields: &Fields) -> bool {
    let text = |name| json::get::<String>(fields, name);
    let by_id = text("user_id").is_some_and(|account| {
        let id = format!("auth0|{}", account.trim_start_matches("auth0|"));
        world.profile(&id, View::Now).is_some()
    });
    let email = text("email").map(|email| email.to_lowercase());
    let by_email = text("connection").as_deref() == Some(DATABASE)
        && email.is_some()
        && !world
            .page(View::Now, None, false, 1, |id, user| {
                id.starts_with("auth0|") && user.email == email
            })
            .items
            .is_empty();
    by_id || by_email
}

async fn update(
    State(api): State<Api>,
    _: Allowed,
    Path(id): Path<String>,
    body: String,
) -> Result<Response, Refused> {
    let id = user_id(id)?;
    let effect = api
        .world
        .change(Some(&id), &Change::Update(fields(&body)?))?;
    Ok(answered(StatusCode::OK, effect.answer))
}

/// A user that is not there is as good as deleted.
async fn delete(
    State(api): State<Api>,
    _: Allowed,
    Path(id): Path<String>,
) -> Result<StatusCode, Refused> {
    let id = user_id(id)?;
    match api.world.change(Some(&id), &Change::Delete) {
        Err(refused) if refused.status != StatusCode::NOT_FOUND => Err(refused),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}

async fn streams(State(api): State<Api>, _: Allowed) -> Result<Response, Refused> {
    let list = match api.tenant.event_streams {
        None => api.streams.all(),
        Some(shown) if shown.is_null() => {
            return Err(errors::insufficient_scope("read:event_streams"));
        }
        Some(shown) => serde_json::json!({"eventStreams": shown}),
    };
    Ok(answered(StatusCode::OK, list.to_string()))
}

async fn add_stream(State(api): State<Api>, _: Allowed, body: String) -> Result<Response, Refused> {
    let made = api.streams.make(&api.world, &fields(&body)?)?;
    Ok(answered(StatusCode::CREATED, made.to_string()))
}

async fn change_stream(
    State(api): State<Api>,
    _: Allowed,
    Path(id): Path<String>,
    body: String,
) -> Result<Response, Refused> {
    let changed = api.streams.update(&api.world, &id, &fields(&body)?)?;
    Ok(answered(StatusCode::OK, changed.to_string()))
}

/// Proof that the request holds a token that is good now.
struct Allowed;

impl FromRequestParts<Api> for Allowed {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refused> {
        tokens::check(&api.tenant, &parts.headers, api.world.clock().now())?;
        Ok(Self)
    }
}

fn user_id(id: String) -> Result<String, Refused> {
    match ids::valid(&id) {
        true => Ok(id),
        false => Err(errors::user_id(&id)),
    }
}

fn fields(body: &str) -> Result<Fields, Refused> {
    serde_json::from_str(body).map_err(|_| errors::body("Expected type object"))
}

fn answered(status: StatusCode, body: String) -> Response {
    let kind = HeaderValue::from_static("application/json; charset=utf-8");
    (status, [(header::CONTENT_TYPE, kind)], body).into_response()
}
