//! The Platform API under `/v1/platform`: a workspace's applications, with their instances and, where
//! that is asked for, their secret keys.
//!
//! One set of users is simulated: it is that of every instance, and each instance's key opens it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::{Clerk, errors};
use crate::simulator::vendor::Refused;

/// A workspace, and the token that opens it.
#[derive(Debug, Clone)]
pub struct Workspace(Arc<Mutex<Kept>>);

#[derive(Debug)]
struct Kept {
    token: String,
    applications: Vec<Application>,
    shows_keys: bool,
    random: fastrand::Rng,
}

/// An application of a workspace.
#[derive(Debug, Clone)]
pub struct Application {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its instances; `None`: the simulated one alone.
    pub instances: Option<Vec<Instance>>,
}

/// An instance of an application.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Its id.
    pub id: String,
    /// `development` or `production`.
    pub kind: &'static str,
    /// The key that opens it.
    pub secret_key: String,
}

impl Instance {
    /// One with a new id and a new key.
    pub fn new(kind: &'static str, random: &mut fastrand::Rng) -> Self {
        let mut drawn =
            |count: usize| -> String { (0..count).map(|_| random.alphanumeric()).collect() };
        let begin = if kind == "production" {
            "sk_live_"
        } else {
            "sk_test_"
        };
        Self {
            id: format!("ins_2{}", drawn(26)),
            kind,
            secret_key: format!("{begin}{}", drawn(42)),
        }
    }
}

impl Default for Workspace {
    /// A workspace with the simulated instance, and an application with two others.
    fn default() -> Self {
        let mut random = crate::seeds::random("a Clerk workspace");
        let shop = ["development", "production"].map(|kind| Instance::new(kind, &mut random));
        let application = |id: &str, name: &str, instances| Application {
            id: id.to_owned(),
            name: name.to_owned(),
            instances,
        };
        Self(Arc::new(Mutex::new(Kept {
            token: "ak_simulated0123456789abcdefghijklmnop".to_owned(),
            applications: vec![
                application("app_2simulated00000000000000000", "Simulated", None),
                application("app_2shop0000000000000000000000", "Shop", Some(shop.into())),
            ],
            shows_keys: true,
            random,
        })))
    }
}

impl Workspace {
    /// The workspace's token.
    pub fn token(&self) -> String {
        self.kept().token.clone()
    }

    /// Its applications.
    pub fn applications(&self) -> Vec<Application> {
        self.kept().applications.clone()
    }

    /// It has these applications, and no others.
    pub fn set_applications(&self, applications: Vec<Application>) {
        self.kept().applications = applications;
    }

    /// Whether the token may see secret keys.
    pub fn set_shows_keys(&self, shows_keys: bool) {
        self.kept().shows_keys = shows_keys;
    }

    /// The instance that this key opens, if it is not the simulated one.
    pub(super) fn instance_of(&self, key: &str) -> Option<String> {
        let kept = self.kept();
        let mut instances = kept
            .applications
            .iter()
            .flat_map(|application| &application.instances);
        let found =
            instances.find_map(|all| all.iter().find(|instance| instance.secret_key == key));
        found.map(|instance| instance.id.clone())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Application {
    fn shown(&self, own: &Clerk, with_keys: bool) -> Value {
        let simulated = || {
            vec![Instance {
                id: own.instance.clone(),
                kind: "development",
                secret_key: own.secret_keys.first().cloned().unwrap_or_default(),
            }]
        };
        let instances = self.instances.clone().unwrap_or_else(simulated);
        let instance = |instance: &Instance| {
            let mut shown = json!({
                "instance_id": instance.id,
                "environment_type": instance.kind,
                "publishable_key": "pk_test_c2ltdWxhdGVkLmNsZXJrLmFjY291bnRzLmRldiQ",
            });
            if with_keys {
                shown["secret_key"] = instance.secret_key.as_str().into();
            }
            shown
        };
        let instances: Vec<Value> = instances.iter().map(instance).collect();
        json!({ "application_id": self.id, "name": self.name, "instances": instances })
    }
}

pub(super) fn routes(own: Clerk) -> Router {
    Router::new()
        .route("/v1/platform/applications", get(list).post(make))
        .route("/v1/platform/applications/{id}", get(read))
        .with_state(own)
}

type Parameters = Query<Vec<(String, String)>>;

/// Whether keys are asked for, which not every token may see.
fn asks_for_keys(own: &Clerk, parameters: &[(String, String)]) -> Result<bool, Refused> {
    let mut asked = parameters.iter();
    let asked = asked.any(|(name, value)| name == "include_secret_keys" && value == "true");
    match asked && !own.workspace.kept().shows_keys {
        true => Err(errors::missing_scopes()),
        false => Ok(asked),
    }
}

async fn list(
    State(own): State<Clerk>,
    _: Allowed,
    Query(parameters): Parameters,
) -> Result<Json<Value>, Refused> {
    let with_keys = asks_for_keys(&own, &parameters)?;
    let applications = own.workspace.applications();
    let shown = applications
        .iter()
        .map(|application| application.shown(&own, with_keys));
    Ok(Json(shown.collect()))
}

async fn read(
    State(own): State<Clerk>,
    _: Allowed,
    Path(id): Path<String>,
    Query(parameters): Parameters,
) -> Result<Json<Value>, Refused> {
    let with_keys = asks_for_keys(&own, &parameters)?;
    let applications = own.workspace.applications();
    let found = applications.iter().find(|application| application.id == id);
    let found = found.ok_or_else(|| errors::no_such_application(&id))?;
    Ok(Json(found.shown(&own, with_keys)))
}

/// A new application has a development instance alone, unless more is asked for.
async fn make(
    State(own): State<Clerk>,
    _: Allowed,
    Json(wanted): Json<Value>,
) -> Result<Json<Value>, Refused> {
    let name = wanted["name"].as_str().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| errors::missing("name"))?.to_owned();
    let mut kept = own.workspace.kept();
    let random = &mut kept.random;
    let drawn: String = (0..26).map(|_| random.alphanumeric()).collect();
    let made = Application {
        id: format!("app_2{drawn}"),
        name,
        instances: Some(vec![Instance::new("development", random)]),
    };
    kept.applications.push(made.clone());
    Ok(Json(made.shown(&own, kept.shows_keys)))
}

/// Proof that the request holds the workspace's token.
struct Allowed;

impl FromRequestParts<Clerk> for Allowed {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, own: &Clerk) -> Result<Self, Refused> {
        let given = parts.headers.get(header::AUTHORIZATION);
        let given = given.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        match given {
            None => Err(errors::no_key()),
            Some(token) if token == own.workspace.token() => Ok(Self),
            Some(_) => Err(errors::not_authenticated()),
        }
    }
}
