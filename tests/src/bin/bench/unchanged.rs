//! A run over a table in sync: beside Postgres digesting the same rows, and what it sends and writes.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tests::meter::Meter;
use tokio_postgres::Client;

use crate::backfill::USERS;
use crate::ground::{Listed, connect, reconcile, run, tls};
use crate::report::{Report, note};
use crate::rounds::Rounds;

const ROUNDS: usize = 5;
/// As many as a page has, which is what is compared at once.
const BATCH: i64 = 1000;

pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    let listed = Listed::of(USERS).await?;
    let (mut ours, mut cpu, mut busy, mut theirs) = <(Rounds, Rounds, Rounds, Rounds)>::default();
    for _ in 0..ROUNDS {
        let run = listed.timed("unchanged").await?;
        ours.add(run.rate);
        cpu.add(run.cpu_us);
        busy.add(run.busy);
        let client = connect(&tls(&listed.ground.stage.database)).await?;
        let begun = Instant::now();
        ensure!(
            digest_all(&client).await? == USERS,
            "some rows have no digest"
        );
        theirs.add(f64::from(USERS) / begun.elapsed().as_secs_f64());
    }
    report.figure("unchanged_vs_limit", &ours.over(&theirs))?;
    report.figure("walk_cpu_us_per_user", &cpu)?;
    note("ours: users a second", &ours);
    note("ours: % of all processors used", &busy);
    note("digests: rows a second", &theirs);
    written_and_sent(&listed, report).await
}

/// The digests of all rows, batch after batch: no way of comparing them can be faster.
async fn digest_all(client: &Client) -> Result<u32> {
    let sql = "SELECT id, sha256(convert_to(raw_json::text, 'UTF8')) FROM neon_identity.users_sync
        WHERE id > $1 ORDER BY id LIMIT $2";
    let statement = client.prepare(sql).await?;
    let (mut last, mut count) = (String::new(), 0);
    loop {
        let rows = client.query(&statement, &[&last, &BATCH]).await?;
        let Some(row) = rows.last() else {
            return Ok(count);
        };
        last = row.get(0);
        count += u32::try_from(rows.len())?;
    }
}

async fn written_and_sent(listed: &Listed, report: &mut Report) -> Result<()> {
    let client = &listed.ground.client;
    let meter = Meter::start(listed.ground.server.port()).await?;
    let url = meter.url(&tls(&listed.ground.stage.database));
    let secret = listed
        .ground
        .secret(|secret| secret["database_url"] = url.into())?;
    client
        .batch_execute("CREATE EXTENSION IF NOT EXISTS pg_walinspect")
        .await?;
    listed.ground.settled().await?;
    others_gone(client).await?;
    let (tuples, position) = (tuples(client).await?, position(client).await?);
    let reconcile = reconcile(&secret).await?;
    run(&reconcile).await?;
    let sent = meter.sent() as f64 / f64::from(listed.users);
    // A server's process tells what it has written when it ends, at the latest.
    drop(reconcile);
    others_gone(client).await?;
    let written = self::tuples(client).await? - tuples;
    let wal = wal_since(client, &position).await?;
    report.figure("unchanged_tuples_written", &(written as f64).into())?;
    report.figure("unchanged_wal", &(wal as f64).into())?;
    report.figure("unchanged_bytes_per_user", &sent.into())?;
    Ok(())
}

/// Waits until nobody else is connected.
async fn others_gone(client: &Client) -> Result<()> {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND backend_type = 'client backend' AND usename <> current_user";
    for _ in 0..1000 {
        if client.query_one(sql, &[]).await?.get::<_, i64>(0) == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    anyhow::bail!("somebody is still connected")
}

async fn tuples(client: &Client) -> Result<i64> {
    let sql = "SELECT n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables
        WHERE relid = 'neon_identity.users_sync'::regclass";
    Ok(client.query_one(sql, &[]).await?.get(0))
}

async fn position(client: &Client) -> Result<String> {
    let sql = "SELECT pg_current_wal_insert_lsn()::text";
    Ok(client.query_one(sql, &[]).await?.get(0))
}

/// Bytes of WAL about the table, its indexes and what it keeps elsewhere for being long.
async fn wal_since(client: &Client, position: &str) -> Result<i64> {
    let sql = "WITH parts AS (
          SELECT pg_relation_filenode(oid) AS node FROM pg_class
          WHERE oid = 'neon_identity.users_sync'::regclass
            OR oid = (SELECT reltoastrelid FROM pg_class WHERE oid = 'neon_identity.users_sync'::regclass)
            OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = 'neon_identity.users_sync'::regclass)
        )
        SELECT coalesce(sum(record_length), 0)::bigint
        FROM pg_get_wal_records_info($1::text::pg_lsn, pg_current_wal_flush_lsn()) AS record
        WHERE EXISTS (SELECT FROM parts WHERE record.block_ref LIKE '%/' || parts.node || ' %')";
    Ok(client.query_one(sql, &[&position]).await?.get(0))
}
