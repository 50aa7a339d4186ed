//! The simulator as a program of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::client;
use super::receiver::Receiver;

/// The program, and what it printed.
fn start(arguments: &[&str]) -> Result<(Child, Value)> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_simulator"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().context("no output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    Ok((child, serde_json::from_str(&line)?))
}

/// Waits until the program has ended well.
fn ended(mut child: Child) -> Result<()> {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(30) {
        if let Some(status) = child.try_wait()? {
            ensure!(status.success(), "ended with {status}");
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill()?;
    bail!("did not end")
}

#[tokio::test]
async fn it_prints_where_it_is_and_ends_with_its_input() -> Result<()> {
    let receiver = Receiver::answering([]).await?;
    let (mut child, addresses) = start(&["--users", "10", "--webhook-url", &receiver.url])?;
    assert_eq!(addresses["provider"]["name"], "stack");
    assert_eq!(addresses["provider"]["api_url"], addresses["api_url"]);
    assert!(addresses["signing_secrets"][0].as_str().is_some());

    let url = addresses["control_url"]
        .as_str()
        .context("no control_url")?;
    let counts = client()?.get(format!("{url}/counts")).send().await?;
    let counts: Value = serde_json::from_str(&counts.text().await?)?;
    assert_eq!(counts["live"], 10);
    client()?
        .post(format!("{url}/users"))
        .body("{}")
        .send()
        .await?;
    let started = Instant::now();
    while receiver.deliveries().len() < 2 && started.elapsed() < Duration::from_secs(30) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(receiver.deliveries().len(), 2);

    drop(child.stdin.take());
    ended(child)
}

#[test]
fn it_ends_on_sigterm_and_sigint() -> Result<()> {
    for signal in ["TERM", "INT"] {
        let (child, _) = start(&["--project-id", "p", "--secret-server-key", "ssk_p"])?;
        // The shell's own: the program of that name is not on every machine.
        let kill = format!("kill -s {signal} {}", child.id());
        let killed = Command::new("bash").args(["-c", &kill]).status()?;
        ensure!(killed.success(), "kill: {killed}");
        ended(child)?;
    }
    Ok(())
}

#[test]
fn it_names_its_arguments_when_it_gets_an_unknown_one() -> Result<()> {
    let output = Command::new(env!("CARGO_BIN_EXE_simulator"))
        .arg("--user")
        .output()?;
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr)?;
    assert!(error.contains("--users"), "{error}");
    Ok(())
}
