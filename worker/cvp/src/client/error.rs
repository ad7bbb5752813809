use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

/// CloudVision did not do what it was asked. Never holds a password, a token or a session.
#[derive(Clone, Debug, Error)]
pub enum CvpError {
    /// The user, the password or the token is wrong. It is not tried again for a while: accounts get locked.
    #[error("CloudVision at {node} refuses the login ({reason}); check the user, the password or the token")]
    LoginRefused {
        /// Which node said so.
        node: String,
        /// What it said.
        reason: String,
    },
    /// No node could be logged in to.
    #[error("no CloudVision node can be used: {}", list(.failures))]
    NoNode {
        /// What was wrong with each.
        failures: Vec<NodeFailure>,
    },
    /// A node's certificate is not signed by anybody trusted.
    #[error(
        "the certificate of {node} is not trusted ({reason}); name the file with its authority's certificate by --ca-file or `ca_file`"
    )]
    Certificate {
        /// The node.
        node: String,
        /// What is wrong with the certificate.
        reason: String,
    },
    /// The session is refused although the login just succeeded.
    #[error("{call}: the session is not accepted, not even after a new login: {reason}")]
    Unauthorized {
        /// What was asked.
        call: &'static str,
        /// What was answered.
        reason: String,
    },
    /// The user may not do this.
    #[error("{call}: the user may not do this (403); give it the right, or use another user")]
    Forbidden {
        /// What was asked.
        call: &'static str,
    },
    /// The release does not know the request.
    #[error("{call}: this release of CloudVision does not know it: {reason}")]
    Absent {
        /// What was asked.
        call: &'static str,
        /// What was answered.
        reason: String,
    },
    /// CloudVision understood and refused.
    #[error("{call}: CloudVision refuses it ({code}): {reason}")]
    Refused {
        /// What was asked.
        call: &'static str,
        /// CloudVision's code, or the HTTP status.
        code: String,
        /// Its words.
        reason: String,
    },
    /// Too many requests, longer than we wait.
    #[error("{call}: CloudVision asks to slow down; try again later or with less concurrency")]
    Throttled {
        /// What was asked.
        call: &'static str,
        /// How long CloudVision asks to wait.
        wait: Option<Duration>,
    },
    /// It answers that it cannot, now.
    #[error("{call}: CloudVision cannot now (HTTP {status})")]
    Unavailable {
        /// What was asked.
        call: &'static str,
        /// The HTTP status.
        status: u16,
    },
    /// No answer in time.
    #[error("{call}: no answer in time")]
    TimedOut {
        /// What was asked.
        call: &'static str,
    },
    /// The node could not be connected to; nothing was sent.
    #[error("{call}: cannot connect to {node}")]
    Unreachable {
        /// What was asked.
        call: &'static str,
        /// The node.
        node: String,
        #[source]
        source: Arc<reqwest::Error>,
    },
    /// The connection broke after something was sent.
    #[error("{call}: the connection broke")]
    Broken {
        /// What was asked.
        call: &'static str,
        #[source]
        source: Arc<reqwest::Error>,
    },
    /// The answer makes no sense.
    #[error("{call}: the answer cannot be read: {reason}")]
    Unreadable {
        /// What was asked.
        call: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// What is wrong with a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFailure {
    /// The node.
    pub node: String,
    /// Why it cannot be used.
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
    /// Whether the same may succeed later, with nothing changed.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NoNode { .. }
            | Self::Throttled { .. }
            | Self::Unavailable { .. }
            | Self::TimedOut { .. }
            | Self::Unreachable { .. }
            | Self::Broken { .. }
            | Self::Unreadable { .. } => true,
            Self::LoginRefused { .. }
            | Self::Certificate { .. }
            | Self::Unauthorized { .. }
            | Self::Forbidden { .. }
            | Self::Absent { .. }
            | Self::Refused { .. } => false,
        }
    }

    /// Whether CloudVision may have done what it was asked, although it did not say so.
    pub fn may_have_taken_effect(&self) -> bool {
        match self {
            Self::Unavailable { .. }
            | Self::TimedOut { .. }
            | Self::Broken { .. }
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
