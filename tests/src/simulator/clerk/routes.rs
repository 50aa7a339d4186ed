//! Clerk's HTTP: who may ask, and for what.

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use serde_json::{Value, json};

use super::listing::Wanted;
use super::{Clerk, emails, errors, fields, platform};
use crate::simulator::json::raw;
use crate::simulator::users::View;
use crate::simulator::vendor::{Change, Fields, Refused};
use crate::simulator::world::World;

/// The one version that is simulated.
const VERSION: &str = "2026-05-12";

#[derive(Clone)]
struct Api {
    instance: Clerk,
    world: World,
}

pub(super) fn routes(instance: Clerk, world: World) -> Router {
    let routes = Router::new()
        .route("/v1/users", get(list).post(create))
        .route("/v1/users/count", get(count))
        .route("/v1/users/{id}", get(read).patch(update).delete(delete))
        .route("/v1/users/{id}/metadata", patch(merge).put(replace))
        .route("/v1/email_addresses", post(add_email))
        .route("/v1/email_addresses/{id}", patch(change_email));
    let routes = match instance.tells_instance {
        true => routes.route("/v1/instance", get(this_instance)),
        false => routes,
    };
    routes
        .fallback(async || errors::nowhere())
        .with_state(Api {
            instance: instance.clone(),
            world,
        })
        .merge(platform::routes(instance))
}

type Parameters = Query<Vec<(String, String)>>;

async fn list(
    State(api): State<Api>,
    _: Allowed,
    Query(parameters): Parameters,
) -> Result<Response, Refused> {
    let refused = api.world.switches().refused_parameters;
    let wanted = Wanted::of(&parameters, &api.instance, |name| refused.contains(name))?;
    if wanted.offset() >= api.instance.large_offset {
        tokio::time::sleep(api.instance.large_offset_wait).await;
    }
    Ok(answered(wanted.answer(&api.world, &api.instance)?))
}

async fn count(
    State(api): State<Api>,
    _: Allowed,
    Query(parameters): Parameters,
) -> Result<Response, Refused> {
    let wanted = Wanted::of(&parameters, &api.instance, |_| false)?;
    let count = json!({ "object": "total_count", "total_count": wanted.count(&api.world) });
    Ok(answered(count.to_string()))
}

async fn this_instance(Allowed(id): Allowed) -> Response {
    let instance = json!({
        "object": "instance",
        "id": id,
        "environment_type": "development",
        "allowed_origins": null,
    });
    answered(instance.to_string())
}

async fn read(
    State(api): State<Api>,
    _: Allowed,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let profile = api.world.profile(&id, api.world.view());
    let profile = profile.ok_or_else(|| errors::no_such_user(&id))?;
    Ok(answered(profile.to_string()))
}

async fn create(State(api): State<Api>, _: Allowed, body: String) -> Result<Response, Refused> {
    let wanted = parsed(&body)?;
    no_longer_free(&api.world, &wanted)?;
    let effect = api.world.change(None, &Change::Create(wanted))?;
    Ok(answered(effect.answer))
}

/// Refuses an email that is somebody's. Two requests at once may both pass, as the world is not
/// locked between the look and the change.
fn no_longer_free(world: &World, wanted: &Fields) -> Result<(), Refused> {
    let emails = fields::texts(wanted, "email_address")?;
    let known = |email: &Option<String>| email.as_ref().is_some_and(|email| emails.contains(email));
    let users = world.page(View::Now, None, false, 1, |_, user| known(&user.email));
    match users.items.is_empty() || emails.is_empty() {
        true => Ok(()),
        false => Err(errors::taken("email_address")),
    }
}

async fn update(
    State(api): State<Api>,
    _: Allowed,
    Path(id): Path<String>,
    body: String,
) -> Result<Response, Refused> {
    let wanted = parsed(&body)?;
    if wanted.contains_key(fields::MERGED) {
        return Err(errors::unknown(fields::MERGED));
    }
    changed(&api, &id, wanted)
}

/// `PATCH …/metadata`: what is in it is merged, at any depth.
async fn merge(
    State(api): State<Api>,
    _: Allowed,
    Path(id): Path<String>,
    body: String,
) -> Result<Response, Refused> {
    let metadata = metadata(&body)?;
    let wanted = Fields::from([(fields::MERGED.to_owned(), raw(&metadata))]);
    changed(&api, &id, wanted)
}

/// `PUT …/metadata`: what is in it is all there is.
async fn replace(
    State(api): State<Api>,
    _: Allowed,
    Path(id): Path<String>,
    body: String,
) -> Result<Response, Refused> {
    let wanted = metadata(&body)?;
    changed(&api, &id, wanted)
}

fn metadata(body: &str) -> Result<Fields, Refused> {
    let wanted = parsed(body)?;
    match wanted
        .keys()
        .find(|name| !fields::METADATA.contains(&name.as_str()))
    {
        Some(name) => Err(errors::unknown(name)),
        None => Ok(wanted),
    }
}

fn changed(api: &Api, id: &str, wanted: Fields) -> Result<Response, Refused> {
    let effect = api.world.change(Some(id), &Change::Update(wanted))?;
    Ok(answered(effect.answer))
}

/// `POST /email_addresses`: one more address of a user.
async fn add_email(State(api): State<Api>, _: Allowed, body: String) -> Result<Response, Refused> {
    let wanted = parsed(&body)?;
    let user = emails::user(&wanted)?;
    let profile = api.world.profile(&user, View::Now);
    let profile = profile.ok_or_else(|| errors::no_such_user(&user))?;
    if emails::lists(&profile, &wanted) {
        return Err(errors::taken("email_address"));
    }
    no_longer_free(&api.world, &wanted)?;
    email_changed(&api, &user, wanted)
}

/// `PATCH /email_addresses/{id}`: an address is verified, or becomes the primary one.
async fn change_email(
    State(api): State<Api>,
    _: Allowed,
    Path(id): Path<String>,
    body: String,
) -> Result<Response, Refused> {
    let users = api
        .world
        .listed(View::Now, None, false, usize::MAX, |_, _| true);
    let has_it = |(_, profile): &(String, Arc<str>)| emails::has(profile, &id);
    let (user, _) = users
        .into_iter()
        .find(has_it)
        .ok_or_else(|| errors::no_such_email(&id))?;
    let mut wanted = parsed(&body)?;
    wanted.insert("id".to_owned(), raw(&id));
    email_changed(&api, &user, wanted)
}

/// Changes an address of this user's, which the answer shows.
fn email_changed(api: &Api, user: &str, wanted: Fields) -> Result<Response, Refused> {
    let change = Fields::from([(fields::EMAIL.to_owned(), raw(&wanted))]);
    let effect = api.world.change(Some(user), &Change::Update(change))?;
    Ok(answered(emails::shown(&effect.answer, &wanted)))
}

async fn delete(
    State(api): State<Api>,
    _: Allowed,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let effect = api.world.change(Some(&id), &Change::Delete);
    let effect = effect.map_err(|refused| match refused.status {
        StatusCode::NOT_FOUND => errors::no_such_user(&id),
        _ => refused,
    })?;
    Ok(answered(effect.answer))
}

/// Proof that the request holds one of an instance's keys, with its id.
struct Allowed(String);

impl FromRequestParts<Api> for Allowed {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refused> {
        let key = parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
            .ok_or_else(errors::no_key)?;
        let version = parts.headers.get("clerk-api-version");
        if version.is_some_and(|version| version != VERSION) {
            return Err(errors::no_such_version());
        }
        if api.instance.secret_keys.iter().any(|known| known == key) {
            return Ok(Self(api.instance.instance.clone()));
        }
        let another = api.instance.workspace.instance_of(key);
        another.map(Self).ok_or_else(errors::wrong_key)
    }
}

fn parsed(body: &str) -> Result<Fields, Refused> {
    let body = if body.is_empty() { "{}" } else { body };
    // Not everything that is read as fields is what a field may hold.
    serde_json::from_str::<Value>(body).map_err(|_| errors::not_json())?;
    serde_json::from_str(body).map_err(|_| errors::not_json())
}

fn answered(body: String) -> Response {
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}
