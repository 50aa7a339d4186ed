//! Connecting a provider, without a browser: what is refused, and what is kept.

mod projects;

use anyhow::Result;
use serde_json::{Value, json};
use tests::for_each_provider;
use tests::simulator::{Simulator, Stack};
use tests::stage::{Setup, Stage};

use super::{Console, TOKEN};

for_each_provider! {
    a_refused_key_changes_nothing
    new_keys_are_kept_beside_all_else
}

/// The fields of the form, as a person pastes them.
fn pasted(settings: &Value) -> Vec<(&str, &str)> {
    let fields = settings.as_object().into_iter().flatten();
    fields
        .filter(|(name, _)| !["name", "webhook_token"].contains(&name.as_str()))
        .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
        .collect()
}

async fn a_refused_key_changes_nothing(setup: Setup) -> Result<()> {
    let stage = Stage::of(setup).await?;
    let console = Console::open(&stage).await?;
    let before = stage.kept_secret()?;
    let settings = before["provider"].clone();
    let name = settings["name"].as_str().unwrap_or_default();
    let path = format!("connect/{name}");
    let key = stage.provider()?.key;
    let mut wrong = settings.clone();
    wrong[key] = "0123456789abcdefghijkl".into();
    let page = console.page(&path).await?;
    for (_, value) in pasted(&settings).iter().filter(|(name, _)| *name == key) {
        assert!(!page.body.contains(value), "the key is shown");
    }
    let answer = console.press(&page, &path, &pasted(&wrong)).await?;
    assert_eq!(answer.status, 422, "{}", answer.body);
    assert!(answer.body.contains("role=\"alert\""), "{}", answer.body);
    assert!(
        !answer.body.contains("0123456789abcdefghijkl"),
        "a key is shown again"
    );
    assert_eq!(stage.kept_secret()?, before);
    Ok(())
}

async fn new_keys_are_kept_beside_all_else(setup: Setup) -> Result<()> {
    let stage = Stage::of(setup).await?;
    let console = Console::open(&stage).await?;
    let before = stage.kept_secret()?;
    let settings = before["provider"].clone();
    let path = format!("connect/{}", settings["name"].as_str().unwrap_or_default());
    let page = console.page(&path).await?;
    let answer = console.press(&page, &path, &pasted(&settings)).await?;
    assert_eq!(answer.status, 303, "{}", answer.body);
    // The same project: what proves its deliveries stays as it was.
    assert_eq!(stage.kept_secret()?, before);
    let logs = console.function.logs()?;
    assert!(logs.contains("connected a provider"), "{logs}");
    for (_, value) in pasted(&settings)
        .iter()
        .filter(|(_, value)| value.len() > 20)
    {
        assert!(!logs.contains(value) || value.starts_with("http"), "{logs}");
    }
    Ok(())
}

#[tokio::test]
async fn keys_of_another_project_are_refused_by_both_names() -> Result<()> {
    let stage = Stage::new().await?;
    let console = Console::open(&stage).await?;
    let before = stage.kept_secret()?;
    let other = Stack {
        project_id: "11111111-1111-4111-8111-111111111111".to_owned(),
        ..Stack::default()
    };
    let other = Simulator::start(other, Default::default()).await?;
    let page = console.page("connect/stack").await?;
    let settings = other.secret();
    let answer = console
        .press(&page, "connect/stack", &pasted(&settings))
        .await?;
    assert_eq!(answer.status, 422);
    for project in [&before["provider"], &settings] {
        let project = project["project_id"].as_str().unwrap_or_default();
        assert!(answer.body.contains(project), "{}", answer.body);
    }
    assert_eq!(stage.kept_secret()?, before);
    Ok(())
}

#[tokio::test]
async fn a_provider_is_connected_where_there_was_none() -> Result<()> {
    let stage = Stage::new().await?;
    stage.change_secret(|secret| {
        let secret = secret.as_object_mut().expect("an object");
        secret.remove("provider");
        secret.remove("signing_secrets");
        secret.insert("console_token".to_owned(), TOKEN.into());
    })?;
    let console = Console::open(&stage).await?;
    let page = console.page("connect/stack").await?;
    let settings = stage.simulator.secret();
    let answer = console
        .press(&page, "connect/stack", &pasted(&settings))
        .await?;
    assert_eq!(answer.status, 303, "{}", answer.body);
    let kept = stage.kept_secret()?;
    assert_eq!(kept["provider"], settings);
    assert_eq!(kept["signing_secrets"], json!([]));
    assert_eq!(kept["console_token"], TOKEN);

    // No signing secret, and then one.
    let page = console
        .page("connect/deliveries?url=https%3A%2F%2Fh.example%2F")
        .await?;
    let path = "connect/deliveries/secret";
    let answer = console
        .press(&page, path, &[("signing_secret", "no secret")])
        .await?;
    assert_eq!(answer.status, 422, "{}", answer.body);
    let signing_secret = tests::stage::signing_secret();
    let fields = [("signing_secret", signing_secret.as_str())];
    let answer = console.press(&page, path, &fields).await?;
    assert_eq!(answer.status, 303, "{}", answer.body);
    assert_eq!(
        stage.kept_secret()?["signing_secrets"],
        json!([signing_secret])
    );
    let page = console
        .page("connect/deliveries?url=https%3A%2F%2Fh.example%2F")
        .await?;
    assert!(!page.body.contains(&signing_secret), "it is shown again");
    Ok(())
}
