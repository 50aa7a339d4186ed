//! A simulated provider and its sender, as a program: prints its addresses as one line of JSON,
//! and runs until SIGINT, SIGTERM, or the end of a pipe that it was given as standard input.
#![expect(clippy::print_stdout, reason = "the addresses go to standard output")]

use std::collections::HashMap;
use std::os::unix::fs::FileTypeExt;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use serde_json::json;
use tests::providers;
use tests::sender::{Sender, Svix};
use tests::simulator::{Options, Simulator, Stack, Vendor};
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{SignalKind, signal};

/// Flags, what they mean, and what holds without them. The flag `--a-b` may also be given as the
/// environment's `SIMULATOR_A_B`.
const FLAGS: &[(&str, &str)] = &[
    ("provider", "which one to be; stack"),
    ("port", "port on 127.0.0.1; a free one"),
    ("users", "users there from the beginning; 0"),
    ("seed", "what everything random is drawn from; 0"),
    (
        "webhook-url",
        "where deliveries go, several with blanks between; nowhere",
    ),
    (
        "signing-secret",
        "what signs them, where they are signed; several of Stack Auth's with blanks between; a new \
         one",
    ),
    (
        "faster",
        "how many times faster than the provider to try again; 1",
    ),
    ("project-id", "Stack Auth's project id; a fixed one"),
    ("secret-server-key", "Stack Auth's key; a fixed one"),
];

#[tokio::main]
async fn main() -> Result<()> {
    let flags = Flags::read(std::env::args().skip(1))?;
    let seed = flags.number("seed")?;

    let vendor = vendor(&flags)?;
    let secrets: Vec<String> = match flags.get("signing-secret") {
        Some(secrets) => secrets.split_whitespace().map(str::to_owned).collect(),
        None => vendor
            .signing_secret(&mut fastrand::Rng::with_seed(seed))
            .into_iter()
            .collect(),
    };
    let endpoints = flags.get("webhook-url").unwrap_or_default();
    // Where it will be is not known yet, and sending does not need it.
    let secret = json!({ "signing_secrets": secrets, "provider": vendor.secret("") });
    let mut sending = vendor.sending(&secret, "")?;
    if secrets.len() > 1 {
        sending.signing = Arc::new(Svix::new(&secrets)?);
    }
    sending.endpoints = endpoints.split_whitespace().map(str::to_owned).collect();
    sending.seed = seed;
    if let Some(times) = flags.get("faster") {
        sending = sending.faster(times.parse().context("read --faster")?);
    }
    let sender = Sender::new(sending)?;

    let options = Options {
        seed,
        port: flags.number("port")?.try_into().context("read --port")?,
        beside: sender.routes(),
        ..Options::default()
    };
    let simulator = Simulator::of(vendor, options).await?;
    simulator.seed(flags.number("users")?);
    let sending = sender.run(&simulator);
    let mut addresses = json!({
        "api_url": simulator.api_url(),
        "control_url": simulator.control_url(),
        "provider": simulator.secret(),
    });
    if !secrets.is_empty() {
        addresses["signing_secrets"] = json!(secrets);
    }
    // Before anybody knows that we run, and may end us.
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    println!("{addresses}");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = end_of_input() => {}
    }
    drop(sending);
    // A blocked read of standard input must not keep the process.
    std::process::exit(0)
}

/// Flags as they were given, by name.
struct Flags(HashMap<String, String>);

impl Flags {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut flags = HashMap::new();
        while let Some(argument) = arguments.next() {
            let name = argument.strip_prefix("--").unwrap_or_default();
            if !FLAGS.iter().any(|(known, _)| *known == name) {
                let usage = FLAGS
                    .iter()
                    .map(|(name, meaning)| format!("  --{name} {meaning}\n"))
                    .collect::<String>();
                bail!("unknown argument {argument}; there are\n{usage}");
            }
            let value = arguments
                .next()
                .with_context(|| format!("--{name} wants a value"))?;
            flags.insert(name.to_owned(), value);
        }
        Ok(Self(flags))
    }

    fn get(&self, name: &str) -> Option<String> {
        let variable = format!("SIMULATOR_{}", name.replace('-', "_").to_uppercase());
        let given = self.0.get(name).cloned();
        given.or_else(|| std::env::var(variable).ok())
    }

    fn number(&self, name: &str) -> Result<u64> {
        match self.get(name) {
            None => Ok(0),
            Some(number) => number.parse().with_context(|| format!("read --{name}")),
        }
    }
}

/// The provider to be.
fn vendor(flags: &Flags) -> Result<Arc<dyn Vendor>> {
    match flags.get("provider").as_deref() {
        None | Some("stack") => {
            let mut project = Stack::default();
            if let Some(id) = flags.get("project-id") {
                project.project_id = id;
            }
            if let Some(key) = flags.get("secret-server-key") {
                project.secret_server_key = key;
            }
            Ok(Arc::new(project))
        }
        Some(name) => Ok((providers::named(name)?.project)()),
    }
}

/// Waits for the end of standard input, if it is a pipe: a shell gives its background jobs an
/// empty input, which says nothing.
async fn end_of_input() {
    let kind = std::fs::metadata("/dev/stdin").map(|input| input.file_type());
    if kind.is_ok_and(|kind| kind.is_fifo() || kind.is_socket()) {
        let mut input = tokio::io::stdin();
        let mut bytes = [0; 256];
        while input.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
    } else {
        std::future::pending().await
    }
}
