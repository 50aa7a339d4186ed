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
        let path = root()?.join(random_name(prefix));
        fs::create_dir(&path).context("create a temporary folder")?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
        Ok(Self(path))
    }

    /// A folder that only the user can read who runs what refuses to run as root.
    pub fn unprivileged(prefix: &str) -> Result<Self> {
        let scratch = Self::new(prefix)?;
        give_away(scratch.path())?;
        Ok(scratch)
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

/// The folder of all of this process's temporary folders.
fn root() -> Result<PathBuf> {
    static ROOT: Mutex<Option<(PathBuf, Child)>> = Mutex::new(None);
    let mut root = ROOT.lock().expect("no holder of this lock panics");
    if let Some((path, _)) = &*root {
        return Ok(path.clone());
    }
    let path = std::env::temp_dir().join(random_name("users-sync"));
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
