//! One user, the provider, two instances of webhook and reconcile, in every
//! interleaving: each may be stopped, or be slow, between any two steps.
//!
//! The user changes at most three times. Nothing bounds how long anything takes,
//! how often and in which order events are delivered, how often a function dies,
//! or how many runs there are.
//!
//! Abstractions. Times are kept as far as they can be told apart: only their
//! order and distances up to the staleness count, so a longer gap is cut to a
//! little more than that ([`State::canonical`]). An event stays to be delivered
//! for ever, so a lost one is one that never is, and a crash after a commit is
//! one more delivery of an event whose effect is there. `acked` only adds to
//! what has to hold, so the answer that gets lost needs no step of its own.

use stateright::{Model, Property};

use crate::mutation::Mutation;
use crate::rows::{self, Content, Difference, Outcome, PLACEHOLDER, Row, Time};

/// How the provider is, and what its adapter says of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sync {
    pub(crate) name: &'static str,
    /// `Facts::versioned`: deliveries are statements.
    pub(crate) versioned: bool,
    /// `Facts::ids_return`
    pub(crate) ids_return: bool,
    /// Whether events show the profile that they tell of.
    pub(crate) told: bool,
    /// `Facts::staleness` and `Facts::listing_staleness`
    pub(crate) stale: Time,
    pub(crate) listing_stale: Time,
    /// How old a state reads and listings do show.
    pub(crate) lag: Time,
    pub(crate) listing_lag: Time,
    /// How often the user changes.
    pub(crate) changes: usize,
    pub(crate) webhooks: usize,
    pub(crate) reconcile: bool,
    pub(crate) mutation: Option<Mutation>,
}

/// The most changes that a state has room for.
const CHANGES: usize = 3;

/// A user at the provider; `None`: there is none.
type User = Option<Content>;

/// A state that the user was in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Moment {
    user: User,
    version: Time,
    /// When the next one followed; `None`: no replica shows this one any more.
    until: Option<Time>,
}

const NEVER: Moment = Moment {
    user: None,
    version: 0,
    until: None,
};

/// A delivery under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Work {
    Idle,
    /// The clock was read; the user is next.
    Asked {
        event: u8,
        at: Time,
    },
    /// The observation is there, and is to be joined.
    Got {
        event: u8,
        at: Time,
        read: User,
    },
    /// The row was looked at; the read waits for replicas.
    Looked {
        event: u8,
        looked: Time,
        /// The provider's state at the look: no later read shows an older one.
        floor: u8,
        /// Whether the row was written since.
        moved: bool,
    },
    Reread {
        event: u8,
        looked: Time,
        moved: bool,
        read: User,
        version: Time,
        /// Whether a replica might not know of the event yet, however much it
        /// lags. The product asks when the delivery arrives, and so refuses to
        /// believe a read for longer; that is one more way to die.
        is_young: bool,
    },
}

/// A run's way to this user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Run {
    Idle,
    /// The clock was read; the listing is next.
    Begun {
        seen: Time,
    },
    Listed {
        seen: Time,
        content: Content,
        version: Time,
    },
    /// The complete listing lacked the user.
    Missing,
    Looked {
        looked: Time,
        floor: u8,
        moved: bool,
    },
    Reread {
        looked: Time,
        moved: bool,
        read: User,
        version: Time,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    now: Time,
    /// The user's states, the last one current.
    past: [Moment; CHANGES + 1],
    current: u8,
    row: Option<Row>,
    webhooks: [Work; 2],
    run: Run,
    /// The newest change whose event was answered 2xx.
    acked: u8,
    /// The newest deletion that the row has shown; where ids return: whose own
    /// event was answered 2xx.
    buried: u8,
    /// Whether the run began when nothing was under way, and nothing came since.
    undisturbed: bool,
    /// Whether such a run completed after the last change.
    repaired: bool,
    /// The newest version that the row has had.
    highest: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Tick,
    Change { to: User, same_version: bool },
    EnsureUser,
    Deliver { event: u8 },
    Read { webhook: u8, state: u8 },
    Join { webhook: u8 },
    Look { webhook: u8 },
    Reread { webhook: u8, state: u8 },
    Settle { webhook: u8 },
    Die { webhook: u8 },
    Begin,
    List { state: u8 },
    Compare,
    JoinListed,
    LookListed,
    RereadListed { state: u8 },
    SettleListed,
    LeaveToTheSweep,
    DieListed,
}

pub(crate) const CONVERGES: &str = "without loss the table ends up equal to the provider";
pub(crate) const REPAIRED: &str = "after a complete reconcile the table equals the provider";
pub(crate) const NO_FALSE_TOMBSTONE: &str = "no living user is tombstoned";
pub(crate) const NO_RESURRECTION: &str = "no deleted user comes back";
pub(crate) const SIGN_UPS_LIVE: &str = "nobody is tombstoned who was never deleted";
pub(crate) const NEVER_FALLS: &str = "no row's version falls";
pub(crate) const NOTHING_LOST: &str = "what was answered 2xx is in the table";

impl State {
    fn idle(&self) -> bool {
        self.webhooks.iter().all(|work| *work == Work::Idle)
    }

    /// Whether the table shows the user as they were in this state.
    fn shows(&self, state: u8) -> bool {
        match (self.row, self.past[usize::from(state)].user) {
            // A placeholder says nothing, as the time before the first change.
            (Some(PLACEHOLDER), _) => state == 0,
            (Some(row), Some(content)) => row.deleted.is_none() && row.content == Some(content),
            (Some(row), None) => row.deleted.is_some(),
            (None, user) => user.is_none(),
        }
    }

    /// Whether the table shows this state or a later one.
    fn shows_since(&self, state: u8) -> bool {
        (state..=self.current).any(|state| self.shows(state))
    }

    fn write(&mut self, row: Option<Row>) {
        let Some(row) = row else { return };
        self.row = Some(row);
        for work in &mut self.webhooks {
            if let Work::Looked { moved, .. } | Work::Reread { moved, .. } = work {
                *moved = true;
            }
        }
        if let Run::Looked { moved, .. } | Run::Reread { moved, .. } = &mut self.run {
            *moved = true;
        }
    }

    fn finish(&mut self, event: u8) {
        self.acked = self.acked.max(event);
    }

    fn finish_run(&mut self) {
        self.run = Run::Idle;
        self.repaired |= self.undisturbed;
        self.undisturbed = false;
    }
}

impl Sync {
    fn mutated(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// Staleness as a join takes it.
    fn doubt(&self) -> Time {
        if self.versioned { 0 } else { self.stale }
    }

    /// `Facts::listed_at`
    fn listed_at(&self, seen: Time) -> Time {
        match self.mutated(Mutation::ListingIsAsCurrentAsAReads) {
            true => seen,
            false => seen - (self.listing_stale - self.stale),
        }
    }

    fn lag(&self) -> Time {
        if self.mutated(Mutation::LaggingReadsWithoutProfiles) {
            return self.stale;
        }
        self.lag
    }

    /// The states that a read, or a listing, may show now.
    fn visible(&self, state: &State, lag: Time) -> impl Iterator<Item = u8> {
        let (past, current, oldest) = (state.past, state.current, state.now - lag);
        (0..=current).filter(move |i| {
            *i == current
                || lag > 0
                    && past[usize::from(*i)]
                        .until
                        .is_some_and(|until| until >= oldest)
        })
    }

    /// Whether the clock can't read what it read before. It counts
    /// microseconds; where nothing else takes time, that has to be said.
    fn clock_moved(&self, state: &State) -> bool {
        self.stale > 0
            || self.versioned
            || !self
                .times(state)
                .into_iter()
                .flatten()
                .any(|time| time == state.now)
    }

    /// The times of a state that still matter, the clock's own aside.
    fn times(&self, state: &State) -> [Option<Time>; 10] {
        let clocked = |at: Time| (!self.versioned).then_some(at);
        let work = |work: &Work| match *work {
            Work::Idle => None,
            Work::Asked { at, .. } | Work::Got { at, .. } => clocked(at),
            Work::Looked { looked, .. } | Work::Reread { looked, .. } => Some(looked),
        };
        let run = match state.run {
            Run::Idle | Run::Missing => None,
            Run::Begun { seen } | Run::Listed { seen, .. } => clocked(seen),
            Run::Looked { looked, .. } | Run::Reread { looked, .. } => Some(looked),
        };
        let row = state.row.unwrap_or(PLACEHOLDER);
        [
            row.at.and_then(clocked),
            row.deleted.filter(|_| self.ids_return),
            state.past[0].until,
            state.past[1].until,
            state.past[2].until,
            state.past[3].until,
            work(&state.webhooks[0]),
            work(&state.webhooks[1]),
            run,
            None,
        ]
    }

    /// The state as far as it can be told apart from others.
    fn canonical(&self, mut state: State) -> State {
        let oldest = state.now - self.lag().max(self.listing_lag);
        let lags = self.lag().max(self.listing_lag) > 0;
        for moment in &mut state.past {
            moment.until = moment.until.filter(|until| lags && *until >= oldest);
        }
        if let Some(row) = &mut state.row
            && !self.ids_return
        {
            // Final: when it was does not matter.
            row.deleted = row.deleted.map(|_| 0);
        }
        let mut times = self.times(&state);
        times[9] = Some(state.now);
        times.sort_unstable();
        let widest = self.stale.max(self.listing_stale).max(self.lag()) + 1 + self.listing_stale
            - self.stale;
        // Each time, and what it becomes.
        let mut renamed = [(Time::MIN, 0); 10];
        let mut last: Option<(Time, Time)> = None;
        for (i, time) in times.iter().enumerate() {
            if let Some(time) = *time {
                let new = match last {
                    None => 0,
                    Some((before, new)) => new + (time - before).min(widest),
                };
                renamed[i] = (time, new);
                last = Some((time, new));
            }
        }
        let new = |time: Time| {
            renamed
                .iter()
                .find(|(old, _)| *old == time)
                .map_or(time, |(_, new)| *new)
        };
        state.now = new(state.now);
        for moment in &mut state.past {
            moment.until = moment.until.map(new);
        }
        let clocked = |at: &mut Time| {
            if !self.versioned {
                *at = new(*at);
            }
        };
        for work in &mut state.webhooks {
            match work {
                Work::Idle => {}
                Work::Asked { at, .. } | Work::Got { at, .. } => clocked(at),
                Work::Looked { looked, .. } | Work::Reread { looked, .. } => *looked = new(*looked),
            }
        }
        match &mut state.run {
            Run::Idle | Run::Missing => {}
            Run::Begun { seen } | Run::Listed { seen, .. } if self.versioned => *seen = 0,
            Run::Begun { seen } | Run::Listed { seen, .. } => *seen = new(*seen),
            Run::Looked { looked, .. } | Run::Reread { looked, .. } => *looked = new(*looked),
        }
        if let Some(row) = &mut state.row {
            if let Some(at) = &mut row.at {
                clocked(at);
            }
            if self.ids_return {
                row.deleted = row.deleted.map(new);
            }
        }
        // The instances are alike.
        state.webhooks.sort_unstable();
        state
    }

    fn changes(&self, state: &State, actions: &mut Vec<Action>) {
        if usize::from(state.current) >= self.changes {
            return;
        }
        let kept = state.past[usize::from(state.current)];
        let letter = |content: Content| content & 1;
        let mut change = |to: User| {
            let same_version = self.versioned && kept.user.is_some() && to.is_some();
            actions.push(Action::Change {
                to,
                same_version: false,
            });
            if same_version {
                actions.push(Action::Change {
                    to,
                    same_version: true,
                });
            }
        };
        match kept.user {
            Some(content) => {
                change(None);
                change(Some(1 - letter(content)));
            }
            // Which of two like profiles comes first doesn't matter.
            None if state.current == 0 => change(Some(0)),
            None if self.ids_return => {
                change(Some(0));
                change(Some(1));
            }
            None => {}
        }
    }

    fn change(&self, state: &mut State, to: User, same_version: bool) {
        let kept = &mut state.past[usize::from(state.current)];
        kept.until = Some(state.now);
        let version = match self.versioned {
            true => kept.version + Time::from(!same_version),
            false => 0,
        };
        // A profile holds its version.
        let to = to.map(|letter| letter + 2 * version.unsigned_abs());
        state.current += 1;
        state.past[usize::from(state.current)] = Moment {
            user: to,
            version,
            until: None,
        };
        state.repaired = false;
        state.undisturbed = false;
    }

    /// Whether a read says something else than the event.
    fn contradicts(&self, state: &State, event: u8, read: User) -> bool {
        if self.mutated(Mutation::BelieveContradictions) {
            return false;
        }
        match (state.past[usize::from(event)].user, read) {
            (Some(_), None) => !self.mutated(Mutation::BelieveTheFirst404),
            (None, None) => false,
            (None, Some(_)) => true,
            (Some(told), Some(read)) => self.told && told != read,
        }
    }

    fn deliver(&self, state: &mut State, event: u8) {
        let Some(free) = state.webhooks.iter().position(|work| *work == Work::Idle) else {
            return;
        };
        let told = state.past[usize::from(event)];
        state.webhooks[free] = match self.versioned {
            true => Work::Got {
                event,
                at: told.version,
                read: told.user,
            },
            false => Work::Asked {
                event,
                at: state.now,
            },
        };
        state.undisturbed = false;
        if self.versioned && state.row.is_none() {
            // A statement about a user of whom the table knows nothing.
            state.repaired = false;
        }
        if self.mutated(Mutation::AnswerBeforeTheCommit) {
            state.finish(event);
        }
    }

    fn join(&self, state: &mut State, webhook: usize) {
        let Work::Got { event, at, read } = state.webhooks[webhook] else {
            return;
        };
        let at = match self.mutated(Mutation::ClockAfterTheRead) {
            true => state.now,
            false => at,
        };
        let (row, outcome) = match read {
            Some(content) => rows::join(
                state.row,
                (content, at),
                self.doubt(),
                self.ids_return,
                true,
                self.mutation,
            ),
            None => rows::gone(state.row, at, self.doubt(), self.ids_return),
        };
        // Tied: it stays to be settled.
        if outcome == Outcome::Tied {
            return;
        }
        state.webhooks[webhook] = Work::Idle;
        state.write(row);
        state.finish(event);
    }

    fn settle(&self, state: &mut State, webhook: usize) {
        let Work::Reread {
            event,
            looked,
            read,
            version,
            is_young,
            ..
        } = state.webhooks[webhook]
        else {
            return;
        };
        state.webhooks[webhook] = Work::Idle;
        let told_deleted = state.past[usize::from(event)].user.is_none();
        let deleted = state.row.is_some_and(|row| row.deleted.is_some());
        let row = match read {
            // The event says that they exist, and a replica may lag: 503.
            None if !told_deleted && is_young && !deleted => return,
            None => Some(rows::settle_gone(state.row, looked)),
            // In doubt: 503.
            Some(_) if told_deleted && !self.ids_return => return,
            Some(content) => {
                let at = if self.versioned { version } else { looked };
                let revive = self.ids_return || self.mutated(Mutation::DeliveriesRevive);
                let (row, outcome) = self.settle_present(state.row, (content, at), revive, true);
                // The row has a newer version: 503.
                if outcome == Outcome::Stale {
                    return;
                }
                row
            }
        };
        state.write(row);
        state.finish(event);
    }

    /// Whether a read that is sent now might not know of the event, where reads
    /// lag for longer than settling waits.
    fn is_young(&self, state: &State, event: u8) -> bool {
        let made_at = state.past[usize::from(event) - 1].until;
        self.lag > self.stale
            && !self.mutated(Mutation::BelieveA404AtOnce)
            && made_at.is_some_and(|at| at >= state.now - self.lag)
    }

    fn settle_present(
        &self,
        kept: Option<Row>,
        new: (Content, Time),
        revive: bool,
        delivered: bool,
    ) -> rows::Written {
        // Nobody edits rows here.
        let edited = self.mutated(Mutation::SettleWhateverWasRead);
        rows::settle_present(kept, new, self.versioned, revive, delivered, edited)
    }

    fn join_listed(&self, state: &mut State) {
        let Run::Listed {
            seen,
            content,
            version,
        } = state.run
        else {
            return;
        };
        let at = if self.versioned {
            version
        } else {
            self.listed_at(seen)
        };
        let (row, outcome) = rows::join(
            state.row,
            (content, at),
            self.doubt(),
            self.ids_return,
            false,
            self.mutation,
        );
        // In doubt: it stays to be settled.
        if matches!(outcome, Outcome::Stale | Outcome::Tied) {
            return;
        }
        state.write(row);
        state.finish_run();
    }

    fn settle_listed(&self, state: &mut State) {
        let Run::Reread {
            looked,
            moved,
            read,
            version,
        } = state.run
        else {
            return;
        };
        if !moved || self.mutated(Mutation::SettleWithoutLooking) {
            let row = match read {
                None => Some(rows::settle_gone(state.row, looked)),
                Some(content) => {
                    let at = if self.versioned { version } else { looked };
                    self.settle_present(state.row, (content, at), true, false).0
                }
            };
            state.write(row);
        }
        state.finish_run();
    }

    /// The first state that a read may show which was sent after the wait, or
    /// none: it has to wait on.
    fn waited(&self, state: &State, looked: Time, floor: u8) -> Option<u8> {
        if self.mutated(Mutation::SettleWithoutWaiting) {
            return Some(0);
        }
        // A replica that lags longer than is assumed may show what was before.
        let floor = if self.lag > self.stale { 0 } else { floor };
        (state.now >= looked + self.stale).then_some(floor)
    }

    fn webhook_actions(&self, state: &State, webhook: u8, actions: &mut Vec<Action>) {
        let work = state.webhooks[usize::from(webhook)];
        if work != Work::Idle {
            actions.push(Action::Die { webhook });
        }
        match work {
            Work::Idle => {}
            Work::Asked { .. } => {
                let states = self.visible(state, self.lag());
                actions.extend(states.map(|state| Action::Read { webhook, state }));
            }
            Work::Got { event, read, .. } => {
                let joins = self.versioned || !self.contradicts(state, event, read);
                if joins {
                    actions.push(Action::Join { webhook });
                }
                // After a tie or a contradiction; that others may come between
                // the tie and the look is covered by looking at any time.
                actions.push(Action::Look { webhook });
            }
            Work::Looked { looked, floor, .. } => {
                if let Some(first) = self.waited(state, looked, floor) {
                    let states = self.visible(state, self.lag()).filter(|i| *i >= first);
                    actions.extend(states.map(|state| Action::Reread { webhook, state }));
                }
            }
            Work::Reread { moved, .. } => {
                if !moved || self.mutated(Mutation::SettleWithoutLooking) {
                    actions.push(Action::Settle { webhook });
                } else {
                    actions.push(Action::Look { webhook });
                }
            }
        }
    }

    fn run_actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.run != Run::Idle {
            actions.push(Action::DieListed);
        }
        match state.run {
            Run::Idle => {
                if self.clock_moved(state) {
                    actions.push(Action::Begin);
                }
            }
            Run::Begun { .. } => {
                let states = self.visible(state, self.listing_lag);
                actions.extend(states.map(|state| Action::List { state }));
            }
            Run::Listed {
                seen,
                content,
                version,
            } => {
                let version = self.versioned.then_some(version);
                let stale = self.listing_stale;
                let now = if self.versioned { Time::MAX } else { state.now };
                match rows::compare(state.row, content, version, seen, stale, now) {
                    Difference::Same => actions.push(Action::Compare),
                    Difference::Created | Difference::Updated => {
                        actions.push(Action::JoinListed);
                    }
                    Difference::Tombstone | Difference::Doubtful => {}
                }
                // As with deliveries: the look may come whenever it wants.
                actions.push(Action::LookListed);
            }
            Run::Missing => {
                if state.row.is_some_and(|row| row.deleted.is_none()) {
                    actions.push(Action::LookListed);
                } else {
                    actions.push(Action::Compare);
                }
            }
            Run::Looked { looked, floor, .. } => {
                if let Some(first) = self.waited(state, looked, floor) {
                    let states = self.visible(state, self.lag()).filter(|i| *i >= first);
                    actions.extend(states.map(|state| Action::RereadListed { state }));
                }
            }
            Run::Reread { read, .. } => {
                actions.push(Action::SettleListed);
                if read.is_none() {
                    actions.push(Action::LeaveToTheSweep);
                }
            }
        }
    }

    /// Notes a deletion that is not to be undone.
    fn bury(&self, state: &mut State) {
        let known = if self.ids_return {
            state.acked
        } else if state.row.is_some_and(|row| row.deleted.is_some()) {
            state.current
        } else {
            0
        };
        let deleted = |i: &u8| state.past[usize::from(*i)].user.is_none();
        let newest = (1..=known).rev().find(deleted);
        state.buried = state.buried.max(newest.unwrap_or(0));
    }

    /// The state that a read shows which was asked for at this place.
    fn moment(state: &State, index: u8) -> Moment {
        state.past[usize::from(index)]
    }

    fn step(&self, state: &mut State, action: Action) {
        match action {
            Action::Tick => state.now += 1,
            Action::Change { to, same_version } => self.change(state, to, same_version),
            Action::EnsureUser => {
                state.write(Some(PLACEHOLDER));
                (state.repaired, state.undisturbed) = (false, false);
            }
            Action::Deliver { event } => self.deliver(state, event),
            Action::Read {
                webhook,
                state: shown,
            } => {
                let read = Self::moment(state, shown).user;
                let work = &mut state.webhooks[usize::from(webhook)];
                if let Work::Asked { event, at } = *work {
                    *work = Work::Got { event, at, read };
                }
            }
            Action::Join { webhook } => self.join(state, usize::from(webhook)),
            Action::Look { webhook } => {
                let work = &mut state.webhooks[usize::from(webhook)];
                if let Work::Got { event, .. } | Work::Reread { event, .. } = *work {
                    *work = Work::Looked {
                        event,
                        looked: state.now,
                        floor: state.current,
                        moved: false,
                    };
                }
            }
            Action::Reread {
                webhook,
                state: shown,
            } => {
                let Moment { user, version, .. } = Self::moment(state, shown);
                if let Work::Looked {
                    event,
                    looked,
                    moved,
                    ..
                } = state.webhooks[usize::from(webhook)]
                {
                    state.webhooks[usize::from(webhook)] = Work::Reread {
                        event,
                        looked,
                        moved,
                        read: user,
                        version,
                        is_young: self.is_young(state, event),
                    };
                }
            }
            Action::Settle { webhook } => self.settle(state, usize::from(webhook)),
            Action::Die { webhook } => state.webhooks[usize::from(webhook)] = Work::Idle,
            Action::Begin => {
                state.run = Run::Begun { seen: state.now };
                let quiet = self
                    .visible(state, self.lag().max(self.listing_lag))
                    .count()
                    == 1;
                state.undisturbed = quiet && state.idle();
            }
            Action::List { state: shown } => {
                let Moment { user, version, .. } = Self::moment(state, shown);
                if let Run::Begun { seen } = state.run {
                    state.run = match user {
                        Some(content) => Run::Listed {
                            seen,
                            content,
                            version,
                        },
                        None => Run::Missing,
                    };
                }
                if state.run == Run::Missing
                    && self.mutated(Mutation::TrustAbsence)
                    && state.row.is_some_and(|row| row.deleted.is_none())
                {
                    let row = rows::settle_gone(state.row, state.now);
                    state.write(Some(row));
                    state.finish_run();
                }
            }
            Action::Compare => state.finish_run(),
            Action::JoinListed => self.join_listed(state),
            Action::LookListed => {
                state.run = Run::Looked {
                    looked: state.now,
                    floor: state.current,
                    moved: false,
                };
            }
            Action::RereadListed { state: shown } => {
                let Moment { user, version, .. } = Self::moment(state, shown);
                if let Run::Looked { looked, moved, .. } = state.run {
                    state.run = Run::Reread {
                        looked,
                        moved,
                        read: user,
                        version,
                    };
                }
            }
            Action::SettleListed => self.settle_listed(state),
            Action::LeaveToTheSweep => state.run = Run::Missing,
            Action::DieListed => {
                state.run = Run::Idle;
                state.undisturbed = false;
            }
        }
    }
}

impl Model for Sync {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            now: 0,
            past: [NEVER; CHANGES + 1],
            current: 0,
            row: None,
            webhooks: [Work::Idle; 2],
            run: Run::Idle,
            acked: 0,
            buried: 0,
            undisturbed: false,
            repaired: false,
            highest: 0,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.push(Action::Tick);
        self.changes(state, actions);
        if state.row.is_none() && state.current > 0 {
            actions.push(Action::EnsureUser);
        }
        let free = state.webhooks[..]
            .iter()
            .filter(|work| **work == Work::Idle)
            .count()
            > 2 - self.webhooks;
        if free && (self.versioned || self.clock_moved(state)) {
            actions.extend((1..=state.current).map(|event| Action::Deliver { event }));
        }
        for webhook in 0..2 {
            self.webhook_actions(state, webhook, actions);
        }
        if self.reconcile {
            self.run_actions(state, actions);
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        self.step(&mut next, action);
        self.bury(&mut next);
        if self.versioned {
            let at = next.row.and_then(|row| row.at).unwrap_or(0);
            next.highest = next.highest.max(at);
        }
        let next = self.canonical(next);
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let never_falls = Property::always(NEVER_FALLS, |model: &Self, state: &State| {
            let at = state.row.and_then(|row| row.at).unwrap_or(0);
            !model.versioned || at >= state.highest
        });
        let sign_ups_live = Property::always(SIGN_UPS_LIVE, |model: &Self, state: &State| {
            let lives = |i: u8| state.past[usize::from(i)].user.is_some();
            let tombstone = state.row.is_some_and(|row| row.deleted.is_some());
            // A run believes two reads that lag: its own fact is the next ones.
            model.reconcile || !tombstone || !(1..=state.current).all(lives)
        });
        if self.lag > self.stale {
            // The rest rests on what is assumed of reads.
            return vec![never_falls, sign_ups_live];
        }
        vec![
            never_falls,
            Property::always(NO_FALSE_TOMBSTONE, |model: &Self, state: &State| {
                let deleted = state.row.is_some_and(|row| row.deleted.is_some());
                let gone = |i: u8| state.past[usize::from(i)].user.is_none();
                // Where ids return, until the event of the return is applied.
                let since = if model.ids_return {
                    state.acked.max(1)
                } else {
                    state.current.max(1)
                };
                !deleted || (since..=state.current).any(gone)
            }),
            Property::always(NO_RESURRECTION, |_: &Self, state: &State| {
                state.buried == 0 || state.shows_since(state.buried)
            }),
            Property::always(NOTHING_LOST, |_: &Self, state: &State| {
                state.shows_since(state.acked)
            }),
            Property::always(REPAIRED, |_: &Self, state: &State| {
                !state.repaired || state.shows(state.current)
            }),
            Property::always(CONVERGES, |_: &Self, state: &State| {
                let quiet = state.idle() && state.run == Run::Idle && state.acked == state.current;
                !quiet || state.shows(state.current)
            }),
        ]
    }
}
