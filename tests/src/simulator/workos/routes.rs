//! WorkOS' HTTP: who may ask, and for what.

use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch};
use axum::{Json, Router};
use serde_json::json;

use super::endpoints::{Endpoint, Endpoints};
use super::listing::{self, Of, Wanted};
use super::{WorkOs, errors, record};
use crate::simulator::json;
use crate::simulator::users::View;
use crate::simulator::vendor::{Change, Fields, Refused};
use crate::simulator::world::World;

#[derive(Clone)]
struct Api {
    environment: WorkOs,
    world: World,
    endpoints: Endpoints,
}

pub(super) fn routes(environment: WorkOs, world: World) -> Router {
    Router::new()
        .route("/user_management/users", get(list).post(create))
        .route(
            "/user_management/users/{id}",
            get(read).put(update).delete(remove),
        )
        .route("/events", get(events))
        .route("/authorization/roles", get(roles))
        .route("/webhook_endpoints", get(endpoints).post(add_endpoint))
        .route(
            "/webhook_endpoints/{id}",
            patch(change_endpoint).delete(remove_endpoint),
        )
        .fallback(async || errors::nowhere())
        .with_state(Api {
            environment,
            world,
            endpoints: Endpoints::default(),
        })
}

type Parameters = Query<Vec<(String, String)>>;

fn wanted(api: &Api, of: Of, parameters: &[(String, String)]) -> Result<Wanted, Refused> {
    let refused = api.world.switches().refused_parameters;
    Wanted::of(of, parameters, |name| refused.contains(name))
}

async fn list(
    State(api): State<Api>,
    _: Allowed,
    Query(parameters): Parameters,
) -> Result<Response, Refused> {
    let wanted = wanted(&api, Of::Users, &parameters)?;
    let page = listing::users(&api.environment, &api.world, &wanted)?;
    Ok(answered(StatusCode::OK, page))
}

async fn events(
    State(api): State<Api>,
    _: Allowed,
    Query(parameters): Parameters,
) -> Result<Response, Refused> {
    let wanted = wanted(&api, Of::Events, &parameters)?;
    let page = record::page(&api.environment, &api.world, &wanted)?;
    Ok(answered(StatusCode::OK, page))
}

async fn read(
    State(api): State<Api>,
    _: Allowed,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let profile = api.world.profile(&id, api.world.view());
    let profile = profile.ok_or_else(|| errors::not_found("User", &id))?;
    Ok(answered(StatusCode::OK, profile.to_string()))
}

async fn create(State(api): State<Api>, _: Allowed, body: String) -> Result<Response, Refused> {
    let fields = fields(&body)?;
    if is_taken(&api.world, &fields) {
        return Err(errors::email_taken());
    }
    let effect = api.world.change(None, &Change::Create(fields))?;
    Ok(answered(StatusCode::CREATED, effect.answer))
}

/// Whether somebody has this email. Two requests at once may both be told no, as the world is not
/// locked between the look and the change.
fn is_taken(world: &World, fields: &Fields) -> bool {
    let email = json::get::<String>(fields, "email").map(|email| email.to_lowercase());
    let has_it = |_: &str, user: &crate::simulator::Reading| user.email == email;
    email.is_some()
        && !world
            .page(View::Now, None, false, 1, has_it)
            .items
            .is_empty()
}

async fn update(
    State(api): State<Api>,
    _: Allowed,
    Path(id): Path<String>,
    body: String,
) -> Result<Response, Refused> {
    there(&api, &id)?;
    let change = Change::Update(fields(&body)?);
    let effect = api.world.change(Some(&id), &change)?;
    Ok(answered(StatusCode::OK, effect.answer))
}

async fn remove(
    State(api): State<Api>,
    _: Allowed,
    Path(id): Path<String>,
) -> Result<StatusCode, Refused> {
    there(&api, &id)?;
    api.world.change(Some(&id), &Change::Delete)?;
    Ok(StatusCode::OK)
}

fn there(api: &Api, id: &str) -> Result<(), Refused> {
    let profile = api.world.profile(id, View::Now);
    profile
        .map(|_| ())
        .ok_or_else(|| errors::not_found("User", id))
}

/// The two roles that an environment begins with, as far as they tell it from others.
async fn roles(State(api): State<Api>, _: Allowed) -> Response {
    let role = |id: &str, slug: &str, name: &str| {
        json!({
            "slug": slug, "object": "role", "id": id, "name": name, "description": null,
            "type": "EnvironmentRole", "resource_type_slug": "organization", "permissions": [],
            "created_at": "2026-01-15T12:00:00.000Z", "updated_at": "2026-01-15T12:00:00.000Z",
        })
    };
    let member = &api.environment.member_role;
    let list = json!({
        "object": "list",
        "data": [
            role(&format!("{}A", &member[..member.len() - 1]), "admin", "Admin"),
            role(member, "member", "Member"),
        ],
        "list_metadata": { "before": null, "after": null },
    });
    answered(StatusCode::OK, list.to_string())
}

async fn endpoints(State(api): State<Api>, _: Allowed) -> Response {
    let list = json!({
        "object": "list",
        "data": *api.endpoints.all(),
        "list_metadata": { "before": null, "after": null },
    });
    answered(StatusCode::OK, list.to_string())
}

async fn add_endpoint(
    State(api): State<Api>,
    _: Allowed,
    body: String,
) -> Result<(StatusCode, Json<Endpoint>), Refused> {
    let now = api.world.clock().now();
    let endpoint = api.endpoints.make(&fields(&body)?, now)?;
    api.world
        .send_to(&endpoint.endpoint_url, Some(endpoint.secret.clone()));
    Ok((StatusCode::CREATED, Json(endpoint)))
}

async fn change_endpoint(
    State(api): State<Api>,
    _: Allowed,
    Path(id): Path<String>,
    body: String,
) -> Result<Json<Endpoint>, Refused> {
    Ok(Json(api.endpoints.change(&id, &fields(&body)?)?))
}

async fn remove_endpoint(
    State(api): State<Api>,
    _: Allowed,
    Path(id): Path<String>,
) -> Result<StatusCode, Refused> {
    let removed = api.endpoints.remove(&id)?;
    if api
        .world
        .destination()
        .is_some_and(|there| there.url == removed.endpoint_url)
    {
        api.world.send_nowhere();
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Proof that the request holds one of the environment's keys.
struct Allowed;

impl FromRequestParts<Api> for Allowed {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refused> {
        let given = parts
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let known = |key| api.environment.api_keys.iter().any(|known| known == key);
        match given {
            Some(key) if known(key) => Ok(Self),
            _ => Err(errors::unauthorized()),
        }
    }
}

fn fields(body: &str) -> Result<Fields, Refused> {
    serde_json::from_str(body).map_err(|_| errors::body("body", "invalid_json"))
}

fn answered(status: StatusCode, body: String) -> Response {
    let kind = HeaderValue::from_static("application/json; charset=utf-8");
    (status, [(header::CONTENT_TYPE, kind)], body).into_response()
}
