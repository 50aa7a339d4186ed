//! Whatever a test starts ends with it: when it fails, is interrupted, or is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tests::pgbouncer::PgBouncer;
use tests::postgres::{Options, Postgres};
use tests::scratch::Scratch;
use tests::secrets_manager::SecretsManager;
use tests::stage::{Setup, Stage};
use tests::watchdog::Watched;

use crate::providers::workos::emulator::Emulator;

/// Set where one of these tests is run by itself, in a process that is then ended: the file in which
/// it says that all has been started.
const REPORT: &str = "ENDINGS_REPORT";

/// The programs that a test may start, by words of their commands.
const STARTED: [&str; 7] = [
    "moto_server",
    "bin/node",
    "pgbouncer",
    "postgres",
    "provision",
    "reconcile",
    "webhook",
];

/// Long enough for Postgres to end.
const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn nothing_outlives_a_test_that_is_killed() -> Result<()> {
    let name = "simulators::endings::nothing_outlives_a_test_that_is_killed";
    check(name, |owner| signal(owner, "KILL")).await
}

#[tokio::test]
async fn nothing_outlives_a_test_that_is_interrupted() -> Result<()> {
    let name = "simulators::endings::nothing_outlives_a_test_that_is_interrupted";
    for interruption in ["INT", "TERM"] {
        check(name, |owner| signal(owner, interruption)).await?;
    }
    Ok(())
}

#[tokio::test]
async fn nothing_outlives_a_test_that_fails() -> Result<()> {
    let name = "simulators::endings::nothing_outlives_a_test_that_fails";
    check(name, |owner| {
        // It fails at the end of its input.
        drop(owner.stdin.take());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_a_program_has_started_ends_with_it() -> Result<()> {
    for last in ["TERM", "KILL"] {
        let scratch = Scratch::new("endings")?;
        let mut shell = Watched::command(Path::new("/bin/sh"), last);
        // As a script does that starts the program it is called after.
        let script = "sleep 600 & sleep 601; exit 3";
        let shell = Watched::spawn(shell.args(["-c", script]), &scratch.path().join("log"))?;
        let both = || {
            let started = descendants(std::process::id()).ok()?;
            let sleeping: BTreeMap<_, _> = started
                .into_iter()
                .filter(|(_, command)| command == "sleep 600" || command == "sleep 601")
                .collect();
            (sleeping.len() == 2).then_some(sleeping)
        };
        let sleeping = eventually(both).context("two programs that sleep")?;
        drop(shell);
        let left = || remaining(&sleeping);
        ensure!(
            eventually(|| left().is_empty().then_some(())).is_some(),
            "{:?}",
            left()
        );
    }
    Ok(())
}

/// Runs the test `name` by itself until it has started one of everything, and ends it so.
async fn check(name: &str, end: impl FnOnce(&mut Child) -> Result<()>) -> Result<()> {
    if let Some(report) = std::env::var_os(REPORT) {
        return own_one_of_everything(Path::new(&report)).await;
    }
    let scratch = Scratch::new("endings")?;
    let report = scratch.path().join("report");
    let output = fs::File::create(scratch.path().join("output"))?;
    let mut owner = Command::new(std::env::current_exe()?)
        .args(["--exact", name, "--nocapture"])
        .env(REPORT, &report)
        .stdin(Stdio::piped())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .context("start a test")?;
    let begun = Instant::now();
    while !report.exists() {
        let said = || fs::read_to_string(scratch.path().join("output"));
        if owner.try_wait()?.is_some() || begun.elapsed() > Duration::from_secs(120) {
            bail!("it has not started everything: {}", said()?);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let started = descendants(owner.id())?;
    for name in STARTED {
        let mut commands = started.values();
        let found = commands.any(|one| one.contains(name) && !one.starts_with("/bin/sh"));
        ensure!(found, "no {name} was started: {started:?}");
    }
    let report: Value = serde_json::from_slice(&fs::read(&report)?)?;
    let folder = report["folder"].as_str().context("the folder")?.to_owned();
    ensure!(Path::new(&folder).exists(), "{folder}");

    end(&mut owner)?;
    let ended = tokio::task::spawn_blocking(move || owner.wait()).await??;
    ensure!(!ended.success(), "it ended well");
    let left = || remaining(&started);
    let gone = eventually(|| (left().is_empty() && !Path::new(&folder).exists()).then_some(()));
    ensure!(gone.is_some(), "left: {:?}", left());
    Ok(())
}

async fn own_one_of_everything(report: &Path) -> Result<()> {
    // A failing test drops what it has; what all tests share is never dropped.
    let shared = Postgres::shared().await?;
    let own = Postgres::start(Options::default()).await?;
    let _bouncer = PgBouncer::start(&own, 2).await?;
    let _manager = SecretsManager::shared().await?;
    let _emulator = Emulator::start().await?;
    let stage = Stage::on(shared, Setup::default()).await?;
    let mut functions = Vec::new();
    for name in ["webhook", "reconcile", "provision"] {
        functions.push(stage.start(name).await?);
    }
    let folder = own.ca_file();
    let folder = folder.parent().context("the folder")?;
    let draft = report.with_extension("draft");
    fs::write(&draft, json!({"folder": folder}).to_string())?;
    fs::rename(&draft, report)?;
    let input = || std::io::stdin().read_line(&mut String::new());
    tokio::task::spawn_blocking(input).await??;
    bail!("it fails as it was meant to")
}

fn signal(owner: &Child, name: &str) -> Result<()> {
    let number = owner.id().to_string();
    let sent = Command::new("kill").args(["-s", name, &number]).status()?;
    ensure!(sent.success(), "kill -s {name}: {sent}");
    Ok(())
}

/// A process; the time of its start tells it from a later one of the same number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Process {
    number: u32,
    started: String,
}

/// The processes that this one has started, and those that they have started, with their commands.
fn descendants(of: u32) -> Result<BTreeMap<Process, String>> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let number = entry.file_name().to_string_lossy().parse();
        all.extend(number.ok().and_then(look));
    }
    let mut found = BTreeMap::new();
    let mut parents = BTreeSet::from([of]);
    while let Some(parent) = parents.pop_first() {
        for (process, command, _) in all.iter().filter(|(.., above)| *above == parent) {
            parents.insert(process.number);
            found.insert(process.clone(), command.clone());
        }
    }
    Ok(found)
}

fn remaining(of: &BTreeMap<Process, String>) -> Vec<&String> {
    let runs = |process: &Process| look(process.number).is_some_and(|(now, ..)| now == *process);
    let left = of.iter().filter(|(process, _)| runs(process));
    left.map(|(_, command)| command).collect()
}

/// A process that runs, its command, and the number of the one above it.
fn look(number: u32) -> Option<(Process, String, u32)> {
    let stat = fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    let (_, tail) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = tail.split_whitespace().collect();
    // A zombie has ended, and waits for its parent to take notice.
    let (state, above, started) = (fields.first()?, fields.get(1)?, fields.get(19)?);
    let process = Process {
        number,
        started: (*started).to_owned(),
    };
    let command = fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
    let command = String::from_utf8_lossy(&command).replace('\0', " ");
    let command = command.trim_end().to_owned();
    (*state != "Z").then_some((process, command, above.parse().ok()?))
}

fn eventually<T>(look: impl Fn() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    loop {
        let found = look();
        if found.is_some() || begun.elapsed() > SOON {
            return found;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
