use serde::{Deserialize, Serialize};

use crate::Code;
use crate::topology::Lane;

/// The most dead letters that one command settles; the result says whether more match.
pub const MAX_DEAD_LETTERS: u32 = 10_000;

/// Work dead letters again: one by its number, or all that match. Exactly one of the two is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadLetterRequeueRequested {
    /// The dead letter, by its number in the table of dead letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<u64>,
    /// All that match, the oldest first, at most [`MAX_DEAD_LETTERS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matching: Option<DeadLetterSelection>,
}

/// Drop dead letters: one by its number, or all that match. Exactly one of the two is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadLetterDropRequested {
    /// The dead letter, by its number in the table of dead letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<u64>,
    /// All that match, the oldest first, at most [`MAX_DEAD_LETTERS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matching: Option<DeadLetterSelection>,
}

/// Dead letters that nobody settled yet, by what they have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadLetterSelection {
    /// Those with at most this number: what was there when somebody looked, and not what died since.
    pub up_to: u64,
    /// Only those that died of this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// Only those that died in this lane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<Lane>,
    /// Only those of this type.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::bounds::optional_label"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Label>"))]
    pub message_type: Option<String>,
}
