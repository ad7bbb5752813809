//! Serves requests on TCP connections, and holds out against clients that open many, send slowly or never read.

mod activity;
mod connections;
mod framing;
mod peer;
mod service;
mod stream;

use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::LogLimiter;
use activity::Timeouts;
use connections::{Bounds, Connection, Connections, Opened};
use framing::Framing;
use peer::counted_as;
use service::ConnectionService;
use stream::{Occupied, WatchedStream};

pub use service::GoesOn;

pub use peer::{AddressRange, AddressRangeError, Peer, TrustedProxies};

/// How long to wait after accepting failed, such as because the process has no free file descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// How long to wait until a new connection is considered again, if all others have requests in process.
const FULL_PAUSE: Duration = Duration::from_millis(50);
/// The most bytes that a connection buffers of requests that are not read and of responses that are not taken; also the largest
/// head of a request.
const BUFFER: usize = 64 * 1024;

/// The most connections beyond the limit that are being closed. New ones wait only if so many could not be closed yet, since the
/// process is busy.
const CLOSING: usize = 64;

/// Limits of a server's connections.
#[derive(Clone, Debug)]
pub struct ServeLimits {
    /// How long the head of a request may take to arrive, and how long a new connection may send nothing.
    pub header_read: Duration,
    /// How long a connection may be idle between two requests.
    pub idle: Duration,
    /// How long a client may take to receive a response, besides the time that its bytes take at 4 KiB per second.
    pub write: Duration,
    /// The most open connections, besides 64 that are being closed. For a further one, the connection that has waited longest for its client is closed, of the
    /// address with the most. If all have requests in process, it waits.
    pub connections: usize,
    /// The most open connections of one address; with IPv6, of one network of 64 bits.
    pub connections_per_address: usize,
    /// The proxies in front of the server, to which `connections_per_address` does not apply.
    pub proxies: TrustedProxies,
    /// How long running requests may continue after `stop` is cancelled.
    pub shutdown_timeout: Duration,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            header_read: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            write: Duration::from_secs(10),
            connections: 2048,
            connections_per_address: 1024,
            proxies: TrustedProxies::default(),
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}

/// Serves requests until `stop` is cancelled. Running requests may then continue for `shutdown_timeout`, after which their
/// connections are closed. `server` is a label in metrics.
///
/// A connection that was upgraded counts as long as it is open. Whoever took it watches its client and closes it when `stop` is
/// cancelled; this waits for that, too, for no longer than `shutdown_timeout`.
pub async fn serve(
    server: &'static str,
    listener: TcpListener,
    router: Router,
    limits: ServeLimits,
    stop: CancellationToken,
) {
    lockstep_telemetry::http::begin_server(server);
    let mut http = http1::Builder::new();
    http.max_buf_size(BUFFER);
    let timeouts = Timeouts {
        idle: limits.idle,
        head: limits.header_read,
        response: limits.write,
    };
    let entrance = Entrance::new(server, listener, &limits);
    let (cut, tasks, open) = (CancellationToken::new(), TaskTracker::new(), TaskTracker::new());
    while let Some(accepted) = stop.run_until_cancelled(entrance.next()).await {
        let Accepted {
            stream,
            address,
            connection,
            place,
        } = accepted;
        let ambiguous = Arc::new(AtomicBool::new(false));
        let (activity, close) = (connection.activity.clone(), connection.close.clone());
        let service = ConnectionService {
            server,
            router: TowerToHyperService::new(router.clone()),
            address,
            proxies: limits.proxies.clone(),
            activity: activity.clone(),
            ambiguous: ambiguous.clone(),
        };
        let stream = WatchedStream {
            stream,
            activity: activity.clone(),
            framing: Framing::new(BUFFER, ambiguous),
            occupied: Occupied {
                connection,
                place,
                open: open.token(),
            },
        };
        let serving = http.serve_connection(TokioIo::new(stream), service);
        let (stop, cut) = (stop.clone(), cut.clone());
        tasks.spawn(async move {
            let serving = async {
                let mut serving = pin!(serving.with_upgrades());
                if let Some(ended) = stop.run_until_cancelled(&mut serving).await {
                    return ended;
                }
                // It ends after the request that runs.
                serving.as_mut().graceful_shutdown();
                serving.await
            };
            tokio::select! {
                ended = serving => if let Err(error) = ended {
                    tracing::debug!(error = &error as &dyn std::error::Error, "a connection failed");
                },
                turn = activity.overdue(&timeouts) => {
                    lockstep_telemetry::http::connection_closed(server, turn.as_str());
                    tracing::debug!(%address, turn = turn.as_str(), "closed a connection whose client took too long");
                }
                () = close.cancelled() => {}
                () = cut.cancelled() => {}
            }
        });
    }
    drop(entrance);
    open.close();
    tokio::select! {
        () = open.wait() => {}
        () = tokio::time::sleep(limits.shutdown_timeout) => tracing::warn!("closed connections whose requests did not end within the shutdown timeout"),
    }
    cut.cancel();
    tasks.close();
    tasks.wait().await;
}

/// Accepts connections within the bounds.
#[derive(Debug)]
struct Entrance {
    server: &'static str,
    listener: TcpListener,
    proxies: TrustedProxies,
    connections: Connections,
    /// One for each connection that has a file descriptor, those that are being closed included.
    places: Arc<Semaphore>,
    crowds: LogLimiter,
    failures: LogLimiter,
}

#[derive(Debug)]
struct Accepted {
    stream: TcpStream,
    address: IpAddr,
    connection: Connection,
    place: OwnedSemaphorePermit,
}

impl Entrance {
    fn new(server: &'static str, listener: TcpListener, limits: &ServeLimits) -> Self {
        let bounds = Bounds {
            total: limits.connections,
            per_address: limits.connections_per_address,
        };
        Self {
            server,
            listener,
            proxies: limits.proxies.clone(),
            connections: Connections::new(bounds),
            places: Arc::new(Semaphore::new(limits.connections + CLOSING)),
            crowds: LogLimiter::default(),
            failures: LogLimiter::default(),
        }
    }

    /// The next connection that may be served.
    async fn next(&self) -> Accepted {
        loop {
            let (stream, address) = self.accept().await;
            let counted = (!self.proxies.contain(address)).then(|| counted_as(address));
            let Some(connection) = self.open(address, counted).await else {
                continue;
            };
            let place = Arc::clone(&self.places).acquire_owned().await;
            return Accepted {
                stream,
                address,
                connection,
                place: place.expect("the semaphore is never closed"),
            };
        }
    }

    /// Opens a connection, as soon as there is room; `None` if it is refused.
    async fn open(&self, address: IpAddr, counted: Option<IpAddr>) -> Option<Connection> {
        loop {
            match self.connections.open(counted) {
                Opened::Connection(connection, replaced) => {
                    if replaced {
                        self.crowded(address, "replaced", "closed a connection to accept another");
                    }
                    return Some(connection);
                }
                Opened::Refused => {
                    self.crowded(
                        address,
                        "refused",
                        "refused a connection of an address with too many",
                    );
                    return None;
                }
                Opened::Wait => tokio::time::sleep(FULL_PAUSE).await,
            }
        }
    }

    fn crowded(&self, address: IpAddr, reason: &'static str, what: &'static str) {
        lockstep_telemetry::http::connection_closed(self.server, reason);
        if let Some(omitted) = self.crowds.line() {
            tracing::warn!(server = self.server, peer = %address, omitted, "{what}");
        }
    }

    /// Accepts a connection. Errors concern one peer or are temporary; the listener stays usable.
    async fn accept(&self) -> (TcpStream, IpAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    // Responses are small and written at once, so Nagle's algorithm would only delay them.
                    let _ = stream.set_nodelay(true);
                    return (stream, address.ip().to_canonical());
                }
                Err(error) if of_one_peer(&error) => {}
                Err(error) => {
                    // Mostly the process has no free file descriptor: one is freed, if a client has to act.
                    let closed = self.connections.close_one();
                    if closed {
                        lockstep_telemetry::http::connection_closed(self.server, "replaced");
                    }
                    if let Some(omitted) = self.failures.line() {
                        tracing::error!(
                            error = &error as &dyn std::error::Error,
                            closed,
                            omitted,
                            "cannot accept connections"
                        );
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
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
