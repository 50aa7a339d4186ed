//! Facts of Clerk alone: versions that order deliveries, a deletion's time that is in the event
//! alone, the primary email by its id, and listings that move under the walk.

mod deliveries;
mod listing;
mod profiles;
mod versions;

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use tests::postgres::Postgres;
use tests::simulator::{Call, Clerk, Clock, Message, Options, World};
use tests::stage::{Setup, Stage};

/// April 2026, and not on a second.
const NOON: i64 = 1_776_902_400_250;

/// A stage whose provider's clock stands still until it is moved.
struct Site {
    stage: Stage,
}

impl Site {
    async fn new() -> Result<Self> {
        Self::of(Clerk::default()).await
    }

    async fn of(instance: Clerk) -> Result<Self> {
        let setup = Setup {
            simulator: Options {
                clock: Clock::by_hand(NOON),
                ..Options::default()
            },
            ..Setup::of(instance)
        };
        let stage = Stage::on(Postgres::shared().await?, setup).await?;
        Ok(Self {
            stage: stage.receives().await?,
        })
    }

    fn world(&self) -> &World {
        &self.stage.simulator
    }

    /// Does something a while later, and gives what is told of it.
    fn later(&self, deed: impl FnOnce(&World) -> Result<()>) -> Result<Message> {
        self.world().clock().advance(Duration::from_millis(1_700));
        self.now(deed)
    }

    /// The same at this very millisecond.
    fn now(&self, deed: impl FnOnce(&World) -> Result<()>) -> Result<Message> {
        deed(self.world())?;
        let mut told = self.world().take_messages();
        ensure!(told.len() == 1, "{told:?}");
        told.pop().context("a message")
    }

    async fn deliver(&self, message: &Message) -> Result<()> {
        self.stage.taken(message).await
    }

    async fn name(&self, id: &str) -> Result<Option<String>> {
        Ok(self.stage.the_row(id).await?.name)
    }

    /// A user whose sign-up is in the table.
    async fn ada(&self) -> Result<String> {
        let id = self.world().create("Ada Lovelace", "ada@example.com")?;
        for message in self.world().take_messages() {
            self.deliver(&message).await?;
        }
        Ok(id)
    }

    /// How often a user was read by id.
    fn reads(&self) -> usize {
        let requests = self.world().requests();
        requests.iter().filter(|one| one.call == Call::Read).count()
    }
}

fn time(millis: i64) -> Option<SystemTime> {
    let since_1970 = Duration::from_millis(u64::try_from(millis).ok()?);
    Some(SystemTime::UNIX_EPOCH + since_1970)
}
