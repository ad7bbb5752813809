use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

/// A REST service of the configuration: its address, its credentials and its certificates.
#[async_trait]
pub trait RestService: Debug + Send + Sync + 'static {
    /// Requests a resource by GET. Redirects are not followed.
    ///
    /// # Errors
    /// There is no whole answer. An answer with any status is none.
    async fn get(&self, request: &RestRequest) -> Result<RestAnswer, RestError>;
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestRequest {
    /// What follows the address of the service: a path with a query.
    pub path: String,
    /// Headers, beside the credentials.
    pub headers: Vec<(String, String)>,
    /// How long it may take, from connecting to the end of the answer.
    pub timeout: Duration,
    /// The most bytes of the answer.
    pub max_bytes: usize,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestAnswer {
    /// Its status.
    pub status: u16,
    /// When the service wants to be asked again.
    pub retry_after: Option<Duration>,
    /// Its body.
    pub body: Vec<u8>,
}

/// Why there is no whole answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RestError {
    /// The request cannot be sent as it is.
    #[error("{0}")]
    Invalid(String),
    /// The service cannot be connected to.
    #[error("the service cannot be reached: {0}")]
    Unreachable(String),
    /// Its certificate is not trusted.
    #[error(
        "the certificate of the service is not trusted: {0}; set the `ca_file` of the service to that of its authority"
    )]
    Certificate(String),
    /// It took too long.
    #[error("the service did not answer within the time limit")]
    TimedOut,
    /// The answer is too large.
    #[error("the answer has more than {0} bytes; ask for less, or raise `max_bytes`")]
    TooLarge(usize),
}

impl RestError {
    /// The word for programs.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid-request",
            Self::Unreachable(_) => "unreachable",
            Self::Certificate(_) => "untrusted-certificate",
            Self::TimedOut => "timed-out",
            Self::TooLarge(_) => "too-large",
        }
    }
}
