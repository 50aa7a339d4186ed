//! Keys that are let in, and how the simulator refuses the others.

use anyhow::Result;
use axum::http::{Method, StatusCode};
use serde_json::json;
use tests::simulator::Stack;

use super::{ask, ask_with, get, project};

const NOBODY: &str = "/users/3241a285-8329-4d69-8f3d-316e08cf140c";

#[tokio::test]
async fn each_missing_or_wrong_header_has_its_own_error() -> Result<()> {
    let simulator = project().await?;
    let Stack {
        project_id,
        secret_server_key,
        ..
    } = Stack::default();
    let (kind, id, key) = (
        "x-stack-access-type",
        "x-stack-project-id",
        "x-stack-secret-server-key",
    );
    let (own, right) = (project_id.as_str(), secret_server_key.as_str());
    type Case<'a> = (&'a [(&'a str, &'a str)], u16, &'a str);
    let cases: &[Case<'_>] = &[
        (&[], 400, "ACCESS_TYPE_REQUIRED"),
        (&[(id, own)], 400, "ACCESS_TYPE_REQUIRED"),
        (
            &[(id, own), (key, right)],
            400,
            "PROJECT_KEY_WITHOUT_ACCESS_TYPE",
        ),
        (
            &[(kind, "root"), (id, own), (key, right)],
            400,
            "INVALID_ACCESS_TYPE",
        ),
        (
            &[(kind, "server"), (key, right)],
            400,
            "ACCESS_TYPE_WITHOUT_PROJECT_ID",
        ),
        (
            &[(kind, "server"), (id, own)],
            401,
            "SERVER_AUTHENTICATION_REQUIRED",
        ),
        (
            &[(kind, "server"), (id, own), (key, "ssk_x")],
            401,
            "INVALID_SECRET_SERVER_KEY",
        ),
        (
            &[(kind, "server"), (id, "other"), (key, right)],
            400,
            "CURRENT_PROJECT_NOT_FOUND",
        ),
        // The project is looked at before the key.
        (
            &[(kind, "server"), (id, "other")],
            400,
            "CURRENT_PROJECT_NOT_FOUND",
        ),
        (
            &[(kind, "client"), (id, own)],
            401,
            "INSUFFICIENT_ACCESS_TYPE",
        ),
        (&[(kind, "server"), (id, own), (key, right)], 200, ""),
    ];
    for (headers, status, code) in cases {
        let answer = ask_with(&simulator, Method::GET, "/users", headers, String::new()).await?;
        assert_eq!(answer.status.as_u16(), *status, "{headers:?}");
        assert_eq!(answer.code()?, *code, "{headers:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_user_who_is_not_there_is_user_not_found() -> Result<()> {
    let simulator = project().await?;
    for (method, body) in [
        (Method::GET, None),
        (Method::PATCH, Some(json!({}))),
        (Method::DELETE, None),
    ] {
        let answer = ask(&simulator, method, NOBODY, body).await?;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert_eq!(answer.code()?, "USER_NOT_FOUND");
        assert_eq!(
            answer.json()?,
            json!({"code": "USER_NOT_FOUND", "error": "User not found."})
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_second_delete_is_user_not_found() -> Result<()> {
    let simulator = project().await?;
    let id = simulator.create("Ada", "ada@example.com")?;
    let path = format!("/users/{id}");
    let first = ask(&simulator, Method::DELETE, &path, None).await?;
    assert_eq!(first.status, StatusCode::OK);
    assert_eq!(first.json()?, json!({"success": true}));
    let second = ask(&simulator, Method::DELETE, &path, None).await?;
    assert_eq!(second.status, StatusCode::NOT_FOUND);
    assert_eq!(second.code()?, "USER_NOT_FOUND");
    assert_eq!(simulator.deleted_ids(), [id]);
    Ok(())
}

#[tokio::test]
async fn a_delete_with_a_json_content_type_needs_a_json_body() -> Result<()> {
    let simulator = project().await?;
    let id = simulator.create("Ada", "ada@example.com")?;
    let Stack {
        project_id,
        secret_server_key,
        ..
    } = Stack::default();
    let headers = [
        ("x-stack-access-type", "server"),
        ("x-stack-project-id", project_id.as_str()),
        ("x-stack-secret-server-key", secret_server_key.as_str()),
        ("content-type", "application/json"),
    ];
    let path = format!("/users/{id}");
    let empty = ask_with(&simulator, Method::DELETE, &path, &headers, String::new()).await?;
    assert_eq!(empty.status, StatusCode::BAD_REQUEST);
    assert_eq!(empty.code()?, "BODY_PARSING_ERROR");
    assert_eq!(simulator.live(), 1);
    let object = ask_with(&simulator, Method::DELETE, &path, &headers, "{}".to_owned()).await?;
    assert_eq!(object.status, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn an_id_that_is_no_uuid_is_a_schema_error() -> Result<()> {
    let simulator = project().await?;
    for id in ["1", "user_2x", "3241a28583294d698f3d316e08cf140c", "%00"] {
        let answer = get(&simulator, &format!("/users/{id}")).await?;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{id}");
        assert_eq!(answer.code()?, "SCHEMA_ERROR", "{id}");
    }
    Ok(())
}

#[tokio::test]
async fn a_schema_error_says_in_its_details_what_is_wrong() -> Result<()> {
    let simulator = project().await?;
    let answer = get(&simulator, "/users?limit=0&colour=red").await?;
    let message = "Request validation failed on GET /api/v1/users:\n  \
                   - query.limit must be greater than or equal to 1\n  \
                   - query contains unknown properties: colour";
    assert_eq!(
        answer.json()?,
        json!({"code": "SCHEMA_ERROR", "details": {"message": message}, "error": message})
    );
    Ok(())
}

#[tokio::test]
async fn a_field_that_users_do_not_have_is_a_schema_error() -> Result<()> {
    let simulator = project().await?;
    let id = simulator.create("Ada", "ada@example.com")?;
    let path = format!("/users/{id}");
    let cases = [
        (Method::POST, "/users", json!({"id": id})),
        (Method::POST, "/users", json!({"selected_team_id": null})),
        (Method::PATCH, &path, json!({"signed_up_at_millis": 1})),
        (Method::PATCH, &path, json!({"is_anonymous": true})),
        (Method::PATCH, &path, json!({"display_name": {}})),
        (Method::PATCH, &path, json!([])),
    ];
    simulator.take_messages();
    for (method, path, body) in cases {
        let answer = ask(&simulator, method, path, Some(body.clone())).await?;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(answer.code()?, "SCHEMA_ERROR", "{body}");
    }
    assert_eq!(simulator.take_messages(), []);
    Ok(())
}

#[tokio::test]
async fn anonymous_and_restricted_users_are_read_by_id() -> Result<()> {
    let simulator = project().await?;
    let anonymous = simulator.create_anonymous()?;
    let restricted = simulator.create("Ada", "ada@example.com")?;
    simulator.update(&restricted, &json!({"restricted_by_admin": true}))?;
    for (id, reason) in [
        (anonymous, "anonymous"),
        (restricted, "restricted_by_administrator"),
    ] {
        let user = get(&simulator, &format!("/users/{id}")).await?.json()?;
        assert_eq!(user["id"], id.as_str());
        assert_eq!(user["is_restricted"], true);
        assert_eq!(user["restricted_reason"], json!({"type": reason}));
    }
    Ok(())
}

#[tokio::test]
async fn an_unknown_path_is_an_html_page() -> Result<()> {
    let simulator = project().await?;
    let answer = get(&simulator, "/persons").await?;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.code()?, "");
    assert!(answer.body.starts_with("<!DOCTYPE html>"));
    Ok(())
}

#[tokio::test]
async fn headers_may_carry_stacks_new_name() -> Result<()> {
    let simulator = project().await?;
    let Stack {
        project_id,
        secret_server_key,
        ..
    } = Stack::default();
    let headers = [
        ("x-hexclave-access-type", "server"),
        ("x-hexclave-project-id", project_id.as_str()),
        ("x-hexclave-secret-server-key", secret_server_key.as_str()),
    ];
    let answer = ask_with(&simulator, Method::GET, "/users", &headers, String::new()).await?;
    assert_eq!(answer.status, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn stacks_own_clients_get_errors_dressed_as_successes() -> Result<()> {
    let simulator = project().await?;
    let headers = [("x-stack-override-error-status", "true")];
    let answer = ask_with(&simulator, Method::GET, NOBODY, &headers, String::new()).await?;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["x-stack-actual-status"], "400");
    assert_eq!(answer.code()?, "ACCESS_TYPE_REQUIRED");
    Ok(())
}
