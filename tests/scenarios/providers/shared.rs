//! Facts of some providers, with the real binaries: a key that names no project, a record of
//! events. Each provider's answers are written out here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tests::database::Database;
use tests::function::Function;
use tests::postgres::Postgres;
use tests::runtime_api::FunctionError;
use tests::secret_file::SecretFile;

use super::scripted::Scripted;

/// A database and the secret that names it and a provider.
pub(crate) struct Stage {
    database: Database,
    pub(crate) secret: Value,
}

impl Stage {
    pub(crate) async fn new(provider: Value, signing_secret: Option<&str>) -> Result<Self> {
        let database = Postgres::shared().await?.database().await?;
        let mut secret = json!({
            "database_url": database.url(),
            "admin_database_url": database.admin_url(),
            "provider": provider,
        });
        if let Some(signing_secret) = signing_secret {
            secret["signing_secrets"] = json!([signing_secret]);
        }
        Ok(Self { database, secret })
    }

    pub(crate) async fn invoke(
        &self,
        name: &str,
        event: Value,
    ) -> Result<Result<Value, FunctionError>> {
        let file = SecretFile::new(&self.secret)?;
        let function = Function::spawn(name, file.env()).await?;
        function.ready().await?;
        Ok(function.invoke(event).await)
    }

    pub(crate) async fn ask(&self, sql: &str) -> Result<String> {
        let row = self.database.connect().await?.query_one(sql, &[]).await?;
        let text: Option<String> = row.get(0);
        Ok(text.unwrap_or_default())
    }
}

pub(crate) const SVIX: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

#[tokio::test]
async fn a_keys_instance_is_asked_for_and_another_instance_is_refused() -> Result<()> {
    let clerk = Scripted::start(|path, authorization| match path {
        "/instance" if authorization == "Bearer sk_test_b" => (200, json!({"id": "ins_b"})),
        "/instance" => (200, json!({"id": "ins_a"})),
        "/users/count" => (200, json!({"total_count": 1})),
        path if path.starts_with("/users/") => clerks_nobody(),
        _ => (
            200,
            json!([{"id": "user_1", "first_name": "Ada", "updated_at": 2000, "created_at": 1000}]),
        ),
    })
    .await?;
    let provider = json!({"name": "clerk", "secret_key": "sk_test_a", "api_url": clerk.url});
    let mut stage = Stage::new(provider, Some(SVIX)).await?;
    stage.invoke("provision", json!({})).await??;
    let bound = "SELECT provider || ' ' || project FROM neon_identity.connection";
    assert_eq!(stage.ask(bound).await?, "clerk ins_a");

    let report = stage.invoke("reconcile", json!({})).await??;
    assert_eq!(report["outcome"], "complete", "{report}");
    assert_eq!(report["created"], 1, "{report}");
    let row =
        "SELECT name || ' ' || extract(epoch FROM updated_at)::int FROM neon_identity.users_sync";
    assert_eq!(stage.ask(row).await?, "Ada 2");

    // A rotated key of the same instance is as good; one of another is not.
    stage.secret["provider"]["secret_key"] = "sk_test_rotated".into();
    stage.invoke("reconcile", json!({})).await??;
    stage.secret["provider"]["secret_key"] = "sk_test_b".into();
    let error = stage.invoke("reconcile", json!({})).await?.err();
    let error = format!("{error:?}");
    assert!(
        error.contains("ins_a") && error.contains("ins_b"),
        "{error}"
    );
    let runs = "SELECT string_agg(outcome, ' ' ORDER BY id) FROM neon_identity.runs";
    assert_eq!(stage.ask(runs).await?, "complete complete failed");
    Ok(())
}

#[tokio::test]
async fn a_listing_that_shows_far_fewer_users_than_are_counted_fails() -> Result<()> {
    let clerk = Scripted::start(|path, _| match path {
        "/instance" => (200, json!({"id": "ins_a"})),
        "/users/count" => (200, json!({"total_count": 100})),
        path if path.starts_with("/users/") => clerks_nobody(),
        _ => (200, json!([{"id": "user_1", "updated_at": 2000}])),
    })
    .await?;
    let provider = json!({"name": "clerk", "secret_key": "sk_test_a", "api_url": clerk.url});
    let stage = Stage::new(provider, Some(SVIX)).await?;
    stage.invoke("provision", json!({})).await??;
    let error = format!("{:?}", stage.invoke("reconcile", json!({})).await?.err());
    assert!(error.contains("counts 100 users and listed 1"), "{error}");
    Ok(())
}

fn event(number: u32, kind: &str, user: Value) -> Value {
    json!({
        "id": format!("event_{number}"), "event": kind, "data": user,
        "created_at": format!("2026-01-15T12:00:{number:02}.000Z"),
    })
}

fn user(id: &str, second: u32) -> Value {
    json!({"id": id, "email": "a@example.com", "updated_at": format!("2026-01-15T12:00:{second:02}.000Z")})
}

/// Clerk's answer about a user that it doesn't have.
fn clerks_nobody() -> (u16, Value) {
    let errors = json!([{"code": "resource_not_found", "message": "not found"}]);
    (404, json!({"errors": errors}))
}

/// WorkOS' answer about a user that it doesn't have.
fn nobody() -> (u16, Value) {
    (
        404,
        json!({"code": "entity_not_found", "message": "User not found."}),
    )
}

#[tokio::test]
async fn the_record_of_events_is_drained_from_where_the_last_run_left_off() -> Result<()> {
    let workos = Scripted::start(|path, _| {
        let list = |events: Vec<Value>| (200, json!({"data": events, "list_metadata": {}}));
        match path {
            "/authorization/roles" => list(vec![json!({"id": "role_1", "slug": "member"})]),
            path if path.starts_with("/user_management/users/") => nobody(),
            // A late one, one that can't be stored, and one of another kind.
            path if path.contains("range_start=") => list(vec![
                event(1, "user.created", user("user_1", 1)),
                event(3, "user.updated", user("user_1", 3)),
                event(2, "user.updated", user("user_1", 2)),
                event(4, "user.created", user("user_2", 4)),
                event(5, "user.created", json!({"id": 7})),
                event(6, "session.created", json!({})),
            ]),
            path if path.ends_with("after=event_6") => {
                list(vec![event(7, "user.deleted", user("user_2", 4))])
            }
            path if path.ends_with("after=event_7") => (400, json!({"message": "Invalid cursor"})),
            _ => (500, json!({})),
        }
    })
    .await?;
    let provider = json!({"name": "workos", "api_key": "sk_test_1", "api_url": workos.url});
    let stage = Stage::new(provider, Some("whsec_of_some_length")).await?;
    stage.invoke("provision", json!({})).await??;
    let events = json!({"mode": "events"});

    let report = stage.invoke("reconcile", events.clone()).await??;
    assert_eq!(report["outcome"], "complete", "{report}");
    assert_eq!(
        (&report["created"], &report["rejected"]),
        (&json!(2), &json!(1))
    );
    let row = "SELECT extract(second FROM updated_at)::int || '' FROM neon_identity.users_sync
        WHERE id = 'user_1'";
    assert_eq!(stage.ask(row).await?, "3");
    let rejected = "SELECT source || ' ' || event_id FROM neon_identity.rejections";
    assert_eq!(stage.ask(rejected).await?, "delivery event_5");
    let cursor = "SELECT event_cursor FROM neon_identity.walk";
    assert_eq!(stage.ask(cursor).await?, "event_6");

    let report = stage.invoke("reconcile", events.clone()).await??;
    assert_eq!(
        (&report["deleted"], &report["pages"]),
        (&json!(1), &json!(1))
    );
    let gone = "SELECT extract(second FROM deleted_at)::int || '' FROM neon_identity.users_sync
        WHERE id = 'user_2'";
    assert_eq!(stage.ask(gone).await?, "7");

    // The record has forgotten the event: that is said once, and the next run begins anew.
    let error = format!(
        "{:?}",
        stage.invoke("reconcile", events.clone()).await?.err()
    );
    assert!(error.contains("run reconcile without mode"), "{error}");
    assert_eq!(stage.ask(cursor).await?, "");
    workos.asked();
    stage.invoke("reconcile", events).await??;
    let asked = workos.asked();
    assert!(
        asked.iter().any(|path| path.contains("range_start=")),
        "{asked:?}"
    );
    Ok(())
}
/// A delivery's place in the record says nothing of those before it, and a run that fails has
/// seen no more than it applied.
#[tokio::test]
async fn only_runs_move_the_place_in_the_record_and_only_past_events_they_applied() -> Result<()> {
    let recovered = Arc::new(AtomicBool::new(false));
    let answers = Arc::clone(&recovered);
    let workos = Scripted::start(move |path, _| {
        let page = |events: Vec<Value>, after: Value| {
            (
                200,
                json!({"data": events, "list_metadata": {"after": after}}),
            )
        };
        match path {
            "/authorization/roles" => {
                page(vec![json!({"id": "role_1", "slug": "member"})], json!(null))
            }
            path if path.starts_with("/user_management/users/") => nobody(),
            path if path.contains("range_start=") => page(
                vec![event(1, "user.created", user("user_1", 1))],
                json!("event_1"),
            ),
            path if path.ends_with("after=event_1") && answers.load(Ordering::SeqCst) => page(
                vec![
                    event(2, "user.deleted", user("user_1", 1)),
                    event(3, "user.created", user("user_2", 3)),
                ],
                json!(null),
            ),
            _ => (403, json!({"message": "Forbidden"})),
        }
    })
    .await?;
    let provider = json!({"name": "workos", "api_key": "sk_test_1", "api_url": workos.url});
    let stage = Stage::new(provider, Some("whsec_of_some_length")).await?;
    stage.invoke("provision", json!({})).await??;
    let cursor = "SELECT event_cursor FROM neon_identity.walk";
    let living = "SELECT string_agg(id, ' ' ORDER BY id) FROM neon_identity.users_sync
        WHERE deleted_at IS NULL";

    let body = event(3, "user.created", user("user_2", 3)).to_string();
    let answer = stage.invoke("webhook", delivery(&body)?).await??;
    assert_eq!(answer["statusCode"], 200, "{answer}");
    assert_eq!(stage.ask(living).await?, "user_2");
    assert_eq!(stage.ask(cursor).await?, "");

    let events = json!({"mode": "events"});
    let failed = stage.invoke("reconcile", events.clone()).await?;
    assert!(failed.is_err(), "{failed:?}");
    assert_eq!(stage.ask(living).await?, "user_1 user_2");
    assert_eq!(stage.ask(cursor).await?, "event_1");

    recovered.store(true, Ordering::SeqCst);
    stage.invoke("reconcile", events).await??;
    assert_eq!(stage.ask(living).await?, "user_2");
    assert_eq!(stage.ask(cursor).await?, "event_3");
    Ok(())
}

/// A function URL's event of a delivery that WorkOS signed.
fn delivery(body: &str) -> Result<Value> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let mut mac = Hmac::<Sha256>::new_from_slice(b"whsec_of_some_length")?;
    mac.update(format!("{now}.{body}").as_bytes());
    let digest = mac.finalize().into_bytes();
    let signature: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(json!({
        "version": "2.0", "routeKey": "$default", "rawPath": "/", "rawQueryString": "",
        "headers": {"workos-signature": format!("t={now}, v1={signature}")},
        "requestContext": {
            "accountId": "anonymous", "apiId": "local", "domainName": "local",
            "domainPrefix": "local", "requestId": "r", "routeKey": "$default", "stage": "$default",
            "time": "24/Nov/2026:12:00:00 +0000", "timeEpoch": 1_795_521_600_000_u64,
            "http": {
                "method": "POST", "path": "/", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1",
                "userAgent": "WorkOS",
            },
        },
        "body": body, "isBase64Encoded": false,
    }))
}
