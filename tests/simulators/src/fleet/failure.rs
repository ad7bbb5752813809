use super::configuration::Refused;
use super::configurations::Problem;

/// Why a command failed, with the code of eAPI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: i32,
    pub(crate) reason: &'static str,
    pub(crate) errors: Vec<String>,
}

impl Failure {
    /// The device does not know the command.
    pub(crate) fn invalid(error: impl Into<String>) -> Self {
        Self {
            code: 1002,
            reason: "invalid command",
            errors: vec![error.into()],
        }
    }

    /// The device does not know the word at this position.
    pub(crate) fn invalid_word(position: usize, word: &str) -> Self {
        let word = word.to_owned();
        Self::invalid(Refused::Invalid { position, word }.to_string())
    }

    /// The device knows the command, and does not execute it.
    pub(crate) fn could_not_run(error: impl Into<String>) -> Self {
        Self {
            code: 1000,
            reason: "could not run command",
            errors: vec![error.into()],
        }
    }

    /// The command has no output in JSON.
    pub(crate) fn unconverted() -> Self {
        Self {
            code: 1003,
            reason: "unconverted command",
            errors: vec!["Command cannot be used over the API at this time. To see ASCII output, set format='text' in your request".to_owned()],
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Command(refused @ Refused::Invalid { .. }) => Self::invalid(refused.to_string()),
            Problem::Command(refused @ Refused::Incomplete) => Self::could_not_run(refused.to_string()),
            Problem::Other(reason) => Self::could_not_run(reason),
        }
    }
}
