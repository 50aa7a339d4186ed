//! `provision`: the schema, the roles and `ensure_user`, asked directly and by CloudFormation.

pub(crate) mod adopt;
mod binding;
mod cloudformation;
mod ensure_user;
mod roles;
mod schema;
mod upgrades;

use anyhow::Result;
use serde_json::{Value, json};
use tests::function::Function;
use tests::postgres::{Options, Postgres};

use crate::site::Site;

/// A server without roles of ours, and a site on it.
async fn site() -> Result<(Postgres, Site)> {
    let server = Postgres::start(Options::default()).await?;
    let site = Site::on(&server).await?;
    Ok((server, site))
}

/// Everything in the schema and about its roles that a second run might change.
const CATALOG: &str = "
    SELECT concat_ws(' ', 'class', relname, relkind, relowner::regrole, relacl, xmin, ctid) AS line
    FROM pg_class WHERE relnamespace = 'neon_identity'::regnamespace
    UNION ALL
    SELECT concat_ws(' ', 'function', proname, proacl, md5(prosrc)) FROM pg_proc
    WHERE pronamespace = 'neon_identity'::regnamespace
    UNION ALL
    SELECT concat_ws(' ', 'schema', nspname, nspowner::regrole, nspacl) FROM pg_namespace
    WHERE nspname = 'neon_identity'
    UNION ALL
    SELECT concat_ws(' ', 'role', rolname, rolcanlogin, rolsuper, rolinherit, rolcreaterole,
        rolcreatedb, rolreplication, rolbypassrls) FROM pg_roles WHERE rolname ~ '^neon_identity'
    UNION ALL
    SELECT concat_ws(' ', 'member', roleid::regrole, member::regrole) FROM pg_auth_members
    WHERE roleid::regrole::text ~ '^neon_identity'
    UNION ALL
    SELECT concat_ws(' ', 'migration', version, name, applied_at, xmin)
    FROM neon_identity.migrations
    UNION ALL
    SELECT concat_ws(' ', 'connection', provider, project, connected_at, xmin)
    FROM neon_identity.connection
    UNION ALL
    SELECT concat_ws(' ', 'walk', walk, xmin) FROM neon_identity.walk
    ORDER BY line";

/// Every migration there is.
const MIGRATIONS: [&str; 10] = [
    "0001_users_sync",
    "0002_event_cursor",
    "0003_erase_user",
    "0004_project_names",
    "0005_walk_in_parts",
    "0006_strangers",
    "0007_console",
    "0008_records",
    "0009_privacy",
    "0010_desk",
];

/// The newest one's number.
const NEWEST: i32 = 10;

fn first_answer() -> Value {
    json!({"schema": "neon_identity", "version": NEWEST, "applied": MIGRATIONS})
}

fn later_answer() -> Value {
    json!({"schema": "neon_identity", "version": NEWEST, "applied": []})
}

/// `provision` with eight instances.
async fn eight_instances(site: &Site, schema: &str) -> Result<Function> {
    let provision = site.start("provision", schema).await?;
    for _ in 0..7 {
        provision.spawn_instance().await?;
        provision.ready().await?;
    }
    Ok(provision)
}

/// The answers of eight invocations at once.
async fn invoke_all(provision: &Function, event: Value) -> Result<Vec<Value>> {
    let invocations = (0..8).map(|_| provision.invoke(event.clone()));
    Ok(futures_util::future::try_join_all(invocations).await?)
}
