//! A self-hosted Stack Auth: a project made by a partner, its key, and its deliveries.

use anyhow::{Context, Result, bail, ensure};
use tests::simulator::stack::Partner;
use tests::simulator::{Fault, Stack, Trouble};

use super::{Account, WEBHOOK, answered};

/// The account, and what the simulator has of it.
async fn account(project: Stack) -> Result<(Account, Partner)> {
    let kept = project.partner.clone();
    Ok((Account::of(project).await?, kept))
}

#[tokio::test]
async fn a_project_is_made_connected_and_delivers_by_either_name() -> Result<()> {
    for project in [Stack::default(), Stack::hexclave()] {
        let name = project.name;
        let (account, kept) = account(project).await?;
        let page = account.ask().await?;
        page.hides("choose")?;
        let made = account.press(&page, "/make", &[("name", "My app")]).await?;
        let secret = account.connected(&made, "all-set")?;
        let [project] = &kept.projects()[..] else {
            bail!("{:?}", kept.projects());
        };
        let [key] = &project.server_keys[..] else {
            bail!("{project:?}");
        };
        let provider = &secret["provider"];
        ensure!(
            provider["name"] == name && project.name == "My app",
            "{provider}"
        );
        ensure!(provider["project_id"] == project.id, "{provider}");
        ensure!(provider["secret_server_key"] == key.as_str(), "{provider}");
        ensure!(
            provider["api_url"] == account.stage.simulator.api_url(),
            "{provider}"
        );
        // Deliveries go there, signed with the secret that is kept.
        let there = account.stage.simulator.destination().context("nowhere")?;
        ensure!(
            there.url == WEBHOOK && kept.endpoints() == [WEBHOOK],
            "{there:?}"
        );
        ensure!(secret["signing_secrets"][0] == there.secret, "{secret}");
        let logs = account.console.function.logs()?;
        for said in [
            "made a project at the provider",
            "made a key at the provider",
            "ordered deliveries at the provider",
            &project.id,
        ] {
            ensure!(logs.contains(said), "{logs}");
        }
        ensure!(
            !logs.contains("My app") && !logs.contains("neon-local"),
            "{logs}"
        );
        let forgotten = [project.admin_key.as_str()];
        account.forgotten(&forgotten, &[key, &there.secret]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_refuses_is_said_in_words() -> Result<()> {
    let (account, kept) = account(Stack::default()).await?;
    let page = account.ask().await?;
    let name = [("name", "My app")];
    for (token, words) in [
        (
            "neon-local:another-secret-0123",
            "does not accept the partner's credentials",
        ),
        (
            "neon-local-without-a-colon-01",
            "These are no partner’s credentials",
        ),
        ("", "“Partner’s credentials” is empty"),
    ] {
        let refused = account.press_with(token, &page, "/make", &name).await?;
        account.refused(&refused, words)?;
        ensure!(token.is_empty() || !refused.body.contains(token), "{token}");
        // The fields that are no secret are filled in again.
        refused.shows("value=\"My app\"")?;
        refused.shows(&account.stage.simulator.api_url())?;
    }
    for (url, words) in [
        ("", "“API address” is empty"),
        (
            "ftp://example.com",
            "“API address” is not an http or https URL",
        ),
        ("http://u:p@h", "contains a user name or a password"),
        (
            &account.stage.simulator.origin(),
            "its API's address ends with /api/v1",
        ),
    ] {
        let fields = [("name", "My app"), ("api_url", url)];
        let refused = account.press(&page, "/make", &fields).await?;
        let shown = account.refused(&refused, words);
        shown.with_context(|| url.to_owned())?;
    }
    ensure!(kept.projects().is_empty(), "one was made");
    let odd = "not as the provider documents it";
    for (fault, words) in [
        (Fault::Html(200), odd),
        (Fault::Json("{}".to_owned()), odd),
        (Fault::Html(403), "Stack Auth answers 403"),
        (answered(500, "{}"), "It may have been made all the same"),
        (
            Fault::TooManyRequests { retry_after: None },
            "rate limiting",
        ),
    ] {
        account.troubled(fault.clone());
        let answer = account.press(&page, "/make", &name).await?;
        let shown = account.refused(&answer, words);
        shown.with_context(|| format!("{fault:?}"))?;
    }
    ensure!(kept.projects().is_empty(), "one was made");
    Ok(())
}

#[tokio::test]
async fn an_endpoint_that_is_refused_leaves_the_project_connected() -> Result<()> {
    let (account, kept) = account(Stack::default()).await?;
    let page = account.ask().await?;
    let trouble = Trouble::every(Fault::Html(404)).of("/webhooks");
    account.stage.simulator.add_trouble(trouble);
    let made = account.press(&page, "/make", &[("name", "My app")]).await?;
    ensure!(made.status == 422, "{}", made.body);
    made.shows("The keys are right, and kept.")?;
    made.shows("It does not deliver yet.")?;
    let secret = account.stage.kept_secret()?;
    let id = kept.projects()[0].id.clone();
    ensure!(secret["provider"]["project_id"] == id, "{secret}");
    // Nothing is made of a second one now.
    let again = account
        .press(&page, "/make", &[("name", "Another")])
        .await?;
    ensure!(again.status == 422 && kept.projects().len() == 1);
    again.shows("Nothing was made: the schema is bound to the project")?;
    again.shows(&id)?;
    Ok(())
}
