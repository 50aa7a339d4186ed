//! docs/recipes/row-level-security.md

use anyhow::{Context, Result};
use serde_json::json;
use tests::function::Function;
use tests::postgres::Postgres;
use tests::simulator::SignUp;

use super::{Page, login, psql, site};
use crate::site::Site;

pub(super) const PAGE: &str = "row-level-security.md";

const NEON: &str = "Neon: auth.user_id()";
const SUPABASE: &str = "Supabase: auth.uid()";

/// The id that the page names.
const ADA: &str = "3241a285-8329-4d69-8f3d-316e08cf140c";
/// The id of the page's user whose profile has not arrived.
const LATE: &str = "7d3c9a52-1f0e-4d7b-9a55-0c1f4ad3b6e1";

/// A schema with users in it, kept by functions that log in as a user of their own.
struct Ground {
    server: Postgres,
    site: Site,
    webhook: Function,
    reconcile: Function,
    page: Page,
    bob: String,
}

impl Ground {
    async fn new() -> Result<Self> {
        let (server, site) = site().await?;
        let webhook = site.start("webhook", "neon_identity").await?;
        let ground = Self {
            reconcile: site.start("reconcile", "neon_identity").await?,
            bob: site.simulator.create("Bob", "bob@example.com")?,
            page: Page::read(PAGE)?,
            webhook,
            server,
            site,
        };
        ground.sign_up(ADA, "Ada")?;
        assert_eq!(ground.site.deliver(&ground.webhook).await?, [200, 200]);
        Ok(ground)
    }

    fn sign_up(&self, id: &str, name: &str) -> Result<()> {
        self.site.simulator.sign_up(SignUp {
            id: Some(id.to_owned()),
            name: Some(name.to_owned()),
            email: Some(format!("{}@example.com", name.to_lowercase())),
            ..SignUp::default()
        })?;
        Ok(())
    }

    fn run(&self, url: &str, sql: &str) -> Result<String> {
        psql(&self.server, url, sql)
    }

    fn owner(&self, sql: &str) -> Result<String> {
        self.run(self.site.database.owner_url(), sql)
    }

    /// The SQLSTATE with which psql refuses.
    fn refusal(&self, url: &str, sql: &str) -> Result<String> {
        let error = self.run(url, sql).err();
        let error = error.with_context(|| format!("it may: {sql}"))?.to_string();
        let (_, code) = error.split_once("ERROR:  ").context("no error")?;
        Ok(code.chars().take(5).collect())
    }

    /// Every kind of write that the sync makes, by deliveries and by runs; the table is then as
    /// the provider is, and everything that `provision` does can be done again.
    async fn the_sync_goes_on(&self) -> Result<()> {
        let simulator = &self.site.simulator;
        let deliver = async |count: usize| -> Result<()> {
            assert_eq!(self.site.deliver(&self.webhook).await?, vec![200; count]);
            Ok(())
        };
        let cyd = simulator.create("Cyd", "cyd@example.com")?;
        deliver(1).await?;
        simulator.rename(&cyd, "Cydney")?;
        deliver(1).await?;
        simulator.delete(&cyd)?;
        deliver(1).await?;
        assert_eq!(
            self.site
                .deliver_body(&self.webhook, br#"{"type":"user.created"}"#)
                .await?,
            400
        );

        simulator.seed(3);
        let [dan, eve] = ["Dan", "Eve"].map(|name| simulator.create(name, "x@example.com"));
        let (dan, eve) = (dan?, eve?);
        deliver(2).await?;
        simulator.rename(&dan, "Daniel")?;
        simulator.delete(&eve)?;
        simulator.take_messages();
        self.owner(&format!(
            "UPDATE neon_identity.users_sync SET deleted_at = now() - interval '1 day' WHERE id = '{}'",
            self.bob
        ))?;
        let report = self.reconcile.invoke(json!({})).await;
        let report = report.with_context(|| self.reconcile.logs().unwrap_or_default())?;
        let figures = [
            "outcome", "created", "updated", "deleted", "revived", "rejected",
        ];
        assert_eq!(
            figures.map(|name| report[name].clone()),
            [
                json!("complete"),
                json!(3),
                json!(1),
                json!(1),
                json!(1),
                json!(0)
            ],
            "{report}"
        );
        let again = self.reconcile.invoke(json!({})).await?;
        assert_eq!(again["unchanged"], again["listed"], "{again}");
        assert_eq!(again["listed"], 6, "{again}");
        let living = "SELECT count(*) FROM neon_identity.users_sync WHERE deleted_at IS NULL";
        assert_eq!(self.owner(living)?, "6");

        let policies = "SELECT policyname, cmd, roles, qual, with_check FROM pg_policies ORDER BY policyname, tablename";
        let before = self.owner(policies)?;
        let answer = self.site.provision().await?;
        assert_eq!(answer["applied"], json!([]));
        assert_eq!(self.owner(policies)?, before);
        Ok(())
    }
}

#[tokio::test]
async fn a_user_sees_their_own_row_by_a_setting_and_the_sync_goes_on() -> Result<()> {
    let mut ground = Ground::new().await?;
    let application = login(&ground.site.database, "my_app").await?;
    let back_office = login(&ground.site.database, "my_back_office").await?;
    let table = "SELECT id, name, email FROM neon_identity.users_sync";
    let count = "SELECT count(*) FROM neon_identity.users_sync";
    let ada = format!("{ADA}\n{ADA} Ada ada@example.com");

    let policy = ground.page.take("A setting")?;
    ground.owner(&policy)?;
    let ask = ground.page.take("A setting")?;
    // In one session, as a pooler's client finds it: nothing is left of the transaction.
    assert_eq!(
        ground.run(&application, &format!("{ask}{count};"))?,
        format!("{ada}\n0")
    );
    assert_eq!(ground.run(&application, table)?, "");
    let of_bob = ask.replace(ADA, &ground.bob);
    let bob = format!("{0}\n{0} Bob bob@example.com", ground.bob);
    assert_eq!(ground.run(&application, &of_bob)?, bob);
    for nobody in ["", "' OR ''='", "nobody"] {
        let nobody = ask.replace(ADA, &nobody.replace('\'', "''"));
        assert!(!ground.run(&application, &nobody)?.contains("example.com"));
    }
    let write = "UPDATE neon_identity.users_sync SET name = 'x'";
    assert_eq!(ground.refusal(&application, write)?, "42501");

    let todos = ground.page.take("A setting")?;
    ground.owner(&todos)?;
    let early = ground.page.take("A setting")?;
    ground.run(&application, &early)?;
    let tasks = "SELECT user_id, task FROM public.todos";
    assert_eq!(ground.run(&application, tasks)?, "");
    let seen = ask.replace(
        "SELECT id, name, email FROM neon_identity.users_sync",
        tasks,
    );
    assert_eq!(ground.run(&application, &seen)?, ADA);
    assert_eq!(
        ground.run(&application, &seen.replace(ADA, LATE))?,
        format!("{LATE}\n{LATE} Say hello")
    );
    let for_another = early.replacen(LATE, ADA, 1);
    assert_eq!(ground.refusal(&application, &for_another)?, "42501");
    ground.sign_up(LATE, "Late")?;
    assert_eq!(ground.site.deliver(&ground.webhook).await?, [200]);
    assert!(
        ground
            .run(&application, &ask.replace(ADA, LATE))?
            .ends_with("Late late@example.com")
    );
    ground.site.simulator.delete(LATE)?;
    assert_eq!(ground.site.deliver(&ground.webhook).await?, [200]);
    // Whose token outlives them sees nothing.
    assert_eq!(ground.run(&application, &ask.replace(ADA, LATE))?, LATE);

    ground.owner("GRANT neon_identity_reader TO my_back_office")?;
    assert_eq!(ground.run(&back_office, count)?, "0");
    let everybody = ground.page.take("Who sees everybody")?;
    ground.owner(&everybody)?;
    assert_eq!(ground.run(&back_office, count)?, "3");
    assert_eq!(ground.owner(count)?, "3");
    assert_eq!(ground.run(&application, &ask)?, ada);

    let force = "ALTER TABLE neon_identity.users_sync FORCE ROW LEVEL SECURITY";
    ground.owner(force)?;
    assert_eq!(ground.owner(count)?, "0");
    ground.owner(&force.replace("FORCE", "NO FORCE"))?;

    ground.the_sync_goes_on().await?;
    let policies = ground.page.take("Who sees what")?;
    assert!(
        ground
            .owner(&policies)?
            .contains("see_oneself {my_app} SELECT")
    );
    assert_eq!(ground.run(&application, &ask)?, ada);
    assert_eq!(ground.run(&application, table)?, "");
    let back = ground.page.take("The way back")?;
    ground.owner(&back)?;
    assert_eq!(ground.run(&application, count)?, ground.owner(count)?);
    // The tests of tokens run these.
    for heading in [NEON, SUPABASE] {
        ground.page.take(heading)?;
    }
    ground.page.finish()
}

#[tokio::test]
async fn a_view_shows_everybody_unless_it_asks_as_its_reader() -> Result<()> {
    let mut ground = Ground::new().await?;
    let application = login(&ground.site.database, "my_app").await?;
    let policy = ground.page.take("A setting")?;
    ground.owner(&policy)?;
    let ask = ground.page.take("A setting")?;
    ground.owner(
        "CREATE VIEW public.seen AS SELECT id, name, email FROM neon_identity.users_sync;
        GRANT SELECT ON public.seen TO my_app",
    )?;
    let through = ask.replace("neon_identity.users_sync", "public.seen");
    assert!(
        ground
            .run(&application, &through)?
            .contains("bob@example.com")
    );
    ground.owner("ALTER VIEW public.seen SET (security_invoker = true)")?;
    assert_eq!(
        ground.run(&application, &through)?,
        ground.run(&application, &ask)?
    );
    Ok(())
}

/// The part of Neon's and Supabase's databases that the page uses: the role of a client with a
/// token, and a function that tells the token's user.
fn tokens(returns: &str, function: &str) -> String {
    format!(
        "CREATE ROLE authenticated LOGIN PASSWORD 'authenticated';
        CREATE SCHEMA auth;
        GRANT USAGE ON SCHEMA auth TO PUBLIC;
        CREATE FUNCTION auth.{function}() RETURNS {returns} LANGUAGE sql STABLE AS $$
          SELECT (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::{returns}
        $$"
    )
}

async fn by_token(heading: &str, returns: &str, function: &str) -> Result<()> {
    let mut ground = Ground::new().await?;
    ground.site.run(&tokens(returns, function)).await?;
    let policy = ground.page.take(heading)?;
    ground.owner(&policy)?;
    let (_, address) = ground
        .site
        .database
        .url()
        .split_once('@')
        .context("a URL")?;
    let browser = format!("postgres://authenticated:authenticated@{address}");
    let ask = |id: &str, columns: &str| {
        format!(
            "BEGIN;
            SET LOCAL request.jwt.claims = '{{\"sub\": \"{id}\"}}';
            SELECT {columns} FROM neon_identity.users_sync;
            COMMIT;"
        )
    };
    assert_eq!(
        ground.run(&browser, &ask(ADA, "name, email"))?,
        "Ada ada@example.com"
    );
    assert_eq!(ground.run(&browser, &ask(&ground.bob, "name"))?, "Bob");
    assert_eq!(ground.run(&browser, &ask(LATE, "name"))?, "");
    assert_eq!(
        ground.run(&browser, "SELECT name FROM neon_identity.users_sync")?,
        ""
    );
    assert_eq!(ground.refusal(&browser, &ask(ADA, "raw_json"))?, "42501");
    let placeholder = format!("SELECT neon_identity.ensure_user('{LATE}')");
    assert_eq!(ground.refusal(&browser, &placeholder)?, "42501");
    ground.the_sync_goes_on().await?;
    assert_eq!(ground.run(&browser, &ask(ADA, "name"))?, "Ada");
    let back = ground.page.take("The way back")?;
    ground.owner(&back)?;
    let off =
        "SELECT relrowsecurity FROM pg_class WHERE oid = 'neon_identity.users_sync'::regclass";
    assert_eq!(ground.owner(off)?, "f");
    Ok(())
}

#[tokio::test]
async fn a_user_sees_their_own_row_by_a_token_of_neon() -> Result<()> {
    by_token(NEON, "text", "user_id").await
}

#[tokio::test]
async fn a_user_sees_their_own_row_by_a_token_of_supabase() -> Result<()> {
    by_token(SUPABASE, "uuid", "uid").await
}
