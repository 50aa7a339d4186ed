//! What holds for every provider, with the real binaries: one set of facts, run against each
//! simulated provider. What only one of them does is in a file of its own beside this one.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use tests::function::Function;
use tests::postgres::Postgres;
use tests::runtime_api::FunctionError;
use tests::seeds::random;
use tests::sender::Sender;
use tests::simulator::{Call, Fault, Message, Moment, Simulator, Trouble};
use tests::stage::{Setup, Stage};

use crate::delivery::client;

mod answers;

use answers::{
    a_key_whose_refusal_had_no_words_is_read_again, a_long_rate_limit_is_reported_with_its_end,
    a_refused_key_is_one_whatever_the_body_is, the_providers_own_trouble_is_shown_by_its_code,
};

/// A stage of one provider, and an instance of each function that follows it.
pub(super) struct Site {
    pub(super) stage: Stage,
    pub(super) webhook: Function,
    pub(super) reconcile: Function,
    pub(super) sender: Sender,
}

impl Site {
    pub(super) async fn of(setup: Setup) -> Result<Self> {
        let stage = Stage::on(Postgres::shared().await?, setup).await?;
        let webhook = stage.webhook().await?;
        Ok(Self {
            sender: Sender::new(stage.sending(webhook.url())?)?,
            reconcile: stage.reconcile().await?,
            webhook,
            stage,
        })
    }

    pub(super) fn simulator(&self) -> &Simulator {
        &self.stage.simulator
    }

    /// The status that one delivery of a message is answered with.
    pub(super) async fn deliver(&self, message: &Message) -> Result<u16> {
        self.sender.deliver_once(message).await
    }

    /// Delivers a message that is to be taken.
    pub(super) async fn taken(&self, message: &Message) -> Result<()> {
        let status = self.deliver(message).await?;
        let logs = self.webhook.logs().context("read the log")?;
        ensure!(status == 200, "{}: {status}\n{logs}", message.kind);
        Ok(())
    }

    /// Delivers all that the provider has to tell, in order, each once.
    pub(super) async fn deliver_all(&self) -> Result<()> {
        for message in self.simulator().take_messages() {
            self.taken(&message).await?;
        }
        Ok(())
    }

    /// Runs `reconcile` in the time that Lambda gives.
    pub(super) async fn run(&self, event: Value) -> Result<Value, FunctionError> {
        let limit = Duration::from_secs(900);
        self.reconcile.invoke_with_deadline(event, limit).await
    }

    /// Runs `reconcile` to its end.
    pub(super) async fn complete(&self, event: Value) -> Result<Value> {
        let report = self.run(event).await;
        let report = report.with_context(|| self.reconcile.logs().unwrap_or_default())?;
        ensure!(report["outcome"] == "complete", "{report}");
        Ok(report)
    }

    /// Runs `reconcile`, which is to fail; what it says.
    pub(super) async fn failed(&self, event: Value) -> Result<String> {
        let error = self.run(event).await.err().context("it did not fail")?;
        ensure!(error.error_type == "Failed", "{error}");
        Ok(error.error_message)
    }

    /// The field of the secret that holds the provider's key.
    pub(super) fn key(&self) -> Result<&'static str> {
        let keys = [
            "secret_server_key",
            "secret_key",
            "api_key",
            "client_secret",
            "service_role_key",
        ];
        let secret = self.stage.secret();
        keys.into_iter()
            .find(|key| secret["provider"][key].is_string())
            .context("no key")
    }

    /// Nobody is shown as deleted, and so many as living.
    pub(super) async fn assert_all_live(&self, users: usize) -> Result<()> {
        let table = self.stage.table().await?;
        ensure!(table.iter().all(|row| row.lives()), "somebody is deleted");
        ensure!(table.len() == users, "{} rows", table.len());
        Ok(())
    }
}

/// One test of each fact for each provider that is simulated.
macro_rules! for_each_provider {
    ($($fact:ident)*) => {
        for_each_provider! { @ [$($fact)*] stack hexclave clerk workos auth0 supabase }
    };
    (@ $facts:tt $($provider:ident)*) => {
        $(for_each_provider! { % $provider $facts })*

        #[test]
        fn no_provider_is_left_out() {
            let simulated = tests::simulator::VENDORS.iter().map(|(name, _)| *name);
            let simulated: BTreeSet<_> = simulated.collect();
            assert_eq!(simulated, BTreeSet::from([$(stringify!($provider)),*]));
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
    a_users_life_arrives
    a_late_update_does_not_resurrect
    a_deletion_may_arrive_before_the_creation
    an_unproven_delivery_is_refused
    a_signed_body_that_is_no_user_is_kept_once
    while_the_provider_is_in_trouble_nothing_is_kept_and_a_retry_applies
    while_the_provider_is_in_trouble_a_run_fails_and_a_later_one_does_not
    users_who_are_there_are_taken_in_and_a_second_run_writes_nothing
    a_run_after_deliveries_writes_nothing
    a_run_repairs_what_deliveries_did_not_tell
    missing_users_are_read_by_id_and_live_if_the_provider_says_so
    more_missing_users_than_permitted_are_held
    a_404_that_is_not_the_providers_own_tombstones_nobody
    a_wrong_key_fails_with_advice_and_a_corrected_one_is_taken_in
    a_refused_key_is_one_whatever_the_body_is
    a_key_whose_refusal_had_no_words_is_read_again
    the_providers_own_trouble_is_shown_by_its_code
    a_long_rate_limit_is_reported_with_its_end
    a_user_that_cannot_be_stored_stops_nobody
    users_may_come_and_go_at_every_page
    paging_that_has_changed_fails_a_run_by_name_in_seconds
    a_smaller_page_than_was_asked_for_ends_no_walk_early
    a_listing_of_another_form_fails_a_run_by_name_in_seconds
}

async fn a_users_life_arrives(setup: Setup) -> Result<()> {
    let site = Site::of(setup).await?;
    let (stage, simulator) = (&site.stage, site.simulator());
    let id = simulator.create("Ada Lovelace", "ada@example.com")?;
    site.deliver_all().await?;
    stage.assert_in_sync().await?;
    let row = stage.the_row(&id).await?;
    assert_eq!(row.name.as_deref(), Some("Ada Lovelace"));
    assert_eq!(row.email.as_deref(), Some("ada@example.com"));
    assert!(row.created_at.is_some() && row.updated_at.is_some() && row.lives());

    simulator.rename(&id, "Ada King")?;
    site.deliver_all().await?;
    stage.assert_in_sync().await?;
    let renamed = stage.the_row(&id).await?;
    assert_eq!(renamed.name.as_deref(), Some("Ada King"));
    assert!(renamed.updated_at > row.updated_at);

    simulator.delete(&id)?;
    site.deliver_all().await?;
    stage.assert_in_sync().await?;
    let deleted = stage.the_row(&id).await?;
    assert!(deleted.deleted_at >= renamed.updated_at);
    assert_eq!(deleted.raw_json, renamed.raw_json);
    assert_eq!(deleted.updated_at, renamed.updated_at);

    let logs = site.webhook.logs()?;
    for word in ["Ada", "example.com", &id] {
        assert!(!logs.contains(word), "the log says {word}:\n{logs}");
    }
    Ok(())
}

async fn a_late_update_does_not_resurrect(setup: Setup) -> Result<()> {
    let site = Site::of(setup).await?;
    let (stage, simulator) = (&site.stage, site.simulator());
    let id = simulator.create("Ada", "ada@example.com")?;
    site.deliver_all().await?;
    simulator.rename(&id, "Ada King")?;
    let update = simulator.take_messages();
    simulator.delete(&id)?;
    site.deliver_all().await?;
    for late in &update {
        site.taken(late).await?;
        site.taken(late).await?;
    }
    assert!(!stage.the_row(&id).await?.lives());
    stage.assert_in_sync().await
}

async fn a_deletion_may_arrive_before_the_creation(setup: Setup) -> Result<()> {
    let site = Site::of(setup).await?;
    let (stage, simulator) = (&site.stage, site.simulator());
    let id = simulator.create("Ada", "ada@example.com")?;
    simulator.delete(&id)?;
    for message in simulator.take_messages().iter().rev() {
        site.taken(message).await?;
        assert!(!stage.the_row(&id).await?.lives());
    }
    stage.assert_in_sync().await
}

/// Each header that is proof has to be there, and as it was.
async fn an_unproven_delivery_is_refused(setup: Setup) -> Result<()> {
    let site = Site::of(setup).await?;
    site.simulator().create("Ada", "ada@example.com")?;
    let mut messages = site.simulator().take_messages();
    let message = messages.remove(0);
    let client = client()?;
    let send = async |headers: HeaderMap| -> Result<u16> {
        let request = client.post(site.webhook.url()).headers(headers);
        let answer = request.body(message.body.clone()).send().await?;
        Ok(answer.status().as_u16())
    };
    let signed = site.sender.sign(&message, std::time::SystemTime::now());
    let proof: Vec<_> = signed
        .keys()
        .filter(|name| !["content-type", "user-agent"].contains(&name.as_str()))
        .collect();
    assert!(!proof.is_empty());
    for name in proof {
        let value = signed[name].to_str()?;
        let (half, rest) = value.split_at(value.len() / 2);
        let other = if rest.starts_with('7') { '8' } else { '7' };
        for wrong in [
            None,
            Some(String::new()),
            Some(half.to_owned()),
            Some(format!("{half}{other}{}", &rest[1..])),
            Some("Basic dXNlcjpwYXNz".to_owned()),
        ] {
            let mut headers = signed.clone();
            headers.remove(name);
            if let Some(wrong) = &wrong {
                headers.insert(name, HeaderValue::from_str(wrong)?);
            }
            assert_eq!(send(headers).await?, 401, "{name}: {wrong:?}");
        }
    }
    assert!(site.stage.table().await?.is_empty());
    assert!(site.stage.rejections().await?.is_empty());
    assert_eq!(send(signed).await?, 200);
    for message in messages {
        site.taken(&message).await?;
    }
    site.stage.assert_in_sync().await
}

async fn a_signed_body_that_is_no_user_is_kept_once(setup: Setup) -> Result<()> {
    let site = Site::of(setup).await?;
    // What is kept is not a failure where nobody would send it again.
    let kept = match site.stage.secret()["signing_secrets"].is_array() {
        true => 400,
        false => 202,
    };
    let bodies = ["ada@example.com is not JSON", "[]", "{", r#"{"type":7}"#];
    for body in bodies {
        let message = site.simulator().tell("user.created", body);
        for _ in 0..2 {
            assert_eq!(site.deliver(&message).await?, kept, "{body}");
        }
    }
    let rejections = site.stage.rejections().await?;
    assert_eq!(rejections.len(), bodies.len(), "{rejections:?}");
    for rejection in &rejections {
        assert_eq!(rejection["source"], "delivery");
        let reason = rejection["reason"].as_str().unwrap_or_default();
        assert!(!reason.is_empty() && !reason.contains("example.com"));
    }
    assert!(site.stage.table().await?.is_empty());
    Ok(())
}

/// A hint can't be followed then; a statement needs nobody to confirm it.
async fn while_the_provider_is_in_trouble_nothing_is_kept_and_a_retry_applies(
    setup: Setup,
) -> Result<()> {
    let site = Site::of(setup).await?;
    let simulator = site.simulator();
    simulator.create("Bob", "bob@example.com")?;
    site.deliver_all().await?;
    let hints = simulator.count(Call::Read) > 0;
    let id = simulator.create("Ada", "ada@example.com")?;
    let mut messages = simulator.take_messages();
    // Stack Auth makes a team first, of which nothing is to be known.
    messages.retain(|message| !message.kind.starts_with("team"));
    for fault in [
        Fault::Status(500),
        Fault::Html(502),
        Fault::Html(404),
        Fault::Dropped,
        Fault::TooManyRequests {
            retry_after: Some(600),
        },
    ] {
        simulator.add_trouble(Trouble::every(fault.clone()));
        let status = site.deliver(&messages[0]).await?;
        assert_eq!(status, if hints { 503 } else { 200 }, "{fault:?}");
        assert_eq!(site.stage.row(&id).await?.is_none(), hints, "{fault:?}");
        simulator.clear_troubles();
    }
    assert!(site.stage.rejections().await?.is_empty());
    for message in &messages {
        site.taken(message).await?;
    }
    site.stage.assert_in_sync().await
}

async fn while_the_provider_is_in_trouble_a_run_fails_and_a_later_one_does_not(
    setup: Setup,
) -> Result<()> {
    let site = Site::of(setup).await?;
    let simulator = site.simulator();
    simulator.seed(20);
    site.complete(json!({})).await?;
    let gone = simulator.truth().next().context("nobody")?.id;
    simulator.delete(&gone)?;
    for fault in [Fault::Truncated, Fault::Html(200), Fault::Status(403)] {
        simulator.add_trouble(Trouble::every(fault).on(Call::List));
        let limit = Duration::from_secs(20);
        let report = site.reconcile.invoke_with_deadline(json!({}), limit).await;
        let failed = matches!(&report, Err(error) if error.error_type == "Failed");
        let partial = matches!(&report, Ok(report) if report["outcome"] == "partial");
        assert!(failed || partial, "{report:?}");
        site.assert_all_live(20).await?;
        simulator.clear_troubles();
    }
    site.complete(json!({})).await?;
    site.stage.assert_in_sync().await
}

async fn users_who_are_there_are_taken_in_and_a_second_run_writes_nothing(
    setup: Setup,
) -> Result<()> {
    let site = Site::of(setup).await?;
    site.simulator().seed(1_250);
    site.simulator().create("Ada", "ada@example.com")?;
    let report = site.complete(json!({})).await?;
    assert_eq!(
        (&report["listed"], &report["created"]),
        (&json!(1_251), &json!(1_251))
    );
    site.stage.assert_in_sync().await?;
    let before = site.stage.versions().await?;
    let report = site.complete(json!({})).await?;
    assert_eq!(report["unchanged"], 1_251, "{report}");
    assert!(
        site.stage.versions().await? == before,
        "a tuple was written"
    );
    Ok(())
}

/// A listing shows what a read showed, as far as the table goes.
async fn a_run_after_deliveries_writes_nothing(setup: Setup) -> Result<()> {
    let site = Site::of(setup).await?;
    let simulator = site.simulator();
    simulator.seed(5);
    site.complete(json!({})).await?;
    let id = simulator.create("Ada", "ada@example.com")?;
    simulator.link_oauth(&id, "google")?;
    simulator.create_anonymous()?;
    site.deliver_all().await?;
    let before = site.stage.the_row(&id).await?;
    let report = site.complete(json!({})).await?;
    // What is deleted and listed lately may be in doubt, and is then read: nothing comes of it.
    assert_eq!(
        (&report["updated"], &report["created"]),
        (&json!(0), &json!(0)),
        "{report}"
    );
    assert_eq!(site.stage.the_row(&id).await?.raw_json, before.raw_json);
    site.stage.assert_in_sync().await
}

async fn a_run_repairs_what_deliveries_did_not_tell(setup: Setup) -> Result<()> {
    let site = Site::of(setup).await?;
    let simulator = site.simulator();
    simulator.seed(30);
    site.complete(json!({})).await?;
    let ids: Vec<String> = simulator.truth().map(|user| user.id).collect();
    simulator.create("Ada", "ada@example.com")?;
    simulator.rename(&ids[3], "Somebody Else")?;
    simulator.delete(&ids[4])?;
    simulator.delete(&ids[29])?;
    simulator.take_messages();
    let report = site.complete(json!({})).await?;
    let figures = ["created", "updated", "deleted", "held", "rejected"];
    let figures = figures.map(|figure| report[figure].clone());
    assert_eq!(figures, [1, 1, 2, 0, 0].map(Value::from), "{report}");
    site.stage.assert_in_sync().await
}

async fn missing_users_are_read_by_id_and_live_if_the_provider_says_so(setup: Setup) -> Result<()> {
    let site = Site::of(setup).await?;
    let simulator = site.simulator();
    simulator.seed(12);
    site.complete(json!({})).await?;
    simulator.add_trouble(Trouble::every(Fault::EmptyListing).on(Call::List));
    // By the run's own judgement nobody is to be deleted; nor when a person permits it, because
    // whoever is read is there.
    let held = site.run(json!({})).await.err().context("it was not held")?;
    assert!(
        ["Held", "Failed"].contains(&held.error_type.as_str()),
        "{held}"
    );
    site.assert_all_live(12).await?;
    simulator.clear_requests();
    let permitted = site.run(json!({"max_deletes": 100})).await;
    site.assert_all_live(12).await?;
    let requests = simulator.requests();
    let reads = requests.iter().filter(|request| request.call == Call::Read);
    match permitted {
        Ok(report) => assert_eq!((&report["deleted"], reads.count()), (&json!(0), 12)),
        // Some count their users, and what was listed is too few.
        Err(error) => assert!(error.error_message.contains("counts 12 users"), "{error}"),
    }
    simulator.clear_troubles();
    let gone = simulator.truth().next().context("nobody")?.id;
    simulator.delete(&gone)?;
    assert_eq!(site.complete(json!({})).await?["deleted"], 1);
    site.stage.assert_in_sync().await
}

async fn more_missing_users_than_permitted_are_held(setup: Setup) -> Result<()> {
    let site = Site::of(setup).await?;
    let simulator = site.simulator();
    simulator.seed(60);
    site.complete(json!({})).await?;
    let ids: Vec<String> = simulator.truth().map(|user| user.id).collect();
    for id in &ids[..11] {
        simulator.delete(id)?;
    }
    simulator.rename(&ids[20], "Somebody Else")?;
    let held = site.run(json!({})).await.err().context("it was not held")?;
    assert_eq!(held.error_type, "Held");
    let report: Value = serde_json::from_str(&held.error_message)?;
    assert_eq!(
        (&report["held"], &report["updated"]),
        (&json!(11), &json!(1)),
        "{report}"
    );
    site.assert_all_live(60).await?;
    let report = site.complete(json!({"max_deletes": 11})).await?;
    assert_eq!(report["deleted"], 11, "{report}");
    site.stage.assert_in_sync().await
}

async fn a_404_that_is_not_the_providers_own_tombstones_nobody(setup: Setup) -> Result<()> {
    let site = Site::of(setup).await?;
    let simulator = site.simulator();
    simulator.seed(5);
    site.complete(json!({})).await?;
    let gone = simulator.truth().next().context("nobody")?.id;
    simulator.delete(&gone)?;
    for fault in [Fault::Html(404), Fault::Status(404)] {
        simulator.add_trouble(Trouble::every(fault).on(Call::Read));
        let limit = Duration::from_secs(20);
        let report = site.reconcile.invoke_with_deadline(json!({}), limit).await;
        let complete = matches!(&report, Ok(report) if report["outcome"] == "complete");
        assert!(!complete, "{report:?}");
        site.assert_all_live(5).await?;
        simulator.clear_troubles();
    }
    site.complete(json!({})).await?;
    site.stage.assert_in_sync().await
}

async fn a_wrong_key_fails_with_advice_and_a_corrected_one_is_taken_in(setup: Setup) -> Result<()> {
    let site = Site::of(setup).await?;
    site.simulator().seed(3);
    let secret = site.stage.secret();
    let key = site.key()?;
    let right = secret["provider"][key].clone();
    let wrong = right
        .as_str()
        .unwrap_or_default()
        .replace("simulated", "emulated");
    assert_ne!(right, wrong.as_str());
    site.stage
        .change_secret(|secret| secret["provider"][key] = json!(wrong))?;
    let advice = {
        // An instance that has known no other key.
        let reconcile = site.stage.reconcile().await?;
        let error = reconcile
            .invoke(json!({}))
            .await
            .err()
            .context("it did not fail")?;
        ensure!(error.error_type == "Failed", "{error}");
        error.error_message
    };
    assert!(advice.contains(&format!("provider.{key}")), "{advice}");
    assert!(
        !advice.contains(&wrong) && !advice.contains("emulated"),
        "{advice}"
    );
    let run = site.stage.runs().await?.pop().context("no run")?;
    assert_eq!(run["outcome"], "failed");
    site.stage
        .change_secret(|secret| secret["provider"][key] = right)?;
    site.complete(json!({})).await?;
    site.stage.assert_in_sync().await
}

async fn a_user_that_cannot_be_stored_stops_nobody(setup: Setup) -> Result<()> {
    let site = Site::of(setup).await?;
    let simulator = site.simulator();
    simulator.seed(40);
    let users: Vec<_> = simulator.truth().collect();
    // One whose id is no text, and one with a number that Postgres can't hold.
    let (odd, huge) = (&users[7], &users[8]);
    simulator.show_profile(
        &odd.id,
        &odd.profile.replace(&format!("\"{}\"", odd.id), "7"),
    )?;
    let profile = huge.profile.replacen('{', r#"{"huge":1e200000,"#, 1);
    simulator.show_profile(&huge.id, &profile)?;
    let report = site.complete(json!({})).await?;
    assert_eq!(
        (&report["created"], &report["rejected"]),
        (&json!(38), &json!(2)),
        "{report}"
    );
    let rejections = site.stage.rejections().await?;
    assert_eq!(rejections.len(), 2, "{rejections:?}");

    // Once they can be stored, they are.
    simulator.rename(&odd.id, "Odd")?;
    simulator.rename(&huge.id, "Huge")?;
    let report = site.complete(json!({})).await?;
    assert_eq!(
        (&report["created"], &report["rejected"]),
        (&json!(2), &json!(0)),
        "{report}"
    );
    site.stage.assert_in_sync().await?;
    let of_huge = rejections
        .iter()
        .position(|rejection| rejection["reason"].to_string().contains("number"));
    let of_huge = of_huge.with_context(|| format!("{rejections:?}"))?;
    assert!(site.stage.rejections().await?[of_huge]["resolved_at"].is_string());
    Ok(())
}

/// Nobody who lives all the while is missed or taken for deleted, and the next run is in sync.
pub(super) async fn users_may_come_and_go_at_every_page(setup: Setup) -> Result<()> {
    let site = Site::of(setup).await?;
    let simulator = site.simulator();
    simulator.seed(2_600);
    let ids: Vec<String> = simulator.truth().map(|user| user.id).collect();
    // At each page some go, of those before it as well as of those behind it.
    for page in 0..4_usize {
        let going: Vec<String> = ids.iter().skip(page * 97).step_by(211).cloned().collect();
        simulator.once(
            Moment::After,
            Call::List,
            u32::try_from(page)?,
            move |world| {
                let mut random = random(&format!("new users of page {page}"));
                for id in going.iter().filter(|id| world.user(id).is_some()) {
                    world.delete(id).expect("a user to delete");
                }
                for _ in 0..20 {
                    world
                        .create("New", &format!("new{}@example.com", random.u64(..)))
                        .expect("a user");
                }
            },
        );
    }
    site.complete(json!({})).await?;
    let table = site.stage.table().await?;
    let rows: std::collections::HashMap<_, _> = table
        .iter()
        .map(|row| (row.id.as_str(), row.lives()))
        .collect();
    let missed: Vec<_> = ids
        .iter()
        .filter(|id| simulator.user(id).is_some() && rows.get(id.as_str()) != Some(&true))
        .collect();
    assert!(
        missed.is_empty(),
        "{} of {} users are missed",
        missed.len(),
        ids.len()
    );
    // The next run may still meet some who go; the one after it does not.
    site.complete(json!({"max_deletes": 1_000})).await?;
    site.complete(json!({"max_deletes": 1_000})).await?;
    site.stage.assert_in_sync().await
}

/// What a listing takes other parameters for, and what a run then says of it.
type Changed = (
    &'static [(&'static str, Option<&'static str>)],
    &'static str,
);

async fn paging_that_has_changed_fails_a_run_by_name_in_seconds(setup: Setup) -> Result<()> {
    let site = Site::of(setup).await?;
    let simulator = site.simulator();
    simulator.seed(1_250);
    let begins = "does not begin with the user that was asked for";
    let newest = "shows the newest first";
    let again = "shows the same users again and again";
    let secret = site.stage.secret();
    let changed: &[Changed] = match secret["provider"]["name"].as_str() {
        Some("stack" | "hexclave") => &[
            (&[("cursor", None)], begins),
            (&[("desc", Some("true"))], newest),
        ],
        Some("clerk") => &[
            (&[("starting_after", None), ("offset", None)], again),
            (&[("order_by", Some("-created_at"))], newest),
        ],
        Some("workos") => &[
            (&[("after", None)], begins),
            (&[("order", Some("desc"))], newest),
        ],
        Some("auth0") => &[
            (&[("q", None)], "does not begin at the moment"),
            (&[("sort", Some("created_at:-1"))], newest),
        ],
        _ => &[
            (&[("page", Some("1"))], again),
            (&[("per_page", Some("50"))], "fewer users a page"),
        ],
    };
    for (forced, words) in changed {
        let forced = forced
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned)));
        simulator.switch(|switches| switches.forced_parameters = forced.collect());
        simulator.clear_requests();
        let begun = std::time::Instant::now();
        let said = site.failed(json!({})).await?;
        let (took, asked) = (begun.elapsed(), simulator.count(Call::List));
        ensure!(said.contains(words), "{said}");
        ensure!(said.contains("paging has changed"), "{said}");
        ensure!(
            asked <= 20 && took < Duration::from_secs(10),
            "{asked} {took:?}"
        );
        let table = site.stage.table().await?;
        ensure!(table.iter().all(|row| row.lives()), "somebody is deleted");
    }
    simulator.clear_troubles();
    site.complete(json!({})).await?;
    site.stage.assert_in_sync().await
}

async fn a_smaller_page_than_was_asked_for_ends_no_walk_early(setup: Setup) -> Result<()> {
    let site = Site::of(setup).await?;
    site.simulator().seed(345);
    let secret = site.stage.secret();
    let name = secret["provider"]["name"].as_str().unwrap_or_default();
    let parameter = match name {
        "auth0" | "supabase" => "per_page",
        _ => "limit",
    };
    let forced = [(parameter.to_owned(), Some("30".to_owned()))];
    site.simulator()
        .switch(|switches| switches.forced_parameters = forced.into());
    if name == "supabase" {
        // Its pages are numbered: with other sizes they are others.
        let said = site.failed(json!({})).await?;
        ensure!(said.contains("fewer users a page"), "{said}");
        return Ok(());
    }
    let report = site.complete(json!({})).await?;
    ensure!(report["created"] == 345, "{report}");
    site.stage.assert_in_sync().await
}

async fn a_listing_of_another_form_fails_a_run_by_name_in_seconds(setup: Setup) -> Result<()> {
    let site = Site::of(setup).await?;
    site.simulator().seed(20);
    for body in [
        r#"{"profiles":[]}"#,
        r#"{"users":7,"items":7,"data":7}"#,
        "7",
    ] {
        site.simulator().clear_requests();
        let fault = Fault::Json(body.to_owned());
        let trouble = Trouble::every(fault).on(Call::List);
        site.simulator().add_trouble(trouble);
        let begun = std::time::Instant::now();
        let said = site.failed(json!({})).await?;
        let (took, asked) = (begun.elapsed(), site.simulator().count(Call::List));
        ensure!(said.contains("is of a form that is not known"), "{said}");
        ensure!(
            asked <= 4 && took < Duration::from_secs(10),
            "{asked} {took:?}"
        );
        site.simulator().clear_troubles();
    }
    site.complete(json!({})).await?;
    site.stage.assert_in_sync().await
}
