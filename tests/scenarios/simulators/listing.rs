//! `GET /users`.

use std::time::Duration;

use anyhow::{Context, Result};
use axum::http::StatusCode;
use serde_json::json;
use tests::simulator::Simulator;
use tests::simulator::Standing::{self, Anonymous, Full, Restricted};

use super::{get, project, walk};

/// So many full users, whose ids are answered in the order of the listing.
fn users(simulator: &Simulator, count: usize) -> Result<Vec<String>> {
    (0..count)
        .map(|number| {
            simulator.clock().advance(Duration::from_millis(1));
            simulator.create(&format!("User {number}"), &format!("u{number}@example.com"))
        })
        .collect()
}

fn truth(simulator: &Simulator) -> Vec<String> {
    simulator.truth().map(|user| user.id).collect()
}

#[tokio::test]
async fn an_unknown_or_malformed_parameter_is_a_schema_error() -> Result<()> {
    let simulator = project().await?;
    for query in [
        "limt=1",
        "limit=0",
        "limit=-1",
        "limit=1.5",
        "limit=many",
        "limit=",
        "cursor=1",
        "cursor=",
        "team_id=1",
        "order_by=email",
        "desc=1",
        "include_anonymous=yes",
        "include_restricted=",
        "only_anonymous=1",
    ] {
        let answer = get(&simulator, &format!("/users?{query}")).await?;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(answer.code()?, "SCHEMA_ERROR", "{query}");
    }
    Ok(())
}

#[tokio::test]
async fn an_older_server_refuses_the_parameters_it_does_not_know() -> Result<()> {
    let simulator = project().await?;
    for name in ["include_restricted", "include_anonymous"] {
        let path = format!("/users?{name}=true");
        assert_eq!(get(&simulator, &path).await?.status, StatusCode::OK);
        simulator.switch(|switches| {
            switches.refused_parameters.insert(name.to_owned());
        });
        let answer = get(&simulator, &path).await?;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.code()?, "SCHEMA_ERROR");
        assert_eq!(get(&simulator, "/users").await?.status, StatusCode::OK);
        simulator.clear_troubles();
    }
    Ok(())
}

#[tokio::test]
async fn only_anonymous_needs_include_anonymous() -> Result<()> {
    let simulator = project().await?;
    let answer = get(&simulator, "/users?only_anonymous=true").await?;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.code()?, "");
    assert_eq!(
        answer.body,
        "only_anonymous=true requires include_anonymous=true"
    );
    Ok(())
}

#[tokio::test]
async fn the_next_cursor_is_the_first_user_of_the_next_page() -> Result<()> {
    let simulator = project().await?;
    let ids = users(&simulator, 5)?;
    let (first, next) = get(&simulator, "/users?limit=2").await?.page()?;
    assert_eq!(first, ids[..2]);
    assert_eq!(next.as_ref(), Some(&ids[2]));
    let path = format!("/users?limit=2&cursor={}", ids[2]);
    let (second, next) = get(&simulator, &path).await?.page()?;
    assert_eq!(second, ids[2..4]);
    assert_eq!(next.as_ref(), Some(&ids[4]));
    let path = format!("/users?limit=1&cursor={}", ids[4]);
    assert_eq!(
        get(&simulator, &path).await?.page()?,
        (vec![ids[4].clone()], None)
    );
    Ok(())
}

#[tokio::test]
async fn a_page_that_ends_with_the_last_user_has_no_next_cursor() -> Result<()> {
    let simulator = project().await?;
    let ids = users(&simulator, 2)?;
    assert_eq!(
        get(&simulator, "/users?limit=2").await?.page()?,
        (ids, None)
    );
    Ok(())
}

#[tokio::test]
async fn a_cursor_that_was_deleted_looks_like_a_clean_end() -> Result<()> {
    let simulator = project().await?;
    let ids = users(&simulator, 5)?;
    let (_, next) = get(&simulator, "/users?limit=2").await?.page()?;
    let next = next.context("no cursor")?;
    simulator.delete(&next)?;
    let answer = get(&simulator, &format!("/users?limit=2&cursor={next}")).await?;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        answer.json()?,
        json!({"items": [], "is_paginated": true, "pagination": {"next_cursor": null}})
    );
    assert_eq!(truth(&simulator), [&ids[..2], &ids[3..]].concat());
    Ok(())
}

#[tokio::test]
async fn without_a_limit_every_user_is_listed() -> Result<()> {
    let simulator = project().await?;
    simulator.seed(1_500);
    let query = "/users?include_anonymous=true";
    assert_eq!(
        get(&simulator, query).await?.page()?,
        (truth(&simulator), None)
    );
    Ok(())
}

#[tokio::test]
async fn users_who_signed_up_in_the_same_millisecond_come_by_id() -> Result<()> {
    let simulator = project().await?;
    let mut ids = (0..20)
        .map(|number| simulator.create("Same", &format!("u{number}@example.com")))
        .collect::<Result<Vec<_>>>()?;
    ids.sort();
    assert_eq!(walk(&simulator, "limit=3").await?, ids);
    ids.reverse();
    assert_eq!(walk(&simulator, "limit=3&desc=true").await?, ids);
    Ok(())
}

#[tokio::test]
async fn the_default_listing_leaves_out_anonymous_and_restricted_users() -> Result<()> {
    let simulator = project().await?;
    simulator.seed(200);
    let of = |wanted: &[Standing]| -> Vec<String> {
        simulator
            .truth()
            .filter(|user| wanted.contains(&user.reading.standing))
            .map(|user| user.id)
            .collect()
    };
    assert_eq!(of(&[Anonymous]).len(), 4);
    assert_eq!(of(&[Restricted]).len(), 4);
    for (query, expected) in [
        ("limit=30", of(&[Full])),
        ("limit=30&include_restricted=true", of(&[Full, Restricted])),
        ("limit=30&include_anonymous=true", truth(&simulator)),
        (
            "limit=30&include_anonymous=true&include_restricted=false",
            truth(&simulator),
        ),
        (
            "limit=3&include_anonymous=true&only_anonymous=true",
            of(&[Anonymous]),
        ),
    ] {
        assert_eq!(walk(&simulator, query).await?, expected, "{query}");
    }
    Ok(())
}

#[tokio::test]
async fn a_user_whose_email_is_unverified_is_restricted_where_the_project_says_so() -> Result<()> {
    let simulator = super::start(tests::simulator::Stack {
        require_email_verification: true,
        ..Default::default()
    })
    .await?;
    let id = simulator.create("Ada", "ada@example.com")?;
    assert!(walk(&simulator, "").await?.is_empty());
    assert_eq!(
        walk(&simulator, "include_restricted=true").await?,
        [id.as_str()]
    );
    simulator.verify_email(&id)?;
    assert_eq!(walk(&simulator, "").await?, [id]);
    Ok(())
}

#[tokio::test]
async fn an_anonymous_user_who_signs_up_moves_to_the_end() -> Result<()> {
    let simulator = project().await?;
    let anonymous = simulator.create_anonymous()?;
    let others = users(&simulator, 3)?;
    let query = "limit=2&include_anonymous=true";
    let before = [std::slice::from_ref(&anonymous), &others].concat();
    assert_eq!(walk(&simulator, query).await?, before);
    simulator.clock().advance(Duration::from_millis(1));
    simulator.anonymous_signs_up(&anonymous, "Ada", "ada@example.com")?;
    assert_eq!(
        walk(&simulator, query).await?,
        [others, vec![anonymous]].concat()
    );
    Ok(())
}

#[tokio::test]
async fn a_search_finds_ids_names_and_emails() -> Result<()> {
    let simulator = project().await?;
    let ids = users(&simulator, 3)?;
    for query in [&ids[1], "user%201", "U1@EXAMPLE"] {
        assert_eq!(
            walk(&simulator, &format!("query={query}")).await?,
            ids[1..2]
        );
    }
    assert!(walk(&simulator, "query=nobody").await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_team_lists_its_members() -> Result<()> {
    let simulator = project().await?;
    let ids = users(&simulator, 3)?;
    let user = get(&simulator, &format!("/users/{}", ids[1]))
        .await?
        .json()?;
    let team = user["selected_team_id"]
        .as_str()
        .context("no team")?
        .to_owned();
    assert_eq!(
        walk(&simulator, &format!("team_id={team}")).await?,
        ids[1..2]
    );
    Ok(())
}

#[tokio::test]
async fn a_walk_sees_every_user_once_both_ways() -> Result<()> {
    let simulator = project().await?;
    simulator.seed(300);
    users(&simulator, 50)?;
    let all = truth(&simulator);
    for (number, id) in all.iter().enumerate() {
        match number % 7 {
            0 => simulator.delete(id)?,
            1 => simulator.rename(id, "Somebody Else")?,
            2 => simulator.touch_activity(id)?,
            _ => {}
        }
    }
    let mut left = truth(&simulator);
    assert_eq!(left.len(), 300);
    assert_eq!(simulator.live(), 300);
    assert!(left.iter().all(|id| all.contains(id)));
    let query = "limit=7&include_anonymous=true";
    assert_eq!(walk(&simulator, query).await?, left);
    left.reverse();
    assert_eq!(walk(&simulator, &format!("{query}&desc=true")).await?, left);
    Ok(())
}

#[tokio::test]
async fn a_listing_shows_the_same_profile_as_a_read_and_as_the_truth() -> Result<()> {
    let simulator = project().await?;
    simulator.seed(60);
    let id = simulator.create("Ada", "ada@example.com")?;
    simulator.rename(&id, "Ada L.")?;
    let listing = get(&simulator, "/users?include_anonymous=true")
        .await?
        .json()?;
    let listed = listing["items"].as_array().context("no items")?;
    for (listed, truth) in listed.iter().zip(simulator.truth()) {
        let read = get(&simulator, &format!("/users/{}", truth.id)).await?;
        assert_eq!(read.body, *truth.profile);
        assert_eq!(read.json()?, *listed);
        assert_eq!(listed["display_name"], json!(truth.reading.name));
        assert_eq!(listed["primary_email"], json!(truth.reading.email));
        assert_eq!(
            listed["signed_up_at_millis"],
            json!(truth.reading.created_at)
        );
    }
    assert_eq!(listed.len(), 61);
    Ok(())
}

#[tokio::test]
async fn a_million_users_take_no_time_until_they_are_asked_for() -> Result<()> {
    let simulator = project().await?;
    simulator.seed(1_000_000);
    assert_eq!(simulator.live(), 1_000_000);
    let last = "/users?limit=2&desc=true&include_anonymous=true";
    let (ids, next) = get(&simulator, last).await?.page()?;
    let path = format!("/users?limit=100&cursor={}&include_anonymous=true", ids[1]);
    let (tail, _) = get(&simulator, &path).await?.page()?;
    assert_eq!(tail, [ids[1].as_str(), &ids[0]]);
    assert!(next.is_some());
    Ok(())
}

#[tokio::test]
async fn the_same_seed_makes_the_same_users() -> Result<()> {
    let (one, other) = (project().await?, project().await?);
    for simulator in [&one, &other] {
        simulator.seed(20);
        simulator.create("Ada", "ada@example.com")?;
    }
    assert!(one.truth().eq(other.truth()));
    assert_eq!(one.take_messages(), other.take_messages());
    Ok(())
}

#[tokio::test]
async fn the_cursor_of_a_newest_server_is_the_last_user_of_the_page_before() -> Result<()> {
    let simulator = super::start(tests::simulator::Stack::hexclave()).await?;
    let ids = users(&simulator, 5)?;
    let (first, next) = get(&simulator, "/users?limit=2").await?.page()?;
    assert_eq!((first, next.as_ref()), (ids[..2].to_vec(), Some(&ids[1])));
    let path = format!("/users?limit=2&cursor={}", ids[1]);
    let (second, next) = get(&simulator, &path).await?.page()?;
    assert_eq!((second, next.as_ref()), (ids[2..4].to_vec(), Some(&ids[3])));
    let path = format!("/users?limit=1&cursor={}", ids[3]);
    assert_eq!(
        get(&simulator, &path).await?.page()?,
        (ids[4..].to_vec(), None)
    );
    simulator.delete(&ids[3])?;
    assert_eq!(get(&simulator, &path).await?.page()?, (vec![], None));
    assert_eq!(get(&simulator, "/users?limit=1001").await?.status, 400);
    assert_eq!(get(&simulator, "/users").await?.status, 200);
    simulator.seed(1_100);
    assert_eq!(get(&simulator, "/users").await?.status, 400);
    Ok(())
}
