use std::sync::Arc;
use std::time::Duration;

use super::error::CvpError;

/// What went wrong with one request.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// The session ended.
    LoggedOut(String),
    /// Too many requests; nothing was done.
    Throttled(Option<Duration>),
    /// The node's certificate is not trusted; nothing was sent.
    Certificate(String),
    /// The node could not be connected to; nothing was sent.
    Unreachable(Arc<reqwest::Error>),
    /// No answer in time.
    TimedOut,
    /// The connection broke.
    Broken(Arc<reqwest::Error>),
    /// The server cannot, and may have done something before it noticed.
    Unavailable(u16, Option<Duration>),
    /// The answer is no answer to this.
    Unreadable(String),
    /// Understood and refused.
    Refused { code: String, reason: String },
    /// Not allowed to.
    Forbidden,
    /// No such request in this release.
    Absent(String),
}

impl Fault {
    /// What went wrong with a connection.
    pub(super) fn of(error: reqwest::Error) -> Self {
        // The address is in our own words already.
        let error = error.without_url();
        if let Some(reason) = certificate_problem(&error) {
            Self::Certificate(reason)
        } else if error.is_connect() {
            Self::Unreachable(Arc::new(error))
        } else if error.is_timeout() {
            Self::TimedOut
        } else {
            Self::Broken(Arc::new(error))
        }
    }

    /// The same, for those who asked.
    pub(super) fn into_error(self, call: &'static str, node: String) -> CvpError {
        match self {
            Self::LoggedOut(reason) => CvpError::Unauthorized { call, reason },
            Self::Throttled(wait) => CvpError::Throttled { call, wait },
            Self::Certificate(reason) => CvpError::Certificate { node, reason },
            Self::Unreachable(source) => CvpError::Unreachable { call, node, source },
            Self::TimedOut => CvpError::TimedOut { call },
            Self::Broken(source) => CvpError::Broken { call, source },
            Self::Unavailable(status, _) => CvpError::Unavailable { call, status },
            Self::Unreadable(reason) => CvpError::Unreadable { call, reason },
            Self::Refused { code, reason } => CvpError::Refused { call, code, reason },
            Self::Forbidden => CvpError::Forbidden { call },
            Self::Absent(reason) => CvpError::Absent { call, reason },
        }
    }
}

/// What rustls says about a certificate, wherever among the causes.
fn certificate_problem(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    if let Some(rustls::Error::InvalidCertificate(problem)) = error.downcast_ref() {
        return Some(format!("{problem:?}"));
    }
    // What an I/O error wraps is not its cause, and it may wrap another one.
    let wrapped = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref);
    let wrapped = wrapped.and_then(|inner| certificate_problem(inner));
    wrapped.or_else(|| certificate_problem(error.source()?))
}
