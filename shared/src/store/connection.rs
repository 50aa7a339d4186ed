//! A connection that is made when it is needed, and made again when it was lost.
//!
//! Invariants: a statement is sent once the one before is answered, because a pooler
//! takes a connection to the server for free between the two, and would give it to
//! somebody else in the middle of the second; and a statement that is given up is
//! cancelled at the server, and the next one takes another connection.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row, SimpleQueryMessage};

use super::connect::{Target, Way};
use super::error::StoreError;
use super::planned::Planned;
use super::schema::Schema;
use crate::time::At;

/// How long to wait.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a database that doesn't answer to come back.
    pub connect: Duration,
    /// For one statement.
    pub statement: Duration,
}

/// The way to the database, and the schema that its statements are sent for.
pub(super) struct Connection {
    target: Target,
    schema: Schema,
    patience: Patience,
    deadline: Option<Instant>,
    /// Locked while a statement waits for its answer.
    live: Mutex<Option<Live>>,
    /// Of this connection and of those beside it.
    cancelling: Arc<Lock<Vec<JoinHandle<()>>>>,
}

/// The connection, and when it last gave an answer.
struct Live {
    line: Line,
    used: Instant,
}

/// A connection.
struct Line {
    client: Client,
    way: Way,
    /// Whether a statement that is no longer waited for is in the way of others.
    abandoned: AtomicBool,
    /// Whether a function that keeps a statement's plan was missing.
    unplanned: AtomicBool,
}

impl Line {
    fn is_good(&self) -> bool {
        !self.client.is_closed() && !self.abandoned.load(Ordering::Relaxed)
    }

    fn keeps_plans(&self) -> bool {
        !self.unplanned.load(Ordering::Relaxed)
    }
}

/// A statement that was sent. If its answer is no longer waited for, it is
/// cancelled, and the next statement takes another connection.
struct Sent<'a> {
    connection: &'a Connection,
    line: &'a Line,
    answered: bool,
}

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.line.abandoned.store(true, Ordering::Relaxed);
            self.connection.cancel(self.line);
        }
    }
}

/// The time that even the last attempt is given.
const BRIEFLY: Duration = Duration::from_secs(1);

/// A connection that was not used for this long may be dead without a sign: its
/// function was frozen, or a gateway in between has forgotten it.
const IDLE: Duration = Duration::from_secs(5);

/// The time for the first answer after that. Then the statement is sent again, on
/// a new connection.
const AFTER_IDLE: Duration = Duration::from_secs(2);

/// The time to tell a server that a statement is no longer waited for. A sender
/// of deliveries waits 3 seconds more by then.
const TO_CANCEL: Duration = Duration::from_secs(2);

pub(super) type Parameters<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];

/// A question to the server.
enum Question<'a> {
    /// A statement, and the call that stands for it, where there is one.
    Statement {
        sql: &'a str,
        call: Option<&'a str>,
        parameters: Parameters<'a>,
    },
    /// A statement without parameters that gives one number. As a simple query it
    /// costs the server half as much as with parameters that it doesn't have.
    Number(&'a str),
}

/// The answer to it.
enum Answer {
    Rows(Vec<Row>),
    Number(Option<f64>),
}

impl Question<'_> {
    async fn ask(&self, line: &Line, by_call: bool) -> Result<Answer, tokio_postgres::Error> {
        match self {
            Self::Statement {
                sql,
                call,
                parameters,
            } => {
                let sql = call.filter(|_| by_call).unwrap_or(sql);
                let rows = line.client.query_typed(sql, parameters).await?;
                Ok(Answer::Rows(rows))
            }
            Self::Number(sql) => {
                let messages = line.client.simple_query(sql).await?;
                let number = messages.iter().find_map(|message| match message {
                    SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
                    _ => None,
                });
                Ok(Answer::Number(number))
            }
        }
    }

    fn has_call(&self) -> bool {
        matches!(self, Self::Statement { call: Some(_), .. })
    }
}

impl Connection {
    /// Doesn't connect yet.
    pub(super) fn new(target: Target, schema: Schema, patience: Patience) -> Self {
        Self {
            target,
            schema,
            patience,
            deadline: None,
            live: Mutex::new(None),
            cancelling: Arc::default(),
        }
    }

    /// Another one to the same place, until the same moment.
    pub(super) fn beside(&self, patience: Patience) -> Self {
        Self {
            deadline: self.deadline,
            cancelling: self.cancelling.clone(),
            ..Self::new(self.target.clone(), self.schema.clone(), patience)
        }
    }

    /// Another one to the same place, which waits for nothing beyond this moment.
    pub(super) fn until(&self, deadline: Instant) -> Self {
        Self {
            deadline: Some(deadline),
            ..self.beside(self.patience)
        }
    }

    /// Connects, if it isn't.
    pub(super) async fn connect(&self) -> Result<(), StoreError> {
        let until = patience_ends(self.deadline, self.patience.connect);
        let mut live = self.live.lock().await;
        self.line(&mut live, until).await.map(|_| ())
    }

    /// The database's clock.
    pub(super) async fn now(&self) -> Result<At, StoreError> {
        let sql = self.schema.of(sql!("clock"));
        match self.send(self.deadline, Question::Number(&sql)).await? {
            // Its digits suffice for microseconds until the year 2106.
            Answer::Number(Some(seconds)) => Ok(At::from_micros((seconds * 1e6).round() as i64)),
            Answer::Number(None) | Answer::Rows(_) => Err(StoreError::Garbled),
        }
    }

    /// As [`Connection::all`], where the answer is one row.
    pub(super) async fn one(
        &self,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<Row, StoreError> {
        let mut rows = self.all(sql, parameters).await?;
        rows.pop().ok_or(StoreError::Garbled)
    }

    /// As [`Connection::one`], where the plan is kept.
    pub(super) async fn one_planned(
        &self,
        planned: &Planned,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Row, StoreError> {
        let mut rows = self.all_planned(planned, values).await?;
        rows.pop().ok_or(StoreError::Garbled)
    }

    /// As [`Connection::all`], where the plan is kept.
    pub(super) async fn all_planned(
        &self,
        planned: &Planned,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let typed: Vec<_> = values
            .iter()
            .copied()
            .zip(planned.takes.iter().cloned())
            .collect();
        self.rows(self.deadline, (&planned.sql, Some(&planned.call)), &typed)
            .await
    }

    /// Sends a statement until it is answered, for as long as patience lasts.
    pub(super) async fn all(
        &self,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        self.all_by(self.deadline, sql, parameters).await
    }

    /// The same, with a deadline of its own.
    pub(super) async fn all_by(
        &self,
        deadline: Option<Instant>,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        self.rows(deadline, (sql, None), parameters).await
    }

    async fn rows(
        &self,
        deadline: Option<Instant>,
        (sql, call): (&str, Option<&str>),
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        let sql = self.schema.of(sql);
        let call = call.map(|call| self.schema.of(call));
        let statement = Question::Statement {
            sql: &sql,
            call: call.as_deref(),
            parameters,
        };
        match self.send(deadline, statement).await? {
            Answer::Rows(rows) => Ok(rows),
            Answer::Number(_) => Err(StoreError::Garbled),
        }
    }

    /// Asks until there is an answer, for as long as patience lasts.
    async fn send(
        &self,
        deadline: Option<Instant>,
        question: Question<'_>,
    ) -> Result<Answer, StoreError> {
        let until = patience_ends(deadline, self.patience.connect);
        let mut read_only = false;
        loop {
            let mut turn = self.live.lock().await;
            let live = self.line(&mut turn, until).await?;
            let (line, idle) = (&live.line, live.used.elapsed());
            let mut sent = Sent {
                connection: self,
                line,
                answered: false,
            };
            let by_call = question.has_call() && line.keeps_plans();
            let answered = question.ask(line, by_call);
            let mut by =
                (Instant::now() + BRIEFLY).max(patience_ends(deadline, self.patience.statement));
            let doubtful = idle >= IDLE && Instant::now() + AFTER_IDLE < until;
            if doubtful {
                by = by.min(Instant::now() + AFTER_IDLE);
            }
            let answer = timeout_at(by, answered).await;
            sent.answered = answer.is_ok();
            drop(sent);
            let error = match answer {
                Ok(Ok(answer)) => {
                    live.used = Instant::now();
                    return Ok(answer);
                }
                Ok(Err(error)) if by_call && is_not_kept(&error) => {
                    tracing::debug!("provision has not kept this release's plans");
                    line.unplanned.store(true, Ordering::Relaxed);
                    continue;
                }
                Ok(Err(error)) => StoreError::of(&error),
                Err(_) => StoreError::Unreachable("a statement took too long".to_owned()),
            };
            // After a fail-over the host's name leads to another server.
            let elsewhere = matches!(error, StoreError::ReadOnly) && !read_only;
            read_only |= elsewhere;
            let lost = elsewhere || error.passes();
            if lost {
                *turn = None;
            }
            drop(turn);
            if !(lost || matches!(error, StoreError::Collided)) || Instant::now() >= until {
                return Err(error);
            }
            sleep(Duration::from_millis(50 + fastrand::u64(..100))).await;
        }
    }

    /// Has the server end a statement that is no longer waited for; see
    /// [`Connection::let_go`].
    fn cancel(&self, line: &Line) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        if line.client.is_closed() {
            return;
        }
        let (token, way) = (line.client.cancel_token(), line.way.clone());
        let target = self.target.clone();
        let cancelling = runtime.spawn(async move {
            let _ = timeout(TO_CANCEL, target.cancel(&token, &way)).await;
        });
        let mut all = self.cancelling();
        all.retain(|cancelling| !cancelling.is_finished());
        all.push(cancelling);
    }

    /// Waits until the server was told to end every statement that is no longer
    /// waited for, or can't be told. A function that has answered is frozen, and
    /// would tell it too late.
    pub(super) async fn let_go(&self) {
        // A task that was ended gives its statement up at its next turn.
        yield_now().await;
        let all = std::mem::take(&mut *self.cancelling());
        for cancelling in all {
            let _ = cancelling.await;
        }
    }

    fn cancelling(&self) -> std::sync::MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.cancelling
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection; a new one if there is none.
    async fn line<'a>(
        &self,
        live: &'a mut Option<Live>,
        until: Instant,
    ) -> Result<&'a mut Live, StoreError> {
        if live.as_ref().is_some_and(|live| !live.line.is_good()) {
            *live = None;
        }
        match live {
            Some(live) => Ok(live),
            None => Ok(live.insert(self.open(until).await?)),
        }
    }

    async fn open(&self, until: Instant) -> Result<Live, StoreError> {
        let mut pause = Duration::from_millis(100);
        loop {
            let opened =
                timeout_at((Instant::now() + BRIEFLY).max(until), self.target.reach()).await;
            let error = match opened {
                Ok(Ok((client, way))) => {
                    let line = Line {
                        client,
                        way,
                        abandoned: AtomicBool::new(false),
                        unplanned: AtomicBool::new(false),
                    };
                    let used = Instant::now();
                    return Ok(Live { line, used });
                }
                Ok(Err(error)) => error,
                Err(_) => StoreError::Unreachable("no connection in time".to_owned()),
            };
            if !error.passes() || Instant::now() + pause >= until {
                return Err(error);
            }
            sleep(pause + Duration::from_millis(fastrand::u64(..50))).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }
}

/// Whether the function that keeps a statement's plan is missing, or closed to this
/// user. An error within the function has a context.
fn is_not_kept(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|error| {
        let is_of_functions = matches!(
            *error.code(),
            SqlState::UNDEFINED_FUNCTION | SqlState::INSUFFICIENT_PRIVILEGE
        );
        is_of_functions && error.where_().is_none()
    })
}

/// The moment at which this much patience ends, the deadline at the latest.
fn patience_ends(deadline: Option<Instant>, patience: Duration) -> Instant {
    let until = Instant::now() + patience;
    deadline.map_or(until, |deadline| until.min(deadline))
}
