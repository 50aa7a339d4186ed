//! `make dev`: each line that it says to try works as it stands.

use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::tools::{system_program, workspace};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::{sleep, timeout};

/// It may have to wait for another build in this folder.
const LONG: Duration = Duration::from_secs(300);

/// Runs a line in a shell, as somebody does who copies it; gives what it prints.
async fn try_out(export: &str, line: &str) -> Result<String> {
    let mut shell = Command::new("bash");
    shell
        .args(["-c", &format!("{export}\n{line}")])
        .current_dir(workspace())
        .kill_on_drop(true);
    let ended = timeout(LONG, shell.output()).await;
    let output = ended.with_context(|| format!("no end: {line}"))??;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let erred = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{line}\n{said}\n{erred}");
    Ok(said)
}

/// Signs in to the console at this address, and sees who is there.
async fn open_console(console: &str, token: &str) -> Result<()> {
    let browser = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    let form = browser.post(format!("{console}sign-in"));
    let form = form
        .header("content-type", "application/x-www-form-urlencoded")
        .header(
            "origin",
            console.split("/lambda-url").next().unwrap_or_default(),
        )
        .body(format!("console_token={token}"));
    let answer = form.send().await?;
    ensure!(answer.status() == 303, "{}", answer.status());
    let cookie = answer.headers().get("set-cookie").context("a cookie")?;
    let cookie = cookie
        .to_str()?
        .split(';')
        .next()
        .unwrap_or_default()
        .to_owned();
    for (page, words) in [
        ("", "Overview"),
        ("users", "user?id="),
        ("runs", "complete"),
    ] {
        let asked = browser
            .get(format!("{console}{page}"))
            .header("cookie", &cookie);
        let shown = asked.send().await?.text().await?;
        ensure!(shown.contains(words), "{page}: {shown}");
    }
    Ok(())
}

#[tokio::test]
async fn each_line_that_dev_says_to_try_works() -> Result<()> {
    // It waits for Ctrl-C for ever; if this test is killed, that won't come.
    let mut dev = std::process::Command::new(system_program("setpriv")?);
    dev.args([
        "--pdeathsig",
        "KILL",
        env!("CARGO_BIN_EXE_demo"),
        "--stay",
        "--release",
    ])
    .stdout(Stdio::piped())
    .current_dir(workspace())
    // Ctrl-C reaches the whole group of a terminal.
    .process_group(0);
    let mut dev = Command::from(dev).kill_on_drop(true).spawn()?;
    let out = dev.stdout.take().context("what it prints")?;
    let mut printed = BufReader::new(out).lines();
    let mut to_try = Vec::new();
    let (mut console, mut token) = (String::new(), String::new());
    // The last line is the one that has somebody sign up.
    while to_try
        .last()
        .is_none_or(|line: &String| !line.starts_with("curl"))
    {
        let line = timeout(LONG, printed.next_line())
            .await
            .context("silent")??;
        let line = line.context("it has ended")?;
        if line.ends_with("/lambda-url/console/") {
            console = line.trim().to_owned();
        }
        if let Some((_, printed)) = line.split_once("its token: ") {
            token = printed.to_owned();
        }
        if let Some(line) = line.strip_prefix("  ").filter(|line| {
            ["export", "cargo", "/", "curl"]
                .iter()
                .any(|start| line.starts_with(start))
        }) {
            to_try.push(line.trim().to_owned());
        }
    }
    let (export, lines) = to_try.split_first().context("nothing to try")?;
    ensure!(lines.len() == 6, "{lines:?}");
    for line in lines {
        let said = try_out(export, line).await?;
        let expected = match line {
            line if line.contains("dry_run") => "\"created\":0",
            line if line.contains(" reconcile ") => "\"outcome\":\"complete\"",
            line if line.contains(" provision ") => "\"schema\":\"neon_identity\"",
            line if line.contains(" webhook ") => "401",
            line if line.contains("psql") => "(5 rows)",
            _ => "{",
        };
        ensure!(said.contains(expected), "{line}\n{said}");
    }
    open_console(&console, &token).await?;
    let psql = lines.iter().find(|line| line.contains("psql"));
    let psql = psql.context("psql")?;
    let arrives = async {
        while !try_out(export, psql).await?.contains("Grace Hopper") {
            sleep(Duration::from_millis(200)).await;
        }
        anyhow::Ok(())
    };
    timeout(LONG, arrives).await.context("nobody arrives")??;

    let pid = dev.id().context("a process")?;
    try_out("", &format!("kill -INT -- -{pid}")).await?;
    let ended = timeout(LONG, dev.wait()).await.context("no end")??;
    ensure!(ended.success(), "{ended}");
    // Nothing is left of it.
    try_out("", &format!("! kill -0 -- -{pid} 2>/dev/null")).await?;
    Ok(())
}
