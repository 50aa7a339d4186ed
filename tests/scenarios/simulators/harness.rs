//! The harness itself: what the other scenarios take for granted.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use postgres_native_tls::MakeTlsConnector;
use serde_json::{Value, json};
use tests::function::Function;
use tests::function_url;
use tests::meter::Meter;
use tests::pgbouncer::PgBouncer;
use tests::postgres::{Mode, Options, Postgres, connect};
use tests::runtime_api::RuntimeApi;
use tests::scratch::Scratch;
use tests::secret_file::SecretFile;
use tests::secrets_manager::SecretsManager;
use tests::watchdog::Watched;
use tokio_postgres::Client;

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_meter_counts_bytes_and_round_trips() -> Result<()> {
    let server = Postgres::shared().await?;
    let database = server.database().await?;
    let meter = Meter::start(server.port()).await?;
    let client = connect(&meter.url(database.admin_url())).await?;
    client.batch_execute("SELECT 1").await?;
    assert!(meter.sent() > 0 && meter.round_trips() > 1);
    let long = format!("SELECT length('{}')", "x".repeat(100_000));
    for statement in ["SELECT 1", "SELECT 1; SELECT repeat('x', 1000000)", &long] {
        client.batch_execute(statement).await?;
    }
    assert_eq!(meter.round_trips(), 3);
    assert!((100_000..101_000).contains(&meter.sent()));
    assert_eq!((meter.sent(), meter.round_trips()), (0, 0));
    Ok(())
}

#[tokio::test]
async fn databases_are_separate() -> Result<()> {
    let server = Postgres::shared().await?;
    let (one, other) = (server.database().await?, server.database().await?);
    one.connect()
        .await?
        .batch_execute("CREATE TABLE marker ()")
        .await?;
    assert_eq!(tables(&one.connect().await?).await?, ["marker"]);
    assert!(tables(&other.connect().await?).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn the_app_may_connect_and_nothing_more() -> Result<()> {
    let database = Postgres::shared().await?.database().await?;
    for url in [database.url(), &database.login("reader").await?] {
        let app = connect(url).await?;
        let error = app
            .batch_execute("CREATE SCHEMA mine")
            .await
            .expect_err("no rights");
        assert_eq!(error.code().map(|code| code.code()), Some("42501"));
    }
    connect(database.owner_url())
        .await?
        .batch_execute("CREATE SCHEMA mine")
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_stopped_server_refuses_and_starts_again_with_its_data() -> Result<()> {
    let server = Postgres::start(Options::default().set("log_statement", "all")).await?;
    let database = server.database().await?;
    database
        .connect()
        .await?
        .batch_execute("CREATE TABLE marker ()")
        .await?;
    for mode in [Mode::Fast, Mode::Immediate] {
        server.stop(mode).await?;
        assert!(database.connect().await.is_err());
        server.start_again().await?;
        assert_eq!(tables(&database.connect().await?).await?, ["marker"]);
    }
    assert!(server.log()?.contains("statement: CREATE TABLE marker ()"));
    Ok(())
}

#[tokio::test]
async fn terminated_backends_lose_their_connections() -> Result<()> {
    let server = Postgres::shared().await?;
    let database = server.database().await?;
    let client = database.connect().await?;
    client.batch_execute("SELECT 1").await?;
    assert_eq!(server.terminate_backends(database.name()).await?, 1);
    assert!(client.batch_execute("SELECT 1").await.is_err());
    Ok(())
}

/// Autovacuum comes to any database at any time: it must not be counted as somebody's connection.
#[tokio::test]
async fn terminated_backends_are_those_of_clients() -> Result<()> {
    let options = Options::default()
        .set("autovacuum_naptime", "1")
        .set("autovacuum_analyze_threshold", "1");
    let server = Postgres::start(options).await?;
    let database = server.database().await?;
    let client = database.connect().await?;
    client
        .batch_execute(
            "CREATE TABLE public.analyzed (id int);
            CREATE FUNCTION public.slow(id int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
            BEGIN
                IF current_setting('slow.skipped', true) IS NULL THEN PERFORM pg_sleep(60); END IF;
                RETURN id;
            END $$;
            CREATE INDEX ON public.analyzed (public.slow(id));
            SET slow.skipped = 'yes';
            INSERT INTO public.analyzed SELECT generate_series(1, 100)",
        )
        .await?;
    let outside = server.connect("postgres").await?;
    let worker = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = $1 AND backend_type = 'autovacuum worker'";
    let start = Instant::now();
    loop {
        let workers: i64 = outside.query_one(worker, &[&database.name()]).await?.get(0);
        if workers > 0 {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "no autovacuum");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(server.terminate_backends(database.name()).await?, 1);
    Ok(())
}

#[tokio::test]
async fn the_tls_server_is_known_by_its_name_alone() -> Result<()> {
    let server = Postgres::start(Options::default().tls()).await?;
    let database = server.database().await?;
    let by_name = format!(
        "{}?sslmode=require",
        database.url().replace("127.0.0.1", "localhost")
    );
    let by_address = format!("{}?sslmode=require", database.url());
    let authority = fs::read(server.ca_file()).context("read the authority")?;

    let bound = format!("{by_name}&channel_binding=require");
    connect_tls(&bound, Some(&authority))
        .await?
        .batch_execute("SELECT 1")
        .await?;
    let error = connect_tls(&by_address, Some(&authority))
        .await
        .err()
        .context("wrong name")?;
    assert!(format!("{error:#}").contains("mismatch"), "{error:#}");
    let error = connect_tls(&by_name, None)
        .await
        .err()
        .context("unknown authority")?;
    assert!(
        format!("{error:#}").contains("certificate verify failed"),
        "{error:#}"
    );
    let error = connect(database.url()).await.err().context("plain text")?;
    assert!(format!("{error:#}").contains("no encryption"), "{error:#}");
    Ok(())
}

#[tokio::test]
async fn pgbouncer_shares_one_connection_between_transactions() -> Result<()> {
    let server = Postgres::shared().await?;
    let bouncer = PgBouncer::start(server, 1).await?;
    let database = server.database().await?;
    let url = bouncer.url(database.url());
    assert_ne!(url, database.url());
    let (one, other) = (connect(&url).await?, connect(&url).await?);
    let backend = "SELECT pg_backend_pid()";
    let first: i32 = one.query_typed(backend, &[]).await?[0].get(0);
    let second: i32 = other.query_typed(backend, &[]).await?[0].get(0);
    assert_eq!(first, second);
    Ok(())
}

/// Run by [`a_killed_owner_leaves_nothing_behind`] in a process of its own, which is then killed.
const OWNER_REPORT: &str = "HARNESS_OWNER_REPORT";

#[tokio::test]
async fn a_killed_owner_leaves_nothing_behind() -> Result<()> {
    if let Some(report) = std::env::var_os(OWNER_REPORT) {
        return own_a_server(Path::new(&report)).await;
    }
    let scratch = Scratch::new("owner")?;
    let report = scratch.path().join("report");
    let mut owner = Command::new(std::env::current_exe()?)
        .args([
            "--exact",
            "simulators::harness::a_killed_owner_leaves_nothing_behind",
        ])
        .env(OWNER_REPORT, &report)
        .stdout(std::process::Stdio::null())
        .spawn()
        .context("start the owner")?;
    let owned: Value = eventually(Duration::from_secs(30), || {
        serde_json::from_slice(&fs::read(&report).ok()?).ok()
    })
    .await
    .context("the owner started no server")?;
    let port = u16::try_from(owned["port"].as_u64().context("read the port")?)?;
    let folder = PathBuf::from(owned["folder"].as_str().context("read the folder")?);
    assert!(TcpListener::bind(("127.0.0.1", port)).is_err());
    assert!(folder.exists());

    owner.kill()?;
    owner.wait()?;
    let gone = || TcpListener::bind(("127.0.0.1", port)).is_ok() && !folder.exists();
    eventually(SOON, || gone().then_some(()))
        .await
        .context("the server outlives its owner")
}

async fn own_a_server(report: &Path) -> Result<()> {
    let server = Postgres::start(Options::default()).await?;
    let folder = server
        .ca_file()
        .parent()
        .context("find the folder")?
        .to_owned();
    let draft = report.with_extension("draft");
    fs::write(
        &draft,
        json!({"port": server.port(), "folder": folder}).to_string(),
    )?;
    fs::rename(&draft, report)?;
    std::future::pending().await
}

#[tokio::test]
async fn a_watched_program_reports_its_exit_and_takes_signals() -> Result<()> {
    let scratch = Scratch::new("watchdog")?;
    let log = scratch.path().join("log");
    let mut shell = Watched::command(Path::new("/bin/sh"), "TERM");
    let ended = Watched::spawn(shell.args(["-c", "echo out; echo err >&2; exit 7"]), &log)?;
    assert_eq!(ended.wait(SOON).await?, 7);
    assert_eq!(fs::read_to_string(&log)?, "out\nerr\n");

    let mut sleep = Watched::command(Path::new("/bin/sleep"), "TERM");
    let asleep = Watched::spawn(sleep.arg("600"), &log)?;
    assert_eq!(asleep.ended()?, None);
    let memory = eventually(SOON, || asleep.peak_memory().ok()).await?;
    assert!(memory > 0);
    asleep.signal("TERM");
    assert_eq!(asleep.wait(SOON).await?, 128 + 15);
    assert_eq!(fs::read_to_string(&log)?, "out\nerr\n");
    Ok(())
}

#[tokio::test]
async fn the_runtime_api_carries_events_and_answers() -> Result<()> {
    let (api, base) = fake_function().await?;
    let before = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let caller = invoke(&api, json!({"n": 1}), Duration::from_secs(7));
    let (headers, event) = take(&base).await?;
    assert_eq!(event, json!({"n": 1}));
    let deadline: u128 = headers["lambda-runtime-deadline-ms"].to_str()?.parse()?;
    assert!(
        (before + 7000..before + 8000).contains(&deadline),
        "{deadline}"
    );
    assert!(headers.contains_key("lambda-runtime-invoked-function-arn"));
    let id = headers["lambda-runtime-aws-request-id"].to_str()?;
    assert_eq!(
        send(&base, &format!("invocation/{id}/response"), json!({"m": 2})).await?,
        202
    );
    assert_eq!(caller.await??, r#"{"m":2}"#);
    assert_eq!(
        send(&base, &format!("invocation/{id}/response"), json!({})).await?,
        400
    );

    let caller = invoke(&api, json!({}), SOON);
    let (headers, _) = take(&base).await?;
    let id = headers["lambda-runtime-aws-request-id"].to_str()?;
    let error = json!({"errorType": "Held", "errorMessage": "why", "stackTrace": []});
    assert_eq!(
        send(&base, &format!("invocation/{id}/error"), error).await?,
        202
    );
    let error = caller.await?.expect_err("the function failed");
    assert_eq!((&*error.error_type, &*error.error_message), ("Held", "why"));
    Ok(())
}

#[tokio::test]
async fn an_overrun_deadline_kills_the_instance() -> Result<()> {
    let killed = Arc::new(AtomicBool::default());
    let api = RuntimeApi::default();
    let flag = Arc::clone(&killed);
    let (_, address) = api.open(move || flag.store(true, Ordering::SeqCst)).await?;
    let caller = invoke(&api, json!({}), Duration::from_millis(50));
    take(&format!("http://{address}/2018-06-01/runtime")).await?;
    let error = caller.await?.expect_err("the function is late");
    assert_eq!(error.error_type, "Sandbox.Timedout");
    assert!(killed.load(Ordering::SeqCst));
    Ok(())
}

#[tokio::test]
async fn the_function_url_turns_requests_into_events_and_back() -> Result<()> {
    let (api, base) = fake_function().await?;
    let url = function_url::serve(api, SOON).await?;
    let client = reqwest::Client::new();
    for (kind, body, expected, encoded) in [
        (
            "application/json; charset=utf-8",
            "{\"ü\":1}".as_bytes(),
            "{\"ü\":1}",
            false,
        ),
        ("application/octet-stream", b"\xff\x00", "/wA=", true),
        ("application/x-www-form-urlencoded", b"a=b", "YT1i", true),
        ("text/plain", b"\xff", "/w==", true),
    ] {
        let request = client.post(format!("{url}/a/b?c=d&e")).body(body.to_vec());
        let request = request
            .header("Content-Type", kind)
            .header("X-Two", "1")
            .header("X-Two", "2");
        let request = request
            .header("Cookie", "k=v; l=w")
            .header("User-Agent", "test");
        let delivery = tokio::spawn(request.send());
        let (headers, event) = take(&base).await?;
        assert_eq!(event["version"], "2.0");
        assert_eq!(event["rawPath"], "/a/b");
        assert_eq!(event["rawQueryString"], "c=d&e");
        assert_eq!(event["headers"]["x-two"], "1,2");
        assert_eq!(event["headers"]["content-type"], kind);
        assert_eq!(event["cookies"], json!(["k=v", "l=w"]));
        let http = json!({"method": "POST", "path": "/a/b", "protocol": "HTTP/1.1",
            "sourceIp": "127.0.0.1", "userAgent": "test"});
        assert_eq!(event["requestContext"]["http"], http);
        assert_eq!(
            (&event["body"], &event["isBase64Encoded"]),
            (&json!(expected), &json!(encoded))
        );

        let id = headers["lambda-runtime-aws-request-id"].to_str()?;
        let answer = json!({"statusCode": 418, "headers": {"x-a": "b"}, "body": "/wA=",
            "isBase64Encoded": true});
        send(&base, &format!("invocation/{id}/response"), answer).await?;
        let response = delivery.await??;
        assert_eq!(response.status(), 418);
        assert_eq!(response.headers()["x-a"], "b");
        assert_eq!(response.bytes().await?, Bytes::from_static(b"\xff\x00"));
    }
    let large = client
        .post(&url)
        .body(vec![b'a'; 6 * 1024 * 1024])
        .send()
        .await?;
    assert_eq!(large.status(), 413);
    Ok(())
}

#[tokio::test]
async fn a_dead_instance_is_a_bad_gateway() -> Result<()> {
    // A program that ends at once: its standard input is empty.
    let function = Function::spawn_program("/bin/cat".into(), Vec::new()).await?;
    assert_eq!(function.exit(SOON).await?, 0);
    let error = function.invoke(json!({})).await.expect_err("nothing runs");
    assert_eq!(error.error_type, "Runtime.ExitError");
    let response = reqwest::get(format!("{}/", function.url())).await?;
    assert_eq!(response.status(), 502);
    Ok(())
}

#[tokio::test]
async fn a_function_sees_the_given_environment_alone() -> Result<()> {
    let function = Function::spawn_program("/usr/bin/env".into(), Vec::new()).await?;
    function.exit(SOON).await?;
    let logs = function.logs()?;
    let names = logs
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name);
    let known = |name: &&str| !["PATH", "PWD", "OLDPWD", "SHLVL", "_"].contains(name);
    let names: Vec<_> = names.filter(known).collect();
    assert!(
        names.iter().all(|name| name.starts_with("AWS_LAMBDA_")),
        "{names:?}"
    );
    assert!(!function.is_running());
    Ok(())
}

#[tokio::test]
async fn a_killed_instance_fails_its_invocation_and_another_takes_the_next() -> Result<()> {
    let scratch = Scratch::new("runtime")?;
    let program = scratch.path().join("fake");
    // Takes one invocation and never answers it.
    let script = "#!/usr/bin/env python3\n\
        import os, time, urllib.request\n\
        base = 'http://' + os.environ['AWS_LAMBDA_RUNTIME_API'] + '/2018-06-01/runtime/'\n\
        urllib.request.urlopen(base + 'invocation/next').read()\n\
        print('taken', flush=True)\n\
        time.sleep(600)\n";
    fs::write(&program, script)?;
    fs::set_permissions(
        &program,
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )?;
    let function = Arc::new(Function::spawn_program(program, Vec::new()).await?);
    for round in 1..=2 {
        function.ready().await?;
        let caller = Arc::clone(&function);
        let caller = tokio::spawn(async move { caller.invoke(json!({})).await });
        eventually(SOON, || {
            (function.logs().ok()?.matches("taken").count() == round).then_some(())
        })
        .await?;
        function.kill();
        assert!(!function.is_running());
        let error = caller.await?.expect_err("the instance died");
        assert_eq!(error.error_type, "Runtime.ExitError");
        assert!(error.error_message.ends_with("signal: killed"), "{error}");
        function.spawn_instance().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_secret_file_is_replaced_in_place() -> Result<()> {
    let file = SecretFile::new(&json!({"a": 1}))?;
    let [(name, path)] = file.env();
    assert_eq!(name, "SECRET_FILE");
    assert_eq!(fs::read_to_string(&path)?, r#"{"a":1}"#);
    file.write(&json!({"a": 2}))?;
    assert_eq!(fs::read_to_string(&path)?, r#"{"a":2}"#);
    Ok(())
}

#[tokio::test]
async fn the_secrets_manager_keeps_the_last_value() -> Result<()> {
    let manager = SecretsManager::shared().await?;
    let id = tests::tools::random_name("secret");
    for value in [1, 2] {
        manager.put(&id, &json!({"a": value})).await?;
        assert_eq!(manager.get(&id).await?, json!({"a": value}));
    }
    assert!(manager.env(&id).contains(&("SECRET_ID".to_owned(), id)));
    Ok(())
}

async fn tables(client: &Client) -> Result<Vec<String>> {
    let statement = "SELECT relname::text FROM pg_class
        WHERE relnamespace = 'public'::regnamespace";
    let rows = client.query(statement, &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

async fn connect_tls(url: &str, authority: Option<&[u8]>) -> Result<Client> {
    let mut builder = native_tls::TlsConnector::builder();
    if let Some(authority) = authority {
        builder.add_root_certificate(native_tls::Certificate::from_pem(authority)?);
    }
    let connector = MakeTlsConnector::new(builder.build()?);
    let (client, connection) = tokio_postgres::connect(url, connector).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn fake_function() -> Result<(RuntimeApi, String)> {
    let api = RuntimeApi::default();
    let (_, address) = api.open(|| {}).await?;
    Ok((api, format!("http://{address}/2018-06-01/runtime")))
}

type Caller = tokio::task::JoinHandle<tests::runtime_api::Answer>;

fn invoke(api: &RuntimeApi, event: Value, limit: Duration) -> Caller {
    let api = api.clone();
    tokio::spawn(async move { api.invoke(Bytes::from(event.to_string()), limit).await })
}

async fn take(base: &str) -> Result<(reqwest::header::HeaderMap, Value)> {
    let response = reqwest::get(format!("{base}/invocation/next")).await?;
    ensure!(response.status() == 200, "{}", response.status());
    let headers = response.headers().clone();
    Ok((headers, serde_json::from_slice(&response.bytes().await?)?))
}

async fn send(base: &str, path: &str, body: Value) -> Result<u16> {
    let request = reqwest::Client::new().post(format!("{base}/{path}"));
    Ok(request
        .body(body.to_string())
        .send()
        .await?
        .status()
        .as_u16())
}

async fn eventually<T>(limit: Duration, look: impl Fn() -> Option<T>) -> Result<T> {
    let start = Instant::now();
    while start.elapsed() < limit {
        if let Some(found) = look() {
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bail!("nothing within {limit:?}")
}
