use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long to wait after accepting failed, such as because the process has no free file descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Limits of a server's connections.
#[derive(Clone, Copy, Debug)]
pub struct ServeLimits {
    /// How long the headers of a request may take to arrive, and how long a connection may be idle.
    pub header_read: Duration,
    /// The most open connections; further ones wait in the operating system's backlog.
    pub connections: usize,
    /// How long running requests may continue after `stop` is cancelled.
    pub shutdown_timeout: Duration,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            header_read: Duration::from_secs(30),
            connections: 4096,
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}

/// Serves requests until `stop` is cancelled. Running requests may then continue for `shutdown_timeout`, after which their
/// connections are closed.
pub async fn serve(listener: TcpListener, router: Router, limits: ServeLimits, stop: CancellationToken) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_read);
    let places = Arc::new(Semaphore::new(limits.connections));
    let (orderly, cut, tasks) = (
        GracefulShutdown::new(),
        CancellationToken::new(),
        TaskTracker::new(),
    );
    while let Some((stream, place)) = next(&listener, &places, &stop).await {
        let service = TowerToHyperService::new(router.clone());
        let connection = orderly.watch(http.serve_connection(TokioIo::new(stream), service));
        let cut = cut.clone();
        tasks.spawn(async move {
            tokio::select! {
                ended = connection => if let Err(error) = ended {
                    tracing::debug!(error = &error as &dyn std::error::Error, "a connection failed");
                },
                () = cut.cancelled() => {}
            }
            drop(place);
        });
    }
    drop(listener);
    tokio::select! {
        () = orderly.shutdown() => {}
        () = tokio::time::sleep(limits.shutdown_timeout) => tracing::warn!("closed connections whose requests did not end within the shutdown timeout"),
    }
    cut.cancel();
    tasks.close();
    tasks.wait().await;
}

/// Accepts the next connection when there is room for it; `None` when `stop` is cancelled.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let accepting = async {
        let place = Arc::clone(places).acquire_owned().await;
        let place = place.expect("the semaphore is never closed");
        (accept(listener).await, place)
    };
    tokio::select! {
        () = stop.cancelled() => None,
        accepted = accepting => Some(accepted),
    }
}

/// Accepts a connection. Errors concern one peer or are temporary; the listener stays usable.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Responses are small and written at once, so Nagle's algorithm would only delay them.
                let _ = stream.set_nodelay(true);
                return stream;
            }
            Err(error) if of_one_peer(&error) => {}
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "cannot accept connections"
                );
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn of_one_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}
