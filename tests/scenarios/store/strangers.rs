//! A schema that is bound to another project, or to none, takes nothing.

use anyhow::Result;
use shared::store::StoreError::{self, NotProvisioned, NotThisProject};
use shared::store::{Authority, Foreign, Origin, ProjectStore};
use shared::time::At;

use super::{Bench, SECOND, THEN, hints, named, options, user};

/// Everything that writes users or rejections, by a store that must not.
async fn check(bench: &Bench, store: &ProjectStore) -> Result<()> {
    let at = At::from_micros(THEN);
    let profile = named("u", "Eve");
    let stranger = named("nobody", "Eve");
    let later = At::from_micros(THEN + 3600 * SECOND);
    let ids = [user("u"), user("nobody")];
    let looks = store.look(&ids).await?;
    let refusals: Vec<Result<(), StoreError>> = vec![
        store
            .join(&[(&profile, later)], Origin::Delivery)
            .await
            .map(|_| ()),
        store
            .join(&[(&stranger, at)], Origin::Listing)
            .await
            .map(|_| ()),
        store.gone(&user("u"), at).await.map(|_| ()),
        store.gone(&user("nobody"), at).await.map(|_| ()),
        store
            .settle_present(&looks[0], &profile, options(true, true))
            .await
            .map(|_| ()),
        store
            .settle_present(&looks[1], &stranger, options(true, true))
            .await
            .map(|_| ()),
        store
            .reject_delivery("event", "reason", b"body", None)
            .await,
        store
            .reject_listed("nobody 1", "reason", b"body", None)
            .await,
    ];
    for (number, refusal) in refusals.into_iter().enumerate() {
        assert_eq!(refusal, Err(NotThisProject), "{number}");
    }
    let gone = store.settle_gone(&looks, Authority::Delivery);
    assert!(gone.await?.is_empty());
    let counts = bench
        .ask(
            "SELECT (SELECT count(*) FROM neon_identity.users_sync) || ' '
                || (SELECT count(*) FROM neon_identity.rejections)",
        )
        .await?;
    assert_eq!(counts, "1 0");
    Ok(())
}

#[tokio::test]
async fn another_projects_store_writes_nothing() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    bench.join(&named("u", "Ada"), THEN, true).await?;
    let row = bench.existing("u").await?;
    let mut other_project = hints();
    other_project.project = Some("project-2".to_owned());
    let mut other_provider = hints();
    other_provider.name = "other";
    for facts in [other_project, other_provider] {
        let store = bench.another(&facts)?;
        check(&bench, &store).await?;
        let foreign = Foreign {
            bound: "fake project project-1".to_owned(),
            asked: format!("{} project {}", facts.name, store.project().name()),
            known_by_key: false,
        };
        let foreign = Err(StoreError::Foreign(foreign));
        let (run, permitted) = store.open_run(false, None, Some(store.project())).await?;
        assert_eq!(permitted, foreign);
        assert!(run > 0);
        assert_eq!(store.bind().await, foreign);
    }
    assert_eq!(bench.existing("u").await?, row);
    Ok(())
}

#[tokio::test]
async fn an_unbound_schema_takes_nothing() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    bench.join(&named("u", "Ada"), THEN, true).await?;
    bench.run("DELETE FROM neon_identity.connection").await?;
    check(&bench, &bench.store).await?;
    let (_, permitted) = bench
        .store
        .open_run(false, None, Some(bench.store.project()))
        .await?;
    assert_eq!(permitted, Err(NotProvisioned));

    bench.store.bind().await?;
    bench.store.bind().await?;
    assert_eq!(
        bench
            .store
            .open_run(false, None, Some(bench.store.project()))
            .await?
            .1,
        Ok(())
    );
    Ok(())
}

#[tokio::test]
async fn a_bind_that_waited_for_another_says_whose_the_schema_is() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    for project in ["project-1", "project-2"] {
        bench.run("DELETE FROM neon_identity.connection").await?;
        let mut other = tests::postgres::connect(bench.database.admin_url()).await?;
        let binding = other.transaction().await?;
        binding
            .execute(
                "INSERT INTO neon_identity.connection (provider, project) VALUES ('fake', $1)",
                &[&project],
            )
            .await?;
        let commit = async {
            bench.wait_for_a_lock().await.expect("the bind waits");
            binding.commit().await.expect("commit");
        };
        let (bound, ()) = tokio::join!(bench.store.bind(), commit);
        match project {
            "project-1" => assert_eq!(bound, Ok(())),
            _ => assert!(matches!(bound, Err(StoreError::Foreign(_))), "{bound:?}"),
        }
    }
    Ok(())
}

#[tokio::test]
async fn without_the_schema_the_message_says_what_to_run() -> Result<()> {
    let bench = Bench::new(hints()).await?;
    let login = bench.database.login("stranger").await?;
    let without_rights = super::store(&login, &hints())?;
    let now = without_rights.now().await;
    assert!(now.is_ok(), "{now:?}");
    assert_eq!(without_rights.live_count().await, Err(NotProvisioned));
    bench.run("DROP SCHEMA neon_identity CASCADE").await?;
    assert_eq!(bench.store.live_count().await, Err(NotProvisioned));
    let error = NotProvisioned.to_string();
    assert!(error.contains("run provision"), "{error}");
    Ok(())
}
