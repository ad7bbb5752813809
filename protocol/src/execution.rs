//! The states of executions and of their elements, as messages, REST and the store name them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The state of an execution: the names that neops uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExecutionState {
    /// Its elements are stored, and none has begun.
    Pending,
    /// At least one element has begun.
    Running,
    /// It ended: at least one element was done, and none failed.
    Successful,
    /// It ended: some elements were done, and some failed.
    PartialFailed,
    /// It ended: no element was done, and at least one failed.
    Failed,
    /// It ended without doing what was asked: it was cancelled, or no element ran.
    Aborted,
}

impl ExecutionState {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Running,
        Self::Successful,
        Self::PartialFailed,
        Self::Failed,
        Self::Aborted,
    ];

    /// The state as it is written on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Successful => "SUCCESSFUL",
            Self::PartialFailed => "PARTIAL_FAILED",
            Self::Failed => "FAILED",
            Self::Aborted => "ABORTED",
        }
    }

    /// Whether the execution ended.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

/// The state of an element of an execution: the names that neops uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ElementState {
    /// It has not begun.
    Pending,
    /// A worker runs it.
    Running,
    /// It was done.
    Successful,
    /// A part of it failed.
    PartialFailed,
    /// It failed.
    Failed,
    /// It did not run because the execution was cancelled.
    Aborted,
    /// It did not run for another reason.
    Filtered,
    /// A check before it failed.
    PrecheckFailed,
    /// A check after it failed.
    PostcheckFailed,
}

/// What became of an element: every element ends in exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ElementOutcome {
    /// It was done.
    Done,
    /// It failed.
    Failed,
    /// It did not run.
    Skipped,
}

impl ElementState {
    /// Every state.
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::Running,
        Self::Successful,
        Self::PartialFailed,
        Self::Failed,
        Self::Aborted,
        Self::Filtered,
        Self::PrecheckFailed,
        Self::PostcheckFailed,
    ];

    /// The state as it is written on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Successful => "SUCCESSFUL",
            Self::PartialFailed => "PARTIAL_FAILED",
            Self::Failed => "FAILED",
            Self::Aborted => "ABORTED",
            Self::Filtered => "FILTERED",
            Self::PrecheckFailed => "PRECHECK_FAILED",
            Self::PostcheckFailed => "POSTCHECK_FAILED",
        }
    }

    /// What became of the element; `None` if it has not ended.
    pub const fn outcome(self) -> Option<ElementOutcome> {
        match self {
            Self::Pending | Self::Running => None,
            Self::Successful => Some(ElementOutcome::Done),
            Self::PartialFailed | Self::Failed | Self::PrecheckFailed | Self::PostcheckFailed => {
                Some(ElementOutcome::Failed)
            }
            Self::Aborted | Self::Filtered => Some(ElementOutcome::Skipped),
        }
    }
}

/// The text is not a state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a state; expected one of {known}")]
pub struct UnknownState {
    text: String,
    known: String,
}

macro_rules! texts {
    ($state:ident) => {
        impl fmt::Display for $state {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $state {
            type Err = UnknownState;

            fn from_str(text: &str) -> Result<Self, UnknownState> {
                let found = Self::ALL.into_iter().find(|state| state.as_str() == text);
                found.ok_or_else(|| UnknownState {
                    text: text.to_owned(),
                    known: Self::ALL.map(Self::as_str).join(", "),
                })
            }
        }
    };
}

texts!(ExecutionState);
texts!(ElementState);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read_as_they_are_written() {
        for state in ExecutionState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
        for state in ElementState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
        let error = "DONE".parse::<ExecutionState>().unwrap_err().to_string();
        assert!(error.contains("SUCCESSFUL"), "{error}");
    }
}
