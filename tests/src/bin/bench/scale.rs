//! `make scale`: a burst of a million deliveries in an hour, cut down to half a minute of it, with the
//! instances that Lambda would start and the provider's rate limit on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use tests::function::Function;
use tests::simulator::{Message, RateLimit};
use tests::stage::Setup;
use tokio::task::JoinSet;

use crate::deliveries::{Changes, events};
use crate::ground::Ground;

/// A million in an hour.
const A_SECOND: u32 = 278;
/// Lambda gives no more instances than these, as though `WebhookConcurrency` were set.
const MOST_INSTANCES: u32 = 40;
/// `webhook` has as long, in template.yaml.
const LIMIT: Duration = Duration::from_secs(15);
/// The time until the provider shows a user, and from one delivery's answer to Lambda's next.
const PROVIDER_MS: u64 = 50;

pub(crate) async fn measure() -> Result<()> {
    let seconds = std::env::var("SECONDS").unwrap_or_default();
    let seconds = seconds.parse().unwrap_or(30);
    let burst = |provider, reads_a_second, seconds| Burst {
        provider,
        reads_a_second,
        seconds,
    };
    burst("clerk", None, seconds).send().await?;
    burst("stack", None, seconds).send().await?;
    // As many as Clerk lets through in production; Stack Auth publishes no limit.
    burst("stack", Some(100), seconds).send().await?;
    // Auth0's, on its largest plans. Each second of the burst takes 17 to be read.
    burst("auth0", Some(16), seconds.div_ceil(6)).send().await
}

struct Burst {
    provider: &'static str,
    reads_a_second: Option<usize>,
    seconds: u32,
}

/// One delivery, and how it ended.
struct Sent {
    number: usize,
    status: u64,
    took: Duration,
}

impl Burst {
    async fn send(&self) -> Result<()> {
        let limit = match self.reads_a_second {
            Some(reads) => format!("{reads} reads a second"),
            None => "no limit".to_owned(),
        };
        println!(
            "  {}, {limit}: {A_SECOND} deliveries a second for {} s",
            self.provider, self.seconds
        );
        let count = usize::try_from(A_SECOND * self.seconds)?;
        let ground = Ground::of(Setup::named(self.provider)?).await?;
        let messages = Changes::of(&ground, count).await?.take(count)?;
        ground.stage.simulator.switch(|switches| {
            switches.latency_ms = PROVIDER_MS;
            switches.rate_limit = self.reads_a_second.map(|per_second| RateLimit {
                per_second,
                retry_after: true,
            });
        });
        let webhook = Function::spawn("webhook", ground.stage.environment()).await?;
        webhook.ready().await?;
        let instances = Instances::of(webhook);
        let mut sent = instances.send(&ground, &messages, A_SECOND).await?;
        let peak = instances.count();
        let connections = connections(&ground).await?;
        let mut refused = refused(&sent);
        let throttled = sent.iter().filter(|sent| sent.status == 429).count();
        sent.retain(|sent| sent.status == 200);
        sent.sort_by_key(|sent| sent.took);
        let millis = |share: usize| sent[(sent.len() - 1) * share / 100].took.as_millis();
        println!(
            "    {} of {count} taken at once, {throttled} found no instance; {peak} instances, \
             {connections} connections; answered in {} ms (median), {} ms (99 of 100)",
            count - refused.len(),
            millis(50),
            millis(99),
        );
        // The provider sends again what was answered 503 or 429.
        let begun = Instant::now();
        let mut attempts = 1;
        while !refused.is_empty() {
            attempts += 1;
            ensure!(attempts < 50, "{} are never taken", refused.len());
            let again: Vec<Message> = refused
                .iter()
                .map(|number| messages[*number].clone())
                .collect();
            let pace = self
                .reads_a_second
                .map_or(A_SECOND, |reads| reads.try_into().unwrap_or(A_SECOND));
            let sent = instances.send(&ground, &again, pace).await?;
            refused = self::refused(&sent)
                .into_iter()
                .map(|number| refused[number])
                .collect();
        }
        if attempts > 1 {
            println!(
                "    the last one taken after {attempts} attempts, {:.0} s after the burst",
                begun.elapsed().as_secs_f64()
            );
        }
        ground.stage.assert_in_sync_by_digest(97).await
    }
}

impl Sent {
    /// Lambda's own answer, which it gives without asking the function.
    fn throttled(number: usize) -> Self {
        Self {
            number,
            status: 429,
            took: Duration::ZERO,
        }
    }
}

/// Those that were not taken.
fn refused(sent: &[Sent]) -> Vec<usize> {
    let refused = sent.iter().filter(|sent| sent.status != 200);
    let mut numbers: Vec<usize> = refused.map(|sent| sent.number).collect();
    numbers.sort_unstable();
    numbers
}

async fn connections(ground: &Ground) -> Result<i64> {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND backend_type = 'client backend' AND usename <> current_user";
    Ok(ground.client.query_one(sql, &[]).await?.get(0))
}

/// The instances of the function: one more whenever a delivery finds none free, as in Lambda.
struct Instances {
    function: Arc<Function>,
    running: Arc<AtomicU32>,
    count: AtomicU32,
}

impl Instances {
    fn of(function: Function) -> Self {
        Self {
            function: Arc::new(function),
            running: Arc::default(),
            count: AtomicU32::new(1),
        }
    }

    fn count(&self) -> u32 {
        self.count.load(Ordering::SeqCst)
    }

    /// Sends so many a second, whatever becomes of those before.
    async fn send(&self, ground: &Ground, messages: &[Message], pace: u32) -> Result<Vec<Sent>> {
        let (mut deliveries, mut throttled) = (JoinSet::new(), Vec::new());
        let mut due = tokio::time::interval(Duration::from_secs(1) / pace);
        for (number, message) in messages.iter().enumerate() {
            due.tick().await;
            let event = events(ground, std::slice::from_ref(message))?.remove(0);
            if self.finds_room().await? {
                let (function, running) = (self.function.clone(), self.running.clone());
                deliveries.spawn(deliver(function, running, number, event));
            } else {
                throttled.push(Sent::throttled(number));
            }
        }
        let mut sent = throttled;
        while let Some(ended) = deliveries.join_next().await {
            sent.push(ended.context("send")?);
        }
        Ok(sent)
    }

    /// Whether an instance is free for one more delivery, or can be started.
    async fn finds_room(&self) -> Result<bool> {
        let busy = self.running.load(Ordering::SeqCst);
        if busy >= MOST_INSTANCES {
            return Ok(false);
        }
        self.running.fetch_add(1, Ordering::SeqCst);
        if busy >= self.count() {
            self.count.fetch_add(1, Ordering::SeqCst);
            self.function.spawn_instance().await?;
        }
        Ok(true)
    }
}

async fn deliver(
    function: Arc<Function>,
    running: Arc<AtomicU32>,
    number: usize,
    event: Bytes,
) -> Sent {
    let begun = Instant::now();
    let answer = function.invoke_bytes(event, LIMIT).await;
    running.fetch_sub(1, Ordering::SeqCst);
    let status = answer.ok().and_then(|answer| answer["statusCode"].as_u64());
    Sent {
        number,
        status: status.unwrap_or(500),
        took: begun.elapsed(),
    }
}
