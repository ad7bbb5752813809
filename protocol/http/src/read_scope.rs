use std::fmt;
use std::str::FromStr;

/// What a token may read at the console. Every token may read the outcomes of its own messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReadScope {
    /// The outcomes of messages that others sent.
    Messages,
    /// Devices and why they are not synchronized.
    Devices,
    /// Repositories and their accepted commits.
    Repositories,
    /// The list of dead letters, without bodies.
    DeadLetters,
    /// The bodies of dead letters: whatever their senders wrote.
    DeadLetterBodies,
    /// Tasks, schedules and providers.
    Tasks,
    /// Executions and their elements, without what providers returned.
    Executions,
    /// What providers returned of an element, and the facts about devices: whatever the devices said.
    DeviceOutput,
    /// Whole configurations of devices and differences between them, with their secrets.
    Configurations,
}

/// The text is not a read scope.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{0:?} is not one of messages, devices, repositories, dead-letters, dead-letter-bodies, tasks, executions, device-output, configurations"
)]
pub struct ReadScopeError(String);

impl ReadScope {
    /// Every scope.
    pub const ALL: &[Self] = &[
        Self::Messages,
        Self::Devices,
        Self::Repositories,
        Self::DeadLetters,
        Self::DeadLetterBodies,
        Self::Tasks,
        Self::Executions,
        Self::DeviceOutput,
        Self::Configurations,
    ];

    /// The scope as it is written in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Devices => "devices",
            Self::Repositories => "repositories",
            Self::DeadLetters => "dead-letters",
            Self::DeadLetterBodies => "dead-letter-bodies",
            Self::Tasks => "tasks",
            Self::Executions => "executions",
            Self::DeviceOutput => "device-output",
            Self::Configurations => "configurations",
        }
    }
}

impl FromStr for ReadScope {
    type Err = ReadScopeError;

    fn from_str(text: &str) -> Result<Self, ReadScopeError> {
        let named = |scope: &&Self| scope.as_str() == text;
        let scope = Self::ALL.iter().find(named);
        scope.copied().ok_or_else(|| ReadScopeError(text.to_owned()))
    }
}

impl fmt::Display for ReadScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_for_an_unknown_scope_names_every_scope() {
        let error = "device".parse::<ReadScope>().unwrap_err().to_string();
        let names: Vec<&str> = ReadScope::ALL.iter().map(|scope| scope.as_str()).collect();
        assert!(error.ends_with(&names.join(", ")), "{error}");
        for scope in ReadScope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(*scope));
        }
    }
}
