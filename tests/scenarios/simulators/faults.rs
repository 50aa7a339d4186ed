//! Faults of the simulators: each of them, and at which request it happens.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::http::{Method, StatusCode};
use tests::simulator::{Call, Fault, Moment, RateLimit, Simulator, Trouble};

use super::{ask, get, project};

/// The statuses of so many listings.
async fn statuses(simulator: &Simulator, count: usize) -> Result<Vec<u16>> {
    let mut statuses = Vec::new();
    for _ in 0..count {
        statuses.push(get(simulator, "/users").await?.status.as_u16());
    }
    Ok(statuses)
}

#[tokio::test]
async fn the_next_requests_fail_and_the_ones_after_them_do_not() -> Result<()> {
    let simulator = project().await?;
    simulator.add_trouble(Trouble::next(2, Fault::Status(503)));
    simulator.add_trouble(Trouble::next(1, Fault::Status(500)));
    assert_eq!(statuses(&simulator, 4).await?, [503, 503, 500, 200]);
    Ok(())
}

#[tokio::test]
async fn trouble_can_wait_for_a_later_page() -> Result<()> {
    let simulator = project().await?;
    simulator.add_trouble(Trouble::next(1, Fault::Status(502)).after(2).on(Call::List));
    let id = simulator.create("Ada", "ada@example.com")?;
    assert_eq!(
        get(&simulator, &format!("/users/{id}")).await?.status,
        StatusCode::OK
    );
    assert_eq!(statuses(&simulator, 4).await?, [200, 200, 502, 200]);
    Ok(())
}

#[tokio::test]
async fn chance_is_drawn_from_the_seed() -> Result<()> {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let simulator = project().await?;
        simulator.add_trouble(Trouble::every(Fault::Status(500)).chance(0.5));
        runs.push(statuses(&simulator, 30).await?);
    }
    assert_eq!(runs[0], runs[1]);
    assert!(
        runs[0].contains(&200) && runs[0].contains(&500),
        "{:?}",
        runs[0]
    );
    Ok(())
}

#[tokio::test]
async fn cleared_trouble_is_over() -> Result<()> {
    let simulator = project().await?;
    simulator.add_trouble(Trouble::every(Fault::Status(500)));
    simulator.switch(|switches| switches.lag_ms = 1);
    simulator.clear_troubles();
    assert_eq!(statuses(&simulator, 1).await?, [200]);
    assert_eq!(simulator.switches(), Default::default());
    Ok(())
}

#[tokio::test]
async fn a_request_too_many_may_say_when_to_come_back() -> Result<()> {
    let simulator = project().await?;
    for retry_after in [Some(7), None] {
        simulator.add_trouble(Trouble::next(1, Fault::TooManyRequests { retry_after }));
        let answer = get(&simulator, "/users").await?;
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
        let header = answer.headers.get("retry-after");
        let seconds = header.map(|value| value.to_str()).transpose()?;
        assert_eq!(seconds, retry_after.map(|_| "7"));
    }
    Ok(())
}

#[tokio::test]
async fn a_proxy_may_answer_with_a_page() -> Result<()> {
    let simulator = project().await?;
    for status in [200, 404, 502] {
        simulator.add_trouble(Trouble::next(1, Fault::Html(status)));
        let answer = get(&simulator, "/users").await?;
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!(answer.headers["content-type"], "text/html; charset=utf-8");
        assert!(answer.body.starts_with("<!DOCTYPE html>"));
        assert_eq!(answer.code()?, "");
    }
    Ok(())
}

#[tokio::test]
async fn a_truncated_body_ends_cleanly() -> Result<()> {
    let simulator = project().await?;
    simulator.seed(10);
    let whole = get(&simulator, "/users").await?.body;
    simulator.add_trouble(Trouble::next(1, Fault::Truncated));
    let answer = get(&simulator, "/users").await?;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body, whole[..answer.body.len()]);
    assert_eq!(
        answer.headers["content-length"],
        answer.body.len().to_string().as_str()
    );
    assert!(answer.json().is_err());
    Ok(())
}

#[tokio::test]
async fn a_body_that_is_cut_off_is_shorter_than_it_says() -> Result<()> {
    let simulator = project().await?;
    for users in [1, 1_000] {
        simulator.seed(users);
        simulator.add_trouble(Trouble::next(1, Fault::CutOff));
        let error = get(&simulator, "/users").await.expect_err("no whole body");
        let error = error.downcast::<reqwest::Error>()?;
        assert!(error.is_body() || error.is_decode(), "{error:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_dropped_connection_answers_nothing_but_the_request_has_had_its_effect() -> Result<()> {
    let simulator = project().await?;
    let id = simulator.create("Ada", "ada@example.com")?;
    simulator.add_trouble(Trouble::next(1, Fault::Dropped));
    let path = format!("/users/{id}");
    let error = ask(&simulator, Method::DELETE, &path, None).await;
    let error = error.expect_err("no answer").downcast::<reqwest::Error>()?;
    assert!(error.is_request(), "{error:?}");
    assert_eq!(simulator.live(), 0);
    Ok(())
}

#[tokio::test]
async fn a_request_that_fails_has_no_effect() -> Result<()> {
    let simulator = project().await?;
    let id = simulator.create("Ada", "ada@example.com")?;
    simulator.add_trouble(Trouble::next(1, Fault::Status(500)));
    let answer = ask(&simulator, Method::DELETE, &format!("/users/{id}"), None).await?;
    assert_eq!(answer.status.as_u16(), 500);
    assert_eq!(simulator.live(), 1);
    Ok(())
}

#[tokio::test]
async fn a_request_may_hang() -> Result<()> {
    let simulator = project().await?;
    simulator.add_trouble(Trouble::next(1, Fault::Hang));
    let arrived = async {
        while simulator.requests().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    tokio::select! {
        answer = get(&simulator, "/users") => anyhow::bail!("answered: {answer:?}"),
        () = arrived => {}
    }
    let log = simulator.requests();
    assert_eq!(log[0].status, None);
    assert_eq!(log[0].fault, Some(Fault::Hang));
    Ok(())
}

#[tokio::test]
async fn an_answer_may_trickle() -> Result<()> {
    let simulator = project().await?;
    simulator.seed(1);
    let whole = get(&simulator, "/users").await?.body;
    let fault = Fault::Slow {
        bytes: 100,
        every_ms: 10,
    };
    simulator.add_trouble(Trouble::next(1, fault));
    let started = Instant::now();
    assert_eq!(get(&simulator, "/users").await?.body, whole);
    assert!(
        started.elapsed() > Duration::from_millis(100),
        "{:?}",
        started.elapsed()
    );
    Ok(())
}

#[tokio::test]
async fn a_late_answer_shows_what_was_true_when_it_was_asked_for() -> Result<()> {
    let simulator = project().await?;
    let id = simulator.create("Ada", "ada@example.com")?;
    simulator.add_trouble(Trouble::next(1, Fault::Late(50)));
    let world = simulator.world();
    let renamed = id.clone();
    simulator.once(Moment::After, Call::Read, 0, move |_| {
        world.rename(&renamed, "Grace").expect("rename");
    });
    let user = get(&simulator, &format!("/users/{id}")).await?.json()?;
    assert_eq!(user["display_name"], "Ada");
    let truth = simulator.user(&id).context("gone")?;
    assert_eq!(truth.reading.name.as_deref(), Some("Grace"));
    Ok(())
}

#[tokio::test]
async fn something_can_be_done_right_before_the_third_page() -> Result<()> {
    let simulator = project().await?;
    simulator.seed(3);
    simulator.once(Moment::Before, Call::List, 2, |world| {
        world.create("Ada", "ada@example.com").expect("sign up");
    });
    let mut counts = Vec::new();
    for _ in 0..4 {
        counts.push(get(&simulator, "/users").await?.page()?.0.len());
    }
    assert_eq!(counts, [3, 3, 4, 4]);
    Ok(())
}

#[tokio::test]
async fn a_listing_may_come_back_empty() -> Result<()> {
    let simulator = project().await?;
    simulator.seed(3);
    simulator.add_trouble(Trouble::next(1, Fault::EmptyListing));
    assert_eq!(get(&simulator, "/users").await?.page()?, (vec![], None));
    assert_eq!(get(&simulator, "/users").await?.page()?.0.len(), 3);
    Ok(())
}

#[tokio::test]
async fn more_requests_than_the_limit_allows_are_refused_for_the_rest_of_the_second() -> Result<()>
{
    let simulator = project().await?;
    simulator.switch(|switches| {
        switches.rate_limit = Some(RateLimit {
            per_second: 3,
            retry_after: true,
        });
    });
    assert_eq!(statuses(&simulator, 5).await?, [200, 200, 200, 429, 429]);
    let refused = get(&simulator, "/users").await?;
    assert_eq!(refused.headers["retry-after"], "1");
    simulator.clock().advance(Duration::from_millis(999));
    assert_eq!(statuses(&simulator, 1).await?, [429]);
    simulator.clock().advance(Duration::from_millis(1));
    assert_eq!(statuses(&simulator, 4).await?, [200, 200, 200, 429]);
    Ok(())
}

#[tokio::test]
async fn every_request_is_logged_with_its_query() -> Result<()> {
    let simulator = project().await?;
    let id = simulator.create("Ada", "ada@example.com")?;
    get(&simulator, "/users?limit=10&desc=true").await?;
    get(&simulator, "/users?limit=0").await?;
    get(&simulator, &format!("/users/{id}")).await?;
    get(&simulator, "/elsewhere").await?;
    assert_eq!(simulator.count(Call::List), 2);
    assert_eq!(simulator.count(Call::Read), 1);
    assert_eq!(simulator.count(Call::Other), 1);
    assert_eq!(simulator.count(Call::Delete), 0);
    let log = simulator.requests();
    assert_eq!(
        (log[0].method.as_str(), log[0].path.as_str()),
        ("GET", "/api/v1/users")
    );
    assert_eq!(log[0].query, "limit=10&desc=true");
    let statuses: Vec<_> = log.iter().map(|request| request.status).collect();
    assert_eq!(statuses, [Some(200), Some(400), Some(200), Some(404)]);
    simulator.clear_requests();
    assert_eq!(simulator.count(Call::List), 0);
    Ok(())
}

#[tokio::test]
async fn latency_delays_every_answer() -> Result<()> {
    let simulator = project().await?;
    simulator.switch(|switches| switches.latency_ms = 60);
    let started = Instant::now();
    assert_eq!(statuses(&simulator, 2).await?, [200, 200]);
    assert!(started.elapsed() >= Duration::from_millis(120));
    Ok(())
}
