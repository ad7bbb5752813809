use std::time::Duration;

use lockstep_protocol::CommitId;

/// Why git did not do something.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The program is not there.
    #[error("git cannot be run; install it on the workers of the repositories lane")]
    Missing(#[source] std::io::Error),
    /// It took too long.
    #[error("git {command} took longer than {} s; is the remote reachable?", timeout.as_secs())]
    TimedOut {
        /// What it was doing.
        command: &'static str,
        /// How long it had.
        timeout: Duration,
    },
    /// It said no.
    #[error("git {command} failed: {message}")]
    Failed {
        /// What it was doing.
        command: &'static str,
        /// What it said, without secrets.
        message: String,
    },
    /// It said more than is reasonable.
    #[error("git {command} answered more than {most} bytes; is that repository what it should be?")]
    TooMuch {
        /// What it was doing.
        command: &'static str,
        /// The most that is read.
        most: usize,
    },
    /// It said something that cannot be understood.
    #[error("git {command} answered something unexpected: {what}")]
    Unexpected {
        /// What it was doing.
        command: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// The remote has no such branch.
    #[error("the remote has no branch {branch:?}; push it, or configure another one")]
    NoBranch {
        /// The branch.
        branch: String,
    },
    /// The clone has no such commit.
    #[error("there is no commit {commit}")]
    NoCommit {
        /// The commit.
        commit: CommitId,
    },
    /// Another process is working on the clone.
    #[error("another process is working on the clone")]
    Busy,
    /// The clone cannot be written.
    #[error("the clone in the data folder cannot be used")]
    Clone(#[source] std::io::Error),
}
