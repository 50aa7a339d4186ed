//! docs/recipes/moving-from-your-own-table.md

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::for_each_provider;
use tests::function::Function;
use tests::postgres::Postgres;
use tests::simulator::SignUp;
use tests::stage::{Setup, Stage};

use super::{Page, login, psql, site};
use crate::site::Site;

pub(super) const PAGE: &str = "moving-from-your-own-table.md";

/// The id that the page's new code names: of a user whose profile has not arrived.
const LATE: &str = "3241a285-8329-4d69-8f3d-316e08cf140c";

/// The old code's query.
const OLD: &str = "SELECT task, users.name FROM public.todos
    JOIN public.users ON users.id = user_id ORDER BY todos.id";

/// An application with a table of users of its own, and users at the provider that are in
/// `users_sync` already.
struct Ground {
    server: Postgres,
    site: Site,
    webhook: Function,
    reconcile: Function,
    page: Page,
    application: String,
    ids: Vec<String>,
}

impl Ground {
    async fn new() -> Result<Self> {
        let (server, site) = site().await?;
        // The address has another case there; Bob's is not verified; Cyd has two accounts.
        let ids = [
            ("Ada", "Ada@Example.com", true),
            ("Bob", "bob@example.com", false),
            ("Cyd", "cyd@example.com", true),
            ("Cyd again", "CYD@example.com", true),
            ("Dan", "dan@example.com", true),
        ]
        .map(|(name, email, verified)| {
            let id = site.simulator.create(name, email)?;
            if verified {
                site.simulator.verify_email(&id)?;
            }
            Ok(id)
        });
        let webhook = site.start("webhook", "neon_identity").await?;
        let mut ground = Self {
            reconcile: site.start("reconcile", "neon_identity").await?,
            application: login(&site.database, "my_app").await?,
            ids: ids.into_iter().collect::<Result<_>>()?,
            page: Page::read(PAGE)?,
            webhook,
            server,
            site,
        };
        ground.run().await?;
        let tables = ground.page.take("Moving from a users table of your own")?;
        ground.owner(&tables)?;
        ground.owner(
            "GRANT SELECT, INSERT, UPDATE, DELETE ON public.users, public.todos TO my_app",
        )?;
        ground.app(
            "INSERT INTO public.users (name, email) VALUES
              ('Ada', 'ada@example.com'), ('Bob', 'bob@example.com'), ('Cyd', 'cyd@example.com'),
              ('Dan', 'dan@example.com'), ('Old Dan', 'DAN@example.com'), ('Eve', 'eve@example.com');
            INSERT INTO public.todos (user_id, task)
            SELECT id, 'of ' || name FROM public.users ORDER BY id",
        )?;
        Ok(ground)
    }

    async fn run(&self) -> Result<()> {
        let report = self.reconcile.invoke(json!({})).await;
        let report = report.with_context(|| self.reconcile.logs().unwrap_or_default())?;
        ensure!(report["outcome"] == "complete", "{report}");
        Ok(())
    }

    fn owner(&self, sql: &str) -> Result<String> {
        psql(&self.server, self.site.database.owner_url(), sql)
    }

    fn app(&self, sql: &str) -> Result<String> {
        psql(&self.server, &self.application, sql)
    }

    /// Runs the page's next block below this heading, as the owner.
    fn step(&mut self, heading: &str) -> Result<String> {
        let sql = self.page.take(heading)?;
        self.owner(&sql)
    }

    /// Steps 1 and 2: from here on old and new code run side by side.
    async fn prepare(&mut self) -> Result<()> {
        let step = "1. Say who is who";
        self.step(step)?;
        self.step(step)?;
        let matched = "SELECT name, provider_id FROM public.users
            WHERE provider_id IS NOT NULL ORDER BY id";
        // Only users with one verified address, and nobody else.
        assert_eq!(self.owner(matched)?, format!("Ada {}", self.ids[0]));
        let left = self.step(step)?;
        assert_eq!(
            left,
            "2 bob@example.com 1\n3 cyd@example.com 1\n4 dan@example.com 1\n\
            5 DAN@example.com 1\n6 eve@example.com 1"
        );
        // By hand, and then those who have no account.
        self.owner(&format!(
            "UPDATE public.users SET provider_id = '{}' WHERE id = 4",
            self.ids[4]
        ))?;
        self.step(step)?;

        let step = "2. A second column beside the first";
        assert_eq!(self.step(step)?, "6");
        self.step(step)?;
        // The old code goes on meanwhile.
        self.app("INSERT INTO public.todos (user_id, task) VALUES (1, 'meanwhile')")?;
        let fill = self.page.take(step)?;
        self.owner(&fill)?;
        self.owner(&fill)?;
        self.step(step)?;
        assert_eq!(self.step(step)?, "0");
        self.run().await?;
        let former =
            "SELECT known.id, known.deleted_at IS NOT NULL FROM neon_identity.users_sync AS known
            WHERE known.id LIKE 'former-%' ORDER BY known.id";
        assert_eq!(
            self.owner(former)?,
            "former-2 t\nformer-3 t\nformer-5 t\nformer-6 t"
        );
        Ok(())
    }

    /// Step 3, with the old code beside it.
    async fn both(&mut self) -> Result<()> {
        let step = "3. The new code";
        let insert = self.page.take(step)?;
        let ask = self.page.take(step)?;
        self.app(&insert)?;
        // The old code and the new one each write and move a todo.
        self.app(&format!(
            "INSERT INTO public.todos (user_id, task) VALUES (4, 'by the old code');
            UPDATE public.todos SET user_id = 4 WHERE task = 'of Bob';
            UPDATE public.todos SET users_sync_id = '{}' WHERE task = 'of Eve';
            UPDATE public.todos SET task = 'renamed' WHERE task = 'of Cyd'",
            self.ids[0]
        ))?;
        let old = "of Ada Ada\nof Bob Dan\nrenamed Cyd\nof Dan Dan\nof Old Dan Old Dan\nof Eve Ada\n\
            meanwhile Ada\nWrite the README \nby the old code Dan";
        assert_eq!(self.app(OLD)?, old);
        let new = "of Ada Ada ada@example.com f\nof Bob Dan dan@example.com f\nrenamed   t\n\
            of Dan Dan dan@example.com f\nof Old Dan   t\nof Eve Ada ada@example.com f\n\
            meanwhile Ada ada@example.com f\nWrite the README   f\n\
            by the old code Dan dan@example.com f";
        assert_eq!(self.app(&ask)?, new);

        self.site.simulator.take_messages();
        self.site.simulator.sign_up(SignUp {
            id: Some(LATE.to_owned()),
            name: Some("Late".to_owned()),
            email: Some("late@example.com".to_owned()),
            ..SignUp::default()
        })?;
        assert_eq!(self.site.deliver(&self.webhook).await?, [200]);
        assert!(
            self.app(&ask)?
                .contains("Write the README Late late@example.com f")
        );
        // A deleted user's rows stay, and say so.
        self.site.simulator.delete(&self.ids[4])?;
        assert_eq!(self.site.deliver(&self.webhook).await?, [200]);
        assert!(self.app(&ask)?.contains("of Dan Dan dan@example.com t"));
        Ok(())
    }
}

#[tokio::test]
async fn an_own_table_is_left_step_by_step_while_old_and_new_code_run() -> Result<()> {
    let mut ground = Ground::new().await?;
    ground.prepare().await?;
    ground.both().await?;
    let step = "4. Leaving the old table";
    ground.step(step)?;
    let kept = "SELECT todos.task, users.name FROM public.todos
        JOIN public.users ON provider_id = users_sync_id WHERE task IN ('renamed', 'of Ada') ORDER BY task";
    let before = ground.app(kept)?;
    ground.step(step)?;
    assert_eq!(ground.app(kept)?, before);
    assert_eq!(before, "of Ada Ada\nrenamed Cyd");
    ground.run().await?;
    ground.step(step)?;
    assert_eq!(ground.app("SELECT count(*) FROM public.todos")?, "9");
    // The test of the way back runs these.
    for _ in 0..2 {
        ground.page.take("The way back")?;
    }
    ground.page.finish()
}

#[tokio::test]
async fn the_way_back_to_an_own_table_loses_nothing() -> Result<()> {
    let mut ground = Ground::new().await?;
    ground.prepare().await?;
    ground.both().await?;
    let step = "The way back";
    ground.step(step)?;
    ground.step(step)?;
    let old = "of Ada Ada\nof Bob Dan\nrenamed Cyd\nof Dan Dan\nof Old Dan Old Dan\nof Eve Ada\n\
        meanwhile Ada\nWrite the README Late\nby the old code Dan";
    assert_eq!(ground.app(OLD)?, old);
    let columns = "SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute
        WHERE attrelid = 'public.todos'::regclass AND attnum > 0 AND NOT attisdropped";
    assert_eq!(ground.owner(columns)?, "id user_id task");
    ground.app("INSERT INTO public.users (name, email) VALUES ('Fay', 'fay@example.com')")?;
    // As it was: the foreign key cascades again.
    ground.app("DELETE FROM public.users WHERE name = 'Late'")?;
    assert!(!ground.app(OLD)?.contains("README"));
    Ok(())
}

// Each has its own way to say that an address is verified.
for_each_provider! { only_a_verified_address_says_who_is_who }

async fn only_a_verified_address_says_who_is_who(setup: Setup) -> Result<()> {
    let server = Postgres::shared().await?;
    let stage = Stage::on(server, setup).await?;
    let simulator = &stage.simulator;
    let ada = simulator.create("Ada", "ada@example.com")?;
    let bob = simulator.create("Bob", "bob@example.com")?;
    simulator.verify_email(&ada)?;
    // At Clerk users that sign up have verified their address, and imported ones need not have.
    let bobs = simulator.truth().find(|user| user.id == bob);
    let profile = bobs.context("no Bob")?.profile;
    let unverified = profile.replace(r#""status":"verified""#, r#""status":"unverified""#);
    if unverified != *profile {
        simulator.show_profile(&bob, &unverified)?;
    }
    let reconcile = stage.reconcile().await?;
    reconcile.invoke(json!({})).await?;

    let owner = |sql: &str| psql(server, stage.database.admin_url(), sql);
    let mut page = Page::read(PAGE)?;
    owner(&page.take("Moving from a users table of your own")?)?;
    owner(
        "INSERT INTO public.users (name, email) VALUES
        ('Ada', 'ada@example.com'), ('Bob', 'bob@example.com'), ('Cyd', 'cyd@example.com')",
    )?;
    let step = "1. Say who is who";
    owner(&page.take(step)?.replace("my_app", "CURRENT_USER"))?;
    owner(&page.take(step)?)?;
    let matched = "SELECT name, provider_id FROM public.users WHERE provider_id IS NOT NULL";
    assert_eq!(owner(matched)?, format!("Ada {ada}"));
    page.take(step)?;
    // Every provider says of an id that is none of its own that there is no such user.
    owner(&page.take(step)?)?;
    owner(&page.take("2. A second column beside the first")?)?;
    let report = reconcile.invoke(json!({})).await;
    let report = report.with_context(|| reconcile.logs().unwrap_or_default())?;
    assert_eq!(
        (&report["outcome"], &report["rejected"]),
        (&json!("complete"), &json!(0))
    );
    let former = "SELECT id, deleted_at IS NOT NULL FROM neon_identity.users_sync
        WHERE id LIKE 'former-%' ORDER BY id";
    assert_eq!(owner(former)?, "former-2 t\nformer-3 t");
    Ok(())
}
