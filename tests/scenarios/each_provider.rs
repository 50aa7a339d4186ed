//! What holds for every provider, with the real binaries: one set of facts, run against each
//! simulated provider.

use anyhow::{Context, Result, ensure};
use tests::function::Function;
use tests::postgres::Postgres;
use tests::sender::Sender;
use tests::stage::{Setup, Stage};

/// A stage of one provider, and an instance of `webhook` that it sends to.
struct Site {
    stage: Stage,
    webhook: Function,
    sender: Sender,
}

impl Site {
    async fn of(setup: Setup) -> Result<Self> {
        let stage = Stage::on(Postgres::shared().await?, setup).await?;
        let webhook = stage.webhook().await?;
        let sender = Sender::new(stage.sending(webhook.url())?)?;
        Ok(Self {
            stage,
            webhook,
            sender,
        })
    }

    /// Delivers all that the provider has to tell, in order, each once.
    async fn deliver_all(&self) -> Result<()> {
        for message in self.stage.simulator.take_messages() {
            let status = self.sender.deliver_once(&message).await?;
            let logs = self.webhook.logs().context("read the log")?;
            ensure!(status == 200, "{}: {status}\n{logs}", message.kind);
        }
        Ok(())
    }
}

/// One test for each provider that is simulated.
macro_rules! for_each_provider {
    ($($fact:ident)*) => {
        for_each_provider! { @ [$($fact)*] stack auth0 supabase }
    };
    (@ $facts:tt $($provider:ident)*) => {
        $(for_each_provider! { % $provider $facts })*
        #[test]
        fn no_provider_is_left_out() {
            let simulated = tests::simulator::VENDORS.iter().map(|(name, _)| *name);
            assert_eq!(simulated.collect::<Vec<_>>(), [$(stringify!($provider)),*]);
        }
    };
    (% $provider:ident [$($fact:ident)*]) => {
        mod $provider {
            use tests::stage::Setup;

            $(#[tokio::test]
            async fn $fact() -> anyhow::Result<()> {
                super::$fact(Setup::named(stringify!($provider))?).await
            })*
        }
    };
}

for_each_provider! {
    a_user_s_life_arrives
}

async fn a_user_s_life_arrives(setup: Setup) -> Result<()> {
    let site = Site::of(setup).await?;
    let simulator = &site.stage.simulator;
    let id = simulator.create("Ada Lovelace", "ada@example.com")?;
    site.deliver_all().await?;
    site.stage.assert_in_sync().await?;
    let row = site.stage.the_row(&id).await?;
    assert_eq!(row.name.as_deref(), Some("Ada Lovelace"));
    assert_eq!(row.email.as_deref(), Some("ada@example.com"));
    assert!(row.created_at.is_some() && row.updated_at.is_some() && row.lives());

    simulator.rename(&id, "Ada King")?;
    site.deliver_all().await?;
    site.stage.assert_in_sync().await?;
    let renamed = site.stage.the_row(&id).await?;
    assert_eq!(renamed.name.as_deref(), Some("Ada King"));
    assert!(renamed.updated_at > row.updated_at);

    simulator.delete(&id)?;
    site.deliver_all().await?;
    site.stage.assert_in_sync().await?;
    let deleted = site.stage.the_row(&id).await?;
    assert!(deleted.deleted_at >= renamed.updated_at);
    assert_eq!(deleted.raw_json, renamed.raw_json);
    Ok(())
}
