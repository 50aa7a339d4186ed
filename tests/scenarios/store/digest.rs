//! How a listing differs from the table, without sending it: the crate prints a profile exactly
//! as PostgreSQL prints the row, or the two digests never agree.

use anyhow::Result;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use shared::profile::{Columns, Profile};
use shared::store::Difference::{self, Created, Doubtful, Tombstone, Updated};
use shared::store::{Authority, Origin};
use shared::time::At;
use tests::seeds;

use super::{
    Bench, SECOND, STALE, THEN, hints, named, of_json, options, user, versioned, versions,
};

/// How these profiles differ from their rows, by place.
async fn compare(
    bench: &Bench,
    profiles: &[Profile],
    seen: i64,
) -> Result<Vec<(usize, Difference)>> {
    let mut differences = bench
        .store
        .compare(profiles, At::from_micros(seen), &[])
        .await?;
    differences.sort_by_key(|(place, _)| *place);
    Ok(differences)
}

#[tokio::test]
async fn users_that_differ_are_named_and_equal_ones_left_out() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    let now = bench.store.now().await?.as_micros();
    for (id, at) in [
        ("equal", THEN),
        ("equal-now", now),
        ("fresh", now - STALE),
        ("old", now - STALE - SECOND),
        ("gone", THEN),
        ("future", now + 3600 * SECOND),
    ] {
        bench.join(&named(id, "Ada"), at, true).await?;
    }
    bench
        .store
        .gone(&user("gone"), At::from_micros(THEN))
        .await?;
    bench
        .run("SELECT neon_identity.ensure_user('placeholder')")
        .await?;
    let profiles = [
        named("new", "Ada"),
        named("equal", "Ada"),
        named("equal-now", "Ada"),
        named("fresh", "Bob"),
        named("old", "Bob"),
        named("gone", "Ada"),
        named("future", "Ada"),
        named("placeholder", "Ada"),
        // Twice, as a listing may show a user who moved.
        named("equal", "Ada"),
        named("old", "Cyd"),
    ];
    let expected = [
        (0, Created),
        // The row may be newer than what was listed.
        (3, Doubtful),
        (4, Updated),
        (5, Tombstone),
        // The row says of itself what only the future can know.
        (6, Doubtful),
        (7, Updated),
        (9, Updated),
    ];
    assert_eq!(compare(&bench, &profiles, now).await?, expected);
    assert_eq!(compare(&bench, &[], now).await?, []);
    Ok(())
}

#[tokio::test]
async fn versions_decide_where_there_are_some() -> Result<()> {
    let bench = Bench::new(versions()).await?;
    for id in ["a", "b", "c", "d", "e"] {
        bench.join(&named(id, "Ada"), THEN, true).await?;
    }
    let profiles = [
        versioned(&named("a", "Ada"), THEN),
        versioned(&named("b", "Bob"), THEN + 1),
        versioned(&named("c", "Bob"), THEN),
        versioned(&named("d", "Bob"), THEN - 1),
        // The same profile at another time: one of the two was edited by hand.
        versioned(&named("e", "Ada"), THEN + 1),
    ];
    let expected = [(1, Updated), (2, Doubtful), (3, Doubtful), (4, Doubtful)];
    assert_eq!(compare(&bench, &profiles, THEN).await?, expected);
    Ok(())
}

#[tokio::test]
async fn a_hand_edited_column_is_noticed_whichever_it_is() -> Result<()> {
    let profile =
        of_json(r#"{"id":"u","name":"Ada","email":"a@b","created":1700000000123,"n":1.0}"#);
    let bench = Bench::new(hints()).await?;
    for edit in [
        r#"raw_json = raw_json || '{"n": 1}'"#,
        r#"raw_json = raw_json || '{"n": 1.00}'"#,
        r#"raw_json = raw_json - 'n'"#,
        "raw_json = 'null'",
        "raw_json = '[]'",
        "name = NULL",
        "name = 'ada'",
        "email = name",
        "created_at = NULL",
        "created_at = created_at + interval '1 microsecond'",
        "created_at = 'infinity'",
        "created_at = '-infinity'",
        "updated_at = NULL",
        "updated_at = 'infinity'",
        "deleted_at = now()",
        "deleted_at = 'infinity'",
        "deleted_at = '-infinity'",
    ] {
        bench.run("TRUNCATE neon_identity.users_sync").await?;
        bench.join(&profile, THEN, true).await?;
        let now = bench.store.now().await?.as_micros();
        let profiles = std::slice::from_ref(&profile);
        assert_eq!(compare(&bench, profiles, now).await?, [], "before {edit}");
        bench
            .run(&format!("UPDATE neon_identity.users_sync SET {edit}"))
            .await?;
        let differences = compare(&bench, profiles, now).await?;
        assert_eq!(differences.len(), 1, "{edit}");
        let mut looks = bench.store.look(&[user("u")]).await?;
        let look = looks.remove(0);
        bench
            .store
            .settle_present(&look, &profile, options(true, false))
            .await?;
        let now = look.at().as_micros();
        assert_eq!(compare(&bench, profiles, now).await?, [], "after {edit}");
        let row = bench.existing("u").await?;
        assert_eq!(row.created_at, Some(1_700_000_000_123_000), "{edit}");
        assert_eq!(row.times(), (Some(now), None), "{edit}");
    }
    // An updated_at before all time is only old: the next change beats it.
    bench.run("TRUNCATE neon_identity.users_sync").await?;
    bench.join(&profile, THEN, true).await?;
    bench
        .run("UPDATE neon_identity.users_sync SET updated_at = '-infinity'")
        .await?;
    bench.join(&named("u", "Bob"), THEN, true).await?;
    assert_eq!(bench.existing("u").await?.name.as_deref(), Some("Bob"));
    Ok(())
}

#[tokio::test]
async fn infinite_times_break_no_statement() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    for column in ["created_at", "updated_at", "deleted_at"] {
        for value in ["infinity", "-infinity"] {
            let id = format!("{column} {value}");
            bench.join(&named(&id, "Ada"), THEN, true).await?;
            bench
                .run(&format!(
                    "UPDATE neon_identity.users_sync SET {column} = '{value}' WHERE id = '{id}'"
                ))
                .await?;
            let now = bench.store.now().await?;
            compare(&bench, &[named(&id, "Bob")], now.as_micros()).await?;
            bench
                .join(&named(&id, "Bob"), now.as_micros(), true)
                .await?;
            bench
                .join(&named(&id, "Bob"), now.as_micros(), false)
                .await?;
            bench.store.gone(&user(&id), now).await?;
            let looks = bench.store.look(&[user(&id)]).await?;
            let gone = bench.store.settle_gone(&looks, Authority::Delivery);
            assert_eq!(gone.await?.len(), 1);
        }
    }
    assert_eq!(bench.store.live_count().await?, 0);
    Ok(())
}

/// JSON as a provider may send it: any spelling of any value.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        number(),
        string(),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let array = (vec(inner.clone(), 0..6), space())
            .prop_map(|(items, space)| format!("[{space}{}{space}]", items.join(",")));
        let field = (key(), space(), inner);
        let object = (vec(field, 0..6), space()).prop_map(|(fields, space)| {
            let fields: Vec<_> = fields
                .into_iter()
                .map(|(key, between, value)| format!("{key}{between}:{between}{value}"))
                .collect();
            format!("{{{space}{}{space}}}", fields.join(&format!("{space},")))
        });
        prop_oneof![array, object]
    })
}

fn space() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "", " ", "\n\t", "\r  "])
}

/// With signs, zeros, fractions and exponents of every kind.
fn number() -> impl Strategy<Value = String> {
    let sign = prop::sample::select(vec!["", "-"]);
    let whole = prop_oneof![
        Just("0".to_owned()),
        "[1-9][0-9]{0,3}",
        "[1-9][0-9]{17,60}",
        "[1-9]0{0,20}",
    ];
    let fraction = prop_oneof![Just(String::new()), "\\.[0-9]{1,4}", "\\.0{1,30}[0-9]{0,3}"];
    let exponent = prop_oneof![
        3 => Just(String::new()),
        1 => "[eE][+-]?0{0,2}[0-9]{1,2}",
        1 => "[eE][+-]?[1-9][0-9]{2}",
        1 => "[eE][+-]?1000",
    ];
    (sign, whole, fraction, exponent)
        .prop_map(|(sign, whole, fraction, exponent)| format!("{sign}{whole}{fraction}{exponent}"))
}

/// Few keys, so that some stand twice, and some that differ in length by bytes and by letters.
fn key() -> impl Strategy<Value = String> {
    let few = [
        "a", "b", "aa", "ab", "é", "zz", "ééé", "aaaaa", "\\u0061", "\\u00e9", "", "Z", "😀",
    ];
    prop_oneof![
        3 => prop::sample::select(few.map(|key| format!("\"{key}\"")).to_vec()),
        1 => string(),
    ]
}

/// Letters as themselves and as every kind of escape, also those that jsonb refuses.
fn string() -> impl Strategy<Value = String> {
    let plain = any::<char>().prop_map(|c| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c < ' ' => format!("\\u{:04X}", u32::from(c)),
        c => c.to_string(),
    });
    let unit = any::<u16>().prop_map(|unit| format!("\\u{unit:04x}"));
    let escape = prop::sample::select(vec![
        "\\n",
        "\\r",
        "\\t",
        "\\b",
        "\\f",
        "\\/",
        "/",
        "\\\"",
        "\\\\",
        "\\u0000",
        "\\\\u0000",
        "\\u007f",
        "\u{7f}",
        "\\u001f",
        "\\ud83d\\ude00",
        "\\ud83d",
        "\\ude00",
        "\u{2028}",
        "\\u0022",
        "\\u005c",
    ]);
    let piece = prop_oneof![4 => "[a-zA-Z ]{1,4}", 2 => plain, 1 => unit, 3 => escape.prop_map(str::to_owned)];
    vec(piece, 0..6).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

/// Text that a column can hold.
fn text() -> impl Strategy<Value = Option<String>> {
    prop::option::of(any::<String>().prop_map(|text| text.replace('\0', "\u{1}")))
}

/// Any moment that a calendar can show, those around zero more often.
fn moment() -> impl Strategy<Value = Option<At>> {
    const YEAR_1: i64 = -62_135_596_800_000_000;
    const YEAR_10000: i64 = 253_402_300_800_000_000;
    prop::option::of(prop_oneof![
        (YEAR_1..YEAR_10000).prop_map(At::from_micros),
        (-2_000_000i64..2_000_000).prop_map(At::from_micros),
        (-2i64..2).prop_map(|seconds| At::from_micros(seconds * SECOND)),
        Just(At::from_micros(YEAR_1)),
        Just(At::from_micros(YEAR_10000 - 1)),
    ])
}

#[test]
fn a_printed_profile_is_what_postgres_prints() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let bench = runtime.block_on(Bench::new(hints()))?;
    let profiles = vec((json(), text(), text(), moment()), 40);
    let config = Config {
        cases: 60,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seeds::first()),
        max_shrink_iters: 2_000,
        ..Config::default()
    };
    let checked = TestRunner::new(config).run(&profiles, |made| {
        let profiles: Vec<Profile> = made
            .into_iter()
            .enumerate()
            .map(|(n, (json, name, email, created_at))| {
                let raw = format!(r#"{{"id":"u{n}","profile":{json}}}"#);
                let read = Profile::from_json(&raw, |_| Columns {
                    id: Some(format!("u{n}")),
                    name,
                    email,
                    created_at,
                    version: None,
                });
                read.expect("a profile")
            })
            .collect();
        let differences = runtime.block_on(async {
            bench.run("TRUNCATE neon_identity.users_sync").await?;
            let then = At::from_micros(THEN);
            let joined: Vec<_> = profiles.iter().map(|profile| (profile, then)).collect();
            bench.store.join(&joined, Origin::Listing).await?;
            compare(&bench, &profiles, THEN).await
        });
        let differences = differences.expect("PostgreSQL takes what storable() lets through");
        for (place, _) in &differences {
            let profile = &profiles[*place];
            prop_assert!(false, "{:?} of {}", profile.printed(&[]), profile.raw_json);
        }
        // Each was printed by the crate itself and not left to PostgreSQL.
        prop_assert!(
            profiles
                .iter()
                .all(|profile| profile.printed(&[]).is_some())
        );
        Ok(())
    });
    checked.map_err(|error| anyhow::anyhow!("{error}"))
}
