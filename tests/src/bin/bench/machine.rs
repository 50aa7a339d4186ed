//! The machine: who has used how much of its processors, and who may use which of them.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// The kernel counts in hundredths of a second, on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// The processor time that a process, with its threads, has had so far.
pub(crate) fn cpu(process: u32) -> Result<Duration> {
    let (user, system) = times(process)?;
    Ok(user + system)
}

/// The part of it that the kernel has had for the process.
pub(crate) fn kernel(process: u32) -> Result<Duration> {
    Ok(times(process)?.1)
}

fn times(process: u32) -> Result<(Duration, Duration)> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat"))
        .with_context(|| format!("read the time of process {process}"))?;
    // The program's name may hold anything, but it ends at the last bracket.
    let (_, fields) = text.rsplit_once(')').context("read a process' figures")?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || -> Result<u32> { Ok(fields.next().context("a figure")?.parse()?) };
    Ok((TICK * ticks()?, TICK * ticks()?))
}

/// The time of all processors, from a moment on.
pub(crate) struct Busy {
    idle: f64,
    all: f64,
}

impl Busy {
    pub(crate) fn begin() -> Result<Self> {
        let text = std::fs::read_to_string("/proc/stat").context("read the processors' time")?;
        let line = text.lines().next().context("the processors' sum")?;
        // user, nice, system, idle, iowait, irq, softirq, steal
        let times = line.split_whitespace().skip(1).take(8);
        let times = times
            .map(|time| Ok(time.parse()?))
            .collect::<Result<Vec<f64>>>()?;
        ensure!(times.len() == 8, "/proc/stat begins with {line}");
        Ok(Self {
            idle: times[3] + times[4],
            all: times.iter().sum(),
        })
    }

    /// How many in a hundred of it were used since.
    pub(crate) fn percent(self) -> Result<f64> {
        let now = Self::begin()?;
        Ok(100.0 - 100.0 * (now.idle - self.idle) / (now.all - self.all))
    }
}

/// Keeps a process to some processors, with all that descends from it from now on.
fn keep(process: u32, processors: &str) -> Result<()> {
    let output = Command::new("taskset")
        .args(["--all-tasks", "--cpu-list", "--pid", processors])
        .arg(process.to_string())
        .output()
        .context("run taskset")?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "taskset: {error}");
    Ok(())
}

/// The last processor is for what is measured, and the others for all else, until this is dropped.
/// A machine with only one shares it.
pub(crate) struct Apart {
    last: usize,
}

impl Apart {
    /// Keeps this process off the last processor.
    pub(crate) fn new() -> Result<Self> {
        let count = std::thread::available_parallelism()?.get();
        let apart = Self { last: count - 1 };
        if apart.last > 0 {
            keep(std::process::id(), &format!("0-{}", apart.last - 1))?;
        }
        Ok(apart)
    }

    /// Keeps a process to the last processor.
    pub(crate) fn hold(&self, process: u32) -> Result<()> {
        match self.last {
            0 => Ok(()),
            last => keep(process, &last.to_string()),
        }
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // A failure here makes the next figures worse, never better.
        let _ = keep(std::process::id(), &format!("0-{}", self.last));
    }
}
