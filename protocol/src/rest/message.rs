use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Identity, InboxState};

/// The answer to a published message, after the broker confirmed it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Accepted {
    /// The identity of the message: the parameters of `GET /v1/messages`.
    #[serde(flatten)]
    pub identity: Identity,
}

/// The answer of `GET /v1/messages`: the outcome of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MessageView {
    /// The `source` of the message.
    pub source: String,
    /// The `id` of the message, unique within its source.
    pub id: String,
    /// The type of the message; empty where it could not be read.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it was applied.
    pub state: InboxState,
    /// When that was decided.
    pub at: Timestamp,
    /// The authenticated sender.
    pub by: Option<String>,
    /// The type of the result that was published.
    pub result_type: String,
    /// The data of that result.
    pub result: Value,
}
