use std::time::Duration;

/// Why a change log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is no connection, or it broke.
    #[error("cannot reach {url}")]
    Unreachable {
        /// What was asked for, without its query.
        url: String,
        /// What happened.
        #[source]
        source: reqwest::Error,
    },
    /// The answer took too long.
    #[error("{url} did not answer within {} s", .timeout.as_secs())]
    TimedOut {
        /// What was asked for.
        url: String,
        /// The time limit of a request.
        timeout: Duration,
    },
    /// The token is not accepted.
    #[error("{url} refused the token ({status}); check token, and that its user may view {what}")]
    Unauthorized {
        /// What was asked for.
        url: String,
        /// 401 or 403.
        status: u16,
        /// The objects that were asked for.
        what: String,
    },
    /// There is no such object.
    #[error("{url} was not found; check url")]
    NotFound {
        /// What was asked for.
        url: String,
    },
    /// The answer is a redirect. Following it could send the token to somebody else.
    #[error(
        "{url} redirects (status {status}); set url to the address at which it answers, with https:// if it has TLS"
    )]
    Redirected {
        /// What was asked for.
        url: String,
        /// The status.
        status: u16,
    },
    /// The answer is an error.
    #[error("{url} answered with status {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// The status.
        status: u16,
    },
    /// The answer is longer than expected.
    #[error("the answer of {url} is longer than {most} bytes")]
    TooLarge {
        /// What was asked for.
        url: String,
        /// The most bytes that are read.
        most: usize,
    },
    /// The answer is not what the API of the system answers.
    #[error(
        "the answer of {url} is not that of the API: {reason}; check url, and that it is the right system"
    )]
    Unreadable {
        /// What was asked for.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// The pages of a list do not advance.
    #[error("the pages of {url} repeat")]
    Endless {
        /// What was asked for.
        url: String,
    },
}
