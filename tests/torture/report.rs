//! The report of all schedules.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::play::Played;
use crate::schedule::Schedule;

/// How often to say how far it is.
const PROGRESS: Duration = Duration::from_secs(15);

/// A schedule that failed.
#[derive(Clone)]
pub(crate) struct Failure {
    pub(crate) schedule: Schedule,
    pub(crate) problems: Vec<String>,
    pub(crate) journal: Vec<String>,
}

/// The beginning of a line that may hold whole profiles.
fn brief(problem: &str) -> String {
    let line: String = problem.chars().take(200).collect();
    line.replace('\n', " ")
}

/// All schedules' results.
pub(crate) struct Report {
    began: Instant,
    expected: u64,
    state: Mutex<State>,
}

struct State {
    played: u64,
    steps: u64,
    counts: BTreeMap<String, u64>,
    failures: Vec<Failure>,
    said: Instant,
}

impl Report {
    /// Of so many schedules.
    pub(crate) fn new(expected: u64) -> Self {
        Self {
            began: Instant::now(),
            expected,
            state: Mutex::new(State {
                played: 0,
                steps: 0,
                counts: BTreeMap::new(),
                failures: Vec::new(),
                said: Instant::now(),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a schedule's result.
    pub(crate) fn played(&self, schedule: Schedule, played: Result<Played>) {
        let failure = match played {
            Ok(played) => {
                if std::env::var_os("JOURNAL").is_some() {
                    println!("{schedule}{}", played.book.journal().join("\n"));
                }
                self.add(&schedule, &played.book.counts());
                Failure {
                    schedule,
                    problems: played.problems,
                    journal: played.book.journal(),
                }
            }
            Err(error) => Failure {
                schedule,
                problems: vec![format!("{error:#}")],
                journal: Vec::new(),
            },
        };
        let mut state = self.state();
        state.played += 1;
        if failure.problems.is_empty() {
            return;
        }
        let (seed, provider) = (failure.schedule.seed, &failure.schedule.provider);
        println!(
            "FAILED: {provider}, seed {seed}: {}",
            brief(&failure.problems[0])
        );
        state.failures.push(failure);
    }

    fn add(&self, schedule: &Schedule, counts: &BTreeMap<String, u64>) {
        let mut state = self.state();
        state.steps += schedule.steps.len() as u64;
        for (name, count) in counts {
            *state.counts.entry(name.clone()).or_default() += count;
        }
        *state
            .counts
            .entry(format!("schedules: {:?}", schedule.site))
            .or_default() += 1;
    }

    /// Says how far it is, now and then.
    pub(crate) fn progress(&self) {
        let mut state = self.state();
        if state.said.elapsed() < PROGRESS {
            return;
        }
        state.said = Instant::now();
        println!("{}", self.line(&state));
    }

    fn line(&self, state: &State) -> String {
        let seconds = self.began.elapsed().as_secs_f64();
        format!(
            "{} of {} schedules in {seconds:.0} s, {:.1}/s; {} failures",
            state.played,
            self.expected,
            state.played as f64 / seconds,
            state.failures.len()
        )
    }

    /// Prints all figures.
    pub(crate) fn print(&self) {
        let state = self.state();
        for (name, count) in &state.counts {
            println!("{count:9}  {name}");
        }
        println!("torture: {}, {} steps", self.line(&state), state.steps);
    }

    /// The failures.
    pub(crate) fn failures(&self) -> Vec<Failure> {
        self.state().failures.clone()
    }
}
