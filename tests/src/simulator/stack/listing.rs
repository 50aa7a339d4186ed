//! `GET /users`: its parameters, their rules, and its answer.

use axum::http::{Method, StatusCode};

use super::errors;
use super::profile::personal_team_id;
use crate::simulator::vendor::{Reading, Refused, Standing};

/// The most users a page, since cursors are excluded.
pub(super) const MOST: usize = 1_000;

/// The parameters of a listing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// At most this many users; none means all.
    pub(super) limit: Option<usize>,
    /// The id of the first user, or of the last one of the page before.
    pub(super) cursor: Option<String>,
    pub(super) descending: bool,
    query: Option<String>,
    team: Option<String>,
    restricted: bool,
    anonymous: bool,
    only_anonymous: bool,
}

impl Wanted {
    /// Reads the parameters. `refused` are those that this server does not know yet.
    pub(super) fn of(
        parameters: &[(String, String)],
        path: &str,
        refused: impl Fn(&str) -> bool,
    ) -> Result<Self, Refused> {
        let mut wanted = Self::default();
        let mut problems = Vec::new();
        let mut unknown = Vec::new();
        for (name, value) in parameters {
            if refused(name) {
                unknown.push(name.as_str());
                continue;
            }
            match wanted.set(name, value) {
                Ok(()) => {}
                Err(Some(problem)) => problems.push(format!("query.{name} {problem}")),
                Err(None) => unknown.push(name.as_str()),
            }
        }
        if !unknown.is_empty() {
            problems.push(format!(
                "query contains unknown properties: {}",
                unknown.join(", ")
            ));
        }
        if !problems.is_empty() {
            return Err(errors::schema(&Method::GET, path, &problems));
        }
        if wanted.only_anonymous && !wanted.anonymous {
            return Err(errors::plain(
                StatusCode::BAD_REQUEST,
                "only_anonymous=true requires include_anonymous=true",
            ));
        }
        Ok(wanted)
    }

    /// Sets one parameter. What is wrong with it, or nothing if there is no such parameter.
    fn set(&mut self, name: &str, value: &str) -> Result<(), Option<&'static str>> {
        match name {
            "limit" => self.limit = Some(limit(value)?),
            "cursor" => self.cursor = Some(uuid(value)?),
            "team_id" => self.team = Some(uuid(value)?),
            "order_by" if value == "signed_up_at" => {}
            "order_by" => return Err(Some("must be one of the following values: signed_up_at")),
            "desc" => self.descending = flag(value)?,
            "query" => self.query = Some(value.to_lowercase()).filter(|query| !query.is_empty()),
            "include_restricted" => self.restricted = flag(value)?,
            "include_anonymous" => self.anonymous = flag(value)?,
            "only_anonymous" => self.only_anonymous = flag(value)?,
            _ => return Err(None),
        }
        Ok(())
    }

    /// Whether a user belongs into the listing.
    pub(super) fn takes(&self, id: &str, user: &Reading) -> bool {
        let standing = match user.standing {
            Standing::Full => !self.only_anonymous,
            Standing::Deleted => false,
            Standing::Restricted => (self.restricted || self.anonymous) && !self.only_anonymous,
            Standing::Anonymous => self.anonymous,
        };
        let team = || match &self.team {
            Some(team) => personal_team_id(id) == *team,
            None => true,
        };
        let query = || match &self.query {
            Some(query) => {
                let within = |text: &Option<String>| {
                    text.as_ref()
                        .is_some_and(|text| text.to_lowercase().contains(query))
                };
                id == query || within(&user.name) || within(&user.email)
            }
            None => true,
        };
        standing && team() && query()
    }
}

fn limit(value: &str) -> Result<usize, &'static str> {
    let number: f64 = value
        .trim()
        .parse()
        .map_err(|_| "must be a `number` type")?;
    if number.fract() != 0.0 {
        return Err("must be an integer");
    }
    if number < 1.0 {
        return Err("must be greater than or equal to 1");
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole and positive, and a listing longer than usize holds is as good as all"
    )]
    Ok(number as usize)
}

fn uuid(value: &str) -> Result<String, &'static str> {
    let hyphenated = value.len() == 36;
    match uuid::Uuid::parse_str(value) {
        Ok(uuid) if hyphenated => Ok(uuid.to_string()),
        _ => Err("must be a valid UUID"),
    }
}

fn flag(value: &str) -> Result<bool, &'static str> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("must be one of the following values: true, false"),
    }
}

/// A listing's body.
pub(super) fn answer(items: &[std::sync::Arc<str>], next: Option<&str>) -> String {
    let size = items.iter().map(|item| item.len() + 1).sum::<usize>();
    let mut body = String::with_capacity(size + 128);
    body.push_str(r#"{"items":["#);
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            body.push(',');
        }
        body.push_str(item);
    }
    body.push_str(r#"],"is_paginated":true,"pagination":{"next_cursor":"#);
    match next {
        Some(id) => {
            body.push('"');
            body.push_str(id);
            body.push('"');
        }
        None => body.push_str("null"),
    }
    body.push_str("}}");
    body
}
