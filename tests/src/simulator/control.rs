//! The control API, to drive a simulator from another process: everything under
//! `/control`, JSON in and out.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::faults::{Switches, Trouble};
use super::requests::Request;
use super::vendor::{Change, SignUp};
use super::world::{Destination, World};

/// `/control` of this world.
///
/// | request | does | answers |
/// |---|---|---|
/// | `POST /control/users` with a [`SignUp`] | somebody signs up | `{"id"}` |
/// | `POST /control/users/{id}` with a [`Change`] | it happens to the user | `{"id"}` |
/// | `PUT /control/users/{id}/profile` with any text | the API shows it as the profile | `{"id"}` |
/// | `GET /control/users/{id}` | | the user, as in `truth` |
/// | `POST /control/seed` with `{"users":n}` | adds users | the counts |
/// | `GET /control/counts` | | `{"live","deleted","unsent"}`: users, users, messages |
/// | `GET /control/truth?limit=&after=` | | `{"users":[…],"next"}`; pass `next` as `after` |
/// | `GET /control/deleted` | | `[[id, millis],…]` |
/// | `POST /control/messages` with `{"type","body"}` | tells it, whatever it is | `{"id"}` |
/// | `POST /control/troubles` with a [`Trouble`] | adds it | `{}` |
/// | `DELETE /control/troubles` | ends troubles, resets switches | `{}` |
/// | `GET`, `PUT /control/switches` with [`Switches`] | sets them all | the switches |
/// | `PUT /control/destination` with `{"url","secret"?}` | sends there, if a sender follows | it |
/// | `GET`, `DELETE /control/requests` | | the request log |
pub(super) fn routes(world: World) -> Router {
    Router::new()
        .route("/control/users", post(sign_up))
        .route("/control/users/{id}", post(change).get(user))
        .route("/control/users/{id}/profile", put(show))
        .route("/control/seed", post(seed))
        .route("/control/counts", get(counts))
        .route("/control/truth", get(truth))
        .route("/control/deleted", get(deleted))
        .route("/control/messages", post(tell))
        .route("/control/troubles", post(trouble).delete(clear))
        .route("/control/switches", get(switches).put(switch))
        .route("/control/destination", put(send_to))
        .route("/control/requests", get(requests).delete(forget))
        .with_state(world)
}

/// An error with all its causes, for the process that controls the simulator.
struct Problem(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for Problem {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let error = format!("{:#}", self.0);
        (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response()
    }
}

/// Read from the body's own bytes: numbers inside stay as they were written.
fn read<'a, T: Deserialize<'a>>(body: &'a str) -> Result<T, Problem> {
    let body = if body.trim().is_empty() { "{}" } else { body };
    Ok(serde_json::from_str(body)?)
}

async fn sign_up(State(world): State<World>, body: String) -> Result<Json<Value>, Problem> {
    let id = world.sign_up(read::<SignUp>(&body)?)?;
    Ok(Json(json!({ "id": id })))
}

async fn change(
    State(world): State<World>,
    Path(id): Path<String>,
    body: String,
) -> Result<Json<Value>, Problem> {
    let effect = world.change(Some(&id), &read::<Change>(&body)?)?;
    Ok(Json(json!({ "id": effect.id })))
}

async fn show(
    State(world): State<World>,
    Path(id): Path<String>,
    profile: String,
) -> Result<Json<Value>, Problem> {
    world.show_profile(&id, &profile)?;
    Ok(Json(json!({ "id": id })))
}

async fn user(State(world): State<World>, Path(id): Path<String>) -> Response {
    match world.user(&id) {
        Some(user) => Json(user).into_response(),
        None => (
            StatusCode::NOT_FOUND,
            Json(json!({ "error": "no such user" })),
        )
            .into_response(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Seed {
    users: u64,
}

async fn seed(State(world): State<World>, body: String) -> Result<Json<Value>, Problem> {
    world.seed(read::<Seed>(&body)?.users);
    Ok(counts(State(world)).await)
}

async fn counts(State(world): State<World>) -> Json<Value> {
    Json(json!({
        "live": world.live(),
        "deleted": world.deleted().len(),
        "unsent": world.unsent(),
    }))
}

#[derive(Deserialize)]
struct Section {
    limit: Option<usize>,
    after: Option<String>,
}

async fn truth(
    State(world): State<World>,
    Query(section): Query<Section>,
) -> Result<Json<Value>, Problem> {
    let from = match &section.after {
        None => None,
        Some(after) => Some(serde_json::from_str(after)?),
    };
    let (users, next) = world.truth_page(from, section.limit.unwrap_or(1_000));
    let next = next.map(|next| json!(next).to_string());
    Ok(Json(json!({ "users": users, "next": next })))
}

async fn deleted(State(world): State<World>) -> Json<Vec<(String, i64)>> {
    Json(world.deleted())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    r#type: String,
    body: Box<RawValue>,
}

async fn tell(State(world): State<World>, body: String) -> Result<Json<Value>, Problem> {
    let told: Told = read(&body)?;
    let message = world.tell(&told.r#type, told.body.get().to_owned());
    Ok(Json(json!({ "id": message.id })))
}

async fn trouble(State(world): State<World>, body: String) -> Result<Json<Value>, Problem> {
    world.add_trouble(read::<Trouble>(&body)?);
    Ok(Json(json!({})))
}

async fn clear(State(world): State<World>) -> Json<Value> {
    world.clear_troubles();
    Json(json!({}))
}

async fn switches(State(world): State<World>) -> Json<Switches> {
    Json(world.switches())
}

async fn switch(State(world): State<World>, body: String) -> Result<Json<Switches>, Problem> {
    let wanted: Switches = read(&body)?;
    world.switch(|switches| *switches = wanted);
    Ok(Json(world.switches()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    url: String,
    secret: Option<String>,
}

async fn send_to(State(world): State<World>, body: String) -> Result<Json<Destination>, Problem> {
    let Wanted { url, secret } = read(&body)?;
    Ok(Json(world.send_to(&url, secret)))
}

async fn requests(State(world): State<World>) -> Json<Vec<Request>> {
    Json(world.requests())
}

async fn forget(State(world): State<World>) -> Json<Value> {
    world.clear_requests();
    Json(json!({}))
}
