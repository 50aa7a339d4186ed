//! Programs that die with the process that started them, however that one ends.
//!
//! Between us and each program stands a shell whose standard input is a pipe that we alone hold.
//! When we end, even by SIGKILL, the pipe closes and the shell ends the program. Through the same
//! pipe we name signals to send, so a process id that was given to another program is never hit.
//! The program leads a session of its own: what it has started ends with it.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// `$1`: the signal that ends the program; the rest: the program and its arguments.
const SCRIPT: &str = r#"
last=$1; shift
exec 3<&0
setsid "$@" </dev/null 3<&- &
program=$!
{
  while read -r signal; do kill -s "$signal" "$program"; done
  # The session is not there yet if we ended at once.
  kill -s "$last" -- "-$program" || kill -s "$last" "$program"
} <&3 >/dev/null 2>&1 &
reader=$!
exec 3<&- 2>/dev/null
wait "$program"
code=$?
kill -s KILL -- "-$program"
kill "$reader"
exit "$code"
"#;

/// A running program; dropping it ends the program and waits until it is gone.
#[derive(Debug)]
pub struct Watched(Mutex<Child>);

impl Watched {
    /// A command that runs `program` under watch and ends it with the signal `last`.
    ///
    /// Arguments, environment, folder and user that are added to it are the program's.
    pub fn command(program: &Path, last: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SCRIPT, "watchdog", last]).arg(program);
        command
    }

    /// Starts what [`Watched::command`] made; all that it prints is added to the file `log`.
    pub fn spawn(command: &mut Command, log: &Path) -> Result<Self> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .context("open log")?;
        let child = command
            .stdin(Stdio::piped())
            .stdout(log.try_clone().context("share log")?)
            .stderr(log)
            // Ctrl-C in a terminal must not reach the watchdog before the pipe closes.
            .process_group(0)
            .spawn()
            .context("start a program under watch")?;
        Ok(Self(Mutex::new(child)))
    }

    /// Sends a signal by name, such as `KILL`; nothing happens if the program is gone.
    pub fn signal(&self, name: &str) {
        let mut child = self.0.lock().expect("no holder of this lock panics");
        if let Some(pipe) = &mut child.stdin {
            // A closed pipe means that the program has ended.
            let _ = pipe.write_all(format!("{name}\n").as_bytes());
        }
    }

    /// Sends SIGKILL and blocks until the program is gone.
    pub fn kill(&self) {
        self.signal("KILL");
        wait_blocking(&mut self.0.lock().expect("no holder of this lock panics"));
    }

    /// The exit code if the program has ended; 128 and the signal's number if a signal ended it.
    pub fn ended(&self) -> Result<Option<i32>> {
        let mut child = self.0.lock().expect("no holder of this lock panics");
        let status = child.try_wait().context("ask for the end of a program")?;
        Ok(status.map(|status| status.code().unwrap_or(-1)))
    }

    /// Waits for the program's end and returns the exit code.
    pub async fn wait(&self, limit: Duration) -> Result<i32> {
        let start = Instant::now();
        while start.elapsed() < limit {
            if let Some(code) = self.ended()? {
                return Ok(code);
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        bail!("the program still runs after {limit:?}")
    }

    /// Sends SIGSTOP and blocks until the program stands still.
    pub fn freeze(&self) -> Result<()> {
        self.signal("STOP");
        for _ in 0..5000 {
            if self.status("State:")?.starts_with('T') {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        bail!("the program does not stop")
    }

    /// The most memory that the program has held so far, in KiB, as long as it runs.
    pub fn peak_memory(&self) -> Result<u64> {
        let line = self.status("VmHWM:")?;
        let number = line.split_whitespace().next();
        number.context("read VmHWM")?.parse().context("read VmHWM")
    }

    /// The memory that the program holds now, in KiB, as long as it runs.
    pub fn memory(&self) -> Result<u64> {
        let line = self.status("VmRSS:")?;
        let number = line.split_whitespace().next();
        number.context("read VmRSS")?.parse().context("read VmRSS")
    }

    /// A line of the kernel's about the program.
    fn status(&self, name: &str) -> Result<String> {
        let program = self.id()?;
        let status = std::fs::read_to_string(format!("/proc/{program}/status"))
            .context("read the program's status")?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        Ok(line
            .with_context(|| format!("find {name}"))?
            .trim()
            .to_owned())
    }

    /// The program's process id, as long as it runs.
    pub fn id(&self) -> Result<u32> {
        let shell = self.0.lock().expect("no holder of this lock panics").id();
        let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children"))
            .context("list the watchdog's children")?;
        let program = children
            .split_whitespace()
            .next()
            .context("find the program")?;
        program.parse().context("read a process id")
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let child = self.0.get_mut().expect("no holder of this lock panics");
        drop(child.stdin.take());
        wait_blocking(child);
    }
}

fn wait_blocking(child: &mut Child) {
    for _ in 0..5000 {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
