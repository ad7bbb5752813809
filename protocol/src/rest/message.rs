use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Identity;

/// The response to a published message. The broker has confirmed it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Accepted {
    /// The identity of the message, by which `GET /v1/messages` returns its outcome.
    #[serde(flatten)]
    pub identity: Identity,
}

/// The final state of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum InboxState {
    /// Its effects are committed.
    Applied,
    /// It could not be processed and is a dead letter.
    Dead,
}

/// The outcome of a message in `GET /v1/messages`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MessageView {
    /// The message's source.
    pub source: String,
    /// The message's id, unique within the source.
    pub id: String,
    /// The message type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The final state.
    pub state: InboxState,
    /// When the outcome was committed.
    pub at: Timestamp,
    /// The authenticated sender.
    pub by: Option<String>,
    /// The type of the result message.
    pub result_type: String,
    /// The `data` of the result message.
    pub result: Value,
}
