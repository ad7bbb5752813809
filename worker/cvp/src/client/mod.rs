//! The client of one CloudVision cluster: a session, its nodes, what answers mean, and what is sent again.
//!
//! It is tolerant in reading and strict in acting: whatever changes something is sent again only if it certainly had no
//! effect. One session serves all requests; however many notice that it ended, there is one new login.

mod calls;
mod cookies;
mod envelope;
mod error;
mod fault;
pub(crate) mod limiter;
mod login;
mod optional_service;
mod options;
mod request;
mod retry;
mod session;
mod version;

use std::sync::{Arc, Mutex};

use tokio::sync::OnceCell;
use tokio::time::Instant;

pub use error::{CvpError, NodeFailure};
pub use limiter::Priority;
pub use options::{ClientOptions, Credentials, Node, NodeError, RetryOptions};
pub use version::Version;

use limiter::ConcurrencyLimiter;
use lockstep_clock::Clock;
use optional_service::OptionalService;
use session::Sessions;

/// Talks to one CloudVision cluster.
#[derive(Debug)]
pub struct CvpClient {
    http: reqwest::Client,
    options: ClientOptions,
    clock: Arc<dyn Clock>,
    sessions: Sessions,
    limiter: ConcurrencyLimiter,
    /// Before this, nothing is sent: CloudVision asked to slow down.
    not_before: Mutex<Option<Instant>>,
    version: OnceCell<Version>,
    diff_service: OptionalService,
}

impl CvpClient {
    /// A client for a cluster. `http` brings TLS, proxies and the time limit of connecting; it must not follow redirects.
    pub fn new(http: reqwest::Client, options: ClientOptions, clock: Arc<dyn Clock>) -> Self {
        Self {
            http,
            limiter: ConcurrencyLimiter::new(options.concurrency),
            options,
            clock,
            sessions: Sessions::default(),
            not_before: Mutex::new(None),
            version: OnceCell::new(),
            diff_service: OptionalService::default(),
        }
    }
}
