//! A meter on the line to a server: passes bytes on and counts them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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
        let listening = tokio::spawn(listen(listener, to, Arc::clone(&sent)));
        Ok(Self {
            port,
            to,
            sent,
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
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, to: u16, sent: Arc<AtomicU64>) {
    while let Ok((client, _)) = listener.accept().await {
        let sent = Arc::clone(&sent);
        tokio::spawn(async move {
            let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await else {
                return;
            };
            drop((client.set_nodelay(true), server.set_nodelay(true)));
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            let answers = Arc::new(AtomicU64::new(0));
            tokio::select! {
                () = pass(from_client, to_server, sent) => {}
                () = pass(from_server, to_client, answers) => {}
            }
        });
    }
}

/// Passes bytes on until either side is gone.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    count: Arc<AtomicU64>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
        count.fetch_add(u64::try_from(length).unwrap_or_default(), Ordering::SeqCst);
    }
}
