//! Starts what `make package` has built as Lambda would: in a root folder in which there is
//! nothing but the C library and Amazon Linux's certificates, with every connection over TLS.
#![expect(clippy::print_stdout, reason = "it says what holds")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::function::Function;
use tests::postgres::{Options, Postgres};
use tests::scratch::Scratch;
use tests::secrets_manager::SecretsManager;
use tests::sender::{self, Sender};
use tests::simulator::{self, Simulator, Stack};
use tests::stage::signing_secret;
use tests::tools::{system_program, unprivileged, workspace};

/// The functions and the folders that SAM built them into.
const FUNCTIONS: [(&str, &str); 3] = [
    ("provision", "ProvisionFunction"),
    ("webhook", "WebhookFunction"),
    ("reconcile", "ReconcileFunction"),
];

/// The C library's own files. What else a function needs is missing on Lambda, too.
const LIBC: [&str; 6] = [
    "libc.so.6",
    "libm.so.6",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "libresolv.so.2",
];

/// The C library of Amazon Linux 2023.
/// Source: <https://docs.aws.amazon.com/linux/al2023/ug/core-glibc.html>.
const GLIBC: u32 = 34;

/// Where Amazon Linux has its certificates, and what points there.
const BUNDLE: &str = "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem";
const LINK: &str = "etc/pki/tls/certs/ca-bundle.crt";

const SECRET: &str = "users-sync";

#[tokio::main]
async fn main() -> Result<()> {
    let build = workspace().join(".aws-sam/build");
    for (name, folder) in FUNCTIONS {
        let program = build.join(folder).join("bootstrap");
        let glibc = newest_glibc(&program).with_context(|| name.to_owned())?;
        ensure!(
            glibc <= GLIBC,
            "{name} needs glibc 2.{glibc}; Lambda has 2.{GLIBC}"
        );
        println!("{name} needs glibc 2.{glibc}; Lambda has 2.{GLIBC}");
    }
    let ground = Ground::new(&build).await?;
    ground.certificates_are_found().await?;
    println!("all three work with nothing but libc and Amazon Linux's certificates");
    ground.without_certificates_nothing_starts().await?;
    println!("without the certificates, webhook and reconcile do not start");
    Ok(())
}

/// The newest version of the C library's symbols that a program names: the 34 of `GLIBC_2.34`.
fn newest_glibc(program: &Path) -> Result<u32> {
    let bytes = fs::read(program)
        .with_context(|| format!("read {}: run `make package`", program.display()))?;
    let word = b"GLIBC_2.";
    let after = bytes
        .windows(word.len() + 2)
        .filter(|bytes| bytes.starts_with(word));
    let version = |bytes: &[u8]| {
        let digits = bytes[word.len()..]
            .iter()
            .copied()
            .take_while(u8::is_ascii_digit);
        digits.fold(0, |number, digit| number * 10 + u32::from(digit - b'0'))
    };
    after.map(version).max().context("it names no C library")
}

/// The services that the functions run against, and the root that they see.
struct Ground {
    server: Postgres,
    secrets: SecretsManager,
    simulator: Simulator,
    signing_secret: String,
    root: Scratch,
}

impl Ground {
    async fn new(build: &Path) -> Result<Self> {
        let server = Postgres::start(Options::default().tls()).await?;
        let certificates = server.ca_file();
        let folder = certificates.parent().context("no folder of certificates")?;
        let secrets = SecretsManager::start_tls(folder).await?;
        let simulator = Simulator::start(Stack::default(), simulator::Options::default()).await?;
        let database = server.database().await?;
        let over_tls = |url: &str| {
            format!(
                "{}?sslmode=verify-full",
                url.replace("127.0.0.1", "localhost")
            )
        };
        let signing_secret = signing_secret();
        let secret = json!({
            "database_url": over_tls(database.url()),
            "admin_database_url": over_tls(database.owner_url()),
            "signing_secrets": [signing_secret],
            "provider": simulator.secret(),
        });
        secrets.put(SECRET, &secret).await?;
        let root = bare_root(build)?;
        fs::copy(&certificates, root.path().join(BUNDLE)).context("copy the certificates")?;
        Ok(Self {
            server,
            secrets,
            simulator,
            signing_secret,
            root,
        })
    }

    /// Starts a function in the bare root.
    async fn start(&self, name: &str) -> Result<Function> {
        let script = self
            .root
            .path()
            .with_file_name(format!("in-a-bare-root-{name}"));
        let chroot = system_program("chroot")?.display().to_string();
        let enter = match unprivileged()? {
            Some(_) => chroot,
            // Who is not root is root in a namespace of their own.
            None => format!("unshare --user --map-root-user {chroot}"),
        };
        let root = self.root.path().display();
        fs::write(
            &script,
            format!("#!/bin/sh\nexec {enter} {root} /var/task/{name}/bootstrap\n"),
        )?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
        let function = Function::spawn_program(script, self.secrets.env(SECRET)).await?;
        Ok(function)
    }

    async fn certificates_are_found(&self) -> Result<()> {
        let provision = self.start("provision").await?;
        provision.ready().await?;
        let answer = provision.invoke(json!({})).await;
        answer.with_context(|| provision.logs().unwrap_or_default())?;

        let webhook = self.start("webhook").await?;
        webhook.ready().await?;
        let secret = json!({"signing_secrets": [self.signing_secret]});
        let sending: sender::Options = self.simulator.sending(&secret, webhook.url())?;
        let sender = Sender::new(sending)?;
        self.simulator.create("Ada", "ada@example.com")?;
        for message in self.simulator.take_messages() {
            let status = sender.deliver_once(&message).await?;
            ensure!(
                status == 200,
                "{}: {status}\n{}",
                message.kind,
                webhook.logs()?
            );
        }

        let reconcile = self.start("reconcile").await?;
        reconcile.ready().await?;
        self.simulator.seed(3);
        let report = reconcile.invoke(json!({})).await;
        let report = report.with_context(|| reconcile.logs().unwrap_or_default())?;
        let counts = [&report["listed"], &report["created"], &report["unchanged"]];
        ensure!(
            counts == [&json!(4), &json!(3), &json!(1)],
            "{report}\n{}",
            self.server.log()?
        );
        Ok(())
    }

    async fn without_certificates_nothing_starts(&self) -> Result<()> {
        fs::write(self.root.path().join(BUNDLE), "").context("empty the certificates")?;
        // provision answers even if it can't start, so as not to leave a deployment waiting.
        for name in ["webhook", "reconcile"] {
            let function = self.start(name).await?;
            let code = function.exit(Duration::from_secs(60)).await?;
            let logs = function.logs()?;
            ensure!(code != 0, "{name} says that all is well:\n{logs}");
            ensure!(
                !logs.contains("cannot open shared object"),
                "{name}: {logs}"
            );
        }
        Ok(())
    }
}

/// A root folder with the C library of this machine, the packages, and no certificates yet.
fn bare_root(build: &Path) -> Result<Scratch> {
    let root = Scratch::new("root")?;
    let make = |path: &str| {
        let path = root.path().join(path.trim_start_matches('/'));
        let folder = path.parent().context("no folder")?;
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        anyhow::Ok(path)
    };
    for (name, folder) in FUNCTIONS {
        let program = build.join(folder).join("bootstrap");
        fs::copy(program, make(&format!("var/task/{name}/bootstrap"))?).context("unpack")?;
    }
    let (loader, folder) = c_library(&build.join(FUNCTIONS[0].1).join("bootstrap"))?;
    fs::copy(&loader, make(&loader)?).context("copy the loader")?;
    for file in LIBC {
        let library = folder.join(file);
        if library.exists() {
            fs::copy(&library, make(&library.display().to_string())?).context("copy libc")?;
        }
    }
    for file in ["/etc/hosts", "/etc/resolv.conf"] {
        if Path::new(file).exists() {
            fs::copy(file, make(file)?).with_context(|| format!("copy {file}"))?;
        }
    }
    make(BUNDLE)?;
    symlink(format!("/{BUNDLE}"), make(LINK)?).context("link the certificates")?;
    Ok(root)
}

/// This machine's loader, and the folder of its C library, as `ldd` prints them.
fn c_library(program: &Path) -> Result<(String, PathBuf)> {
    let output = Command::new("ldd")
        .arg(program)
        .output()
        .context("run ldd")?;
    let text = String::from_utf8(output.stdout)?;
    let mut words = text.split_whitespace();
    let loader = words.clone().find(|word| word.contains("/ld-linux"));
    let libc = words.find(|word| word.ends_with("/libc.so.6"));
    let loader =
        loader.with_context(|| format!("no loader, which means another processor: {text}"))?;
    let folder = libc
        .and_then(|libc| Path::new(libc).parent())
        .context("no C library")?;
    Ok((loader.to_owned(), folder.to_owned()))
}
