//! A gate on the line to a server: it may keep callers waiting, turn them away, or fall silent in
//! the middle of a conversation, as a database that sleeps and the network before it do.
//!
//! A line that was cut off stays silent, and neither side is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// The gate's treatment of a new line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// They get through.
    Open,
    /// The call is taken, and nothing is said until the gate is open again.
    Held,
    /// The call is taken and broken off.
    Reset,
}

/// A port of 127.0.0.1 that leads to another one, until dropped.
#[derive(Debug)]
pub struct Gate {
    port: u16,
    to: u16,
    orders: watch::Sender<Orders>,
    calls: Arc<AtomicU64>,
    listening: JoinHandle<()>,
}

#[derive(Debug, Clone, Copy)]
struct Orders {
    way: Way,
    /// Lines with a lower number are silent.
    silent_below: u64,
    /// Lines with a lower number are broken off.
    broken_below: u64,
}

impl Gate {
    /// Opens a way to the server on the port `to`.
    pub async fn start(to: u16) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("bind a gate")?;
        let port = listener.local_addr()?.port();
        let (orders, heard) = watch::channel(Orders {
            way: Way::Open,
            silent_below: 0,
            broken_below: 0,
        });
        let calls = Arc::new(AtomicU64::new(0));
        let listening = tokio::spawn(listen(listener, to, heard, Arc::clone(&calls)));
        Ok(Self {
            port,
            to,
            orders,
            calls,
            listening,
        })
    }

    /// The port that leads to the server.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL that reaches through the gate what `url` reaches directly.
    pub fn url(&self, url: &str) -> String {
        url.replace(&format!(":{}/", self.to), &format!(":{}/", self.port))
    }

    /// Sets what becomes of those who call from now on, or are held.
    pub fn set(&self, way: Way) {
        self.orders.send_modify(|orders| orders.way = way);
    }

    /// Lets all lines that there are fall silent: what is sent is taken, and nothing comes of it.
    pub fn silence(&self) {
        let calls = self.calls();
        self.orders
            .send_modify(|orders| orders.silent_below = calls);
    }

    /// Breaks off all lines that there are.
    pub fn break_off(&self) {
        let calls = self.calls();
        self.orders
            .send_modify(|orders| orders.broken_below = calls);
    }

    /// How many calls there were.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(
    listener: TcpListener,
    to: u16,
    orders: watch::Receiver<Orders>,
    calls: Arc<AtomicU64>,
) {
    // Dropped with the gate, so that no line outlives it.
    let mut lines = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let number = calls.fetch_add(1, Ordering::SeqCst);
        lines.spawn(line(client, to, number, orders.clone()));
    }
}

async fn line(mut client: TcpStream, to: u16, number: u64, mut orders: watch::Receiver<Orders>) {
    let mut broken = orders.clone();
    let talk = async {
        let decided = orders.wait_for(|orders| orders.way != Way::Held).await;
        let way = decided.map_or(Way::Reset, |orders| orders.way);
        if way == Way::Reset {
            return;
        }
        let Ok(mut server) = TcpStream::connect(("127.0.0.1", to)).await else {
            return;
        };
        drop((client.set_nodelay(true), server.set_nodelay(true)));
        let silent = tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut client, &mut server) => false,
            heard = orders.wait_for(|orders| number < orders.silent_below) => heard.is_ok(),
        };
        if silent {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = talk => {}
        _ = broken.wait_for(|orders| number < orders.broken_below) => {}
    }
    // A reset, where there is something to reset; a closed line is closed all the same.
    drop(client.set_zero_linger());
}
