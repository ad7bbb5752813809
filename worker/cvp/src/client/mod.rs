//! The client of one CloudVision cluster. It keeps a session, selects a node, classifies answers, and retries.
//!
//! It reads answers tolerantly and acts strictly: a request that changes something is repeated only if it certainly had no effect.
//! All requests share one session. When it ends, there is one new login, however many requests fail at once.

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
    /// No request is sent before this time, because CloudVision limits the rate.
    not_before: Mutex<Option<Instant>>,
    version: OnceCell<Version>,
    diff_service: OptionalService,
}

impl CvpClient {
    /// Makes a client. `http` has the settings for TLS, proxies and the connect timeout; it must not follow redirects.
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
