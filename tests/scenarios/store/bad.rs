//! PostgreSQL takes each profile that the crate lets through, to the digit, or the store says that
//! it can't: never an error that would be answered with 503 or end a run. A second opinion says
//! what each profile means (`fuzz::oracle`).

use anyhow::{Context, Result, ensure};
use fuzz::oracle::{Tree, tree};
use fuzz::{bad, seeds};
use shared::json::storable;
use shared::profile::Profile;
use shared::store::Origin;
use shared::store::StoreError::Unstorable;
use shared::time::At;

use super::{Bench, THEN, hints, of_json};

/// Deeper than any seed, and not so deep that a comparison by recursion would overflow.
const DEPTH: usize = 200;

/// Joins them as a run does: a batch that is refused is halved, down to the one that is bad.
async fn join(bench: &Bench, profiles: &[Profile]) -> Result<Vec<usize>> {
    let mut refused = Vec::new();
    let mut batches = vec![(0, profiles.len())];
    while let Some((start, end)) = batches.pop() {
        let joined: Vec<_> = profiles[start..end]
            .iter()
            .map(|profile| (profile, At::from_micros(THEN)))
            .collect();
        match bench.store.join(&joined, Origin::Listing).await {
            Ok(outcomes) => ensure!(outcomes.len() == joined.len()),
            Err(Unstorable(reason)) => {
                ensure!(reason.len() > 10, "{reason}");
                if end - start == 1 {
                    refused.push(start);
                } else {
                    let middle = start.midpoint(end);
                    batches.extend([(start, middle), (middle, end)]);
                }
            }
            Err(error) => anyhow::bail!("{error}"),
        }
    }
    Ok(refused)
}

#[tokio::test]
async fn a_readable_profile_is_stored_to_the_digit_or_called_unstorable() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    let seed = tests::seeds::first();
    let mut random = fastrand::Rng::with_seed(seed);
    let bodies = seeds::bodies();
    let (mut stored, mut refused) = (0, 0);
    for _ in 0..12 {
        let mut profiles = Vec::new();
        while profiles.len() < 60 {
            let mut body = bodies[random.usize(..bodies.len())].1.clone();
            for _ in 0..random.usize(0..4) {
                body = bad::profile(&mut random, &body, None);
            }
            // A body that the crate itself refuses never gets here.
            if storable(&body).is_ok() {
                let id = profiles.len();
                let name = bad::values()[random.usize(..40)].clone();
                let raw = format!(r#"{{"id":"u{id}","profile":{body},"name":{name}}}"#);
                if storable(&raw).is_ok() {
                    profiles.push(of_json(&raw));
                }
            }
        }
        bench.run("TRUNCATE neon_identity.users_sync").await?;
        let apart = join(&bench, &profiles)
            .await
            .with_context(|| format!("SEED={seed}"))?;
        for (place, profile) in profiles.iter().enumerate() {
            let row = bench.row(profile.id.as_str()).await?;
            ensure!(
                row.is_none() == apart.contains(&place),
                "SEED={seed}: {}",
                profile.raw_json
            );
            let Some(row) = row else {
                refused += 1;
                continue;
            };
            stored += 1;
            let (kept, meant) = (tree(&row.raw_json, DEPTH), tree(&profile.raw_json, DEPTH));
            ensure!(
                meant.is_none() || kept == meant,
                "SEED={seed}: {} is {}",
                profile.raw_json,
                row.raw_json
            );
            ensure!(row.name == profile.name, "SEED={seed}: {:?}", row.name);
        }
        // A listing finds each user that the table has equal.
        let kept: Vec<Profile> = (0..profiles.len())
            .filter(|place| !apart.contains(place))
            .map(|place| profiles[place].clone())
            .collect();
        let differences = bench
            .store
            .compare(&kept, At::from_micros(THEN), &[])
            .await?;
        for (place, difference) in differences {
            // Deeper than digests are made; PostgreSQL compares those itself.
            let printed = kept[place].printed(&[]);
            ensure!(
                printed.is_none(),
                "SEED={seed}: {difference:?}: {}",
                kept[place].raw_json
            );
        }
    }
    ensure!(
        stored > 400 && refused < stored,
        "{stored} stored, {refused} refused"
    );
    Ok(())
}

#[tokio::test]
async fn every_bad_value_is_stored_as_it_was_meant() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    let mut stored = 0;
    for value in bad::values() {
        // As the whole text and within it, beside a key that has to be mended too.
        let raw = format!(r#"{{"id":"u","a\u0000":[{value}],"v":{value}}}"#);
        let Ok(text) = storable(&raw) else {
            assert!(value.contains('e'), "{value}: only exponents are refused");
            continue;
        };
        assert_eq!(tree(&text, DEPTH), tree(&raw, DEPTH), "{value}");
        let profile = of_json(&raw);
        bench.run("TRUNCATE neon_identity.users_sync").await?;
        let profiles = std::slice::from_ref(&profile);
        if !join(&bench, profiles).await?.is_empty() {
            assert!(value.len() > 10_000, "{value}: only depth is refused");
            continue;
        }
        stored += 1;
        let row = bench.existing("u").await?;
        let kept = tree(&row.raw_json, DEPTH);
        assert_eq!(kept, tree(&raw, DEPTH), "{value}: {}", row.raw_json);
        if let Some(Tree::Object(fields)) = kept {
            assert!(fields.contains_key("a\u{FFFD}"), "{}", row.raw_json);
        }
    }
    assert!(stored > 45, "{stored}");
    Ok(())
}
