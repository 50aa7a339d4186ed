//! Faults between the provider and its client: one-off faults and lasting switches.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::requests::Call;

/// Something that happens to one answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// This status, with a short text for a body; the request has no effect.
    Status(u16),
    /// 429, with `Retry-After` in seconds or without.
    TooManyRequests {
        /// The header's value; none leaves the header out.
        retry_after: Option<u64>,
    },
    /// A proxy's HTML page, with this status; the request has no effect.
    Html(u16),
    /// This JSON, with 200; the request has no effect.
    Json(String),
    /// An answer as a proxy in between gives it, or a server of another
    /// release; the request has no effect.
    Answer {
        /// The status.
        status: u16,
        /// The headers.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
    /// The first half of the right body, as if it were the whole: `Content-Length` agrees.
    Truncated,
    /// The first half of the right body under the whole one's `Content-Length`, then the end of
    /// the connection.
    CutOff,
    /// No answer, ever; the request has no effect.
    Hang,
    /// The right answer, a few bytes at a time.
    Slow {
        /// Bytes at a time.
        bytes: usize,
        /// Milliseconds from one handful to the next.
        every_ms: u64,
    },
    /// The right answer as it was true at once, sent this many milliseconds later.
    Late(u64),
    /// The connection ends without an answer; the request has had its effect.
    Dropped,
    /// A listing without a user and without a next page; of other calls, the right answer.
    EmptyListing,
}

impl Fault {
    /// An answer with no headers of its own.
    pub fn answer(status: u16, body: &str) -> Self {
        Self::Answer {
            status,
            headers: Vec::new(),
            body: body.to_owned(),
        }
    }
}

/// A fault, and which requests meet it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trouble {
    /// The fault.
    pub fault: Fault,
    /// Which calls; none means all.
    #[serde(default)]
    pub on: Option<Call>,
    /// Which paths, by their ends; none means all.
    #[serde(default)]
    pub of: Option<String>,
    /// How many such requests pass unharmed first.
    #[serde(default)]
    pub skip: u32,
    /// How many requests meet it; none means no end.
    #[serde(default)]
    pub times: Option<u32>,
    /// How likely each of them meets it, 0 to 1, drawn from the simulator's seed.
    #[serde(default = "always")]
    pub chance: f64,
}

fn always() -> f64 {
    1.0
}

impl Trouble {
    /// This fault, for every request.
    pub fn every(fault: Fault) -> Self {
        Self {
            fault,
            on: None,
            of: None,
            skip: 0,
            times: None,
            chance: 1.0,
        }
    }

    /// This fault, for the next `times` requests.
    pub fn next(times: u32, fault: Fault) -> Self {
        Self {
            times: Some(times),
            ..Self::every(fault)
        }
    }

    /// Only for this call.
    #[must_use]
    pub fn on(self, call: Call) -> Self {
        Self {
            on: Some(call),
            ..self
        }
    }

    /// Only for paths that end like this.
    #[must_use]
    pub fn of(self, end: &str) -> Self {
        Self {
            of: Some(end.to_owned()),
            ..self
        }
    }

    /// Only after this many requests that would have met it.
    #[must_use]
    pub fn after(self, skip: u32) -> Self {
        Self { skip, ..self }
    }

    /// Only with this likelihood.
    #[must_use]
    pub fn chance(self, chance: f64) -> Self {
        Self { chance, ..self }
    }
}

/// How many requests the provider lets through.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Requests within any second of the provider's clock, or so many times more within as many
    /// seconds as the provider counts over.
    pub per_second: usize,
    /// Whether the refusal says in `Retry-After` when there is room again.
    #[serde(default)]
    pub retry_after: bool,
}

/// How the provider behaves until told otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Switches {
    /// Reads and listings show the state of this many milliseconds ago. Up to ten minutes.
    pub lag_ms: u64,
    /// The share of reads that a lagging replica answers, 0 to 1; the others see the newest state.
    pub lag_share: f64,
    /// How many milliseconds later an event can be seen in the provider's record of events, if it has
    /// one.
    pub record_lag_ms: u64,
    /// Query parameters refused as unknown, as older servers do.
    pub refused_parameters: BTreeSet<String>,
    /// Query parameters that listings take for another value than was asked for, or for none, as
    /// if paging had changed or a proxy stood between.
    pub forced_parameters: BTreeMap<String, Option<String>>,
    /// The rate limit, if there is one.
    pub rate_limit: Option<RateLimit>,
    /// Milliseconds that each request waits before it is looked at.
    pub latency_ms: u64,
    /// Pages of users show the second of these texts wherever users themselves show the first.
    pub listed_as: Option<(String, String)>,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            lag_ms: 0,
            lag_share: 1.0,
            record_lag_ms: 0,
            refused_parameters: BTreeSet::new(),
            forced_parameters: BTreeMap::new(),
            rate_limit: None,
            latency_ms: 0,
            listed_as: None,
        }
    }
}

/// The troubles ahead.
#[derive(Debug, Default)]
pub(super) struct Plan(Vec<Trouble>);

impl Plan {
    pub(super) fn add(&mut self, trouble: Trouble) {
        self.0.push(trouble);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault that this request meets: the first trouble, in the order they were added, that
    /// is due.
    pub(super) fn meet(
        &mut self,
        call: Call,
        path: &str,
        random: &mut fastrand::Rng,
    ) -> Option<Fault> {
        let at = self.0.iter_mut().position(|trouble| {
            let of = trouble.of.as_deref();
            let concerned =
                trouble.on.is_none_or(|on| on == call) && of.is_none_or(|end| path.ends_with(end));
            if !concerned || trouble.times == Some(0) {
                return false;
            }
            if trouble.skip > 0 {
                trouble.skip -= 1;
                return false;
            }
            trouble.chance >= 1.0 || random.f64() < trouble.chance
        })?;
        let trouble = &mut self.0[at];
        let fault = trouble.fault.clone();
        if let Some(times) = &mut trouble.times {
            *times -= 1;
            if *times == 0 {
                self.0.remove(at);
            }
        }
        Some(fault)
    }
}
