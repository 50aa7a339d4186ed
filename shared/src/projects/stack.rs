//! A server of one's own of Stack Auth: the endpoints by which partners make
//! projects, which are named after the first of them. Nothing lists projects.
//! Source: <https://github.com/stack-auth/stack-auth>
//! (`apps/backend/src/app/api/latest/integrations/neon`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, Method};
use serde_json::{Map, Value, json};

use super::{Account, Chosen, Deliveries, Order, Step, Ways, garbled, id, is_whole, parsed, text};
use crate::exchange::{Answer, AnswerError, Request};
use crate::json;
use crate::provider::{Api, Words};

pub(super) const WAYS: Ways = Ways {
    names: &["stack", "hexclave"],
    api: None,
    project: None,
    authorization: |token| format!("Basic {}", STANDARD.encode(token)),
    list: None,
    choose: |_| Step::Done,
    request,
    read,
    order: Some(Order {
        request: order,
        read: ordered,
        words: &WORDS,
    }),
    words: |_| &WORDS,
};

const WORDS: Words = Words {
    who: "Stack Auth",
    code,
    key: "it does not accept the partner's credentials: paste client_id:client_secret as the \
          server's STACK_NEON_INTEGRATION_CLIENTS_CONFIG has them",
    advice: |status, code| match (status, code) {
        // Wrong credentials are a fault of the request's form there.
        (400, "SCHEMA_ERROR") => Some(
            "it does not accept the partner's credentials, or what was typed: paste \
             client_id:client_secret as the server's STACK_NEON_INTEGRATION_CLIENTS_CONFIG has \
             them. The hosted service gives them to partners only",
        ),
        _ => None,
    },
    explained: "see the server's log, or paste a project's keys by hand",
    foreign: "the answer does not come from a Stack Auth server: its API's address ends with \
              /api/v1, as in http://localhost:8102/api/v1",
    webhooks: "",
};

/// A hundred years: a key that ends unseen would stop the sync.
const EXPIRES_AT_MILLIS: u64 = 4_924_800_000_000;

/// The error code in an answer of Stack's own.
fn code(answer: &Answer) -> Option<String> {
    json::Fields::of_bytes(&answer.body).ok()?.string("code")
}

/// The API, as whoever may do anything in this project asks it.
fn admin(account: &Account, project: &str, admin_key: &HeaderValue) -> Api {
    let project = HeaderValue::from_str(project);
    let headers = [
        ("x-stack-access-type", Ok(HeaderValue::from_static("admin"))),
        ("x-stack-project-id", project),
        ("x-stack-super-secret-admin-key", Ok(admin_key.clone())),
    ];
    let headers = headers
        .into_iter()
        .filter_map(|(name, value)| Some((HeaderName::from_static(name), value.ok()?)));
    account.with(headers)
}

fn request(account: &Account, step: &Step) -> Request {
    match step {
        Step::MakeServerKey { project, admin_key } => {
            let key = json!({
                "description": "users-sync",
                "expires_at_millis": EXPIRES_AT_MILLIS,
                "has_publishable_client_key": false,
                "has_secret_server_key": true,
                "has_super_secret_admin_key": false,
            });
            let api = admin(account, project, admin_key);
            api.send(Method::POST, "/internal/api-keys", &key)
        }
        Step::Make(new) => provision(account, &new.name),
        _ => provision(account, ""),
    }
}

fn provision(account: &Account, name: &str) -> Request {
    let wanted = json!({ "display_name": name });
    let path = "/integrations/neon/projects/provision";
    account.api.send(Method::POST, path, &wanted)
}

fn read(account: &Account, step: &mut Step, answer: &str) -> Result<Step, AnswerError> {
    let answer = parsed(answer)?;
    match step {
        Step::Make(_) => {
            let project = id(&answer, "project_id").ok_or_else(garbled)?;
            let key = text(&answer, "super_secret_admin_key");
            let mut admin_key = HeaderValue::from_str(key).map_err(|_| garbled())?;
            admin_key.set_sensitive(true);
            Ok(Step::MakeServerKey {
                project: project.to_owned(),
                admin_key,
            })
        }
        Step::MakeServerKey { project, admin_key } => {
            let key = text(&answer, "secret_server_key");
            if !is_whole(key, "ssk_") {
                return Err(garbled());
            }
            let settings = [
                ("project_id", project.as_str()),
                ("secret_server_key", key),
                ("api_url", &account.base),
            ];
            let settings = settings.map(|(name, value)| (name.to_owned(), Value::from(value)));
            Ok(Step::Chosen(Chosen {
                project: project.clone(),
                settings: Map::from_iter(settings),
                admin_key: Some(admin_key.clone()),
            }))
        }
        _ => Err(garbled()),
    }
}

/// The endpoint gets every type of event; those about no user are answered 200.
fn order(account: &Account, chosen: &Chosen, deliveries: &Deliveries<'_>) -> Request {
    let wanted = json!({ "url": deliveries.url, "description": "users-sync" });
    let path = "/integrations/neon/webhooks";
    match &chosen.admin_key {
        Some(key) => admin(account, &chosen.project, key).send(Method::POST, path, &wanted),
        None => account.api.send(Method::POST, path, &wanted),
    }
}

fn ordered(answer: &str) -> Result<Option<String>, AnswerError> {
    let answer = parsed(answer)?;
    let secret = text(&answer, "secret");
    match secret.starts_with("whsec_") {
        true => Ok(Some(secret.to_owned())),
        false => Err(garbled()),
    }
}
