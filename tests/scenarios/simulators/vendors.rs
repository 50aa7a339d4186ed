//! The vendors' own clients against the simulators: what they accept is evidence that a simulator
//! is like the provider. They need Node and `npm ci`, which `make setup` sees to.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::scratch::Scratch;
use tests::sender;
use tests::simulator::{Auth0, Clerk, Options, Simulator, Stack, Supabase, Vendor, WorkOs};
use tests::tools::{node, workspace};
use tests::watchdog::Watched;

/// Users that are there before the client comes.
const SEEDED: u64 = 100;

/// Runs `tests/vendors/NAME.mjs` against this provider; `told` is what it gets to know besides
/// the simulator's address.
async fn accepts(name: &str, vendor: impl Vendor, mut told: Value) -> Result<()> {
    let simulator = Simulator::start(vendor, Options::default()).await?;
    simulator.seed(SEEDED);
    told["url"] = simulator.origin().into();
    told["seeded"] = SEEDED.into();
    let folder = workspace().join("tests/vendors");
    ensure!(
        folder.join("node_modules").exists(),
        "the vendors' clients are missing: run `make setup`"
    );
    let scratch = Scratch::new("vendors")?;
    let log = scratch.path().join("log");
    let mut script = Watched::command(&node()?, "KILL");
    script
        .arg(format!("{name}.mjs"))
        .current_dir(&folder)
        .env("SIMULATOR", told.to_string());
    let script = Watched::spawn(&mut script, &log)?;
    let code = script.wait(Duration::from_secs(120)).await;
    let code = code.with_context(|| format!("{name}.mjs did not end"))?;
    let said = String::from_utf8_lossy(&std::fs::read(&log)?).into_owned();
    let requests = simulator.requests();
    let asked: Vec<String> = requests
        .iter()
        .map(|one| format!("{} {}?{} {:?}", one.method, one.path, one.query, one.status))
        .collect();
    ensure!(
        code == 0 && said.lines().any(|line| line.starts_with(name)),
        "{name}.mjs: {code}\n{said}\n{}",
        asked.join("\n")
    );
    Ok(())
}

#[tokio::test]
async fn clerks_client_manages_users() -> Result<()> {
    let instance = Clerk::default();
    let told = json!({
        "secret_key": instance.secret_keys[0],
        "instance": instance.instance,
    });
    accepts("clerk", instance, told).await
}

#[tokio::test]
async fn auth0s_client_manages_users() -> Result<()> {
    let tenant = Auth0::default();
    let told = json!({
        "domain": tenant.domain,
        "client_id": tenant.client_id,
        "client_secret": tenant.client_secret,
    });
    accepts("auth0", tenant, told).await
}

#[tokio::test]
async fn supabases_client_manages_users() -> Result<()> {
    for versioned in [true, false] {
        // This client sends whatever key it has as a bearer token, too.
        let project = Supabase {
            service_role_key: "eyJhbGciOiJIUzI1NiJ9.service.simulated".to_owned(),
            anon_key: "eyJhbGciOiJIUzI1NiJ9.anon.simulated".to_owned(),
            versioned,
            ..Supabase::default()
        };
        let told = json!({
            "service_role_key": project.service_role_key,
            "anon_key": project.anon_key,
        });
        accepts("supabase", project, told).await?;
    }
    Ok(())
}

#[tokio::test]
async fn workos_client_manages_users_and_takes_our_signatures() -> Result<()> {
    let environment = WorkOs::default();
    let simulator = Simulator::start(environment.clone(), Options::default()).await?;
    let id = simulator.create("Ada", "ada@example.com")?;
    simulator.rename(&id, "Grace")?;
    simulator.delete(&id)?;
    let secret = "whsec_0FWAiVGkEfGBqqsJH4aNAGBJ4";
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let signed = simulator.take_messages().into_iter().map(|message| {
        json!({
            "payload": String::from_utf8_lossy(&message.body),
            "signature": sender::WorkOs::new([secret]).signature(&message.body, now),
            "secret": secret,
        })
    });
    let signed: Value = signed.collect();
    let told = json!({"api_key": environment.api_keys[0], "signed": signed});
    accepts("workos", environment, told).await
}

#[tokio::test]
async fn stacks_client_manages_users() -> Result<()> {
    let project = Stack::default();
    let told = json!({
        "project_id": project.project_id,
        "secret_server_key": project.secret_server_key,
    });
    accepts("stack", project, told).await
}
