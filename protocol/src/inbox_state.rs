use serde::{Deserialize, Serialize};

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum InboxState {
    /// Its effects are committed.
    Applied,
    /// It could not be worked, and lies with the dead letters.
    Dead,
}
