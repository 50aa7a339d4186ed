//! Bad users in the listing of every provider: readable ones are taken in, the others are kept
//! apart, no page stops and no run fails.

use anyhow::{Context, Result, ensure};
use fuzz::bad;
use serde_json::{Value, json};
use tests::function::Function;
use tests::postgres::Postgres;
use tests::providers::{PROVIDERS, Provider};
use tests::seeds::seeds;
use tests::stage::{Setup, Stage};

const GOOD: usize = 20;
const BAD: usize = 60;
/// Of these the bad ones, three in four, have no id at all.
const WITHOUT_ID: usize = 20;

/// For each provider.
const SEEDS: u64 = 3;
/// A rejection more in a later run.
const FAILED_ONCE: u64 = 2_878_518_206_855_428_753;

#[tokio::test]
async fn bad_users_stop_no_page_and_are_taken_in_once_they_are_good() -> Result<()> {
    for provider in PROVIDERS {
        for seed in seeds(SEEDS).chain([FAILED_ONCE]) {
            let checked = check(provider, seed).await;
            checked.with_context(|| format!("{}, SEED={seed}", provider.name))?;
        }
    }
    Ok(())
}

async fn check(provider: &Provider, seed: u64) -> Result<()> {
    let stage = Stage::on(Postgres::shared().await?, Setup::named(provider.name)?).await?;
    let reconcile = stage.reconcile().await?;
    let simulator = &stage.simulator;
    let mut random = fastrand::Rng::with_seed(seed);
    for number in 0..GOOD + BAD {
        simulator.create(&format!("User {number}"), &format!("u{number}@example.com"))?;
    }
    let users: Vec<_> = simulator.truth().collect();
    // Good and bad ones in turn, as long as there are good ones.
    let is_good = |place: usize| place.is_multiple_of(4);
    for (place, user) in users.iter().enumerate() {
        if is_good(place) {
            continue;
        }
        let mut shown = user.profile.to_string();
        if place < WITHOUT_ID {
            // More than may be wanting in a listing whose users are counted.
            let shown = shown.replace(&format!("\"{}\"", user.id), "7");
            simulator.show_profile(&user.id, &shown)?;
            continue;
        }
        for _ in 0..random.usize(1..=3) {
            shown = bad::profile(&mut random, &shown, None);
        }
        simulator.show_profile(&user.id, &shown)?;
    }

    let report = complete(&reconcile).await?;
    let (created, rejected) = (figure(&report, "created"), figure(&report, "rejected"));
    ensure!(created >= GOOD && rejected > 0, "{report}");
    let good = users.iter().enumerate();
    let good: Vec<_> = good
        .filter(|(place, _)| is_good(*place))
        .map(|(_, user)| user.clone())
        .collect();
    let differences = stage.differences(&good).await?;
    ensure!(differences.is_empty(), "{differences:?}");
    let kept = stage.rejections().await?.len();
    ensure!(kept > 0 && kept <= rejected, "{kept} kept: {report}");

    // A user that a listing can't show whole is read once; then nothing is told twice, or written.
    // A user that is shown under an id of nobody's is gone when asked for by it.
    complete(&reconcile).await?;
    let ids: Vec<_> = users.iter().map(|user| format!("'{}'", user.id)).collect();
    let versions = format!(
        "SELECT concat_ws(' ', id, xmin) AS version FROM neon_identity.users_sync
        WHERE id IN ({})",
        ids.join(", ")
    );
    let before = stage.json(&versions).await?;
    let report = complete(&reconcile).await?;
    let after = stage.json(&versions).await?;
    let written: Vec<_> = after.iter().filter(|row| !before.contains(row)).collect();
    ensure!(written.is_empty(), "{written:?} {report}");
    let again = stage.rejections().await?.len();
    ensure!(again == kept, "{kept} kept, then {again}: {report}");

    for (place, user) in users.iter().enumerate() {
        if !is_good(place) {
            simulator.rename(&user.id, &format!("Good {place}"))?;
        }
    }
    // A user that was stored under another id is gone.
    let event = json!({"max_deletes": BAD});
    let report = reconcile.invoke(event).await?;
    ensure!(report["outcome"] == "complete", "{report}");
    ensure!(report["rejected"] == 0, "{report}");
    stage.assert_in_sync().await
}

async fn complete(reconcile: &Function) -> Result<Value> {
    let report = reconcile.invoke(json!({})).await;
    let report = report.with_context(|| reconcile.logs().unwrap_or_default())?;
    ensure!(report["outcome"] == "complete", "{report}");
    Ok(report)
}

fn figure(report: &Value, name: &str) -> usize {
    let figure = report[name].as_u64().unwrap_or_default();
    usize::try_from(figure).unwrap_or_default()
}
