//! `make demo` from nothing: a fresh clone, an empty cache of the registry, nothing in `.tools`.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use tests::scratch::Scratch;
use tests::tools::workspace;

use crate::report::Report;

pub(crate) fn measure(report: &mut Report) -> Result<()> {
    let scratch = Scratch::new("demo")?;
    let clone = scratch.path().join("users-sync");
    let status = Command::new("git")
        .args(["clone", "--quiet", "--no-hardlinks"])
        .arg(workspace())
        .arg(&clone)
        .status()
        .context("run git clone")?;
    ensure!(status.success(), "git clone fails");
    let cache = scratch.path().join("cargo");
    std::fs::create_dir(&cache).context("make an empty cache")?;
    // Where crates come from is the machine's affair.
    let home = std::env::var_os("CARGO_HOME").map(Into::into);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let settings = home.context("find cargo's settings")?.join("config.toml");
    if settings.exists() {
        std::fs::copy(settings, cache.join("config.toml")).context("copy cargo's settings")?;
    }
    let begun = Instant::now();
    let mut make = Command::new("make");
    for (name, _) in std::env::vars_os() {
        // Those of this very run, of `make bench`.
        let text = name.to_string_lossy();
        if text.starts_with("CARGO") || text.starts_with("MAKE") || text.starts_with("MFLAGS") {
            make.env_remove(&name);
        }
    }
    let output = make
        .arg("demo")
        .current_dir(&clone)
        .env("CARGO_HOME", &cache)
        .env("PIP_NO_CACHE_DIR", "1")
        .output()
        .context("run make demo")?;
    let seconds = begun.elapsed().as_secs_f64();
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "make demo fails:\n{error}");
    report.figure("demo_s", &seconds.into())
}
