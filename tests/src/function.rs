//! A real binary run as Lambda runs it: against its own Runtime API and Function URL.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use serde_json::Value;

use crate::function_url;
use crate::runtime_api::{FunctionError, RuntimeApi};
use crate::scratch::Scratch;
use crate::tools::workspace;
use crate::watchdog::Watched;

/// The time limit of an invocation that names none.
const LIMIT: Duration = Duration::from_secs(30);

/// One function and its instances, which are killed when it is dropped or the process ends.
pub struct Function {
    name: String,
    program: PathBuf,
    environment: Vec<(String, String)>,
    api: RuntimeApi,
    url: String,
    instances: Mutex<Vec<Instance>>,
    folder: Scratch,
}

struct Instance {
    number: u32,
    process: Arc<OnceLock<Watched>>,
    started: Instant,
}

impl Function {
    /// Starts the binary `name` from `target/release`, or the folder `USERS_SYNC_BIN_DIR`.
    ///
    /// The process sees `environment`, `PATH` and what Lambda sets, and nothing else. It may still
    /// be starting, or fail to, when this returns: see [`Function::ready`] and [`Function::exit`].
    pub async fn spawn<K: Into<String>, V: Into<String>>(
        name: &str,
        environment: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self> {
        let folder = std::env::var_os("USERS_SYNC_BIN_DIR").map(PathBuf::from);
        let folder = folder.unwrap_or_else(|| workspace().join("target/release"));
        let environment = environment.into_iter();
        let environment = environment
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        Self::spawn_program(folder.join(name), environment).await
    }

    /// Starts any program as a function.
    pub async fn spawn_program(
        program: PathBuf,
        environment: Vec<(String, String)>,
    ) -> Result<Self> {
        let name = program
            .file_name()
            .context("name the program")?
            .to_string_lossy()
            .into_owned();
        ensure!(
            program.is_file(),
            "{} is missing: run `cargo build --release`",
            program.display()
        );
        let api = RuntimeApi::default();
        let url = function_url::serve(api.clone(), LIMIT).await?;
        let folder = Scratch::new("function")?;
        let instances = Mutex::default();
        let function = Self {
            name,
            program,
            environment,
            api,
            url,
            instances,
            folder,
        };
        function.spawn_instance().await?;
        Ok(function)
    }

    /// Starts one more process that takes this function's invocations.
    pub async fn spawn_instance(&self) -> Result<()> {
        let process = Arc::new(OnceLock::<Watched>::new());
        let overrun = Arc::clone(&process);
        let kill = move || {
            if let Some(process) = overrun.get() {
                process.signal("KILL");
            }
        };
        let (number, address) = self.api.open(kill).await?;
        let mut command = Watched::command(&self.program, "KILL");
        command
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", &self.name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path());
        let started = Instant::now();
        let watched = Watched::spawn(&mut command, &self.log_file())?;
        process.get_or_init(|| watched);
        tokio::spawn(watch(self.api.clone(), number, Arc::clone(&process)));
        self.instances().push(Instance {
            number,
            process,
            started,
        });
        Ok(())
    }

    /// Invokes the function with Lambda's answer, within 30 seconds.
    pub async fn invoke(&self, event: Value) -> Result<Value, FunctionError> {
        self.invoke_with_deadline(event, LIMIT).await
    }

    /// Invokes the function; an instance that overruns `limit` is killed, as by Lambda.
    pub async fn invoke_with_deadline(
        &self,
        event: Value,
        limit: Duration,
    ) -> Result<Value, FunctionError> {
        self.invoke_bytes(event.to_string(), limit).await
    }

    /// Invokes the function with an event that need not be JSON.
    pub async fn invoke_bytes(
        &self,
        event: impl Into<Bytes>,
        limit: Duration,
    ) -> Result<Value, FunctionError> {
        let answer = self.api.invoke(event.into(), limit).await?;
        let unreadable = |error| FunctionError::new("Unreadable", format!("{error}"));
        serde_json::from_slice(&answer).map_err(unreadable)
    }

    /// The Function URL, without a slash at its end; any path and method may follow.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits until the last started instance has ended its init, and says how long that took.
    pub async fn ready(&self) -> Result<Duration> {
        let (number, started, process) = self.last();
        while started.elapsed() < LIMIT {
            if let Some(since) = self.api.ready_since(number) {
                return Ok(since - started);
            }
            let ended = process.get().context("find the process")?.ended()?;
            ensure!(
                ended.is_none(),
                "{} did not start:\n{}",
                self.name,
                self.logs()?
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        anyhow::bail!(
            "{} is not ready after {LIMIT:?}:\n{}",
            self.name,
            self.logs()?
        )
    }

    /// The error of the last started instance, if it told the Runtime API of a failed init.
    pub fn init_error(&self) -> Option<FunctionError> {
        self.api.init_error()
    }

    /// All that the instances have printed so far, to standard output and error.
    pub fn logs(&self) -> Result<String> {
        let logs = std::fs::read(self.log_file()).context("read the function's log")?;
        Ok(String::from_utf8_lossy(&logs).into_owned())
    }

    /// Ends all instances by SIGKILL and waits until they are gone.
    pub fn kill(&self) {
        for instance in self.instances().iter() {
            if let Some(process) = instance.process.get() {
                process.kill();
            }
            self.api.instance_ended(instance.number, 137);
        }
    }

    /// Stops the last started instance where it is, as Lambda freezes one, until [`Function::thaw`].
    pub fn freeze(&self) -> Result<()> {
        let (_, _, process) = self.last();
        process.get().context("find the process")?.freeze()
    }

    /// Lets the last started instance go on.
    pub fn thaw(&self) {
        let (_, _, process) = self.last();
        if let Some(process) = process.get() {
            process.signal("CONT");
        }
    }

    /// Whether any instance runs.
    pub fn is_running(&self) -> bool {
        let running = |process: &Watched| matches!(process.ended(), Ok(None));
        self.instances()
            .iter()
            .any(|instance| instance.process.get().is_some_and(running))
    }

    /// Waits at most `limit` for the last started instance to end, and returns its exit code.
    pub async fn exit(&self, limit: Duration) -> Result<i32> {
        let (_, _, process) = self.last();
        process.get().context("find the process")?.wait(limit).await
    }

    /// The most memory that the last started instance has held so far, in KiB.
    pub fn peak_memory(&self) -> Result<u64> {
        let (_, _, process) = self.last();
        process.get().context("find the process")?.peak_memory()
    }

    /// The memory that the last started instance holds now, in KiB.
    pub fn memory(&self) -> Result<u64> {
        let (_, _, process) = self.last();
        process.get().context("find the process")?.memory()
    }

    /// The process id of the last started instance.
    pub fn process_id(&self) -> Result<u32> {
        let (_, _, process) = self.last();
        process.get().context("find the process")?.id()
    }

    fn last(&self) -> (u32, Instant, Arc<OnceLock<Watched>>) {
        match self.instances().last() {
            Some(last) => (last.number, last.started, Arc::clone(&last.process)),
            None => (0, Instant::now(), Arc::default()),
        }
    }

    fn instances(&self) -> MutexGuard<'_, Vec<Instance>> {
        self.instances
            .lock()
            .expect("no holder of this lock panics")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Tells the Runtime API when an instance ends.
async fn watch(api: RuntimeApi, number: u32, process: Arc<OnceLock<Watched>>) {
    loop {
        match process.get().map(Watched::ended) {
            Some(Ok(None)) => tokio::time::sleep(Duration::from_millis(5)).await,
            Some(Ok(Some(code))) => return api.instance_ended(number, code),
            Some(Err(_)) | None => return api.instance_ended(number, -1),
        }
    }
}
