//! A key that names no project: the provider is asked which one it is for, and where it doesn't
//! say, the key's fingerprint stands for it.
//!
//! Each test is run with Clerk and with WorkOS, whose servers are written out here: the address
//! that names the project answers what the test wants, or is not there at all.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::function::Function;
use tests::letter::{Letter, client, event_id, send};
use tests::secret_file::SecretFile;

use super::scripted::Scripted;
use super::shared::{SVIX, Stage};

/// An answer of the address that names the project.
type Naming = (u16, &'static str);

/// A provider's words.
#[derive(Clone, Copy)]
struct Words {
    name: &'static str,
    key_field: &'static str,
    naming_path: &'static str,
    /// The answer that names the project.
    named: Naming,
    /// The project's name.
    project: &'static str,
    /// An error of the provider's own.
    error: &'static str,
    user: &'static str,
}

const CLERK: Words = Words {
    name: "clerk",
    key_field: "secret_key",
    naming_path: "/instance",
    named: (200, r#"{"object":"instance","id":"ins_a"}"#),
    project: "ins_a",
    error: r#"{"errors":[{"message":"not found","code":"resource_not_found"}],"clerk_trace_id":"1"}"#,
    user: r#"{"object":"user","id":"user_1","created_at":1000,"updated_at":2000}"#,
};

const WORKOS: Words = Words {
    name: "workos",
    key_field: "api_key",
    naming_path: "/authorization/roles",
    named: (
        200,
        r#"{"object":"list","data":[{"id":"role_1","slug":"member","created_at":"2026-01-01T00:00:00Z"}]}"#,
    ),
    project: "environment of role_1",
    error: r#"{"message":"Not Found","code":"not_found"}"#,
    user: r#"{"object":"user","id":"user_1","created_at":"2026-01-01T00:00:00.000Z","updated_at":"2026-01-01T00:00:01.000Z"}"#,
};

/// WorkOS' own word for it.
const NO_SUCH_USER: &str =
    r#"{"message":"User not found: 'user_x'.","code":"entity_not_found","entity_id":"user_x"}"#;

const KEY: &str = "sk_test_of_a_project";

/// A provider with one user.
struct Provider {
    server: Scripted,
    words: Words,
    /// The next answers of the address that names the project; the last one stays.
    naming: Arc<Mutex<Vec<Naming>>>,
    /// The status with which the other addresses refuse; 0: none.
    refusing: Arc<AtomicU16>,
}

impl Provider {
    async fn start(words: Words) -> Result<Self> {
        let naming = Arc::new(Mutex::new(vec![words.named]));
        let refusing = Arc::new(AtomicU16::new(0));
        let (answers, refuses) = (Arc::clone(&naming), Arc::clone(&refusing));
        let server = Scripted::start(move |path, _| {
            let path = path.split('?').next().unwrap_or_default();
            if path == words.naming_path {
                let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
                let (status, body) = match answers.len() {
                    1 => answers[0],
                    _ => answers.remove(0),
                };
                return (status, body.to_owned());
            }
            match refuses.load(Ordering::SeqCst) {
                0 => answer(words, path),
                status => (status, words.error.to_owned()),
            }
        })
        .await?;
        Ok(Self {
            server,
            words,
            naming,
            refusing,
        })
    }

    fn answer(&self, naming: &[Naming]) {
        let mut answers = self.naming.lock().unwrap_or_else(PoisonError::into_inner);
        *answers = naming.to_vec();
    }

    fn refuse_users(&self, status: Option<u16>) {
        self.refusing.store(status.unwrap_or(0), Ordering::SeqCst);
    }

    /// How often the project was asked for since the last time.
    fn asked(&self) -> usize {
        let asked = self.server.asked();
        let naming = asked
            .iter()
            .filter(|path| path.split('?').next() == Some(self.words.naming_path));
        naming.count()
    }
}

/// The answers of the other addresses: one user, listed and counted, and no other.
fn answer(words: Words, path: &str) -> (u16, String) {
    let body = match (words.name, path) {
        ("clerk", "/users") => format!("[{}]", words.user),
        ("clerk", "/users/count") => r#"{"object":"total_count","total_count":1}"#.to_owned(),
        ("workos", "/user_management/users") => format!(
            r#"{{"object":"list","data":[{}],"list_metadata":{{"before":null,"after":null}}}}"#,
            words.user
        ),
        ("workos", path) if path.starts_with("/user_management/users/") => {
            return (404, NO_SUCH_USER.to_owned());
        }
        _ => return (404, words.error.to_owned()),
    };
    (200, body)
}

/// A provider, a database and a secret that names both.
struct Site {
    provider: Provider,
    stage: Stage,
}

impl Site {
    async fn new(words: Words) -> Result<Self> {
        let provider = Provider::start(words).await?;
        let mut secret = json!({ "name": words.name, "api_url": provider.server.url });
        secret[words.key_field] = KEY.into();
        Ok(Self {
            stage: Stage::new(secret, Some(SVIX)).await?,

            provider,
        })
    }

    async fn provision(&self) -> Result<String> {
        let provisioned = self.stage.invoke("provision", json!({})).await?;
        provisioned.context("provision")?;
        self.bound().await
    }

    async fn bound(&self) -> Result<String> {
        self.stage
            .ask("SELECT max(provider || ' ' || project) FROM neon_identity.connection")
            .await
    }

    async fn reconcile(&self) -> Result<Value> {
        Ok(self.stage.invoke("reconcile", json!({})).await??)
    }

    /// The message of a function that fails.
    async fn failure(&self, name: &str) -> Result<String> {
        let error = self.stage.invoke(name, json!({})).await?.err();
        let error = error.with_context(|| format!("{name} did not fail"))?;
        ensure!(error.error_type == "Failed", "{error}");
        ensure!(!error.error_message.contains(KEY), "{error}");
        Ok(error.error_message)
    }

    async fn webhook(&self) -> Result<(Function, SecretFile)> {
        let file = SecretFile::new(&self.stage.secret)?;
        let webhook = Function::spawn("webhook", file.env()).await?;
        webhook.ready().await?;
        Ok((webhook, file))
    }

    async fn users(&self) -> Result<String> {
        self.stage
            .ask("SELECT count(*) || '' FROM neon_identity.users_sync")
            .await
    }
}

/// Delivers one user of Clerk's; the status.
async fn deliver(webhook: &Function, id: &str) -> Result<u16> {
    let user = json!({ "object": "user", "id": id, "created_at": 1000, "updated_at": 2000 });
    let body =
        json!({ "type": "user.created", "object": "event", "data": user, "timestamp": 2000 });
    let letter = Letter::new(SVIX, &event_id(), body.to_string().as_bytes());
    send(&client()?, webhook.url(), &letter).await
}

async fn with_each<F: Future<Output = Result<()>>>(fact: impl Fn(Words) -> F) -> Result<()> {
    for words in [CLERK, WORKOS] {
        fact(words).await.context(words.name)?;
    }
    Ok(())
}

#[tokio::test]
async fn an_answer_that_is_not_the_providers_leaves_the_schema_unbound() -> Result<()> {
    with_each(async |words| {
        for garbled in [
            (200, "<!DOCTYPE html><html></html>"),
            (200, r#"{"da"#),
            (302, ""),
        ] {
            let site = Site::new(words).await?;
            site.provider.answer(&[garbled]);
            ensure!(site.provision().await.is_err(), "{garbled:?}");
            site.provider.answer(&[words.named]);
            let bound = site.provision().await?;
            ensure!(!bound.contains(" key "), "{garbled:?}: {bound}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_provider_that_does_not_name_the_project_is_synced_all_the_same() -> Result<()> {
    with_each(async |words| {
        for naming in [
            (404, ""),
            (404, "404 page not found"),
            (404, "<!DOCTYPE html><html></html>"),
            (404, words.error),
            (405, ""),
            (200, r#"{"data":[]}"#),
        ] {
            let site = Site::new(words).await?;
            site.provider.answer(&[naming]);
            let bound = site
                .provision()
                .await
                .with_context(|| format!("{naming:?}"))?;
            let fingerprint = bound
                .strip_prefix(&format!("{} key ", words.name))
                .with_context(|| format!("{naming:?}: {bound}"))?;
            ensure!(
                fingerprint.len() == 12 && !KEY.contains(fingerprint),
                "{bound}"
            );
            // The same every time.
            assert_eq!(site.provision().await?, bound);
            let report = site.reconcile().await?;
            assert_eq!(
                (&report["outcome"], &report["created"]),
                (&json!("complete"), &json!(1))
            );
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_nameless_project_is_asked_for_once_an_instance() -> Result<()> {
    let site = Site::new(CLERK).await?;
    site.provider.answer(&[(404, "")]);
    site.provision().await?;
    site.provider.asked();
    let (webhook, _file) = site.webhook().await?;
    for id in ["user_a", "user_b", "user_c"] {
        assert_eq!(deliver(&webhook, id).await?, 200);
    }
    assert_eq!(site.provider.asked(), 1);
    assert_eq!(site.users().await?, "3");
    Ok(())
}

#[tokio::test]
async fn a_passing_404_is_neither_another_projects_name_nor_remembered() -> Result<()> {
    let site = Site::new(CLERK).await?;
    assert_eq!(site.provision().await?, "clerk ins_a");
    site.provider.answer(&[(404, "<html>a proxy's</html>")]);
    let (webhook, _file) = site.webhook().await?;
    assert_eq!(deliver(&webhook, "user_a").await?, 503);
    assert_eq!(deliver(&webhook, "user_a").await?, 503);
    assert_eq!(site.users().await?, "0");
    for function in ["reconcile", "provision"] {
        let message = site.failure(function).await?;
        for words in [
            "ins_a",
            "clerk project key ",
            "run provision",
            "did not name",
        ] {
            ensure!(message.contains(words), "{function}: no {words}: {message}");
        }
    }
    assert_eq!(site.bound().await?, "clerk ins_a");
    // The instance that was told nothing asks again, and goes on.
    site.provider.answer(&[CLERK.named]);
    assert_eq!(deliver(&webhook, "user_a").await?, 200);
    site.provider.asked();
    assert_eq!(deliver(&webhook, "user_b").await?, 200);
    assert_eq!(site.provider.asked(), 0);
    assert_eq!(site.reconcile().await?["outcome"], "complete");
    Ok(())
}

#[tokio::test]
async fn a_schema_bound_by_its_key_is_bound_by_name_as_soon_as_there_is_one() -> Result<()> {
    with_each(async |words| {
        let site = Site::new(words).await?;
        site.provider.answer(&[(404, "")]);
        let by_key = site.provision().await?;
        let (webhook, _file) = site.webhook().await?;
        let delivers = async |id| match words.name {
            "clerk" => deliver(&webhook, id).await,
            _ => Ok(200),
        };
        assert_eq!(delivers("user_a").await?, 200);

        // The key is known by both its names.
        site.provider.answer(&[words.named]);
        assert_eq!(site.reconcile().await?["outcome"], "complete");
        assert_eq!(site.bound().await?, by_key);
        let by_name = format!("{} {}", words.name, words.project);
        assert_eq!(site.provision().await?, by_name);
        assert_eq!(site.reconcile().await?["outcome"], "complete");
        // An instance that was started before, too.
        assert_eq!(delivers("user_b").await?, 200);

        // And by the better one for good.
        site.provider.answer(&[(404, "")]);
        site.failure("provision").await?;
        assert_eq!(site.bound().await?, by_name);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn another_key_of_a_nameless_project_is_refused_and_the_message_says_how_to_rebind()
-> Result<()> {
    with_each(async |words| {
        let mut site = Site::new(words).await?;
        site.provider.answer(&[(404, "")]);
        let bound = site.provision().await?;
        site.reconcile().await?;
        site.stage.secret["provider"][words.key_field] = "sk_test_rotated".into();
        for function in ["reconcile", "provision"] {
            let message = site.failure(function).await?;
            ensure!(
                message.contains(&bound.replace(" key", " project key")),
                "{message}"
            );
            for words in [
                "If the key was only rotated",
                "delete the row in \"connection\" and run provision",
            ] {
                ensure!(message.contains(words), "{function}: no {words}: {message}");
            }
            ensure!(!message.contains("sk_test_rotated"), "{message}");
        }
        // As the message says.
        site.stage
            .ask("DELETE FROM neon_identity.connection RETURNING provider")
            .await?;
        assert_ne!(site.provision().await?, bound);
        let report = site.reconcile().await?;
        assert_eq!(report["unchanged"], 1, "{report}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_refused_key_is_an_error_with_advice_and_binds_nothing() -> Result<()> {
    with_each(async |words| {
        for status in [401, 403] {
            for body in [words.error, "", "Unauthorized", "<html></html>"] {
                let site = Site::new(words).await?;
                site.provider.answer(&[(status, body)]);
                site.provider.refuse_users(Some(status));
                let message = site.failure("provision").await?;
                ensure!(message.contains(&status.to_string()), "{message}");
                let field = format!("provider.{}", words.key_field);
                ensure!(message.contains(&field), "{message}");
                assert_eq!(site.bound().await?, "");
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_key_that_may_list_users_need_not_be_allowed_to_learn_its_project() -> Result<()> {
    with_each(async |words| {
        for status in [401, 403] {
            let site = Site::new(words).await?;
            site.provider.answer(&[(status, words.error)]);
            let bound = site.provision().await?;
            let by_key = format!("{} key ", words.name);
            ensure!(bound.starts_with(&by_key), "{bound}");
            assert_eq!(site.reconcile().await?["outcome"], "complete");
            let (webhook, _file) = site.webhook().await?;
            if words.name == "clerk" {
                assert_eq!(deliver(&webhook, "user_a").await?, 200);
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_provider_in_trouble_is_asked_again_until_it_names_the_project() -> Result<()> {
    with_each(async |words| {
        let site = Site::new(words).await?;
        site.provider
            .answer(&[(503, ""), (429, ""), (500, "<html>"), words.named]);
        let by_name = format!("{} {}", words.name, words.project);
        assert_eq!(site.provision().await?, by_name);
        assert_eq!(site.provider.asked(), 4);
        Ok(())
    })
    .await
}
