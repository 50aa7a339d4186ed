//! A real PgBouncer in transaction mode, as in front of Neon's pooled endpoint.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::net::TcpStream;

use crate::postgres::Postgres;
use crate::scratch::{Scratch, give_away};
use crate::tools::{free_port, system_program, unprivileged};
use crate::watchdog::Watched;

/// A pooler on a port of its own at 127.0.0.1, in front of every database of one server.
#[derive(Debug)]
pub struct PgBouncer {
    port: u16,
    server_port: u16,
    program: PathBuf,
    process: Mutex<Option<Watched>>,
    folder: Scratch,
}

impl PgBouncer {
    /// Starts a pooler that holds at most `pool_size` server connections a database and user.
    pub async fn start(server: &Postgres, pool_size: u32) -> Result<Self> {
        let program = system_program("pgbouncer")?;
        let folder = Scratch::of_server("pgbouncer")?;
        let port = free_port()?;
        let users = folder.path().join("users");
        let settings = folder.path().join("pgbouncer.ini");
        fs::write(&users, format!("\"postgres\" \"{}\"\n", server.password()))?;
        // Other users' SCRAM secrets are read from the server and passed through.
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={server_port}\n\
            [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
            pool_mode = transaction\ndefault_pool_size = {pool_size}\nmax_client_conn = 1000\n\
            auth_type = scram-sha-256\nauth_file = {users}\nauth_user = postgres\n",
            server_port = server.port(),
            users = users.display(),
        );
        fs::write(&settings, text).context("write pgbouncer.ini")?;
        give_away(&users)?;
        give_away(&settings)?;
        let bouncer = Self {
            port,
            server_port: server.port(),
            program,
            process: Mutex::new(None),
            folder,
        };
        bouncer.start_again().await?;
        Ok(bouncer)
    }

    /// Starts a stopped pooler again, on the same port.
    pub async fn start_again(&self) -> Result<()> {
        let folder = self.folder.path();
        let mut command = Watched::command(&self.program, "TERM");
        command
            .arg(folder.join("pgbouncer.ini"))
            .current_dir(folder);
        if let Some((user, group)) = unprivileged()? {
            command.uid(user).gid(group);
        }
        let process = Watched::spawn(&mut command, &folder.join("log"))?;
        *self.process() = Some(process);
        self.wait_until_ready().await
    }

    /// Stops the pooler at once, as a crash does, and waits until it is gone.
    pub fn stop(&self) {
        if let Some(process) = self.process().take() {
            process.kill();
        }
    }

    /// The URL that reaches through the pooler what `url` reaches directly.
    pub fn url(&self, url: &str) -> String {
        url.replace(
            &format!(":{}/", self.server_port),
            &format!(":{}/", self.port),
        )
    }

    /// All that the pooler has logged.
    pub fn log(&self) -> Result<String> {
        fs::read_to_string(self.folder.path().join("log")).context("read pgbouncer's log")
    }

    fn process(&self) -> MutexGuard<'_, Option<Watched>> {
        self.process.lock().expect("no holder of this lock panics")
    }

    async fn wait_until_ready(&self) -> Result<()> {
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            let ended = self.process().as_ref().map(Watched::ended).transpose()?;
            if ended.flatten().is_some() || start.elapsed() > Duration::from_secs(10) {
                bail!("start pgbouncer: {}", self.log()?);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}
