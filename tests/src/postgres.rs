//! A real PostgreSQL server, and a fresh database in it for each test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio_postgres::{Client, Config, NoTls};

use crate::certificates;
use crate::database::Database;
use crate::scratch::{Scratch, give_away};
use crate::tools::{free_port, postgres_programs, random_name, unprivileged};
use crate::watchdog::Watched;

/// How long a server may take to start or stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// The options that a server is started with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    tls: bool,
    settings: Vec<(String, String)>,
}

impl Options {
    /// Speaks TLS with a certificate for `localhost`, and takes users other than the superuser
    /// only over TLS.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Changes a setting of the server, as in `postgresql.conf`.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// How a server is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Transactions are rolled back and connections closed.
    Fast,
    /// As in a crash: the next start recovers from the log.
    Immediate,
}

/// A server on a port of its own at 127.0.0.1, gone when dropped or when the process ends.
#[derive(Debug)]
pub struct Postgres {
    port: u16,
    password: String,
    options: Options,
    programs: PathBuf,
    process: Mutex<Option<Watched>>,
    folder: Scratch,
}

impl Postgres {
    /// The server that all tests of this process share; it must not be stopped or changed.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: tokio::sync::OnceCell<Postgres> = tokio::sync::OnceCell::const_new();
        SHARED
            .get_or_try_init(|| Self::start(Options::default()))
            .await
    }

    /// Makes and starts a server of its own, for tests that stop or configure it.
    pub async fn start(options: Options) -> Result<Self> {
        let programs = postgres_programs(options.tls)?;
        let folder = Scratch::of_server("postgres")?;
        let server = Self {
            port: free_port()?,
            password: random_name("superuser"),
            options,
            programs,
            process: Mutex::new(None),
            folder,
        };
        server.init().context("make a database cluster")?;
        server.start_again().await?;
        Ok(server)
    }

    /// Starts a stopped server again, on the same port and data.
    pub async fn start_again(&self) -> Result<()> {
        let mut command = Watched::command(&self.programs.join("postgres"), "QUIT");
        command.arg("-D").arg(self.data());
        for (name, value) in self.settings() {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        self.as_unprivileged(&mut command)?;
        let process = Watched::spawn(&mut command, &self.log_file())?;
        *self.process.lock().expect("no holder of this lock panics") = Some(process);
        let start = Instant::now();
        loop {
            let Err(error) = self.connect("postgres").await else {
                return Ok(());
            };
            if !self.is_running()? || start.elapsed() > PATIENCE {
                bail!("start postgres: {error:#}\n{}", self.log()?);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Stops the server and waits until it is gone; its port and data stay.
    pub async fn stop(&self, mode: Mode) -> Result<()> {
        let process = self
            .process
            .lock()
            .expect("no holder of this lock panics")
            .take();
        let process = process.context("stop a server that does not run")?;
        process.signal(match mode {
            Mode::Fast => "INT",
            Mode::Immediate => "QUIT",
        });
        process.wait(PATIENCE).await.context("stop postgres")?;
        Ok(())
    }

    /// Closes all connections to a database from the server's side and returns their number.
    ///
    /// The server's own processes in that database, an autovacuum worker for one, are left alone.
    pub async fn terminate_backends(&self, database: &str) -> Result<u64> {
        let statement = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
            WHERE datname = $1 AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
        let client = self.connect("postgres").await?;
        client
            .execute(statement, &[&database])
            .await
            .context("terminate backends")
    }

    /// Makes a fresh database with users of its own.
    pub async fn database(&self) -> Result<Database> {
        Database::create(self).await
    }

    /// A connection of the superuser to a database; the caller's runtime drives it.
    pub async fn connect(&self, database: &str) -> Result<Client> {
        connect(&self.url("postgres", &self.password, database)).await
    }

    /// The process id of the server's main process, from which all others descend.
    pub fn process_id(&self) -> Result<u32> {
        let process = self.process.lock().expect("no holder of this lock panics");
        process.as_ref().context("find the server")?.id()
    }

    /// All that the server has logged since it was made.
    pub fn log(&self) -> Result<String> {
        let log = fs::read(self.log_file()).context("read the server's log")?;
        Ok(String::from_utf8_lossy(&log).into_owned())
    }

    /// The port at 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The superuser's password; its name is `postgres`.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The certificate of the authority that vouches for the server; only with [`Options::tls`].
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// The folder of this version's programs.
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    pub(crate) fn url(&self, user: &str, password: &str, database: &str) -> String {
        format!(
            "postgres://{user}:{password}@127.0.0.1:{}/{database}",
            self.port
        )
    }

    fn init(&self) -> Result<()> {
        let password = self.folder.path().join("password");
        fs::write(&password, &self.password).context("write the password")?;
        give_away(&password)?;
        let mut initdb = Command::new(self.programs.join("initdb"));
        initdb.args([
            "--username=postgres",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
        ]);
        initdb.args(["--locale=C.UTF-8", "--no-sync", "--no-instructions"]);
        initdb.arg(format!("--pwfile={}", password.display()));
        initdb.arg(format!("--pgdata={}", self.data().display()));
        self.as_unprivileged(&mut initdb)?;
        let output = initdb.stdin(Stdio::null()).output().context("run initdb")?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        if !self.options.tls {
            return Ok(());
        }
        certificates::create(self.folder.path()).context("make certificates")?;
        let key = self.folder.path().join("server.key");
        fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        give_away(&key)?;
        let rules = "host all postgres 127.0.0.1/32 scram-sha-256\n\
            hostssl all all 127.0.0.1/32 scram-sha-256\n";
        fs::write(self.data().join("pg_hba.conf"), rules).context("write pg_hba.conf")
    }

    fn settings(&self) -> Vec<(String, String)> {
        let mut settings = vec![
            ("port", self.port.to_string()),
            ("listen_addresses", "127.0.0.1".to_owned()),
            ("unix_socket_directories", String::new()),
            ("fsync", "off".to_owned()),
            ("max_connections", "200".to_owned()),
        ];
        if self.options.tls {
            let file = |name| self.folder.path().join(name).display().to_string();
            settings.push(("ssl", "on".to_owned()));
            settings.push(("ssl_cert_file", file("server.crt")));
            settings.push(("ssl_key_file", file("server.key")));
        }
        let settings = settings
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        settings
            .chain(self.options.settings.iter().cloned())
            .collect()
    }

    fn as_unprivileged(&self, command: &mut Command) -> Result<()> {
        use std::os::unix::process::CommandExt;
        command.current_dir(self.folder.path()).env("TZ", "UTC");
        if let Some((user, group)) = unprivileged()? {
            command.uid(user).gid(group);
        }
        Ok(())
    }

    fn is_running(&self) -> Result<bool> {
        let process = self.process.lock().expect("no holder of this lock panics");
        Ok(process
            .as_ref()
            .map(Watched::ended)
            .transpose()?
            .is_some_and(|code| code.is_none()))
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

/// A connection without TLS, driven by the caller's runtime.
pub async fn connect(url: &str) -> Result<Client> {
    let config: Config = url.parse().context("read a database URL")?;
    let (client, connection) = config.connect(NoTls).await.context("connect to postgres")?;
    tokio::spawn(connection);
    Ok(client)
}
