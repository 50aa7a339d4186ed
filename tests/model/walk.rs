//! A walk over three users, page by page, and its sweep: by two runs at once,
//! each of which may die or run out of time between any two steps, while users
//! come and go and deliveries tell of it, or don't.
//!
//! Here reads are current and profiles are all alike: what staleness and order
//! do is `sync.rs`'s. What is bounded: three users in their order of sign-up,
//! pages of two, one person's `max_deletes` of 1.

use stateright::{Model, Property};

use crate::mutation::Mutation;

const USERS: usize = 3;

/// Users on a page.
const PAGE: usize = 2;

/// `max_deletes`
const MOST: u8 = 1;

/// Which of the users.
type Set = u8;

fn has(set: Set, user: usize) -> bool {
    set & 1 << user != 0
}

fn members(set: Set) -> impl Iterator<Item = usize> {
    (0..USERS).filter(move |user| has(set, *user))
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Walk {
    pub(crate) name: &'static str,
    /// Whether the provider may forget everybody for a while, and say so in
    /// its own words.
    pub(crate) amnesia: bool,
    pub(crate) mutation: Option<Mutation>,
}

/// The place where a walk goes on, and the users that it has met: kept when time runs out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Place {
    /// Users to go on from, the best last (`listing::Cursor`); or, where it is
    /// mutated, an offset or the next user.
    anchors: [Option<u8>; PAGE],
    met: Set,
    /// Users who were there, and nothing else, since the walk began.
    steady: Set,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Run {
    Idle,
    Listing(Place),
    /// After the last page; `broken`: there was none.
    Sweeping {
        met: Set,
        steady: Set,
        broken: bool,
    },
    /// Read by id and not found; whose rows were written since.
    Confirmed {
        gone: Set,
        moved: Set,
        steady: Set,
        broken: bool,
        empty: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// Users at the provider, and those who were deleted there.
    alive: Set,
    dead: Set,
    forgetful: bool,
    /// Rows, and which of them are tombstones.
    rows: Set,
    tombstones: Set,
    runs: [Run; 2],
    /// Which run holds the lease.
    lease: Option<u8>,
    saved: Option<Place>,
    /// The failure, if a single step shows it.
    wrong: Option<Wrong>,
    /// A run has just completed; the users that the table must have.
    complete: Option<Set>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Wrong {
    /// A run that failed has tombstoned.
    Failed,
    /// An empty listing has tombstoned.
    Empty,
    /// More were tombstoned than permitted.
    TooMany,
    /// A run without the lease has tombstoned.
    Overtaken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    SignUp(usize),
    Delete(usize),
    Deliver(usize),
    Forget,
    Remember,
    Begin(usize),
    Page(usize),
    BreakOff(usize),
    RunOutOfTime(usize),
    Confirm(usize),
    Tombstone(usize),
    Die(usize),
    LeaseEnds,
}

pub(crate) const NO_FALSE_TOMBSTONE: &str = "no living user is tombstoned by a run";
pub(crate) const WHOLE: &str = "a complete run has met every user that was there all along";
pub(crate) const FAILED: &str = "a run that failed tombstones nobody";
pub(crate) const EMPTY: &str = "an empty listing tombstones nobody";
pub(crate) const BRAKE: &str = "a run tombstones all users that it is allowed to, or none";
pub(crate) const LEASE: &str = "only who holds the lease tombstones";

impl Walk {
    fn mutated(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// The page that the provider answers: users from the cursor on, and
    /// whether it says that none follow. A cursor whose user was deleted gives
    /// what looks like a clean end, as Stack Auth's does.
    fn page(&self, state: &State, place: &Place) -> (Vec<usize>, bool) {
        let shown = if state.forgetful { 0 } else { state.alive };
        let all: Vec<usize> = members(shown).collect();
        let anchor = place.anchors.iter().rev().flatten().next();
        let from = match anchor {
            None => 0,
            Some(offset) if self.mutated(Mutation::OffsetWithoutOverlap) => usize::from(*offset),
            Some(id) => match all.iter().position(|user| *user == usize::from(*id)) {
                Some(from) => from,
                None => all.len(),
            },
        };
        let page: Vec<usize> = all.iter().copied().skip(from).take(self.size()).collect();
        (page, from + self.size() >= all.len())
    }

    /// Pages that don't overlap may be smaller.
    fn size(&self) -> usize {
        match self.mutation {
            Some(Mutation::OffsetWithoutOverlap | Mutation::CursorOfAUserNotSeen) => 1,
            _ => PAGE,
        }
    }

    /// Takes a page in; `None`: it does not go on from where the walk was, and
    /// the walk steps back.
    fn take(&self, state: &State, mut place: Place) -> (Place, Option<(Vec<usize>, bool)>) {
        let (page, last) = self.page(state, &place);
        let shown = if state.forgetful { 0 } else { state.alive };
        match self.mutation {
            Some(Mutation::OffsetWithoutOverlap) => {
                let seen = place.anchors[0].unwrap_or(0) + 1;
                place.anchors = [Some(seen), None];
            }
            Some(Mutation::CursorOfAUserNotSeen) => {
                let next = page
                    .last()
                    .and_then(|last| members(shown).find(|user| user > last));
                place.anchors = [next.and_then(|next| u8::try_from(next).ok()), None];
            }
            _ => {
                let anchor = place.anchors.iter().rev().flatten().next().copied();
                let first = page.first().and_then(|first| u8::try_from(*first).ok());
                if anchor.is_some() && anchor != first {
                    // Earlier users of the page before, then from the start.
                    let last = place.anchors.iter().rposition(Option::is_some);
                    place.anchors[last.unwrap_or(0)] = None;
                    return (place, None);
                }
                place.anchors = [None; PAGE];
                for (anchor, user) in place.anchors.iter_mut().zip(&page) {
                    *anchor = u8::try_from(*user).ok();
                }
            }
        }
        for user in &page {
            place.met |= 1 << user;
        }
        (place, Some((page, last)))
    }

    fn write(state: &mut State, user: usize, tombstone: bool) {
        state.rows |= 1 << user;
        state.tombstones &= !(1 << user);
        state.tombstones |= Set::from(tombstone) << user;
        for run in &mut state.runs {
            if let Run::Confirmed { moved, .. } = run {
                *moved |= 1 << user;
            }
        }
    }

    fn unsteady(state: &mut State, user: usize) {
        let keep = !(1 << user);
        for run in &mut state.runs {
            match run {
                Run::Idle => {}
                Run::Listing(Place { steady, .. })
                | Run::Sweeping { steady, .. }
                | Run::Confirmed { steady, .. } => *steady &= keep,
            }
        }
        if let Some(saved) = &mut state.saved {
            saved.steady &= keep;
        }
    }

    fn living_rows(state: &State) -> Set {
        state.rows & !state.tombstones
    }

    fn end(state: &mut State, run: usize, saved: Option<Place>) {
        state.runs[run] = Run::Idle;
        // `close_run.sql`: only who has the lease gives it back.
        if state.lease == u8::try_from(run).ok() {
            state.lease = None;
            state.saved = saved;
        }
    }

    fn fetch(&self, state: &mut State, run: usize) {
        let Run::Listing(place) = state.runs[run] else {
            return;
        };
        let (place, page) = self.take(state, place);
        state.runs[run] = Run::Listing(place);
        let Some((page, last)) = page else { return };
        for user in page {
            if !has(Self::living_rows(state), user) {
                Self::write(state, user, false);
            }
        }
        if last {
            let Place { met, steady, .. } = place;
            state.runs[run] = Run::Sweeping {
                met,
                steady,
                broken: false,
            };
        }
    }

    fn confirm(&self, state: &mut State, run: usize) {
        let Run::Sweeping {
            met,
            steady,
            broken,
        } = state.runs[run]
        else {
            return;
        };
        let living = Self::living_rows(state);
        let empty = met == 0 && living != 0;
        if empty && !self.mutated(Mutation::NoBrakeOnAnEmptyListing) {
            // Held.
            return Self::end(state, run, None);
        }
        let shown = if state.forgetful { 0 } else { state.alive };
        let missing = living & !met;
        let gone = match self.mutated(Mutation::TrustAbsence) {
            true => missing,
            false => missing & !shown,
        };
        let count = u8::try_from(gone.count_ones()).unwrap_or(u8::MAX);
        let brake = !self.mutated(Mutation::NoBrake) && !self.mutated(Mutation::BrakeAtTheLast);
        if brake && count > MOST {
            return Self::end(state, run, None);
        }
        state.runs[run] = Run::Confirmed {
            gone,
            moved: 0,
            steady,
            broken,
            empty,
        };
    }

    fn tombstone(&self, state: &mut State, run: usize) {
        let Run::Confirmed {
            gone,
            moved,
            steady,
            broken,
            empty,
        } = state.runs[run]
        else {
            return;
        };
        let holds = state.lease == u8::try_from(run).ok();
        let mut done: Set = 0;
        for user in members(gone & !moved) {
            if !holds && !self.mutated(Mutation::SweepWithoutTheLease) {
                break;
            }
            if self.mutated(Mutation::BrakeAtTheLast) && done.count_ones() >= u32::from(MOST) {
                break;
            }
            Self::write(state, user, true);
            done |= 1 << user;
        }
        let wrong = [
            (broken, Wrong::Failed),
            (empty, Wrong::Empty),
            (!holds, Wrong::Overtaken),
        ];
        let count = done.count_ones();
        state.wrong = state.wrong.or_else(|| {
            let found = wrong.into_iter().find(|(wrong, _)| *wrong && done != 0);
            let partly = count > 0 && count < (gone & !moved).count_ones();
            match found {
                Some((_, wrong)) => Some(wrong),
                None if count > u32::from(MOST) || partly => Some(Wrong::TooMany),
                None => None,
            }
        });
        if holds && !broken {
            state.complete = Some(steady);
        }
        Self::end(state, run, None);
    }

    fn step(&self, state: &mut State, action: Action) {
        state.complete = None;
        match action {
            Action::SignUp(user) => {
                state.alive |= 1 << user;
                Self::unsteady(state, user);
            }
            Action::Delete(user) => {
                state.alive &= !(1 << user);
                state.dead |= 1 << user;
                Self::unsteady(state, user);
            }
            Action::Deliver(user) => Self::write(state, user, has(state.dead, user)),
            Action::Forget => state.forgetful = true,
            Action::Remember => state.forgetful = false,
            Action::Begin(run) => {
                let anew = Place {
                    steady: state.alive,
                    ..Place::default()
                };
                state.lease = u8::try_from(run).ok();
                state.runs[run] = Run::Listing(state.saved.unwrap_or(anew));
            }
            Action::Page(run) => self.fetch(state, run),
            Action::BreakOff(run) => match (state.runs[run], self.mutation) {
                (
                    Run::Listing(Place { met, steady, .. }),
                    Some(Mutation::SweepAfterBreakingOff),
                ) => {
                    state.runs[run] = Run::Sweeping {
                        met,
                        steady,
                        broken: true,
                    };
                }
                _ => Self::end(state, run, None),
            },
            Action::RunOutOfTime(run) => {
                if let Run::Listing(place) = state.runs[run] {
                    Self::end(state, run, Some(place));
                }
            }
            Action::Confirm(run) => self.confirm(state, run),
            Action::Tombstone(run) => self.tombstone(state, run),
            // The place in the table stays as it was.
            Action::Die(run) => state.runs[run] = Run::Idle,
            Action::LeaseEnds => state.lease = None,
        }
        if state.forgetful {
            // Nobody is there all along.
            for user in 0..USERS {
                Self::unsteady(state, user);
            }
        }
    }
}

impl Model for Walk {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            alive: 0,
            dead: 0,
            forgetful: false,
            rows: 0,
            tombstones: 0,
            runs: [Run::Idle; 2],
            lease: None,
            saved: None,
            wrong: None,
            complete: None,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for user in 0..USERS {
            let (alive, dead) = (has(state.alive, user), has(state.dead, user));
            // In the order of sign-up.
            let next = (0..user).all(|before| has(state.alive | state.dead, before));
            if !alive && !dead && next {
                actions.push(Action::SignUp(user));
            }
            if alive {
                actions.push(Action::Delete(user));
            }
            let known = has(state.rows, user) && has(state.tombstones, user) == dead;
            if (alive || dead) && !known && !state.forgetful {
                actions.push(Action::Deliver(user));
            }
        }
        if self.amnesia {
            actions.push(match state.forgetful {
                false => Action::Forget,
                true => Action::Remember,
            });
        }
        for run in 0..2 {
            match state.runs[run] {
                Run::Idle if state.lease.is_none() => actions.push(Action::Begin(run)),
                Run::Idle => {}
                Run::Listing(_) => {
                    actions.extend([
                        Action::Page(run),
                        Action::BreakOff(run),
                        Action::RunOutOfTime(run),
                        Action::Die(run),
                    ]);
                }
                Run::Sweeping { .. } => {
                    actions.extend([Action::Confirm(run), Action::Die(run)]);
                }
                Run::Confirmed { .. } => {
                    actions.extend([Action::Tombstone(run), Action::Die(run)]);
                }
            }
        }
        if state.lease.is_some() {
            actions.push(Action::LeaseEnds);
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = *state;
        self.step(&mut next, action);
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(FAILED, |_: &Self, state: &State| {
                state.wrong != Some(Wrong::Failed)
            }),
            Property::always(EMPTY, |_: &Self, state: &State| {
                state.wrong != Some(Wrong::Empty)
            }),
            Property::always(BRAKE, |_: &Self, state: &State| {
                state.wrong != Some(Wrong::TooMany)
            }),
            Property::always(LEASE, |_: &Self, state: &State| {
                state.wrong != Some(Wrong::Overtaken)
            }),
            Property::always(NO_FALSE_TOMBSTONE, |walk: &Self, state: &State| {
                // A provider that denies its own users is what the brake is for.
                walk.amnesia || state.tombstones & !state.dead == 0
            }),
            Property::always(WHOLE, |_: &Self, state: &State| {
                state
                    .complete
                    .is_none_or(|steady| steady & !Self::living_rows(state) == 0)
            }),
        ]
    }
}
