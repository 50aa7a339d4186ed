//! When an attempt that failed is repeated.

use std::time::Duration;

use super::Outcome;

/// Steps to wait before each attempt, the first one included.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    steps: Vec<Duration>,
    /// How long an endpoint may fail before it is given up.
    patience: Duration,
    faster: f64,
    /// Whether a status from 400 to 499 ends the attempts.
    obeys_refusals: bool,
    /// Whether `Retry-After` is heeded.
    heeds: bool,
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

impl Schedule {
    /// Svix's: at once, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h; five days of failure disable
    /// the endpoint.
    pub fn svix() -> Self {
        let seconds = [
            0,
            5,
            5 * MINUTE,
            30 * MINUTE,
            2 * HOUR,
            5 * HOUR,
            10 * HOUR,
            10 * HOUR,
        ];
        Self {
            steps: seconds.map(Duration::from_secs).to_vec(),
            patience: Duration::from_secs(5 * 24 * HOUR),
            faster: 1.0,
            obeys_refusals: false,
            heeds: true,
        }
    }

    /// Auth0's event streams: four attempts, 1, 2 and 4 s apart, none after a refusal.
    pub fn auth0() -> Self {
        Self {
            steps: [0, 1, 2, 4].map(Duration::from_secs).to_vec(),
            obeys_refusals: true,
            heeds: false,
            ..Self::svix()
        }
    }

    /// WorkOS': at once and six times more over three days, ever further apart. What lies between
    /// is not published.
    pub fn workos() -> Self {
        let seconds = [
            0,
            3 * MINUTE,
            12 * MINUTE,
            50 * MINUTE,
            3 * HOUR + 30 * MINUTE,
            13 * HOUR + 30 * MINUTE,
            53 * HOUR + 55 * MINUTE,
        ];
        Self {
            steps: seconds.map(Duration::from_secs).to_vec(),
            heeds: false,
            ..Self::svix()
        }
    }

    /// One attempt and no more.
    pub fn once() -> Self {
        Self {
            steps: vec![Duration::ZERO],
            ..Self::svix()
        }
    }

    /// The same, this many times faster.
    #[must_use]
    pub fn faster(self, times: f64) -> Self {
        Self {
            faster: self.faster * times,
            ..self
        }
    }

    /// How long to wait before the attempt with this number, from 1; none if there is none.
    ///
    /// `asked` is what `Retry-After` asked for: it stretches the step, to no more than twice.
    pub fn wait(&self, attempt: u32, asked: Option<Duration>) -> Option<Duration> {
        let at = usize::try_from(attempt).ok()?.checked_sub(1)?;
        let step = *self.steps.get(at)?;
        let asked = asked.filter(|_| self.heeds);
        let wait = asked.unwrap_or(step).clamp(step, step * 2);
        Some(wait.div_f64(self.faster))
    }

    /// Whether an endpoint that answered so is asked no more for this message.
    pub fn ends_with(&self, outcome: &Outcome) -> bool {
        self.obeys_refusals && matches!(outcome, Outcome::Answered(400..=499))
    }

    /// How long an endpoint may fail before it is disabled.
    pub fn patience(&self) -> Duration {
        self.patience.div_f64(self.faster)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_eight_attempts_over_a_day() {
        let schedule = Schedule::svix();
        let waits: Vec<u64> = (1..)
            .map_while(|attempt| schedule.wait(attempt, None))
            .map(|wait| wait.as_secs())
            .collect();
        assert_eq!(waits, [0, 5, 300, 1_800, 7_200, 18_000, 36_000, 36_000]);
    }

    #[test]
    fn auth0_tries_four_times_and_takes_no_for_an_answer() {
        let schedule = Schedule::auth0();
        let asked = Some(Duration::from_secs(60));
        let waits: Vec<u64> = (1..)
            .map_while(|attempt| schedule.wait(attempt, asked))
            .map(|wait| wait.as_secs())
            .collect();
        assert_eq!(waits, [0, 1, 2, 4]);
        assert!(schedule.ends_with(&Outcome::Answered(404)));
        assert!(!schedule.ends_with(&Outcome::Answered(503)));
        assert!(!Schedule::svix().ends_with(&Outcome::Answered(404)));
    }

    #[test]
    fn workos_tries_six_times_more_within_three_days() {
        let schedule = Schedule::workos();
        let waits: Vec<u64> = (1..)
            .map_while(|attempt| schedule.wait(attempt, None))
            .map(|wait| wait.as_secs())
            .collect();
        assert_eq!((waits.len(), waits[0]), (7, 0));
        assert!(waits.is_sorted());
        assert_eq!(waits.iter().sum::<u64>(), 3 * 24 * 60 * 60);
        assert!(!schedule.ends_with(&Outcome::Answered(404)));
    }

    #[test]
    fn retry_after_stretches_a_step_to_no_more_than_twice() {
        let schedule = Schedule::svix();
        let wait = |seconds| schedule.wait(3, Some(Duration::from_secs(seconds)));
        assert_eq!(wait(1), Some(Duration::from_secs(300)));
        assert_eq!(wait(400), Some(Duration::from_secs(400)));
        assert_eq!(wait(4_000), Some(Duration::from_secs(600)));
    }

    #[test]
    fn a_thousand_times_faster_the_second_attempt_comes_after_5_ms() {
        let schedule = Schedule::svix().faster(1_000.0);
        assert_eq!(schedule.wait(2, None), Some(Duration::from_millis(5)));
        assert_eq!(schedule.patience(), Duration::from_secs(432));
    }
}
