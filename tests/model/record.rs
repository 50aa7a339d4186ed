//! A provider's record of events (WorkOS): two users, four events, deliveries
//! in any order or none, and a run that drains the record and may die between
//! any two steps.
//!
//! Bounds: four events, pages of two, one run at a time.

use stateright::{Model, Property};

use crate::mutation::Mutation;

const EVENTS: u8 = 4;

const PAGE: u8 = 2;

const USERS: usize = 2;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) name: &'static str,
    pub(crate) mutation: Option<Mutation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Run {
    Idle,
    /// Behind which event the page was asked for, and its last event.
    Page {
        applied: u8,
        last: u8,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// The user of each event; `None`: it has not happened yet.
    events: [Option<u8>; EVENTS as usize],
    /// Up to which event each row knows its user; an event's place is its
    /// version.
    rows: [u8; USERS],
    /// `event_cursor`
    cursor: u8,
    run: Run,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Happen(u8),
    Deliver(u8),
    Ask,
    Apply,
    Move,
    Die,
}

pub(crate) const BEHIND: &str = "every event before the place in the record is applied";

impl Record {
    fn apply(state: &mut State, event: u8) {
        let Some(user) = state.events[usize::from(event) - 1] else {
            return;
        };
        let row = &mut state.rows[usize::from(user)];
        *row = (*row).max(event);
    }

    fn happened(state: &State) -> u8 {
        u8::try_from(state.events.iter().flatten().count()).unwrap_or(0)
    }
}

impl Model for Record {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            events: [None; EVENTS as usize],
            rows: [0; USERS],
            cursor: 0,
            run: Run::Idle,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let happened = Self::happened(state);
        if happened < EVENTS {
            actions.extend([Action::Happen(0), Action::Happen(1)]);
        }
        actions.extend((1..=happened).map(Action::Deliver));
        match state.run {
            Run::Idle if state.cursor < happened => actions.push(Action::Ask),
            Run::Idle => {}
            Run::Page { applied, last } => {
                actions.push(Action::Die);
                if applied < last {
                    actions.push(Action::Apply);
                } else {
                    actions.push(Action::Move);
                }
            }
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = *state;
        match action {
            Action::Happen(user) => {
                next.events[usize::from(Self::happened(state))] = Some(user);
            }
            Action::Deliver(event) => {
                Self::apply(&mut next, event);
                if self.mutation == Some(Mutation::CursorFromDeliveries) {
                    next.cursor = next.cursor.max(event);
                }
            }
            Action::Ask => {
                let last = (state.cursor + PAGE).min(Self::happened(state));
                next.run = Run::Page {
                    applied: state.cursor,
                    last,
                };
                if self.mutation == Some(Mutation::CursorBeforeTheCommit) {
                    next.cursor = last;
                }
            }
            Action::Apply => {
                if let Run::Page { applied, .. } = &mut next.run {
                    *applied += 1;
                    let event = *applied;
                    Self::apply(&mut next, event);
                }
            }
            Action::Move => {
                if let Run::Page { last, .. } = state.run {
                    next.cursor = next.cursor.max(last);
                    next.run = Run::Idle;
                }
            }
            Action::Die => next.run = Run::Idle,
        }
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always(BEHIND, |_: &Self, state: &State| {
            (1..=state.cursor).all(|event| {
                state.events[usize::from(event) - 1]
                    .is_none_or(|user| state.rows[usize::from(user)] >= event)
            })
        })]
    }
}
