//! The Management API under `/v1`: an account's organizations and projects, their keys, and SQL that
//! their databases run. Its paths are not those of a project, but both are served on one address.
//!
//! One set of users is simulated: it is that of every project, and each project's keys open it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::Supabase;
use crate::simulator::vendor::Refused;
use crate::simulator::world::World;

/// The status of a project that works.
const UP: &str = "ACTIVE_HEALTHY";

/// An account, and the token that opens it.
#[derive(Debug, Clone)]
pub struct Account(Arc<Mutex<Kept>>);

#[derive(Debug)]
struct Kept {
    token: String,
    organizations: Vec<(String, String)>,
    projects: Vec<Project>,
    reveals: bool,
    queries: Vec<String>,
    random: fastrand::Rng,
}

/// A project of an account.
#[derive(Debug, Clone)]
pub struct Project {
    /// Its reference.
    pub reference: String,
    /// Its name.
    pub name: String,
    /// The slug of its organization.
    pub organization: String,
    /// Where it is.
    pub region: String,
    /// As the API says it.
    pub status: String,
    /// Its keys; `None`: those of the simulated project itself.
    pub keys: Option<Vec<Key>>,
}

/// A key.
#[derive(Debug, Clone)]
pub struct Key {
    /// `legacy`, `publishable` or `secret`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// The role that a secret one has.
    pub role: Option<String>,
    /// The key itself.
    pub key: String,
}

impl Key {
    /// The older key of the service role, a JWT.
    pub fn service_role(random: &mut fastrand::Rng) -> Self {
        let signature: String = (0..43).map(|_| random.alphanumeric()).collect();
        Self {
            kind: "legacy",
            name: "service_role".to_owned(),
            role: None,
            key: format!("eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.{signature}"),
        }
    }

    /// One of the newer secret keys.
    pub fn secret(name: &str, role: &str, random: &mut fastrand::Rng) -> Self {
        let drawn: String = (0..31).map(|_| random.alphanumeric()).collect();
        Self {
            kind: "secret",
            name: name.to_owned(),
            role: Some(role.to_owned()),
            key: format!("sb_secret_{drawn}"),
        }
    }

    /// As a list shows it.
    fn shown(&self, revealed: bool) -> Value {
        let begin: String = self.key.chars().take(15).collect();
        let key = match revealed || self.kind != "secret" {
            true => self.key.clone(),
            false => format!("{begin}{}", "·".repeat(16)),
        };
        let template = self.role.as_ref().map(|role| json!({ "role": role }));
        json!({
            "name": self.name,
            "api_key": key,
            "id": self.name,
            "type": self.kind,
            "hash": "7f1cf2d4",
            "prefix": begin.get(10..),
            "description": null,
            "secret_jwt_template": template,
            "inserted_at": "2026-01-15T12:00:00.000Z",
            "updated_at": "2026-01-15T12:00:00.000Z",
        })
    }
}

impl Project {
    /// A project that works, of the account's own organization.
    pub fn new(reference: &str, name: &str) -> Self {
        Self {
            reference: reference.to_owned(),
            name: name.to_owned(),
            organization: "simulated-org".to_owned(),
            region: "eu-central-1".to_owned(),
            status: UP.to_owned(),
            keys: None,
        }
    }

    fn shown(&self, with_database: bool) -> Value {
        let mut shown = json!({
            "id": self.reference,
            "ref": self.reference,
            "organization_id": self.organization,
            "organization_slug": self.organization,
            "name": self.name,
            "region": self.region,
            "status": self.status,
            "created_at": "2026-01-15T12:00:00.000000Z",
        });
        if with_database {
            shown["database"] = json!({
                "host": format!("db.{}.supabase.co", self.reference),
                "version": "17.4.1.037",
                "postgres_engine": "17",
                "release_channel": "ga",
            });
        }
        shown
    }
}

impl Default for Account {
    /// An account with the simulated project, and one that is paused.
    fn default() -> Self {
        let mut paused = Project::new("pausedabcdefghijklmn", "Forgotten");
        paused.status = "INACTIVE".to_owned();
        Self(Arc::new(Mutex::new(Kept {
            token: "sbp_simulated0123456789abcdef0123456789abcdef".to_owned(),
            organizations: vec![("simulated-org".to_owned(), "Simulated Org".to_owned())],
            projects: vec![Project::new("simulatedabcdefghijk", "Simulated"), paused],
            reveals: true,
            queries: Vec::new(),
            random: crate::seeds::random("a Supabase account"),
        })))
    }
}

impl Account {
    /// The account's token.
    pub fn token(&self) -> String {
        self.kept().token.clone()
    }

    /// The account has these projects, and no others.
    pub fn set_projects(&self, projects: Vec<Project>) {
        self.kept().projects = projects;
    }

    /// Its projects.
    pub fn projects(&self) -> Vec<Project> {
        self.kept().projects.clone()
    }

    /// The account has no organization.
    pub fn leave_organizations(&self) {
        self.kept().organizations.clear();
    }

    /// Whether the token may see whole keys.
    pub fn set_reveals(&self, reveals: bool) {
        self.kept().reveals = reveals;
    }

    /// The SQL that was run.
    pub fn queries(&self) -> Vec<String> {
        self.kept().queries.clone()
    }

    /// The secret keys of its projects that are their own.
    pub(super) fn issued(&self) -> Vec<String> {
        let kept = self.kept();
        let keys = kept
            .projects
            .iter()
            .filter_map(|project| project.keys.as_ref());
        let keys = keys.flatten().filter(|key| key.kind != "publishable");
        keys.map(|key| key.key.clone()).collect()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone)]
struct Api {
    project: Supabase,
    account: Account,
    world: World,
}

pub(super) fn routes(project: Supabase, world: World) -> Router {
    Router::new()
        .route("/v1/organizations", get(organizations))
        .route("/v1/projects", get(projects).post(make))
        .route("/v1/projects/{ref}", get(read))
        .route("/v1/projects/{ref}/api-keys", get(keys).post(make_key))
        .route("/v1/projects/{ref}/database/query", post(query))
        .with_state(Api {
            account: project.account.clone(),
            project,
            world,
        })
}

fn refused(status: StatusCode, message: &str) -> Refused {
    Refused {
        status,
        headers: vec![("content-type", "application/json; charset=utf-8".to_owned())],
        body: json!({ "message": message }).to_string(),
    }
}

fn no_project() -> Refused {
    refused(StatusCode::NOT_FOUND, "Project not found")
}

fn privileges() -> Refused {
    let message = "Your account does not have the necessary privileges to access this endpoint.";
    refused(StatusCode::FORBIDDEN, message)
}

async fn organizations(State(api): State<Api>, _: Allowed) -> Json<Value> {
    let kept = api.account.kept();
    let shown = |(slug, name): &(String, String)| json!({ "id": slug, "slug": slug, "name": name });
    Json(kept.organizations.iter().map(shown).collect())
}

async fn projects(State(api): State<Api>, _: Allowed) -> Json<Value> {
    let mut kept = api.account.kept();
    let shown = kept.projects.iter().map(|project| project.shown(true));
    let shown = shown.collect();
    // It takes as long as until somebody looks again.
    for project in &mut kept.projects {
        if project.status == "COMING_UP" {
            project.status = UP.to_owned();
        }
    }
    Json(shown)
}

async fn read(
    State(api): State<Api>,
    _: Allowed,
    Path(reference): Path<String>,
) -> Result<Json<Value>, Refused> {
    let kept = api.account.kept();
    Ok(Json(find(&kept, &reference)?.shown(true)))
}

fn find<'a>(kept: &'a Kept, reference: &str) -> Result<&'a Project, Refused> {
    let mut projects = kept.projects.iter();
    let found = projects.find(|project| project.reference == reference);
    found.ok_or_else(no_project)
}

async fn make(
    State(api): State<Api>,
    _: Allowed,
    Json(wanted): Json<Value>,
) -> Result<(StatusCode, Json<Value>), Refused> {
    let mut kept = api.account.kept();
    let field = |name: &str| wanted[name].as_str().filter(|text| !text.is_empty());
    let bad = |message: &str| refused(StatusCode::BAD_REQUEST, message);
    let name = field("name").ok_or_else(|| bad("name: Required"))?;
    field("db_pass").ok_or_else(|| bad("db_pass: Required"))?;
    let slug = field("organization_slug").or_else(|| field("organization_id"));
    let slug = slug.ok_or_else(|| bad("organization_slug: Required"))?;
    if !kept.organizations.iter().any(|(known, _)| known == slug) {
        return Err(refused(StatusCode::NOT_FOUND, "Organization not found"));
    }
    let selection = &wanted["region_selection"];
    let region = match (selection["type"].as_str(), selection["code"].as_str()) {
        (Some("smartGroup"), Some("americas")) => "us-east-1",
        (Some("smartGroup"), Some("emea")) => "eu-central-1",
        (Some("smartGroup"), Some("apac")) => "ap-southeast-1",
        _ => field("region").ok_or_else(|| bad("region_selection: Invalid input"))?,
    };
    let random = &mut kept.random;
    let mut project = Project::new(
        &(0..20).map(|_| random.lowercase()).collect::<String>(),
        name,
    );
    project.status = "COMING_UP".to_owned();
    region.clone_into(&mut project.region);
    slug.clone_into(&mut project.organization);
    project.keys = Some(vec![Key::secret("default", "service_role", random)]);
    let shown = project.shown(false);
    kept.projects.push(project);
    Ok((StatusCode::CREATED, Json(shown)))
}

type Parameters = Query<Vec<(String, String)>>;

fn reveals(parameters: &[(String, String)]) -> bool {
    let mut asked = parameters.iter();
    asked.any(|(name, value)| name == "reveal" && value == "true")
}

async fn keys(
    State(api): State<Api>,
    _: Allowed,
    Path(reference): Path<String>,
    Query(parameters): Parameters,
) -> Result<Json<Value>, Refused> {
    let kept = api.account.kept();
    let revealed = reveals(&parameters);
    let project = find(&kept, &reference)?;
    if revealed && !kept.reveals {
        return Err(privileges());
    }
    let own = || own_keys(&api.project);
    let keys = project.keys.clone().unwrap_or_else(own);
    Ok(Json(keys.iter().map(|key| key.shown(revealed)).collect()))
}

/// The keys of the simulated project itself.
fn own_keys(project: &Supabase) -> Vec<Key> {
    let key = |kind, name: &str, role: Option<&str>, key: &str| Key {
        kind,
        name: name.to_owned(),
        role: role.map(str::to_owned),
        key: key.to_owned(),
    };
    let service = &project.service_role_key;
    let service = match service.starts_with("sb_secret_") {
        true => key("secret", "default", Some("service_role"), service),
        false => key("legacy", "service_role", None, service),
    };
    vec![
        key("publishable", "default", None, &project.anon_key),
        service,
    ]
}

async fn make_key(
    State(api): State<Api>,
    _: Allowed,
    Path(reference): Path<String>,
    Query(parameters): Parameters,
    Json(wanted): Json<Value>,
) -> Result<(StatusCode, Json<Value>), Refused> {
    let mut kept = api.account.kept();
    let kept = &mut *kept;
    if !kept.reveals {
        return Err(privileges());
    }
    let mut projects = kept.projects.iter_mut();
    let project = projects.find(|project| project.reference == reference);
    let project = project.ok_or_else(no_project)?;
    let name = wanted["name"].as_str().unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.len() < 4 || !name.bytes().all(plain) || wanted["type"] != "secret" {
        return Err(refused(StatusCode::BAD_REQUEST, "name: Invalid input"));
    }
    let role = wanted["secret_jwt_template"]["role"].as_str();
    let key = Key::secret(name, role.unwrap_or("service_role"), &mut kept.random);
    let shown = key.shown(reveals(&parameters));
    project
        .keys
        .get_or_insert_with(|| own_keys(&api.project))
        .push(key);
    Ok((StatusCode::CREATED, Json(shown)))
}

/// The one statement that tells of users is understood: the trigger's.
async fn query(
    State(api): State<Api>,
    _: Allowed,
    Path(reference): Path<String>,
    Json(wanted): Json<Value>,
) -> Result<Response, Refused> {
    let mut kept = api.account.kept();
    find(&kept, &reference)?;
    let bad = |message: &str| refused(StatusCode::BAD_REQUEST, message);
    let sql = wanted["query"]
        .as_str()
        .ok_or_else(|| bad("query: Required"))?;
    if sql.contains("TRIGGER users_sync") && sql.contains("ON auth.users") {
        let told = literal(sql, "url := '").zip(literal(sql, "'Authorization', 'Bearer "));
        let failed = "Failed to run sql query: ERROR:  42601: syntax error at or near \"url\"";
        let (url, token) = told.ok_or_else(|| bad(failed))?;
        api.world.send_to(&url, Some(token));
    }
    kept.queries.push(sql.to_owned());
    Ok((StatusCode::CREATED, Json(json!([]))).into_response())
}

/// The rest of a literal, from after what it begins with.
fn literal(sql: &str, begin: &str) -> Option<String> {
    let (_, rest) = sql.split_once(begin)?;
    let rest = rest.replace("''", "\u{0}");
    let (value, _) = rest.split_once('\'')?;
    Some(value.replace('\u{0}', "'"))
}

/// Proof that the request holds the account's token.
struct Allowed;

impl FromRequestParts<Api> for Allowed {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refused> {
        let given = parts.headers.get(header::AUTHORIZATION);
        let given = given.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        match given {
            Some(token) if token == api.account.token() => Ok(Self),
            _ => Err(refused(StatusCode::UNAUTHORIZED, "Unauthorized")),
        }
    }
}
