use std::time::Duration;

use lockstep_protocol::CommitId;

use super::Limit;

/// Why a git command failed.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The program cannot be started.
    #[error("git cannot be started; install it on the workers of the repositories lane")]
    Missing(#[source] std::io::Error),
    /// The command did not end within its deadline.
    #[error("git {command} took longer than {} s; check that the remote is reachable", timeout.as_secs())]
    TimedOut {
        /// The git subcommand.
        command: &'static str,
        /// The deadline.
        timeout: Duration,
    },
    /// The command exited with an error.
    #[error("git {command} failed: {message}")]
    Failed {
        /// The git subcommand.
        command: &'static str,
        /// Its error output, without secrets.
        message: String,
    },
    /// The remote redirects, and redirects are not followed.
    #[error(
        "git {command} failed: the remote redirects to another address; set the url of the repository to that one (with .git at its end, if the forge has it), or set its follow_redirects = true"
    )]
    Redirected {
        /// The git subcommand.
        command: &'static str,
    },
    /// The command reached a limit.
    #[error("git {command} {limit}")]
    Limit {
        /// The git subcommand.
        command: &'static str,
        /// The limit.
        limit: Limit,
    },
    /// The output of the command is too large.
    #[error(
        "the output of git {command} exceeds {most} bytes; check that the configured repository is the intended one"
    )]
    TooMuch {
        /// The git subcommand.
        command: &'static str,
        /// The limit in bytes.
        most: usize,
    },
    /// The output of the command cannot be read.
    #[error("the output of git {command} cannot be read: {what}")]
    Unexpected {
        /// The git subcommand.
        command: &'static str,
        /// What is wrong with the output.
        what: String,
    },
    /// The remote has no such branch.
    #[error("the remote has no branch {branch:?}; push it or configure another one")]
    NoBranch {
        /// The configured branch.
        branch: String,
    },
    /// The clone has no such commit.
    #[error("the clone has no commit {commit}")]
    NoCommit {
        /// The commit that was asked for.
        commit: CommitId,
    },
    /// Another process holds the lock of the clone.
    #[error("another process uses the clone")]
    Busy,
    /// The folder of the clone cannot be read or written.
    #[error("the clone in the data folder cannot be used")]
    Clone(#[source] std::io::Error),
}

impl GitError {
    pub(super) fn unexpected(command: &'static str, what: impl std::fmt::Display) -> Self {
        Self::Unexpected {
            command,
            what: what.to_string(),
        }
    }
}
