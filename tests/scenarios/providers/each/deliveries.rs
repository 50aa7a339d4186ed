//! Deliveries, of every provider: a life arrives, nothing late resurrects, nothing unproven counts.

use anyhow::Result;
use axum::http::{HeaderMap, HeaderValue};
use tests::for_each_provider;
use tests::simulator::{Call, Fault, Trouble};
use tests::stage::{Setup, Stage};

use tests::letter::client;

for_each_provider! {
    a_users_life_arrives
    a_late_update_does_not_resurrect
    a_deletion_may_arrive_before_the_creation
    an_unproven_delivery_is_refused
    a_signed_body_that_is_no_user_is_kept_once
    while_the_provider_is_in_trouble_nothing_is_kept_and_a_retry_applies
}

async fn a_users_life_arrives(setup: Setup) -> Result<()> {
    let stage = Stage::at_work(setup).await?;
    let simulator = &stage.simulator;
    let id = simulator.create("Ada Lovelace", "ada@example.com")?;
    stage.deliver_all().await?;
    stage.assert_in_sync().await?;
    let row = stage.the_row(&id).await?;
    assert_eq!(row.name.as_deref(), Some("Ada Lovelace"));
    assert_eq!(row.email.as_deref(), Some("ada@example.com"));
    assert!(row.created_at.is_some() && row.updated_at.is_some() && row.lives());

    simulator.rename(&id, "Ada King")?;
    stage.deliver_all().await?;
    stage.assert_in_sync().await?;
    let renamed = stage.the_row(&id).await?;
    assert_eq!(renamed.name.as_deref(), Some("Ada King"));
    assert!(renamed.updated_at > row.updated_at);

    simulator.delete(&id)?;
    stage.deliver_all().await?;
    stage.assert_in_sync().await?;
    let deleted = stage.the_row(&id).await?;
    assert!(deleted.deleted_at >= renamed.updated_at);
    assert_eq!(deleted.raw_json, renamed.raw_json);
    assert_eq!(deleted.updated_at, renamed.updated_at);

    let logs = stage.webhook().await?.logs()?;
    for word in ["Ada", "example.com", &id] {
        assert!(!logs.contains(word), "the log says {word}:\n{logs}");
    }
    Ok(())
}

async fn a_late_update_does_not_resurrect(setup: Setup) -> Result<()> {
    let stage = Stage::at_work(setup).await?;
    let simulator = &stage.simulator;
    let id = simulator.create("Ada", "ada@example.com")?;
    stage.deliver_all().await?;
    simulator.rename(&id, "Ada King")?;
    let update = simulator.take_messages();
    simulator.delete(&id)?;
    stage.deliver_all().await?;
    for late in &update {
        stage.taken(late).await?;
        stage.taken(late).await?;
    }
    assert!(!stage.the_row(&id).await?.lives());
    stage.assert_in_sync().await
}

async fn a_deletion_may_arrive_before_the_creation(setup: Setup) -> Result<()> {
    let stage = Stage::at_work(setup).await?;
    let simulator = &stage.simulator;
    let id = simulator.create("Ada", "ada@example.com")?;
    simulator.delete(&id)?;
    for message in simulator.take_messages().iter().rev() {
        stage.taken(message).await?;
        assert!(!stage.the_row(&id).await?.lives());
    }
    stage.assert_in_sync().await
}

/// Each header that is proof has to be there, and as it was.
async fn an_unproven_delivery_is_refused(setup: Setup) -> Result<()> {
    let stage = Stage::at_work(setup).await?;
    stage.simulator.create("Ada", "ada@example.com")?;
    let mut messages = stage.simulator.take_messages();
    let message = messages.remove(0);
    let client = client()?;
    let send = async |headers: HeaderMap| -> Result<u16> {
        let request = client.post(stage.webhook().await?.url()).headers(headers);
        let answer = request.body(message.body.clone()).send().await?;
        Ok(answer.status().as_u16())
    };
    let signed = stage.signed(&message)?;
    let proof: Vec<_> = signed
        .keys()
        .filter(|name| !["content-type", "user-agent"].contains(&name.as_str()))
        .collect();
    assert!(!proof.is_empty());
    for name in proof {
        let value = signed[name].to_str()?;
        let (half, rest) = value.split_at(value.len() / 2);
        let other = if rest.starts_with('7') { '8' } else { '7' };
        for wrong in [
            None,
            Some(String::new()),
            Some(half.to_owned()),
            Some(format!("{half}{other}{}", &rest[1..])),
            Some("Basic dXNlcjpwYXNz".to_owned()),
        ] {
            let mut headers = signed.clone();
            headers.remove(name);
            if let Some(wrong) = &wrong {
                headers.insert(name, HeaderValue::from_str(wrong)?);
            }
            assert_eq!(send(headers).await?, 401, "{name}: {wrong:?}");
        }
    }
    assert!(stage.table().await?.is_empty());
    assert!(stage.rejections().await?.is_empty());
    assert_eq!(send(signed).await?, 200);
    for message in messages {
        stage.taken(&message).await?;
    }
    stage.assert_in_sync().await
}

async fn a_signed_body_that_is_no_user_is_kept_once(setup: Setup) -> Result<()> {
    let stage = Stage::at_work(setup).await?;
    // A body that is kept is no failure where nobody would send it again.
    let kept = match stage.secret()["signing_secrets"].is_array() {
        true => 400,
        false => 202,
    };
    let bodies = ["ada@example.com is not JSON", "[]", "{", r#"{"type":7}"#];
    for body in bodies {
        let message = stage.simulator.tell("user.created", body);
        for _ in 0..2 {
            assert_eq!(stage.deliver(&message).await?, kept, "{body}");
        }
    }
    let rejections = stage.rejections().await?;
    assert_eq!(rejections.len(), bodies.len(), "{rejections:?}");
    for rejection in &rejections {
        assert_eq!(rejection["source"], "delivery");
        let reason = rejection["reason"].as_str().unwrap_or_default();
        assert!(!reason.is_empty() && !reason.contains("example.com"));
    }
    assert!(stage.table().await?.is_empty());
    Ok(())
}

/// A hint can't be followed then; a statement needs nobody to confirm it.
async fn while_the_provider_is_in_trouble_nothing_is_kept_and_a_retry_applies(
    setup: Setup,
) -> Result<()> {
    let stage = Stage::at_work(setup).await?;
    let simulator = &stage.simulator;
    simulator.create("Bob", "bob@example.com")?;
    stage.deliver_all().await?;
    let hints = simulator.count(Call::Read) > 0;
    let id = simulator.create("Ada", "ada@example.com")?;
    let mut messages = simulator.take_messages();
    // Stack Auth makes a team first, of which nothing is to be known.
    messages.retain(|message| !message.kind.starts_with("team"));
    for fault in [
        Fault::Status(500),
        Fault::Html(502),
        Fault::Html(404),
        Fault::Dropped,
        Fault::TooManyRequests {
            retry_after: Some(600),
        },
    ] {
        simulator.add_trouble(Trouble::every(fault.clone()));
        let status = stage.deliver(&messages[0]).await?;
        assert_eq!(status, if hints { 503 } else { 200 }, "{fault:?}");
        assert_eq!(stage.row(&id).await?.is_none(), hints, "{fault:?}");
        simulator.clear_troubles();
    }
    assert!(stage.rejections().await?.is_empty());
    for message in &messages {
        stage.taken(message).await?;
    }
    stage.assert_in_sync().await
}
