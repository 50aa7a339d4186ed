//! The demo's output, and the queries for it.

use std::collections::HashMap;
use std::io::{IsTerminal, Write, stdout};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::Value;
use tests::simulator::Simulator;
use tokio_postgres::Client;

/// One of the things that the demo does.
pub(crate) struct Step(Instant);

impl Step {
    pub(crate) fn begin(what: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        println!("\n{}. {what}", NUMBER.fetch_add(1, Ordering::Relaxed));
        Self(Instant::now())
    }

    pub(crate) fn done(self, outcome: &str) {
        println!("   {outcome}  ({})", seconds(self.0.elapsed()));
    }
}

pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// 10000 as `10 000`.
pub(crate) fn thousands(number: i64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(String::from_utf8_lossy)
        .collect();
    groups.join(" ")
}

/// A bar where somebody watches; nothing in a log file.
pub(crate) fn progress(done: i64, of: Option<i64>) {
    if !stdout().is_terminal() {
        return;
    }
    match of {
        Some(of) if of > 0 => {
            let full = usize::try_from(done * 40 / of).unwrap_or(0).min(40);
            let (bar, rest) = ("#".repeat(full), "-".repeat(40 - full));
            print!(
                "\r   [{bar}{rest}] {} of {}",
                thousands(done),
                thousands(of)
            );
        }
        _ => print!("\r   {} users", thousands(done)),
    }
    let _ = stdout().flush();
}

pub(crate) fn progress_done() {
    if stdout().is_terminal() {
        print!("\r{}\r", " ".repeat(70));
    }
}

pub(crate) async fn count(client: &Client) -> Result<i64> {
    let sql = "SELECT count(*) FROM neon_identity.users_sync";
    Ok(client.query_one(sql, &[]).await?.get(0))
}

/// Living and deleted users.
pub(crate) async fn counts(client: &Client) -> Result<(i64, i64)> {
    let sql = "SELECT count(*) FILTER (WHERE deleted_at IS NULL), count(deleted_at)
               FROM neon_identity.users_sync";
    let row = client.query_one(sql, &[]).await?;
    Ok((row.get(0), row.get(1)))
}

/// One user's row in a line; `None`: there is no row.
pub(crate) async fn row(client: &Client, id: &str) -> Result<Option<String>> {
    let sql = "SELECT concat_ws(' | ', name, email, 'deleted ' || deleted_at::text)
               FROM neon_identity.users_sync WHERE id = $1";
    Ok(client.query_opt(sql, &[&id]).await?.map(|row| row.get(0)))
}

/// The table as in Neon's documentation.
pub(crate) async fn table(client: &Client) -> Result<()> {
    println!("\nSELECT id, name, email, created_at, raw_json FROM neon_identity.users_sync");
    println!("ORDER BY updated_at DESC LIMIT 5;\n");
    let sql = "SELECT id, coalesce(name, ''), coalesce(email, ''),
                 coalesce(to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), ''),
                 left(raw_json::text, 34) || '…'
               FROM neon_identity.users_sync ORDER BY updated_at DESC NULLS LAST LIMIT 5";
    let widths = [36, 22, 30, 19, 35];
    let line = |cells: [&str; 5]| {
        let cells = cells.iter().zip(widths);
        let cells: Vec<_> = cells
            .map(|(cell, width)| {
                let cell: String = cell.chars().take(width).collect();
                format!("{cell:width$}")
            })
            .collect();
        println!(" {}", cells.join(" | "));
    };
    line(["id", "name", "email", "created_at", "raw_json"]);
    println!("-{}", widths.map(|width| "-".repeat(width)).join("-+-"));
    for row in client.query(sql, &[]).await? {
        line([row.get(0), row.get(1), row.get(2), row.get(3), row.get(4)]);
    }
    Ok(())
}

/// A profile, without what listings leave open.
fn read(profile: &str, simulator: &Simulator) -> Result<Value> {
    let mut profile: Value = serde_json::from_str(profile)?;
    if let Some(fields) = profile.as_object_mut() {
        fields.retain(|name, _| !simulator.unlisted().contains(&name.as_str()));
    }
    Ok(profile)
}

/// Holds each row against the provider's own words.
pub(crate) async fn compare(client: &Client, simulator: &Simulator) -> Result<()> {
    let sql = "SELECT id, name, email, raw_json::text FROM neon_identity.users_sync
               WHERE deleted_at IS NULL";
    let mut rows: HashMap<String, (Option<String>, Option<String>, String)> = HashMap::new();
    for row in client.query(sql, &[]).await? {
        rows.insert(row.get(0), (row.get(1), row.get(2), row.get(3)));
    }
    let mut users = 0;
    for truth in simulator.truth() {
        users += 1;
        let Some((name, email, raw)) = rows.get(&truth.id) else {
            anyhow::bail!("out of sync: a user is not in the table");
        };
        let (raw, profile) = (read(raw, simulator)?, read(&truth.profile, simulator)?);
        ensure!(
            *name == truth.reading.name && *email == truth.reading.email && raw == profile,
            "out of sync: a row is not as the provider has it"
        );
    }
    ensure!(
        users == rows.len(),
        "out of sync: the table has users that the provider has not"
    );
    Ok(())
}
