//! Listed users that cannot be read or stored: they are kept apart, and stop nobody else.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::stage::Stage;

use super::{STALENESS, assert_figures};

#[tokio::test]
async fn a_user_that_cannot_be_read_is_kept_apart_until_it_can() -> Result<()> {
    let stage = Stage::seeded(1_500).await?;
    let (ids, simulator) = (stage.ids(), &stage.simulator);
    let bad = [
        format!(r#"{{"id":"{}","n":1e5000}}"#, ids[0]),
        format!(r#"{{"id":"{}","n":1e-99999999999}}"#, ids[1]),
        r#"{"id":17}"#.to_owned(),
        r#"{"id":""}"#.to_owned(),
        format!(r#"{{"id":"{}"}}"#, "x".repeat(10_000)),
        r#"{"no":"id"}"#.to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        "17".to_owned(),
        format!(r#"{{"id":"{}\u0001"}}"#, "x"),
    ];
    for (id, profile) in ids.iter().zip(&bad) {
        simulator.show_profile(id, profile)?;
    }
    for round in 0..2 {
        let report = stage.complete(json!({})).await?;
        assert_eq!(report["rejected"], bad.len(), "{report}");
        assert_eq!(report["listed"], 1_500);
        let apart = stage.rejections().await?;
        assert_eq!(apart.len(), bad.len(), "once each, in round {round}");
        for row in &apart {
            assert_eq!(row["source"], "listing");
            assert!(row["resolved_at"].is_null());
            assert!(
                row["reason"]
                    .as_str()
                    .is_some_and(|reason| reason.len() > 5)
            );
        }
        assert_eq!(stage.living().await?, 1_500 - bad.len());
    }
    for id in &ids[..bad.len()] {
        simulator.rename(id, "Readable")?;
    }
    let report = stage.complete(json!({})).await?;
    assert_eq!(
        (&report["rejected"], &report["created"]),
        (&json!(0), &json!(bad.len()))
    );
    stage.assert_in_sync().await?;
    // Whose profile had no id, nobody can tell; but nobody is listed like that any more.
    for row in stage.rejections().await? {
        assert!(row["resolved_at"].is_string(), "{row}");
    }
    Ok(())
}

#[tokio::test]
async fn a_user_that_cannot_be_read_any_more_keeps_their_row() -> Result<()> {
    for bad in [r#"{"id":"{id}","n":1e5000}"#, r#"{"id":17}"#] {
        let stage = Stage::backfilled(20).await?;
        let (ids, simulator) = (stage.ids(), &stage.simulator);
        let before = stage.the_row(&ids[0]).await?;
        simulator.show_profile(&ids[0], &bad.replace("{id}", &ids[0]))?;
        simulator.delete(&ids[1])?;
        let report = stage.complete(json!({})).await.context(bad)?;
        assert_eq!(report["deleted"], 1, "{bad}: {report}");
        assert_eq!(stage.the_row(&ids[0]).await?, before, "{bad}");
        assert!(!stage.rejections().await?.is_empty());
        simulator.rename(&ids[0], "Readable")?;
        stage.complete(json!({})).await?;
        stage.assert_in_sync().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_user_that_postgres_cannot_hold_is_taken_out_of_its_batch() -> Result<()> {
    let stage = Stage::seeded(1_500).await?;
    let (ids, simulator) = (stage.ids(), &stage.simulator);
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let bad = [&ids[0], &ids[499], &ids[500], &ids[750], &ids[1_499]];
    for id in bad {
        simulator.show_profile(id, &format!(r#"{{"id":"{id}","n":{deep}}}"#))?;
    }
    let report = stage.complete(json!({})).await?;
    let expected = [
        ("listed", 1_500),
        ("created", 1_500 - bad.len()),
        ("rejected", bad.len()),
    ];
    assert_figures(&report, &expected);
    let apart = stage.rejections().await?;
    let named: Vec<&Value> = apart.iter().map(|row| &row["user_id"]).collect();
    for id in bad {
        assert!(named.contains(&&json!(id)));
        simulator.rename(id, "Shallow")?;
    }
    let report = stage.complete(json!({})).await?;
    assert_eq!(report["created"], bad.len());
    stage.assert_in_sync().await?;
    let apart = stage.rejections().await?;
    assert!(apart.iter().all(|row| row["resolved_at"].is_string()));
    Ok(())
}

#[tokio::test]
async fn strange_profiles_are_taken_once_and_then_unchanged() -> Result<()> {
    let stage = Stage::seeded(30).await?;
    let (ids, simulator) = (stage.ids(), &stage.simulator);
    let fields = [
        r#""n":"a\u0000b""#,
        r#""n":"\ud800""#,
        r#""display_name":"\u0000""#,
        r#""n":123456789012345678901234567890.10"#,
        r#""n":1e400"#,
        r#""n":-0.0e0"#,
        r#""n":1E+2"#,
        r#""n":1.50e-3"#,
        r#""n":1,"n":2"#,
        r#""":"","a":1,"B":2,"aa":3"#,
        r#""n":"\u2028\u007f\b\f\/\u00e9""#,
        r#""signed_up_at_millis":-1.5"#,
        r#""signed_up_at_millis":1700000000123.4567"#,
        r#""signed_up_at_millis":1e30"#,
        r#""signed_up_at_millis":"1700000000123""#,
        r#""display_name":17"#,
    ];
    for (id, field) in ids.iter().zip(fields) {
        simulator.show_profile(id, &format!(r#"{{"id":"{id}",{field}}}"#))?;
    }
    let report = stage.complete(json!({})).await?;
    assert_figures(&report, &[("listed", 30), ("created", 30)]);
    let before = stage.versions().await?;
    let report = stage.complete(json!({})).await?;
    assert_figures(&report, &[("listed", 30), ("unchanged", 30)]);
    assert_eq!(stage.versions().await?, before);
    // Deeper than digests are made: Postgres compares them itself, and writes nothing either.
    let deep = format!("{}{}", "[".repeat(3_000), "]".repeat(3_000));
    let id = &ids[fields.len()];
    simulator.show_profile(id, &format!(r#"{{"id":"{id}","n":{deep}}}"#))?;
    tokio::time::sleep(STALENESS).await;
    let report = stage.complete(json!({})).await?;
    assert_figures(
        &report,
        &[("listed", 30), ("updated", 1), ("unchanged", 29)],
    );
    let before = stage.table().await?;
    for pause in [Duration::ZERO, STALENESS] {
        tokio::time::sleep(pause).await;
        let report = stage.complete(json!({})).await?;
        assert_figures(&report, &[("listed", 30), ("unchanged", 30)]);
        assert!(stage.table().await? == before);
    }
    Ok(())
}
