//! Temporary folders that vanish with their owner, or with the whole process, however it ends.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context, Result};

use crate::tools::{random_name, unprivileged};

/// `$1`: the folder to remove once we are gone. A server in it may still be writing.
const SCRIPT: &str = r#"
cat >/dev/null
for _ in 1 2 3 4 5 6 7 8 9 10; do rm -rf "$1" && exit; sleep 0.3; done
"#;

/// A folder of its own, removed on drop.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A folder that only we can read.
    pub fn new(prefix: &str) -> Result<Self> {
        static ROOT: Root = Root::new();
        Self::in_folder(&ROOT.path(std::env::temp_dir)?, prefix)
    }

    /// A folder for a server's data, in memory where there is plenty of it. Only the user can
    /// read it who runs what refuses to run as root.
    pub fn of_server(prefix: &str) -> Result<Self> {
        static ROOT: Root = Root::new();
        let scratch = Self::in_folder(&ROOT.path(folder_of_servers)?, prefix)?;
        give_away(scratch.path())?;
        Ok(scratch)
    }

    fn in_folder(root: &Path, prefix: &str) -> Result<Self> {
        let path = root.join(random_name(prefix));
        fs::create_dir(&path).context("create a temporary folder")?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // If anything is left, it goes with the process.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Makes a file or folder the property of the user who runs what refuses to run as root.
pub(crate) fn give_away(path: &Path) -> Result<()> {
    if let Some((user, group)) = unprivileged()? {
        chown(path, Some(user), Some(group)).context("give a file away")?;
    }
    Ok(())
}

/// Where servers keep their data. A database is 300 files, and a file system on disk spends more
/// time on making them than PostgreSQL does on the tests.
fn folder_of_servers() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if is_roomy(memory).unwrap_or(false) {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    }
}

/// Whether a folder in memory takes all that the tests write, several times over.
fn is_roomy(folder: &Path) -> Result<bool> {
    const ROOM: u64 = 14 << 30;
    let free = Command::new("df")
        .args(["--output=avail", "--block-size=1"])
        .arg(folder)
        .output()?;
    let free = String::from_utf8(free.stdout)?;
    let free: u64 = free.lines().last().context("df's answer")?.trim().parse()?;
    let memory = fs::read_to_string("/proc/meminfo")?;
    let kib = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))
        .context("the available memory")?;
    let available: u64 = kib.trim().trim_end_matches(" kB").parse()?;
    // In a container with a limit of its own, the machine's memory says nothing.
    let limited = fs::read_to_string("/sys/fs/cgroup/memory.max").is_ok_and(|max| max != "max\n");
    Ok(free.min(available * 1024) > ROOM && !limited)
}

/// A folder of all of this process's temporary folders, and the process that removes it.
struct Root(Mutex<Option<(PathBuf, Child)>>);

impl Root {
    const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Where it is: in `parent`, made when it is needed first.
    fn path(&self, parent: fn() -> PathBuf) -> Result<PathBuf> {
        let mut root = self.0.lock().expect("no holder of this lock panics");
        if let Some((path, _)) = &*root {
            return Ok(path.clone());
        }
        let path = parent().join(random_name("users-sync"));
        fs::create_dir(&path).context("create a temporary folder")?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o711))?;
        let watchdog = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "watchdog"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("watch over a temporary folder")?;
        *root = Some((path.clone(), watchdog));
        Ok(path)
    }
}
