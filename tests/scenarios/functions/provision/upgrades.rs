//! Upgrades: the schema of every earlier release becomes this release's while deliveries arrive, and
//! nothing is lost; and what an earlier release reads is there afterwards, for the way back.
//!
//! A release is known by its schema here: the binaries of earlier ones are not kept. This release's
//! run on each earlier schema, as they do between a deployment's first function and its `provision`,
//! and on a schema that is newer than they know, as an earlier release's do after a way back.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::function::Function;
use tests::postgres::{Options, Postgres, connect};
use tests::simulator::Message;
use tests::tools::workspace;

use super::{MIGRATIONS, NEWEST, site};
use crate::site::{Site, login, run};

/// The migrations that have landed, each with how its digest begins. One that is added here may
/// never change again.
const LANDED: &[(&str, &str)] = &[
    ("0001_users_sync", "9035507e1942574e"),
    ("0002_event_cursor", "86a64db5b0dd08a3"),
    ("0003_erase_user", "bcd734c81b7070cd"),
    ("0004_project_names", "43f4f6339efce260"),
    ("0005_walk_in_parts", "2ef212386316c102"),
    ("0006_strangers", "3dd165c63bcf1192"),
    ("0007_console", "7268db95f0c7e978"),
    ("0008_records", "2fb5e52d71a9ba46"),
    ("0009_privacy", "5c7d1fb63b4f6413"),
    ("0010_desk", "3d8773c66c3611dc"),
];

fn migration(name: &str) -> String {
    let path = workspace().join(format!("shared/src/migrations/{name}.sql"));
    fs::read_to_string(path).expect("a migration")
}

#[test]
fn a_migration_that_has_landed_is_never_changed() {
    use sha2::{Digest, Sha256};
    let names: Vec<_> = LANDED.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, MIGRATIONS, "add each new migration to this list");
    for (name, begins) in LANDED {
        let digest = Sha256::digest(migration(name));
        let digest: String = digest[..8].iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(
            digest, *begins,
            "{name} has landed, and is not to be edited"
        );
    }
}

/// Brings the schema to this version, as the release did whose newest migration that was.
async fn migrate_to(site: &Site, version: usize) -> Result<()> {
    let owner = site.database.owner_url();
    for (number, name) in (1..).zip(&MIGRATIONS[..version]) {
        let sql = format!(
            "BEGIN; {}; {}; {};
            INSERT INTO neon_identity.migrations (version, name) VALUES ({number}, '{name}'); COMMIT",
            include_str!("../../../../shared/src/migrate/set_search_path.sql"),
            include_str!("../../../../shared/src/migrate/let_change.sql"),
            migration(name),
        );
        run(owner, &sql).await.context(*name)?;
    }
    let app = login(site.database.url());
    let rights = format!(
        "GRANT USAGE ON SCHEMA neon_identity TO {app};
        GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA neon_identity TO {app}"
    );
    run(owner, &rights).await
}

/// What an earlier release can name: columns with their types, functions and views.
const NAMED: &str = "
    SELECT concat_ws(' ', 'column', attrelid::regclass, attname, format_type(atttypid, atttypmod))
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE relnamespace = 'neon_identity'::regnamespace AND relkind IN ('r', 'v')
        AND attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT concat_ws(' ', 'function', oid::regprocedure, prorettype::regtype) FROM pg_proc
    WHERE pronamespace = 'neon_identity'::regnamespace";

/// Columns that an earlier release's INSERT would have to name.
const REQUIRED: &str = "
    SELECT concat_ws(' ', attrelid::regclass, attname)
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE relnamespace = 'neon_identity'::regnamespace AND relkind = 'r'
        AND attnum > 0 AND NOT attisdropped
        AND attnotnull AND NOT atthasdef AND attidentity = '' AND attgenerated = ''";

async fn lines(site: &Site, sql: &str) -> Result<BTreeSet<String>> {
    let found = site.ask(sql).await?;
    Ok(found.lines().map(str::to_owned).collect())
}

#[tokio::test]
async fn migrations_only_add_to_what_an_earlier_release_reads_and_writes() -> Result<()> {
    let server = Postgres::shared().await?;
    let site = Site::on(server).await?;
    migrate_to(&site, 1).await?;
    let (mut named, mut required) = (lines(&site, NAMED).await?, lines(&site, REQUIRED).await?);
    assert!(named.len() > 30 && !required.is_empty(), "{named:?}");
    for (number, name) in (2..).zip(&MIGRATIONS[1..]) {
        let tables = named.iter().filter_map(|line| line.split(' ').nth(1));
        let tables: BTreeSet<String> = tables.map(str::to_owned).collect();
        let sql = format!("SET search_path = pg_catalog; {}", migration(name));
        run(site.database.owner_url(), &sql).await?;
        let now = lines(&site, NAMED).await?;
        let gone: Vec<_> = named.difference(&now).collect();
        assert!(gone.is_empty(), "{number}: {name} takes away {gone:?}");
        let demanded = lines(&site, REQUIRED).await?;
        let of_old_tables = |line: &&String| {
            let table = line.split(' ').next().unwrap_or_default();
            tables.contains(table)
        };
        let more: Vec<_> = demanded
            .difference(&required)
            .filter(of_old_tables)
            .collect();
        assert!(more.is_empty(), "{number}: {name} demands {more:?}");
        (named, required) = (now, demanded);
    }
    Ok(())
}

/// What was there before: a tombstone, a placeholder, a run, a rejection, and rows of users whom the
/// provider has.
async fn fill(site: &Site, ids: &[String]) -> Result<()> {
    let secret = site.secret();
    let project = secret["provider"]["project_id"]
        .as_str()
        .context("a project")?;
    let users: Vec<_> = ids
        .iter()
        .map(|id| {
            format!("('{{\"id\": \"{id}\"}}', '{id}', 'Of before', now() - interval '1 day', NULL)")
        })
        .collect();
    let sql = format!(
        "INSERT INTO neon_identity.connection (provider, project) VALUES ('stack', '{project}');
        INSERT INTO neon_identity.users_sync (raw_json, id, name, updated_at, deleted_at) VALUES
            {},
            ('{{\"id\": \"gone\"}}', 'gone', 'Gone', now() - interval '2 days', now() - interval '1 day'),
            ('{{}}', 'early', NULL, NULL, NULL);
        INSERT INTO neon_identity.runs (dry_run, finished_at, outcome) VALUES (false, now(), 'complete');
        INSERT INTO neon_identity.rejections (source, event_id, reason, body)
        VALUES ('delivery', 'msg_before', 'why', 'body')",
        users.join(", ")
    );
    run(site.database.owner_url(), &sql).await
}

/// Delivers once; whether it was taken. Anything but 200 and 503 would lose it.
async fn deliver(site: &Site, webhook: &Function, message: &Message) -> Result<bool> {
    let status = site.deliver_body(webhook, &message.body).await?;
    ensure!([200, 503].contains(&status), "{}: {status}", message.kind);
    Ok(status == 200)
}

/// How many people sign up in each part of a test.
const PEOPLE: usize = 1;

/// Some people sign up and change; gives what was not taken.
async fn traffic(site: &Site, webhook: &Function, from: usize) -> Result<Vec<Message>> {
    let mut refused = Vec::new();
    for number in from..from + PEOPLE {
        let id = site
            .simulator
            .create(&format!("User {number}"), &format!("{number}@example.com"))?;
        site.simulator.rename(&id, &format!("Renamed {number}"))?;
        for message in site.simulator.take_messages() {
            if message.kind.starts_with("user.") && !deliver(site, webhook, &message).await? {
                refused.push(message);
            }
        }
    }
    Ok(refused)
}

async fn upgrade_from(server: &Postgres, version: usize) -> Result<()> {
    let site = Site::on(server).await?;
    site.simulator.seed(3);
    let ids: Vec<_> = site.simulator.truth().map(|user| user.id).collect();
    migrate_to(&site, version).await?;
    fill(&site, &ids).await?;
    let webhook = site.start("webhook", "neon_identity").await?;
    let mut refused = traffic(&site, &webhook, 0).await?;
    let (provisioned, meanwhile) = tokio::join!(site.provision(), traffic(&site, &webhook, PEOPLE));
    let provisioned = provisioned?;
    ensure!(provisioned["version"] == NEWEST, "{provisioned}");
    ensure!(
        provisioned["applied"] == json!(MIGRATIONS[version..]),
        "{provisioned}"
    );
    refused.extend(meanwhile?);
    refused.extend(traffic(&site, &webhook, 2 * PEOPLE).await?);
    // The provider sends again what was not taken.
    for message in &refused {
        ensure!(
            deliver(&site, &webhook, message).await?,
            "it is refused for good"
        );
    }
    for user in site
        .simulator
        .truth()
        .filter(|user| !ids.contains(&user.id))
    {
        let sql = format!(
            "SELECT name FROM neon_identity.users_sync WHERE id = '{}'",
            user.id
        );
        let name = user.reading.name.unwrap_or_default();
        ensure!(site.ask(&sql).await? == name, "{name} is lost");
    }
    let before = "SELECT concat_ws(' ',
        (SELECT string_agg(name, ',') FROM neon_identity.users_sync WHERE name IN ('Of before', 'Gone')),
        (SELECT raw_json FROM neon_identity.users_sync WHERE id = 'early'),
        (SELECT outcome FROM neon_identity.runs), (SELECT body FROM neon_identity.rejections))";
    let kept = site.ask(before).await?;
    ensure!(
        kept == "Of before,Of before,Of before,Gone {} complete \\x626f6479",
        "{kept}"
    );
    let reconcile = site.start("reconcile", "neon_identity").await?;
    let report = reconcile.invoke(json!({})).await?;
    ensure!(
        report["outcome"] == "complete" && report["updated"] == 3,
        "{report}"
    );
    let living = "SELECT count(*)::text FROM neon_identity.users_sync WHERE deleted_at IS NULL";
    ensure!(site.ask(living).await? == (3 + 3 * PEOPLE).to_string());
    Ok(())
}

#[tokio::test]
async fn the_schema_of_every_release_is_upgraded_under_traffic_and_loses_nothing() -> Result<()> {
    for version in 1..MIGRATIONS.len() {
        let from = MIGRATIONS[version - 1];
        // The roles are named after the schema, and belong to whoever was the first to make them.
        let server = Postgres::start(Options::default()).await?;
        upgrade_from(&server, version)
            .await
            .with_context(|| format!("from {from}"))?;
    }
    Ok(())
}

/// What a release to come may add.
const LATER: &str = "
    ALTER TABLE neon_identity.users_sync ADD COLUMN later text DEFAULT 'x';
    ALTER TABLE neon_identity.rejections ADD COLUMN later integer NOT NULL DEFAULT 1;
    ALTER TABLE neon_identity.runs ADD COLUMN later bigint;
    CREATE TABLE neon_identity.later (id bigint PRIMARY KEY);
    INSERT INTO neon_identity.migrations (version, name) VALUES (99, '0099_later')";

#[tokio::test]
async fn an_older_release_than_the_schemas_works_on_and_loses_nothing() -> Result<()> {
    let (_server, site) = site().await?;
    site.provision().await?;
    let webhook = site.start("webhook", "neon_identity").await?;
    ensure!(traffic(&site, &webhook, 0).await?.is_empty());
    run(site.database.owner_url(), LATER).await?;
    // Functions that run on, and functions that are started anew.
    ensure!(traffic(&site, &webhook, PEOPLE).await?.is_empty());
    let answer = site.provision().await?;
    assert_eq!(
        (&answer["version"], &answer["applied"]),
        (&json!(99), &json!([]))
    );
    let warnings = answer["warnings"].to_string();
    assert!(
        warnings.contains("the schema is at version 99"),
        "{warnings}"
    );
    let again = site.start("webhook", "neon_identity").await?;
    ensure!(traffic(&site, &again, 2 * PEOPLE).await?.is_empty());
    let reconcile = site.start("reconcile", "neon_identity").await?;
    let report = reconcile.invoke(json!({})).await?;
    assert_eq!(
        (&report["outcome"], &report["unchanged"]),
        (&json!("complete"), &json!(3 * PEOPLE))
    );
    let client = connect(site.database.admin_url()).await?;
    let later =
        "SELECT count(*) FROM neon_identity.users_sync WHERE later = 'x' AND name LIKE 'Renamed%'";
    let kept: i64 = client.query_one(later, &[]).await?.get(0);
    assert_eq!(usize::try_from(kept)?, 3 * PEOPLE);
    Ok(())
}
