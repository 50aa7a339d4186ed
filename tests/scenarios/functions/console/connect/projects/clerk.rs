//! Clerk's Platform API: applications listed by their instances, one made, the key fetched.

use anyhow::{Context, Result, ensure};
use tests::simulator::clerk::{Application, Instance, Workspace};
use tests::simulator::{Clerk, Fault, Trouble};

use super::{Account, answered};

const APPLICATION: &str = "app_2simulated00000000000000000";

/// The account, and what the simulator has of it.
async fn account() -> Result<(Account, Workspace)> {
    let instance = Clerk::default();
    let kept = instance.workspace.clone();
    Ok((Account::of(instance).await?, kept))
}

#[tokio::test]
async fn a_listed_instance_is_connected_and_only_its_key_is_fetched() -> Result<()> {
    let (account, kept) = account().await?;
    let own = Clerk::default();
    let id = format!("{APPLICATION}/{}", own.instance);
    let listed = account.list().await?;
    for words in [
        "<optgroup label=\"Simulated\">",
        "<optgroup label=\"Shop\">",
        &format!(
            "<option value=\"{id}\">development instance ({})",
            own.instance
        ),
        "production instance (ins_2",
    ] {
        listed.shows(words)?;
    }
    let asked = account.stage.simulator.requests();
    ensure!(asked.len() == 1 && asked[0].query.is_empty(), "{asked:?}");
    let chosen = account.choose(&id).await?;
    // Clerk's API makes no endpoints: what is left is to be done by hand.
    let secret = account.connected(&chosen, "connected")?;
    let provider = &secret["provider"];
    let key = own.secret_keys[0].as_str();
    ensure!(
        provider["name"] == "clerk" && provider["secret_key"] == key,
        "{provider}"
    );
    ensure!(
        provider["api_url"] == account.stage.simulator.api_url(),
        "{provider}"
    );
    let shop = &kept.applications()[1];
    let others = shop.instances.as_deref().context("no instances")?;
    let others: Vec<_> = others
        .iter()
        .map(|other| other.secret_key.as_str())
        .collect();
    account.forgotten(&others, &[key]).await
}

#[tokio::test]
async fn an_application_is_made_and_its_development_instance_connected() -> Result<()> {
    let (account, kept) = account().await?;
    let listed = account.list().await?;
    let made = account
        .press(&listed, "/make", &[("name", "New application")])
        .await?;
    let secret = account.connected(&made, "connected")?;
    let application = kept.applications().pop().context("none")?;
    let instances = application.instances.context("no instances")?;
    ensure!(application.name == "New application" && instances.len() == 1);
    let key = instances[0].secret_key.as_str();
    ensure!(secret["provider"]["secret_key"] == key, "{secret}");
    let logs = account.console.function.logs()?;
    let said = "made a project at the provider";
    ensure!(
        logs.contains(said) && logs.contains(&application.id),
        "{logs}"
    );
    ensure!(!logs.contains("New application"), "{logs}");
    account.forgotten(&[], &[key]).await
}

#[tokio::test]
async fn a_missing_right_a_missing_beta_and_a_wrong_token_are_told_apart() -> Result<()> {
    let (account, kept) = account().await?;
    let page = account.ask().await?;
    for (token, words) in [
        (
            "ak_0123456789abcdefghijklmnopqrstuv",
            "does not accept the access token",
        ),
        (
            "sk_test_0123456789abcdefghijklmnopq",
            "This is a key of one instance",
        ),
        (
            "pk_test_0123456789abcdefghijklmnopq",
            "This is a key of one instance",
        ),
    ] {
        let refused = account.press_with(token, &page, "", &[]).await?;
        account.refused(&refused, words)?;
        refused.hides(token)?;
    }
    let listed = account.list().await?;
    kept.set_shows_keys(false);
    let id = format!("{APPLICATION}/{}", Clerk::default().instance);
    let refused = account
        .press(&listed, "/choose", &[("project", &id)])
        .await?;
    account.refused(&refused, "application_secret_keys:read")?;
    let error = |code: &str| {
        let message = "unseen";
        format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#)
    };
    for (fault, words) in [
        (answered(403, &error("not_allowed")), "private beta"),
        (answered(404, &error("resource_not_found")), "private beta"),
        (answered(404, "404 page not found"), "private beta"),
        (Fault::Html(404), "private beta"),
        (Fault::Html(200), "not as the provider documents it"),
        (
            answered(200, r#"{"data":7}"#),
            "not as the provider documents it",
        ),
        (
            Fault::TooManyRequests { retry_after: None },
            "rate limiting",
        ),
    ] {
        account.troubled(fault.clone());
        let answer = account.press(&page, "", &[]).await?;
        let shown = account.refused(&answer, words);
        shown.with_context(|| format!("{fault:?}"))?;
        answer.hides("unseen")?;
    }
    account.stage.simulator.clear_troubles();
    account.forgotten(&[], &[]).await
}

#[tokio::test]
async fn what_is_no_instance_is_not_offered_and_not_connected() -> Result<()> {
    let (account, kept) = account().await?;
    let random = &mut fastrand::Rng::with_seed(2);
    let application = |id: &str, name: &str, instances| Application {
        id: id.to_owned(),
        name: name.to_owned(),
        instances: Some(instances),
    };
    let mut masked = Instance::new("production", random);
    masked.secret_key = "sk_live_abcd••••••••••••••••".to_owned();
    let id = format!("app_2masked/{}", masked.id);
    kept.set_applications(vec![
        application("app_2none", "None", Vec::new()),
        application(
            "app_2../evil",
            "Evil",
            vec![Instance::new("development", random)],
        ),
        application("app_2masked", "<b>\u{202e}", vec![masked]),
        application("app_2odd", "", vec![Instance::new("staging", random)]),
    ]);
    let listed = account.list().await?;
    for words in [
        "&lt;b&gt;\u{fffd}",
        "label=\"app_2odd\"",
        ">instance (ins_2",
    ] {
        listed.shows(words)?;
    }
    listed.hides("evil")?;
    listed.hides("app_2none")?;
    for (chosen, words) in [
        (id.as_str(), "does not show the instance's secret key"),
        ("app_2none/ins_2gone", "no such instance any more"),
        ("app_2gone/ins_2gone", "no such application any more"),
        ("app_2gone", "no such application any more"),
        ("..", "There is no such choice"),
        ("../users", "There is no such choice"),
    ] {
        let refused = account
            .press(&listed, "/choose", &[("project", chosen)])
            .await?;
        account
            .refused(&refused, words)
            .with_context(|| chosen.to_owned())?;
    }
    // Its answer is lost: nobody knows whether there is one now.
    let trouble = Trouble::next(1, Fault::Dropped).of("/applications");
    account.stage.simulator.add_trouble(trouble);
    let lost = account.press(&listed, "/make", &[("name", "Lost")]).await?;
    account.refused(&lost, "It may have been made all the same")?;
    ensure!(kept.applications().len() == 5);
    Ok(())
}
