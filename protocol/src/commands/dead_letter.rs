use serde::{Deserialize, Serialize};

/// Work a dead letter again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadLetterRequeueRequested {
    /// The dead letter, by its number in the table of dead letters.
    pub dead_letter: u64,
}

/// Drop a dead letter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadLetterDropRequested {
    /// The dead letter, by its number in the table of dead letters.
    pub dead_letter: u64,
}
