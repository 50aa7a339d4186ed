//! Stays up, and says what to try.

use anyhow::Result;
use tests::simulator::Simulator;
use tests::tools::workspace;

use crate::Stage;

pub(crate) async fn stay(stage: &Stage) -> Result<()> {
    let port = stage.lambda.port();
    let invoke = format!("cargo lambda invoke --invoke-address 127.0.0.1 --invoke-port {port}");
    println!("\nThe console, in a browser:\n");
    println!("  {}", stage.lambda.url("console"));
    let token = stage.secret["console_token"].as_str().unwrap_or_default();
    println!("  its token: {token}");
    let account = stage.provider.simulator().and_then(Simulator::account);
    if let Some(account) = account {
        println!("  an access token of the simulated account, where it asks for one:");
        println!("    {}", account.token);
        if let Some(api_url) = account.api_url {
            println!("    with the API's address {api_url}");
        }
    }
    println!("\nIt stays up until you press Ctrl-C. In another terminal, in this folder:\n");
    println!(
        "  export PATH=\"{}:$PATH\"\n",
        workspace().join(".tools/venv/bin").display()
    );
    println!("The functions:");
    println!("  {invoke} reconcile --data-file events/lambda/reconcile.json");
    println!("  {invoke} reconcile --data-file events/lambda/reconcile.dry_run.json");
    println!("  {invoke} provision --data-file events/lambda/provision.json");
    println!("  {invoke} webhook --data-file events/lambda/webhook.unsigned.json     # 401\n");
    println!("The table:");
    println!(
        "  {} '{}' -c 'SELECT id, name, email, updated_at, deleted_at FROM neon_identity.users_sync ORDER BY updated_at DESC LIMIT 5'\n",
        stage.server.programs().join("psql").display(),
        stage.database.owner_url(),
    );
    if let Some(simulator) = stage.provider.simulator() {
        println!(
            "The provider: somebody signs up, and the webhook is sent to {}",
            stage.lambda.url("webhook")
        );
        println!(
            "  curl -X POST {}/users -d '{{\"name\":\"Grace Hopper\",\"email\":\"grace@example.com\"}}'\n",
            simulator.control_url()
        );
    } else {
        println!(
            "Your provider can't reach this machine: until it is deployed, reconcile takes changes in.\n"
        );
    }
    tokio::signal::ctrl_c().await?;
    println!("\nstopping");
    Ok(())
}
