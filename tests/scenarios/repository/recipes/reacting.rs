//! docs/recipes/reacting-to-changes.md

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::for_each_provider;
use tests::postgres::Postgres;
use tests::simulator::{Message, SignUp};
use tests::stage::{Setup, Stage};

use super::{Page, psql};

pub(super) const PAGE: &str = "reacting-to-changes.md";

/// The id that the page names.
const ID: &str = "3241a285-8329-4d69-8f3d-316e08cf140c";

/// A provider whose first users are in the table, and then the page's trigger.
struct Outbox {
    server: &'static Postgres,
    stage: Stage,
    page: Page,
}

impl Outbox {
    async fn of(setup: Setup) -> Result<Self> {
        let server = Postgres::shared().await?;
        let mut outbox = Self {
            server,
            stage: Stage::at_work(setup).await?,
            page: Page::read(PAGE)?,
        };
        outbox.stage.simulator.seed(5);
        assert_eq!(outbox.run().await?["created"], 5);
        let table = outbox.page.take("The outbox")?;
        outbox.owner(&table)?;
        let trigger = outbox.page.take("The trigger")?;
        outbox.owner(&trigger)?;
        Ok(outbox)
    }

    /// Runs SQL as the owner of the schema.
    fn owner(&self, sql: &str) -> Result<String> {
        psql(self.server, self.stage.database.admin_url(), sql)
    }

    /// Delivers all that the provider has to tell, each twice, the second time later.
    async fn deliver_all_twice(&self) -> Result<()> {
        let messages = self.stage.simulator.take_messages();
        for message in messages.iter().chain(&messages) {
            self.stage.taken(message).await?;
        }
        Ok(())
    }

    async fn run(&self) -> Result<Value> {
        self.stage.complete(json!({})).await
    }

    /// Takes all that the trigger has written, a change a line.
    fn changes(&self) -> Result<String> {
        self.owner(
            "WITH taken AS (DELETE FROM public.user_changes RETURNING *)
            SELECT change, name, email FROM taken ORDER BY id",
        )
    }
}

// They write the table in different ways.
for_each_provider! { the_trigger_fires_once_for_each_real_change }

async fn the_trigger_fires_once_for_each_real_change(setup: Setup) -> Result<()> {
    let outbox = Outbox::of(setup).await?;
    let (stage, simulator) = (&outbox.stage, &outbox.stage.simulator);
    assert_eq!(outbox.run().await?["unchanged"], 5);
    assert_eq!(outbox.changes()?, "", "of a run that finds nothing");

    let ada = simulator.create("Ada", "ada@example.com")?;
    outbox.deliver_all_twice().await?;
    assert_eq!(outbox.changes()?, "created Ada ada@example.com");
    let before = stage.the_row(&ada).await?;
    simulator.rename(&ada, "Ada King")?;
    outbox.deliver_all_twice().await?;
    assert_eq!(outbox.changes()?, "updated Ada King ada@example.com");
    assert!(stage.the_row(&ada).await?.updated_at > before.updated_at);

    // Changes that nobody asked to hear of, told or found.
    simulator.set_metadata(&ada, json!({"plan": "pro"}))?;
    outbox.deliver_all_twice().await?;
    simulator.touch_activity(&ada)?;
    outbox.run().await?;
    stage.assert_in_sync().await?;
    assert_eq!(outbox.changes()?, "", "of other fields");

    // A placeholder is nobody yet; a user is created when the profile arrives.
    let bob = simulator.create("Bob", "bob@example.com")?;
    outbox.owner(&format!("SELECT neon_identity.ensure_user('{bob}')"))?;
    assert_eq!(outbox.changes()?, "");
    outbox.deliver_all_twice().await?;
    assert_eq!(outbox.changes()?, "created Bob bob@example.com");

    // A run finds what no delivery told.
    simulator.rename(&bob, "Robert")?;
    simulator.take_messages();
    outbox.run().await?;
    outbox.run().await?;
    assert_eq!(outbox.changes()?, "updated Robert bob@example.com");

    simulator.rename(&ada, "Late")?;
    let late = simulator.take_messages();
    simulator.delete(&ada)?;
    outbox.deliver_all_twice().await?;
    for message in &late {
        outbox.stage.taken(message).await?;
    }
    outbox.run().await?;
    assert_eq!(outbox.changes()?, "deleted Ada King ada@example.com");

    // Nobody who was here only once they had gone.
    simulator.create("Cyd", "cyd@example.com")?;
    let created = simulator.take_messages();
    let cyd = stage
        .simulator
        .truth()
        .find(|user| user.reading.name.as_deref() == Some("Cyd"));
    simulator.delete(&cyd.context("no Cyd")?.id)?;
    outbox.deliver_all_twice().await?;
    for message in &created {
        outbox.stage.taken(message).await?;
    }
    assert_eq!(outbox.changes()?, "", "of a deletion before the creation");

    // A tombstone that somebody set by hand is wrong, and a run takes it away.
    outbox.owner(&format!(
        "UPDATE neon_identity.users_sync SET deleted_at = now() - interval '1 day' WHERE id = '{bob}'"
    ))?;
    assert_eq!(outbox.run().await?["revived"], 1);
    assert_eq!(
        outbox.changes()?,
        "deleted Robert bob@example.com\nrevived Robert bob@example.com"
    );
    stage.assert_in_sync().await
}

#[tokio::test]
async fn a_program_takes_changes_out_of_the_outbox_as_the_page_says() -> Result<()> {
    let mut outbox = Outbox::of(Setup::default()).await?;
    let simulator = &outbox.stage.simulator;
    let sign_up = SignUp {
        id: Some(ID.to_owned()),
        name: Some("Ada".to_owned()),
        email: Some("ada@example.com".to_owned()),
        ..SignUp::default()
    };
    simulator.sign_up(sign_up)?;
    outbox.deliver_all_twice().await?;
    simulator.rename(ID, "Ada King")?;
    outbox.deliver_all_twice().await?;
    simulator.set_metadata(ID, json!({"plan": "pro"}))?;
    outbox.deliver_all_twice().await?;
    let take = outbox.page.take("Doing the work")?;
    let remove = outbox.page.take("Doing the work")?;
    let both =
        format!("1 created {ID} Ada ada@example.com\n2 updated {ID} Ada King ada@example.com");
    // A program that dies in between has taken nothing away.
    assert_eq!(outbox.owner(&take)?, both);
    assert_eq!(outbox.owner(&format!("{take}{remove}"))?, both);
    assert_eq!(outbox.changes()?, "");

    let is_new = outbox.page.take("Doing the work")?;
    assert_eq!(outbox.owner(&is_new)?, "t");
    outbox
        .stage
        .execute("UPDATE neon_identity.users_sync SET created_at = created_at - interval '2 days'")
        .await?;
    assert_eq!(outbox.owner(&is_new)?, "f");
    outbox.run().await?;

    let other_fields = outbox.page.take("The trigger")?;
    outbox.owner(&other_fields)?;
    outbox
        .stage
        .simulator
        .set_metadata(ID, json!({"plan": "free"}))?;
    outbox.deliver_all_twice().await?;
    outbox.stage.simulator.touch_activity(ID)?;
    outbox.run().await?;
    assert_eq!(outbox.changes()?, "updated Ada King ada@example.com");

    let back = outbox.page.take("The way back")?;
    outbox.owner(&back)?;
    outbox.stage.simulator.delete(ID)?;
    outbox.deliver_all_twice().await?;
    let left = "SELECT count(*) FROM pg_trigger
        WHERE tgrelid = 'neon_identity.users_sync'::regclass AND NOT tgisinternal";
    assert_eq!(outbox.owner(left)?, "0");
    outbox.page.finish()
}

#[tokio::test]
async fn a_trigger_that_fails_rejects_that_user_and_nobody_else() -> Result<()> {
    let outbox = Outbox::of(Setup::default()).await?;
    let (stage, simulator) = (&outbox.stage, &outbox.stage.simulator);
    outbox.owner("ALTER TABLE public.user_changes ADD CONSTRAINT no_bob CHECK (name <> 'Bob')")?;
    // Told, and found by a run: the first is answered at once, the second stops no page.
    let bob = simulator.create("Bob", "bob@example.com")?;
    let [message] = &users(simulator.take_messages())[..] else {
        anyhow::bail!("not one message");
    };
    assert_eq!(outbox.stage.deliver(message).await?, 400);
    simulator.create("Ada", "ada@example.com")?;
    outbox.deliver_all_twice().await?;
    let other_bob = simulator.create("Bob", "other@example.com")?;
    simulator.create("Cyd", "cyd@example.com")?;
    simulator.take_messages();
    let report = outbox.run().await?;
    assert_eq!(
        (&report["created"], &report["rejected"]),
        (&json!(1), &json!(2)),
        "{report}"
    );
    assert_eq!(
        outbox.changes()?,
        "created Ada ada@example.com\ncreated Cyd cyd@example.com"
    );
    for id in [&bob, &other_bob] {
        ensure!(stage.row(id).await?.is_none(), "{id} is stored");
        let reasons = stage.rejections().await?;
        let mut reasons = reasons.iter().filter(|kept| kept["user_id"] == **id);
        ensure!(
            reasons.all(|kept| {
                let reason = kept["reason"].as_str().unwrap_or_default();
                reason.contains("23514") && reason.contains("no_bob")
            }),
            "{:?}",
            stage.rejections().await?
        );
    }

    outbox.owner("ALTER TABLE public.user_changes DROP CONSTRAINT no_bob")?;
    assert_eq!(outbox.run().await?["created"], 2);
    stage.assert_in_sync().await?;
    let mut changes: Vec<_> = outbox.changes()?.lines().map(str::to_owned).collect();
    changes.sort();
    assert_eq!(
        changes,
        [
            "created Bob bob@example.com",
            "created Bob other@example.com"
        ]
    );
    let open = stage.rejections().await?;
    ensure!(
        open.iter().all(|kept| kept["resolved_at"].is_string()),
        "{open:?}"
    );
    Ok(())
}

/// The messages about users alone.
fn users(messages: Vec<Message>) -> Vec<Message> {
    let about = |message: &Message| message.kind.starts_with("user.");
    messages.into_iter().filter(about).collect()
}
