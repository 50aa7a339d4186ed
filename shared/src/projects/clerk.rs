//! Clerk's Platform API, which is a private beta.
//! Source: <https://github.com/clerk/openapi-specs> (`platform/beta.yml`).

use http::Method;
use serde_json::{Map, Value, json};

use super::{
    Account, Address, Chosen, Listing, Project, Step, Ways, garbled, id, is_whole, list, parsed,
    text,
};
use crate::exchange::{Answer, AnswerError, Request};
use crate::json;
use crate::provider::{Words, encoded};

/// The same API, and the same address, as an instance's.
const API: &str = "https://api.clerk.com/v1";

pub(super) const WAYS: Ways = Ways {
    names: &["clerk"],
    api: Some(Address {
        variable: "CLERK_ACCOUNT_API_URL",
        default: API,
    }),
    project: None,
    authorization: |token| format!("Bearer {token}"),
    list: Some(|| Step::Projects(Vec::new())),
    choose: Step::Keys,
    request,
    read,
    order: None,
    words: |step| match step {
        Step::Make(_) => &MAKING,
        _ => &WORDS,
    },
};

const APPLICATIONS: &str = "/platform/applications";

const WORDS: Words = Words {
    who: "Clerk",
    code,
    key: "it does not accept the access token: paste a key of the workspace for its Platform API \
          (ak_…), whole",
    advice: |status, code| match (status, code) {
        (403, "authorization_missing_scopes") => Some(
            "the access token lacks a right: it needs applications:read and \
             application_secret_keys:read, and applications:manage to make one. Or paste the \
             instance's secret key by hand",
        ),
        (403, _) => Some(
            "the access token may not do this: the Platform API is a private beta, which Clerk \
             has to turn on for the workspace. Or paste the instance's secret key by hand",
        ),
        (404, _) => Some(
            "the workspace has no such application any more, or no access to the Platform API, \
             which is a private beta: list the applications again, or paste the instance's secret \
             key by hand",
        ),
        _ => None,
    },
    explained: "look the code up in Clerk's documentation of its Platform API, or paste the \
                instance's secret key by hand",
    foreign: "the answer does not come from Clerk's Platform API, which is a private beta: ask \
              Clerk to turn it on for the workspace, or paste the instance's secret key by hand",
    webhooks: "",
};

const MAKING: Words = Words {
    advice: |status, code| match status {
        400 | 402 | 422 => Some(
            "it makes no such application: make it in Clerk's dashboard, which says what is \
             wrong, and choose it here",
        ),
        _ => (WORDS.advice)(status, code),
    },
    ..WORDS
};

/// The first error's code in an answer of Clerk's own.
fn code(answer: &Answer) -> Option<String> {
    let errors = json::Fields::of_bytes(&answer.body).ok()?.array("errors")?;
    json::Fields::of(errors.first()?).ok()?.string("code")
}

/// An instance's id is listed after its application's, which the API asks for.
fn parts(project: &str) -> (&str, &str) {
    project.split_once('/').unwrap_or((project, ""))
}

fn request(account: &Account, step: &Step) -> Request {
    let api = &account.api;
    match step {
        // Only the chosen one's keys are fetched.
        Step::Keys(project) => {
            let application = encoded(parts(project).0);
            api.get(&format!(
                "{APPLICATIONS}/{application}?include_secret_keys=true"
            ))
        }
        Step::Make(new) => api.send(Method::POST, APPLICATIONS, &json!({ "name": new.name })),
        _ => api.get(APPLICATIONS),
    }
}

fn read(account: &Account, step: &mut Step, answer: &str) -> Result<Step, AnswerError> {
    let answer = parsed(answer)?;
    match step {
        Step::Projects(_) => {
            let applications = list(match answer.get("data") {
                Some(data) => data,
                None => &answer,
            })?;
            Ok(Step::Listed(Listing {
                organizations: Vec::new(),
                projects: applications.iter().flat_map(instances).collect(),
            }))
        }
        // The keys are in the answer to another question for sure, and may be in this.
        Step::Make(_) => {
            let made = instances(&answer).into_iter().next();
            made.map(|made| Step::Keys(made.id)).ok_or_else(garbled)
        }
        Step::Keys(project) => {
            let (application, instance) = parts(project);
            if id(&answer, "application_id") != Some(application) {
                return Err(garbled());
            }
            let mut instances = list(&answer["instances"])?.iter();
            let found = instances.find(|found| id(found, "instance_id") == Some(instance));
            let found = found.ok_or_else(|| {
                AnswerError::Refused(
                    "the application has no such instance any more: list the applications again"
                        .to_owned(),
                )
            })?;
            chosen(account, project, text(found, "secret_key"))
        }
        _ => Err(garbled()),
    }
}

/// The instances of an application, each of which has users of its own.
fn instances(application: &Value) -> Vec<Project> {
    let Some(id_) = id(application, "application_id") else {
        return Vec::new();
    };
    let instances = application["instances"].as_array();
    let instance = |found: &Value| {
        let kind = match text(found, "environment_type") {
            "production" => "production instance",
            "development" => "development instance",
            _ => "instance",
        };
        Some(Project {
            id: format!("{id_}/{}", id(found, "instance_id")?),
            name: kind.to_owned(),
            detail: id(found, "instance_id")?.to_owned(),
            group: match text(application, "name") {
                "" => id_.to_owned(),
                name => name.to_owned(),
            },
            obstacle: None,
        })
    };
    instances
        .into_iter()
        .flatten()
        .filter_map(instance)
        .collect()
}

fn chosen(account: &Account, project: &str, key: &str) -> Result<Step, AnswerError> {
    if !is_whole(key, "sk_") {
        return Err(AnswerError::Refused(
            "Clerk does not show the instance's secret key to this access token: it needs \
             application_secret_keys:read. Or paste the instance's secret key by hand"
                .to_owned(),
        ));
    }
    let mut settings = Map::new();
    settings.insert("secret_key".to_owned(), key.into());
    if account.base != API {
        settings.insert("api_url".to_owned(), account.base.as_str().into());
    }
    Ok(Step::Chosen(Chosen {
        project: project.to_owned(),
        settings,
        admin_key: None,
    }))
}
