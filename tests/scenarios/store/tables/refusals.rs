//! One user that the table refuses stops nobody else, whatever refuses them and under whatever
//! SQLSTATE; what refuses everybody fails the run and is named.

use anyhow::{Context, Result};
use serde_json::json;
use tests::function::Function;
use tests::postgres::Postgres;
use tests::stage::{Setup, Stage};

use tests::letter::{Letter, client, event_id, send};

/// The name of the user who is refused.
const EVE: &str = "Eve";

/// A constraint or a trigger that refuses users called Eve, and how the reason begins and
/// what it names.
struct Refusal {
    sql: String,
    names: &'static [&'static str],
}

fn trigger(body: &str) -> String {
    format!(
        "CREATE FUNCTION public.check_user() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN {body} RETURN NEW; END $$;
        CREATE TRIGGER check_user BEFORE INSERT OR UPDATE ON neon_identity.users_sync
        FOR EACH ROW EXECUTE FUNCTION public.check_user();"
    )
}

fn raising(statement: &str) -> String {
    trigger(&format!("IF NEW.name = '{EVE}' THEN {statement} END IF;"))
}

fn refusals() -> Vec<Refusal> {
    let table = "ALTER TABLE neon_identity.users_sync";
    let raised = |code: &str| {
        raising(&format!(
            "RAISE EXCEPTION 'no %', NEW.email USING ERRCODE = '{code}';"
        ))
    };
    let with = |sql: String, names| Refusal { sql, names };
    let mut refusals = vec![
        with(
            raising("RAISE EXCEPTION 'no %', NEW.email;"),
            &["SQLSTATE P0001", "function check_user"],
        ),
        with(
            format!("{table} ADD CONSTRAINT no_eve CHECK (name <> '{EVE}')"),
            &["SQLSTATE 23514", "constraint no_eve"],
        ),
        with(
            format!("{table} ADD long text GENERATED ALWAYS AS (CASE name WHEN '{EVE}' THEN NULL ELSE 'x' END) STORED NOT NULL"),
            &["SQLSTATE 23502", "column long"],
        ),
        with(
            format!("{table} ADD size int GENERATED ALWAYS AS (1 / CASE name WHEN '{EVE}' THEN 0 ELSE 1 END) STORED"),
            &["SQLSTATE 22012"],
        ),
        with(
            format!(
                "CREATE TABLE public.allowed (name text PRIMARY KEY);
                INSERT INTO public.allowed SELECT 'User ' || n FROM generate_series(1, 99) AS n;
                CREATE FUNCTION public.allowed(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
                AS $$ BEGIN IF $1 = '{EVE}' THEN RAISE EXCEPTION 'no %', $1; END IF; RETURN true; END $$;
                {table} ADD CONSTRAINT asked CHECK (public.allowed(name))"
            ),
            &["SQLSTATE P0001", "function allowed"],
        ),
        // Rights that the application's own code lacks.
        with(
            raising("PERFORM 1 FROM public.secret;")
                + "CREATE TABLE public.secret (); REVOKE ALL ON public.secret FROM PUBLIC;",
            &["SQLSTATE 42501", "function check_user"],
        ),
        with(
            raising("INSERT INTO public.nowhere VALUES (NEW.email);"),
            &["SQLSTATE 42P01", "function check_user"],
        ),
        // Restrictive policies are the application's word, too.
        with(
            format!(
                "{table} ENABLE ROW LEVEL SECURITY;
                CREATE POLICY no_eve ON neon_identity.users_sync AS RESTRICTIVE
                WITH CHECK (name IS DISTINCT FROM '{EVE}')"
            ),
            &["SQLSTATE 42501", "a policy of row-level security"],
        ),
        // And without a word.
        with(raising("RETURN NULL;"), &["drops this user's row"]),
    ];
    // A RAISE may take any code, those that mean "try again" or "wrong password" among them.
    for (code, named) in [
        ("42501", "SQLSTATE 42501"),
        ("40001", "SQLSTATE 40001"),
        ("57014", "SQLSTATE 57014"),
        ("53300", "SQLSTATE 53300"),
        ("28P01", "SQLSTATE 28P01"),
        ("08006", "SQLSTATE 08006"),
        ("25006", "SQLSTATE 25006"),
        ("XX000", "SQLSTATE XX000"),
        ("3F000", "SQLSTATE 3F000"),
        ("NOEVE", "SQLSTATE NOEVE"),
    ] {
        let names: &'static [&'static str] = Box::leak(vec![named, "function check_user"].into());
        refusals.push(with(raised(code), names));
    }
    refusals
}

/// A stage whose functions write as the writer, and not as the owner.
async fn stage() -> Result<Stage> {
    Stage::on(Postgres::shared().await?, Setup::default()).await
}

async fn deliver(stage: &Stage, webhook: &Function) -> Result<Vec<u16>> {
    let mut statuses = Vec::new();
    for message in stage.simulator.take_messages() {
        if message.kind.starts_with("user.") {
            let letter = Letter::new(&stage.signing_secret(), &event_id(), &message.body);
            statuses.push(send(&client()?, webhook.url(), &letter).await?);
        }
    }
    Ok(statuses)
}

#[tokio::test]
async fn one_refused_user_is_kept_in_rejections_and_the_others_are_stored() -> Result<()> {
    for (number, refusal) in refusals().into_iter().enumerate() {
        let stage = stage().await?;
        stage
            .execute(&refusal.sql)
            .await
            .context(refusal.sql.clone())?;
        stage.simulator.seed(40);
        let eve = stage.simulator.create(EVE, "eve@example.com")?;
        stage.simulator.take_messages();
        let reconcile = stage.start("reconcile").await?;
        let report = reconcile
            .invoke(json!({}))
            .await
            .with_context(|| refusal.sql.clone())?;
        assert_eq!(
            (&report["outcome"], &report["created"], &report["rejected"]),
            (&json!("complete"), &json!(40), &json!(1)),
            "{number} {}: {report}",
            refusal.sql
        );
        assert!(stage.row(&eve).await?.is_none());
        let kept = stage.rejections().await?;
        assert_eq!(kept.len(), 1, "{kept:?}");
        assert_eq!(kept[0]["user_id"], json!(eve));
        let reason = kept[0]["reason"].as_str().unwrap_or_default();
        for name in refusal.names {
            assert!(reason.contains(name), "{number}: {reason} lacks {name}");
        }
        for leak in ["eve@", EVE] {
            assert!(!reason.contains(leak), "{reason}");
            assert!(!reconcile.logs()?.contains(leak), "{}", reconcile.logs()?);
        }

        // A delivery is refused alone, too, and answered for good.
        let webhook = stage.start("webhook").await?;
        stage.simulator.rename(&eve, "Eva")?;
        stage.simulator.rename(&eve, EVE)?;
        let statuses = deliver(&stage, &webhook).await?;
        assert_eq!(
            statuses,
            [400, 400],
            "{number} {}: {}",
            refusal.sql,
            webhook.logs()?
        );
        assert!(!webhook.logs()?.contains("eve@"));
        let ada = stage.simulator.create("Ada", "ada@example.com")?;
        assert_eq!(deliver(&stage, &webhook).await?, [200]);
        assert_eq!(stage.the_row(&ada).await?.name.as_deref(), Some("Ada"));
    }
    Ok(())
}

#[tokio::test]
async fn a_constraint_between_users_is_named() -> Result<()> {
    let stage = stage().await?;
    stage
        .execute("ALTER TABLE neon_identity.users_sync ADD UNIQUE (email)")
        .await?;
    let one = stage.simulator.create("Ada", "same@example.com")?;
    let other = stage.simulator.create("Bob", "same@example.com")?;
    stage.simulator.seed(39);
    let report = stage.reconcile().await?.invoke(json!({})).await?;
    assert_eq!(
        (&report["outcome"], &report["created"], &report["rejected"]),
        (&json!("complete"), &json!(40), &json!(1)),
        "{report}"
    );
    let stored = [
        stage.row(&one).await?.is_some(),
        stage.row(&other).await?.is_some(),
    ];
    assert_eq!(stored.iter().filter(|stored| **stored).count(), 1);
    let kept = stage.rejections().await?;
    let reason = kept[0]["reason"].as_str().context("a reason")?;
    assert!(
        reason.contains("SQLSTATE 23505, constraint users_sync_email_key"),
        "{reason}"
    );
    Ok(())
}

#[tokio::test]
async fn a_table_that_takes_nobody_fails_the_run_with_the_reason() -> Result<()> {
    let all = [
        (trigger("RAISE EXCEPTION 'closed';"), "function check_user"),
        (trigger("RETURN NULL;"), "drops this user's row"),
        (
            "ALTER TABLE neon_identity.users_sync ADD tenant text NOT NULL".to_owned(),
            "column tenant",
        ),
        (
            "ALTER TABLE neon_identity.users_sync DROP COLUMN name;
            ALTER TABLE neon_identity.users_sync ADD name text GENERATED ALWAYS AS ('x') STORED"
                .to_owned(),
            "SQLSTATE 428C9",
        ),
    ];
    for (sql, words) in all {
        let stage = stage().await?;
        stage.execute(&sql).await?;
        stage.simulator.seed(12);
        let failed = stage
            .start("reconcile")
            .await?
            .invoke(json!({}))
            .await
            .err();
        let failed = failed.context("it took somebody")?;
        assert_eq!(failed.error_type, "Failed");
        assert!(failed.error_message.contains(words), "{failed}");
        let runs = stage.runs().await?;
        assert_eq!(runs[0]["outcome"], "failed");
        assert!(stage.table().await?.is_empty());
    }
    Ok(())
}

#[tokio::test]
async fn a_table_that_takes_nobody_of_many_is_given_up_soon() -> Result<()> {
    let stage = stage().await?;
    stage.execute(&trigger("RAISE EXCEPTION 'closed';")).await?;
    stage.simulator.seed(3_000);
    let failed = stage.reconcile().await?.invoke(json!({})).await.err();
    let failed = failed.context("it took somebody")?;
    assert!(
        failed.error_message.contains("function check_user"),
        "{failed}"
    );
    let kept = stage.rejections().await?.len();
    assert!((500..1_500).contains(&kept), "{kept}");
    Ok(())
}

#[tokio::test]
async fn a_deletion_that_the_table_refuses_stops_no_other() -> Result<()> {
    for (body, words) in [
        ("RAISE EXCEPTION 'no %', NEW.email;", "function check_user"),
        ("RETURN NULL;", "drops this user's row"),
    ] {
        let stage = stage().await?;
        stage.simulator.seed(30);
        let eve = stage.simulator.create(EVE, "eve@example.com")?;
        let bob = stage.simulator.create("Bob", "bob@example.com")?;
        let reconcile = stage.start("reconcile").await?;
        reconcile.invoke(json!({})).await?;
        stage
            .execute(&trigger(&format!(
                "IF NEW.name = '{EVE}' AND NEW.deleted_at IS NOT NULL THEN {body} END IF;"
            )))
            .await?;
        stage.simulator.delete(&eve)?;
        stage.simulator.delete(&bob)?;
        let messages: Vec<_> = stage.simulator.take_messages().into_iter().collect();
        let report = reconcile.invoke(json!({})).await?;
        assert_eq!(
            (&report["outcome"], &report["deleted"], &report["rejected"]),
            (&json!("complete"), &json!(1), &json!(1)),
            "{body}: {report}"
        );
        assert!(stage.the_row(&eve).await?.lives());
        assert!(!stage.the_row(&bob).await?.lives());
        let kept = stage.rejections().await?;
        let reason = kept[0]["reason"].as_str().context("a reason")?;
        assert!(reason.contains(words), "{reason}");

        let webhook = stage.start("webhook").await?;
        for message in messages {
            if message.kind == "user.deleted" {
                let letter = Letter::new(&stage.signing_secret(), &event_id(), &message.body);
                let status = send(&client()?, webhook.url(), &letter).await?;
                let of_eve = String::from_utf8_lossy(&message.body).contains(&eve);
                assert_eq!(
                    status,
                    if of_eve { 400 } else { 200 },
                    "{}",
                    webhook.logs()?
                );
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_trigger_that_changes_the_row_has_its_way() -> Result<()> {
    let stage = stage().await?;
    stage
        .execute(&trigger("NEW.email := lower(NEW.email);"))
        .await?;
    let ada = stage.simulator.create("Ada", "Ada@Example.com")?;
    let webhook = stage.webhook().await?;
    assert_eq!(deliver(&stage, &webhook).await?, [200]);
    let reconcile = stage.reconcile().await?;
    for _ in 0..2 {
        let report = reconcile.invoke(json!({})).await?;
        assert_eq!(report["outcome"], "complete", "{report}");
    }
    let row = stage.the_row(&ada).await?;
    assert_eq!(row.email.as_deref(), Some("ada@example.com"));
    assert!(stage.rejections().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn missing_rights_stay_a_matter_for_provision() -> Result<()> {
    let stage = stage().await?;
    let webhook = stage.webhook().await?;
    let reconcile = stage.reconcile().await?;
    stage.simulator.create("Ada", "ada@example.com")?;
    stage
        .execute("REVOKE INSERT ON neon_identity.users_sync FROM neon_identity_writer")
        .await?;
    assert_eq!(deliver(&stage, &webhook).await?, [503]);
    let failed = reconcile.invoke(json!({})).await.err().context("it ran")?;
    assert!(failed.error_message.contains("run provision"), "{failed}");
    assert!(stage.rejections().await?.is_empty());
    Ok(())
}
