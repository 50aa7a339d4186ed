//! The database's address: read as libpq reads it, and verified no less.
//!
//! The strings are drawn from fixed seeds; `USERS_SYNC_SEED=…` draws others.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use serde_json::{Value, json};
use shared::store::conninfo::Conninfo;
use tests::gate::{Gate, Way};
use tests::libpq;
use tests::postgres::{Options, Postgres};
use tests::stage::{Setup, Stage};
use tests::tools::free_port;
use tokio::net::{TcpSocket, TcpStream};

/// Pieces that a part of a connection string may be made of, and that may end it.
const PIECES: &[&str] = &[
    "a",
    "B",
    "7",
    "u",
    "h",
    "p",
    "%41",
    "%2C",
    "%2f",
    "%3D",
    "%26",
    "%c3%a4",
    "%ff",
    "%00",
    "%",
    "%4",
    "%zz",
    "?",
    "/",
    "@",
    ":",
    "&",
    "=",
    ";",
    "#",
    "[",
    "]",
    ",",
    " ",
    "\t",
    "\n",
    "\u{b}",
    "'",
    "\\",
    "ä",
    "🦀",
    "+",
    "-",
    ".",
    "..",
    "::1",
    "[::1]",
    "localhost",
    "127.0.0.1",
    "5432",
    "&&",
    "?&",
    "//",
    "$",
    "!",
    "*",
    "~",
    "\"",
    "|",
    "(",
    ")",
];

/// Parameters, as they stand in a query or in place of a URL.
const PARAMETERS: &[&str] = &[
    "sslmode=require",
    "sslmode=verify-full",
    "sslmode=",
    "ssl%6Dode=require",
    "ssl=true",
    "ssl=false",
    "ssl=1",
    "requiressl=1",
    "requiressl=0",
    "host=h2",
    "host=a,b",
    "host=%2Ftmp",
    "hostaddr=::1",
    "port=6000",
    "port=1,2",
    "port=",
    "user=x",
    "password=y",
    "password=a%26b",
    "dbname=z",
    "dbname=",
    "connect_timeout=5",
    "application_name=x y",
    "application_name= x ",
    "application_name=x%20y",
    "options=-c%20geqo%3Doff",
    "channel_binding=require",
    "amp;channel_binding=require",
    "Sslmode=require",
    " sslmode = require ",
    "sslrootcert=/x.pem?sslmode=verify-full",
    "nothing=known",
    "=",
    "sslmode",
    "",
];

fn pick<'a>(rng: &mut Rng, all: &[&'a str]) -> &'a str {
    all[rng.usize(..all.len())]
}

/// Mostly as people write it, with something nasty here and there.
fn part(rng: &mut Rng, usual: &str) -> String {
    match rng.u8(..4) {
        0 => usual.to_owned(),
        1 => String::new(),
        2 => format!("{usual}{}", pick(rng, PIECES)),
        _ => (0..rng.usize(1..6)).map(|_| pick(rng, PIECES)).collect(),
    }
}

fn query(rng: &mut Rng) -> String {
    let parameters: Vec<String> = (0..rng.usize(..4))
        .map(|_| match rng.u8(..5) {
            0 => format!("{}={}", part(rng, "sslmode"), part(rng, "require")),
            1 => format!("password={}", part(rng, "p")),
            _ => pick(rng, PARAMETERS).to_owned(),
        })
        .collect();
    parameters.join(if rng.u8(..9) == 0 { "?" } else { "&" })
}

fn url(rng: &mut Rng) -> String {
    let mut url = pick(
        rng,
        &["postgres://", "postgres://", "postgresql://", "Postgres://"],
    )
    .to_owned();
    if rng.bool() {
        url += &part(rng, "user");
        if rng.bool() {
            url += ":";
            url += &part(rng, "p%40ss");
        }
        url += "@";
    }
    for number in 0..rng.usize(1..4) {
        url += if number > 0 { "," } else { "" };
        url += &part(rng, "host");
        if rng.bool() {
            url += ":";
            url += &part(rng, "5432");
        }
    }
    if rng.bool() {
        url += "/";
        url += &part(rng, "db");
    }
    if rng.bool() {
        url += "?";
        url += &query(rng);
    }
    url
}

fn pairs(rng: &mut Rng) -> String {
    let mut text = String::new();
    for _ in 0..rng.usize(..5) {
        text += pick(
            rng,
            &[
                "host",
                "user",
                "password",
                "dbname",
                "sslmode",
                "requiressl",
                "ssl",
                "x",
            ],
        );
        text += pick(rng, &["=", "=", " = ", "= ", "", "=="]);
        let value = part(rng, "value");
        text += &match rng.u8(..3) {
            0 => value,
            1 => format!("'{value}'"),
            _ => format!("'{}'", value.replace('\\', r"\\").replace('\'', r"\'")),
        };
        text += pick(rng, &[" ", "  ", "\t", "\n", ""]);
    }
    text
}

#[test]
fn a_connection_string_is_read_as_libpq_reads_it() -> Result<()> {
    let seed = std::env::var("USERS_SYNC_SEED").ok();
    let seed = seed.map_or(Ok(9), |seed| seed.parse())?;
    let mut rng = Rng::with_seed(seed);
    let mut texts: Vec<String> = PARAMETERS
        .iter()
        .map(|parameter| format!("postgres://u:p@h/d?{parameter}"))
        .collect();
    texts.extend((0..20_000).map(|_| url(&mut rng)));
    texts.extend((0..8_000).map(|_| pairs(&mut rng)));
    texts.extend((0..8_000).map(|_| {
        let pieces = (0..rng.usize(..9)).map(|_| pick(&mut rng, PIECES));
        format!("postgres://{}", pieces.collect::<String>())
    }));
    let answers = libpq::ask(&texts)?;
    let mut taken = 0;
    for (text, expected) in texts.iter().zip(answers.parameters) {
        let found = Conninfo::parse(text);
        let error = found.as_ref().err().cloned();
        let found = found.ok().map(|info| {
            let owned = info
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_vec()));
            owned.collect::<BTreeMap<_, _>>()
        });
        ensure!(
            found == expected,
            "seed {seed}: {text:?}: {found:?} ({error:?}), and not {expected:?}"
        );
        taken += usize::from(found.is_some());
    }
    // It must not come to pass that all that is compared is refused.
    ensure!(taken > 9_000, "{taken} of {}", texts.len());
    Ok(())
}

#[test]
fn every_parameter_of_libpq_is_known() -> Result<()> {
    let known = libpq::ask(&[])?.known;
    ensure!(known.len() > 45, "{known:?}");
    for name in known {
        let info = Conninfo::parse(&format!("postgres://h/d?{name}=x"));
        let info = info.map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
        ensure!(info.get(&name) == Some(b"x"), "{name}");
    }
    Ok(())
}

/// Runs `reconcile` with this as `database_url`, and these certificates.
async fn reconciled(stage: &Stage, url: &str, certificates: Option<&str>) -> Result<Value> {
    stage.change_secret(|secret| {
        secret["database_url"] = json!(url);
        secret["admin_database_url"] = json!(url);
        match certificates {
            Some(pem) => secret["database_root_certificates"] = json!(pem),
            None => drop(
                secret
                    .as_object_mut()
                    .map(|all| all.remove("database_root_certificates")),
            ),
        }
    })?;
    let reconcile = stage.start("reconcile").await?;
    Ok(reconcile.invoke(json!({})).await?)
}

async fn connects(stage: &Stage, url: &str, certificates: Option<&str>) -> Result<()> {
    let report = reconciled(stage, url, certificates)
        .await
        .with_context(|| url.to_owned())?;
    ensure!(report["outcome"] == "complete", "{url}: {report}");
    Ok(())
}

async fn refuses(stage: &Stage, url: &str, certificates: Option<&str>, words: &str) -> Result<()> {
    let begun = Instant::now();
    let error = reconciled(stage, url, certificates).await.err();
    let error = error
        .with_context(|| format!("it connects: {url}"))?
        .to_string();
    ensure!(error.contains(words), "{url}: {error}");
    ensure!(
        begun.elapsed() < Duration::from_secs(10),
        "{url}: {:?}",
        begun.elapsed()
    );
    Ok(())
}

#[tokio::test]
async fn no_mode_is_weaker_than_its_name() -> Result<()> {
    let server = Postgres::start(Options::default().tls()).await?;
    let stage = Stage::on(&server, Setup::default()).await?;
    let by_address = stage.database.url().to_owned();
    let by_name = by_address.replace("127.0.0.1", "localhost");
    let file = server.ca_file();
    let file = file.to_str().context("a path")?;
    let pem = fs::read_to_string(file)?;
    let pem = Some(&*pem);
    let unknown = "certificate of Postgres is for another host";
    // Nothing is verified.
    for parameters in [
        "sslmode=require",
        "ssl%6Dode=require",
        "ssl=true",
        "sslmode=prefer",
        "sslmode=require&channel_binding=require",
        "sslmode=require&sslsni=0&ssl_min_protocol_version=TLSv1.3",
        "sslmode=require&target_session_attrs=primary",
        "sslmode=require&target_session_attrs=read-write",
    ] {
        connects(&stage, &format!("{by_address}?{parameters}"), None).await?;
    }
    // The chain is, and the name where it is asked for.
    for mode in ["require", "verify-ca", "verify-full"] {
        let url = format!("{by_name}?sslmode={mode}");
        connects(&stage, &url, pem).await?;
        connects(&stage, &format!("{url}&sslrootcert={file}"), None).await?;
        let url = format!("{by_address}?sslmode={mode}");
        match mode {
            "verify-full" => refuses(&stage, &url, pem, unknown).await?,
            _ => connects(&stage, &url, pem).await?,
        }
    }
    let named =
        by_address.replace("127.0.0.1", "localhost") + "?sslmode=verify-full&hostaddr=127.0.0.1";
    connects(&stage, &named, pem).await?;
    let other = Postgres::start(Options::default().tls()).await?;
    let other = fs::read_to_string(other.ca_file())?;
    for mode in ["require", "verify-ca", "verify-full"] {
        let url = format!("{by_name}?sslmode={mode}");
        refuses(&stage, &url, Some(&other), unknown).await?;
    }
    refuses(
        &stage,
        &format!("{by_name}?sslmode=verify-full"),
        None,
        unknown,
    )
    .await?;
    let plain = "pg_hba.conf";
    refuses(
        &stage,
        &format!("{by_address}?sslmode=disable"),
        None,
        plain,
    )
    .await
}

#[tokio::test]
async fn a_password_full_of_separators_is_the_password() -> Result<()> {
    let stage = Stage::new().await?;
    let url = stage.database.url().to_owned();
    let login = crate::site::login(&url).to_owned();
    let other = |userinfo: &str| url.replace(&format!("{login}:{login}@"), &format!("{userinfo}@"));
    for (password, written) in [
        ("p?w", "p?w"),
        ("p?w#&=;", "p?w#&=;"),
        ("a:b:c", "a:b:c"),
        ("p/w@%", "p%2Fw%40%25"),
        ("é🦀", "é%F0%9F%A6%80"),
    ] {
        stage
            .execute(&format!("ALTER ROLE {login} PASSWORD '{password}'"))
            .await?;
        connects(&stage, &other(&format!("{login}:{written}")), None).await?;
    }
    let (_, address) = url.split_once('@').context("an address")?;
    let query = format!("postgres://{address}?user={login}&password=%C3%A9%F0%9F%A6%80");
    connects(&stage, &query, None).await?;
    let (port, name) = address
        .trim_start_matches("127.0.0.1:")
        .split_once('/')
        .context("a port")?;
    let pairs = format!("host=127.0.0.1 port = {port} user={login} dbname='{name}' password='é🦀'");
    connects(&stage, &pairs, None).await?;
    let ports = format!("postgres://{login}:%C3%A9🦀@127.0.0.1/{name}?port={port}");
    connects(&stage, &ports, None).await
}

#[tokio::test]
async fn other_tools_parameters_are_ignored_with_one_warning() -> Result<()> {
    let stage = Stage::new().await?;
    let url = format!(
        "{}?pgbouncer=true&schema=public&connection_limit=1&pool_timeout=0",
        stage.database.url()
    );
    stage.change_secret(|secret| secret["database_url"] = json!(url))?;
    let reconcile = stage.reconcile().await?;
    for _ in 0..2 {
        reconcile.invoke(json!({})).await?;
    }
    let logs = reconcile.logs()?;
    let warnings: Vec<&str> = logs.lines().filter(|line| line.contains("WARN")).collect();
    let [warning] = *warnings else {
        anyhow::bail!("{logs}");
    };
    for name in [
        "database_url",
        "pgbouncer",
        "schema",
        "connection_limit",
        "pool_timeout",
    ] {
        ensure!(warning.contains(name), "{warning}");
    }
    Ok(())
}

/// A port where nobody answers a call: its queue is full, and nobody takes from it.
struct Silent {
    port: u16,
    _queue: tokio::net::TcpListener,
    _callers: Vec<std::io::Result<TcpStream>>,
}

impl Silent {
    async fn open() -> Result<Self> {
        let port = free_port()?;
        let socket = TcpSocket::new_v4()?;
        socket.bind(([127, 0, 0, 1], port).into())?;
        let queue = socket.listen(1)?;
        let mut callers = Vec::new();
        for _ in 0..4 {
            let call = TcpStream::connect(("127.0.0.1", port));
            callers.extend(tokio::time::timeout(Duration::from_millis(200), call).await);
        }
        Ok(Self {
            port,
            _queue: queue,
            _callers: callers,
        })
    }
}

#[tokio::test]
async fn an_address_that_is_dead_holds_nobody_up() -> Result<()> {
    let server = Postgres::shared().await?;
    let silent = Silent::open().await?;
    let held = Gate::start(server.port()).await?;
    held.set(Way::Held);
    let reset = Gate::start(server.port()).await?;
    reset.set(Way::Reset);
    let [silent, held, reset] = [silent.port, held.port(), reset.port()];
    let dead = [
        vec![silent],
        vec![held],
        vec![reset],
        vec![free_port()?],
        vec![silent, held, reset, held],
    ];
    for ports in dead {
        let stage = Stage::on(server, Setup::default()).await?;
        let url = stage.database.url().to_owned();
        let hosts: Vec<String> = ports
            .iter()
            .map(|port| format!("127.0.0.1:{port}"))
            .collect();
        let real = format!("@127.0.0.1:{}", server.port());
        let behind = url.replace(&real, &format!("@{},{}", hosts.join(","), &real[1..]));
        ensure!(behind != url, "{url}");
        stage.change_secret(|secret| secret["database_url"] = json!(behind))?;
        let begun = Instant::now();
        let stage = stage.receives().await?;
        // It has no connection yet, or has one from its start: the next is slow as well.
        server.terminate_backends(stage.database.name()).await?;
        stage.simulator.create("Ada", "ada@example.com")?;
        stage.deliver_all().await?;
        ensure!(
            begun.elapsed() < Duration::from_secs(14),
            "{ports:?}: {:?}",
            begun.elapsed()
        );
        stage.assert_in_sync().await?;
    }
    Ok(())
}
