//! Facts of Supabase alone: whole rows in webhooks, password hash included, of which the id alone
//! may be taken; soft deletions; listings of two kinds; SQL to install.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::simulator::{Call, Fault, SignUp, Supabase, Trouble};
use tests::stage::{Setup, Stage};
use tests::tools::random_name;

use super::each::users_may_come_and_go_at_every_page;
use tests::letter::client;

async fn project() -> Result<Stage> {
    Stage::at_work(Setup::of(Supabase::default())).await
}

#[tokio::test]
async fn neither_hash_nor_token_is_kept_anywhere() -> Result<()> {
    let stage = project().await?;
    let simulator = &stage.simulator;
    let id = simulator.create("Ada", "ada@example.com")?;
    simulator.rename(&id, "Ada King")?;
    let told = simulator.take_messages();
    let update = told.last().context("nothing is told")?;
    stage.taken(update).await?;
    // Rows that can't be taken, as a whole, by half, and with an id that is none.
    let text = String::from_utf8(update.body.to_vec())?;
    let secrets = [
        "encrypted_password",
        "$2a$10$",
        "confirmation_token",
        "confirmation-token",
    ];
    for secret in secrets {
        assert!(text.contains(secret), "the row has no {secret}");
    }
    for body in [
        text.replace(&format!("\"{id}\""), "7"),
        text[..text.len() - 20].to_owned(),
        text.replace(&id, "no-uuid"),
    ] {
        let message = simulator.tell("UPDATE", body);
        assert_eq!(stage.deliver(&message).await?, 202);
    }
    simulator.take_messages();
    simulator.delete(&id)?;
    stage.deliver_all().await?;
    stage.complete(json!({})).await?;

    assert_eq!(stage.rejections().await?.len(), 3);
    let everything = "SELECT concat(raw_json, name, email) AS kept FROM neon_identity.users_sync
        UNION ALL SELECT convert_from(body, 'UTF8') || reason FROM neon_identity.rejections";
    let mut kept = [
        stage.webhook().await?.logs()?,
        stage.reconcile().await?.logs()?,
    ]
    .concat();
    for row in stage.json(everything).await? {
        kept.push_str(row["kept"].as_str().unwrap_or_default());
    }
    for secret in secrets {
        assert!(!kept.contains(secret), "{secret} is kept");
    }
    assert!(kept.contains("no-uuid") && kept.contains(&id));
    Ok(())
}

#[tokio::test]
async fn a_rows_id_alone_is_taken_and_the_user_read() -> Result<()> {
    let stage = project().await?;
    let id = stage.simulator.create("Ada", "ada@example.com")?;
    stage.simulator.take_messages();
    let body = json!({
        "type": "UPDATE", "schema": "auth", "table": "users",
        "record": {"id": id, "email": "old@example.com"}, "old_record": {"id": id},
    });
    let message = stage.simulator.tell("UPDATE", body.to_string());
    stage.taken(&message).await?;
    let row = stage.the_row(&id).await?;
    assert_eq!(row.email.as_deref(), Some("ada@example.com"));
    // Other tables' rows are nobody's.
    let other = body.to_string().replace("\"users\"", "\"sessions\"");
    stage.taken(&stage.simulator.tell("UPDATE", other)).await?;
    stage.assert_in_sync().await
}

#[tokio::test]
async fn fields_that_only_a_read_shows_survive_a_listing() -> Result<()> {
    let stage = project().await?;
    let simulator = &stage.simulator;
    let identities = async |id: &str| -> Result<Value> {
        let profile: Value = serde_json::from_str(&stage.the_row(id).await?.raw_json)?;
        Ok(profile["identities"].clone())
    };
    let told = simulator.create("Ada", "ada@example.com")?;
    stage.deliver_all().await?;
    let listed = simulator.create("Grace", "grace@example.com")?;
    simulator.take_messages();
    stage.complete(json!({})).await?;
    assert_eq!(identities(&told).await?[0]["provider"], "email");
    assert_eq!(identities(&listed).await?, Value::Null);
    // A profile that changed without a delivery is read, so that it stays whole.
    simulator.rename(&told, "Ada King")?;
    simulator.take_messages();
    let report = stage.complete(json!({})).await?;
    assert_eq!(report["updated"], 1, "{report}");
    assert_eq!(identities(&told).await?[0]["provider"], "email");
    stage.assert_in_sync().await?;
    let report = stage.complete(json!({})).await?;
    assert_eq!(report["unchanged"], 2, "{report}");
    Ok(())
}

#[tokio::test]
async fn a_soft_deletion_is_a_deletion_told_or_not() -> Result<()> {
    let stage = project().await?;
    let simulator = &stage.simulator;
    let told = simulator.create("Ada", "ada@example.com")?;
    let lost = simulator.create("Grace", "grace@example.com")?;
    simulator.create("Edsger", "edsger@example.com")?;
    stage.deliver_all().await?;
    let softly = json!({"should_soft_delete": true});
    simulator.update(&told, &softly)?;
    stage.deliver_all().await?;
    let row = stage.the_row(&told).await?;
    assert!(!row.lives());
    // The profile stays as it was, and is not what the server leaves of it.
    assert_eq!(row.email.as_deref(), Some("ada@example.com"));
    simulator.update(&lost, &softly)?;
    simulator.take_messages();
    let report = stage.complete(json!({})).await?;
    assert_eq!(
        (&report["deleted"], &report["revived"]),
        (&json!(1), &json!(0)),
        "{report}"
    );
    stage.assert_in_sync().await?;
    // Both are listed still, and the next run knows better.
    let before = stage.versions().await?;
    stage.complete(json!({})).await?;
    assert!(stage.versions().await? == before, "a tuple was written");
    simulator.delete(&told)?;
    stage.deliver_all().await?;
    stage.assert_in_sync().await
}

#[tokio::test]
async fn an_empty_email_is_none() -> Result<()> {
    let stage = project().await?;
    let anonymous = stage.simulator.create_anonymous()?;
    let unnamed = stage.simulator.sign_up(SignUp::default())?;
    stage.deliver_all().await?;
    for id in [anonymous, unnamed] {
        let row = stage.the_row(&id).await?;
        assert!(row.raw_json.contains(r#""email": """#), "{}", row.raw_json);
        assert_eq!((row.email, row.name), (None, None));
    }
    stage.assert_in_sync().await
}

#[tokio::test]
async fn a_server_with_cursors_is_walked_by_them() -> Result<()> {
    users_may_come_and_go_at_every_page(Setup::of(Supabase {
        cursors: true,
        ..Supabase::default()
    }))
    .await
}

#[tokio::test]
async fn an_older_servers_answers_are_understood() -> Result<()> {
    let stage = Stage::at_work(Setup::of(Supabase {
        versioned: false,
        lists_identities: true,
        whole_rows: false,
        ..Supabase::default()
    }))
    .await?;
    stage.simulator.seed(10);
    let id = stage.simulator.create("Ada", "ada@example.com")?;
    stage.deliver_all().await?;
    stage.complete(json!({})).await?;
    stage.simulator.delete(&id)?;
    stage.simulator.take_messages();
    assert_eq!(stage.complete(json!({})).await?["deleted"], 1);
    stage.assert_in_sync().await
}

/// Runs the SQL that `provision` answers in a database that has Supabase's table and a stand-in for
/// its extension, which keeps the requests that it is to send; they are then sent.
#[tokio::test]
async fn the_sql_to_install_tells_of_each_change_to_a_user() -> Result<()> {
    let stage = project().await?;
    let answer = stage.provision().await?;
    let sql = answer["install_sql"].as_str().context("find the SQL")?;
    let token = stage.secret()["provider"]["webhook_token"].clone();
    let sql = sql
        .replace("CREATE EXTENSION IF NOT EXISTS pg_net;", "")
        .replace("WEBHOOK_URL", stage.webhook().await?.url())
        .replace("WEBHOOK_TOKEN", token.as_str().context("no token")?);
    let stage = &stage;
    stage
        .execute("CREATE SCHEMA auth; CREATE TABLE auth.users (id uuid, email text, encrypted_password text)")
        .await?;
    // Twice: that is how its values are changed.
    stage.execute(&sql).await?;
    stage.execute(&sql).await?;
    // A sign-up goes on where the extension does not, or not yet.
    stage
        .execute("INSERT INTO auth.users VALUES (gen_random_uuid(), 'a', 'hash')")
        .await?;
    stage
        .execute(
            "CREATE SCHEMA net;
            CREATE TABLE net.sent (number serial, url text, body jsonb, headers jsonb, within int);
            CREATE FUNCTION net.http_post(url text, body jsonb DEFAULT '{}',
                params jsonb DEFAULT '{}', headers jsonb DEFAULT '{\"Content-Type\": \"application/json\"}',
                timeout_milliseconds int DEFAULT 1000) RETURNS bigint LANGUAGE sql AS
                'INSERT INTO net.sent (url, body, headers, within)
                 VALUES (url, body, headers, timeout_milliseconds) RETURNING number::bigint'",
        )
        .await?;
    // The auth server's own user may change users and nothing else here.
    let server = random_name("auth_server");
    stage
        .execute(&format!(
            "CREATE ROLE {server}; GRANT USAGE ON SCHEMA auth TO {server};
            GRANT ALL ON auth.users TO {server}"
        ))
        .await?;
    let id = stage.simulator.create("Ada", "ada@example.com")?;
    let as_server = async |statement: &str| -> Result<Value> {
        stage
            .execute(&format!("SET ROLE {server}; {statement}; RESET ROLE"))
            .await?;
        let sent = stage.json("SELECT * FROM net.sent ORDER BY number").await?;
        stage.execute("TRUNCATE net.sent").await?;
        ensure!(sent.len() == 1, "{sent:?}");
        Ok(sent[0].clone())
    };
    let send = async |sent: &Value| -> Result<u16> {
        let url = sent["url"].as_str().context("no URL")?;
        let mut request = client()?.post(url).body(sent["body"].to_string());
        for (name, value) in sent["headers"].as_object().into_iter().flatten() {
            request = request.header(name, value.as_str().unwrap_or_default());
        }
        Ok(request.send().await?.status().as_u16())
    };

    let told = as_server(&format!(
        "INSERT INTO auth.users VALUES ('{id}', 'b', 'hash')"
    ))
    .await?;
    let row = json!({ "id": id });
    let body = |kind: &str, new: &Value, old: &Value| json!({"type": kind, "table": "users", "schema": "auth", "record": new, "old_record": old});
    assert_eq!(told["body"], body("INSERT", &row, &Value::Null));
    assert_eq!(told["within"], 5_000);
    assert_eq!(send(&told).await?, 200);
    stage.assert_in_sync().await?;

    stage.simulator.rename(&id, "Ada King")?;
    let told = as_server(&format!(
        "UPDATE auth.users SET email = 'c' WHERE id = '{id}'"
    ))
    .await?;
    assert_eq!(told["body"], body("UPDATE", &row, &row));
    assert_eq!(send(&told).await?, 200);
    assert_eq!(stage.the_row(&id).await?.name.as_deref(), Some("Ada King"));

    stage.simulator.delete(&id)?;
    let told = as_server(&format!("DELETE FROM auth.users WHERE id = '{id}'")).await?;
    assert_eq!(told["body"], body("DELETE", &Value::Null, &row));
    assert_eq!(send(&told).await?, 200);
    stage.assert_in_sync().await?;
    assert!(!stage.the_row(&id).await?.lives());
    stage
        .execute(&format!("DROP OWNED BY {server}; DROP ROLE {server}"))
        .await
}

#[tokio::test]
async fn an_error_of_the_database_behind_the_api_says_which_rows_to_look_at() -> Result<()> {
    let stage = project().await?;
    let body = json!({"error_code": "unexpected_failure", "msg": "Database error finding users"});
    let trouble = Trouble::every(Fault::answer(500, &body.to_string()));
    stage.simulator.add_trouble(trouble.on(Call::List));
    let said = stage.failed(json!({})).await?;
    assert!(said.contains("500 unexpected_failure"), "{said}");
    assert!(
        said.contains("auth.users") && said.contains("NULL"),
        "{said}"
    );
    Ok(())
}
