use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

/// Why a request to CloudVision failed. Never contains a password, a token or a session.
#[derive(Clone, Debug, Error)]
pub enum CvpError {
    /// The user, the password or the token is wrong. Logins pause for a while then, because repeated failures lock the account.
    #[error("CloudVision at {node} refused the login ({reason}); check the user, the password or the token")]
    LoginRefused {
        /// The address of the node.
        node: String,
        /// CloudVision's message.
        reason: String,
    },
    /// The login failed on all nodes.
    #[error("no CloudVision node can be used: {}", list(.failures))]
    NoNode {
        /// The failure of each node.
        failures: Vec<NodeFailure>,
    },
    /// The certificate of a node is not signed by a trusted authority.
    #[error(
        "the certificate of {node} is not trusted ({reason}); set --ca-file or `ca_file` to the certificate of its authority"
    )]
    Certificate {
        /// The address of the node.
        node: String,
        /// What is wrong with the certificate.
        reason: String,
    },
    /// CloudVision rejects the session although the login just succeeded.
    #[error("{call}: CloudVision rejects the session even after a new login: {reason}")]
    Unauthorized {
        /// The name of the request.
        call: &'static str,
        /// CloudVision's message.
        reason: String,
    },
    /// The user lacks the right for the request.
    #[error("{call}: the user lacks the right for this (403); grant it, or use another user")]
    Forbidden {
        /// The name of the request.
        call: &'static str,
    },
    /// The release lacks the request.
    #[error("{call}: this release of CloudVision does not support it: {reason}")]
    Absent {
        /// The name of the request.
        call: &'static str,
        /// CloudVision's message.
        reason: String,
    },
    /// CloudVision rejected the request.
    #[error("{call}: CloudVision rejected it ({code}): {reason}")]
    Refused {
        /// The name of the request.
        call: &'static str,
        /// CloudVision's code, or the HTTP status.
        code: String,
        /// CloudVision's message.
        reason: String,
    },
    /// CloudVision limits the rate of requests, for longer than the retries last.
    #[error("{call}: CloudVision limits the rate of requests; try again later or with less concurrency")]
    Throttled {
        /// The name of the request.
        call: &'static str,
        /// The wait that CloudVision asks for, if it does.
        wait: Option<Duration>,
    },
    /// CloudVision answers with a server error.
    #[error("{call}: CloudVision is unavailable (HTTP {status})")]
    Unavailable {
        /// The name of the request.
        call: &'static str,
        /// The HTTP status.
        status: u16,
    },
    /// No answer in time.
    #[error("{call}: no answer in time")]
    TimedOut {
        /// The name of the request.
        call: &'static str,
    },
    /// The node could not be connected to; nothing was sent.
    #[error("{call}: cannot connect to {node}")]
    Unreachable {
        /// The name of the request.
        call: &'static str,
        /// The address of the node.
        node: String,
        #[source]
        source: Arc<reqwest::Error>,
    },
    /// The connection was lost after the request was sent, at least in part.
    #[error("{call}: the connection was lost")]
    ConnectionLost {
        /// The name of the request.
        call: &'static str,
        #[source]
        source: Arc<reqwest::Error>,
    },
    /// The answer cannot be read.
    #[error("{call}: the answer cannot be read: {reason}")]
    Unreadable {
        /// The name of the request.
        call: &'static str,
        /// What is wrong with the answer.
        reason: String,
    },
}

/// Why a node cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFailure {
    /// The address of the node.
    pub node: String,
    /// The error of the login.
    pub reason: String,
}

fn list(failures: &[NodeFailure]) -> String {
    let lines: Vec<String> = failures
        .iter()
        .map(|failure| format!("{}: {}", failure.node, failure.reason))
        .collect();
    lines.join("; ")
}

impl CvpError {
    /// Whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NoNode { .. }
            | Self::Throttled { .. }
            | Self::Unavailable { .. }
            | Self::TimedOut { .. }
            | Self::Unreachable { .. }
            | Self::ConnectionLost { .. }
            | Self::Unreadable { .. } => true,
            Self::LoginRefused { .. }
            | Self::Certificate { .. }
            | Self::Unauthorized { .. }
            | Self::Forbidden { .. }
            | Self::Absent { .. }
            | Self::Refused { .. } => false,
        }
    }

    /// Whether the request may have taken effect although its success was not confirmed.
    pub fn may_have_taken_effect(&self) -> bool {
        match self {
            Self::Unavailable { .. }
            | Self::TimedOut { .. }
            | Self::ConnectionLost { .. }
            | Self::Unreadable { .. } => true,
            Self::LoginRefused { .. }
            | Self::NoNode { .. }
            | Self::Certificate { .. }
            | Self::Unauthorized { .. }
            | Self::Forbidden { .. }
            | Self::Absent { .. }
            | Self::Refused { .. }
            | Self::Throttled { .. }
            | Self::Unreachable { .. } => false,
        }
    }
}
