use serde::{Deserialize, Serialize};

/// The final state of a message in the inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum InboxState {
    /// Its effects are committed.
    Applied,
    /// It was rejected or failed too often. A dead letter has its bytes.
    Dead,
    /// It was refused to its sender, who waits for the answer: what it asks for cannot be done. There is no dead letter.
    Refused,
}
