//! Row-level security, switched on by the application: the sync goes on, and nobody else sees or
//! writes more than before.

use anyhow::Result;
use serde_json::json;
use tests::postgres::{Options, Postgres};

use crate::site::{Site, ask, login, run};

const TABLES: [&str; 8] = [
    "users_sync",
    "rejections",
    "connection",
    "runs",
    "walk",
    "deliveries",
    "repairs",
    "console_attempts",
];

#[tokio::test]
async fn the_sync_goes_on_where_row_level_security_is_switched_on() -> Result<()> {
    for force in [false, true] {
        for before in [false, true] {
            let server = Postgres::start(Options::default()).await?;
            let site = Site::on(&server).await?;
            site.provision().await?;
            let mut sql = String::new();
            for table in TABLES.into_iter().chain(["migrations"]) {
                sql += &format!("ALTER TABLE neon_identity.{table} ENABLE ROW LEVEL SECURITY;");
                if force {
                    sql += &format!("ALTER TABLE neon_identity.{table} FORCE ROW LEVEL SECURITY;");
                }
            }
            if before {
                // As an earlier release left it.
                for table in TABLES {
                    sql += &format!("DROP POLICY neon_identity_writer ON neon_identity.{table};");
                }
            }
            // The application's own: each of its users sees itself.
            sql += "CREATE POLICY own ON neon_identity.users_sync FOR SELECT
                USING (id = current_setting('app.user_id'))";
            site.run(&sql).await?;
            if before {
                site.provision().await?;
            }
            site.provision().await?;

            let webhook = site.start("webhook", "neon_identity").await?;
            let reconcile = site.start("reconcile", "neon_identity").await?;
            let ada = site.simulator.create("Ada", "ada@example.com")?;
            let bob = site.simulator.create("Bob", "bob@example.com")?;
            assert_eq!(site.deliver(&webhook).await?, [200, 200]);
            let bad = b"{\"type\":\"user.created\"}";
            assert_eq!(site.deliver_body(&webhook, bad).await?, 400);
            site.simulator.seed(5);
            let cyd = site.simulator.create("Cyd", "cyd@example.com")?;
            reconcile.invoke(json!({})).await?;
            site.simulator.delete(&bob)?;
            assert_eq!(
                site.deliver(&webhook).await?.last(),
                Some(&200),
                "{}",
                webhook.logs()?
            );
            site.simulator.delete(&cyd)?;
            site.simulator.take_messages();
            let report = reconcile.invoke(json!({})).await?;
            assert_eq!(report["deleted"], 1, "{report}");

            // The application's users see what its own policies show.
            let reader = site.database.login("reader").await?;
            site.run(&format!("GRANT neon_identity_reader TO {}", login(&reader)))
                .await?;
            let seen = format!(
                "SELECT set_config('app.user_id', '{ada}', false) IS NULL;
                CREATE TEMP TABLE seen AS SELECT id FROM neon_identity.users_sync;
                DO $$ BEGIN IF (SELECT string_agg(id, ' ') FROM seen) <> '{ada}' THEN
                    RAISE EXCEPTION 'more is seen'; END IF; END $$"
            );
            run(&reader, &seen).await?;
            // So does the owner, where it has it forced upon itself.
            if force {
                run(site.database.owner_url(), &seen).await?;
            }
            let early = ask(&reader, "SELECT neon_identity.ensure_user('early')").await?;
            assert_eq!(early, "early");
            let erase = format!("SELECT neon_identity.erase_user('{bob}')");
            run(site.database.owner_url(), &erase).await?;
            let row = format!(
                "SELECT concat_ws(' ', raw_json, name, email, deleted_at IS NOT NULL)
                FROM neon_identity.users_sync WHERE id = '{bob}'"
            );
            assert_eq!(site.ask(&row).await?, "{} t");
            let forced = "SELECT count(*)::text FROM pg_class WHERE relforcerowsecurity
                AND relnamespace = 'neon_identity'::regnamespace";
            assert_eq!(site.ask(forced).await?, if force { "9" } else { "0" });
        }
    }
    Ok(())
}

#[tokio::test]
async fn provision_switches_nothing_on_and_has_a_policy_for_each_table_that_it_grants() -> Result<()>
{
    let server = Postgres::start(Options::default()).await?;
    let site = Site::on(&server).await?;
    site.provision().await?;
    let on = "SELECT count(*)::text FROM pg_class
        WHERE relrowsecurity AND relnamespace = 'neon_identity'::regnamespace";
    assert_eq!(site.ask(on).await?, "0");
    let without = "SELECT relname::text FROM pg_class, aclexplode(relacl) AS granted
        WHERE relnamespace = 'neon_identity'::regnamespace AND relkind = 'r'
            AND granted.grantee = 'neon_identity_writer'::regrole
            AND NOT EXISTS (
                SELECT FROM pg_policy WHERE polrelid = pg_class.oid AND polpermissive
                    AND polcmd = '*' AND polroles = ARRAY['neon_identity_writer'::regrole::oid]
            )";
    assert_eq!(site.ask(without).await?, "");
    let operators = "SELECT string_agg(concat_ws(' ', polrelid::regclass, polcmd), E'\\n' ORDER BY polrelid::regclass::text)
        FROM pg_policy WHERE polroles = ARRAY['neon_identity_operator'::regrole::oid]";
    assert_eq!(
        site.ask(operators).await?,
        "neon_identity.deliveries r\n\
        neon_identity.rejections r\n\
        neon_identity.runs r\n\
        neon_identity.users_sync r"
    );
    // For these two roles and the owner alone.
    let others = format!(
        "SELECT polname::text FROM pg_policy WHERE polroles <> ARRAY['neon_identity_writer'::regrole::oid]
            AND polroles <> ARRAY['neon_identity_operator'::regrole::oid]
            AND polroles <> ARRAY['{}'::regrole::oid]",
        login(site.database.owner_url())
    );
    assert_eq!(site.ask(&others).await?, "");
    // A role that was made anew gets them again.
    site.run("DROP OWNED BY neon_identity_writer; DROP ROLE neon_identity_writer")
        .await?;
    site.provision().await?;
    assert_eq!(site.ask(without).await?, "");
    Ok(())
}
