//! A meter on the line to a server: passes bytes on and counts them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::{Context, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A port of 127.0.0.1 that leads to another one, until dropped.
#[derive(Debug)]
pub struct Meter {
    port: u16,
    to: u16,
    sent: Arc<AtomicU64>,
    trips: Arc<AtomicU64>,
    listening: JoinHandle<()>,
}

impl Meter {
    /// Opens a way to the server on the port `to`.
    pub async fn start(to: u16) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("bind a meter")?;
        let port = listener.local_addr()?.port();
        let sent = Arc::new(AtomicU64::new(0));
        let trips = Arc::new(AtomicU64::new(0));
        let counters = (Arc::clone(&sent), Arc::clone(&trips));
        let listening = tokio::spawn(listen(listener, to, counters));
        Ok(Self {
            port,
            to,
            sent,
            trips,
            listening,
        })
    }

    /// The URL that reaches through the meter what `url` reaches directly.
    pub fn url(&self, url: &str) -> String {
        url.replace(&format!(":{}/", self.to), &format!(":{}/", self.port))
    }

    /// Bytes that clients have sent since this was last asked.
    pub fn sent(&self) -> u64 {
        self.sent.swap(0, Ordering::SeqCst)
    }

    /// How often clients have spoken, since this was last asked, after the server had: a question
    /// and its answer are one round trip, whatever number of packets they take.
    pub fn round_trips(&self) -> u64 {
        self.trips.swap(0, Ordering::SeqCst)
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

type Counters = (Arc<AtomicU64>, Arc<AtomicU64>);

async fn listen(listener: TcpListener, to: u16, (sent, trips): Counters) {
    while let Ok((client, _)) = listener.accept().await {
        let (sent, trips) = (Arc::clone(&sent), Arc::clone(&trips));
        tokio::spawn(async move {
            let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await else {
                return;
            };
            drop((client.set_nodelay(true), server.set_nodelay(true)));
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            // Whether the server has spoken last.
            let answered = AtomicBool::new(true);
            let asking = |length| {
                sent.fetch_add(length, Ordering::SeqCst);
                if answered.swap(false, Ordering::SeqCst) {
                    trips.fetch_add(1, Ordering::SeqCst);
                }
            };
            let answering = |_| answered.store(true, Ordering::SeqCst);
            tokio::select! {
                () = pass(from_client, to_server, asking) => {}
                () = pass(from_server, to_client, answering) => {}
            }
        });
    }
}

/// Passes bytes on until either side is gone; `note` is told of each handful before it is passed on.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    note: impl Fn(u64),
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        note(u64::try_from(length).unwrap_or_default());
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
