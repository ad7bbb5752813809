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

/// How long to wait when the process has no file descriptor left for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What a server bears of connections.
#[derive(Clone, Copy, Debug)]
pub struct ServeLimits {
    /// How long the headers of a request may take, and how long a connection may be idle.
    pub header_read: Duration,
    /// How many connections there are at once; more wait with the operating system.
    pub connections: usize,
    /// How long requests under way may go on after the server was told to stop.
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

/// Answers requests until `stop` is cancelled; those under way then have a few seconds to end, and are cut off after that.
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
                    tracing::debug!(error = &error as &dyn std::error::Error, "a connection broke");
                },
                () = cut.cancelled() => {}
            }
            drop(place);
        });
    }
    drop(listener);
    tokio::select! {
        () = orderly.shutdown() => {}
        () = tokio::time::sleep(limits.shutdown_timeout) => tracing::warn!("requests did not end in time and were cut off"),
    }
    cut.cancel();
    tasks.close();
    tasks.wait().await;
}

/// The next connection and its place, or nothing when it is time to stop.
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

/// Errors of accepting are those of one peer, or pass: the listener itself stays good.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are small and written at once: nothing is gained by waiting for more.
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
