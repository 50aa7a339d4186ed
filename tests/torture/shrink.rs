//! Cuts a schedule that failed down to what it takes to fail, and prints it.

use crate::grounds::Grounds;
use crate::provider::Provider;
use crate::report::Failure;
use crate::schedule::Schedule;

/// Smaller schedules that are tried.
const TRIES: usize = 80;

/// Times that each is played, because not all that happens at once is decided by the seed.
const TIMES: usize = 3;

/// Prints what failed, and the least that still does.
pub(crate) async fn explain(failure: &Failure, grounds: &Grounds, provider: &Provider) {
    let least = least(failure, grounds, provider).await;
    let Schedule { seed, provider, .. } = &failure.schedule;
    println!("\nFAILED: {provider}, seed {seed}");
    for problem in &least.problems {
        println!("  {problem}");
    }
    let (before, after) = (failure.schedule.steps.len(), least.schedule.steps.len());
    println!(
        "{after} of its {before} steps are enough:\n{}",
        least.schedule
    );
    for line in &least.journal {
        println!("  {line}");
    }
    println!("Replay it: make torture PROVIDER={provider} SEED={seed} SCHEDULES=1\n");
}

/// The smallest schedule that was seen to fail.
async fn least(failure: &Failure, grounds: &Grounds, provider: &Provider) -> Failure {
    let mut least = failure.clone();
    let mut tries = 0;
    for candidate in plainer(&least.schedule) {
        tries += 1;
        if let Some(failed) = fails(candidate, grounds, provider).await {
            least = failed;
        }
    }
    let mut length = (least.schedule.steps.len() / 2).max(1);
    loop {
        let mut from = 0;
        let mut smaller = false;
        while from < least.schedule.steps.len() && tries < TRIES {
            tries += 1;
            let mut candidate = least.schedule.clone();
            let to = (from + length).min(candidate.steps.len());
            candidate.steps.drain(from..to);
            match fails(candidate, grounds, provider).await {
                Some(failed) => (least, smaller) = (failed, true),
                None => from += length,
            }
        }
        if tries >= TRIES || (length == 1 && !smaller) {
            return least;
        }
        length = (length / 2).max(1);
    }
}

/// The same with less around it.
fn plainer(schedule: &Schedule) -> Vec<Schedule> {
    let change = |change: fn(&mut Schedule)| {
        let mut plainer = schedule.clone();
        change(&mut plainer);
        plainer
    };
    vec![
        change(|schedule| (schedule.lag, schedule.jitter_ms) = (None, 0)),
        change(|schedule| schedule.clocks = vec![0]),
        change(|schedule| schedule.seeded = 0),
    ]
}

async fn fails(schedule: Schedule, grounds: &Grounds, provider: &Provider) -> Option<Failure> {
    for _ in 0..TIMES {
        match grounds.play(&schedule, provider).await {
            Ok(played) if played.problems.is_empty() => {}
            Ok(played) => {
                return Some(Failure {
                    schedule,
                    problems: played.problems,
                    journal: played.book.journal(),
                });
            }
            Err(error) => {
                return Some(Failure {
                    schedule,
                    problems: vec![format!("{error:#}")],
                    journal: Vec::new(),
                });
            }
        }
    }
    None
}
