use std::fmt;

use serde_json::Value;
use thiserror::Error;

/// The most bytes of a command.
const LONGEST: usize = 4096;

/// A command of a device's command line: one line of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command(String);

/// The text is not one command.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CommandError {
    /// There is no text.
    #[error("the command is empty")]
    Empty,
    /// It has line breaks or other control characters.
    #[error(
        "{0:?} is not one command: it contains a line break or another control character; give each command by itself"
    )]
    Control(String),
    /// It is too long.
    #[error("the command has {0} bytes; the most are {LONGEST}")]
    TooLong(usize),
}

impl Command {
    /// The command without spaces around it.
    ///
    /// # Errors
    /// The text is empty, too long, or has control characters.
    pub fn new(text: &str) -> Result<Self, CommandError> {
        let text = text.trim_matches(' ');
        if text.is_empty() {
            return Err(CommandError::Empty);
        }
        if text.len() > LONGEST {
            return Err(CommandError::TooLong(text.len()));
        }
        if text.chars().any(char::is_control) {
            return Err(CommandError::Control(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The form of the outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Structured data, where the command has it.
    Json,
    /// What a terminal shows.
    Text,
}

/// What a device answered to a command.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandOutput {
    /// The command.
    pub command: Command,
    /// The answer.
    pub output: Output,
}

/// The answer to a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Structured data.
    Json(Value),
    /// What a terminal shows.
    Text(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_one_line() {
        assert_eq!(Command::new(" show version ").unwrap().as_str(), "show version");
        for (text, error) in [
            ("  ", CommandError::Empty),
            ("show\nreload", CommandError::Control("show\nreload".to_owned())),
            ("show\u{1b}[2J", CommandError::Control("show\u{1b}[2J".to_owned())),
            (&"x".repeat(4097), CommandError::TooLong(4097)),
        ] {
            assert_eq!(Command::new(text), Err(error));
        }
    }
}
