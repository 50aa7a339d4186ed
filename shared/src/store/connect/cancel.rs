//! Telling a server that a statement is no longer waited for.
//!
//! Invariant: the line on which it is told stays open until the other side
//! closes it, as in libpq. The driver hangs up at once, and PgBouncer ignores the
//! request of a client that has hung up.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use postgres_native_tls::{MakeTlsConnector, TlsConnector, TlsStream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_postgres::CancelToken;
use tokio_postgres::tls::{self, ChannelBinding, MakeTlsConnect, TlsConnect};

use super::Way;

/// Returns once the other side has read it.
pub(super) async fn cancel(token: &CancelToken, way: &Way, tls: &MakeTlsConnector) {
    // If the server can't be told, it will notice that the connection is gone.
    let _ = match way.address {
        Some(address) => tell(token, address, &way.name, tls).await,
        None => token
            .cancel_query(tls.clone())
            .await
            .map_err(io::Error::other),
    };
}

async fn tell(
    token: &CancelToken,
    address: std::net::SocketAddr,
    name: &str,
    tls: &MakeTlsConnector,
) -> io::Result<()> {
    let mut line = Line(Arc::new(Mutex::new(TcpStream::connect(address).await?)));
    let mut tls = tls.clone();
    let tls = MakeTlsConnect::<Line>::make_tls_connect(&mut tls, name).map_err(io::Error::other)?;
    let told = token.cancel_query_raw(line.clone(), Quietly(tls)).await;
    told.map_err(io::Error::other)?;
    let mut rest = Vec::new();
    line.read_to_end(&mut rest).await.map(|_| ())
}

/// A line that is not closed by one of its holders.
#[derive(Clone)]
struct Line(Arc<Mutex<TcpStream>>);

impl Line {
    fn stream(&self) -> MutexGuard<'_, TcpStream> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncRead for Line {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream()).poll_read(context, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream()).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream()).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// TLS that does not announce its end either.
struct Quietly(TlsConnector);

struct Quiet(TlsStream<Line>);

impl TlsConnect<Line> for Quietly {
    type Stream = Quiet;
    type Error = <TlsConnector as TlsConnect<Line>>::Error;
    type Future = BoxFuture<'static, Result<Quiet, Self::Error>>;

    fn connect(self, line: Line) -> Self::Future {
        Box::pin(async move { self.0.connect(line).await.map(Quiet) })
    }
}

impl tls::TlsStream for Quiet {
    fn channel_binding(&self) -> ChannelBinding {
        self.0.channel_binding()
    }
}

impl AsyncRead for Quiet {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Quiet {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
