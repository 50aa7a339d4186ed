//! A first run beside a binary `COPY` of the rows that it makes.

use std::time::Instant;

use anyhow::Result;
use bytes::Bytes;
use futures_util::{SinkExt, TryStreamExt, pin_mut};
use tokio_postgres::Client;

use crate::ground::{Listed, connect, tls};
use crate::report::{Report, note};
use crate::rounds::Rounds;

const ROUNDS: usize = 5;
pub(crate) const USERS: u32 = 50_000;

pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    let listed = Listed::of(USERS).await?;
    let rows = copied_out(&listed.ground.client).await?;
    let (mut ours, mut cpu, mut busy, mut theirs) = <(Rounds, Rounds, Rounds, Rounds)>::default();
    for _ in 0..ROUNDS {
        listed.ground.begin_anew().await?;
        let run = listed.timed("created").await?;
        ours.add(run.rate);
        cpu.add(run.cpu_us);
        busy.add(run.busy);

        listed.ground.begin_anew().await?;
        let client = connect(&tls(&listed.ground.stage.database)).await?;
        let begun = Instant::now();
        copy_in(&client, rows.clone()).await?;
        theirs.add(f64::from(USERS) / begun.elapsed().as_secs_f64());
    }
    report.figure("backfill_vs_copy", &ours.over(&theirs))?;
    note("ours: users a second", &ours);
    note("ours: µs of CPU a user", &cpu);
    note("ours: % of all processors used", &busy);
    note("COPY: rows a second", &theirs);
    Ok(())
}

/// All rows, as COPY sends them and takes them back.
async fn copied_out(client: &Client) -> Result<Vec<Bytes>> {
    let sql = "COPY neon_identity.users_sync TO STDOUT (FORMAT binary)";
    let rows = client
        .copy_out(sql)
        .await?
        .try_collect::<Vec<Bytes>>()
        .await?;
    // A client of one's own would not send each row by itself.
    Ok(rows.chunks(64).map(|rows| rows.concat().into()).collect())
}

async fn copy_in(client: &Client, rows: Vec<Bytes>) -> Result<()> {
    let sql = "COPY neon_identity.users_sync FROM STDIN (FORMAT binary)";
    let sink = client.copy_in::<_, Bytes>(sql).await?;
    pin_mut!(sink);
    for chunk in rows {
        sink.feed(chunk).await?;
    }
    sink.finish().await?;
    Ok(())
}
