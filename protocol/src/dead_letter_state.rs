use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What an operator decided about a dead letter, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DeadLetterState {
    /// Not settled: neither requeued nor dropped.
    Dead,
    /// An operator requeued it. Its message is published again and not processed yet.
    Requeued,
    /// Its message was processed after the requeue. The inbox row of the message has the outcome.
    Processed,
    /// An operator dropped it: its message is not published again.
    Dropped,
}

impl DeadLetterState {
    /// Every state, in the order in which a dead letter can take them.
    pub const ALL: [Self; 4] = [Self::Dead, Self::Requeued, Self::Processed, Self::Dropped];

    /// The word for it in the store, in JSON and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dead => "dead",
            Self::Requeued => "requeued",
            Self::Processed => "processed",
            Self::Dropped => "dropped",
        }
    }
}

impl FromStr for DeadLetterState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| {
                let known = Self::ALL.map(Self::as_str).join(", ");
                format!("{text:?} is not a state of dead letters; expected one of {known}")
            })
    }
}

impl fmt::Display for DeadLetterState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_states_are_the_same_everywhere() {
        for state in DeadLetterState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        let error = "gone".parse::<DeadLetterState>().unwrap_err();
        assert_eq!(
            error,
            "\"gone\" is not a state of dead letters; expected one of dead, requeued, processed, dropped"
        );
    }
}
