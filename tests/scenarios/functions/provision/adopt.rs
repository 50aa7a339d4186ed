//! `provision` with `{"adopt": true}`: a table `users_sync` that stands in the schema, as Neon made
//! it, is taken over with all that hangs on it; any other is refused, and left as it was.

mod refusals;

use super::{MIGRATIONS, NEWEST, eight_instances, invoke_all, site};
use crate::site::{Bucket, Site, ask, login, refusal, run};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::postgres::Postgres;
use tests::runtime_api::FunctionError;

const SCHEMA: &str = "neon_auth";

/// As `pg_dump` shows Neon's own.
pub(crate) const GENERATED: &str = "
    raw_json jsonb NOT NULL,
    id text GENERATED ALWAYS AS ((raw_json ->> 'id'::text)) STORED NOT NULL,
    name text GENERATED ALWAYS AS ((raw_json ->> 'display_name'::text)) STORED,
    email text GENERATED ALWAYS AS ((raw_json ->> 'primary_email'::text)) STORED,
    created_at timestamp with time zone GENERATED ALWAYS AS (to_timestamp((trunc((((raw_json ->>
      'signed_up_at_millis'::text))::bigint)::double precision) / (1000)::double precision))) STORED,
    updated_at timestamp with time zone,
    deleted_at timestamp with time zone";

/// As drizzle's migrations write it, whose order is another.
const PLAIN: &str = r#"
    "raw_json" jsonb NOT NULL,
    "id" text PRIMARY KEY NOT NULL,
    "name" text,
    "email" text,
    "created_at" timestamp with time zone,
    "deleted_at" timestamp with time zone,
    "updated_at" timestamp with time zone"#;

/// The key and the index that Neon adds to the columns.
pub(crate) const KEY_AND_INDEX: &str = "
    ALTER TABLE ONLY neon_auth.users_sync ADD CONSTRAINT users_sync_pkey PRIMARY KEY (id);
    CREATE INDEX users_sync_deleted_at_idx ON neon_auth.users_sync USING btree (deleted_at)";

/// A site whose owner has Neon's schema with a table of these columns.
async fn at_neon(columns: &str, more: &str) -> Result<(Postgres, Site)> {
    let (server, site) = site().await?;
    make(
        &site,
        &format!("CREATE TABLE neon_auth.users_sync ({columns}); {more}"),
    )
    .await?;
    Ok((server, site))
}

/// Runs statements as the owner, in a new schema.
async fn make(site: &Site, sql: &str) -> Result<()> {
    let owner = site.database.owner_url();
    run(owner, &format!("CREATE SCHEMA neon_auth; {sql}")).await
}

async fn adopt(site: &Site) -> Result<Value, FunctionError> {
    let started = site.start("provision", SCHEMA).await;
    let event = json!({"adopt": true});
    started.expect("provision starts").invoke(event).await
}

fn answer(applied: &[&str]) -> Value {
    json!({"schema": SCHEMA, "version": NEWEST, "applied": applied})
}

/// The user as the provider has them, the way Neon writes them.
async fn neon_knows(site: &Site, id: &str, generated: bool) -> Result<()> {
    let user = site.simulator.user(id).context("no such user")?;
    let profile = user.profile.replace('\'', "''");
    let sql = match generated {
        true => format!("INSERT INTO neon_auth.users_sync (raw_json) VALUES ('{profile}')"),
        false => format!(
            "INSERT INTO neon_auth.users_sync (raw_json, id, name, email, created_at)
            SELECT raw, raw ->> 'id', raw ->> 'display_name', raw ->> 'primary_email',
              to_timestamp((raw ->> 'signed_up_at_millis')::bigint / 1000.0)
            FROM (SELECT '{profile}'::jsonb AS raw)"
        ),
    };
    run(site.database.owner_url(), &sql).await
}

async fn refused(site: &Site) -> Result<String> {
    let failure = adopt(site).await.err().context("it was taken over")?;
    assert_eq!(failure.error_type, "Failed");
    Ok(failure.error_message)
}

/// All about the table that a refusal might have changed.
const TABLE: &str = "
    SELECT concat_ws(' ', 'column', attnum, attname, format_type(atttypid, atttypmod), attnotnull,
      attgenerated, pg_get_expr(adbin, adrelid)) AS line
    FROM pg_attribute
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attrelid = to_regclass('neon_auth.users_sync') AND attnum > 0
    UNION ALL
    SELECT concat_ws(' ', 'class', oid, relname, relkind, relowner::regrole, relacl)
    FROM pg_class WHERE relnamespace = to_regnamespace('neon_auth')
    UNION ALL
    SELECT concat_ws(' ', 'policy', polname) FROM pg_policy
    WHERE polrelid = to_regclass('neon_auth.users_sync')
    UNION ALL
    SELECT concat_ws(' ', 'role', rolname) FROM pg_roles WHERE rolname ~ '^neon_auth'
    ORDER BY line";

/// A run of reconcile makes it true, and the next one has nothing to do.
async fn comes_true(site: &Site) -> Result<Value> {
    let reconcile = site.start("reconcile", SCHEMA).await?;
    let report = reconcile.invoke(json!({})).await?;
    assert_eq!(report["outcome"], "complete", "{report}");
    let mut expected: Vec<String> = site
        .simulator
        .truth()
        .map(|user| {
            let reading = &user.reading;
            let (name, email) = (reading.name.as_deref(), reading.email.as_deref());
            format!(
                "{} {} {} {} f",
                user.id,
                name.unwrap_or("-"),
                email.unwrap_or("-"),
                reading.created_at.unwrap_or_default()
            )
        })
        .collect();
    expected.sort();
    let rows = "SELECT concat_ws(' ', id, coalesce(name, '-'), coalesce(email, '-'),
            (extract(epoch FROM created_at) * 1000)::bigint,
            raw_json ->> 'display_name' IS DISTINCT FROM name OR updated_at IS NULL)
        FROM neon_auth.users_sync WHERE deleted_at IS NULL ORDER BY id COLLATE \"C\"";
    assert_eq!(site.ask(rows).await?, expected.join("\n"));
    let again = reconcile.invoke(json!({})).await?;
    for figure in ["created", "updated", "deleted", "revived", "rejected"] {
        assert_eq!(again[figure], 0, "{again}");
    }
    Ok(report)
}

#[tokio::test]
async fn neons_table_is_taken_over_with_all_that_hangs_on_it() -> Result<()> {
    let (_server, site) = at_neon(GENERATED, KEY_AND_INDEX).await?;
    let [ada, bob, cyd, dan] =
        ["Ada", "Bob", "Cyd", "Dan"].map(|name| site.simulator.create(name, "x@example.com"));
    let (ada, bob, cyd, dan) = (ada?, bob?, cyd?, dan?);
    for id in [&ada, &bob, &cyd] {
        neon_knows(&site, id, true).await?;
    }
    // Since then Neon has missed a change, a deletion and a new user; it knows of a deletion.
    site.simulator.rename(&ada, "Ada L.")?;
    site.simulator.delete(&bob)?;
    let gone = "5d1d1c0e-0000-4000-8000-000000000000";
    let application = site.database.login("application").await?;
    let name = login(&application).to_owned();
    run(
        site.database.owner_url(),
        &format!(
            "INSERT INTO neon_auth.users_sync (raw_json, updated_at, deleted_at)
            VALUES ('{{\"id\": \"{gone}\", \"display_name\": \"Eve\"}}', now() - interval '2 days',
              now() - interval '1 day');
            CREATE SCHEMA app;
            CREATE TABLE app.todos (
              user_id text REFERENCES neon_auth.users_sync (id) ON DELETE CASCADE,
              task text
            );
            INSERT INTO app.todos SELECT id, 'of ' || name FROM neon_auth.users_sync;
            CREATE VIEW app.people AS SELECT id, name, email, created_at FROM neon_auth.users_sync;
            CREATE MATERIALIZED VIEW app.addresses AS SELECT email FROM neon_auth.users_sync;
            CREATE TABLE app.changes (id text);
            CREATE FUNCTION app.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
              $$ BEGIN INSERT INTO app.changes VALUES (NEW.id); RETURN NULL; END $$;
            CREATE TRIGGER note AFTER INSERT OR UPDATE ON neon_auth.users_sync
              FOR EACH ROW EXECUTE FUNCTION app.note();
            CREATE INDEX by_address ON neon_auth.users_sync (lower(email));
            ALTER TABLE neon_auth.users_sync ADD plan text NOT NULL DEFAULT 'free',
              ADD lower_name text GENERATED ALWAYS AS (lower(raw_json ->> 'display_name')) STORED,
              ADD CONSTRAINT has_id CHECK (id <> '');
            ALTER TABLE neon_auth.users_sync ENABLE ROW LEVEL SECURITY;
            CREATE POLICY living ON neon_auth.users_sync FOR SELECT USING (deleted_at IS NULL);
            COMMENT ON COLUMN neon_auth.users_sync.name IS 'Theirs';
            GRANT USAGE ON SCHEMA neon_auth, app TO {name};
            GRANT SELECT, REFERENCES ON neon_auth.users_sync TO {name};
            GRANT SELECT ON app.people TO {name};"
        ),
    )
    .await?;
    let identity = "SELECT concat_ws(' ', oid, relfilenode) FROM pg_class
        WHERE oid = 'neon_auth.users_sync'::regclass";
    let before = site.ask(identity).await?;
    let rows =
        "SELECT concat_ws(' ', users_sync::text, xmin, ctid) FROM neon_auth.users_sync ORDER BY id";
    let kept = site.ask(rows).await?;
    let hangs_on = "
        SELECT concat_ws(' ', 'constraint', conname, conrelid::regclass, pg_get_constraintdef(oid)) AS line
        FROM pg_constraint
        WHERE 'neon_auth.users_sync'::regclass IN (conrelid, confrelid) AND contype <> 'n'
        UNION ALL
        SELECT concat_ws(' ', 'index', indexdef) FROM pg_indexes
        WHERE tablename = 'users_sync' AND schemaname = 'neon_auth'
        UNION ALL
        SELECT concat_ws(' ', 'trigger', pg_get_triggerdef(oid)) FROM pg_trigger
        WHERE tgrelid = 'neon_auth.users_sync'::regclass AND NOT tgisinternal
        UNION ALL
        SELECT concat_ws(' ', 'view', viewname, definition) FROM pg_views WHERE schemaname = 'app'
        UNION ALL
        SELECT concat_ws(' ', 'policy', polname, polcmd, pg_get_expr(polqual, polrelid)) FROM pg_policy
        WHERE polname = 'living'
        UNION ALL
        SELECT concat_ws(' ', 'security', relrowsecurity) FROM pg_class
        WHERE oid = 'neon_auth.users_sync'::regclass
        UNION ALL
        SELECT concat_ws(' ', 'grant', granted.grantee::regrole, granted.privilege_type)
        FROM pg_class, aclexplode(relacl) AS granted
        WHERE pg_class.oid = 'neon_auth.users_sync'::regclass
          AND granted.grantee::regrole::text !~ '^neon_auth_'
        UNION ALL
        SELECT concat_ws(' ', 'own', attname, attgenerated, attnotnull, pg_get_expr(adbin, adrelid))
        FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE attrelid = 'neon_auth.users_sync'::regclass AND attname IN ('plan', 'lower_name')
        ORDER BY line";
    let hung = site.ask(hangs_on).await?;

    assert_eq!(adopt(&site).await?, answer(&MIGRATIONS));
    assert_eq!(site.ask(identity).await?, before, "the table was made anew");
    assert_eq!(site.ask(rows).await?, kept, "a row was written");
    assert_eq!(site.ask(hangs_on).await?, hung);
    let generated = "SELECT string_agg(attname, ' ') FROM pg_attribute
        WHERE attrelid = 'neon_auth.users_sync'::regclass AND attgenerated <> ''";
    assert_eq!(site.ask(generated).await?, "lower_name");

    let report = comes_true(&site).await?;
    let figures = ["created", "updated", "deleted"].map(|name| report[name].clone());
    assert_eq!(figures, [json!(1), json!(2), json!(1)], "{report}");
    // Everything that refers to it works, with the current values.
    let joined = "SELECT concat_ws(' ', task, people.name, deleted_at IS NOT NULL)
        FROM app.todos JOIN app.people ON people.id = user_id
        JOIN neon_auth.users_sync AS kept ON kept.id = user_id ORDER BY task";
    assert_eq!(
        site.ask(joined).await?,
        "of Ada Ada L. f\nof Bob Bob t\nof Cyd Cyd f\nof Eve Eve t"
    );
    let noted = "SELECT count(DISTINCT id)::text FROM app.changes";
    assert_eq!(site.ask(noted).await?, "4");
    let people = "SELECT count(*)::text FROM neon_auth.users_sync";
    assert_eq!(
        ask(&application, people).await?,
        "3",
        "the living, by the policy"
    );

    // And goes on by deliveries.
    let webhook = site.start("webhook", SCHEMA).await?;
    site.simulator.take_messages();
    site.simulator.rename(&dan, "Daniel")?;
    assert_eq!(site.deliver(&webhook).await?, [200]);
    let daniel =
        format!("SELECT name || plan || lower_name FROM neon_auth.users_sync WHERE id = '{dan}'");
    assert_eq!(site.ask(&daniel).await?, "Danielfreedaniel");
    Ok(())
}

#[tokio::test]
async fn plain_columns_in_any_order_without_key_and_index_are_taken_over() -> Result<()> {
    let without_key = PLAIN.replace(" PRIMARY KEY NOT NULL", "");
    let nullable = without_key.replace("jsonb NOT NULL", "jsonb");
    for (columns, more) in [
        (PLAIN, ""),
        (
            PLAIN,
            "CREATE INDEX users_sync_deleted_at_idx ON neon_auth.users_sync (deleted_at)",
        ),
        (&without_key, ""),
        (
            &nullable,
            "ALTER TABLE neon_auth.users_sync ADD CONSTRAINT mine PRIMARY KEY (id)",
        ),
        (
            &without_key,
            "CREATE UNIQUE INDEX ids ON neon_auth.users_sync (id)",
        ),
    ] {
        let (_server, site) = at_neon(columns, more).await?;
        let ada = site.simulator.create("Ada", "ada@example.com")?;
        neon_knows(&site, &ada, false).await?;
        site.simulator.rename(&ada, "Ada L.")?;
        site.simulator.seed(3);
        assert_eq!(adopt(&site).await?, answer(&MIGRATIONS), "{columns} {more}");
        let shape = "SELECT concat_ws(' ',
            (SELECT attnotnull FROM pg_attribute WHERE attrelid = oid AND attname = 'raw_json'),
            (SELECT pg_get_constraintdef(c.oid) FROM pg_constraint AS c
              WHERE conrelid = pg_class.oid AND contype = 'p'),
            to_regclass('neon_auth.users_sync_deleted_at_idx'))
            FROM pg_class WHERE oid = 'neon_auth.users_sync'::regclass";
        assert_eq!(
            site.ask(shape).await?,
            "t PRIMARY KEY (id) neon_auth.users_sync_deleted_at_idx",
            "{columns} {more}"
        );
        let report = comes_true(&site).await?;
        assert_eq!(
            (&report["created"], &report["updated"]),
            (&json!(3), &json!(1)),
            "{report}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn taking_over_again_changes_nothing() -> Result<()> {
    let (_server, site) = at_neon(GENERATED, KEY_AND_INDEX).await?;
    let ada = site.simulator.create("Ada", "ada@example.com")?;
    neon_knows(&site, &ada, true).await?;
    let provision = site.start("provision", SCHEMA).await?;
    let event = json!({"adopt": true});
    assert_eq!(provision.invoke(event.clone()).await?, answer(&MIGRATIONS));
    comes_true(&site).await?;
    let look = format!(
        "SELECT string_agg(line, '\n') FROM ({TABLE}) AS table_
        UNION ALL SELECT concat_ws(' ', users_sync::text, xmin, ctid) FROM neon_auth.users_sync"
    );
    let before = site.ask(&look).await?;
    for again in [event.clone(), json!({}), event] {
        assert_eq!(provision.invoke(again).await?, answer(&[]));
    }
    assert_eq!(site.ask(&look).await?, before);
    Ok(())
}

#[tokio::test]
async fn an_empty_schema_is_provisioned_as_ever() -> Result<()> {
    let (_server, site) = site().await?;
    assert_eq!(adopt(&site).await?, answer(&MIGRATIONS));
    site.simulator.seed(2);
    assert_eq!(comes_true(&site).await?["created"], 2);

    let (_server, site) = at_neon("id text", "DROP TABLE neon_auth.users_sync").await?;
    assert_eq!(adopt(&site).await?, answer(&MIGRATIONS));
    Ok(())
}

#[tokio::test]
async fn eight_at_once_take_over_once() -> Result<()> {
    let (_server, site) = at_neon(GENERATED, KEY_AND_INDEX).await?;
    let ada = site.simulator.create("Ada", "ada@example.com")?;
    neon_knows(&site, &ada, true).await?;
    let provision = eight_instances(&site, SCHEMA).await?;
    let answers = invoke_all(&provision, json!({"adopt": true})).await?;
    let first = answers
        .iter()
        .filter(|one| **one == answer(&MIGRATIONS))
        .count();
    let later = answers.iter().filter(|one| **one == answer(&[])).count();
    assert_eq!((first, later), (1, 7), "{answers:?}");
    comes_true(&site).await?;
    Ok(())
}

#[tokio::test]
async fn other_expressions_over_the_profile_are_dropped_too() -> Result<()> {
    let columns = GENERATED
        .replace(
            "(raw_json ->> 'display_name'::text)",
            "upper(raw_json ->> 'display_name')",
        )
        .replace("(raw_json ->> 'primary_email'::text)", "'hidden'");
    let (_server, site) = at_neon(&columns, KEY_AND_INDEX).await?;
    let ada = site.simulator.create("Ada", "ada@example.com")?;
    neon_knows(&site, &ada, true).await?;
    let row = "SELECT concat_ws(' ', name, email) FROM neon_auth.users_sync";
    assert_eq!(site.ask(row).await?, "ADA hidden");
    assert_eq!(adopt(&site).await?, answer(&MIGRATIONS));
    assert_eq!(site.ask(row).await?, "ADA hidden");
    comes_true(&site).await?;
    assert_eq!(site.ask(row).await?, "Ada ada@example.com");
    Ok(())
}

#[tokio::test]
async fn row_level_security_that_is_forced_hides_nothing_from_it() -> Result<()> {
    let force = "ALTER TABLE neon_auth.users_sync ENABLE ROW LEVEL SECURITY,
        FORCE ROW LEVEL SECURITY";
    let columns = PLAIN.replace(" PRIMARY KEY NOT NULL", "");
    let twice = "INSERT INTO neon_auth.users_sync (raw_json, id) VALUES ('{}', 'a'), ('{}', 'a')";
    let (_server, site) = at_neon(&columns, &format!("{twice}; {force}")).await?;
    let message = refused(&site).await?;
    assert!(
        message.contains("several rows have the same id"),
        "{message}"
    );
    site.run("TRUNCATE neon_auth.users_sync").await?;
    site.simulator.seed(2);
    assert_eq!(adopt(&site).await?, answer(&MIGRATIONS));
    comes_true(&site).await?;
    Ok(())
}

#[tokio::test]
async fn a_custom_resource_says_it_by_a_property() -> Result<()> {
    let (_server, site) = at_neon(GENERATED, KEY_AND_INDEX).await?;
    let bucket = Bucket::open(&[]).await?;
    let provision = site.start("provision", SCHEMA).await?;
    let event = |adopt: Value| -> Result<Value> {
        let mut event = bucket.event("create")?;
        event["ResourceProperties"]["Adopt"] = adopt;
        Ok(event)
    };
    for (adopt, status, words) in [
        (json!("false"), "FAILED", r#"{"adopt": true}"#),
        (json!("yes"), "FAILED", "Adopt is neither true nor false"),
        (json!("true"), "SUCCESS", ""),
        // It may stay as it is.
        (json!("true"), "SUCCESS", ""),
        (json!("false"), "SUCCESS", ""),
    ] {
        let ended = provision.invoke(event(adopt.clone())?).await;
        let told = bucket.answer()?;
        assert_eq!(told["Status"], status, "{adopt}: {told}");
        assert_eq!(ended.is_ok(), status == "SUCCESS");
        assert!(
            told["Reason"].as_str().unwrap_or_default().contains(words),
            "{told}"
        );
    }
    // A stack can be deleted, whatever its parameter is.
    let mut going = bucket.event("delete")?;
    going["ResourceProperties"]["Adopt"] = json!("yes");
    provision.invoke(going).await?;
    assert_eq!(bucket.answer()?["Status"], "SUCCESS");
    Ok(())
}

#[tokio::test]
async fn what_drizzle_asks_for_is_there() -> Result<()> {
    // `usersSync` of drizzle-orm/neon, which names the schema: columns, types, what is NOT NULL.
    let drizzle = "created_at timestamp with time zone\n\
        deleted_at timestamp with time zone\n\
        email text\n\
        id text NOT NULL\n\
        name text\n\
        raw_json jsonb NOT NULL\n\
        updated_at timestamp with time zone";
    let columns = "SELECT concat_ws(' ', attname, format_type(atttypid, atttypmod),
            CASE WHEN attnotnull THEN 'NOT NULL' END)
        FROM pg_attribute
        WHERE attrelid = 'neon_auth.users_sync'::regclass AND attnum > 0 ORDER BY attname";
    let select = r#"select "raw_json", "id", "name", "email", "created_at", "deleted_at", "updated_at"
        from "neon_auth"."users_sync" where "neon_auth"."users_sync"."deleted_at" is null"#;
    for taken_over in [true, false] {
        let (_server, site) = site().await?;
        if taken_over {
            make(
                &site,
                &format!("CREATE TABLE neon_auth.users_sync ({GENERATED}); {KEY_AND_INDEX}"),
            )
            .await?;
        }
        adopt(&site).await?;
        assert_eq!(site.ask(columns).await?, drizzle);
        let reader = site.database.login("reader").await?;
        site.run(&format!("GRANT neon_auth_reader TO {}", login(&reader)))
            .await?;
        run(&reader, select).await?;
        assert_eq!(
            refusal(&reader, "SELECT FROM neon_auth.runs").await?,
            "42501"
        );
    }
    Ok(())
}
