//! The endpoints of a self-hosted server by which a partner makes projects, named after Neon: a
//! project with a key that may do anything, other keys, and an endpoint for deliveries.
//!
//! One set of users is simulated: it is that of every project, and each project's keys open it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri, header};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::errors;
use super::routes::{Api, header_of, parsed};
use crate::simulator::json::uuid;
use crate::simulator::vendor::Refused;

/// A partner that a server knows, and the projects that it has made.
#[derive(Debug, Clone)]
pub struct Partner(Arc<Mutex<Kept>>);

#[derive(Debug)]
struct Kept {
    credentials: String,
    projects: Vec<Project>,
    endpoints: Vec<String>,
    random: fastrand::Rng,
}

/// A project that a partner has made.
#[derive(Debug, Clone)]
pub struct Project {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The key that may do anything in it.
    pub admin_key: String,
    /// The keys that servers have.
    pub server_keys: Vec<String>,
}

impl Default for Partner {
    /// As a server in development has it.
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Kept {
            credentials: "neon-local:neon-local-secret".to_owned(),
            projects: Vec::new(),
            endpoints: Vec::new(),
            random: crate::seeds::random("a partner of Stack Auth"),
        })))
    }
}

impl Partner {
    /// `client_id:client_secret`.
    pub fn credentials(&self) -> String {
        self.kept().credentials.clone()
    }

    /// The projects that were made.
    pub fn projects(&self) -> Vec<Project> {
        self.kept().projects.clone()
    }

    /// Where deliveries were ordered to.
    pub fn endpoints(&self) -> Vec<String> {
        self.kept().endpoints.clone()
    }

    /// The project of this id, if a partner has made it.
    pub(super) fn project(&self, id: &str) -> Option<Project> {
        let kept = self.kept();
        let found = kept.projects.iter().find(|project| project.id == id);
        found.cloned()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route(
            "/api/v1/integrations/neon/projects/provision",
            post(provision),
        )
        .route("/api/v1/integrations/neon/webhooks", post(webhook))
        .route("/api/v1/internal/api-keys", post(make_key))
}

fn key(begin: &str, random: &mut fastrand::Rng) -> String {
    let drawn: String = (0..52).map(|_| random.lowercase()).collect();
    format!("{begin}{drawn}")
}

/// The body, of which these fields have to be there, as strings or numbers or booleans.
fn body(uri: &Uri, headers: &HeaderMap, bytes: &Bytes, fields: &[&str]) -> Result<Value, Refused> {
    let text = parsed(headers, bytes)?.unwrap_or("null");
    let body: Value = serde_json::from_str(text).unwrap_or_default();
    let missing = fields.iter().filter(|name| body[**name].is_null());
    let problems: Vec<_> = missing
        .map(|name| format!("body.{name} must be defined"))
        .collect();
    match problems.is_empty() {
        true => Ok(body),
        false => Err(errors::schema(&Method::POST, uri.path(), &problems)),
    }
}

async fn provision(
    State(api): State<Api>,
    _: OfPartner,
    uri: Uri,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Json<Value>, Refused> {
    let body = body(&uri, &headers, &bytes, &["display_name"])?;
    let mut kept = api.project.partner.kept();
    let random = &mut kept.random;
    let project = Project {
        id: uuid(random),
        name: body["display_name"].as_str().unwrap_or_default().to_owned(),
        admin_key: key("sak_", random),
        server_keys: Vec::new(),
    };
    if project.name.is_empty() {
        let problem = "body.display_name must not be empty".to_owned();
        return Err(errors::schema(&Method::POST, uri.path(), &[problem]));
    }
    let answer = json!({ "project_id": project.id, "super_secret_admin_key": project.admin_key });
    kept.projects.push(project);
    Ok(Json(answer))
}

async fn make_key(
    State(api): State<Api>,
    OfAdmin(project): OfAdmin,
    uri: Uri,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Json<Value>, Refused> {
    let fields = [
        "description",
        "expires_at_millis",
        "has_publishable_client_key",
        "has_secret_server_key",
        "has_super_secret_admin_key",
    ];
    let body = body(&uri, &headers, &bytes, &fields)?;
    let now = api.world.clock().now();
    let mut kept = api.project.partner.kept();
    let kept = &mut *kept;
    let mut answer = json!({
        "id": uuid(&mut kept.random),
        "description": body["description"],
        "expires_at_millis": body["expires_at_millis"],
        "created_at_millis": now,
    });
    for (wanted, name, begin) in [
        (
            "has_publishable_client_key",
            "publishable_client_key",
            "pck_",
        ),
        ("has_secret_server_key", "secret_server_key", "ssk_"),
        (
            "has_super_secret_admin_key",
            "super_secret_admin_key",
            "sak_",
        ),
    ] {
        if body[wanted] == true {
            answer[name] = key(begin, &mut kept.random).into();
        }
    }
    let made = kept.projects.iter_mut().find(|made| made.id == project.id);
    if let (Some(made), Some(key)) = (made, answer["secret_server_key"].as_str()) {
        made.server_keys.push(key.to_owned());
    }
    Ok(Json(answer))
}

async fn webhook(
    State(api): State<Api>,
    _: OfPartner,
    OfAdmin(_): OfAdmin,
    uri: Uri,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Json<Value>, Refused> {
    let body = body(&uri, &headers, &bytes, &["url"])?;
    let url = body["url"].as_str().unwrap_or_default();
    if !url.starts_with("http") {
        let problem = "body.url must be a valid URL".to_owned();
        return Err(errors::schema(&Method::POST, uri.path(), &[problem]));
    }
    api.project.partner.kept().endpoints.push(url.to_owned());
    let there = api.world.send_to(url, None);
    Ok(Json(json!({ "secret": there.secret })))
}

/// Proof that the request has a partner's credentials; wrong ones are a fault of its form.
struct OfPartner;

impl FromRequestParts<Api> for OfPartner {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refused> {
        let refused =
            |problem: &str| errors::schema(&Method::POST, parts.uri.path(), &[problem.to_owned()]);
        let given = parts.headers.get(header::AUTHORIZATION);
        let given = given.ok_or_else(|| refused("headers.authorization must be defined"))?;
        let given = given
            .to_str()
            .ok()
            .and_then(|value| value.strip_prefix("Basic "));
        let given = given.and_then(|given| STANDARD.decode(given).ok());
        let form = "Authorization header must be in the format \"Basic <base64>\"";
        let given = given.ok_or_else(|| refused(form))?;
        match given == api.project.partner.credentials().as_bytes() {
            true => Ok(Self),
            false => Err(refused(
                "Invalid client_id:client_secret values; did you use the correct values for the \
                 integration?",
            )),
        }
    }
}

/// Proof that the request holds a key that may do anything in this project.
struct OfAdmin(Project);

impl FromRequestParts<Api> for OfAdmin {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refused> {
        let given = |name| header_of(&parts.headers, name).filter(|value| !value.is_empty());
        let access_type = given("access-type").ok_or_else(errors::access_type_required)?;
        let id = given("project-id");
        let id = id.ok_or_else(|| errors::access_type_without_project(access_type))?;
        let project = api.project.partner.project(id);
        let project = project.ok_or_else(|| errors::project_not_found(id))?;
        match given("super-secret-admin-key") {
            _ if access_type != "admin" => Err(errors::insufficient_access_type(access_type)),
            Some(key) if key == project.admin_key => Ok(Self(project)),
            _ => Err(errors::admin_authentication_required()),
        }
    }
}
