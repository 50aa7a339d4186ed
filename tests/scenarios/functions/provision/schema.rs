//! The schema: the table column by column, its migrations, and tables that are not as they should be.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{
    CATALOG, MIGRATIONS, NEWEST, eight_instances, first_answer, invoke_all, later_answer, site,
};
use crate::site::{Bucket, Site, ask, login};

#[tokio::test]
async fn a_second_run_changes_nothing() -> Result<()> {
    let (_server, site) = site().await?;
    assert_eq!(site.provision().await?, first_answer());
    let catalog = site.ask(CATALOG).await?;
    assert!(catalog.contains("connection stack 7b1d5a7e"), "{catalog}");
    let provision = site.start("provision", "neon_identity").await?;
    for _ in 0..2 {
        assert_eq!(provision.invoke(json!({})).await?, later_answer());
    }
    assert_eq!(site.provision().await?, later_answer());
    let after = site.ask(CATALOG).await?;
    // GRANT writes its row again, with the same rights in it.
    let rights = |catalog: &str| -> Vec<String> {
        let line = |line: &str| match line.strip_prefix("class ") {
            Some(class) => class.rsplitn(3, ' ').nth(2).unwrap_or(class).to_owned(),
            None => line.to_owned(),
        };
        catalog.lines().map(line).collect()
    };
    assert_eq!(rights(&after), rights(&catalog));
    Ok(())
}

#[tokio::test]
async fn eight_at_once_do_what_one_does() -> Result<()> {
    let (_server, site) = site().await?;
    let provision = eight_instances(&site, "neon_identity").await?;
    for round in 0..4 {
        let answers = invoke_all(&provision, json!({})).await?;
        // Each migration was applied by exactly one of them.
        let mut applied = Vec::new();
        for answer in &answers {
            assert_eq!(answer["version"], NEWEST, "round {round}");
            applied.extend(answer["applied"].as_array().context("no list")?.clone());
        }
        applied.sort_by_key(Value::to_string);
        assert_eq!(
            json!(applied),
            json!(MIGRATIONS),
            "round {round}: {answers:?}"
        );
        assert_eq!(
            site.ask("SELECT string_agg(version::text, ' ' ORDER BY version) FROM neon_identity.migrations")
                .await?,
            MIGRATIONS
                .iter()
                .filter_map(|name| name.split('_').next())
                .map(|number| number.trim_start_matches('0'))
                .collect::<Vec<_>>()
                .join(" ")
        );
        site.run("DROP SCHEMA neon_identity CASCADE").await?;
        if round % 2 == 0 {
            site.run(
                "DROP OWNED BY neon_identity_writer, neon_identity_reader, neon_identity_operator",
            )
            .await?;
            site.run(
                "DROP ROLE neon_identity_writer, neon_identity_reader, neon_identity_operator",
            )
            .await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn two_databases_of_one_server_are_provisioned_at_once() -> Result<()> {
    let (server, one) = site().await?;
    let other = Site::on(&server).await?;
    // One owner, as of a project at Neon.
    let owner = one
        .database
        .owner_url()
        .replace(one.database.name(), other.database.name());
    other
        .run(&format!(
            "ALTER DATABASE {} OWNER TO {}",
            other.database.name(),
            login(&owner)
        ))
        .await?;
    other.change(|secret| secret["admin_database_url"] = owner.into())?;
    let (first, second) = tokio::join!(one.provision(), other.provision());
    assert_eq!((first?, second?), (first_answer(), first_answer()));
    Ok(())
}

#[tokio::test]
async fn the_table_is_neons_own_column_for_column() -> Result<()> {
    let (_server, site) = site().await?;
    site.provision().await?;
    let columns = site
        .ask(
            "SELECT concat_ws(' ', attname, format_type(atttypid, atttypmod),
                CASE WHEN attnotnull THEN 'NOT NULL' END,
                CASE WHEN atthasdef OR attidentity <> '' OR attgenerated <> '' THEN 'default' END)
            FROM pg_attribute
            WHERE attrelid = 'neon_identity.users_sync'::regclass AND attnum > 0 ORDER BY attnum",
        )
        .await?;
    assert_eq!(
        columns,
        "raw_json jsonb NOT NULL\n\
        id text NOT NULL\n\
        name text\n\
        email text\n\
        created_at timestamp with time zone\n\
        updated_at timestamp with time zone\n\
        deleted_at timestamp with time zone"
    );
    let indexes = "SELECT indexdef FROM pg_indexes
        WHERE schemaname = 'neon_identity' AND tablename = 'users_sync' ORDER BY indexname";
    assert_eq!(
        site.ask(indexes).await?,
        "CREATE INDEX users_sync_deleted_at_idx ON neon_identity.users_sync \
            USING btree (deleted_at)\n\
        CREATE UNIQUE INDEX users_sync_pkey ON neon_identity.users_sync USING btree (id)"
    );
    let constraints = "SELECT concat_ws(' ', conname, contype, pg_get_constraintdef(oid))
        FROM pg_constraint WHERE conrelid = 'neon_identity.users_sync'::regclass
        AND contype <> 'n'";
    assert_eq!(
        site.ask(constraints).await?,
        "users_sync_pkey p PRIMARY KEY (id)"
    );
    let others =
        "SELECT concat_ws(' ', relhastriggers, relhasrules, relrowsecurity, relpersistence,
        relkind) FROM pg_class WHERE oid = 'neon_identity.users_sync'::regclass";
    assert_eq!(site.ask(others).await?, "f f f p r");
    let tables = "SELECT relname::text FROM pg_class WHERE relkind = 'r'
        AND relnamespace = 'neon_identity'::regnamespace ORDER BY relname";
    let tables = site.ask(tables).await?;
    for table in ["connection", "rejections", "runs", "users_sync"] {
        assert!(tables.lines().any(|name| name == table), "{tables}");
    }
    let columns = |table: &str| {
        format!(
            "SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute
            WHERE attrelid = 'neon_identity.{table}'::regclass AND attnum > 0"
        )
    };
    let connection = site.ask(&columns("connection")).await?;
    assert_eq!(connection, "provider project connected_at");
    let rejections = site.ask(&columns("rejections")).await?;
    assert!(
        rejections.starts_with("id rejected_at source event_id reason body"),
        "{rejections}"
    );
    let runs = site.ask(&columns("runs")).await?;
    assert!(runs.starts_with("id started_at finished_at "), "{runs}");
    for figure in [
        "listed",
        "created",
        "updated",
        "unchanged",
        "deleted",
        "revived",
        "rejected",
        "held",
        "missed",
        "pages",
        "duration_ms",
        "outcome",
    ] {
        assert!(
            runs.split(' ').any(|column| column == figure),
            "{figure}: {runs}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn any_schema_will_do_a_reserved_word_too() -> Result<()> {
    let (_server, site) = site().await?;
    site.simulator.seed(2);
    site.provision().await?;
    for schema in [
        "order",
        "neon_identity_dev",
        "my_neon_identity",
        "_x9",
        "public",
    ] {
        let answer = site.provision_schema(schema).await?;
        let expected = json!({"schema": schema, "version": NEWEST, "applied": MIGRATIONS});
        assert_eq!(answer, expected);
        assert_eq!(site.provision_schema(schema).await?["applied"], json!([]));
        let webhook = site.start("webhook", schema).await?;
        let id = site.simulator.create("Ada", "ada@example.com")?;
        assert_eq!(site.deliver(&webhook).await?, [200], "{}", webhook.logs()?);
        let reconcile = site.start("reconcile", schema).await?;
        let report = reconcile.invoke(json!({})).await?;
        assert_eq!(report["outcome"], "complete");
        let reader = site.database.login("reader").await?;
        site.run(&format!("GRANT {schema}_reader TO {}", login(&reader)))
            .await?;
        let name = format!(
            "SELECT \"{schema}\".ensure_user('new') || name FROM \"{schema}\".users_sync
            WHERE id = '{id}'"
        );
        assert_eq!(ask(&reader, &name).await?, "newAda");
        site.simulator.delete(&id)?;
        site.simulator.take_messages();
    }
    // Each is by itself.
    assert_eq!(
        site.ask("SELECT count(*)::text FROM neon_identity.users_sync")
            .await?,
        "0"
    );
    Ok(())
}

#[tokio::test]
async fn a_table_that_somebody_else_made_is_left_alone() -> Result<()> {
    let (_server, site) = site().await?;
    for (table, columns) in [
        ("users_sync", "id text"),
        ("runs", "id text"),
        ("migrations", "id int, migration text, batch int"),
        ("migrations", "version text, dirty boolean"),
    ] {
        let owner = login(site.database.owner_url());
        site.run(&format!(
            "CREATE SCHEMA neon_identity AUTHORIZATION {owner};
            CREATE TABLE neon_identity.{table} ({columns});
            ALTER TABLE neon_identity.{table} OWNER TO {owner};"
        ))
        .await?;
        let message = site.failed_provision().await?;
        for words in ["provision did not make", "rename it", "SCHEMA"] {
            assert!(message.contains(words), "{table}: {message}");
        }
        let left = "SELECT string_agg(relname, ' ') FROM pg_class
            WHERE relnamespace = 'neon_identity'::regnamespace";
        assert_eq!(site.ask(left).await?, table);
        site.run("DROP SCHEMA neon_identity CASCADE").await?;
    }
    assert_eq!(site.provision().await?, first_answer());
    Ok(())
}

/// The names of console's indexes.
const CONSOLES: &str = "SELECT string_agg(indexname, ' ' ORDER BY indexname) FROM pg_indexes
    WHERE schemaname = 'neon_identity' AND indexname ~ '^users_sync_console_'";

/// Puts console's token into the secret, or takes it out.
fn have_console(site: &Site, has_one: bool) -> Result<()> {
    site.change(|secret| match has_one {
        true => secret["console_token"] = json!("a token of 24 characters"),
        false => drop(
            secret
                .as_object_mut()
                .map(|secret| secret.remove("console_token")),
        ),
    })
}

#[tokio::test]
async fn console_has_indexes_of_its_own_as_long_as_the_secret_opens_it() -> Result<()> {
    let (_server, site) = site().await?;
    assert_eq!(site.provision().await?, first_answer());
    assert_eq!(site.ask(CONSOLES).await?, "");

    have_console(&site, true)?;
    assert_eq!(site.provision().await?, later_answer());
    let all = "users_sync_console_deleted_idx users_sync_console_email_idx \
        users_sync_console_id_idx users_sync_console_name_idx users_sync_console_undated_idx";
    assert_eq!(site.ask(CONSOLES).await?, all);
    site.run("DROP INDEX neon_identity.users_sync_console_name_idx")
        .await?;
    assert_eq!(site.provision().await?, later_answer());
    assert_eq!(site.ask(CONSOLES).await?, all);

    have_console(&site, false)?;
    assert_eq!(site.provision().await?, later_answer());
    assert_eq!(site.ask(CONSOLES).await?, "");
    Ok(())
}

#[tokio::test]
async fn nobody_waits_long_for_consoles_indexes() -> Result<()> {
    let (_server, site) = site().await?;
    have_console(&site, true)?;
    site.provision().await?;
    // What is there already is not made again, whoever writes.
    let writer = site.database.connect().await?;
    writer
        .batch_execute(
            "BEGIN; INSERT INTO neon_identity.users_sync (raw_json, id) VALUES ('{}', 'a')",
        )
        .await?;
    assert_eq!(site.provision().await?, later_answer());

    for (has_one, words) in [
        (false, "indexes were not dropped"),
        (true, "indexes were not made"),
    ] {
        have_console(&site, has_one)?;
        let answer = site.provision().await?;
        let warning = answer["warnings"][0].as_str().context("no warning")?;
        assert!(
            warning.contains(words) && warning.contains("run provision again"),
            "{warning}"
        );
        writer.batch_execute("COMMIT").await?;
        assert_eq!(site.provision().await?, later_answer());
        writer
            .batch_execute("BEGIN; LOCK neon_identity.users_sync IN ROW EXCLUSIVE MODE")
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_newer_schema_is_left_as_it_is_and_the_deployment_succeeds() -> Result<()> {
    let (_server, site) = site().await?;
    site.provision().await?;
    site.run(
        "INSERT INTO neon_identity.migrations (version, name) VALUES (99, '0099_future');
        DROP INDEX neon_identity.users_sync_deleted_at_idx",
    )
    .await?;
    let columns = "SELECT relname::text FROM pg_class
        WHERE relnamespace = 'neon_identity'::regnamespace ORDER BY relname";
    let before = site.ask(columns).await?;
    let bucket = Bucket::open(&[]).await?;
    let provision = site.start("provision", "neon_identity").await?;
    let by_hand = provision.invoke(json!({})).await?;
    let rolled_back = provision.invoke(bucket.event("update")?).await?;
    for answer in [by_hand, rolled_back] {
        assert_eq!(
            (&answer["version"], &answer["applied"]),
            (&json!(99), &json!([]))
        );
        let warning = answer["warnings"][0].as_str().context("no warning")?;
        assert!(warning.contains("version 99"), "{warning}");
        assert!(provision.logs()?.contains(warning), "{}", provision.logs()?);
    }
    assert_eq!(bucket.answer()?["Status"], "SUCCESS");
    assert_eq!(site.ask(columns).await?, before);
    // And goes on syncing.
    site.simulator.seed(3);
    let reconcile = site.start("reconcile", "neon_identity").await?;
    assert_eq!(reconcile.invoke(json!({})).await?["created"], 3);
    Ok(())
}

#[tokio::test]
async fn columns_that_the_application_adds_are_its_own() -> Result<()> {
    let (_server, site) = site().await?;
    site.provision().await?;
    site.run(
        "ALTER TABLE neon_identity.users_sync
            ADD tenant text, ADD plan text NOT NULL DEFAULT 'free',
            ADD number bigint GENERATED ALWAYS AS IDENTITY,
            ADD lower_email text GENERATED ALWAYS AS (lower(email)) STORED,
            ADD at timestamptz, ADD token text, ADD place bigint, ADD now timestamptz DEFAULT now(),
            ADD version bigint, ADD digest bytea, ADD outcome text, ADD created boolean",
    )
    .await?;
    assert_eq!(site.provision().await?, later_answer());
    let webhook = site.start("webhook", "neon_identity").await?;
    let ada = site.simulator.create("Ada", "Ada@example.com")?;
    let bob = site.simulator.create("Bob", "bob@example.com")?;
    assert_eq!(site.deliver(&webhook).await?, [200, 200]);
    site.run("UPDATE neon_identity.users_sync SET tenant = 'acme'")
        .await?;
    site.simulator.rename(&ada, "Ada L.")?;
    site.simulator.delete(&bob)?;
    assert_eq!(site.deliver(&webhook).await?, [200, 200]);
    site.simulator.seed(3);
    let cyd = site.simulator.create("Cyd", "cyd@example.com")?;
    let reconcile = site.start("reconcile", "neon_identity").await?;
    assert_eq!(reconcile.invoke(json!({})).await?["created"], 4);
    site.simulator.delete(&cyd)?;
    site.simulator.take_messages();
    let report = reconcile.invoke(json!({})).await?;
    assert_eq!(
        (&report["outcome"], &report["deleted"], &report["unchanged"]),
        (&json!("complete"), &json!(1), &json!(4)),
        "{report}"
    );
    let row = format!(
        "SELECT concat_ws(' ', name, tenant, plan, lower_email) FROM neon_identity.users_sync
        WHERE id = '{ada}'"
    );
    assert_eq!(site.ask(&row).await?, "Ada L. acme free ada@example.com");
    Ok(())
}

#[tokio::test]
async fn records_that_were_taken_apart_are_named() -> Result<()> {
    let (_server, site) = site().await?;
    site.provision().await?;
    for (damage, words) in [
        (
            "DROP FUNCTION neon_identity.prune(integer)",
            "prune is missing",
        ),
        ("DROP VIEW neon_identity.status", "status has no column"),
        (
            "DROP TABLE neon_identity.deliveries",
            "deliveries has no column id of type int8",
        ),
    ] {
        site.run(damage).await?;
        let message = site.failed_provision().await?;
        let place = "0008_records is not in place";
        assert!(
            message.contains(place) && message.contains(words),
            "{damage}: {message}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_schema_that_was_taken_apart_is_named() -> Result<()> {
    for (damage, words) in [
        (
            "DROP INDEX neon_identity.users_sync_deleted_at_idx",
            "users_sync_deleted_at_idx",
        ),
        ("DROP TABLE neon_identity.rejections CASCADE", "rejections"),
        (
            "DROP FUNCTION neon_identity.ensure_user(text)",
            "ensure_user",
        ),
        ("TRUNCATE neon_identity.walk", "walk has no row"),
        (
            "DROP TABLE neon_identity.walk CASCADE",
            "a table of it is missing",
        ),
        (
            "DROP TABLE neon_identity.users_sync CASCADE",
            "a table of it is missing",
        ),
        (
            "ALTER TABLE neon_identity.users_sync DROP COLUMN email",
            "no column email",
        ),
        (
            "ALTER TABLE neon_identity.users_sync ALTER raw_json DROP NOT NULL",
            "raw_json be NULL",
        ),
        (
            "ALTER TABLE neon_identity.users_sync DROP CONSTRAINT users_sync_pkey",
            "not the primary key",
        ),
        (
            "ALTER TABLE neon_identity.users_sync DROP CONSTRAINT users_sync_pkey,
                ADD PRIMARY KEY (id, raw_json)",
            "not the primary key",
        ),
        (
            "ALTER TABLE neon_identity.users_sync ALTER name TYPE varchar(9)",
            "character varying",
        ),
    ] {
        let (_server, site) = site().await?;
        site.provision().await?;
        site.run(damage).await?;
        let message = site.failed_provision().await?;
        assert!(
            message.contains("0001_users_sync is not in place"),
            "{message}"
        );
        assert!(message.contains(words), "{message}");
    }
    Ok(())
}
