//! The line between the functions and Postgres: packets on it can be held up, and connections cut,
//! with the packet lost. A cut on the way back leaves a statement done whose answer nobody saw.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::schedule::Direction;

/// A port of 127.0.0.1 that leads to a server's, until dropped.
pub(crate) struct Wire {
    port: u16,
    line: Arc<Line>,
    listening: JoinHandle<()>,
}

/// The treatment of a packet.
pub(crate) enum Treatment {
    /// It passes.
    Pass,
    /// It is lost, and its connection cut.
    Cut,
    /// It is held up.
    Stall(Duration),
}

type Deed = Box<dyn FnOnce() -> Treatment + Send>;

struct Line {
    to: u16,
    snags: Mutex<Vec<(Direction, u32, Deed)>>,
    jitter_ms: AtomicU64,
    /// Packets that are held up.
    held: AtomicUsize,
    /// Moves when all connections are to be cut.
    cuts: watch::Sender<u64>,
}

impl Wire {
    /// Opens a way to the server on the port `to`.
    pub(crate) async fn to(to: u16) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.context("bind a wire")?;
        let port = listener.local_addr()?.port();
        let line = Arc::new(Line {
            to,
            snags: Mutex::default(),
            jitter_ms: AtomicU64::new(0),
            held: AtomicUsize::new(0),
            cuts: watch::Sender::new(0),
        });
        let listening = tokio::spawn(listen(listener, line.clone()));
        Ok(Self {
            port,
            line,
            listening,
        })
    }

    /// The URL that reaches through the wire what `url` reaches at any port.
    pub(crate) fn url(&self, url: &str) -> Result<String> {
        let (before, after) = url.rsplit_once(':').context("split a database URL")?;
        let (_, database) = after.split_once('/').context("split a database URL")?;
        Ok(format!("{before}:{}/{database}", self.port))
    }

    /// Has something done at a packet that goes this way, after so many others.
    pub(crate) fn once(
        &self,
        direction: Direction,
        skip: u32,
        deed: impl FnOnce() -> Treatment + Send + 'static,
    ) {
        self.line.snags().push((direction, skip, Box::new(deed)));
    }

    /// Holds each packet up, for up to so many milliseconds.
    pub(crate) fn set_jitter(&self, millis: u64) {
        self.line.jitter_ms.store(millis, Ordering::SeqCst);
    }

    /// Lets everything pass again.
    pub(crate) fn clear(&self) {
        self.line.snags().clear();
        self.set_jitter(0);
    }

    /// Cuts all connections.
    pub(crate) fn cut(&self) {
        self.line.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Waits until no packet is held up.
    pub(crate) async fn quiet(&self) {
        while self.line.held.load(Ordering::SeqCst) > 0 {
            sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.listening.abort();
        self.cut();
    }
}

impl Line {
    fn snags(&self) -> MutexGuard<'_, Vec<(Direction, u32, Deed)>> {
        self.snags.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn treat(&self, direction: Direction) -> Treatment {
        let mut snags = self.snags();
        let mut due = None;
        for (at, (way, skip, _)) in snags.iter_mut().enumerate() {
            if *way == direction {
                match skip.checked_sub(1) {
                    Some(rest) => *skip = rest,
                    None => due = due.or(Some(at)),
                }
            }
        }
        let deed = due.map(|at| snags.remove(at).2);
        drop(snags);
        deed.map_or(Treatment::Pass, |deed| deed())
    }

    async fn hold(&self, time: Duration) {
        self.held.fetch_add(1, Ordering::SeqCst);
        // Counted down even if the connection is cut meanwhile.
        let _held = Held(&self.held);
        sleep(time).await;
    }
}

struct Held<'a>(&'a AtomicUsize);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn listen(listener: TcpListener, line: Arc<Line>) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            sleep(Duration::from_millis(5)).await;
            continue;
        };
        tokio::spawn(connect(client, line.clone()));
    }
}

async fn connect(client: TcpStream, line: Arc<Line>) {
    let mut cuts = line.cuts.subscribe();
    let Ok(server) = TcpStream::connect(("127.0.0.1", line.to)).await else {
        return;
    };
    drop((client.set_nodelay(true), server.set_nodelay(true)));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = pass(from_client, to_server, &line, Direction::Asked) => {}
        () = pass(from_server, to_client, &line, Direction::Answered) => {}
        _ = cuts.changed() => {}
    }
}

/// Passes packets on until either side is gone, or the connection is cut.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    line: &Line,
    direction: Direction,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        match line.treat(direction) {
            Treatment::Pass => {}
            Treatment::Cut => return,
            Treatment::Stall(time) => line.hold(time).await,
        }
        let jitter = line.jitter_ms.load(Ordering::SeqCst);
        if jitter > 0 {
            line.hold(Duration::from_millis(fastrand::u64(0..=jitter)))
                .await;
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
