use serde::{Deserialize, Serialize};

use crate::Code;
use crate::topology::Lane;

/// The most dead letters that one command settles; the result's `more` says whether more match.
pub const MAX_DEAD_LETTERS: u32 = 10_000;

/// Process dead letters again: one by its number, or all that match. Exactly one of the two fields is set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadLetterRequeueRequested {
    /// The dead letter's number, as `GET /v1/dead` shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<u64>,
    /// Selects every match, oldest first, at most [`MAX_DEAD_LETTERS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matching: Option<DeadLetterSelection>,
}

/// Drop dead letters: one by its number, or all that match. Exactly one of the two fields is set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadLetterDropRequested {
    /// The dead letter's number, as `GET /v1/dead` shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<u64>,
    /// Selects every match, oldest first, at most [`MAX_DEAD_LETTERS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matching: Option<DeadLetterSelection>,
}

/// Selects unsettled dead letters. The given fields are combined with AND.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadLetterSelection {
    /// Only those with at most this number, so that messages dead-lettered later are not included.
    pub up_to: u64,
    /// Only those with this code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// Only those dead-lettered in this lane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<Lane>,
    /// Only those of this message type.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::bounds::optional_label"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Label>"))]
    pub message_type: Option<String>,
}
