//! The simulators and the harness: each quirk that other scenarios rely on, pinned against what the
//! provider was seen to do.

mod accounts;
mod auth0;
mod clerk;
mod control;
mod endings;
mod errors;
mod faults;
mod harness;
mod lag;
mod listing;
mod program;
mod receiver;
mod sender;
mod signing;
mod supabase;
mod vendors;
mod webhooks;
mod workos;

use anyhow::{Context, Result};
use axum::http::{HeaderMap, Method, StatusCode};
use reqwest::Client;
use serde_json::Value;
use tests::simulator::{Clock, Options, Simulator, Stack};

/// April 2026.
const NOON: i64 = 1_776_902_400_000;

/// A project without users whose clock stands still.
async fn project() -> Result<Simulator> {
    start(Stack::default()).await
}

async fn start(project: Stack) -> Result<Simulator> {
    let options = Options {
        clock: Clock::by_hand(NOON),
        ..Options::default()
    };
    Simulator::start(project, options).await
}

/// An answer of the simulator.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("read {}", self.body))
    }

    /// The known error's code, which header and body agree on; empty if it is none.
    fn code(&self) -> Result<String> {
        let Some(header) = self.headers.get("x-stack-known-error") else {
            return Ok(String::new());
        };
        let code = header.to_str()?.to_owned();
        assert_eq!(self.json()?["code"], code.as_str());
        assert!(self.json()?["error"].is_string());
        Ok(code)
    }

    /// A listing's ids, and its next cursor.
    fn page(&self) -> Result<(Vec<String>, Option<String>)> {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        let body = self.json()?;
        let ids = body["items"]
            .as_array()
            .context("no items")?
            .iter()
            .map(|user| user["id"].as_str().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(body["is_paginated"], true);
        let next = &body["pagination"]["next_cursor"];
        Ok((ids, next.as_str().map(str::to_owned)))
    }
}

/// Asks as a server with the right key does.
async fn ask(
    simulator: &Simulator,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Result<Answer> {
    let key = Stack::default().secret_server_key;
    let project = Stack::default().project_id;
    let mut headers = vec![
        ("x-stack-access-type", "server"),
        ("x-stack-project-id", &project),
        ("x-stack-secret-server-key", &key),
    ];
    if body.is_some() {
        headers.push(("content-type", "application/json"));
    }
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    ask_with(simulator, method, path, &headers, body).await
}

async fn ask_with(
    simulator: &Simulator,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: String,
) -> Result<Answer> {
    let url = format!("{}{path}", simulator.api_url());
    let mut request = client()?.request(method, url).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await?;
    Ok(Answer {
        status: answer.status(),
        headers: answer.headers().clone(),
        body: answer.text().await?,
    })
}

async fn get(simulator: &Simulator, path: &str) -> Result<Answer> {
    ask(simulator, Method::GET, path, None).await
}

/// All users' ids, page by page.
async fn walk(simulator: &Simulator, query: &str) -> Result<Vec<String>> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let (ids, next) = get(simulator, &format!("/users?{query}{cursor}"))
            .await?
            .page()?;
        all.extend(ids);
        match next {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(all),
        }
    }
}

fn client() -> Result<Client> {
    Ok(Client::builder().no_proxy().build()?)
}
