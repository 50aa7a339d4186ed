//! Replicas that lag.

use std::time::Duration;

use anyhow::Result;
use axum::http::StatusCode;

use super::{get, project, walk};

const LAG: Duration = Duration::from_millis(800);

#[tokio::test]
async fn a_lagging_replica_shows_every_change_late() -> Result<()> {
    let simulator = project().await?;
    simulator.seed(2);
    let seeded = walk(&simulator, "").await?;
    let (renamed, deleted) = (&seeded[0], &seeded[1]);
    simulator.switch(|switches| switches.lag_ms = 800);
    let path = format!("/users/{renamed}");
    let old = get(&simulator, &path).await?.body;

    simulator.rename(renamed, "Ada")?;
    simulator.delete(deleted)?;
    let new = simulator.create("Grace", "grace@example.com")?;
    simulator.clock().advance(LAG - Duration::from_millis(1));
    assert_eq!(get(&simulator, &path).await?.body, old);
    assert_eq!(
        get(&simulator, &format!("/users/{deleted}")).await?.status,
        StatusCode::OK
    );
    let answer = get(&simulator, &format!("/users/{new}")).await?;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.code()?, "USER_NOT_FOUND");
    assert_eq!(walk(&simulator, "limit=1").await?, seeded);

    simulator.clock().advance(Duration::from_millis(1));
    assert_eq!(get(&simulator, &path).await?.json()?["display_name"], "Ada");
    let answer = get(&simulator, &format!("/users/{deleted}")).await?;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(walk(&simulator, "limit=1").await?, [renamed.clone(), new]);
    Ok(())
}

#[tokio::test]
async fn each_of_several_changes_is_seen_in_its_turn() -> Result<()> {
    let simulator = project().await?;
    let id = simulator.create("One", "ada@example.com")?;
    for name in ["Two", "Three"] {
        simulator.clock().advance(Duration::from_millis(100));
        simulator.rename(&id, name)?;
    }
    simulator.clock().advance(Duration::from_millis(100));
    for (lag, name) in [(50, "Three"), (150, "Two"), (250, "One")] {
        simulator.switch(|switches| switches.lag_ms = lag);
        let user = get(&simulator, &format!("/users/{id}")).await?.json()?;
        assert_eq!(user["display_name"], name);
        let listed = get(&simulator, "/users").await?.json()?;
        assert_eq!(listed["items"][0], user);
    }
    Ok(())
}

#[tokio::test]
async fn an_anonymous_user_who_signed_up_a_moment_ago_is_listed_in_the_old_place() -> Result<()> {
    let simulator = project().await?;
    let first = simulator.create_anonymous()?;
    simulator.clock().advance(LAG);
    let second = simulator.create("Ada", "ada@example.com")?;
    simulator.clock().advance(LAG * 2);
    simulator.anonymous_signs_up(&first, "Grace", "grace@example.com")?;
    let query = "limit=1&include_anonymous=true";
    assert_eq!(
        walk(&simulator, query).await?,
        [&second, &first].map(String::as_str)
    );
    simulator.switch(|switches| switches.lag_ms = 800);
    assert_eq!(
        walk(&simulator, query).await?,
        [&first, &second].map(String::as_str)
    );
    assert_eq!(
        walk(&simulator, &format!("{query}&desc=true")).await?,
        [second, first]
    );
    Ok(())
}

#[tokio::test]
async fn some_reads_may_miss_the_replica() -> Result<()> {
    let simulator = project().await?;
    let id = simulator.create("Ada", "ada@example.com")?;
    simulator.switch(|switches| {
        switches.lag_ms = 800;
        switches.lag_share = 0.5;
    });
    let mut seen = 0;
    for _ in 0..40 {
        let status = get(&simulator, &format!("/users/{id}")).await?.status;
        seen += usize::from(status == StatusCode::OK);
    }
    assert!((1..40).contains(&seen), "{seen} of 40");
    Ok(())
}
