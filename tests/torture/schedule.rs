//! A schedule: a list of steps that can be printed, replayed and cut down.
//!
//! Pure data: all that is random was drawn before, so that a step keeps its meaning when others
//! are left out.

use std::fmt;

use serde_json::Value;
use tests::postgres::Mode;
use tests::simulator::{Call, Fault, Moment, Trouble};

/// One schedule.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    /// The seed that it was drawn from.
    pub(crate) seed: u64,
    /// The provider, as the secret names it.
    pub(crate) provider: String,
    /// Where the functions and Postgres run.
    pub(crate) site: Site,
    /// Users who are there from the beginning, told to nobody.
    pub(crate) seeded: u64,
    /// Users that a page of the listing holds; none: as many as the adapter asks for.
    pub(crate) page: Option<u64>,
    /// For each instance of `webhook`, by how many seconds its clock is off.
    pub(crate) clocks: Vec<i64>,
    /// Milliseconds by which the provider's replicas lag, and the share of reads they answer.
    pub(crate) lag: Option<(u64, f64)>,
    /// Up to how many milliseconds each packet between a function and Postgres is held up.
    pub(crate) jitter_ms: u64,
    /// Up to how many milliseconds after the last step things may still go wrong, while anything
    /// is under way.
    pub(crate) aftermath_ms: u64,
    /// The steps, in this order.
    pub(crate) steps: Vec<Step>,
}

/// Where functions and Postgres run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Site {
    /// The handlers in this process, on a server that schedules share.
    Shared,
    /// The handlers in this process, on a server of their own that is restarted.
    Own,
    /// As `Own`, with PgBouncer in front of the server.
    Pooled,
    /// The real binaries, killed by SIGKILL, on a server of their own.
    Binaries,
}

/// One step.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) when: When,
    pub(crate) what: What,
}

/// When a step is done.
#[derive(Debug, Clone, Copy)]
pub(crate) enum When {
    /// After the step before, and so many milliseconds.
    Then(u64),
    /// When the provider gets, or has answered, this call, after so many others of them.
    AtRequest(Moment, Call, u32),
    /// When a function sends to Postgres, or is answered, after so many other packets.
    AtPacket(Direction, u32),
}

/// Which way a packet between a function and Postgres goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// To Postgres.
    Asked,
    /// From Postgres.
    Answered,
}

/// An action.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// A user changes at the provider, and what it tells is delivered so.
    Change(Whom, Happening, Post),
    /// A reconcile begins.
    Run(Invocation),
    /// An instance of `webhook` is killed.
    KillWebhook(usize),
    /// All runs of `reconcile` that are under way are killed.
    KillRuns,
    /// The provider does so to those who ask it.
    Trouble(Trouble),
    /// The provider allows so many requests a second.
    Limit(usize),
    /// The connection that the packet came by is cut, the packet lost.
    Cut,
    /// The packet is held up so many milliseconds.
    Stall(u64),
    /// Postgres closes all connections of the functions.
    Terminate,
    /// Postgres is stopped and, so many milliseconds later, started again.
    Restart(Mode, u64),
    /// The secret is rotated.
    Rotate(Rotation),
    /// Reads and listings lag so many milliseconds: longer than is assumed of the provider.
    Lag(u64),
    /// The application locks a row, the one at this place among so many as there are, for so many
    /// milliseconds.
    Lock(i64, u64),
    /// A trigger of the application's refuses the user at this place, likewise.
    Refuse(i64, u64),
}

/// Which user.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Whom {
    /// Somebody new.
    Nobody,
    /// One of the users to which it can happen, by this number modulo their count.
    Somebody(usize),
    /// As many as these who live, one after the other.
    Many(usize),
}

/// How a user changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Happening {
    SignUp,
    SignUpByOauth,
    UseAnonymously,
    SignUpAfterAll,
    Rename(u8),
    SetMetadata(u8),
    ChangeEmail(u8),
    VerifyEmail,
    LinkOauth,
    Touch,
    RenameTeam(u8),
    ShiftSignUp(i64),
    Delete,
    /// Sign up again under the same id.
    Return,
}

/// How messages are delivered.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    /// For each copy, how many milliseconds after the change it sets out; none: lost.
    pub(crate) copies: Vec<u64>,
    /// How many milliseconds after it began the first attempt is killed.
    pub(crate) killed_after: Option<f64>,
    /// How many milliseconds the function has for an attempt.
    pub(crate) limit: u64,
    /// Which instance takes the first attempt of the first copy.
    pub(crate) instance: usize,
}

/// How `reconcile` is invoked.
#[derive(Debug, Clone)]
pub(crate) struct Invocation {
    pub(crate) event: Value,
    /// How many milliseconds it has.
    pub(crate) limit: u64,
    /// How many milliseconds after it began it is killed.
    pub(crate) killed_after: Option<f64>,
}

/// How the secret is rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rotation {
    /// Deliveries are signed, or vouched for, by another one from now on.
    Signing,
    /// As above, and the one before is still good.
    SigningGently,
    /// The role that writes gets another password.
    Password,
    /// The provider takes another key.
    Key,
}

impl Schedule {
    /// Whether reads lag longer than is assumed: rules that rest on that might not hold on the way.
    pub(crate) fn lags_too_long(&self) -> bool {
        let mut steps = self.steps.iter();
        steps.any(|step| matches!(step.what, What::Lag(_)))
    }
}

impl What {
    /// The name under which the step is counted.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Change(Whom::Many(_), _, _) => "changes of many at once",
            Self::Change(_, Happening::Delete, _) => "deletions",
            Self::Change(_, Happening::Return, _) => "returns",
            Self::Change(..) => "changes",
            Self::Run(_) => "runs",
            Self::KillWebhook(_) => "webhooks killed",
            Self::KillRuns => "runs killed",
            Self::Trouble(_) => "provider troubles begun",
            Self::Limit(_) => "rate limits begun",
            Self::Cut => "connections cut",
            Self::Stall(_) => "packets held up",
            Self::Terminate => "backends terminated",
            Self::Restart(Mode::Fast, _) => "restarts, fast",
            Self::Restart(Mode::Immediate, _) => "restarts, immediate",
            Self::Rotate(Rotation::Password) => "passwords rotated",
            Self::Rotate(Rotation::Key) => "keys rotated",
            Self::Rotate(_) => "signing secrets rotated",
            Self::Lag(_) => "reads that lag too long",
            Self::Lock(..) => "rows locked by an application",
            Self::Refuse(..) => "users refused by a trigger",
        }
    }
}

/// The name under which a fault is counted.
pub(crate) fn fault_name(fault: &Fault) -> &'static str {
    match fault {
        Fault::Status(_) => "provider: 5xx",
        Fault::TooManyRequests { .. } => "provider: 429",
        Fault::Html(404) => "provider: HTML 404",
        Fault::Html(_) => "provider: HTML",
        Fault::Json(_) => "provider: other JSON",
        Fault::Answer { .. } => "provider: other answers",
        Fault::Truncated => "provider: truncated JSON",
        Fault::CutOff => "provider: answer cut off",
        Fault::Hang => "provider: no answer",
        Fault::Slow { .. } => "provider: slow answer",
        Fault::Late(_) => "provider: late answer",
        Fault::Dropped => "provider: connection dropped",
        Fault::EmptyListing => "provider: empty listing",
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}, {:?}: {} seeded users, {} a page; webhook's clocks off by {:?} s; lag {:?}; \
             jitter {} ms; aftermath {} ms",
            self.provider,
            self.site,
            self.seeded,
            self.page.map_or("all".to_owned(), |page| page.to_string()),
            self.clocks,
            self.lag,
            self.jitter_ms,
            self.aftermath_ms,
        )?;
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(f, "  {number:2}. {step}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.when {
            When::Then(0) => write!(f, "at once: ")?,
            When::Then(millis) => write!(f, "after {millis} ms: ")?,
            When::AtRequest(moment, call, skip) => {
                write!(f, "{moment:?} the provider's {call:?} no. {}: ", skip + 1)?;
            }
            When::AtPacket(direction, skip) => {
                write!(f, "as Postgres is {direction:?}, no. {}: ", skip + 1)?;
            }
        }
        match &self.what {
            What::Change(whom, happening, post) => {
                write!(f, "{whom:?}: {happening:?}, delivered after ")?;
                write!(f, "{:?} ms to {}", post.copies, post.instance)?;
                if let Some(millis) = post.killed_after {
                    write!(f, ", killed after {millis:.1} ms")?;
                }
                if post.limit < 10_000 {
                    write!(f, ", within {} ms", post.limit)?;
                }
                Ok(())
            }
            What::Run(run) => {
                write!(f, "reconcile {} within {} ms", run.event, run.limit)?;
                match run.killed_after {
                    Some(millis) => write!(f, ", killed after {millis:.1} ms"),
                    None => Ok(()),
                }
            }
            What::Trouble(trouble) => write!(
                f,
                "{:?} on {:?}, {} skipped, {:?} times, chance {:.2}",
                trouble.fault, trouble.on, trouble.skip, trouble.times, trouble.chance
            ),
            what => write!(f, "{what:?}"),
        }
    }
}
