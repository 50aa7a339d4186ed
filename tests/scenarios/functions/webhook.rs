//! `webhook`: each row of the contract's table of statuses, and the reasons for them.

mod connections;
mod deliveries;
mod order;
mod profiles;
mod rejected;
mod replicas;
mod requests;
mod secrets;
mod signatures;
mod trouble;
mod trust;

use std::future::Future;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::simulator::Message;
use tests::stage::Stage;

/// A little longer than a read of Stack Auth's may lag.
const STALENESS: Duration = Duration::from_millis(1_300);

async fn assert_nothing_kept(stage: &Stage) -> Result<()> {
    let (rows, rejections) = (stage.table().await?, stage.rejections().await?);
    ensure!(rows.is_empty() && rejections.is_empty());
    Ok(())
}

/// Lets the provider show this profile, and tell it.
async fn show(stage: &Stage, id: &str, profile: &str) -> Result<()> {
    stage.simulator.show_profile(id, profile)?;
    let body = format!(r#"{{"type":"user.updated","data":{profile}}}"#);
    let status = stage.send(&stage.letter(body)).await?;
    ensure!(status == 200, "{profile}: {status}");
    Ok(())
}

/// The last of the messages that is about a user.
fn about_a_user(messages: &[Message]) -> Result<&Message> {
    let mut about = messages.iter().rev();
    about
        .find(|message| message.kind.starts_with("user."))
        .context("a message about a user")
}

/// The messages about a user that came and went.
fn created_and_deleted(stage: &Stage) -> Result<(Message, Message)> {
    let simulator = &stage.simulator;
    let id = simulator.create("Ada", "ada@example.com")?;
    let created = simulator.take_messages();
    simulator.delete(&id)?;
    let deleted = simulator.take_messages();
    Ok((
        about_a_user(&created)?.clone(),
        about_a_user(&deleted)?.clone(),
    ))
}

/// Checks all cases at once; the first that fails fails them all.
async fn at_once<T, C, F>(cases: impl IntoIterator<Item = T>, check: C) -> Result<()>
where
    C: Fn(T) -> F,
    F: Future<Output = Result<()>>,
{
    futures_util::future::try_join_all(cases.into_iter().map(check)).await?;
    Ok(())
}
