//! Profiles that PostgreSQL can't hold are told apart from those that it can't take just now.

use anyhow::Result;
use shared::profile::Profile;
use shared::store::Origin;
use shared::store::Outcome::Created;
use shared::store::StoreError::Unstorable;
use shared::time::At;

use super::{Bench, THEN, hints, named, of_json, options, user};

fn with(value: &str) -> Profile {
    of_json(&format!(r#"{{"id":"u","value":{value}}}"#))
}

const TOO_LARGE: &str = "a number is larger than Postgres can hold (SQLSTATE 22003)";
const TOO_DEEP: &str = "nested deeper than Postgres can read (SQLSTATE 54001)";

#[tokio::test]
async fn a_user_that_postgres_cannot_hold_is_unstorable_and_says_why() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    let digits = |count| "9".repeat(count);
    let cases = [
        (with(&digits(131_073)), TOO_LARGE),
        (with(&format!("-{}e999", digits(131_000))), TOO_LARGE),
        (with(&format!("0.{}", digits(16_384))), TOO_LARGE),
        (with(&nested("[", 20_000, "]")), TOO_DEEP),
        (with(&nested(r#"{"a":"#, 20_000, "}")), TOO_DEEP),
        (
            Profile {
                name: Some("a\0b".to_owned()),
                ..named("u", "Ada")
            },
            "Postgres can't hold this profile (SQLSTATE 22021)",
        ),
    ];
    for (profile, reason) in cases {
        let (at, refused) = (At::from_micros(THEN), Unstorable(reason.to_owned()));
        let beside = named("beside", "Bob");
        let together = [(&beside, at), (&profile, at)];
        let joined = bench.store.join(&together, Origin::Delivery).await;
        assert_eq!(joined.as_ref(), Err(&refused));
        let looks = bench.store.look(&[user("u")]).await?;
        let settled = bench
            .store
            .settle_present(&looks[0], &profile, options(false, true))
            .await;
        assert_eq!(settled.as_ref(), Err(&refused));
        // And the connection is as good as before.
        assert_eq!(bench.store.live_count().await?, 0);
    }
    Ok(())
}

fn nested(open: &str, depth: usize, close: &str) -> String {
    format!("{}1{}", open.repeat(depth), close.repeat(depth))
}

#[tokio::test]
async fn the_largest_that_postgres_holds_is_stored_and_found_equal() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    let cases = [
        with(&"9".repeat(131_072)),
        with(&format!("0.{}", "9".repeat(16_383))),
        with("1e1000"),
        with("-1E-1000"),
        with(&nested("[", 1000, "]")),
        with(&nested(r#"{"a":"#, 60, "}")),
        with(&nested(r#"{"a":"#, 70, "}")),
        with(&format!("\"{}\"", "x".repeat(4 << 20))),
    ];
    for (number, profile) in cases.into_iter().enumerate() {
        bench.run("TRUNCATE neon_identity.users_sync").await?;
        assert_eq!(bench.join(&profile, THEN, true).await?, Created);
        let row = bench.existing("u").await?;
        let now = bench.store.now().await?;
        let profiles = std::slice::from_ref(&profile);
        let differences = bench.store.compare(profiles, now, &[]).await?;
        // A profile that the crate leaves to PostgreSQL to print is compared there.
        let printed = profile.printed(&[]).is_some();
        assert_eq!(differences.is_empty(), printed, "{number}");
        bench.join(&profile, now.as_micros(), false).await?;
        assert_eq!(bench.existing("u").await?, row, "{number}");
    }
    Ok(())
}
