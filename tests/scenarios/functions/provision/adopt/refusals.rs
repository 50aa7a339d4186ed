//! Refusals to take a table over: each names what is wrong, and leaves the table as it was.

use anyhow::{Context, Result};

use super::*;

#[tokio::test]
async fn without_adopt_the_table_is_refused_by_a_message_that_names_it() -> Result<()> {
    for columns in [GENERATED, PLAIN] {
        let (_server, site) = at_neon(columns, "").await?;
        let before = site.ask(TABLE).await?;
        for event in [json!({}), json!({"adopt": false}), json!({"Adopt": true})] {
            let provision = site.start("provision", SCHEMA).await?;
            let failure = provision.invoke(event).await.err().context("it ran")?;
            for words in [
                r#"{"adopt": true}"#,
                "provision did not make",
                "rename it",
                "SCHEMA",
            ] {
                assert!(failure.error_message.contains(words), "{words}: {failure}");
            }
            assert_eq!(site.ask(TABLE).await?, before);
        }
    }
    Ok(())
}

#[tokio::test]
async fn any_other_table_is_refused_by_what_differs_and_left_as_it_was() -> Result<()> {
    let (_server, site) = site().await?;
    let table = |columns: &str| format!("CREATE TABLE neon_auth.users_sync ({columns})");
    let with = |from: &str, to: &str| {
        assert!(PLAIN.contains(from), "{from}");
        table(&PLAIN.replace(from, to))
    };
    let generated = |from: &str, to: &str| {
        assert!(GENERATED.contains(from), "{from}");
        table(&GENERATED.replace(from, to))
    };
    let also = |more: &str| format!("{}; {more}", table(PLAIN));
    let updated_at = r#""updated_at" timestamp with time zone"#;
    let stored_name = "name text GENERATED ALWAYS AS ((raw_json ->> 'display_name'::text)) STORED";
    let mut cases = vec![
        (table("id text"), "there is no column raw_json"),
        // Neon Identity's first table.
        (
            with(&format!(",\n    {updated_at}"), ""),
            "there is no column updated_at",
        ),
        (
            with(r#""id" text"#, r#""id" uuid"#),
            "id is uuid, and not text",
        ),
        (
            with(r#""email" text"#, r#""email" varchar(255)"#),
            "email is character varying(255)",
        ),
        (with("jsonb", "json"), "raw_json is json, and not jsonb"),
        (
            with(updated_at, r#""updated_at" timestamp"#),
            "updated_at is timestamp without time zone, and not timestamp with time zone",
        ),
        (
            with(updated_at, r#""updated_at" timestamptz(6)"#),
            "updated_at is timestamp(6) with time zone",
        ),
        (
            with(
                r#""id" text PRIMARY KEY"#,
                r#""key" bigint PRIMARY KEY, "id" text"#,
            ),
            "its primary key is not id",
        ),
        (
            with("PRIMARY KEY NOT NULL", "NOT NULL").replace(
                updated_at,
                &format!("{updated_at}, PRIMARY KEY (id, raw_json)"),
            ),
            "its primary key is not id alone",
        ),
        (with("PRIMARY KEY", "PRIMARY KEY DEFERRABLE"), "deferrable"),
        (
            with(updated_at, &format!("{updated_at}, tenant text NOT NULL")),
            "tenant",
        ),
        (
            generated(
                "updated_at timestamp with time zone",
                "updated_at timestamptz
                GENERATED ALWAYS AS (to_timestamp(1)) STORED",
            ),
            "updated_at is generated",
        ),
        (
            generated(
                stored_name,
                "first text, name text GENERATED ALWAYS AS (first || '!') STORED",
            ),
            "name is generated from first, and not from raw_json",
        ),
        (
            "CREATE VIEW neon_auth.users_sync AS SELECT NULL::jsonb AS raw_json, ''::text AS id,
                ''::text AS name, ''::text AS email, now() AS created_at, now() AS updated_at,
                now() AS deleted_at"
                .to_owned(),
            "it is a view",
        ),
        (
            "CREATE MATERIALIZED VIEW neon_auth.users_sync AS SELECT 1 AS id".to_owned(),
            "it is a materialized view",
        ),
        (
            "CREATE SEQUENCE neon_auth.users_sync".to_owned(),
            "it is no table",
        ),
        (
            format!("{} PARTITION BY HASH (id)", table(PLAIN)),
            "it is partitioned",
        ),
        (
            format!(
                "{}; CREATE TABLE neon_auth.users_sync PARTITION OF neon_auth.whole
                FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
                format!("{} PARTITION BY HASH (id)", table(PLAIN)).replace("users_sync", "whole")
            ),
            "it is a partition",
        ),
        (
            also("CREATE TABLE neon_auth.more () INHERITS (neon_auth.users_sync)"),
            "inherits",
        ),
        (
            table(PLAIN).replace("CREATE", "CREATE UNLOGGED"),
            "it is unlogged",
        ),
        (
            also("CREATE RULE skip AS ON INSERT TO neon_auth.users_sync DO INSTEAD NOTHING"),
            "it has a rule (skip)",
        ),
        (
            also(
                "CREATE TABLE neon_auth.other (id text);
                CREATE INDEX users_sync_deleted_at_idx ON neon_auth.other (id)",
            ),
            "users_sync_deleted_at_idx is something else",
        ),
        (
            also(
                "INSERT INTO neon_auth.users_sync (raw_json, id) VALUES ('{}', 'a');
                CREATE TABLE neon_auth.runs (id text)",
            ),
            "provision did not make",
        ),
        (
            with("PRIMARY KEY NOT NULL", "")
                + "; INSERT INTO neon_auth.users_sync (raw_json, id)
                VALUES ('{}', 'a'), ('{}', 'a'), ('{}', 'b')",
            "several rows have the same id",
        ),
        (
            generated("STORED NOT NULL", "STORED")
                + "; INSERT INTO neon_auth.users_sync (raw_json) VALUES ('{}')",
            "rows have no id",
        ),
        (
            with("jsonb NOT NULL", "jsonb")
                + "; INSERT INTO neon_auth.users_sync (id) VALUES ('a')",
            "rows have no raw_json",
        ),
    ];
    let virtual_columns = site
        .ask("SELECT current_setting('server_version_num')")
        .await?;
    if &*virtual_columns >= "180000" {
        let is_virtual = stored_name.replace("STORED", "VIRTUAL");
        cases.push((
            generated(stored_name, &is_virtual),
            "name is generated and not stored",
        ));
    }
    for (sql, words) in cases {
        make(&site, &sql).await.with_context(|| sql.clone())?;
        let before = site.ask(TABLE).await?;
        let message = refused(&site).await?;
        assert!(message.contains(words), "{sql}: {message}");
        assert_eq!(site.ask(TABLE).await?, before, "{sql}");
        site.run("DROP SCHEMA neon_auth CASCADE").await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_id_that_ignores_case_is_refused() -> Result<()> {
    let columns = PLAIN.replace(r#""id" text"#, r#""id" text COLLATE neon_auth.same"#);
    let (_server, site) = site().await?;
    make(
        &site,
        &format!(
            "CREATE COLLATION neon_auth.same (provider = libc, locale = 'C');
            CREATE TABLE neon_auth.users_sync ({columns})"
        ),
    )
    .await?;
    // The PostgreSQL in .tools is built without ICU, which makes such collations.
    site.run(
        "SET allow_system_table_mods = on;
        UPDATE pg_collation SET collisdeterministic = false WHERE collname = 'same'",
    )
    .await?;
    let before = site.ask(TABLE).await?;
    let message = refused(&site).await?;
    assert!(message.contains("id has a collation"), "{message}");
    assert_eq!(site.ask(TABLE).await?, before);
    Ok(())
}

#[tokio::test]
async fn all_that_differs_is_said_at_once() -> Result<()> {
    let (_server, site) = at_neon("raw_json json, id text, name text, email text", "").await?;
    let message = refused(&site).await?;
    for words in [
        "raw_json is json, and not jsonb",
        "there is no column created_at",
        "there is no column updated_at",
        "there is no column deleted_at",
        "docs/moving-from-neon.md",
        "left as it is",
    ] {
        assert!(message.contains(words), "{words}: {message}");
    }
    Ok(())
}

#[tokio::test]
async fn a_table_of_another_role_is_refused_by_both_names() -> Result<()> {
    let (_server, site) = at_neon(GENERATED, KEY_AND_INDEX).await?;
    let (owner, neon) = (
        login(site.database.owner_url()).to_owned(),
        site.database.login("neon").await?,
    );
    let neon = login(&neon);
    site.run(&format!("ALTER TABLE neon_auth.users_sync OWNER TO {neon}"))
        .await?;
    let before = site.ask(TABLE).await?;
    let message = refused(&site).await?;
    for words in [neon, &owner, "admin_database_url"] {
        assert!(message.contains(words), "{words}: {message}");
    }
    assert_eq!(site.ask(TABLE).await?, before);
    // A member has the role's rights.
    site.run(&format!("GRANT {neon} TO {owner}")).await?;
    assert_eq!(adopt(&site).await?, answer(&MIGRATIONS));
    comes_true(&site).await?;
    Ok(())
}

#[tokio::test]
async fn a_schema_of_another_role_is_refused_and_left_as_it_was() -> Result<()> {
    let (_server, site) = at_neon(GENERATED, KEY_AND_INDEX).await?;
    site.run(&format!(
        "ALTER SCHEMA neon_auth OWNER TO postgres;
        GRANT USAGE ON SCHEMA neon_auth TO {}",
        login(site.database.owner_url())
    ))
    .await?;
    let before = site.ask(TABLE).await?;
    let message = refused(&site).await?;
    assert!(message.contains("admin_database_url"), "{message}");
    assert_eq!(site.ask(TABLE).await?, before);
    Ok(())
}

#[tokio::test]
async fn a_secret_that_is_wrong_leaves_neon_its_table() -> Result<()> {
    let (_server, site) = at_neon(GENERATED, KEY_AND_INDEX).await?;
    let before = site.ask(TABLE).await?;
    let whole = site.secret();
    for (field, value) in [
        ("/provider/secret_server_key", "ssk_wrong"),
        ("/provider/project_id", "another"),
        ("/database_url", "postgres://nobody:x@127.0.0.1:1/none"),
    ] {
        site.change(|secret| {
            *secret = whole.clone();
            *secret.pointer_mut(field).expect("a field") = value.into();
        })?;
        refused(&site).await?;
        assert_eq!(site.ask(TABLE).await?, before, "{field}");
    }
    site.change(|secret| *secret = whole)?;
    assert_eq!(adopt(&site).await?, answer(&MIGRATIONS));
    Ok(())
}

#[tokio::test]
async fn a_table_in_use_is_not_waited_for_for_long() -> Result<()> {
    let (_server, site) = at_neon(GENERATED, KEY_AND_INDEX).await?;
    let before = site.ask(TABLE).await?;
    let mut other = site.database.connect().await?;
    let open = other.transaction().await?;
    open.batch_execute("SELECT FROM neon_auth.users_sync")
        .await?;
    let message = refused(&site).await?;
    assert!(message.contains("pg_stat_activity"), "{message}");
    assert_eq!(site.ask(TABLE).await?, before);
    open.rollback().await?;
    assert_eq!(adopt(&site).await?, answer(&MIGRATIONS));
    Ok(())
}
