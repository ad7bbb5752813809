use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::activity::{Activity, Turn};
use super::connections::Connection;
use super::framing::Framing;

/// A connection whose turns are recorded.
#[derive(Debug)]
pub(super) struct WatchedStream {
    pub(super) stream: TcpStream,
    pub(super) activity: Arc<Activity>,
    pub(super) framing: Framing,
    /// What the connection occupies, also when it is no longer one of HTTP. Given back after the stream is closed, by the order of the
    /// fields.
    #[expect(dead_code, reason = "it is given back when it is dropped")]
    pub(super) occupied: Occupied,
}

/// What a connection occupies.
#[derive(Debug)]
#[expect(dead_code, reason = "it is given back when it is dropped")]
pub(super) struct Occupied {
    pub(super) connection: Connection,
    pub(super) place: OwnedSemaphorePermit,
    pub(super) open: TaskTrackerToken,
}

impl WatchedStream {
    fn wrote(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &result {
            Poll::Ready(Ok(bytes)) => {
                if self.activity.turn().0 == Turn::Response {
                    self.activity.progressed(*bytes);
                }
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                // A part of the response that comes after a flush.
                self.activity.blocked();
            }
        }
        result
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Some(new) = buffer.filled().get(before..).filter(|new| !new.is_empty()) {
            self.activity.pass(Turn::Idle, Turn::Head);
            if self.activity.turn().0 != Turn::Upgraded {
                self.framing.read(new);
            }
        }
        read
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Hyper flushes when it has written all it has.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.activity.taken();
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Drop for WatchedStream {
    /// What the client did not take is discarded, instead of being kept by the operating system for minutes.
    fn drop(&mut self) {
        if self.activity.turn().0 == Turn::Response {
            let _ = self.stream.set_zero_linger();
        }
    }
}
