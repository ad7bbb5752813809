use std::time::Duration;

use thiserror::Error;

use crate::{CommandOutput, eapi::visible};

/// The most bytes of an answer that an error shows.
const EXCERPT: usize = 200;

/// The reason why a device did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum DeviceError {
    /// No connection came about.
    #[error("cannot be reached: {reason}")]
    Unreachable {
        /// What the operating system says.
        reason: String,
    },
    /// The certificate of the device is not trusted.
    #[error(
        "its certificate is not trusted: {reason}; set the file of its certificate authority, or replace the certificate"
    )]
    Certificate {
        /// What TLS says.
        reason: String,
    },
    /// The user or the password is wrong.
    #[error("refuses the credentials of the user {username:?}")]
    Authentication {
        /// The name of the user.
        username: String,
    },
    /// No credentials are configured for the device.
    #[error("no credentials are configured for it, for one of its groups, or for all devices")]
    NoCredentials,
    /// There was no answer in time.
    #[error("did not answer within {} s", .after.as_secs())]
    TimedOut {
        /// The timeout.
        after: Duration,
    },
    /// The connection ended before the answer was complete.
    #[error("closed the connection before its answer was complete: {reason}")]
    Interrupted {
        /// What the operating system says.
        reason: String,
    },
    /// The answer has another status than 200.
    #[error("answered with the HTTP status {status}: {excerpt:?}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// The beginning of the answer.
        excerpt: String,
    },
    /// The device did not execute a command.
    #[error("refuses {command:?}: {message}{}", list(.details))]
    Refused {
        /// The command.
        command: String,
        /// The code of the error; for eAPI: 1000 to 1005, or one of JSON-RPC.
        code: i64,
        /// What the device says.
        message: String,
        /// What the device says about the command.
        details: Vec<String>,
        /// The outputs of the commands before it, which were executed.
        completed: Vec<CommandOutput>,
    },
    /// A line of a configuration cannot be loaded. No session is left, as far as the device can be reached. A secret in the line is not
    /// shown.
    #[error("refuses line {line} of the configuration ({beginning:?}): {reason}")]
    Line {
        /// The number of the line, from 1.
        line: usize,
        /// How the line begins.
        beginning: String,
        /// What is wrong, from the device or before it was asked.
        reason: String,
    },
    /// A configuration has no commands. Loaded, it would remove everything from the device.
    #[error("gets no configuration without commands: everything would be removed from it")]
    EmptyConfiguration,
    /// The device has as many configuration sessions as it allows.
    #[error("has no free configuration session; abort those that nobody needs{}", list(.sessions))]
    TooManySessions {
        /// The names of the sessions that have not ended, if the device told them.
        sessions: Vec<String>,
    },
    /// Somebody else has committed a session with a timer that still runs.
    #[error(
        "waits for the confirmation of the configuration session {session:?}{}; it is rolled back when its timer is over, or aborted by its name",
        .user.as_ref().map(|user| format!(" of {user}")).unwrap_or_default()
    )]
    SessionInUse {
        /// The name of the session.
        session: String,
        /// Who committed it, as far as the device tells.
        user: Option<String>,
    },
    /// Somebody else holds the lock of the configuration.
    #[error("has its configuration locked: {reason}")]
    Locked {
        /// What the device says.
        reason: String,
    },
    /// There is no session with this name, or none that waits for its confirmation: it was confirmed, rolled back or aborted.
    #[error(
        "has no pending configuration session {session:?}: it was confirmed, rolled back or aborted before"
    )]
    NotPending {
        /// The name of the session.
        session: String,
    },
    /// A commit is confirmed, but a restart of the device would undo it.
    #[error("has confirmed the configuration, but not saved it for its next start: {reason}")]
    NotSaved {
        /// What the device says.
        reason: String,
    },
    /// The request is longer than allowed. It was not sent.
    #[error("would get a request of more than {limit} bytes")]
    RequestTooLarge {
        /// The most bytes of a request.
        limit: usize,
    },
    /// The answer is longer than allowed.
    #[error("answered more than {limit} bytes")]
    TooLarge {
        /// The most bytes of an answer.
        limit: usize,
    },
    /// The answer cannot be read.
    #[error("answered something that cannot be read: {reason}: {excerpt:?}")]
    Unreadable {
        /// What is wrong.
        reason: String,
        /// The beginning of the answer.
        excerpt: String,
    },
}

/// Whether another attempt may succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retryability {
    /// It may.
    Transient,
    /// Somebody has to change something first.
    Permanent,
}

impl DeviceError {
    /// Whether another attempt may succeed.
    pub fn retryability(&self) -> Retryability {
        match self {
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Interrupted { .. }
            | Self::SessionInUse { .. }
            | Self::Locked { .. } => Retryability::Transient,
            Self::Status { status, .. } if *status >= 500 || *status == 429 => Retryability::Transient,
            Self::Certificate { .. }
            | Self::Authentication { .. }
            | Self::NoCredentials
            | Self::Status { .. }
            | Self::Refused { .. }
            | Self::Line { .. }
            | Self::EmptyConfiguration
            | Self::TooManySessions { .. }
            | Self::NotPending { .. }
            | Self::NotSaved { .. }
            | Self::RequestTooLarge { .. }
            | Self::TooLarge { .. }
            | Self::Unreadable { .. } => Retryability::Permanent,
        }
    }

    /// Whether the device may have executed commands of the request.
    pub fn may_have_run(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Certificate { .. }
            | Self::Authentication { .. }
            | Self::NoCredentials
            | Self::Line { .. }
            | Self::EmptyConfiguration
            | Self::TooManySessions { .. }
            | Self::SessionInUse { .. }
            | Self::Locked { .. }
            | Self::NotPending { .. }
            | Self::RequestTooLarge { .. } => false,
            Self::Refused { completed, .. } => !completed.is_empty(),
            Self::TimedOut { .. }
            | Self::Interrupted { .. }
            | Self::Status { .. }
            | Self::NotSaved { .. }
            | Self::TooLarge { .. }
            | Self::Unreadable { .. } => true,
        }
    }

    /// Whether the command has no structured output, only text.
    pub fn is_unconverted(&self) -> bool {
        matches!(self, Self::Refused { code: 1003, .. })
    }

    pub(crate) fn unreadable(reason: &str, answer: &[u8]) -> Self {
        Self::Unreadable {
            reason: reason.to_owned(),
            excerpt: excerpt(answer),
        }
    }
}

/// The beginning of an answer.
pub(crate) fn excerpt(answer: &[u8]) -> String {
    let text = visible(&answer[..answer.len().min(EXCERPT)], "\\");
    text.into_owned()
}

fn list(details: &[String]) -> String {
    if details.is_empty() {
        return String::new();
    }
    format!(" ({})", details.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_repeated_is_said_for_each_error() {
        use Retryability::{Permanent, Transient};
        let refused = |completed: Vec<CommandOutput>| DeviceError::Refused {
            command: "show foo".to_owned(),
            code: 1002,
            message: "invalid command".to_owned(),
            details: vec!["Invalid input".to_owned()],
            completed,
        };
        let status = |status| DeviceError::Status {
            status,
            excerpt: String::new(),
        };
        let reason = String::new;
        let done = CommandOutput {
            command: crate::Command::new("show version").unwrap(),
            output: crate::Output::Text(String::new()),
        };
        let table = [
            (DeviceError::Unreachable { reason: reason() }, Transient, false),
            (DeviceError::Certificate { reason: reason() }, Permanent, false),
            (
                DeviceError::Authentication { username: reason() },
                Permanent,
                false,
            ),
            (DeviceError::NoCredentials, Permanent, false),
            (
                DeviceError::TimedOut {
                    after: Duration::ZERO,
                },
                Transient,
                true,
            ),
            (DeviceError::Interrupted { reason: reason() }, Transient, true),
            (status(503), Transient, true),
            (status(429), Transient, true),
            (status(404), Permanent, true),
            (refused(Vec::new()), Permanent, false),
            (refused(vec![done]), Permanent, true),
            (
                DeviceError::Line {
                    line: 1,
                    beginning: reason(),
                    reason: reason(),
                },
                Permanent,
                false,
            ),
            (DeviceError::EmptyConfiguration, Permanent, false),
            (
                DeviceError::TooManySessions { sessions: Vec::new() },
                Permanent,
                false,
            ),
            (
                DeviceError::SessionInUse {
                    session: reason(),
                    user: None,
                },
                Transient,
                false,
            ),
            (DeviceError::Locked { reason: reason() }, Transient, false),
            (DeviceError::NotPending { session: reason() }, Permanent, false),
            (DeviceError::NotSaved { reason: reason() }, Permanent, true),
            (DeviceError::RequestTooLarge { limit: 1 }, Permanent, false),
            (DeviceError::TooLarge { limit: 1 }, Permanent, true),
            (DeviceError::unreadable("no JSON", b"<html>"), Permanent, true),
        ];
        for (error, retryability, may_have_run) in table {
            assert_eq!(error.retryability(), retryability, "{error}");
            assert_eq!(error.may_have_run(), may_have_run, "{error}");
        }
    }

    #[test]
    fn errors_of_sessions_name_them() {
        let sessions = vec!["a".to_owned(), "b".to_owned()];
        let in_use = |user: Option<&str>| DeviceError::SessionInUse {
            session: "a".to_owned(),
            user: user.map(str::to_owned),
        };
        let table = [
            (DeviceError::TooManySessions { sessions }, "nobody needs (a; b)"),
            (in_use(Some("ada on vty3")), "session \"a\" of ada on vty3;"),
            (in_use(None), "session \"a\"; it is rolled back"),
        ];
        for (error, text) in table {
            assert!(error.to_string().contains(text), "{error}");
        }
    }

    #[test]
    fn excerpts_are_short_and_visible() {
        assert_eq!(excerpt(b"caf\xe9"), "caf\\xe9");
        assert_eq!(excerpt(&[b'x'; 1000]).len(), EXCERPT);
    }
}
