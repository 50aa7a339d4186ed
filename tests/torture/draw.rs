//! Draws schedules from seeds.
//!
//! The same seed and provider give the same schedule.

use std::ops::RangeInclusive;

use fastrand::Rng;
use serde_json::json;
use tests::postgres::Mode;
use tests::simulator::{Call, Fault, Moment, Trouble};

use crate::provider::Provider;
use crate::schedule::{
    Direction, Happening, Invocation, Post, Rotation, Schedule, Site, Step, What, When, Whom,
};

/// The schedule of this seed.
pub(crate) fn schedule(seed: u64, provider: &Provider) -> Schedule {
    Draw {
        random: Rng::with_seed(seed),
        provider,
        site: Site::Shared,
        // How much goes wrong differs from schedule to schedule, or none would be calm.
        losses: 0.0,
        kills: 0.0,
        troubles: 0.0,
    }
    .schedule(seed)
}

struct Draw<'a> {
    random: Rng,
    provider: &'a Provider,
    site: Site,
    losses: f64,
    kills: f64,
    troubles: f64,
}

impl Draw<'_> {
    fn schedule(mut self, seed: u64) -> Schedule {
        self.site = self.pick(&[
            (970, Site::Shared),
            (12, Site::Own),
            (6, Site::Pooled),
            (12, Site::Binaries),
        ]);
        self.losses = self.pick(&[(4, 0.0), (4, 0.1), (2, 0.3)]);
        self.kills = self.pick(&[(4, 0.0), (4, 0.1), (2, 0.3)]);
        self.troubles = self.pick(&[(3, 0.0), (5, 0.15), (2, 0.4)]);
        let page = self.provider.smallest_page;
        let seeded = self.pick(&[
            (30, 0..=0),
            (40, 1..=5),
            (28, page..=page * 3),
            (2, 101..=220),
        ]);
        let seeded = self.random.u64(seeded);
        let page = (seeded < 101 && self.chance(0.8)).then(|| self.random.u64(page..=page * 3));
        let instances = self.random.usize(1..=3);
        let off = [(24, 0), (3, 200), (3, -200), (1, 900), (1, -900)];
        let clocks = (0..instances).map(|_| self.pick(&off)).collect();
        let (longest, share) = (self.provider.longest_lag_ms, self.random.f64());
        let lag = (longest > 0 && self.chance(0.5))
            .then(|| (self.random.u64(1..=longest), share.max(0.2)));
        let jitter_ms = self.pick(&[(5, 0), (3, 5), (2, 40)]);
        let aftermath_ms = self.pick(&[(1, 0), (5, 2_000), (4, 5_000)]);
        let count = self.pick(&[(4, 3..=8), (5, 6..=16), (1, 15..=40)]);
        let mut steps = Vec::new();
        for _ in 0..self.random.usize(count) {
            self.add_steps(&mut steps);
        }
        Schedule {
            seed,
            provider: self.provider.name.clone(),
            site: self.site,
            seeded,
            page,
            clocks,
            lag,
            jitter_ms,
            aftermath_ms,
            steps,
        }
    }

    fn add_steps(&mut self, steps: &mut Vec<Step>) {
        if self.chance(self.troubles) {
            let when = self.moment_of_trouble();
            let what = self.trouble(when);
            steps.push(Step { when, what });
            return;
        }
        if self.chance(self.kills / 2.0) {
            let when = self.any_moment();
            let what = match self.chance(0.6) {
                true => What::KillWebhook(self.random.usize(..3)),
                false => What::KillRuns,
            };
            steps.push(Step { when, what });
            return;
        }
        match self.random.u32(..100) {
            0..20 => {
                let when = When::Then(self.pause());
                let what = What::Run(self.invocation());
                steps.push(Step { when, what });
            }
            20..30 => {
                // There and back again, or whatever else comes at once.
                let whom = self.whom();
                for _ in 0..self.random.usize(2..=4) {
                    let pause = self.pick(&[(6, 0), (1, 1), (1, 3)]);
                    steps.push(self.change(When::Then(pause), whom));
                }
            }
            30..33 => {
                let whom = Whom::Many(self.random.usize(2..=16));
                let when = When::Then(self.pause());
                let what = What::Change(whom, Happening::Delete, self.post());
                steps.push(Step { when, what });
            }
            33..45 => {
                let whom = self.whom();
                let when = self.any_moment();
                steps.push(self.change(when, whom));
            }
            45..50 => {
                // The answer to a read is under way for long, and the user changes meanwhile.
                let late = Fault::Late(self.random.u64(50..=2_500));
                let what = What::Trouble(Trouble::next(1, late).on(Call::Read));
                // So long that most of what was under way before is done, and asks for nothing.
                let when = When::Then(self.random.u64(200..=1_500));
                steps.push(Step { when, what });
                let whom = Whom::Somebody(self.random.usize(..64));
                let (one, instance) = (self.random.u8(..3), self.random.usize(..3));
                for (number, pause) in [(0, 0), (1, self.random.u64(5..=100))] {
                    let post = Post {
                        copies: vec![0],
                        killed_after: None,
                        limit: 12_000,
                        instance: instance + usize::from(number),
                    };
                    let rename = Happening::Rename((one + number) % 3);
                    let when = When::Then(pause);
                    let what = What::Change(whom, rename, post);
                    steps.push(Step { when, what });
                }
            }
            50..53 => {
                let assumed = self.provider.longest_lag_ms.max(1_000);
                let when = When::Then(self.pause());
                let what = What::Lag(self.random.u64(assumed * 3 / 2..=assumed * 4));
                steps.push(Step { when, what });
            }
            53..57 => {
                let millis = self.log_uniform(10.0, 4_000.0) as u64;
                let when = When::Then(self.pause());
                let what = What::Lock(self.random.i64(..64), millis);
                steps.push(Step { when, what });
            }
            57..61 => {
                let millis = self.log_uniform(10.0, 4_000.0) as u64;
                let when = When::Then(self.pause());
                let what = What::Refuse(self.random.i64(..64), millis);
                steps.push(Step { when, what });
            }
            _ => {
                let whom = self.whom();
                let when = When::Then(self.pause());
                steps.push(self.change(when, whom));
            }
        }
    }

    fn change(&mut self, when: When, whom: Whom) -> Step {
        let happening = match whom {
            Whom::Nobody => self.pick(&[
                (6, Happening::SignUp),
                (2, Happening::SignUpByOauth),
                (2, Happening::UseAnonymously),
            ]),
            _ => {
                let one = self.random.u8(..3);
                let millis = self.random.i64(-5..=5);
                self.pick(&[
                    (30, Happening::Rename(one)),
                    (10, Happening::SetMetadata(one)),
                    (6, Happening::ChangeEmail(one)),
                    (3, Happening::VerifyEmail),
                    (3, Happening::LinkOauth),
                    (4, Happening::Touch),
                    (2, Happening::RenameTeam(one)),
                    (2, Happening::ShiftSignUp(millis)),
                    (4, Happening::SignUpAfterAll),
                    (18, Happening::Delete),
                    (
                        if self.provider.ids_return { 25 } else { 0 },
                        Happening::Return,
                    ),
                ])
            }
        };
        let what = What::Change(whom, happening, self.post());
        Step { when, what }
    }

    fn whom(&mut self) -> Whom {
        match self.chance(0.25) {
            true => Whom::Nobody,
            false => Whom::Somebody(self.random.usize(..64)),
        }
    }

    fn post(&mut self) -> Post {
        let copies = match self.random.f64() {
            x if x < self.losses => 0,
            x if x > 0.85 => 2,
            x if x > 0.82 => 3,
            _ => 1,
        };
        let longest = self.pick(&[(6, 0), (6, 10), (4, 100), (2, 1_300), (1, 3_000)]);
        let killed_after = self
            .chance(self.kills)
            .then(|| self.log_uniform(0.2, 1_500.0));
        Post {
            copies: (0..copies).map(|_| self.random.u64(0..=longest)).collect(),
            killed_after,
            limit: self.pick(&[(20, 12_000), (1, 1_500), (1, 300)]),
            instance: self.random.usize(..3),
        }
    }

    fn invocation(&mut self) -> Invocation {
        let mut event = self.pick(&[
            (16, json!({})),
            (2, json!({"dry_run": true})),
            (2, json!({"max_deletes": 1_000})),
            (1, json!({"max_deletes": 0})),
        ]);
        if self.provider.has_record && self.chance(0.4) {
            event = json!({"mode": "events"});
        }
        let killed_after = self
            .chance(self.kills)
            .then(|| self.log_uniform(0.5, 3_000.0));
        Invocation {
            event,
            limit: self.pick(&[(5, 20_000), (2, 4_000), (2, 1_500), (1, 150)]),
            killed_after,
        }
    }

    /// Faults of the provider come before what meets them, packets' at packets.
    fn moment_of_trouble(&mut self) -> When {
        match self.chance(0.5) {
            true => When::Then(self.pause()),
            false => self.any_moment(),
        }
    }

    fn trouble(&mut self, when: When) -> What {
        if matches!(when, When::AtPacket(..)) && self.chance(0.8) {
            let millis = self.log_uniform(1.0, 1_500.0) as u64;
            return self.pick(&[(5, What::Cut), (4, What::Stall(millis))]);
        }
        let server = self.site != Site::Shared;
        let pause = self.random.u64(..1_500);
        let rotation = self.pick(&[
            (3, Rotation::Signing),
            (2, Rotation::SigningGently),
            (2, Rotation::Password),
            (
                if self.provider.key_field.is_some() {
                    3
                } else {
                    0
                },
                Rotation::Key,
            ),
        ]);
        let trouble = self.provider_trouble();
        self.pick(&[
            (20, What::Trouble(trouble)),
            (1, What::Limit(4)),
            (3, What::Terminate),
            (2, What::Rotate(rotation)),
            (if server { 6 } else { 0 }, What::Restart(Mode::Fast, pause)),
            (
                if server { 6 } else { 0 },
                What::Restart(Mode::Immediate, pause),
            ),
        ])
    }

    fn provider_trouble(&mut self) -> Trouble {
        let retry_after = self.pick(&[(2, None), (2, Some(0)), (1, Some(1))]);
        let late = self.log_uniform(1.0, 2_500.0) as u64;
        let slow = Fault::Slow {
            bytes: 400,
            every_ms: 30,
        };
        let fault = self.pick(&[
            (4, Fault::Status(500)),
            (3, Fault::Status(503)),
            (4, Fault::TooManyRequests { retry_after }),
            (2, Fault::Html(200)),
            (3, Fault::Html(404)),
            (1, Fault::Html(502)),
            (4, Fault::Truncated),
            (3, Fault::CutOff),
            (1, Fault::Hang),
            (1, slow),
            (6, Fault::Late(late)),
            (3, Fault::Dropped),
            (4, Fault::EmptyListing),
        ]);
        let on = match fault {
            Fault::EmptyListing => Some(Call::List),
            _ => self.pick(&[(2, None), (3, Some(Call::Read)), (3, Some(Call::List))]),
        };
        let forever = !matches!(fault, Fault::Hang) && self.chance(0.2);
        Trouble {
            on,
            skip: self.pick(&[(6, 0), (2, 1), (1, 3)]),
            times: (!forever).then(|| self.random.u32(1..=4)),
            chance: if forever { 0.3 } else { 1.0 },
            ..Trouble::every(fault)
        }
    }

    /// Some moment of what is under way.
    fn any_moment(&mut self) -> When {
        match self.random.u32(..3) {
            0 => When::Then(self.pause()),
            1 => {
                let moment = self.pick(&[(1, Moment::Before), (1, Moment::After)]);
                let call = self.pick(&[(1, Call::Read), (1, Call::List)]);
                When::AtRequest(moment, call, self.random.u32(..4))
            }
            _ => {
                let direction = self.pick(&[(1, Direction::Asked), (1, Direction::Answered)]);
                When::AtPacket(direction, self.random.u32(..12))
            }
        }
    }

    fn pause(&mut self) -> u64 {
        let longest = self.pick(&[(6, 0), (4, 3), (4, 20), (3, 150), (1, 1_200)]);
        self.random.u64(0..=longest)
    }

    fn chance(&mut self, chance: f64) -> bool {
        self.random.f64() < chance
    }

    /// As likely between 1 and 10 as between 10 and 100.
    fn log_uniform(&mut self, least: f64, most: f64) -> f64 {
        least * (most / least).powf(self.random.f64())
    }

    /// One of these, by their weights.
    fn pick<T: Clone>(&mut self, weighted: &[(u32, T)]) -> T {
        let all: u32 = weighted.iter().map(|(weight, _)| weight).sum();
        let mut drawn = self.random.u32(..all);
        for (weight, choice) in weighted {
            match drawn.checked_sub(*weight) {
                Some(rest) => drawn = rest,
                None => return choice.clone(),
            }
        }
        unreachable!("the weights' sum is larger than what is drawn")
    }
}

/// Seeds of so many schedules.
pub(crate) fn seeds(first: u64, count: u64) -> RangeInclusive<u64> {
    first..=first.saturating_add(count).saturating_sub(1)
}
