//! Answers that are no success, of every provider: what they are taken for, and what the operator
//! is told.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::for_each_provider;
use tests::simulator::{Call, Fault, Message, Trouble};
use tests::stage::{Setup, Stage};

for_each_provider! {
    a_refused_key_is_one_whatever_the_body_is
    a_key_whose_refusal_had_no_words_is_read_again
    the_providers_own_trouble_is_shown_by_its_code
    a_long_rate_limit_is_reported_with_its_end
}

/// The message of a run of the usual length, which is to fail.
async fn failure(stage: &Stage) -> Result<String> {
    let limit = Duration::from_secs(60);
    let report = stage
        .reconcile()
        .await?
        .invoke_with_deadline(json!({}), limit)
        .await;
    let error = report.err().context("it did not fail")?;
    ensure!(error.error_type == "Failed", "{error}");
    Ok(error.error_message)
}

/// A delivery that has a hint's user read, where the provider's are hints.
fn last_of(mut messages: Vec<Message>) -> Result<Message> {
    messages.retain(|message| message.kind != "team.created");
    messages.pop().context("nothing told")
}

async fn a_refused_key_is_one_whatever_the_body_is(setup: Setup) -> Result<()> {
    let stage = Stage::at_work(setup).await?;
    let (simulator, key) = (&stage.simulator, stage.provider()?.key);
    simulator.seed(3);
    stage.complete(json!({})).await?;
    let id = simulator.create("Ada", "ada@example.com")?;
    let message = last_of(simulator.take_messages())?;
    for fault in [
        Fault::Status(401),
        Fault::Html(403),
        Fault::answer(401, ""),
        Fault::answer(403, r#"{"message":"Forbidden by policy 7"}"#),
        Fault::answer(401, "{}"),
    ] {
        simulator.add_trouble(Trouble::every(fault.clone()));
        simulator.clear_requests();
        let said = failure(&stage).await?;
        assert!(
            said.contains(&format!("provider.{key}")),
            "{fault:?}: {said}"
        );
        assert!(said.contains("401") || said.contains("403"), "{said}");
        assert!(!said.contains("policy 7"), "{said}");
        // Asked again, it says the same: who is refused does not ask again and again.
        let asked = simulator.requests().len();
        assert!(asked <= 4, "{fault:?}: asked {asked} times");

        let provision = stage.start("provision").await?;
        // By hand it may go on, and says what is the matter all the same.
        let _ = provision.invoke(json!({})).await;
        let logs = provision.logs()?;
        assert!(
            logs.contains(&format!("provider.{key}")),
            "{fault:?}: {logs}"
        );

        // An event that needs no read is taken all the same.
        let status = stage.deliver(&message).await?;
        let read = simulator.count(Call::Read) > 0;
        assert!(status == 200 || status == 503, "{status}");
        assert!(!(read && status == 200), "{fault:?}");
        simulator.clear_troubles();
    }
    stage.taken(&message).await?;
    stage.complete(json!({})).await?;
    assert!(stage.the_row(&id).await?.lives());
    stage.assert_in_sync().await
}

async fn a_key_whose_refusal_had_no_words_is_read_again(setup: Setup) -> Result<()> {
    let stage = Stage::in_sync(setup, 3).await?;
    let simulator = &stage.simulator;
    let url = stage.secret()["database_url"].clone();
    let url = url.as_str().context("no URL")?;
    let mark = if url.contains('?') { '&' } else { '?' };
    // A token is asked for anew before its key is taken for refused.
    let refusals = if stage.provider()?.key == "client_secret" {
        2
    } else {
        1
    };
    for (number, fault) in [
        Fault::Status(401),
        Fault::Html(403),
        Fault::answer(401, ""),
        Fault::answer(403, r#"{"message":"Forbidden"}"#),
    ]
    .into_iter()
    .enumerate()
    {
        // Other bytes, as those of a rotated secret.
        stage.change_secret(|secret| {
            secret["database_url"] = format!("{url}{mark}application_name=r{number}").into();
        })?;
        simulator.add_trouble(Trouble::next(refusals, fault.clone()).on(Call::List));
        let report = stage.complete(json!({})).await;
        report.with_context(|| format!("{fault:?}"))?;
        simulator.clear_troubles();
    }
    let logs = stage.reconcile().await?.logs()?;
    let taken_in = logs.matches("took in a rotated secret").count();
    assert_eq!(taken_in, 4, "{logs}");
    Ok(())
}

async fn the_providers_own_trouble_is_shown_by_its_code(setup: Setup) -> Result<()> {
    let stage = Stage::at_work(setup).await?;
    let simulator = &stage.simulator;
    simulator.seed(3);
    let error = json!({
        "code": "unexpected_failure", "error_code": "unexpected_failure",
        "errorCode": "unexpected_failure", "msg": "Database error finding users",
        "message": "Database error finding users of ada@example.com",
    });
    let body = match stage.provider()?.errors_are_listed {
        true => json!({"errors": [error]}),
        false => error,
    };
    let own = Trouble::every(Fault::answer(500, &body.to_string())).on(Call::List);
    simulator.add_trouble(own);
    let said = failure(&stage).await?;
    assert!(said.contains("500 unexpected_failure"), "{said}");
    assert!(!said.contains("way to the internet"), "{said}");
    assert!(!said.contains("finding users"), "{said}");
    // It may pass, and is asked again.
    assert!(simulator.count(Call::List) > 3);
    simulator.clear_troubles();

    simulator.add_trouble(Trouble::every(Fault::Html(500)).on(Call::List));
    let said = failure(&stage).await?;
    assert!(
        said.contains("HTTP 500") && said.contains("way to the internet"),
        "{said}"
    );
    simulator.clear_troubles();
    stage.complete(json!({})).await?;
    stage.assert_in_sync().await
}

async fn a_long_rate_limit_is_reported_with_its_end(setup: Setup) -> Result<()> {
    let stage = Stage::at_work(setup).await?;
    let simulator = &stage.simulator;
    simulator.seed(3);
    for (retry_after, expected) in [
        ("3600", "2025-02-01T13:00:00Z (for 3600 seconds)"),
        (
            "Sat, 01 Feb 2025 13:00:00 GMT",
            "2025-02-01T13:00:00Z (for 3600 seconds)",
        ),
        (
            "Saturday, 01-Feb-25 13:30:00 GMT",
            "2025-02-01T13:30:00Z (for 5400 seconds)",
        ),
        (
            "Sat Feb  1 13:00:30 2025",
            "2025-02-01T13:00:30Z (for 3630 seconds)",
        ),
    ] {
        let limited = Fault::Answer {
            status: 429,
            headers: vec![
                ("retry-after".to_owned(), retry_after.to_owned()),
                (
                    "date".to_owned(),
                    "Sat, 01 Feb 2025 12:00:00 GMT".to_owned(),
                ),
            ],
            body: String::new(),
        };
        simulator.add_trouble(Trouble::every(limited));
        let said = failure(&stage).await?;
        assert!(
            said.contains("rate limiting until"),
            "{retry_after}: {said}"
        );
        assert!(said.contains(expected), "{retry_after}: {said}");
        let run = stage.runs().await?.pop().context("no run")?;
        assert_eq!(run["outcome"], "failed", "{run}");
        assert!(
            run["error"]
                .as_str()
                .is_some_and(|error| error.contains(expected)),
            "{run}"
        );
        simulator.clear_troubles();
    }
    // A short one is waited out, whichever way it is written.
    let briefly = Fault::Answer {
        status: 429,
        headers: vec![
            (
                "retry-after".to_owned(),
                "Sat, 01 Feb 2025 12:00:02 GMT".to_owned(),
            ),
            (
                "date".to_owned(),
                "Sat, 01 Feb 2025 12:00:00 GMT".to_owned(),
            ),
        ],
        body: String::new(),
    };
    simulator.add_trouble(Trouble::next(1, briefly).on(Call::List));
    let report = stage.complete(json!({})).await?;
    let took = report["duration_ms"].as_i64().context("no duration")?;
    assert!((2_000..20_000).contains(&took), "{report}");
    stage.assert_in_sync().await
}
