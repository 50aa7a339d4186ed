//! Facts of Auth0 alone: hints that hold little, tokens that end, searches with a ceiling, slow
//! plans, ids that come back, and accounts' tokens that are nobody's profile.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::simulator::{Auth0, Call, Clock, Message, Options, Pages, RateLimit, SignUp};
use tests::stage::{Setup, Stage};
use tests::tools::random_name;

/// 15 January 2026, noon, in milliseconds.
const NOON: i64 = 1_768_478_400_000;

/// A tenant whose clock is moved by hand.
async fn by_hand() -> Result<(Stage, Clock)> {
    let clock = Clock::by_hand(NOON);
    let setup = Setup {
        simulator: Options {
            clock: clock.clone(),
            ..Options::default()
        },
        ..Setup::of(Auth0::default())
    };
    Ok((Stage::at_work(setup).await?, clock))
}

async fn tenant() -> Result<Stage> {
    Stage::at_work(Setup::of(Auth0::default())).await
}

fn with_google(name: &str) -> SignUp {
    SignUp {
        name: Some(name.to_owned()),
        email: Some("ada@example.com".to_owned()),
        oauth: Some("google".to_owned()),
        ..SignUp::default()
    }
}

fn tokens_asked_for(stage: &Stage) -> usize {
    let requests = stage.simulator.requests();
    let tokens = requests.iter().filter(|asked| asked.path == "/oauth/token");
    tokens.count()
}

/// An event as the stream sends it, about this user.
fn event(kind: &str, user: &Value) -> Value {
    json!({
        "specversion": "1.0", "type": kind, "source": "urn:auth0:simulated.eu.auth0.com",
        "id": random_name("evt"), "time": "2026-01-15T12:00:00.000Z",
        "data": {"object": user}, "a0tenant": "simulated", "a0stream": "est_1",
    })
}

fn tell(stage: &Stage, event: &Value) -> Message {
    let kind = event["type"].as_str().unwrap_or_default();
    stage.simulator.tell(kind, event.to_string())
}

#[tokio::test]
async fn an_event_says_that_a_user_changed_and_a_read_says_how() -> Result<()> {
    let stage = tenant().await?;
    let id = stage.simulator.create("Ada", "ada@example.com")?;
    stage.simulator.take_messages();
    // Old, and only a few fields.
    let told = event("user.updated", &json!({"user_id": id, "name": "Long ago"}));
    stage.taken(&tell(&stage, &told)).await?;
    assert_eq!(stage.the_row(&id).await?.name.as_deref(), Some("Ada"));
    stage.assert_in_sync().await?;
    assert!(id.contains('|'), "{id}");
    let requests = stage.simulator.requests();
    let read = requests.iter().find(|asked| asked.call == Call::Read);
    let path = &read.context("nobody was read")?.path;
    assert_eq!(*path, format!("/api/v2/users/{}", id.replace('|', "%7C")));
    Ok(())
}

#[tokio::test]
async fn a_test_of_the_stream_is_about_nobody() -> Result<()> {
    let stage = tenant().await?;
    let mut test = event(
        "user.created",
        &json!({"user_id": "auth0|test", "name": "Test"}),
    );
    test["a0purpose"] = "test".into();
    stage.taken(&tell(&stage, &test)).await?;
    assert!(stage.table().await?.is_empty() && stage.rejections().await?.is_empty());
    assert_eq!(stage.simulator.count(Call::Read), 0);
    Ok(())
}

#[tokio::test]
async fn a_token_serves_many_deliveries_until_it_is_refused() -> Result<()> {
    let (stage, clock) = by_hand().await?;
    for number in 0..5 {
        stage
            .simulator
            .create("Ada", &format!("ada{number}@example.com"))?;
    }
    stage.deliver_all().await?;
    assert_eq!(tokens_asked_for(&stage), 1);
    // A day later by Auth0's clock, which the function does not see.
    clock.advance(Duration::from_secs(86_400));
    for number in 5..8 {
        stage
            .simulator
            .create("Ada", &format!("ada{number}@example.com"))?;
    }
    stage.deliver_all().await?;
    assert_eq!(tokens_asked_for(&stage), 2);
    stage.assert_in_sync().await
}

#[tokio::test]
async fn a_token_that_is_about_to_end_is_not_used_again() -> Result<()> {
    let stage = Stage::at_work(Setup::of(Auth0 {
        token_lifetime: 61,
        ..Auth0::default()
    }))
    .await?;
    stage.simulator.create("Ada", "ada@example.com")?;
    stage.deliver_all().await?;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    stage.simulator.create("Bob", "bob@example.com")?;
    stage.deliver_all().await?;
    assert_eq!(tokens_asked_for(&stage), 2);
    let requests = stage.simulator.requests();
    assert!(requests.iter().all(|asked| asked.status == Some(200)));
    Ok(())
}

#[tokio::test]
async fn many_who_signed_up_at_one_moment_are_all_listed() -> Result<()> {
    let (stage, clock) = by_hand().await?;
    stage.simulator.seed(2_000);
    for moment in 0..3 {
        for number in 0..450 {
            let email = format!("import{moment}.{number}@example.com");
            stage.simulator.create("Imported", &email)?;
        }
        clock.advance(Duration::from_secs(1));
    }
    stage.simulator.create("Last", "last@example.com")?;
    stage.simulator.take_messages();
    let report = stage.complete(json!({})).await?;
    assert_eq!(report["created"], 3_351, "{report}");
    stage.assert_in_sync().await?;
    let before = stage.versions().await?;
    let report = stage.complete(json!({})).await?;
    assert_eq!(report["unchanged"], 3_351, "{report}");
    assert!(stage.versions().await? == before, "a tuple was written");
    Ok(())
}

#[tokio::test]
async fn more_at_one_moment_than_a_search_shows_fail_the_run_loudly() -> Result<()> {
    let (stage, clock) = by_hand().await?;
    stage.simulator.seed(300);
    stage.complete(json!({})).await?;
    for number in 0..1_050 {
        stage
            .simulator
            .create("Imported", &format!("import{number}@example.com"))?;
    }
    clock.advance(Duration::from_secs(1));
    stage.simulator.create("Last", "last@example.com")?;
    stage.simulator.take_messages();
    let ids: Vec<String> = stage
        .simulator
        .truth()
        .take(3)
        .map(|user| user.id)
        .collect();
    stage.simulator.delete(&ids[1])?;
    let advice = stage.failed(json!({})).await?;
    assert!(
        advice.contains("1000 users who signed up at one moment"),
        "{advice}"
    );
    let table = stage.table().await?;
    assert!(table.iter().all(|row| row.lives()), "somebody is deleted");
    assert!(table.len() > 1_000, "{} rows", table.len());
    Ok(())
}

/// Whether listings asked for totals, and for how many users a page, in turn.
fn listings_asked_for(stage: &Stage) -> Vec<(bool, usize)> {
    let requests = stage.simulator.requests();
    let listings = requests.iter().filter(|asked| asked.call == Call::List);
    let asked = listings.filter_map(|asked| {
        let (_, size) = asked.query.split_once("per_page=")?;
        let (size, _) = size.split_once('&')?;
        let totals = asked.query.contains("include_totals=true");
        Some((totals, size.parse().ok()?))
    });
    asked.collect()
}

#[tokio::test]
async fn auth0_says_how_large_pages_are_and_is_asked_for_totals_once() -> Result<()> {
    for (pages, users, begun) in [
        (Pages::Clamped(50), 51, &[(true, 100), (false, 50)][..]),
        (Pages::Clamped(50), 60, &[(true, 100), (false, 50)]),
        (Pages::Clamped(50), 730, &[(true, 100), (false, 50)]),
        (Pages::Clamped(7), 60, &[(true, 100), (false, 7)]),
        (
            Pages::Refused(50),
            130,
            &[(true, 100), (true, 50), (false, 50)],
        ),
        (Pages::Refused(100), 330, &[(true, 100), (false, 100)]),
    ] {
        let stage = Stage::at_work(Setup::of(Auth0 {
            pages,
            ..Auth0::default()
        }))
        .await?;
        stage.simulator.seed(users);
        let report = stage.complete(json!({})).await?;
        assert_eq!(report["created"], users, "{pages:?} {report}");
        stage.assert_in_sync().await?;
        let asked = listings_asked_for(&stage);
        assert!(asked.starts_with(begun), "{pages:?} {asked:?}");
        let last = *begun.last().context("a size")?;
        assert!(
            asked[begun.len()..].iter().all(|ask| *ask == last),
            "{asked:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn searches_that_are_cut_are_narrowed_and_not_repeated() -> Result<()> {
    let stage = Stage::at_work(Setup::of(Auth0 {
        cut_above: Some(400),
        ..Auth0::default()
    }))
    .await?;
    stage.simulator.seed(1_500);
    let report = stage.complete(json!({})).await?;
    assert_eq!(report["created"], 1_500, "{report}");
    stage.assert_in_sync().await?;
    let requests = stage.simulator.requests();
    let mut cut = std::collections::BTreeMap::new();
    for asked in requests.iter().filter(|asked| asked.status == Some(503)) {
        *cut.entry(asked.query.clone()).or_insert(0) += 1;
    }
    assert!(
        !cut.is_empty() && cut.values().all(|times| *times <= 2),
        "{cut:?}"
    );
    let report = stage.complete(json!({})).await?;
    assert_eq!(report["unchanged"], 1_500, "{report}");
    Ok(())
}

#[tokio::test]
async fn two_requests_a_second_are_enough() -> Result<()> {
    let stage = tenant().await?;
    let simulator = &stage.simulator;
    simulator.seed(230);
    let limit = |stage: &Stage, per_second: Option<usize>| {
        stage.simulator.switch(|switches| {
            switches.rate_limit = per_second.map(|per_second| RateLimit {
                per_second,
                retry_after: false,
            });
        });
    };
    limit(&stage, Some(2));
    stage.complete(json!({})).await?;
    stage.assert_in_sync().await?;
    // `x-ratelimit-reset` is heeded: nobody who asks one by one is refused twice on end.
    let requests = simulator.requests();
    let statuses: Vec<u16> = requests.iter().filter_map(|asked| asked.status).collect();
    assert!(statuses.contains(&429), "{statuses:?}");
    assert!(
        !statuses.windows(2).any(|two| two == [429, 429]),
        "{statuses:?}"
    );

    // Reads by id are many at a time, and each of them gets its turn.
    let ids: Vec<String> = simulator.truth().map(|user| user.id).collect();
    for id in &ids[..24] {
        simulator.delete(id)?;
    }
    simulator.take_messages();
    simulator.clear_requests();
    let report = stage.complete(json!({"max_deletes": 24})).await?;
    assert_eq!(report["deleted"], 24, "{report}");
    let requests = simulator.requests();
    let refused = requests
        .iter()
        .filter(|asked| asked.status == Some(429))
        .count();
    let all = requests.len();
    ensure!(
        refused < all * 2 / 3,
        "{refused} of {all} requests were refused"
    );
    stage.assert_in_sync().await
}

#[tokio::test]
async fn a_delivery_is_sent_again_while_auth0_is_rate_limiting() -> Result<()> {
    let stage = tenant().await?;
    let simulator = &stage.simulator;
    simulator.create("Ada", "ada@example.com")?;
    simulator.switch(|switches| {
        switches.rate_limit = Some(RateLimit {
            per_second: 0,
            retry_after: false,
        });
    });
    let message = simulator.take_messages().swap_remove(0);
    assert_eq!(stage.deliver(&message).await?, 503);
    assert!(stage.table().await?.is_empty() && stage.rejections().await?.is_empty());
    simulator.clear_troubles();
    stage.taken(&message).await?;
    stage.assert_in_sync().await
}

#[tokio::test]
async fn an_id_comes_back_and_the_earlier_lifes_end_may_be_late() -> Result<()> {
    let stage = tenant().await?;
    let simulator = &stage.simulator;
    let id = simulator.sign_up(with_google("Ada"))?;
    stage.deliver_all().await?;
    simulator.delete(&id)?;
    let end = simulator.take_messages().swap_remove(0);
    stage.taken(&end).await?;
    assert!(!stage.the_row(&id).await?.lives());

    assert_eq!(simulator.sign_up(with_google("Ada again"))?, id);
    stage.deliver_all().await?;
    stage.assert_in_sync().await?;
    assert_eq!(stage.the_row(&id).await?.name.as_deref(), Some("Ada again"));
    stage.taken(&end).await?;
    stage.assert_in_sync().await?;

    // The next life's beginning arrives before this one's end.
    simulator.delete(&id)?;
    simulator.sign_up(with_google("Ada once more"))?;
    for message in simulator.take_messages().iter().rev() {
        stage.taken(message).await?;
        stage.assert_in_sync().await?;
    }
    // And a later life's end counts.
    simulator.delete(&id)?;
    stage.deliver_all().await?;
    assert!(!stage.the_row(&id).await?.lives());
    stage.assert_in_sync().await
}

#[tokio::test]
async fn a_run_finds_whose_id_came_back() -> Result<()> {
    let stage = tenant().await?;
    let simulator = &stage.simulator;
    let id = simulator.sign_up(with_google("Ada"))?;
    stage.deliver_all().await?;
    simulator.delete(&id)?;
    stage.deliver_all().await?;
    assert!(!stage.the_row(&id).await?.lives());
    simulator.sign_up(with_google("Ada again"))?;
    simulator.take_messages();
    let report = stage.complete(json!({})).await?;
    assert_eq!(report["revived"], 1, "{report}");
    stage.assert_in_sync().await
}

/// Where a token might have been kept: rows, rejections and the functions' logs.
async fn kept(stage: &Stage) -> Result<String> {
    let mut kept = [
        stage.webhook().await?.logs()?,
        stage.reconcile().await?.logs()?,
    ]
    .concat();
    for row in stage.table().await? {
        kept.push_str(&row.raw_json);
    }
    let bodies = "SELECT coalesce(convert_from(body, 'UTF8'), '') || reason AS kept
        FROM neon_identity.rejections";
    for rejection in stage.json(bodies).await? {
        kept.push_str(rejection["kept"].as_str().unwrap_or_default());
    }
    Ok(kept)
}

#[tokio::test]
async fn tokens_of_accounts_are_kept_nowhere() -> Result<()> {
    let stage = tenant().await?;
    let simulator = &stage.simulator;
    simulator.seed(20);
    let id = simulator.sign_up(with_google("Ada"))?;
    simulator.link_oauth(&id, "github")?;
    stage.deliver_all().await?;
    // Listed, and not to be stored.
    let social = simulator.truth().find(|user| user.id.starts_with("google"));
    let social = social.context("nobody came by Google")?.id;
    let account = json!({"user_id": social, "connection": "google-oauth2", "huge": 1,
        "identities": [{"access_token": "secret-1", "refresh_token": "secret-2"}]});
    let huge = account
        .to_string()
        .replace("\"huge\":1", "\"huge\":1e200000");
    simulator.show_profile(&social, &huge)?;
    let report = stage.complete(json!({})).await?;
    assert_eq!(report["rejected"], 1, "{report}");
    // Told, and not to be stored: what is read, what is told, and half of it.
    let told = tell(&stage, &event("user.updated", &json!({"user_id": social})));
    assert_eq!(stage.deliver(&told).await?, 202);
    let mut odd = account;
    odd["user_id"] = 7.into();
    let odd = event("user.created", &odd);
    assert_eq!(stage.deliver(&tell(&stage, &odd)).await?, 202);
    let text = odd.to_string();
    let half = &text[..text.find("secret-1").context("no token")? + 20];
    let half = simulator.tell("user.created", half.to_owned());
    assert_eq!(stage.deliver(&half).await?, 202);

    assert_eq!(stage.rejections().await?.len(), 4);
    let kept = kept(&stage).await?;
    for secret in [
        "access_token",
        "refresh_token",
        "ya29",
        "secret-1",
        "secret-2",
    ] {
        assert!(!kept.contains(secret), "{secret} is kept");
    }
    assert!(kept.contains("google-oauth2"));
    Ok(())
}

/// Auth0 never sends again what was refused with a 4xx: while a flood of forgeries keeps the secret
/// from being read again, any of them may be signed by a new one.
#[tokio::test]
async fn a_flood_of_forgeries_ends_in_503() -> Result<()> {
    let stage = tenant().await?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let mut statuses = Vec::new();
    for _ in 0..7 {
        let request = client.post(stage.webhook().await?.url()).body("{}");
        let sent = request
            .header("authorization", "Bearer another token")
            .send();
        statuses.push(sent.await?.status().as_u16());
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 503, 503]);
    stage.simulator.create("Ada", "ada@example.com")?;
    stage.deliver_all().await?;
    stage.assert_in_sync().await
}

#[tokio::test]
async fn there_is_no_record_of_events() -> Result<()> {
    let stage = tenant().await?;
    let error = stage.failed(json!({"mode": "events"})).await?;
    ensure!(error.contains("auth0 keeps no record of events"), "{error}");
    Ok(())
}

/// Signing secrets are another provider's: the function says so and does not start.
#[tokio::test]
async fn a_signing_secret_is_refused() -> Result<()> {
    let stage = Stage::on(
        tests::postgres::Postgres::shared().await?,
        Setup::of(Auth0::default()),
    )
    .await?;
    stage.change_secret(|secret| secret["signing_secrets"] = json!(["whsec_AAAA"]))?;
    let error = stage.start("webhook").await.err().context("it started")?;
    assert!(
        format!("{error:#}").contains("signing_secrets is not used by auth0"),
        "{error:#}"
    );
    Ok(())
}

#[tokio::test]
async fn a_disabled_event_stream_is_named_when_no_webhook_arrives() -> Result<()> {
    let stream = |name: &str, status: &str, event: &str| {
        json!({
            "id": format!("est_{name}"), "name": name, "status": status,
            "subscriptions": [{"event_type": event}],
            "destination": {"type": "webhook", "configuration": {
                "webhook_endpoint": "https://example.com/?secret=hidden",
            }},
        })
    };
    let check = async |streams: Value| -> Result<Value> {
        let stage = Stage::at_work(Setup::of(Auth0 {
            event_streams: Some(streams),
            ..Auth0::default()
        }));
        super::each::said_of_endpoints(&stage.await?).await
    };
    let two = json!([
        stream("other", "disabled", "organization.created"),
        stream("users", "disabled", "user.created"),
    ]);
    assert_eq!(
        check(two).await?,
        "the event stream users (est_users): disabled at the provider, enable it again"
    );
    let none = json!([stream("other", "enabled", "organization.created")]);
    assert_eq!(
        check(none).await?,
        "no endpoint at the provider is subscribed to users' events"
    );
    let good = json!([stream("users", "enabled", "user.created")]);
    assert_eq!(check(good).await?, Value::Null);
    // The application need not be allowed to read them.
    assert_eq!(check(Value::Null).await?, Value::Null);
    Ok(())
}
