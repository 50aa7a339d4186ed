//! Prints the figures: each as a ratio to a peer, or against a limit, of the same run.
//!
//! The peer is the sync one writes by hand: an upsert for each user, with the profile in it.

#![expect(clippy::print_stdout, reason = "printing figures is what it is for")]

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::database::Database;
use tests::function::Function;
use tests::meter::Meter;
use tests::postgres::{Options, Postgres};
use tests::secret_file::SecretFile;
use tests::sender::{self, Sender, Svix};
use tests::simulator::{self, Call, Fault, Moment, Simulator, Stack, Trouble};
use tests::stage::{Setup, Stage};
use tests::tools::workspace;
use tokio_postgres::Client;

const USERS: u64 = 20_000;
const DELIVERIES: usize = 200;
const MILLION: u64 = 1_000_000;
/// An invocation of a long walk: Lambda's own longest is 15 times this.
const SHORT: Duration = Duration::from_secs(60);
/// How long the provider is away in the middle of one of them.
const AWAY: Duration = Duration::from_secs(90);
const SIGNING_SECRET: &str = "whsec_YmVuY2hfYmVuY2hfYmVuY2hfYmVuY2g=";

#[tokio::main]
async fn main() -> Result<()> {
    let server = Postgres::start(Options::default()).await?;
    let database = server.database().await?;
    let meter = Meter::start(server.port()).await?;
    let provider = Simulator::start(Stack::default(), simulator::Options::default()).await?;
    provider.seed(USERS);
    let secret = SecretFile::new(&json!({
        "database_url": meter.url(database.url()),
        "admin_database_url": database.owner_url(),
        "signing_secrets": [SIGNING_SECRET],
        "provider": provider.secret(),
    }))?;
    Function::spawn("provision", secret.env())
        .await?
        .invoke(json!({}))
        .await?;

    println!("{USERS} users of 1 kB and more; this machine, one run; smaller is better\n");
    println!(
        "{:<46} {:>12} {:>12} {:>8}",
        "", "users-sync", "peer", "ratio"
    );
    let few = whole_listings(&provider, &database, &meter, &secret).await?;
    println!(
        "\n{:<46} {:>12} {:>12} {:>8}",
        "", "users-sync", "limit", "ratio"
    );
    deliveries(&provider, &secret).await?;
    sizes()?;
    long_walk(&server, few).await
}

/// The first and the second reconcile, beside a hand-written one; gives the peak memory in KiB.
async fn whole_listings(
    provider: &Simulator,
    database: &Database,
    meter: &Meter,
    secret: &SecretFile,
) -> Result<u64> {
    let reconcile = Function::spawn("reconcile", secret.env()).await?;
    let client = database.connect().await?;
    meter.sent();
    let first = measured(&client, meter, run(&reconcile)).await?;
    let second = measured(&client, meter, run(&reconcile)).await?;
    let memory = reconcile.peak_memory()?;

    let peer = peer_client(database, meter).await?;
    meter.sent();
    let peer_first = measured(&client, meter, upsert_all(&peer, provider)).await?;
    let peer_second = measured(&client, meter, upsert_all(&peer, provider)).await?;
    row(
        "first listing: seconds",
        first.seconds(),
        peer_first.seconds(),
    );
    row("in sync: seconds", second.seconds(), peer_second.seconds());
    row(
        "in sync: MB sent to Postgres",
        mega(second.sent),
        mega(peer_second.sent),
    );
    row(
        "in sync: MB of WAL written",
        mega(second.wal),
        mega(peer_second.wal),
    );
    let all = provider
        .truth()
        .map(|truth| truth.profile.len())
        .sum::<usize>();
    println!();
    println!(
        "{:<46} {:>12} {:>12} {:>8}",
        "", "users-sync", "profiles", "ratio"
    );
    row(
        "reconcile: peak memory, MB",
        mega(memory * 1024),
        mega(all as u64),
    );
    Ok(memory)
}

async fn run(reconcile: &Function) -> Result<()> {
    let limit = Duration::from_secs(300);
    let report: Value = reconcile.invoke_with_deadline(json!({}), limit).await?;
    ensure!(
        report["outcome"] == "complete",
        "reconcile answers {report}"
    );
    Ok(())
}

async fn peer_client(database: &Database, meter: &Meter) -> Result<Client> {
    let client = tests::postgres::connect(&meter.url(database.owner_url())).await?;
    client
        .batch_execute(
            "CREATE TABLE peer (id text PRIMARY KEY, name text, email text, raw_json jsonb NOT NULL)",
        )
        .await?;
    Ok(client)
}

/// The work of a hand-written job: it lists, and upserts, every user.
async fn upsert_all(client: &Client, provider: &Simulator) -> Result<()> {
    let upsert = client
        .prepare_typed(
            "INSERT INTO peer VALUES ($1, $2, $3, $4::text::jsonb) ON CONFLICT (id) DO UPDATE SET
               name = excluded.name, email = excluded.email, raw_json = excluded.raw_json",
            &[],
        )
        .await?;
    for truth in provider.truth() {
        let reading = &truth.reading;
        client
            .execute(
                &upsert,
                &[&truth.id, &reading.name, &reading.email, &&*truth.profile],
            )
            .await?;
    }
    Ok(())
}

struct Measured {
    time: Duration,
    sent: u64,
    wal: u64,
}

impl Measured {
    fn seconds(&self) -> f64 {
        self.time.as_secs_f64()
    }
}

async fn measured(
    client: &Client,
    meter: &Meter,
    work: impl Future<Output = Result<()>>,
) -> Result<Measured> {
    let before = wal(client).await?;
    let begun = Instant::now();
    work.await?;
    Ok(Measured {
        time: begun.elapsed(),
        sent: meter.sent(),
        wal: u64::try_from(wal(client).await? - before).unwrap_or_default(),
    })
}

async fn wal(client: &Client) -> Result<i64> {
    let sql = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint";
    Ok(client.query_one(sql, &[]).await?.get(0))
}

/// From a signed delivery to its answer, which comes after the commit.
async fn deliveries(provider: &Simulator, secret: &SecretFile) -> Result<()> {
    let webhook = Function::spawn("webhook", secret.env()).await?;
    let started = webhook.ready().await?;
    let cold = Instant::now();
    let options = sender::Options::new(Svix::new([SIGNING_SECRET])?, webhook.url());
    let sender = Sender::new(options)?;
    let mut times = Vec::new();
    for i in 0..DELIVERIES {
        provider.create(&format!("User {i}"), &format!("bench{i}@example.com"))?;
        let messages = provider.take_messages();
        let created = messages
            .iter()
            .find(|message| message.kind == "user.created");
        let begun = Instant::now();
        let status = sender
            .deliver_once(created.context("no user.created")?)
            .await?;
        ensure!(status == 200, "webhook answers {status}");
        if i == 0 {
            row(
                "first delivery, start and all, ms",
                millis(started + cold.elapsed()),
                15_000.0,
            );
        }
        times.push(begun.elapsed());
    }
    times.sort();
    // Svix waits 15 seconds for an answer; Lambda gives the start 10.
    row(
        "delivery to answer: median ms",
        millis(times[DELIVERIES / 2]),
        15_000.0,
    );
    row(
        "delivery to answer: 99 of 100, ms",
        millis(times[DELIVERIES * 99 / 100]),
        15_000.0,
    );
    row(
        "webhook: start, with its connection, ms",
        millis(started),
        10_000.0,
    );
    row(
        "webhook: peak memory, MB",
        mega(webhook.peak_memory()? * 1024),
        512.0,
    );
    Ok(())
}

/// Lambda takes 50 MB zipped.
fn sizes() -> Result<()> {
    for function in ["webhook", "reconcile", "provision"] {
        let path = workspace().join("target/release").join(function);
        let size = std::fs::metadata(path)
            .context("read a binary's size")?
            .len();
        row(&format!("{function}: binary, MB"), mega(size), 50.0);
    }
    Ok(())
}

/// A million users, walked in invocations that are too short for all of them. `few`: the peak
/// memory, in KiB, with as many users as above.
async fn long_walk(server: &Postgres, few: u64) -> Result<()> {
    let stage = Stage::on(server, Setup::default()).await?;
    stage.simulator.seed(MILLION);
    let reconcile = stage.reconcile().await?;
    let client = stage.database.connect().await?;
    println!("\n{MILLION} users, {} s an invocation", SHORT.as_secs());
    for walk in ["first", "in sync"] {
        let begun = Instant::now();
        let mut runs = 0;
        let mut kept = 0;
        loop {
            let report = reconcile.invoke_with_deadline(json!({}), SHORT).await?;
            runs += 1;
            if report["outcome"] == "complete" {
                break;
            }
            ensure!(report["outcome"] == "partial" && runs < 100, "{report}");
            let sql = "SELECT octet_length(met) FROM neon_identity.walk";
            kept = kept.max(client.query_one(sql, &[]).await?.get::<_, i32>(0));
        }
        let seconds = begun.elapsed().as_secs_f64();
        row(&format!("{walk}: seconds, in {runs} runs"), seconds, 900.0);
        row(
            &format!("{walk}: MB kept between runs"),
            mega(kept.try_into()?),
            8.0,
        );
    }
    away_in_the_middle(&stage, &reconcile).await?;
    let begun = Instant::now();
    stage.assert_in_sync_by_digest(997).await?;
    println!(
        "the table is the provider's, by a digest of all in {:?}",
        begun.elapsed()
    );
    let memory = reconcile.peak_memory()?;
    row("peak memory, MB", mega(memory * 1024), 512.0);
    // A hash of 8 bytes in a set that doubles, and twice as bytes on their way.
    let more = memory.saturating_sub(few) as f64 * 1024.0 / (MILLION - USERS) as f64;
    row(&format!("bytes a user more than {USERS}"), more, 64.0);

    let met = vec![0xa5_u8; 5 * 8_000_000];
    let begun = Instant::now();
    let save = "UPDATE neon_identity.walk SET met = $1";
    client.execute(save, &[&met]).await?;
    let saved = begun.elapsed();
    let found = client.query_one("SELECT met FROM neon_identity.walk", &[]);
    ensure!(found.await?.get::<_, Vec<u8>>(0) == met);
    // The time that a run of Lambda's 900 seconds keeps for the answer.
    row(
        "the place of a walk of 5 million: to save, ms",
        millis(saved),
        15_000.0,
    );
    row("to load, ms", millis(begun.elapsed() - saved), 15_000.0);
    Ok(())
}

/// A walk in whose middle the provider answers nothing but 503 for a while.
async fn away_in_the_middle(stage: &Stage, reconcile: &Function) -> Result<()> {
    let simulator = &stage.simulator;
    simulator.clear_requests();
    simulator.once(Moment::Before, Call::List, 400, |world| {
        world.add_trouble(Trouble::every(Fault::Status(503)).on(Call::List));
        let world = world.clone();
        tokio::spawn(async move {
            tokio::time::sleep(AWAY).await;
            world.clear_troubles();
        });
    });
    let begun = Instant::now();
    let (mut runs, mut failed) = (0, 0);
    loop {
        runs += 1;
        match reconcile.invoke_with_deadline(json!({}), SHORT).await {
            Ok(report) if report["outcome"] == "complete" => break,
            Ok(_) => {}
            Err(_) => failed += 1,
        }
        ensure!(runs < 100, "the walk has no end");
    }
    ensure!(failed > 0, "the provider was not away");
    let seconds = begun.elapsed().as_secs_f64();
    row(
        &format!(
            "provider away for {} s: seconds, {runs} runs",
            AWAY.as_secs()
        ),
        seconds,
        900.0,
    );
    let requests = simulator.requests();
    let starts = requests.iter().filter(|request| {
        request.call == Call::List
            && request.status == Some(200)
            && !request.query.contains("cursor=")
    });
    row("times that the walk was begun", starts.count() as f64, 1.0);
    Ok(())
}

fn row(what: &str, ours: f64, theirs: f64) {
    println!(
        "{what:<46} {ours:>12.2} {theirs:>12.2} {:>8.4}",
        ours / theirs
    );
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
