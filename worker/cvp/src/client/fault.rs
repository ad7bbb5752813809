use std::sync::Arc;
use std::time::Duration;

use super::envelope::short;
use super::error::CvpError;

/// Why one attempt at a request failed.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// The session has ended.
    LoggedOut(String),
    /// CloudVision limits the rate; the request was not executed.
    Throttled(Option<Duration>),
    /// The node's certificate is not trusted; nothing was sent.
    Certificate(String),
    /// The node could not be connected to; nothing was sent.
    Unreachable(Arc<reqwest::Error>),
    /// No answer in time.
    TimedOut,
    /// The connection was lost.
    ConnectionLost(Arc<reqwest::Error>),
    /// A server error; the request may have been executed.
    Unavailable(u16, Option<Duration>),
    /// The answer cannot be read.
    Unreadable(String),
    /// CloudVision rejected the request.
    Refused { code: String, reason: String },
    /// The user lacks the right.
    Forbidden,
    /// The release lacks the request.
    Absent(String),
}

impl Fault {
    /// Classifies an error of the HTTP client.
    pub(super) fn of(error: reqwest::Error) -> Self {
        // The errors of this client name the node themselves.
        let error = error.without_url();
        if let Some(reason) = certificate_problem(&error) {
            Self::Certificate(reason)
        } else if error.is_connect() {
            Self::Unreachable(Arc::new(error))
        } else if error.is_timeout() {
            Self::TimedOut
        } else {
            Self::ConnectionLost(Arc::new(error))
        }
    }

    /// What happened, in a few words, for the log.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::LoggedOut(_) => "the session has ended",
            Self::Throttled(_) => "the rate is limited",
            Self::Certificate(_) => "the certificate is not trusted",
            Self::Unreachable(_) => "the node cannot be connected to",
            Self::TimedOut => "no answer in time",
            Self::ConnectionLost(_) => "the connection was lost",
            Self::Unavailable(..) => "a server error",
            Self::Unreadable(_) => "the answer cannot be read",
            Self::Refused { .. } => "the request was rejected",
            Self::Forbidden => "the user lacks the right",
            Self::Absent(_) => "the release lacks the request",
        }
    }

    /// The error that the caller gets.
    pub(super) fn into_error(self, call: &'static str, node: String) -> CvpError {
        match self {
            Self::LoggedOut(reason) => CvpError::Unauthorized { call, reason },
            Self::Throttled(wait) => CvpError::Throttled { call, wait },
            Self::Certificate(reason) => CvpError::Certificate { node, reason },
            Self::Unreachable(source) => CvpError::Unreachable { call, node, source },
            Self::TimedOut => CvpError::TimedOut { call },
            Self::ConnectionLost(source) => CvpError::ConnectionLost { call, source },
            Self::Unavailable(status, _) => CvpError::Unavailable { call, status },
            Self::Unreadable(reason) => CvpError::Unreadable { call, reason },
            Self::Refused { code, reason } => CvpError::Refused { call, code, reason },
            Self::Forbidden => CvpError::Forbidden { call },
            Self::Absent(reason) => CvpError::Absent { call, reason },
        }
    }
}

/// The error of rustls about a certificate, anywhere in the chain of causes.
fn certificate_problem(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    if let Some(rustls::Error::InvalidCertificate(problem)) = error.downcast_ref() {
        // It may list the names of the certificate, which its owner chose.
        return Some(short(&format!("{problem:?}")));
    }
    // An I/O error does not report the error that it wraps as its source, and the wrapped one may wrap another.
    let wrapped = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref);
    let wrapped = wrapped.and_then(|inner| certificate_problem(inner));
    wrapped.or_else(|| certificate_problem(error.source()?))
}
