//! Connections that misbehave below HTTP: closed without an answer, cut in the middle of a body,
//! or slow.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{self, AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;

/// A connection's treatment of the answer that is written to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Manner {
    /// Passes it on.
    #[default]
    Plain,
    /// Closes without a byte.
    Dropped,
    /// Passes the head and `bytes` of the body, then closes.
    Cut { bytes: usize },
    /// Passes `bytes` at a time, then waits.
    Slow { bytes: usize, every: Duration },
}

/// A handle on the connection that a request came by.
#[derive(Debug, Clone, Default)]
pub(super) struct Line(Arc<Mutex<Manner>>);

impl Line {
    /// How this connection treats everything written to it from now on.
    pub(super) fn set(&self, manner: Manner) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = manner;
    }

    fn manner(&self) -> Manner {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Accepts connections whose manner can be changed.
#[derive(Debug)]
pub(super) struct Lines(pub(super) TcpListener);

impl Listener for Lines {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        // Small answers over a local line: don't hold them back to fill a packet.
        drop(stream.set_nodelay(true));
        (Wire::over(stream), address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Lines>> for Line {
    fn connect_info(stream: IncomingStream<'_, Lines>) -> Self {
        stream.io().line.clone()
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    line: Line,
    pause: Option<Pin<Box<Sleep>>>,
    /// Bytes of a cut answer that may still pass; none while no answer is being cut.
    left: Option<usize>,
}

impl Wire {
    fn over(stream: TcpStream) -> Self {
        Self {
            stream,
            line: Line::default(),
            pause: None,
            left: None,
        }
    }

    /// Writes up to `limit` bytes.
    fn write(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
        limit: usize,
    ) -> Poll<io::Result<usize>> {
        let bytes = &bytes[..bytes.len().min(limit)];
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        match this.line.manner() {
            Manner::Plain => this.write(context, bytes, usize::MAX),
            Manner::Dropped => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Manner::Cut { bytes: body } => {
                // hyper writes the whole head first, so its end is in the first buffer.
                let left = *this.left.get_or_insert_with(|| head(bytes) + body);
                if left == 0 {
                    return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
                }
                let written = this.write(context, bytes, left);
                if let Poll::Ready(Ok(written)) = written {
                    this.left = Some(left - written);
                }
                written
            }
            Manner::Slow { bytes: some, every } => {
                if let Some(pause) = &mut this.pause {
                    if pause.as_mut().poll(context).is_pending() {
                        return Poll::Pending;
                    }
                    this.pause = None;
                }
                let written = this.write(context, bytes, some.max(1));
                if written.is_ready() {
                    this.pause = Some(Box::pin(tokio::time::sleep(every)));
                }
                written
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

/// How many of these bytes are the answer's head.
fn head(bytes: &[u8]) -> usize {
    bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .map_or(bytes.len(), |at| at + 4)
}
