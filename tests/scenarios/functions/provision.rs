//! `provision`: the schema, the roles and `ensure_user`, asked directly and by CloudFormation.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::postgres::{Mode, Options, Postgres};
use tests::simulator::{Fault, Trouble};
use tests::stage::{Setup, Stage};
use tests::tools::random_name;

use crate::site::{Bucket, Site, ask, does_not_start, login, refusal, run};

/// A server without roles of ours, and a site on it.
async fn site() -> Result<(Postgres, Site)> {
    let server = Postgres::start(Options::default()).await?;
    let site = Site::on(&server).await?;
    Ok((server, site))
}

/// Everything in the schema and about its roles that a second run might change.
const CATALOG: &str = "
    SELECT concat_ws(' ', 'class', relname, relkind, relowner::regrole, relacl, xmin, ctid) AS line
    FROM pg_class WHERE relnamespace = 'neon_identity'::regnamespace
    UNION ALL
    SELECT concat_ws(' ', 'function', proname, proacl, md5(prosrc)) FROM pg_proc
    WHERE pronamespace = 'neon_identity'::regnamespace
    UNION ALL
    SELECT concat_ws(' ', 'schema', nspname, nspowner::regrole, nspacl) FROM pg_namespace
    WHERE nspname = 'neon_identity'
    UNION ALL
    SELECT concat_ws(' ', 'role', rolname, rolcanlogin, rolsuper, rolinherit, rolcreaterole,
        rolcreatedb, rolreplication, rolbypassrls) FROM pg_roles WHERE rolname ~ '^neon_identity'
    UNION ALL
    SELECT concat_ws(' ', 'member', roleid::regrole, member::regrole) FROM pg_auth_members
    WHERE roleid::regrole::text ~ '^neon_identity'
    UNION ALL
    SELECT concat_ws(' ', 'migration', version, name, applied_at, xmin)
    FROM neon_identity.migrations
    UNION ALL
    SELECT concat_ws(' ', 'connection', provider, project, connected_at, xmin)
    FROM neon_identity.connection
    UNION ALL
    SELECT concat_ws(' ', 'walk', walk, xmin) FROM neon_identity.walk
    ORDER BY line";

/// Every migration there is.
const MIGRATIONS: [&str; 5] = [
    "0001_users_sync",
    "0002_event_cursor",
    "0003_erase_user",
    "0004_project_names",
    "0005_walk_in_parts",
];

/// The newest one's number.
const NEWEST: i32 = 5;

fn first_answer() -> Value {
    json!({"schema": "neon_identity", "version": NEWEST, "applied": MIGRATIONS})
}

fn later_answer() -> Value {
    json!({"schema": "neon_identity", "version": NEWEST, "applied": []})
}

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
    let provision = site.start("provision", "neon_identity").await?;
    for _ in 0..7 {
        provision.spawn_instance().await?;
        provision.ready().await?;
    }
    for round in 0..4 {
        let invoke = || provision.invoke(json!({}));
        let answers = tokio::join!(
            invoke(),
            invoke(),
            invoke(),
            invoke(),
            invoke(),
            invoke(),
            invoke(),
            invoke()
        );
        let answers = [
            answers.0?, answers.1?, answers.2?, answers.3?, answers.4?, answers.5?, answers.6?,
            answers.7?,
        ];
        // Each migration is one's, whoever was next.
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
            (1..=MIGRATIONS.len())
                .map(|version| version.to_string())
                .collect::<Vec<_>>()
                .join(" ")
        );
        site.run("DROP SCHEMA neon_identity CASCADE").await?;
        if round % 2 == 0 {
            site.run("DROP OWNED BY neon_identity_writer, neon_identity_reader")
                .await?;
            site.run("DROP ROLE neon_identity_writer, neon_identity_reader")
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
async fn the_roles_hold_what_they_need_and_no_more() -> Result<()> {
    let (_server, site) = site().await?;
    site.provision().await?;
    let granted = site
        .ask(
            "SELECT concat_ws(' ', grantee::regrole, what, string_agg(privilege_type, ',' ORDER BY privilege_type))
            FROM (
                SELECT relname::text AS what, (aclexplode(relacl)).* FROM pg_class
                WHERE relnamespace = 'neon_identity'::regnamespace
                UNION ALL
                SELECT proname || '()', (aclexplode(proacl)).* FROM pg_proc
                WHERE pronamespace = 'neon_identity'::regnamespace
                UNION ALL
                SELECT 'SCHEMA', (aclexplode(nspacl)).* FROM pg_namespace
                WHERE nspname = 'neon_identity'
            ) AS granted
            WHERE grantor <> grantee
            GROUP BY grantee, what ORDER BY grantee::regrole::text, what COLLATE \"C\"",
        )
        .await?;
    assert_eq!(
        granted,
        "neon_identity_reader SCHEMA USAGE\n\
        neon_identity_reader ensure_user() EXECUTE\n\
        neon_identity_reader users_sync REFERENCES,SELECT\n\
        neon_identity_writer SCHEMA USAGE\n\
        neon_identity_writer connection SELECT\n\
        neon_identity_writer rejections INSERT,SELECT,UPDATE\n\
        neon_identity_writer runs INSERT,SELECT,UPDATE\n\
        neon_identity_writer users_sync INSERT,SELECT,UPDATE\n\
        neon_identity_writer walk SELECT,UPDATE"
    );
    let roles = "SELECT concat_ws(' ', rolname, rolcanlogin, rolsuper, rolcreaterole, rolcreatedb,
        rolreplication, rolbypassrls) FROM pg_roles WHERE rolname ~ '^neon_identity' ORDER BY 1";
    assert_eq!(
        site.ask(roles).await?,
        "neon_identity_reader f f f f f f\nneon_identity_writer f f f f f f"
    );
    let members = "SELECT concat_ws(' ', roleid::regrole, member::regrole) FROM pg_auth_members
        WHERE roleid::regrole::text ~ '^neon_identity' AND inherit_option";
    assert_eq!(
        site.ask(members).await?,
        format!("neon_identity_writer {}", login(site.database.url()))
    );

    let writer = site.database.url();
    for (who, statements) in [
        (
            "writer",
            &[
                "DELETE FROM neon_identity.users_sync",
                "TRUNCATE neon_identity.users_sync",
                "DELETE FROM neon_identity.runs",
                "DELETE FROM neon_identity.rejections",
                "UPDATE neon_identity.connection SET project = 'x'",
                "INSERT INTO neon_identity.connection VALUES ('stack', 'x')",
                "INSERT INTO neon_identity.walk DEFAULT VALUES",
                "SELECT FROM neon_identity.migrations",
                "SELECT neon_identity.ensure_user('x')",
                "CREATE TABLE neon_identity.mine ()",
                "ALTER TABLE neon_identity.users_sync ADD mine text",
                "DROP TABLE neon_identity.users_sync",
                "CREATE TABLE public.mine (id text REFERENCES neon_identity.users_sync)",
                "SET ROLE neon_identity_reader",
            ][..],
        ),
        (
            "reader",
            &[
                "INSERT INTO neon_identity.users_sync (raw_json, id) VALUES ('{}', 'x')",
                "UPDATE neon_identity.users_sync SET name = 'x'",
                "DELETE FROM neon_identity.users_sync",
                "TRUNCATE neon_identity.users_sync",
                "SELECT FROM neon_identity.users_sync FOR UPDATE",
                "SELECT FROM neon_identity.rejections",
                "SELECT FROM neon_identity.runs",
                "SELECT FROM neon_identity.connection",
                "SELECT FROM neon_identity.walk",
                "SELECT FROM neon_identity.migrations",
                "CREATE TABLE neon_identity.mine ()",
                "SET ROLE neon_identity_writer",
            ][..],
        ),
        (
            "stranger",
            &[
                "SELECT FROM neon_identity.users_sync",
                "SELECT neon_identity.ensure_user('x')",
            ][..],
        ),
    ] {
        let url = match who {
            "writer" => writer.to_owned(),
            _ => site.database.login(who).await?,
        };
        if who == "reader" {
            site.run(&format!("GRANT neon_identity_reader TO {}", login(&url)))
                .await?;
        }
        for statement in statements {
            assert_eq!(
                refusal(&url, statement).await?,
                "42501",
                "{who}: {statement}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_writers_rights_are_enough_for_webhook_and_reconcile() -> Result<()> {
    let (_server, site) = site().await?;
    site.provision().await?;
    let webhook = site.start("webhook", "neon_identity").await?;
    let reconcile = site.start("reconcile", "neon_identity").await?;
    let ada = site.simulator.create("Ada", "ada@example.com")?;
    let bob = site.simulator.create("Bob", "bob@example.com")?;
    assert_eq!(site.deliver(&webhook).await?, [200, 200]);
    site.simulator.rename(&ada, "Ada L.")?;
    site.simulator.delete(&bob)?;
    assert_eq!(site.deliver(&webhook).await?, [200, 200]);
    let rejected = site
        .deliver_body(&webhook, b"{\"type\":\"user.created\"}")
        .await?;
    assert_eq!(rejected, 400);
    site.simulator.seed(50);
    let report = reconcile.invoke(json!({})).await?;
    assert_eq!(
        (&report["outcome"], &report["created"]),
        (&json!("complete"), &json!(50))
    );
    // Edited by hand, and gone without a word: all kinds of repair.
    site.run(&format!(
        "UPDATE neon_identity.users_sync SET name = 'x', updated_at = 'infinity' WHERE id = '{ada}';
        UPDATE neon_identity.users_sync SET deleted_at = now() - interval '1 day'
        WHERE id = (SELECT id FROM neon_identity.users_sync WHERE id NOT IN ('{ada}', '{bob}') LIMIT 1)"
    ))
    .await?;
    let cyd = site.simulator.create("Cyd", "cyd@example.com")?;
    assert_eq!(site.deliver(&webhook).await?, [200]);
    site.simulator.delete(&cyd)?;
    site.simulator.take_messages();
    let report = reconcile.invoke(json!({})).await?;
    let figures = ["outcome", "updated", "revived", "deleted"].map(|name| report[name].clone());
    assert_eq!(
        figures,
        [json!("complete"), json!(1), json!(1), json!(1)],
        "{report}"
    );
    Ok(())
}

#[tokio::test]
async fn one_user_for_everything_is_enough() -> Result<()> {
    let (_server, site) = site().await?;
    let owner = site.database.owner_url().to_owned();
    site.change(|secret| {
        secret["database_url"] = owner.into();
        secret
            .as_object_mut()
            .expect("an object")
            .remove("admin_database_url");
    })?;
    assert_eq!(site.provision().await?, first_answer());
    assert_eq!(site.provision().await?, later_answer());
    site.simulator.seed(3);
    let reconcile = site.start("reconcile", "neon_identity").await?;
    assert_eq!(reconcile.invoke(json!({})).await?["created"], 3);
    Ok(())
}

#[tokio::test]
async fn an_owner_who_may_not_create_roles_is_told_and_provisioned() -> Result<()> {
    let (_server, site) = site().await?;
    let owner = login(site.database.owner_url()).to_owned();
    site.run(&format!("ALTER ROLE {owner} NOCREATEROLE"))
        .await?;
    let provision = site.start("provision", "neon_identity").await?;
    let answer = provision.invoke(json!({})).await?;
    assert_eq!(answer["applied"], json!(MIGRATIONS));
    let warnings = answer["warnings"].as_array().context("no warnings")?;
    assert_eq!(warnings.len(), 5, "{warnings:?}");
    for warning in warnings {
        let warning = warning.as_str().unwrap_or_default();
        assert!(warning.contains("neon_identity_writer"), "{warning}");
        assert!(provision.logs()?.contains(warning), "{}", provision.logs()?);
    }
    // As it says: somebody who may makes the roles by hand.
    site.run("CREATE ROLE neon_identity_writer; CREATE ROLE neon_identity_reader")
        .await?;
    let writer = login(site.database.url());
    let answer = provision.invoke(json!({})).await?;
    let warnings = answer["warnings"].as_array().context("no warnings")?;
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    site.run(&format!("GRANT neon_identity_writer TO {writer}"))
        .await?;
    assert_eq!(provision.invoke(json!({})).await?, later_answer());
    site.simulator.seed(3);
    let reconcile = site.start("reconcile", "neon_identity").await?;
    assert_eq!(reconcile.invoke(json!({})).await?["created"], 3);
    Ok(())
}

#[tokio::test]
async fn a_writer_role_that_logs_in_itself_is_not_granted_to_itself() -> Result<()> {
    let (_server, site) = site().await?;
    site.run("CREATE ROLE neon_identity_writer LOGIN PASSWORD 'w'")
        .await?;
    let url = site.database.url();
    let (_, address) = url.split_once('@').context("split a URL")?;
    let url = format!("postgres://neon_identity_writer:w@{address}");
    site.change(|secret| secret["database_url"] = url.into())?;
    assert_eq!(site.provision().await?, first_answer());
    site.simulator.seed(3);
    let reconcile = site.start("reconcile", "neon_identity").await?;
    assert_eq!(reconcile.invoke(json!({})).await?["created"], 3);
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

// Custom resources.

#[tokio::test]
async fn each_kind_of_request_is_answered() -> Result<()> {
    let (_server, site) = site().await?;
    let bucket = Bucket::open(&[]).await?;
    let provision = site.start("provision", "neon_identity").await?;
    for (kind, schema) in [
        ("create", json!("neon_identity")),
        ("update", json!("neon_identity")),
        ("delete", Value::Null),
    ] {
        let event = bucket.event(kind)?;
        provision.invoke(event.clone()).await?;
        let answer = bucket.answer()?;
        assert_eq!(answer["Status"], "SUCCESS", "{kind}: {answer}");
        for name in ["StackId", "RequestId", "LogicalResourceId"] {
            assert_eq!(answer[name], event[name], "{kind}: {answer}");
        }
        let id = answer["PhysicalResourceId"].as_str().unwrap_or_default();
        assert!(!id.is_empty());
        if let Some(known) = event["PhysicalResourceId"].as_str() {
            assert_eq!(id, known, "another id would delete what is under this one");
        }
        assert_eq!(answer["Data"]["Schema"], schema);
    }
    let left = "SELECT count(*)::text FROM neon_identity.users_sync";
    assert_eq!(site.ask(left).await?, "0", "the data is left in place");
    Ok(())
}

#[tokio::test]
async fn a_failure_is_answered_and_says_why() -> Result<()> {
    let (server, site) = site().await?;
    site.provision().await?;
    let whole = site.secret();
    let bucket = Bucket::open(&[]).await?;
    let provision = site.start("provision", "neon_identity").await?;
    let cases: [(&str, Value, &[&str]); 5] = [
        (
            "/signing_secrets",
            json!(["whsec_"]),
            &["signing_secrets[0]"],
        ),
        ("/provider/name", json!("nobody"), &["provider.name"]),
        (
            "/provider/project_id",
            json!("other"),
            &["other", "7b1d5a7e", "connection"],
        ),
        (
            "/admin_database_url",
            json!(format!(
                "postgres://nobody:hidden@127.0.0.1:{}/x",
                server.port()
            )),
            &["admin_database_url", "password"],
        ),
        (
            "/admin_database_url",
            json!("hidden"),
            &["admin_database_url"],
        ),
    ];
    for (field, value, words) in cases {
        site.change(|secret| {
            *secret = whole.clone();
            *secret.pointer_mut(field).expect("a field") = value;
        })?;
        for kind in ["create", "update"] {
            let event = bucket.event(kind)?;
            let failure = provision.invoke(event.clone()).await;
            assert!(failure.is_err(), "{field}");
            let answer = bucket.answer()?;
            assert_eq!(answer["Status"], "FAILED");
            for name in ["StackId", "RequestId", "LogicalResourceId"] {
                assert_eq!(answer[name], event[name]);
            }
            let id = answer["PhysicalResourceId"].as_str();
            assert!(id.is_some_and(|id| !id.is_empty()));
            let reason = answer["Reason"].as_str().context("no reason")?;
            for word in words {
                assert!(reason.contains(word), "{field}: {reason}");
            }
            assert!(!reason.contains("hidden"), "{reason}");
        }
        // Whatever is wrong, a stack can be deleted.
        provision.invoke(bucket.event("delete")?).await?;
        assert_eq!(bucket.answer()?["Status"], "SUCCESS", "{field}");
    }
    // A corrected secret counts at once.
    site.change(|secret| *secret = whole)?;
    provision.invoke(bucket.event("update")?).await?;
    assert_eq!(bucket.answer()?["Status"], "SUCCESS");
    Ok(())
}

#[tokio::test]
async fn a_postgres_that_is_down_is_waited_for_and_then_answered() -> Result<()> {
    let (server, site) = site().await?;
    let bucket = Bucket::open(&[]).await?;
    let provision = site.start("provision", "neon_identity").await?;
    server.stop(Mode::Fast).await?;
    let limit = std::time::Duration::from_secs(120);
    let failure = provision
        .invoke_with_deadline(bucket.event("create")?, limit)
        .await;
    let failure = failure.err().context("Postgres is down")?;
    let answer = bucket.answer()?;
    assert_eq!(answer["Status"], "FAILED");
    let reason = answer["Reason"].as_str().context("no reason")?;
    assert!(reason.contains("Postgres can't be reached"), "{reason}");
    assert_eq!(failure.error_message, reason);
    Ok(())
}

#[tokio::test]
async fn a_lock_that_somebody_holds_is_answered_before_the_time_is_over() -> Result<()> {
    let (_server, site) = site().await?;
    site.provision().await?;
    let mut other = site.database.connect().await?;
    let open = other.transaction().await?;
    open.batch_execute("LOCK TABLE neon_identity.migrations")
        .await?;
    let bucket = Bucket::open(&[]).await?;
    let provision = site.start("provision", "neon_identity").await?;
    let limit = std::time::Duration::from_secs(6);
    let failure = provision
        .invoke_with_deadline(bucket.event("update")?, limit)
        .await;
    let failure = failure.err().context("it is locked")?;
    assert_eq!(failure.error_type, "Failed", "{failure}");
    let answer = bucket.answer()?;
    assert_eq!(answer["Status"], "FAILED");
    let reason = answer["Reason"].as_str().context("no reason")?;
    assert!(reason.contains("locks"), "{reason}");
    open.rollback().await?;
    provision.invoke(bucket.event("update")?).await?;
    assert_eq!(bucket.answer()?["Status"], "SUCCESS");
    Ok(())
}

#[tokio::test]
async fn a_first_deployment_with_a_bad_secret_is_answered_and_not_left_waiting() -> Result<()> {
    let (_server, site) = site().await?;
    site.change(|secret| *secret = json!({"database_url": "hidden"}))?;
    let bucket = Bucket::open(&[]).await?;
    for kind in ["create", "delete"] {
        // The event waits before the function starts, as in Lambda.
        let provision = site.spawn("provision", &[]).await?;
        let invoked = provision.invoke(bucket.event(kind)?).await;
        let answer = bucket.answer()?;
        if kind == "create" {
            let failure = invoked.err().context("the secret is bad")?;
            assert_eq!(answer["Status"], "FAILED");
            let reason = answer["Reason"].as_str().unwrap_or_default();
            assert!(reason.contains("provider is missing"), "{reason}");
            assert_eq!(failure.error_message, reason);
        } else {
            assert_eq!(answer["Status"], "SUCCESS");
        }
        assert!(!provision.logs()?.contains("hidden"));
    }
    Ok(())
}

#[tokio::test]
async fn a_deployment_with_a_bad_environment_is_answered_too() -> Result<()> {
    let (_server, site) = site().await?;
    for (variable, value) in [("SCHEMA", "pg_hidden"), ("SECRET_ID", "hidden")] {
        let bucket = Bucket::open(&[]).await?;
        let provision = site.spawn("provision", &[(variable, value)]).await?;
        let invoked = provision.invoke(bucket.event("create")?).await;
        let failure = invoked.err().context("the environment is bad")?;
        let answer = bucket.answer()?;
        assert_eq!(answer["Status"], "FAILED");
        assert!(failure.error_message.contains(variable), "{failure}");
        assert_eq!(answer["Reason"], failure.error_message);
    }
    Ok(())
}

#[tokio::test]
async fn a_plain_event_does_not_keep_what_cannot_start() -> Result<()> {
    let (_server, site) = site().await?;
    site.change(|secret| secret["more"] = json!(1))?;
    let provision = site.spawn("provision", &[]).await?;
    let failure = provision.invoke(json!({})).await.err();
    let failure = failure.context("the secret is bad")?;
    assert!(failure.error_message.contains("more"), "{failure}");
    does_not_start(&provision).await?;
    Ok(())
}

#[tokio::test]
async fn a_key_that_is_refused_fails_the_deployment_and_binds_nothing() -> Result<()> {
    for provider in ["stack", "clerk", "workos", "auth0", "supabase"] {
        let setup = Setup::named(provider)?;
        let stage = Stage::on(Postgres::shared().await?, setup).await?;
        stage
            .execute("DELETE FROM neon_identity.connection")
            .await?;
        let right = stage.secret();
        let field = match provider {
            "stack" => "secret_server_key",
            "clerk" => "secret_key",
            "workos" => "api_key",
            "auth0" => "client_secret",
            _ => "service_role_key",
        };
        stage.change_secret(|secret| secret["provider"][field] = json!("sk_test_wrong"))?;
        let bucket = Bucket::open(&[]).await?;
        let deployed = stage.start("provision").await?;
        let refused = deployed.invoke(bucket.event("create")?).await.err();
        let refused = refused.context(provider)?.error_message;
        assert!(refused.contains(&format!("provider.{field}")), "{refused}");
        assert_eq!(bucket.answer()?["Reason"], refused);
        let bound = stage.json("SELECT * FROM neon_identity.connection").await?;
        assert!(bound.is_empty(), "{bound:?}");
        stage.change_secret(|secret| *secret = right)?;
        stage.provision().await?;
    }
    Ok(())
}

#[tokio::test]
async fn nothing_is_bound_that_the_provider_has_not_confirmed() -> Result<()> {
    for provider in ["stack", "clerk", "workos", "auth0", "supabase"] {
        let setup = Setup::named(provider)?;
        let stage = Stage::on(Postgres::shared().await?, setup).await?;
        let bound = "SELECT * FROM neon_identity.connection";
        let was = stage.json(bound).await?;
        stage
            .execute("DELETE FROM neon_identity.connection")
            .await?;
        // Waiting takes its time, so each way to be away is tried once.
        let away = match provider {
            "stack" => vec![Fault::Status(500), Fault::Html(404), Fault::Hang],
            "clerk" => vec![Fault::Html(404)],
            _ => vec![Fault::Status(500)],
        };
        for fault in away {
            stage.simulator.add_trouble(Trouble::every(fault));
            let event = match provider {
                "stack" => json!({}),
                _ => Bucket::open(&[]).await?.event("create")?,
            };
            let deployed = stage.start("provision").await?;
            let limit = std::time::Duration::from_secs(110);
            let failed = deployed.invoke_with_deadline(event, limit).await;
            let failed = failed.err().context(provider)?;
            assert_eq!(failed.error_type, "Failed", "{failed}");
            assert!(failed.error_message.contains("provider"), "{failed}");
            assert!(stage.json(bound).await?.is_empty(), "{provider}");
            stage.simulator.clear_troubles();
        }
        stage.provision().await?;
        let now = stage.json(bound).await?;
        assert_eq!(now[0]["project"], was[0]["project"]);
    }
    Ok(())
}

#[tokio::test]
async fn a_key_that_is_refused_binds_nothing_by_hand_either() -> Result<()> {
    for (provider, field) in [
        ("stack", "secret_server_key"),
        ("stack", "project_id"),
        ("clerk", "secret_key"),
        ("workos", "api_key"),
        ("auth0", "client_secret"),
        ("supabase", "service_role_key"),
    ] {
        let setup = Setup::named(provider)?;
        let stage = Stage::on(Postgres::shared().await?, setup).await?;
        stage
            .execute("DELETE FROM neon_identity.connection")
            .await?;
        stage.change_secret(|secret| secret["provider"][field] = json!("sk_test_wrong"))?;
        let failed = stage.start("provision").await?.invoke(json!({})).await;
        let failed = failed.err().context(provider)?.error_message;
        assert!(failed.contains("provider"), "{failed}");
        let bound = stage.json("SELECT * FROM neon_identity.connection").await?;
        assert!(bound.is_empty(), "{bound:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_provider_that_is_away_does_not_stop_the_deployment_of_a_bound_schema() -> Result<()> {
    let stage = Stage::on(Postgres::shared().await?, Setup::default()).await?;
    for fault in [Fault::Status(500), Fault::Hang, Fault::Html(404)] {
        stage.simulator.add_trouble(Trouble::every(fault));
        let bucket = Bucket::open(&[]).await?;
        let deployed = stage.start("provision").await?;
        deployed.invoke(bucket.event("update")?).await?;
        assert_eq!(bucket.answer()?["Status"], "SUCCESS");
        stage.simulator.clear_troubles();
    }
    let bound = stage.json("SELECT * FROM neon_identity.connection").await?;
    assert_eq!(bound.len(), 1);
    Ok(())
}

#[tokio::test]
async fn without_an_event_a_bad_secret_does_not_start() -> Result<()> {
    let (_server, site) = site().await?;
    site.change(|secret| secret["provider"]["project_id"] = json!(["hidden"]))?;
    let provision = site.spawn("provision", &[]).await?;
    let logs = does_not_start(&provision).await?;
    assert!(
        logs.contains("provider.project_id is not a string"),
        "{logs}"
    );
    assert!(!logs.contains("hidden"), "{logs}");
    Ok(())
}

#[tokio::test]
async fn an_answer_that_is_not_taken_is_sent_again() -> Result<()> {
    let (_server, site) = site().await?;
    let provision = site.start("provision", "neon_identity").await?;
    let bucket = Bucket::open(&[503, 500]).await?;
    provision.invoke(bucket.event("create")?).await?;
    let puts = bucket.take();
    assert_eq!(puts.len(), 3);
    assert!(puts.iter().all(|put| put.body == puts[0].body));

    let bucket = Bucket::open(&[403; 9]).await?;
    let failure = provision.invoke(bucket.event("create")?).await.err();
    let failure = failure.context("nobody was told")?;
    assert!(failure.error_message.contains("ResponseURL"), "{failure}");
    for secret in ["secretsignature", "X-Amz", "127.0.0.1"] {
        assert!(!failure.error_message.contains(secret), "{failure}");
        assert!(!provision.logs()?.contains(secret), "{}", provision.logs()?);
    }
    Ok(())
}

// What is refused.

#[tokio::test]
async fn another_projects_keys_are_refused_until_somebody_rebinds() -> Result<()> {
    let (_server, site) = site().await?;
    site.provision().await?;
    site.simulator.seed(1);
    let reconcile = site.start("reconcile", "neon_identity").await?;
    reconcile.invoke(json!({})).await?;
    let before = site.ask(CATALOG).await?;
    let row = "SELECT users_sync::text || ctid || xmin FROM neon_identity.users_sync";
    let kept = site.ask(row).await?;

    site.change(|secret| secret["provider"]["project_id"] = "the-other".into())?;
    let message = site.failed_provision().await?;
    for words in [
        "stack project 7b1d5a7e-6f0c-4c7e-9c53-0d9a4f0c2d11",
        "stack project the-other",
        "SCHEMA",
        "delete the row in \"connection\" and run provision",
    ] {
        assert!(message.contains(words), "{words}: {message}");
    }
    let failure = site.start("reconcile", "neon_identity").await?;
    let failure = failure.invoke(json!({})).await.err().context("it ran")?;
    assert_eq!(failure.error_type, "Failed");
    assert!(failure.error_message.contains("the-other"), "{failure}");
    assert!(failure.error_message.contains("7b1d5a7e"), "{failure}");
    let runs = "SELECT string_agg(outcome, ' ' ORDER BY id) FROM neon_identity.runs";
    assert_eq!(site.ask(runs).await?, "complete failed");
    let webhook = site.start("webhook", "neon_identity").await?;
    site.simulator.create("Ada", "ada@example.com")?;
    assert_eq!(site.deliver(&webhook).await?, [503]);
    assert_eq!(site.ask(row).await?, kept);
    let connection = |catalog: &str| -> Vec<String> {
        let lines = catalog
            .lines()
            .filter(|line| line.starts_with("connection"));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(connection(&site.ask(CATALOG).await?), connection(&before));

    // As the message says: but the provider has to know the project.
    site.run("DELETE FROM neon_identity.connection").await?;
    let message = site.failed_provision().await?;
    assert!(message.contains("provider.project_id"), "{message}");
    let bound = "SELECT provider || ' ' || project FROM neon_identity.connection";
    assert_eq!(site.ask(bound).await?, "");
    site.change(|secret| {
        secret["provider"]["project_id"] = "7b1d5a7e-6f0c-4c7e-9c53-0d9a4f0c2d11".into();
    })?;
    assert_eq!(site.provision().await?, later_answer());
    assert_eq!(
        site.ask(bound).await?,
        "stack 7b1d5a7e-6f0c-4c7e-9c53-0d9a4f0c2d11"
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

#[tokio::test]
async fn a_login_that_does_not_own_the_database_is_told_to_name_its_owner() -> Result<()> {
    let (_server, site) = site().await?;
    let stranger = site.database.login("stranger").await?;
    site.change(|secret| secret["admin_database_url"] = stranger.clone().into())?;
    let message = site.failed_provision().await?;
    assert!(message.contains("admin_database_url"), "{message}");
    assert!(message.contains("owner"), "{message}");

    // And whoever comes after the owner.
    let owner = site.database.owner_url().to_owned();
    site.change(|secret| secret["admin_database_url"] = owner.into())?;
    site.provision().await?;
    site.change(|secret| secret["admin_database_url"] = stranger.into())?;
    let message = site.failed_provision().await?;
    assert!(message.contains("admin_database_url"), "{message}");
    assert!(message.contains("owner"), "{message}");
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
async fn a_schema_that_was_taken_apart_is_named() -> Result<()> {
    for (damage, words) in [
        (
            "DROP INDEX neon_identity.users_sync_deleted_at_idx",
            "users_sync_deleted_at_idx",
        ),
        ("DROP TABLE neon_identity.rejections", "rejections"),
        (
            "DROP FUNCTION neon_identity.ensure_user(text)",
            "ensure_user",
        ),
        ("TRUNCATE neon_identity.walk", "walk has no row"),
        ("DROP TABLE neon_identity.walk", "a table of it is missing"),
        (
            "DROP TABLE neon_identity.users_sync",
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

// ensure_user.

#[tokio::test]
async fn a_todo_is_inserted_before_the_profile_arrives_and_outlives_its_user() -> Result<()> {
    let (_server, site) = site().await?;
    site.provision().await?;
    let application = site.database.login("application").await?;
    let name = login(&application);
    site.run(&format!(
        "GRANT neon_identity_reader TO {name}; CREATE SCHEMA app AUTHORIZATION {name}"
    ))
    .await?;
    let user = site.simulator.create("Ada", "ada@example.com")?;
    run(
        &application,
        &format!(
            "CREATE TABLE app.todos (
                task text,
                user_id text NOT NULL REFERENCES neon_identity.users_sync (id)
            );
            INSERT INTO app.todos VALUES ('early', neon_identity.ensure_user('{user}'))"
        ),
    )
    .await?;
    let unknown = "INSERT INTO app.todos VALUES ('unknown', 'nobody')";
    assert_eq!(refusal(&application, unknown).await?, "23503");
    let joined = "SELECT concat_ws(' ', task, id, name, deleted_at IS NOT NULL)
        FROM app.todos JOIN neon_identity.users_sync AS u ON u.id = user_id ORDER BY task";
    assert_eq!(ask(&application, joined).await?, format!("early {user} f"));

    let webhook = site.start("webhook", "neon_identity").await?;
    assert_eq!(site.deliver(&webhook).await?, [200]);
    assert_eq!(
        ask(&application, joined).await?,
        format!("early {user} Ada f")
    );
    // It is known now: nothing changes.
    let again = format!("SELECT neon_identity.ensure_user('{user}')");
    assert_eq!(ask(&application, &again).await?, user);
    assert_eq!(
        ask(&application, joined).await?,
        format!("early {user} Ada f")
    );

    site.simulator.delete(&user)?;
    assert_eq!(site.deliver(&webhook).await?, [200]);
    assert_eq!(
        ask(&application, joined).await?,
        format!("early {user} Ada t")
    );
    let late =
        format!("INSERT INTO app.todos VALUES ('late', neon_identity.ensure_user('{user}'))");
    run(&application, &late).await?;
    let both = format!("early {user} Ada t\nlate {user} Ada t");
    assert_eq!(ask(&application, joined).await?, both);
    Ok(())
}

#[tokio::test]
async fn a_row_that_the_application_put_in_is_overwritten_by_the_first_profile() -> Result<()> {
    let (_server, site) = site().await?;
    site.provision().await?;
    let [ada, bob] = ["Ada", "Bob"].map(|name| site.simulator.create(name, "a@example.com"));
    let (ada, bob) = (ada?, bob?);
    for id in [&ada, &bob] {
        site.run(&format!(
            "INSERT INTO neon_identity.users_sync (raw_json, id, name, created_at)
            VALUES ('{{\"own\": 1}}', '{id}', 'mine', 'infinity')"
        ))
        .await?;
    }
    let webhook = site.start("webhook", "neon_identity").await?;
    let messages = site.simulator.take_messages();
    let first = messages
        .iter()
        .find(|message| message.kind == "user.created");
    let first = first.context("nothing is told")?;
    assert_eq!(site.deliver_body(&webhook, &first.body).await?, 200);
    let reconcile = site.start("reconcile", "neon_identity").await?;
    let report = reconcile.invoke(json!({})).await?;
    assert_eq!(
        (&report["updated"], &report["unchanged"]),
        (&json!(1), &json!(1)),
        "{report}"
    );
    let rows = "SELECT concat_ws(' ', name, raw_json->>'display_name', raw_json ? 'own',
        isfinite(created_at), updated_at IS NOT NULL) FROM neon_identity.users_sync ORDER BY name";
    assert_eq!(site.ask(rows).await?, "Ada Ada f t t\nBob Bob f t t");
    Ok(())
}

#[tokio::test]
async fn ensure_user_takes_ids_that_a_user_can_have() -> Result<()> {
    let (_server, site) = site().await?;
    site.provision().await?;
    let reader = site.database.login("reader").await?;
    site.run(&format!("GRANT neon_identity_reader TO {}", login(&reader)))
        .await?;
    for id in ["", &"x".repeat(1025), &"é".repeat(513)] {
        let sql = format!("SELECT neon_identity.ensure_user('{id}')");
        assert_eq!(refusal(&reader, &sql).await?, "22023");
    }
    assert_eq!(
        refusal(&reader, "SELECT neon_identity.ensure_user(NULL)").await?,
        "22023"
    );
    for id in [
        "x".repeat(1024),
        "é".repeat(512),
        "auth0|1".to_owned(),
        "a b".to_owned(),
    ] {
        let sql = format!("SELECT neon_identity.ensure_user('{id}')");
        for _ in 0..2 {
            assert_eq!(ask(&reader, &sql).await?, id);
        }
    }
    // Nobody's own function or table comes in between.
    let mine = random_name("mine");
    site.run(&format!(
        "CREATE SCHEMA {mine} AUTHORIZATION {}",
        login(&reader)
    ))
    .await?;
    run(
        &reader,
        &format!(
            "CREATE TABLE {mine}.users_sync (raw_json jsonb, id text UNIQUE);
            CREATE FUNCTION {mine}.octet_length(text) RETURNS int LANGUAGE sql AS 'SELECT 1/0';
            SET search_path = {mine}, pg_catalog;
            SELECT neon_identity.ensure_user('careful')"
        ),
    )
    .await?;
    let made = "SELECT count(*)::text FROM neon_identity.users_sync WHERE id = 'careful'";
    ensure!(site.ask(made).await? == "1");
    Ok(())
}
