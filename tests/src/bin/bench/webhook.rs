//! Warm deliveries: `webhook` beside a handler in Node, one instance each.
//!
//! The function that is measured and its Postgres share the last processor; whatever sends the
//! deliveries has the others.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use tests::function::Function;
use tests::meter::Meter;
use tests::simulator::Message;
use tests::stage::Setup;

use crate::deliveries::{Changes, events, one_by_one, saturated};
use crate::ground::{Ground, tls};
use crate::machine::{Apart, cpu, kernel};
use crate::peers::{self, Node};
use crate::report::{Report, note};
use crate::rounds::Rounds;

const ROUNDS: usize = 3;
const WARM_UP: usize = 200;
/// One after the other, in each round.
const DELIVERIES: usize = 2000;
/// While the next one waits.
const SATURATING: usize = 1000;
/// Enough to count round trips.
const COUNTED: usize = 100;

pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    let mut slowest = Rounds::default();
    for (part, provider) in [("statement", "clerk"), ("hint", "stack")] {
        let kind = Kind { part, provider };
        kind.measure(report, &mut slowest).await?;
    }
    let (_, worst) = slowest.range();
    report.figure("webhook_p99_over_p50", &worst.into())
}

/// A kind of delivery, and a provider that sends it.
struct Kind {
    part: &'static str,
    provider: &'static str,
}

/// One side's rounds.
#[derive(Default)]
struct Side {
    cpu_us: Rounds,
    kernel_us: Rounds,
    db_ms: Rounds,
    rate: Rounds,
    p50_ms: Rounds,
    p99_ms: Rounds,
    memory_mb: Rounds,
}

impl Kind {
    async fn measure(&self, report: &mut Report, slowest: &mut Rounds) -> Result<()> {
        let ground = Ground::of(Setup::named(self.provider)?).await?;
        let users = ROUNDS * (WARM_UP + DELIVERIES + SATURATING) + WARM_UP + COUNTED;
        let mut changes = Changes::of(&ground, users).await?;
        println!("  {}: bodies of {} bytes", self.part, changes.mean_size());
        let node = Node::bundled(self.part)?;
        peers::make_table(&ground).await?;
        ground.settled().await?;

        let trips = round_trips(&ground, &mut changes).await?;
        let apart = Apart::new()?;
        apart.hold(ground.server.process_id()?)?;
        let (mut ours, mut theirs) = (Side::default(), Side::default());
        for _ in 0..ROUNDS {
            let messages = changes.take(WARM_UP + DELIVERIES + SATURATING)?;
            let webhook = Function::spawn("webhook", ground.stage.environment()).await?;
            webhook.ready().await?;
            apart.hold(webhook.process_id()?)?;
            ours.round(&ground, webhook, &messages).await?;
            let handler = node.spawn(&ground, ground.stage.database.url()).await?;
            handler.ready().await?;
            apart.hold(handler.process_id()?)?;
            theirs.round(&ground, handler, &messages).await?;
        }
        let part = self.part;
        let cpu = theirs.cpu_us.over(&ours.cpu_us);
        report.part("webhook_cpu_vs_node", part, &cpu)?;
        report.part("webhook_rate_vs_node", part, &ours.rate.over(&theirs.rate))?;
        report.part("webhook_db_ms", part, &ours.db_ms)?;
        report.part("webhook_round_trips", part, &trips.into())?;
        for (name, side) in [("ours", &ours), ("Node", &theirs)] {
            side.note(name);
        }
        slowest.add(ours.p99_ms.over(&ours.p50_ms).median());
        if part == "statement" {
            report.figure("webhook_rss_mb", &ours.memory_mb)?;
        }
        Ok(())
    }
}

impl Side {
    async fn round(
        &mut self,
        ground: &Ground,
        function: Function,
        messages: &[Message],
    ) -> Result<()> {
        let mut events = events(ground, messages)?;
        let saturating = events.split_off(WARM_UP + DELIVERIES);
        let measured = events.split_off(WARM_UP);
        one_by_one(&function, events).await?;

        let function = Arc::new(function);
        let process = function.process_id()?;
        let backends = backends(ground).await?;
        let database = || -> Result<Duration> { backends.iter().map(|id| cpu(*id)).sum() };
        let before = (cpu(process)?, database()?, kernel(process)?);
        let count = u32::try_from(measured.len())?;
        let mut times = one_by_one(&function, measured).await?;
        let after = (cpu(process)?, database()?, kernel(process)?);
        self.cpu_us
            .add((after.0 - before.0).as_secs_f64() * 1e6 / f64::from(count));
        self.db_ms
            .add((after.1 - before.1).as_secs_f64() * 1e3 / f64::from(count));
        self.kernel_us
            .add((after.2 - before.2).as_secs_f64() * 1e6 / f64::from(count));
        times.sort();
        let millis = |place: usize| times[place].as_secs_f64() * 1e3;
        self.p50_ms.add(millis(times.len() / 2));
        self.p99_ms.add(millis(times.len() * 99 / 100));
        self.memory_mb.add(function.memory()? as f64 * 1024.0 / 1e6);
        self.rate.add(saturated(&function, saturating).await?);
        Ok(())
    }

    fn note(&self, name: &str) {
        note(&format!("{name}: µs of CPU"), &self.cpu_us);
        note(&format!("{name}: µs of it in the kernel"), &self.kernel_us);
        note(&format!("{name}: ms of Postgres' CPU"), &self.db_ms);
        note(&format!("{name}: deliveries a second"), &self.rate);
        note(&format!("{name}: median, ms"), &self.p50_ms);
        note(&format!("{name}: 99 of 100, ms"), &self.p99_ms);
        note(&format!("{name}: memory, MB"), &self.memory_mb);
    }
}

/// The server's processes for the functions' login. Their time is Postgres' own for a delivery, with
/// all that it entails: parsing, planning, the commit, TLS.
async fn backends(ground: &Ground) -> Result<Vec<u32>> {
    let sql = "SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND usename <> current_user AND backend_type = 'client backend'";
    let rows = ground.client.query(sql, &[]).await?;
    ensure!(!rows.is_empty(), "the function has no connection");
    rows.iter()
        .map(|row| Ok(row.get::<_, i32>(0).try_into()?))
        .collect()
}

/// Round trips of a warm delivery.
async fn round_trips(ground: &Ground, changes: &mut Changes) -> Result<f64> {
    let meter = Meter::start(ground.server.port()).await?;
    let url = meter.url(&tls(&ground.stage.database));
    let secret = ground.secret(|secret| secret["database_url"] = url.into())?;
    let webhook = Function::spawn("webhook", secret.env()).await?;
    webhook.ready().await?;
    let warm = events(ground, &changes.take(WARM_UP)?)?;
    one_by_one(&webhook, warm).await?;
    let counted = events(ground, &changes.take(COUNTED)?)?;
    meter.round_trips();
    one_by_one(&webhook, counted).await?;
    Ok(meter.round_trips() as f64 / COUNTED as f64)
}
