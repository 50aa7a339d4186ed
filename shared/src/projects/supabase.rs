//! Supabase's Management API.
//! Source: <https://supabase.com/docs/reference/api/introduction>.

use http::Method;
use serde_json::{Map, Value, json};

use super::{
    Account, Address, Chosen, Deliveries, Listing, New, Order, Organization, Project, Step, Ways,
    garbled, id, is_id, is_whole, list, parsed, text,
};
use crate::exchange::{Answer, AnswerError, Request};
use crate::json;
use crate::provider::{Words, encoded};

pub(super) const WAYS: Ways = Ways {
    names: &["supabase"],
    api: Some(Address {
        variable: "SUPABASE_ACCOUNT_API_URL",
        default: "https://api.supabase.com",
    }),
    project: Some(Address {
        variable: "SUPABASE_ACCOUNT_PROJECT_URL",
        default: "https://{ref}.supabase.co",
    }),
    authorization: |token| format!("Bearer {token}"),
    list: Some(|| Step::Organizations),
    choose: Step::Look,
    request,
    read,
    order: Some(Order {
        request: order,
        read: |_| Ok(None),
        words: &ORDERING,
    }),
    words: |step| match step {
        Step::Make(_) => &MAKING,
        Step::Keys(_) | Step::MakeKey(_) => &REVEALING,
        _ => &WORDS,
    },
};

/// The name of a key that is made.
const KEY: &str = "users_sync";

const WORDS: Words = Words {
    who: "Supabase",
    code,
    key: "it does not accept the access token: make a new one on the page Access Tokens of your \
          account, and paste it whole (sbp_…)",
    advice: |status, _| match status {
        403 => Some(RIGHTS),
        404 => Some("the account has no such project any more: list the projects again"),
        _ => None,
    },
    explained: "try again, or paste the project's keys by hand",
    foreign: "the answer does not come from Supabase's Management API: try again, or paste the \
              project's keys by hand",
    webhooks: "",
};

const RIGHTS: &str = "the access token may not do this: use a token of an owner or an \
                      administrator of the organization, or paste the project's keys by hand";

const MAKING: Words = Words {
    advice: |status, code| match status {
        400 | 402 | 422 => Some(
            "it makes no such project: the number of projects of the organization's plan may be \
             used up. Make it in Supabase's dashboard, which says what is wrong, and choose it here",
        ),
        _ => (WORDS.advice)(status, code),
    },
    ..WORDS
};

/// A token may list projects, and not see their keys.
const REVEALING: Words = Words {
    advice: |status, code| match status {
        403 => Some(
            "the access token may not see or make the project's keys: use a token of an owner or \
             an administrator of the organization, or paste the project's keys by hand",
        ),
        _ => (WORDS.advice)(status, code),
    },
    ..WORDS
};

const ORDERING: Words = Words {
    advice: |status, code| match status {
        400 | 422 => Some(
            "its database did not run the SQL that makes the trigger: run it by hand, where the \
             SQL editor says what is wrong",
        ),
        _ => (WORDS.advice)(status, code),
    },
    ..WORDS
};

/// The API's errors have a message, and no code.
fn code(answer: &Answer) -> Option<String> {
    let error = json::Fields::of_bytes(&answer.body).ok()?;
    let known = error.string("code");
    known.or_else(|| {
        let said = error.get("message").or(error.get("error"));
        said.map(|_| String::new())
    })
}

fn path(project: &str) -> String {
    format!("/v1/projects/{}", encoded(project))
}

fn request(account: &Account, step: &Step) -> Request {
    let api = &account.api;
    match step {
        Step::Organizations => api.get("/v1/organizations"),
        Step::Look(project) => api.get(&path(project)),
        Step::Keys(project) => api.get(&format!("{}/api-keys?reveal=true", path(project))),
        Step::MakeKey(project) => {
            let key = json!({
                "type": "secret",
                "name": KEY,
                "description": "For users-sync, which keeps a table of the users",
                "secret_jwt_template": { "role": "service_role" },
            });
            let path = format!("{}/api-keys?reveal=true", path(project));
            api.send(Method::POST, &path, &key)
        }
        Step::Make(new) => api.send(Method::POST, "/v1/projects", &wanted(new)),
        _ => api.get("/v1/projects"),
    }
}

/// In the smallest size that the organization's plan has.
fn wanted(new: &New) -> Value {
    json!({
        "name": new.name,
        "organization_slug": new.organization,
        "db_pass": new.password,
        "region_selection": { "type": "smartGroup", "code": new.region },
    })
}

fn order(account: &Account, chosen: &Chosen, deliveries: &Deliveries<'_>) -> Request {
    let path = format!("{}/database/query", path(&chosen.project));
    let query = json!({ "query": deliveries.sql.unwrap_or_default() });
    account.api.send(Method::POST, &path, &query)
}

fn read(account: &Account, step: &mut Step, answer: &str) -> Result<Step, AnswerError> {
    let answer = parsed(answer)?;
    match step {
        Step::Organizations => {
            let organizations = list(&answer)?.iter().filter_map(organization);
            Ok(Step::Projects(organizations.collect()))
        }
        Step::Projects(organizations) => {
            let organizations = std::mem::take(organizations);
            let projects = list(&answer)?.iter();
            let projects = projects.filter_map(|found| project(found, &organizations));
            Ok(Step::Listed(Listing {
                projects: projects.collect(),
                organizations,
            }))
        }
        Step::Look(asked) => {
            let found = id(&answer, "ref").or_else(|| id(&answer, "id"));
            if found != Some(asked) {
                return Err(garbled());
            }
            match obstacle(text(&answer, "status")) {
                None => Ok(Step::Keys(asked.clone())),
                Some(obstacle) => Err(AnswerError::Refused(format!("the project {obstacle}"))),
            }
        }
        Step::Keys(project) => keys(account, project, list(&answer)?),
        Step::MakeKey(project) => match secret_key(&answer) {
            Some(Key::Whole(key)) => Ok(chosen(account, project, key)),
            _ => Err(AnswerError::Refused(
                "Supabase made a key, and does not show it: paste the project's keys by hand"
                    .to_owned(),
            )),
        },
        Step::Make(_) => {
            let made = id(&answer, "ref").or_else(|| id(&answer, "id"));
            let made = made.ok_or_else(garbled)?.to_owned();
            Ok(match obstacle(text(&answer, "status")) {
                None => Step::Keys(made),
                Some(_) => Step::Made(made),
            })
        }
        _ => Err(garbled()),
    }
}

/// The slug is the older id under its newer name.
fn organization(found: &Value) -> Option<Organization> {
    let id = id(found, "slug").or_else(|| id(found, "id"))?;
    Some(Organization {
        id: id.to_owned(),
        name: text(found, "name").to_owned(),
    })
}

fn project(found: &Value, organizations: &[Organization]) -> Option<Project> {
    let reference = id(found, "ref").or_else(|| id(found, "id"))?;
    let of = ["organization_slug", "organization_id"].map(|name| text(found, name));
    let mut known = organizations.iter();
    let organization = known.find(|organization| of.contains(&organization.id.as_str()));
    let region = text(found, "region");
    Some(Project {
        id: reference.to_owned(),
        name: text(found, "name").to_owned(),
        detail: match region {
            "" => reference.to_owned(),
            region => format!("{reference}, {region}"),
        },
        group: organization.map_or_else(String::new, |organization| organization.name.clone()),
        obstacle: obstacle(text(found, "status")),
    })
}

/// Why a project of this status can't be connected now.
fn obstacle(status: &str) -> Option<&'static str> {
    match status {
        "ACTIVE_HEALTHY" => None,
        "COMING_UP" | "UNKNOWN" => Some("is still coming up: look again in a minute"),
        "RESTORING" | "RESTARTING" | "RESIZING" | "UPGRADING" => {
            Some("is restarting or being changed: look again in a few minutes")
        }
        "INACTIVE" | "PAUSING" => {
            Some("is paused: restore it in Supabase’s dashboard, then look again")
        }
        "GOING_DOWN" | "REMOVED" => Some("is being removed"),
        _ => Some("is not healthy: see Supabase’s dashboard, then look again"),
    }
}

enum Key<'a> {
    Whole(&'a str),
    InPart,
}

/// The newer kind of key, if this is one that may do all that the service role may.
fn secret_key(found: &Value) -> Option<Key<'_>> {
    let role = &found["secret_jwt_template"]["role"];
    let of_the_service = role.is_null() || role == "service_role";
    if text(found, "type") != "secret" || !of_the_service {
        return None;
    }
    Some(shown(text(found, "api_key"), "sb_secret_"))
}

/// The older one, a JWT.
fn legacy_key(found: &Value) -> Option<Key<'_>> {
    if text(found, "name") != "service_role" || text(found, "type") == "secret" {
        return None;
    }
    Some(shown(text(found, "api_key"), "eyJ"))
}

fn shown<'a>(key: &'a str, begin: &str) -> Key<'a> {
    match is_whole(key, begin) {
        true => Key::Whole(key),
        false => Key::InPart,
    }
}

/// The newer kind of key goes first: the older one is to be switched off.
fn keys(account: &Account, project: &str, found: &[Value]) -> Result<Step, AnswerError> {
    let kinds = [secret_key, legacy_key];
    let all = || kinds.iter().flat_map(|kind| found.iter().filter_map(kind));
    let whole = all().find_map(|key| match key {
        Key::Whole(key) => Some(key),
        Key::InPart => None,
    });
    match whole {
        Some(key) => Ok(chosen(account, project, key)),
        None if all().next().is_none() => Ok(Step::MakeKey(project.to_owned())),
        None => Err(AnswerError::Refused(
            "Supabase shows the project's keys only in part to this access token: use a token of \
             an owner or an administrator of the organization, or paste the project's keys by hand"
                .to_owned(),
        )),
    }
}

fn chosen(account: &Account, project: &str, key: &str) -> Step {
    debug_assert!(is_id(project), "it was read");
    let url = account.project.as_deref().unwrap_or_default();
    let url = url.replace("{ref}", project);
    let settings = json!({ "project_url": url, "service_role_key": key });
    Step::Chosen(Chosen {
        project: project.to_owned(),
        settings: fields(settings),
        admin_key: None,
    })
}

fn fields(settings: Value) -> Map<String, Value> {
    match settings {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
