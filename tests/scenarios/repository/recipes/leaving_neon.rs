//! docs/moving-from-neon.md

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::postgres::{Options, Postgres};

use super::{Page, psql};
use crate::functions::provision::adopt::{GENERATED, KEY_AND_INDEX};
use crate::site::Site;

/// Seen from the folder of the recipes.
const PAGE: &str = "../moving-from-neon.md";

/// The statement by which Neon's sync writes a user.
const NEON_WRITES: &str = "INSERT INTO neon_auth.users_sync (raw_json, updated_at)
    VALUES ($profile$PROFILE$profile$, now())
    ON CONFLICT (id) DO UPDATE SET raw_json = excluded.raw_json, updated_at = excluded.updated_at";

struct Ground {
    server: Postgres,
    site: Site,
    page: Page,
}

impl Ground {
    /// A site whose users Neon knows, in a table that hangs on.
    async fn new() -> Result<Self> {
        let server = Postgres::start(Options::default()).await?;
        let ground = Self {
            site: Site::on(&server).await?,
            page: Page::read(PAGE)?,
            server,
        };
        ground.owner(&format!(
            "CREATE SCHEMA neon_auth; CREATE TABLE neon_auth.users_sync ({GENERATED});
            {KEY_AND_INDEX};
            CREATE TABLE public.todos (user_id text REFERENCES neon_auth.users_sync (id))"
        ))?;
        Ok(ground)
    }

    fn owner(&self, sql: &str) -> Result<String> {
        psql(&self.server, self.site.database.owner_url(), sql)
    }

    /// Runs the page's next block below this heading.
    fn step(&mut self, heading: &str) -> Result<String> {
        let sql = self.page.take(heading)?;
        self.owner(&sql).with_context(|| sql.clone())
    }

    fn neon_writes(&self, id: &str) -> Result<()> {
        let user = self.site.simulator.user(id).context("no such user")?;
        self.owner(&NEON_WRITES.replace("PROFILE", &user.profile))?;
        Ok(())
    }

    async fn run(&self, event: Value) -> Result<Value> {
        let reconcile = self.site.start("reconcile", "neon_auth").await?;
        let report = reconcile.invoke(event).await?;
        assert_eq!(report["outcome"], "complete", "{report}");
        Ok(report)
    }

    /// Whatever stands in the schema, and who may do what.
    fn schema(&self) -> Result<String> {
        self.owner(
            "SELECT relname, relkind FROM pg_class
            WHERE relnamespace = 'neon_auth'::regnamespace ORDER BY relname;
            SELECT relacl FROM pg_class WHERE oid = 'neon_auth.users_sync'::regclass
              AND relacl::text ~ 'neon_auth';
            SELECT polname FROM pg_policy;
            SELECT rolname FROM pg_roles WHERE rolname ~ '^neon_auth'",
        )
    }
}

#[tokio::test]
async fn neons_table_is_left_and_come_back_to() -> Result<()> {
    let mut ground = Ground::new().await?;
    let people = ["Ada", "Bob", "Cyd"].map(|name| {
        let email = format!("{}@example.com", name.to_lowercase());
        ground.site.simulator.create(name, &email)
    });
    let [ada, bob, cyd] = people;
    let (ada, bob, cyd) = (ada?, bob?, cyd?);
    for id in [&ada, &bob] {
        ground.neon_writes(id)?;
    }
    ground.owner("INSERT INTO public.todos SELECT id FROM neon_auth.users_sync")?;
    ground.site.simulator.rename(&ada, "Ada L.")?;
    ground.site.simulator.delete(&bob)?;
    let before = ground.schema()?;

    let columns = ground.step("2. See that the table is Neon's")?;
    assert_eq!(columns.lines().count(), 7, "{columns}");
    assert!(
        columns.contains("id text NO (raw_json ->> 'id'::text)"),
        "{columns}"
    );
    ground.step("2. See that the table is Neon's")?;
    assert_eq!(ground.step("2. See that the table is Neon's")?, "");
    let owner = ground.step("2. See that the table is Neon's")?;
    let own = crate::site::login(ground.site.database.owner_url());
    assert_eq!(owner, own);
    ground.step("3. Keep what it says now")?;

    let provision = ground.site.start("provision", "neon_auth").await?;
    provision.invoke(json!({"adopt": true})).await?;
    let refused = ground
        .neon_writes(&cyd)
        .err()
        .context("Neon still writes")?;
    assert!(refused.to_string().contains("23502"), "{refused}");

    let would = ground.run(json!({"dry_run": true})).await?;
    let did = ground.run(json!({})).await?;
    for report in [would, did] {
        let figures = ["created", "updated", "deleted"].map(|name| report[name].clone());
        assert_eq!(figures, [json!(1), json!(1), json!(1)], "{report}");
    }
    // new, lost, deleted, renamed, other_address
    assert_eq!(ground.step("7. The first run")?, "1 0 1 1 0");
    ground.step("8. Let go of Neon's sync")?;

    // The way back: Neon's sync finds the table as it was.
    ground.step("The way back")?;
    assert_eq!(ground.schema()?, before);
    ground.site.simulator.rename(&ada, "Ada again")?;
    let dan = ground.site.simulator.create("Dan", "dan@example.com")?;
    for id in [&ada, &cyd, &dan] {
        ground.neon_writes(id)?;
    }
    let living = "SELECT name, email, (raw_json ->> 'signed_up_at_millis')::bigint
          = extract(epoch FROM created_at) * 1000
        FROM neon_auth.users_sync WHERE deleted_at IS NULL ORDER BY name";
    assert_eq!(
        ground.owner(living)?,
        "Ada again ada@example.com t\nCyd cyd@example.com t\nDan dan@example.com t"
    );
    assert_eq!(ground.owner("SELECT count(*) FROM public.todos")?, "2");

    // And forth again.
    let provision = ground.site.start("provision", "neon_auth").await?;
    provision.invoke(json!({"adopt": true})).await?;
    ground.run(json!({})).await?;
    let again = ground.run(json!({})).await?;
    assert_eq!(
        (&again["unchanged"], &again["updated"]),
        (&json!(3), &json!(0))
    );
    ground.page.finish()
}
