//! A server, pooler or proxy that turns logins away in its own words, before it lets them through
//! to a real server.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// The requests by which a client asks for TLS or GSSAPI before it logs in.
const ASKED_FOR_ENCRYPTION: [u32; 2] = [80_877_103, 80_877_104];

/// An answer to a login.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The SQLSTATE.
    pub code: String,
    /// The primary message.
    pub message: String,
}

impl Refusal {
    /// A refusal in these words.
    pub fn new(code: &str, message: &str) -> Self {
        Self {
            code: code.to_owned(),
            message: message.to_owned(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut fields = Vec::new();
        for (kind, value) in [
            (b'S', "FATAL"),
            (b'V', "FATAL"),
            (b'C', &self.code),
            (b'M', &self.message),
        ] {
            fields.push(kind);
            fields.extend_from_slice(value.as_bytes());
            fields.push(0);
        }
        fields.push(0);
        let length = u32::try_from(fields.len() + 4).unwrap_or(u32::MAX);
        [b"E", &length.to_be_bytes()[..], &fields].concat()
    }
}

/// A port of 127.0.0.1 where logins are turned away, until dropped.
#[derive(Debug)]
pub struct Doorman {
    port: u16,
    to: u16,
    left: Arc<Mutex<VecDeque<Refusal>>>,
    listening: JoinHandle<()>,
}

impl Doorman {
    /// Turns as many logins away as there are refusals, in this order; later ones, and whatever
    /// is no login, get through to the server on the port `to`.
    pub async fn start(to: u16, refusals: Vec<Refusal>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("bind")?;
        let port = listener.local_addr()?.port();
        let left = Arc::new(Mutex::new(VecDeque::from(refusals)));
        let listening = tokio::spawn(listen(listener, to, left.clone()));
        Ok(Self {
            port,
            to,
            left,
            listening,
        })
    }

    /// The URL that comes by here to what `url` reaches directly.
    pub fn url(&self, url: &str) -> String {
        url.replace(&format!(":{}/", self.to), &format!(":{}/", self.port))
    }

    /// How many are still to be turned away.
    pub fn left(&self) -> usize {
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.len()
    }
}

impl Drop for Doorman {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, to: u16, left: Arc<Mutex<VecDeque<Refusal>>>) {
    // Dropped with the doorman, so that no line outlives it.
    let mut lines = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let left = left.clone();
        lines.spawn(async move { drop(line(client, to, left).await) });
    }
}

async fn line(
    mut client: TcpStream,
    to: u16,
    left: Arc<Mutex<VecDeque<Refusal>>>,
) -> std::io::Result<()> {
    let (length, code, rest) = loop {
        let (length, code) = (client.read_u32().await?, client.read_u32().await?);
        if !ASKED_FOR_ENCRYPTION.contains(&code) {
            let mut rest = vec![0; length.saturating_sub(8) as usize];
            client.read_exact(&mut rest).await?;
            break (length, code, rest);
        }
        client.write_all(b"N").await?;
    };
    let refusal = left
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .pop_front();
    if let Some(refusal) = refusal {
        client.write_all(&refusal.bytes()).await?;
        return client.shutdown().await;
    }
    let mut server = TcpStream::connect(("127.0.0.1", to)).await?;
    server.write_all(&length.to_be_bytes()).await?;
    server.write_all(&code.to_be_bytes()).await?;
    server.write_all(&rest).await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
