//! Plays a schedule: first everything that is to go wrong, then calm, then one complete reconcile.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;
use tests::providers;
use tests::sender::{Outcome, Schedule as Retries, Signing};
use tests::simulator::{Message, RateLimit, World};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::book::Book;
use crate::fleet::{Ended, Fleet};
use crate::ground::{Ground, awake};
use crate::provider::Provider;
use crate::schedule::{Invocation, Post, Rotation, Schedule, Site, Step, What, When, fault_name};
use crate::verdict;
use crate::wire::Treatment;

/// How long all that is under way may take to end once nothing goes wrong any more.
/// One instance may have dozens of deliveries ahead of it, each of which waits for replicas.
const CALM: Duration = Duration::from_secs(300);

/// Senders' patience is days; deliveries are tried again this many times sooner.
const FASTER: f64 = 4_000.0;

/// The findings.
pub(crate) struct Played {
    pub(crate) book: Arc<Book>,
    /// The problems; empty if there are none.
    pub(crate) problems: Vec<String>,
}

/// A schedule that is being played. Everything under way holds it.
struct Play {
    world: World,
    fleet: Fleet,
    book: Arc<Book>,
    provider: String,
    signing: Mutex<Arc<dyn Signing>>,
    retries: Retries,
    /// Nothing goes wrong any more.
    calm: AtomicBool,
    /// The tasks under way.
    tasks: Mutex<JoinSet<()>>,
}

/// Plays it on this ground.
pub(crate) async fn play(
    schedule: &Schedule,
    provider: &Provider,
    ground: &mut Ground,
) -> Result<Played> {
    ground.reset(schedule).await.context("begin anew")?;
    let play = Play::new(schedule, ground)?;
    ground.wire.set_jitter(schedule.jitter_ms);
    if let Some((lag, share)) = schedule.lag {
        play.world
            .switch(|switches| (switches.lag_ms, switches.lag_share) = (lag, share));
    }
    for step in &schedule.steps {
        play.step(step, schedule, ground)
            .await
            .with_context(|| format!("{step}"))?;
    }
    let aftermath = Duration::from_millis(schedule.aftermath_ms);
    if let Ok(ended) = timeout(aftermath, play.under_way()).await {
        ended?;
    }
    let mut problems = Vec::new();
    if let Err(problem) = play.be_calm(ground).await {
        problems.push(format!("{problem:#}"));
    }
    let as_assumed = !schedule.lags_too_long();
    if as_assumed {
        problems.extend(verdict::before_reconcile(ground, &play.book).await?);
    }
    if let Err(problem) = play.reconcile(schedule, ground).await {
        problems.push(format!("{problem:#}"));
    }
    let after = verdict::after_reconcile(ground, &play.book, provider, as_assumed);
    problems.extend(after.await?);
    for request in play.world.requests() {
        if let Some(fault) = request.fault {
            play.book.count(fault_name(&fault));
        }
    }
    Ok(Played {
        book: play.book.clone(),
        problems,
    })
}

impl Play {
    fn new(schedule: &Schedule, ground: &Ground) -> Result<Arc<Self>> {
        let world = ground.stage.simulator.world();
        let [(_, secret_file)] = ground.stage.environment();
        let sending = ground.stage.sending("")?;
        let known = world.truth().map(|user| user.id).collect();
        Ok(Arc::new(Self {
            fleet: Fleet::new(
                secret_file,
                schedule.site == Site::Binaries,
                &schedule.clocks,
            )?,
            book: Arc::new(Book::new(known)),
            provider: schedule.provider.clone(),
            signing: Mutex::new(sending.signing),
            retries: match ground.stage.secret()["signing_secrets"].is_array() {
                true => sending.schedule.faster(FASTER),
                // Auth0's four attempts take seconds as they are.
                false => sending.schedule.faster(4.0),
            },
            calm: AtomicBool::new(false),
            tasks: Mutex::default(),
            world,
        }))
    }

    async fn step(
        self: &Arc<Self>,
        step: &Step,
        schedule: &Schedule,
        ground: &Ground,
    ) -> Result<()> {
        match step.when {
            When::Then(millis) => {
                sleep(Duration::from_millis(millis)).await;
                self.act(&step.what, schedule, ground).await
            }
            When::AtRequest(moment, call, skip) => {
                // The provider, and the wire, outlive the play.
                let (play, what) = (Arc::downgrade(self), step.what.clone());
                self.world.once(moment, call, skip, move |_| {
                    if let Some(play) = play.upgrade() {
                        play.act_at_once(&what);
                    }
                });
                Ok(())
            }
            When::AtPacket(direction, skip) => {
                let (play, what) = (Arc::downgrade(self), step.what.clone());
                ground
                    .wire
                    .once(direction, skip, move || match play.upgrade() {
                        Some(play) => play.act_at_once(&what),
                        None => Treatment::Pass,
                    });
                Ok(())
            }
        }
    }

    /// Does a step that can be done in the middle of another; any other is left out.
    fn act_at_once(self: &Arc<Self>, what: &What) -> Treatment {
        if self.calm.load(Ordering::SeqCst) {
            return Treatment::Pass;
        }
        let mut treatment = Treatment::Pass;
        match what {
            What::Change(whom, happening, post) => {
                let messages = self.book.change(&self.world, *whom, *happening);
                self.post(messages, post);
            }
            What::KillWebhook(which) => self.fleet.kill_webhook(*which),
            What::KillRuns => self.fleet.kill_runs(),
            What::Trouble(trouble) => self.world.add_trouble(trouble.clone()),
            What::Limit(per_second) => self.limit(*per_second),
            What::Cut => treatment = Treatment::Cut,
            What::Stall(millis) => treatment = Treatment::Stall(Duration::from_millis(*millis)),
            What::Lag(millis) => self
                .world
                .switch(|switches| (switches.lag_ms, switches.lag_share) = (*millis, 1.0)),
            What::Run(_)
            | What::Terminate
            | What::Restart(..)
            | What::Rotate(_)
            | What::Lock(..)
            | What::Refuse(..) => {
                return Treatment::Pass;
            }
        }
        self.book.count(what.name());
        self.book.write(format!("{what:?}"));
        treatment
    }

    async fn act(
        self: &Arc<Self>,
        what: &What,
        schedule: &Schedule,
        ground: &Ground,
    ) -> Result<()> {
        match what {
            What::Run(invocation) => {
                if let Some(page) = schedule.page {
                    // Fails while Postgres is away.
                    drop(ground.set_page(page).await);
                }
                self.book.count(what.name());
                let (play, invocation) = (self.clone(), invocation.clone());
                self.spawn(async move {
                    play.run(&invocation).await;
                });
            }
            What::Terminate => {
                self.book.count(what.name());
                self.book.write("all connections are terminated");
                let database = ground.stage.database.name();
                ground.server.terminate_backends(database).await?;
            }
            What::Restart(mode, millis) => {
                self.book.count(what.name());
                self.book.write(format!("Postgres is stopped: {mode:?}"));
                ground.server.stop(*mode).await?;
                sleep(Duration::from_millis(*millis)).await;
                ground.server.start_again().await?;
                self.book.write("Postgres is there again");
            }
            What::Lock(place, millis) => {
                self.book.count(what.name());
                self.book.write(format!("{what:?}"));
                self.lock(*place, Duration::from_millis(*millis), ground)
                    .await;
            }
            What::Refuse(place, millis) => {
                self.book.count(what.name());
                self.book.write(format!("{what:?}"));
                self.refuse(*place, Duration::from_millis(*millis), ground)
                    .await;
            }
            What::Rotate(rotation) => {
                self.book.count(what.name());
                self.book.write(format!("{what:?}"));
                self.rotate(*rotation, ground).await?;
            }
            what => {
                self.act_at_once(what);
            }
        }
        Ok(())
    }

    /// Locks a row as an application's own transaction does, unless Postgres is away.
    async fn lock(&self, place: i64, time: Duration, ground: &Ground) {
        let Ok(client) = ground.stage.database.connect().await else {
            return;
        };
        self.spawn(async move {
            let lock = format!(
                "BEGIN;
                SELECT FROM neon_identity.users_sync WHERE id = (
                  SELECT id FROM neon_identity.users_sync ORDER BY id
                  OFFSET (SELECT {place} % greatest(count(*), 1) FROM neon_identity.users_sync)
                  LIMIT 1
                ) FOR UPDATE"
            );
            if client.batch_execute(&lock).await.is_ok() {
                sleep(time).await;
            }
            drop(client.batch_execute("ROLLBACK").await);
        });
    }

    /// Has the application's trigger refuse a user for a while, unless Postgres is away.
    async fn refuse(&self, place: i64, time: Duration, ground: &Ground) {
        let Ok(client) = ground.stage.database.connect().await else {
            return;
        };
        self.spawn(async move {
            let refuse = format!(
                "INSERT INTO torture.refusals (id)
                SELECT id FROM neon_identity.users_sync ORDER BY id
                OFFSET (SELECT {place} % greatest(count(*), 1) FROM neon_identity.users_sync)
                LIMIT 1
                ON CONFLICT (id) DO UPDATE SET active = true"
            );
            if client.batch_execute(&refuse).await.is_ok() {
                sleep(time).await;
            }
            drop(client.batch_execute(TAKE_ALL).await);
        });
    }

    fn limit(&self, per_second: usize) {
        let limit = RateLimit {
            per_second,
            retry_after: true,
        };
        self.world
            .switch(|switches| switches.rate_limit = Some(limit));
    }

    async fn rotate(&self, rotation: Rotation, ground: &Ground) -> Result<()> {
        let stage = &ground.stage;
        if rotation == Rotation::Password {
            let password = tests::tools::random_name("password");
            ground.set_password(&password).await?;
            return stage.change_secret(|secret| {
                let url = secret["database_url"].as_str().unwrap_or_default();
                let (before, after) = url.split_once('@').unwrap_or((url, ""));
                let (user, _) = before.rsplit_once(':').unwrap_or((before, ""));
                secret["database_url"] = json!(format!("{user}:{password}@{after}"));
            });
        }
        if rotation == Rotation::Key {
            let Some(field) = Provider::named(&self.provider)?.key_field else {
                return Ok(());
            };
            let own = ground.own_key(field);
            let new = format!("{own}{}", tests::tools::random_name(""));
            self.world.rotate_key(&own, &new);
            return stage.change_secret(|secret| secret["provider"][field] = json!(new));
        }
        let vendor = (providers::named(&self.provider)?.project)();
        let another = vendor.signing_secret(&mut fastrand::Rng::new());
        let another = another.unwrap_or_else(|| tests::tools::random_name("token"));
        stage.change_secret(|secret| {
            if secret["signing_secrets"].is_array() {
                let known = secret["signing_secrets"][0].take();
                secret["signing_secrets"] = match rotation {
                    Rotation::SigningGently => json!([another, known]),
                    _ => json!([another]),
                };
            } else {
                secret["provider"]["webhook_token"] = json!(another);
            }
        })?;
        *self.signing.lock().unwrap_or_else(PoisonError::into_inner) = stage.sending("")?.signing;
        Ok(())
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.spawn(task);
    }

    /// Has messages delivered.
    fn post(self: &Arc<Self>, messages: Vec<Message>, post: &Post) {
        for message in messages {
            if post.copies.is_empty() {
                self.book.count("messages lost");
                self.book.write(format!("{} is lost", message.id));
            }
            if post.copies.len() > 1 {
                self.book.count("messages doubled");
            }
            for (copy, delay) in post.copies.iter().enumerate() {
                let (play, message, post) = (self.clone(), message.clone(), post.clone());
                let delay = Duration::from_millis(*delay);
                self.spawn(async move {
                    sleep(delay).await;
                    play.deliver(&message, &post, copy).await;
                });
            }
        }
    }

    /// One copy of a message, again and again.
    async fn deliver(&self, message: &Message, post: &Post, copy: usize) {
        for attempt in 1.. {
            let Some(wait) = self.retries.wait(attempt, None) else {
                self.book.count("messages given up");
                self.book.write(format!("{} is given up", message.id));
                return;
            };
            sleep(wait).await;
            let first = attempt == 1 && copy == 0;
            let killed_after = post.killed_after.filter(|_| first).map(millis);
            let limit = match first {
                true => Duration::from_millis(post.limit),
                false => Duration::from_secs(12),
            };
            let which = post.instance + copy + attempt as usize - 1;
            let signing = {
                let signing = self.signing.lock().unwrap_or_else(PoisonError::into_inner);
                signing.clone()
            };
            let headers = signing.headers(message, std::time::SystemTime::now());
            let delivery = (&headers, &message.body[..]);
            let status = self
                .fleet
                .deliver(which, delivery, limit, killed_after)
                .await;
            let outcome = match status {
                Some(status) => Outcome::Answered(status.as_u16()),
                None => Outcome::Failed("killed".to_owned()),
            };
            self.book
                .write(format!("{} {}: {outcome:?}", message.id, message.kind));
            self.book.count(&match &outcome {
                Outcome::Answered(status) => format!("deliveries answered {status}"),
                _ => "deliveries that died".to_owned(),
            });
            // 202 says that it is kept as rejected.
            if matches!(outcome, Outcome::Answered(200)) {
                return self.book.acknowledged(message);
            }
            if matches!(outcome, Outcome::Answered(202)) {
                return self.book.count("messages kept as rejected");
            }
            if self.retries.ends_with(&outcome) {
                return self.book.count("messages given up");
            }
        }
    }

    async fn run(&self, invocation: &Invocation) -> Ended {
        let limit = Duration::from_millis(invocation.limit);
        let killed_after = invocation.killed_after.map(millis);
        self.book
            .write(format!("reconcile {} begins", invocation.event));
        let ended = self.fleet.run(&invocation.event, limit, killed_after).await;
        self.book.write(format!("reconcile: {ended:?}"));
        self.book.count(&match &ended {
            Ended::Reported(report) => {
                format!("runs: {}", report["outcome"].as_str().unwrap_or("?"))
            }
            Ended::Failed(_) => "runs: failed".to_owned(),
            Ended::Killed => "runs: died".to_owned(),
        });
        self.book.ended(ended.clone());
        ended
    }

    /// Waits until nothing is under way.
    async fn under_way(&self) -> Result<()> {
        loop {
            let ended = poll_fn(|context| {
                let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
                tasks.poll_join_next(context)
            });
            match ended.await {
                None => return Ok(()),
                Some(ended) => ended.context("a task of the schedule")?,
            }
        }
    }

    /// Nothing goes wrong any more, and all that is under way comes to its end.
    async fn be_calm(&self, ground: &Ground) -> Result<()> {
        self.calm.store(true, Ordering::SeqCst);
        // With the troubles, every lag ends: what a listing shows late, no run could know.
        self.world.clear_troubles();
        ground.wire.clear();
        awake(&ground.stage).await?;
        timeout(CALM, self.under_way())
            .await
            .context("what was under way does not end")??;
        ground.stage.execute(TAKE_ALL).await?;
        ground.wire.quiet().await;
        idle(ground).await
    }

    /// A run that died gives its lease up by time, which here passes at once.
    async fn expire_lease(&self, ground: &Ground) -> Result<()> {
        let expire = "UPDATE neon_identity.walk SET lease_until = clock_timestamp()
            WHERE lease_until IS NOT NULL";
        ground.stage.execute(expire).await
    }

    /// One complete reconcile, as its operator would have it. A walk that goes on where another
    /// run left it doesn't go back to users that one has met, so it is not the one.
    async fn reconcile(&self, schedule: &Schedule, ground: &Ground) -> Result<()> {
        self.expire_lease(ground).await?;
        if let Some(page) = schedule.page {
            ground.set_page(page).await?;
        }
        let mut invocation = Invocation {
            event: json!({}),
            limit: 60_000,
            killed_after: None,
        };
        for _ in 0..10 {
            let sql = "SELECT position IS NULL FROM neon_identity.walk";
            let anew: bool = ground.stage.query(sql, &[]).await?[0].get(0);
            match self.run(&invocation).await {
                Ended::Reported(report) => match report["outcome"].as_str() {
                    Some("complete") if anew => return Ok(()),
                    Some("complete") => {}
                    // An operator looks, and says so.
                    Some("held") => invocation.event = json!({"max_deletes": 1_000_000}),
                    Some("partial") => {}
                    // A dead run had still asked for the lease, and has got it after all.
                    Some("busy") => self.expire_lease(ground).await?,
                    outcome => bail!("a run in calm ended as {outcome:?}"),
                },
                Ended::Failed(message) => bail!("a run in calm failed: {message}"),
                Ended::Killed => bail!("a run in calm died"),
            }
        }
        bail!("no run in calm was complete")
    }
}

/// The application's trigger refuses nobody any more.
const TAKE_ALL: &str = "UPDATE torture.refusals SET active = false WHERE active";

/// Waits until Postgres does nothing any more that functions had asked for.
async fn idle(ground: &Ground) -> Result<()> {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND application_name = 'users-sync' AND state <> 'idle'";
    for _ in 0..2_000 {
        let rows = ground.stage.query(sql, &[]).await?;
        if rows[0].get::<_, i64>(0) == 0 {
            return Ok(());
        }
        sleep(Duration::from_millis(5)).await;
    }
    bail!("Postgres does not come to rest")
}

fn millis(millis: f64) -> Duration {
    Duration::from_secs_f64(millis / 1_000.0)
}
