//! Roles and rights: who owns, who writes, who reads; and logins whose rights are too few.

use anyhow::{Context, Result};
use serde_json::json;

use super::{MIGRATIONS, first_answer, later_answer, site};
use crate::site::{login, refusal, run};

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
                -- Of functions that are named by a digest, what comes before it.
                SELECT regexp_replace(proname, '_[0-9a-f]{8}$', '_…') || '()', (aclexplode(proacl)).* FROM pg_proc
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
        "neon_identity_operator SCHEMA USAGE\n\
        neon_identity_operator deliveries SELECT\n\
        neon_identity_operator rejections SELECT\n\
        neon_identity_operator runs SELECT\n\
        neon_identity_operator status SELECT\n\
        neon_identity_operator users_sync SELECT\n\
        neon_identity_reader SCHEMA USAGE\n\
        neon_identity_reader ensure_user() EXECUTE\n\
        neon_identity_reader users_sync REFERENCES,SELECT\n\
        neon_identity_writer SCHEMA USAGE\n\
        neon_identity_writer activity DELETE,INSERT,SELECT\n\
        neon_identity_writer connection SELECT\n\
        neon_identity_writer console_attempts DELETE,INSERT,SELECT,UPDATE\n\
        neon_identity_writer deliveries INSERT,SELECT\n\
        neon_identity_writer differences DELETE,INSERT,SELECT,UPDATE\n\
        neon_identity_writer erase_older_than() EXECUTE\n\
        neon_identity_writer gone_…() EXECUTE\n\
        neon_identity_writer join_…() EXECUTE\n\
        neon_identity_writer look INSERT,SELECT,UPDATE\n\
        neon_identity_writer prune() EXECUTE\n\
        neon_identity_writer rejections INSERT,SELECT,UPDATE\n\
        neon_identity_writer repairs INSERT,SELECT,UPDATE\n\
        neon_identity_writer runs INSERT,SELECT,UPDATE\n\
        neon_identity_writer users_sync INSERT,SELECT,UPDATE\n\
        neon_identity_writer walk SELECT,UPDATE"
    );
    let roles = "SELECT concat_ws(' ', rolname, rolcanlogin, rolsuper, rolcreaterole, rolcreatedb,
        rolreplication, rolbypassrls) FROM pg_roles WHERE rolname ~ '^neon_identity' ORDER BY 1";
    assert_eq!(
        site.ask(roles).await?,
        "neon_identity_operator f f f f f f\n\
        neon_identity_reader f f f f f f\n\
        neon_identity_writer f f f f f f"
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
                "DELETE FROM neon_identity.deliveries",
                "UPDATE neon_identity.deliveries SET outcome = 'x'",
                "DELETE FROM neon_identity.repairs",
                "SELECT FROM neon_identity.status",
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
                "SET ROLE neon_identity_operator",
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
                "SELECT FROM neon_identity.status",
                "SELECT FROM neon_identity.deliveries",
                "SELECT FROM neon_identity.repairs",
                "SELECT neon_identity.prune(7)",
                "CREATE TABLE neon_identity.mine ()",
                "SET ROLE neon_identity_writer",
            ][..],
        ),
        (
            "operator",
            &[
                "UPDATE neon_identity.users_sync SET name = 'x'",
                "DELETE FROM neon_identity.deliveries",
                "UPDATE neon_identity.runs SET held = 0",
                "UPDATE neon_identity.rejections SET resolved_at = now()",
                "SELECT FROM neon_identity.connection",
                "SELECT FROM neon_identity.walk",
                "SELECT neon_identity.prune(7)",
                "SELECT neon_identity.ensure_user('x')",
                "SELECT neon_identity.erase_user('x')",
                "CREATE TABLE neon_identity.mine ()",
            ][..],
        ),
        (
            "stranger",
            &[
                "SELECT FROM neon_identity.users_sync",
                "SELECT neon_identity.ensure_user('x')",
                "SELECT FROM neon_identity.status",
                "SELECT neon_identity.prune(7)",
            ][..],
        ),
    ] {
        let url = match who {
            "writer" => writer.to_owned(),
            _ => site.database.login(who).await?,
        };
        if ["reader", "operator"].contains(&who) {
            site.run(&format!("GRANT neon_identity_{who} TO {}", login(&url)))
                .await?;
        }
        if who == "operator" {
            let seen = "SELECT FROM neon_identity.status, neon_identity.runs,
                neon_identity.deliveries, neon_identity.rejections, neon_identity.users_sync";
            run(&url, seen).await?;
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
    site.run(
        "CREATE ROLE neon_identity_writer; CREATE ROLE neon_identity_reader;
        CREATE ROLE neon_identity_operator",
    )
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
async fn a_login_that_does_not_own_the_database_is_told_to_name_its_owner() -> Result<()> {
    let (_server, site) = site().await?;
    let stranger = site.database.login("stranger").await?;
    site.change(|secret| secret["admin_database_url"] = stranger.clone().into())?;
    let message = site.failed_provision().await?;
    assert!(message.contains("admin_database_url"), "{message}");
    assert!(message.contains("owner"), "{message}");

    // A login that comes after the owner is told, too.
    let owner = site.database.owner_url().to_owned();
    site.change(|secret| secret["admin_database_url"] = owner.into())?;
    site.provision().await?;
    site.change(|secret| secret["admin_database_url"] = stranger.into())?;
    let message = site.failed_provision().await?;
    assert!(message.contains("admin_database_url"), "{message}");
    assert!(message.contains("owner"), "{message}");
    Ok(())
}
