//! Cold starts: from the start of the process to the answer to the delivery that it was started for.

use std::time::{Duration, Instant};

use anyhow::Result;
use tests::function::Function;
use tests::stage::Setup;

use crate::deliveries::{Changes, deliver, events};
use crate::ground::Ground;
use crate::peers::{self, Node};
use crate::report::{Report, note};
use crate::rounds::Rounds;

const ROUNDS: usize = 15;

pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    let ground = Ground::of(Setup::named("clerk")?).await?;
    let mut changes = Changes::of(&ground, 2 * ROUNDS).await?;
    // A file without a certificate, in the place of the system's.
    let none = ("SSL_CERT_FILE".to_owned(), "/dev/null".to_owned());
    let node = Node::bundled("statement")?;
    peers::make_table(&ground).await?;
    let (mut ours, mut bare, mut theirs) = <(Rounds, Rounds, Rounds)>::default();
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    for _ in 0..ROUNDS {
        let event = events(&ground, &changes.take(1)?)?.remove(0);
        let begun = Instant::now();
        let webhook = Function::spawn("webhook", ground.stage.environment()).await?;
        deliver(&webhook, event.clone()).await?;
        ours.add(millis(begun.elapsed()));
        drop(webhook);
        let environment = ground.stage.environment().into_iter();
        let begun = Instant::now();
        let webhook = Function::spawn("webhook", environment.chain([none.clone()])).await?;
        deliver(&webhook, event.clone()).await?;
        bare.add(millis(begun.elapsed()));
        drop(webhook);
        let begun = Instant::now();
        let handler = node.spawn(&ground, ground.stage.database.url()).await?;
        deliver(&handler, event).await?;
        theirs.add(millis(begun.elapsed()));
    }
    report.figure("cold_start_vs_node", &theirs.over(&ours))?;
    note("ours: ms", &ours);
    note("ours, with no authorities to read: ms", &bare);
    note("Node: ms", &theirs);
    Ok(())
}
