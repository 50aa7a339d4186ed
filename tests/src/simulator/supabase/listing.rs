//! `GET /admin/users`: by page or by cursor, the newest first.

use std::sync::Arc;

use axum::http::Uri;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};

use super::{Supabase, errors, profile};
use crate::simulator::iso;
use crate::simulator::json;
use crate::simulator::users::View;
use crate::simulator::vendor::{Reading, Refused};
use crate::simulator::world::World;

/// The most users a page by cursor; by page there is no limit.
const MOST: usize = 1_000;

/// A page of users, and what its headers say.
pub(super) struct Answer {
    pub(super) body: String,
    pub(super) link: Option<String>,
    pub(super) total: Option<usize>,
}

/// The position of the last user seen.
#[derive(Debug, Serialize, Deserialize)]
struct Cursor {
    created_at: String,
    id: String,
}

/// The page that is asked for.
struct Wanted<'a> {
    parameters: &'a [(String, String)],
    ascending: bool,
    filter: &'a str,
}

impl<'a> Wanted<'a> {
    fn text(&self, name: &str) -> &'a str {
        let found = self.parameters.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    fn number(&self, name: &str, default: usize) -> Result<usize, Refused> {
        match self.text(name) {
            "" => Ok(default),
            text => text.parse().map_err(|_| {
                bad(&format!(
                    "strconv.ParseUint: parsing \"{text}\": invalid syntax"
                ))
            }),
        }
    }

    fn takes(&self, user: &Reading) -> bool {
        let within = |text: &Option<String>| {
            text.as_ref()
                .is_some_and(|text| text.to_lowercase().contains(&self.filter.to_lowercase()))
        };
        self.filter.is_empty() || within(&user.email) || within(&user.name)
    }
}

fn bad(problem: &str) -> Refused {
    errors::invalid(&format!("Bad Pagination Parameters: {problem}"))
}

pub(super) fn answer(
    project: &Supabase,
    world: &World,
    uri: &Uri,
    parameters: &[(String, String)],
) -> Result<Answer, Refused> {
    let mut wanted = Wanted {
        parameters,
        ascending: false,
        filter: "",
    };
    wanted.filter = wanted.text("filter");
    wanted.ascending = match wanted.text("sort") {
        "" | "created_at" | "created_at desc" => false,
        "created_at asc" => true,
        _ => return Err(errors::invalid("Bad Sort Parameters: bad field")),
    };
    let numbered = !wanted.text("page").is_empty() || !wanted.text("per_page").is_empty();
    if project.cursors && !numbered {
        by_cursor(project, world, uri, &wanted)
    } else {
        by_page(project, world, uri, &wanted)
    }
}

fn by_page(
    project: &Supabase,
    world: &World,
    uri: &Uri,
    wanted: &Wanted<'_>,
) -> Result<Answer, Refused> {
    // The page before the first one is the first one.
    let page = wanted.number("page", 1)?.max(1);
    let size = wanted.number("per_page", 50)?;
    if size == 0 {
        return Err(bad("per_page must be greater than 0"));
    }
    let part = ((page - 1).saturating_mul(size), size);
    let slice = world.slice(View::Now, None, !wanted.ascending, part, |_, user| {
        wanted.takes(user)
    });
    let pages = slice.total.div_ceil(size);
    let link = |number: usize, relation| {
        let number = number.to_string();
        let url = with(uri, wanted.parameters, "page", &number);
        format!("<{url}>; rel=\"{relation}\"")
    };
    let next = (pages > page).then(|| link(page + 1, "next"));
    let links: Vec<String> = next.into_iter().chain([link(pages, "last")]).collect();
    Ok(Answer {
        body: body(project, &slice.items, ""),
        link: Some(links.join(", ")),
        total: Some(slice.total),
    })
}

fn by_cursor(
    project: &Supabase,
    world: &World,
    uri: &Uri,
    wanted: &Wanted<'_>,
) -> Result<Answer, Refused> {
    let limit = wanted.number("limit", 50)?;
    if limit == 0 {
        return Err(bad("limit must be greater than 0"));
    }
    let limit = limit.min(MOST);
    let after = match wanted.text("cursor") {
        "" => None,
        text => Some(position(text).ok_or_else(|| bad("invalid cursor"))?),
    };
    let seen = after.as_ref().map(|(_, id)| id.clone());
    // The walk begins with the user last seen, if they are still there.
    let passes = |id: &str, user: &Reading| seen.as_deref() != Some(id) && wanted.takes(user);
    let page = world.page(View::Now, after, !wanted.ascending, limit, passes);
    let last = page.items.last().filter(|_| page.next.is_some());
    let next = last.map(|user| {
        let user = json::fields(user);
        let text = |name| json::get::<String>(&user, name).unwrap_or_default();
        let cursor = Cursor {
            created_at: text("created_at"),
            id: text("id"),
        };
        BASE64.encode(serde_json::to_string(&cursor).unwrap_or_default())
    });
    let pagination = match &next {
        Some(next) => format!(r#"{{"next_cursor":"{next}","has_more":true}}"#),
        None => r#"{"has_more":false}"#.to_owned(),
    };
    let link = next.map(|next| {
        let url = with(uri, wanted.parameters, "cursor", &next);
        format!("<{url}>; rel=\"next\"")
    });
    Ok(Answer {
        body: body(
            project,
            &page.items,
            &format!(r#","pagination":{pagination}"#),
        ),
        link,
        total: None,
    })
}

fn position(cursor: &str) -> Option<(i64, String)> {
    let cursor: Cursor = serde_json::from_slice(&BASE64.decode(cursor).ok()?).ok()?;
    Some((iso::millis(&cursor.created_at)?, cursor.id))
}

fn body(project: &Supabase, items: &[Arc<str>], rest: &str) -> String {
    let users = match project.lists_identities {
        true => items.join(","),
        false => {
            let listed: Vec<String> = items.iter().map(|user| profile::listed(user)).collect();
            listed.join(",")
        }
    };
    format!(r#"{{"users":[{users}],"aud":"authenticated"{rest}}}"#)
}

/// The request's address with one parameter set, in the order of their names.
fn with(uri: &Uri, parameters: &[(String, String)], name: &str, value: &str) -> String {
    let mut all: Vec<(&str, &str)> = parameters
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .filter(|(known, _)| *known != name)
        .chain([(name, value)])
        .collect();
    all.sort_unstable();
    let pairs: Vec<String> = all
        .iter()
        .map(|(name, value)| format!("{name}={}", value.replace(' ', "+")))
        .collect();
    // The server does not know the prefix that the gateway takes away.
    let path = uri.path().trim_start_matches("/auth/v1");
    format!("{path}?{}", pairs.join("&"))
}
