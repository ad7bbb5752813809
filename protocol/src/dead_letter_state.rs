use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a dead letter is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DeadLetterState {
    /// Nobody settled it yet.
    Dead,
    /// It is on its way to be worked again.
    Requeued,
    /// It was worked again; how that ended, its inbox row tells.
    Processed,
    /// It was dropped.
    Dropped,
}

impl DeadLetterState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Dead, Self::Requeued, Self::Processed, Self::Dropped];

    /// The state as it is stored and shown.
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
                format!("{text:?} is no state of dead letters; there are {known}")
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
            "\"gone\" is no state of dead letters; there are dead, requeued, processed, dropped"
        );
    }
}
