//! One connection: its limits, and its end.
//!
//! What hyper bounds is set here: how long a request's head may take and how large it may be. What it leaves open is
//! done here: a client that doesn't take its answer, one that must be told why it is cut off, and a close that doesn't
//! take the answer from one that is still sending.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep, timeout};

use crate::handle::handle;
use crate::refusal::Refusal;
use crate::server::Shared;

/// The most bytes of a request's head, which hyper may exceed by as much as it reads at once, and the most lines of it.
const HEAD_BYTES: usize = 32 << 10;
const HEAD_LINES: usize = 100;

/// How long a connection is read from after its last answer. One that is closed with bytes unread is reset, and the
/// client may never see what it was answered.
const LINGER: Duration = Duration::from_secs(1);

/// Answers a connection's requests until one side ends it.
pub(crate) async fn serve(stream: TcpStream, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    // Pieces of a stream go out as they come.
    let _ = stream.set_nodelay(true);
    let patience = shared.config.patience;
    let stream = Arc::new(stream);
    let is_asking = Arc::new(AtomicBool::new(false));
    let io = Io {
        stream: Arc::clone(&stream),
        is_asking: Arc::clone(&is_asking),
        patience,
        stalled: Box::pin(sleep(patience)),
        is_stalled: false,
    };
    let service = service_fn(|request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(handle(request, shared).await) }
    });
    let ended = {
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(patience)
                .max_buf_size(HEAD_BYTES)
                .max_headers(HEAD_LINES)
                .serve_connection(TokioIo::new(io), service)
        );
        // Who comes later is told so, which closes the connection too.
        let mut is_stopping = *stop.borrow();
        loop {
            tokio::select! {
                ended = connection.as_mut() => break ended,
                Ok(_) = stop.wait_for(|stop| *stop), if !is_stopping => {
                    is_stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    };
    if ended.is_err_and(|e| e.is_timeout()) && is_asking.load(Ordering::Relaxed) {
        let seconds = patience.as_secs_f64();
        let message = format!("the request's head didn't come within {seconds} s");
        say(&stream, &Refusal::new(408, "invalid_request_error", message).with_code("request_timeout"));
    }
    if let Some(stream) = Arc::into_inner(stream) {
        close(stream).await;
    }
}

/// Tells a client for whom there is no place that it should come again.
pub(crate) async fn turn_away(stream: TcpStream, shared: &Shared) {
    shared.metrics.answered("none", 503);
    let most = shared.config.max_connections;
    let message = format!("{most} connections are open, and no more are taken");
    // A socket that was just accepted takes this much at once.
    if stream.writable().await.is_ok() {
        say(&stream, &Refusal::new(503, "server_error", message).with_code("too_many_connections"));
    }
    close(stream).await;
}

/// Writes an answer to somebody whom hyper doesn't serve.
fn say(stream: &TcpStream, refusal: &Refusal) {
    let reason = if refusal.status == 408 { "Request Timeout" } else { "Service Unavailable" };
    let body = refusal.body().to_string();
    let head = format!(
        "HTTP/1.1 {} {reason}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nretry-after: 1\r\n\
         connection: close\r\n\r\n",
        refusal.status,
        body.len()
    );
    // The connection ends in any case.
    let _ = stream.try_write((head + &body).as_bytes());
}

/// Says that nothing more comes, and reads until the client has understood.
async fn close(mut stream: TcpStream) {
    // Who is gone already needs no farewell.
    let _ = poll_fn(|cx| Pin::new(&mut stream).poll_shutdown(cx)).await;
    let _ = timeout(LINGER, async {
        let mut sink = [0; 4096];
        while stream.readable().await.is_ok() {
            match stream.try_read(&mut sink) {
                Ok(0) => break,
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => break,
            }
        }
    })
    .await;
}

/// A socket whose writes fail when the other side takes nothing for too long.
struct Io {
    stream: Arc<TcpStream>,
    /// Whether something came since the last answer went out.
    is_asking: Arc<AtomicBool>,
    patience: Duration,
    stalled: Pin<Box<Sleep>>,
    is_stalled: bool,
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            match self.stream.poll_read_ready(cx) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => return Poll::Pending,
            }
            match self.stream.try_read(buf.initialize_unfilled()) {
                Ok(count) => {
                    self.is_asking.store(true, Ordering::Relaxed);
                    buf.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        while let Poll::Ready(ready) = self.stream.poll_write_ready(cx) {
            ready?;
            match self.stream.try_write(buf) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                written => {
                    self.is_asking.store(false, Ordering::Relaxed);
                    self.is_stalled = false;
                    return Poll::Ready(written);
                }
            }
        }
        if !self.is_stalled {
            self.is_stalled = true;
            let until = Instant::now() + self.patience;
            self.stalled.as_mut().reset(until);
        }
        self.stalled.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// The socket is closed when hyper has let go of it ([`close`]).
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
