use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::InboxState;

/// What became of the command of an audit entry, when the entry was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum AuditOutcome {
    /// The console was about to publish it. A worker that processes it adds an entry with the same `message_id`.
    Asked,
    /// A worker applied it: its effects were committed together with the entry.
    Applied,
    /// A worker refused it to its sender, who was told.
    Refused,
    /// A worker dead-lettered it: it had no effect, and the dead letter keeps it.
    Dead,
}

/// The text is not an outcome of audit entries.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not one of asked, applied, refused, dead")]
pub struct AuditOutcomeError(String);

impl AuditOutcome {
    /// Every outcome.
    pub const ALL: &[Self] = &[Self::Asked, Self::Applied, Self::Refused, Self::Dead];

    /// The outcome as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Applied => "applied",
            Self::Refused => "refused",
            Self::Dead => "dead",
        }
    }
}

impl From<InboxState> for AuditOutcome {
    fn from(state: InboxState) -> Self {
        match state {
            InboxState::Applied => Self::Applied,
            InboxState::Dead => Self::Dead,
            InboxState::Refused => Self::Refused,
        }
    }
}

impl FromStr for AuditOutcome {
    type Err = AuditOutcomeError;

    fn from_str(text: &str) -> Result<Self, AuditOutcomeError> {
        let named = |outcome: &&Self| outcome.as_str() == text;
        let outcome = Self::ALL.iter().find(named);
        outcome.copied().ok_or_else(|| AuditOutcomeError(text.to_owned()))
    }
}

impl fmt::Display for AuditOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_for_an_unknown_outcome_names_every_outcome() {
        let error = "done".parse::<AuditOutcome>().unwrap_err().to_string();
        let names: Vec<&str> = AuditOutcome::ALL.iter().map(|one| one.as_str()).collect();
        assert!(error.ends_with(&names.join(", ")), "{error}");
        for outcome in AuditOutcome::ALL {
            assert_eq!(outcome.as_str().parse(), Ok(*outcome));
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.as_str());
        }
    }
}
